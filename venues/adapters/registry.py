"""Every exchange we reach: the registry of what is special about some; all others go the general way."""

from __future__ import annotations

from venues.adapters.binance import BinanceAdapter
from venues.adapters.bybit import BybitAdapter
from venues.adapters.ccxt import CcxtAdapter
from venues.adapters.coinbase import CoinbaseAdapter
from venues.adapters.deribit import DeribitAdapter
from venues.adapters.kraken import KrakenAdapter
from venues.adapters.okx import OkxAdapter

ADAPTERS: dict[str, type[CcxtAdapter]] = {
    "binance": BinanceAdapter,
    "binanceus": BinanceAdapter,
    "bybit": BybitAdapter,
    "bybiteu": BybitAdapter,
    "bybitid": BybitAdapter,
    "coinbase": CoinbaseAdapter,
    "deribit": DeribitAdapter,
    "kraken": KrakenAdapter,
    "myokx": OkxAdapter,
    "okx": OkxAdapter,
    "okxus": OkxAdapter,
}


def adapter_class(exchange: str) -> type[CcxtAdapter]:
    """Return the adapter of an exchange, the general one where it has no quirks of ours."""
    return ADAPTERS.get(exchange, CcxtAdapter)
