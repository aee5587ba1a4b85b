"""Gaps of the private stream: what it missed is booked before it counts as live; a burst strands nothing; the bound is healed."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from orders import stream as streams
from orders import sweeps
from orders.models import Fill
from orders.stream import Stream
from project.lib import clock
from tests.regressions.rig import SYMBOL, Rig
from tests.venues.desk import until
from venues.adapters import stream as adapter_streams
from venues.models import RawFrame, Snapshot, StreamSession

HEALED_MS_MAX = 1_000
BURST, STEP = 5_000, "0.0001"
both = pytest.mark.parametrize("exchange", ["binance", "kraken"])


@asynccontextmanager
async def running(rig: Rig, frames_max: int = streams.FRAMES_MAX) -> AsyncIterator[Stream]:
    """Run the account's stream for as long as the block lasts; it is live at its beginning."""
    stream = Stream(rig.service, frames_max)
    task = asyncio.create_task(stream.run())
    await until(lambda: rig.service.has_stream)
    yield stream
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def count(rig: Rig) -> int:
    """Return how many trades are booked."""
    found: int = await rig.of(Fill.objects.count)
    return found


async def told(fact: Callable[[], Any], rig: Rig, seconds: float = 15.0) -> Any:
    """Wait until a function of the database says so, and return it."""
    deadline = clock.monotonic_seconds() + seconds
    while not (answer := await rig.of(fact)):
        assert clock.monotonic_seconds() < deadline, "it never became true"
        await asyncio.sleep(0.02)
    return answer


def has_booked(trades: int) -> bool:
    return Fill.objects.count() == trades


def was_read_whole_before_it_was_live(session: StreamSession) -> bool:
    good = Snapshot.objects.filter(surface="fills", status="good", requested_at__gte=session.connected_at)
    return session.live_at is not None and good.filter(taken_at__lte=session.live_at).exists()


@both
async def test_a_trade_of_the_gap_is_booked_before_the_stream_is_live_within_a_second(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter_streams, "SETTLED_SECONDS", 0.0)  # else the second loss in a row waits longer
    async with running(rig):
        order = await rig.submitted(quantity="1")
        for number in range(1, 4):
            rig.fault("close_stream", "stream")
            rig.venue.trade(
                rig.world, SYMBOL, "sell", "0.1"
            )  # our loop stood still: the stream cannot be back before it
            traded_at = clock.monotonic_seconds()
            await told(partial(has_booked, number), rig)
            assert (clock.monotonic_seconds() - traded_at) * 1000 <= HEALED_MS_MAX
            await until(lambda: rig.service.has_stream)
    first, *later = await rig.of(lambda: list(StreamSession.objects.order_by("connected_at")))
    assert (first.reconnect_ms, first.healed_ms, len(later)) == (None, None, 3)
    for row in later:
        assert 0 <= (row.reconnect_ms or 0) <= (row.healed_ms or 0) <= HEALED_MS_MAX
    for row in (first, *later):
        assert await rig.of(partial(was_read_whole_before_it_was_live, row))
    assert [row.reason for row in (first, *later)] == ["STREAM_CLOSED_BY_VENUE"] * 3 + ["STREAM_STOPPED"]
    assert (await rig.fresh(order)).filled_quantity * 10 == 3
    await rig.assert_books_are_whole()


@both
async def test_a_stream_whose_sweep_fails_is_not_live(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "CATCH_UP_SECONDS", (0.05, 0.1))
    async with running(rig):
        fault = rig.fault("status", "my_trades", seconds=60, params={"status": 503})
        rig.fault("close_stream", "stream")
        await told(lambda: StreamSession.objects.filter(ended_at=None, reconnect_ms__isnull=False).exists(), rig)
        await until(lambda: rig.fired("status") >= 2)
        assert not rig.service.has_stream
        assert await rig.of(lambda: StreamSession.objects.get(ended_at=None).live_at) is None
        rig.venue.remove_faults(fault)
        rig.end_pauses()
        await until(lambda: rig.service.has_stream)
        await told(lambda: StreamSession.objects.get(ended_at=None).live_at, rig)


@pytest.mark.parametrize(("hours", "status", "reaches_back"), [(1, "good", 1), (3, "good", 2), (1, "failed", 0)])
async def test_the_watermark_is_the_last_whole_sweep_not_the_newest_trade(
    rig: Rig, hours: int, status: str, reaches_back: int
) -> None:
    """A trade that the stream tells after a gap is newer than those in it; nothing before the opening is ours to book."""
    await rig.submitted(quantity="1")
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.2")
    await sweeps.fills(rig.service, reason="schedule")
    newest = await rig.of(lambda: Fill.objects.get().executed_at)
    now, overlap = clock.now(), timedelta(seconds=rig.service.timing.fills_overlap_seconds)
    rig.service.opened_at = now - timedelta(hours=2)
    await rig.of(lambda: Snapshot.objects.update(requested_at=now - timedelta(hours=hours), status=status))
    await sweeps.fills(rig.service, reason="schedule")
    window_from = await rig.of(lambda: Snapshot.objects.filter(surface="fills").latest("taken_at").window_from)
    assert window_from == (now - timedelta(hours=reaches_back) if reaches_back else newest) - overlap


async def test_a_burst_of_trades_while_the_writer_is_busy_strands_none(rig: Rig) -> None:
    async with running(rig):
        order = await rig.submitted(quantity="0.5")
        with busy(rig):
            await asyncio.to_thread(burst, rig, BURST)
        await told(lambda: Fill.objects.count() == BURST, rig, 60)
        assert rig.service.has_stream
        session = await rig.of(StreamSession.objects.get)
        frames = await rig.of(lambda: RawFrame.objects.filter(body__contains='"TRADE"').count())
    assert (await rig.fresh(order)).status == "filled"
    assert (session.dropped, session.resyncs, frames) == (0, 0, BURST)
    await rig.assert_books_are_whole()


async def test_at_the_bound_of_the_queue_the_rest_is_read_by_rest_and_said(rig: Rig) -> None:
    async with running(rig, frames_max=100):
        order = await rig.submitted(quantity="0.05")
        with busy(rig):
            await asyncio.to_thread(burst, rig, 500)
            await until(lambda: not rig.service.has_stream)
        await told(lambda: Fill.objects.count() == 500, rig, 60)
        await until(lambda: rig.service.has_stream)
    session = await rig.of(StreamSession.objects.get)
    assert session.dropped >= 500 and session.resyncs >= 1
    assert (await rig.fresh(order)).status == "filled"
    await rig.assert_books_are_whole()


async def test_a_session_left_open_by_a_killed_owner_is_ended_by_the_next(rig: Rig) -> None:
    stream = Stream(rig.service)
    task = asyncio.create_task(stream.run())
    await told(lambda: StreamSession.objects.filter(ended_at=None).exists(), rig)
    stream._session = None  # a process that is killed says no last word
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await rig.take_again()
    async with running(rig):
        reasons = await rig.of(
            lambda: list(StreamSession.objects.order_by("connected_at").values_list("reason", flat=True))
        )
        assert reasons == ["STREAM_OWNER_LOST", ""]


class busy:
    """Hold up the writer's thread for as long as the block lasts."""

    def __init__(self, rig: Rig) -> None:
        self._rig, self._go_on = rig, threading.Event()
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> None:
        self._task = asyncio.ensure_future(self._rig.service.writer.run(lambda books: self._go_on.wait(120)))

    def __exit__(self, *_: object) -> None:
        self._go_on.set()


def burst(rig: Rig, trades: int) -> None:
    """Let an outsider trade so often with our resting order, as fast as the venue takes it."""
    address = rig.venue.url.removeprefix("http://")
    named = {"exchange": rig.world.exchange, "world": rig.world.world}
    body = json.dumps({**named, "symbol": SYMBOL, "side": "sell", "quantity": STEP})
    with contextlib.closing(http.client.HTTPConnection(address, timeout=10)) as link:
        for _ in range(trades):
            link.request("POST", "/_control/trades", body, {"Content-Type": "application/json"})
            answer = json.load(link.getresponse())
            assert answer["filled"] == STEP, answer
