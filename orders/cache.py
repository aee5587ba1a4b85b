"""Orders as last committed, kept in memory by their one writer; bounded, and found by any id they are known by. Pure."""

from __future__ import annotations

import uuid
from collections import OrderedDict

from orders.rows import AttemptRow, LetterRow, OrderRow, PositionRow
from risk.checks import Facts

ORDERS_CACHED_MAX = 20_000
VenueKey = tuple[str, str, str]


class Aggregate:
    """An order with its attempts and open dead letters."""

    __slots__ = ("attempts", "letters", "order")

    def __init__(self, order: OrderRow, attempts: list[AttemptRow], letters: list[LetterRow]) -> None:
        self.order, self.attempts, self.letters = order, attempts, letters


class Cache:
    """Rows as last committed, kept by their one writer; bounded, and dropped for whatever a failed commit touched.

    A row somebody else changed meanwhile does no harm: the write is refused by its version, and read again.
    """

    def __init__(self, orders_max: int = ORDERS_CACHED_MAX) -> None:
        self._orders_max = orders_max
        self.orders: OrderedDict[uuid.UUID, Aggregate] = OrderedDict()
        self.by_client_id: dict[tuple[str, str], uuid.UUID] = {}
        self.by_venue_id: dict[VenueKey, uuid.UUID] = {}
        self.positions: dict[tuple[str, str], PositionRow] = {}
        self.risk: dict[tuple[str, str], tuple[float, int, Facts | None]] = {}

    def keep(self, aggregate: Aggregate) -> None:
        """Take an aggregate in, as the most recently used."""
        order = aggregate.order
        self.orders[order.id] = aggregate
        self.orders.move_to_end(order.id)
        if order.venue_order_id:
            self.by_venue_id[(order.account, order.symbol, order.venue_order_id)] = order.id
        for attempt in aggregate.attempts:
            self.by_client_id[(attempt.account, attempt.venue_client_id)] = order.id
            if attempt.venue_order_id:
                self.by_venue_id[(order.account, order.symbol, attempt.venue_order_id)] = order.id

    def drop(self, order_id: uuid.UUID) -> None:
        """Forget an order and the ways to find it."""
        aggregate = self.orders.pop(order_id, None)
        if aggregate is None:
            return
        order = aggregate.order
        names = [order.venue_order_id, *(attempt.venue_order_id for attempt in aggregate.attempts)]
        for name in names:
            self.by_venue_id.pop((order.account, order.symbol, name), None)
        for attempt in aggregate.attempts:
            self.by_client_id.pop((attempt.account, attempt.venue_client_id), None)

    def trim(self) -> None:
        """Forget what was used longest ago, down to the bound."""
        while len(self.orders) > self._orders_max:
            self.drop(next(iter(self.orders)))

    def clear(self) -> None:
        """Forget everything: the next read comes from the store."""
        self.orders.clear()
        self.by_client_id.clear()
        self.by_venue_id.clear()
        self.positions.clear()
        self.risk.clear()
