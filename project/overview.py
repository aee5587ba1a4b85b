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
from reconciliation import queue
from reconciliation.models import Break, Coverage, Run, too_old
from risk.models import Approval
from venues import standing
from venues.models import Account, AccountStatus, Credential, Surface, Venue
from venues.standing import Standing

RECENTLY = timedelta(minutes=5)


@dataclass(frozen=True)
class Step:
    """One step of a newcomer's way to the first order."""

    label: str
    url: str
    is_done: bool


def needs_a_person() -> dict[str, Any]:
    """Return what waits for a decision: dead letters with money at risk per asset, breaks, approvals."""
    letters = DeadLetter.objects.filter(status=DeadLetter.Status.OPEN)
    by_asset = list(
        letters.values("money_at_risk_asset").annotate(
            count=Count("id"), total=Sum("money_at_risk"), oldest=Min("created_at")
        )
    )
    waiting = queue.needs_a_person(clock.now())
    found = Break.objects.exclude(status=Break.Status.RESOLVED).aggregate(
        count=Count("id", filter=waiting),
        oldest=Min("first_seen_at", filter=waiting),
        suspected=Count("id", filter=Q(status=Break.Status.SUSPECTED)),
    )
    return {
        "dead_letters": sum(row["count"] for row in by_asset),
        "dead_letters_oldest": min((row["oldest"] for row in by_asset), default=None),
        "at_risk": [(row["total"], row["money_at_risk_asset"]) for row in by_asset],
        "breaks": found["count"],
        "breaks_oldest": found["oldest"],
        "suspected": found["suspected"],
        "approvals": Approval.objects.filter(status=Approval.Status.PENDING).count(),
    }


def trading_now() -> dict[str, Any]:
    """Count living orders by state, and the orders and fills of the last five minutes."""
    since = clock.now() - RECENTLY
    rows = Order.objects.filter(Q(status__in=states.ALIVE_WORDS)).values_list("status").annotate(count=Count("id"))
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


def accounts_and_venues() -> list[tuple[Account, datetime | None, Standing | None]]:
    """Return every account, when its venue was last heard, and how that venue stands."""
    stands = standing.standings()
    return [(account, stream_age(account), stands.get(account.venue_id)) for account in accounts()]


def stream_age(account: Account) -> datetime | None:
    """Return when the account's venue was last heard on any channel."""
    heard = [channel.last_success_at for channel in account.channels.all() if channel.last_success_at]
    return max(heard, default=None)


def coverage_summary() -> dict[str, int]:
    """Count the surfaces of all accounts per state of proof; what has no row was never checked, what is too old is stale.

    What a venue does not offer is `unsupported`: neither proved nor missing, and not in `total`.
    """
    status, old = Coverage.Status, too_old(clock.now(), "coverage__")
    proved, unknown = Q(coverage__status=status.PROVED), Q(coverage__proved_at=None)
    rows = Account.objects.aggregate(
        accounts=Count("pk", distinct=True),
        proved=Count("coverage", filter=proved & ~old & ~unknown),
        stale=Count("coverage", filter=Q(coverage__status=status.STALE) | proved & (old | unknown)),
        failed=Count("coverage", filter=Q(coverage__status=status.FAILED)),
        unsupported=Count("coverage", filter=Q(coverage__status=status.UNSUPPORTED)),
    )
    cells = rows.pop("accounts") * len(Surface)
    return {**rows, "never": cells - sum(rows.values()), "total": cells - rows["unsupported"]}


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
    key = Credential.objects.filter(state="active").exists()
    active = Account.objects.filter(status=AccountStatus.READY).exists()
    place = f"/accounts/{account.code}/" if account else "/accounts/"
    return [
        Step("Add a venue", "/venues/", venue is not None),
        Step("Add an account there", "/accounts/", account is not None),
        Step("Store its API key", f"{place}#key", key),
        Step("Activate the account", f"{place}#activation", active),
        Step("Send the first order", "/orders/new/", False),
    ]
