"""Recorded trades as the source of a market's movement."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RecordedTrade:
    """One line of a trade file; `at` in microseconds."""

    at: int
    side: str
    price: Decimal
    quantity: Decimal


def read_trades(path: Path) -> Iterator[RecordedTrade]:
    """Yield the trades of a file with columns timestamp, side, price and amount. Raises ValueError on a bad line."""
    with path.open(newline="") as content:
        for row in csv.DictReader(content):
            yield RecordedTrade(int(row["timestamp"]), row["side"], Decimal(row["price"]), Decimal(row["amount"]))


class Replay:
    """Hands out the trades that are due as time passes, `speed` times faster than recorded."""

    def __init__(self, path: Path, symbol: str, speed: float) -> None:
        self.symbol = symbol
        self.speed = speed
        self._trades = read_trades(path)
        self._next = next(self._trades, None)
        self._first_at = self._next.at if self._next else 0
        self._started_at: int | None = None

    @property
    def is_over(self) -> bool:
        """Tell whether every trade was handed out."""
        return self._next is None

    def due(self, now: int) -> Iterator[RecordedTrade]:
        """Yield the trades whose time has come; `now` in microseconds."""
        if self._started_at is None:
            self._started_at = now
        reached = self._first_at + int((now - self._started_at) * self.speed)
        while self._next is not None and self._next.at <= reached:
            yield self._next
            self._next = next(self._trades, None)
