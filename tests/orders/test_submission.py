"""What submit and cancel write before the wire and after the answer; the wire itself is proved elsewhere."""

from __future__ import annotations

import dataclasses
import uuid
from decimal import Decimal
from typing import Any

import pytest

from orders import cancellation, doubts, fold, intake, leases, recovery, store, submission
from orders.books import Fenced
from orders.models import Anomaly, Attempt, Intent, Order
from orders.owner import Owner
from orders.service import Service
from orders.states import Status
from project.lib import clock
from risk import halts, limits
from tests.orders.scene import apply, at, fill, moved, queued, report
from venues.messages import Answer
from venues.models import Account, Instrument

D = Decimal
ACCEPTED = Answer(outcome="accepted", venue_order_id="v-1")
UNKNOWN = Answer(outcome="unknown", code="TIMEOUT", message="no answer \0 in time", raw="\0<html>")
NOT_SENT = Answer(outcome="not_sent", code="CONNECTION_REFUSED", transient=True)
REJECTED = Answer(outcome="rejected", code="INSUFFICIENT_FUNDS", message="not enough", venue_code="-2010")


def begin(service: Service, order: Order) -> Any:
    stamped = service.stamp()
    assert stamped is not None
    with store.transaction() as books:
        begun = submission.begin(books, service, order.pk, *stamped)
    order.refresh_from_db()
    return begun


def finish(order: Order, begun: Any, answer: Answer) -> bool:
    with store.transaction() as books:
        needs_fills = submission.finish(books, begun, answer, clock.now())
    order.refresh_from_db()
    return needs_fills


def unresolved(account: Account) -> list[uuid.UUID]:
    with store.transaction() as books:
        return [attempt.order for attempt in doubts.unresolved(books, account.code)]


def taken_over(order: Order) -> Order:
    """Let another owner take the account: what was in flight is unknown."""
    with store.transaction() as books:
        recovery.take_over(books, order.account_id)
    order.refresh_from_db()
    assert (order.status, order.reason_code) == ("unknown", "OWNER_LOST")
    return order


def offered(service: Service, account: Account) -> set[uuid.UUID]:
    """Return what an open owner takes in hand of the rows that wait."""
    owner = Owner(service.lease, service.writer, service.timing, gateways=None)  # type: ignore[arg-type]
    owner.service, service.is_open = service, True
    with store.transaction() as books:
        waiting = books.store.waiting([account.code])
    taken: set[uuid.UUID] = set()
    owner._take = lambda key, work: taken.add(key)  # type: ignore[method-assign]
    owner.offer(waiting.queued[account.code], waiting.wishes[account.code])
    return taken


def attempt_of(begun: Any) -> Attempt:
    return Attempt.objects.get(pk=begun.attempt)


def test_the_attempt_is_committed_as_it_is_sent(service: Service, account: Account) -> None:
    order = queued(account, quantity="0.5", post_only=True)
    begun = begin(service, order)
    attempt = attempt_of(begun)
    assert (attempt.outcome, attempt.epoch) == ("", 1)
    assert (
        attempt.valid_until is not None
        and (attempt.valid_until - attempt.sent_at).total_seconds() == attempt.window_ms / 1000
    )
    message = begun.message
    assert (message.venue_client_id, message.quantity, message.price, message.post_only) == (
        attempt.venue_client_id,
        D("0.5"),
        D(60000),
        True,
    )
    assert int(attempt.sent_at.timestamp() * 1000) == message.stamp_ms
    assert begin(service, order) is None and Attempt.objects.count() == 1


def test_without_the_lease_nothing_begins(service: Service, account: Account) -> None:
    order = queued(account)
    leases.release("executor", {})
    with pytest.raises(Fenced):
        begin(service, order)
    leases.acquire("another", 60)
    with pytest.raises(Fenced):
        begin(service, order)
    order.refresh_from_db()
    assert order.status == "queued" and not Attempt.objects.exists()


def test_a_wish_to_cancel_wins_before_the_send(service: Service, account: Account) -> None:
    order, other = queued(account), queued(account)
    intent = intake.request_cancellation(order, actor="ada")
    assert offered(service, account) == {intent.pk, other.pk}
    with store.transaction() as books:
        assert cancellation.locally(books, intent.pk) == "done"
    order.refresh_from_db()
    assert (order.status, order.reason_code) == ("cancelled", "CANCELLED_BEFORE_SEND") and not Attempt.objects.exists()


@pytest.mark.parametrize("why", ["halt", "limit", "instrument", "live"])
def test_the_last_gate_denies_what_changed_since_intake(service: Service, account: Account, why: str) -> None:
    order = queued(account)
    if why == "halt":
        halts.engage(f"account:{account.code}", "stop", "ada")
    elif why == "limit":
        limits.put("global", "quantity_max", D("0.5"), "ada")
    elif why == "instrument":
        Instrument.objects.all().delete()
    else:
        account.venue.rest_url = ""
        account.venue.save()
    assert begin(service, order) is None
    codes = {
        "halt": "TRADING_HALTED",
        "limit": "QUANTITY_EXCEEDS_MAXIMUM",
        "instrument": "INSTRUMENT_UNKNOWN",
        "live": "LIVE_TRADING_OFF",
    }
    assert (order.status, order.reason_code) == ("denied", codes[why]) and not Attempt.objects.exists()


@pytest.mark.parametrize(
    ("answer", "status", "code", "outcome"),
    [
        (ACCEPTED, "open", "", "accepted"),
        (
            dataclasses.replace(ACCEPTED, order=report("rejected", reason="post-only")),
            "rejected",
            "VENUE_REJECTED",
            "accepted",
        ),
        (REJECTED, "rejected", "INSUFFICIENT_FUNDS", "rejected"),
        (UNKNOWN, "unknown", "TIMEOUT", "unknown"),
        (NOT_SENT, "queued", "", "not_sent"),
        (dataclasses.replace(NOT_SENT, transient=False), "denied", "SUBMIT_NOT_SENT", "not_sent"),
    ],
)
def test_an_answer_moves_the_order(
    service: Service, account: Account, answer: Answer, status: str, code: str, outcome: str
) -> None:
    order = queued(account)
    begun = begin(service, order)
    assert finish(order, begun, answer) is False
    assert (order.status, order.reason_code, attempt_of(begun).outcome) == (status, code, outcome)
    assert unresolved(account) == ([order.pk] if outcome == "unknown" else [])
    assert list(fold.differences()) == []


def test_an_order_filled_in_the_answer_waits_for_its_fills(service: Service, account: Account) -> None:
    order = queued(account)
    begun = begin(service, order)
    assert finish(order, begun, dataclasses.replace(ACCEPTED, order=report("filled", filled_quantity=D(1)))) is True
    assert (order.status, order.venue_order_id) == ("open", "v-1")


def test_three_tries_that_never_left_deny(service: Service, account: Account) -> None:
    order = queued(account)
    for expected in ("queued", "queued", "denied"):
        finish(order, begin(service, order), NOT_SENT)
        assert order.status == expected
    assert (order.reason_code, order.submit_tries) == ("SUBMIT_NOT_SENT", 3)
    assert len(set(Attempt.objects.values_list("venue_client_id", flat=True))) == 3


def test_waiting_for_the_rate_limit_is_no_try(service: Service, account: Account) -> None:
    order = queued(account)
    for _ in range(5):
        finish(order, begin(service, order), dataclasses.replace(NOT_SENT, code="RATE_LIMITED"))
    assert order.status == "queued"


@pytest.mark.parametrize("answer", [ACCEPTED, UNKNOWN, NOT_SENT])
def test_an_answer_after_the_stream_was_faster_changes_nothing(
    service: Service, account: Account, answer: Answer
) -> None:
    order = queued(account)
    begun = begin(service, order)
    apply(order, report("open"), fill("t-1", "1"))
    finish(order, begun, answer)
    assert (order.status, order.reason_code) == ("filled", "")
    assert unresolved(account) == [] and not Anomaly.objects.exists() and list(fold.differences()) == []


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (ACCEPTED, "open", ""),
        (REJECTED, "rejected", "INSUFFICIENT_FUNDS"),
        (NOT_SENT, "denied", "SUBMIT_NOT_SENT"),
        (UNKNOWN, "unknown", "TIMEOUT"),
    ],
)
def test_an_answer_after_another_owner_took_over_settles_what_it_can(
    service: Service, account: Account, answer: Answer, status: str, code: str
) -> None:
    order = queued(account)
    begun = begin(service, order)
    order = taken_over(order)
    finish(order, begun, answer)
    assert (order.status, order.reason_code) == (status, code)
    assert bool(unresolved(account)) is (status == "unknown") and not Anomaly.objects.exists()


@pytest.mark.parametrize("answer", [NOT_SENT, UNKNOWN])
def test_an_answer_after_absence_was_proved_changes_nothing(service: Service, account: Account, answer: Answer) -> None:
    order = queued(account)
    begun = begin(service, order)
    order = taken_over(order)
    with store.transaction() as books:
        doubts.settle(books, books.order(order.pk), "never_accepted", action="submit", actor="executor", rows=[])
    order = moved(order, Status.DENIED, code="SUBMIT_NOT_ACCEPTED")
    finish(order, begun, answer)
    assert (order.status, order.reason_code) == ("denied", "SUBMIT_NOT_ACCEPTED") and not Anomaly.objects.exists()


def begin_cancel(service: Service, order: Order) -> tuple[Any, uuid.UUID]:
    intent = intake.request_cancellation(order, actor="ada")
    stamped = service.stamp()
    assert stamped is not None
    with store.transaction() as books:
        return cancellation.begin(books, service, intent.pk, *stamped), intent.pk


def finish_cancel(begun: Any, intent: uuid.UUID, answer: Answer) -> bool:
    with store.transaction() as books:
        return cancellation.finish(books, begun, intent, answer, at(5))


def opened(service: Service, account: Account) -> Order:
    order = queued(account)
    finish(order, begin(service, order), ACCEPTED)
    return order


@pytest.mark.parametrize(
    ("answer", "mutation", "is_settled"),
    [
        (Answer(outcome="accepted"), "cancel_pending", True),
        (Answer(outcome="accepted", order=report("cancelled", filled_quantity=D(0))), "none", True),
        (Answer(outcome="unknown", code="TIMEOUT"), "cancel_unknown", False),
        (Answer(outcome="rejected", code="ORDER_NOT_FOUND"), "none", False),
        (Answer(outcome="not_sent", code="CONNECTION_REFUSED"), "none", False),
    ],
)
def test_the_answer_to_a_cancel(
    service: Service, account: Account, answer: Answer, mutation: str, is_settled: bool
) -> None:
    order = opened(service, account)
    begun, intent = begin_cancel(service, order)
    order.refresh_from_db()
    assert order.mutation == "cancel_pending" and begun.message.venue_order_id == "v-1"
    with store.transaction() as books:
        assert cancellation.begin(books, service, intent, 0, 5000) is None  # one in flight per order
    assert finish_cancel(begun, intent, answer) is is_settled
    order.refresh_from_db()
    assert order.mutation == mutation and bool(Intent.objects.get().done_at) is is_settled
    assert order.status == ("cancelled" if answer.order else "open") and list(fold.differences()) == []


def test_an_answer_after_it_was_called_lost_makes_the_cancel_pending_again(service: Service, account: Account) -> None:
    order = opened(service, account)
    begun, intent = begin_cancel(service, order)
    with store.transaction() as books:
        recovery.mark_lost(books, account.code)
    assert finish_cancel(begun, intent, Answer(outcome="accepted"))
    order.refresh_from_db()
    assert order.mutation == "cancel_pending" and unresolved(account) == []


def test_an_order_that_filled_during_its_cancel_settles_the_wish(service: Service, account: Account) -> None:
    order = opened(service, account)
    begun, intent = begin_cancel(service, order)
    apply(order, fill("t-1", "1"))
    assert finish_cancel(begun, intent, Answer(outcome="unknown")) is True
    assert Intent.objects.get().result == "the order is filled" and unresolved(account) == []


def test_a_cancel_the_venue_keeps_refusing_is_given_up(service: Service, account: Account) -> None:
    order = opened(service, account)
    for number in range(1, cancellation.TRIES_MAX + 1):
        begun, intent = begin_cancel(service, order)
        settled = finish_cancel(begun, intent, Answer(outcome="rejected", code="BUSY"))
        assert settled is (number == cancellation.TRIES_MAX)
    assert "still open" in Intent.objects.get().result
