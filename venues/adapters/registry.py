"""Every exchange we reach: the registry of what is special about some; all others go the general way."""

from __future__ import annotations

from venues.adapters.binance import BinanceAdapter
from venues.adapters.ccxt import CcxtAdapter
from venues.adapters.kraken import KrakenAdapter

ADAPTERS: dict[str, type[CcxtAdapter]] = {
    "binance": BinanceAdapter,
    "binanceus": BinanceAdapter,
    "kraken": KrakenAdapter,
}


def adapter_class(exchange: str) -> type[CcxtAdapter]:
    """Return the adapter of an exchange, the general one where it has no quirks of ours."""
    return ADAPTERS.get(exchange, CcxtAdapter)
