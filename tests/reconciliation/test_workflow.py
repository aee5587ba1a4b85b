"""The table of moves, who may do what when, and every decision of a person: on record, never on an old page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from django.conf import LazySettings

from orders.models import Anomaly, Balance
from project.lib import clock
from project.lib.models import AuditEntry, FeedEntry
from reconciliation import adjustments, anomalies, queue, resolutions, runs, workflow
from reconciliation.models import Break
from tests import factories
from tests.reconciliation import builders
from tests.reconciliation.two_people import desk, drift, line, requested

ALLOWED = {
    ("suspected", "open"), ("suspected", "resolved"),
    ("open", "investigating"), ("open", "waiting_for_venue"), ("open", "awaiting_approval"), ("open", "resolved"),
    ("investigating", "waiting_for_venue"), ("investigating", "awaiting_approval"), ("investigating", "resolved"),
    ("waiting_for_venue", "investigating"), ("waiting_for_venue", "awaiting_approval"), ("waiting_for_venue", "resolved"),
    ("awaiting_approval", "investigating"), ("awaiting_approval", "resolved"),
    ("resolved", "open"), ("resolved", "investigating"),
}  # fmt: skip
ACTS: dict[str, tuple[str, Any]] = {
    "assign": ("assigned", lambda row: resolutions.assign(row, "anna", "bert")),
    "note": ("noted", lambda row: resolutions.note(row, "anna", "seen")),
    "cause": ("cause_set", lambda row: resolutions.set_cause(row, "anna", "fee")),
    "explain": ("explained", lambda row: resolutions.explain(row, "anna", "known")),
    "wait": ("waiting", lambda row: resolutions.wait_for_venue(row, "anna", "ticket 7")),
    "resume": ("resumed", lambda row: resolutions.resume(row, "anna", "answered")),
    "snooze": ("snoozed", lambda row: resolutions.snooze(row, "anna", clock.now() + timedelta(hours=1))),
    "fix": ("venue_fixed", lambda row: resolutions.mark_fixed(row, "anna", "they credited it")),
    "reopen": ("reopened", lambda row: resolutions.reopen(row, "anna", "not convinced")),
}
LEADS_TO = {
    "explain": "resolved",
    "fix": "resolved",
    "wait": "waiting_for_venue",
    "resume": "investigating",
    "reopen": "open",
}


@pytest.mark.parametrize(("old", "new"), list(product(workflow.STATUSES, workflow.STATUSES)))
def test_every_pair_of_statuses(old: str, new: str) -> None:
    if old == new or (old, new) in ALLOWED:
        assert workflow.moved(old, new) == new
    else:
        with pytest.raises(workflow.NotAllowed, match="cannot become"):
            workflow.moved(old, new)


def test_the_table_knows_the_statuses_of_the_model_and_only_those() -> None:
    assert set(workflow.MOVES) == set(Break.Status.values) == set(workflow.STATUSES)
    assert {*ACTS, "lines"} == set(workflow.ACTIONS)


@pytest.mark.django_db
@pytest.mark.parametrize(("status", "action"), list(product(workflow.STATUSES, ACTS)))
def test_every_action_in_every_status(status: str, action: str) -> None:
    row = factories.BreakFactory(status=status)
    kind, act = ACTS[action]
    if status in workflow.ACTIONS[action]:
        act(row)
        row.refresh_from_db()
        assert row.status == LEADS_TO.get(action, "investigating" if (status, action) == ("open", "assign") else status)
        assert [each.kind for each in row.events.all()] == [kind] and row.version == 1
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.actor, entry.subject) == (f"break.{kind}", "anna", str(row.pk))
        assert row.events.get().detail["audit"] == entry.sequence
        assert FeedEntry.objects.filter(topic="breaks", kind=f"break.{kind}").count() == 1
    else:
        with pytest.raises(resolutions.Refused):
            act(row)
        row.refresh_from_db()
        assert row.status == status and not row.events.exists() and not AuditEntry.objects.exists()


@pytest.mark.django_db
def test_an_old_page_is_refused_and_told_who_did_what() -> None:
    row = factories.BreakFactory()
    resolutions.assign(row, "bert", "bert", version=0)
    resolutions.note(row, "cleo", "asked on the phone")
    for act in (resolutions.explain, resolutions.note, resolutions.wait_for_venue, resolutions.mark_fixed):
        with pytest.raises(
            resolutions.Stale, match=r"bert assigned it at .* UTC, cleo noted it at .* UTC; look at it again"
        ):
            act(row, "anna", "quick", version=0)
    with pytest.raises(resolutions.Stale, match="cleo noted it"):
        resolutions.set_cause(row, "anna", "fee", version=1)
    with pytest.raises(resolutions.Stale):
        resolutions.snooze(row, "anna", clock.now() + timedelta(hours=1), version=7)
    assert AuditEntry.objects.count() == 2
    resolutions.explain(row, "anna", "known", version=2)
    with pytest.raises(resolutions.Stale, match="anna explained it"):
        resolutions.reopen(row, "bert", "no", version=2)


@pytest.mark.django_db
def test_a_counter_entry_on_an_old_page_is_refused() -> None:
    row = drift(desk(price="1"))
    resolutions.note(row, "cleo", "wait a moment")
    with pytest.raises(resolutions.Stale, match="cleo noted it"):
        adjustments.adjust(row, "anna", "fee", person="anna", version=0)
    adjustments.adjust(row, "anna", "fee", person="anna", version=1)
    with pytest.raises(resolutions.Stale, match="anna adjusted it"):
        adjustments.reverse(row, "cleo", "no", person="cleo", version=1)


@pytest.mark.django_db
def test_a_value_that_changed_makes_pages_old_and_wakes_who_sleeps() -> None:
    account = desk()
    row = drift(account)
    assert row.version == 0
    resolutions.snooze(row, "anna", clock.now() + timedelta(days=1), version=0)
    drift(account, "1.5", 20)  # the same value again
    row.refresh_from_db()
    assert row.snoozed_until is not None and row.version == 1
    drift(account, "1.4", 10)
    row.refresh_from_db()
    assert row.snoozed_until is None and row.version == 2
    assert row.events.order_by("-id")[0].detail["woken"] is True
    with pytest.raises(resolutions.Stale, match="reconciliation changed it"):
        resolutions.explain(row, "anna", "half a coin, known", version=1)


@pytest.mark.django_db
def test_passed_back_to_whom_it_belonged_before() -> None:
    row = factories.BreakFactory()
    with pytest.raises(resolutions.Refused, match="nobody else before"):
        resolutions.pass_back(row, "anna")
    resolutions.assign(row, "anna", "bert")
    resolutions.assign(row, "anna", "cleo", team="desk")
    assert resolutions.pass_back(row, "cleo").owner == "bert"
    assert resolutions.pass_back(row, "bert").owner == "cleo"
    row.refresh_from_db()
    assert (row.owner, row.team, row.status) == ("cleo", "desk", "investigating")
    kinds = list(row.events.order_by("id").values_list("kind", "detail__owner"))
    assert kinds[-2:] == [("passed_back", "bert"), ("passed_back", "cleo")]


@pytest.mark.django_db
def test_a_snoozed_break_leaves_the_default_tab_and_comes_back_by_itself() -> None:
    row = factories.BreakFactory(owner="anna")
    until = clock.now() + timedelta(hours=1)
    resolutions.snooze(row, "anna", until, "the venue answers at noon")
    assert queue.counts("anna") | {"overdue": 0} == {
        "open": 0, "mine": 0, "waiting_for_venue": 0, "awaiting_approval": 0, "snoozed": 1, "suspected": 0, "overdue": 0,
    }  # fmt: skip
    assert resolutions.wake_due() == 0
    Break.objects.update(snoozed_until=clock.now() - timedelta(seconds=1))
    assert queue.counts("anna")["open"] == 1  # by the clock alone, before anybody has woken it
    assert resolutions.wake_due() == 1 and resolutions.wake_due() == 0
    row.refresh_from_db()
    assert row.snoozed_until is None and row.events.order_by("-id")[0].kind == "woken"
    assert FeedEntry.objects.filter(kind="break.woken").count() == 1
    with pytest.raises(resolutions.Refused, match="not snoozed"):
        resolutions.wake(row, "anna")


@pytest.mark.django_db
@pytest.mark.parametrize("seconds", [-1, 0, 31 * 86_400])
def test_a_snooze_ends_within_thirty_days(seconds: int) -> None:
    with pytest.raises(resolutions.Refused, match="within the next 30 days"):
        resolutions.snooze(factories.BreakFactory(), "anna", clock.now() + timedelta(seconds=seconds))


@pytest.mark.django_db
@pytest.mark.parametrize("cause", ["fees", "timing ", "x" * 500])
def test_causes_are_a_fixed_list(cause: str) -> None:
    row = factories.BreakFactory()
    with pytest.raises(resolutions.Refused, match="there is no cause"):
        resolutions.set_cause(row, "anna", cause)
    with pytest.raises(resolutions.Refused, match="there is no cause"):
        resolutions.explain(row, "anna", "known", cause=cause)
    row.refresh_from_db()
    assert (row.status, row.cause, row.version) == ("open", "", 0)


@pytest.mark.django_db
def test_an_explanation_records_its_cause_and_what_the_lines_leave() -> None:
    row = drift(desk())
    line(row, "fee", "F1", "-0.2")
    resolutions.explain(row, "anna", "most of it is a fee", cause="fee")
    row.refresh_from_db()
    detail = row.events.order_by("-id")[0].detail
    assert (row.cause, detail["remaining"], detail["lines"]) == ("fee", "-0.3", 1)


@pytest.mark.django_db
def test_what_the_venue_did_not_fix_comes_again_with_its_history() -> None:
    account = desk()
    first = drift(account, "1.5", 60, 50)
    resolutions.mark_fixed(first, "anna", "they say it is credited", cause="venue_error")
    second = drift(account, "1.5", 40, 30)
    assert second.pk != first.pk and second.recurrence == 1
    assert [each.pk for each in queue.earlier(second)] == [first.pk]


@pytest.mark.django_db
def test_a_request_for_approval_ends_a_snooze() -> None:
    row = drift(desk())
    resolutions.snooze(row, "anna", clock.now() + timedelta(hours=1))
    requested(row)
    row.refresh_from_db()
    assert (row.status, row.snoozed_until) == ("awaiting_approval", None)
    assert queue.counts("anna")["awaiting_approval"] == 1


@pytest.mark.django_db
def test_due_by_severity_and_counted_afresh_when_reopened(settings: LazySettings) -> None:
    settings.RECONCILIATION_SLA_MINUTES = {"critical": 15, "high": 60, "medium": 480, "low": 4320}
    row = drift(desk())  # half a bitcoin at 60,000
    assert row.severity == "critical" and row.due_at == row.first_seen_at + timedelta(minutes=15)
    Break.objects.update(due_at=clock.now() - timedelta(hours=2))
    assert queue.counts("anna")["overdue"] == 1
    resolutions.explain(row, "anna", "known")
    assert queue.counts("anna")["overdue"] == 0
    before = clock.now()
    again = resolutions.reopen(row, "anna", "not convinced")
    assert again.due_at is not None and again.due_at >= before + timedelta(minutes=15)
    assert workflow.due_at("low", before, {}) is None


@pytest.mark.django_db
def test_what_the_stream_said_stands_beside_the_lists() -> None:
    account = desk()
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    Balance.objects.update(stream_total="1.5", stream_at=at)
    assert drift(account).stream == "1.5 at 03:04:05 UTC"
    order = builders.order(account)
    builders.snapshot(account, "open_orders", [], seconds_ago=20)
    runs.advance()
    assert Break.objects.get(kind="order_missing_at_venue").stream == ""
    factories.OrderEventFactory(
        order=order, account=account, kind="acknowledged", source="stream", status_after="open", occurred_at=at
    )
    builders.snapshot(account, "open_orders", [], seconds_ago=5)
    runs.advance()
    told = Break.objects.get(kind="order_missing_at_venue").stream
    assert told.startswith("acknowledged, then open at 03:04:05 UTC")


@pytest.mark.django_db
def test_a_booked_trade_names_its_stream_and_an_anomaly_its_source() -> None:
    account = desk()
    fill = builders.fill(builders.order(account), "T1", builders.ago(100))
    builders.snapshot(account, "fills", [], seconds_ago=20)
    runs.advance()
    row = Break.objects.get(kind="fill_missing_at_venue")
    assert row.stream == "buy 0.5 BTC/USDT at 100, fee 0.05 USDT" and row.fill_id == fill.pk
    assert row.economic_at == fill.executed_at
    Anomaly.objects.create(
        account=account,
        kind="unreadable",
        subject="stream",
        data={"source": "stream", "reason": "not JSON", "raw": "{"},
    )
    anomalies.open_breaks()
    found = Break.objects.get(kind="unreadable")
    assert found.stream == "a message that could not be read"
    assert found.due_at == found.first_seen_at + timedelta(hours=8)


@pytest.mark.parametrize(
    ("ours", "theirs", "delta", "shown"),
    [
        ("1234567.25", "-1234567", "-2469134.25", ["1,234,567.25", "−1,234,567"]),
        ("12000 at 65432.1", "11000 at 65432.1", "-1000", ["12,000 at 65,432.1", "11,000 at 65,432.1"]),
        ("0.00012345", "", "1", ["0.00012345", ""]),
        ("order 12345678", "12345678", None, ["order 12345678", "12345678"]),  # names, not amounts
    ],
)
def test_amounts_are_shown_with_thousands_apart_and_names_as_they_are(
    ours: str, theirs: str, delta: str | None, shown: list[str]
) -> None:
    row = Break(ours=ours, theirs=theirs, delta=delta and Decimal(delta))
    assert [side["text"] for side in queue.sides(row)[:2]] == shown
