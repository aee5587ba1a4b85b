"""What a symbol says about what a trade of it moves."""

from __future__ import annotations

from decimal import Decimal

import pytest

from project.lib import symbols

D = Decimal


@pytest.mark.parametrize(
    ("symbol", "base", "quote", "settle", "moved", "notional", "worth"),
    [
        ("BTC/USDT", "BTC", "USDT", "", ("BTC", "USDT"), D(100), D(100)),
        ("BTC/USDC:USDC", "BTC", "USDC", "USDC", ("USDC",), D(100), D(100)),
        ("BTC/USD:BTC", "BTC", "USD", "BTC", ("BTC",), D(2), D("0.04")),
        ("BTC/USD:BTC-300628", "BTC", "USD", "BTC", ("BTC",), D(2), D("0.04")),
    ],
)
def test_parts(
    symbol: str, base: str, quote: str, settle: str, moved: tuple[str, ...], notional: Decimal, worth: Decimal
) -> None:
    parts = symbols.split(symbol)
    assert (parts.base, parts.quote, parts.settle, parts.moved) == (base, quote, settle, moved)
    assert (parts.is_contract, parts.is_inverse) == (bool(settle), settle == "BTC")
    assert (parts.notional(D(2), D(50)), parts.worth(D(2), D(50))) == (notional, worth)
