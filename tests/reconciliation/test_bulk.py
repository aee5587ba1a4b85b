"""One action on many breaks: exactly the frozen ones, per item what became of it, nothing guessed."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from datetime import timedelta

import pytest

from project.lib import clock
from project.lib.models import AuditEntry
from reconciliation import bulk, resolutions
from reconciliation.models import Break
from tests import factories

pytestmark = pytest.mark.django_db


def frozen(*rows: Break) -> bulk.Selection:
    token, _ = bulk.freeze([(row.pk, row.version) for row in rows], "anna")
    return bulk.thaw(token, "anna")


def test_each_break_tells_what_became_of_it() -> None:
    good, changed, over, waits, gone = (factories.BreakFactory(version=0) for _ in range(5))
    selection = frozen(good, changed, over, waits, gone)
    resolutions.note(changed, "bert", "mine")
    Break.objects.filter(pk=over.pk).update(status="resolved")
    Break.objects.filter(pk=waits.pk).update(status="awaiting_approval")
    gone.delete()
    foreseen = {item.id: item for item in bulk.foresee(selection, "explain")}
    assert Counter(item.outcome for item in foreseen.values()) == {"would": 1, "skipped": 4}
    items = {
        item.id: item for item in bulk.act(selection, "explain", "anna", {"reason": "one outage", "cause": "timing"})
    }
    assert (items[good.pk].outcome, items[good.pk].why) == ("done", "")
    for row, why in ((changed, "has changed since"), (over, "it is resolved"), (waits, "second person")):
        assert items[row.pk].outcome == "skipped" and why in items[row.pk].why
    assert "not there" in next(item.why for item in items.values() if item.row is None)
    done = Break.objects.get(pk=good.pk)
    assert (done.status, done.resolution_reason, done.cause) == ("resolved", "one outage", "timing")
    entry = AuditEntry.objects.get(action="breaks.explain")
    assert (entry.subject, entry.detail) == (selection.digest, {"selected": 5, "done": 1, "skipped": 4, "failed": 0})
    again = bulk.act(selection, "explain", "anna", {"reason": "one outage"})
    assert {item.outcome for item in again} == {"skipped"}


def test_assign_snooze_and_cause() -> None:
    rows: list[Break] = [factories.BreakFactory() for _ in range(3)]
    bulk.act(frozen(*rows), "assign", "anna", {"owner": "bert", "team": "desk"})
    rows = list(Break.objects.all())
    assert {(row.owner, row.team, row.status, row.version) for row in rows} == {("bert", "desk", "investigating", 1)}
    until = clock.now() + timedelta(hours=1)
    bulk.act(frozen(*rows), "snooze", "anna", {"until": until})
    bulk.act(frozen(*Break.objects.all()), "cause", "anna", {"cause": "fee"})
    assert {(row.snoozed_until, row.cause, row.version) for row in Break.objects.all()} == {(until, "fee", 3)}


def test_a_selection_is_signed_bounded_and_one_person_s() -> None:
    row = factories.BreakFactory()
    token, selection = bulk.freeze([(row.pk, 0)], "anna")
    assert bulk.thaw(token, "anna") == selection and len(selection.digest) == 64
    for other, person, said in (
        (token, "bert", "somebody else's"),
        (f"{token}x", "anna", "not one of ours"),
        ("", "anna", "not one"),
    ):
        with pytest.raises(resolutions.Refused, match=said):
            bulk.thaw(other, person)
    with pytest.raises(resolutions.Refused, match="nothing is selected"):
        bulk.freeze([], "anna")
    with pytest.raises(resolutions.Refused, match="at most 1,000"):
        bulk.freeze([(uuid.uuid4(), 0) for _ in range(1001)], "anna")
    many, _ = bulk.freeze([(uuid.uuid4(), 7) for _ in range(1000)], "anna")
    assert len(many) < 100_000


def test_a_selection_holds_for_fifteen_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    token, _ = bulk.freeze([(factories.BreakFactory().pk, 0)], "anna")
    now = time.time()
    monkeypatch.setattr("django.core.signing.time.time", lambda: now + 14 * 60)
    assert bulk.thaw(token, "anna")
    monkeypatch.setattr("django.core.signing.time.time", lambda: now + 15 * 60 + 2)
    with pytest.raises(resolutions.Refused, match="older than 15 minutes"):
        bulk.thaw(token, "anna")
