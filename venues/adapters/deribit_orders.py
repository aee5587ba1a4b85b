"""Deribit's order requests; pure. Amounts are as ours: base asset, of an inverse contract quote asset."""

from __future__ import annotations

from typing import Any

from project.lib import decimals
from venues.messages import AmendOrder, PlaceOrder

_TIMES_IN_FORCE = {"GTC": "good_til_cancelled", "IOC": "immediate_or_cancel", "FOK": "fill_or_kill"}
MAKER_ONLY = {"post_only": "true", "reject_post_only": "true"}


def placement(order: PlaceOrder, market: str, valid_until_ms: int) -> dict[str, Any]:
    """Return a buy or sell without its label; the matching engine refuses it after valid_until."""
    request: dict[str, Any] = {
        "instrument_name": market,
        "amount": decimals.write(order.quantity),
        "type": order.type,
        "valid_until": valid_until_ms,
    }
    if order.price is not None:
        request["price"] = decimals.write(order.price)
        request["time_in_force"] = _TIMES_IN_FORCE[order.time_in_force]
    if order.post_only:
        request |= MAKER_ONLY  # without the second flag the venue would move the price instead of refusing
    if order.reduce_only:
        request["reduce_only"] = "true"
    return request


def amendment(order: AmendOrder, market: str, valid_until_ms: int) -> dict[str, Any]:
    """Return an edit by the venue's id, else by our label; its amount is the total, as ours is."""
    request: dict[str, Any] = {"amount": decimals.write(order.quantity), "valid_until": valid_until_ms}
    if order.venue_order_id is not None:
        request["order_id"] = order.venue_order_id
    else:
        request |= {"label": order.venue_client_id, "instrument_name": market}
    if order.price is not None:
        request["price"] = decimals.write(order.price)
    if order.post_only:
        request |= MAKER_ONLY
    return request
