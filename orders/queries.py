"""What the order pages read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, QuerySet

from orders import states
from orders.models import Fill, Order

TABS: dict[str, tuple[str, frozenset[str]]] = {
    "all": ("All", frozenset()),
    "working": ("Working", frozenset(status.value for status in states.ALIVE - {states.Status.UNKNOWN})),
    "unknown": ("Unknown", frozenset({"unknown"})),
    "filled": ("Filled", frozenset({"filled", "partially_filled"})),
    "refused": ("Denied, rejected", frozenset({"denied", "rejected"})),
}
COUNTED = ("working", "unknown")
EXPORT_HEAD = (
    "id", "client_order_id", "account", "symbol", "side", "type", "time_in_force", "quantity", "price",
    "filled_quantity", "leaves_quantity", "average_price", "status", "mutation", "reason_code", "reason_message",
    "venue_order_id", "source", "created_at", "updated_at",
)  # fmt: skip


def orders(filters: Mapping[str, str]) -> QuerySet[Order]:
    """Return the orders a querystring asks for; an unknown value matches nothing rather than everything."""
    found = Order.objects.select_related("account__venue")
    wanted = TABS.get(filters.get("tab", "all"), TABS["all"])[1]
    if wanted:
        found = found.filter(status__in=wanted)
    for name, column in (("account", "account_id"), ("symbol", "symbol"), ("strategy", "strategy")):
        if filters.get(name):
            found = found.filter(**{column: filters[name]})
    if filters.get("status"):
        found = found.filter(status__in=filters["status"].split(","))
    if text := filters.get("client_order_id", "").strip():
        found = found.filter(Q(client_order_id__startswith=text) | Q(venue_order_id=text))
    return found


def tab_counts() -> dict[str, int]:
    """Count the orders of the tabs that show a figure, in one query over the index of living orders."""
    alive = [status.value for status in states.ALIVE]
    rows = Order.objects.filter(status__in=alive).values_list("status").annotate(count=Count("id"))
    by_status: dict[str, int] = {status: count for status, count in rows}
    return {tab: sum(by_status.get(status, 0) for status in TABS[tab][1]) for tab in COUNTED}


def export_rows(found: QuerySet[Order]) -> Iterator[list[Any]]:
    """Yield the cells of every order, newest first, without holding them in memory."""
    for order in found.order_by("-created_at", "id").iterator(chunk_size=1000):
        cells = {**vars(order), "account": order.account_id, "average_price": order.average_price,
                 "leaves_quantity": order.leaves_quantity}  # fmt: skip
        yield [_cell(cells[name]) for name in EXPORT_HEAD]


def fills(filters: Mapping[str, str]) -> QuerySet[Fill]:
    """Return the fills a querystring asks for."""
    found = Fill.objects.select_related("order", "account__venue")
    for name, column in (("account", "account_id"), ("symbol", "symbol"), ("side", "side")):
        if filters.get(name):
            found = found.filter(**{column: filters[name]})
    return found


def _cell(value: Any) -> Any:
    return format(value, "f") if isinstance(value, Decimal) else value.isoformat() if hasattr(value, "isoformat") else value
