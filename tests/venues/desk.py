"""A gateway on a world of the paper venue, and orders to send through it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from project.lib import clock, ids
from tests.venues.paper.process import PaperVenue, WorldHandle
from venues.credentials import Secret
from venues.gateway import Gateway, SharedMarkets, VenueTarget
from venues.messages import CancelOrder, PlaceOrder

SYMBOL = "BTC/USDT"
TIMEOUT_SECONDS = 1.5


@dataclass
class Desk:
    """One account's gateway and the venue's own truth beside it."""

    venue: PaperVenue
    world: WorldHandle
    gateway: Gateway

    def order(self, **changes: Any) -> PlaceOrder:
        """Return a limit order far from the market, stamped now."""
        plain: dict[str, Any] = {
            "venue_client_id": ids.venue_client_id(uuid.uuid4()),
            "symbol": SYMBOL,
            "side": "buy",
            "type": "limit",
            "quantity": Decimal("0.1"),
            "price": Decimal("50000"),
            "time_in_force": "GTC",
            "stamp_ms": now_ms(),
            "window_ms": 5_000,
        }
        return PlaceOrder(**(plain | changes))

    def cancel_of(self, order: PlaceOrder, venue_order_id: str | None = None) -> CancelOrder:
        """Return a cancel of an order, by our id unless the venue's is given."""
        return CancelOrder(
            symbol=order.symbol,
            venue_order_id=venue_order_id,
            venue_client_id=order.venue_client_id,
            stamp_ms=now_ms(),
            window_ms=5_000,
        )

    def placed(self) -> int:
        """Return how many orders the venue has ever accepted."""
        return len(self.venue.journal(self.world, "accepted"))


def gateway(world: WorldHandle, **changes: Any) -> Gateway:
    """Return a closed gateway on a world."""
    target = VenueTarget(
        code=f"{world.exchange}-{world.world}", exchange=world.exchange, rest_url=world.rest_url, ws_url=world.ws_url,
        may_trade=True,
    )  # fmt: skip
    plain: dict[str, Any] = {"timeout_seconds": TIMEOUT_SECONDS, "shared": SharedMarkets()}
    secret = changes.pop("secret", None) or Secret(world.api_key, world.secret, world.passphrase)
    return Gateway("account", changes.pop("target", target), secret, **(plain | changes))


def now_ms() -> int:
    """Return the time as a stamp."""
    return int(clock.now().timestamp() * 1000)


async def until(fact: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Return the first true answer of a fact. Raises AssertionError when it stays false."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = fact()
        if answer:
            return answer
        await asyncio.sleep(0.02)
    raise AssertionError(f"did not become true within {seconds} s")
