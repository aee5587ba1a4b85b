"""Retention: what may be forgotten, and after how long. Orders, fills, postings, breaks and audit are kept for ever."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.db.models import Model, QuerySet

from project.lib import clock
from project.lib.models import FeedEntry, ScheduleSlot
from reconciliation.models import Run
from venues.models import Account, HealthSample, RawFrame, Snapshot, StreamSession, Surface

logger = logging.getLogger(__name__)
BATCH = 5_000
SLOT_DAYS = 1
SNAPSHOT_DAYS = 1


def prune() -> dict[str, int]:
    """Delete what is past its time, in small batches; return how many rows of each kind went.

    A snapshot stays while a break refers to it; the newest of each surface and the one the books were opened with
    stay always.
    """
    now = clock.now()
    raw_before = now - timedelta(days=settings.RETENTION_DAYS["raw_frames"])
    feed_before = now - timedelta(days=settings.RETENTION_DAYS["feed"])
    health_before = now - timedelta(days=settings.RETENTION_DAYS["health"])
    quiet_runs = Run.objects.filter(trigger="schedule", opened=0, closed=0, requested_at__lt=feed_before)
    gone = {
        "raw_frames": _delete(RawFrame.objects.filter(received_at__lt=raw_before)),
        "stream_sessions": _delete(StreamSession.objects.filter(ended_at__lt=feed_before)),
        "feed": _delete(FeedEntry.objects.filter(at__lt=feed_before)),
        "health": _delete(HealthSample.objects.filter(at__lt=health_before)),
        "slots": _delete(ScheduleSlot.objects.filter(slot_at__lt=now - timedelta(days=SLOT_DAYS))),
        "runs": _delete(quiet_runs),
        "snapshots": sum(
            _prune_snapshots(account, surface)
            for account in Account.objects.values_list("code", flat=True)
            for surface in Surface
        ),
    }
    if any(gone.values()):
        logger.info("retention removed %s", ", ".join(f"{count} {name}" for name, count in gone.items() if count))
    return gone


def _prune_snapshots(account_code: str, surface: str) -> int:
    rows = Snapshot.objects.filter(account_id=account_code, surface=surface)
    newest = rows.order_by("-taken_at").values_list("id", flat=True).first()
    old = rows.filter(taken_at__lt=clock.now() - timedelta(days=SNAPSHOT_DAYS), breaks=None)
    return _delete(old.exclude(id=newest or 0).exclude(reason="opening"))


def _delete(rows: QuerySet[Model]) -> int:
    count = 0
    while True:
        batch = list(rows.values_list("pk", flat=True)[:BATCH])
        if batch:
            rows.model._default_manager.filter(pk__in=batch).delete()
        count += len(batch)
        if len(batch) < BATCH:
            return count
