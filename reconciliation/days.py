"""A day or a month of fills proved: by digests where they agree, by the rows of what differs, and what nobody told named."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db import DataError, transaction

from orders.models import Fill, VenueDigest
from project.lib import clock, sql
from reconciliation import columnar, digests, facts, minutes
from reconciliation.columnar import COLUMNS, Compared, NotComparable, Side
from reconciliation.models import Statement
from venues.models import Account, Snapshot

_TOLD = """
SELECT r.venue_trade_id, r.symbol, r.side, r.price, r.quantity, coalesce(r.fee, 0) AS fee, coalesce(r.fee_asset, '') AS fee_asset,
    r.occurred_at AS executed_at
FROM venues_snapshot s CROSS JOIN LATERAL jsonb_to_recordset(s.rows) AS r(venue_trade_id text, symbol text, side text, price numeric,
    quantity numeric, fee numeric, fee_asset text, occurred_at timestamptz)
JOIN orders_venuedigest d ON d.account_id = s.account_id AND d.snapshot_number = s.id
    AND d.minute = date_bin('1 minute', r.occurred_at, 'epoch')
WHERE s.account_id = %s AND s.id = ANY(%s) AND d.minute = ANY(%s)
"""
_BOOKED = f"""
SELECT {", ".join(f"f.{name}" for name in COLUMNS)}, f.executed_at FROM unnest(%s::timestamptz[]) AS m(minute)
JOIN orders_fill f ON f.account_id = %s AND f.executed_at >= m.minute AND f.executed_at < m.minute + interval '1 minute'
"""
# Ours of a span and the lines of a statement, minute by minute; also a line outside of the span lies in a minute of its own.
_MINUTE = "date_bin('1 minute', executed_at, 'epoch')"
_BY_MINUTE = f"""
SELECT coalesce(sum(o.count), 0)::bigint, coalesce(sum(t.count), 0)::bigint, count(*),
    array_agg(minute ORDER BY minute) FILTER (WHERE o.digest IS DISTINCT FROM t.digest OR o.count IS DISTINCT FROM t.count)
FROM (SELECT minute, count, digest FROM orders_filldigest WHERE account_id = %s AND minute >= %s AND minute < %s) AS o
FULL JOIN (
    SELECT minute, count(*) AS count, sum(hash) AS digest FROM (
        SELECT {_MINUTE} AS minute, gapless_fill_hash(venue_trade_id, symbol, side, price, quantity, fee, fee_asset) AS hash
        FROM reconciliation_statementline WHERE statement_id = %s OFFSET 0
    ) AS line GROUP BY 1
) AS t USING (minute)
"""


@dataclass(frozen=True)
class Proof:
    """What is known of a span: its minutes by digest, what differs by rows, and minutes whose rows are not kept any more."""

    beside: minutes.Beside
    compared: Compared | None = None
    forgotten: list[datetime] = field(default_factory=list)

    @property
    def differences(self) -> Sequence[facts.Difference]:
        """What differs, trade by trade."""
        return self.compared.comparison.differences if self.compared else ()

    @property
    def is_proved(self) -> bool:
        """Whether every minute was told, and nothing in it differs once its rows are looked at."""
        return not self.beside.untold and not self.forgotten and not self.differences


def prove(account: Account, start: datetime, end: datetime) -> Proof:
    """Prove the fills of [start, end), whole minutes. Reads no trade where the digests agree.

    Raises NotComparable when the rows of what differs cannot be read.
    """
    beside = minutes.beside(account.code, start, end)
    if not beside.differing:
        return Proof(beside)
    told = VenueDigest.objects.filter(account=account, minute__in=beside.differing)
    by_minute = dict(told.values_list("minute", "snapshot_number"))
    kept = set(Snapshot.objects.filter(id__in=set(by_minute.values())).values_list("id", flat=True))
    forgotten = [minute for minute in beside.differing if minute in by_minute and by_minute[minute] not in kept]
    left = sorted(set(beside.differing) - set(forgotten))
    if not left:
        return Proof(beside, forgotten=forgotten)
    theirs = Side(_TOLD, (account.code, sorted(kept), left))

    @functools.cache  # asked for every fill of a name, and a minute has many
    def is_equal(minute: datetime) -> bool:
        within = start <= minute < end and minute not in forgotten
        return within and VenueDigest.objects.filter(account=account, minute=minute).exists()

    try:
        return Proof(beside, _in_minutes(account, theirs, left, is_equal), forgotten)
    except (DataError, ValueError) as problem:
        raise NotComparable(f"A stored row cannot be read back ({problem}). Nothing was concluded.") from problem


def against_statement(account: Account, statement: Statement, start: datetime, end: datetime) -> Compared:
    """Compare our fills of [start, end) with the lines of a statement: the minutes that differ, or all if most do.

    Raises NotComparable.
    """
    lines, mine = columnar.stated(statement.pk), columnar.booked(account.code, start, end)
    with transaction.atomic():
        # Hashing is the work here; the planner believes that it is the passing on of rows.
        sql.run("SET LOCAL parallel_tuple_cost = 0")
        [(ours, theirs, minutes_count, differing)] = sql.rows(_BY_MINUTE, account.code, start, end, statement.pk)
    is_whole = digests.minute_of(start) == start and digests.minute_of(end) == end
    if not is_whole or 2 * len(differing or []) > minutes_count:
        return columnar.compare(account, mine, lines, reading_of(start))
    found = Compared(facts.Comparison(), ours, theirs, 0)
    if differing:
        told = Side(f"SELECT * FROM ({lines.query}) AS line WHERE {_MINUTE} = ANY(%s)", (*lines.parameters, differing))
        part = _in_minutes(account, told, differing, lambda minute: start <= minute < end)
        found = replace(found, comparison=part.comparison, names=part.names)
    return found


def _in_minutes(
    account: Account, theirs: Side, differing: Sequence[datetime], is_equal: Callable[[datetime], bool]
) -> Compared:
    unequal = set(differing)

    def is_proved(fill: Fill) -> bool:
        minute = digests.minute_of(fill.executed_at)
        return minute not in unequal and is_equal(minute)

    ours = Side(_BOOKED, (list(differing), account.code))
    return columnar.compare(account, ours, theirs, reading_of(differing[0]), is_proved)


def reading_of(start: datetime) -> facts.Reading:
    """Return the reading of a span told whole: the edges of a read's window play no part, what is booked right now does."""
    now = clock.now()
    return facts.Reading(requested_at=now, taken_at=now, window_from=start - facts.MARGIN - digests.MINUTE)
