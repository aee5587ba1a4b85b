"""One public book kept up over its own connection: subscribe, gather, snapshot, follow; again when anything does not fit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import aiohttp

from project.lib import clock
from venues.adapters import strict
from venues.adapters.book_reader import BookReader, Refused
from venues.adapters.stream import SETTLED_SECONDS, StreamLost
from venues.books import Book, BookReason, BookStats
from venues.facts.shapes import BookRule
from venues.streams import Session, StreamReason, wait_seconds

OPEN_SECONDS_MAX = 10.0
SILENCE_SECONDS_MAX = 10.0
SESSIONS_KEPT = 64
FRAME_BYTES_MAX = 8 * 1024 * 1024
WAITING = (None, BookReason.STARTING, BookReason.DISCONNECTED)
Opened = tuple[BookReader, aiohttp.ClientSession]


class Feed:
    """The book of one symbol. run() never returns by itself; `book` is there to be read at any time."""

    def __init__(
        self,
        symbol: str,
        rule: BookRule,
        opened: Callable[[], Awaitable[Opened]],
        turn: Callable[[], Awaitable[None]],
        on_move: Callable[[], None],
    ) -> None:
        self.symbol, self.rule = symbol, rule
        self.book = Book(rule=rule)
        self.started_at = self.fresh_at = clock.monotonic_seconds()
        self.changed_at: datetime | None = None
        self._ended: deque[Session] = deque(maxlen=SESSIONS_KEPT)
        self.session: Session | None = None
        self.reconnects = 0
        self._opened, self._turn, self._on_move = opened, turn, on_move
        self._wanted = asyncio.Event()
        self._heard_at = 0.0
        self._lost_at: datetime | None = None
        self._middle: Decimal | None = None

    async def run(self) -> None:
        """Connect, follow, reconnect, until cancelled."""
        failures = tries = 0
        while True:
            tries += 1
            began = clock.monotonic_seconds()
            try:
                await self._follow(tries)
            except* StreamLost as group:
                lost = next(loss for loss in _losses(group))
            except* Exception as group:  # never its text: it may carry an address
                lost = StreamLost(StreamReason.NOT_OPENED, type(group.exceptions[0]).__name__)
            self.reconnects += 1
            if self.session is not None:
                tries = 0
            self._end(lost.reason, lost.detail)
            failures = 0 if clock.monotonic_seconds() - began > SETTLED_SECONDS else failures + 1
            await asyncio.sleep(wait_seconds(failures, random.random()))

    def stop(self) -> None:
        """Note that nobody needs the book any more."""
        self._end(StreamReason.STOPPED, "")

    def stats(self) -> BookStats:
        """Return the book as it stands."""
        book, reason = self.book, self.book.why_stale(clock.monotonic_seconds())
        return BookStats(
            symbol=self.symbol, is_fresh=reason is None, reason=reason or "", best_bid=book.bids.best(),
            best_ask=book.asks.best(), levels=len(book.bids.prices) + len(book.asks.prices), changed_at=self.changed_at,
            reconnects=self.reconnects, **vars(book.counts),
        )  # fmt: skip

    def take_ended(self) -> list[Session]:
        """Return the sessions that have ended since the last call."""
        found = list(self._ended)
        self._ended.clear()
        return found

    def stale_seconds(self, now: float) -> float:
        """Return for how long the book has not been fresh."""
        return now - max(self.fresh_at, self.started_at)

    async def _follow(self, tries: int) -> None:
        reader, sockets = await self._opened()
        self.book.places = reader.places()
        try:
            async with asyncio.timeout(OPEN_SECONDS_MAX):
                socket = await sockets.ws_connect(reader.url(), autoping=False, max_msg_size=FRAME_BYTES_MAX)
        except TimeoutError:
            raise StreamLost(StreamReason.NOT_OPENED_IN_TIME) from None
        async with socket:
            for frame in reader.subscriptions():
                await socket.send_str(json.dumps(frame))
            now = clock.now()
            reconnect_ms = None if self._lost_at is None else round((now - self._lost_at).total_seconds() * 1000)
            self.session = Session(kind="book", symbol=self.symbol, connected_at=now, seen_at=now, tries=tries,
                                   reconnect_ms=reconnect_ms)  # fmt: skip
            self._heard_at = clock.monotonic_seconds()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._receive(socket, reader))
                group.create_task(self._watch(socket))
                if self.rule.snapshot == "rest":
                    group.create_task(self._fetch_snapshots(reader))

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse, reader: BookReader) -> None:
        while True:
            message = await socket.receive()
            self._heard_at = clock.monotonic_seconds()
            if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                answer = self._take(reader, message.data)
                if answer is not None:
                    await socket.send_str(json.dumps(answer))
            elif message.type == aiohttp.WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type == aiohttp.WSMsgType.PONG:
                self._quiet_sign("pongs")
            elif message.type == aiohttp.WSMsgType.ERROR:
                raise StreamLost(StreamReason.FAILED)
            else:
                raise StreamLost(StreamReason.CLOSED_BY_VENUE)

    def _take(self, reader: BookReader, data: str | bytes) -> Any:
        """Follow one frame; return what to answer. Raises StreamLost where only a new subscription brings a new snapshot."""
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
        session, book = self.session, self.book
        if session is not None:
            session.frames += 1
            session.last_message_at = clock.now()
        if text == "pong":
            self._quiet_sign("pongs")
            return None
        answer = None
        try:
            payload = strict.loads(text)
            answer = reader.reply(payload)
            changes = reader.read(payload)
        except Refused:
            raise StreamLost(StreamReason.REFUSED) from None
        except Exception:  # the venue's fault or our reader's: nobody knows what this frame changed
            book.spoil(BookReason.UNREADABLE)
            changes = []
        for change in changes:
            book.take(change, clock.monotonic_seconds())
        if not changes:
            self._quiet_sign("frames")
        self._judge(bool(changes))
        return answer

    def _quiet_sign(self, kind: str) -> None:
        if kind == self.rule.quiet_proof:
            now = clock.monotonic_seconds()
            self.book.alive(now)
            if self.book.is_fresh(now):
                self.fresh_at = now

    def _judge(self, has_changed: bool) -> None:
        book, session = self.book, self.session
        if self.rule.snapshot == "stream" and book.reason not in WAITING:
            raise StreamLost(StreamReason.GAP, book.reason)
        if book.needs_snapshot:
            self._wanted.set()
        if book.reason is not None or not has_changed:
            return
        self.fresh_at, self.changed_at = clock.monotonic_seconds(), clock.now()
        if session is not None and session.live_at is None:
            session.live_at = self.changed_at
            if self._lost_at is not None:
                session.healed_ms = round((session.live_at - self._lost_at).total_seconds() * 1000)
        middle = book.middle()
        if middle != self._middle:
            self._middle = middle
            self._on_move()

    async def _watch(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Ask for signs of life; end a connection without any, and ask again for a book that has not changed for long."""
        began = clock.monotonic_seconds()
        while True:
            await asyncio.sleep(self.rule.ping_seconds)
            now = clock.monotonic_seconds()
            if now - self._heard_at > SILENCE_SECONDS_MAX:
                raise StreamLost(StreamReason.SILENT)
            is_waiting = self.rule.snapshot == "stream" and self.book.reason is not None
            if is_waiting and now - began > OPEN_SECONDS_MAX:
                raise StreamLost(StreamReason.NOT_OPENED_IN_TIME)
            if self.book.reason is None and now - self.book.changed_at > self.rule.quiet_seconds_max:
                self.book.spoil(BookReason.QUIET)
                self._judge(has_changed=False)
            if self.rule.ping_text:
                await socket.send_str(self.rule.ping_text)
            else:
                await socket.ping()

    async def _fetch_snapshots(self, reader: BookReader) -> None:
        failures = 0
        while True:
            if self.book.needs_snapshot:
                # Whatever goes wrong: the book stays as stale as it says, and we ask again.
                with contextlib.suppress(Exception):
                    await self._turn()
                    self.book.take(await reader.snapshot(), clock.monotonic_seconds())
                self._judge(has_changed=True)
            if self.book.needs_snapshot:
                failures += 1
                await asyncio.sleep(wait_seconds(failures, random.random()))
                continue
            failures = 0
            self._wanted.clear()
            await self._wanted.wait()

    def _end(self, reason: StreamReason, detail: str) -> None:
        self.book.spoil(BookReason.DISCONNECTED)
        session, self.session = self.session, None
        if session is not None:
            session.end(clock.now(), reason, detail)
            self._ended.append(session)
            self._lost_at = session.ended_at


def _losses(group: BaseExceptionGroup[StreamLost]) -> list[StreamLost]:
    found: list[StreamLost] = []
    for inner in group.exceptions:
        found += _losses(inner) if isinstance(inner, BaseExceptionGroup) else [inner]
    return found
