"""What the detectors find, written down with its evidence by the owner who saw it. Pure."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from orders import detectors, states
from orders.books import Books
from orders.rows import FillRow
from orders.service import Service
from orders.states import Status
from project.lib import clock
from venues.messages import Lookup

PRICES_KEPT = 64
THROTTLE_SECONDS = 30.0


def note_lateness(
    books: Books, service: Service, fill: FillRow, executed_at: datetime, source: str, received_at: datetime
) -> None:
    """Note a trade that the venue told late, or that its live stream never told; times are brought to our clock."""
    listening = detectors.Listening(
        stream_live_at=service.stream_live_at, read_at=service.fills_read_at,
        read_lag_seconds=service.gateway.capabilities.read_lag_seconds,
    )  # fmt: skip
    executed_at -= timedelta(milliseconds=service.gateway.clock_offset_ms)
    kind = detectors.told_late(executed_at, received_at, source, listening)
    if kind:
        late = (received_at - executed_at).total_seconds()
        data = {"venue_trade_id": fill.venue_trade_id, "told_by": source, "seconds": f"{late:.1f}"}
        books.note(fill.account, kind, fill.symbol, order=fill.order, fill=fill.id, data=data)


def note_denial(books: Books, service: Service, order_id: uuid.UUID, lookup: Lookup) -> None:
    """Note that the venue does not know an order which it has acknowledged and which nothing has ended."""
    order = books.order(order_id)
    taken = [attempt for attempt in books.attempts(order_id, "submit") if attempt.outcome == "accepted"]
    if Status(order.status) not in states.AT_VENUE or not order.venue_order_id or not taken:
        return
    acknowledged_at = taken[-1].outcome_at or taken[-1].sent_at
    if detectors.denies_what_it_took(acknowledged_at, clock.now(), service.gateway.capabilities.read_lag_seconds):
        data = {
            "venue_order_id": order.venue_order_id, "acknowledged_at": acknowledged_at.isoformat(),
            "asked": sorted({evidence.source for evidence in lookup.evidence}),
        }  # fmt: skip
        books.note(order.account, detectors.ACKNOWLEDGED_THEN_DENIED, str(order.id), order=order.id, data=data)


class Moves:
    """The last prices of what an account trades, to tell whether it was slowed down in a fast market."""

    def __init__(self) -> None:
        self._prices: dict[str, deque[tuple[float, Decimal]]] = {}
        self._noted_at: datetime | None = None

    def take(self, prices: Mapping[str, Decimal]) -> None:
        """Take prices as they are now."""
        now = clock.monotonic_seconds()
        for symbol, price in prices.items():
            self._prices.setdefault(symbol, deque(maxlen=PRICES_KEPT)).append((now, price))

    def in_move(self, throttled_at: datetime | None) -> dict[str, dict[str, str]]:
        """Return the evidence per symbol that moves fast while the venue slows us down; nothing once that is noted."""
        if throttled_at is None or throttled_at == self._noted_at:
            return {}
        if (clock.now() - throttled_at).total_seconds() > THROTTLE_SECONDS:
            return {}
        now = clock.monotonic_seconds()
        found = {}
        for symbol, prices in self._prices.items():
            if detectors.is_throttled_in_move(prices, now):
                percent = detectors.moved_percent(prices, now).quantize(Decimal("0.01"))
                found[symbol] = {"moved_percent": f"{percent:f}", "throttled_at": throttled_at.isoformat()}
        return found

    def noted(self, throttled_at: datetime | None) -> None:
        """Remember that this time of being slowed down is written down."""
        self._noted_at = throttled_at


def note_moves(books: Books, account: str, found: Mapping[str, dict[str, str]]) -> None:
    """Note each symbol that moved while the venue slowed the account down."""
    for symbol, data in found.items():
        books.note(account, detectors.THROTTLED_IN_MOVE, symbol, data=data)
