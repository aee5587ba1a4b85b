"""Probes, index and schema."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from rest_framework.test import APIClient

from project.lib import clock
from tests import factories
from tests.conftest import Client

pytestmark = pytest.mark.django_db


def ready() -> tuple[int, dict[str, Any]]:
    answer = APIClient().get("/readyz")
    return answer.status_code, answer.json()


def test_healthz_names_version_and_role() -> None:
    answer = APIClient().get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "version": settings.VERSION, "role": settings.ROLE}


def test_ready_means_database_migrations_and_a_fresh_lease_per_trading_account() -> None:
    assert ready()[0] == 200
    factories.AccountFactory(status="new")
    assert ready()[0] == 200
    account = factories.AccountFactory(status="ready")
    status, body = ready()
    assert (status, body["failing"]) == (503, ["executor"]) and account.code in body["checks"]["executor"]
    lease = factories.LeaseFactory(account=account)
    assert ready()[0] == 200
    lease.renewed_at = clock.now() - timedelta(seconds=16)
    lease.save()
    assert ready()[0] == 503


def test_a_database_that_does_not_answer_is_named() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE venues_account RENAME TO venues_lost")
    status, body = ready()
    assert (status, body["failing"][0]) == (503, "database")


def test_the_index_leads_everywhere(api: APIClient) -> None:
    index = api.get("/api/v1/").json()
    assert index["version"] == settings.VERSION
    for name, url in index["resources"].items():
        assert api.get(url).status_code == 200, name


def test_the_schema_is_openapi_31_and_complete(api: APIClient) -> None:
    schema = api.get("/api/v1/schema/").json()
    assert schema["openapi"].startswith("3.1")
    expected = {
        ("/api/v1/orders/", "post"), ("/api/v1/orders/{id}/cancellation/", "post"), ("/api/v1/halts/{id}/", "delete"),
        ("/api/v1/accounts/{code}/keys/", "post"), ("/api/v1/dead-letters/{id}/binding/", "post"),
        ("/api/v1/events/", "get"), ("/api/v1/breaks/{id}/resolution/", "post"),
    }  # fmt: skip
    operations = {(path, method): one for path, methods in schema["paths"].items() for method, one in methods.items()}
    assert expected <= set(operations)
    for name, operation in operations.items():
        assert operation["responses"]["4XX"]["content"]["application/problem+json"], name
        assert operation["security"], name
    order = schema["components"]["schemas"]["OrderOutput"]["properties"]
    assert (order["quantity"]["type"], order["quantity"]["format"]) == ("string", "decimal")
    assert set(order["price"]["type"]) == {"string", "null"}
    parameters = {one["name"] for one in operations["/api/v1/orders/", "get"]["parameters"]}
    assert {"account", "client_order_id", "status", "symbol", "limit", "cursor"} <= parameters
    posted = operations["/api/v1/orders/", "post"]
    assert set(posted["responses"]) == {"200", "202", "4XX", "5XX"}
    assert "secret" not in schema["components"]["schemas"]["KeyOutput"]["properties"]


def test_the_schema_needs_a_key_and_any_role_does(client_for: Client) -> None:
    assert APIClient().get("/api/v1/schema/").status_code == 401
    assert client_for("viewer").get("/api/v1/schema/").status_code == 200
