"""What an asset is worth: which quote is taken, what it says of itself, and that nothing is guessed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders import valuation
from project.lib import clock
from tests import factories
from venues.models import Venue

D = Decimal
pytestmark = pytest.mark.django_db


@pytest.fixture
def here() -> Venue:
    return factories.VenueFactory(code="here")


def quote(venue: Venue, symbol: str, price: str, *, minutes: int = 0, kind: str = "spot") -> None:
    at = clock.now() - timedelta(minutes=minutes)
    quoted = symbol.split(":")[0].split("/")[1]
    factories.InstrumentFactory(
        venue=venue, symbol=symbol, quote=quoted, last_price=D(price), last_price_at=at, kind=kind
    )


def test_a_dollar_is_one_and_a_stablecoin_says_that_it_is_assumed() -> None:
    prices = valuation.prices_usd(["USD", "USDT", "NOBODY", ""])
    assert prices.keys() == {"USD", "USDT"}
    assert prices["USD"].value == prices["USDT"].value == 1
    assert not prices["USD"].is_assumed and prices["USDT"].is_assumed and "assumed" in prices["USDT"].source


def test_the_same_venue_goes_before_another_and_its_fresh_book_before_its_last_price(here: Venue) -> None:
    other = factories.VenueFactory(code="other")
    quote(other, "BTC/USDT", "60100")
    assert valuation.prices_usd(["BTC"], venue="here")["BTC"].value == 60100
    quote(here, "BTC/USDT", "60200")
    found = valuation.prices_usd(["BTC"], venue="here")["BTC"]
    assert (found.value, found.worth(D("-0.5"))) == (D(60200), D("-30100.00"))
    assert "last price of BTC/USDT at here" in found.source and "USDT taken at 1 USD" in found.source
    account = factories.AccountFactory(venue=here)
    factories.BookHealthFactory(account=account, best_bid=D("60240"), best_ask=D("60260"))
    found = valuation.prices_usd(["BTC"], venue="here")["BTC"]
    assert found.value == 60250 and "middle of the book" in found.source
    assert found.age_seconds is not None and found.age_seconds < 60


def test_an_old_quote_waits_behind_a_young_one_and_spot_goes_before_a_perpetual(here: Venue) -> None:
    other = factories.VenueFactory(code="other")
    quote(here, "ETH/USDT", "2000", minutes=60)
    assert valuation.prices_usd(["ETH"], venue="here")["ETH"].value == 2000
    quote(other, "ETH/USDC:USDC", "2101", kind="perpetual")
    assert valuation.prices_usd(["ETH"], venue="here")["ETH"].value == 2101
    quote(other, "ETH/USDC", "2100")
    assert valuation.prices_usd(["ETH"], venue="here")["ETH"].value == 2100


def test_a_dated_future_is_no_price(here: Venue) -> None:
    quote(here, "BTC/USDT:USDT-300628", "70000", kind="future")
    assert valuation.price_usd("BTC", venue="here") is None


def test_one_hop_over_btc_and_a_currency_that_is_only_quoted(here: Venue) -> None:
    quote(here, "XMR/BTC", "0.003")
    assert valuation.price_usd("XMR") is None, "half a way is no price"
    quote(here, "BTC/USD", "60000", minutes=3)
    found = valuation.prices_usd(["XMR", "TRY"])
    assert found["XMR"].value == 180 and "XMR/BTC" in found["XMR"].source and "BTC/USD" in found["XMR"].source
    assert found["XMR"].age_seconds is not None and found["XMR"].age_seconds >= 180, "as old as its oldest quote"
    assert not found["XMR"].is_assumed and "TRY" not in found
    quote(here, "USDT/TRY", "40")
    assert valuation.prices_usd(["TRY"])["TRY"].value == D("0.025")


def test_any_number_of_assets_costs_two_queries(here: Venue) -> None:
    for number in range(30):
        quote(here, f"A{number}/USDT", "2")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert len(valuation.prices_usd([f"A{number}" for number in range(30)])) == 30
    assert len(queries) == 2
