"""Unmodified ccxt classes pointed at a world."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import ccxt.pro

from tests.venues.paper.process import WorldHandle

# ccxt warns that it finds only Bybit's last 500 orders by id, unless told that this is known. Of Coinbase it is asked for
# holds, and for buys of a base quantity.
OPTIONS: dict[str, dict[str, Any]] = {
    "bybit": {"fetchOrder": {"acknowledged": True}},
    "coinbase": {"fetchBalance": "v3PrivateGetBrokerageAccounts", "createMarketBuyOrderRequiresPrice": False},
}
# What an exchange calls our client id where ccxt does not translate it.
CLIENT_ID_KEYS = {"bybit": "orderLinkId", "coinbase": "client_order_id", "deribit": "label"}


def client(world: WorldHandle, **config: Any) -> Any:
    """Return the exchange's ccxt.pro class with every address moved to the world and its path kept."""
    exchange = getattr(ccxt.pro, world.exchange)(
        {
            "apiKey": world.api_key,
            "secret": world.secret,
            "password": world.passphrase,
            "enableRateLimit": False,
            **config,
        }
    )
    exchange.number = str
    exchange.timeout_on_exit = 1
    exchange.options.update(OPTIONS.get(world.exchange, {}))
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


def with_client_id(exchange: Any, client_order_id: str) -> dict[str, str]:
    """Return the parameters that give an order a client id."""
    return {CLIENT_ID_KEYS.get(exchange.id, "clientOrderId"): client_order_id}


def client_id_of(order: dict[str, Any]) -> Any:
    """Return the client id of an order, where ccxt leaves it as well."""
    return order["clientOrderId"] or order["info"].get("label")
