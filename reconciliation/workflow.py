"""What may become of a break: the table of moves, who may do what in which status, causes, and when it is due. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

SUSPECTED, OPEN, INVESTIGATING = "suspected", "open", "investigating"
WAITING, AWAITING, RESOLVED = "waiting_for_venue", "awaiting_approval", "resolved"
STATUSES = (SUSPECTED, OPEN, INVESTIGATING, WAITING, AWAITING, RESOLVED)

# Every move there is; what is not here cannot happen, whoever asks.
MOVES: dict[str, frozenset[str]] = {
    SUSPECTED: frozenset({OPEN, RESOLVED}),
    OPEN: frozenset({INVESTIGATING, WAITING, AWAITING, RESOLVED}),
    INVESTIGATING: frozenset({WAITING, AWAITING, RESOLVED}),
    WAITING: frozenset({INVESTIGATING, AWAITING, RESOLVED}),
    AWAITING: frozenset({INVESTIGATING, RESOLVED}),
    RESOLVED: frozenset({OPEN, INVESTIGATING}),
}

# How a break ends. `automatic` is never a person's.
RESOLUTIONS = ("adjusted", "explained", "venue_fixed", "automatic")

CAUSES: dict[str, str] = {
    "timing": "Both are right, at different times",
    "fee": "A fee nobody told us of, or told otherwise",
    "funding": "Funding or interest",
    "transfer": "A deposit, withdrawal or transfer",
    "manual_trade": "Somebody traded outside of Gapless",
    "venue_error": "The venue was wrong",
    "our_error": "We were wrong",
    "rounding": "Rounding",
    "unknown": "Nobody found out",
}

UNRESOLVED = frozenset(STATUSES) - {RESOLVED}
WITH_A_PERSON = frozenset({OPEN, INVESTIGATING, WAITING})
# What a person may ask for, and in which statuses.
ACTIONS: dict[str, frozenset[str]] = {
    "assign": UNRESOLVED,
    "note": UNRESOLVED,
    "cause": UNRESOLVED,
    "explain": UNRESOLVED - {AWAITING},
    "lines": UNRESOLVED - {AWAITING},
    "wait": frozenset({OPEN, INVESTIGATING}),
    "resume": frozenset({OPEN, WAITING}),
    "snooze": WITH_A_PERSON,
    "fix": WITH_A_PERSON,
    "reopen": frozenset({RESOLVED}),
}
_WHY_NOT: dict[str, str] = {
    SUSPECTED: "one read alone has shown the difference; wait for the second, or ask for a run",
    AWAITING: "a counter-entry for it waits for a second person; let it be decided, or withdraw it first",
    RESOLVED: "it is resolved; reopen it first",
    WAITING: "the venue has been asked already; take it back to investigating first",
    INVESTIGATING: "somebody investigates it already",
    OPEN: "nothing was decided about it yet",
}


class NotAllowed(Exception):
    """The table has no such move."""


def moved(old: str, new: str) -> str:
    """Return the new status of a break; staying where it is counts as allowed. Raises NotAllowed."""
    if new == old or new in MOVES[old]:
        return str(new)
    raise NotAllowed(f"a break that is {_words(old)} cannot become {_words(new)}")


def refusal(action: str, status: str) -> str:
    """Return why an action is not possible in a status, for a person, or nothing when it is."""
    if status in ACTIONS[action]:
        return ""
    if action == "reopen":
        return f"the break is not resolved, it is {status}"
    return _WHY_NOT[status]


def after_assignment(status: str) -> str:
    """Return the status of a break once somebody looks after it."""
    return INVESTIGATING if status == OPEN else status


def due_at(severity: str, since: datetime, minutes: Mapping[str, int]) -> datetime | None:
    """Return when somebody must have decided, counted from `since`; none where the severity has no limit."""
    limit = minutes.get(severity)
    return None if limit is None else since + timedelta(minutes=limit)


def _words(status: str) -> str:
    return status.replace("_", " ")
