"""The whole periodic schedule in one table, and the rows that make every slot happen once however many schedulers run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.db import connection

from orders import draining, error_cases
from project import decisions, maintenance
from project.lib import clock, logs
from reconciliation import anomalies, coverage, resolutions, runs
from venues import standing

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something done every `seconds`, by whichever worker claims the slot first; it must be safe to repeat."""

    seconds: int
    function: Callable[[], object]


JOBS: dict[str, Job] = {
    "reconciliation.advance": Job(seconds=1, function=runs.advance),
    "reconciliation.anomalies": Job(seconds=1, function=anomalies.open_breaks),
    "reconciliation.snoozed": Job(seconds=5, function=resolutions.wake_due),
    "orders.error_cases": Job(seconds=1, function=error_cases.gather),
    "orders.draining": Job(seconds=2, function=draining.settle),
    "venues.health": Job(seconds=standing.SAMPLE_SECONDS, function=standing.sample),
    "reconciliation.sweeps": Job(seconds=max(int(settings.RECONCILIATION_SECONDS), 1), function=runs.record_sweeps),
    "reconciliation.coverage": Job(seconds=5, function=coverage.refresh),
    "approvals.settle": Job(seconds=5, function=decisions.settle),
    "maintenance.retention": Job(seconds=3600, function=maintenance.prune),
}
ASK_SECONDS_MAX = 60  # a rare job is asked for this often, so that a restart every half hour does not starve it


def slot_of(period_seconds: int, now: datetime) -> datetime:
    """Return the start of the slot that now lies in; slots begin at multiples of the period since 1970."""
    seconds = int(now.timestamp())
    return datetime.fromtimestamp(seconds - seconds % period_seconds, UTC)


def claim(job: str, period_seconds: int, now: datetime) -> bool:
    """Claim the current slot of a job; true for exactly one caller per slot, in whatever process."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO lib_scheduleslot (job, slot_at, claimed_at, error) VALUES (%s, %s, %s, '') "
            "ON CONFLICT (job, slot_at) DO NOTHING",
            [job, slot_of(period_seconds, now), now],
        )
        return bool(cursor.rowcount)


def perform(name: str) -> bool:
    """Do a job if its slot is still free; say whether it was ours. A failure is recorded and logged, never raised."""
    job, now = JOBS[name], clock.now()
    if not claim(name, job.seconds, now):
        return False
    began, error = time.monotonic(), ""
    try:
        job.function()
    except Exception as problem:
        logger.exception("job %s failed; its next slot tries again", name)
        error = logs.redact(f"{type(problem).__name__}: {problem}".replace("\n", " "))[:200]
    if (took := time.monotonic() - began) > max(job.seconds, 1):
        logger.warning("job %s took %.1f s, longer than its period of %s s", name, took, job.seconds)
    _close(name, slot_of(job.seconds, now), error)
    return True


def _close(job: str, slot_at: datetime, error: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE lib_scheduleslot SET finished_at = %s, error = %s WHERE job = %s AND slot_at = %s",
            [clock.now(), error, job, slot_at],
        )
