"""Conditional orders we watch ourselves: armed until the price comes, then sent as plain orders; kept in rows, so a restart forgets nothing. Pure."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from orders import events
from orders.books import Books
from orders.rows import ZERO, OrderRow
from orders.service import Service
from project.lib import clock
from venues.books import BOOK_MEANINGS, BookReason

INTERVAL_SECONDS = 1.0
SPACING_SECONDS = 0.25
STALE_SECONDS = 3.0
CONDITIONAL = frozenset({"stop", "stop_limit", "take_profit", "take_profit_limit", "trailing_stop"})
DORMANT, ARMED, WAITING, TRIGGERED = "dormant", "armed", "waiting", "triggered"
HELD_BACK = (DORMANT, ARMED, WAITING)


@dataclass(frozen=True)
class Judgement:
    """Whether a price fires an order, and the best price it has seen so far where that matters."""

    fires: bool
    extreme: Decimal | None = None


async def run(service: Service) -> None:
    """Watch until cancelled: each time a book moves, at most every quarter of a second, and once a second without one."""
    asked_at = 0.0
    while True:
        now = clock.monotonic_seconds()
        is_due = now - asked_at >= INTERVAL_SECONDS
        asked_at = now if is_due else asked_at
        await watch(service, may_ask=is_due)
        await asyncio.sleep(SPACING_SECONDS)
        left = INTERVAL_SECONDS - (clock.monotonic_seconds() - asked_at)
        await service.gateway.book_moved(max(left, 0.0))


async def watch(service: Service, *, may_ask: bool = True) -> None:
    """Look at every armed order of the account once, at the middle of the books.

    Where there is no book, or a stale one, the venue is asked for its price if it may be: a stale book fires nothing, and
    the order says so. A price that cannot be read fires nothing either.
    """
    symbols = await service.writer.run(lambda books: books.store.armed_symbols(service.account))
    gateway = service.gateway
    gateway.want_books(symbols)
    if not symbols:
        return
    prices = await gateway.last_prices(symbols) if may_ask else gateway.book_prices(symbols)
    stale = gateway.stale_books(symbols, STALE_SECONDS)
    if prices or stale:
        await service.writer.run_until_committed(lambda books: apply(books, service.account, prices, stale))


def apply(
    books: Books, account: str, prices: Mapping[str, Decimal], stale: Mapping[str, BookReason] | None = None
) -> None:
    """Move the armed orders that these prices concern; say on each whether its book is stale."""
    order_ids = books.store.armed(account)
    books.load(order_ids)
    for order_id in order_ids:
        order = books.order(order_id)
        if order.trigger_state != ARMED:
            continue
        price = prices.get(order.symbol)
        _say_whether_stale(books, order, (stale or {}).get(order.symbol), is_priced=price is not None)
        if price is None:
            continue
        judgement = judge(order, price)
        if judgement.fires:
            state = WAITING if order.group is not None else TRIGGERED
            events.trigger(books, order, "triggered", state, extreme=judgement.extreme, price=price)
            books.wake(account)
        elif judgement.extreme != order.trigger_extreme:
            events.trigger(books, order, "trigger_moved", ARMED, extreme=judgement.extreme, price=price)


def _say_whether_stale(books: Books, order: OrderRow, reason: BookReason | None, *, is_priced: bool) -> None:
    told = order.reason_code if order.reason_code in BOOK_MEANINGS else ""
    if reason is not None and not told:
        message = (
            f"The book of {order.symbol} is stale ({BOOK_MEANINGS[reason]}): nothing fires on it. Until it is fresh again "
            "the venue is asked for its price once a second; while it does not answer, nothing fires."
        )
        events.record(
            books, order, "book_stale", source="executor", received_at=clock.now(), code=reason, message=message
        )
    elif reason is None and told and is_priced:
        events.record(books, order, "book_fresh", source="executor", received_at=clock.now(), code="")


def judge(order: OrderRow, price: Decimal) -> Judgement:
    """Decide by one price. A stop fires when the price turns against its side, a take-profit when it turns in favour."""
    is_buy = order.side == "buy"
    if order.type == "trailing_stop":
        offset = order.trailing_offset or ZERO
        best = order.trigger_extreme if order.trigger_extreme is not None else price
        best = min(best, price) if is_buy else max(best, price)
        return Judgement(price >= best + offset if is_buy else price <= best - offset, best)
    trigger = order.trigger_price or ZERO
    fires_above = is_buy == order.type.startswith("stop")
    return Judgement(price >= trigger if fires_above else price <= trigger, order.trigger_extreme)
