"""Identifiers: time-ordered ids for rows, 18-character client ids for venues."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uuid6

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
VENUE_CLIENT_ID_LENGTH = 18


def new_id() -> uuid.UUID:
    """Return a UUIDv7: unique, and sorted by creation time (RFC 9562)."""
    return uuid.UUID(bytes=uuid6.uuid7().bytes)


@contextmanager
def use(make: Callable[[], uuid.UUID]) -> Iterator[None]:
    """Take ids from elsewhere within the block: a simulation's seed. The function itself changes, so production pays nothing."""
    before = globals()["new_id"]
    globals()["new_id"] = make
    try:
        yield
    finally:
        globals()["new_id"] = before


def venue_client_id(attempt_id: uuid.UUID) -> str:
    """Derive the client id a venue sees from the attempt: 18 characters, a letter first, lower case and digits.

    This form fits the free-text rules of every venue read so far (Kraken 18, OKX alphanumeric, Gate 28).
    """
    number = int.from_bytes(hashlib.sha256(attempt_id.bytes).digest()[:11], "big")
    characters: list[str] = []
    while len(characters) < VENUE_CLIENT_ID_LENGTH - 1:
        number, rest = divmod(number, 36)
        characters.append(_ALPHABET[rest])
    return "g" + "".join(characters)


def is_uuid(text: str) -> bool:
    """Say whether text is a UUID in any usual writing."""
    try:
        uuid.UUID(text)
    except (ValueError, AttributeError, TypeError):
        return False
    return True
