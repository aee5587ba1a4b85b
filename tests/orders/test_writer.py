"""Group commit: what arrives together commits together, one bad row costs only itself, nothing is dropped silently."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from django.db import IntegrityError, OperationalError, connection

from orders import writer as writers
from orders.writer import Full, Writer
from project.lib.models import ScheduleSlot
from tests.orders.scene import at, in_threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest_asyncio.fixture
async def writer() -> AsyncIterator[Writer]:
    running = Writer()
    running.start()
    yield running
    await asyncio.to_thread(running.stop)


def slot(number: int) -> Callable[[], int]:
    def insert() -> int:
        ScheduleSlot.objects.create(job=f"job-{number}", slot_at=at(0))
        return transaction_id()

    return insert


def transaction_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        return int(cursor.fetchone()[0])


async def all_together(writer: Writer, *functions: Callable[[], int]) -> list[int | BaseException]:
    """Hold the writer until everything is queued, then let it go."""
    gate = threading.Event()
    first = asyncio.ensure_future(writer.run(lambda: gate.wait(10)))
    await asyncio.sleep(0)
    waiting = [asyncio.ensure_future(writer.run(function)) for function in functions]
    await asyncio.sleep(0)
    while writer._queue.qsize() < len(functions):
        await asyncio.sleep(0)
    gate.set()
    await first
    return await asyncio.gather(*waiting, return_exceptions=True)


def stored() -> set[str]:
    names = set(ScheduleSlot.objects.values_list("job", flat=True))
    connection.close()
    return names


async def test_what_gathers_is_one_transaction(writer: Writer) -> None:
    results = await all_together(writer, *(slot(n) for n in range(100)))
    assert len(set(results)) == 1
    assert len(await asyncio.to_thread(stored)) == 100


async def test_a_batch_has_a_bound(writer: Writer) -> None:
    results = await all_together(writer, *(slot(n) for n in range(writers.BATCH_MAX + 10)))
    assert len(set(results)) == 2


async def test_one_bad_row_is_replayed_alone(writer: Writer) -> None:
    results = await all_together(writer, slot(1), slot(2), slot(1), slot(3))
    assert isinstance(results[2], IntegrityError)
    assert [isinstance(result, int) for result in results] == [True, True, False, True]
    assert await asyncio.to_thread(stored) == {"job-1", "job-2", "job-3"}


async def test_a_function_that_raises_changes_nothing(writer: Writer) -> None:
    def insert_and_fail() -> int:
        slot(1)()
        raise LookupError("no such order")

    results = await all_together(writer, slot(0), insert_and_fail)
    assert isinstance(results[1], LookupError) and await asyncio.to_thread(stored) == {"job-0"}


async def test_a_full_queue_refuses_and_a_fact_waits(writer: Writer) -> None:
    gate = threading.Event()
    held = asyncio.ensure_future(writer.run(lambda: gate.wait(10)))
    await asyncio.sleep(0)
    while writer._queue.qsize():
        await asyncio.sleep(0)
    writer._queue.maxsize = 1
    second = asyncio.ensure_future(writer.run(slot(1)))
    await asyncio.sleep(0)
    with pytest.raises(Full):
        await writer.run(slot(2))
    fact = asyncio.ensure_future(writer.run_until_committed(slot(3)))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(held, second, asyncio.wait_for(fact, 10))
    assert await asyncio.to_thread(stored) == {"job-1", "job-3"}


async def test_a_fact_outlives_a_lost_connection(writer: Writer) -> None:
    killed: list[int] = []

    def insert_and_lose_the_connection() -> int:
        if not killed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                killed.append(cursor.fetchone()[0])
            in_threads(1, lambda _: terminate(killed[0]))
        return slot(1)()

    assert await asyncio.wait_for(writer.run_until_committed(insert_and_lose_the_connection), 20)
    assert await asyncio.to_thread(stored) == {"job-1"}


async def test_a_question_to_a_lost_database_raises(writer: Writer) -> None:
    def lose_the_connection() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()[0]
        in_threads(1, lambda _: terminate(pid))
        return transaction_id()

    with pytest.raises(OperationalError):
        await writer.run(lose_the_connection)
    assert await writer.run(transaction_id)


async def test_stopping_finishes_what_is_queued() -> None:
    writer = Writer()
    writer.start()
    waiting = [asyncio.ensure_future(writer.run(slot(n))) for n in range(50)]
    await asyncio.sleep(0)
    await asyncio.to_thread(writer.stop)
    await asyncio.gather(*waiting)
    assert len(await asyncio.to_thread(stored)) == 50


def terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
