"""What a client may ask for as a group: every impossible one names its field; a ladder sums exactly and lies on the grid."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders import group_requests, ladder, requests
from orders.group_requests import GroupRequest
from risk.checks import Grid

D = Decimal
HEAD: dict[str, Any] = {
    "client_group_id": "g-1",
    "account": "main",
    "symbol": "BTC/USDT",
    "side": "sell",
    "quantity": "1",
}
OCO: dict[str, Any] = {
    **HEAD,
    "kind": "oco",
    "legs": [{"type": "limit", "price": "61000"}, {"type": "stop", "trigger_price": "59000"}],
}
BRACKET: dict[str, Any] = {**HEAD, "kind": "bracket", "side": "buy", "entry": {"type": "limit", "price": "60000"}, "take_profit": {"price": "61000"},
           "stop": {"trigger_price": "59000"}}  # fmt: skip
SCALED: dict[str, Any] = {**HEAD, "kind": "scaled", "price_from": "60000", "price_to": "61000", "count": 5}
GRID = Grid(
    symbol="BTC/USDT", kind="spot", is_active=True, price_step=D("0.01"), quantity_step=D("0.001"), quantity_min=D("0.001"),
    quantity_max=D(100), notional_min=D(5),
)  # fmt: skip


def problems(payload: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    with pytest.raises(requests.Invalid) as refusal:
        group_requests.parse(payload).members(GRID)
    return {problem.field: (problem.code, problem.nearest_valid) for problem in refusal.value.problems}


def changed(payload: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**payload, **changes}.items() if value is not None}


def members(payload: dict[str, Any]) -> list[tuple[str, str, str, Decimal | None, Decimal | None, bool]]:
    return [
        (one.request.client_order_id, one.request.side, one.request.type, one.request.price, one.request.trigger_price, one.is_dormant)
        for one in group_requests.parse(payload).members(GRID)
    ]  # fmt: skip


def test_one_cancels_the_other_is_two_orders_for_one_quantity() -> None:
    assert members(OCO) == [
        ("g-1:take_profit", "sell", "limit", D(61000), None, False),
        ("g-1:stop", "sell", "stop", None, D(59000), False),
    ]
    until = {"time_in_force": "gtd", "expires_at": "2030-01-01T00:00:00Z"}
    assert all(one.request.expires_at for one in group_requests.parse({**OCO, **until}).orders)


def test_a_bracket_is_an_entry_and_two_sleeping_exits_on_the_other_side() -> None:
    assert members(BRACKET) == [
        ("g-1:entry", "buy", "limit", D(60000), None, False),
        ("g-1:take_profit", "sell", "limit", D(61000), None, True),
        ("g-1:stop", "sell", "stop", None, D(59000), True),
    ]
    kinds = {"stop_limit": {"trigger_price": "59000", "price": "58900"}, "trailing_stop": {"trailing_offset": "500"}}
    for kind, stop in kinds.items():
        assert members({**BRACKET, "stop": stop})[2][2] == kind
    assert members({**BRACKET, "entry": {"type": "market"}})[0][2:4] == ("market", None)


@pytest.mark.parametrize(
    ("payload", "field", "code"),
    [
        ({}, "kind", "REQUIRED"),
        (changed(OCO, kind="occo"), "kind", "NOT_A_CHOICE"),
        (changed(OCO, client_group_id="x" * 51), "client_group_id", "MALFORMED"),
        (changed(OCO, client_group_id=None), "client_group_id", "REQUIRED"),
        (changed(OCO, quantity=None), "quantity", "REQUIRED"),
        (changed(OCO, symbol="BTC"), "symbol", "MALFORMED"),
        (changed(OCO, side=None), "side", "REQUIRED"),
        (changed(OCO, entry={}), "entry", "UNKNOWN_FIELD"),
        (changed(OCO, legs=None), "legs", "MALFORMED"),
        (changed(OCO, legs=[{}]), "legs", "MALFORMED"),
        (changed(OCO, legs=["a", "b"]), "legs.0", "MALFORMED"),
        (changed(OCO, legs=[*OCO["legs"][:1], {"type": "stop"}]), "legs.1.trigger_price", "REQUIRED"),
        (changed(OCO, legs=[*OCO["legs"][:1], {"type": "stop", "triger": "1"}]), "legs.1.triger", "UNKNOWN_FIELD"),
        (changed(OCO, legs=[*OCO["legs"][:1], {"type": "market"}]), "legs.1.type", "NOT_ALLOWED"),
        (changed(OCO, legs=[OCO["legs"][0], OCO["legs"][0]]), "legs.1.type", "NOT_ALLOWED"),
        (changed(OCO, legs=[OCO["legs"][1], OCO["legs"][1]]), "legs.1.type", "NOT_ALLOWED"),
        (changed(OCO, side="buy"), "legs.0.price", "WRONG_SIDE"),
        (changed(OCO, time_in_force="gtd"), "expires_at", "REQUIRED"),
        (changed(BRACKET, entry=None), "entry", "REQUIRED"),
        (changed(BRACKET, stop=None), "stop", "REQUIRED"),
        (changed(BRACKET, take_profit=None), "take_profit", "REQUIRED"),
        (changed(BRACKET, take_profit={}), "take_profit.price", "REQUIRED"),
        (changed(BRACKET, take_profit={"price": "59500"}), "take_profit.price", "WRONG_SIDE"),
        (changed(BRACKET, stop={"trigger_price": "60000"}), "stop.trigger_price", "WRONG_SIDE"),
        (changed(BRACKET, entry={"type": "limit"}), "entry.price", "REQUIRED"),
        (changed(BRACKET, entry={"type": "limit", "price": 1}), "entry.price", "NOT_A_STRING"),
        (changed(SCALED, count=1), "count", "OUT_OF_RANGE"),
        (changed(SCALED, count=51), "count", "OUT_OF_RANGE"),
        (changed(SCALED, count="5"), "count", "OUT_OF_RANGE"),
        (changed(SCALED, count=True), "count", "OUT_OF_RANGE"),
        (changed(SCALED, count=None), "count", "REQUIRED"),
        (changed(SCALED, distribution="even"), "distribution", "NOT_A_CHOICE"),
        (changed(SCALED, price_from=None), "price_from", "REQUIRED"),
        (changed(SCALED, price_to="60000"), "price_to", "NOT_ALLOWED"),
        (changed(SCALED, legs=[]), "legs", "UNKNOWN_FIELD"),
    ],
)  # fmt: skip
def test_an_impossible_group_names_its_field(payload: dict[str, Any], field: str, code: str) -> None:
    assert problems(payload)[field][0] == code


@pytest.mark.parametrize(
    ("changes", "field", "nearest"),
    [
        ({"count": 60}, "count", "50"), ({"count": -3}, "count", "2"), ({"price_from": "60000.001"}, "price_from", "60000.01"),
        ({"quantity": "1.0005"}, "quantity", "1"), ({"quantity": "0.003"}, "count", "3"),
        ({"price_to": "60000.02"}, "count", "3"), ({"quantity": "0.001", "count": 2}, "quantity", "0.004"),
    ],
)  # fmt: skip
def test_a_ladder_off_the_grid_is_refused_with_the_nearest_valid_value(
    changes: dict[str, Any], field: str, nearest: str
) -> None:
    assert problems({**SCALED, **changes})[field][1] == nearest
    fixed: Any = int(nearest) if field == "count" else nearest
    assert group_requests.parse({**SCALED, **changes, field: fixed}).members(GRID)


def test_a_ladder_goes_from_one_end_to_the_other() -> None:
    made = group_requests.parse({**SCALED, "quantity": "1.001"}).members(GRID)
    assert [one.request.price for one in made] == [D(60000), D(60250), D(60500), D(60750), D(61000)]
    assert [one.request.quantity for one in made] == [D("0.201"), D("0.2"), D("0.2"), D("0.2"), D("0.2")]
    linear = group_requests.parse(
        {**SCALED, "quantity": "1.5", "distribution": "linear", "count": 2, "price_to": "59000"}
    )
    assert [one.request.quantity for one in linear.members(GRID)] == [D("0.5"), D(1)]


@given(
    total=st.integers(1, 10**7), count=st.integers(2, 50), distribution=st.sampled_from(ladder.DISTRIBUTIONS),
    ends=st.tuples(st.integers(1, 10**7), st.integers(1, 10**7)), side=st.sampled_from(["buy", "sell"]),
)  # fmt: skip
def test_a_ladder_sums_exactly_or_is_refused_with_what_would_go(
    total: int, count: int, distribution: str, ends: tuple[int, int], side: str
) -> None:
    payload: dict[str, Any] = {
        **SCALED, "side": side, "quantity": str(D(total) / 1000), "count": count, "distribution": distribution,
        "price_from": str(D(ends[0]) / 100), "price_to": str(D(ends[1]) / 100),
    }  # fmt: skip
    request = group_requests.parse(payload)
    try:
        made = request.members(GRID)
    except requests.Invalid as refusal:
        for problem in refusal.problems:
            if problem.nearest_valid is not None and problem.field in {"count", "quantity"}:
                value: Any = int(problem.nearest_valid) if problem.field == "count" else problem.nearest_valid
                assert group_requests.parse({**payload, problem.field: value}).members(GRID)
        return
    assert sum(one.request.quantity for one in made) == request.template.quantity and len(made) == count
    assert all(one.request.quantity % GRID.quantity_step == 0 and one.request.quantity >= D("0.001") for one in made)
    assert (made[0].request.price, made[-1].request.price) == (D(ends[0]) / 100, D(ends[1]) / 100)
    assert len({one.request.client_order_id for one in made}) == len({one.request.price for one in made}) == count


def test_the_digest_is_of_the_meaning() -> None:
    def digest(payload: dict[str, Any]) -> str:
        made: GroupRequest = group_requests.parse(payload)
        return made.digest()

    assert digest({**OCO, "quantity": "1.0"}) == digest(OCO)
    others: list[dict[str, Any]] = [
        {**OCO, "quantity": "2"}, {**OCO, "client_group_id": "g-2"}, {**OCO, "strategy": "s"}, BRACKET, SCALED,
        {**SCALED, "count": 6}, {**SCALED, "distribution": "linear"}, {**SCALED, "price_to": "62000"},
        {**OCO, "legs": [OCO["legs"][0], {"type": "stop", "trigger_price": "58000"}]}, {**SCALED, "post_only": True},
    ]  # fmt: skip
    assert len({digest(payload) for payload in [OCO, *others]}) == len(others) + 1
