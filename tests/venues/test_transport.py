"""A server that does its worst on a socket of its own: the transport ends every request in time and names what it saw."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.venues.paper.process import free_port
from venues.adapters.transport import BODY_BYTES_MAX, HttpRecord, recording
from venues.adapters.wire import LeanWire

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
TIMEOUT_SECONDS = 15.0
SHORT_SECONDS = 3.0
BOMB = zlib.compress(b"0" * (BODY_BYTES_MAX * 3))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@asynccontextmanager
async def server(script: Script) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve one script on every connection, and keep what was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    port = free_port()
    listening = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{port}/order", asked
    finally:
        listening.close()


async def sent(url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> HttpRecord:
    """Send one request and return its record."""
    wire = LeanWire(timeout_seconds)
    record = HttpRecord("POST", url)
    try:
        await wire.send(record, {}, b"quantity=1")
    finally:
        await wire.close()
    return record


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Length: 1000\r\n\r\n")
    for _second in range(100):
        writer.write(b"{")
        await writer.drain()
        await asyncio.sleep(0.1)


async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


async def bomb(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB)
    await writer.drain()


async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Length: 1000\r\n\r\n{")
    await writer.drain()


async def gone(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def silent(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-venue\r\n\r\n")
    await writer.drain()


async def redirect(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 307 Moved\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (drip, "timeout"),
        (silent, "timeout"),
        (endless, "oversize"),
        (bomb, "oversize"),
        (cut, "truncated"),
        (gone, "disconnected"),
        (nonsense, "malformed"),
    ],
)
async def test_every_bad_answer_ends_and_counts_as_sent(script: Script, fault: str) -> None:
    started = time.monotonic()
    async with server(script) as (url, asked):
        record = await sent(url, SHORT_SECONDS if fault == "timeout" else TIMEOUT_SECONDS)
    assert (record.fault, record.sent, record.answered) == (fault, True, False)
    assert len(asked) == 1
    assert fault != "timeout" or time.monotonic() - started < SHORT_SECONDS + 5


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "POST"])
async def test_a_dropped_connection_is_never_tried_again(method: str) -> None:
    answers = iter([True, False, False])

    async def first_good_then_gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while next(answers, False):
            writer.write(HEAD + b"Content-Length: 2\r\n\r\n{}")
            await writer.drain()
            asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.transport.abort()

    wire = LeanWire(TIMEOUT_SECONDS)
    async with server(first_good_then_gone) as (url, asked):
        first, second = HttpRecord("GET", url), HttpRecord(method, url)
        await wire.send(first, {}, None)
        await wire.send(second, {}, None)
    await wire.close()
    assert first.answered
    assert (second.sent, second.fault) == (True, "disconnected")
    assert len(asked) == 2


async def test_redirects_are_not_followed() -> None:
    async with server(redirect) as (url, asked):
        record = await sent(url)
    assert (record.status, record.fault) == (307, "")
    assert len(asked) == 1


async def test_what_never_left_is_known() -> None:
    refused = await sent(f"http://127.0.0.1:{free_port()}/order")
    unnamed = await sent("http://venue.invalid/order")
    assert (refused.sent, refused.fault) == (False, "connection refused")
    assert (unnamed.sent, unnamed.fault) == (False, "no such host")


async def test_a_tls_handshake_that_fails_sent_nothing() -> None:
    async with server(nonsense) as (url, _):
        record = await sent(url.replace("http://", "https://"))
    assert not record.sent
    assert record.fault


async def test_records_of_concurrent_requests_do_not_mix() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Content-Length: 2\r\n\r\n{}")
        await writer.drain()

    async def one(wire: LeanWire, url: str, number: int) -> list[HttpRecord]:
        with recording() as trace:
            trace.append(record := HttpRecord("POST", f"{url}?n={number}"))
            await wire.send(record, {}, b"x")
            await asyncio.sleep(0)
        return trace

    wire = LeanWire(5.0)
    async with server(echo) as (url, _):
        traces = await asyncio.gather(*(one(wire, url, number) for number in range(50)))
    await wire.close()
    for number, trace in enumerate(traces):
        assert [record.url.rpartition("=")[2] for record in trace] == [str(number)]
        assert trace[0].answered
