"""How many execution reports are booked in a second: fill, six ledger legs, totals, position, event, order, feed."""

from __future__ import annotations

import time
from decimal import Decimal
from functools import partial

from bench.desk import Desk
from bench.ground import SYMBOL
from bench.load import Timed
from orders import events, sweeps
from orders.books import Books
from orders.rows import AttemptRow
from orders.service import Service
from orders.states import Status
from project.lib import clock, ids
from venues.messages import FillReport, Report

FILLS_PER_ORDER = 4
BATCH = 200


async def booked(desk: Desk, count: int) -> Timed:
    """Book `count` trades of orders at the venue, as the stream hands them over: in batches, four to an order."""
    orders = count // FILLS_PER_ORDER
    made = await desk.take_in(orders, quantity=Decimal("0.004"))
    names: list[str] = []
    service = desk.service

    def place(books: Books) -> None:
        for order_id in made:
            order, attempt_id = books.order(order_id), ids.new_id()
            attempt = AttemptRow(
                id=attempt_id, order=order_id, account=order.account, action="submit",
                venue_client_id=ids.venue_client_id(attempt_id), epoch=1, request_digest="", window_ms=5000,
                valid_until=None, sent_at=clock.now(),
            )  # fmt: skip
            books.add_attempt(attempt)
            events.begin_submit(books, order, attempt)
            attempt.outcome = "accepted"
            books.change_attempt(attempt)
            names.append(f"v{desk.made}-{len(names)}")
            events.record(books, order, "open", source="bench", received_at=clock.now(), to=Status.OPEN,
                          venue_order_id=names[-1])  # fmt: skip

    await service.writer.run(place)
    trades: list[Report] = [
        FillReport(
            venue_trade_id=f"t{part}-{names[number]}", venue_order_id=names[number], venue_client_id=None, symbol=SYMBOL, side="buy",
            price=Decimal("20000.01"), quantity=Decimal("0.001"), quote_quantity=Decimal("20.00001"),
            fee=Decimal("0.02000001"), fee_asset="USDT", liquidity="maker", occurred_at=clock.now(),
        )
        for part in range(FILLS_PER_ORDER)
        for number in range(orders)
    ]  # fmt: skip
    latencies: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(trades), BATCH):
        began = time.perf_counter()
        batch = trades[start : start + BATCH]
        unmatched = await service.writer.run(partial(_apply, service, batch))
        if unmatched:
            raise RuntimeError("a trade found no order")
        latencies += [(time.perf_counter() - began) * 1e6] * len(batch)
    return Timed("booked execution reports", BATCH, latencies, time.perf_counter() - wall, time.process_time() - cpu)


def _apply(service: Service, batch: list[Report], books: Books) -> sweeps.Unmatched:
    return sweeps.apply_reports(books, service, batch, source="stream")
