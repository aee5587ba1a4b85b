"""Our own HTTP under ccxt: every request is classified exactly as never sent, sent and unanswered, or answered."""

from __future__ import annotations

import functools
import math
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

import certifi
from ccxt.base.errors import BadResponse, ExchangeNotAvailable, NotSupported, RequestTimeout

from venues.adapters import strict

BODY_BYTES_MAX = 8 * 1024 * 1024
USER_AGENT = "gapless"
UNSENDABLE = "unsendable request"


class Headers(dict[str, str]):
    """The headers of an answer, whose names are kept in lower case and found in any."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name.lower() if isinstance(name, str) else name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header, or the default."""
        return super().get(name.lower(), default)


@dataclass(slots=True)
class HttpRecord:
    """What happened to one HTTP request. `sent` turns true before the first byte could leave."""

    method: str
    url: str = field(repr=False)
    request_body: str = field(repr=False, default="")
    sent: bool = False
    status: int | None = None
    headers: Headers = field(default_factory=Headers, repr=False)
    body: str = field(default="", repr=False)
    payload: Any = field(default=None, repr=False)
    fault: str = ""
    started: float = 0.0
    seconds: float = 0.0

    @property
    def path(self) -> str:
        """The method and path without the query, which may carry a signature."""
        start = self.url.find("/", self.url.find("://") + 3)
        return f"{self.method} {self.url[start:].partition('?')[0] if start > 0 else '/'}"

    @property
    def answered(self) -> bool:
        """Whether a whole answer arrived."""
        return self.status is not None and not self.fault

    def retry_after(self) -> float | None:
        """Return the seconds of its Retry-After, where it has one that is a number."""
        try:
            seconds = float(self.headers.get("Retry-After", "nan"))
        except ValueError:
            return None
        return seconds if math.isfinite(seconds) else None

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
        request_headers = {"User-Agent": USER_AGENT, "Accept": "*/*", **(headers or {}), **client.headers}
        # An order's answer is short: packing it only costs time. Lists are long.
        request_headers["Accept-Encoding"] = "gzip, deflate" if method == "GET" else "identity"
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
        client.handle_errors(
            status, "", record.url, record.method, record.headers, text, record.payload, request_headers, record.request_body
        )  # fmt: skip
        if 200 <= status < 300 and record.payload is not None:
            return record.payload
        client.handle_http_status_code(status, "", record.url, record.method, "")
        raise BadResponse("not an answer in the venue's own form")


@functools.cache
def ssl_context() -> ssl.SSLContext:
    """Return the one TLS context of this process; making one costs 15 ms and 0.7 MiB."""
    return ssl.create_default_context(cafile=certifi.where())
