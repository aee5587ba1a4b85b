"""The engine alone: money is conserved, priority is kept, nothing goes below zero, fills add up."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venues.paper.engine import Engine
from venues.paper.markets import EXCHANGES, markets_of
from venues.paper.orders import Order, OrderRequest, Rejected, Resting

SYMBOL = "BTC/USDT"
ACCOUNTS = ("first", "second", "third")


def engine_of(exchange: str) -> Engine:
    clock = itertools.count(1_700_000_000_000_000)
    rules = EXCHANGES[exchange]
    engine = Engine(rules, list(markets_of(rules).values()), lambda: next(clock))
    for name in ACCOUNTS:
        engine.open_account(name)
        engine.transfer(name, "USDT", Decimal(50_000))
        engine.transfer(name, "BTC", Decimal(1))
    return engine


def place(
    engine: Engine, account: str, side: str, quantity: str, price: str | None, time_in_force: str = "GTC"
) -> Order:
    return engine.place(
        OrderRequest(
            account=account,
            symbol=SYMBOL,
            side=side,
            type="market" if price is None else "limit",
            quantity=Decimal(quantity),
            price=None if price is None else Decimal(price),
            time_in_force=time_in_force,
        )
    )


orders = st.tuples(
    st.sampled_from(ACCOUNTS),
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 60).map(lambda steps: Decimal(steps) / 100),
    st.one_of(st.none(), st.integers(590, 610).map(lambda price: Decimal(price) * 100)),
    st.sampled_from(["GTC", "IOC", "FOK"]),
    st.sampled_from(["", "base", "quote"]),
)
steps = st.one_of(
    orders,
    st.integers(0, 30),
    st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 50), st.integers(590, 610)),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["binance", "kraken", "bybit", "okx", "deribit"]), st.lists(steps, max_size=60))
def test_money_is_conserved_and_nobody_goes_below_zero(exchange: str, script: list[object]) -> None:
    engine = engine_of(exchange)
    placed: list[Order] = []
    for step in script:
        try:
            _play(engine, placed, step)
        except Rejected:
            pass
        _check(engine, placed)


def _play(engine: Engine, placed: list[Order], step: object) -> None:
    if isinstance(step, int):
        if placed:
            engine.cancel(placed[step % len(placed)])
    elif isinstance(step, tuple) and len(step) == 3:
        side, size, price = step
        limit = Decimal(price) * 100
        engine.outside(SYMBOL, Resting(side, limit, Decimal(size) / 100), limit, rests=True)
    elif isinstance(step, tuple):
        account, side, quantity, limit_price, time_in_force, fee_preference = step
        placed.append(
            engine.place(
                OrderRequest(
                    account=account,
                    symbol=SYMBOL,
                    side=side,
                    type="market" if limit_price is None else "limit",
                    quantity=quantity,
                    price=limit_price,
                    time_in_force=time_in_force,
                    fee_preference=fee_preference,
                )
            )
        )


def _check(engine: Engine, placed: list[Order]) -> None:
    engine.check_conserved(engine.supply)
    for account in engine.accounts.values():
        for asset in account.assets():
            held = sum((order.hold for order in account.open.values() if order.hold_asset == asset), Decimal(0))
            assert account.held[asset] == held
            assert account.free(asset) >= 0
    for order in placed:
        assert sum((fill.quantity for fill in order.fills), Decimal(0)) == order.executed
        assert order.executed + order.leaves == order.request.quantity
        assert order.is_open == (order.key in engine.accounts[order.request.account].open)
        limit = order.request.price
        for fill in order.fills:
            assert limit is None or (fill.price <= limit if order.side == "buy" else fill.price >= limit)
    book = engine.markets[SYMBOL].book
    bid, ask = book.best_price("buy"), book.best_price("sell")
    assert bid is None or ask is None or bid < ask


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 9)), min_size=1, max_size=12), st.integers(1, 60))
def test_best_price_trades_first_and_among_equals_the_oldest(quotes: list[tuple[int, int]], size: int) -> None:
    engine = engine_of("binance")
    engine.transfer("first", "BTC", Decimal(100))
    makers = [place(engine, "first", "sell", f"0.{amount}", str(60_000 + level)) for level, amount in quotes]
    engine.outside(SYMBOL, Resting("buy", Decimal(70_000), Decimal(size) / 10), Decimal(70_000))
    ranked = sorted(makers, key=lambda order: (order.price, order.number))
    left = Decimal(size) / 10
    for maker in ranked:
        assert maker.executed == min(left, maker.request.quantity)
        left -= maker.executed


def test_taker_gets_the_makers_price_and_the_hold_is_released() -> None:
    engine = engine_of("kraken")
    place(engine, "first", "sell", "0.5", "60000")
    taken = place(engine, "second", "buy", "0.5", "61000")
    account = engine.accounts["second"]
    assert (taken.status, taken.cost) == ("filled", Decimal(30_000))
    assert account.total["USDT"] == Decimal(20_000) - Decimal(30_000) * Decimal("0.004")
    assert account.held["USDT"] == 0


def test_fill_or_kill_takes_all_or_nothing() -> None:
    engine = engine_of("binance")
    place(engine, "first", "sell", "0.2", "60000")
    killed = place(engine, "second", "buy", "0.3", "60000", time_in_force="FOK")
    assert (killed.status, killed.executed) == ("expired", Decimal(0))
    filled = place(engine, "second", "buy", "0.2", "60000", time_in_force="FOK")
    assert filled.status == "filled"


def test_an_account_may_trade_with_itself_and_only_pays_fees() -> None:
    engine = engine_of("coinbase")
    place(engine, "first", "sell", "0.1", "60000")
    place(engine, "first", "buy", "0.1", "60000")
    account = engine.accounts["first"]
    assert account.total["BTC"] == 1
    assert account.total["USDT"] == Decimal(50_000) - Decimal(6_000) * Decimal("0.01")


@pytest.mark.parametrize(
    ("quantity", "price", "reason"),
    [
        ("0.1", "60000.001", "price_step"),
        ("0.000001", "60000", "quantity_step"),
        ("0.00001", "60000", "notional_min"),
        ("9001", "60000", "quantity_min"),
        ("1", "60000", "insufficient_funds"),
    ],
)
def test_refusals(quantity: str, price: str, reason: str) -> None:
    engine = engine_of("binance")
    with pytest.raises(Rejected) as refused:
        place(engine, "first", "buy", quantity, price)
    assert refused.value.reason == reason
    assert engine.facts[-1].kind == "deposited"


def test_lie_detector_notices_money_from_nowhere() -> None:
    engine = engine_of("binance")
    engine.accounts["first"].total["USDT"] += 1
    place(engine, "first", "sell", "0.1", "60000")
    with pytest.raises(AssertionError, match="not conserved"):
        place(engine, "second", "buy", "0.1", "60000")


@pytest.mark.parametrize("time_in_force", ["GTC", "IOC", "FOK"])
def test_kraken_cancels_the_newer_order_instead_of_a_trade_with_oneself(time_in_force: str) -> None:
    engine = engine_of("kraken")
    other = place(engine, "second", "sell", "0.1", "59000")
    own = place(engine, "first", "sell", "0.2", "59500")
    newer = place(engine, "first", "buy", "0.3", "60000", time_in_force)
    is_whole = time_in_force == "FOK"  # what cannot trade whole does not trade at all
    assert newer.executed == (0 if is_whole else Decimal("0.1")) and not newer.is_open
    assert own.executed == 0 and own.is_open
    assert other.executed == newer.executed
    if not is_whole:
        assert (newer.status, newer.versions[-1].reason) == ("cancelled", "self trade prevention")
    there = place(engine, "third", "buy", "0.2", "59500")
    assert there.executed == Decimal("0.2")
    assert place(engine, "first", "buy", "0.1", "58000").is_open  # it meets nothing of its own
