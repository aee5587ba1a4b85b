"""The one door to a venue for one account: budget, breaker, adapter, outcome, health."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from project.lib import clock
from venues import capabilities as facts
from venues.adapters.markets import SharedMarkets
from venues.adapters.registry import adapter_class
from venues.adapters.stream import OnFrame, OnReports, OnState, Stream
from venues.adapters.transport import HttpRecord, recording
from venues.breaker import Breaker
from venues.credentials import Secret
from venues.errors import BreakerOpen, BudgetExhausted
from venues.health import CAPABILITIES, Capability, Channel, ChannelStats
from venues.messages import (
    AmendOrder,
    Answer,
    CancelOrder,
    Evidence,
    Lookup,
    MarketSpec,
    Permissions,
    PlaceOrder,
    Read,
    Shape,
)
from venues.ratelimit import Budget, Priority, rules_for
from venues.targets import VenueTarget

__all__ = ["Gateway", "SharedMarkets", "VenueTarget"]

Result = TypeVar("Result")
_CAPABILITY: dict[Priority, Capability] = {"cancel": "cancel", "order": "submit", "reconcile": "query", "poll": "query"}
STOP_SECONDS_DEFAULT = 5.0
STOP_SECONDS_MAX = 900.0


class Gateway:
    """One account at one venue. Take a turn(), check the lease, then place() or cancel(); these never raise for venue trouble."""

    def __init__(
        self,
        account_code: str,
        venue: VenueTarget,
        secret: Secret,
        *,
        timeout_seconds: float = 10.0,
        nonce_floor: int = 0,
        shared: SharedMarkets,
    ) -> None:
        self.account_code = account_code
        self.venue = venue
        self.capabilities = facts.for_exchange(venue.exchange, venue.quirks)
        self.last_error = ""
        self._budget = Budget(rules_for(self.capabilities.family, is_test_server=bool(venue.rest_url)))
        self._breakers = {name: Breaker() for name in CAPABILITIES}
        self._channels = {name: Channel(name) for name in CAPABILITIES}
        self._adapter = adapter_class(venue.exchange)(
            venue,
            self.capabilities,
            secret,
            timeout_seconds=timeout_seconds,
            nonce_floor=nonce_floor,
            shared=shared,
            on_http=self._learn,
        )

    async def open(self) -> None:
        """Open the session and get the market list. Raises ConnectionError with a short reason when the venue gives none."""
        await self._adapter.open()

    async def close(self) -> None:
        """Close the session and every socket."""
        await self._adapter.close()

    def permit_trading(self, may_trade: bool) -> None:
        """Follow the venue's live switch while the gateway stays open: without it, place() and amend() send nothing."""
        self.venue = replace(self.venue, may_trade=may_trade)
        self._adapter.target = self.venue

    @property
    def clock_offset_ms(self) -> int:
        """How far the venue's clock is ahead of ours; 0 when it is within the error of measuring."""
        return self._adapter.clock_offset_ms

    def nonce_floor(self) -> int:
        """Return the highest nonce used; store it with the lease so that the next owner starts above it."""
        return self._adapter.nonce_floor()

    async def turn(self, priority: Priority) -> None:
        """Wait for room in the key's rate budget; take it before the lease check, so that no wait follows the stamp.

        Raises errors.BreakerOpen or errors.BudgetExhausted. A cancel is never held up by the breaker of submits.
        """
        breaker = self._breakers[_CAPABILITY[priority]]
        now = time.monotonic()
        # Orders are no probes: submits come back when a read has shown that the venue answers again.
        if priority == "order" and breaker.state(now) != "closed":
            raise BreakerOpen(f"orders to {self.venue.code} are paused: {breaker.reason}")
        if priority in ("reconcile", "poll") and not breaker.allows(now):
            raise BreakerOpen(f"reads from {self.venue.code} are paused: {breaker.reason}")
        await self._budget.turn(priority)

    async def place(self, order: PlaceOrder) -> Answer:
        """Send one order once; the outcome is unknown unless the venue or the transport proved otherwise."""
        return self._count("submit", time.monotonic(), await self._adapter.place(order))

    async def cancel(self, order: CancelOrder) -> Answer:
        """Send one cancel once. `rejected ORDER_UNKNOWN` says not open now, never that it was not placed."""
        return self._count("cancel", time.monotonic(), await self._adapter.cancel(order))

    async def amend(self, order: AmendOrder) -> Answer:
        """Change one live order by one request; `replaced` says what an accepted amend did. Take turn("order") first."""
        return self._count("submit", time.monotonic(), await self._adapter.amend(order))

    async def look_up(
        self,
        *,
        symbol: str,
        venue_client_id: str,
        venue_order_id: str | None = None,
        since: datetime,
        shape: Shape | None = None,
        known_venue_order_ids: frozenset[str] = frozenset(),
    ) -> Lookup:
        """Look for one order by the venue's recipe; absent only when every request of it was answered well.

        Where the venue takes no client ids, an order without a venue order id is looked for by its shape among the
        orders that are not known yet: one candidate is found, several are `failed` with the candidates in the evidence.
        """
        held = await self._held("reconcile")
        if held is not None:
            return Lookup(result="failed", evidence=(Evidence(source="gateway", at=clock.now(), answer=held),))
        started = time.monotonic()
        found = await self._adapter.look_up(
            symbol=symbol, venue_client_id=venue_client_id, venue_order_id=venue_order_id, since=since, shape=shape,
            known_venue_order_ids=known_venue_order_ids,
        )  # fmt: skip
        failed = found.result == "failed"
        self._note("query", started, f"lookup failed: {found.evidence[-1].source}" if failed and found.evidence else "")
        return found

    async def read(self, surface: str, *, since: datetime | None = None, symbols: Sequence[str] = ()) -> Read:
        """Read one surface whole: open_orders, fills or balances. A failed read is never an empty one."""
        requested_at = clock.now()
        held = await self._held("poll")
        if held is not None:
            return Read(status="failed", error=held, requested_at=requested_at, taken_at=clock.now())
        started = time.monotonic()
        found = await self._adapter.read(surface, since=since, symbols=symbols)
        if found.status != "unsupported":
            self._note("query", started, found.error)
        return found

    async def permissions(self) -> Permissions | None:
        """Ask the venue what the key may do; None when it could not be asked, with the reason in last_error."""
        return await self._guarded(self._adapter.permissions)

    async def markets(self) -> list[MarketSpec]:
        """Return the venue's instruments. Raises ConnectionError when they must be loaded again and cannot be."""
        return await self._adapter.list_markets()

    async def last_prices(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """Return prices for display and valuation; empty when the venue gives none, with the reason in last_error."""
        return await self._guarded(lambda: self._adapter.last_prices(symbols)) or {}

    async def run_stream(self, on_frame: OnFrame, on_reports: OnReports, on_state: OnState) -> None:
        """Run the private stream until cancelled, reconnecting by itself. Returns at once where there is none (tier B)."""
        if not self.capabilities.stream:
            return
        channel = self._channels["stream"]
        await Stream(self._adapter, channel, self._breakers["stream"], on_frame, on_reports, on_state).run()

    def health(self) -> dict[str, ChannelStats]:
        """Return what each channel has been doing."""
        now = time.monotonic()
        return {
            name: channel.stats(self._breakers[name].state(now), self._breakers[name].reason)
            for name, channel in self._channels.items()
        }

    async def _held(self, priority: Priority) -> str | None:
        """Take a turn for a read; return why there is none now, so that a struggling venue is not hammered."""
        try:
            await self.turn(priority)
        except (BreakerOpen, BudgetExhausted) as held:
            return f"{held.code}: {held}"
        return None

    async def _guarded(self, ask: Callable[[], Awaitable[Result]]) -> Result | None:
        started = time.monotonic()
        with recording() as trace:
            try:
                result = await ask()
            except Exception as problem:
                self.last_error = self._adapter.describe(trace[-1] if trace else None, problem)
                self._note("query", started, self.last_error)
                return None
        self.last_error = ""
        self._note("query", started, "")
        return result

    def _count(self, capability: Capability, started: float, answer: Answer) -> Answer:
        # A refusal is an answer: the venue works. Only what the transport lost counts against it.
        lost = answer.code == "VENUE_UNREACHABLE" or (answer.outcome == "unknown" and not answer.venue_code)
        self._note(capability, started, answer.code if lost else "")
        return answer

    def _note(self, capability: Capability, started: float, error: str) -> None:
        now = time.monotonic()
        channel, breaker = self._channels[capability], self._breakers[capability]
        if error:
            channel.failed(error)
            breaker.failed(now, error)
            return
        channel.succeeded(now - started)
        breaker.succeeded(now)
        if capability == "query" and self._breakers["submit"].state(now) == "half_open":
            self._breakers["submit"].succeeded(now)

    def _learn(self, record: HttpRecord) -> None:
        if record.status in (418, 429):
            self._budget.stop(_retry_after(record))
        elif record.status is not None:
            used = record.headers.get("X-MBX-USED-WEIGHT-1M")
            if used is not None and used.isdecimal() and used.isascii():
                self._budget.buckets[0].set_used(float(used), time.monotonic())


def _retry_after(record: HttpRecord) -> float:
    try:
        seconds = float(record.headers.get("Retry-After", STOP_SECONDS_DEFAULT))
    except ValueError:
        seconds = STOP_SECONDS_DEFAULT
    if not math.isfinite(seconds):
        seconds = STOP_SECONDS_DEFAULT
    return min(max(seconds, 0.0), STOP_SECONDS_MAX)
