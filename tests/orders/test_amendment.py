"""Amends in all three ways with every answer: never two live orders, nothing of it lost, and the books whole after each."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

import pytest
from django.core.management import call_command

from orders import amendment, doubts, intake, recovery, requests, resolver, store
from orders.models import Anomaly, Attempt, DeadLetter, Fill, Intent, Order
from orders.service import Service
from orders.states import Status
from project.lib import clock
from risk import limits
from tests.orders import test_submission as wire
from tests.orders.scene import apply, fill, moved, queued, report
from venues.capabilities import Capabilities
from venues.messages import AmendOrder, Answer, CancelOrder
from venues.models import Account

D = Decimal
WAYS = ("in_place", "replace", "none")
How = Literal["none", "in_place", "replace"]
LOST = Answer(outcome="unknown", code="TIMEOUT")


@pytest.fixture(autouse=True)
def whole(account: Account) -> Any:
    """After every test the log folds to the rows, and the postings balance."""
    yield
    call_command("replay", check=True)
    call_command("verify_ledger")


def at_way(service: Service, way: How) -> None:
    can: Capabilities = service.gateway.capabilities
    service.gateway.capabilities = dataclasses.replace(can, amend=way)


def opened(service: Service, account: Account, **changes: Any) -> Order:
    order = queued(account, **changes)
    wire.finish(order, wire.begin(service, order), wire.ACCEPTED)
    assert order.status == "open" and order.venue_order_id == "v-1"
    return order


def wish(order: Order, **values: str) -> Intent:
    intent = intake.request_amendment(order, requests.parse_amendment(values), actor="ada")
    assert intent is not None
    return intent


def locally(intent: Intent) -> str:
    with store.transaction() as books:
        return amendment.locally(books, intent.pk)


def begin(service: Service, intent: Intent) -> amendment.Begun | None:
    stamped = service.stamp()
    assert stamped is not None
    with store.transaction() as books:
        return amendment.begin(books, service, intent.pk, *stamped)


def begun(service: Service, intent: Intent) -> amendment.Begun:
    assert locally(intent) == "at_venue"
    made = begin(service, intent)
    assert made is not None and intent.order is not None
    intent.order.refresh_from_db()
    assert intent.order.mutation == "amend_pending"
    return made


def finish(made: amendment.Begun, intent: Intent, answer: Answer) -> bool:
    with store.transaction() as books:
        settled = amendment.finish(books, made, intent.pk, answer, clock.now())
    intent.refresh_from_db()
    assert bool(intent.done_at) is settled
    return settled


def attempts(order: Order) -> list[Attempt]:
    return list(order.attempts.filter(action="amend").order_by("sent_at", "id"))


def successor(made: amendment.Begun, **changes: Any) -> Answer:
    assert isinstance(made.message, AmendOrder)
    new = report(
        "open", venue_order_id="v-2", venue_client_id=made.message.new_venue_client_id, quantity=D(2), **changes
    )
    return Answer(outcome="accepted", replaced="new_order", venue_order_id="v-2", order=new)


def shown(order: Order) -> tuple[Any, ...]:
    order.refresh_from_db()
    return (order.status, order.mutation, order.quantity, order.price, order.venue_order_id)


ASKED = {"quantity": "2", "price": "59000"}


def test_in_place_the_order_keeps_its_id(service: Service, account: Account) -> None:
    at_way(service, "in_place")
    order = opened(service, account)
    intent = wish(order, **ASKED)
    made = begun(service, intent)
    assert isinstance(made.message, AmendOrder) and made.message.new_venue_client_id == ""
    assert (made.message.venue_order_id, made.message.quantity, made.message.price) == ("v-1", D(2), D(59000))
    assert finish(made, intent, Answer(outcome="accepted", replaced="in_place", venue_order_id="v-1"))
    assert shown(order) == ("open", "none", D(2), D(59000), "v-1") and intent.result == "amended"


def test_a_replace_moves_the_order_to_its_successor(service: Service, account: Account) -> None:
    order = opened(service, account)
    intent = wish(order, **ASKED)
    made = begun(service, intent)
    assert isinstance(made.message, AmendOrder)
    assert (made.message.quantity, made.message.filled_quantity) == (D(2), D(0))
    assert made.message.new_venue_client_id == attempts(order)[0].venue_client_id != ""
    assert finish(made, intent, successor(made))
    assert shown(order) == ("open", "none", D(2), D(59000), "v-2")
    # late: the old leg's end, a trade of it that was on its way, and one of the new leg
    assert apply(order, report("cancelled", venue_order_id="v-1", filled_quantity=D("0.5"))) == ["stale"]
    apply(
        order,
        fill("t-2", "0.5"),
        fill("t-3", "1.5", venue_order_id="v-2", venue_client_id=made.message.new_venue_client_id),
    )
    order.refresh_from_db()
    assert (order.status, order.filled_quantity, order.venue_order_id) == ("filled", D(2), "v-2")
    assert not Anomaly.objects.exists() and Fill.objects.count() == 2


@pytest.mark.parametrize("is_frame_first", [True, False])
def test_the_frames_of_both_legs_may_come_before_the_answer(
    service: Service, account: Account, is_frame_first: bool
) -> None:
    order = opened(service, account)
    intent = wish(order, **ASKED)
    made = begun(service, intent)
    answer = successor(made)
    assert answer.order is not None
    frames = (report("cancelled", venue_order_id="v-1"), answer.order)
    if is_frame_first:
        apply(order, *frames)
        assert order.status == "open"
    assert finish(made, intent, answer)
    if not is_frame_first:
        apply(order, *frames)
    assert shown(order) == ("open", "none", D(2), D(59000), "v-2")
    assert not Anomaly.objects.exists()


def test_a_trade_of_the_successor_before_the_answer_is_not_taken_for_the_end(
    service: Service, account: Account
) -> None:
    order = opened(service, account)
    intent = wish(order, **ASKED)
    made = begun(service, intent)
    assert isinstance(made.message, AmendOrder)
    apply(order, fill("t-1", "1", venue_order_id="v-2", venue_client_id=made.message.new_venue_client_id))
    assert shown(order) == ("partially_filled", "none", D(2), D(59000), "v-2")  # one is left of it, alive at the venue
    assert finish(made, intent, LOST) and intent.result == "amended"
    with store.transaction() as books:
        assert doubts.unresolved(books, account.code) == []
    assert not Anomaly.objects.exists()


def test_half_a_replace_ends_the_order(service: Service, account: Account) -> None:
    order = opened(service, account)
    intent = wish(order, **ASKED)
    made = begun(service, intent)
    answer = Answer(outcome="accepted", replaced="cancelled_only", code="INSUFFICIENT_FUNDS", venue_order_id="v-1")
    assert finish(made, intent, answer)
    assert shown(order)[:2] == ("cancelled", "none") and order.reason_code == "REPLACE_LEFT_NOTHING"
    assert order.quantity == 1 and "new one was refused" in intent.result
    apply(order, dataclasses.replace(fill("t-1", "0.2"), occurred_at=clock.now()))  # booked all the same, and said
    assert order.status == "partially_filled" and Anomaly.objects.get().kind == "late_fill"


def test_cancel_and_new_sends_the_rest_when_the_old_one_has_ended(service: Service, account: Account) -> None:
    at_way(service, "none")
    order = opened(service, account)
    intent = wish(order, **ASKED)
    made = begun(service, intent)
    assert isinstance(made.message, CancelOrder) and made.message.venue_order_id == "v-1"
    assert finish(made, intent, Answer(outcome="accepted"))
    assert shown(order)[:3] == ("open", "amend_pending", D(1))  # the venue took the cancel: no second order yet
    apply(order, fill("t-1", "0.4"))
    apply(order, report("cancelled", filled_quantity=D("0.4")))
    assert shown(order) == ("queued", "none", D(2), D(59000), "")
    again = wire.begin(service, order)
    assert again.message.quantity == D("1.6")
    assert len({attempt.venue_client_id for attempt in order.attempts.filter(action="submit")}) == 2
    wire.finish(order, again, Answer(outcome="accepted", venue_order_id="v-2"))
    assert shown(order)[4] == "v-2" and order.status in {"open", "partially_filled"}
    apply(order, fill("t-2", "0.3"))  # of the leg that has ended
    assert order.filled_quantity == D("0.7") and order.venue_order_id == "v-2" and not Anomaly.objects.exists()


def test_an_answer_after_it_was_called_lost_makes_the_amend_pending_again(service: Service, account: Account) -> None:
    at_way(service, "none")
    order = opened(service, account)
    intent = wish(order, **ASKED)
    made = begun(service, intent)
    with store.transaction() as books:
        recovery.mark_lost(books, account.code)
    assert shown(order)[1] == "amend_unknown"
    assert finish(made, intent, Answer(outcome="accepted"))
    assert shown(order)[1] == "amend_pending"  # looked up until the old order has ended, as any accepted one


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_after_it_was_called_lost_settles_its_dead_letter(
    service: Service, account: Account, way: How
) -> None:
    at_way(service, way)
    order = opened(service, account)
    intent = wish(order, **ASKED)
    made = begun(service, intent)
    with store.transaction() as books:
        recovery.mark_lost(books, account.code)
        attempt = books.attempt(order.pk, made.attempt)
        doubts.open_letter(books, attempt, "AMEND_LOST", "nobody knows", money_at_risk=D(1), asset="USDT")
    assert finish(made, intent, Answer(outcome="rejected", code="ANY"))
    assert shown(order)[:2] == ("open", "none") and DeadLetter.objects.get().resolution == "not_applied"


def test_an_amend_below_what_filled_on_the_way_ends_the_order_and_says_so(service: Service, account: Account) -> None:
    at_way(service, "in_place")
    order = opened(service, account)
    intent = wish(order, quantity="0.5")
    made = begun(service, intent)
    apply(order, fill("t-1", "0.6"))
    assert finish(made, intent, Answer(outcome="accepted", replaced="in_place", venue_order_id="v-1"))
    assert shown(order)[:3] == ("filled", "none", D("0.5")) and Anomaly.objects.get().kind == "overfill"


def test_cancel_and_new_sends_nothing_when_all_filled_on_the_way(service: Service, account: Account) -> None:
    at_way(service, "none")
    order = opened(service, account)
    intent = wish(order, price="59000")
    made = begun(service, intent)
    apply(order, fill("t-1", "1"))
    assert finish(made, intent, Answer(outcome="accepted"))
    assert shown(order)[:2] == (
        "partially_filled",
        "amend_pending",
    )  # it is filled when the venue says that it was no more
    with store.transaction() as books:
        resolver._cancel_did_not_apply(books, order.pk)
    assert shown(order)[:2] == ("filled", "none") and order.attempts.filter(action="submit").count() == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("answer", "is_settled"),
    [
        (Answer(outcome="rejected", code="ORDER_NOT_FOUND"), True),
        (Answer(outcome="not_sent", code="INVALID_REQUEST"), True),
        (Answer(outcome="not_sent", code="CONNECTION_REFUSED", transient=True), False),
    ],
)
def test_a_refused_amend_leaves_the_order_as_it_was(
    service: Service, account: Account, way: How, answer: Answer, is_settled: bool
) -> None:
    at_way(service, way)
    order = opened(service, account)
    intent = wish(order, **ASKED)
    assert finish(begun(service, intent), intent, answer) is is_settled
    assert shown(order) == ("open", "none", D(1), D(60000), "v-1")
    if not is_settled:
        for number in range(2, amendment.TRIES_MAX + 1):
            assert finish(begun(service, intent), intent, answer) is (number == amendment.TRIES_MAX)
    assert "stands as it was" in intent.result


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("code", ["rejected", "not_sent", "unknown"])
def test_a_fill_during_an_amend_ends_the_order_when_the_amend_is_settled(
    service: Service, account: Account, way: How, code: Any
) -> None:
    at_way(service, way)
    order = opened(service, account)
    intent = wish(order, quantity="2")
    made = begun(service, intent)
    apply(order, fill("t-1", "1"))
    assert shown(order)[:2] == ("partially_filled", "amend_pending")  # it may want two by now
    assert finish(made, intent, Answer(outcome=code, code="ANY"))
    if code == "unknown":
        assert shown(order)[:2] == ("partially_filled", "amend_unknown")
        with store.transaction() as books:
            amendment.did_not_apply(books, books.order(order.pk), clock.now())
    assert shown(order)[:3] == ("filled", "none", D(1))
    with store.transaction() as books:
        assert doubts.unresolved(books, account.code) == []


def test_what_has_filled_meanwhile_is_not_amended_below(service: Service, account: Account) -> None:
    order = opened(service, account)
    intent = wish(order, quantity="0.5")
    apply(order, fill("t-1", "0.6"))
    assert locally(intent) == "done"
    intent.refresh_from_db()
    assert intent.result.startswith("refused") and shown(order)[2] == 1


def test_the_limits_are_checked_before_anything_leaves(service: Service, account: Account) -> None:
    order = opened(service, account)
    intent = wish(order, quantity="3")
    limits.put("global", "quantity_max", D(2), "ada")
    assert locally(intent) == "at_venue" and begin(service, intent) is None
    intent.refresh_from_db()
    assert "stands as it was" in intent.result and attempts(order) == [] and shown(order)[:2] == ("open", "none")


def test_one_change_at_a_time(service: Service, account: Account) -> None:
    order = opened(service, account)
    first = wish(order, price="59000")
    assert wish(order, price="59000.0") == first
    with pytest.raises(intake.NotAmendable, match="under way"):
        wish(order, price="58000")
    made = begun(service, first)
    assert begin(service, first) is None and locally(first) == "wait"
    with pytest.raises(intake.NotAmendable, match="under way"):
        wish(order, price="58000")
    finish(made, first, successor(made))
    second = wish(order, price="58000")
    again = begun(service, second)
    assert isinstance(again.message, AmendOrder)
    assert (again.message.venue_order_id, again.message.venue_client_id) == ("v-2", attempts(order)[0].venue_client_id)
    cancelling = intake.request_cancellation(order, actor="ada")  # a cancel may always be asked for; it waits its turn
    assert cancelling.done_at is None


@pytest.mark.parametrize("state", ["", "armed"])
def test_an_order_that_never_left_is_changed_here(service: Service, account: Account, state: str) -> None:
    changes = {"type": "trailing_stop", "price": None, "trailing_offset": "10"} if state else {}
    order = queued(account, **changes)
    assert order.trigger_state == state
    intent = wish(order, quantity="0.7")
    assert locally(intent) == "done"
    assert shown(order)[:3] == ("queued", "none", D("0.7")) and not Attempt.objects.exists()


def test_an_emulated_stop_that_has_fired_is_a_plain_order_to_the_venue(service: Service, account: Account) -> None:
    until = (clock.now() + timedelta(hours=1)).isoformat()
    changes = {"type": "stop_limit", "trigger_price": "60000", "time_in_force": "gtd", "expires_at": until}
    order = opened(service, account, **changes)
    Order.objects.filter(pk=order.pk).update(trigger_state="triggered")
    intent = wish(order, price="59000")
    message = begun(service, intent).message
    assert isinstance(message, AmendOrder)
    assert (message.type, message.trigger_price, message.time_in_force) == ("limit", None, "GTC")


@pytest.mark.parametrize("way", WAYS)
def test_an_amend_of_what_has_ended_is_settled_at_once(service: Service, account: Account, way: How) -> None:
    at_way(service, way)
    order = opened(service, account)
    intent = wish(order, price="59000")
    moved(order, Status.CANCELLED)
    assert locally(intent) == "done"
    with pytest.raises(intake.NotAmendable, match="cancelled already"):
        wish(order, price="58000")
