"""What each channel of an account has been doing: latency, errors, breaker; kept in memory, written by the owner."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from project.lib import clock

Capability = Literal["submit", "cancel", "query", "stream"]
CAPABILITIES: tuple[Capability, ...] = ("submit", "cancel", "query", "stream")
SAMPLES = 512
RECENT_SECONDS: dict[Capability, float] = {"submit": 60.0, "cancel": 60.0, "query": 60.0, "stream": 300.0}
RECENT_MAX = 10_000


@dataclass(frozen=True, kw_only=True)
class ChannelStats:
    """One channel as it stands; the fields of venues.models.ChannelHealth.

    recent_requests, recent_errors: of the last minute; of a stream, how often it was opened and lost in five.
    heard_at: when the venue last answered well on it, or sent a frame. clock_offset_ms: how far its clock is ahead.
    """

    capability: Capability
    requests: int
    errors: int
    latency_ms_p50: float | None
    latency_ms_p95: float | None
    latency_ms_p99: float | None
    last_success_at: datetime | None
    last_error_at: datetime | None
    last_error: str
    breaker: str
    breaker_reason: str
    reconnects: int
    recent_requests: int
    recent_errors: int
    heard_at: datetime | None
    clock_offset_ms: int | None


class Channel:
    """Counts for one capability. Noting a call costs an append; percentiles are made when asked for."""

    def __init__(self, capability: Capability) -> None:
        self.capability = capability
        self._latencies: deque[float] = deque(maxlen=SAMPLES)
        self._recent: deque[tuple[float, bool]] = deque(maxlen=RECENT_MAX)  # (when, whether it failed)
        self.requests = self.errors = self.reconnects = 0
        self.last_success_at: datetime | None = None
        self.last_error_at: datetime | None = None
        self.last_error = ""
        self.heard_at: datetime | None = None

    def succeeded(self, seconds: float | None = None) -> None:
        """Note an answer of the venue and how long it took."""
        self.requests += 1
        self.last_success_at = self.heard_at = clock.now()
        self._recent.append((clock.monotonic_seconds(), False))
        if seconds is not None:
            self._latencies.append(seconds)

    def failed(self, reason: str) -> None:
        """Note a request that came to nothing."""
        self.requests += 1
        self.errors += 1
        self.last_error_at, self.last_error = clock.now(), reason[:200]
        self._recent.append((clock.monotonic_seconds(), True))

    def refused(self, reason: str) -> None:
        """Count the answer just noted as an error: the venue was there, and would not for reasons of its own."""
        self.errors += 1
        self.last_error_at, self.last_error = clock.now(), reason[:200]
        self._recent[-1] = (self._recent[-1][0], True)

    def stats(self, breaker: str, breaker_reason: str, clock_offset_ms: int | None = None) -> ChannelStats:
        """Return the channel as it stands."""
        ordered = sorted(self._latencies)
        since = clock.monotonic_seconds() - RECENT_SECONDS[self.capability]
        while self._recent and self._recent[0][0] < since:
            self._recent.popleft()
        return ChannelStats(
            capability=self.capability, requests=self.requests, errors=self.errors,
            latency_ms_p50=_percentile(ordered, 0.50), latency_ms_p95=_percentile(ordered, 0.95), latency_ms_p99=_percentile(ordered, 0.99),
            last_success_at=self.last_success_at, last_error_at=self.last_error_at, last_error=self.last_error,
            breaker=breaker, breaker_reason=breaker_reason[:200], reconnects=self.reconnects,
            recent_requests=len(self._recent), recent_errors=sum(failed for _, failed in self._recent),
            heard_at=self.heard_at, clock_offset_ms=clock_offset_ms,
        )  # fmt: skip


def _percentile(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 3)
