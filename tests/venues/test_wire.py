"""HTTP by the letter: what is whole is an answer, what is not is none, and a connection is used only when it is good."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import threading
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.venues.desk import until
from venues.adapters import wire as wires
from venues.adapters.reply import HEAD_BYTES_MAX
from venues.adapters.transport import HttpRecord
from venues.adapters.wire import LeanWire

TIMEOUT_SECONDS = 5.0
OK = b"HTTP/1.1 200 OK\r\n"
PACKED = gzip.compress(b'{"a":1}')
RAW_DEFLATED = zlib.compress(b'{"a":1}')[2:-4]


class Server:
    """Answers the n-th request of each connection with the n-th script, byte for byte, and counts."""

    def __init__(self, *scripts: bytes, ends: bool = False) -> None:
        self.scripts, self.ends = scripts, ends
        self.connections = 0
        self.requests: list[bytes] = []
        self.ended = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            for script in self.scripts:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(script)
                await writer.drain()
            if self.ends:
                writer.write_eof()
            await reader.read()
        self.ended.set()
        writer.close()


@contextlib.asynccontextmanager
async def served(server: Server, host: str = "127.0.0.1") -> AsyncIterator[Server]:
    listening = await asyncio.start_server(server.serve, host, 0)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"http://{f'[{host}]' if ':' in host else host}:{port}/order"
    try:
        yield server
    finally:
        listening.close()


async def asked(wire: LeanWire, url: str, method: str = "GET", headers: dict[str, str] | None = None) -> HttpRecord:
    record = HttpRecord(method, url)
    await wire.send(record, headers or {}, None)
    return record


async def one(*scripts: bytes, ends: bool = False, method: str = "GET") -> HttpRecord:
    wire = LeanWire(TIMEOUT_SECONDS)
    async with served(Server(*scripts, ends=ends)) as server:
        record = await asked(wire, server.url, method)
        await wire.close()
    return record


@pytest.mark.parametrize(
    ("script", "ends", "status", "body"),
    [
        (OK + b"Content-Length: 7\r\n\r\n" + b'{"a":1}', False, 200, '{"a":1}'),
        (OK + b"cOnTeNt-LeNgTh: 7\r\n\r\n" + b'{"a":1}', False, 200, '{"a":1}'),
        (OK + b'Transfer-Encoding: chunked\r\n\r\n3;x=y\r\n{"a\r\n4\r\n":1}\r\n0\r\nT: u\r\n\r\n', False, 200, '{"a":1}'),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED, False, 200, '{"a":1}'),
        (
            OK + b"Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(RAW_DEFLATED) + RAW_DEFLATED,
            False, 200, '{"a":1}',
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False, 204, ""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", False, 304, ""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\n{}", False, 200, "{}"),
        (OK + b"\r\n{}", True, 200, "{}"),
        (b"HTTP/1.0 503 Busy\r\nContent-Length: 2\r\n\r\n{}", False, 503, "{}"),
    ],
)  # fmt: skip
async def test_whole_answers(script: bytes, ends: bool, status: int, body: str) -> None:
    record = await one(script, ends=ends)
    assert (record.fault, record.status, record.body) == ("", status, body)
    assert record.answered
    assert record.sent


@pytest.mark.parametrize(
    "script",
    [
        OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        OK + b"X: a\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"X : a\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Content-Length: -2\r\n\r\n{}",
        OK + b"Content-Length: 2\r\n\r\n{}and more",
        (OK + b"Content-Length: 2\r\n\r\n{}") * 2,
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        OK + b"X: " + b"a" * (HEAD_BYTES_MAX + 1) + b"\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"X: " + b"a" * (HEAD_BYTES_MAX * 2),
        OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % (len(PACKED) + 1) + PACKED + b"x",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
async def test_malformed_answers_are_none(script: bytes) -> None:
    record = await one(script)
    assert (record.fault, record.sent, record.answered) == ("malformed", True, False)


@pytest.mark.parametrize(
    "script",
    [
        b"HTTP/1.1 200",
        OK + b"Content-Length: 3\r\n\r\n{}",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
        OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % (len(PACKED) - 1) + PACKED[:-1],
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_truncated_answers_are_none(script: bytes) -> None:
    record = await one(script, ends=True)
    assert (record.fault, record.sent, record.answered) == ("truncated", True, False)


async def test_the_head_of_something_has_no_body() -> None:
    record = await one(OK + b"Content-Length: 900\r\n\r\n", method="HEAD")
    assert (record.fault, record.status, record.body) == ("", 200, "")


async def test_names_of_headers_have_no_case_and_repeated_ones_are_joined() -> None:
    record = await one(OK + b"x-MBX-used-Weight-1m: 7\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-Length: 0\r\n\r\n")
    assert record.headers.get("X-MBX-USED-WEIGHT-1M") == "7"
    assert record.headers["Set-Cookie"] == "a, b"
    assert "CONTENT-LENGTH" in record.headers


async def test_a_connection_serves_request_after_request_without_cookies() -> None:
    answer = OK + b"Set-Cookie: a=b\r\nContent-Length: 2\r\n\r\n{}"
    wire = LeanWire(TIMEOUT_SECONDS)
    async with served(Server(answer, answer, answer)) as server:
        records = [await asked(wire, server.url, "DELETE") for _ in range(3)]
        await wire.close()
    assert [record.fault for record in records] == [""] * 3
    assert server.connections == 1
    assert not any(b"cookie" in request.lower() for request in server.requests)
    assert server.requests[0].endswith(b"Content-Length: 0\r\n\r\n")


@pytest.mark.parametrize("closing", [b"HTTP/1.1 200 OK\r\nConnection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
async def test_a_connection_that_the_venue_will_close_is_not_used_again(closing: bytes) -> None:
    wire = LeanWire(TIMEOUT_SECONDS)
    async with served(Server(closing + b"Content-Length: 2\r\n\r\n{}")) as server:
        records = [await asked(wire, server.url) for _ in range(2)]
        await wire.close()
    assert [record.answered for record in records] == [True, True]
    assert server.connections == 2


def test_an_end_that_only_the_kernel_knows_of_keeps_a_connection_from_use() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    closed, accepted = threading.Event(), []

    def serve() -> None:
        for _ in range(2):
            connection = listening.accept()[0]
            accepted.append(connection.recv(65536))
            connection.sendall(OK + b"Content-Length: 2\r\n\r\n{}")
            connection.close()
            closed.set()

    async def ask_twice() -> list[HttpRecord]:
        wire = LeanWire(TIMEOUT_SECONDS)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        first = await asked(wire, url)
        assert closed.wait(TIMEOUT_SECONDS)  # on purpose without the loop: it has not seen the end yet
        second = await asked(wire, url)
        await wire.close()
        return [first, second]

    serving = threading.Thread(target=serve)
    serving.start()
    records = asyncio.run(ask_twice())
    serving.join(TIMEOUT_SECONDS)
    listening.close()
    assert [(record.fault, record.answered) for record in records] == [("", True), ("", True)]
    assert len(accepted) == 2


async def test_bytes_nobody_asked_for_end_a_connection() -> None:
    answer = OK + b"Content-Length: 2\r\n\r\n{}"
    wire = LeanWire(TIMEOUT_SECONDS)
    go = asyncio.Event()
    chatter = iter([b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"])

    async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await go.wait()
        writer.write(next(chatter, b""))
        with contextlib.suppress(asyncio.CancelledError):
            await reader.read()
        writer.close()

    listening = await asyncio.start_server(chatty, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    first = await asked(wire, url)
    (connection,) = wire._connections
    go.set()
    while connection.may_be_used_again:
        await asyncio.sleep(0)
    second = await asked(wire, url)
    await wire.close()
    listening.close()
    assert (first.status, second.status) == (200, 200)


async def test_a_connection_idle_for_too_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = OK + b"Content-Length: 2\r\n\r\n{}"
    wire = LeanWire(TIMEOUT_SECONDS)
    async with served(Server(answer, answer)) as server:
        await asked(wire, server.url)
        monkeypatch.setattr(wires, "IDLE_SECONDS_MAX", 0.0)
        await asked(wire, server.url)
        wire._drop_stale()
        assert not wire._idle
        await wire.close()
    assert server.connections == 2


async def test_a_connect_that_hangs_ends_and_has_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "CONNECT_SECONDS_MAX", 0.3)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    address = listening.getsockname()
    crowd = [socket.socket() for _ in range(4)]
    for client in crowd:
        client.setblocking(False)
        client.connect_ex(address)  # nobody accepts: the queue is full, and further SYNs get no answer
    wire = LeanWire(TIMEOUT_SECONDS)
    record = await asked(wire, f"http://127.0.0.1:{address[1]}/")
    await wire.close()
    for open_socket in (*crowd, listening):
        open_socket.close()
    assert (record.fault, record.sent) == ("timeout", False)


async def test_connections_are_bounded_and_who_waits_too_long_has_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "CONNECTIONS_MAX", 2)
    wire = LeanWire(TIMEOUT_SECONDS)
    async with served(Server(b"")) as server:
        holding = [asyncio.ensure_future(asked(wire, server.url)) for _ in range(2)]
        await until(lambda: len(server.requests) == 2)
        wire._timeout_seconds = 0.2
        waiting = await asyncio.gather(*(asked(wire, server.url) for _ in range(3)))
        await wire.close()
    assert [(record.fault, record.sent) for record in waiting] == [("timeout", False)] * 3
    assert [(record.fault, record.sent) for record in await asyncio.gather(*holding)] == [("disconnected", True)] * 2
    assert server.connections == 2


async def test_idle_connections_elsewhere_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "CONNECTIONS_MAX", 1)
    answer = OK + b"Content-Length: 2\r\n\r\n{}"
    wire = LeanWire(TIMEOUT_SECONDS)
    async with served(Server(answer, answer)) as here, served(Server(answer, answer)) as there:
        records = [await asked(wire, url) for url in (here.url, there.url, here.url)]
        await wire.close()
    assert all(record.answered for record in records)
    assert (here.connections, there.connections) == (2, 1)


async def test_a_cancelled_request_closes_its_connection() -> None:
    wire = LeanWire(TIMEOUT_SECONDS)
    async with served(Server(b"")) as server:
        record = HttpRecord("POST", server.url)
        sending = asyncio.create_task(wire.send(record, {}, b"x"))
        while not server.requests:
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await asyncio.wait_for(server.ended.wait(), TIMEOUT_SECONDS)
        await wire.close()
    assert (record.sent, record.answered) == (True, False)


async def test_closing_ends_what_is_in_flight_and_nothing_more_leaves() -> None:
    wire = LeanWire(TIMEOUT_SECONDS)
    async with served(Server(b"")) as server:
        record = HttpRecord("POST", server.url)
        sending = asyncio.create_task(wire.send(record, {}, b"x"))
        while not server.requests:
            await asyncio.sleep(0)
        await wire.close()
        await sending
        late = await asked(wire, server.url)
    assert (record.fault, record.sent) == ("disconnected", True)
    assert (late.fault, late.sent) == ("gateway closed", False)


@pytest.mark.parametrize("abort", [True, False])
async def test_a_server_that_hangs_up_at_once_costs_no_deadline(abort: bool) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if abort:
            writer.transport.abort()
        writer.close()

    listening = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    wire = LeanWire(TIMEOUT_SECONDS)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    records = await asyncio.gather(*(asked(wire, url) for _ in range(50)))
    await wire.close()
    listening.close()
    # Whether our bytes left first is a race; each record says truly which way it went, and none waits.
    assert {record.fault for record in records} <= {"disconnected", "connection refused", "no connection"}


async def test_a_connection_that_ended_while_it_was_opened_has_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = LeanWire(TIMEOUT_SECONDS)
    async with served(Server(OK + b"Content-Length: 0\r\n\r\n")) as server:
        opened = wire._connected

        async def opened_and_lost(*arguments: Any) -> Any:
            connection = await opened(*arguments)
            assert connection is not None
            connection.connection_lost(None)
            return connection

        monkeypatch.setattr(wire, "_connected", opened_and_lost)
        record = await asked(wire, server.url, "POST")
        await wire.close()
    assert (record.fault, record.sent) == ("disconnected", False)
    assert not server.requests


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        ("/a b", "GET", {}),
        ("/a\r\nX: y", "GET", {}),
        ("/ä", "GET", {}),
        ("/", "GET", {"X": "a\r\nY: b"}),
        ("/", "GET", {"X\n": "a"}),
        ("/", "GET", {"X": "\N{SNOWMAN}"}),
        ("/", "GET /", {}),
    ],
)
async def test_what_would_not_be_one_request_never_leaves(path: str, method: str, headers: dict[str, str]) -> None:
    wire = LeanWire(TIMEOUT_SECONDS)
    async with served(Server(OK + b"Content-Length: 0\r\n\r\n")) as server:
        record = await asked(wire, server.url.removesuffix("/order") + path, method, headers)
        await wire.close()
    assert (record.fault, record.sent) == ("unsendable request", False)
    assert server.connections == 0


async def test_ipv6() -> None:
    wire = LeanWire(TIMEOUT_SECONDS)
    try:
        async with served(Server(OK + b"Content-Length: 2\r\n\r\n{}"), "::1") as server:
            record = await asked(wire, server.url)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    await wire.close()
    assert (record.fault, record.body) == ("", "{}")
    assert b"Host: [::1]:" in server.requests[0]
