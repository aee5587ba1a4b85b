"""The score of a venue: what each fact costs, that nothing unmeasured is good, and that worse is never better."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venues.scoring import WEIGHTS, ChannelFacts, Score, channel_score, venue_score, worst

WELL = ChannelFacts(capability="query", measured_seconds=2, recent_requests=100, silence_seconds=1)


@pytest.mark.parametrize(
    ("capability", "changes", "points", "codes"),
    [
        ("query", {}, 100, []),
        ("submit", {"breaker": "open"}, 40, ["BREAKER"]),
        ("submit", {"breaker": "half_open"}, 70, ["BREAKER"]),
        ("query", {"recent_errors": 5}, 90, ["ERRORS"]),
        ("query", {"recent_errors": 40}, 50, ["ERRORS"]),
        ("query", {"recent_requests": 2, "recent_errors": 2}, 100, []),
        ("cancel", {"latency_ms_p95": 1_500.0}, 90, ["SLOW"]),
        ("cancel", {"latency_ms_p95": 4_000.0, "latency_ms_p99": 6_000.0}, 60, ["SLOW", "TAIL"]),
        ("query", {"silence_seconds": 45}, 85, ["SILENT"]),
        ("stream", {"silence_seconds": 95}, 50, ["SILENT"]),
        ("submit", {"silence_seconds": 95}, 100, []),  # nobody has to send orders
        ("stream", {"recent_errors": 1}, 90, ["LOST"]),
        ("stream", {"recent_errors": 3}, 70, ["LOST"]),
        ("submit", {"clock_offset_ms": -3_000}, 85, ["CLOCK"]),
        ("submit", {"detections": {"acknowledged_then_denied": 2}}, 70, ["ACKNOWLEDGED_THEN_DENIED"]),
        ("stream", {"detections": {"delayed_fill": 1, "stream_differs": 1}}, 60, ["DELAYED_FILL", "STREAM_DIFFERS"]),
        ("query", {"breaker": "open", "recent_errors": 100, "silence_seconds": 100}, 0, ["BREAKER", "ERRORS", "SILENT"]),
    ],
)  # fmt: skip
def test_what_a_fact_costs(capability: str, changes: dict[str, Any], points: int, codes: list[str]) -> None:
    score = channel_score(replace(WELL, capability=capability, **changes))
    assert (score.points, [reason.code for reason in score.reasons]) == (points, codes)


def test_not_measured_is_never_good() -> None:
    old = channel_score(replace(WELL, measured_seconds=31))
    assert (old.state, old.points) == ("not_measured", None)
    whole = venue_score({"query": channel_score(WELL), "submit": old})
    assert (whole.state, whole.points) == ("not_measured", None)
    assert venue_score({}).points is None


def test_a_venue_is_as_good_as_its_worst_channel_and_none_in_maintenance() -> None:
    channels = {
        "query": channel_score(WELL),
        "submit": channel_score(replace(WELL, capability="submit", breaker="open")),
    }
    assert venue_score(channels).points == 40
    assert "submit: its breaker is open" in venue_score(channels).reasons[0].text
    quiet = venue_score(channels, maintenance="planned maintenance until 12:00")
    assert (quiet.state, quiet.points) == ("maintenance", None)


def test_accounts_are_folded_at_their_worst() -> None:
    other = replace(WELL, breaker="open", recent_errors=7, latency_ms_p95=9.0, silence_seconds=None, clock_offset_ms=-9,
                    measured_seconds=8, detections={"delayed_fill": 1})  # fmt: skip
    folded = worst([replace(WELL, clock_offset_ms=4, detections={"delayed_fill": 2}), other])
    assert (folded.breaker, folded.recent_requests, folded.recent_errors) == ("open", 200, 7)
    assert (folded.latency_ms_p95, folded.silence_seconds, folded.clock_offset_ms) == (9.0, 1, -9)
    assert (folded.measured_seconds, folded.detections) == (8, {"delayed_fill": 3})


@given(
    capability=st.sampled_from(["submit", "cancel", "query", "stream"]),
    errors=st.integers(0, 100),
    more=st.integers(0, 100),
    latency=st.floats(0, 60_000),
    silence=st.floats(0, 1_000),
    offset=st.integers(-60_000, 60_000),
    detections=st.dictionaries(st.sampled_from([row.fact for row in WEIGHTS[-4:]]), st.integers(0, 9)),
)
def test_worse_facts_never_score_better(
    capability: str, errors: int, more: int, latency: float, silence: float, offset: int, detections: dict[str, int]
) -> None:
    facts = replace(
        WELL, capability=capability, recent_errors=errors, latency_ms_p95=latency, silence_seconds=silence,
        clock_offset_ms=offset, detections=detections,
    )  # fmt: skip
    scored = channel_score(facts)
    assert scored.points is not None
    assert 0 <= scored.points <= 100
    assert (scored.points == 100) == (not scored.reasons)
    for worse in (
        replace(facts, recent_errors=min(100, errors + more)),
        replace(facts, latency_ms_p95=latency * 2),
        replace(facts, silence_seconds=silence + more),
        replace(facts, clock_offset_ms=offset * 2),
        replace(facts, breaker="open"),
    ):
        assert points(channel_score(worse)) <= scored.points


def points(score: Score) -> int:
    assert score.points is not None
    return score.points
