"""The order's life as a table: which status may follow which, and what each means. Pure."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Where an order is. `denied` is our refusal, `rejected` the venue's; `unknown` means nobody has proof yet."""

    RECEIVED = "received"
    DENIED = "denied"
    HELD = "held"
    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class Mutation(StrEnum):
    """What is being changed about an order right now; one at a time."""

    NONE = "none"
    CANCEL_PENDING = "cancel_pending"
    CANCEL_UNKNOWN = "cancel_unknown"
    AMEND_PENDING = "amend_pending"
    AMEND_UNKNOWN = "amend_unknown"


S = Status
LOCAL = frozenset({S.RECEIVED, S.HELD, S.QUEUED})
WORKING = frozenset({S.SENDING, S.UNKNOWN, S.OPEN, S.PARTIALLY_FILLED})
AT_VENUE = frozenset({S.OPEN, S.PARTIALLY_FILLED})
TERMINAL = frozenset({S.DENIED, S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED})
ALIVE = LOCAL | WORKING
ALIVE_WORDS = sorted(status.value for status in ALIVE)
AMENDING = frozenset({Mutation.AMEND_PENDING, Mutation.AMEND_UNKNOWN})

_VENUE_FACTS = frozenset({S.OPEN, S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED})
_BY_FILL = frozenset({S.PARTIALLY_FILLED, S.FILLED})

# A fill is accepted in every status: a late one moves an order out of every terminal status.
ALLOWED: dict[Status, frozenset[Status]] = {
    S.RECEIVED: frozenset({S.DENIED, S.HELD, S.QUEUED}) | _BY_FILL,
    S.HELD: frozenset({S.DENIED, S.QUEUED, S.CANCELLED, S.EXPIRED}) | _BY_FILL,
    S.QUEUED: frozenset({S.DENIED, S.SENDING, S.CANCELLED, S.EXPIRED}) | _BY_FILL,
    S.SENDING: frozenset({S.QUEUED, S.DENIED, S.UNKNOWN}) | _VENUE_FACTS,
    S.UNKNOWN: frozenset({S.DENIED}) | _VENUE_FACTS,
    # queued again: the venue's order has ended to be replaced, and its successor waits to be sent
    S.OPEN: (_VENUE_FACTS - {S.OPEN}) | {S.QUEUED},
    S.PARTIALLY_FILLED: frozenset({S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED, S.PARTIALLY_FILLED, S.QUEUED}),
    S.FILLED: frozenset({S.PARTIALLY_FILLED}),  # only when a booked fill is reversed by a venue's bust
    S.DENIED: _BY_FILL | {S.OPEN, S.CANCELLED, S.EXPIRED},  # proof of life heals a wrong "never accepted"
    S.REJECTED: _BY_FILL | {S.OPEN},
    S.CANCELLED: _BY_FILL | {S.OPEN},
    S.EXPIRED: _BY_FILL | {S.OPEN},
}

# Order of strength of venue facts about one order: a weaker, older statement never moves a stronger one back.
RANK: dict[Status, int] = {
    S.RECEIVED: 0, S.HELD: 0, S.QUEUED: 1, S.SENDING: 2, S.UNKNOWN: 3, S.OPEN: 4, S.PARTIALLY_FILLED: 5,
    S.CANCELLED: 6, S.EXPIRED: 6, S.REJECTED: 6, S.DENIED: 6, S.FILLED: 7,
}  # fmt: skip


def may_follow(current: Status, following: Status) -> bool:
    """Say whether the table allows the move."""
    return following in ALLOWED[current]


def is_stale(current: Status, reported: Status) -> bool:
    """Say whether a venue's statement is only an older one arriving late (open after filled), not news."""
    return RANK[reported] < RANK[current]
