"""Doubts: opened once, settled by proof or by a person's word, and never by a word the owner did not carry out."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest

from orders import dead_letters, doubts, fold, person, recovery, store
from orders.models import Attempt, DeadLetter, Intent, Order
from orders.states import Mutation, Status
from project.lib import clock
from project.lib.models import AuditEntry, FeedEntry
from tests.orders.scene import apply, at, moved, report, sending
from venues.messages import Evidence
from venues.models import Account

D = Decimal


def in_doubt(account: Account) -> tuple[Order, Attempt]:
    order = moved(sending(account), Status.UNKNOWN, code="OUTCOME_UNKNOWN")
    attempt = Attempt.objects.get(order=order)
    attempt.outcome, attempt.outcome_at = "unknown", clock.now()
    attempt.save()
    return order, attempt


def opened(attempt: Attempt) -> DeadLetter:
    with store.transaction() as books:
        row = books.attempt(attempt.order_id, attempt.pk)
        letter = doubts.open_letter(books, row, "SUBMIT_TIMEOUT", "nobody knows", money_at_risk=D(60000), asset="USDT")
    return DeadLetter.objects.get(pk=letter.id)


def add_evidence(rows: list[Evidence]) -> None:
    attempt = Attempt.objects.get()
    with store.transaction() as books:
        doubts.add_evidence(books, books.attempt(attempt.order_id, attempt.pk), doubts.evidence_rows(rows))


def settle(order: Order, resolution: str, action: str, rows: list[dict[str, str]]) -> None:
    with store.transaction() as books:
        doubts.settle(books, books.order(order.pk), resolution, action=action, actor="executor", rows=rows)


def declare_absent(letter: DeadLetter, reason: str) -> str:
    with store.transaction() as books:
        [row] = books.letters(letter.order_id)
        return person.declare_absent(books, row, actor="ada", reason=reason)


def unresolved(account: str) -> list[uuid.UUID]:
    with store.transaction() as books:
        return [attempt.order for attempt in doubts.unresolved(books, account)]


def test_what_has_ended_leaves_nothing_in_doubt(account: Account) -> None:
    order, attempt = in_doubt(account)
    letter = opened(attempt)
    moved(order, Status.REJECTED)  # the venue's own answer, after everybody had given up waiting for it
    letter.refresh_from_db()
    assert (letter.status, letter.resolution) == ("resolved", "rejected") and unresolved(account.code) == []


@pytest.fixture
def letter(account: Account) -> DeadLetter:
    return opened(in_doubt(account)[1])


def test_a_letter_is_opened_once(letter: DeadLetter) -> None:
    again = opened(Attempt.objects.get())
    assert again == letter and DeadLetter.objects.count() == 1
    assert FeedEntry.objects.filter(kind="dead_letter.opened").count() == 1


def test_evidence_is_kept_on_attempt_and_letter_up_to_a_bound(letter: DeadLetter) -> None:
    rows = [Evidence(source="lookup", at=at(n), answer=f"not found {n}", detail={"n": n}) for n in range(60)]
    add_evidence(rows)
    letter.refresh_from_db()
    assert len(letter.evidence) == len(Attempt.objects.get().evidence) == doubts.EVIDENCE_MAX
    assert letter.evidence[-1] == {
        "source": "lookup",
        "at": "2026-03-01T12:00:59+00:00",
        "answer": "not found 59",
        "detail": {"n": 59},
    }


def test_what_cannot_be_stored_is_replaced_not_lost(letter: DeadLetter) -> None:
    evil = Evidence(
        source="submit",
        at=at(0),
        answer="nul \0 and half \ud83d",
        detail={"raw": "\0<html>", "more": [{"a\0": "\udc00"}], "whole": "😀"},
    )
    add_evidence([evil])
    letter.refresh_from_db()
    [row] = letter.evidence
    assert (
        row["answer"] == "nul \ufffd and half \ufffd"
        and row["detail"]["raw"] == "\ufffd<html>"
        and row["detail"]["whole"] == "😀"
    )


def test_settling_closes_attempt_and_letter_with_who_and_why(letter: DeadLetter) -> None:
    settle(letter.order, "accepted", "submit", [{"source": "stream"}])
    letter.refresh_from_db()
    attempt = Attempt.objects.get()
    assert (attempt.resolution, letter.status, letter.resolution, letter.resolved_by) == (
        "accepted",
        "resolved",
        "accepted",
        "executor",
    )
    assert letter.evidence == attempt.evidence == [{"source": "stream"}] and letter.resolved_at and attempt.resolved_at
    assert unresolved(letter.account_id) == []
    assert AuditEntry.objects.get(action="dead_letter.resolve").detail["resolution"] == "accepted"


def test_settling_one_action_leaves_the_other_open(letter: DeadLetter) -> None:
    settle(letter.order, "cancelled", "cancel", [])
    letter.refresh_from_db()
    assert letter.status == "open" and Attempt.objects.get().resolved_at is None


def test_a_request_is_a_row_for_the_owner(letter: DeadLetter) -> None:
    dead_letters.request_look(letter, actor="ada")
    dead_letters.request_look(letter, actor="ada")
    bind = dead_letters.request_binding(letter, venue_order_id=" v-7 ", actor="ada", reason="seen there")
    assert bind.data == {"venue_order_id": "v-7", "reason": "seen there", "dead_letter": str(letter.id)}
    assert list(Intent.objects.order_by("requested_at").values_list("action", flat=True)) == [
        "look_again",
        "look_again",
        "bind",
    ]
    assert AuditEntry.objects.filter(subject=str(letter.id)).count() == 3
    letter.refresh_from_db()
    assert letter.status == "open" and letter.order.status == "unknown"


def test_a_second_decision_waits_for_the_first(letter: DeadLetter) -> None:
    dead_letters.request_absence(letter, actor="ada", reason="called the venue")
    already = "ada asked for declare absent already"
    with pytest.raises(dead_letters.Refused, match=already):
        dead_letters.request_absence(letter, actor="bob", reason="me too")
    with pytest.raises(dead_letters.Refused, match=already):
        dead_letters.request_binding(letter, venue_order_id="v-1", actor="bob", reason="no")
    assert dead_letters.request_look(letter, actor="bob").action == "look_again"


def test_a_resolved_letter_takes_no_request(letter: DeadLetter) -> None:
    with store.transaction() as books:
        [row] = books.letters(letter.order_id)
        doubts.close(books, row, "accepted", actor="executor", reason="found", rows=[])
    with pytest.raises(dead_letters.Refused, match="resolved already by executor"):
        dead_letters.request_absence(letter, actor="ada", reason="x")
    assert not Intent.objects.exists()


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_decision_needs_a_reason(letter: DeadLetter, reason: str) -> None:
    with pytest.raises(dead_letters.Refused, match="reason"):
        dead_letters.request_absence(letter, actor="ada", reason=reason)
    for venue_order_id in ("", " ", "v" * 101):
        with pytest.raises(dead_letters.Refused, match="venue's order id"):
            dead_letters.request_binding(letter, venue_order_id=venue_order_id, actor="ada", reason="x")


def test_a_declared_absence_denies_and_a_fill_still_heals_it(letter: DeadLetter) -> None:
    assert declare_absent(letter, "called the venue") == "declared absent"
    letter.refresh_from_db()
    order = letter.order
    assert (order.status, order.reason_code) == ("denied", "SUBMIT_NOT_ACCEPTED") and "ada" in order.reason_message
    assert (letter.resolution, letter.resolved_by, letter.resolution_reason) == (
        "declared_absent",
        "ada",
        "called the venue",
    )
    apply(order, report("open"))
    assert (order.status, order.reason_code) == ("open", "") and list(fold.differences()) == []


def test_a_declared_absence_of_a_cancel_is_signed_by_its_person(account: Account) -> None:
    order = sending(account)
    apply(order, report("open"))
    order = moved(order, Status.PARTIALLY_FILLED, mutation=Mutation.CANCEL_UNKNOWN)
    attempt = Attempt.objects.create(order=order, account=account, action="cancel", venue_client_id="x", epoch=1, request_digest="",
                                     window_ms=5000, sent_at=clock.now(), outcome="unknown")  # fmt: skip
    letter = opened(attempt)
    assert declare_absent(letter, "the venue has no trace") == "declared absent"
    letter.refresh_from_db()
    order.refresh_from_db()
    assert (letter.resolved_by, letter.resolution, letter.resolution_reason) == (
        "ada",
        "declared_absent",
        "the venue has no trace",
    )
    assert (order.status, order.mutation) == ("partially_filled", "none")


def test_absence_of_a_living_order_is_refused(letter: DeadLetter) -> None:
    Attempt.objects.update(outcome="accepted")
    moved(letter.order, Status.OPEN)
    assert declare_absent(letter, "x") == "refused: the order is open, not unknown"


def test_recovery_doubts_what_was_in_flight_and_nothing_else(account: Account) -> None:
    in_flight, proved, refused = sending(account), sending(account), sending(account)
    apply(proved, report("open", venue_order_id="v-2"))
    apply(refused, report("rejected", venue_order_id="v-3"))
    with store.transaction() as books:
        recovery.take_over(books, account.code)
    resolutions = {a.order_id: (a.outcome, a.resolution) for a in Attempt.objects.all()}
    assert resolutions == {
        in_flight.pk: ("unknown", ""),
        proved.pk: ("unknown", "accepted"),
        refused.pk: ("unknown", "rejected"),
    }
    assert unresolved(account.code) == [in_flight.pk]
    statuses = dict(Order.objects.values_list("pk", "status"))
    assert statuses == {in_flight.pk: "unknown", proved.pk: "open", refused.pk: "rejected"}
