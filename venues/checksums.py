"""The checksums venues send with their books. Pure."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import zip_longest
from zlib import crc32

Places = tuple[int, int]
Levels = Callable[[int], list[tuple[Decimal, Decimal]]]
KRAKEN_LEVELS, OKX_LEVELS = 10, 25


def kraken(bids: Levels, asks: Levels, places: Places | None) -> int:
    """Return CRC32 over the ten best asks, then bids: price and quantity at the instrument's places, without point and leading zeros."""
    price_places, quantity_places = places or (0, 0)
    text = "".join(
        f"{price:.{price_places}f}".replace(".", "").lstrip("0")
        + f"{quantity:.{quantity_places}f}".replace(".", "").lstrip("0")
        for side in (asks, bids)
        for price, quantity in side(KRAKEN_LEVELS)
    )
    return crc32(text.encode())


def okx(bids: Levels, asks: Levels, _: Places | None) -> int:
    """Return CRC32, signed, over the 25 best levels, bid and ask in turn, as the venue wrote them, joined by colons."""
    parts = [
        f"{price:f}:{quantity:f}"
        for pair in zip_longest(bids(OKX_LEVELS), asks(OKX_LEVELS))
        for price, quantity in (level for level in pair if level is not None)
    ]
    number = crc32(":".join(parts).encode())
    return number - (1 << 32) if number >= 1 << 31 else number


CHECKSUMS: dict[str, Callable[[Levels, Levels, Places | None], int]] = {"kraken": kraken, "okx": okx}
