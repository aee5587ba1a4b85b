"""Draining: say so when nothing is open any more at an account or a venue that takes no new orders."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q

from orders import states
from orders.models import Attempt, Intent, Order
from project.lib import feed
from venues import draining
from venues.models import Account, Venue

_ALIVE = Q(status__in=states.ALIVE_WORDS)


def settle() -> int:
    """Mark what has drained: no order alive, no doubt open, no wish waiting. Returns how many were."""
    accounts = Account.objects.filter(draining_since__isnull=False, drained_at=None)
    venues = Venue.objects.filter(draining_since__isnull=False, drained_at=None)
    if not accounts.exists() and not venues.exists():
        return 0
    with feed.transaction():
        still = Account.objects.filter(
            Exists(Order.objects.filter(_ALIVE, account=OuterRef("pk")))
            | Exists(Attempt.objects.filter(account=OuterRef("pk"), outcome__in=["", "unknown"], resolved_at=None))
            | Exists(Intent.objects.filter(account=OuterRef("pk"), done_at=None, action__in=["cancel", "amend"]))
        )
        done: list[Account | Venue] = [
            *accounts.exclude(pk__in=still.values("pk")).select_for_update(no_key=True, of=("self",)),
            *venues.exclude(pk__in=still.values("venue_id")).select_for_update(no_key=True, of=("self",)),
        ]
        for row in done:
            draining.drained(row)
    return len(done)
