"""Every page for every role: it answers, it says which world it shows, its fragments are what the page contains."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from orders.models import Order
from project.lib import feed
from tests import factories
from tests.console import paths
from tests.console.conftest import SignIn

REGION = re.compile(r'id="([\w-]+)"[^>]*data-live-topics="[^"]+"[^>]*data-live-url="([^"]*)"')


@pytest.mark.parametrize("role", ["admin", "viewer"])
def test_every_page_answers(desk: None, sign_in: SignIn, role: str) -> None:
    client = sign_in(role)
    for name, path in paths.every_page().items():
        response = client.get(path)
        assert response.status_code == 200, f"{name} {path} answered {response.status_code}"
        assert response.headers["X-Seq"] == str(feed.head())
        assert response.headers["Cache-Control"] == "no-store"


def test_empty_desk_answers_and_shows_the_first_steps(sign_in: SignIn) -> None:
    client = sign_in("admin")
    for name, path in paths.every_page().items():
        assert client.get(path).status_code == 200, name
    text = client.get("/").content.decode()
    assert "First steps" in text and "Add a venue" in text
    assert "No orders yet" in client.get("/orders/").content.decode()
    assert "Nothing matches these filters" in client.get("/orders/?symbol=NOPE").content.decode()


def test_every_live_region_refetches_itself(desk: None, sign_in: SignIn) -> None:
    client, seen = sign_in("admin"), 0
    for name, path in paths.every_page().items():
        for region, url in REGION.findall(client.get(path).content.decode()):
            fragment = client.get(url.replace("&amp;", "&"), headers={"X-Live": "1"})
            text = fragment.content.decode()
            assert fragment.status_code == 200 and f'id="{region}"' in text, f"{name}: {url}"
            assert "<html" not in text, f"{name}: {url} sends the whole page"
            assert fragment.headers["X-Seq"]
            seen += 1
    assert seen > 30


def test_nobody_sees_a_page_signed_out(db: None) -> None:
    client = Client()
    for name, path in paths.every_page().items():
        response = client.get(path)
        assert response.status_code == 302 and response.headers["Location"].startswith("/login/"), name
        assert client.get(path, headers={"X-Live": "1"}).status_code == 401, name


def test_somebody_without_a_role_sees_nothing(db: None) -> None:
    client = Client()
    client.force_login(User.objects.create_user("nobody"))
    assert client.get("/orders/").status_code == 403


def test_pages_show_the_world_of_their_venues(desk: None, sign_in: SignIn) -> None:
    client = sign_in("viewer")
    assert 'data-environment="PAPER"' in client.get("/orders/").content.decode()
    assert 'data-environment="SANDBOX"' in client.get("/accounts/kraken-demo/").content.decode()
    assert 'data-environment="LIVE"' in client.get("/venues/binance/").content.decode()


def test_blotter_filters_and_tabs(desk: None, sign_in: SignIn) -> None:
    client = sign_in("viewer")

    def shown(query: str) -> set[str]:
        return set(re.findall(r'id="order-([0-9a-f-]{36})"', client.get(f"/orders/?{query}").content.decode()))

    def stored(**wanted: object) -> set[str]:
        return {str(key) for key in Order.objects.filter(**wanted).values_list("id", flat=True)}

    assert shown("") == stored()
    assert shown("tab=unknown") == stored(status="unknown")
    assert shown("tab=filled") == stored(status__in=["filled", "partially_filled"])
    assert shown("account=paper-hedge") == stored(account_id="paper-hedge")
    assert shown("symbol=BTC/USDT&status=open") == stored(symbol="BTC/USDT", status="open")
    assert shown("client_order_id=tw-8801") == stored(client_order_id__startswith="tw-8801")
    assert shown("status=no-such") == set()


def test_blotter_pages_meet_without_a_hole(sign_in: SignIn) -> None:
    account = factories.AccountFactory()
    for _ in range(230):
        factories.OrderFactory(account=account)
    client, url, seen, back = sign_in("viewer"), "/orders/", list[str](), ""
    while url:
        text = client.get(url).content.decode()
        seen += re.findall(r'<tr id="order-([0-9a-f-]{36})"', text)
        older = re.search(r'href="([^"]*)" rel="next"', text)
        newer = re.search(r'href="([^"]*)" rel="prev"', text)
        back, url = (newer[1] if newer else ""), (f"/orders/{older[1]}".replace("&amp;", "&") if older else "")
    assert len(seen) == len(set(seen)) == 230
    newer_page = client.get(f"/orders/{back}".replace("&amp;", "&")).content.decode()
    assert re.findall(r'<tr id="order-([0-9a-f-]{36})"', newer_page) == seen[100:200]


@pytest.mark.parametrize(
    "text",
    [
        "before=x",
        "after=~",
        "before=2026-01-01~1",
        "before=2026-01-01T00:00:00Z~zz",
        "fragment=nope",
        "status=",
        "tab=x",
    ],
)
def test_a_strange_querystring_is_no_error(desk: None, sign_in: SignIn, text: str) -> None:
    client = sign_in("viewer")
    for path in (
        "/orders/",
        "/fills/",
        "/transfers/",
        "/ledger/",
        "/breaks/",
        "/dead-letters/",
        "/reconciliation/",
        "/audit/",
    ):
        assert client.get(f"{path}?{text}").status_code == 200, f"{path}?{text}"


def test_csv_disarms_formulas(sign_in: SignIn) -> None:
    order = factories.OrderFactory(source="=HYPERLINK(1)", reason_message="@SUM(1)", price="-1")
    response = sign_in("viewer").get("/orders/?format=csv")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert "'=HYPERLINK(1)" in text and "'@SUM(1)" in text
    assert order.client_order_id in text and response.headers["Content-Type"].startswith("text/csv")


def test_nothing_in_a_page_is_taken_as_markup(sign_in: SignIn) -> None:
    attack = '<img src=x onerror="alert(1)">'
    order = factories.OrderFactory(reason_code=attack[:60], reason_message=attack, source=attack, venue_order_id=attack)
    client = sign_in("viewer")
    for path in ("/orders/", f"/orders/{order.id}/", "/orders/?client_order_id=%3Cimg%20src%3Dx%3E"):
        assert "<img" not in client.get(path).content.decode()
