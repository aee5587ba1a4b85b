"""Names: which are canonical, which are nobody's, which stand for another; and what becomes of a venue's list by them."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from venues import instruments, symbols
from venues.adapters import markets
from venues.messages import MarketSpec
from venues.models import Instrument, Venue


def market(symbol: str, **changes: Any) -> dict[str, Any]:
    base, _, rest = symbol.partition("/")
    plain = {
        "id": symbol.replace("/", ""), "symbol": symbol, "base": base, "quote": rest.partition(":")[0], "type": "spot",
        "precision": {"price": "0.01", "amount": "0.001"}, "limits": {}, "active": True,
    }  # fmt: skip
    return plain | changes


def listed(*rows: dict[str, Any]) -> list[MarketSpec]:
    """Read a list as ccxt keeps it: by symbol, where the last of a name hides the others, and by id."""
    by_id: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_id.setdefault(str(row["id"]), []).append(row)
    named = {str(row["symbol"]): row for row in rows}
    return markets.specs(SimpleNamespace(precisionMode=4, markets=named, markets_by_id=by_id))


@pytest.mark.parametrize(
    "good", ["BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC-260925", "1INCH/USDC", "BTC/USD:BTC-260925-90000-C"]
)
def test_a_canonical_name(good: str) -> None:
    assert symbols.problem_of(good) == "" and symbols.canonical(good) == good


@pytest.mark.parametrize(
    "bad", ["", "BTCUSDT", "btc/usdt", "$WIF/USDT", "币安人生/USDT", f"{'X' * 70}/USDT", "BTC / USDT"]
)
def test_a_name_that_is_nobodys_says_why(bad: str) -> None:
    assert symbols.problem_of(bad)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("XBT/USDT", "BTC/USDT"), ("xbt/usd", "BTC/USD"), ("XXBT/ZUSD", "BTC/USD"), ("BTC/USD:XBT", "BTC/USD:BTC"),
     ("XDG/EUR", "DOGE/EUR"), ("BTCUSDT", None), ("", None), ("$/$", None)],
)  # fmt: skip
def test_other_names_of_an_asset(written: str, meant: str | None) -> None:
    assert symbols.canonical(written) == meant


def test_a_market_without_a_canonical_name_is_listed_with_its_reason() -> None:
    specs = listed(
        market("BTC/USDT"),
        market("$WIF/USDT"),
        market("ETH/USDT", base=None),
        market("A/B", precision={"price": "nan"}),
    )
    reasons = {spec.venue_symbol: spec.unmapped_reason for spec in specs}
    assert reasons.pop("BTCUSDT") == ""
    assert len(reasons) == 3 and all(reasons.values())
    for spec in specs:
        assert spec.is_active == (not spec.unmapped_reason)
        assert bool(symbols.SYMBOL.match(spec.symbol)) == (not spec.unmapped_reason)


def test_two_markets_of_one_name_are_not_mistaken_for_each_other() -> None:
    hidden, shown = market("BTC/USDT", id="BTC-USDT-OLD"), market("BTC/USDT", id="BTC-USDT")
    first, second = listed(hidden, shown)
    assert (first.symbol, first.venue_symbol) == ("BTC/USDT", "BTC-USDT")
    assert (second.symbol, second.is_active) == ("unmapped:BTC-USDT-OLD", False)
    assert "BTC/USDT" in second.unmapped_reason


def test_a_contract_keeps_what_it_stands_for() -> None:
    [spec] = listed(market(
        "BTC/USD:BTC-260925", type="future", settle="BTC", contractSize="100", expiry=1790294400000,
        limits={"leverage": {"max": "50"}, "price": {"min": "0.5", "max": "1000000"}, "cost": {"max": "5000000"}},
    ))  # fmt: skip
    assert (spec.kind, spec.settle, spec.contract_size, spec.leverage_max) == (
        "future",
        "BTC",
        Decimal(100),
        Decimal(50),
    )
    assert (spec.price_min, spec.price_max, spec.notional_max) == (Decimal("0.5"), Decimal(1000000), Decimal(5000000))
    assert spec.expires_at is not None and f"{spec.expires_at:%Y-%m-%d}" == "2026-09-25"


@pytest.mark.django_db(transaction=True)
def test_the_unmapped_are_kept_and_seen() -> None:
    venue = Venue.objects.create(code="paper", exchange="binance", rest_url="http://127.0.0.1:1/x")
    instruments.store(venue, listed(market("BTC/USDT"), market("$WIF/USDT")))
    row = Instrument.objects.get(venue_symbol="$WIFUSDT")
    assert (row.is_active, row.symbol) == (False, "unmapped:$WIFUSDT") and row.unmapped_reason
    assert (
        instruments.store(venue, listed(market("$WIF/USDT"))) == 0
    )  # a list without a tradable market is a failed read
    assert Instrument.objects.get(symbol="BTC/USDT").is_active
    instruments.store(venue, listed(market("BTC/USDT"), market("WIF/USDT", id="$WIFUSDT")))
    assert Instrument.objects.get(symbol="WIF/USDT").unmapped_reason == ""
    assert not Instrument.objects.get(symbol="unmapped:$WIFUSDT").is_active
