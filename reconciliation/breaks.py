"""Breaks as rows: suspected at the first sight, open at the second, resolved when the books agree again."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from project.lib import clock, decimals, feed
from reconciliation import facts
from reconciliation.compare import fingerprint
from reconciliation.models import Break, BreakEvent
from venues.models import Snapshot, Surface

QUIET = timedelta(seconds=2)
RULE = "rule:agrees-again"
Kind, Status = Break.Kind, Break.Status
KINDS: dict[str, tuple[Break.Kind, ...]] = {
    Surface.OPEN_ORDERS: (Kind.ORDER_MISSING_AT_VENUE, Kind.ORDER_STATUS, Kind.EXTERNAL_ORDER),
    Surface.FILLS: (Kind.FILL_MISSING_HERE, Kind.FILL_MISSING_AT_VENUE, Kind.FILL_DIFFERS),
    Surface.BALANCES: (Kind.BALANCE,),
}
SEVERITY: dict[str, str] = {
    Kind.ORDER_MISSING_AT_VENUE: "high", Kind.FILL_MISSING_HERE: "high", Kind.FILL_MISSING_AT_VENUE: "high",
    Kind.LATE_FILL: "high", Kind.OVERFILL: "high", Kind.BALANCE: "high",
    Kind.ORDER_STATUS: "medium", Kind.FILL_DIFFERS: "medium", Kind.ILLEGAL_TRANSITION: "medium", Kind.UNREADABLE: "medium",
    Kind.EXTERNAL_ORDER: "low",
}  # fmt: skip
_SEEN_FIELDS = [
    "status", "ours", "theirs", "delta", "snapshot", "evidence", "seen_count", "last_seen_at", "opened_at",
    "resolved_at", "resolved_by", "resolution", "resolution_reason",
]  # fmt: skip


@dataclass
class Folded:
    """What one comparison did to the breaks of its surface; `standing` are those it leaves unresolved."""

    suspected: int = 0
    opened: int = 0
    resolved: int = 0
    explained: int = 0
    standing: list[str] = field(default_factory=list)
    closed_open: int = 0

    @property
    def is_news(self) -> bool:
        """Whether a break was opened or an open one closed."""
        return bool(self.opened or self.closed_open)


def unresolved(account_code: str, surface: str) -> list[Break]:
    """Return and lock the unresolved breaks that comparisons of a surface may change."""
    rows = Break.objects.select_for_update().filter(account_id=account_code, kind__in=KINDS[surface])
    return list(rows.exclude(status=Status.RESOLVED).order_by("id"))


def fold(comparison: facts.Comparison, snapshot: Snapshot, existing: list[Break], *, run_id: uuid.UUID) -> Folded:
    """Write a comparison into the breaks of its surface. Call inside feed.transaction(), with `existing` locked."""
    account, now = snapshot.account_id, clock.now()
    found = {fingerprint(account, d.kind, d.subject, d.asset): d for d in comparison.differences}
    known = {row.fingerprint: row for row in existing}
    accepted = _explained(account, {name: found[name] for name in found.keys() - known.keys()})
    folded, events = Folded(explained=len(accepted)), list[BreakEvent]()
    fresh = [
        _suspect(account, name, difference, snapshot, now)
        for name, difference in found.items()
        if name not in known and name not in accepted
    ]
    Break.objects.bulk_create(fresh)
    for row in fresh:
        folded.suspected += 1
        events.append(event(row, "suspected", "reconciliation", {"run": str(run_id), "snapshot": snapshot.id}))
    for name, row in known.items():
        if name in found:
            events += _see_again(row, found[name], snapshot, now, folded)
        elif _is_over(row, snapshot, comparison):
            events.append(_resolve(row, snapshot, run_id, now, folded))
    Break.objects.bulk_update(existing, _SEEN_FIELDS)
    BreakEvent.objects.bulk_create(events)
    folded.standing = [row.subject for row in [*fresh, *existing] if row.status != Status.RESOLVED]
    return folded


def event(row: Break, kind: str, actor: str, detail: dict[str, Any] | None = None) -> BreakEvent:
    """Make the entry of a break's history and announce it; the caller saves it."""
    data = {"kind": row.kind, "subject": row.subject[:80], "status": row.status}
    feed.announce("breaks", f"break.{kind}", row.id, account=row.account_id, data=data)
    return BreakEvent(discrepancy=row, kind=kind, actor=actor, detail=detail or {})


def _suspect(account: str, name: str, difference: facts.Difference, snapshot: Snapshot, now: datetime) -> Break:
    return Break(
        account_id=account, kind=difference.kind, subject=difference.subject[:200], fingerprint=name,
        asset=difference.asset, ours=difference.ours[:200], theirs=difference.theirs[:200], delta=difference.delta,
        order_id=difference.order_id, fill_id=difference.fill_id, snapshot=snapshot, first_seen_at=now, last_seen_at=now,
        evidence={**difference.evidence, "severity": SEVERITY[difference.kind], "reads": [_read(snapshot)]},
    )  # fmt: skip


def _see_again(
    row: Break, difference: facts.Difference, snapshot: Snapshot, now: datetime, folded: Folded
) -> Iterable[BreakEvent]:
    is_same = _value(row) == _value(difference)
    reads = [*row.evidence.get("reads", [])[:1], _read(snapshot)] if is_same else [_read(snapshot)]
    row.ours, row.theirs, row.delta = difference.ours[:200], difference.theirs[:200], difference.delta
    row.evidence = {**row.evidence, **difference.evidence, "reads": reads}
    row.snapshot, row.last_seen_at = snapshot, now
    row.seen_count = row.seen_count + 1 if is_same else 1
    if not is_same:
        yield event(row, "changed", "reconciliation", {"ours": row.ours, "theirs": row.theirs, "snapshot": snapshot.id})
    elif row.status == Status.SUSPECTED and _are_apart(reads):
        row.status, row.opened_at = Status.OPEN, now
        folded.opened += 1
        yield event(row, "opened", "reconciliation", {"reads": reads})


def _resolve(row: Break, snapshot: Snapshot, run_id: uuid.UUID, now: datetime, folded: Folded) -> BreakEvent:
    folded.resolved += 1
    folded.closed_open += row.status != Status.SUSPECTED
    row.status, row.resolved_at, row.resolved_by, row.resolution = Status.RESOLVED, now, RULE, "automatic"
    row.resolution_reason = (
        f"Run {run_id}: the read of {snapshot.surface} requested at {snapshot.requested_at.isoformat(timespec='seconds')} "
        f"(snapshot {snapshot.id}) agrees with our books."
    )
    return event(row, "resolved", RULE, {"run": str(run_id), "snapshot": snapshot.id, "digest": snapshot.digest})


def _is_over(row: Break, snapshot: Snapshot, comparison: facts.Comparison) -> bool:
    if "anomaly" in row.evidence or row.subject in comparison.skipped:
        return False
    # Trades are listed for a window only: silence about one outside of it says nothing.
    return snapshot.surface != Surface.FILLS or row.subject in comparison.agreed


def _explained(account: str, found: dict[str, facts.Difference]) -> set[str]:
    newest = (
        Break.objects.filter(account_id=account, fingerprint__in=list(found), status=Status.RESOLVED)
        .order_by("fingerprint", "-resolved_at")
        .distinct("fingerprint")
    )
    return {
        row.fingerprint
        for row in newest
        if row.resolution == "explained" and _value(row) == _value(found[row.fingerprint])
    }


def _value(side: Break | facts.Difference) -> tuple[str, ...]:
    # Totals move with every trade; what a person explained or two reads confirm is the distance between them.
    if side.kind == Kind.BALANCE:
        return (facts.text(side.delta),)
    if side.kind == Kind.FILL_DIFFERS:
        return ()  # a trade never changes: its name is enough, whoever noted the difference first
    return (side.ours[:200], side.theirs[:200], decimals.write(side.delta) or "")


def _read(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "snapshot": snapshot.id,
        "requested_at": snapshot.requested_at.isoformat(),
        "taken_at": snapshot.taken_at.isoformat(),
        "digest": snapshot.digest,
    }


def _are_apart(reads: list[dict[str, Any]]) -> bool:
    if len(reads) < 2:
        return False
    earlier = datetime.fromisoformat(reads[0]["taken_at"])
    return datetime.fromisoformat(reads[-1]["requested_at"]) >= earlier + QUIET
