"""Groups: what the members' standing asks for, by table; never two live orders for one quantity, never more out than came in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders import fold, group_intake, group_requests, groups, intake, states, store, triggers
from orders.models import Intent, Order
from orders.rows import OrderRow
from orders.service import Service
from orders.states import Status
from tests.orders import test_submission as wire
from tests.orders.scene import apply, fill, report
from tests.orders.test_triggers import row
from venues.messages import Answer
from venues.models import Account

D = Decimal


def member(role: str, status: str = "queued", state: str = "", **changes: Any) -> OrderRow:
    conditional = {"type": "stop"} if role == "stop" else {"type": "limit", "trigger_price": None}
    return row(group_role=role, status=status, trigger_state=state, quantity=D(changes.pop("quantity", 4)),
               filled_quantity=D(changes.pop("filled", 0)), **{**conditional, **changes})  # fmt: skip


def steps(kind: str, *members: OrderRow) -> list[tuple[str, str, Decimal]]:
    return [(step.verb, step.order.group_role, step.quantity) for step in groups.decide(kind, members)]


def profit(*options: Any, **changes: Any) -> OrderRow:
    return member("take_profit", *options, **changes)


def stop(*options: Any, **changes: Any) -> OrderRow:
    return member("stop", *options, **changes)


def entry(*options: Any, **changes: Any) -> OrderRow:
    return member("entry", *options, **changes)


CANCEL_STOP, CANCEL_PROFIT = [("cancel", "stop", D(0))], [("cancel", "take_profit", D(0))]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([profit("open"), stop("queued", "armed")], []),
        ([profit("partially_filled", filled=1), stop("queued", "armed")], CANCEL_STOP),
        ([profit("filled", filled=4), stop("queued", "armed")], CANCEL_STOP),
        ([profit("cancelled"), stop("queued", "armed")], CANCEL_STOP),  # a person's wish takes both
        ([profit("rejected"), stop("queued", "armed")], []),  # the venue's refusal leaves the one that protects
        ([profit("denied"), stop("queued", "armed")], []),
        ([profit("open"), stop("queued", "waiting")], [*CANCEL_PROFIT, *CANCEL_PROFIT]),
        ([profit("unknown"), stop("queued", "waiting")], [*CANCEL_PROFIT, *CANCEL_PROFIT]),
        ([profit("cancelled"), stop("queued", "waiting")], [("release", "stop", D(4))]),
        ([profit("cancelled", filled=1), stop("queued", "waiting")], [("release", "stop", D(3))]),
        ([profit("filled", filled=4), stop("queued", "waiting")], CANCEL_STOP),
        ([profit("cancelled"), stop("open", "triggered")], []),  # let through: it was the reason of that cancel
        ([profit("cancelled", filled=1), stop("unknown", "triggered", quantity=3)], []),
        ([profit("filled", filled=4), stop("cancelled")], []),
    ],
)
def test_one_cancels_the_other_by_table(members: list[OrderRow], expected: list[Any]) -> None:
    assert steps("oco", *members) == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([entry("open"), profit(state="dormant"), stop(state="dormant")], []),
        ([entry(state="armed"), profit(state="dormant"), stop(state="dormant")], []),
        ([entry(state="waiting"), profit(state="dormant"), stop(state="dormant")], [("release", "entry", D(4))]),
        ([entry("open", "triggered"), profit(state="dormant"), stop(state="dormant")], []),
        ([entry("partially_filled", filled=3), profit("cancelled"), stop(state="waiting", quantity=3)],
         [("cancel", "entry", D(0)), ("release", "stop", D(3))]),
        ([entry("partially_filled", filled=3), profit("cancelled"), stop("open", "triggered", quantity=3)],
         [("cancel", "entry", D(0))]),
        ([entry("cancelled", filled=4), profit("cancelled"), stop("open", "triggered", quantity=3)], [("resize", "stop", D(4))]),
        ([entry("partially_filled", filled=3), profit("cancelled"), stop("filled", "triggered", filled=3)],
         [("cancel", "entry", D(0))]),
        ([entry("unknown"), profit(state="dormant"), stop(state="dormant")], []),
        ([entry("rejected"), profit(state="dormant"), stop(state="dormant")], [*CANCEL_PROFIT, *CANCEL_STOP]),
        ([entry("partially_filled", filled=1), profit(state="dormant"), stop(state="dormant")],
         [("activate", "take_profit", D(1)), ("activate", "stop", D(1))]),
        ([entry("cancelled", filled=1), profit(state="dormant"), stop(state="dormant")],
         [("activate", "take_profit", D(1)), ("activate", "stop", D(1))]),
        ([entry("partially_filled", filled=3), profit("open", quantity=1), stop(state="armed", quantity=1)],
         [("resize", "take_profit", D(3)), ("resize", "stop", D(3))]),
        ([entry("filled", filled=4), profit("open"), stop(state="armed")], []),
        ([entry("filled", filled=4), profit("partially_filled", filled=1), stop(state="armed")], [("resize", "stop", D(3))]),
        ([entry("filled", filled=4), profit("filled", filled=4), stop(state="armed")], CANCEL_STOP),
        ([entry("filled", filled=4), profit("open"), stop(state="waiting")], [*CANCEL_PROFIT, *CANCEL_PROFIT]),
        ([entry("filled", filled=4), profit("cancelled", filled=1), stop(state="waiting")], [("release", "stop", D(3))]),
        ([entry("filled", filled=4), profit("cancelled"), stop(state="waiting")], [("release", "stop", D(4))]),
        ([entry("filled", filled=4), profit("cancelled"), stop(state="armed")], CANCEL_STOP),
        ([entry("filled", filled=4), profit("rejected"), stop(state="armed")], []),
        ([entry("filled", filled=4), profit("filled", filled=4), stop(state="waiting")], CANCEL_STOP),
        ([entry("filled", filled=4), profit("cancelled", filled=1), stop("sending", "triggered", quantity=3)], []),
    ],
)  # fmt: skip
def test_a_bracket_by_table(members: list[OrderRow], expected: list[Any]) -> None:
    assert steps("bracket", *members) == expected


@given(
    held=st.integers(0, 4), sold=st.integers(0, 4), entry_status=st.sampled_from(sorted(Status)),
    profit_status=st.sampled_from(sorted(Status)), state=st.sampled_from(["dormant", "armed", "waiting"]),
)  # fmt: skip
def test_a_stop_goes_only_when_its_sibling_has_ended_and_for_no_more_than_is_held(
    held: int, sold: int, entry_status: Status, profit_status: Status, state: str
) -> None:
    sibling = profit(profit_status, filled=sold)
    for step in groups.decide("bracket", [entry(entry_status, filled=held), sibling, stop(state=state)]):
        if step.verb == "release":
            assert Status(sibling.status) in states.TERMINAL and 0 < step.quantity == held - sold
        elif step.verb in {"activate", "resize"}:
            others = sold if step.order.group_role == "stop" else 0
            assert step.quantity == held - others


# --- with rows ---


@pytest.fixture
def bracket(account: Account) -> dict[str, Order]:
    """Return a bracket's orders as accepted."""
    return made(
        account, kind="bracket", side="buy", quantity="1", entry={"type": "limit", "price": "60000"},
        take_profit={"price": "63000"}, stop={"trigger_price": "58000"},
    )  # fmt: skip


def made(account: Account, **body: Any) -> dict[str, Order]:
    asked = {"client_group_id": "g", "account": account.code, "symbol": "BTC/USDT", **body}
    group = group_intake.accept(group_requests.parse(asked), account, source="test").group
    return {order.group_role: order for order in group.orders.order_by("created_at", "id")}


def tend(account: Account, *orders: Order) -> None:
    with store.transaction() as books:
        groups.apply(books, account.code)
    for order in orders:
        order.refresh_from_db()
    assert list(fold.differences()) == []


def sent(service: Service, order: Order, venue_order_id: str) -> Any:
    begun = wire.begin(service, order)
    wire.finish(order, begun, Answer(outcome="accepted", venue_order_id=venue_order_id))
    return begun.message


def test_the_exits_sleep_until_there_is_something_to_protect(
    service: Service, account: Account, bracket: dict[str, Order]
) -> None:
    first, profits, stops = bracket["entry"], bracket["take_profit"], bracket["stop"]
    assert wire.offered(service, account) == {first.pk}
    sent(service, first, "v-1")
    tend(account, profits, stops)
    assert profits.trigger_state == stops.trigger_state == "dormant"
    apply(first, fill("t-1", "0.3"))
    tend(account, profits, stops)
    assert (profits.trigger_state, profits.quantity, stops.trigger_state, stops.quantity) == (
        "",
        D("0.3"),
        "armed",
        D("0.3"),
    )
    assert wire.offered(service, account) == {profits.pk}
    assert sent(service, profits, "v-2").quantity == D("0.3")
    apply(first, fill("t-2", "0.2"))
    tend(account, stops)
    tend(account, stops)
    assert stops.quantity == D("0.5")
    wish = Intent.objects.get(action="amend")  # the one at the venue is changed by a wish, once
    assert (wish.order_id, wish.data, wish.requested_by) == (profits.pk, {"quantity": "0.5"}, "group")


def test_a_stop_that_fires_waits_for_its_sibling_and_takes_what_it_left(
    service: Service, account: Account, bracket: dict[str, Order]
) -> None:
    first, profits, stops = bracket["entry"], bracket["take_profit"], bracket["stop"]
    sent(service, first, "v-1")
    apply(first, fill("t-1", "1"))
    tend(account, profits, stops)
    sent(service, profits, "v-2")
    with store.transaction() as books:
        triggers.apply(books, account.code, {"BTC/USDT": D(57999)})
    tend(account, stops)
    tend(account, stops)
    assert stops.trigger_state == "waiting" and stops.pk not in wire.offered(service, account)
    [wish] = Intent.objects.filter(action="cancel")
    assert (wish.order_id, wish.requested_by) == (profits.pk, "group")
    apply(profits, fill("t-2", "0.4", side="sell", venue_order_id="v-2"))  # it sold some on the way
    apply(profits, report("cancelled", venue_order_id="v-2", side="sell", filled_quantity=D("0.4")))
    tend(account, stops)
    assert (stops.trigger_state, stops.quantity) == ("triggered", D("0.6"))
    message = sent(service, stops, "v-3")
    assert (message.type, message.side, message.quantity) == ("market", "sell", D("0.6"))


def test_a_person_who_cancels_one_exit_cancels_the_other(
    service: Service, account: Account, bracket: dict[str, Order]
) -> None:
    first, profits, stops = bracket["entry"], bracket["take_profit"], bracket["stop"]
    sent(service, first, "v-1")
    apply(first, fill("t-1", "1"))
    tend(account, profits, stops)
    sent(service, profits, "v-2")
    intake.request_cancellation(profits, actor="ada")
    apply(profits, report("cancelled", venue_order_id="v-2", side="sell"))
    tend(account, stops)
    assert (stops.status, stops.reason_code) == ("cancelled", "GROUP_CANCELLED")


def test_an_entry_that_never_was_ends_its_exits(service: Service, account: Account, bracket: dict[str, Order]) -> None:
    first, profits, stops = bracket["entry"], bracket["take_profit"], bracket["stop"]
    wire.finish(first, wire.begin(service, first), wire.REJECTED)
    tend(account, profits, stops)
    assert {profits.status, stops.status} == {"cancelled"} and not Intent.objects.exists()
    with store.transaction() as books:
        assert books.store.live_groups(account.code) == []


def test_of_two_legs_the_one_at_the_venue_ends_before_the_other_goes(service: Service, account: Account) -> None:
    legs = [{"type": "limit", "price": "63000"}, {"type": "stop_limit", "trigger_price": "58000", "price": "57900"}]
    pair = made(account, kind="oco", side="sell", quantity="1", legs=legs)
    profits, stops = pair["take_profit"], pair["stop"]
    assert wire.offered(service, account) == {profits.pk}
    sent(service, profits, "v-1")
    with store.transaction() as books:
        triggers.apply(books, account.code, {"BTC/USDT": D(58000)})
    tend(account, stops)
    assert stops.trigger_state == "waiting" and stops.pk not in wire.offered(service, account)
    apply(profits, report("cancelled", side="sell"))
    tend(account, stops)
    message = sent(service, stops, "v-2")
    assert (message.type, message.price, message.trigger_price, message.quantity) == ("limit", D(57900), None, D(1))
    tend(account, stops)
    tend(account, stops)
    assert stops.status == "open" and not Intent.objects.filter(order=stops).exists()  # it rests, and stays


def test_an_entry_of_ours_goes_when_it_has_fired(service: Service, account: Account) -> None:
    group = made(
        account, kind="bracket", side="buy", quantity="1", entry={"type": "stop", "trigger_price": "61000"},
        take_profit={"price": "63000"}, stop={"trigger_price": "60000"},
    )  # fmt: skip
    assert group["entry"].trigger_state == "armed" and wire.offered(service, account) == set()
    with store.transaction() as books:
        triggers.apply(books, account.code, {"BTC/USDT": D(61000)})
    tend(account, *group.values())
    assert wire.offered(service, account) == {group["entry"].pk}
    assert sent(service, group["entry"], "v-1").type == "market"


def test_the_rungs_of_a_ladder_go_their_own_ways(service: Service, account: Account) -> None:
    rungs = made(account, kind="scaled", side="buy", quantity="1", price_from="60000", price_to="59000", count=4)
    assert wire.offered(service, account) == {order.pk for order in rungs.values()}
    sent(service, rungs["rung-01"], "v-1")
    apply(rungs["rung-01"], fill("t-1", "0.25"))
    tend(account, *rungs.values())
    assert [order.status for order in rungs.values()] == ["filled", "queued", "queued", "queued"]
