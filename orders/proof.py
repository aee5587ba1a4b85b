"""When may an unknown submit be called never accepted? Pure; the rule is in the design, the figures come from the venue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

LOOKUPS_NEEDED = 2
MARGIN_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """What is known about one unknown submit."""

    sent_at: datetime
    valid_until: datetime | None
    processing_bound_seconds: float
    read_lag_seconds: float
    lookups_absent: int
    books_explained: bool


@dataclass(frozen=True)
class Verdict:
    """Whether absence is proved, and in words what is still missing."""

    is_proved: bool
    missing: str


def conclusive_from(doubt: Doubt) -> datetime | None:
    """Return when a 'not found' starts to count: the request can no longer be executed and reads have caught up."""
    if doubt.valid_until is None:
        return None
    bound = doubt.processing_bound_seconds + doubt.read_lag_seconds + MARGIN_SECONDS
    return doubt.valid_until + timedelta(seconds=bound)


def judge(doubt: Doubt, now: datetime) -> Verdict:
    """Apply the absence rule: window passed, two spaced lookups since then, trades and balances explained without it."""
    counted_from = conclusive_from(doubt)
    if counted_from is None:
        return Verdict(False, "this venue has no validity window: time alone never proves absence")
    if now < counted_from:
        return Verdict(False, f"the venue may still execute it until {counted_from:%H:%M:%S} UTC")
    if doubt.lookups_absent < LOOKUPS_NEEDED:
        return Verdict(False, f"{doubt.lookups_absent} of {LOOKUPS_NEEDED} good lookups since then say it is not there")
    if not doubt.books_explained:
        return Verdict(False, "trades or balances since the send are not yet explained without it")
    return Verdict(True, "")
