"""The life of a stream as facts: why it ended, when to try again, one connection as a session, how much of a time it stood. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from project.lib import ids

SessionKind = Literal["private", "book"]
FIRST_WAIT_SECONDS = 0.25
WAIT_SECONDS_MAX = 30.0
DOUBLINGS_MAX = 10


class StreamReason(StrEnum):
    """Why a stream was lost, or never came to be. The set is closed; what each means stands in MEANINGS."""

    CLOSED_BY_VENUE = "STREAM_CLOSED_BY_VENUE"
    FAILED = "STREAM_FAILED"
    SILENT = "STREAM_SILENT"
    HEARTBEAT_MISSED = "STREAM_HEARTBEAT_MISSED"
    GAP = "STREAM_GAP"
    REFUSED = "STREAM_REFUSED"
    NOT_OPENED = "STREAM_NOT_OPENED"
    NOT_OPENED_IN_TIME = "STREAM_NOT_OPENED_IN_TIME"
    STOPPED = "STREAM_STOPPED"
    OWNER_LOST = "STREAM_OWNER_LOST"


MEANINGS: dict[str, str] = {
    StreamReason.CLOSED_BY_VENUE: "the venue closed the connection",
    StreamReason.FAILED: "the connection broke: reset, TLS error, a frame against the protocol",
    StreamReason.SILENT: "neither a frame nor an answer to our ping for longer than the venue's limit",
    StreamReason.HEARTBEAT_MISSED: "our pings are answered, but the heartbeat that this venue sends by itself stays out",
    StreamReason.GAP: "the venue's own numbers leave one out: a frame was lost",
    StreamReason.REFUSED: "the venue answered the subscription with an error",
    StreamReason.NOT_OPENED: "no connection, or the sign-in failed",
    StreamReason.NOT_OPENED_IN_TIME: "the subscription was not confirmed in time",
    StreamReason.STOPPED: "ended by us: settings changed, lease given back, nobody needs it any more",
    StreamReason.OWNER_LOST: "the executor that held it ended without a word; found by the next one",
}


@dataclass(kw_only=True)
class Session:
    """One connection of a stream, from its subscription until its loss.

    live_at: when what had been missed before it was read by REST; until then it delivers, but the account is not whole.
    tries: connections attempted for this one. reconnect_ms, healed_ms: from the loss of the one before until this one
    was subscribed, and until it was live; None for the first. dropped: frames not taken at the bound of our queue;
    resyncs: how often the account was read by REST for that. seen_at: until when it is known to have stood.
    """

    kind: SessionKind
    connected_at: datetime
    symbol: str = ""
    id: uuid.UUID = field(default_factory=ids.new_id)
    tries: int = 1
    reconnect_ms: int | None = None
    live_at: datetime | None = None
    healed_ms: int | None = None
    ended_at: datetime | None = None
    reason: StreamReason | None = None
    detail: str = ""
    frames: int = 0
    dropped: int = 0
    resyncs: int = 0
    last_message_at: datetime | None = None
    seen_at: datetime

    def end(self, at: datetime, reason: StreamReason, detail: str = "") -> None:
        """Note the loss."""
        self.ended_at = self.seen_at = at
        self.reason, self.detail = reason, detail


def wait_seconds(failures: int, chance: float) -> float:
    """Return how long to wait before the next try: exponential backoff with full jitter.

    Anywhere from nothing to a ceiling that doubles with each failure in a row (0.25 s after none, 30 s at most), so that
    accounts cut off together do not come back together. `chance` lies in [0, 1].
    """
    ceiling = FIRST_WAIT_SECONDS * 2.0 ** min(max(failures, 0), DOUBLINGS_MAX)
    return min(ceiling, WAIT_SECONDS_MAX) * chance


def uptime(stood: Iterable[tuple[datetime, datetime]], since: datetime, until: datetime) -> float | None:
    """Return the share of a time during which a stream stood, from (from, to) of its sessions; None for no time at all."""
    whole = (until - since).total_seconds()
    if whole <= 0:
        return None
    total, reached = timedelta(), since
    for began, ended in sorted(stood):
        began, ended = max(began, reached), min(ended, until)
        if ended > began:
            total += ended - began
            reached = ended
    return total.total_seconds() / whole
