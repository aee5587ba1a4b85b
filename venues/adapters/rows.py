"""Strict reading of single values out of a venue's rows; a row that fails is kept raw and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from project.lib import clock, decimals
from project.lib.logs import redact
from venues.messages import Malformed, Side

RAW_CHARACTERS_MAX = 4_000
Row = Mapping[str, Any]
Parsed = TypeVar("Parsed")


class RowError(ValueError):
    """A row lacks something or carries something impossible; the message names the field."""


def text(row: Row, key: str) -> str:
    """Return a required, non-empty text (ids may come as numbers). Raises RowError."""
    value = row.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise RowError(f"{key} is missing or not a text")
    return value


def optional_text(row: Row, key: str) -> str | None:
    """Return a text or None when absent or empty. Raises RowError for another type."""
    return None if row.get(key) in (None, "") else text(row, key)


def amount(row: Row, key: str) -> Decimal:
    """Return a required number that is not negative. Raises RowError."""
    value = signed(row, key)
    if value < 0:
        raise RowError(f"{key} is negative")
    return value


def signed(row: Row, key: str) -> Decimal:
    """Return a required number. Raises RowError."""
    value = row.get(key)
    if isinstance(value, str | int) and not isinstance(value, bool):
        try:
            number = decimals.parse_venue(value)
        except (ValueError, ArithmeticError):
            raise RowError(f"{key} is not a number") from None
        if number is not None:
            return number
    raise RowError(f"{key} is missing or not a number")


def positive(row: Row, key: str) -> Decimal:
    """Return a required number above zero. Raises RowError."""
    value = amount(row, key)
    if value == 0:
        raise RowError(f"{key} is zero")
    return value


def optional_amount(row: Row, key: str) -> Decimal | None:
    """Return a number that is not negative, or None when absent. Raises RowError."""
    return None if row.get(key) in (None, "") else amount(row, key)


def side(row: Row, key: str) -> Side:
    """Return buy or sell. Raises RowError."""
    value = text(row, key).lower()
    if value == "buy":
        return "buy"
    if value == "sell":
        return "sell"
    raise RowError(f"{key} is neither buy nor sell")


def total(*parts: Decimal) -> Decimal:
    """Return the sum of amounts when it can be stored. Raises RowError."""
    value = sum(parts, decimals.ZERO)
    if abs(value) >= decimals.LIMIT:
        raise RowError("a sum is out of range")
    return value


def milliseconds(row: Row, key: str) -> datetime:
    """Return the time of a field in epoch milliseconds. Raises RowError."""
    return _time(key, clock.from_milliseconds(str(signed(row, key))))


def seconds(row: Row, key: str) -> datetime | None:
    """Return the time of a field in epoch seconds, or None when the venue wrote none. Raises RowError."""
    number = None if row.get(key) in (None, "") else signed(row, key)
    return _time(key, clock.from_milliseconds(str(number * 1000))) if number else None


def rfc3339(row: Row, key: str) -> datetime | None:
    """Return the time of an RFC 3339 field, or None when absent. Raises RowError."""
    value = optional_text(row, key)
    if value is None:
        return None
    try:
        # Nanoseconds are cut to the microseconds Python keeps.
        head, _, rest = value.rstrip("Z").partition(".")
        moment = datetime.fromisoformat(f"{head}.{rest[:6]}" if rest else head)
    except ValueError:
        raise RowError(f"{key} is not a time") from None
    if moment.tzinfo is not None:
        raise RowError(f"{key} is not in UTC")
    return _time(key, moment.replace(tzinfo=UTC))


def collect(source: str, rows: Iterable[Any], parse: Callable[[Any], Parsed]) -> list[Parsed | Malformed]:
    """Parse each row on its own: one bad row becomes Malformed and the others live."""
    return [one(source, row, parse) for row in rows]


def one(source: str, row: Any, parse: Callable[[Any], Parsed]) -> Parsed | Malformed:
    """Parse one row, or keep it as Malformed with the reason."""
    try:
        if not isinstance(row, Mapping):
            raise RowError("not an object")
        return parse(row)
    except (RowError, ArithmeticError) as problem:
        return malformed(source, str(problem), json.dumps(row, default=str))


def malformed(source: str, reason: str, raw: str) -> Malformed:
    """Keep what could not be read: storable, cut and redacted."""
    return Malformed(source=source, reason=reason, raw=redact(storable(raw[:RAW_CHARACTERS_MAX])))


def storable(text: str) -> str:
    """Return a text without the NULs and half characters that no database stores."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _time(key: str, moment: datetime | None) -> datetime:
    # No exchange is older: a time before is a zero, or seconds taken for milliseconds.
    if moment is None or moment.year < 2009:
        raise RowError(f"{key} is not a time")
    return moment
