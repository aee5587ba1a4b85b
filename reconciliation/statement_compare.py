"""A statement against our fills, by the set: the database finds what differs, the comparison of the runs names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from orders.models import Fill
from project.lib import decimals
from reconciliation import compare, facts, sides
from reconciliation.compare import fingerprint
from reconciliation.models import Break, Statement
from reconciliation.statement_mapping import Layout
from reconciliation.statement_reader import SYNTHETIC
from venues import capabilities
from venues.messages import FillReport
from venues.models import Account

# More than this is no month with mistakes but the wrong file, account or mapping.
DIFFERENCES_MAX = 5_000
ALL, NAMED = "all", "named"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_SAME = "f.account_id = %(account)s AND f.symbol = l.symbol AND f.venue_trade_id = l.venue_trade_id AND f.side = l.side"
_AGREES = (
    "f.price = l.price AND f.quantity = l.quantity AND (l.fee IS NULL OR (f.fee = l.fee AND (l.fee = 0 OR f.fee_asset = l.fee_asset))) "
    "AND abs(extract(epoch FROM f.executed_at - l.executed_at)) <= %(within)s"
)
_LINE = "l.number, l.symbol, l.side, l.venue_trade_id, l.venue_order_id, l.price, l.quantity, l.fee, l.fee_asset, l.executed_at"
# Without ids, the k-th line that says something is the k-th fill that says it; times of exports are cut off, or rounded.
_PAIR = """
WITH l AS (
    SELECT id, symbol, side, price, quantity, date_trunc(%(unit)s, executed_at) AS at, row_number() OVER (
        PARTITION BY symbol, side, price, quantity, date_trunc(%(unit)s, executed_at) ORDER BY executed_at, number) AS place
    FROM reconciliation_statementline WHERE statement_id = %(statement)s AND starts_with(venue_trade_id, %(synthetic)s)
), f AS (
    SELECT symbol, side, price, quantity, venue_trade_id, {at} AS at, row_number() OVER (
        PARTITION BY symbol, side, price, quantity, {at} ORDER BY executed_at, venue_trade_id) AS place
    FROM orders_fill WHERE account_id = %(account)s AND executed_at BETWEEN %(from)s AND %(to)s AND NOT EXISTS (
        SELECT 1 FROM reconciliation_statementline t WHERE t.statement_id = %(statement)s AND t.symbol = orders_fill.symbol
        AND t.venue_trade_id = orders_fill.venue_trade_id AND t.side = orders_fill.side)
)
UPDATE reconciliation_statementline AS row SET venue_trade_id = f.venue_trade_id FROM l JOIN f USING (symbol, side, price, quantity, at, place)
WHERE row.id = l.id
"""
_AT = ("date_trunc(%(unit)s, executed_at)", "date_trunc(%(unit)s, executed_at + ('1 ' || %(unit)s)::interval / 2)")


@dataclass(frozen=True)
class Result:
    """What a comparison found: the differences by name, the line of each, and the counts."""

    comparison: facts.Comparison
    lines: Mapping[str, int]
    counts: Mapping[str, int]


class TooMany(Exception):
    """More differences than a statement of this account can have."""


@dataclass(frozen=True)
class Scope:
    """What a statement is about: the account, the period, which of our markets it must list, and how its times are told."""

    statement: Statement
    layout: Layout
    covers: str
    now: datetime

    @property
    def account(self) -> Account:
        """The account of the statement."""
        return self.statement.account

    @property
    def values(self) -> dict[str, Any]:
        """Return the parameters every query here shares."""
        return {
            "account": self.account.pk, "statement": self.statement.pk, "from": self.statement.window_from,
            "to": self.statement.window_to, "within": self.layout.time_tolerance_seconds, "unit": self.layout.time_unit,
            "synthetic": SYNTHETIC, "since": self.account.opened_at or _LONG_AGO, "limit": DIFFERENCES_MAX + 1,
            "market": {"spot": "%:%", "contract": "%:%"}.get(self.layout.market, ""),
        }  # fmt: skip

    @property
    def listed(self) -> str:
        """Return the condition on our fills that the export must list."""
        told = {"spot": "f.symbol NOT LIKE %(market)s", "contract": "f.symbol LIKE %(market)s"}.get(
            self.layout.market, "true"
        )
        if self.covers == NAMED:
            told += (
                " AND f.symbol IN (SELECT symbol FROM reconciliation_statementline WHERE statement_id = %(statement)s)"
            )
        return told


def pair_by_content(scope: Scope) -> None:
    """Give the lines without an id the id of the fill that says the same, to the unit of time the export is written in."""
    half = timedelta(minutes=1) if scope.layout.time_unit == "minute" else timedelta(seconds=1)
    values = {**scope.values, "from": scope.statement.window_from - half, "to": scope.statement.window_to + half}  # type: ignore[operator]
    with connection.cursor() as cursor:
        for at in _AT:
            cursor.execute(_PAIR.format(at=at), values)


def count(scope: Scope) -> dict[str, int]:
    """Return how many lines name a fill of ours, how many of them agree, and how many fills of ours lie in the period."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*), count(f.id), count(f.id) FILTER (WHERE {_AGREES}), count(*) FILTER (WHERE f.id IS NULL AND l.executed_at < %(since)s) "
            f"FROM reconciliation_statementline l LEFT JOIN orders_fill f ON {_SAME} WHERE l.statement_id = %(statement)s",
            scope.values,
        )
        lines, matched, agreed, before = cursor.fetchone() or (0, 0, 0, 0)
        cursor.execute(
            f"SELECT count(*) FILTER (WHERE {scope.listed}), count(*) FROM orders_fill f WHERE f.account_id = %(account)s "
            "AND f.executed_at BETWEEN %(from)s AND %(to)s",
            scope.values,
        )
        listed, ours = cursor.fetchone() or (0, 0)
    return {"lines": lines, "matched": matched, "agreed": agreed, "before_opening": before, "fills": listed, "fills_not_covered": ours - listed}  # fmt: skip


def differences(scope: Scope) -> Result:
    """Find what differs, in a fixed number of queries, and name it as the runs do. Raises TooMany."""
    said = _rows(scope, _differing())
    theirs = [_report(row) for row in said]
    before = sides.trades_before_opening(scope.account.pk) if theirs else set()
    numbers = {facts.fill_subject(row["symbol"], row["venue_trade_id"], row["side"]): row["number"] for row in said}
    booked = _fills(scope, _named_fills()) + _fills(scope, _turned_fills()) if theirs else []
    missing = _fills(scope, _missing_fills(scope))
    if len(theirs) + len(missing) > DIFFERENCES_MAX:
        raise TooMany
    ours = {fill.id: fill for fill in (*booked, *missing)}
    told = {(fill.symbol, fill.venue_trade_id, fill.side): fill for fill in ours.values()}
    theirs = [_with_fee(row, line, told) for row, line in zip(theirs, said, strict=True)]
    found = compare.compare_fills(
        _reading(scope), [sides.our_fill(fill) for fill in ours.values()],
        [row for row in theirs if (row.symbol, row.venue_trade_id) not in before],
        since=scope.account.opened_at or _LONG_AGO,
        times_within=timedelta(seconds=scope.layout.time_tolerance_seconds),
    )  # fmt: skip
    counts = {
        "missing_here": _kinds(found, "fill_missing_here"), "missing_there": _kinds(found, "fill_missing_at_venue"),
        "differs": _kinds(found, "fill_differs", "fee_differs", "wrong_side"), "too_young": len(found.skipped),
        "different": len(found.differences),
    }  # fmt: skip
    return Result(found, numbers, counts)


def agreeing(scope: Scope, breaks: Iterable[Break]) -> dict[str, int]:
    """Return the subjects of breaks of which the statement says what our books say, with the number of the line."""
    subjects = [row.subject for row in breaks]
    if not subjects:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.symbol || ' ' || l.venue_trade_id || ' ' || l.side AS subject, l.number FROM reconciliation_statementline l "
            f"JOIN orders_fill f ON {_SAME} WHERE l.statement_id = %(statement)s AND {_AGREES} "
            "AND l.symbol || ' ' || l.venue_trade_id || ' ' || l.side = ANY(%(subjects)s)",
            {**scope.values, "subjects": subjects},
        )
        return dict(cursor.fetchall())


def with_evidence(scope: Scope, found: Result, existing: Sequence[Break]) -> facts.Comparison:
    """Return the differences as a statement's: certain, with its file and line as evidence. Nothing of it ends a break."""
    known = {row.fingerprint: row for row in existing}
    is_whole = "fee" in scope.layout.columns and "venue_trade_id" in scope.layout.columns
    told = []
    for each in found.comparison.differences:
        row = known.get(fingerprint(scope.account.pk, each.kind, each.subject, each.asset))
        # What a read of the venue told of the trade is more than a statement without fees: it stays.
        is_told_better = not is_whole and row is not None and bool(row.evidence.get("theirs"))
        evidence = {} if is_told_better else {**each.evidence, "why": _why(each)}
        evidence["statement"] = {
            "statement": str(scope.statement.pk), "file": scope.statement.filename, "line": found.lines.get(each.subject),
            "digest": scope.statement.digest, "is_whole": is_whole or is_told_better,
        }  # fmt: skip
        told.append(replace(each, evidence=evidence, is_certain=True))
    return replace(found.comparison, differences=tuple(told), agreed=frozenset(), skipped=frozenset())


def _why(each: facts.Difference) -> str:
    return {
        "fill_missing_here": "The venue's own statement lists the trade, and it is not booked here.",
        "fill_missing_at_venue": "The trade lies inside the period of the venue's own statement, away from both edges, and is not in it.",
    }.get(each.kind, "The venue's own statement tells the trade with other values; a trade never changes.")


def _reading(scope: Scope) -> facts.Reading:
    lag = capabilities.for_exchange(scope.account.venue.exchange).read_lag_seconds
    return facts.Reading(
        requested_at=scope.now, taken_at=scope.now, window_from=scope.statement.window_from, lag=timedelta(seconds=lag)
    )


def _differing() -> str:
    return (
        f"SELECT {_LINE} FROM reconciliation_statementline l LEFT JOIN orders_fill f ON {_SAME} WHERE l.statement_id = %(statement)s "
        f"AND (f.id IS NULL AND l.executed_at >= %(since)s OR NOT ({_AGREES})) ORDER BY l.number LIMIT %(limit)s"
    )


def _named_fills() -> str:
    return (
        f"SELECT f.* FROM reconciliation_statementline l JOIN orders_fill f ON {_SAME} WHERE l.statement_id = %(statement)s "
        f"AND NOT ({_AGREES}) LIMIT %(limit)s"
    )


def _turned_fills() -> str:
    # Of a trade that is not booked with this side: the one that is booked with the other, unless that is told as well.
    return (
        f"WITH missing AS (SELECT l.symbol, l.venue_trade_id, CASE l.side WHEN 'buy' THEN 'sell' ELSE 'buy' END AS side "
        f"FROM reconciliation_statementline l LEFT JOIN orders_fill f ON {_SAME} WHERE l.statement_id = %(statement)s AND f.id IS NULL "
        "LIMIT %(limit)s) SELECT f.* FROM missing l "
        f"JOIN orders_fill f ON {_SAME} WHERE NOT EXISTS (SELECT 1 FROM reconciliation_statementline t WHERE t.statement_id = %(statement)s "
        "AND t.symbol = l.symbol AND t.venue_trade_id = l.venue_trade_id AND t.side = l.side)"
    )


def _missing_fills(scope: Scope) -> str:
    return (
        f"SELECT f.* FROM orders_fill f WHERE f.account_id = %(account)s AND {scope.listed} "
        "AND f.executed_at BETWEEN %(from)s + interval '2 seconds' AND %(to)s - interval '2 seconds' "
        "AND NOT EXISTS (SELECT 1 FROM reconciliation_statementline l WHERE l.statement_id = %(statement)s AND l.symbol = f.symbol "
        "AND l.venue_trade_id = f.venue_trade_id AND l.side = f.side) ORDER BY f.executed_at, f.id LIMIT %(limit)s"
    )


def _rows(scope: Scope, query: str) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(query, scope.values)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _fills(scope: Scope, query: str) -> list[Fill]:
    return list(Fill.objects.raw(query, scope.values))


def _report(row: Mapping[str, Any]) -> FillReport:
    return FillReport(
        venue_trade_id=row["venue_trade_id"], venue_order_id=row["venue_order_id"], venue_client_id=None, symbol=row["symbol"],
        side="buy" if row["side"] == "buy" else "sell", price=row["price"], quantity=row["quantity"], quote_quantity=None,
        fee=row["fee"] or decimals.ZERO, fee_asset=row["fee_asset"], liquidity="", occurred_at=row["executed_at"],
    )  # fmt: skip


def _with_fee(row: FillReport, line: Mapping[str, Any], told: Mapping[tuple[str, str, str], Fill]) -> FillReport:
    fill = told.get((row.symbol, row.venue_trade_id, row.side))
    if line["fee"] is not None or fill is None:
        return row
    return replace(row, fee=fill.fee, fee_asset=fill.fee_asset)  # the export tells none: nothing to compare


def _kinds(found: facts.Comparison, *kinds: str) -> int:
    return sum(each.kind in kinds for each in found.differences)
