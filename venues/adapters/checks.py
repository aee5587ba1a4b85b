"""What is refused before anything is built or sent; pure."""

from __future__ import annotations

from venues.adapters import rows
from venues.capabilities import Capabilities
from venues.messages import AmendOrder, Answer, OrderReport, PlaceOrder

LIMITS = frozenset(("limit", "stop_limit", "take_profit_limit"))
TRIGGERED = frozenset(("stop", "stop_limit", "take_profit", "take_profit_limit"))


def refuse_what_the_venue_lacks(can: Capabilities, order: PlaceOrder) -> None:
    """Refuse an order the venue does not carry or that lacks a part of its type. Raises rows.RowError."""
    if order.reduce_only and not can.reduce_only:
        raise rows.RowError("this venue has no reduce-only orders")
    if order.type not in can.order_types or order.time_in_force not in can.times_in_force:
        raise rows.RowError(f"this venue takes no {order.type} {order.time_in_force} orders")
    if (
        (order.price is not None) != (order.type in LIMITS)
        or (order.trigger_price is not None) != (order.type in TRIGGERED)
        or (order.trailing_offset is not None) != (order.type == "trailing_stop")
    ):
        raise rows.RowError(f"a {order.type} order with the wrong prices")
    if order.time_in_force == "GTD" and (order.expires_at is None or order.type not in LIMITS):
        raise rows.RowError("a GTD order needs a limit price and a time at which it expires")


def refuse_an_impossible_change(can: Capabilities, order: AmendOrder) -> None:
    """Refuse an amend that leaves nothing, or that this venue cannot do in one request. Raises rows.RowError."""
    if order.quantity <= order.filled_quantity:
        raise rows.RowError("the new quantity is filled already: cancel the rest instead")
    if order.venue_order_id is None and not can.client_ids:
        raise rows.RowError("this venue changes orders by its own order id only, and it is not known yet")
    # A trailing stop's offset is not part of an amend; a replacement would lose it, and the time of a GTD order too.
    if order.type == "trailing_stop" or order.type not in can.order_types:
        raise rows.RowError(f"this venue changes no {order.type} orders")
    if order.time_in_force not in can.times_in_force:
        raise rows.RowError(f"this venue takes no {order.time_in_force} orders")
    if (order.price is not None) != (order.type in LIMITS) or (order.trigger_price is not None) != (
        order.type in TRIGGERED
    ):
        raise rows.RowError(f"a {order.type} order with the wrong prices")


def changed_in_place(order: AmendOrder) -> Answer:
    """Return the answer to an accepted amend of a venue that keeps the order and its ids."""
    report = OrderReport(
        venue_order_id=order.venue_order_id, venue_client_id=order.venue_client_id or None, symbol=order.symbol,
        status="open", side=order.side, type=order.type, price=order.price, trigger_price=order.trigger_price,
        quantity=order.quantity,
    )  # fmt: skip
    return Answer(outcome="accepted", replaced="in_place", venue_order_id=order.venue_order_id, order=report)
