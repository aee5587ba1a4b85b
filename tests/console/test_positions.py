"""The page of positions: what of the venue's word is shown of spot, and of a contract before and after its first word."""

from __future__ import annotations

from decimal import Decimal

from orders.models import Position
from project.lib import clock
from tests import factories
from tests.console.conftest import SignIn


def test_a_contract_whose_venue_said_nothing_yet_is_not_called_spot(sign_in: SignIn) -> None:
    client = sign_in("viewer")
    row = factories.PositionFactory(symbol="BTC/USD:BTC", quantity=Decimal(270), entry_price=Decimal(60000))
    text = client.get("/positions/").content.decode()
    assert "the venue has not told its position yet" in text and "keeps balances, no position" not in text
    factories.PositionFactory(symbol="BTC/USDT", account=row.account)
    assert "keeps balances, no position" in client.get("/positions/").content.decode()
    Position.objects.filter(pk=row.pk).update(venue_quantity=Decimal(280), as_of=clock.now())
    text = client.get("/positions/").content.decode()
    assert "the venue has not told its position yet" not in text and "+280" in text
