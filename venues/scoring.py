"""How well a venue is, 0 to 100, with the reasons: a table of weights and a fold over it. Pure; docs/venue-health.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

State = Literal["measured", "not_measured", "maintenance"]
MEASURED_SECONDS_MAX = 30.0
REQUESTS_MIN = 3  # one lost request of one is no rate


@dataclass(frozen=True, kw_only=True)
class ChannelFacts:
    """One channel (submit, cancel, query, stream) of a venue: the worst of its accounts.

    measured_seconds: how long ago its owner last wrote down how it does. silence_seconds: since the last good answer or
    frame, None where nothing is expected on it. Latencies and the offset of the venue's clock are in milliseconds.
    """

    capability: str
    measured_seconds: float
    breaker: str = "closed"
    recent_requests: int = 0
    recent_errors: int = 0
    latency_ms_p50: float | None = None
    latency_ms_p95: float | None = None
    latency_ms_p99: float | None = None
    silence_seconds: float | None = None
    clock_offset_ms: int | None = None
    detections: Mapping[str, int] = field(default_factory=dict)


class Reason(NamedTuple):
    """Why points are missing."""

    code: str
    text: str
    points: int


@dataclass(frozen=True, kw_only=True)
class Score:
    """Points where they were measured, and why they are not 100."""

    state: State
    points: int | None
    reasons: tuple[Reason, ...] = ()


class Weight(NamedTuple):
    """What a fact costs once it is above a threshold; of the rows of one code the last that is passed counts."""

    code: str
    fact: str
    above: float
    points: int
    text: str
    capabilities: tuple[str, ...] = ("submit", "cancel", "query", "stream")


_REQUESTS = ("submit", "cancel", "query")
WEIGHTS: tuple[Weight, ...] = (
    Weight("BREAKER", "half_open", 0, 30, "its breaker is half open: one read at a time asks whether the venue is back"),
    Weight("BREAKER", "open", 0, 60, "its breaker is open: nothing is sent but cancels"),
    Weight("ERRORS", "error_percent", 2, 10, "{value:.0f} % of its requests failed in the last minute", _REQUESTS),
    Weight("ERRORS", "error_percent", 10, 25, "{value:.0f} % of its requests failed in the last minute", _REQUESTS),
    Weight("ERRORS", "error_percent", 30, 50, "{value:.0f} % of its requests failed in the last minute", _REQUESTS),
    Weight("LOST", "losses", 0, 10, "it was lost {value:.0f} time(s) in five minutes", ("stream",)),
    Weight("LOST", "losses", 2, 30, "it was lost {value:.0f} times in five minutes", ("stream",)),
    Weight("LOST", "losses", 9, 50, "it was lost {value:.0f} times in five minutes", ("stream",)),
    Weight("SLOW", "latency_ms_p95", 1_000, 10, "one answer in twenty takes {value:.0f} ms or longer", _REQUESTS),
    Weight("SLOW", "latency_ms_p95", 3_000, 30, "one answer in twenty takes {value:.0f} ms or longer", _REQUESTS),
    Weight("TAIL", "latency_ms_p99", 5_000, 10, "one answer in a hundred takes {value:.0f} ms or longer", _REQUESTS),
    Weight("SILENT", "silence_seconds", 30, 15, "nothing good was heard for {value:.0f} s", ("query", "stream")),
    Weight("SILENT", "silence_seconds", 90, 50, "nothing good was heard for {value:.0f} s", ("query", "stream")),
    Weight("CLOCK", "clock_off_ms", 500, 5, "its clock and ours differ by {value:.0f} ms", _REQUESTS),
    Weight("CLOCK", "clock_off_ms", 2_000, 15, "its clock and ours differ by {value:.0f} ms", _REQUESTS),
    Weight("CLOCK", "clock_off_ms", 10_000, 30, "its clock and ours differ by {value:.0f} ms", _REQUESTS),
    Weight("DELAYED_FILL", "delayed_fill", 0, 20, "{value:.0f} trade(s) were told ten seconds late or later"),
    Weight("ACKNOWLEDGED_THEN_DENIED", "acknowledged_then_denied", 0, 30, "{value:.0f} order(s) were taken, then denied"),
    Weight("STREAM_DIFFERS", "stream_differs", 0, 20, "{value:.0f} trade(s) came by REST that the stream never told"),
    Weight("THROTTLED_IN_MOVE", "throttled_in_move", 0, 20, "it slowed us down {value:.0f} time(s) in a fast market"),
)  # fmt: skip


def channel_score(facts: ChannelFacts) -> Score:
    """Return how well one channel does. Without a fresh measurement it has no points: not checked is never good."""
    if facts.measured_seconds > MEASURED_SECONDS_MAX:
        text = f"nobody has measured it for {facts.measured_seconds:.0f} s"
        return Score(state="not_measured", points=None, reasons=(Reason("NOT_MEASURED", text, 0),))
    values = _values(facts)
    reached: dict[str, Reason] = {}
    for weight in WEIGHTS:
        value = values.get(weight.fact)
        if value is not None and value > weight.above and facts.capability in weight.capabilities:
            reached[weight.code] = Reason(weight.code, weight.text.format(value=value), weight.points)
    points = max(0, 100 - sum(reason.points for reason in reached.values()))
    return Score(state="measured", points=points, reasons=tuple(reached.values()))


def venue_score(channels: Mapping[str, Score], *, maintenance: str = "") -> Score:
    """Return how well a venue is: as its worst channel. In maintenance it has no points, and its silence is no alarm."""
    if maintenance:
        return Score(state="maintenance", points=None, reasons=(Reason("MAINTENANCE", maintenance, 0),))
    reasons = tuple(
        Reason(reason.code, f"{name}: {reason.text}", reason.points)
        for name, score in channels.items()
        for reason in score.reasons
    )
    measured = [score.points for score in channels.values() if score.points is not None]
    if len(measured) < len(channels) or not channels:
        return Score(state="not_measured", points=None, reasons=reasons or (_NOBODY,))
    return Score(state="measured", points=min(measured), reasons=reasons)


def worst(facts: Iterable[ChannelFacts]) -> ChannelFacts:
    """Return the facts of several accounts about one channel as one: counts added, everything else at its worst."""
    listed = list(facts)
    detections: dict[str, int] = {}
    for one in listed:
        for kind, count in one.detections.items():
            detections[kind] = detections.get(kind, 0) + count
    states = {one.breaker for one in listed}
    return ChannelFacts(
        capability=listed[0].capability,
        measured_seconds=max(one.measured_seconds for one in listed),
        breaker="open" if "open" in states else "half_open" if "half_open" in states else "closed",
        recent_requests=sum(one.recent_requests for one in listed),
        recent_errors=sum(one.recent_errors for one in listed),
        latency_ms_p50=_largest(one.latency_ms_p50 for one in listed),
        latency_ms_p95=_largest(one.latency_ms_p95 for one in listed),
        latency_ms_p99=_largest(one.latency_ms_p99 for one in listed),
        silence_seconds=_largest(one.silence_seconds for one in listed),
        clock_offset_ms=max((one.clock_offset_ms or 0 for one in listed), key=abs),
        detections=detections,
    )


_NOBODY = Reason("NOT_MEASURED", "no account is connected to it", 0)


def _values(facts: ChannelFacts) -> dict[str, float | None]:
    percent = 100 * facts.recent_errors / facts.recent_requests if facts.recent_requests >= REQUESTS_MIN else 0.0
    return {
        "half_open": float(facts.breaker == "half_open"), "open": float(facts.breaker == "open"),
        "error_percent": percent, "losses": float(facts.recent_errors), "latency_ms_p95": facts.latency_ms_p95,
        "latency_ms_p99": facts.latency_ms_p99, "silence_seconds": facts.silence_seconds,
        "clock_off_ms": abs(float(facts.clock_offset_ms or 0)), **facts.detections,
    }  # fmt: skip


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
