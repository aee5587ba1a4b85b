"""Bybit's public books: topic orderbook, a snapshot and deltas whose number goes up by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from venues.adapters.book_reader import BookReader, Refused, levels, number
from venues.adapters.rows import RowError
from venues.books import Change


class BybitBook(BookReader):
    """Spot."""

    def url(self) -> str:
        """Return the public endpoint."""
        return str(self.client.urls["api"]["ws"]["public"]["spot"]).replace("{hostname}", self.client.hostname)

    def subscriptions(self) -> list[Any]:
        """Subscribe to as many levels as are kept."""
        return [{"op": "subscribe", "args": [f"orderbook.{self.rule.levels_max}.{self.market['id']}"]}]

    def read(self, payload: Any) -> list[Change]:
        """Read a snapshot or a delta; a snapshot comes again after a restart of theirs."""
        if not isinstance(payload, Mapping):
            raise RowError("not an object")
        if payload.get("op") == "subscribe" and payload.get("success") is not True:
            raise Refused
        if not str(payload.get("topic", "")).startswith("orderbook."):
            return []
        row, kind = payload.get("data"), payload.get("type")
        if not isinstance(row, Mapping) or kind not in ("snapshot", "delta"):
            raise RowError("neither a snapshot nor a delta")
        return [
            Change(
                bids=levels(row.get("b")), asks=levels(row.get("a")), is_snapshot=kind == "snapshot",
                last=number(row.get("u")),
            )
        ]  # fmt: skip
