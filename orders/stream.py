"""The private stream of an account: raw frames kept, reports applied in order, a sweep after every connect. Pure."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial

from orders import doubts, sweeps
from orders.books import Books
from orders.service import Service
from project.lib import failpoints
from venues.messages import Report, StreamState

QUEUE_MAX = 10_000
BATCH_MAX = 200
FIRST_STATE_SECONDS = 5.0
Item = tuple[str, list[Report], datetime]


class Stream:
    """Feed what the gateway's stream delivers to the writer, in the order received."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._queue: asyncio.Queue[Item] = asyncio.Queue(QUEUE_MAX)
        self._seen_state = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._service.gateway.run_stream(self._on_frame, self._on_reports, self._on_state))
            group.create_task(self._apply())

    async def first_state(self) -> None:
        """Wait a little for the stream to be live, so that the reads of recovery overlap with it."""
        if not self._service.gateway.capabilities.stream:
            return
        try:
            await asyncio.wait_for(self._seen_state.wait(), FIRST_STATE_SECONDS)
        except TimeoutError:
            return

    def _on_frame(self, body: str, received_at: datetime) -> None:
        self._put((body, [], received_at))

    def _on_reports(self, reports: list[Report], received_at: datetime) -> None:
        self._put(("", reports, received_at))

    def _on_state(self, state: StreamState) -> None:
        if state.state == "live":
            self._seen_state.set()
            self._service.sweep_wanted.set()  # what happened before it was live comes by REST
        self._service.has_stream = state.state == "live"

    def _put(self, item: Item) -> None:
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            self._service.sweep_wanted.set()  # at the bound: read the facts instead of growing

    async def _apply(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH_MAX and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            failpoints.reach("P9")
            take = partial(self._take, batch)
            unmatched = await self._service.writer.run_until_committed(take)
            await sweeps.adopt_unmatched(self._service, unmatched)

    def _take(self, batch: list[Item], books: Books) -> sweeps.Unmatched:
        frames = [(doubts.storable(body), at) for body, _, at in batch if body]
        if frames:
            books.later(lambda: books.store.keep_frames(self._service.account, frames))
        reports = [report for _, listed, _ in batch for report in listed]
        return sweeps.apply_reports(books, self._service, reports, source="stream") if reports else []
