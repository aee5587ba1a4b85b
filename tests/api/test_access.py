"""Endpoint by role by account: every cell of the table, generated, and nothing reachable that is not in it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from orders.models import OrderGroup
from project import api_urls
from project.lib import clock
from project.lib.access import ROLES
from reconciliation.models import StatementMapping
from risk import reactions
from tests import factories
from tests.conftest import Client
from venues import decisions, maintenance

READ = frozenset(ROLES)
TRADE = frozenset({"trader", "operator", "admin"})
OPERATE = frozenset({"operator", "admin"})
RISK = frozenset({"risk", "admin"})
APPROVE = frozenset({"approver", "admin"})
DECISION: dict[str, Any] = {
    "family": "binance", "operation": "submit", "venue_code": "-9999", "ruling": "ambiguous", "note": "their page",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One endpoint and method: who may, which row of an account its path or body names."""

    method: str
    path: str
    roles: frozenset[str]
    target: str = ""
    is_shared: bool = False  # belongs to no account: a limited token sees it too


TABLE = [
    *(Row("GET", name, READ) for name in (
        "venues", "accounts", "instruments", "orders", "order-groups", "fills", "transfers", "positions", "balances", "portfolio", "ledger", "dead-letters",
        "breaks", "breaks/counts", "breaks/statistics", "capabilities", "coverage", "coverage/history", "rules", "reconciliations", "halts", "events", "tokens", "error-cases", "error-decisions",
        "maintenance-windows", "reactions", "firings", "stream-sessions", "approvals", "statements", "statement-mappings")),
    Row("POST", "venues", OPERATE), Row("POST", "accounts", OPERATE), Row("POST", "tokens", READ),
    Row("GET", "venues/{}", READ, "venue"), Row("PATCH", "venues/{}", frozenset({"admin"}), "venue"),
    Row("GET", "accounts/{}", READ, "account"), Row("GET", "accounts/{}/keys", READ, "account"),
    Row("POST", "accounts/{}/keys", OPERATE, "account"), Row("POST", "accounts/{}/activation", OPERATE, "account"),
    Row("GET", "accounts/{}/keys/{}", READ, "key"), Row("DELETE", "accounts/{}/keys/{}", OPERATE, "key"),
    Row("POST", "accounts/{}/keys/{}/waiver", RISK, "key"),
    Row("POST", "orders", TRADE, "account="), Row("GET", "orders/{}", READ, "order"),
    Row("PATCH", "orders/{}", TRADE, "order"), Row("GET", "orders/{}/events", READ, "order"),
    Row("POST", "orders/{}/cancellation", TRADE, "order"), Row("GET", "orders/{}/wishes", READ, "order"),
    Row("POST", "order-groups", TRADE, "account="), Row("GET", "order-groups/{}", READ, "group"),
    Row("POST", "order-groups/{}/cancellation", TRADE, "group"),
    Row("GET", "dead-letters/{}", READ, "dead_letter"), Row("POST", "dead-letters/{}/look", RISK, "dead_letter"),
    Row("POST", "dead-letters/{}/binding", RISK, "dead_letter"), Row("POST", "dead-letters/{}/absence", RISK, "dead_letter"),
    Row("GET", "breaks/{}", READ, "break"), Row("POST", "breaks/{}/resolution", RISK, "break"),
    Row("GET", "breaks/{}/events", READ, "break"),
    *(Row("POST", f"breaks/{{}}/{name}", RISK, "break") for name in (
        "assignment", "notes", "waiting", "snooze", "cause", "reopening", "lines")),
    *(Row("DELETE", f"breaks/{{}}/{name}", RISK, "break") for name in ("waiting", "snooze", "lines")),
    Row("GET", "breaks/{}/lines", READ, "break"), Row("GET", "breaks/{}/bundle", READ, "break"),
    Row("GET", "breaks/{}/resolution", READ, "break"), Row("POST", "breaks/{}/reversal", RISK, "break"),
    Row("GET", "approvals/{}", READ, "approval"), Row("POST", "approvals/{}/decision", APPROVE, "approval"),
    Row("POST", "approvals/{}/withdrawal", READ, "approval"),
    Row("POST", "reconciliations", OPERATE, "account="), Row("GET", "reconciliations/{}", READ, "run"),
    Row("POST", "halts", RISK, "scope="), Row("GET", "halts/{}", READ, "halt"), Row("DELETE", "halts/{}", RISK, "halt"),
    Row("POST", "accounts/{}/draining", OPERATE, "account"), Row("DELETE", "accounts/{}/draining", OPERATE, "account"),
    Row("POST", "venues/{}/draining", OPERATE, "venue", True), Row("DELETE", "venues/{}/draining", OPERATE, "venue", True),
    Row("POST", "maintenance-windows", OPERATE | RISK), Row("GET", "maintenance-windows/{}", READ, "window", True),
    Row("DELETE", "maintenance-windows/{}", OPERATE | RISK, "window", True),
    Row("POST", "rules", RISK), Row("GET", "rules/{}", READ, "rule", True), Row("DELETE", "rules/{}", RISK, "rule", True),
    Row("GET", "rules/{}/dry-runs", READ, "rule", True), Row("POST", "rules/{}/dry-runs", RISK, "rule", True), Row("POST", "rules/{}/activation", RISK, "rule", True),
    Row("POST", "statements", OPERATE | RISK, "account="), Row("GET", "statements/{}", READ, "statement"),
    Row("POST", "statement-mappings", OPERATE | RISK),
    Row("POST", "reactions", RISK), Row("GET", "reactions/{}", READ, "reaction", True),
    Row("DELETE", "reactions/{}", RISK, "reaction", True),
    Row("POST", "error-decisions", RISK), Row("GET", "error-decisions/{}", READ, "decision", True),
    Row("DELETE", "error-decisions/{}", RISK, "decision", True),
    Row("GET", "tokens/{}", READ, "token"), Row("DELETE", "tokens/{}", READ, "token"),
]  # fmt: skip


REACTION: dict[str, Any] = {
    "trigger": "score_below", "threshold": 50, "action": "alert", "release": "calm", "reason": "testing",
}  # fmt: skip


def planned(account: Any) -> dict[str, Any]:
    begins = clock.now() + timedelta(hours=1)
    return {
        "venue": account.venue_id, "starts_at": begins, "ends_at": begins + timedelta(hours=1), "reason": "announced",
    }  # fmt: skip


def names(row: Row) -> str:
    return f"{row.method} {row.path}"


def target(kind: str, account: Any) -> str:
    makers: dict[str, Any] = {
        "venue": lambda: account.venue_id,
        "account": lambda: account.code,
        "key": lambda: f"{account.code} {factories.CredentialFactory(account=account).pk}",
        "order": lambda: factories.OrderFactory(account=account).pk,
        "group": lambda: OrderGroup.objects.create(account=account, client_group_id=uuid.uuid4().hex, kind="oco").pk,
        "dead_letter": lambda: factories.DeadLetterFactory(order__account=account).pk,
        "break": lambda: factories.BreakFactory(account=account).pk,
        "approval": lambda: factories.ApprovalFactory(account=account).pk,
        "run": lambda: factories.RunFactory(account=account).pk,
        "halt": lambda: factories.HaltFactory(scope=f"account:{account.code}").pk,
        "token": lambda: factories.make_token("admin")[0].pk,
        "window": lambda: maintenance.plan(**planned(account), actor="ada").pk,
        "rule": lambda: factories.RuleFactory().pk,
        "statement": lambda: factories.StatementFactory(account=account, mapping__venue=account.venue).pk,
        "reaction": lambda: reactions.make(**REACTION, actor="ada").pk,
        "decision": lambda: decisions.make(**DECISION, actor="ada").pk,
    }
    return str(makers[kind]()) if kind in makers else ""


def body(row: Row, account: Any) -> dict[str, Any]:
    bodies: dict[str, dict[str, Any]] = {
        "orders": {"client_order_id": uuid.uuid4().hex, "account": account.code, "symbol": "BTC/USDT", "side": "buy",
                   "type": "limit", "quantity": "0.01", "price": "60000"},
        "order-groups": {"client_group_id": uuid.uuid4().hex, "account": account.code, "kind": "scaled", "symbol": "BTC/USDT",
                         "side": "buy", "quantity": "1", "price_from": "60000", "price_to": "59000", "count": 2},
        "reconciliations": {"account": account.code},
        "halts": {"scope": f"account:{account.code}", "reason": "testing"},
        "breaks/{}/resolution": {"action": "explain", "reason": "known"},
        "breaks/{}/assignment": {"owner": factories.UserFactory().username},
        "breaks/{}/reversal": {"reason": "wrong"},
        "breaks/{}/reopening": {"reason": "not convinced"},
        "breaks/{}/notes": {"text": "seen"},
        "breaks/{}/waiting": {"asked": "ticket 7"} if row.method == "POST" else {},
        "breaks/{}/snooze": {"until": (clock.now() + timedelta(hours=1)).isoformat()} if row.method == "POST" else {},
        "breaks/{}/cause": {"cause": "fee"},
        "breaks/{}/lines": {"amount": "1", "note": "by letter"} if row.method == "POST" else {"lines": [1]},
        "approvals/{}/decision": {"decision": "approve", "change_hash": "0" * 64},
        "dead-letters/{}/binding": {"venue_order_id": "1", "reason": "seen there"},
        "dead-letters/{}/absence": {"reason": "asked the venue"},
        "halts/{}": {"reason": "over"},
        "venues/{}": {"is_live": False},
        "statements": {"account": account.code, "file": SimpleUploadedFile("june.csv", b"a,b\n")},
        "statement-mappings": {"venue": account.venue_id, "preset": "kraken-trades"},
        "error-decisions": DECISION,
        "reactions": REACTION,
        "rules": {"code": "dust", "action": "tolerate", "usd": "1", "reason": "rests"},
        "rules/{}/activation": {"dry_run": "0" * 64},
        "maintenance-windows": {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in planned(account).items()
        },
        "accounts/{}/draining": {"reason": "moving"} if row.method == "POST" else {},
        "venues/{}/draining": {"reason": "moving"} if row.method == "POST" else {},
        "error-decisions/{}": {"reason": "over"},
    }  # fmt: skip
    return bodies.get(row.path, {})


def ask(client: APIClient, row: Row, account: Any) -> int:
    path = f"/api/v1/{row.path.format(*target(row.target, account).split(' '))}/"
    given = None if row.method == "GET" else body(row, account)
    is_form = (row.method, row.path) == ("POST", "statements")
    if is_form and not StatementMapping.objects.filter(venue=account.venue).exists():
        factories.StatementMappingFactory(venue=account.venue)
    answer = getattr(client, row.method.lower())(path, given, format="multipart" if is_form else "json")
    return int(answer.status_code)


@pytest.mark.parametrize("row", TABLE, ids=names)
def test_roles_and_accounts(client_for: Client, row: Row) -> None:
    own, foreign = (factories.InstrumentFactory().venue for _ in range(2))
    mine, theirs = (factories.AccountFactory(venue=venue) for venue in (own, foreign))
    for role in ROLES:
        status = ask(client_for(role), row, mine)
        if role not in row.roles:
            assert status == 403, f"{role} got {status}"
        elif row.target == "token":
            assert status == 404, f"another person's token: {status}"
        else:
            assert status not in (401, 403, 404, 405) and status < 500, f"{role} got {status}"
    if row.target and row.target != "token" and row.method != "PATCH" and not row.is_shared:
        limited = client_for("admin", accounts=[mine.code])
        assert ask(limited, row, theirs) == 404
        assert ask(limited, row, mine) not in (401, 403, 404, 405)
    read_only = client_for("admin", is_read_only=True)
    assert row.method == "GET" or ask(read_only, row, mine) == 403


def test_the_table_names_every_route_and_method() -> None:
    known = {(row.path, row.method) for row in TABLE}
    for pattern in api_urls.urlpatterns:
        path = str(pattern.pattern).replace("<slug:code>", "{}").replace("<uuid:id>", "{}").strip("/")
        if path in ("", "schema", "<path:path>"):
            continue
        view: Any = getattr(pattern.callback, "view_class")  # noqa: B009
        for method in ("get", "post", "put", "patch", "delete"):
            if method in view.http_method_names and hasattr(view, method):
                assert (path, method.upper()) in known, f"{method} {path} has no row in the table"


@pytest.mark.parametrize("path", ["venues", "accounts"])
def test_a_limited_key_changes_nothing_beyond_its_accounts(client_for: Client, path: str) -> None:
    client = client_for("admin", accounts=[factories.AccountFactory().code])
    assert client.post(f"/api/v1/{path}/", {}, format="json").status_code == 403
    for scope in ("global", "venue:x"):
        answer = client.post("/api/v1/halts/", {"scope": scope, "reason": "x"}, format="json")
        assert answer.status_code == 403
    wide = factories.HaltFactory(scope="global")
    assert client.delete(f"/api/v1/halts/{wide.pk}/", {"reason": "x"}, format="json").status_code == 403


def test_a_signed_in_person_needs_the_csrf_token(db: None) -> None:
    person = factories.UserFactory(role="risk")
    client = APIClient(enforce_csrf_checks=True)
    assert client.login(username=person.username, password=factories.PASSWORD)
    wanted = {"scope": "global", "reason": "testing"}
    assert client.post("/api/v1/halts/", wanted, format="json").status_code == 403
    assert client.get("/api/v1/halts/").json()["results"] == []
    client.cookies["csrftoken"] = token = "a" * 32
    answer = client.post("/api/v1/halts/", wanted, format="json", HTTP_X_CSRFTOKEN=token)
    assert (answer.status_code, answer.json()["created_by"]) == (201, person.username)
