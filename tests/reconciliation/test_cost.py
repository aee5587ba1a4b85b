"""Cost and sharing: queries do not grow with rows, and several workers at once do the work once."""

from __future__ import annotations

import threading

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders.models import Anomaly
from reconciliation import anomalies, coverage, runs
from reconciliation.models import Break, BreakEvent, Run
from tests.reconciliation import builders
from venues.models import Account


def look(owner: Account, orders: int, seconds_ago: float) -> int:
    rows = [builders.order_row(builders.order(owner)) for _ in range(orders)]
    strangers = [{**row, "venue_order_id": f"V{number}"} for number, row in enumerate(rows[: orders // 2])]
    builders.snapshot(owner, "open_orders", [*rows[orders // 2 :], *strangers], seconds_ago=seconds_ago)
    with CaptureQueriesContext(connection) as counted:
        runs.advance()
    return len(counted)


@pytest.mark.django_db
def test_queries_do_not_grow_with_rows() -> None:
    first = builders.account("first")
    second = builders.account("second")
    coverage.ensure()
    few = look(first, 4, 20)
    many = look(second, 80, 20)
    assert Break.objects.filter(account=second).count() == 80
    assert many == few


@pytest.mark.django_db
def test_an_idle_second_costs_three_queries() -> None:
    builders.account()
    coverage.ensure()
    with CaptureQueriesContext(connection) as counted:
        runs.advance()
        anomalies.open_breaks()
    assert len(counted) == 3


@pytest.mark.django_db(transaction=True)
def test_several_workers_share_the_work() -> None:
    owner = builders.account()
    coverage.ensure()
    builders.opening(owner, BTC="2")
    workers, problems = 3, list[BaseException]()
    barrier = threading.Barrier(workers)

    def work() -> None:
        try:
            barrier.wait(timeout=30)
            runs.advance()
            anomalies.open_breaks()
            runs.record_sweeps()
        except BaseException as problem:
            problems.append(problem)
        finally:
            connection.close()

    for seconds_ago in (40, 30, 20, 10):
        builders.snapshot(owner, "balances", builders.balance_rows(BTC="1"), seconds_ago=seconds_ago)
        builders.snapshot(owner, "open_orders", [], seconds_ago=seconds_ago)
        Anomaly.objects.create(account=owner, kind="late_fill", subject=f"order {seconds_ago}", data={})
        threads = [threading.Thread(target=work) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
    assert problems == []
    row = Break.objects.get(kind="balance")
    assert (row.status, row.seen_count) == ("open", 4)
    assert list(BreakEvent.objects.filter(discrepancy=row).order_by("id").values_list("kind", flat=True)) == [
        "suspected",
        "opened",
    ]
    assert Break.objects.filter(kind="late_fill").count() == 4
    assert Run.objects.count() == 2  # one for the news, one for the quiet minute before it
