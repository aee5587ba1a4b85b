"""What a symbol says: `BTC/USDT` is spot, `BTC/USD:BTC` a perpetual settled in BTC, `BTC/USD:BTC-300628` a dated future."""

from __future__ import annotations

import functools
from decimal import Decimal
from typing import NamedTuple


class Parts(NamedTuple):
    """Base and quote of a symbol, and the asset that settles a contract, which spot has not."""

    base: str
    quote: str
    settle: str = ""

    @property
    def is_contract(self) -> bool:
        """Whether trades build a position instead of exchanging base and quote."""
        return bool(self.settle)

    @property
    def is_inverse(self) -> bool:
        """Whether it is settled in its base asset: then quantities are in quote asset."""
        return self.settle == self.base

    @property
    def moved(self) -> tuple[str, ...]:
        """Return the assets whose balances a trade moves."""
        return (self.settle,) if self.settle else (self.base, self.quote)

    def notional(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Return what a quantity is worth in the quote asset."""
        return quantity if self.is_inverse else quantity * price

    def worth(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Return what a trade is worth in the asset that pays for it: quote, or of an inverse contract base."""
        return quantity / price if self.is_inverse else quantity * price


@functools.lru_cache(maxsize=10_000)
def split(symbol: str) -> Parts:
    """Take a symbol apart."""
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    return Parts(base, quote, settle.partition("-")[0])
