"""Group commit: what arrives together commits together, one bad row costs only itself, nothing is dropped silently."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from django.db import IntegrityError, OperationalError, connection

from orders import events
from orders import writer as writers
from orders.books import Books
from orders.models import Order, OrderEvent
from orders.rows import OrderRow
from orders.states import Status
from orders.writer import Full, Writer
from project.lib import clock, ids, sql
from project.lib.models import ScheduleSlot
from tests.orders.scene import at, in_threads, make_account

pytestmark = pytest.mark.django_db(transaction=True)
Job = Callable[[Books], list[int]]


@pytest_asyncio.fixture
async def writer() -> AsyncIterator[Writer]:
    running = Writer()
    running.start()
    yield running
    await asyncio.to_thread(running.stop)


def slot(number: int) -> Job:
    """Return work that the desk writes by a statement of its own, and the number of its transaction."""

    def insert(books: Books) -> list[int]:
        written_in: list[int] = []

        def write() -> None:
            ScheduleSlot.objects.create(job=f"job-{number}", slot_at=at(0))
            written_in.append(transaction_id())

        books.later(write)
        return written_in

    return insert


def order(account: str, name: str) -> Callable[[Books], uuid.UUID]:
    """Return work that goes out with the flush: a new order."""

    def insert(books: Books) -> uuid.UUID:
        row = OrderRow(
            id=ids.new_id(), account=account, client_order_id=name, body_digest="", symbol="BTC/USDT", side="buy", type="limit",
            quantity=Decimal(1), created_at=clock.now(), updated_at=clock.now(),
        )  # fmt: skip
        return events.open_order(books, row, verdict=Status.QUEUED).id

    return insert


def transaction_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        return int(cursor.fetchone()[0])


async def all_together(writer: Writer, *functions: Callable[[Books], Any]) -> list[Any]:
    """Hold the writer until everything is queued, then let it go."""
    gate = threading.Event()
    first = asyncio.ensure_future(writer.run(lambda _: gate.wait(10)))
    await asyncio.sleep(0)
    waiting = [asyncio.ensure_future(writer.run(function)) for function in functions]
    await asyncio.sleep(0)
    while writer._queue.qsize() < len(functions):
        await asyncio.sleep(0)
    gate.set()
    await first
    return await asyncio.gather(*waiting, return_exceptions=True)


async def aside(function: Callable[[], Any]) -> Any:
    """Run a function of the database in a thread of its own."""
    return (await asyncio.to_thread(in_threads, 1, lambda _: function()))[0]


def stored() -> set[str]:
    return set(ScheduleSlot.objects.values_list("job", flat=True))


def transactions() -> list[tuple[str, str]]:
    """Return each order's name and the transaction that wrote it."""
    return [(name, xid) for name, xid in sql.rows("SELECT client_order_id, xmin::text FROM orders_order")]


async def test_what_gathers_is_one_transaction(writer: Writer) -> None:
    results = await all_together(writer, *(slot(n) for n in range(100)))
    assert len({written_in for [written_in] in results}) == 1
    assert len(await aside(stored)) == 100


async def test_what_gathers_for_the_flush_is_one_transaction(writer: Writer) -> None:
    account = await aside(make_account)
    await all_together(writer, *(order(account.code, f"a-{n}") for n in range(100)))
    written = await aside(transactions)
    assert len(written) == 100 and len({xid for _, xid in written}) == 1
    sequences = await aside(lambda: list(OrderEvent.objects.order_by("sequence").values_list("sequence", flat=True)))
    assert sequences == list(range(1, 201))


async def test_a_batch_has_a_bound(writer: Writer) -> None:
    results = await all_together(writer, *(slot(n) for n in range(writers.BATCH_MAX + 10)))
    assert len({written_in for [written_in] in results}) == 2


async def test_one_bad_row_is_replayed_alone(writer: Writer) -> None:
    results = await all_together(writer, slot(1), slot(2), slot(1), slot(3))
    assert isinstance(results[2], IntegrityError)
    assert [isinstance(result, list) for result in results] == [True, True, False, True]
    assert await aside(stored) == {"job-1", "job-2", "job-3"}


async def test_one_row_of_a_flush_that_breaks_a_constraint_fails_alone(writer: Writer) -> None:
    account = await aside(make_account)
    names = ["a", "b", "a", "c"]
    results = await all_together(writer, *(order(account.code, name) for name in names))
    assert [isinstance(result, IntegrityError) for result in results] == [False, False, True, False]
    rows = await aside(lambda: dict(Order.objects.values_list("client_order_id", "pk")))
    assert rows == {"a": results[0], "b": results[1], "c": results[3]}
    sequences = await aside(lambda: list(OrderEvent.objects.order_by("sequence").values_list("sequence", flat=True)))
    assert sequences == [1, 2, 3, 4, 5, 6]


async def test_a_function_that_raises_changes_nothing(writer: Writer) -> None:
    account = await aside(make_account)

    def insert_and_fail(books: Books) -> int:
        slot(1)(books)
        order(account.code, "lost")(books)
        raise LookupError("no such order")

    results = await all_together(writer, slot(0), insert_and_fail, order(account.code, "kept"))
    assert isinstance(results[1], LookupError) and await aside(stored) == {"job-0"}
    assert [name for name, _ in await aside(transactions)] == ["kept"]


async def test_a_full_queue_refuses_and_a_fact_waits(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    held = asyncio.ensure_future(writer.run(lambda _: gate.wait(10)))
    await asyncio.sleep(0)
    while writer._queue.qsize():
        await asyncio.sleep(0)
    monkeypatch.setattr(writers, "QUEUE_MAX", 1)
    second = asyncio.ensure_future(writer.run(slot(1)))
    await asyncio.sleep(0)
    with pytest.raises(Full):
        await writer.run(slot(2))
    fact = asyncio.ensure_future(writer.run_until_committed(slot(3)))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(held, second, asyncio.wait_for(fact, 10))
    assert await aside(stored) == {"job-1", "job-3"}


@pytest.mark.parametrize("is_one_flush", [False, True])
async def test_a_fact_outlives_a_lost_connection(writer: Writer, is_one_flush: bool) -> None:
    killed: list[int] = []
    account = await aside(make_account)

    def insert_and_lose_the_connection(books: Books) -> object:
        if not killed:
            killed.append(sql.rows("SELECT pg_backend_pid()")[0][0])
            in_threads(1, lambda _: terminate(killed[0]))
        return order(account.code, "kept")(books) if is_one_flush else slot(1)(books)

    assert await asyncio.wait_for(writer.run_until_committed(insert_and_lose_the_connection), 20)
    assert len(await aside(transactions)) + len(await aside(stored)) == 1


async def test_a_question_to_a_lost_database_raises(writer: Writer) -> None:
    def lose_the_connection(books: Books) -> object:
        pid = sql.rows("SELECT pg_backend_pid()")[0][0]
        in_threads(1, lambda _: terminate(pid))
        return sql.rows("SELECT 1")

    with pytest.raises(OperationalError):
        await writer.run(lose_the_connection)
    assert await writer.run(lambda _: sql.rows("SELECT 1")) == [(1,)]


async def test_stopping_finishes_what_is_queued() -> None:
    writer = Writer()
    writer.start()
    waiting = [asyncio.ensure_future(writer.run(slot(n))) for n in range(50)]
    await asyncio.sleep(0)
    await asyncio.to_thread(writer.stop)
    await asyncio.gather(*waiting)
    assert len(await aside(stored)) == 50


def terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
