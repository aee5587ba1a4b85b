"""The executor's one writer thread: commits whatever has gathered as one transaction (group commit)."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connection

from project.lib import feed

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
BATCH_MAX = 256
QUEUE_MAX = 20_000
RETRY_SECONDS = 0.5


class Full(Exception):
    """The queue is at its bound; the caller must refuse or wait, never drop silently."""


@dataclass
class _Job:
    function: Callable[[], Any]
    future: asyncio.Future[Any]


class Writer:
    """Run database functions one after another in one thread; several share a commit when they arrive together.

    A function may be run again when its batch failed: it must have no effect but on the database.
    """

    def __init__(self) -> None:
        self._queue: queue.Queue[_Job | None] = queue.Queue(QUEUE_MAX)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start the thread; call from the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """Finish what is queued, then end the thread."""
        self._queue.put(None)
        self._thread.join(timeout=10)

    async def run(self, function: Callable[[], Result]) -> Result:
        """Run function inside a committed transaction and return its result. Raises Full or what it raised."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait(_Job(function, future))
        except queue.Full:
            raise Full("the writer queue is full") from None
        return await future

    async def run_until_committed(self, function: Callable[[], Result]) -> Result:
        """Like run, but wait out a full queue and a database that is away: for facts that must not be lost."""
        while True:
            try:
                return await self.run(function)
            except (Full, OperationalError, InterfaceError):
                logger.warning("the database did not take a fact; keeping it and trying again")
                await asyncio.sleep(RETRY_SECONDS)

    def _run(self) -> None:
        while True:
            job = self._queue.get()
            if job is None:
                connection.close()
                return
            batch = [job]
            while len(batch) < BATCH_MAX:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    self._queue.put(None)
                    break
                batch.append(following)
            self._commit(batch)

    def _commit(self, batch: list[_Job]) -> None:
        try:
            with feed.transaction():
                results = [job.function() for job in batch]
        except Exception as error:
            if isinstance(error, OperationalError | InterfaceError):
                connection.close()
            if len(batch) > 1:  # one row may spoil a batch: replay each alone
                for job in batch:
                    self._commit([job])
                return
            if not isinstance(error, DatabaseError):
                logger.debug("a database function raised %s", type(error).__name__)
            self._settle(batch[0].future, None, error)
            return
        for job, result in zip(batch, results, strict=True):
            self._settle(job.future, result, None)

    def _settle(self, future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        def settle() -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(settle)
