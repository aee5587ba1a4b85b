"""HTTP/1.1 to venues on bare asyncio protocols: exact outcomes, one send per request, everything bounded."""

from __future__ import annotations

import asyncio
import os
import re
import select
import socket
import ssl
from collections.abc import Mapping
from typing import NamedTuple, cast

from project.lib import failpoints
from venues.adapters.reply import Reply
from venues.adapters.transport import UNSENDABLE, HttpRecord, ssl_context

CONNECT_SECONDS_MAX = 5.0
IDLE_SECONDS_MAX = 15.0
CONNECTIONS_MAX = 200
_TARGET = re.compile(
    r"[\x21\x22\x24-\x7e]*", re.ASCII
)  # what may stand in a request line: no space, control or fragment
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\]", re.ASCII)
_OWN = frozenset(("host", "content-length", "connection", "transfer-encoding", "expect", "upgrade"))
_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Where a connection leads."""

    scheme: str
    host: str
    port: int


class LeanWire:
    """A bounded pool of keep-alive connections; no redirects, cookies or proxies, and nothing is ever sent twice."""

    def __init__(self, timeout_seconds: float, context: ssl.SSLContext | None = None) -> None:
        self._timeout_seconds = timeout_seconds
        self._context = context
        self._origins: dict[str, tuple[Origin, str]] = {}
        self._idle: dict[Origin, list[_Connection]] = {}
        self._connections: set[_Connection] = set()
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def send(self, record: HttpRecord, headers: Mapping[str, str], body: bytes | None) -> None:
        """Send one request once and record what came of it."""
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        try:
            origin, request = self._written(record, headers, body)
        except ValueError:
            record.fault = UNSENDABLE
            return
        if not await self._has_room(deadline):
            record.fault = "timeout"
            return
        try:
            connection = self._idle_connection(origin) or await self._connected(origin, record, deadline)
            if connection is not None:
                await self._exchange(connection, record, request, deadline)
        finally:
            self._room.release()

    async def close(self) -> None:
        """Close every connection; a request in flight ends as disconnected."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in tuple(self._connections):
            connection.drop()
        self._idle.clear()

    async def _exchange(self, connection: _Connection, record: HttpRecord, request: bytes, deadline: float) -> None:
        if not connection.may_be_used_again:  # it ended while it was being opened
            record.fault = "disconnected"
            return
        timer = asyncio.get_running_loop().call_at(deadline, connection.fail, "timeout")
        record.sent = True  # from here on a byte could leave
        answer = connection.ask(request, record.method)
        try:
            await answer.done
        except asyncio.CancelledError:
            connection.drop()
            raise
        finally:
            timer.cancel()
        answer.write_to(record)
        if connection.may_be_used_again:
            self._keep(connection)
        else:
            connection.drop()

    async def _has_room(self, deadline: float) -> bool:
        if not self._room.locked():
            return await self._room.acquire()
        try:
            async with asyncio.timeout_at(deadline):
                return await self._room.acquire()
        except TimeoutError:
            return False

    async def _connected(self, origin: Origin, record: HttpRecord, deadline: float) -> _Connection | None:
        """Open a connection, or set the fault: nothing that fails here has sent a byte of the request."""
        loop = asyncio.get_running_loop()
        if self._is_closed:
            record.fault = "gateway closed"
            return None
        if len(self._connections) >= CONNECTIONS_MAX:
            self._drop_oldest()
        context = (self._context or ssl_context()) if origin.scheme == "https" else None
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + CONNECT_SECONDS_MAX)):
                _, connection = await loop.create_connection(
                    lambda: _Connection(loop, self._connections, origin), origin.host, origin.port, ssl=context,
                    server_hostname=origin.host if context else None,
                )  # fmt: skip
        except TimeoutError:
            record.fault = "timeout"
        except socket.gaierror:
            record.fault = "no such host"
        except ssl.SSLError:
            record.fault = "tls failed"
        except ConnectionRefusedError:
            record.fault = "connection refused"
        except (OSError, ValueError):
            record.fault = "no connection"
        else:
            return connection
        return None

    def _idle_connection(self, origin: Origin) -> _Connection | None:
        waiting = self._idle.get(origin)
        oldest_allowed = asyncio.get_running_loop().time() - IDLE_SECONDS_MAX
        while waiting:
            connection = waiting.pop()
            if connection.idle_since > oldest_allowed and connection.is_quiet():
                return connection
            connection.drop()
        return None

    def _keep(self, connection: _Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.setdefault(connection.origin, []).append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(IDLE_SECONDS_MAX, self._drop_stale)

    def _drop_stale(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = None
        oldest_allowed = loop.time() - IDLE_SECONDS_MAX
        for origin, waiting in tuple(self._idle.items()):
            for connection in waiting:
                if connection.idle_since <= oldest_allowed:
                    connection.drop()
            fresh = [connection for connection in waiting if connection.idle_since > oldest_allowed]
            if fresh:
                self._idle[origin] = fresh
            else:
                del self._idle[origin]
        if self._idle:
            self._sweep = loop.call_later(IDLE_SECONDS_MAX / 3, self._drop_stale)

    def _drop_oldest(self) -> None:
        lists = [waiting for waiting in self._idle.values() if waiting]
        if lists:
            min(lists, key=lambda waiting: waiting[0].idle_since).pop(0).drop()

    def _written(self, record: HttpRecord, headers: Mapping[str, str], body: bytes | None) -> tuple[Origin, bytes]:
        """Return where the request goes and its bytes. Raises ValueError for what would not be one request."""
        start = record.url.find("/", record.url.find("://") + 3)
        address, target = (record.url[:start], record.url[start:]) if start > 0 else (record.url, "/")
        known = self._origins.get(address)
        if known is None:
            known = self._origins[address] = _origin(address)
        origin, host = known
        target = target.partition("#")[0]
        if not _TARGET.fullmatch(target) or not record.method.isalpha():
            raise ValueError("request line")
        lines = [f"{record.method} {target} HTTP/1.1", host]
        lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() not in _OWN]
        if body or record.method not in ("GET", "HEAD"):
            lines.append(f"Content-Length: {len(body or b'')}")
        head = "\r\n".join(lines)
        # A line break inside a name or a value would begin a header, or a request, of somebody else's.
        if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1 or "\0" in head:
            raise ValueError("header")
        return origin, head.encode("latin-1") + b"\r\n\r\n" + (body or b"")


class _Connection(asyncio.Protocol):
    """One TCP or TLS connection, which carries one request at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, register: set[_Connection], origin: Origin) -> None:
        self.origin = origin
        self.idle_since = 0.0
        self.may_be_used_again = True
        self._loop = loop
        self._register = register
        self._transport: asyncio.Transport | None = None
        self._readable = select.poll()
        self._answer: Reply | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the open connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._readable.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._register.add(self)

    def ask(self, request: bytes, method: str) -> Reply:
        """Write a request; the answer is complete or has a fault when its `done` is."""
        self._answer = answer = Reply(self._loop.create_future(), method == "HEAD")
        if failpoints.is_on("P5") and self.origin.scheme == "http":
            request = self._half_written(request)
        cast(asyncio.Transport, self._transport).write(request)
        return answer

    def _half_written(self, request: bytes) -> bytes:
        """Write half of a request past the event loop, which may hold it back, and return the other half."""
        half = len(request) // 2
        os.write(cast(asyncio.Transport, self._transport).get_extra_info("socket").fileno(), request[:half])
        failpoints.reach("P5")
        return request[half:]

    def is_quiet(self) -> bool:
        """Say whether neither an end nor a byte nobody asked for has arrived, not even in the kernel."""
        return self.may_be_used_again and not self._readable.poll(0)

    def drop(self) -> None:
        """Close at once; an answer awaited ends as disconnected."""
        self.fail("disconnected")

    def fail(self, fault: str) -> None:
        """End the answer awaited with a fault, and the connection with it."""
        self.may_be_used_again = False
        if self._transport is not None:
            self._transport.abort()
        if self._answer is not None:
            self._answer.fault = self._answer.fault or fault
            self._finish()

    def data_received(self, data: bytes) -> None:
        """Feed the answer; what nobody asked for ends the connection."""
        answer = self._answer
        if answer is None:
            self.drop()
            return
        failpoints.reach("P6")
        answer.feed(data)
        if answer.fault:
            self.fail(answer.fault)
        elif answer.is_complete:
            self.may_be_used_again = answer.keeps_alive
            self._finish()

    def eof_received(self) -> None:
        """Take an end for the end of a body only where nothing else marks it; under TLS asyncio hides whether it was signed."""
        self.may_be_used_again = False
        if self._answer is not None and self.origin.scheme == "http" and self._answer.ends_with_the_connection():
            self._answer.is_complete = True
            self._finish()

    def connection_lost(self, _: Exception | None) -> None:
        """End what was awaited."""
        self._register.discard(self)
        began = self._answer is not None and self._answer.raw_bytes > 0
        self.fail("truncated" if began else "disconnected")

    def _finish(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done.done():
            answer.done.set_result(None)


def _origin(address: str) -> tuple[Origin, str]:
    scheme, _, place = address.partition("://")
    host, colon, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
    if not colon:
        host, port = place, ""
    if scheme not in _PORTS or not _HOST.fullmatch(host) or (colon and not port.isdecimal()) or len(port) > 5:
        raise ValueError("address")
    return Origin(scheme, host.strip("[]"), int(port or _PORTS[scheme])), f"Host: {place}"
