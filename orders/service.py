"""What every stage needs to serve one account: the lease, the venue's door, the writer, the settings. Pure."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from orders.ports import Lease, Writing
from project.lib import clock
from venues import errors
from venues.facts.shapes import Priority

if TYPE_CHECKING:
    from venues.gateway import Gateway

WINDOW_MS = 5000
WINDOW_MS_MIN = 1000
MARGIN_SECONDS = 1.0
STAMPED_MAX = 256
IN_FLIGHT_MAX = 64


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The intervals and bounds of settings.EXECUTOR, in seconds."""

    lease_seconds: float
    lease_renew_seconds: float
    poll_seconds: float
    request_timeout_seconds: float
    lookup_interval_seconds: float
    dead_letter_seconds: float
    not_ready_seconds: float
    open_orders_seconds: float
    fills_seconds: float
    fills_overlap_seconds: float
    balances_seconds: float
    probe_seconds: float
    markets_seconds: float


def admission() -> asyncio.Semaphore:
    """Return the bound on orders stamped and not yet committed: what waits longer in line waits unstamped, so that no
    request reaches its venue when its window is over."""
    return asyncio.Semaphore(STAMPED_MAX)


@dataclass
class Service:
    """One account in the hands of its owner."""

    account: str
    venue: str
    lease: Lease
    gateway: Gateway
    writer: Writing
    timing: Timing
    admission: asyncio.Semaphore = field(default_factory=admission)
    # apart: what stands at the venue is cancelled though every order on its way there hangs
    order_slots: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, IN_FLIGHT_MAX))
    wish_slots: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, IN_FLIGHT_MAX))
    is_open: bool = False
    has_stream: bool = False
    sweep_wanted: asyncio.Event = field(default_factory=asyncio.Event)
    lookup_wanted: asyncio.Event = field(default_factory=asyncio.Event)
    balances_told: asyncio.Event = field(default_factory=asyncio.Event)
    assets_told: set[str] = field(default_factory=set)
    opened_at: datetime | None = None
    trades_before_opening: frozenset[tuple[str, str]] = frozenset()
    transfers_before_opening: frozenset[tuple[str, str, str]] | None = None
    in_flight: set[uuid.UUID] = field(default_factory=set)
    stream_live_at: datetime | None = None
    fills_read_at: datetime | None = None
    looked_up_at: dict[uuid.UUID, float] = field(default_factory=dict)

    async def stamp_for(self, priority: Priority) -> tuple[int, int] | None:
        """Take a turn in the rate budget, then stamp; None when the request cannot go now and must wait."""
        return self.stamp() if await self.has_turn(priority) else None

    async def has_turn(self, priority: Priority) -> bool:
        """Take a turn in the rate budget; False when the request cannot go now and must wait."""
        try:
            await self.gateway.turn(priority)
        except (errors.BreakerOpen, errors.BudgetExhausted, errors.OrdersPaused):
            return False
        return True

    def stamp(self) -> tuple[int, int] | None:
        """Check the lease and return (stamp_ms, window_ms) for one request, or None when too little of it is left.

        The stamp is the time of this check: a request signed by a paused owner is refused by the venue.
        """
        left_ms = int((self.lease.deadline - clock.monotonic_seconds() - MARGIN_SECONDS) * 1000)
        window_ms = min(WINDOW_MS, self.gateway.capabilities.window_max_ms or WINDOW_MS, left_ms)
        if window_ms < max(WINDOW_MS_MIN, self.gateway.capabilities.window_min_ms):
            return None
        return int(clock.now().timestamp() * 1000), window_ms
