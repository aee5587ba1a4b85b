"""Time and identifiers come from one place each, which a simulation may replace for a while."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from project.lib import clock, ids

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_another_clock_is_read_within_the_block_alone() -> None:
    real = clock.now, clock.monotonic_seconds
    with clock.use(lambda: NOON, lambda: 7.0):
        assert (clock.now(), clock.monotonic_seconds()) == (NOON, 7.0)
    assert (clock.now, clock.monotonic_seconds) == real


def test_ids_come_from_elsewhere_within_the_block_alone() -> None:
    real, made = ids.new_id, uuid.UUID(int=1)
    with ids.use(lambda: made):
        assert ids.new_id() == made
    assert ids.new_id is real
