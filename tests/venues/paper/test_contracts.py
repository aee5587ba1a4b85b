"""Contracts in the engine: money and positions are conserved at every step, margin is what it must be, reduce-only holds."""

from __future__ import annotations

import itertools
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venues.paper import recovery
from venues.paper.contracts import Position
from venues.paper.engine import Engine
from venues.paper.markets import EXCHANGES, Market, markets_of
from venues.paper.orders import Fill, Order, OrderRequest, Rejected, Resting

ACCOUNTS = ("first", "second", "third")
INVERSE, LINEAR, DATED = "BTC/USD:BTC", "BTC/USDC:USDC", "BTC/USD:BTC-300628"
RULES = EXCHANGES["deribit"]
MARKETS = markets_of(RULES)
D = Decimal


def engine_of() -> Engine:
    clock = itertools.count(1_700_000_000_000_000)
    engine = Engine(RULES, list(MARKETS.values()), lambda: next(clock))
    for name in ACCOUNTS:
        engine.open_account(name)
        engine.transfer(name, "BTC", D(2))
        engine.transfer(name, "USDC", D(100_000))
    return engine


def order(
    account: str, symbol: str, side: str, quantity: Decimal, price: Decimal | None, **more: object
) -> OrderRequest:
    return OrderRequest(
        account=account, symbol=symbol, side=side, type="market" if price is None else "limit", quantity=quantity,
        price=price, **more,  # type: ignore[arg-type]
    )  # fmt: skip


sides = st.sampled_from(["buy", "sell"])
symbols = st.sampled_from([INVERSE, LINEAR, DATED])
contracts = st.integers(1, 50)
prices = st.one_of(st.none(), st.integers(590, 620).map(lambda number: D(number) * 100))
placing = st.tuples(st.just("order"), st.sampled_from(ACCOUNTS), symbols, sides, contracts, prices, st.booleans())
outside = st.tuples(st.just("outside"), symbols, sides, contracts, st.integers(590, 620).map(lambda n: D(n) * 100))
cancels = st.tuples(st.just("cancel"), st.integers(0, 50))
amends = st.tuples(st.just("amend"), st.integers(0, 50), contracts)
funding = st.tuples(st.just("funding"), st.sampled_from([INVERSE, LINEAR]))
steps = st.one_of(placing, outside, cancels, amends, funding)


def size(symbol: str, number: int) -> Decimal:
    market = MARKETS[symbol]
    return number * market.contract_size * (1 if market.is_inverse else 1000)


def play(engine: Engine, placed: list[Order], step: tuple[object, ...]) -> None:
    match step:
        case ("order", str(account), str(symbol), str(side), int(number), price, bool(reduces)):
            limit = price if isinstance(price, Decimal) else None
            placed.append(engine.place(order(account, symbol, side, size(symbol, number), limit, reduce_only=reduces)))
        case ("outside", str(symbol), str(side), int(number), Decimal() as price):
            engine.outside(symbol, Resting(side, price, size(symbol, number)), price, rests=True)
        case ("cancel", int(number)) if placed:
            engine.cancel(placed[number % len(placed)])
        case ("amend", int(number), int(contracts)) if placed:
            chosen = placed[number % len(placed)]
            changes = {"quantity": size(chosen.request.symbol, contracts)}
            engine.amend(chosen, OrderRequest(**{**vars_of(chosen.request), **changes}))  # type: ignore[arg-type]
        case ("funding", str(symbol)):
            engine.pay_funding(symbol, engine.last_price(symbol))


def vars_of(request: OrderRequest) -> dict[str, object]:
    return {name: getattr(request, name) for name in OrderRequest.__dataclass_fields__}


def check(engine: Engine, placed: list[Order]) -> None:
    engine.check_conserved(engine.supply)
    for symbol in (INVERSE, LINEAR, DATED):
        engine.check_positions(symbol)
    for account in engine.accounts.values():
        for asset in ("BTC", "USDC"):
            held = sum((one.hold for one in account.open.values() if one.hold_asset == asset), D(0))
            for symbol, position in account.positions.items():
                assert position.margin >= 0 and (position.margin == 0) == (position.quantity == 0)
                held += position.margin if MARKETS[symbol].settle == asset else 0
            assert account.held[asset] == held
    for one in placed:
        assert sum((fill.quantity for fill in one.fills), D(0)) == one.executed
        assert one.fills == [] or one.fills[0].settle == MARKETS[one.request.symbol].settle


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=50))
def test_money_and_positions_are_conserved_and_rebuilt(script: list[tuple[object, ...]]) -> None:
    engine, placed = engine_of(), list[Order]()
    for step in script:
        try:
            play(engine, placed, step)
        except Rejected:
            pass
        check(engine, placed)
        for account in engine.accounts.values():
            for symbol, position in account.positions.items():
                _check_won(MARKETS[symbol], account.fills_by_symbol[symbol], position)
    records = [recovery.describe(fact) for fact in engine.facts]
    again = Engine(RULES, list(MARKETS.values()), lambda: 0)
    for name in ACCOUNTS:
        again.open_account(name)
    recovery.rebuild(again, records)
    for name, account in engine.accounts.items():
        other = again.accounts[name]
        assert {symbol: one for symbol, one in other.positions.items() if one.quantity} == {
            symbol: one for symbol, one in account.positions.items() if one.quantity
        }
        for asset in ("BTC", "USDC"):
            assert (other.total[asset], other.held[asset]) == (account.total[asset], account.held[asset])


def _check_won(market: Market, fills: list[Fill], position: Position) -> None:
    """What a position realised, and would at any price, is what its trades cost and brought: exact but for rounding."""
    price = Fraction(60_000)
    won, quantity = Fraction(0), Fraction(0)
    for fill in fills:
        signed = Fraction(fill.quantity) * (1 if fill.order.side == "buy" else -1)
        paid = Fraction(fill.price)
        won += signed / paid - signed / price if market.is_inverse else signed * (price - paid)
        quantity += signed
    assert quantity == Fraction(position.quantity)
    entry = Fraction(position.entry_price) if position.quantity else price
    open_won = quantity / entry - quantity / price if market.is_inverse else quantity * (price - entry)
    realised = Fraction(position.realised - position.funding)
    assert abs(realised + open_won - won) <= Fraction(len(fills) + 1, 10**8)


@pytest.mark.parametrize(
    ("trades", "quantity", "entry", "realised"),
    [
        ([("buy", 600, 60000), ("buy", 300, 30000)], 900, D(45000), D(0)),
        ([("buy", 600, 60000), ("sell", 600, 50000)], 0, D(0), D("-0.002")),
        ([("sell", 600, 60000), ("buy", 1200, 50000)], 600, D(50000), D("0.002")),
        ([("buy", 600, 60000), ("sell", 300, 75000)], 300, D(60000), D("0.001")),
    ],
)
def test_inverse_positions(
    trades: list[tuple[str, int, int]], quantity: Decimal, entry: Decimal, realised: Decimal
) -> None:  # fmt: skip
    market, position = MARKETS[INVERSE], Position()
    for side, amount, price in trades:
        won = position.realises(market, side, D(amount), D(price))
        position.trade(market, side, D(amount), D(price), won)
    assert (position.quantity, position.entry_price, position.realised) == (D(quantity), entry, realised)


def test_reduce_only_never_opens() -> None:
    engine = engine_of()
    with pytest.raises(Rejected, match="reduce_only"):
        engine.place(order("first", INVERSE, "sell", D(100), D(61000), reduce_only=True))
    engine.outside(INVERSE, Resting("sell", D(60000), D(100)), D(60000), rests=True)
    engine.place(order("first", INVERSE, "buy", D(100), D(60000)))
    with pytest.raises(Rejected, match="reduce_only"):
        engine.place(order("first", INVERSE, "sell", D(110), D(61000), reduce_only=True))
    plain = engine.place(order("first", INVERSE, "sell", D(100), D(61000)))
    reducing = engine.place(order("first", INVERSE, "sell", D(100), D(61000), reduce_only=True))
    assert plain.hold == reducing.hold == 0
    engine.outside(INVERSE, Resting("buy", D(61000), D(200)), D(61000))
    assert (plain.status, reducing.status, reducing.executed) == ("filled", "cancelled", D(0))
    assert engine.accounts["first"].position(INVERSE).quantity == 0


def test_margin_bounds_what_may_be_opened_and_losses_count() -> None:
    engine = engine_of()
    with pytest.raises(Rejected, match="insufficient_funds"):
        engine.place(order("first", INVERSE, "buy", D(6_000_000), D(60000)))
    engine.outside(INVERSE, Resting("sell", D(60000), D(6_000_000)), D(60000), rests=True)
    engine.place(order("first", INVERSE, "buy", D(4_000_000), D(60000)))
    free = engine.available_funds(engine.accounts["first"], "BTC")
    engine.outside(INVERSE, Resting("buy", D(59900), D(10)), D(59900), rests=True)
    engine.outside(INVERSE, Resting("sell", D(59900), D(10)), D(59900))
    assert engine.last_price(INVERSE) == 59900
    assert engine.available_funds(engine.accounts["first"], "BTC") < free
    engine.place(order("first", INVERSE, "sell", D(4_000_000), D(70000)))  # what only reduces needs no margin


def test_funding_goes_from_long_positions_to_short_ones_by_the_pool() -> None:
    engine = engine_of()
    engine.place(order("first", INVERSE, "buy", D(6000), D(60000)))
    engine.place(order("second", INVERSE, "sell", D(6000), D(60000)))
    before = {name: account.total["BTC"] for name, account in engine.accounts.items()}
    engine.facts.clear()
    engine.pay_funding(INVERSE, D(60000))
    paid = {name: account.total["BTC"] - before[name] for name, account in engine.accounts.items()}
    assert paid == {"first": D("-0.00001"), "second": D("0.00001"), "third": 0}
    assert engine.pool.total["BTC"] == 0
    assert [(fact.kind, fact.account, fact.amount) for fact in engine.facts] == [
        ("funded", "first", D("-0.00001")),
        ("funded", "second", D("0.00001")),
    ]
