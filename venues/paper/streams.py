"""WebSocket connections of a world: bounded queues, private and public subscriptions."""

import asyncio
import contextlib
import itertools
from typing import Any

from aiohttp import web

from venues.paper.messages import Abortable, encode

QUEUE_MAX = 20_000
Frame = dict[str, Any]

_numbers = itertools.count(1)


class Connection:
    """One socket with its own sender, so that a slow reader holds up nobody."""

    def __init__(self, socket: web.WebSocketResponse, transport: Abortable | None) -> None:
        self.id = f"ws-{next(_numbers)}"
        self.socket = socket
        self.accounts: dict[str, Frame] = {}
        self.channels: dict[str, Frame] = {}
        self.sequence = itertools.count(1)
        self._transport = transport
        self._queue: asyncio.Queue[str] = asyncio.Queue(QUEUE_MAX)
        self._sender = asyncio.get_running_loop().create_task(self._send_all())

    def send(self, frame: Frame) -> None:
        """Queue a frame; a reader too slow for the queue is cut off."""
        self.send_text(encode(frame))

    def send_text(self, text: str) -> None:
        """Queue a frame as it is."""
        try:
            self._queue.put_nowait(text)
        except asyncio.QueueFull:
            self.cut()

    def cut(self) -> None:
        """End the connection without a closing handshake."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Stop the sender."""
        self._sender.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._sender

    async def _send_all(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await self.socket.send_str(await self._queue.get())


class Hub:
    """The connections of one world."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()

    def watching(self, account: str) -> list[Connection]:
        """Return the connections subscribed to an account."""
        return [connection for connection in self.connections if account in connection.accounts]

    def listening(self, prefix: str) -> list[Connection]:
        """Return the connections with a public channel whose name starts so."""
        return [
            connection
            for connection in self.connections
            if any(channel.startswith(prefix) for channel in connection.channels)
        ]

    @property
    def has_public(self) -> bool:
        """Tell whether anybody listens to a public channel."""
        return any(connection.channels for connection in self.connections)
