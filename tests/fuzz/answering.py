"""The real adapters on a wire that answers every request with the same bytes; nothing leaves the process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from venues import capabilities
from venues.adapters.ccxt import CcxtAdapter
from venues.adapters.client import build
from venues.adapters.markets import SharedMarkets
from venues.adapters.registry import adapter_class
from venues.adapters.transport import HttpRecord
from venues.credentials import Secret
from venues.paper import defaults
from venues.targets import VenueTarget

# The dialect `unified` is the way most exchanges go: ccxt's parser of one of them, its rows read by unified.py.
EXCHANGES = {
    "binance": "binance",
    "kraken": "kraken",
    "bybit": "bybit",
    "okx": "okx",
    "coinbase": "coinbase",
    "deribit": "deribit",
    "unified": "okx",
}
_MARKET_IDS = {
    "binance": ("BTCUSDT", "BTC", "USDT"),
    "kraken": ("XBTUSDT", "XXBT", "USDT"),
    "bybit": ("BTCUSDT", "BTC", "USDT"),
    "coinbase": ("BTC-USDT", "BTC", "USDT"),
    "okx": ("BTC-USDT", "BTC", "USDT"),
    "deribit": ("BTC_USDT", "BTC", "USDT"),
}
_PERPETUAL = {
    "id": "BTC-PERPETUAL", "symbol": "BTC/USD:BTC", "quote": "USD", "quoteId": "USD", "settle": "BTC", "settleId": "BTC",
    "type": "swap", "spot": False, "swap": True, "contract": True, "inverse": True, "linear": False, "contractSize": "10",
}  # fmt: skip
SECRET = Secret("key-of-the-fuzzer", "c2VjcmV0LW9mLXRoZS1mdXp6ZXI=", "passphrase-of-the-fuzzer")
EC_SECRET = Secret("key-of-the-fuzzer", defaults.ec_key("secret-of-the-fuzzer"))


class AnsweringWire:
    """Answers what it is told, as the transport hands on what a venue really sent."""

    session = None

    def __init__(self) -> None:
        self.status = 200
        self.body = b""
        self.requests = 0

    async def send(self, record: HttpRecord, headers: Mapping[str, str], body: bytes | None) -> None:
        """Fill in the record as if the venue had answered."""
        self.requests += 1
        record.sent, record.status = True, self.status
        record.body = self.body.decode("utf-8", "replace")

    async def close(self) -> None:
        """Do nothing."""


class Answered:
    """One account's adapter of a dialect, its wire, and the loop it runs in."""

    def __init__(self, dialect: str) -> None:
        exchange = EXCHANGES[dialect]
        self.loop = asyncio.new_event_loop()
        self.wire = AnsweringWire()
        target = VenueTarget(
            code=dialect, exchange=exchange, rest_url="http://127.0.0.1:9", ws_url="ws://127.0.0.1:9", may_trade=True
        )
        self._secret = EC_SECRET if exchange == "coinbase" else SECRET
        kind = CcxtAdapter if dialect == "unified" else adapter_class(exchange)
        self.adapter: CcxtAdapter = kind(
            target, capabilities.for_exchange(exchange), self._secret,
            timeout_seconds=1.0, nonce_floor=0, shared=SharedMarkets(), on_http=lambda _: None,
        )  # fmt: skip
        self.adapter.client = self.loop.run_until_complete(self._open(target))

    async def _open(self, target: VenueTarget) -> Any:
        client = build(target, self.adapter.capabilities, self._secret, self.wire)
        listed = [_market(target.exchange)]
        if target.exchange == "deribit":
            listed.append(listed[0] | _PERPETUAL)
        client.set_markets([client.safe_market_structure(market) for market in listed])
        client.options["marketsByAltname"] = {"XBTUSDT": client.markets["BTC/USDT"]}
        client.markets_loading = asyncio.get_running_loop().create_future()
        client.markets_loading.set_result(client.markets)
        return client

    def run(self, work: Any) -> Any:
        """Run one coroutine to its end."""
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        """Close the loop."""
        self.loop.close()


def _market(exchange: str) -> dict[str, Any]:
    identity, base_id, quote_id = _MARKET_IDS[exchange]
    return {
        "id": identity, "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "baseId": base_id, "quoteId": quote_id,
        "type": "spot", "spot": True, "margin": False, "swap": False, "future": False, "option": False,
        "contract": False, "active": True, "altname": identity, "wsId": "XBT/USDT", "taker": "0.001", "maker": "0.001",
        "precision": {"amount": "0.00001", "price": "0.01"},
        "limits": {"amount": {"min": "0.00001"}, "price": {}, "cost": {"min": "1"}}, "info": {},
    }  # fmt: skip
