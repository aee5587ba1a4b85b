"""Decimal in, the same text on the wire, the same Decimal back: on every market of every protocol, and of the general way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project.lib import decimals
from tests.venues.desk import now_ms
from tests.venues.paper.process import PaperVenue, WorldHandle
from tests.venues.test_survey import TRADABLE
from venues import capabilities
from venues.adapters.capture import CLIENT_ID, Bench, CapturingWire, said
from venues.adapters.ccxt import CcxtAdapter
from venues.adapters.markets import SharedMarkets
from venues.adapters.registry import adapter_class
from venues.credentials import Secret
from venues.facts import generated
from venues.messages import MarketSpec, PlaceOrder
from venues.targets import VenueTarget

UNITS = st.integers(1, 10**7)


@dataclass
class Rig:
    """An adapter that knows a world's markets and whose requests no longer leave."""

    loop: asyncio.AbstractEventLoop
    adapter: CcxtAdapter
    wire: CapturingWire
    markets: list[MarketSpec]

    def sent(self, order: PlaceOrder) -> list[str]:
        """Return every value the order's request carries; none where it was refused before."""
        self.wire.records.clear()
        self.loop.run_until_complete(self.adapter.place(order))
        return [value for _, value in said(self.wire.records[-1])] if self.wire.records else []


@pytest.fixture
def rig(paper: PaperVenue, paper_world: WorldHandle) -> Iterator[Rig]:
    """Return the adapter of each protocol in turn, with the markets its world lists."""
    target = VenueTarget(
        code="exact", exchange=paper_world.exchange, rest_url=paper_world.rest_url, ws_url=paper_world.ws_url,
        may_trade=True,
    )  # fmt: skip
    with asyncio.Runner() as runner:
        adapter = adapter_class(paper_world.exchange)(
            target, capabilities.for_exchange(paper_world.exchange), Secret(paper_world.api_key, paper_world.secret),
            timeout_seconds=5.0, nonce_floor=0, shared=SharedMarkets(), on_http=lambda record: None,
        )  # fmt: skip
        runner.run(adapter.open())
        listed = runner.run(adapter.list_markets())
        open_wire, adapter.client.wire = adapter.client.wire, CapturingWire({})
        usable = [one for one in listed if not one.unmapped_reason]
        yield Rig(runner.get_loop(), adapter, adapter.client.wire, usable)
        adapter.client.wire = open_wire
        runner.run(adapter.close())


def order_of(symbol: str, quantity: Decimal, price: Decimal, side: Any) -> PlaceOrder:
    return PlaceOrder(
        venue_client_id=CLIENT_ID, symbol=symbol, side=side, type="limit", quantity=quantity, price=price,
        time_in_force="GTC", stamp_ms=now_ms(), window_ms=5_000,
    )  # fmt: skip


def assert_exact(values: list[str], *numbers: Decimal) -> None:
    for number in numbers:
        written = decimals.write(number)
        assert written in values, (written, values)
        assert decimals.parse_venue(written) == number


def test_every_market_of_a_protocol(rig: Rig) -> None:
    assert rig.markets

    @settings(max_examples=60, deadline=None)
    @given(place=st.integers(0, len(rig.markets) - 1), units=UNITS, ticks=UNITS, side=st.sampled_from(["buy", "sell"]))
    def every_order(place: int, units: int, ticks: int, side: str) -> None:
        market = rig.markets[place]
        quantity, price = units * market.quantity_step, ticks * market.price_step
        assert_exact(rig.sent(order_of(market.symbol, quantity, price, side)), quantity, price)

    every_order()


def test_off_the_grid_nothing_is_rounded(rig: Rig) -> None:
    """It is refused here, or goes out as it is and is refused there."""
    for market in rig.markets:
        off = market.price_step * 1000 + market.price_step / 10
        values = rig.sent(order_of(market.symbol, market.quantity_step * 1000, off, "buy"))
        assert values == [] or decimals.write(off) in values


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(exchange=st.sampled_from(TRADABLE), units=UNITS, ticks=UNITS, side=st.sampled_from(["buy", "sell"]))
def test_the_general_way(exchange: str, units: int, ticks: int, side: str) -> None:
    """Exact, or refused before it is sent: never rounded."""

    async def values() -> list[str]:
        bench = Bench(exchange, generated.captured()[exchange]["kind"], capabilities.for_exchange(exchange))
        case = bench.case
        quantity, price = units * Decimal(case.quantity_step), ticks * Decimal(case.price_step)
        caught = await bench.submit(quantity=quantity, price=price, side=side)
        bench.client.session = None
        if not caught.records or not caught.records[-1].fault:
            assert "grid" in caught.problem, (exchange, caught.problem)
            return []
        found = [value.lstrip("-") for _, value in said(caught.records[-1])]
        assert_exact(
            [decimals.write(Decimal(one)) or "" for one in found if is_plain(one)],
            quantity * case.scale,
            price * case.scale,
        )
        return found

    asyncio.run(values())


def is_plain(text: str) -> bool:
    try:
        return decimals.parse_venue(text) is not None
    except ValueError:
        return False
