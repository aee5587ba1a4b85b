"""The unit of work: whole or not at all, refused when a row, the lease or the rules moved, and then decided again."""

from __future__ import annotations

import asyncio
import copy
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from django.db import IntegrityError

from orders import events, fold, leases, recovery, store, submission
from orders.books import Books, Conflict, Fenced
from orders.cache import Cache
from orders.models import Anomaly, Attempt, Balance, Fill, Order, OrderEvent, Position, Posting
from orders.rows import AttemptRow
from orders.service import Service
from orders.states import Mutation, Status
from orders.store import Store
from orders.writer import Writer
from project.lib import clock, failpoints, feed, ids
from project.lib.models import FeedEntry
from risk import halts, limits
from tests.orders.scene import at, fill, in_threads, make_account, moved, queued, sending
from tests.orders.test_leases import run_out
from tests.orders.test_writer import all_together, aside
from venues.messages import Answer
from venues.models import Account

pytestmark = pytest.mark.django_db(transaction=True)


@pytest_asyncio.fixture
async def writer() -> AsyncIterator[Writer]:
    running = Writer()
    running.start()
    yield running
    await asyncio.to_thread(running.stop)


def note(kind: str, order: uuid.UUID) -> Callable[[Books], int]:
    """Return work that says something about an order; its result is the version the order has then."""

    def write(books: Books) -> int:
        row = books.order(order)
        assert events.record(books, row, kind, source="test", received_at=at(0))
        return row.version

    return write


def commit(books: Books, *, is_one_flush: bool) -> None:
    with feed.transaction(is_one_flush=is_one_flush):
        books.commit()


def everything() -> tuple[int, ...]:
    return tuple(
        model.objects.count() for model in (Order, OrderEvent, Attempt, Fill, Posting, Position, Anomaly, FeedEntry)
    )


@pytest.mark.parametrize("is_one_flush", [False, True])
def test_the_second_of_two_books_over_one_order_is_refused_whole(account: Account, is_one_flush: bool) -> None:
    order, new = sending(account), queued(account)
    first, second = Books(Store(), Cache()), Books(Store(), Cache())
    note("first", order.pk)(first)
    note("second", new.pk)(second)
    events.apply_fill(second, second.order(order.pk), fill("t-1", "0.4"), source="test", received_at=at(0))
    commit(first, is_one_flush=is_one_flush)
    before = everything()
    with pytest.raises(Conflict):
        commit(second, is_one_flush=is_one_flush)
    assert everything() == before
    second.abandon()
    again = Books(Store(), second.cache)
    events.apply_fill(again, again.order(order.pk), fill("t-1", "0.4"), source="test", received_at=at(0))
    commit(again, is_one_flush=is_one_flush)
    order.refresh_from_db()
    assert (order.status, order.version) == ("partially_filled", 6) and list(fold.differences()) == []


def test_a_position_that_moved_is_a_conflict_too(account: Account) -> None:
    orders = [sending(account), sending(account)]
    both = [Books(Store(), Cache()), Books(Store(), Cache())]
    for number, (books, order) in enumerate(zip(both, orders, strict=True)):
        trade = fill(f"t-{number}", "0.4", venue_order_id=f"v-{number}")
        events.apply_fill(books, books.order(order.pk), trade, source="test", received_at=at(0))
    commit(both[0], is_one_flush=True)
    before = everything()
    with pytest.raises(Conflict):
        commit(both[1], is_one_flush=True)
    assert everything() == before and list(fold.differences()) == []


async def test_the_writer_replays_what_met_a_conflict_on_fresh_rows(writer: Writer, account: Account) -> None:
    order = await aside(lambda: sending(account))
    seen: list[str] = []

    def slow(books: Books) -> int:
        row = books.order(order.pk)
        seen.append(row.status)
        if len(seen) == 1:  # somebody else is faster, between this one's read and its commit
            in_threads(1, lambda _: moved(order, Status.OPEN))
        return note("slow", order.pk)(books)

    assert await writer.run(slow) == 6
    assert seen == ["sending", "open"]
    assert await aside(lambda: list(fold.differences())) == []


async def test_a_cached_row_changed_behind_the_writers_back_heals(writer: Writer, account: Account) -> None:
    order, other = await aside(lambda: (sending(account), sending(account)))
    for each in (order, other):
        assert (await writer.run(lambda books, pk=each.pk: copy.copy(books.order(pk)))).status == "sending"  # type: ignore[misc]
    await aside(lambda: moved(order, Status.OPEN))
    results = await all_together(writer, note("mine", order.pk), note("beside", other.pk))
    assert results == [6, 5]
    row = await writer.run(lambda books: copy.copy(books.order(order.pk)))
    assert (row.status, row.version) == ("open", 6) and await aside(lambda: list(fold.differences())) == []


async def test_an_account_taken_back_is_read_anew(writer: Writer, account: Account) -> None:
    """An owner that was paused holds rows in memory; what its successor sent must not be hidden by them."""
    order = await aside(lambda: moved(sending(account), Status.OPEN))
    assert len(await writer.run(lambda books: books.attempts(order.pk))) == 1

    def successor_cancels() -> None:
        attempt = AttemptRow(
            id=ids.new_id(), order=order.pk, account=account.code, action="cancel", venue_client_id="x", epoch=2, request_digest="",
            window_ms=5000, valid_until=None, sent_at=clock.now(),
        )  # fmt: skip
        with store.transaction() as books:
            books.add_attempt(attempt)
            row = books.order(order.pk)
            events.record(
                books, row, "cancel_pending", source="test", received_at=at(0), mutation=Mutation.CANCEL_PENDING
            )

    await aside(successor_cancels)
    await writer.run(lambda books: recovery.take_over(books, account.code))
    assert await aside(lambda: Attempt.objects.get(action="cancel").outcome) == "unknown"
    assert await aside(lambda: Order.objects.get().mutation) == "cancel_unknown"


# --- the gate of an attempt's commit ---


@pytest.fixture
def sent(service: Service, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what reaches the venue's door."""
    passed: list[Any] = []

    async def place(message: Any) -> Answer:
        passed.append(message)
        return Answer(outcome="accepted", venue_order_id=f"v-{len(passed)}")

    monkeypatch.setattr(service.gateway, "place", place)
    return passed


def meanwhile(service: Service, monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> list[object]:
    """Let something happen once, between the last check of an order and the commit of its attempt."""
    done: list[object] = []

    def reach(point: str) -> None:
        if point == "P3" and not done:
            done.extend(in_threads(1, lambda _: change() or True))

    monkeypatch.setattr(failpoints, "reach", reach)
    return done


async def submitted(service: Service, writer: Writer, account: Account) -> tuple[Order, bool]:
    service.writer = writer
    order = await aside(lambda: queued(account))
    went = await submission.submit(service, order.pk)
    return await aside(lambda: Order.objects.get(pk=order.pk)), went


async def test_an_order_goes_out_once_its_attempt_is_committed(
    service: Service, writer: Writer, account: Account, sent: list[Any]
) -> None:
    order, went = await submitted(service, writer, account)
    assert went and len(sent) == 1 and (order.status, order.venue_order_id) == ("open", "v-1")


async def test_a_lease_lost_between_read_and_commit_sends_nothing(
    service: Service, writer: Writer, account: Account, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose() -> list[Any]:
        run_out(account.code)
        return leases.acquire("another", 60)

    done = meanwhile(service, monkeypatch, lose)
    order, went = await submitted(service, writer, account)
    assert done and not went and sent == []
    assert (order.status, order.submit_tries) == ("queued", 0)
    assert await aside(lambda: Attempt.objects.count()) == 0 and await aside(lambda: list(fold.differences())) == []


RULES: dict[str, tuple[Callable[[Account], object], str]] = {
    "halt": (lambda account: halts.engage(f"account:{account.code}", "stop", "ada"), "TRADING_HALTED"),
    "limit": (lambda account: limits.put("global", "notional_max", Decimal(100), "ada"), "NOTIONAL_EXCEEDS_MAXIMUM"),
}


@pytest.mark.parametrize("rule", RULES)
async def test_a_rule_made_between_the_check_and_the_commit_counts(
    service: Service, writer: Writer, account: Account, sent: list[Any], monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    change, code = RULES[rule]
    done = meanwhile(service, monkeypatch, lambda: change(account))
    order, went = await submitted(service, writer, account)
    assert done and went and sent == []
    assert (order.status, order.reason_code) == ("denied", code)
    assert await aside(lambda: Attempt.objects.count()) == 0 and await aside(lambda: list(fold.differences())) == []


async def test_a_fenced_attempt_spoils_nobody_elses_commit(service: Service, writer: Writer, account: Account) -> None:
    order, other = await aside(lambda: (queued(account), sending(make_account())))
    stamped = service.stamp()
    assert stamped is not None
    await aside(lambda: run_out(account.code))
    results = await all_together(
        writer, lambda books: submission.begin(books, service, order.pk, *stamped), note("beside", other.pk)
    )
    assert isinstance(results[0], Fenced) and results[1] == 5


# --- whole or not at all ---


@pytest.fixture
def broken() -> Iterator[None]:
    failpoints.verify({"GAPLESS_FAILPOINTS": "P10=1:raise", "GAPLESS_TEST_BUILD": "1"})
    yield
    failpoints.verify({})


@pytest.mark.usefixtures("broken")
async def test_a_crash_between_the_statements_of_a_fill_leaves_nothing(writer: Writer, account: Account) -> None:
    order = await aside(lambda: sending(account))
    before = await aside(everything)

    def book(books: Books) -> object:
        return events.apply_fill(books, books.order(order.pk), fill("t-1", "0.4"), source="test", received_at=at(0))

    with pytest.raises(failpoints.Injected):
        await writer.run(book)
    assert await aside(everything) == before and not await aside(lambda: Balance.objects.exists())
    assert (await writer.run(lambda books: copy.copy(books.order(order.pk)))).filled_quantity == 0
    failpoints.verify({})
    assert await writer.run(book) is not None
    assert await aside(lambda: Order.objects.get().filled_quantity) == fill("t-1", "0.4").quantity
    assert await aside(lambda: list(fold.differences())) == []


async def test_what_the_server_refuses_at_the_end_undoes_the_beginning(writer: Writer, account: Account) -> None:
    order = await aside(lambda: sending(account))
    before = await aside(everything)

    def book(books: Books) -> None:
        events.apply_fill(books, books.order(order.pk), fill("t-1", "0.4"), source="test", received_at=at(0))
        books.events[-1].order = ids.new_id()  # no such order: the log, written last, cannot take it

    with pytest.raises(IntegrityError):
        await writer.run(book)
    assert await aside(everything) == before and not await aside(lambda: Balance.objects.exists())
    assert await writer.run(note("after", order.pk)) == 5
