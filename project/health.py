"""Is this process alive, and is the whole ready for orders: two plain answers for probes."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from orders.models import AccountLease
from project.lib import clock
from venues.models import Account, AccountStatus

LEASE_FRESH = timedelta(seconds=15)
_SERVED = (AccountStatus.READY, AccountStatus.REDUCING)
_migrated: set[str] = set()


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer that this process runs; touches nothing else."""
    return JsonResponse({"status": "ok", "version": settings.VERSION, "role": settings.ROLE})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when database, migrations and the executor of every trading account are there, else 503 with what is not."""
    checks = {"database": "ok", "migrations": "ok", "executor": "ok"}
    try:
        checks["migrations"] = _migrations()
        if checks["migrations"] == "ok":
            checks["executor"] = _executor()
    except DatabaseError:
        checks = {"database": "does not answer", "migrations": "not checked", "executor": "not checked"}
    failing = [name for name, result in checks.items() if result != "ok"]
    body = {
        "status": "unready" if failing else "ready",
        "version": settings.VERSION,
        "checks": checks,
        "failing": failing,
    }
    return JsonResponse(body, status=503 if failing else 200)


def _migrations() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if not _migrated:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if waiting:
            return f"{len(waiting)} not applied"
        _migrated.add("yes")  # a running process never gains migrations
    return "ok"


def _executor() -> str:
    served = set(Account.objects.filter(status__in=_SERVED).values_list("code", flat=True))
    fresh = AccountLease.objects.filter(renewed_at__gte=clock.now() - LEASE_FRESH).values_list("account_id", flat=True)
    stale = sorted(served - set(fresh))
    return "ok" if not stale else f"no fresh lease on {', '.join(stale[:20])}"
