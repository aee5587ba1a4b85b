"""Rules, the history of coverage and the statistics of breaks over HTTP."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from project.lib import clock
from reconciliation.models import Rule
from tests import factories
from tests.conftest import Client

pytestmark = pytest.mark.django_db
RULE: dict[str, Any] = {"code": "dust", "action": "tolerate", "kinds": ["balance"], "usd": "1.5", "reason": "rests"}


def test_a_version_from_draft_to_retired(api: APIClient) -> None:
    factories.BreakFactory(kind="balance", delta=Decimal("0.4"), severity_usd=Decimal("0.40"))
    made = api.post("/api/v1/rules/", RULE, format="json")
    rule = made.json()
    assert (made.status_code, rule["status"], rule["version"], rule["usd"], rule["absolute"]) == (
        201,
        "draft",
        1,
        "1.5",
        None,
    )
    url = f"/api/v1/rules/{rule['id']}/"
    refused = api.post(f"{url}activation/", {"dry_run": "0" * 64}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "REFUSED")
    dry = api.post(f"{url}dry-runs/", {"days": 7}, format="json")
    assert (dry.status_code, dry.json()["result"]["groups"]["tolerated"]["count"]) == (201, 1)
    active = api.post(f"{url}activation/", {"dry_run": dry.json()["digest"]}, format="json")
    assert (active.status_code, active.json()["status"]) == (200, "active")
    second = api.post("/api/v1/rules/", {**RULE, "usd": "2"}, format="json").json()
    assert (second["version"], second["status"]) == (2, "draft")
    assert [row["id"] for row in api.get("/api/v1/rules/?is_draft=true").json()["results"]] == [second["id"]]
    assert api.delete(url).json()["status"] == "retired" and api.delete(url).status_code == 409
    assert len(api.get(f"{url}dry-runs/").json()["results"]) == 1


@pytest.mark.parametrize(
    ("values", "status", "field"),
    [
        ({"usd": 1.5}, 400, "usd"),
        ({"usd": "1.555"}, 400, "usd"),
        ({"usd": "-1"}, 400, "usd"),
        ({"usd": "NaN"}, 400, "usd"),
        ({"basis_points": "100000000"}, 400, "basis_points"),
        ({"absolute": "1" + "0" * 20}, 400, "absolute"),
        ({"kinds": ["nothing"]}, 400, "kinds"),
        ({"grace_seconds": 4000}, 400, "grace_seconds"),
        ({"code": "no spaces"}, 400, "code"),
        ({"usd": None}, 409, ""),
        ({"kinds": ["overfill"]}, 409, ""),
        ({"scope": "account:nobody"}, 409, ""),
    ],
)
def test_a_rule_that_is_wrong_is_refused_and_named(
    api: APIClient, values: dict[str, Any], status: int, field: str
) -> None:
    answer = api.post("/api/v1/rules/", {**RULE, **values}, format="json")
    assert answer.status_code == status, answer.json()
    if field:
        assert answer.json()["errors"][0]["field"].startswith(field)
    assert not Rule.objects.exists()


def test_what_a_rule_did_to_breaks_is_for_those_who_see_all_accounts(client_for: Client) -> None:
    rule, account = factories.RuleFactory(), factories.AccountFactory()
    limited = client_for("risk", accounts=[account.code])
    assert limited.get(f"/api/v1/rules/{rule.pk}/").status_code == 200
    for answer in (limited.get(f"/api/v1/rules/{rule.pk}/dry-runs/"), limited.post(f"/api/v1/rules/{rule.pk}/dry-runs/", {}, format="json"),
                   limited.post("/api/v1/rules/", RULE, format="json"), limited.delete(f"/api/v1/rules/{rule.pk}/")):  # fmt: skip
        assert answer.status_code == 403


def test_statistics_count_per_day_and_kind_within_the_callers_accounts(api: APIClient, client_for: Client) -> None:
    own, other = factories.AccountFactory(), factories.AccountFactory()
    now = clock.now()
    for account, seconds in ((own, 60), (own, 180), (other, 600)):
        factories.BreakFactory(
            account=account,
            kind="balance",
            status="resolved",
            opened_at=now - timedelta(seconds=seconds),
            resolved_at=now,
        )
    factories.BreakFactory(account=own, kind="position", status="open", opened_at=now)
    factories.RunFactory(account=own)
    told = api.get("/api/v1/breaks/statistics/?days=2").json()
    kinds = {row["kind"]: row for row in told["kinds"]}
    assert (kinds["balance"]["closed"], kinds["balance"]["median_seconds"]) == (3, "180")
    assert (kinds["position"]["open"], kinds["position"]["p90_seconds"]) == (1, None)
    assert len(told["per_day"]) == 2 and sum(day["closed"] for day in told["per_day"]) == 3
    mine = client_for("viewer", accounts=[own.code]).get("/api/v1/breaks/statistics/").json()
    assert {row["kind"]: row["closed"] for row in mine["kinds"]} == {"balance": 2, "position": 0}
    assert api.get(f"/api/v1/breaks/statistics/?account={other.code}").json()["kinds"][0]["closed"] == 1
    assert (
        client_for("viewer", accounts=[own.code]).get(f"/api/v1/breaks/statistics/?account={other.code}").status_code
        == 404
    )
    for days in ("0", "366", "x", "1" * 30):
        assert api.get(f"/api/v1/breaks/statistics/?days={days}").status_code == 400
