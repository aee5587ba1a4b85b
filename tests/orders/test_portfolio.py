"""Everything held, valued by our own books: what has no price is named, and no environment is added to another."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from orders import portfolio
from orders.models import Position
from project.lib import clock
from tests import factories
from tests.conftest import Client
from tests.factories import AccountFactory, BalanceFactory, InstrumentFactory, OrderFactory, PositionFactory
from venues.models import Account

D = Decimal
pytestmark = pytest.mark.django_db


def hold(account: Account, asset: str, total: str, **said: str) -> None:
    """Let an account hold an asset, in our books and in the venue's words."""
    plain = {"venue_total": total, "venue_free": total, "venue_held": "0", **said}
    BalanceFactory(account=account, asset=asset, total=D(total), **{name: D(text) for name, text in plain.items()})


def test_assets_are_added_up_over_accounts_and_valued() -> None:
    one, two = AccountFactory(), AccountFactory()
    InstrumentFactory(venue=one.venue, symbol="BTC/USDT", last_price=D(60000))
    hold(one, "BTC", "1.5", venue_free="1", venue_held="0.5")
    hold(two, "BTC", "0.25")
    hold(two, "USDT", "1000.005")
    held = portfolio.read()
    btc, usdt = held.assets
    assert (btc.asset, btc.total, btc.free, btc.held, btc.accounts) == ("BTC", D("1.75"), D("1.25"), D("0.5"), 2)
    assert btc.value_usd == D(105000) and btc.price and btc.price.source.startswith("last price of BTC/USDT at ")
    assert usdt.price and usdt.price.is_assumed and "assumed" in usdt.price.source
    assert [(row.account, row.value_usd) for row in held.accounts] == [(one.code, D(90000)), (two.code, D("16000.00"))]
    [total] = held.totals
    assert (total.value_usd, total.not_valued) == (D("106000.00"), []) and total.oldest_price_at is not None


def test_what_has_no_price_is_named_and_not_counted_as_zero() -> None:
    account = AccountFactory()
    hold(account, "USDT", "10")
    hold(account, "MYSTERY", "500")
    held = portfolio.read()
    line = next(line for line in held.assets if line.asset == "MYSTERY")
    assert (line.total, line.price, line.value_usd) == (D(500), None, None)
    assert [one.not_valued for one in (*held.totals, *held.accounts)] == [["MYSTERY"], ["MYSTERY"]]
    assert held.totals[0].value_usd == 10


def test_environments_are_never_added_together(settings: object) -> None:
    live, paper = AccountFactory(venue__rest_url=""), AccountFactory()
    hold(live, "USD", "7")
    hold(paper, "USD", "1000000")
    held = portfolio.read()
    assert [(row.environment, row.value_usd) for row in held.totals] == [
        ("LIVE", D(7)),
        (paper.venue.environment, D(1000000)),
    ]
    assert paper.venue.environment != "LIVE" and len(held.assets) == 2


def test_open_orders_bind_what_they_would_spend() -> None:
    account = AccountFactory()
    OrderFactory(account=account, side="buy", quantity=D(2), filled_quantity=D("0.5"), price=D(100))
    OrderFactory(account=account, side="sell", quantity=D(3), price=D(100))
    OrderFactory(account=account, side="buy", quantity=D(9), price=D(100), status="cancelled")
    OrderFactory(account=account, side="buy", quantity=D(9), price=D(100), symbol="BTC/USD:BTC")
    bound = {line.asset: line.in_orders for line in portfolio.read().assets}
    assert bound == {"USDT": D(150), "BTC": D(3)}


def test_open_contracts_are_valued_beside_the_worth() -> None:
    account = AccountFactory()
    InstrumentFactory(venue=account.venue, symbol="BTC/USD:BTC", base="BTC", quote="USD", last_price=D(50000))
    hold(account, "BTC", "1")
    PositionFactory(account=account, symbol="BTC/USD:BTC", quantity=D(1000), entry_price=D(40000))
    PositionFactory(account=account, symbol="ETH/USD:ETH", quantity=D(10), entry_price=D(3000))
    [total] = portfolio.read().totals
    assert (total.value_usd, total.unrealised_usd) == (D(50000), D(250))  # 1000/40000 - 1000/50000 BTC
    assert total.not_valued == ["position ETH/USD:ETH"]


def test_the_api_shows_it_and_keeps_to_the_callers_accounts(api: APIClient, client_for: Client) -> None:
    own, other = AccountFactory(), AccountFactory()
    hold(own, "USDT", "5")
    hold(other, "SECRET", "5")
    body = api.get("/api/v1/portfolio/").json()
    assert {row["account"] for row in body["accounts"]} == {own.code, other.code}
    assert body["totals"][0]["not_valued"] == ["SECRET"]
    price = next(row["price"] for row in body["assets"] if row["asset"] == "USDT")
    assert (price["value"], price["is_assumed"], price["at"]) == ("1", True, None)
    limited = client_for("viewer", accounts=[own.code])
    assert "SECRET" not in limited.get("/api/v1/portfolio/").content.decode()
    assert limited.get(f"/api/v1/portfolio/?account={other.code}").status_code == 404
    assert api.get(f"/api/v1/portfolio/?account={own.code}").json()["totals"][0]["value_usd"] == "5"


def test_what_it_costs_does_not_grow_with_what_is_held() -> None:
    counts = []
    for rows in (1, 30):
        for _ in range(rows):
            account = AccountFactory()
            hold(account, f"C{account.code}", "1")
            PositionFactory(account=account, symbol="BTC/USD:BTC")
        with CaptureQueriesContext(connection) as queries:
            portfolio.read()
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8


def test_a_position_shows_ours_and_the_venues_word(api: APIClient) -> None:
    row = PositionFactory(symbol="BTC/USDC:USDC", quantity=D(2), entry_price=D(40000))
    InstrumentFactory(venue=row.account.venue, symbol=row.symbol, last_price=D(41000))
    said_at = clock.now() - timedelta(seconds=30)
    Position.objects.filter(pk=row.pk).update(
        venue_quantity=D(2), mark_price=D(41500), venue_unrealised_pnl=D(3000), margin=D(4150), as_of=said_at
    )
    [shown] = api.get("/api/v1/positions/").json()["results"]
    assert (shown["unrealised_pnl"], shown["last_price"], shown["venue_unrealised_pnl"]) == ("2000", "41000", "3000")
    assert (shown["venue_quantity"], shown["mark_price"], shown["margin"]) == ("2", "41500", "4150")
    assert shown["leverage"] == "20" and shown["as_of"]
    spot = factories.PositionFactory(account=row.account)
    shown = next(one for one in api.get("/api/v1/positions/").json()["results"] if one["symbol"] == spot.symbol)
    assert [shown[name] for name in ("unrealised_pnl", "leverage", "margin", "venue_quantity", "as_of")] == [None] * 5
