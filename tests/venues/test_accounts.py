"""Venues and accounts are made with checks that say what to write instead."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from project.lib.models import AuditEntry, FeedEntry
from venues import accounts
from venues.accounts import Invalid
from venues.models import Account, AccountStatus, Venue

pytestmark = pytest.mark.django_db(transaction=True)
REST = "http://127.0.0.1:9001/kraken/demo"


@pytest.fixture
def custom(settings: Settings) -> None:
    """Allow addresses of one's own."""
    settings.CUSTOM_URLS_ALLOWED = True


def made(**changes: object) -> Venue:
    wanted: dict[str, Any] = {"code": "desk-1", "exchange": "kraken", "rest_url": REST, "actor": "olga"} | changes
    return accounts.create_venue(**wanted)


@pytest.mark.usefixtures("custom")
def test_a_venue_is_made_audited_and_announced() -> None:
    venue = made()
    assert (venue.rest_url, venue.ws_url) == (REST, "ws://127.0.0.1:9001/kraken/demo")
    assert venue.environment == "SANDBOX"
    assert venue.may_trade
    assert AuditEntry.objects.get(action="venue.created").actor == "olga"
    assert FeedEntry.objects.filter(topic="venues", kind="venue_created").exists()
    secure = made(code="secure", rest_url="https://test.example")
    assert secure.ws_url == "wss://test.example"
    with pytest.raises(Invalid) as refused:
        made()
    assert (refused.value.field, refused.value.code) == ("code", "TAKEN")


@pytest.mark.usefixtures("custom")
@pytest.mark.parametrize(
    ("changes", "field", "code", "nearest"),
    [
        ({"code": "Desk 1"}, "code", "BAD_CODE", "desk-1"),
        ({"code": ""}, "code", "BAD_CODE", None),
        ({"code": "a" * 65}, "code", "BAD_CODE", "a" * 64),
        ({"exchange": "krakken"}, "exchange", "EXCHANGE_UNKNOWN", "kraken"),
        ({"exchange": "Binance"}, "exchange", "EXCHANGE_UNKNOWN", "binance"),
        ({"rest_url": "ftp://host"}, "rest_url", "BAD_URL", None),
        ({"rest_url": "http://"}, "rest_url", "BAD_URL", None),
        ({"rest_url": "http://host:99999"}, "rest_url", "BAD_URL", None),
        ({"rest_url": "http://ho st/"}, "rest_url", "BAD_URL", None),
        ({"rest_url": "http://u:p@host/"}, "rest_url", "CREDENTIALS_IN_URL", None),
        ({"ws_url": "http://host"}, "ws_url", "BAD_URL", None),
        ({"rest_url": "", "ws_url": "ws://host"}, "rest_url", "REQUIRED", None),
    ],
)
def test_what_cannot_be_taken_is_explained(changes: dict[str, str], field: str, code: str, nearest: str | None) -> None:
    with pytest.raises(Invalid) as refused:
        made(**changes)
    assert (refused.value.field, refused.value.code, refused.value.nearest) == (field, code, nearest)
    assert refused.value.message
    assert not Venue.objects.exists()


def test_custom_addresses_are_a_servers_choice(settings: Settings) -> None:
    settings.CUSTOM_URLS_ALLOWED = False
    with pytest.raises(Invalid) as refused:
        made()
    assert refused.value.code == "CUSTOM_URLS_OFF"
    assert made(rest_url="").environment == "LIVE"


def test_live_needs_both_switches(settings: Settings) -> None:
    venue = made(rest_url="")
    assert not venue.may_trade
    accounts.set_live(venue, True, "olga")
    assert not venue.may_trade
    settings.LIVE_ALLOWED = True
    assert venue.may_trade
    assert accounts.target(venue).may_trade
    accounts.set_live(venue, False, "olga")
    assert not venue.may_trade
    assert [entry.action for entry in AuditEntry.objects.order_by("sequence")][-2:] == [
        "venue.live_on",
        "venue.live_off",
    ]


@pytest.mark.usefixtures("custom")
def test_a_paper_venue_is_not_switched_live() -> None:
    with pytest.raises(Invalid):
        accounts.set_live(made(), True, "olga")


@pytest.mark.usefixtures("custom")
def test_accounts() -> None:
    venue = made()
    account = accounts.create_account(code="a1", venue=venue, label=" Desk ", actor="olga")
    assert (account.status, account.label) == ("new", "Desk")
    with pytest.raises(Invalid):
        accounts.create_account(code="a1", venue=venue, actor="olga")
    with pytest.raises(Invalid) as refused:
        accounts.create_account(code="a2", venue=made(code="v2", exchange="upbit"), actor="olga")
    assert refused.value.code == "NOT_TRADABLE"
    accounts.request_activation(account, actor="olga", waive_probe=True)
    account.refresh_from_db()
    assert account.activation_requested_at is not None
    assert account.probe_waived_by == "olga"


@pytest.mark.usefixtures("custom")
def test_a_status_is_announced_once() -> None:
    account = accounts.create_account(code="a1", venue=made(), actor="olga")
    accounts.set_status(account, AccountStatus.READY, "all proved")
    accounts.set_status(account, AccountStatus.READY, "all proved")
    assert (account.status, account.status_reason) == ("ready", "all proved")
    assert FeedEntry.objects.filter(kind="status_changed").count() == 1
    with pytest.raises(ValueError, match="dancing"):
        accounts.set_status(account, "dancing")
    assert Account.objects.get().status == "ready"
