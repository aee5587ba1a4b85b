"""The private stream of an account: raw frames kept, reports applied in order; live only after what was missed has been read. Pure."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from orders import doubts, sweeps
from orders.books import Books
from orders.service import Service
from project.lib import clock, failpoints
from venues.messages import Report, StreamState
from venues.streams import Session, StreamReason

logger = logging.getLogger(__name__)
FRAMES_MAX = 20_000
BATCH_MAX = 200
FIRST_STATE_SECONDS = 5.0
STOP_SECONDS = 1.0
CATCH_UP_SECONDS = (0.5, 8.0)
READ_WELL = frozenset({"good", "partial"})  # what is unreadable in a partial read is a break of its own


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to write down, in the order received: a frame with what it says, or how the session stands."""

    received_at: datetime
    body: str = ""
    reports: tuple[Report, ...] = ()
    session: Session | None = None


class Stream:
    """Feed what the gateway's stream delivers to the writer, in the order received.

    Every connection, and every time our queue was full, opens a gap. A gap is closed by reading trades and open orders from
    the watermark by REST; only then does the account count as having a live stream.
    """

    def __init__(self, service: Service, frames_max: int = FRAMES_MAX) -> None:
        self._service, self._frames_max = service, frames_max
        self._queue: asyncio.Queue[Item] = asyncio.Queue()  # bounded by _on_frame, which says what it leaves out
        self._session: Session | None = None
        self._lost_at: datetime | None = None
        self._is_full = False
        self._subscribed, self._behind, self._recovered = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.gaps = 0
        if service.is_open:
            self._recovered.set()

    async def run(self) -> None:
        """Run until cancelled."""
        account = self._service.account
        await self._service.writer.run_until_committed(
            lambda books: books.later(lambda: books.store.end_sessions(account))
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._service.gateway.run_stream(self._on_frame, self._on_state))
                group.create_task(self._apply())
                group.create_task(self._catch_up())
        finally:
            self._service.has_stream = False
            await self._stop()

    async def first_state(self) -> None:
        """Wait a little for the stream to be subscribed, so that the reads of recovery overlap with it."""
        if not self._service.gateway.capabilities.stream:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_STATE_SECONDS):
                await self._subscribed.wait()

    def recovered(self, gaps: int) -> None:
        """Take recovery's reads, which began when there had been so many gaps, as the first sweep."""
        self._recovered.set()
        self._close_gaps(gaps)

    def _on_frame(self, body: str, reports: list[Report], received_at: datetime) -> None:
        if not self._is_full and self._queue.qsize() < self._frames_max:
            self._queue.put_nowait(Item(received_at, body, tuple(reports)))
            return
        if not self._is_full:
            logger.warning("account %s: more frames than can be kept; what comes now is read by REST instead",
                           self._service.account)  # fmt: skip
            self._is_full, self._service.has_stream, self._service.stream_live_at = True, False, None
        if self._session is not None:
            self._session.dropped += 1

    def _on_state(self, state: StreamState) -> None:
        session = self._session
        if state.state == "subscribed":
            session = self._session = Session(
                kind="private", connected_at=state.at, tries=state.tries, seen_at=state.at,
                reconnect_ms=_milliseconds(self._lost_at, state.at),
            )  # fmt: skip
            self._subscribed.set()
            self._open_gap()
            self._service.stream_live_at = state.at
        elif state.state == "lost":
            self._service.has_stream, self._service.stream_live_at = False, None
        if session is None or state.state == "connecting":
            return
        session.frames, session.last_message_at, session.seen_at = state.frames, state.last_message_at, state.at
        if state.state == "lost":
            session.end(state.at, state.reason or StreamReason.FAILED, state.detail)
            self._session, self._lost_at = None, state.at
            self._service.sweep_wanted.set()  # REST heals, whenever the stream may come back
        self._keep(session)

    def _keep(self, session: Session) -> None:
        self._queue.put_nowait(Item(session.seen_at, session=copy.copy(session)))

    def _open_gap(self) -> None:
        self.gaps += 1
        self._behind.set()

    def _close_gaps(self, gaps: int) -> None:
        session = self._session
        if gaps != self.gaps or session is None or self._is_full:
            return  # another gap was opened meanwhile, and is being read for
        self._behind.clear()
        self._service.has_stream = True
        session.seen_at = clock.now()
        self._service.stream_live_at = self._service.stream_live_at or session.seen_at
        if session.live_at is None:
            session.live_at = session.seen_at
            session.healed_ms = _milliseconds(self._lost_at, session.seen_at)
        self._keep(session)

    async def _catch_up(self) -> None:
        """Close each gap by reading from the watermark; a failed read is tried again, ever later up to a bound."""
        shortest, longest = CATCH_UP_SECONDS
        pause = shortest
        while True:
            await self._behind.wait()
            await self._recovered.wait()
            gaps = self.gaps
            if not self._behind.is_set():
                continue
            self._behind.clear()
            reads = [await sweep(self._service, reason="stream") for sweep in (sweeps.fills, sweeps.open_orders)]
            if all(read.status in READ_WELL for read in reads):
                self._close_gaps(gaps)
                pause = shortest
                continue
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)
            self._behind.set()

    async def _apply(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH_MAX and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            failpoints.reach("P9")
            take = partial(self._take, batch)
            unmatched = await self._service.writer.run_until_committed(take)
            await sweeps.adopt_unmatched(self._service, unmatched)
            if self._is_full and self._queue.empty():
                self._resync()

    def _resync(self) -> None:
        # Only now, with everything kept applied: what was left out lies after the watermark of the sweep.
        self._is_full = False
        if self._session is not None:
            self._session.resyncs += 1
            self._keep(self._session)
        self._open_gap()

    def _take(self, batch: list[Item], books: Books) -> sweeps.Unmatched:
        account, store = self._service.account, books.store
        books.told.note_frames(account, ((doubts.storable(item.body), item.received_at) for item in batch if item.body))
        for session in {item.session.id: item.session for item in batch if item.session is not None}.values():
            books.later(partial(store.keep_session, account, session))
        reports = [report for item in batch for report in item.reports]
        return sweeps.apply_reports(books, self._service, reports, source="stream") if reports else []

    async def _stop(self) -> None:
        """Say which sessions were ended by us; when there is no time for it, the next owner finds them open and ends them."""
        ended, session = self._service.gateway.release_books(), self._session
        if session is not None:
            session.end(clock.now(), StreamReason.STOPPED)
            ended.append(session)
        account, self._session = self._service.account, None

        def keep(books: Books) -> None:
            for one in ended:
                books.later(partial(books.store.keep_session, account, one))

        with contextlib.suppress(Exception):
            async with asyncio.timeout(STOP_SECONDS):
                await self._service.writer.run(keep)


def _milliseconds(since: datetime | None, until: datetime) -> int | None:
    return None if since is None else max(round((until - since).total_seconds() * 1000), 0)
