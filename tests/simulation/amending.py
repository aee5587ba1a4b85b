"""How the venue takes an amend: in place, or by ending the old order and placing another in the same request."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from venues.messages import AmendOrder, OrderReport, PlaceOrder, Replaced
from venues.paper.orders import Order, Rejected

if TYPE_CHECKING:
    from tests.simulation.venue import SimVenue


class Amended(NamedTuple):
    """The venue's answer: a verdict as of a submit, and what became of the order."""

    verdict: str
    reason: str
    report: OrderReport | None = None
    replaced: Replaced = ""


def amend(venue: SimVenue, message: AmendOrder, account: str) -> Amended:
    """Take an amend as it arrives."""
    if venue.facts.window and venue.now() * 1000 > message.stamp_ms + message.window_ms:
        return Amended("expired", "TIMESTAMP_OUTSIDE_WINDOW")
    order = venue.named(account, message.symbol, message.venue_order_id, message.venue_client_id)
    if order is None or not order.is_open:
        return Amended("rejected", "unknown_order")
    if venue.facts.amend == "in_place":
        return _in_place(venue, message, order)
    return _by_another(venue, message, order, account)


def _in_place(venue: SimVenue, message: AmendOrder, order: Order) -> Amended:
    wanted = replace(order.request, quantity=message.quantity, price=message.price)
    try:
        venue.engine.amend(order, wanted)
    except Rejected as refusal:
        return Amended("rejected", refusal.reason)
    venue.drain()
    return Amended("accepted", "", venue.report(order, order.versions[-1]), "in_place")


def _by_another(venue: SimVenue, message: AmendOrder, order: Order, account: str) -> Amended:
    if not message.filled_quantity and order.status != "new":
        return Amended("rejected", "restricted")  # asked for with cancelRestrictions=ONLY_NEW
    venue.engine.cancel(order)
    venue.drain()
    successor = PlaceOrder(
        venue_client_id=message.new_venue_client_id, symbol=message.symbol, side=message.side, type=message.type,
        quantity=message.quantity - message.filled_quantity, price=message.price, time_in_force=message.time_in_force,
        post_only=message.post_only, stamp_ms=message.stamp_ms, window_ms=message.window_ms,
    )  # fmt: skip
    verdict, reason, report = venue.place(successor, account)
    if verdict != "accepted":
        return Amended("accepted", reason, venue.report(order, order.versions[-1]), "cancelled_only")
    return Amended("accepted", "", report, "new_order")
