"""An account in the hands of its owner, as in the executor: the real writer, gateway and stages, without the schedule around them."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection

from bench.ground import PRICE, QUANTITY, SYMBOL
from bench.load import Timed, closed_loop
from orders import events, leases, submission
from orders.books import Books
from orders.rows import OrderRow
from orders.service import Service, Timing
from orders.states import Status
from orders.writer import Writer
from project.lib import clock, ids
from tests.venues.paper.process import WorldHandle
from venues.credentials import Secret
from venues.gateway import Gateway, SharedMarkets
from venues.models import Account, Venue
from venues.targets import VenueTarget

SWITCH_SECONDS = 0.0005
INTAKE_BATCH = 50


@dataclass
class Desk:
    """One open account and the times at which its orders were handed over and answered."""

    service: Service
    begun_at: dict[object, float] = field(default_factory=dict)
    answered_at: dict[object, float] = field(default_factory=dict)
    made: int = 0

    async def take_in(self, count: int, **changes: Any) -> list[uuid.UUID]:
        """Store queued orders, as the API does, many to a transaction."""
        ids_made: list[uuid.UUID] = []
        while len(ids_made) < count:
            rows = [self._row(**changes) for _ in range(min(INTAKE_BATCH, count - len(ids_made)))]
            await self.service.writer.run(partial(_open, rows))
            ids_made += [row.id for row in rows]
        return ids_made

    async def submit_all(self, orders: list[uuid.UUID], in_flight: int) -> Timed:
        """Send orders and time each from the hand-over to the venue's answer in hand; the attempt is durable before the wire.

        Where several are in flight, as many again wait behind them: whose answer is being recorded is not in flight.
        """
        self.service.order_slots = asyncio.Semaphore(in_flight)

        async def one(number: int) -> float:
            if not await submission.submit(self.service, orders[number]):
                raise RuntimeError("an order could not go")
            task = asyncio.current_task()
            return self.answered_at.pop(task) - self.begun_at.pop(task)

        at_once = in_flight if in_flight == 1 else 2 * in_flight
        timed = await closed_loop("executor, durable", at_once, len(orders), one)
        return replace(timed, in_flight=in_flight)

    def _row(self, **changes: Any) -> OrderRow:
        self.made += 1
        now = clock.now()
        return OrderRow(**{
            "id": ids.new_id(), "account": self.service.account, "client_order_id": f"o{self.made}", "body_digest": "0" * 64,
            "symbol": SYMBOL, "side": "buy", "type": "limit", "quantity": Decimal(QUANTITY), "price": Decimal(PRICE),
            "created_at": now, "updated_at": now, **changes,
        })  # fmt: skip


@asynccontextmanager
async def open_desk(code: str, world: WorldHandle) -> AsyncIterator[Desk]:
    """Open an account of a world, with a lease, a writer and a gateway."""
    sys.setswitchinterval(SWITCH_SECONDS)
    lease = await asyncio.to_thread(_lease, code, world)
    writer = Writer()
    writer.start()
    target = VenueTarget(
        code=code, exchange=world.exchange, rest_url=world.rest_url, ws_url=world.ws_url, may_trade=True
    )
    gateway = Gateway(code, target, Secret(world.api_key, world.secret), shared=SharedMarkets())
    await gateway.open()
    service = Service(
        account=code, venue=code, lease=lease, gateway=gateway, writer=writer, timing=Timing(**settings.EXECUTOR)
    )
    service.has_stream = True
    specs = await gateway.markets()
    await writer.run(lambda books: books.later(lambda: books.store.store_instruments(code, specs)))
    desk = Desk(service)
    turn, place = gateway.turn, gateway.place

    async def begun(priority: Any) -> None:
        desk.begun_at[asyncio.current_task()] = time.perf_counter()
        await turn(priority)

    async def timed(message: Any) -> Any:
        answer = await place(message)
        desk.answered_at[asyncio.current_task()] = time.perf_counter()
        return answer

    gateway.turn, gateway.place = begun, timed  # type: ignore[method-assign, assignment]
    try:
        yield desk
    finally:
        await gateway.close()
        await asyncio.to_thread(writer.stop)


def _open(rows: list[OrderRow], books: Books) -> None:
    for row in rows:
        events.open_order(books, row, verdict=Status.QUEUED)


def _lease(code: str, world: WorldHandle) -> Any:
    venue = Venue.objects.create(code=code, exchange=world.exchange, rest_url=world.rest_url, ws_url=world.ws_url)
    Account.objects.create(code=code, venue=venue)
    [lease] = leases.acquire("bench", 3600)
    connection.close()
    return lease
