"""Digests of what a venue told, per minute of its clock, to stand beside those the database keeps of what is booked. Pure.

The hash is that of `gapless_fill_hash` (orders migration 0013): two equal digests of a minute mean the same trades with
the same figures, but for a chance of 1 in 2^64. A text that is written otherwise than we store it hashes otherwise, so
that a doubt always leads to a comparison of rows and never past one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

SEPARATOR = "\x1f"
MINUTE = timedelta(minutes=1)
Row = Mapping[str, Any]


@dataclass
class Digest:
    """How many trades, and the sum of their 64-bit hashes: the same in whatever order they come."""

    count: int = 0
    total: int = 0

    def add(self, value: int) -> None:
        """Take in one more trade."""
        self.count += 1
        self.total += value


@dataclass
class Told:
    """The places of a venue's rows by the minute they were made in, and of those that tell none, or not readably."""

    places: dict[datetime, list[int]] = field(default_factory=dict)
    digests: dict[datetime, Digest] = field(default_factory=dict)
    loose: list[int] = field(default_factory=list)


def trade_hash(
    venue_trade_id: str, symbol: str, side: str, price: str, quantity: str, fee: str, fee_asset: str
) -> int:  # fmt: skip
    """Return the signed 64-bit hash of a trade; numbers as plain texts without trailing zeros."""
    texts = (venue_trade_id, symbol, side, price, quantity, fee, "" if fee == "0" else fee_asset)
    found = hashlib.sha256(SEPARATOR.join(texts).encode()).digest()
    return int.from_bytes(found[:8], "big", signed=True)


def minute_of(at: datetime) -> datetime:
    """Return the minute, in UTC, that a time falls into. Raises ValueError for a time without a zone."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone falls into no minute")
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def by_minute(rows: Iterable[Row]) -> Told:
    """Sort a venue's rows as stored (see venues.snapshots) by minute; nothing of them is judged here."""
    told = Told()
    for place, row in enumerate(rows):
        try:
            minute, value = minute_of(datetime.fromisoformat(row["occurred_at"])), _hash_of(row)
        except (KeyError, ValueError, TypeError):
            told.loose.append(place)  # whoever reads it back says what is wrong with it
            continue
        told.places.setdefault(minute, []).append(place)
        told.digests.setdefault(minute, Digest()).add(value)
    return told


def _hash_of(row: Row) -> int:
    row["venue_order_id"]  # without one it is no trade
    return trade_hash(
        row["venue_trade_id"], row["symbol"], row["side"], row["price"], row["quantity"], row.get("fee") or "0",
        row.get("fee_asset") or "",
    )  # fmt: skip
