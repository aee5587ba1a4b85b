"""The pages of the exchanges: searched, linked to our venues, and with what was proved since."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from tests import factories
from tests.console.conftest import SignIn
from venues import proofs
from venues.models import ProvedFact


@pytest.mark.django_db(transaction=True)
def test_what_the_kit_found_stands_over_what_was_declared(api: APIClient, sign_in: SignIn) -> None:
    venue = factories.VenueFactory(exchange="binance")
    proofs.keep(venue, [("fills_page", True, ""), ("post_only", False, "it took liquidity")])
    proofs.keep(venue, [("fills_page", True, "1000 rows came")])
    assert ProvedFact.objects.count() == 2
    [binance] = api.get("/api/v1/capabilities/?exchange=binance").json()["results"]
    facts = {fact["name"]: fact for fact in binance["facts"]}
    assert (facts["fills_page"]["source"], facts["fills_page"]["proved_by"]) == ("proved", venue.code)
    assert facts["post_only"]["source"] == "refuted"
    page = sign_in("viewer").get("/exchanges/binance/").content.decode()
    assert f"at {venue.code}" in page and "it took liquidity" in page


def test_the_matrix_is_searched_and_links_to_our_venues(sign_in: SignIn) -> None:
    factories.VenueFactory(code="my-gate", exchange="gate")
    client = sign_in("viewer")
    page = client.get("/exchanges/?exchange=gate").content.decode()
    assert 'id="exchange-gate"' in page and 'id="exchange-gateeu"' in page and 'id="exchange-okx"' not in page
    assert 'href="/venues/my-gate/"' in page
    assert 'id="exchange-upbit"' in client.get("/exchanges/?tier=C").content.decode()
    assert "Nothing matches" in client.get("/exchanges/?exchange=nope").content.decode()
    assert client.get("/exchanges/nope/").status_code == 404
    assert "No order may go there" in client.get("/exchanges/upbit/").content.decode()
