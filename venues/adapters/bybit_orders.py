"""Bybit's order requests; pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from project.lib import decimals
from venues.adapters import rows
from venues.adapters.checks import TRIGGERED
from venues.messages import AmendOrder, CancelOrder, PlaceOrder

CONDITIONAL = "tpslOrder"
# A cancel finds an order only under the filter it rests under: working, or waiting for its trigger.
FILTERS = ("Order", CONDITIONAL, "StopOrder")


def placement(order: PlaceOrder, market: str) -> dict[str, Any]:
    """Return an order without its client id. Quantities are in the base asset, also of a market order."""
    request: dict[str, Any] = {
        "category": "spot",
        "symbol": market,
        "side": order.side.capitalize(),
        "orderType": "Market" if order.price is None else "Limit",
        "qty": decimals.write(order.quantity),
    }
    if order.price is None:
        request["marketUnit"] = "baseCoin"
    else:
        request["price"] = decimals.write(order.price)
        request["timeInForce"] = "PostOnly" if order.post_only else order.time_in_force
    if order.trigger_price is not None:
        request["orderFilter"] = CONDITIONAL
        request["triggerPrice"] = decimals.write(order.trigger_price)
    return request


def amendment(order: AmendOrder, market: str) -> dict[str, Any]:
    """Return a change in place; its quantity is the total, as ours is."""
    request: dict[str, Any] = {
        "category": "spot",
        "symbol": market,
        **identity(order),
        "qty": decimals.write(order.quantity),
    }
    if order.price is not None:
        request["price"] = decimals.write(order.price)
    if order.trigger_price is not None:
        request["triggerPrice"] = decimals.write(order.trigger_price)
    return request


def identity(order: AmendOrder | CancelOrder) -> dict[str, str]:
    """Return what names a live order: the venue's id, else ours."""
    if order.venue_order_id is not None:
        return {"orderId": order.venue_order_id}
    return {"orderLinkId": order.venue_client_id}


def refuse_a_passed_trigger(order: PlaceOrder | AmendOrder, last: Decimal) -> None:
    """Refuse a trigger that the last price has reached: Bybit would wait for the opposite move. Raises rows.RowError."""
    trigger = order.trigger_price
    if trigger is None or order.type not in TRIGGERED:
        return
    waits_for_a_rise = (order.side == "buy") is order.type.startswith("stop")
    if last >= trigger if waits_for_a_rise else last <= trigger:
        raise rows.RowError(
            "the last price is beyond the trigger already, and this venue would wait for it to come back"
        )
