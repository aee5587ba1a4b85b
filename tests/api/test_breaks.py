"""The queue of breaks over HTTP: tabs and filters, decisions on the version that was seen, lines, the evidence."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from project.lib import clock
from reconciliation import evidence, queue
from reconciliation.models import Break, BreakEvent
from tests import factories
from tests.conftest import Client
from tests.reconciliation.two_people import desk, drift

pytestmark = pytest.mark.django_db


def send(api: APIClient, row: Break, path: str, body: Any = None, method: str = "post", **headers: str) -> Any:
    return getattr(api, method)(f"/api/v1/breaks/{row.pk}/{path}/", body, format="json", **headers)


def states() -> None:
    """Make a break of every sort."""
    for status in Break.Status.values:
        factories.BreakFactory(status=status, owner="anna" if status == "investigating" else "")
    later, earlier = clock.now() + timedelta(hours=1), clock.now() - timedelta(hours=1)
    factories.BreakFactory(snoozed_until=later, owner="anna")
    factories.BreakFactory(snoozed_until=later, status="waiting_for_venue")
    factories.BreakFactory(snoozed_until=earlier, severity="critical", due_at=earlier)


def test_the_counts_are_what_the_tabs_list(client_for: Client) -> None:
    api = client_for("risk")
    states()
    told = api.get("/api/v1/breaks/counts/").json()
    assert told == {
        "open": 3,
        "mine": 0,
        "waiting_for_venue": 1,
        "awaiting_approval": 1,
        "snoozed": 2,
        "suspected": 1,
        "overdue": 1,
    }
    for tab in queue.COUNTED:
        assert len(api.get(f"/api/v1/breaks/?tab={tab}").json()["results"]) == told[tab], tab
    assert (
        len(api.get("/api/v1/breaks/?tab=all").json()["results"])
        == len(api.get("/api/v1/breaks/").json()["results"])
        == 9
    )
    assert len(api.get("/api/v1/breaks/?overdue=true").json()["results"]) == 1
    for query in ("tab=opne", "overdue=maybe", "cause=fees", "severity=huge"):
        assert api.get(f"/api/v1/breaks/?{query}").status_code == 400, query
    assert [row["severity"] for row in api.get("/api/v1/breaks/?severity=critical,high").json()["results"]] == [
        "critical"
    ]


def test_a_limited_token_counts_its_own_accounts(client_for: Client) -> None:
    mine, theirs = factories.AccountFactory(), factories.AccountFactory()
    factories.BreakFactory(account=mine)
    factories.BreakFactory(account=theirs)
    assert client_for("risk", accounts=[mine.code]).get("/api/v1/breaks/counts/").json()["open"] == 1


def test_from_open_to_resolved_and_back(api: APIClient) -> None:
    row = factories.BreakFactory()
    Group.objects.get_or_create(name="desk")
    person = factories.UserFactory(username="bert")
    steps: list[tuple[str, dict[str, Any], str, str]] = [
        ("assignment", {"owner": person.username, "team": "desk"}, "post", "investigating"),
        ("notes", {"text": "seen"}, "post", "investigating"),
        ("cause", {"cause": "fee"}, "post", "investigating"),
        ("waiting", {"asked": "ticket 7"}, "post", "waiting_for_venue"),
        ("snooze", {"until": (clock.now() + timedelta(hours=1)).isoformat()}, "post", "waiting_for_venue"),
        ("snooze", {}, "delete", "waiting_for_venue"),
        ("waiting", {"text": "it was a fee"}, "delete", "investigating"),
        ("resolution", {"action": "venue_fixed", "reason": "credited", "cause": "venue_error"}, "post", "resolved"),
        ("reopening", {"reason": "not convinced"}, "post", "investigating"),
        ("resolution", {"action": "explain", "reason": "known"}, "post", "resolved"),
    ]  # fmt: skip
    for number, (path, body, method, status) in enumerate(steps, 1):
        answer = send(api, row, path, body, method, HTTP_IF_MATCH=f'"{number - 1}"')
        assert (answer.status_code, answer.json()["status"], answer["ETag"]) == (200, status, f'"{number}"'), (
            answer.json()
        )
    told = api.get(f"/api/v1/breaks/{row.pk}/").json()
    assert (told["version"], told["owner"], told["team"], told["cause"]) == (10, "bert", "desk", "venue_error")
    assert [each["kind"] for each in told["events"]] == [
        "assigned", "noted", "cause_set", "waiting", "snoozed", "woken", "resumed", "venue_fixed", "reopened", "explained",
    ]  # fmt: skip


def test_a_long_history_is_bounded_counted_and_listed_whole(api: APIClient) -> None:
    row = factories.BreakFactory()
    url = f"/api/v1/breaks/{row.pk}/"

    def noted(numbers: range) -> int:
        BreakEvent.objects.bulk_create(
            BreakEvent(discrepancy=row, actor="anna", kind="noted", detail={"text": str(number)}) for number in numbers
        )
        with CaptureQueriesContext(connection) as queries:
            api.get(url)
        return len(queries)

    api.get(url)  # the first use of a token notes the time
    assert noted(range(1)) == noted(range(1, 250))
    told = api.get(url).json()
    assert told["events_count"] == 250
    assert [each["detail"]["text"] for each in told["events"]] == [str(number) for number in range(150, 250)]
    page, seen = api.get(f"{url}events/").json(), list[str]()
    while True:
        seen += [each["detail"]["text"] for each in page["results"]]
        if not page["next"]:
            break
        page = api.get(page["next"]).json()
    assert seen == [str(number) for number in range(250)]


def test_an_old_version_is_refused_and_says_who_changed_what(api: APIClient) -> None:
    row = factories.BreakFactory()
    send(api, row, "notes", {"text": "first"})
    for path, body in (
        ("notes", {"text": "x"}), ("resolution", {"action": "explain", "reason": "x"}),
        ("resolution", {"action": "adjust", "reason": "x"}), ("lines", {"amount": "1", "note": "x"}),
    ):  # fmt: skip
        answer = send(api, row, path, body, HTTP_IF_MATCH='"0"')
        assert (answer.status_code, answer.json()["code"]) == (409, "STALE")
        assert "noted it at" in answer.json()["detail"]
    assert send(api, row, "notes", {"text": "x"}, HTTP_IF_MATCH="junk").status_code == 409
    assert Break.objects.get().version == 1


def test_who_is_not_there_is_named(api: APIClient) -> None:
    row = factories.BreakFactory()
    factories.UserFactory(username="bert")
    answer = send(api, row, "assignment", {"owner": "bret"})
    assert (answer.status_code, answer.json()["errors"][0]["nearest_valid"]) == (404, "bert")
    assert send(api, row, "assignment", {"team": "nobody's"}).status_code == 404
    assert send(api, row, "assignment", {"to_previous": True}).json()["code"] == "REFUSED"
    assert send(api, row, "snooze", {"until": "tomorrow"}).status_code == 400
    assert send(api, row, "snooze", {"until": "2000-01-01T00:00:00Z"}).status_code == 409
    assert send(api, row, "cause", {"cause": "fees"}).status_code == 400
    assert send(api, row, "waiting", {"asked": " "}).status_code in (400, 409)


def test_lines_over_http(api: APIClient) -> None:
    row = drift(desk())
    told = api.get(f"/api/v1/breaks/{row.pk}/lines/").json()
    assert (told["delta"], told["remaining"], told["lines"]) == ("-0.5", "-0.5", [])
    added = send(api, row, "lines", {"amount": "-0.2", "note": "custody fee"}).json()
    assert (added["remaining"], added["lines"][0]["amount"], added["lines"][0]["source"]) == ("-0.3", "-0.2", "person")
    left = send(api, row, "lines", {"lines": [added["lines"][0]["id"]]}, "delete").json()
    assert left["remaining"] == "-0.5"
    for body in ({"amount": 1}, {"amount": "1"}, {"candidates": ["fill:x"]}, {}):
        assert send(api, row, "lines", body).status_code in (400, 409)
    answer = send(api, row, "resolution", {"action": "explain", "reason": "known"}).json()
    assert answer["events"][-1]["detail"]["remaining"] == "-0.5"


def test_the_bundle_over_http_is_whole(client_for: Client) -> None:
    row = drift(desk())
    answer = client_for("viewer").get(f"/api/v1/breaks/{row.pk}/bundle/")
    assert answer["Content-Type"] == "application/json"
    assert evidence.first_difference(answer.content, [evidence.public_key()]) is None


def test_new_fields_are_there_and_old_names_stay(api: APIClient) -> None:
    factories.BreakFactory(severity="high", severity_usd=Decimal("12.50"), stream="1.5", recurrence=2)
    told = api.get("/api/v1/breaks/").json()["results"][0]
    assert {"id", "account", "kind", "status", "ours", "theirs", "delta", "opened_at"} <= told.keys()
    assert (told["severity"], told["severity_usd"], told["stream"], told["recurrence"], told["due_at"]) == (
        "high",
        "12.5",
        "1.5",
        2,
        None,
    )
