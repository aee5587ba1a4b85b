"""A venue's account ready to trade, and short ways to say what a client asks for and what a venue states."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from orders import events, intake, requests, store
from orders.models import Order
from orders.rows import AttemptRow
from orders.states import Status
from project.lib import clock, ids
from tests.factories import AccountFactory, InstrumentFactory, VenueFactory
from venues.messages import FillReport, OrderReport
from venues.models import Account

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_numbers = itertools.count(1)


def at(seconds: float) -> datetime:
    """Return a moment of the venue's clock."""
    return START + timedelta(seconds=seconds)


def make_account(**options: Any) -> Account:
    """Return a ready account at a sandbox venue that lists BTC/USDT on a fine grid."""
    account: Account = AccountFactory(venue=VenueFactory(), **options)
    InstrumentFactory(
        venue=account.venue, price_step=Decimal("0.01"), quantity_step=Decimal("0.001"), quantity_min=Decimal("0.001")
    )
    return account


def ask(account: Account, **changes: Any) -> requests.OrderRequest:
    """Return the request a client makes; every call another client order id unless named."""
    payload = {
        "client_order_id": f"order-{next(_numbers)}", "account": account.code, "symbol": "BTC/USDT", "side": "buy", "type": "limit",
        "quantity": "1", "price": "60000", **changes,
    }  # fmt: skip
    return requests.parse({key: value for key, value in payload.items() if value is not None})


def queued(account: Account, **changes: Any) -> Order:
    """Return an order that came through intake."""
    return intake.accept(ask(account, **changes), account, source="test").order


def sending(account: Account, **changes: Any) -> Order:
    """Return an order whose submit was committed and not yet answered."""
    order = queued(account, **changes)
    attempt = attempt_of(order)
    with store.transaction() as books:
        books.add_attempt(attempt)
        events.begin_submit(books, books.order(order.pk), attempt)
    order.refresh_from_db()
    return order


def attempt_of(order: Order) -> AttemptRow:
    """Return a submit of an order as it is written before it leaves."""
    attempt_id = ids.new_id()
    return AttemptRow(
        id=attempt_id, order=order.pk, account=order.account_id, action="submit", venue_client_id=ids.venue_client_id(attempt_id),
        epoch=1, request_digest="0" * 64, window_ms=5000, valid_until=None, sent_at=clock.now(),
    )  # fmt: skip


def moved(order: Order, to: Status, **options: Any) -> Order:
    """Move an order by the writer of order state."""
    with store.transaction() as books:
        assert events.record(
            books, books.order(order.pk), to.value, source="test", received_at=options.pop("received_at", at(0)), to=to, **options
        )  # fmt: skip
    order.refresh_from_db()
    return order


def report(status: str, seconds: float = 0, **changes: Any) -> OrderReport:
    """Return a venue's statement about an order."""
    base = OrderReport(
        venue_order_id="v-1", venue_client_id=None, symbol="BTC/USDT", status="open", side="buy", quantity=Decimal(1),
        occurred_at=at(seconds),
    )  # fmt: skip
    return dataclasses.replace(base, status=status, **changes)  # type: ignore[arg-type]


def fill(trade: str, quantity: str, seconds: float = 0, **changes: Any) -> FillReport:
    """Return a venue's statement about a trade."""
    base = FillReport(
        venue_trade_id=trade, venue_order_id="v-1", venue_client_id=None, symbol="BTC/USDT", side="buy", price=Decimal(60000),
        quantity=Decimal(quantity), quote_quantity=Decimal(60000) * Decimal(quantity), fee=Decimal("0.001") * Decimal(quantity),
        fee_asset="BTC", liquidity="maker", occurred_at=at(seconds),
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


def apply(order: Order, *statements: OrderReport | FillReport, is_final: bool = False) -> list[object]:
    """Apply statements one transaction each, as the owner does; return what came of them."""
    results: list[object] = []
    for statement in statements:
        with store.transaction() as books:
            row = books.order(order.pk)
            if isinstance(statement, FillReport):
                results.append(events.apply_fill(books, row, statement, source="test", received_at=at(1000)))
            else:
                results.append(
                    events.apply_report(books, row, statement, source="test", received_at=at(1000), is_final=is_final)
                )
    order.refresh_from_db()
    return results


def in_threads(count: int, function: Callable[[int], Any]) -> list[Any]:
    """Run function(number) in count threads that start together, each with its own connection; raise what one raised."""
    gate = threading.Barrier(count)

    def run(number: int) -> Any:
        try:
            connection.ensure_connection()
            gate.wait(30)
            return function(number)
        finally:
            connection.close()

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
