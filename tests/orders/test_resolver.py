"""What a lookup proves, and how soon a second one counts."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from orders import resolver, store
from orders.models import Attempt, DeadLetter
from orders.service import Service
from orders.states import Status
from project.lib import clock
from tests.orders.scene import moved, sending
from venues.messages import Evidence, Lookup
from venues.models import Account

ABSENT = Lookup(result="absent", evidence=(Evidence(source="lookup", at=clock.now(), answer="not there"),))
LONG_AGO = timedelta(minutes=10)


@pytest.fixture
def attempt(account: Account) -> Attempt:
    moved(sending(account), Status.UNKNOWN, code="OUTCOME_UNKNOWN")
    sent_at = clock.now() - LONG_AGO
    Attempt.objects.update(outcome="unknown", sent_at=sent_at, valid_until=sent_at + timedelta(seconds=5))
    return Attempt.objects.get()


def look(service: Service, attempt: Attempt, lookup: Lookup, seconds_ago: float | None = None) -> int:
    if seconds_ago is not None:
        Attempt.objects.update(last_lookup_at=clock.now() - timedelta(seconds=seconds_ago))
    with store.transaction() as books:
        resolver._note_lookup(books, service, books.attempt(attempt.order_id, attempt.pk), lookup)
    attempt.refresh_from_db()
    return attempt.lookups_absent


def park(service: Service) -> None:
    with store.transaction() as books:
        resolver._park_overdue(books, service)


def ready(service: Service) -> list[uuid.UUID]:
    with store.transaction() as books:
        return [attempt.id for _, attempt in resolver._ready(books, service)]


def test_two_spaced_lookups_count_and_two_at_once_are_one(service: Service, attempt: Attempt) -> None:
    assert look(service, attempt, ABSENT) == 1
    assert look(service, attempt, ABSENT) == 1
    assert [row["count"] for row in attempt.evidence] == [2]
    assert look(service, attempt, ABSENT, seconds_ago=service.timing.lookup_interval_seconds + 1) == 2


def test_a_lookup_before_the_bounds_or_a_failed_one_proves_nothing(service: Service, attempt: Attempt) -> None:
    assert look(service, attempt, Lookup(result="failed")) == 0
    Attempt.objects.update(valid_until=clock.now())
    assert look(service, attempt, ABSENT) == 0 and attempt.last_lookup_at is not None


def test_without_a_validity_window_no_lookup_ever_counts(service: Service, attempt: Attempt) -> None:
    Attempt.objects.update(valid_until=None)
    assert look(service, attempt, ABSENT) == 0


def test_a_find_starts_the_count_again(service: Service, attempt: Attempt) -> None:
    look(service, attempt, ABSENT)
    assert look(service, attempt, Lookup(result="found"), seconds_ago=9) == 0


def test_what_stays_unproved_becomes_one_dead_letter_with_its_money(service: Service, attempt: Attempt) -> None:
    for _ in range(2):
        park(service)
    letter = DeadLetter.objects.get()
    assert (letter.cause, str(letter.money_at_risk.normalize()), letter.money_at_risk_asset) == (
        "SUBMIT_UNKNOWN",
        "6E+4",
        "USDT",
    )
    assert "counts as filled until settled" in letter.explanation


def test_what_was_proved_meanwhile_is_not_parked(service: Service, attempt: Attempt) -> None:
    moved(attempt.order, Status.OPEN)
    park(service)
    assert not DeadLetter.objects.exists()


@pytest.mark.parametrize(
    ("facts", "is_ready"), [({}, True), ({"lookups_absent": 1}, False), ({"valid_until": None}, False)], ids=str
)
def test_absence_is_weighed_only_when_nothing_but_the_books_is_missing(
    service: Service, attempt: Attempt, facts: dict[str, Any], is_ready: bool
) -> None:
    Attempt.objects.update(**{"lookups_absent": 2, **facts})
    assert ready(service) == ([attempt.pk] if is_ready else [])
