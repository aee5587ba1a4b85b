"""Venue, account, key, activation: the way in, and what must not come out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rest_framework.response import Response
from rest_framework.test import APIClient

from project.lib.models import ApiToken, AuditEntry
from tests import factories
from tests.conftest import Client
from venues import credentials, key_files
from venues.models import Account, Credential, Venue

VENUES, ACCOUNTS = "/api/v1/venues/", "/api/v1/accounts/"
CANARY = "canary-Zm9vYmFy-7731"


@pytest.fixture
def keys(settings: Any, tmp_path: Path) -> None:
    settings.EXECUTOR_PRIVATE_KEY_FILE = tmp_path / "private.pem"
    settings.EXECUTOR_PUBLIC_KEY_FILE = tmp_path / "public.pem"
    key_files.generate_keypair(settings.EXECUTOR_PRIVATE_KEY_FILE, settings.EXECUTOR_PUBLIC_KEY_FILE)


def post(api: APIClient, path: str, body: dict[str, Any]) -> Response:
    return api.post(path, body, format="json")


def test_from_nothing_to_an_account_that_asks_to_be_opened(api: APIClient, keys: None, settings: Any) -> None:
    settings.CUSTOM_URLS_ALLOWED = True
    wanted = {"code": "paper-binance", "exchange": "binance", "rest_url": f"{settings.PAPER_URL}/binance/main"}
    venue = post(api, VENUES, wanted)
    assert venue.status_code == 201, venue.content
    assert (venue.json()["environment"], venue.json()["may_trade"]) == ("PAPER", True)
    account = post(api, ACCOUNTS, {"code": "main", "venue": "paper-binance", "label": "Main"})
    assert (account.status_code, account.json()["status"]) == (201, "new")
    sealed = post(api, f"{ACCOUNTS}main/keys/", {"api_key": CANARY, "secret": f" {CANARY} "})
    assert sealed.status_code == 201, sealed.content
    opened = credentials.open_sealed(Credential.objects.get(state="active"))
    assert (opened.api_key, opened.secret) == (CANARY, f" {CANARY} ")
    asked = post(api, f"{ACCOUNTS}main/activation/", {"waive_probe": True})
    assert (asked.status_code, asked.json()["code"]) == (202, "main")
    account_row = Account.objects.get()
    assert account_row.activation_requested_at and account_row.probe_waived_by.startswith("token:")
    assert [entry.action for entry in AuditEntry.objects.order_by("sequence")][1:] == [
        "venue.created", "account.created", "credential.sealed", "account.activation_requested"]  # fmt: skip


def test_a_key_never_comes_out_again(api: APIClient, keys: None) -> None:
    account = factories.AccountFactory()
    path = f"{ACCOUNTS}{account.code}/"
    answers = [post(api, f"{path}keys/", {"api_key": CANARY, "secret": f"{CANARY}2", "passphrase": f"{CANARY}3"})]
    answers += [api.get(url) for url in (f"{path}keys/", path, f"{VENUES}{account.venue_id}/", "/api/v1/events/")]
    for answer in answers:
        assert answer.status_code in (200, 201)
        assert CANARY.encode() not in answer.content.replace(CANARY[-4:].encode(), b"")
    shown = answers[1].json()["results"][0]
    assert (shown["key_suffix"], shown["is_active"], shown["version"]) == (CANARY[-4:], True, 1)
    assert {"api_key", "secret", "passphrase", "ciphertext"}.isdisjoint(shown)


def test_without_the_public_key_the_key_is_refused_not_stored(api: APIClient, settings: Any, tmp_path: Path) -> None:
    settings.EXECUTOR_PUBLIC_KEY_FILE = tmp_path / "missing.pem"
    account = factories.AccountFactory()
    answer = post(api, f"{ACCOUNTS}{account.code}/keys/", {"api_key": "a", "secret": "b"})
    assert (answer.status_code, answer.json()["code"]) == (503, "SECRETS_MISSING")
    assert not Credential.objects.exists()


def test_only_an_admin_waives_the_probe_and_only_with_custom_urls(client_for: Client, settings: Any) -> None:
    path = f"{ACCOUNTS}{factories.AccountFactory().code}/activation/"
    settings.CUSTOM_URLS_ALLOWED = True
    assert post(client_for("operator"), path, {"waive_probe": True}).status_code == 403
    assert post(client_for("operator"), path, {}).status_code == 202
    settings.CUSTOM_URLS_ALLOWED = False
    assert post(client_for("admin"), path, {"waive_probe": True}).json()["code"] == "WAIVER_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("path", "changes", "status", "field", "nearest"),
    [
        (VENUES, {"exchange": "binanse"}, 400, "exchange", "binance"),
        (VENUES, {"code": "Main Venue"}, 400, "code", "main-venue"),
        (VENUES, {"code": "taken"}, 409, "code", None),
        (VENUES, {"rest_url": "ftp://x"}, 400, "rest_url", None),
        (VENUES, {"rest_url": "http://user:secret@127.0.0.1/"}, 400, "rest_url", None),
        (VENUES, {"sandbox": "yes"}, 400, "sandbox", None),
        (VENUES, {"code": None}, 400, "code", None),
        (VENUES, {"kind": "spot"}, 400, "kind", None),
        (ACCOUNTS, {"venue": "takn"}, 404, "venue", "taken"),
        (ACCOUNTS, {"code": "x" * 65}, 400, "code", None),
        (ACCOUNTS, {"label": 7}, 400, "label", None),
    ],
)  # fmt: skip
def test_wrong_venues_and_accounts_name_the_field(
    api: APIClient, settings: Any, path: str, changes: dict[str, Any], status: int, field: str,
    nearest: str | None,
) -> None:  # fmt: skip
    settings.CUSTOM_URLS_ALLOWED = True
    factories.VenueFactory(code="taken")
    right = {"code": "new-venue", "exchange": "binance"} if path == VENUES else {"code": "new", "venue": "taken"}
    answer = post(api, path, {name: value for name, value in {**right, **changes}.items() if value is not None})
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["field"], error.get("nearest_valid")) == (status, field, nearest)
    assert (Venue.objects.count(), Account.objects.count()) == (1, 0)


def test_live_needs_the_switch_of_the_installation_and_an_admin(client_for: Client, settings: Any) -> None:
    venue = factories.VenueFactory(rest_url="")
    path = f"{VENUES}{venue.code}/"
    admin = client_for("admin")
    assert admin.get(path).json()["environment"] == "LIVE"
    settings.LIVE_ALLOWED = False
    refused = admin.patch(path, {"is_live": True}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "LIVE_DISABLED")
    settings.LIVE_ALLOWED = True
    assert client_for("operator").patch(path, {"is_live": True}, format="json").status_code == 403
    assert admin.get(path).json()["may_trade"] is False
    assert admin.patch(path, {"is_live": True}, format="json").json()["may_trade"] is True
    paper = factories.VenueFactory()
    assert admin.patch(f"{VENUES}{paper.code}/", {"is_live": True}, format="json").status_code == 409


def test_a_venue_shows_health_breakers_and_coverage_in_few_queries(
    api: APIClient, django_assert_max_num_queries: Any
) -> None:
    venue = factories.VenueFactory()
    for _ in range(5):
        account = factories.AccountFactory(venue=venue)
        for capability in ("submit", "cancel"):
            factories.ChannelHealthFactory(account=account, capability=capability, breaker="open")
        factories.CoverageFactory(account=account)
    api.get(VENUES)
    with django_assert_max_num_queries(12):
        shown = api.get(f"{VENUES}{venue.code}/").json()
    assert [len(account["channels"]) for account in shown["health"]] == [2] * 5
    assert shown["health"][0]["channels"][0]["breaker"] == "open"
    assert {row["status"] for row in shown["coverage"]} == {"proved"} and len(shown["coverage"]) == 5
    assert ApiToken.objects.count() == 1
