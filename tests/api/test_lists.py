"""Every list: same envelope, scoped to the caller's accounts, exact strings, a fixed number of queries."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from project.lib import feed
from project.lib.models import FeedEntry
from tests import factories
from tests.conftest import Client
from venues.models import Account

BUDGET: dict[str, int] = json.loads(Path(__file__).with_name("query_counts.json").read_text())
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def announce(account: Account) -> None:
    with feed.transaction():
        feed.announce("orders", "order.changed", "x", account=account.code)


def with_fills(account: Account) -> None:
    order = factories.OrderFactory(account=account, filled_quantity="0.1", filled_value="6000")
    factories.FillFactory(order=order)


MAKERS: dict[str, Callable[[Account], Any]] = {
    "orders": with_fills,
    "fills": with_fills,
    "positions": lambda account: factories.PositionFactory(account=account),
    "balances": lambda account: factories.BalanceFactory(account=account),
    "ledger": lambda account: factories.PostingFactory(account=account),
    "transfers": lambda account: factories.TransferFactory(account=account),
    "breaks": lambda account: factories.BreakFactory(account=account),
    "approvals": lambda account: factories.ApprovalFactory(account=account),
    "dead-letters": lambda account: factories.DeadLetterFactory(order__account=account),
    "coverage": lambda account: factories.CoverageFactory(account=account, surface=f"s{account.coverage.count()}"),
    "coverage/history": lambda account: factories.CoverageChangeFactory(account=account),
    "reconciliations": lambda account: factories.RunFactory(account=account),
    "halts": lambda account: factories.HaltFactory(scope=f"account:{account.code}"),
    "accounts": lambda account: factories.AccountFactory(venue=account.venue),
    "venues": lambda account: factories.VenueFactory(),
    "instruments": lambda account: factories.InstrumentFactory(
        venue=account.venue, symbol=f"C{account.venue.instruments.count()}/USDT"
    ),
    "stream-sessions": lambda account: factories.StreamSessionFactory(account=account),
    "events": announce,
}


@pytest.mark.parametrize("name", MAKERS)
def test_fifty_rows_take_as_many_queries_as_one(api: APIClient, name: str) -> None:
    account = factories.AccountFactory()
    url = f"/api/v1/{name}/"
    MAKERS[name](account)
    api.get(url)  # the first use of a token notes the time
    counts = []
    for rows in (0, 49):
        for _ in range(rows):
            MAKERS[name](account)
        with CaptureQueriesContext(connection) as queries:
            page = api.get(url).json()
        counts.append(len(queries))
    assert len(page["results"]) >= 50
    assert counts[0] == counts[1] <= BUDGET[name], queries.captured_queries


@pytest.mark.parametrize("name", MAKERS)
def test_every_list_has_one_envelope_and_takes_account(api: APIClient, client_for: Client, name: str) -> None:
    own, other = factories.AccountFactory(), factories.AccountFactory()
    for account in (own, other):
        MAKERS[name](account)
    answer = api.get(f"/api/v1/{name}/?account={own.code}&limit=1")
    body = answer.json()
    assert answer.status_code == 200 and {"results", "next", "previous"} <= set(body)
    assert "no-store" in answer["Cache-Control"]
    shown = json.dumps(api.get(f"/api/v1/{name}/?account={own.code}").json()["results"])
    assert other.code not in shown.replace(own.code, "")
    assert not re.search(r'"(price|quantity|total|amount|delta|fee)": [\d-]', shown), "a decimal is not a string"
    for moment in re.findall(r'"\w+_at": "([^"]*)"', shown):
        assert MOMENT.fullmatch(moment)
    limited = client_for("viewer", accounts=[own.code])
    if name != "instruments":
        seen = json.dumps(limited.get(f"/api/v1/{name}/").json()["results"]).replace(own.code, "")
        assert other.code not in seen and other.venue_id not in seen
    foreign = limited.get(f"/api/v1/{name}/?account={other.code}")
    assert (foreign.status_code, foreign.json()["errors"][0]["field"]) == (404, "account")


def test_the_feed_is_read_in_sequence_to_its_head(api: APIClient, client_for: Client) -> None:
    own, other = factories.AccountFactory(), factories.AccountFactory()
    for account in (own, other, own, other, own):
        announce(account)
    page = api.get("/api/v1/events/?topic=orders&limit=2").json()
    entries = [*page["results"]]
    while page["next"]:
        page = api.get(page["next"]).json()
        entries += page["results"]
    assert len(entries) == 5 and entries[-1]["seq"] == page["head"]
    assert [entry["prev"] for entry in entries] == [0, *(entry["seq"] for entry in entries[:-1])]
    limited = client_for("viewer", accounts=[own.code])
    rest = limited.get(f"/api/v1/events/?after={entries[0]['seq']}").json()
    assert [entry["account"] for entry in rest["results"]] == [own.code] * 2
    assert rest["results"][0]["prev"] == entries[0]["seq"]
    assert api.get(f"/api/v1/events/?after={feed.head()}").json()["results"] == []


def test_a_point_of_the_feed_that_is_gone_says_so(api: APIClient) -> None:
    account = factories.AccountFactory()
    for _ in range(5):
        announce(account)
    head = feed.head()
    FeedEntry.objects.filter(seq__lt=head).delete()
    answer = api.get(f"/api/v1/events/?after={head - 3}")
    assert (answer.status_code, answer.json()["code"], answer.json()["head"]) == (410, "FEED_EXPIRED", head)
    assert api.get(f"/api/v1/events/?after={head - 1}").status_code == 200
    assert api.get("/api/v1/events/").status_code == 200
