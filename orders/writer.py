"""The executor's one writer thread: commits whatever has gathered as one transaction (group commit)."""

from __future__ import annotations

import asyncio
import itertools
import logging
import queue
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connection

from orders.books import Books, Conflict, Fenced
from orders.cache import Cache
from orders.store import Store
from project.lib import clock, failpoints, feed

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
BATCH_MAX = 256
QUEUE_MAX = 20_000
RETRY_SECONDS = 0.5
CONFLICT_TRIES_MAX = 5
TOLD_WITHIN_SECONDS = 0.1
NEWS_WITHIN_SECONDS = 0.01


class Full(Exception):
    """The queue is at its bound; the caller must refuse or wait, never drop silently."""


@dataclass(slots=True)
class _Job:
    function: Callable[[Books], Any]
    future: asyncio.Future[Any]


class Writer:
    """Run functions over the books one after another in one thread; several share a commit when they arrive together.

    A function may be run again when its batch failed: it must have no effect but on the books.
    """

    def __init__(self, cache: Cache | None = None) -> None:
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._store, self._cache = Store(), cache or Cache()
        self._untold = feed.Signals()
        self._untold_at = 0.0
        self._begun: dict[uuid.UUID, float] = {}

    def start(self) -> None:
        """Start the thread; call from the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """Finish what is queued, then end the thread."""
        self._queue.put(None)
        self._thread.join(timeout=10)

    async def run(self, function: Callable[[Books], Result]) -> Result:
        """Run function over the books inside a committed transaction and return its result. Raises Full or what it raised."""
        if self._queue.qsize() >= QUEUE_MAX:
            raise Full("the writer queue is full")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.put(_Job(function, future))
        return await future

    async def run_until_committed(self, function: Callable[[Books], Result]) -> Result:
        """Like run, but wait out a full queue and a database that is away: for facts that must not be lost."""
        while True:
            try:
                return await self.run(function)
            except (Full, OperationalError, InterfaceError):
                logger.warning("the database did not take a fact; keeping it and trying again")
                await asyncio.sleep(RETRY_SECONDS)

    def _run(self) -> None:
        while True:
            try:
                job = self._queue.get(timeout=self._patience())
            except queue.Empty:
                self._tell()
                continue
            if job is None:
                self._tell(at_once=True)
                connection.close()
                return
            batch = [job]
            while len(batch) < BATCH_MAX and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    self._queue.put(None)
                    break
                batch.append(following)
            self._commit(batch, tries=0)
            self._tell()

    def _patience(self) -> float | None:
        """Return how long nothing may happen before something is to be told; None when there is nothing to tell."""
        if self._has_news():
            return NEWS_WITHIN_SECONDS
        return TOLD_WITHIN_SECONDS if self._begun else None

    def _tell(self, *, at_once: bool = False) -> None:
        """Store what was put off, and signal what was stored, each when its time has come."""
        if self._due():
            self._commit([], tries=0)
        is_time = clock.monotonic_seconds() - self._untold_at >= NEWS_WITHIN_SECONDS
        if self._has_news() and (is_time or at_once):
            feed.send(self._untold)
            self._untold = feed.Signals()

    def _commit(self, batch: list[_Job], tries: int) -> None:
        books = Books(self._store, self._cache, is_careful=tries > 0)
        due = self._due()
        try:
            results = [job.function(books) for job in batch]
            books.tell_begun(due)
            with feed.transaction(notify=False, is_one_flush=not books.deferred) as signals:
                books.commit()
        except BaseException as error:
            books.abandon()
            for order_id in due:
                self._begun.pop(order_id, None)  # told with what happens to it next
            if not isinstance(error, Exception):
                raise
            self._failed(batch, error, tries)
            return
        books.committed()
        self._note(books, due, signals)
        failpoints.reach("P8")
        self._settle([(job.future, result, None) for job, result in zip(batch, results, strict=True)])

    def _note(self, books: Books, told: list[uuid.UUID], signals: feed.Signals) -> None:
        now = clock.monotonic_seconds()
        for order_id in (*told, *books.changed_orders):
            self._begun.pop(order_id, None)
        self._begun |= dict.fromkeys(books.begun, now)
        if not self._has_news():
            self._untold_at = now
        self._untold.also(signals)

    def _due(self) -> list[uuid.UUID]:
        until = clock.monotonic_seconds() - TOLD_WITHIN_SECONDS
        return list(itertools.takewhile(lambda order_id: self._begun[order_id] <= until, self._begun))

    def _has_news(self) -> bool:
        return self._untold.has_news or bool(self._untold.wakes)

    def _failed(self, batch: list[_Job], error: Exception, tries: int) -> None:
        if isinstance(error, OperationalError | InterfaceError):
            connection.close()
            self._cache.clear()
        if isinstance(error, Fenced):
            self._cache.risk.clear()
        if not batch:
            return
        if len(batch) > 1:  # one row may spoil a batch: replay each alone
            for job in batch:
                self._commit([job], tries=1)
            return
        if isinstance(error, Conflict | Fenced) and tries < CONFLICT_TRIES_MAX:
            self._commit(batch, tries + 1 if isinstance(error, Conflict) else CONFLICT_TRIES_MAX)
            return
        if isinstance(error, DatabaseError) and tries == 0 and not isinstance(error, OperationalError | InterfaceError):
            self._commit(batch, tries=1)  # once more, looking before each write
            return
        if not isinstance(error, DatabaseError | Fenced):
            logger.debug("a database function raised %s", type(error).__name__)
        self._settle([(batch[0].future, None, error)])

    def _settle(self, settled: list[tuple[asyncio.Future[Any], Any, Exception | None]]) -> None:
        def settle() -> None:
            for future, result, error in settled:
                if future.done():
                    continue
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(result)

        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(settle)
