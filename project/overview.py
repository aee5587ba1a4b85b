"""What the first page answers: does anything need a person, is trading going, are the venues well, is it proved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum

from orders import states
from orders.models import DeadLetter, Fill, Order
from project.lib import clock
from project.lib.models import AuditEntry
from reconciliation.models import Break, Coverage, Run
from venues.models import Account, AccountStatus, Credential, Venue

RECENTLY = timedelta(minutes=5)


@dataclass(frozen=True)
class Step:
    """One step of a newcomer's way to the first order."""

    label: str
    url: str
    is_done: bool


def needs_a_person() -> dict[str, Any]:
    """Return what waits for a decision: dead letters with money at risk per asset, breaks, held orders."""
    letters = DeadLetter.objects.filter(status=DeadLetter.Status.OPEN)
    by_asset = list(
        letters.values("money_at_risk_asset").annotate(
            count=Count("id"), total=Sum("money_at_risk"), oldest=Min("created_at")
        )
    )
    waiting = Break.objects.filter(status__in=[Break.Status.OPEN, Break.Status.INVESTIGATING])
    found = waiting.aggregate(count=Count("id"), oldest=Min("first_seen_at"))
    suspected = Break.objects.filter(status=Break.Status.SUSPECTED).count()
    return {
        "dead_letters": sum(row["count"] for row in by_asset),
        "dead_letters_oldest": min((row["oldest"] for row in by_asset), default=None),
        "at_risk": [(row["total"], row["money_at_risk_asset"]) for row in by_asset],
        "breaks": found["count"],
        "breaks_oldest": found["oldest"],
        "suspected": suspected,
    }


def trading_now() -> dict[str, Any]:
    """Count living orders by state, and the orders and fills of the last five minutes."""
    since = clock.now() - RECENTLY
    alive = [status.value for status in states.ALIVE]
    rows = Order.objects.filter(Q(status__in=alive)).values_list("status").annotate(count=Count("id"))
    counts: dict[str, int] = dict(rows)
    recent = Order.objects.filter(created_at__gte=since).aggregate(
        orders=Count("id"), refused=Count("id", filter=Q(status__in=["denied", "rejected"]))
    )
    return {
        "open": sum(counts.get(name, 0) for name in ("open", "partially_filled")),
        "moving": sum(counts.get(name, 0) for name in ("received", "queued", "sending")),
        "unknown": counts.get("unknown", 0),
        "held": counts.get("held", 0),
        "orders": recent["orders"],
        "refused": recent["refused"],
        "fills": Fill.objects.filter(executed_at__gte=since).count(),
    }


def accounts() -> QuerySet[Account]:
    """Return every account with its venue, lease and channels."""
    return Account.objects.select_related("venue", "lease").prefetch_related("channels").order_by("venue_id", "code")


def stream_age(account: Account) -> datetime | None:
    """Return when the account's venue was last heard on any channel."""
    heard = [channel.last_success_at for channel in account.channels.all() if channel.last_success_at]
    return max(heard, default=None)


def coverage_summary() -> dict[str, int]:
    """Count the surfaces per state of proof; what a venue does not offer is not counted as missing."""
    counts = dict(Coverage.objects.values_list("status").annotate(count=Count("id")))
    wanted = {status: counts.get(status, 0) for status in ("proved", "stale", "failed", "never")}
    return {**wanted, "total": sum(wanted.values())}


def last_runs() -> QuerySet[Run]:
    """Return the newest comparisons."""
    return Run.objects.order_by("-requested_at", "id")[:6]


def recent_changes() -> QuerySet[AuditEntry]:
    """Return the newest entries of the audit log."""
    return AuditEntry.objects.order_by("-sequence")[:8]


def first_steps() -> list[Step]:
    """Return the way to the first order, or nothing once the first order is there."""
    if Order.objects.exists():
        return []
    venue = Venue.objects.order_by("created_at").first()
    account = Account.objects.order_by("created_at").first()
    key = Credential.objects.filter(is_active=True).exists()
    active = Account.objects.filter(status=AccountStatus.READY).exists()
    place = f"/accounts/{account.code}/" if account else "/accounts/"
    return [
        Step("Add a venue", "/venues/", venue is not None),
        Step("Add an account there", "/accounts/", account is not None),
        Step("Store its API key", f"{place}#key", key),
        Step("Activate the account", f"{place}#activation", active),
        Step("Send the first order", "/orders/new/", False),
    ]
