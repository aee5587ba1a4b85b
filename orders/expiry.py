"""Good till date where the venue knows no such thing: at its time we end the order ourselves. Pure."""

from __future__ import annotations

from datetime import timedelta

from orders import events, states
from orders.books import Books
from orders.rows import OrderRow
from orders.service import Service
from orders.states import Status
from project.lib import clock

INTERVAL_SECONDS = 1.0
GRACE = timedelta(seconds=3)
ACTOR = "expiry"


async def watch(service: Service) -> None:
    """End every order of the account whose time has come: here when it never left, else by a cancel."""
    is_theirs = "GTD" in service.gateway.capabilities.times_in_force
    if await service.writer.run(lambda books: bool(books.store.expiring(service.account, clock.now()))):
        await service.writer.run_until_committed(lambda books: apply(books, service.account, is_theirs=is_theirs))


def apply(books: Books, account: str, *, is_theirs: bool = False) -> None:
    """End what is here, and ask for the cancel of what is at the venue, once; a venue that knows the time gets a moment."""
    now = clock.now()
    order_ids = books.store.expiring(account, now)
    books.load(order_ids)
    for order_id in order_ids:
        order = books.order(order_id)
        if Status(order.status) in states.LOCAL:
            events.record(books, order, "expired", source="executor", received_at=now, to=Status.EXPIRED,
                          code="EXPIRED_BY_US", message="its time came before it was sent")  # fmt: skip
        elif not is_theirs or order.expires_at is None or now > order.expires_at + GRACE:
            request_cancel(books, order, ACTOR)


def request_cancel(books: Books, order: OrderRow, actor: str) -> bool:
    """Ask for the cancel of an order that is at the venue, once. Returns whether it was asked for now."""
    if Status(order.status) in states.TERMINAL or any(i.action == "cancel" for i in books.store.wishes_about(order.id)):
        return False
    books.add_intent(order, "cancel", {}, actor)
    return True
