"""Coinbase's order requests; pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from project.lib import decimals
from venues.adapters import rows
from venues.messages import AmendOrder, PlaceOrder

_LIMITS = {"GTC": "limit_limit_gtc", "GTD": "limit_limit_gtd", "IOC": "sor_limit_ioc", "FOK": "limit_limit_fok"}
_STOPS = {"GTC": "stop_limit_stop_limit_gtc", "GTD": "stop_limit_stop_limit_gtd"}


def placement(order: PlaceOrder, market: str, client_id: str) -> dict[str, Any]:
    """Return a new order. Raises rows.RowError for one that Coinbase has no configuration for."""
    return {
        "client_order_id": client_id,
        "product_id": market,
        "side": order.side.upper(),
        "order_configuration": _configuration(order),
    }


def amendment(order: AmendOrder) -> dict[str, Any]:
    """Return an edit. Size is the whole order's, as ours is; what is left out would count as nothing.

    Raises rows.RowError: only a limit order that stands until cancelled is edited, and only by the venue's id.
    """
    if order.type != "limit" or order.time_in_force != "GTC" or order.price is None:
        raise rows.RowError("this venue changes only limit orders that stand until cancelled")
    if order.venue_order_id is None:
        raise rows.RowError("this venue changes orders by its own order id only, and it is not known yet")
    return {
        "order_id": order.venue_order_id,
        "price": decimals.write(order.price),
        "size": decimals.write(order.quantity),
    }


def _configuration(order: PlaceOrder) -> dict[str, Any]:
    terms: dict[str, Any] = {"base_size": decimals.write(order.quantity)}
    if order.post_only and (order.type != "limit" or order.time_in_force not in ("GTC", "GTD")):
        raise rows.RowError("this venue has post-only orders only of those that rest at once")
    if order.type == "market":
        return {"market_market_ioc": terms}
    terms["limit_price"] = decimals.write(order.price)
    if order.time_in_force == "GTD" and order.expires_at is not None:
        terms["end_time"] = rfc3339(order.expires_at)
    if order.trigger_price is None:
        if order.time_in_force in ("GTC", "GTD"):
            terms["post_only"] = order.post_only
        return {_LIMITS[order.time_in_force]: terms}
    if order.time_in_force not in _STOPS:
        raise rows.RowError(f"this venue takes no {order.type} {order.time_in_force} orders")
    is_down = (order.side == "sell") == (order.type == "stop_limit")
    terms["stop_price"] = decimals.write(order.trigger_price)
    terms["stop_direction"] = "STOP_DIRECTION_STOP_DOWN" if is_down else "STOP_DIRECTION_STOP_UP"
    return {_STOPS[order.time_in_force]: terms}


def rfc3339(moment: datetime) -> str:
    """Return a time as Coinbase takes it: to the millisecond, downwards, so that no order outlives its time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
