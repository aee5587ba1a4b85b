"""Comparisons: random consistent histories never differ; the same history with one planted fault always does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciliation import compare, facts
from venues.messages import BalanceReport, FillReport, OrderReport

START = datetime(2026, 1, 1, tzinfo=UTC)
REQUESTED = START + timedelta(seconds=60)
moments = st.integers(0, 120_000).map(lambda milliseconds: START + timedelta(milliseconds=milliseconds))
amounts = st.decimals(min_value="0.000000000000000001", max_value="1000", places=18)
delays = st.integers(0, 1500).map(lambda milliseconds: timedelta(milliseconds=milliseconds))


def reading(seconds: float = 0.3, lag: float = 0) -> facts.Reading:
    return facts.Reading(
        requested_at=REQUESTED, taken_at=REQUESTED + timedelta(seconds=seconds), window_from=START,
        lag=timedelta(seconds=lag),
    )  # fmt: skip


def our_fill(number: int, at: datetime, quantity: Decimal, delay: timedelta = timedelta(0)) -> facts.OurFill:
    return facts.OurFill(
        id=f"f{number}", order_id="o", symbol="BTC/USDT", side="buy", venue_trade_id=str(number), price=Decimal("100"),
        quantity=quantity, fee=Decimal("0.1"), fee_asset="USDT", executed_at=at, recorded_at=at + delay,
    )  # fmt: skip


def their_fill(fill: facts.OurFill) -> FillReport:
    return FillReport(
        venue_trade_id=fill.venue_trade_id, venue_order_id="V", venue_client_id=None, symbol=fill.symbol, side="buy",
        price=fill.price, quantity=fill.quantity, quote_quantity=None, fee=fill.fee, fee_asset=fill.fee_asset, liquidity="",
        occurred_at=fill.executed_at,
    )  # fmt: skip


def balance(total: Decimal) -> BalanceReport:
    return BalanceReport(asset="BTC", total=total, free=total, held=Decimal(0))


@given(st.lists(st.tuples(moments, amounts, delays), max_size=30), st.integers(0, 300))
def test_consistent_fills_never_differ(history: list[tuple[datetime, Decimal, timedelta]], instant_ms: int) -> None:
    ours = [our_fill(number, at, quantity, delay) for number, (at, quantity, delay) in enumerate(history)]
    seen_until = REQUESTED + timedelta(milliseconds=instant_ms)
    theirs = [their_fill(fill) for fill in ours if fill.executed_at <= seen_until]
    assert compare.compare_fills(reading(), ours, theirs, since=START).differences == ()


@given(st.lists(st.tuples(moments, amounts), min_size=1, max_size=30), st.integers(0, 300), st.integers(0, 29))
def test_consistent_balances_never_differ(history: list[tuple[datetime, Decimal]], instant_ms: int, lost: int) -> None:
    effects = tuple(facts.Effect(at=at, known_at=at, amount=amount) for at, amount in history)
    ours = facts.OurBalance(total=sum((effect.amount for effect in effects), Decimal(7)), effects=effects)
    seen_until = REQUESTED + timedelta(milliseconds=instant_ms)
    total = Decimal(7) + sum((effect.amount for effect in effects if effect.at <= seen_until), Decimal(0))
    told = compare.compare_balances(reading(), {"BTC": ours}, [balance(total)])
    assert told.differences == ()
    # A change we never booked, long before the read, is told apart whenever nothing happened around the read.
    planted = compare.compare_balances(reading(), {"BTC": ours}, [balance(total + Decimal("0.000000000000000001"))])
    quiet = len(compare.totals_during(reading(), ours)) == 1
    assert bool(planted.differences) == quiet
    assert quiet or planted.skipped or planted.agreed


@given(st.lists(st.tuples(moments, moments, amounts), max_size=20), st.integers(0, 300))
def test_consistent_orders_never_differ(history: list[tuple[datetime, datetime, Decimal]], instant_ms: int) -> None:
    seen_at = REQUESTED + timedelta(milliseconds=instant_ms)
    ours, theirs = [], []
    for number, (one, other, quantity) in enumerate(history):
        opened, ended = sorted((one, other))
        is_over = ended <= START + timedelta(seconds=100)  # when our books are read
        order = our_order(
            id=f"o{number}", venue_order_id=f"V{number}", status="filled" if is_over else "open", quantity=quantity,
            filled_quantity=quantity if is_over else Decimal(0), changed_at=ended if is_over else opened,
        )  # fmt: skip
        ours.append(order)
        if opened <= seen_at < ended:
            theirs.append(their_order(replace(order, filled_quantity=Decimal(0)), occurred_at=opened))
    assert compare.compare_orders(reading(), ours, theirs).differences == ()


def our_order(**values: object) -> facts.OurOrder:
    order = facts.OurOrder(
        id="o1", symbol="BTC/USDT", side="buy", status="open", quantity=Decimal(2), price=Decimal(100),
        filled_quantity=Decimal(0), venue_order_id="V1", changed_at=START,
    )  # fmt: skip
    return replace(order, **values)  # type: ignore[arg-type]


def their_order(order: facts.OurOrder, **values: object) -> OrderReport:
    report = OrderReport(
        venue_order_id=order.venue_order_id, venue_client_id=None, symbol=order.symbol, status="open", side="buy",
        price=order.price, quantity=order.quantity, filled_quantity=order.filled_quantity, occurred_at=START,
    )  # fmt: skip
    return replace(report, **values)  # type: ignore[arg-type]


def kinds(told: facts.Comparison) -> list[str]:
    return [difference.kind for difference in told.differences]


def test_an_order_the_venue_does_not_list_is_missing_there() -> None:
    told = compare.compare_orders(reading(), [our_order()], [])
    assert kinds(told) == ["order_missing_at_venue"]
    assert told.differences[0].delta == Decimal(-2)
    assert told.differences[0].evidence["ours"]["venue_order_id"] == "V1"


def test_recent_or_unproven_orders_are_neither_green_nor_red() -> None:
    young = our_order(changed_at=REQUESTED - timedelta(seconds=1))
    unproven = our_order(id="o2", venue_order_id="V2", is_settled=False)
    told = compare.compare_orders(reading(), [young, unproven], [their_order(unproven, price=Decimal(9))])
    assert not told.differences and not told.agreed
    assert told.skipped == {"o1", "o2"}


def test_a_slow_venue_gets_its_lag_before_it_accuses() -> None:
    order = our_order(changed_at=REQUESTED - timedelta(seconds=30))
    assert kinds(compare.compare_orders(reading(lag=60), [order], [])) == []
    assert kinds(compare.compare_orders(reading(lag=20), [order], [])) == ["order_missing_at_venue"]


def test_an_order_of_somebody_else_is_external_and_ours_by_client_id_is_not() -> None:
    stranger = their_order(our_order(venue_order_id="V9"))
    assert kinds(compare.compare_orders(reading(), [], [stranger])) == ["external_order"]
    unknown = our_order(status="unknown", venue_order_id="", venue_client_ids=frozenset({"gabc"}), is_settled=False)
    told = compare.compare_orders(reading(), [unknown], [replace(stranger, venue_client_id="gabc")])
    assert told.differences == ()


def test_other_values_of_the_same_order_differ() -> None:
    for values in ({"quantity": Decimal(3)}, {"price": Decimal(99)}, {"filled_quantity": Decimal(1)}, {"side": "sell"}):
        told = compare.compare_orders(reading(), [our_order()], [their_order(our_order(), **values)])
        assert kinds(told) == ["order_status"], values
        assert told.differences[0].evidence["fields"] == list(values)
    ended = our_order(status="cancelled")
    assert kinds(compare.compare_orders(reading(), [ended], [their_order(ended)])) == ["order_status"]


def test_planted_fill_faults_have_their_kind() -> None:
    fills = [our_fill(number, START + timedelta(seconds=10 + number), Decimal(1)) for number in range(3)]
    rows = [their_fill(fill) for fill in fills]
    assert kinds(compare.compare_fills(reading(), fills[1:], rows, since=START)) == ["fill_missing_here"]
    assert kinds(compare.compare_fills(reading(), fills, rows[1:], since=START)) == ["fill_missing_at_venue"]
    faults: dict[str, tuple[dict[str, Any], ...]] = {
        "fill_differs": ({"price": Decimal(1)}, {"quantity": Decimal(2)}, {"price": Decimal(1), "fee": Decimal(0)}),
        "fee_differs": ({"fee": Decimal(0)}, {"fee_asset": "BNB"}),
        "wrong_side": ({"side": "sell"},),
    }
    for kind, planted in faults.items():
        for values in planted:
            changed = [replace(rows[0], **values), *rows[1:]]
            told = compare.compare_fills(reading(), fills, changed, since=START)
            assert kinds(told) == [kind], values
    assert kinds(compare.compare_fills(reading(), [], rows, since=REQUESTED)) == []  # part of the opening balances


def test_a_wrong_side_is_one_break_and_a_trade_with_ourselves_is_none() -> None:
    bought = our_fill(1, START + timedelta(seconds=10), Decimal(1))
    sold = replace(bought, id="f2", side="sell")
    rows = [their_fill(bought), replace(their_fill(bought), side="sell")]
    told = compare.compare_fills(reading(), [bought], rows[1:], since=START)
    assert [(d.kind, d.subject, d.delta, d.fill_id) for d in told.differences] == [
        ("wrong_side", "BTC/USDT 1 sell", Decimal(-2), "f1")
    ]
    assert compare.compare_fills(reading(), [bought, sold], rows, since=START).differences == ()
    assert kinds(compare.compare_fills(reading(), [bought], rows, since=START)) == ["fill_missing_here"]
    assert kinds(compare.compare_fills(reading(), [bought, sold], rows[:1], since=START)) == ["fill_missing_at_venue"]


def test_what_is_held_back_counts_only_where_nothing_of_ours_explains_it() -> None:
    row = BalanceReport(asset="BTC", total=Decimal(2), free=Decimal("1.5"), held=Decimal("0.5"))
    free = facts.OurBalance(total=Decimal(2), may_be_held=False)
    told = compare.compare_balances(reading(), {"BTC": free}, [row])
    assert [(d.kind, d.subject, d.delta) for d in told.differences] == [("balance_frozen", "BTC held", Decimal("0.5"))]
    assert told.agreed == {"BTC"} and not told.skipped
    for ours in (replace(free, may_be_held=True), replace(free, is_busy=True)):
        told = compare.compare_balances(reading(), {"BTC": ours}, [row])
        assert not told.differences and told.undecided == {"BTC held"} and not told.skipped, ours
    assert kinds(compare.compare_balances(reading(), {"BTC": replace(free, total=Decimal(1))}, [row])) == ["balance"]


def test_a_stream_that_tells_another_total_than_the_list_is_named_unless_our_books_had_it() -> None:
    row, at = balance(Decimal(2)), REQUESTED - timedelta(seconds=30)

    def told(total: str, *moments: str) -> facts.Comparison:
        claim = facts.StreamClaim(total=Decimal(total), at=at, moments=tuple(map(Decimal, moments)))
        return compare.compare_balances(reading(), {"BTC": facts.OurBalance(total=Decimal(2), stream=claim)}, [row])

    found = told("1.5", "2").differences
    assert [(d.kind, d.subject, d.delta, d.stream) for d in found] == [
        ("stream_differs", "BTC by the stream", Decimal("-0.5"), "1.5")
    ]
    assert not told("2").differences and not told("1.5", "2", "1.5").differences
    assert told("1.5").undecided == {"BTC by the stream"}


def test_trades_at_the_edges_of_the_window_accuse_nobody() -> None:
    early = our_fill(1, START + timedelta(seconds=1), Decimal(1))
    late = our_fill(2, REQUESTED - timedelta(seconds=1), Decimal(1))
    assert compare.compare_fills(reading(), [early, late], [], since=START).differences == ()
    told = compare.compare_fills(reading(), [], [their_fill(late)], since=START)
    assert not told.differences
    assert told.skipped == {"BTC/USDT 2 buy"}


def test_balances_differ_exactly_and_by_asset() -> None:
    ours = {"BTC": facts.OurBalance(total=Decimal(1)), "ETH": facts.OurBalance(total=Decimal(5))}
    told = compare.compare_balances(reading(), ours, [balance(Decimal("1.000000000000000001"))])
    assert {d.subject: d.delta for d in told.differences} == {"BTC": Decimal("1e-18"), "ETH": Decimal(-5)}
    within = compare.compare_balances(reading(), ours, [balance(Decimal("1.01"))], dust={"BTC": Decimal("0.01")})
    assert [d.subject for d in within.differences] == ["ETH"]
    busy = {"BTC": facts.OurBalance(total=Decimal(2), is_busy=True)}
    assert compare.compare_balances(reading(), busy, [balance(Decimal(1))]).skipped == {"BTC"}


@given(st.lists(st.tuples(moments, amounts, delays), max_size=15), st.integers(-4000, 4000), st.integers(0, 300))
def test_a_clock_that_is_wrong_accuses_nobody(
    history: list[tuple[datetime, Decimal, timedelta]], skew_ms: int, instant_ms: int
) -> None:
    skew = timedelta(milliseconds=skew_ms)
    effects = tuple(facts.Effect(at=at + skew, known_at=at + delay, amount=amount) for at, amount, delay in history)
    seen_until = REQUESTED + timedelta(milliseconds=instant_ms)
    theirs = sum((amount for at, amount, _ in history if at <= seen_until), facts.ZERO)
    ours = facts.OurBalance(total=sum((effect.amount for effect in effects), facts.ZERO), effects=effects)
    assert compare.compare_balances(reading(), {"BTC": ours}, [balance(theirs)]).differences == ()


def test_a_drift_of_an_asset_that_is_never_quiet_shows_in_the_second_read() -> None:
    drift, earlier = Decimal("-12.5"), None
    for number, amounts_traded in enumerate((["1", "2"], ["3", "0.7"])):
        effects = tuple(facts.Effect(at=REQUESTED, known_at=REQUESTED, amount=Decimal(a)) for a in amounts_traded)
        ours = facts.OurBalance(total=Decimal(1000) + sum(effect.amount for effect in effects), effects=effects)
        theirs = balance(Decimal(1000) + drift + effects[0].amount)
        told = compare.compare_balances(reading(), {"BTC": ours}, [theirs], earlier=earlier)
        assert [d.delta for d in told.differences] == ([drift] if number else [])
        earlier = told.possible


def test_names_of_differences_are_pure_functions_of_content() -> None:
    names = [compare.fingerprint("a", "balance", asset, asset) for asset in ("BTC", "ETH", "BTC")]
    assert names[0] == names[2] != names[1]
    assert all(one != other for one, other in pairwise([*names, compare.fingerprint("b", "balance", "BTC", "BTC")]))
