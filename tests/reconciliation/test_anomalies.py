"""The owners' notes become breaks once each, and only a person closes them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from orders.models import Anomaly
from reconciliation import anomalies, coverage, runs
from reconciliation.models import Break
from tests.reconciliation import builders

pytestmark = pytest.mark.django_db


# An answer that no row knows becomes a case of its own kind, not a break.
KINDS = sorted(set(Anomaly.Kind.values) - {Anomaly.Kind.UNCLASSIFIED})


def test_every_anomaly_opens_one_break() -> None:
    owner = builders.account()
    order = builders.order(owner, filled_quantity=Decimal("1.5"))
    fill = builders.fill(order, "T1", builders.ago(100))
    for kind in KINDS:
        Anomaly.objects.create(
            account=owner, kind=kind, subject=f"about {kind}", order=order, fill=fill, data={"theirs": "x"}
        )
    assert anomalies.open_breaks() == len(KINDS)
    assert anomalies.open_breaks() == 0
    rows = {row.kind: row for row in Break.objects.all()}
    assert set(rows) == set(KINDS)
    assert {row.status for row in rows.values()} == {"open"}
    assert rows["overfill"].ours == "quantity 1" and rows["overfill"].theirs == "filled 1.5"
    assert rows["fill_differs"].subject == "BTC/USDT T1 buy"
    assert rows["external_order"].subject == order.venue_order_id
    assert rows["external_order"].evidence["severity"] == "low"


def test_the_same_anomaly_again_adds_to_its_break() -> None:
    owner = builders.account()
    for _ in range(3):
        Anomaly.objects.create(account=owner, kind="unreadable", subject="stream", data={})
        anomalies.open_breaks()
    row = Break.objects.get()
    assert row.seen_count == 3
    assert list(row.events.order_by("id").values_list("kind", flat=True)) == ["opened", "seen_again", "seen_again"]


def test_an_adopted_order_turns_the_suspicion_into_an_open_break_that_stays() -> None:
    owner = builders.account()
    coverage.ensure()
    stranger = builders.order_row(builders.order(owner, status="cancelled"), venue_order_id="V9")
    builders.snapshot(owner, "open_orders", [stranger], seconds_ago=30)
    runs.advance()
    assert Break.objects.get().status == "suspected"
    adopted = builders.order(owner, venue_order_id="V9", is_external=True)
    Anomaly.objects.create(account=owner, kind="external_order", subject="V9", order=adopted, data={})
    anomalies.open_breaks()
    builders.snapshot(owner, "open_orders", [stranger], seconds_ago=20)
    runs.advance()
    row = Break.objects.get()
    assert (row.status, row.order, row.asset) == ("open", adopted, "BTC")
