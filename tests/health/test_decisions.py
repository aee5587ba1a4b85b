"""A code nobody knows becomes a case; a person decides; every executor goes by it from the next answer on."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from orders import error_cases, resolver
from orders.models import Anomaly
from orders.owner import Owner
from project.lib.models import AuditEntry
from tests import factories
from tests.regressions.rig import Rig
from tests.venues.desk import until
from venues import decisions
from venues.accounts import Invalid
from venues.facts.shapes import Row
from venues.models import Account, ErrorCase, ErrorDecision
from venues.refresh import Refresher
from venues.rulebook import Rulebook, verdict_of

PLAIN: dict[str, Any] = {
    "family": "binance", "operation": "submit", "venue_code": "-9999", "ruling": "definitive_reject", "note": "their page",
}  # fmt: skip


def case(**changes: Any) -> ErrorCase:
    seen = {
        "operation": "submit", "venue_code": "-9999", "message": "no such rule", "http_status": 400,
        "exception_class": "ExchangeError", "outcome": "unknown", "code": "OUTCOME_UNKNOWN", **changes,
    }  # fmt: skip
    order = factories.OrderFactory(status="unknown")
    Anomaly.objects.create(
        account=order.account, order=order, kind="unclassified_answer", subject=str(order.pk), data=seen
    )
    assert error_cases.gather() == 1
    return ErrorCase.objects.latest("last_seen_at")


async def test_from_an_unknown_code_to_a_row_without_a_restart(rig: Rig) -> None:
    rulebook = Rulebook()
    gateway = rig.service.gateway
    gateway._adapter.decided = lambda action: rulebook.rows(gateway.capabilities.family, rig.account.venue_id, action)
    refresher = Refresher(rulebook)
    refresher.start()
    rig.fault("unknown_reject", "create_order", count=3)
    first = await rig.submitted()
    assert first.status == "unknown"
    assert await rig.of(error_cases.gather) == 1
    found = await rig.of(ErrorCase.objects.get)
    assert (found.family, found.operation, found.venue_code) == ("binance", "submit", "-9999")
    assert (found.exception_class, found.judged_outcome, found.count) == ("ExchangeError", "unknown", 1)
    assert (await rig.of(lambda: error_cases.waiting_on([found.pk]))) == {found.pk: [str(first.pk)]}

    second = await rig.submitted()
    await rig.of(error_cases.gather)
    assert [row.count for row in await rig.of(lambda: list(ErrorCase.objects.all()))] == [2]

    made = await rig.of(lambda: decisions.make(**PLAIN, reason_code="RULE_BROKEN", actor="ada"))
    refresher.wake()
    await until(lambda: rulebook.rows("binance", "", "submit"))
    third = await rig.submitted()
    assert (third.status, third.reason_code, third.reason_venue_code) == ("rejected", "RULE_BROKEN", "-9999")
    assert await rig.of(error_cases.gather) == 0
    assert (await rig.of(ErrorCase.objects.get)).decision_id == made.pk

    # what was unknown before stays so until it is proved, as ever
    assert {(await rig.fresh(order)).status for order in (first, second)} == {"unknown"}
    await resolver.resolve(rig.service)
    assert {(await rig.fresh(order)).status for order in (first, second)} == {"unknown"}

    await rig.of(lambda: decisions.revoke(made, "their page was wrong", "bob"))
    refresher.wake()
    await until(lambda: not rulebook.rows("binance", "", "submit"))
    refresher.stop()


async def test_a_refused_cancel_that_nobody_knows_is_a_case_of_its_own(rig: Rig) -> None:
    order = await rig.submitted()
    rig.fault("unknown_reject", "cancel_order")
    await rig.cancel(order)
    assert await rig.of(error_cases.gather) == 1
    found = await rig.of(ErrorCase.objects.get)
    assert found.operation == "cancel"
    assert await rig.of(lambda: error_cases.waiting_on([found.pk])) == {found.pk: [str(order.pk)]}


@pytest.mark.parametrize(("exchange", "code"), [("binance", "-9999"), ("kraken", "EOrder:A rule*")])
async def test_a_refused_key_pauses_orders_and_never_cancels(rig: Rig, exchange: str, code: str) -> None:
    order = await rig.submitted()
    row = Row(code, "", verdict_of("auth", "KEY_REFUSED", is_transient=False, cause="system"))
    rig.service.gateway._adapter.decided = lambda action: (row,)
    rig.fault("unknown_reject", "create_order")
    refused = await rig.submitted()
    assert (refused.status, refused.reason_code) == ("rejected", "KEY_REFUSED")
    assert "KEY_REFUSED" in rig.service.gateway.paused
    assert (await rig.submitted()).status == "queued"
    assert await rig.cancel(order)
    assert (await rig.service.gateway.permissions()) is not None
    assert rig.service.gateway.paused == ""
    assert (await rig.submitted()).status == "open"


async def test_a_refusal_for_the_venues_own_reasons_is_an_error_of_its_channel(rig: Rig) -> None:
    await rig.submitted(quantity="50")  # more than the account has: the order's own fault
    assert rig.service.gateway.health()["submit"].recent_errors == 0
    rig.fault("rate_limited", "create_order", params={"seconds": 0})
    await rig.submitted()
    stats = rig.service.gateway.health()["submit"]
    assert (stats.recent_requests, stats.recent_errors, stats.errors, stats.breaker) == (2, 1, 1, "closed")


async def test_the_account_says_that_its_orders_wait_and_denies_what_waits_too_long(rig: Rig) -> None:
    service = rig.service
    owner = Owner(service.lease, service.writer, dataclasses.replace(service.timing, not_ready_seconds=0), None)  # type: ignore[arg-type]
    owner.service = service
    service.gateway.paused = "orders wait, the venue refuses the key: KEY_REFUSED -2015"
    task = asyncio.create_task(owner._follow_pause(service))
    account = await _until_status(rig, "halted")
    assert "KEY_REFUSED -2015" in account.status_reason
    order = await rig.queued()
    await owner.deny_stale()
    order = await rig.fresh(order)
    assert (order.status, order.reason_code) == ("denied", "ACCOUNT_NOT_READY")
    assert "the venue refuses the key" in order.reason_message
    service.gateway.paused = ""
    await _until_status(rig, "ready")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _until_status(rig: Rig, status: str) -> Account:
    for _ in range(500):
        found = await rig.of(lambda: Account.objects.get(pk=rig.account.pk))
        if found.status == status:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"the account stays {found.status}")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"family": "nowhere"}, "family"),
        ({"family": "okxus"}, "family"),
        ({"venue": "nowhere"}, "venue"),
        ({"operation": "read"}, "operation"),
        ({"venue_code": ""}, "venue_code"),
        ({"venue_code": "-*", "fragment": "abc"}, "venue_code"),
        ({"ruling": "accepted"}, "ruling"),
        ({"fragment": "Duplicate"}, "ruling"),
        ({"reason_code": "too bad"}, "reason_code"),
        ({"cause": "fate"}, "cause"),
        ({"note": " "}, "note"),
    ],
)
def test_what_cannot_be_decided(db: None, changes: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        decisions.make(**(PLAIN | changes), actor="ada")
    assert refused.value.field == field
    assert not ErrorDecision.objects.exists()


def test_a_decision_closes_the_cases_it_answers_and_is_audited(db: None) -> None:
    mine, other = case(), case(venue_code="-9998")
    made = decisions.make(**PLAIN, actor="ada")
    assert ErrorCase.objects.get(pk=mine.pk).decision == made
    assert ErrorCase.objects.get(pk=other.pk).decision is None
    entry = AuditEntry.objects.get(action="error_decision.make")
    assert (entry.actor, entry.subject, entry.detail["cases"]) == ("ada", str(made.pk), [str(mine.pk)])
    again = case()  # it came from an executor that did not know yet: a new case, for it was unclassified there
    assert again.pk != mine.pk
    decisions.revoke(made, "wrong", "bob")
    with pytest.raises(Invalid, match="revoked already"):
        decisions.revoke(made, "wrong", "bob")
    assert decisions.in_force() == []
    assert AuditEntry.objects.filter(action="error_decision.revoke", actor="bob").count() == 1


def api(role: str, **options: Any) -> APIClient:
    _, key = factories.make_token(role, **options)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {key}")
    return client


def test_decisions_over_http(db: None) -> None:
    found = case()
    path = "/api/v1/error-decisions/"
    assert api("operator").post(path, PLAIN, format="json").status_code == 403
    limited = api("risk", accounts=[factories.AccountFactory().code])
    assert limited.post(path, PLAIN, format="json").status_code == 403
    client = api("risk")
    refused = client.post(path, PLAIN | {"ruling": "ambigous"}, format="json")
    assert refused.status_code == 400
    assert client.post(path, PLAIN | {"fragment": "Duplicate"}, format="json").json()["errors"][0]["field"] == "ruling"
    [shown] = client.get("/api/v1/error-cases/?is_open=true").json()["results"]
    assert (shown["id"], shown["count"], len(shown["orders_waiting"])) == (str(found.pk), 1, 1)
    assert shown["suggested_ruling"] == "ambiguous"
    made = client.post(path, PLAIN, format="json")
    assert made.status_code == 201
    assert client.get("/api/v1/error-cases/?is_open=true").json()["results"] == []
    [listed] = client.get(f"{path}?in_force=true&family=binance").json()["results"]
    assert listed == made.json()
    one = f"{path}{listed['id']}/"
    assert client.delete(one, {"reason": "wrong"}, format="json").json()["revoked_by"].startswith("token:")
    assert client.delete(one, {"reason": "wrong"}, format="json").status_code == 409


def test_the_page_shows_a_case_and_takes_a_decision(db: None) -> None:
    found = case(exception_class="InsufficientFunds", outcome="rejected", code="INSUFFICIENT_FUNDS")
    client = Client()
    client.force_login(factories.UserFactory(role="risk"))
    assert "-9999" in client.get("/error-codes/").content.decode()
    page = client.get(f"/error-codes/{found.pk}/").content.decode()
    assert "no such rule" in page and "INSUFFICIENT_FUNDS" in page
    wrong = client.post(f"/error-codes/{found.pk}/", PLAIN | {"note": "", "cause": "system"})
    assert wrong.status_code == 422
    done = client.post(f"/error-codes/{found.pk}/", PLAIN | {"cause": "system"})
    assert done.status_code == 303
    made = ErrorDecision.objects.get()
    assert ErrorCase.objects.get().decision == made
    client.post(f"/error-codes/decisions/{made.pk}/revocation/", {"reason": "wrong"})
    made.refresh_from_db()
    assert made.revoke_reason == "wrong"
    reader = Client()
    reader.force_login(factories.UserFactory(role="viewer"))
    assert reader.post("/error-codes/", PLAIN).status_code == 403
