"""A stream's life as facts: bounded backoff with full jitter, a closed set of reasons that the documents name, uptime."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venues.facts.families import FAMILIES
from venues.facts.shapes import StreamRule
from venues.facts.streaming import STREAMS, stream_rule
from venues.streams import MEANINGS, WAIT_SECONDS_MAX, StreamReason, uptime, wait_seconds

START = datetime(2026, 3, 1, tzinfo=UTC)
OPERATIONS = Path(__file__).resolve().parents[2] / "docs/operations.md"


@given(st.integers(-3, 10_000), st.floats(0, 1))
def test_a_wait_is_bounded_and_jitters_from_nothing_to_its_ceiling(failures: int, chance: float) -> None:
    ceiling = wait_seconds(failures, 1.0)
    assert 0 <= wait_seconds(failures, chance) <= ceiling <= WAIT_SECONDS_MAX
    assert wait_seconds(failures, 0.0) == 0
    assert wait_seconds(failures, 0.5) == ceiling / 2
    assert ceiling <= wait_seconds(failures + 1, 1.0)


def test_the_ceiling_doubles_up_to_its_bound() -> None:
    ceilings = [wait_seconds(failures, 1.0) for failures in range(10)]
    assert ceilings == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_every_reason_has_a_meaning_and_stands_in_the_operators_page() -> None:
    named = set(re.findall(r"`(STREAM_[A-Z_]+)`", OPERATIONS.read_text()))
    assert named == set(StreamReason) == set(MEANINGS)
    for reason in StreamReason:
        assert MEANINGS[reason] in OPERATIONS.read_text()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("stood", "expected"),
    [
        ([], 0.0),
        ([(0, 100)], 1.0),
        ([(-50, 150)], 1.0),
        ([(0, 25), (75, 100)], 0.5),
        ([(0, 50), (25, 75)], 0.75),  # two that overlap count once
        ([(75, 100), (0, 25)], 0.5),
        ([(30, 20)], 0.0),
        ([(-20, -10), (110, 120)], 0.0),
    ],
)
def test_uptime_is_the_share_of_the_time_that_was_covered(stood: list[tuple[int, int]], expected: float) -> None:
    assert uptime([(at(began), at(ended)) for began, ended in stood], at(0), at(100)) == expected


def test_no_time_has_no_uptime() -> None:
    assert uptime([(at(0), at(1))], at(5), at(5)) is None


def test_rules_are_about_families_there_are_and_leave_time_for_a_ping_to_be_answered() -> None:
    assert set(STREAMS) <= set(FAMILIES)
    assert stream_rule("no-such-family") == StreamRule()
    for rule in (StreamRule(), *STREAMS.values()):
        assert rule.silence_seconds_max >= 2 * rule.ping_seconds
        assert rule.frame_seconds_max is None or rule.frame_seconds_max >= 3
