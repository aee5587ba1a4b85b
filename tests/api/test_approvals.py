"""Approvals over HTTP: 202 with the request, the second person's word bound to the hash, accounts kept apart."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from orders.models import Posting
from project.lib import clock
from project.lib.models import AuditEntry
from reconciliation.models import Break
from tests import factories
from tests.conftest import Client
from tests.reconciliation.two_people import REASON, desk, drift, requested

pytestmark = pytest.mark.django_db
ADJUST = {"action": "adjust", "reason": REASON}


def client_of(user: User, **options: Any) -> APIClient:
    _, key = factories.make_token(user=user, **options)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Token {key}")
    return client


def post(client: APIClient, path: str, body: dict[str, Any]) -> Any:
    return client.post(f"/api/v1/{path}/", body, format="json")


def test_an_adjustment_above_the_threshold_answers_with_its_approval(client_for: Client) -> None:
    row = drift(desk())
    risk, second = client_for("risk"), client_for("approver")
    shown = risk.get(f"/api/v1/breaks/{row.id}/resolution/?book=fees").json()
    assert (shown["needs_approval"], shown["entries"][0]["legs"][1]) == (
        True,
        {"book": "fees", "debit": "0.5", "credit": ""},
    )
    assert risk.get(f"/api/v1/breaks/{row.id}/resolution/?book=trading").status_code == 400
    answer = post(risk, f"breaks/{row.id}/resolution", {**ADJUST, "book": "fees", "delta": "-0.5"})
    asked = answer.json()
    assert (answer.status_code, asked["status"], asked["amount_usd"]) == (202, "pending", "30000")
    assert answer["Location"].endswith(f"/api/v1/approvals/{asked['id']}/")
    assert post(risk, f"breaks/{row.id}/resolution", ADJUST).status_code == 409
    wrong = post(second, f"approvals/{asked['id']}/decision", {"decision": "approve", "change_hash": "0" * 64})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "HASH_DIFFERS")
    word = {"decision": "approve", "change_hash": asked["change_hash"]}
    done = post(second, f"approvals/{asked['id']}/decision", word)
    assert (done.status_code, done.json()["status"], len(done.json()["result"]["entries"])) == (200, "approved", 1)
    replayed = post(second, f"approvals/{asked['id']}/decision", word)
    assert (replayed.status_code, replayed.json()["code"]) == (409, "DECIDED")
    assert Posting.objects.filter(cause="adjustment").count() == 2
    assert client_for("viewer").get(f"/api/v1/breaks/{row.id}/").json()["status"] == "resolved"


def test_below_the_threshold_one_person_may(client_for: Client) -> None:
    row, risk = drift(desk(price="100")), client_for("risk")
    answer = post(risk, f"breaks/{row.id}/resolution", ADJUST)
    assert (answer.status_code, answer.json()["resolution"]) == (200, "adjusted")
    back = post(risk, f"breaks/{row.id}/reversal", {"reason": "wrong"})
    assert (back.status_code, back.json()["status"]) == (200, "investigating")
    assert post(risk, f"breaks/{row.id}/reversal", {"reason": "wrong"}).status_code == 409


@pytest.mark.parametrize("decision", ["approve", "refuse"])
def test_the_same_person_is_refused_by_whatever_token_or_session(decision: str) -> None:
    row = drift(desk())
    person = factories.UserFactory(username="ada", role="admin")
    asked = post(client_of(person), f"breaks/{row.id}/resolution", ADJUST).json()
    word = {"decision": decision, "change_hash": asked["change_hash"], "reason": "mine"}
    session = APIClient()
    session.force_login(person)
    state = session.session
    state["password_confirmed_at"] = clock.now().timestamp()
    state.save()
    for client in (client_of(person, label="another token"), session):
        answer = post(client, f"approvals/{asked['id']}/decision", word)
        assert (answer.status_code, answer.json()["code"]) == (403, "SAME_PERSON")
        assert "somebody else has to decide" in answer.json()["detail"]
    assert AuditEntry.objects.filter(action="approval.attempt", detail__refused="SAME_PERSON").count() == 2
    assert not Posting.objects.filter(cause="adjustment").exists()


def test_a_session_confirms_its_password_first() -> None:
    asked = requested(drift(desk()))
    client = APIClient()
    client.force_login(factories.UserFactory(username="bert", role="approver"))
    word = {"decision": "approve", "change_hash": asked.change_hash}
    answer = post(client, f"approvals/{asked.id}/decision", word)
    assert (answer.status_code, answer.json()["code"]) == (403, "CONFIRM_PASSWORD")
    asked.refresh_from_db()
    assert asked.status == "pending"


def test_a_limited_token_sees_and_decides_its_own_accounts_only(client_for: Client) -> None:
    mine, theirs = (requested(drift(desk(code))) for code in ("mine", "theirs"))
    limited = client_for("approver", accounts=["mine"])
    assert [row["id"] for row in limited.get("/api/v1/approvals/").json()["results"]] == [str(mine.id)]
    word = {"decision": "approve", "change_hash": theirs.change_hash}
    assert post(limited, f"approvals/{theirs.id}/decision", word).status_code == 404
    assert limited.get(f"/api/v1/approvals/{theirs.id}/").status_code == 404
    assert limited.get("/api/v1/approvals/?account=theirs").status_code == 404
    assert post(limited, f"approvals/{mine.id}/decision", {**word, "change_hash": mine.change_hash}).status_code == 200
    seen = {entry["account"] for entry in limited.get("/api/v1/events/?topic=approvals").json()["results"]}
    assert seen == {"mine"}


def test_a_request_is_withdrawn_by_its_person_alone(client_for: Client) -> None:
    row = drift(desk())
    person = factories.UserFactory(username="ravi", role="risk")
    client = client_of(person)
    asked = post(client, f"breaks/{row.id}/resolution", ADJUST).json()
    foreign = post(client_for("admin"), f"approvals/{asked['id']}/withdrawal", {})
    assert (foreign.status_code, foreign.json()["code"]) == (409, "NOT_YOURS")
    assert post(client, f"approvals/{asked['id']}/withdrawal", {"reason": "wrong"}).json()["status"] == "withdrawn"
    assert Break.objects.get().status == "investigating"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"decision": "maybe", "change_hash": "x"}, "decision"),
        ({"decision": "approve"}, "change_hash"),
        ({"decision": "approve", "change_hash": 7}, "change_hash"),
        ({"decision": "approve", "change_hash": "x", "by": "me"}, "by"),
    ],
)
def test_a_malformed_decision_names_its_field(client_for: Client, body: dict[str, Any], field: str) -> None:
    asked = requested(drift(desk()))
    answer = post(client_for("approver"), f"approvals/{asked.id}/decision", body)
    assert answer.status_code == 400 and answer.json()["errors"][0]["field"] == field
