"""A begun order: the attempt alone is committed before the wire; row and event follow, and nobody mistakes it for waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from orders import fold, recovery, store, submission
from orders.books import Books, Conflict, Fenced
from orders.cache import Cache
from orders.models import Attempt, Order, OrderEvent
from orders.service import Service
from orders.store import Store
from orders.writer import TOLD_WITHIN_SECONDS, Writer
from project.lib import clock, feed
from tests.orders.scene import in_threads, queued
from venues.messages import Answer
from venues.models import Account

pytestmark = pytest.mark.django_db(transaction=True)


def begin(service: Service, order: Order) -> Any:
    stamped = service.stamp()
    assert stamped is not None
    with store.transaction() as books:
        return submission.begin(books, service, order.pk, *stamped)


def row(order: Order) -> tuple[str, int, int]:
    order.refresh_from_db()
    return order.status, order.submit_tries, order.version


def kinds(order: Order) -> list[str]:
    return list(OrderEvent.objects.filter(order=order).order_by("sequence").values_list("kind", flat=True))


def test_whoever_reads_it_finds_it_sending(service: Service, account: Account) -> None:
    order = queued(account)
    assert begin(service, order) is not None
    assert row(order) == ("queued", 0, 3) and kinds(order) == ["received", "queued"]
    with store.transaction() as books:
        read = books.order(order.pk)
        assert (read.status, read.submit_tries, read.version) == ("sending", 1, 3)
    assert begin(service, order) is None and Attempt.objects.count() == 1
    assert list(fold.differences()) == []


def test_the_answer_writes_both(service: Service, account: Account) -> None:
    order = queued(account)
    begun = begin(service, order)
    answer = Answer(outcome="accepted", venue_order_id="v-1")
    with store.transaction() as books:
        submission.finish(books, begun, answer, clock.now())
    assert row(order) == ("open", 1, 5) and kinds(order) == ["received", "queued", "sending", "open"]
    assert list(fold.differences()) == []


def test_it_is_not_denied_for_waiting(service: Service, account: Account) -> None:
    order = queued(account)
    begin(service, order)
    with store.transaction() as books:
        recovery.deny_stale(books, account.code, 0, "test")
    assert row(order)[0] == "queued" and kinds(order) == ["received", "queued"]


def test_the_next_owner_finds_it_in_doubt(service: Service, account: Account) -> None:
    order = queued(account)
    begin(service, order)
    with store.transaction() as books:
        recovery.take_over(books, account.code)
    assert row(order) == ("unknown", 1, 5) and kinds(order)[2:] == ["sending", "unknown"]
    assert list(fold.differences()) == []


def test_one_who_read_it_before_may_not_change_it(service: Service, account: Account) -> None:
    order = queued(account)
    stale = Cache()
    Books(Store(), stale).load([order.pk])
    begin(service, order)
    with pytest.raises(Conflict), feed.transaction():
        books = Books(Store(), stale)
        recovery.deny_stale(books, account.code, 0, "test")
        books.commit()
    assert row(order)[0] == "queued"


def test_it_is_told_once(service: Service, account: Account) -> None:
    order = queued(account)
    begin(service, order)
    stale = Cache()
    Books(Store(), stale).load([order.pk])
    with store.transaction() as books:
        books.tell_begun([order.pk])
    with pytest.raises(Conflict), feed.transaction():
        books = Books(Store(), stale)
        books.tell_begun([order.pk])
        books.commit()
    assert row(order) == ("sending", 1, 4) and kinds(order)[2:] == ["sending"]


def test_one_who_read_it_before_it_changed_may_not_begin(service: Service, account: Account) -> None:
    order = queued(account)
    stale = Cache()
    Books(Store(), stale).load([order.pk])
    with store.transaction() as books:
        recovery.deny_stale(books, account.code, 0, "test")
    stamped = service.stamp()
    assert stamped is not None
    with pytest.raises(Fenced), feed.transaction():
        books = Books(Store(), stale)
        submission.begin(books, service, order.pk, *stamped)
        books.commit()
    assert not Attempt.objects.exists()


@pytest.mark.parametrize("is_cached", [True, False])
async def test_the_writer_tells_it_when_no_answer_comes(service: Service, account: Account, is_cached: bool) -> None:
    order = await _aside(lambda: queued(account))
    writer = Writer()
    writer.start()
    try:
        stamped = service.stamp()
        assert stamped is not None
        await writer.run(lambda books: submission.begin(books, service, order.pk, *stamped))
        if not is_cached:
            await writer.run(lambda books: books.reread([order.pk]))
        async with asyncio.timeout(TOLD_WITHIN_SECONDS * 100):
            while await _aside(lambda: row(order)) != ("sending", 1, 4):
                await asyncio.sleep(TOLD_WITHIN_SECONDS / 10)
    finally:
        await asyncio.to_thread(writer.stop)
    assert not writer._begun
    assert (await _aside(lambda: kinds(order)))[2:] == ["sending"]
    assert await _aside(lambda: list(fold.differences())) == []


async def _aside(function: Callable[[], Any]) -> Any:
    return (await asyncio.to_thread(in_threads, 1, lambda _: function()))[0]
