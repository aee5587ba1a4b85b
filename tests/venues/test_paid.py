"""Every request that leaves is paid for from the key's budget, however its adapter signs it."""

from __future__ import annotations

from datetime import timedelta

from project.lib import clock
from tests.venues.desk import Desk
from venues.adapters.transport import HttpRecord
from venues.ratelimit import Ticket


async def test_every_request_is_paid_for_once(desk: Desk) -> None:
    client = desk.gateway._adapter.client
    pay, note = client.pay, client.on_http
    paid: list[float] = []
    left: list[str] = []

    async def counting(cost: float) -> Ticket | None:
        paid.append(cost)
        ticket: Ticket | None = await pay(cost)
        return ticket

    def noting(record: HttpRecord) -> None:
        left.append(record.path)
        note(record)

    client.pay, client.on_http = counting, noting
    order = desk.order()
    since = clock.now() - timedelta(minutes=5)
    await desk.gateway.turn("order")
    placed = await desk.gateway.place(order)
    assert placed.outcome == "accepted"
    for surface in ("open_orders", "fills", "balances", "transfers"):
        assert (await desk.gateway.read(surface, since=since, symbols=[order.symbol])).status == "good"
    await desk.gateway.look_up(
        symbol=order.symbol, venue_client_id=order.venue_client_id, venue_order_id=placed.venue_order_id, since=since
    )
    await desk.gateway.permissions()
    await desk.gateway.last_prices([order.symbol])
    await desk.gateway.turn("cancel")
    assert (await desk.gateway.cancel(desk.cancel_of(order, placed.venue_order_id))).outcome == "accepted"
    assert len(left) >= 6
    assert len(paid) == len(left), left
