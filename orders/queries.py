"""What the order pages read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum

from orders import states
from orders.models import Balance, DeadLetter, Fill, Order, Position, Posting, Transfer
from orders.positions import value
from venues.models import Account, Instrument

TABS: dict[str, tuple[str, frozenset[str]]] = {
    "all": ("All", frozenset()),
    "working": ("Working", frozenset(status.value for status in states.ALIVE - {states.Status.UNKNOWN})),
    "unknown": ("Unknown", frozenset({"unknown"})),
    "filled": ("Filled", frozenset({"filled", "partially_filled"})),
    "refused": ("Denied, rejected", frozenset({"denied", "rejected"})),
}
COUNTED = ("working", "unknown")
BALANCES_MAX = 1000
EXPORT_HEAD = (
    "id", "client_order_id", "account", "symbol", "side", "type", "time_in_force", "quantity", "price", "trigger_price",
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


def siblings(order: Order) -> list[Order]:
    """Return the orders of an order's group in the order they were made, itself among them; none without a group."""
    if order.group_id is None:
        return []
    return list(
        Order.objects.filter(group_id=order.group_id).select_related("account__venue").order_by("created_at", "id")
    )


def tab_counts() -> dict[str, int]:
    """Count the orders of the tabs that show a figure, in one query over the index of living orders."""
    rows = Order.objects.filter(status__in=states.ALIVE_WORDS).values_list("status").annotate(count=Count("id"))
    by_status: dict[str, int] = dict(rows)
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


def transfers(filters: Mapping[str, str]) -> QuerySet[Transfer]:
    """Return the transfers a querystring asks for, each with the breaks about it."""
    found = Transfer.objects.select_related("account__venue").prefetch_related("breaks")
    for name, column in (("account", "account_id"), ("kind", "kind"), ("asset", "asset"), ("symbol", "symbol")):
        if filters.get(name):
            found = found.filter(**{column: filters[name]})
    return found


def _cell(value: Any) -> Any:
    return (
        format(value, "f")
        if isinstance(value, Decimal)
        else value.isoformat()
        if hasattr(value, "isoformat")
        else value
    )


def instruments(venue: str) -> list[Instrument]:
    """Return the tradable instruments of a venue, by symbol."""
    return list(Instrument.objects.filter(venue_id=venue, is_active=True).order_by("symbol"))


def free_balances(account: Account, assets: Iterable[str]) -> list[Balance]:
    """Return what the venue last said an account has free of some assets."""
    return list(Balance.objects.filter(account=account, asset__in=list(assets)).order_by("asset"))


def balances(filters: Mapping[str, str]) -> list[Balance]:
    """Return balances with the difference to the venue in `delta` (None while the venue has not spoken)."""
    found = Balance.objects.select_related("account__venue").order_by("account_id", "asset")
    if filters.get("account"):
        found = found.filter(account_id=filters["account"])
    if filters.get("asset"):
        found = found.filter(asset=filters["asset"])
    if not filters.get("all"):
        found = found.exclude(total=0, venue_total=0).exclude(total=0, venue_total=None)
    rows = list(found[:BALANCES_MAX])
    for row in rows:
        row.delta = None if row.venue_total is None else row.venue_total - row.total  # type: ignore[attr-defined]
    return rows


def positions(filters: Mapping[str, str]) -> list[Position]:
    """Return net traded quantities with what they are worth now, and of contracts the venue's own word."""
    found = Position.objects.select_related("account__venue").order_by("account_id", "symbol")
    if filters.get("account"):
        found = found.filter(account_id=filters["account"])
    rows = list(found[:BALANCES_MAX])
    value(rows)
    return rows


def postings(filters: Mapping[str, str]) -> QuerySet[Posting]:
    """Return the legs of journal entries a querystring asks for."""
    found = Posting.objects.select_related("account__venue", "fill")
    for name, column in (("account", "account_id"), ("asset", "asset"), ("book", "book"), ("cause", "cause")):
        if filters.get(name):
            found = found.filter(**{column: filters[name]})
    return found


def book_totals(filters: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the sum of each book of one account and asset; together they are zero."""
    found = Posting.objects.filter(account_id=filters.get("account"), asset=filters.get("asset"))
    rows = found.values("book").annotate(total=Sum("amount"), legs=Count("id")).order_by("book")
    return [dict(row) for row in rows]


def total(account: str, asset: str) -> Decimal:
    """Return our total of an asset."""
    return Balance.objects.filter(account_id=account, asset=asset).values_list("total", flat=True).first() or Decimal(0)


def dead_letters(filters: Mapping[str, str]) -> QuerySet[DeadLetter]:
    """Return the doubts a querystring asks for; the open ones unless it says otherwise."""
    found = DeadLetter.objects.select_related("order", "account__venue")
    status = filters.get("status", "open")
    if status != "all":
        found = found.filter(status=status)
    for name, column in (("account", "account_id"), ("cause", "cause")):
        if filters.get(name):
            found = found.filter(**{column: filters[name]})
    return found


def causes() -> list[dict[str, Any]]:
    """Return the open doubts by cause and asset: how many, how much money, since when."""
    found = DeadLetter.objects.filter(status=DeadLetter.Status.OPEN).values("cause", "money_at_risk_asset")
    rows = found.annotate(count=Count("id"), total=Sum("money_at_risk"), oldest=Min("created_at")).order_by(
        "-count", "cause"
    )
    return [dict(row) for row in rows]
