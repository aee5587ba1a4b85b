"""The real writer (orders/writer.py: batches, replays, conflicts) without its thread: it commits inline, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from orders import writer
from orders.books import Books
from project.lib.feed import Signals
from tests.simulation.loop import VirtualLoop
from tests.simulation.memory import Database
from tests.simulation.store import MemoryStore
from tests.simulation.swarm import Swarm

Result = TypeVar("Result")


class Killed(BaseException):
    """The node this code runs on is no more; nothing of it may go on."""


class InlineWriter(writer.Writer):
    """Jobs that gather while a commit is on its way share the next one, as behind the thread."""

    def __init__(self, database: Database, loop: VirtualLoop, swarm: Swarm, name: str) -> None:
        super().__init__()
        self._store: Any = MemoryStore(database)
        self._virtual, self._swarm = loop, swarm
        self._chance = random.Random(f"{swarm.seed}:writer:{name}")
        self._gathered: list[writer._Job] = []
        self._is_committing = self._is_telling = False
        self._answered_at = 0.0
        self._loop: Any = self

    async def run(self, function: Callable[[Books], Result]) -> Result:
        """Run function over the books inside a committed transaction and return its result."""
        if len(self._gathered) >= writer.QUEUE_MAX:
            raise writer.Full("the writer queue is full")
        future: asyncio.Future[Result] = self._virtual.create_future()
        self._gathered.append(writer._Job(function, future))
        if not self._is_committing:
            self._is_committing = True
            self._virtual.call_later(self._latency(), self._drain)
        return await future

    def commit_early(self) -> None:
        """Commit what has gathered at once: just before another node's commit, which has done its reading already."""
        if self._gathered:
            self._drain()

    def is_closed(self) -> bool:
        """Take answers always; the writer hands them to its loop, which here is itself."""
        return False

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        """Let the answers of a commit reach those who wait a moment after it, in order."""
        at = self._virtual.time() + self._chance.uniform(0, 0.002)
        self._answered_at = max(at, self._answered_at)
        self._virtual.call_at(self._answered_at, callback)

    def _drain(self) -> None:
        batch, self._gathered = self._gathered[: writer.BATCH_MAX], self._gathered[writer.BATCH_MAX :]
        if not batch:
            return  # committed early already
        try:
            self._commit(batch, tries=0)
        except Killed:
            return
        self._is_committing = bool(self._gathered)
        if self._gathered:
            self._virtual.call_later(self._latency(), self._drain)
        self._tell_in_time()

    def _tell_in_time(self) -> None:
        patience = self._patience()
        if patience is not None and not self._is_telling:
            self._is_telling = True
            self._virtual.call_later(patience, self._told)

    def _told(self) -> None:
        self._is_telling = False
        try:
            self._tell()
        except Killed:
            return
        self._tell_in_time()

    def _latency(self) -> float:
        if self._swarm.happens("slow_commit", self._chance):
            return self._chance.uniform(0.05, 2.0)
        return self._chance.uniform(0.0005, 0.004)


class _Connection:
    """Stands for the thread's database connection."""

    def close(self) -> None:
        """Drop it."""


class _Feed:
    """Stands for project.lib.feed as the writer uses it."""

    def __init__(self, database: Database, notify: Callable[[Signals], None], overtake: Callable[[], None]) -> None:
        self._database, self._overtake = database, overtake
        self.Signals = Signals
        self.send = notify

    @contextmanager
    def transaction(self, *, notify: bool = True, is_one_flush: bool = False) -> Iterator[Signals]:
        """Open the one transaction of the database in memory."""
        signals = Signals()
        self._overtake()
        with self._database.transaction("write") as committed:
            yield signals
        signals.wakes = frozenset(committed.wakes)


@contextmanager
def installed(database: Database, notify: Callable[[Signals], None], overtake: Callable[[], None]) -> Iterator[None]:
    """Let orders/writer.py stand on the database in memory within the block."""
    names: dict[str, Any] = vars(writer)
    before = {name: names[name] for name in ("feed", "connection")}
    names.update(feed=_Feed(database, notify, overtake), connection=_Connection())
    try:
        yield
    finally:
        names.update(before)
