"""Whose order is this? Match a venue's statement to an order of ours, or adopt it as placed elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Collection

from orders import events
from orders.books import Books
from orders.rows import OrderRow
from orders.states import Status
from project.lib import clock, decimals, ids
from venues.messages import FillReport, OrderReport


def find(books: Books, account: str, report: OrderReport | FillReport) -> OrderRow | None:
    """Return the order: by the client id we sent, else by the venue's order id on that symbol."""
    if report.venue_client_id:
        order = books.by_client_id(account, report.venue_client_id)
        if order is not None:
            return order
    if report.venue_order_id:
        return books.by_venue_id(account, report.symbol, report.venue_order_id)
    return None


def may_be_ours(doubtful: Collection[str], report: OrderReport | FillReport, *, ids_echoed: bool = True) -> bool:
    """Say whether an unmatched statement could belong to a submit of ours without a venue id, on one of the doubtful symbols."""
    if report.venue_client_id and ids_echoed:
        return False  # it carries a client id, and that id is not one of ours
    return report.symbol in doubtful


def adopt(books: Books, account: str, report: OrderReport) -> OrderRow | None:
    """Take in an order placed at the venue by somebody else, as external; needs its side, type and quantity."""
    if not report.venue_order_id or report.side is None or not report.quantity:
        return None
    kind = report.type or "limit"
    now = clock.now()
    order = OrderRow(
        id=ids.new_id(), account=account, client_order_id=f"external:{report.symbol}:{report.venue_order_id}"[:64],
        body_digest="external", symbol=report.symbol, side=report.side, type=kind, quantity=report.quantity,
        price=report.price or None, trigger_price=report.trigger_price, venue_order_id=report.venue_order_id, source="venue", is_external=True,
        created_at=now, updated_at=now,
    )  # fmt: skip
    events.open_order(books, order, verdict=Status.OPEN, kind="adopted")
    data = {
        "venue_order_id": report.venue_order_id, "symbol": report.symbol, "side": report.side,
        "quantity": decimals.write(report.quantity), "price": decimals.write(report.price),
    }  # fmt: skip
    books.note(account, "external_order", str(order.id), order=order.id, data=data)
    return order
