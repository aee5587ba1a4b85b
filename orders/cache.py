"""Orders as last committed, kept in memory by their one writer; bounded, and found by any id they are known by. Pure."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from orders.rows import AttemptRow, LetterRow, OrderRow, PositionRow, sending
from orders.states import Status
from project.lib import clock
from risk.checks import Facts

ORDERS_CACHED_MAX = 20_000
RISK_FACTS_SECONDS = 1.0
RISK_USED_SECONDS = 10.0
Place = tuple[str, str]
VenueKey = tuple[str, str, str]


class Aggregate:
    """An order with its attempts and open dead letters."""

    __slots__ = ("attempts", "letters", "order")

    def __init__(self, order: OrderRow, attempts: list[AttemptRow], letters: list[LetterRow]) -> None:
        self.order, self.attempts, self.letters = order, attempts, letters

    @classmethod
    def stored(cls, order: OrderRow, attempts: list[AttemptRow], letters: list[LetterRow]) -> Aggregate:
        """Return an order as its rows say: sending when there is an attempt its own row does not count yet."""
        submits = [attempt for attempt in attempts if attempt.action == "submit"]
        if order.status == Status.QUEUED and len(submits) > order.submit_tries:
            event = sending(order, submits[-1])
            order = replace(
                order, status=Status.SENDING, submit_tries=order.submit_tries + 1, updated_at=event.received_at,
                untold=event,
            )  # fmt: skip
        return cls(order, attempts, letters)


@dataclass(slots=True)
class Standing:
    """The facts of an account and symbol that the pre-trade check rests on: when read, under which rules, when last used."""

    read_at: float
    revision: int
    facts: Facts | None
    used_at: float


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
        self.risk: dict[tuple[str, str], Standing] = {}

    def standing(
        self, place: Place, read: Callable[[Collection[Place]], tuple[int, Mapping[Place, Facts | None]]]
    ) -> Standing:
        """Return the facts of an account and symbol, at most a second old.

        Read they are with those of all that were wanted lately: one read a second, for fifty accounts as for one.
        """
        now = clock.monotonic_seconds()
        kept = self.risk.get(place)
        if kept is None or now - kept.read_at > RISK_FACTS_SECONDS:
            lately = {name: one.used_at for name, one in self.risk.items() if now - one.used_at < RISK_USED_SECONDS}
            lately[place] = now
            revision, facts = read(lately)
            self.risk = {name: Standing(now, revision, facts[name], used_at) for name, used_at in lately.items()}
            kept = self.risk[place]
        kept.used_at = now
        return kept

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
