"""One HTTP answer as it arrives: bounded, strictly framed, and whole or not an answer."""

from __future__ import annotations

import asyncio
import zlib

import httptools

from venues.adapters.transport import BODY_BYTES_MAX, Headers, HttpRecord

HEAD_BYTES_MAX = 64 * 1024
# Chunks cost framing; a body in chunks of one byte is six times as long on the wire and no venue's.
RAW_BYTES_MAX = 2 * BODY_BYTES_MAX


class BadReply(ValueError):
    """An answer that cannot be taken; the message is the fault."""


class Reply:
    """One answer as the parser reports it: bounded, and complete only when its framing says so."""

    __slots__ = (
        "_body", "_head_bytes", "_headers", "_is_to_head", "_parser", "_size", "_status", "done", "fault", "is_complete",
        "keeps_alive", "raw_bytes",
    )  # fmt: skip

    def __init__(self, done: asyncio.Future[None], is_to_head: bool) -> None:
        self.done = done
        self.fault = ""
        self.is_complete = False
        self.keeps_alive = False
        self.raw_bytes = 0
        self._is_to_head = is_to_head
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._head_bytes = self._size = 0
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Read more of the answer; sets `fault` or `is_complete`."""
        self.raw_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except Exception:
            # Also for bytes behind a whole answer: its length was not what the head said, or somebody else speaks.
            self.fault = self.fault or "malformed"
        if not self._status and self.raw_bytes > HEAD_BYTES_MAX:
            self.fault = "malformed"
        elif self.raw_bytes > RAW_BYTES_MAX:
            self.fault = "oversize"

    def ends_with_the_connection(self) -> bool:
        """Say whether the end of the connection is the only mark of the body's end."""
        framed = {b"content-length", b"transfer-encoding"}
        return bool(self._status) and not self.fault and framed.isdisjoint(name.lower() for name, _ in self._headers)

    def write_to(self, record: HttpRecord) -> None:
        """Put status, headers and text on the record, or the fault."""
        record.fault = self.fault
        if self.fault:
            return
        headers: dict[str, str] = {}
        for name, value in self._headers:
            key, text = name.lower().decode("latin-1"), value.decode("latin-1").strip()
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        body = b"".join(self._body)
        coding = headers.get("content-encoding", "identity").lower()
        if coding != "identity" and body:
            try:
                body = _decoded(body, coding)
            except BadReply as problem:
                record.fault = str(problem)
                return
        record.body = body.decode("utf-8", "replace")
        record.status, record.headers = self._status, Headers(headers)

    def on_message_begin(self) -> None:
        """Called by the parser: a second answer to one request is none."""
        if self.is_complete:
            raise BadReply("malformed")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser for each header and trailer."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES_MAX:
            raise BadReply("malformed")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Called by the parser. An interim answer (1xx) is forgotten, except a switch of protocol nobody asked for."""
        self._status = self._parser.get_status_code()
        if self._status == 101 or self._parser.get_http_version() not in ("1.1", "1.0"):
            raise BadReply("malformed")
        if self._is_to_head and self._status >= 200:
            self.is_complete = True

    def on_body(self, data: bytes) -> None:
        """Called by the parser with pieces of the body."""
        self._size += len(data)
        if self._size > BODY_BYTES_MAX:
            self.fault = "oversize"
            raise BadReply("oversize")
        self._body.append(data)

    def on_message_complete(self) -> None:
        """Called by the parser at the end of an answer."""
        if self._status < 200:
            self._status = 0
            self._headers.clear()
            return
        self.is_complete = True
        self.keeps_alive = self._parser.should_keep_alive() and not self._is_to_head


def _decoded(body: bytes, coding: str) -> bytes:
    if coding in ("gzip", "x-gzip"):
        unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    elif coding == "deflate":
        # Some servers leave out the zlib head that the name stands for.
        has_head = body[0] & 0x0F == 8 and len(body) > 1 and int.from_bytes(body[:2], "big") % 31 == 0
        unpacking = zlib.decompressobj(zlib.MAX_WBITS if has_head else -zlib.MAX_WBITS)
    else:
        raise BadReply("malformed")
    try:
        text = unpacking.decompress(body, BODY_BYTES_MAX + 1)
    except zlib.error:
        raise BadReply("malformed") from None
    if len(text) > BODY_BYTES_MAX:
        raise BadReply("oversize")
    if not unpacking.eof:
        raise BadReply("truncated")
    if unpacking.unused_data:
        raise BadReply("malformed")
    return text
