"""Good till date where the venue knows no such thing: at its time we end the order ourselves. Pure."""

from __future__ import annotations

from orders import events, states
from orders.books import Books
from orders.rows import OrderRow
from orders.service import Service
from orders.states import Status
from project.lib import clock

INTERVAL_SECONDS = 1.0
ACTOR = "expiry"


async def watch(service: Service) -> None:
    """End every order of the account whose time has come: here when it never left, else by a cancel."""
    if await service.writer.run(lambda books: bool(books.store.expiring(service.account, clock.now()))):
        await service.writer.run_until_committed(lambda books: apply(books, service.account))


def apply(books: Books, account: str) -> None:
    """End what is here, and ask for the cancel of what is at the venue, once."""
    order_ids = books.store.expiring(account, clock.now())
    books.load(order_ids)
    for order_id in order_ids:
        order = books.order(order_id)
        if Status(order.status) in states.LOCAL:
            events.record(books, order, "expired", source="executor", received_at=clock.now(), to=Status.EXPIRED,
                          code="EXPIRED_BY_US", message="its time came before it was sent")  # fmt: skip
        else:
            request_cancel(books, order, ACTOR)


def request_cancel(books: Books, order: OrderRow, actor: str) -> bool:
    """Ask for the cancel of an order that is at the venue, once. Returns whether it was asked for now."""
    if Status(order.status) in states.TERMINAL or any(i.action == "cancel" for i in books.store.wishes_about(order.id)):
        return False
    books.add_intent(order, "cancel", {}, actor)
    return True
