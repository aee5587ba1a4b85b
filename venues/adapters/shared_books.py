"""The book feeds of this process: one for each venue and symbol, shared by the accounts that need it, stopped when none does."""

from __future__ import annotations

import asyncio
import copy
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp

from project.lib import clock
from venues.adapters import client as clients
from venues.adapters.book_reader import BookReader
from venues.adapters.book_registry import book_reader
from venues.adapters.feed import Feed, Opened
from venues.adapters.markets import SharedMarkets
from venues.adapters.wire import LeanWire
from venues.capabilities import Capabilities
from venues.facts.shapes import BookRule
from venues.facts.streaming import book_rule
from venues.streams import Session
from venues.targets import VenueTarget

IDLE_SECONDS = 10.0
TIMEOUT_SECONDS = 10.0
Turn = Callable[[], Awaitable[None]]


@dataclass
class _Place:
    """What the feeds of one venue have in common: a client without keys, its connections, the market list."""

    target: VenueTarget
    capabilities: Capabilities
    markets: SharedMarkets
    reader: type[BookReader]
    rule: BookRule
    client: Any = None
    wire: LeanWire | None = None
    sockets: aiohttp.ClientSession | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def open(self, symbol: str) -> Opened:
        """Return a reader for a symbol and where to connect from. Raises whatever keeps the market list from us."""
        async with self.lock:
            if self.client is None or self.sockets is None:
                self.wire, self.sockets = LeanWire(TIMEOUT_SECONDS), clients.socket_session()
                client = clients.build(self.target, self.capabilities, None, self.wire)
                await self.markets.give(self.target.code, client, partial(_loaded, client))
                self.client = client
        return self.reader(self.client, symbol, self.rule), self.sockets

    async def close(self) -> None:
        """Close the connections."""
        if self.sockets is not None:
            await self.sockets.close()
        if self.wire is not None:
            await self.wire.close()


@dataclass
class _Running:
    """A feed at work, who needs it, who needed it last, and since when nobody does."""

    feed: Feed
    task: asyncio.Task[None]
    holders: dict[str, Turn] = field(default_factory=dict)
    last_holder: str = ""
    idle_since: float | None = None


class SharedBooks:
    """The feeds by venue and symbol. Every gateway of a process is given the same one."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._running: dict[tuple[str, str], _Running] = {}
        self._moved: dict[str, asyncio.Event] = {}
        self._ended: dict[str, list[Session]] = defaultdict(list)
        self._timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def want(
        self,
        holder: str,
        target: VenueTarget,
        capabilities: Capabilities,
        markets: SharedMarkets,
        symbols: Iterable[str],
        turn: Turn,
    ) -> None:
        """Have the books of these symbols kept up for a holder, and no others for it any more.

        `turn` is awaited before a snapshot is asked for: the holder's rate budget.
        """
        reader, rule = book_reader(target.exchange), book_rule(target.exchange)
        if reader is None or rule is None:
            return
        wanted = {(target.code, symbol) for symbol in symbols}
        for key, running in self._running.items():
            if key not in wanted:
                running.holders.pop(holder, None)
        for key in wanted:
            if key not in self._running:
                place = self._places.setdefault(key[0], _Place(target, capabilities, markets, reader, rule))
                self._running[key] = self._started(key, place)
            running = self._running[key]
            running.holders.setdefault(holder, turn)
            running.last_holder = holder
        self._stop_idle()

    def release(self, holder: str) -> list[Session]:
        """Have nothing kept up for a holder any more; return the sessions that ended, by this too, and were not taken."""
        for running in self._running.values():
            if running.holders.pop(holder, None) is not None and not running.holders:
                running.last_holder, running.idle_since = holder, clock.monotonic_seconds() - IDLE_SECONDS
        self._stop_idle()
        self._moved.pop(holder, None)
        return self._ended.pop(holder, [])

    def find(self, venue: str, symbol: str) -> Feed | None:
        """Return the feed of a symbol, None where there is none."""
        running = self._running.get((venue, symbol))
        return None if running is None else running.feed

    def held_by(self, holder: str) -> list[Feed]:
        """Return the feeds a holder needs."""
        return [running.feed for running in self._running.values() if holder in running.holders]

    def moved(self, holder: str) -> asyncio.Event:
        """Return the event that is set when a book a holder needs has another middle; the holder clears it."""
        return self._moved.setdefault(holder, asyncio.Event())

    def take_sessions(self, holder: str) -> list[Session]:
        """Return the sessions that ended since the last call, and those that stand, of the feeds this holder speaks for."""
        found = self._ended.pop(holder, [])
        for running in self._running.values():
            if next(iter(running.holders), None) == holder:
                found += running.feed.take_ended()
                if running.feed.session is not None:
                    running.feed.session.seen_at = clock.now()
                    found.append(copy.copy(running.feed.session))
        return found

    def _started(self, key: tuple[str, str], place: _Place) -> _Running:
        venue, symbol = key

        async def turn() -> None:
            holder = next(iter(self._running[key].holders.values()), None)
            if holder is not None:
                await holder()

        feed = Feed(symbol, place.rule, partial(place.open, symbol), turn, partial(self._tell, key))
        return _Running(feed, asyncio.create_task(feed.run(), name=f"book-{venue}-{symbol}"))

    def _tell(self, key: tuple[str, str]) -> None:
        running = self._running.get(key)
        for holder in running.holders if running is not None else ():
            self.moved(holder).set()

    def _stop_idle(self) -> None:
        now, earliest = clock.monotonic_seconds(), None
        for key, running in list(self._running.items()):
            if running.holders:
                running.idle_since = None
                continue
            running.idle_since = now if running.idle_since is None else running.idle_since
            due = running.idle_since + IDLE_SECONDS
            if due <= now:
                del self._running[key]
                running.feed.stop()
                self._ended[running.last_holder] += running.feed.take_ended()
                running.task.cancel()
            else:
                earliest = due if earliest is None else min(earliest, due)
        venues = {venue for venue, _ in self._running}
        for venue in [venue for venue in self._places if venue not in venues]:
            self._in_background(self._places.pop(venue).close())
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = None if earliest is None else loop.call_later(earliest - now + 0.05, self._stop_idle)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _loaded(client: Any) -> Any:
    await client.load_markets(True)
    return client
