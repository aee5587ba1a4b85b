"""Binance's public books: the diff depth stream and a snapshot by REST."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from venues.adapters.book_reader import BookReader, levels, number
from venues.adapters.rows import RowError
from venues.books import Change


class BinanceBook(BookReader):
    """Spot, and futures whose events also name the one before them (pu)."""

    def url(self) -> str:
        """Return the raw stream of the symbol's changes, ten times a second."""
        return f"{self.client.urls['api']['ws']['spot']}/{self.market['lowercaseId']}@depth@100ms"

    def read(self, payload: Any) -> list[Change]:
        """Read a depthUpdate event."""
        if not isinstance(payload, Mapping):
            raise RowError("not an object")
        if payload.get("e") != "depthUpdate":
            return []
        previous = payload.get("pu")
        return [
            Change(
                bids=levels(payload.get("b")), asks=levels(payload.get("a")), first=number(payload.get("U")),
                last=number(payload.get("u")), previous=None if previous is None else number(previous),
            )
        ]  # fmt: skip

    async def snapshot(self) -> Change:
        """Ask GET /api/v3/depth for as many levels as are kept."""
        reply = await self.client.publicGetDepth({"symbol": self.market["id"], "limit": self.rule.levels_max})
        if not isinstance(reply, Mapping):
            raise RowError("not an object")
        return Change(
            bids=levels(reply.get("bids")), asks=levels(reply.get("asks")), is_snapshot=True,
            last=number(reply.get("lastUpdateId")),
        )  # fmt: skip
