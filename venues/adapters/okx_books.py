"""OKX's public books: channel books, a snapshot and changes that name the one before them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from venues.adapters.book_reader import BookReader, Refused, levels, number
from venues.adapters.rows import RowError
from venues.books import Change


class OkxBook(BookReader):
    """Every instrument. A checksum of 0 is none: the venue has stopped to compute it."""

    def url(self) -> str:
        """Return the public endpoint."""
        return f"{self.client.urls['api']['ws']}/public"

    def subscriptions(self) -> list[Any]:
        """Subscribe to 400 levels, ten times a second."""
        return [{"op": "subscribe", "args": [{"channel": "books", "instId": self.market["id"]}]}]

    def read(self, payload: Any) -> list[Change]:
        """Read a frame of channel books; it may hold several rows."""
        if not isinstance(payload, Mapping):
            raise RowError("not an object")
        if payload.get("event") == "error":
            raise Refused
        rows, action = payload.get("data"), payload.get("action")
        if rows is None:
            return []
        if action not in ("snapshot", "update") or not isinstance(rows, list):
            raise RowError("neither a snapshot nor an update")
        return [_change(row, action == "snapshot") for row in rows]


def _change(row: Any, is_snapshot: bool) -> Change:
    if not isinstance(row, Mapping):
        raise RowError("a row is not an object")
    checksum = row.get("checksum")
    return Change(
        bids=levels(row.get("bids")), asks=levels(row.get("asks")), is_snapshot=is_snapshot, last=number(row.get("seqId")),
        previous=number(row.get("prevSeqId")), checksum=None if checksum in (None, 0, "0") else signed(checksum),
    )  # fmt: skip


def signed(value: Any) -> int:
    """Read a signed 32 bit sum. Raises RowError."""
    text = value if isinstance(value, str) else ""
    if text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 11:
        return int(text)
    raise RowError("the checksum is no number")
