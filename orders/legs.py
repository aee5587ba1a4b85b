"""The venue's orders that one order of ours has been in turn: each amend by replacement ends a leg and begins another. Pure."""

from __future__ import annotations

from orders import states
from orders.books import Books
from orders.rows import OrderRow


def ended(books: Books, order: OrderRow) -> list[str]:
    """Return the venue's ids of the legs that have ended: all but the newest, and that too while its successor waits."""
    legs = [a for a in books.attempts(order.id) if a.action == "submit" or a.request.get("how") == "replace"]
    ended = legs if order.status in states.LOCAL else legs[:-1]
    return [attempt.venue_order_id for attempt in ended if attempt.venue_order_id]


def keep_id(books: Books, order: OrderRow) -> None:
    """Keep the id of the leg that is replaced beside the attempt that made it: its late trades still find the order."""
    named = {attempt.venue_order_id for attempt in books.attempts(order.id)}
    made_it = books.newest_attempt(order.id, "submit")
    if order.venue_order_id and order.venue_order_id not in named and made_it is not None:
        made_it.venue_order_id = order.venue_order_id
        books.change_attempt(made_it)
