"""The venue's orders that one order of ours has been in turn: each amend by replacement ends a leg and begins another. Pure."""

from __future__ import annotations

from decimal import Decimal

from orders import states
from orders.books import Books
from orders.rows import ZERO, AttemptRow, OrderRow
from venues.messages import OrderReport


def ended(books: Books, order: OrderRow) -> list[str]:
    """Return the venue's ids of the legs that have ended: all but the newest, and that too while its successor waits.

    The order's own venue order stands still, though an attempt to replace it be newer.
    """
    legs = _all(books, order)
    ended = legs if order.status in states.LOCAL else legs[:-1]
    return [leg.venue_order_id for leg in ended if leg.venue_order_id not in {"", order.venue_order_id}]


def filled_before(books: Books, order: OrderRow, client_id: str | None) -> Decimal:
    """Return what had filled before the leg a statement is about, the newest one where it names none."""
    named = [leg for leg in _all(books, order) if not client_id or leg.venue_client_id == client_id]
    return Decimal(named[-1].request.get("filled_before", "0")) if named else ZERO


def claimed(books: Books, order: OrderRow, report: OrderReport) -> Decimal:
    """Return how much of the order has filled by a venue's statement about one of its legs."""
    return (report.filled_quantity or ZERO) + filled_before(books, order, report.venue_client_id)


def in_replacement(books: Books, order: OrderRow) -> AttemptRow | None:
    """Return the amend that is ending the venue's order to put another in its place, or None."""
    if order.mutation not in states.AMENDING:
        return None
    attempt = books.newest_attempt(order.id, "amend")
    return attempt if attempt is not None and attempt.request.get("how") in {"replace", "cancel_and_new"} else None


def keep_id(books: Books, order: OrderRow) -> None:
    """Keep the id of the leg that is replaced beside the attempt that made it: its late trades still find the order."""
    named = {attempt.venue_order_id for attempt in books.attempts(order.id)}
    made_it = books.newest_attempt(order.id, "submit")
    if order.venue_order_id and order.venue_order_id not in named and made_it is not None:
        made_it.venue_order_id = order.venue_order_id
        books.change_attempt(made_it)


def _all(books: Books, order: OrderRow) -> list[AttemptRow]:
    """Return the attempts that each made, or may make, an order of the venue's: oldest first."""
    return [a for a in books.attempts(order.id) if a.action == "submit" or a.request.get("how") == "replace"]
