"""Coinbase's public books: channel level2, the whole book and updates; the connection's frames are numbered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from venues.adapters.book_reader import BookReader, Refused, level, number
from venues.adapters.rows import RowError
from venues.books import Change, Level

SIDES = {"bid": 0, "offer": 1}


class CoinbaseBook(BookReader):
    """Advanced Trade. Every frame of the connection has the next number, also one that says nothing of the book."""

    def url(self) -> str:
        """Return the one endpoint."""
        return str(self.client.urls["api"]["ws"])

    def subscriptions(self) -> list[Any]:
        """Subscribe to the heartbeats, which come each second, then to the book."""
        return [
            {"type": "subscribe", "channel": "heartbeats"},
            {"type": "subscribe", "channel": "level2", "product_ids": [self.market["id"]]},
        ]

    def read(self, payload: Any) -> list[Change]:
        """Read a frame; one about something else is a change of no level that takes its number."""
        if not isinstance(payload, Mapping):
            raise RowError("not an object")
        if payload.get("type") == "error":
            raise Refused
        last = number(payload.get("sequence_num"))
        if payload.get("channel") != "l2_data":
            return [Change(bids=(), asks=(), last=last)]
        events = payload.get("events")
        if not isinstance(events, list) or len(events) != 1 or not isinstance(events[0], Mapping):
            raise RowError("events is not a list of one")
        if events[0].get("type") not in ("snapshot", "update"):
            raise RowError("neither a snapshot nor an update")
        sides: tuple[list[Level], list[Level]] = ([], [])
        for side, found in _levels(events[0].get("updates")):
            sides[side].append(found)
        return [Change(bids=sides[0], asks=sides[1], is_snapshot=events[0]["type"] == "snapshot", last=last)]


def _levels(value: Any) -> Iterator[tuple[int, Level]]:
    if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
        raise RowError("updates is not a list of objects")
    for row in value:
        side = SIDES.get(str(row.get("side")))
        if side is None:
            raise RowError("an update is neither of a bid nor of an offer")
        yield side, level(row.get("price_level"), row.get("new_quantity"))
