"""Kraken's public books: WebSocket v2, a snapshot and changes, each with a checksum over what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from venues.adapters.book_reader import BookReader, Refused, level, number, places_of
from venues.adapters.rows import RowError
from venues.books import Change, Level
from venues.checksums import Places


class KrakenBook(BookReader):
    """Spot."""

    def url(self) -> str:
        """Return the public endpoint."""
        return str(self.client.urls["api"]["ws"]["publicV2"])

    def subscriptions(self) -> list[Any]:
        """Subscribe to the book of the symbol, as deep as its checksum reaches."""
        parameters = {"channel": "book", "symbol": [self.symbol], "depth": self.rule.levels_max, "snapshot": True}
        return [{"method": "subscribe", "params": parameters, "req_id": 1}]

    def read(self, payload: Any) -> list[Change]:
        """Read a frame of channel book; it may hold several rows."""
        if not isinstance(payload, Mapping):
            raise RowError("not an object")
        if payload.get("method") == "subscribe" and payload.get("success") is not True:
            raise Refused
        if payload.get("channel") != "book":
            return []
        rows = payload.get("data")
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise RowError("data is not a list of objects")
        is_snapshot = payload.get("type") == "snapshot"
        return [self._change(row, is_snapshot) for row in rows if row.get("symbol") == self.symbol]

    def places(self) -> Places:
        """Return the pair's decimals: the checksum is over padded numbers."""
        precision = self.market["precision"]
        return places_of(precision["price"]), places_of(precision["amount"])

    def _change(self, row: Mapping[str, Any], is_snapshot: bool) -> Change:
        return Change(
            bids=_levels(row.get("bids")), asks=_levels(row.get("asks")), is_snapshot=is_snapshot,
            checksum=number(row.get("checksum")),
        )  # fmt: skip


def _levels(value: Any) -> list[Level]:
    if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
        raise RowError("a side of the book is not a list of objects")
    return [level(row.get("price"), row.get("qty")) for row in value]
