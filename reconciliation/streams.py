"""What an account's private stream said last about what differs, as stored; nothing where it said nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orders.models import Balance, Fill, OrderEvent
from reconciliation import facts

SOURCE = "stream"
_FIGURES = ("price", "quantity", "fee", "fee_asset")


def told(account: str, differences: Mapping[str, facts.Difference]) -> dict[str, str]:
    """Return what the stream said per difference, by the names given; three queries at most, none for no difference.

    What a comparison has already found out about the stream is left as it is.
    """
    wanted = {name: each for name, each in differences.items() if not each.stream}
    said = _fills(wanted)
    said |= _orders({name: each for name, each in wanted.items() if name not in said and not each.fill_id})
    return said | _balances(account, wanted)


def _fills(wanted: Mapping[str, facts.Difference]) -> dict[str, str]:
    ids = {each.fill_id for each in wanted.values() if each.fill_id}
    if not ids:
        return {}
    found = {str(fill.pk): fill for fill in Fill.objects.filter(pk__in=ids, source=SOURCE)}
    return {
        name: f"{fill.side} {facts.text(fill.quantity)} {fill.symbol} at {facts.text(fill.price)}, fee {facts.text(fill.fee)} {fill.fee_asset}"[:200]
        for name, each in wanted.items()
        if each.fill_id and (fill := found.get(str(each.fill_id)))
    }  # fmt: skip


def _orders(wanted: Mapping[str, facts.Difference]) -> dict[str, str]:
    ids = {each.order_id for each in wanted.values() if each.order_id}
    if not ids:
        return {}
    events = OrderEvent.objects.filter(order_id__in=ids, source=SOURCE).order_by("order_id", "-sequence")
    newest = {str(event.order_id): event for event in events.distinct("order_id")}
    return {
        name: _line(event)
        for name, each in wanted.items()
        if each.order_id and (event := newest.get(str(each.order_id)))
    }


def _balances(account: str, wanted: Mapping[str, facts.Difference]) -> dict[str, str]:
    assets = {each.asset for each in wanted.values() if each.kind in ("balance", "balance_frozen")}
    if not assets:
        return {}
    rows = Balance.objects.filter(account_id=account, asset__in=assets, stream_at__isnull=False)
    totals = {
        asset: f"{facts.text(total)} at {at:%H:%M:%S} UTC"
        for asset, total, at in rows.values_list("asset", "stream_total", "stream_at")
        if at is not None
    }
    return {
        name: totals[each.asset]
        for name, each in wanted.items()
        if each.kind in ("balance", "balance_frozen") and each.asset in totals
    }


def _line(event: OrderEvent) -> str:
    data: dict[str, Any] = event.data if isinstance(event.data, dict) else {}
    figures = ", ".join(f"{name.replace('_', ' ')} {data[name]}" for name in _FIGURES if data.get(name))
    at = f" at {event.occurred_at or event.received_at:%H:%M:%S} UTC"
    return f"{event.kind.replace('_', ' ')}{f', then {event.status_after}' if event.status_after else ''}{at}{f': {figures}' if figures else ''}"[:200]  # fmt: skip
