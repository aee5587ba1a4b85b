"""Conditional orders we watch ourselves: armed until the price comes, then sent as plain orders; kept in rows, so a restart forgets nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from orders import events
from orders.books import Books
from orders.rows import ZERO, OrderRow
from orders.service import Service

INTERVAL_SECONDS = 1.0
CONDITIONAL = frozenset({"stop", "stop_limit", "take_profit", "take_profit_limit", "trailing_stop"})
DORMANT, ARMED, WAITING, TRIGGERED = "dormant", "armed", "waiting", "triggered"
HELD_BACK = (DORMANT, ARMED, WAITING)


@dataclass(frozen=True)
class Judgement:
    """Whether a price fires an order, and the best price it has seen so far where that matters."""

    fires: bool
    extreme: Decimal | None = None


async def watch(service: Service) -> None:
    """Look at every armed order of the account once, at the venue's last prices."""
    symbols = await service.writer.run(lambda books: books.store.armed_symbols(service.account))
    if not symbols:
        return
    prices = await service.gateway.last_prices(symbols)  # asked now: a price that cannot be read fires nothing
    if prices:
        await service.writer.run_until_committed(lambda books: apply(books, service.account, prices))


def apply(books: Books, account: str, prices: Mapping[str, Decimal]) -> None:
    """Move the armed orders that these prices concern."""
    order_ids = books.store.armed(account)
    books.load(order_ids)
    for order_id in order_ids:
        order = books.order(order_id)
        price = prices.get(order.symbol)
        if price is None or order.trigger_state != ARMED:
            continue
        judgement = judge(order, price)
        if judgement.fires:
            state = WAITING if order.group is not None else TRIGGERED
            events.trigger(books, order, "triggered", state, extreme=judgement.extreme, price=price)
            books.wake(account)
        elif judgement.extreme != order.trigger_extreme:
            events.trigger(books, order, "trigger_moved", ARMED, extreme=judgement.extreme, price=price)


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
