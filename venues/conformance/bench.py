"""What a case works with: one account's gateway, one instrument, the smallest order it takes, and what the stream told."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, TypeVar

from project.lib import clock, ids
from venues.conformance.losing import LosingWire
from venues.gateway import Gateway
from venues.messages import (
    AmendOrder,
    Answer,
    BalanceReport,
    CancelOrder,
    FillReport,
    Lookup,
    MarketSpec,
    OrderReport,
    PlaceOrder,
    Report,
    StreamState,
)

Found = TypeVar("Found")
# An order this far from the market rests, and lies within the price bands venues allow.
FAR = Decimal("0.85")
WINDOW_MS = 5_000
PAUSE_SECONDS = 0.1
PATIENCE_SECONDS = 10.0


class Refuted(Exception):
    """The venue did otherwise than the contract or our facts say; the message is for people."""


class Skipped(Exception):
    """The case does not apply to this venue; the message says why."""


@dataclass
class Bench:
    """One account at one venue under examination."""

    gateway: Gateway
    wire: LosingWire
    spec: MarketSpec
    price: Decimal
    may_spend: bool = True
    states: list[StreamState] = field(default_factory=list)
    told: list[Report] = field(default_factory=list)
    _placed: list[tuple[PlaceOrder, str | None]] = field(default_factory=list)

    @property
    def can(self) -> Any:
        """The facts the product goes by at this venue."""
        return self.gateway.capabilities

    @property
    def patience_seconds(self) -> float:
        """How long a fact may take to show: the venue's reads may lag behind its matching."""
        return PATIENCE_SECONDS + float(self.can.read_lag_seconds)

    def order(self, **changes: Any) -> PlaceOrder:
        """Return a limit buy far from the market, of the smallest quantity, stamped now."""
        price = changes.get("price", self.grid(self.price * FAR, down=True))
        plain: dict[str, Any] = {
            "venue_client_id": ids.venue_client_id(uuid.uuid4()),
            "symbol": self.spec.symbol,
            "side": "buy",
            "type": "limit",
            "quantity": self.smallest(price or self.price),
            "price": price,
            "time_in_force": "GTC",
            **self.stamp(),
        }
        return PlaceOrder(**(plain | changes))

    def stamp(self) -> dict[str, Any]:
        """Return the time of sending and the window of a request."""
        window_ms = max(WINDOW_MS, self.can.window_min_ms)
        return {"stamp_ms": int(clock.now().timestamp() * 1000), "window_ms": window_ms}

    def grid(self, price: Decimal, *, down: bool) -> Decimal:
        """Return the price of the venue's grid below or above."""
        return _on(self.spec.price_step, price, ROUND_FLOOR if down else ROUND_CEILING)

    def smallest(self, price: Decimal) -> Decimal:
        """Return the smallest quantity that stays above every minimum, with room for a second, smaller price."""
        least = self.spec.quantity_min or self.spec.quantity_step or Decimal(1)
        if self.spec.notional_min:
            least = max(least, 2 * self.spec.notional_min / price / self.spec.contract_size)
        return _on(self.spec.quantity_step, least, ROUND_CEILING)

    def on_grid(self, quantity: Decimal) -> Decimal:
        """Return the quantity of the venue's grid below."""
        return _on(self.spec.quantity_step, quantity, ROUND_FLOOR)

    async def place(self, order: PlaceOrder) -> Answer:
        """Send an order; whatever comes of it is cancelled by clean()."""
        await self.gateway.turn("order")
        answer = await self.gateway.place(order)
        self._placed.append((order, answer.venue_order_id))
        return answer

    async def rest(self, **changes: Any) -> tuple[PlaceOrder, Answer]:
        """Place an order that must be accepted. Raises Refuted."""
        order = self.order(**changes)
        answer = await self.place(order)
        expect(answer.outcome == "accepted", f"a plain order was not accepted: {said(answer)}")
        return order, answer

    async def cancel(self, order: PlaceOrder, venue_order_id: str | None) -> Answer:
        """Cancel by the venue's id, or by ours where it is None."""
        await self.gateway.turn("cancel")
        return await self.gateway.cancel(
            CancelOrder(
                symbol=order.symbol,
                venue_order_id=venue_order_id,
                venue_client_id=order.venue_client_id,
                **self.stamp(),
            )
        )

    async def amend(self, order: PlaceOrder, venue_order_id: str | None, **changes: Any) -> Answer:
        """Change price or quantity of a live order by one request."""
        message = AmendOrder(**{
            "symbol": order.symbol, "side": order.side, "type": order.type, "venue_order_id": venue_order_id,
            "venue_client_id": order.venue_client_id, "new_venue_client_id": ids.venue_client_id(uuid.uuid4()),
            "quantity": order.quantity, "filled_quantity": Decimal(0), "price": order.price, "trigger_price": None,
            "time_in_force": order.time_in_force, "post_only": order.post_only, **self.stamp(), **changes,
        })  # fmt: skip
        await self.gateway.turn("order")
        answer = await self.gateway.amend(message)
        replaced = PlaceOrder(**{**vars(order), "venue_client_id": message.new_venue_client_id})
        self._placed.append((replaced, answer.venue_order_id))
        return answer

    async def look_up(self, order: PlaceOrder, venue_order_id: str | None = None) -> Lookup:
        """Look for an order as the resolver would."""
        since = clock.now() - timedelta(minutes=5)
        return await self.gateway.look_up(
            symbol=order.symbol, venue_client_id=order.venue_client_id, venue_order_id=venue_order_id, since=since
        )

    async def live(self) -> list[OrderReport]:
        """Return the open orders of the instrument. Raises Refuted when they cannot be read."""
        return [row for row in await self.read("open_orders") if row.symbol == self.spec.symbol]

    async def fills_since(self, since: datetime) -> list[FillReport]:
        """Return our trades of the instrument since then."""
        return [row for row in await self.read("fills", since) if row.symbol == self.spec.symbol]

    async def balances(self) -> dict[str, BalanceReport]:
        """Return what the account has, by asset."""
        return {row.asset: row for row in await self.read("balances")}

    async def read(self, surface: str, since: datetime | None = None) -> list[Any]:
        """Read a surface whole. Raises Refuted when it is not good."""
        found = await self.gateway.read(surface, since=since, symbols=[self.spec.symbol])
        expect(found.status == "good", f"{surface} could not be read: {found.status} {found.error}")
        return list(found.rows)

    async def eventually(self, what: str, fact: Callable[[], Awaitable[Found]]) -> Found:
        """Return the first true answer of a fact. Raises Refuted when it stays false."""
        deadline = clock.monotonic_seconds() + self.patience_seconds
        while True:
            answer = await fact()
            if answer:
                return answer
            if clock.monotonic_seconds() > deadline:
                raise Refuted(f"did not come true within {self.patience_seconds:.0f} s: {what}")
            await asyncio.sleep(PAUSE_SECONDS)

    async def hears(self, what: str, fact: Callable[[Report], bool]) -> Report:
        """Return the first report of the stream that the fact holds for. Raises Refuted when none comes."""

        async def told() -> Report | None:
            return next((report for report in self.told if fact(report)), None)

        found = await self.eventually(what, told)
        assert found is not None  # noqa: S101 - eventually() returns nothing else
        return found

    async def clean(self) -> int:
        """Cancel what the cases left; return how many orders of ours still stand."""
        for order, venue_order_id in self._placed:
            if venue_order_id is not None or self.can.client_id_cancel:
                await self.cancel(order, venue_order_id)
        ours = {order.venue_client_id for order, _ in self._placed} | {venue_id for _, venue_id in self._placed}
        self._placed.clear()
        return sum(row.venue_order_id in ours or row.venue_client_id in ours for row in await self.live())

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Run the private stream within the block, from the moment it is subscribed."""
        if not self.can.stream:
            raise Skipped("this venue is polled: it has no private stream of ours")
        self.states.clear()
        self.told.clear()
        running = asyncio.create_task(
            self.gateway.run_stream(lambda text, found, at: self.told.extend(found), self.states.append)
        )
        try:
            await self.eventually("the stream is subscribed", self._is_subscribed)
            yield
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    async def _is_subscribed(self) -> bool:
        return bool(self.states) and self.states[-1].state in ("subscribed", "alive")


def expect(is_true: bool, otherwise: str) -> None:
    """Raise Refuted with what is the case otherwise."""
    if not is_true:
        raise Refuted(otherwise)


def said(answer: Answer) -> str:
    """Return an answer in a few words."""
    return " ".join(part for part in (answer.outcome, answer.code, answer.venue_code, answer.message) if part)[:160]


def _on(step: Decimal, value: Decimal, rounding: str) -> Decimal:
    return (value / step).to_integral_value(rounding) * step if step else value
