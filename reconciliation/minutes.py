"""Minutes whose digests agree need no comparison of rows: what is left of a read after them, and which minutes are proved.

Ours are kept by the database as fills are booked (FillDigest), the venue's as its good reads are looked at (VenueDigest).
Digests only decide what has to be read: every difference is still found by the comparison of rows, with all its guards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q

from orders.models import Fill, FillDigest, ToldSpan, VenueDigest
from project.lib import sql
from reconciliation import digests, facts
from venues.models import Snapshot

Name = tuple[str, str]  # symbol and venue trade id: a trade with ourselves has it twice, with either side
_KEEP = """
INSERT INTO orders_venuedigest AS kept (account_id, minute, count, digest, snapshot_number, told_at)
SELECT %s, v.minute, v.count, v.digest, %s, %s FROM unnest(%s::timestamptz[], %s::int[], %s::numeric[]) AS v(minute, count, digest)
ON CONFLICT (account_id, minute) DO UPDATE SET count = EXCLUDED.count, digest = EXCLUDED.digest,
    snapshot_number = EXCLUDED.snapshot_number, told_at = EXCLUDED.told_at
WHERE (kept.count, kept.digest) IS DISTINCT FROM (EXCLUDED.count, EXCLUDED.digest)
"""
_BESIDE = """
WITH asked AS (SELECT %s::text AS account, %s::timestamptz AS begins_at, %s::timestamptz AS ends_at),
spans AS (
    SELECT greatest(s.begins_at, a.begins_at) AS begins_at, least(s.ends_at, a.ends_at) AS ends_at FROM orders_toldspan s
    JOIN asked a ON s.account_id = a.account AND s.begins_at < a.ends_at AND s.ends_at > a.begins_at
),
ours AS (
    SELECT minute, count, digest FROM orders_filldigest d
    JOIN asked a ON d.account_id = a.account AND d.minute >= a.begins_at AND d.minute < a.ends_at
),
theirs AS (
    SELECT minute, count, digest FROM orders_venuedigest d
    JOIN asked a ON d.account_id = a.account AND d.minute >= a.begins_at AND d.minute < a.ends_at
),
sides AS (
    SELECT minute, t.count, o.digest IS DISTINCT FROM t.digest OR o.count IS DISTINCT FROM t.count AS differs
    FROM ours o FULL JOIN theirs t USING (minute)
)
SELECT coalesce((SELECT sum(extract(epoch FROM ends_at - begins_at))::bigint / 60 FROM spans), 0),
    coalesce((SELECT sum(count) FROM sides), 0)::bigint,
    (SELECT array_agg(minute ORDER BY minute) FROM sides WHERE differs
        AND EXISTS (SELECT 1 FROM spans WHERE minute >= spans.begins_at AND minute < spans.ends_at))
"""
_IN_MINUTES = """
SELECT f.id FROM unnest(%s::timestamptz[]) AS m(minute) JOIN orders_fill f
ON f.account_id = %s AND f.executed_at >= m.minute AND f.executed_at < m.minute + interval '1 minute'
AND f.executed_at >= %s AND f.executed_at <= %s
"""


@dataclass(frozen=True)
class Left:
    """What of a read has to be compared row by row, of the venue's rows and of our fills; `agreed` names the rest."""

    rows: list[digests.Row]
    booked: list[Fill]
    agreed: frozenset[str]


@dataclass(frozen=True)
class Beside:
    """How the digests of a span of minutes compare. What no good read told whole is neither equal nor differing."""

    told: int
    minutes: int
    trades: int
    differing: list[datetime] = field(default_factory=list)

    @property
    def untold(self) -> int:
        """How many minutes no good read has told whole."""
        return self.minutes - self.told

    @property
    def is_proved(self) -> bool:
        """Whether every minute was told and holds the same on both sides."""
        return not self.untold and not self.differing


def left_of(snapshot: Snapshot, further: Iterable[Name]) -> Left:
    """Return what of a good read of fills the digests do not prove, in the order in which the venue told it.

    Rows of one name are judged together: with a row that is left, a fill of a minute that differs or one of `further`
    come the others of its name. Raises KeyError or TypeError for a stored row that is no trade.
    """
    told = digests.by_minute(snapshot.rows)
    asked = Q(minute__in=list(told.digests))
    if snapshot.window_from:
        asked |= Q(minute__gte=digests.minute_of(snapshot.window_from), minute__lte=snapshot.taken_at)
    kept = FillDigest.objects.filter(asked, account_id=snapshot.account_id)
    ours = {minute: (count, int(total)) for minute, count, total in kept.values_list("minute", "count", "digest")}
    equal = {minute for minute, theirs in told.digests.items() if ours.get(minute) == (theirs.count, theirs.total)}
    booked = _booked_in(snapshot, sorted(ours.keys() - equal))
    proved = {place for minute in equal for place in told.places[minute]}
    names = {(row["symbol"], row["venue_trade_id"]) for place, row in enumerate(snapshot.rows) if place not in proved}
    names |= {(fill.symbol, fill.venue_trade_id) for fill in booked}
    names |= set(further)
    rows, agreed = [], set()
    for place, row in enumerate(snapshot.rows):
        if place not in proved or (row["symbol"], row["venue_trade_id"]) in names:
            rows.append(row)
        if place in proved:
            agreed.add(facts.fill_subject(row["symbol"], row["venue_trade_id"], row["side"]))
    return Left(rows, booked, frozenset(agreed))


def _booked_in(snapshot: Snapshot, minutes: Sequence[datetime]) -> list[Fill]:
    if not minutes or snapshot.window_from is None:
        return []
    found = sql.rows(_IN_MINUTES, list(minutes), snapshot.account_id, snapshot.window_from, snapshot.taken_at)
    return list(Fill.objects.filter(id__in=[row[0] for row in found]))


def keep_told(snapshot: Snapshot, reading: facts.Reading) -> None:
    """Keep which minutes a good read tells whole, and the digests of those with trades.

    A minute at an edge of the window may be told in part, and one close to the read may still fill; neither is kept. Where
    a trade has no time, no minute can be called whole. Call inside the transaction that holds the surface's row.
    """
    if reading.window_from is None:
        return
    told = digests.by_minute(snapshot.rows)
    begins_at = digests.minute_of(reading.window_from + facts.MARGIN) + digests.MINUTE
    ends_at = digests.minute_of(reading.settled_before)
    if told.loose or begins_at >= ends_at:
        return
    whole = {minute: digest for minute, digest in told.digests.items() if begins_at <= minute < ends_at}
    _lengthen(snapshot.account_id, begins_at, ends_at)
    kept = VenueDigest.objects.filter(account_id=snapshot.account_id, minute__gte=begins_at, minute__lt=ends_at)
    kept.exclude(minute__in=list(whole)).delete()  # told before, and not any more
    if whole:
        counts, totals = [each.count for each in whole.values()], [each.total for each in whole.values()]
        sql.run(_KEEP, snapshot.account_id, snapshot.id, snapshot.requested_at, list(whole), counts, totals)


def beside(account: str, start: datetime, end: datetime) -> Beside:
    """Compare the kept digests of [start, end), both whole minutes, without reading a single trade."""
    [(told, trades, differing)] = sql.rows(_BESIDE, account, start, end)
    return Beside(told, max(int((end - start) / digests.MINUTE), 0), trades, differing or [])


def _lengthen(account: str, begins_at: datetime, ends_at: datetime) -> None:
    touched = ToldSpan.objects.filter(account_id=account, begins_at__lte=ends_at, ends_at__gte=begins_at)
    spans = list(touched.order_by("begins_at"))
    if len(spans) == 1 and spans[0].begins_at <= begins_at:
        if ends_at > spans[0].ends_at:
            touched.update(ends_at=ends_at)
        return
    touched.delete()
    ToldSpan.objects.create(
        account_id=account,
        begins_at=min([begins_at, *(span.begins_at for span in spans)]),
        ends_at=max([ends_at, *(span.ends_at for span in spans)]),
    )
