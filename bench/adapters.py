"""What a dialect's adapter and our gateway add to ccxt: CPU per order of each, in one run on worlds of the same venue."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from decimal import Decimal
from statistics import median

from bench.ground import PRICE, QUANTITY, SYMBOL, Ground
from project.lib import clock, ids
from tests.venues.paper.clients import client, with_client_id
from tests.venues.paper.process import WorldHandle
from venues.credentials import Secret
from venues.gateway import Gateway, SharedMarkets, VenueTarget
from venues.messages import PlaceOrder

EXCHANGES = ("binance", "kraken", "bybit", "okx", "coinbase", "deribit")
ROUNDS, ORDERS = 3, 150


async def compared(prepared: Ground) -> list[tuple[str, float, float]]:
    """Return per exchange the CPU of an order in microseconds: raw ccxt, then our gateway; medians of interleaved rounds."""
    make = prepared.paper.create_world
    # a world for each: two clients of one key would use up each other's nonces
    return [
        await _one(make(name, "raw", flow_steps_per_second=0), make(name, "gateway", flow_steps_per_second=0))
        for name in EXCHANGES
    ]


async def _one(peer: WorldHandle, world: WorldHandle) -> tuple[str, float, float]:
    raw, ours = client(peer), _gateway(world)
    try:
        await raw.load_markets()
        await ours.open()
        await ours.markets()

        async def by_ccxt() -> None:
            params = with_client_id(raw, ids.venue_client_id(uuid.uuid4()))
            await raw.create_order(SYMBOL, "limit", "buy", QUANTITY, PRICE, params)

        async def by_us() -> None:
            answer = await ours.place(_order())
            if answer.outcome != "accepted":
                raise RuntimeError(f"{world.exchange}: {answer.code} {answer.message}")

        rounds = [(await _cpu_us(by_ccxt), await _cpu_us(by_us)) for _ in range(ROUNDS)]
        return world.exchange, median(one for one, _ in rounds), median(other for _, other in rounds)
    finally:
        await ours.close()
        await raw.close()


async def _cpu_us(send: Callable[[], Awaitable[None]]) -> float:
    for _ in range(5):
        await send()
    began = time.process_time()
    for _ in range(ORDERS):
        await send()
        await asyncio.sleep(0)
    return (time.process_time() - began) / ORDERS * 1e6


def _order() -> PlaceOrder:
    return PlaceOrder(
        venue_client_id=ids.venue_client_id(uuid.uuid4()), symbol=SYMBOL, side="buy", type="limit", quantity=Decimal(QUANTITY),
        price=Decimal(PRICE), time_in_force="GTC", stamp_ms=int(clock.now().timestamp() * 1000), window_ms=5_000,
    )  # fmt: skip


def _gateway(world: WorldHandle) -> Gateway:
    target = VenueTarget(
        code=world.exchange, exchange=world.exchange, rest_url=world.rest_url, ws_url=world.ws_url, may_trade=True
    )
    secret = Secret(world.api_key, world.secret, world.passphrase)
    return Gateway("account", target, secret, timeout_seconds=5.0, shared=SharedMarkets())
