"""From a planted difference to suspected, open and resolved, on a real database."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from orders.models import Intent
from project.lib.models import AuditEntry, FeedEntry
from reconciliation import coverage, runs
from reconciliation.models import STALE_AFTER_INTERVALS, Break, BreakEvent, Coverage, Run, read_interval
from tests.reconciliation import builders
from venues.models import Account, AccountStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Account:
    account = builders.account()
    coverage.ensure()
    return account


def breaks() -> list[tuple[str, str]]:
    return list(Break.objects.order_by("kind").values_list("kind", "status"))


def status_of(surface: str) -> str:
    return Coverage.objects.get(surface=surface).status


def rows_written() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Break, BreakEvent, Run, FeedEntry, Coverage))


def test_books_that_agree_are_proved(owner: Account) -> None:
    builders.opening(owner, BTC="2", USDT="1000")
    order = builders.order(owner, filled_quantity=Decimal("0.5"), status="partially_filled")
    at = builders.ago(120)
    builders.fill(order, "T1", at)
    builders.snapshot(owner, "open_orders", [builders.order_row(order)], seconds_ago=20)
    builders.snapshot(owner, "fills", [builders.fill_row("T1", at)], seconds_ago=20)
    balances = builders.snapshot(owner, "balances", builders.balance_rows(BTC="2.5", USDT="949.95"), seconds_ago=20)
    runs.advance()
    assert {status_of(surface) for surface in coverage.COMPARED} == {"proved"}
    assert Coverage.objects.get(surface="balances").proved_at == balances.requested_at
    assert status_of("positions") == "never"
    assert breaks() == []


def test_every_kind_is_found_opened_by_the_second_read_and_closed_when_it_is_gone(owner: Account) -> None:
    builders.opening(owner, BTC="2")
    missing, other = builders.order(owner), builders.order(owner, venue_order_id="V7")
    gone_at, told_at, same_at = builders.ago(100), builders.ago(110), builders.ago(120)
    gone = builders.fill(other, "T1", gone_at)
    builders.fill(other, "T3", same_at)
    external = builders.order_row(other, venue_order_id="V9")

    def read(seconds_ago: float, fixed: bool = False) -> None:
        orders = [builders.order_row(other, quantity="1" if fixed else "3")]
        orders += [builders.order_row(missing)] if fixed else [external]
        fills = [builders.fill_row("T3", same_at, price="100" if fixed else "101")]
        fills += [builders.fill_row("T1", gone_at)] if fixed else [builders.fill_row("T2", told_at)]
        builders.snapshot(owner, "open_orders", orders, seconds_ago=seconds_ago)
        builders.snapshot(owner, "fills", fills, seconds_ago=seconds_ago)
        total = "3" if fixed else "3.5"
        builders.snapshot(owner, "balances", builders.balance_rows(BTC=total, USDT="-100.1"), seconds_ago=seconds_ago)
        runs.advance()

    expected = [
        "balance", "external_order", "fill_differs", "fill_missing_at_venue", "fill_missing_here",
        "order_missing_at_venue", "order_status",
    ]  # fmt: skip
    read(30)
    assert breaks() == [(kind, "suspected") for kind in expected]
    assert status_of("balances") == status_of("fills") == status_of("open_orders") == "failed"
    assert Run.objects.count() == 0
    read(20)
    assert breaks() == [(kind, "open") for kind in expected]
    row = Break.objects.get(kind="fill_missing_at_venue")
    assert (row.fill, row.order, row.seen_count, row.delta) == (gone, other, 2, Decimal("-0.5"))
    assert len(row.evidence["reads"]) == 2 and row.evidence["why"] and row.snapshot_id
    read(10, fixed=True)
    # The trade the venue told of once stays missing until it is booked: silence does not take it back.
    assert breaks() == [(kind, "open" if kind == "fill_missing_here" else "resolved") for kind in expected]
    builders.fill(other, "T2", told_at)
    builders.snapshot(owner, "fills", [], seconds_ago=5, window_from=builders.ago(6))
    runs.advance()
    assert breaks() == [(kind, "resolved") for kind in expected]
    row = Break.objects.get(kind="balance")
    assert row.resolution == "automatic" and str(Run.objects.order_by("-requested_at")[1].id) in row.resolution_reason
    history = list(BreakEvent.objects.filter(discrepancy=row).order_by("id").values_list("kind", flat=True))
    assert history == ["suspected", "opened", "resolved"]
    assert sum(run.opened for run in Run.objects.all()) == sum(run.closed for run in Run.objects.all()) == 7


def test_looking_again_writes_nothing(owner: Account) -> None:
    builders.opening(owner, BTC="2")
    for seconds_ago in (30, 20):
        builders.snapshot(owner, "balances", builders.balance_rows(BTC="1"), seconds_ago=seconds_ago)
        runs.advance()
    before = rows_written()
    for _ in range(3):
        runs.advance()
    assert rows_written() == before
    builders.snapshot(owner, "balances", builders.balance_rows(BTC="1"), seconds_ago=10)
    runs.advance()
    assert rows_written() == before
    assert Break.objects.get().seen_count == 3


def test_two_reads_close_together_or_with_other_values_open_nothing(owner: Account) -> None:
    for seconds_ago, total in ((30, "1"), (29.5, "1")):
        builders.snapshot(owner, "balances", builders.balance_rows(BTC=total), seconds_ago=seconds_ago)
        runs.advance()
    assert breaks() == [("balance", "suspected")]
    builders.snapshot(owner, "balances", builders.balance_rows(BTC="2"), seconds_ago=20)
    runs.advance()
    assert breaks() == [("balance", "suspected")]
    assert Break.objects.get().seen_count == 1


@pytest.mark.parametrize("status", ["failed", "partial"])
def test_a_read_that_is_not_good_accuses_nobody_and_clears_nobody(owner: Account, status: str) -> None:
    builders.opening(owner, BTC="2")
    order = builders.order(owner)
    builders.fill(order, "T1", builders.ago(100))
    for surface in coverage.COMPARED:
        builders.snapshot(owner, surface, [], seconds_ago=20, status=status, error="HTTP 502")
    runs.advance()
    assert breaks() == []
    assert {status_of(surface) for surface in coverage.COMPARED} == {"failed"}
    assert "HTTP 502" in Coverage.objects.get(surface="fills").detail
    builders.snapshot(owner, "balances", builders.balance_rows(BTC="9"), seconds_ago=15)
    runs.advance()
    assert breaks() == [("balance", "suspected")] * 2
    builders.snapshot(owner, "balances", [], seconds_ago=10, status=status)
    runs.advance()
    assert breaks() == [("balance", "suspected")] * 2


def test_rows_that_cannot_be_read_back_prove_nothing(owner: Account) -> None:
    builders.snapshot(owner, "fills", [{"venue_trade_id": "T1"}], seconds_ago=20)
    runs.advance()
    assert status_of("fills") == "failed"
    assert breaks() == []


def test_an_unsupported_surface_is_named_as_such(owner: Account) -> None:
    builders.snapshot(owner, "transfers", [], seconds_ago=20, status="unsupported", error="not offered")
    runs.advance()
    assert status_of("transfers") == "unsupported"


def test_trading_around_the_read_is_skipped_and_stays_unproved(owner: Account) -> None:
    builders.opening(owner, BTC="2", USDT="1000")
    order = builders.order(owner, updated_at=builders.ago(20))
    builders.fill(order, "T1", builders.ago(20))
    builders.attempt(order, "gabc", outcome="unknown")
    builders.snapshot(owner, "open_orders", [], seconds_ago=20)
    builders.snapshot(owner, "balances", builders.balance_rows(BTC="7", USDT="1000"), seconds_ago=20)
    runs.advance()
    assert breaks() == []
    assert status_of("balances") == "never"
    assert "BTC" in Coverage.objects.get(surface="balances").detail


def test_a_requested_run_ends_with_fresh_reads(owner: Account) -> None:
    run = runs.request(owner, trigger="console", actor="anna")
    assert Intent.objects.get(action="capture").requested_by == "anna"
    assert AuditEntry.objects.get().action == "reconciliation.request"
    runs.advance()
    run.refresh_from_db()
    assert run.status == "queued"
    for surface in coverage.COMPARED:
        builders.snapshot(owner, surface, [], seconds_ago=0)
    runs.advance()
    run.refresh_from_db()
    assert (run.status, run.summary["missing"]) == ("done", {})
    assert set(run.summary["surfaces"]) == set(coverage.COMPARED)


def test_a_requested_run_without_reads_is_partial_and_names_what_is_missing(owner: Account) -> None:
    run = runs.request(owner, trigger="api")
    Run.objects.filter(id=run.id).update(requested_at=builders.ago(31))
    builders.snapshot(owner, "fills", [], seconds_ago=3)
    builders.snapshot(owner, "balances", [], seconds_ago=3, status="failed", error="HTTP 502")
    runs.advance()
    run.refresh_from_db()
    assert run.status == "partial"
    assert set(run.summary["missing"]) == {"open_orders", "balances"}


def test_quiet_sweeps_are_recorded_once_a_minute(owner: Account) -> None:
    runs.record_sweeps()
    assert Run.objects.count() == 0  # nothing was looked at yet
    builders.snapshot(owner, "open_orders", [], seconds_ago=3)
    runs.advance()
    for _ in range(3):
        runs.record_sweeps()
    assert Run.objects.count() == 1
    Run.objects.update(requested_at=builders.ago(61))
    runs.record_sweeps()
    assert Run.objects.count() == 2


def test_proofs_grow_old_and_only_accounts_in_service_are_watched(owner: Account) -> None:
    resting = builders.account("resting")
    Account.objects.filter(code=resting.code).update(status=AccountStatus.DISABLED)
    builders.snapshot(owner, "open_orders", [], seconds_ago=3)
    runs.advance()
    coverage.refresh()
    assert status_of("open_orders") == "proved"
    assert not Coverage.objects.filter(account=resting).exists()
    too_old = STALE_AFTER_INTERVALS * read_interval("open_orders") + timedelta(seconds=1)
    Coverage.objects.filter(surface="open_orders").update(proved_at=builders.ago(too_old.total_seconds()))
    coverage.refresh()
    assert status_of("open_orders") == "stale"
    assert FeedEntry.objects.filter(topic="coverage").order_by("-seq")[0].kind == "coverage.stale"


def test_trades_the_books_were_opened_with_are_not_missing(owner: Account) -> None:
    at = builders.ago(60)  # by the venue's clock after the opening; the owner's list decides
    builders.snapshot(owner, "fills", [builders.fill_row("T1", at)], seconds_ago=3000, reason="opening")
    builders.snapshot(owner, "fills", [builders.fill_row("T1", at), builders.fill_row("T2", at)], seconds_ago=20)
    runs.advance()
    assert list(Break.objects.values_list("subject", flat=True)) == ["BTC/USDT T2 buy"]


def test_a_drift_is_found_on_an_account_that_never_rests(owner: Account) -> None:
    builders.opening(owner, BTC="10")
    order = builders.order(owner, quantity=Decimal(100))
    for number, seconds_ago in enumerate((40, 30, 20)):
        builders.fill(order, f"T{number}", builders.ago(seconds_ago), quantity=Decimal(number + 1))
        total = Decimal(10) + sum(range(number + 2)) - Decimal("2.5")
        builders.snapshot(owner, "balances", builders.balance_rows(BTC=str(total)), seconds_ago=seconds_ago)
        runs.advance()
        found = Break.objects.filter(asset="BTC").values_list("status", "delta")
        assert list(found) == [[], [("suspected", Decimal("-2.5"))], [("open", Decimal("-2.5"))]][number]
