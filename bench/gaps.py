"""How long it takes until a trade made while the private stream was cut is booked, and until the stream is live again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal

from bench.desk import Desk
from bench.ground import SYMBOL
from orders.models import Fill
from orders.stream import Stream
from project.lib import clock
from tests.venues.paper.process import PaperVenue, WorldHandle
from venues.adapters import stream as adapter_streams

GAPS = 20
STEP = "0.001"


async def healed(desk: Desk, venue: PaperVenue, world: WorldHandle) -> str:
    """Cut the stream so often, each time as one that had long stood; return one line."""
    service = desk.service
    service.is_open, service.opened_at = True, clock.now()
    adapter_streams.SETTLED_SECONDS = 0.0
    await desk.submit_all(await desk.take_in(1, quantity=Decimal(1)), 1)
    task = asyncio.create_task(Stream(service).run())
    booked, live = [], []
    for number in range(1, GAPS + 1):
        await _until(lambda: service.has_stream)
        venue.add_fault(world, "close_stream", "stream")  # without a pause of ours until after the trade:
        venue.trade(world, SYMBOL, "sell", STEP)  # the stream cannot be back before it
        began = time.perf_counter()
        while await asyncio.to_thread(Fill.objects.filter(account_id=service.account).count) < number:
            await asyncio.sleep(0.002)
        booked.append((time.perf_counter() - began) * 1000)
        await _until(lambda: service.has_stream)
        live.append((time.perf_counter() - began) * 1000)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return (f"{world.exchange}, {GAPS} cuts of the private stream: trade in the gap → booked p50 {_middle(booked):.0f} ms, max "
            f"{max(booked):.0f} ms; → stream live again p50 {_middle(live):.0f} ms, max {max(live):.0f} ms")  # fmt: skip


async def _until(fact: Callable[[], bool]) -> None:
    while not fact():
        await asyncio.sleep(0.002)


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
