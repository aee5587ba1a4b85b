"""Who gets in: keys, their limits and their end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from rest_framework.response import Response
from rest_framework.test import APIClient

from project.lib import clock
from project.lib.models import ApiToken, AuditEntry
from tests.conftest import Client
from tests.factories import AccountFactory, UserFactory, make_token

pytestmark = pytest.mark.django_db
ORDERS = "/api/v1/orders/"


def get(key: str, path: str = ORDERS, scheme: str = "Token") -> Response:
    return APIClient().get(path, HTTP_AUTHORIZATION=f"{scheme} {key}")


def test_a_key_opens_the_api_and_is_stored_as_a_hash_only() -> None:
    token, key = make_token("viewer")
    assert key.startswith("gpl_") and len(key) > 40
    assert get(key).status_code == 200
    stored = ApiToken.objects.get()
    assert key not in str(vars(stored)) and stored.prefix == key[:10]
    assert AuditEntry.objects.get(action="token.issue").subject == str(token.id)


@pytest.mark.parametrize("key", ["", "nonsense", "gpl_" + "x" * 43, "y" * 5000, "with space", "ünïcode", "nul\0"])
def test_a_wrong_key_is_refused_with_a_challenge(key: str) -> None:
    answer = get(key)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Token"
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "NOT_AUTHENTICATED"


def test_no_key_at_all_is_refused_with_a_challenge() -> None:
    answer = APIClient().post(ORDERS, {}, format="json")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Token")
    assert answer.json()["outcome"] == "not_sent"


def test_expired_revoked_and_of_an_inactive_person_look_the_same() -> None:
    _, expired = make_token(expires_at=clock.now() - timedelta(seconds=1))
    token, revoked = make_token()
    ApiToken.objects.filter(pk=token.pk).update(revoked_at=clock.now())
    _, inactive = make_token(user=UserFactory(is_active=False))
    bodies = [get(key) for key in (expired, revoked, inactive, "gpl_unknown")]
    assert {answer.status_code for answer in bodies} == {401}
    assert len({answer.content for answer in bodies}) == 1


def test_last_used_is_written_at_most_once_a_minute() -> None:
    token, key = make_token()
    get(key)
    first = ApiToken.objects.get().last_used_at
    get(key)
    assert first is not None and ApiToken.objects.get().last_used_at == first
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=clock.now() - timedelta(seconds=61))
    get(key)
    renewed = ApiToken.objects.get().last_used_at
    assert renewed is not None and renewed > first


def test_a_token_is_made_once_shown_once_and_revoked(api: APIClient) -> None:
    made = api.post("/api/v1/tokens/", {"label": "strategy", "is_read_only": True}, format="json")
    assert made.status_code == 201
    key = made.json()["key"]
    assert get(key).status_code == 200
    assert key not in api.get("/api/v1/tokens/").content.decode()
    assert api.delete(f"/api/v1/tokens/{made.json()['id']}/").status_code == 204
    assert get(key).status_code == 401


def test_a_read_only_key_may_not_write(client_for: Client) -> None:
    client = client_for("admin", is_read_only=True)
    answer = client.post(ORDERS, {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "READ_ONLY_TOKEN")
    assert client.get(ORDERS).status_code == 200


def test_a_limited_key_cannot_make_a_wider_or_longer_one(client_for: Client) -> None:
    own, other = AccountFactory(), AccountFactory()
    end = clock.now() + timedelta(hours=1)
    client = client_for("admin", accounts=[own.code], expires_at=end)
    assert client.post("/api/v1/tokens/", {"label": "x", "accounts": [other.code]}, format="json").status_code == 404
    made = client.post("/api/v1/tokens/", {"label": "x"}, format="json").json()
    assert made["accounts"] == [own.code]
    assert ApiToken.objects.get(pk=made["id"]).expires_at == end


def test_another_persons_token_is_not_there(api: APIClient) -> None:
    foreign, key = make_token("viewer")
    assert api.get(f"/api/v1/tokens/{foreign.id}/").status_code == 404
    assert api.delete(f"/api/v1/tokens/{foreign.id}/").status_code == 404
    assert get(key).status_code == 200


def test_a_person_without_a_role_sees_nothing() -> None:
    _, key = make_token(user=UserFactory())
    assert get(key).status_code == 403


def test_tokens_are_listed_by_the_account_they_reach(api: APIClient) -> None:
    own, other = AccountFactory(), AccountFactory()
    for label, accounts in (("own", [own.code]), ("other", [other.code])):
        api.post("/api/v1/tokens/", {"label": label, "accounts": accounts}, format="json")
    shown = api.get(f"/api/v1/tokens/?account={own.code}").json()["results"]
    assert [token["label"] for token in shown] == ["own", "admin-key"]
