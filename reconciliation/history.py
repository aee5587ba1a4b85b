"""How reconciliation went: changes of what is proved, runs and breaks per day, time to close. Aggregates in SQL, bounded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, QuerySet

from project.lib import clock, sql
from reconciliation import coverage, queries
from reconciliation.models import Coverage, CoverageChange, Run, read_interval
from venues.models import Account, Surface

DAYS, DAYS_MAX = 30, 365
# A null array of accounts means all.
_PER_DAY = (
    "SELECT day, sum(opened)::int, sum(closed)::int FROM ("
    "SELECT (opened_at AT TIME ZONE 'UTC')::date AS day, 1 AS opened, 0 AS closed FROM reconciliation_break "
    "WHERE opened_at >= %s AND (%s::text[] IS NULL OR account_id = ANY(%s::text[])) UNION ALL "
    "SELECT (resolved_at AT TIME ZONE 'UTC')::date, 0, 1 FROM reconciliation_break "
    "WHERE resolved_at >= %s AND opened_at IS NOT NULL AND (%s::text[] IS NULL OR account_id = ANY(%s::text[]))"
    ") AS moves GROUP BY day ORDER BY day"
)
_SECONDS = "extract(epoch FROM resolved_at - opened_at)"
_PER_KIND = (
    "SELECT kind, count(*) FILTER (WHERE opened_at >= %s), count(*) FILTER (WHERE resolved_at >= %s AND opened_at IS NOT NULL), "
    "count(*) FILTER (WHERE status NOT IN ('resolved', 'suspected')), count(*) FILTER (WHERE status = 'suspected'), "
    f"percentile_cont(0.5) WITHIN GROUP (ORDER BY {_SECONDS}) FILTER (WHERE resolved_at >= %s AND opened_at IS NOT NULL), "
    f"percentile_cont(0.9) WITHIN GROUP (ORDER BY {_SECONDS}) FILTER (WHERE resolved_at >= %s AND opened_at IS NOT NULL), "
    "count(*) FILTER (WHERE resolution = 'automatic' AND resolved_by LIKE 'rule:%%:v%%' AND resolved_at >= %s) "
    "FROM reconciliation_break WHERE (%s::text[] IS NULL OR account_id = ANY(%s::text[])) "
    "AND (opened_at >= %s OR resolved_at >= %s OR status <> 'resolved') GROUP BY kind ORDER BY kind"
)


def changes(account: str = "", surface: str = "") -> QuerySet[CoverageChange]:
    """Return the changes of what is proved, of one account or one surface of it where they are named."""
    found = CoverageChange.objects.select_related("account__venue")
    if account:
        found = found.filter(account_id=account)
    return found.filter(surface=surface) if surface in Surface.values else found


def cell(account: str, surface: str) -> Coverage | None:
    """Return what is proved now of a surface of an account."""
    if not account or surface not in Surface.values:
        return None
    return Coverage.objects.filter(account_id=account, surface=surface).first()


def ages() -> list[dict[str, Any]]:
    """Return the coverage map with the age of each look and when the next is due; what has no row says never."""
    lines = queries.coverage_matrix()
    for line in lines:
        line["is_watched"] = line["account"].status not in coverage.UNWATCHED
        for cell in line["cells"]:
            cell.next_at = next_check(cell, line["account"])
    return lines


def next_check(cell: Coverage, account: Account) -> datetime | None:
    """Return when a surface is to be looked at next, None where nothing was ever looked at or nobody reads."""
    if cell.checked_at is None or account.status in coverage.UNWATCHED:
        return None
    return cell.checked_at + read_interval(cell.surface)


def statistics(days: int = DAYS, accounts: Collection[str] | None = None) -> dict[str, Any]:
    """Return breaks opened and closed per day, and per kind with median and 90th percentile of the time to close.

    Three queries whatever the history; `accounts` None means all. Seconds are Decimals; a kind nothing closed has none.
    """
    days = max(1, min(days, DAYS_MAX))
    today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    start, own = today - timedelta(days=days - 1), None if accounts is None else sorted(accounts)
    moves = {row[0]: row[1:] for row in sql.rows(_PER_DAY, start, own, own, start, own, own)}
    kinds = sql.rows(_PER_KIND, *[start] * 5, own, own, start, start)
    runs = _runs_per_day(start, own)
    listed = [(start + timedelta(days=number)).date() for number in range(days)]
    return {
        "from": start, "days": days,
        "per_day": [
            {"day": day, "opened": moves.get(day, (0, 0))[0], "closed": moves.get(day, (0, 0))[1], **runs.get(day, _NO_RUNS)}
            for day in listed
        ],
        "kinds": [
            {
                "kind": kind, "opened": opened, "closed": closed, "open": unresolved, "suspected": suspected,
                "median_seconds": _seconds(median), "p90_seconds": _seconds(high), "closed_by_rules": by_rules,
            }
            for kind, opened, closed, unresolved, suspected, median, high, by_rules in kinds
        ],
    }  # fmt: skip


_NO_RUNS = {"runs": 0, "runs_incomplete": 0}


def _runs_per_day(start: datetime, accounts: list[str] | None) -> Mapping[date, dict[str, int]]:
    found = Run.objects.filter(requested_at__gte=start)
    if accounts is not None:
        found = found.filter(account_id__in=accounts)
    rows = found.values("requested_at__date").annotate(
        runs=Count("id"), incomplete=Count("id", filter=Q(status__in=[Run.Status.PARTIAL, Run.Status.FAILED]))
    )
    return {row["requested_at__date"]: {"runs": row["runs"], "runs_incomplete": row["incomplete"]} for row in rows}


def totals(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sums of statistics over all days and kinds, with the highest day for the scale of bars."""
    days = found["per_day"]
    return {
        "opened": sum(day["opened"] for day in days), "closed": sum(day["closed"] for day in days),
        "runs": sum(day["runs"] for day in days), "runs_incomplete": sum(day["runs_incomplete"] for day in days),
        "open": sum(kind["open"] for kind in found["kinds"]), "highest": max((max(d["opened"], d["closed"]) for d in days), default=0),
    }  # fmt: skip


def _seconds(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value)).quantize(Decimal("0.1"))
