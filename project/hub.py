"""One listener per web process; every socket of the process gets its frames from here, coalesced."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.db import DatabaseError

from project.lib import clock, feed
from project.lib.models import FeedEntry
from project.lib.notify import Listener

logger = logging.getLogger(__name__)
COALESCE_SECONDS = 0.1  # pages fetch a region twice a second at most, whatever comes
POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 5.0
QUEUE_FRAMES_MAX = 32
CATCH_UP_ENTRIES_MAX = 10_000
Frame = dict[str, Any]


@dataclass(eq=False)
class Socket:
    """What one open page has been told; `seq` is the last sequence in its queue."""

    seq: int
    queue: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(QUEUE_FRAMES_MAX))

    def offer(self, seq: int, topics: list[str], *, prev: int | None = None) -> None:
        """Queue a frame. At the bound everything waiting is dropped: the next frame shows a gap and the page refetches."""
        before = self.seq if prev is None else prev
        if self.queue.full():
            while not self.queue.empty():
                self.queue.get_nowait()
            before = -1
        self.seq = seq
        self.queue.put_nowait(json.dumps({"prev": before, "seq": seq, "at": _at(), "topics": topics}))


class Hub:
    """Fan the feed out to the sockets of this process."""

    def __init__(self) -> None:
        self._sockets: set[Socket] = set()
        self._poked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._seq = 0

    async def join(self, since: int) -> Socket:
        """Register a page rendered at `since` and queue what it has missed, or a frame that makes it refetch."""
        head, topics = await database_sync_to_async(_news)(since)
        socket = Socket(since)
        if topics is None or since > head or head < self._seq:
            socket.offer(max(head, self._seq), [], prev=-1)
        else:
            socket.offer(head, topics)
        if self._task is None or self._task.done():
            self._seq = head
            self._task = asyncio.create_task(self._run())
        self._sockets.add(socket)
        return socket

    def leave(self, socket: Socket) -> None:
        """Forget a page; the last one out turns the listener off."""
        self._sockets.discard(socket)
        if not self._sockets and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()

        def poke(channel: str, payload: str) -> None:
            try:
                loop.call_soon_threadsafe(self._poked.set)
            except RuntimeError:
                pass  # the server is shutting down; nobody listens any more

        listener = Listener([feed.FEED_CHANNEL], poke)
        listener.start()
        heartbeat_at = loop.time() + HEARTBEAT_SECONDS
        try:
            while True:
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._poked.wait()
                except TimeoutError:
                    pass
                self._poked.clear()
                await self._fan_out()
                if loop.time() >= heartbeat_at:
                    heartbeat_at = loop.time() + HEARTBEAT_SECONDS
                    for socket in self._sockets:
                        socket.offer(socket.seq, [])
                await asyncio.sleep(COALESCE_SECONDS)
        finally:
            listener.stop()

    async def _fan_out(self) -> None:
        try:
            head, topics = await database_sync_to_async(_news)(self._seq)
        except DatabaseError:
            logger.warning("the hub could not read the feed; pages fall back to polling until it can")
            return
        if head == self._seq:
            return
        before, self._seq = self._seq, head
        for socket in self._sockets:
            if topics is None or head < before:
                socket.offer(head, [], prev=-1)
            elif socket.seq < head:
                socket.offer(head, topics)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def current() -> Hub:
    """Return the hub of the running event loop, made on first use (the default server has no start-up hook)."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())


def _news(after: int) -> tuple[int, list[str] | None]:
    head = feed.head()
    if head <= after:
        return head, []
    if head - after > CATCH_UP_ENTRIES_MAX:
        return head, None
    entries = FeedEntry.objects.filter(seq__gt=after, seq__lte=head)
    topics = list(entries.order_by("topic").values_list("topic", flat=True).distinct())
    return head, topics or None  # nothing left to read there: the rows were pruned


def _at() -> str:
    return clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
