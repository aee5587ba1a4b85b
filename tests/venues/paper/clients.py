"""Unmodified ccxt classes pointed at a world."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import ccxt.pro

from tests.venues.paper.process import WorldHandle


def client(world: WorldHandle, **config: Any) -> Any:
    """Return the exchange's ccxt.pro class with every address moved to the world and its path kept."""
    exchange = getattr(ccxt.pro, world.exchange)(
        {"apiKey": world.api_key, "secret": world.secret, "enableRateLimit": False, **config}
    )
    exchange.number = str
    exchange.timeout_on_exit = 1
    exchange.options["warnOnFetchOpenOrdersWithoutSymbol"] = False
    _move(exchange.urls["api"], world)
    return exchange


def _move(addresses: dict[str, Any], world: WorldHandle) -> None:
    for name, address in addresses.items():
        if isinstance(address, dict):
            _move(address, world)
        else:
            base = world.ws_url if address.startswith("ws") else world.rest_url
            addresses[name] = base + urlsplit(address.replace("{hostname}", "host")).path
