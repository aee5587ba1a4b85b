"""The matrix over HTTP: every exchange, every fact with its source."""

from __future__ import annotations

from rest_framework.test import APIClient

from tests import factories
from tests.conftest import Client
from venues.exchanges import EXCHANGES

URL = "/api/v1/capabilities/"


def test_every_exchange_is_listed_once_over_the_pages(api: APIClient) -> None:
    seen, url = list[str](), f"{URL}?limit=30"
    while url:
        page = api.get(url).json()
        seen += [one["exchange"] for one in page["results"]]
        url = page["next"]
    assert seen == list(EXCHANGES)
    last = api.get(f"{URL}?limit=100").json()
    back = api.get(api.get(last["next"]).json()["previous"]).json()
    assert (back["results"][0]["exchange"], last["previous"]) == (EXCHANGES[0], None)


def test_one_exchange_with_the_sources_of_its_facts(api: APIClient) -> None:
    [gate] = api.get(f"{URL}?exchange=gate").json()["results"]
    facts = {fact["name"]: fact for fact in gate["facts"]}
    assert facts["client_id_form"] == {
        "name": "client_id_form", "label": "Form of the client id", "value": "t- and our 18 characters",
        "source": "overridden", "proved_at": None, "proved_by": None,
    }  # fmt: skip
    assert facts["fills_page"]["source"] == "declared"
    assert gate["markets"]["spot"]["times_in_force"] == ["GTC", "IOC", "FOK"]
    assert (gate["tier"], gate["is_tradable"], gate["requests"]["create"]) == ("B", True, "ok")


def test_filters_name_the_nearest_valid_value(api: APIClient) -> None:
    refused = api.get(f"{URL}?exchange=kraaken")
    assert (refused.status_code, refused.json()["errors"][0]["nearest_valid"]) == (400, "kraken")
    assert {one["tier"] for one in api.get(f"{URL}?tier=C").json()["results"]} == {"C"}
    assert len(api.get(f"{URL}?tier=A,B,C&limit=1000").json()["results"]) == len(EXCHANGES)
    for wrong in ("tier=D", "limit=0", "limit=x", "cursor=zz", "cursor=%C3%A9", "nonsense=1"):
        assert api.get(f"{URL}?{wrong}").status_code == 400, wrong


def test_by_account_it_is_the_exchange_of_its_venue(api: APIClient, client_for: Client) -> None:
    account, other = factories.AccountFactory(), factories.AccountFactory()
    assert [one["exchange"] for one in api.get(f"{URL}?account={account.code}").json()["results"]] == [
        account.venue.exchange
    ]
    assert client_for("viewer", accounts=[account.code]).get(f"{URL}?account={other.code}").status_code == 404
