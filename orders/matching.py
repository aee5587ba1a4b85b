"""Whose order is this? Match a venue's statement to an order of ours, or adopt it as placed elsewhere."""

from __future__ import annotations

from decimal import Decimal

from orders import events
from orders.models import Anomaly, Attempt, Order
from orders.states import Status
from project.lib import decimals
from venues.messages import FillReport, OrderReport

ZERO = Decimal(0)


def find(account: str, report: OrderReport | FillReport) -> Order | None:
    """Return the order, locked: by the client id we sent, else by the venue's order id on that symbol."""
    if report.venue_client_id:
        attempt = Attempt.objects.filter(
            account_id=account, venue_client_id=report.venue_client_id, action="submit"
        ).first()
        if attempt:
            return events.lock(attempt.order_id)
    if report.venue_order_id:
        return (
            Order.objects.select_for_update()
            .filter(account_id=account, symbol=report.symbol, venue_order_id=report.venue_order_id)
            .first()
        )
    return None


def may_be_ours(account: str, report: OrderReport | FillReport) -> bool:
    """Say whether an unmatched statement could belong to a submit of ours that has no venue id yet."""
    if report.venue_client_id:
        return False  # it carries a client id, and that id is not one of ours
    return Attempt.objects.filter(
        account_id=account, action="submit", order__symbol=report.symbol, order__venue_order_id="",
        outcome__in=["", "unknown"], resolved_at=None,
    ).exists()  # fmt: skip


def adopt(account: str, report: OrderReport) -> Order | None:
    """Take in an order placed at the venue by somebody else, as external; needs its side, type and quantity."""
    if not report.venue_order_id or report.side is None or not report.quantity:
        return None
    kind = report.type if report.type in {"limit", "market"} else "limit"
    order = Order(
        account_id=account, client_order_id=f"external:{report.symbol}:{report.venue_order_id}"[:64], body_digest="external",
        symbol=report.symbol, side=report.side, type=kind, quantity=report.quantity, price=report.price or None,
        venue_order_id=report.venue_order_id, source="venue", is_external=True,
    )  # fmt: skip
    events.open_order(order, verdict=Status.OPEN, kind="adopted")
    data = {
        "venue_order_id": report.venue_order_id, "symbol": report.symbol, "side": report.side,
        "quantity": decimals.write(report.quantity), "price": decimals.write(report.price),
    }  # fmt: skip
    events.note_anomaly(account, Anomaly.Kind.EXTERNAL_ORDER, str(order.id), order=order, data=data)
    return order
