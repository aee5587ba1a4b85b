"""Our own HTTP under ccxt: every request is classified exactly as never sent, sent and unanswered, or answered."""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
import certifi
from ccxt.base.errors import BadResponse, ExchangeNotAvailable, NotSupported, RequestTimeout
from yarl import URL

from venues.adapters import strict

BODY_BYTES_MAX = 8 * 1024 * 1024
CONNECT_SECONDS_MAX = 5.0
IDLE_SECONDS_MAX = 15.0


@dataclass(slots=True)
class HttpRecord:
    """What happened to one HTTP request. `sent` turns true before the first byte could leave."""

    method: str
    url: str = field(repr=False)
    request_body: str = field(repr=False, default="")
    sent: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: str = field(default="", repr=False)
    payload: Any = field(default=None, repr=False)
    fault: str = ""
    started: float = 0.0
    seconds: float = 0.0

    @property
    def path(self) -> str:
        """The method and path without the query, which may carry a signature."""
        return f"{self.method} {URL(self.url, encoded=True).path}"

    @property
    def answered(self) -> bool:
        """Whether a whole answer arrived."""
        return self.status is not None and not self.fault

    def carries(self, marker: str) -> bool:
        """Say whether the request names this client id."""
        return marker in self.request_body or marker in self.url


_trace: ContextVar[list[HttpRecord] | None] = ContextVar("venue_http_trace", default=None)
_current: ContextVar[HttpRecord | None] = ContextVar("venue_http_current", default=None)


@contextmanager
def recording() -> Iterator[list[HttpRecord]]:
    """Collect the records of every request made inside the block, by this task and those it starts."""
    records: list[HttpRecord] = []
    token = _trace.set(records)
    try:
        yield records
    finally:
        _trace.reset(token)


class Wire(Protocol):
    """The seam for another HTTP client: send one request once, and fill in the record; raise nothing but cancellation."""

    async def send(self, record: HttpRecord, headers: Mapping[str, str], body: bytes | None) -> None:
        """Send the request and set sent, status, headers, body or fault on the record."""

    async def close(self) -> None:
        """Release every connection."""


class AiohttpWire:
    """One aiohttp session: total deadline, body cap, no redirects, no cookies, no silent second send."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_seconds, sock_connect=min(timeout_seconds, CONNECT_SECONDS_MAX)
        )
        self.session = aiohttp.ClientSession(
            connector=_Connector(ssl=ssl_context(), limit=200, keepalive_timeout=IDLE_SECONDS_MAX),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        # aiohttp sends GET, PUT and DELETE a second time when a pooled connection drops; deribit buys by GET.
        if not self.session._retry_connection:
            raise RuntimeError("aiohttp changed: the switch against silent re-sends is not where it was")
        self.session._retry_connection = False

    async def send(self, record: HttpRecord, headers: Mapping[str, str], body: bytes | None) -> None:
        """Send one request once and record what came of it."""
        token = _current.set(record)
        try:
            async with self.session.request(
                record.method,
                URL(record.url, encoded=True),
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                raw = await _read(response)
                if raw is None:
                    record.fault = "oversize"
                    response.close()
                    return
                record.body = raw.decode("utf-8", "replace")
                record.status, record.headers = response.status, response.headers
        except TimeoutError:
            record.fault = "timeout"
        except aiohttp.ClientConnectorDNSError:
            record.fault = "no such host"
        except aiohttp.ClientConnectorError:
            record.fault = "connection refused"
        except aiohttp.ClientPayloadError:
            record.fault = "truncated"
        except (aiohttp.ClientError, OSError, ValueError):
            record.fault = "disconnected"
        finally:
            _current.reset(token)

    async def close(self) -> None:
        """Close the session and its connections."""
        await self.session.close()


class ClosedWire:
    """Stands in before open() and after close(): nothing can be sent."""

    async def send(self, record: HttpRecord, headers: Mapping[str, str], body: bytes | None) -> None:
        """Refuse."""
        record.fault = "gateway closed"

    async def close(self) -> None:
        """Do nothing."""


class Transport:
    """Mixed into a ccxt class before it: replaces fetch(); ccxt still signs, and maps the venue's errors."""

    wire: Wire = ClosedWire()

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        """Send one request through the wire and return the strictly parsed answer, or raise ccxt's error."""
        client: Any = self
        request_headers = client.prepare_request_headers(headers)
        if body is not None and not isinstance(body, str):
            raise NotSupported("a request body that is not text")
        record = HttpRecord(method, url, body or "", started=time.monotonic())
        trace = _trace.get()
        if trace is not None:
            trace.append(record)
        try:
            await self.wire.send(record, request_headers, body.encode() if body else None)
        finally:
            record.seconds = time.monotonic() - record.started
        client.on_http(record)
        if record.fault:
            raise RequestTimeout(record.fault) if record.fault == "timeout" else ExchangeNotAvailable(record.fault)
        return self._answer(client, record, request_headers)

    @staticmethod
    def _answer(client: Any, record: HttpRecord, request_headers: Any) -> Any:
        status, text = record.status or 0, record.body
        try:
            record.payload = strict.loads(text) if text.lstrip()[:1] in ("{", "[") else None
        except strict.NotStrict as problem:
            raise BadResponse(str(problem)) from None
        reply_headers = dict(record.headers)
        client.handle_errors(
            status,
            "",
            record.url,
            record.method,
            reply_headers,
            text,
            record.payload,
            request_headers,
            record.request_body,
        )
        client.handle_http_status_code(status, "", record.url, record.method, "")
        if record.payload is None or not 200 <= status < 300:
            raise BadResponse("not an answer in the venue's own form")
        return record.payload


@functools.cache
def ssl_context() -> ssl.SSLContext:
    """Return the one TLS context of this process; making one costs 15 ms and 0.7 MiB."""
    return ssl.create_default_context(cafile=certifi.where())


class _Connector(aiohttp.TCPConnector):
    async def connect(self, *arguments: Any, **named: Any) -> Any:
        connection = await super().connect(*arguments, **named)
        # Only from here on could a byte leave: TCP and TLS stand. What failed before was never sent.
        record = _current.get()
        if record is not None:
            record.sent = True
        return connection


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            return None
        chunks.append(chunk)
    return b"".join(chunks)
