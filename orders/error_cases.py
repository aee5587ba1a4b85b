"""Turn the owners' notes of answers that no row classifies into cases, and say which orders wait on one."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db.models import Q, QuerySet

from orders.models import Anomaly, Order
from orders.states import Mutation, Status
from project.lib import clock, feed
from venues import capabilities, cases
from venues.models import ErrorCase

BATCH = 500
ORDERS_MAX = 50
WAITING = Q(status=Status.UNKNOWN) | Q(mutation__in=[Mutation.CANCEL_UNKNOWN, Mutation.AMEND_UNKNOWN])


def gather() -> int:
    """Count every such note into the case of its exchange family, action and code; return how many there were."""
    waiting = Anomaly.objects.filter(handled_at=None, kind=Anomaly.Kind.UNCLASSIFIED)
    if not waiting.exists():
        return 0
    with feed.transaction():
        locked = waiting.select_for_update(no_key=True, skip_locked=True, of=("self",)).select_related("account__venue")
        rows = list(locked.order_by("seen_at", "id")[:BATCH])
        for row in rows:
            venue = row.account.venue
            row.case = cases.note(capabilities.for_exchange(venue.exchange, venue.quirks).family, row.data, row.seen_at)
            row.handled_at = clock.now()
        Anomaly.objects.bulk_update(rows, ["case", "handled_at"])
    return len(rows)


def orders_of(case: ErrorCase) -> QuerySet[Order]:
    """Return the orders that got this answer, the newest first, at most fifty."""
    told = Anomaly.objects.filter(case=case).values("order_id")
    return Order.objects.filter(id__in=told).select_related("account__venue").order_by("-created_at", "id")[:ORDERS_MAX]


def waiting_on(case_ids: Sequence[uuid.UUID], accounts: Iterable[str] | None = None) -> dict[uuid.UUID, list[str]]:
    """Return per case the ids of the orders of which nobody knows yet what became of them after that answer."""
    told = Anomaly.objects.filter(case__in=case_ids, order__in=Order.objects.filter(WAITING))
    if accounts is not None:
        told = told.filter(account__in=accounts)
    found: dict[uuid.UUID, list[str]] = defaultdict(list)
    for case_id, order_id in told.order_by("seen_at").values_list("case_id", "order_id").distinct():
        if case_id is not None and str(order_id) not in found[case_id]:
            found[case_id].append(str(order_id))
    return found
