"""Runs: look at what the venues said since the last look, and record what came of it."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, OuterRef, Q, Subquery

from orders.models import Intent
from project.lib import audit, clock, failpoints, feed, ids
from reconciliation import breaks, coverage, minutes, sides
from reconciliation.models import Coverage, Run
from venues.models import Account, Snapshot, SnapshotStatus, Surface

logger = logging.getLogger(__name__)
PATIENCE = timedelta(seconds=30)
RECORD_EVERY = timedelta(seconds=60)
TRANSACTION_RUNS_MAX = 100


def request(account: Account, *, trigger: str, actor: str = "") -> Run:
    """Ask for a run on fresh reads: the owner of the account is asked to read every surface again."""
    with feed.transaction():
        run = Run.objects.create(account=account, trigger=trigger, requested_by=actor)
        Intent.objects.create(
            account=account, action="capture", data={"run": str(run.id)}, requested_by=actor or trigger
        )
        if actor:
            audit.record(actor, "reconciliation.request", account.code, {"run": str(run.id)})
        _announce(run)
        feed.wake(account.code)
    return run


def advance() -> None:
    """Compare every read that is newer than the last look, and finish the runs that waited for them.

    Safe to call at any time, by any number of workers; a worker that dies half-way leaves nothing half done.
    """
    failure: Exception | None = None
    for row_id in _waiting():
        try:
            _look(row_id)
        except Exception as problem:
            logger.exception("comparison of coverage row %s failed; it is tried again", row_id)
            failure = problem
    if Run.objects.filter(status=Run.Status.QUEUED).exists():
        _finish_requested(clock.now())
    if failure:
        raise failure


def record_sweeps() -> None:
    """Write one run a minute per account that was looked at, so that a quiet day is on record as well."""
    now = clock.now()
    newest = Run.objects.filter(account=OuterRef("account"), trigger="schedule").order_by("-requested_at")
    due = (
        Coverage.objects.filter(surface=Surface.OPEN_ORDERS, checked_at__isnull=False)
        .annotate(recorded_at=Subquery(newest.values("requested_at")[:1]))
        .filter(Q(recorded_at=None) | Q(recorded_at__lt=now - RECORD_EVERY, checked_at__gt=F("recorded_at")))
    )
    for row_id in list(due.values_list("id", flat=True)):
        with feed.transaction():
            # The row is the account's mutex: two workers never record the same sweep.
            row = Coverage.objects.select_for_update(no_key=True, skip_locked=True).filter(id=row_id).first()
            if row and not _is_recorded_since(row.account_id, now - RECORD_EVERY):
                _record(row.account_id, ids.new_id())


def _waiting() -> list[int]:
    rows = Coverage.objects.filter(account__opened_at__isnull=False).exclude(account__status__in=coverage.UNWATCHED)
    newest = Snapshot.objects.filter(account=OuterRef("account"), surface=OuterRef("surface")).order_by("-taken_at")
    rows = rows.annotate(newest=Subquery(newest.values("id")[:1])).filter(newest__gt=F("snapshot_number"))
    return list(rows.order_by("id").values_list("id", flat=True))


def _look(row_id: int) -> None:
    with feed.transaction():
        locked = Coverage.objects.select_for_update(no_key=True, skip_locked=True, of=("self",)).select_related(
            "account__venue"
        )
        row = locked.filter(id=row_id).first()
        if row is None:
            return  # another worker is at it
        snapshots = Snapshot.objects.select_related("account__venue")
        newest = snapshots.filter(account=row.account, surface=row.surface).order_by("-taken_at").first()
        if newest is None or newest.id <= row.snapshot_number:
            return
        if newest.status != SnapshotStatus.GOOD:
            coverage.note_unread(row, newest)
        elif row.surface not in breaks.KINDS:
            coverage.note_unread(row, newest, "read, but nothing here compares it yet")
        else:
            _compare(row, newest)
        failpoints.reach("P12")


def _compare(row: Coverage, snapshot: Snapshot) -> None:
    existing = breaks.unresolved(row.account_id, row.surface)
    try:
        comparison = sides.comparison(snapshot, existing, row.summary.get("possible"))
    except (KeyError, ValueError, TypeError, ArithmeticError) as problem:
        logger.warning("snapshot %s cannot be read back: %s", snapshot.id, type(problem).__name__)
        coverage.note_unread(row, snapshot, f"a stored row cannot be read back ({type(problem).__name__})")
        return
    waiting = Run.objects.filter(account=row.account, status=Run.Status.QUEUED).order_by("requested_at").first()
    run_id = waiting.id if waiting else ids.new_id()
    if row.surface == Surface.FILLS:
        minutes.keep_told(snapshot, sides.reading(snapshot))
    folded = breaks.fold(comparison, snapshot, existing, run_id=run_id)
    coverage.note_read(row, snapshot, comparison, folded)
    if waiting:
        Run.objects.filter(id=run_id).update(
            opened=F("opened") + folded.opened, closed=F("closed") + folded.closed_open
        )
    elif folded.is_news:
        _record(row.account_id, run_id, opened=folded.opened, closed=folded.closed_open)


def _finish_requested(now: datetime) -> None:
    with feed.transaction():
        queued = Run.objects.select_for_update(no_key=True, skip_locked=True).filter(status=Run.Status.QUEUED)
        for run in queued.order_by("requested_at")[:TRANSACTION_RUNS_MAX]:
            _finish(run, now)


def _finish(run: Run, now: datetime) -> None:
    rows = {
        row.surface: row for row in Coverage.objects.filter(account_id=run.account_id, surface__in=coverage.COMPARED)
    }
    fresh = {name for name, row in rows.items() if _is_read_since(row, run.requested_at)}
    if len(fresh) < len(coverage.COMPARED) and now < run.requested_at + PATIENCE:
        return
    missing = {name: "no fresh read arrived in time" for name in coverage.COMPARED if name not in fresh}
    for name in fresh:
        if rows[name].summary.get("read") not in (SnapshotStatus.GOOD, SnapshotStatus.UNSUPPORTED):
            missing[name] = rows[name].detail
    run.status = Run.Status.PARTIAL if missing else Run.Status.DONE
    run.started_at, run.finished_at = run.requested_at, now
    run.summary = {"surfaces": _told(run.account_id), "missing": missing}
    run.save(update_fields=["status", "started_at", "finished_at", "summary"])
    _announce(run)


def _is_read_since(row: Coverage, at: datetime) -> bool:
    requested_at = row.summary.get("requested_at")
    return requested_at is not None and datetime.fromisoformat(requested_at) >= at


def _is_recorded_since(account_code: str, at: datetime) -> bool:
    return Run.objects.filter(account_id=account_code, trigger="schedule", requested_at__gte=at).exists()


def _record(account_code: str, run_id: uuid.UUID, *, opened: int = 0, closed: int = 0) -> None:
    now = clock.now()
    told = _told(account_code)
    missing = {name: detail["detail"] for name, detail in told.items() if detail["read"] not in ("good", "unsupported")}
    run = Run(
        id=run_id, account_id=account_code, trigger="schedule", opened=opened, closed=closed, requested_at=now,
        started_at=now, finished_at=now, status=Run.Status.PARTIAL if missing else Run.Status.DONE,
        summary={"surfaces": told, "missing": missing},
    )  # fmt: skip
    run.save(force_insert=True)
    _announce(run)


def _told(account_code: str) -> dict[str, dict[str, Any]]:
    rows = Coverage.objects.filter(account_id=account_code, surface__in=coverage.COMPARED)
    return {
        row.surface: {
            "read": "never", **row.summary, "status": row.status, "detail": row.detail, "snapshot": row.snapshot_number,
        }
        for row in rows.order_by("id")
    }  # fmt: skip


def _announce(run: Run) -> None:
    data = {"status": str(run.status), "opened": run.opened, "closed": run.closed}
    feed.announce("runs", f"run.{run.status}", run.id, account=run.account_id, data=data)
