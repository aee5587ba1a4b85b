"""The one door to a venue for one account: budget, breaker, adapter, outcome, health."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from project.lib import clock
from venues import capabilities as facts
from venues.adapters.markets import SharedMarkets
from venues.adapters.paying import paying
from venues.adapters.registry import adapter_class
from venues.adapters.shared_books import SharedBooks
from venues.adapters.stream import OnFrame, OnState, Stream
from venues.adapters.transport import HttpRecord, Wire, recording
from venues.books import Book, BookReason, BookStats
from venues.breaker import Breaker
from venues.budgets import Pool
from venues.credentials import Secret
from venues.errors import BreakerOpen, BudgetExhausted, OrdersPaused
from venues.facts.shapes import Priority
from venues.facts.streaming import stream_rule
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
from venues.rulebook import Rulebook
from venues.streams import Session
from venues.targets import VenueTarget
from venues.turns import Turns

__all__ = ["Gateway", "SharedBooks", "SharedMarkets", "VenueTarget"]

Result = TypeVar("Result")
Wrapped = TypeVar("Wrapped", bound=Wire)
_CAPABILITY: dict[Priority, Capability] = {"cancel": "cancel", "order": "submit", "reconcile": "query", "poll": "query"}
NO_ANSWER_NOW = frozenset({418, 429, 502, 503, 504})
MAINTENANCE_SECONDS = 60.0


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
        books: SharedBooks | None = None,
        budgets: Pool | None = None,
        rulebook: Rulebook | None = None,
    ) -> None:
        self.account_code = account_code
        self.venue = venue
        self.capabilities = facts.for_exchange(venue.exchange, venue.quirks)
        self.last_error = ""
        self._is_silent = False
        self.paused = ""
        self.maintenance = ""
        self._maintenance_until = 0.0
        self._has_status = False
        self._turns = Turns(
            budgets or Pool(), venue, account_code, secret.api_key, self.capabilities.family, timeout_seconds
        )
        self._breakers = {name: Breaker() for name in CAPABILITIES}
        self._channels = {name: Channel(name) for name in CAPABILITIES}
        self._shared, self._books = shared, books or SharedBooks()
        self._adapter = adapter_class(venue.exchange)(
            venue,
            self.capabilities,
            secret,
            timeout_seconds=timeout_seconds,
            nonce_floor=nonce_floor,
            shared=shared,
            on_http=self._learn,
            pay=self._turns.pay,
        )
        if rulebook is not None:
            self._adapter.decided = lambda action: rulebook.rows(self.capabilities.family, venue.code, action)

    async def open(self) -> None:
        """Open the session and get the market list. Raises ConnectionError with a short reason when the venue gives none."""
        await self._adapter.open()

    async def close(self) -> None:
        """Close the session and every socket."""
        self.release_books()
        await self._adapter.close()
        self._turns.close()

    def permit_trading(self, may_trade: bool) -> None:
        """Follow the venue's live switch while the gateway stays open: without it, place() and amend() send nothing."""
        self.venue = replace(self.venue, may_trade=may_trade)
        self._adapter.target = self.venue

    def through(self, wrap: Callable[[Wire], Wrapped]) -> Wrapped:
        """Send everything through a wire around ours from now on, and return it: for those who examine a venue."""
        wrapped = self._adapter.client.wire = wrap(self._adapter.client.wire)
        return wrapped

    def wire_client_id(self, venue_client_id: str) -> str:
        """Return a client id in the form this exchange takes and gives back."""
        return self._adapter.wire_client_id(venue_client_id)

    @property
    def throttled_at(self) -> datetime | None:
        """When the venue last told us that we ask too much."""
        return self._turns.throttled_at

    @property
    def clock_offset_ms(self) -> int:
        """How far the venue's clock is ahead of ours; 0 when it is within the error of measuring."""
        return self._adapter.clock_offset_ms

    def nonce_floor(self) -> int:
        """Return the highest nonce used; store it with the lease so that the next owner starts above it."""
        return self._adapter.nonce_floor()

    async def turn(self, priority: Priority) -> None:
        """Wait for room in the key's rate budget; take it before the lease check, so that no wait follows the stamp.

        Raises errors.BreakerOpen, errors.BudgetExhausted or errors.OrdersPaused. A cancel is never held up by the breaker
        of submits, nor by a refused key: it may pass all the same.
        """
        self._check_breaker(priority)
        await self._turns.take(priority)

    def _check_breaker(self, priority: Priority) -> None:
        breaker = self._breakers[_CAPABILITY[priority]]
        now = time.monotonic()
        if priority == "order" and self.paused:
            raise OrdersPaused(self.paused)
        # Orders are no probes: submits come back when a read has shown that the venue answers again.
        if priority == "order" and breaker.state(now) != "closed":
            raise BreakerOpen(f"orders to {self.venue.code} are paused: {breaker.reason}")
        if priority in ("reconcile", "poll") and not breaker.allows(now):
            raise BreakerOpen(f"reads from {self.venue.code} are paused: {breaker.reason}")

    async def place(self, order: PlaceOrder) -> Answer:
        """Send one order once; the outcome is unknown unless the venue or the transport proved otherwise."""
        return self._count("submit", time.monotonic(), await self._turns.paid("order", self._adapter.place(order)))

    async def cancel(self, order: CancelOrder) -> Answer:
        """Send one cancel once. `rejected ORDER_UNKNOWN` says not open now, never that it was not placed."""
        return self._count("cancel", time.monotonic(), await self._turns.paid("cancel", self._adapter.cancel(order)))

    async def amend(self, order: AmendOrder) -> Answer:
        """Change one live order by one request; `replaced` says what an accepted amend did. Take turn("order") first."""
        return self._count("submit", time.monotonic(), await self._turns.paid("order", self._adapter.amend(order)))

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
        held = self._held("reconcile")
        if held is not None:
            return Lookup(result="failed", evidence=(Evidence(source="gateway", at=clock.now(), answer=held),))
        started = time.monotonic()
        with paying("reconcile"):
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
        held = self._held("poll")
        if held is not None:
            return Read(status="failed", error=held, requested_at=requested_at, taken_at=clock.now())
        started = time.monotonic()
        with paying("poll"):
            found = await self._adapter.read(surface, since=since, symbols=symbols)
        if found.status != "unsupported" and not found.error.startswith(BudgetExhausted.code):
            self._note("query", started, found.error)
        if found.status == "good" and not self._has_status and started > self._maintenance_until:
            self.maintenance = ""
        return found

    async def permissions(self) -> Permissions | None:
        """Ask the venue what the key may do; None when it answers but does not say, with the reason in last_error.

        Orders that were paused because the venue refused the key go on when it says that the key may trade.
        Raises ConnectionError when there is no answer now: that says nothing about the key.
        """
        found = await self._guarded(self._adapter.permissions)
        if found is None and self._is_silent:
            raise ConnectionError(self.last_error)
        if found is not None and found.can_trade:
            self.paused = ""
        return found

    async def markets(self) -> list[MarketSpec]:
        """Return the venue's instruments. Raises ConnectionError when they must be loaded again and cannot be."""
        return await self._adapter.list_markets()

    async def last_prices(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """Return prices for triggers, display and valuation: from a fresh book, else asked for; the reason of a lack in last_error."""
        known = self.book_prices(symbols)
        missing = [symbol for symbol in symbols if symbol not in known]
        with paying("poll"):
            asked = await self._guarded(lambda: self._adapter.last_prices(missing)) if missing else None
        return {**(asked or {}), **known}

    async def check(self) -> None:
        """Ask how the venue says it is, and how far its clock is from ours: cheap public questions, never an order.

        A venue in maintenance is one until its own status says that it is over; where it has none, until a read is good
        again a minute after it last spoke of maintenance.
        """
        await self._adapter.measure_clock()
        status = await self._adapter.status()
        self._has_status = status is not None
        if status == "maintenance":
            self.begin_maintenance("its status endpoint says so")
        elif status == "ok":
            self.maintenance = ""

    def begin_maintenance(self, said: str) -> None:
        """Send no orders for now: the venue said, here or to the owner before, that it is in maintenance."""
        now = time.monotonic()
        self.maintenance, self._maintenance_until = said, now + MAINTENANCE_SECONDS
        self._breakers["submit"].trip(now, f"the venue says it is in maintenance: {said}"[:200])

    # --- public books ---

    def want_books(self, symbols: Collection[str]) -> None:
        """Have the books of these symbols kept up for this account, and no others; without effect where none can be."""
        self._books.want(
            self.account_code, self.venue, self.capabilities, self._shared, symbols, lambda: self.turn("poll")
        )

    def release_books(self) -> list[Session]:
        """Need no book any more; return the sessions that ended and were not taken."""
        return self._books.release(self.account_code)

    def book(self, symbol: str) -> Book | None:
        """Return the book of a symbol, to be read only while it is_fresh(); None where nobody keeps it up."""
        feed = self._books.find(self.venue.code, symbol)
        return None if feed is None else feed.book

    def book_prices(self, symbols: Iterable[str]) -> dict[str, Decimal]:
        """Return the middle of each of these books that is fresh."""
        now, found = clock.monotonic_seconds(), {}
        for symbol in symbols:
            book = self.book(symbol)
            middle = book.middle() if book is not None and book.is_fresh(now) else None
            if middle is not None:
                found[symbol] = middle
        return found

    def stale_books(self, symbols: Iterable[str], seconds: float) -> dict[str, BookReason]:
        """Return why, for each of these books that has been stale for so long."""
        now, found = clock.monotonic_seconds(), {}
        for symbol in symbols:
            feed = self._books.find(self.venue.code, symbol)
            reason = feed.book.why_stale(now) if feed is not None else None
            if feed is not None and reason is not None and feed.stale_seconds(now) >= seconds:
                found[symbol] = reason
        return found

    async def book_moved(self, seconds: float) -> None:
        """Wait until a book of this account has another middle, at most so long."""
        moved = self._books.moved(self.account_code)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await moved.wait()
        moved.clear()

    def book_health(self) -> list[BookStats]:
        """Return how the books this account needs are doing."""
        return [feed.stats() for feed in self._books.held_by(self.account_code)]

    def take_book_sessions(self) -> list[Session]:
        """Return the sessions of books that this account is to write down."""
        return self._books.take_sessions(self.account_code)

    async def run_stream(self, on_frame: OnFrame, on_state: OnState) -> None:
        """Run the private stream until cancelled, reconnecting by itself. Returns at once where there is none (tier B)."""
        if not self.capabilities.stream:
            return
        rule, channel = stream_rule(self.capabilities.family), self._channels["stream"]
        await Stream(self._adapter, rule, channel, self._breakers["stream"], on_frame, on_state).run()

    def health(self) -> dict[str, ChannelStats]:
        """Return what each channel has been doing."""
        now = time.monotonic()
        return {
            name: channel.stats(
                self._breakers[name].state(now),
                self._breakers[name].reason,
                None if name == "stream" else self.clock_offset_ms,
            )
            for name, channel in self._channels.items()
        }

    def _learn(self, record: HttpRecord) -> None:
        pause = self._adapter.pause_seconds(record)
        if pause is None:
            self._turns.learn(record)
        else:
            self._turns.pause(pause, record.path)

    def _held(self, priority: Priority) -> str | None:
        """Say why a read may not go now, so that a struggling venue is not hammered; its requests take their turns."""
        try:
            self._check_breaker(priority)
        except BreakerOpen as held:
            return f"{held.code}: {held}"
        return self._turns.held(priority)

    async def _guarded(self, ask: Callable[[], Awaitable[Result]]) -> Result | None:
        started = time.monotonic()
        with recording() as trace:
            try:
                result = await ask()
            except Exception as problem:
                last = trace[-1] if trace else None
                self.last_error = self._adapter.describe(last, problem)
                self._is_silent = last is not None and (not last.answered or last.status in NO_ANSWER_NOW)
                self._note("query", started, self.last_error)
                return None
        self.last_error = ""
        self._note("query", started, "")
        return result

    def _count(self, capability: Capability, started: float, answer: Answer) -> Answer:
        # A refusal is an answer: the venue works, and only what the transport lost opens its breaker. One that is not the
        # order's own fault still counts as an error of its channel.
        self._turns.told(answer)
        lost = answer.code == "VENUE_UNREACHABLE" or (answer.outcome == "unknown" and not answer.venue_code)
        is_trouble = capability == "submit" and answer.outcome != "accepted" and answer.cause == "system"
        self._note(capability, started, answer.code if lost else "")
        if is_trouble and answer.venue_code:
            self._channels[capability].refused(answer.code)
        if answer.category:
            self._obey(answer)
        return answer

    def _obey(self, answer: Answer) -> None:
        said = " ".join(part for part in (answer.code, answer.venue_code, answer.message) if part)[:200]
        if answer.category == "maintenance":
            self.begin_maintenance(said)
        elif answer.category == "auth":
            self.paused = f"orders wait, the venue refuses the key: {said}"[:250]

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
