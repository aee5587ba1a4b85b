"""Every exchange whose public books we can read; a sibling reads as the first of its family does."""

from __future__ import annotations

from venues.adapters.binance_books import BinanceBook
from venues.adapters.book_reader import BookReader
from venues.adapters.bybit_books import BybitBook
from venues.adapters.coinbase_books import CoinbaseBook
from venues.adapters.deribit_books import DeribitBook
from venues.adapters.kraken_books import KrakenBook
from venues.adapters.okx_books import OkxBook
from venues.facts.families import SIBLINGS

BOOK_READERS: dict[str, type[BookReader]] = {
    "binance": BinanceBook,
    "bybit": BybitBook,
    "coinbase": CoinbaseBook,
    "deribit": DeribitBook,
    "kraken": KrakenBook,
    "okx": OkxBook,
}


def book_reader(exchange: str) -> type[BookReader] | None:
    """Return who reads the public books of an exchange; None where nobody can."""
    return BOOK_READERS.get(SIBLINGS.get(exchange, exchange))
