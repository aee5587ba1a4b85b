"""The peer: ccxt's own asynchronous client, create_order over its own transport, nothing kept."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import ccxt.async_support as ccxt

from bench.ground import PRICE, QUANTITY, SYMBOL
from bench.load import Timed, closed_loop
from tests.venues.paper.process import WorldHandle

WARM_UP = 50


async def raw_ccxt(world: WorldHandle, in_flight: int, count: int, tag: str) -> Timed:
    """Time create_order of a resting limit order, with ccxt's own throttle off."""
    client: Any = ccxt.binance({
        "apiKey": world.api_key, "secret": world.secret, "enableRateLimit": False,
        "options": {"fetchMargins": False, "fetchMarkets": {"types": ["spot"]}},
    })  # fmt: skip
    addresses = client.urls["api"]
    for name, address in list(addresses.items()):
        if isinstance(address, str):
            addresses[name] = world.rest_url + urlsplit(address).path
    try:
        await client.load_markets()

        async def one(number: int) -> None:
            client_id = {"newClientOrderId": f"{tag}{in_flight}x{number}"}
            await client.create_order(SYMBOL, "limit", "buy", QUANTITY, PRICE, client_id)

        for number in range(WARM_UP):
            await one(-number - 1)
        return await closed_loop("raw ccxt create_order", in_flight, count, one)
    finally:
        await client.close()
