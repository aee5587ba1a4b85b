"""The queue of breaks on pages: tabs that count what they list, decisions, lines, many at once, exports."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from project.lib import clock, pages
from reconciliation import evidence, lines, queue, resolutions
from reconciliation.models import Break, BreakLine
from tests import factories
from tests.api.test_breaks import states
from tests.conftest import Client as ApiMaker
from tests.console.conftest import SignIn
from tests.reconciliation import builders
from tests.reconciliation.two_people import desk, drift

pytestmark = pytest.mark.django_db


def flashed(client: Client, path: str = "/") -> str:
    shown = re.findall(r'<div class="flash"[^>]*><p>(.*?)</p>', client.get(path).content.decode())
    return html.unescape(" ".join(shown))


def rows(page: str) -> list[str]:
    return re.findall(r'<tr id="break-([0-9a-f-]{36})"', page)


def test_tabs_count_what_they_list_and_what_the_api_counts(sign_in: SignIn, client_for: ApiMaker) -> None:
    states()
    client = sign_in("risk")
    Break.objects.filter(owner="anna").update(owner="risk")
    context = client.get("/breaks/").context
    shown = {tab["name"]: tab["count"] for tab in context["tabs"] if tab["count"] is not None}
    token = client_for("risk").get("/api/v1/breaks/counts/").json()
    assert shown | {"mine": 0} == {name: token[name] for name in queue.COUNTED} and shown["mine"] == 1
    for name, count in shown.items():
        assert len(rows(client.get(f"/breaks/?tab={name}").content.decode())) == count, name
    nav = {entry["label"]: entry["count"] for entry in context["navigation"]}
    assert nav["Breaks"] == shown["open"] == client.get("/").context["person"]["breaks"]
    assert len(rows(client.get("/breaks/?tab=all").content.decode())) == 9


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("severity=critical", 1), ("kind=balance", 3), ("kind=position", 0), ("owner=-", 2), ("owner=anna", 1), ("team=-", 3), ("team=x", 0),
        ("cause=fee", 0), ("asset=USDT", 3), ("asset=BTC", 0), ("overdue=1", 1), ("account=nowhere", 0), ("tab=nonsense", 3),
    ],
)  # fmt: skip
def test_filters(sign_in: SignIn, query: str, count: int) -> None:
    states()
    assert len(rows(sign_in("viewer").get(f"/breaks/?{query}").content.decode())) == count


def test_sorted_by_severity_and_age_across_pages(sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_ROWS", 2)
    client, now = sign_in("viewer"), clock.now()
    wanted = [("low", 5), ("critical", 1), ("high", 3), ("critical", 2), ("medium", 4)]
    made = {
        (severity, age): str(factories.BreakFactory(severity=severity, first_seen_at=now - timedelta(hours=age)).pk)
        for severity, age in wanted
    }
    orders = {
        "severity": [("critical", 2), ("critical", 1), ("high", 3), ("medium", 4), ("low", 5)],
        "age": [("low", 5), ("medium", 4), ("high", 3), ("critical", 2), ("critical", 1)],
    }
    for sort, expected in orders.items():
        seen, url = [], f"/breaks/?sort={sort}"
        while url:
            answer = client.get(url)
            seen += rows(answer.content.decode())
            url = f"/breaks/{answer.context['slice'].next_url}" if answer.context["slice"].next_url else ""
        assert seen == [made[key] for key in expected]
    assert len(rows(client.get("/breaks/?sort=age&before=junk").content.decode())) == 2


def test_every_decision_from_the_page(sign_in: SignIn) -> None:
    row, client = factories.BreakFactory(), sign_in("risk")
    Group.objects.get_or_create(name="desk")
    factories.UserFactory(username="bert")
    url = f"/breaks/{row.pk}/"
    steps: list[tuple[str, dict[str, Any], str, str]] = [
        ("assignment", {"owner": "risk", "team": "desk"}, "Assigned", "investigating"),
        ("assignment", {"owner": "bert", "team": "desk"}, "Assigned", "investigating"),
        ("passing-back", {}, "Passed back", "investigating"),
        ("note", {"text": "seen"}, "Noted", "investigating"),
        ("cause", {"cause": "fee"}, "cause is noted", "investigating"),
        ("waiting", {"asked": "ticket 7"}, "waits for the venue", "waiting_for_venue"),
        ("resumption", {"text": "a fee"}, "Back to investigating", "investigating"),
        ("snooze", {"span": "1h", "reason": "noon"}, "Snoozed", "investigating"),
        ("waking", {}, "It is back", "investigating"),
        ("lines", {"amount": "0.4", "note": "by letter"}, "What remains", "investigating"),
        ("venue-fix", {"reason": "credited"}, "the venue has put it right", "resolved"),
        ("reopening", {"reason": "not convinced"}, "Open again", "investigating"),
        ("explanation", {"reason": "known", "cause": "timing"}, "Explained", "resolved"),
    ]  # fmt: skip
    for number, (path, given, said, status) in enumerate(steps):
        client.post(f"{url}{path}/", {**given, "version": number})
        assert said in flashed(client), path
        row.refresh_from_db()
        assert (row.status, row.version) == (status, number + 1), path
    page = html.unescape(client.get(url).content.decode())
    assert "credited" in page and "ticket 7" in page and "0.6 remaining" in page
    assert (row.owner, row.team, row.cause) == ("risk", "desk", "timing")


def test_an_old_page_is_refused_in_words(sign_in: SignIn) -> None:
    row, client = factories.BreakFactory(), sign_in("risk")
    assert 'name="version" value="0"' in client.get(f"/breaks/{row.pk}/").content.decode()
    resolutions.assign(row, "bert", "bert")
    for path, given in (
        ("explanation", {"reason": "x"}),
        ("adjustment", {"reason": "x"}),
        ("lines", {"amount": "1", "note": "x"}),
    ):
        client.post(f"/breaks/{row.pk}/{path}/", {**given, "version": "0"})
        assert "bert assigned it at" in flashed(client)
    client.post(f"/breaks/{row.pk}/note/", {"text": "x", "version": "zero"})
    assert "load it again" in flashed(client)
    for given, said in (({"owner": "nobody-there"}, "nobody called"), ({"owner": "", "team": "no-such"}, "no team")):
        client.post(f"/breaks/{row.pk}/assignment/", given)
        assert said in flashed(client)
    client.post(f"/breaks/{row.pk}/snooze/", {"until": "soon"})
    assert "until when" in flashed(client)
    row.refresh_from_db()
    assert (row.status, row.version) == ("investigating", 1)


def test_lines_are_ticked_and_the_rest_is_on_top(sign_in: SignIn) -> None:
    row, client = drift(desk()), sign_in("risk")
    client.post(f"/breaks/{row.pk}/lines/", {"amount": "-0.2", "note": "custody fee"})
    page = html.unescape(client.get(f"/breaks/{row.pk}/").content.decode())
    assert "−0.3 BTC remaining" in page and "custody fee" in page
    client.post(f"/breaks/{row.pk}/lines/removal/", {"line": BreakLine.objects.get().pk})
    assert "Taken off" in flashed(client) and not BreakLine.objects.exists()
    client.post(f"/breaks/{row.pk}/lines/removal/", {"line": "abc"})
    assert "not there any more" in flashed(client)


def test_a_break_costs_the_same_however_much_belongs_to_it(sign_in: SignIn) -> None:
    account, counts = desk(), []
    row, client = drift(account, "1"), sign_in("risk")
    for number in (2, 40):
        for _ in range(number):
            resolutions.note(row, "anna", "again")
            lines.add(row, "anna", amount="-0.001", reason="a fee")
        order = builders.order(account, status="filled")
        for trade in range(number):
            builders.fill(order, f"T{number}-{trade}", builders.ago(60 + trade))
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/breaks/{row.pk}/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 44, counts


def test_who_may_not_sees_the_buttons_closed_with_the_reason(sign_in: SignIn) -> None:
    row, client = drift(desk()), sign_in("viewer")
    page = client.get(f"/breaks/{row.pk}/").content.decode()
    decisions = page[page.index('id="decision"') :]
    buttons = re.findall(r'<button class="button[^"]*" type="submit"([^>]*)>([^<]+)<', decisions)
    assert {"Assign", "Explain and resolve", "Wait for the venue", "Snooze", "Add note"} <= {
        name for _, name in buttons
    }
    assert all("disabled" in state for state, name in buttons if name != "Preview")
    assert "Needs the role admin or risk" in page
    shown = client.get("/breaks/").content.decode()
    assert re.search(r'value="assign" data-key="a" disabled', shown) and "Needs the role admin or risk" in shown
    for path in ("selection/", "selection/action/", f"{row.pk}/lines/", f"{row.pk}/snooze/", f"{row.pk}/venue-fix/"):
        assert client.post(f"/breaks/{path}").status_code == 403, path


def token_of(page: str) -> str:
    found = re.search(r'name="selection" value="([^"]+)"', page)
    assert found
    return found[1]


def test_many_at_once_on_exactly_what_was_selected(sign_in: SignIn) -> None:
    client = sign_in("risk")
    chosen = [factories.BreakFactory() for _ in range(3)]
    left = factories.BreakFactory()
    page = client.post(
        "/breaks/selection/", {"action": "assign", "break": [str(row.pk) for row in chosen]}
    ).content.decode()
    assert (
        "Assign 3 breaks" in page and "nothing is changed yet" in page and not Break.objects.exclude(owner="").exists()
    )
    resolutions.note(chosen[0], "bert", "mine")
    done = client.post("/breaks/selection/action/", {"action": "assign", "selection": token_of(page), "owner": "risk"})
    assert (
        done.context["counts"] == {"done": 2, "skipped": 1}
        and "has changed since it was selected" in done.content.decode()
    )
    assert set(Break.objects.filter(owner="risk").values_list("pk", flat=True)) == {row.pk for row in chosen[1:]}
    left.refresh_from_db()
    assert left.version == 0
    again = client.post("/breaks/selection/", {"action": "cause", "selection": token_of(done.content.decode())})
    assert "Set the cause of 3 breaks" in again.content.decode()
    page = client.post("/breaks/selection/", {"action": "cause", "break": str(left.pk)}).content.decode()
    left.delete()
    gone = client.post("/breaks/selection/action/", {"action": "cause", "selection": token_of(page)})
    assert gone.context["counts"] == {"skipped": 1}


def test_all_that_match_the_filters_are_frozen_too(sign_in: SignIn) -> None:
    client = sign_in("risk")
    wanted = [factories.BreakFactory(kind="position") for _ in range(3)]
    factories.BreakFactory(kind="balance")
    given = {"action": "explain", "all": "1", "filters": "kind=position&tab=open", "break": [str(wanted[0].pk)]}
    page = client.post("/breaks/selection/", given).content.decode()
    assert "Explain 3 breaks" in page
    factories.BreakFactory(kind="position")  # comes too late
    token = token_of(page)
    without = client.post("/breaks/selection/action/", {"action": "explain", "selection": token, "reason": " "})
    assert without.status_code == 422 and "reason is required" in without.content.decode()
    client.post("/breaks/selection/action/", {"action": "explain", "selection": token, "reason": "one outage"})
    assert Break.objects.filter(status="resolved", resolution_reason="one outage").count() == 3
    assert Break.objects.filter(status="open").count() == 2


@pytest.mark.parametrize(
    ("path", "given", "said"),
    [
        ("selection/", {"action": "assign"}, "nothing is selected"), ("selection/", {"action": "adjust"}, "no action"),
        ("selection/", {"action": "assign", "break": "'; drop"}, "nothing is selected"),
        ("selection/action/", {"action": "assign", "selection": "forged"}, "not one of ours"), ("selection/action/", {"action": "x"}, "no action"),
    ],
)  # fmt: skip
def test_a_selection_that_is_none_is_refused(sign_in: SignIn, path: str, given: dict[str, str], said: str) -> None:
    client = sign_in("risk")
    assert client.post(f"/breaks/{path}", given).status_code == 303
    assert said in flashed(client)


def test_the_export_is_the_filtered_list_and_runs_no_formula(sign_in: SignIn) -> None:
    factories.BreakFactory(
        subject='=HYPERLINK("x")',
        ours="-5",
        theirs="+7.25",
        delta=Decimal("-0.000000010000000000"),
        resolution_reason="@SUM(A1)",
    )
    factories.BreakFactory(kind="position", subject="-BTC", ours="- a dash")
    answer = sign_in("viewer").get("/breaks/?kind=balance&format=csv")
    told = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    assert len(told) == 1
    assert told[0]["subject"] == '\'=HYPERLINK("x")' and told[0]["resolution_reason"] == "'@SUM(A1)"
    assert (told[0]["ours"], told[0]["venue"], told[0]["delta"]) == ("-5", "+7.25", "-0.00000001")
    both = b"".join(sign_in("viewer").get("/breaks/?format=csv"))
    assert b"'-BTC" in both and b"'- a dash" in both


def test_the_bundle_is_a_file_that_verifies(sign_in: SignIn) -> None:
    row = drift(desk())
    answer = sign_in("viewer").get(f"/breaks/{row.pk}/bundle/")
    assert "attachment" in answer["Content-Disposition"]
    assert evidence.public_key() in sign_in("viewer").get(f"/breaks/{row.pk}/").content.decode()
    assert evidence.first_difference(answer.content, [evidence.public_key()]) is None


def test_without_a_key_there_is_no_bundle_and_the_page_says_so(
    sign_in: SignIn, settings: LazySettings, tmp_path: Path
) -> None:
    row, client = drift(desk()), sign_in("viewer")
    (tmp_path / "file").write_text("no folder")
    settings.EVIDENCE_KEY_FILE = tmp_path / "file" / "key.pem"
    assert "cannot be read, so there is no bundle" in client.get(f"/breaks/{row.pk}/").content.decode()
    assert client.get(f"/breaks/{row.pk}/bundle/").status_code == 303
    assert "could not be signed" in flashed(client)


def test_ages_recurrence_and_tolerance_are_told(sign_in: SignIn) -> None:
    account = desk()
    first = drift(account, "1.5", 60, 50)
    resolutions.mark_fixed(first, "anna", "they say so")
    second = drift(account, "1.5", 40, 30)
    page = html.unescape(sign_in("viewer").get(f"/breaks/{second.pk}/").content.decode())
    assert f"/breaks/{first.pk}/" in page and "resolved 1 time" in page
    assert "±0.5 BTC" in page and "30,000 USD" in page and "not told" in page
    Break.objects.update(due_at=clock.now() - timedelta(minutes=3))
    assert "data-overdue" in sign_in("viewer").get("/breaks/").content.decode()
