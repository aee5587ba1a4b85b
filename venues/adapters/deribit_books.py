"""Deribit's public books: channel book, the whole book and changes that name the one before them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from venues.adapters.book_reader import BookReader, Refused, level, number
from venues.adapters.rows import RowError
from venues.books import Change, Level

HEARTBEAT_SECONDS = 10


class DeribitBook(BookReader):
    """Perpetuals, dated futures and options."""

    def url(self) -> str:
        """Return the one endpoint."""
        return str(self.client.urls["api"]["ws"])

    def subscriptions(self) -> list[Any]:
        """Subscribe to all changes of each tenth of a second, and have the venue ask now and then whether we are there."""
        return [
            _call(1, "public/set_heartbeat", {"interval": HEARTBEAT_SECONDS}),
            _call(2, "public/subscribe", {"channels": [f"book.{self.market['id']}.100ms"]}),
        ]

    def reply(self, payload: Any) -> Any:
        """Answer that we are there; who does not is cut off."""
        parameters = payload.get("params") if isinstance(payload, Mapping) else None
        asks = isinstance(parameters, Mapping) and parameters.get("type") == "test_request"
        return _call(3, "public/test", {}) if asks and payload.get("method") == "heartbeat" else None

    def read(self, payload: Any) -> list[Change]:
        """Read a notice of channel book."""
        if not isinstance(payload, Mapping):
            raise RowError("not an object")
        if "error" in payload or (payload.get("id") == "2" and not payload.get("result")):
            raise Refused
        if payload.get("method") != "subscription":
            return []
        parameters = payload.get("params")
        row = parameters.get("data") if isinstance(parameters, Mapping) else None
        if not isinstance(row, Mapping) or row.get("type") not in ("snapshot", "change"):
            raise RowError("neither a snapshot nor a change")
        previous = row.get("prev_change_id")
        return [
            Change(
                bids=_levels(row.get("bids")), asks=_levels(row.get("asks")), is_snapshot=row["type"] == "snapshot",
                last=number(row.get("change_id")), previous=None if previous is None else number(previous),
            )
        ]  # fmt: skip


def _levels(value: Any) -> list[Level]:
    if not isinstance(value, list) or not all(isinstance(row, list) and len(row) == 3 for row in value):
        raise RowError("a side of the book is not a list of changes")
    if any(row[0] not in ("new", "change", "delete") for row in value):
        raise RowError("a change of a level is none of new, change, delete")
    return [level(price, "0" if kind == "delete" else quantity) for kind, price, quantity in value]


def _call(number: int, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
