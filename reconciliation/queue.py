"""The queue of differences: tabs, filters, sorting, counts and the export, the same for pages, API and navigation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When

from project.lib import clock, decimals
from reconciliation import workflow
from reconciliation.models import Break

Status = Break.Status
TABS: dict[str, str] = {
    "open": "Open", "mine": "Mine", "waiting_for_venue": "Waiting for venue", "awaiting_approval": "Awaiting approval",
    "snoozed": "Snoozed", "suspected": "Suspected", "resolved": "Resolved", "all": "All",
}  # fmt: skip
# What grows without end is not counted on every page.
COUNTED = tuple(name for name in TABS if name not in ("resolved", "all"))
FIELDS = {
    "account": "account_id", "kind": "kind", "severity": "severity", "owner": "owner", "team": "team", "cause": "cause",
    "asset": "asset",
}  # fmt: skip
NOBODY = "-"
SORTS = {"": "Newest first", "age": "Oldest first", "severity": "Worst first"}
SEVERITIES = ("critical", "high", "medium", "low")
EXPORT_MAX = 100_000
EXPORT_HEAD = (
    "id", "account", "kind", "subject", "asset", "status", "severity", "severity_usd", "ours", "venue", "stream", "delta",
    "owner", "team", "cause", "seen_count", "recurrence", "happened_at", "first_seen_at", "due_at", "snoozed_until",
    "resolved_at", "resolved_by", "resolution", "resolution_reason",
)  # fmt: skip


def awake(now: datetime) -> Q:
    """Return the condition of a break that is not snoozed."""
    return Q(snoozed_until=None) | Q(snoozed_until__lte=now)


def needs_a_person(now: datetime) -> Q:
    """Return the condition of the default tab: somebody has to do something about it now."""
    return Q(status__in=[Status.OPEN, Status.INVESTIGATING]) & awake(now)


def overdue(now: datetime) -> Q:
    """Return the condition of a break whose time to decide is over."""
    return ~Q(status=Status.RESOLVED) & Q(due_at__lt=now)


def tab_condition(name: str, person: str, now: datetime) -> Q:
    """Return the condition of a tab; an unknown name is the default one."""
    match name:
        case "mine":
            return ~Q(status=Status.RESOLVED) & Q(owner=person) & awake(now)
        case "waiting_for_venue":
            return Q(status=Status.WAITING_FOR_VENUE) & awake(now)
        case "awaiting_approval":
            return Q(status=Status.AWAITING_APPROVAL)
        case "snoozed":
            return ~Q(status=Status.RESOLVED) & Q(snoozed_until__gt=now)
        case "suspected":
            return Q(status=Status.SUSPECTED)
        case "resolved":
            return Q(status=Status.RESOLVED)
        case "all":
            return Q()
    return needs_a_person(now)


def breaks(filters: Mapping[str, str], person: str) -> QuerySet[Break]:
    """Return the differences a querystring asks for; an unknown value matches nothing rather than everything."""
    now = clock.now()
    found = Break.objects.select_related("account__venue").filter(
        tab_condition(filters.get("tab", "open"), person, now)
    )
    for name, column in FIELDS.items():
        if value := filters.get(name, ""):
            found = found.filter(**{column: "" if value == NOBODY and name in ("owner", "team") else value})
    return found.filter(overdue(now)) if filters.get("overdue") else found


def counts(person: str, accounts: frozenset[str] | None = None) -> dict[str, int]:
    """Count the unresolved differences per tab, in one query."""
    now, rows = clock.now(), Break.objects.exclude(status=Status.RESOLVED)
    if accounts is not None:
        rows = rows.filter(account__in=accounts)
    asked = {name: Count("id", filter=tab_condition(name, person, now)) for name in COUNTED}
    found: dict[str, int] = rows.aggregate(**asked, overdue=Count("id", filter=overdue(now)))
    return found


def open_count() -> int:
    """Count what the default tab shows: the number beside the navigation's entry."""
    return Break.objects.exclude(status=Status.RESOLVED).filter(needs_a_person(clock.now())).count()


def ranked(rows: QuerySet[Break]) -> QuerySet[Break]:
    """Return differences with their severity as a number, the worst 0."""
    cases = [When(severity=name, then=Value(rank)) for rank, name in enumerate(SEVERITIES)]
    return rows.annotate(rank=Case(*cases, default=Value(len(SEVERITIES)), output_field=IntegerField()))


def after(rows: QuerySet[Break], sort: str, cursor: str) -> QuerySet[Break]:
    """Return differences in an order, from behind a cursor on; a cursor that is none starts at the beginning."""
    rows = ranked(rows) if sort == "severity" else rows
    place = _place(cursor)
    if place is not None:
        rank, at, key = place
        later = Q(first_seen_at__gt=at) | Q(first_seen_at=at, pk__gt=key)
        rows = rows.filter(Q(rank__gt=rank) | (Q(rank=rank) & later) if sort == "severity" else later)
    return rows.order_by(*(("rank",) if sort == "severity" else ()), "first_seen_at", "pk")


def cursor_of(row: Break) -> str:
    """Return where a row stands in an order."""
    return f"{getattr(row, 'rank', 0)}~{row.first_seen_at.isoformat()}~{row.pk}"


def export_rows(rows: QuerySet[Break]) -> Iterator[list[object]]:
    """Yield the differences as lines of the export, the newest first, at most EXPORT_MAX."""
    for row in rows.order_by("-first_seen_at", "pk")[:EXPORT_MAX].iterator(2000):
        yield [
            row.id, row.account_id, row.kind, row.subject, row.asset, row.status, row.severity, row.severity_usd, row.ours,
            row.theirs, row.stream, row.delta, row.owner, row.team, row.cause, row.seen_count, row.recurrence,
            *(_moment(at) for at in (row.economic_at, row.first_seen_at, row.due_at, row.snoozed_until, row.resolved_at)),
            row.resolved_by, row.resolution, row.resolution_reason,
        ]  # fmt: skip


def earlier(row: Break, most: int = 5) -> list[Break]:
    """Return how the same difference ended before, the newest first."""
    same = Break.objects.filter(account=row.account_id, fingerprint=row.fingerprint, status=Status.RESOLVED)
    return list(same.exclude(pk=row.pk).order_by("-resolved_at")[:most])


def sides(row: Break) -> list[dict[str, Any]]:
    """Return what our books, the venue's lists and its stream say of a break, and whether the venue's two disagree with us."""
    is_read = bool(row.evidence.get("reads")) or "statement" not in row.evidence
    venue = ("Venue, REST", "its lists") if is_read else ("Venue, statement", "its own export")
    told = [("Ours", "our books", row.ours), (*venue, row.theirs), ("Venue, stream", "its last word", row.stream)]
    ours = _figure(row.ours)
    return [
        {
            "label": label,
            "note": note,
            "text": text if row.delta is None else decimals.grouped(text),
            "differs": label != "Ours" and bool(text) and _figure(text) != ours,
        }
        for label, note, text in told
    ]


def allowed(row: Break) -> dict[str, str]:
    """Return per action why it is not possible in the status of a break; nothing where it is."""
    return {action: workflow.refusal(action, row.status) for action in workflow.ACTIONS}


def _figure(text: str) -> Decimal | str:
    first = text.partition(" at ")[0]
    try:
        return decimals.parse(first)
    except ValueError:
        return text


def _moment(at: datetime | None) -> str:
    return at.isoformat() if at else ""


def _place(cursor: str) -> tuple[int, datetime, str] | None:
    rank, _, rest = cursor.partition("~")
    at, _, key = rest.partition("~")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (int(rank), moment, key) if rank.isdigit() and moment.tzinfo and len(key) == 36 else None
