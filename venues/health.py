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


@dataclass(frozen=True, kw_only=True)
class ChannelStats:
    """One channel as it stands; the fields of venues.models.ChannelHealth."""

    capability: Capability
    requests: int
    errors: int
    latency_ms_p50: float | None
    latency_ms_p99: float | None
    last_success_at: datetime | None
    last_error_at: datetime | None
    last_error: str
    breaker: str
    breaker_reason: str
    reconnects: int


class Channel:
    """Counts for one capability. Noting a call costs an append; percentiles are made when asked for."""

    def __init__(self, capability: Capability) -> None:
        self.capability = capability
        self._latencies: deque[float] = deque(maxlen=SAMPLES)
        self.requests = self.errors = self.reconnects = 0
        self.last_success_at: datetime | None = None
        self.last_error_at: datetime | None = None
        self.last_error = ""

    def succeeded(self, seconds: float | None = None) -> None:
        """Note an answer of the venue and how long it took."""
        self.requests += 1
        self.last_success_at = clock.now()
        if seconds is not None:
            self._latencies.append(seconds)

    def failed(self, reason: str) -> None:
        """Note a request that came to nothing."""
        self.requests += 1
        self.errors += 1
        self.last_error_at, self.last_error = clock.now(), reason[:200]

    def stats(self, breaker: str, breaker_reason: str) -> ChannelStats:
        """Return the channel as it stands."""
        ordered = sorted(self._latencies)
        return ChannelStats(
            capability=self.capability, requests=self.requests, errors=self.errors,
            latency_ms_p50=_percentile(ordered, 0.50), latency_ms_p99=_percentile(ordered, 0.99),
            last_success_at=self.last_success_at, last_error_at=self.last_error_at, last_error=self.last_error,
            breaker=breaker, breaker_reason=breaker_reason[:200], reconnects=self.reconnects,
        )  # fmt: skip


def _percentile(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 3)
