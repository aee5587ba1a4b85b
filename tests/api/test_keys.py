"""Keys after they are stored, and a venue's limits, over the API: candidates, waivers, withdrawal; budgets and stops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rest_framework.response import Response
from rest_framework.test import APIClient

from project.lib.models import AuditEntry
from tests import factories
from tests.conftest import Client
from venues import accounts, budget_leases, key_files
from venues.budgets import Halted, Pool
from venues.models import Credential, Venue
from venues.ratelimit import rules_for

VENUES, ACCOUNTS = "/api/v1/venues/", "/api/v1/accounts/"
CANARY = "canary-Zm9vYmFy-7731"


@pytest.fixture(autouse=True)
def pair(settings: Any, tmp_path: Path) -> None:
    """Give the executors a key pair of this test's own."""
    settings.EXECUTOR_PUBLIC_KEY_FILE = tmp_path / "public.pem"
    key_files.generate_keypair(tmp_path / "private.pem", tmp_path / "public.pem")


def post(api: APIClient, path: str, body: dict[str, Any]) -> Response:
    return api.post(path, body, format="json")


def test_a_second_key_waits_for_its_proof_and_a_second_person_waives(client_for: Client) -> None:
    account = factories.AccountFactory(status="ready")
    factories.CredentialFactory(account=account, state="active", probe_result="trade without withdraw")
    path = f"{ACCOUNTS}{account.code}/keys/"
    enterer, risk = client_for("operator"), client_for("risk")
    made = post(enterer, path, {"api_key": CANARY, "secret": CANARY, "expires_at": "2020-01-01T00:00:00Z"}).json()
    assert (made["state"], made["is_active"]) == ("candidate", False)
    assert made["warning"].startswith("expired") and CANARY not in json.dumps(made)
    Credential.objects.filter(pk=made["id"]).update(
        state="refused", probe_result="refused: the venue does not say what this key may do"
    )
    waiver = f"{path}{made['id']}/waiver/"
    assert post(enterer, waiver, {"reason": "mine"}).status_code == 403
    assert post(risk, waiver, {}).status_code == 400
    waived = post(risk, waiver, {"reason": "asked the venue"}).json()
    assert (waived["state"], waived["waived_by"]) == ("candidate", "token:risk-key")
    assert AuditEntry.objects.filter(action="credential.waived").exists()
    gone = enterer.delete(f"{path}{made['id']}/").json()
    assert (gone["state"], bytes(Credential.objects.get(pk=made["id"]).ciphertext)) == ("retired", b"")
    assert post(risk, waiver, {"reason": "again"}).json()["code"] == "KEY_GONE"


def test_whoever_entered_a_key_cannot_waive_it_by_another_token(client_for: Client) -> None:
    account, person = factories.AccountFactory(status="new"), factories.UserFactory(role="admin")
    path = f"{ACCOUNTS}{account.code}/keys/"
    made = post(client_for(user=person, label="one"), path, {"api_key": "key", "secret": "secret"}).json()
    Credential.objects.update(probe_result="refused: the venue does not say what this key may do")
    answer = post(client_for(user=person, label="two"), f"{path}{made['id']}/waiver/", {"reason": "me again"})
    assert (answer.status_code, answer.json()["code"]) == (409, "SAME_PERSON")


def test_a_test_server_declares_limits_and_budgets_and_stops_are_shown(api: APIClient, settings: Any) -> None:
    settings.CUSTOM_URLS_ALLOWED = True
    body = {"code": "limited", "exchange": "binance", "rest_url": "http://127.0.0.1:9/x", "limits": {"per_second": 5}}
    assert post(api, VENUES, body).json()["limits"] == {"per_second": 5.0}
    real = {"code": "real", "exchange": "binance", "limits": {"per_second": 5}}
    assert post(api, VENUES, real).json()["errors"][0]["code"] == "LIMITS_NEED_REST_URL"
    venue = Venue.objects.get(code="limited")
    [limit] = accounts.target(venue).limits
    assert limit == (5.0, 5.0)
    pool = Pool(is_leased=True)
    pool.budget(
        accounts.target(venue),
        "desk",
        "key",
        rules_for("binance", is_test_server=True, declared=[limit]),
        is_shared=True,
    )
    stopped = [Halted(group="http://127.0.0.1:9/x@", seconds=60, reason="HTTP 418 GET /")]
    budget_leases.renew("executor-1", pool.asks(), pool.groups(), stopped)
    shown = api.get(f"{VENUES}limited/").json()
    assert [(row["bucket"], row["capacity"], row["remaining"], row["account"]) for row in shown["budgets"]] == [
        ("declared", 5, 5, "")
    ]
    assert shown["stops"][0]["reason"] == "HTTP 418 GET /"
