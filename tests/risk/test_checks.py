"""The pre-trade check: what fits the grid, what a limit or a halt denies, and nearest values that are valid themselves."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project.lib import decimals
from risk import checks
from risk.checks import Approved, Denied, Facts, Grid, Proposal

D = Decimal
GRID = Grid(
    symbol="BTC/USDT", kind="spot", is_active=True, price_step=D("0.01"), quantity_step=D("0.001"), quantity_min=D("0.002"),
    quantity_max=D("100"), notional_min=D("5"),
)  # fmt: skip
FACTS = Facts(state="active", may_trade=True, limits={}, last_price=D("100"), open_orders=0)


def proposal(**changes: Any) -> Proposal:
    return Proposal(**{"side": "buy", "type": "limit", "quantity": D("1"), "price": D("100"), **changes})


def problem(order: Proposal, **grid: Any) -> tuple[str, str, str | None]:
    [found] = checks.fit(order, dataclasses.replace(GRID, **grid))
    return found.field, found.code, found.nearest_valid


def test_what_fits_has_no_problem() -> None:
    assert checks.fit(proposal(), GRID) == []
    assert checks.fit(proposal(type="market", price=None), GRID) == []


@pytest.mark.parametrize(
    ("quantity", "code", "nearest"),
    [
        ("0.001", "QUANTITY_BELOW_MINIMUM", "0.002"),
        ("0.0005", "QUANTITY_BELOW_MINIMUM", "0.002"),
        ("100.001", "QUANTITY_ABOVE_MAXIMUM", "100"),
        ("1.0005", "QUANTITY_OFF_STEP", "1"),
        ("0.0029999", "QUANTITY_OFF_STEP", "0.002"),
        ("99.9999", "QUANTITY_OFF_STEP", "99.999"),
    ],
)
def test_a_quantity_off_the_grid(quantity: str, code: str, nearest: str) -> None:
    assert problem(proposal(quantity=D(quantity), price=D("50000"))) == ("quantity", code, nearest)


def test_bounds_that_lie_off_the_step_are_moved_onto_it() -> None:
    coarse = {"quantity_step": D("3"), "quantity_min": D("4"), "quantity_max": D("10"), "notional_min": None}
    assert problem(proposal(quantity=D("1")), **coarse) == ("quantity", "QUANTITY_BELOW_MINIMUM", "6")
    assert problem(proposal(quantity=D("12")), **coarse) == ("quantity", "QUANTITY_ABOVE_MAXIMUM", "9")
    assert problem(proposal(quantity=D("5")), **coarse) == ("quantity", "QUANTITY_OFF_STEP", "6")


@pytest.mark.parametrize(
    ("side", "price", "nearest"),
    [("buy", "100.019", "100.01"), ("sell", "100.011", "100.02"), ("sell", "0.001", "0.01")],
)
def test_the_nearest_price_never_costs_the_client_more(side: str, price: str, nearest: str) -> None:
    found = problem(proposal(side=side, price=D(price)), notional_min=None)
    assert found == ("price", "PRICE_OFF_STEP", nearest)


def test_a_buy_below_the_first_step_has_no_valid_price_that_is_not_higher() -> None:
    assert problem(proposal(price=D("0.004")), notional_min=None) == ("price", "PRICE_OFF_STEP", None)


def test_a_notional_below_the_minimum_names_the_quantity_that_reaches_it() -> None:
    assert problem(proposal(quantity=D("0.01"), price=D("300"))) == ("quantity", "NOTIONAL_BELOW_MINIMUM", "0.017")


def test_a_notional_no_allowed_quantity_reaches_names_none() -> None:
    found = problem(proposal(quantity=D("1"), price=D("0.01")), quantity_max=D("10"))
    assert found == ("quantity", "NOTIONAL_BELOW_MINIMUM", None)


def test_a_closed_instrument_and_a_reduce_only_spot_order_are_refused() -> None:
    assert problem(proposal(), is_active=False)[1] == "INSTRUMENT_CLOSED"
    assert problem(proposal(reduce_only=True)) == ("reduce_only", "NOT_ALLOWED", "false")
    assert checks.fit(proposal(reduce_only=True), dataclasses.replace(GRID, kind="perpetual")) == []


def test_every_problem_is_listed() -> None:
    found = checks.fit(proposal(quantity=D("0.0001"), price=D("1.001"), reduce_only=True), GRID)
    assert [p.field for p in found] == ["reduce_only", "quantity", "price"]


AMOUNTS = st.integers(1, 10**25).map(lambda units: D(units).scaleb(-15))
STEPS = st.sampled_from(["0", "1", "0.5", "0.01", "0.00001", "3", "0.7", "25"]).map(D)
GRIDS = st.builds(
    Grid, symbol=st.just("BTC/USDT"), kind=st.just("spot"), is_active=st.just(True), price_step=STEPS, quantity_step=STEPS,
    quantity_min=st.none() | AMOUNTS, quantity_max=st.none() | AMOUNTS, notional_min=st.none() | AMOUNTS,
)  # fmt: skip
PROPOSALS = st.builds(
    Proposal,
    side=st.sampled_from(["buy", "sell"]),
    type=st.just("limit"),
    quantity=AMOUNTS,
    price=AMOUNTS,
    reduce_only=st.booleans(),
)


@given(PROPOSALS, GRIDS)
def test_every_nearest_value_is_valid_itself(order: Proposal, grid: Grid) -> None:
    start = order
    for _ in range(3):  # a quantity on the grid may still be worth too little: then one more round
        problems = checks.fit(order, grid)
        if not problems or any(p.nearest_valid is None for p in problems):
            return
        for p in problems:
            text = str(p.nearest_valid)
            changed: dict[str, Any] = {p.field: text == "true" if p.field == "reduce_only" else decimals.parse(text)}
            order = dataclasses.replace(order, **changed)
        assert order.price is not None and start.price is not None
        assert order.price <= start.price if order.side == "buy" else order.price >= start.price
    assert checks.fit(order, grid) == []


@pytest.mark.parametrize(
    ("order", "facts", "code"),
    [
        ({}, {"may_trade": False}, "LIVE_TRADING_OFF"),
        ({}, {"may_trade": False, "state": "halted"}, "LIVE_TRADING_OFF"),
        ({}, {"state": "halted"}, "TRADING_HALTED"),
        ({"reduce_only": True}, {"state": "halted"}, "TRADING_HALTED"),
        ({}, {"state": "reducing"}, "TRADING_REDUCING"),
        ({"quantity": D("1.001")}, {"limits": {"quantity_max": D(1)}}, "QUANTITY_EXCEEDS_MAXIMUM"),
        ({"quantity": D("1.001")}, {"limits": {"notional_max": D(100)}}, "NOTIONAL_EXCEEDS_MAXIMUM"),
        (
            {"type": "market", "price": None, "quantity": D(2)},
            {"limits": {"notional_max": D(199)}},
            "NOTIONAL_EXCEEDS_MAXIMUM",
        ),
        (
            {"type": "market", "price": None},
            {"limits": {"notional_max": D(1)}, "last_price": None},
            "NOTIONAL_NOT_KNOWN",
        ),
        ({}, {"limits": {"open_orders_max": D(3)}, "open_orders": 3}, "OPEN_ORDERS_EXCEED_MAXIMUM"),
        ({"price": D("105.01")}, {"limits": {"price_collar_percent": D(5)}}, "PRICE_OUTSIDE_COLLAR"),
        ({"side": "sell", "price": D("94.99")}, {"limits": {"price_collar_percent": D(5)}}, "PRICE_OUTSIDE_COLLAR"),
    ],
)
def test_what_is_denied(order: dict[str, Any], facts: dict[str, Any], code: str) -> None:
    verdict = checks.decide(proposal(**order), dataclasses.replace(FACTS, **facts))
    assert isinstance(verdict, Denied) and verdict.code == code and "othing was sent" in verdict.message


@pytest.mark.parametrize(
    ("order", "facts"),
    [
        ({}, {}),
        ({"reduce_only": True}, {"state": "reducing"}),
        (
            {},
            {
                "limits": {
                    "quantity_max": D(1),
                    "notional_max": D(100),
                    "open_orders_max": D(1),
                    "price_collar_percent": D(5),
                }
            },
        ),
        ({"price": D(105)}, {"limits": {"price_collar_percent": D(5)}}),
        ({"price": D(1)}, {"limits": {"price_collar_percent": D(5)}}),
        ({"side": "sell", "price": D(1000)}, {"limits": {"price_collar_percent": D(5)}}),
        ({"price": D(500)}, {"limits": {"price_collar_percent": D(5)}, "last_price": None}),
        ({"type": "market", "price": None}, {"limits": {"notional_max": D(100)}}),
    ],
)
def test_what_may_go(order: dict[str, Any], facts: dict[str, Any]) -> None:
    wanted = proposal(**order)
    assert checks.decide(wanted, dataclasses.replace(FACTS, **facts)) == Approved(wanted)


@pytest.mark.parametrize(
    ("side", "price", "code", "nearest"),
    [
        ("buy", "5.005", "PRICE_BELOW_MINIMUM", None),  # a buy is never moved up
        ("sell", "5.005", "PRICE_BELOW_MINIMUM", "10"),
        ("buy", "5000", "PRICE_ABOVE_MAXIMUM", "1000"),
        ("sell", "5000", "PRICE_ABOVE_MAXIMUM", None),  # a sell is never moved down
        ("buy", "100.005", "PRICE_OFF_STEP", "100"),
        ("sell", "100.005", "PRICE_OFF_STEP", "100.01"),
    ],
)
def test_a_price_out_of_bounds(side: str, price: str, code: str, nearest: str | None) -> None:
    bounds = {"price_min": D("10"), "price_max": D("1000")}
    assert problem(proposal(side=side, price=D(price)), **bounds) == ("price", code, nearest)


def test_a_trailing_offset_is_a_distance_and_has_no_bounds() -> None:
    order = proposal(type="trailing_stop", price=None, trailing_offset=D("1"))
    assert checks.fit(order, dataclasses.replace(GRID, price_min=D("10"))) == []


def test_the_notional_has_a_maximum_too() -> None:
    assert problem(proposal(quantity=D("60"), price=D("100")), notional_max=D("5000")) == (
        "quantity", "NOTIONAL_ABOVE_MAXIMUM", "50",
    )  # fmt: skip


def test_a_contract_is_worth_what_it_stands_for() -> None:
    linear = dataclasses.replace(GRID, kind="swap", contract_size=D("0.01"))
    assert linear.notional(D("100"), D("3")) == D("3")
    assert problem(proposal(quantity=D("3")), kind="swap", contract_size=D("0.01")) == (
        "quantity", "NOTIONAL_BELOW_MINIMUM", "5",
    )  # fmt: skip
    inverse = dataclasses.replace(GRID, kind="swap", contract_size=D("10"), is_inverse=True)
    assert inverse.notional(D("64000"), D("3")) == D("30")  # of the quote asset, whatever the price
    facts = dataclasses.replace(FACTS, limits={"notional_max": D("25")}, contract_size=D("10"), is_inverse=True)
    assert isinstance(checks.decide(proposal(quantity=D("3"), price=D("64000")), facts), Denied)
    assert isinstance(checks.decide(proposal(quantity=D("2"), price=D("64000")), facts), Approved)


@given(
    st.decimals("0.0001", "100000", places=6),
    st.sampled_from(["0.01", "0.05", "0.5", "3"]),
    st.sampled_from(["buy", "sell"]),
)
def test_a_rounded_price_never_costs_more(price: Decimal, step: str, side: str) -> None:
    rounded = decimals.price_to(price, D(step), side)
    assert decimals.is_multiple(rounded, D(step)) and abs(rounded - price) < D(step)
    assert rounded <= price if side == "buy" else rounded >= price
