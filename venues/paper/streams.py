"""A world's WebSocket connections: bounded queues between the engine and the sockets."""

import asyncio
import contextlib

from aiohttp import web

from venues.paper.hub import Listener
from venues.paper.messages import Abortable

QUEUE_MAX = 20_000


class Connection(Listener):
    """One socket with its own sender, so that a slow reader holds up nobody."""

    def __init__(self, socket: web.WebSocketResponse, transport: Abortable | None) -> None:
        super().__init__()
        self.socket = socket
        self._transport = transport
        self._queue: asyncio.Queue[str] = asyncio.Queue(QUEUE_MAX)
        self._sender = asyncio.get_running_loop().create_task(self._send_all())

    def send_text(self, text: str) -> None:
        """Queue a frame as it is; a reader too slow for the queue is cut off."""
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
