"""HTTP/1.1 for REST requests with little per-request cost; everything else on the port is handed to aiohttp.

A connection starts here. A request for a world is answered here; a control request, a WebSocket upgrade, a chunked
body or an oversized head hands the connection, with what was read of it, to aiohttp's own handler for good.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from venues.paper.exchange import Hang, Reply, handle
from venues.paper.messages import HttpRequest, encode_bytes
from venues.paper.world import World
from venues.paper.worlds import Worlds

log = logging.getLogger(__name__)

HEAD_BYTES_MAX = 32_768
BODY_BYTES_MAX = 1 << 20
REASONS = {status.value: status.phrase for status in HTTPStatus}
NO_WORLD = Reply(encode_bytes({"error": "no such world; see /_control/worlds"}), 404)
BROKEN = Reply(encode_bytes({"error": "the venue failed; its log says why"}), 500)
TOO_LARGE = Reply(encode_bytes({"error": "the body is too large"}), 413)

_numbers = itertools.count(1)


class Headers(dict[str, str]):
    """Headers by lower-case name, found under any case."""

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header."""
        return dict.get(self, name.lower(), default)


class WireProtocol(asyncio.Protocol):
    """One connection; its requests are answered one after the other."""

    def __init__(self, worlds: Worlds, fallback: Callable[[], asyncio.Protocol]) -> None:
        self.worlds = worlds
        self.fallback = fallback
        self.connection = f"http-{next(_numbers)}"
        self.remote = ""
        self.transport: asyncio.Transport | None = None
        self._buffer = b""
        self._is_busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection."""
        if isinstance(transport, asyncio.Transport) or hasattr(transport, "write"):
            self.transport = transport  # type: ignore[assignment]
        peer = transport.get_extra_info("peername")
        self.remote = str(peer[0]) if isinstance(peer, tuple) else ""

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection; what its requests did stays done."""
        self.transport = None

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._buffer = self._buffer + data if self._buffer else data
        if not self._is_busy:
            self._next()

    def _next(self) -> None:
        """Answer the next request that has arrived whole."""
        while self._buffer and self.transport is not None and not self._is_busy:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > HEAD_BYTES_MAX:
                    self._hand_over()
                return
            lines = self._buffer[:end].decode("latin-1").split("\r\n")
            method, target, version = (*lines[0].split(" ", 2), "", "")[:3]
            headers = Headers()
            for line in lines[1:]:
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            length = headers.get("content-length", "0")
            is_plain = version == "HTTP/1.1" and length.isdecimal() and target.startswith("/")
            is_special = "upgrade" in headers or "transfer-encoding" in headers or "expect" in headers
            if not is_plain or is_special or target.startswith("/_control"):
                self._hand_over()
                return
            whole = end + 4 + int(length)
            if int(length) > BODY_BYTES_MAX:
                self._write(TOO_LARGE, keep=False)
                return
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            keep = headers.get("connection", "").lower() != "close"
            self._request(method, target, headers, body, keep)

    def _request(self, method: str, target: str, headers: Headers, body: bytes, keep: bool) -> None:
        path, _, query = target.partition("?")
        parts = path.split("/", 3)
        world = self.worlds.by_name.get((parts[1], parts[2])) if len(parts) > 2 else None
        if world is None:
            self._write(NO_WORLD, keep)
            return
        http = HttpRequest(
            method=method,
            path="/" + (parts[3] if len(parts) > 3 else ""),
            query=query,
            headers=headers,
            body=body,
            remote=self.remote,
            connection=self.connection,
            received_at=time.time_ns() // 1000,
        )
        self._is_busy = True
        self._answer(world, http, keep, False)

    def _answer(self, world: World, http: HttpRequest, keep: bool, has_waited: bool) -> None:
        try:
            outcome = handle(world, http, has_waited)
        except Exception:  # whatever it was, the other side gets an answer and the log says what happened
            log.exception("%s %s failed", http.method, http.path)
            outcome = BROKEN
        if isinstance(outcome, Hang):
            seconds, loop = outcome.seconds, asyncio.get_running_loop()
            world.journal.after_durable(lambda: loop.call_later(seconds, self._answer, world, http, keep, True))
            return
        world.journal.after_durable(lambda: self._send(outcome, keep))

    def _send(self, reply: Reply, keep: bool) -> None:
        if reply.delay_seconds:
            asyncio.get_running_loop().call_later(reply.delay_seconds, self._finish, reply, keep)
        else:
            self._finish(reply, keep)

    def _finish(self, reply: Reply, keep: bool) -> None:
        self._is_busy = False
        if self.transport is None:
            return
        if reply.is_cut:
            self.transport.abort()
            return
        self._write(reply, keep and not reply.is_half)
        if self._buffer:
            self._next()

    def _write(self, reply: Reply, keep: bool) -> None:
        if self.transport is None:
            return
        lines = [
            f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Unknown')}",
            f"Content-Type: {reply.content_type}",
            f"Content-Length: {len(reply.content)}",
        ]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        if not keep:
            lines.append("Connection: close")
        content = reply.content[: len(reply.content) // 2] if reply.is_half else reply.content
        self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + content)
        if not keep:
            self.transport.close()

    def _hand_over(self) -> None:
        """Let aiohttp have the connection, and what was read of its next request."""
        transport, data = self.transport, self._buffer
        if transport is None:
            return
        self.transport, self._buffer = None, b""
        protocol = self.fallback()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)
