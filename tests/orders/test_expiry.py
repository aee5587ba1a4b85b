"""Good till date: ended by us where the venue has no such thing, once, and called expired however it ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from orders import cancellation, expiry, fold, store
from orders.models import Intent, Order
from orders.service import Service
from project.lib import clock
from tests.orders import test_submission as wire
from tests.orders.scene import apply, fill, queued, report
from venues.messages import Answer
from venues.models import Account

Pass = Callable[[], None]


@pytest.fixture(autouse=True)
def whole(account: Account) -> Any:
    """After every test the log folds to the rows."""
    yield
    assert list(fold.differences()) == []


@pytest.fixture
def hours_pass(monkeypatch: pytest.MonkeyPatch) -> Pass:
    """Return what lets two hours pass."""
    now = clock.now
    return lambda: monkeypatch.setattr(clock, "now", lambda: now() + timedelta(hours=2))


def dated(account: Account, **changes: Any) -> Order:
    until = (clock.now() + timedelta(hours=1)).isoformat()
    return queued(account, time_in_force="gtd", expires_at=until, **changes)


def opened(service: Service, account: Account) -> Order:
    order = dated(account)
    begun = wire.begin(service, order)
    assert begun.message.time_in_force == "GTC" and begun.message.expires_at is None  # Binance knows no date
    wire.finish(order, begun, wire.ACCEPTED)
    return order


def tick(account: Account, *orders: Order) -> None:
    with store.transaction() as books:
        expiry.apply(books, account.code)
    for order in orders:
        order.refresh_from_db()


@pytest.mark.parametrize("state", ["", "armed", "dormant", "waiting"])
def test_what_never_left_ends_here(account: Account, hours_pass: Pass, state: str) -> None:
    order = dated(account)
    Order.objects.filter(pk=order.pk).update(trigger_state=state)
    tick(account, order)
    assert order.status == "queued"
    hours_pass()
    tick(account, order)
    assert (order.status, order.reason_code, order.ended_at is not None) == ("expired", "EXPIRED_BY_US", True)
    assert not Intent.objects.exists()


def test_what_is_at_the_venue_is_cancelled_once_and_called_expired(
    service: Service, account: Account, hours_pass: Pass
) -> None:
    order = opened(service, account)
    apply(order, fill("t-1", "0.4"))
    tick(account, order)
    assert not Intent.objects.exists()
    hours_pass()
    tick(account, order)
    tick(account, order)
    intent = Intent.objects.get()
    assert (intent.action, intent.requested_by, order.status) == ("cancel", "expiry", "partially_filled")
    with store.transaction() as books:
        begun = cancellation.begin(books, service, intent.pk, int(clock.now().timestamp() * 1000), 5000)
    assert begun is not None
    ended = report("cancelled", filled_quantity=order.filled_quantity, occurred_at=None)
    with store.transaction() as books:
        assert cancellation.finish(books, begun, intent.pk, Answer(outcome="accepted", order=ended), clock.now())
    order.refresh_from_db()
    assert (order.status, order.reason_code, order.mutation) == ("expired", "EXPIRED_BY_US", "none")


def test_a_person_who_cancels_before_its_time_cancels(service: Service, account: Account) -> None:
    order = opened(service, account)
    with store.transaction() as books:
        row = books.order(order.pk)
        assert expiry.request_cancel(books, row, "ada")
    apply(order, report("cancelled"))
    assert (order.status, order.reason_code) == ("cancelled", "")


def test_the_venues_own_expiry_is_the_venues(service: Service, account: Account, hours_pass: Pass) -> None:
    order = opened(service, account)
    hours_pass()
    apply(order, report("expired"))
    assert (order.status, order.reason_code) == ("expired", "EXPIRED_AT_VENUE")
    tick(account, order)
    assert not Intent.objects.exists()
