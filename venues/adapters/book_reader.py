"""How a family tells a public book over WebSocket: what one small file per family says, and the strict reading they share."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from project.lib import decimals
from venues.adapters.rows import RowError
from venues.books import Change, Level
from venues.checksums import Places
from venues.facts.shapes import BookRule


class Refused(Exception):
    """The venue answered the subscription with an error."""


class BookReader:
    """One book of one exchange, on a connection that carries nothing else. A family's file replaces what is its own."""

    def __init__(self, client: Any, symbol: str, rule: BookRule) -> None:
        self.client, self.symbol, self.rule = client, symbol, rule
        self.market: dict[str, Any] = client.market(symbol)

    def url(self) -> str:
        """Return the address to connect to."""
        raise NotImplementedError

    def subscriptions(self) -> list[Any]:
        """Return the frames to send once connected."""
        return []

    def read(self, payload: Any) -> list[Change]:
        """Return the changes of a frame, none for a frame about something else. Raises RowError, or Refused."""
        raise NotImplementedError

    def reply(self, payload: Any) -> Any:
        """Return the frame by which a frame of the venue's wants to be answered, or None."""
        return None

    async def snapshot(self) -> Change:
        """Ask for the book by REST. Raises RowError, or whatever goes wrong on the way."""
        raise NotImplementedError

    def places(self) -> Places | None:
        """Return the decimals of price and quantity for a checksum over padded numbers; None where it is over the texts."""
        return None


def levels(value: Any) -> list[Level]:
    """Read [[price, quantity, …], …]. Raises RowError."""
    if not isinstance(value, list):
        raise RowError("a side of a book is not a list")
    return [level(row[0], row[1]) if isinstance(row, list) and len(row) >= 2 else _no_level() for row in value]


def level(price: Any, quantity: Any) -> Level:
    """Read one price above zero and its quantity, zero for none, both as texts. Raises RowError."""
    if isinstance(price, str) and isinstance(quantity, str):
        try:
            found = decimals.parse_venue(price), decimals.parse_venue(quantity)
        except (ValueError, ArithmeticError):
            raise RowError("a level of a book is not two numbers") from None
        if found[0] is not None and found[1] is not None and found[0] > 0 and found[1] >= 0:
            return found[0], found[1]
    return _no_level()


def number(value: Any) -> int:
    """Read a number of a book's sequence, -1 and up. Raises RowError."""
    text = value if isinstance(value, str) else str(value) if value.__class__ is int else ""
    if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20 and (found := int(text)) >= -1:
        return found
    raise RowError("a number of the book's sequence is missing or none")


def places_of(step: Any) -> int:
    """Return how many decimals a step has."""
    exponent = Decimal(str(step)).normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def _no_level() -> Level:
    raise RowError("a level of a book is not a price and a quantity")
