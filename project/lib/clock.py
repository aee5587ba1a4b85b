"""The only place that reads the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


def now() -> datetime:
    """Return the wall clock as an aware UTC datetime."""
    return datetime.now(UTC)


def monotonic_seconds() -> float:
    """Return seconds that never go back; leases and deadlines count in these, so a clock jump changes nothing."""
    return time.monotonic()


def from_milliseconds(value: int | str | float | None) -> datetime | None:
    """Turn a venue's epoch milliseconds into UTC, or None when it named no time or one outside 1970-9999."""
    if value is None:
        return None
    try:
        return datetime.fromtimestamp(float(value) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


@contextmanager
def use(wall: Callable[[], datetime], monotonic: Callable[[], float]) -> Iterator[None]:
    """Read another clock within the block: a simulation's. The functions themselves change, so production pays nothing."""
    before = {name: globals()[name] for name in ("now", "monotonic_seconds")}
    globals().update(now=wall, monotonic_seconds=monotonic)
    try:
        yield
    finally:
        globals().update(before)
