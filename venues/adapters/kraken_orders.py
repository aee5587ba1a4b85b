"""Kraken's order requests; pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from project.lib import decimals
from venues.messages import AmendOrder, PlaceOrder

_TYPES = {
    "limit": "limit",
    "market": "market",
    "stop": "stop-loss",
    "stop_limit": "stop-loss-limit",
    "take_profit": "take-profit",
    "take_profit_limit": "take-profit-limit",
    "trailing_stop": "trailing-stop",
}


def placement(order: PlaceOrder, market: str, deadline_ms: int) -> dict[str, Any]:
    """Return an AddOrder without its client id; the matching engine refuses it after the deadline."""
    request: dict[str, Any] = {
        "pair": market,
        "type": order.side,
        "ordertype": _TYPES[order.type],
        "volume": decimals.write(order.quantity),
        "deadline": rfc3339(deadline_ms),
    }
    if order.trailing_offset is not None:
        request["price"] = f"+{decimals.write(order.trailing_offset)}"
    elif order.trigger_price is not None:
        request["price"] = decimals.write(order.trigger_price)
        if order.price is not None:
            request["price2"] = decimals.write(order.price)
    elif order.price is not None:
        request["price"] = decimals.write(order.price)
    if order.price is not None:
        request["timeinforce"] = order.time_in_force
    if order.time_in_force == "GTD" and order.expires_at is not None:
        # Whole seconds, downwards: the order may not outlive its time.
        request["expiretm"] = str(int(order.expires_at.timestamp()))
    if order.post_only:
        request["oflags"] = "post"
    if order.reduce_only:
        request["reduce_only"] = "true"
    return request


def amendment(order: AmendOrder, deadline_ms: int) -> dict[str, Any]:
    """Return an AmendOrder; its quantity is the total, as ours is."""
    request: dict[str, Any] = {"order_qty": decimals.write(order.quantity), "deadline": rfc3339(deadline_ms)}
    if order.venue_order_id is not None:
        request["txid"] = order.venue_order_id
    else:
        request["cl_ord_id"] = order.venue_client_id
    if order.price is not None:
        request["limit_price"] = decimals.write(order.price)
    if order.trigger_price is not None:
        request["trigger_price"] = decimals.write(order.trigger_price)
    if order.post_only:
        request["post_only"] = "true"
    return request


def rfc3339(milliseconds: int) -> str:
    """Return a time as Kraken takes it."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
