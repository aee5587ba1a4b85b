"""What is proved per account and surface, and how old the proof is. Only `proved` is green."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef

from project.lib import clock, feed
from reconciliation import breaks, facts
from reconciliation.models import Coverage, CoverageChange, too_old
from venues.models import Account, AccountStatus, Snapshot, SnapshotStatus, Surface

Status = Coverage.Status
# What every venue has: a run waits for these, and where a venue has positions too they are compared as they come.
COMPARED: tuple[str, ...] = (Surface.OPEN_ORDERS, Surface.FILLS, Surface.BALANCES)
UNWATCHED = (AccountStatus.NEW, AccountStatus.DISABLED)
_UNREAD = {
    SnapshotStatus.FAILED: (Status.FAILED, "the read failed"),
    SnapshotStatus.PARTIAL: (Status.FAILED, "the read was not complete and proves nothing"),
    SnapshotStatus.UNSUPPORTED: (Status.UNSUPPORTED, "the venue does not offer it"),
}


def refresh() -> None:
    """Add the rows of new accounts, and turn proofs that have become too old to stale."""
    ensure()
    now = clock.now()
    with feed.transaction():
        rows = Coverage.objects.select_for_update(no_key=True, skip_locked=True).filter(
            too_old(now), status=Status.PROVED
        )
        for row in rows.order_by("id"):
            seconds = int((now - row.proved_at).total_seconds()) if row.proved_at else 0
            row.detail = f"the last proof is {seconds} seconds old and no newer read came"
            _set(row, Status.STALE, now)
            row.save()


def ensure() -> None:
    """Give every account in service one row per surface."""
    covered = Coverage.objects.filter(account=OuterRef("code"), surface=Surface.TRANSFERS)
    accounts = Account.objects.exclude(status__in=UNWATCHED).exclude(Exists(covered))
    missing = [
        Coverage(account_id=code, surface=surface)
        for code in accounts.values_list("code", flat=True)
        for surface in Surface
    ]
    if missing:
        Coverage.objects.bulk_create(missing, ignore_conflicts=True)


def note_unread(row: Coverage, snapshot: Snapshot, why: str = "") -> None:
    """Write down a read that proves nothing. The row is locked; call inside feed.transaction()."""
    status, reason = _UNREAD.get(SnapshotStatus(snapshot.status), (Status.FAILED, "the read could not be compared"))
    detail = f"{reason}: {why or snapshot.error}" if why or snapshot.error else reason
    kept = {"possible": row.summary["possible"]} if "possible" in row.summary else {}
    _close(row, snapshot, status, detail[:300], kept)


def note_read(
    row: Coverage, snapshot: Snapshot, comparison: facts.Comparison, folded: breaks.Folded
) -> None:  # fmt: skip
    """Write down what a good read proved. The row is locked; call inside feed.transaction()."""
    told: dict[str, Any] = {
        "agreed": len(comparison.agreed),
        "different": len(folded.standing),
        "skipped": len(comparison.skipped),
        "explained": folded.explained,
    }
    let_pass = [f"{count} tolerated by rule {name}" for name, count in sorted(folded.tolerated.items())]
    if folded.tolerated:
        told |= {"tolerated": dict(folded.tolerated), "tolerated_rows": folded.tolerated_rows}
    if comparison.possible:
        told["possible"] = {asset: [facts.text(each) for each in some] for asset, some in comparison.possible.items()}
    if folded.standing:
        names = ", ".join(sorted(folded.standing)[:5])
        return _close(
            row,
            snapshot,
            Status.FAILED,
            "; ".join([f"{len(folded.standing)} unresolved: {names}", *let_pass])[:300],
            told,
        )
    if comparison.skipped and row.surface == Surface.BALANCES:
        # Totals that moved during the read prove nothing; the older proof ages into stale.
        names = ", ".join(sorted(comparison.skipped)[:5])
        kept = Status.PROVED if row.status == Status.PROVED else Status.STALE if row.proved_at else Status.NEVER
        return _close(row, snapshot, kept, f"trading too close to the read to judge {names}"[:300], told)
    row.proved_at = snapshot.requested_at
    words = {"skipped": "in motion and not judged", "explained": "explained"}
    notes = [f"{told[key]} {word}" for key, word in words.items() if told[key]] + let_pass
    return _close(row, snapshot, Status.PROVED, ", ".join(notes)[:300], told)


def _close(row: Coverage, snapshot: Snapshot, status: Coverage.Status, detail: str, told: dict[str, Any]) -> None:
    now = clock.now()
    row.snapshot_number, row.checked_at, row.detail = snapshot.id, now, detail
    row.summary = {"read": snapshot.status, "requested_at": snapshot.requested_at.isoformat(), **told}
    _set(row, status, now)
    row.save()


def _set(row: Coverage, status: Coverage.Status, now: datetime) -> None:
    if row.status == status:
        return
    row.status, row.changed_at = status, now
    CoverageChange.objects.create(
        account_id=row.account_id, surface=row.surface, status=status, at=now, detail=row.detail
    )
    data = {"surface": row.surface, "status": str(status)}
    feed.announce(
        "coverage", f"coverage.{status}", f"{row.account_id}:{row.surface}", account=row.account_id, data=data
    )
