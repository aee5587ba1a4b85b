"""What the risk page reads."""

from __future__ import annotations

from django.db.models import QuerySet

from risk.models import Halt, Limit
from venues.models import Account, Venue

HALTS_MAX = 20


def released_halts() -> QuerySet[Halt]:
    """Return the halts lifted last."""
    return Halt.objects.exclude(released_at=None).order_by("-released_at", "id")[:HALTS_MAX]


def limits() -> QuerySet[Limit]:
    """Return every limit, by scope."""
    return Limit.objects.order_by("scope", "name")


def scopes() -> list[str]:
    """Return every scope that can be halted or limited."""
    venues = Venue.objects.order_by("code").values_list("code", flat=True)
    accounts = Account.objects.order_by("code").values_list("code", flat=True)
    return ["global", *(f"venue:{code}" for code in venues), *(f"account:{code}" for code in accounts)]
