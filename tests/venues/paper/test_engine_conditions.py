"""The engine with waiting orders, amendments and overfills at random: money is conserved, holds are what they must be."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.venues.paper.test_engine import ACCOUNTS, SYMBOL, engine_of
from venues.paper.engine import Engine
from venues.paper.orders import Order, OrderRequest, Rejected, Resting

TYPES = ["limit", "stop", "stop_limit", "take_profit", "take_profit_limit", "trailing_stop"]
prices = st.integers(590, 610).map(lambda number: Decimal(number) * 100)
sizes = st.integers(1, 30).map(lambda number: Decimal(number) / 100)
sides = st.sampled_from(["buy", "sell"])
orders = st.tuples(st.just("order"), st.sampled_from(ACCOUNTS), sides, st.sampled_from(TYPES), sizes, prices, prices)
amendments = st.tuples(st.just("amend"), st.integers(0, 50), sizes, prices)
outsiders = st.tuples(st.just("outside"), sides, sizes, prices)
cancels = st.tuples(st.just("cancel"), st.integers(0, 50))


def play(engine: Engine, placed: list[Order], step: tuple[object, ...]) -> None:
    match step:
        case ("order", str(account), str(side), str(kind), Decimal() as quantity, Decimal() as price, Decimal() as at):
            waits = kind not in ("limit", "trailing_stop")
            placed.append(
                engine.place(
                    OrderRequest(
                        account=account,
                        symbol=SYMBOL,
                        side=side,
                        type=kind,
                        quantity=quantity,
                        price=price if kind.endswith("limit") else None,
                        trigger_price=at if waits else None,
                        trailing_offset=Decimal(300) if kind == "trailing_stop" else None,
                    )
                )
            )
        case ("amend", int(number), Decimal() as quantity, Decimal() as price) if placed:
            order = placed[number % len(placed)]
            changed = replace(order.request, quantity=quantity)
            engine.amend(order, changed if order.request.is_market else replace(changed, price=price))
        case ("outside", str(side), Decimal() as quantity, Decimal() as price):
            engine.outside(SYMBOL, Resting(side, price, quantity), price, rests=True)
        case ("cancel", int(number)) if placed:
            engine.cancel(placed[number % len(placed)])


def check(engine: Engine, placed: list[Order]) -> None:
    engine.check_conserved(engine.supply)
    waiting = [order for order in placed if order.is_open and not order.is_working]
    assert len(engine.markets[SYMBOL].triggers) == len(waiting)
    for account in engine.accounts.values():
        for asset in account.assets():
            held = sum((order.hold for order in account.open.values() if order.hold_asset == asset), Decimal(0))
            assert account.held[asset] == held
            assert account.free(asset) >= 0
    for order in placed:
        assert sum((fill.quantity for fill in order.fills), Decimal(0)) == order.executed
        assert order.is_open == (order.key in engine.accounts[order.request.account].open)
        if order.is_open:
            assert order.executed + order.leaves == order.request.quantity
        if not order.is_working:
            assert not order.fills
    stood = {id(one) for side in ("buy", "sell") for one in engine.markets[SYMBOL].book.walk(side)}
    for order in placed:
        assert (id(order) in stood) == (order.is_open and order.is_working)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["binance", "kraken", "bybit", "okx"]),
    st.lists(st.one_of(orders, outsiders, amendments, cancels), max_size=60),
)
def test_money_is_conserved_with_waiting_and_amended_orders(exchange: str, script: list[tuple[object, ...]]) -> None:
    engine = engine_of(exchange)
    placed: list[Order] = []
    for step in script:
        try:
            play(engine, placed, step)
        except Rejected:
            pass
        check(engine, placed)


@settings(max_examples=50, deadline=None)
@given(st.lists(prices, min_size=1, max_size=40), sides)
def test_trailing_trigger_only_ever_follows(path: list[Decimal], side: str) -> None:
    engine = engine_of("kraken")
    for account in ACCOUNTS:
        engine.transfer(account, "USDT", Decimal(10**6))
    order = engine.place(
        OrderRequest(
            account="first",
            symbol=SYMBOL,
            side=side,
            type="trailing_stop",
            quantity=Decimal("0.1"),
            trailing_offset=Decimal(500),
        )
    )
    extreme = engine.markets[SYMBOL].last_price
    for price in path:
        engine.outside(SYMBOL, Resting("sell", price, Decimal(1)), price, rests=True)
        engine.outside(SYMBOL, Resting("buy", price, Decimal(1)), price)
        fires = price <= extreme - 500 if side == "sell" else price >= extreme + 500
        assert order.is_working is fires
        if fires:
            return
        extreme = max(extreme, price) if side == "sell" else min(extreme, price)
