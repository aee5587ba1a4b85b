"""SimGateway: the interface of venues.gateway.Gateway over the simulated wire and venue, for one node and one account."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from orders.ports import Lease
from orders.rows import AccountView
from project.lib import clock
from tests.simulation.amending import amend
from tests.simulation.loop import SCOPE
from tests.simulation.streaming import Streaming
from tests.simulation.venue import MICROSECONDS, SimVenue
from tests.simulation.wire import Reply, Wire
from venues import errors
from venues.breaker import Breaker
from venues.facts.shapes import Priority
from venues.messages import (
    AmendOrder,
    Answer,
    CancelOrder,
    Evidence,
    FillReport,
    Lookup,
    Malformed,
    MarketSpec,
    OrderReport,
    Permissions,
    PlaceOrder,
    Read,
    Shape,
)

_CODES = {"insufficient_funds": "INSUFFICIENT_FUNDS", "would_take": "POST_ONLY_WOULD_TAKE"}
_LOST = {"reset": "CONNECTION_LOST", "timeout": "TIMEOUT", "server_error": "SERVER_ERROR", "garbled": "UNREADABLE"}


class Stats(NamedTuple):
    """What telemetry compares of a channel."""

    breaker: str
    errors: int
    reconnects: int


@dataclass
class Turns:
    """Turns taken and not used: an order is sent with one in hand."""

    order: int = 0
    cancel: int = 0


class SimGateway:
    """One account at the one venue. What the venue may do wrong is drawn from the seed."""

    def __init__(self, account: AccountView, lease: Lease, venue: SimVenue, wire: Wire, streaming: Streaming) -> None:
        self.code, self.epoch = account.code, lease.epoch
        self.capabilities = venue.facts
        self._venue, self._wire, self._streaming = venue, wire, streaming
        self._chance = random.Random(f"{venue.swarm.seed}:gateway:{account.code}:{lease.epoch}")
        self._breakers = {name: Breaker() for name in ("submit", "cancel", "query")}
        self._nonce = lease.nonce_floor
        self._turns = Turns()
        self.errors = 0
        self.last_error = ""
        self.paused = self.maintenance = ""
        self.throttled_at: datetime | None = None
        self.clock_offset_ms = 0

    async def open(self) -> None:
        """Fetch the market list. Raises ConnectionError."""
        if (await self._wire.ask(lambda: None)).ending != "answer":
            raise ConnectionError("the venue does not answer")

    async def close(self) -> None:
        """Hold nothing."""

    def nonce_floor(self) -> int:
        """Return the highest nonce used."""
        return self._nonce

    async def turn(self, priority: Priority) -> None:
        """Take a turn. Raises BreakerOpen."""
        capability = {"cancel": "cancel", "order": "submit"}.get(priority, "query")
        breaker, now = self._breakers[capability], clock.monotonic_seconds()
        if priority == "order" and breaker.state(now) != "closed":
            raise errors.BreakerOpen("orders are paused")
        if capability == "query" and not breaker.allows(now):
            raise errors.BreakerOpen("reads are paused")
        if priority == "order":
            self._turns.order += 1
        elif priority == "cancel":
            self._turns.cancel += 1

    async def place(self, order: PlaceOrder) -> Answer:
        """Send one order once."""
        await _stop_point()
        if not self._turns.order:
            raise AssertionError("an order was sent without a turn")
        self._turns.order -= 1
        self._sign()
        reply = await self._wire.act(f"submit {order.venue_client_id}", lambda: self._venue.place(order, self.code))
        return self._count("submit", self._answer(reply, order.venue_client_id))

    async def cancel(self, order: CancelOrder) -> Answer:
        """Send one cancel once."""
        await _stop_point()
        self._sign()
        reply = await self._wire.act(f"cancel {order.venue_client_id}", lambda: self._venue.cancel(order, self.code))
        answer = self._answer(reply)
        if answer.code == "ORDER_REFUSED":
            answer = replace(answer, code="ORDER_UNKNOWN")
        return self._count("cancel", answer)

    async def amend(self, order: AmendOrder) -> Answer:
        """Send one amend once."""
        await _stop_point()
        self._turns.order -= 1
        self._sign()
        reply = await self._wire.act(
            f"amend {order.venue_order_id} {order.new_venue_client_id}", lambda: amend(self._venue, order, self.code)
        )
        if reply.ending != "answer":
            return self._count("submit", self._answer(reply))
        verdict, reason, report, replaced = reply.value
        if verdict != "accepted":
            return self._count("submit", self._answer(Reply("answer", (verdict, reason, report))))
        answer = Answer(
            outcome="accepted", code=reason, replaced=replaced, order=report,
            venue_order_id=report.venue_order_id if report else None,
        )  # fmt: skip
        return self._count("submit", answer)

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
        """Look for one order; absent only when the venue answered well."""
        if (held := await self._held("reconcile")) is not None:
            return Lookup(result="failed", evidence=(self._said("gateway", held),))
        by_shape = not self.capabilities.client_ids and venue_order_id is None and shape is not None

        def deliver() -> list[OrderReport]:
            if not by_shape:
                found = self._venue.look_up(self.code, symbol, venue_client_id, venue_order_id, self._moment())
                return [found] if found else []
            since_us = int(since.timestamp() * MICROSECONDS)
            listed = self._venue.orders(self.code, self._moment(), since_us)
            return [row for row in listed if row.symbol == symbol and _looks_like(row, shape, known_venue_order_ids)]

        reply = await self._wire.ask(deliver)
        if self._note(reply) is not None or self._venue.swarm.happens("read_failed", self._chance):
            return Lookup(result="failed", evidence=(self._said("lookup", "failed"),))
        if len(reply.value) > 1:
            return Lookup(result="failed", evidence=(self._said("lookup", f"{len(reply.value)} candidates"),))
        if not reply.value:
            return Lookup(result="absent", evidence=(self._said("lookup", "not there"),))
        return Lookup(result="found", order=reply.value[0], evidence=(self._said("lookup", reply.value[0].status),))

    async def read(self, surface: str, *, since: datetime | None = None, symbols: Sequence[str] = ()) -> Read:
        """Read one surface whole. A failed read is never an empty one."""
        requested_at = clock.now()
        if surface in {"positions", "transfers"}:
            return Read(status="unsupported", requested_at=requested_at, taken_at=requested_at)
        held = await self._held("poll")
        if held is not None:
            return Read(status="failed", error=held, requested_at=requested_at, taken_at=clock.now())
        reply = await self._wire.ask(lambda: self._rows(surface, since))
        error = self._note(reply)
        if error is not None or self._venue.swarm.happens("read_failed", self._chance):
            return Read(status="failed", error=error or "page", requested_at=requested_at, taken_at=clock.now())
        rows = list(reply.value)
        malformed: tuple[Malformed, ...] = ()
        status: Any = "good"
        if rows and self._venue.swarm.happens("read_partial", self._chance):
            rows, status = rows[: self._chance.randrange(len(rows))], "partial"
        elif rows and self._venue.swarm.happens("read_malformed", self._chance):
            rows.pop(self._chance.randrange(len(rows)))
            status, malformed = "partial", (Malformed(source=surface, reason="not a number", raw="{"),)
        return Read(
            status=status, rows=tuple(rows), requested_at=requested_at, taken_at=clock.now(), malformed=malformed
        )

    async def permissions(self) -> Permissions | None:
        """Say that the key may trade and not withdraw."""
        reply = await self._wire.ask(lambda: True)
        if reply.ending != "answer":
            raise ConnectionError(reply.ending)
        return Permissions(can_read=True, can_trade=True, can_withdraw=False)

    async def markets(self) -> list[MarketSpec]:
        """Return the instruments."""
        return self._venue.specs()

    async def last_prices(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """Return the last prices."""
        reply = await self._wire.ask(
            lambda: {symbol: state.last_price for symbol, state in self._venue.engine.markets.items()}
        )
        return reply.value if reply.ending == "answer" else {}

    def want_books(self, symbols: Sequence[str]) -> None:
        """Keep up no books: prices are asked for."""

    def release_books(self) -> list[Any]:
        """Have no books to release."""
        return []

    def book_prices(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """Know no prices without asking."""
        return {}

    def stale_books(self, symbols: Sequence[str], seconds: float) -> dict[str, Any]:
        """Have no book that could be stale."""
        return {}

    async def book_moved(self, seconds: float) -> None:
        """Wait it out: no book moves."""
        await asyncio.sleep(seconds)

    def book_health(self) -> list[Any]:
        """Have no books."""
        return []

    def take_book_sessions(self) -> list[Any]:
        """Have no books."""
        return []

    async def run_stream(self, on_frame: Callable[..., None], on_state: Callable[..., None]) -> None:
        """Run the private stream until cancelled."""
        if self.capabilities.stream:
            await self._streaming.run(self.code, on_frame, on_state)

    async def check(self) -> None:
        """Ask nothing: the clock is the world's, and there is no maintenance."""

    def health(self) -> dict[str, Stats]:
        """Return what each channel has been doing."""
        now = clock.monotonic_seconds()
        return {name: Stats(breaker.state(now), self.errors, 0) for name, breaker in self._breakers.items()}

    def _rows(self, surface: str, since: datetime | None) -> Sequence[Any]:
        moment = self._moment()
        if surface == "fills":
            return self._venue.fills(self.code, int(since.timestamp() * MICROSECONDS) if since else 0, moment)
        if surface == "open_orders":
            return [row for row in self._venue.orders(self.code, moment) if row.status == "open"]
        return self._venue.balances(self.code, moment)

    def _moment(self) -> int:
        """Draw how far this read lags behind the matching: never beyond the bound the venue is known by."""
        lag = 0.0
        if self._venue.swarm.happens("read_stale", self._chance):
            lag = self._chance.uniform(0, self.capabilities.read_lag_seconds)
        return self._venue.now_us() - int(lag * MICROSECONDS)

    def _answer(self, reply: Reply, submitted: str = "") -> Answer:
        if reply.ending == "unreachable":
            return Answer(outcome="not_sent", code="VENUE_UNREACHABLE", transient=True)
        if reply.ending == "rate_limited":
            return Answer(outcome="not_sent", code="RATE_LIMITED", transient=True, venue_code="429")
        if reply.ending != "answer":
            return Answer(outcome="unknown", code=_LOST[reply.ending], message=reply.ending)
        verdict, reason, report = reply.value
        if verdict == "expired":
            return Answer(outcome="not_sent", code=reason, transient=True, venue_code="-1021")
        if verdict == "duplicate":
            return Answer(outcome="unknown", code="DUPLICATE_CLIENT_ID", venue_code="-2010")
        if verdict == "rejected":
            return Answer(outcome="rejected", code=_CODES.get(reason, "ORDER_REFUSED"), message=reason, venue_code="-1")
        if report is None or self._venue.swarm.happens("ack_without_order", self._chance):
            return Answer(outcome="accepted", venue_order_id=report.venue_order_id if report else None)
        if self._venue.swarm.happens("ack_then_deny", self._chance):
            self._venue.hide(self.code, report, self._chance.uniform(1, 30), submitted)
        return Answer(outcome="accepted", venue_order_id=report.venue_order_id, order=report)

    def _count(self, capability: str, answer: Answer) -> Answer:
        lost = answer.code == "VENUE_UNREACHABLE" or (answer.outcome == "unknown" and not answer.venue_code)
        self._noted(capability, answer.code if lost else "")
        return answer

    def _note(self, reply: Reply) -> str | None:
        error = None if reply.ending == "answer" else reply.ending
        self._noted("query", error or "")
        return error

    def _noted(self, capability: str, error: str) -> None:
        now, breaker = clock.monotonic_seconds(), self._breakers[capability]
        if error:
            self.errors += 1
            breaker.failed(now, error)
            return
        breaker.succeeded(now)
        if capability == "query" and self._breakers["submit"].state(now) == "half_open":
            self._breakers["submit"].succeeded(now)

    async def _held(self, priority: Priority) -> str | None:
        try:
            await self.turn(priority)
        except errors.BreakerOpen as held:
            return f"{held.code}: {held}"
        return None

    def _sign(self) -> None:
        self._nonce = max(self._nonce + 1, int(clock.now().timestamp() * 1000))

    def _said(self, source: str, answer: str) -> Evidence:
        return Evidence(source=source, at=clock.now(), answer=answer)


async def _stop_point() -> None:
    """Stand still here when the node was stopped at a failpoint just before: its stamp is getting old."""
    scope = SCOPE.get()
    if scope is not None and scope.is_paused:
        await asyncio.sleep(0)


def _looks_like(row: OrderReport | FillReport, shape: Shape | None, known: frozenset[str]) -> bool:
    if shape is None or not isinstance(row, OrderReport) or row.venue_order_id in known:
        return False
    return (row.side, row.type, row.quantity, row.price) == (shape.side, shape.type, shape.quantity, shape.price)
