"""Detectors of the asymmetric failures: what only a venue that works badly does while it says that all is well. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

DELAYED_FILL = "delayed_fill"
ACKNOWLEDGED_THEN_DENIED = "acknowledged_then_denied"
STREAM_DIFFERS = "stream_differs"
THROTTLED_IN_MOVE = "throttled_in_move"
# Each kind, and the channel it speaks of.
DETECTED_ON = {
    DELAYED_FILL: "stream", STREAM_DIFFERS: "stream", ACKNOWLEDGED_THEN_DENIED: "submit", THROTTLED_IN_MOVE: "submit",
}  # fmt: skip
DETECTED_WITHIN = timedelta(minutes=10)
DELAY_SECONDS_MIN = 10.0
STREAM_GRACE_SECONDS = 5.0
DENIAL_SECONDS_MIN = 3.0
MOVE_PERCENT_MIN = Decimal("0.5")
MOVE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Since when an account was in a position to hear of a trade at once.

    stream_live_at: since when its stream is live without a break, None when it is not. read_at: when the newest good
    read of trades before this one was asked for. read_lag_seconds: how far the venue's reads may lag.
    """

    stream_live_at: datetime | None
    read_at: datetime | None
    read_lag_seconds: float


def told_late(executed_at: datetime, received_at: datetime, source: str, listening: Listening) -> str:
    """Return what a trade that is booked now says of its venue: `delayed_fill`, `stream_differs`, or nothing.

    Late by ten seconds counts only where it would have been heard in time: the stream was live before the trade, or a
    good read asked long enough after it and did not have it. A trade that REST tells and a live stream never did is the
    stream's lie, not a delay.
    """
    age_seconds = (received_at - executed_at).total_seconds()
    was_streamed = listening.stream_live_at is not None and listening.stream_live_at < executed_at
    lag = timedelta(seconds=listening.read_lag_seconds)
    was_read = listening.read_at is not None and executed_at + lag < listening.read_at
    is_late = age_seconds >= DELAY_SECONDS_MIN
    if source == "stream":
        return DELAYED_FILL if is_late and (was_streamed or was_read) else ""
    if was_read and is_late:
        return DELAYED_FILL
    return STREAM_DIFFERS if was_streamed and age_seconds >= STREAM_GRACE_SECONDS else ""


def denies_what_it_took(acknowledged_at: datetime, asked_at: datetime, read_lag_seconds: float) -> bool:
    """Say whether "no such order", answered well, contradicts the venue's own acknowledgement and not only its lag."""
    return (asked_at - acknowledged_at).total_seconds() > max(read_lag_seconds, DENIAL_SECONDS_MIN)


def moved_percent(prices: Iterable[tuple[float, Decimal]], at: float) -> Decimal:
    """Return how far a price has ranged in the minute before a monotonic time, in percent of its lowest; 0 for one price."""
    recent = [price for seen_at, price in prices if at - MOVE_SECONDS <= seen_at <= at and price > 0]
    if len(recent) < 2:
        return Decimal(0)
    return (max(recent) - min(recent)) / min(recent) * 100


def is_throttled_in_move(prices: Iterable[tuple[float, Decimal]], at: float) -> bool:
    """Say whether a venue that slowed us down did so when it mattered: in a market that moves fast."""
    return moved_percent(prices, at) >= MOVE_PERCENT_MIN
