"""Sessions of streams as rows: how a stream stands, and what became of those before it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import F

from project.lib import sql
from venues.models import Account, StreamSession
from venues.streams import MEANINGS, Session, StreamReason, uptime

WINDOW = timedelta(hours=24)
SEEN_WITHIN = timedelta(seconds=15)
_DETAIL_CHARACTERS_MAX = 100
_SESSIONS = sql.table(
    "venues_streamsession", id="uuid", kind="text", symbol="text", connected_at="timestamptz", tries="int", reconnect_ms="bigint",
    live_at="timestamptz", healed_ms="bigint", ended_at="timestamptz", reason="text", detail="text", frames="bigint",
    dropped="bigint", resyncs="int", last_message_at="timestamptz", seen_at="timestamptz",
)  # fmt: skip
_NO_REASON = "coalesce(v.reason, '')"  # of a session that still stands
_KEPT = (
    f"INSERT INTO venues_streamsession AS s (account_id, {_SESSIONS.read()}) "
    f"SELECT $1::text, {_SESSIONS.chosen().replace('v.reason', _NO_REASON)} FROM {_SESSIONS.unnested(first=2)} ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{column} = EXCLUDED.{column}" for _, column, _ in _SESSIONS.columns if column != "id")
    + " WHERE s.ended_at IS NULL"
)


def keep(account: str, session: Session) -> None:
    """Write down how a session stands. What is known to have ended keeps its end."""
    row = replace(session, detail=session.detail[:_DETAIL_CHARACTERS_MAX])
    flush = sql.Flush()
    flush.add(_KEPT, [account.encode(), *_SESSIONS.values([row])])
    flush.send()


def end_left_open(account: str) -> None:
    """End the sessions whose owner ended without a word: they stood until they were last seen."""
    left = StreamSession.objects.filter(account_id=account, ended_at=None)
    left.update(ended_at=F("seen_at"), reason=StreamReason.OWNER_LOST)


@dataclass(frozen=True, kw_only=True)
class StreamSummary:
    """One stream of an account over the last 24 hours, or since its first session."""

    account: str
    kind: str
    symbol: str
    state: str
    newest: StreamSession
    uptime: float | None
    sessions: int
    reconnect_ms_p50: int | None
    reconnect_ms_max: int | None
    healed_ms_p50: int | None
    healed_ms_max: int | None
    last_reason: str

    @property
    def uptime_percent(self) -> float | None:
        """The share of the time during which it stood, in percent; never rounded up to 100."""
        return None if self.uptime is None else math.floor(self.uptime * 10_000) / 100

    @property
    def since(self) -> datetime:
        """Since when it has been in its state."""
        return self.newest.ended_at or self.newest.live_at or self.newest.connected_at

    @property
    def last_meaning(self) -> str:
        """What the reason of the last loss means."""
        return MEANINGS.get(self.last_reason, "")


def summaries(accounts: Iterable[Account], now: datetime) -> list[StreamSummary]:
    """Return how the streams of these accounts have stood, by account, kind and symbol."""
    since = now - WINDOW
    rows = StreamSession.objects.filter(account__in=list(accounts), seen_at__gte=since)
    streams: dict[tuple[str, str, str], list[StreamSession]] = defaultdict(list)
    for row in rows.order_by("account_id", "-kind", "symbol", "connected_at", "id"):
        streams[(row.account_id, row.kind, row.symbol)].append(row)
    return [_summary(*key, found, since, now) for key, found in streams.items()]


def _summary(
    account: str, kind: str, symbol: str, rows: list[StreamSession], since: datetime, now: datetime
) -> StreamSummary:
    newest, ended = rows[-1], [row for row in rows if row.ended_at is not None]
    if newest.ended_at is not None or newest.seen_at < now - SEEN_WITHIN:
        state = "down"
    else:
        state = "live" if newest.live_at is not None else "catching_up"
    # An open session has stood until its owner last saw it; while that is a few seconds ago, it is taken to go on.
    reached = now if state != "down" else newest.ended_at or newest.seen_at
    stood = [(row.connected_at, reached if row is newest else row.ended_at or row.seen_at) for row in rows]
    reconnects = sorted(row.reconnect_ms for row in rows if row.reconnect_ms is not None)
    healed = sorted(row.healed_ms for row in rows if row.healed_ms is not None)
    return StreamSummary(
        account=account, kind=kind, symbol=symbol, state=state, newest=newest,
        uptime=uptime(stood, max(since, rows[0].connected_at), now if kind == "private" else reached), sessions=len(rows),
        reconnect_ms_p50=_middle(reconnects), reconnect_ms_max=reconnects[-1] if reconnects else None,
        healed_ms_p50=_middle(healed), healed_ms_max=healed[-1] if healed else None,
        last_reason=ended[-1].reason if ended else "",
    )  # fmt: skip


def _middle(ordered: list[int]) -> int | None:
    return ordered[len(ordered) // 2] if ordered else None
