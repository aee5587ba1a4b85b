"""Transfers compared: what nobody announced, what is gone, what changed, what came twice; and never a break by silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.db.models import F

from orders import store, transfers
from orders.models import Transfer
from project.lib import clock
from reconciliation import coverage, facts, runs
from reconciliation.models import Break, BreakEvent, Coverage
from reconciliation.transfers import OurTransfer, compare_transfers, subject, transfer_facts, transfer_report
from tests.factories import unguarded
from tests.reconciliation import builders
from venues.messages import TransferReport
from venues.models import Account

D = Decimal
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
READING = facts.Reading(requested_at=NOW, taken_at=NOW + timedelta(seconds=1), window_from=NOW - timedelta(hours=1))
OPENED = NOW - timedelta(days=30)


def at(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def ours(name: str = "t1", minutes: float = 10, **changes: Any) -> OurTransfer:
    plain: dict[str, Any] = {
        "id": name, "kind": "deposit", "venue_transfer_id": name, "asset": "USDT", "amount": D(5), "reference": f"tx-{name}",
        "occurred_at": at(minutes), "recorded_at": at(minutes),
    }  # fmt: skip
    return OurTransfer(**(plain | changes))


def theirs(name: str = "t1", minutes: float = 10, **changes: Any) -> TransferReport:
    plain: dict[str, Any] = {
        "kind": "deposit", "venue_transfer_id": name, "asset": "USDT", "amount": D(5), "occurred_at": at(minutes),
    }  # fmt: skip
    return TransferReport(**(plain | changes))


def compared(mine: list[OurTransfer], told: list[TransferReport], *opening: tuple[str, str, str]) -> facts.Comparison:
    return compare_transfers(READING, mine, told, before_opening=opening, since=OPENED)


def kinds(found: facts.Comparison) -> list[tuple[str, str]]:
    return [(difference.kind, difference.subject) for difference in found.differences]


def test_what_nobody_announced_is_certain_at_once_and_says_when_it_happened() -> None:
    for kind in ("deposit", "withdrawal", "internal", "other"):
        found = compared([ours(kind=kind)], [theirs(kind=kind)])
        (one,) = found.differences
        assert (one.kind, one.is_certain, one.economic_at, one.delta) == ("transfer", True, at(10), D(5))
        assert one.transfer_id == "t1"
        assert found.agreed == {subject(kind, "t1", "USDT")}


@pytest.mark.parametrize("kind", ["funding", "settlement", "rebate", "fee"])
def test_funding_settlements_rebates_and_fees_open_nothing_by_themselves(kind: str) -> None:
    found = compared(
        [ours(kind=kind), ours("t2", kind=kind, reference="tx-t1")], [theirs(kind=kind), theirs("t2", kind=kind)]
    )
    assert found.differences == ()
    assert len(found.agreed) == 2


def test_what_is_gone_from_the_list_away_from_its_edges() -> None:
    gone = ours(kind="funding")
    assert kinds(compared([gone], [])) == [("transfer_missing_at_venue", "funding USDT t1")]
    for near in (
        ours(kind="funding", minutes=59.99),
        ours(kind="funding", minutes=0.02),
        ours(kind="funding", minutes=61),
    ):
        assert kinds(compared([near], [])) == []
    late = ours(kind="funding", recorded_at=NOW)  # known here only now: the read may be older
    assert kinds(compared([late], [])) == []


def test_the_same_id_with_another_amount_or_fee() -> None:
    found = compared([ours(kind="funding")], [theirs(kind="funding", amount=D("5.5"))])
    assert kinds(found) == [("transfer_differs", "funding USDT t1")]
    assert found.differences[0].delta == D("0.5")
    found = compared([ours(kind="funding")], [theirs(kind="funding", fee=D(1))])
    assert kinds(found) == [("transfer_differs", "funding USDT t1")]
    assert found.agreed == frozenset()


@pytest.mark.parametrize(
    ("changes", "is_twice"),
    [
        ({}, True),
        ({"minutes": 10 + 24 * 60}, True),
        ({"minutes": 11 + 24 * 60}, False),
        ({"reference": "tx-other"}, False),
        ({"reference": ""}, False),
        ({"amount": D(6)}, False),
        ({"amount": D(-5)}, False),
        ({"asset": "BTC"}, False),
    ],
)
def test_two_of_one_reference_asset_and_amount_within_a_day(changes: dict[str, Any], is_twice: bool) -> None:
    other = ours("t2", **{"reference": "tx-t1", **changes})
    found = compared([ours(), other], [theirs(), theirs("t2", asset=other.asset, amount=other.amount)])
    assert ("transfer_duplicated" in dict(kinds(found))) is is_twice


def test_what_the_opening_contains_and_what_is_too_young_accuse_nobody() -> None:
    assert kinds(compared([], [theirs()], ("deposit", "t1", "USDT"))) == []
    assert kinds(compared([], [theirs(occurred_at=OPENED - timedelta(days=1))])) == []
    young = compared([], [theirs(minutes=0.01)])
    assert kinds(young) == []
    assert young.skipped == {"deposit USDT t1"}
    assert kinds(compared([], [theirs(status="pending"), theirs("t2", amount=D(0))])) == []
    assert kinds(compared([], [theirs()])) == [("transfer", "deposit USDT t1")]


def test_evidence_reads_back() -> None:
    row = theirs(fee=D("0.1"), symbol="BTC/USD:BTC", reference="ab")
    assert transfer_report(transfer_facts(row)) == row
    with pytest.raises(KeyError):
        transfer_report({})


# --- rows ---


@pytest.fixture
def owner(db: None) -> Account:
    account = builders.account()
    coverage.ensure()
    return account


def book(owner: Account, *reports: TransferReport) -> None:
    service: Any = SimpleNamespace(account=owner.code, opened_at=owner.opened_at, transfers_before_opening=frozenset())
    with store.transaction() as books:
        transfers.book(books, service, reports, source="rest")
    with unguarded():  # it was known here when it happened
        Transfer.objects.update(recorded_at=F("occurred_at"))


def told(owner: Account, *reports: TransferReport, seconds_ago: float = 20, **values: Any) -> None:
    rows = [{**transfer_facts(report), "status": report.status} for report in reports]
    builders.snapshot(owner, "transfers", rows, seconds_ago=seconds_ago, **values)
    runs.advance()


def status_of() -> str:
    return Coverage.objects.get(surface="transfers").status


def report(name: str = "t1", **changes: Any) -> TransferReport:
    return theirs(name, **{"occurred_at": clock.now() - timedelta(minutes=4), **changes})


def test_a_deposit_opens_at_once_and_stays_until_somebody_settles_it_and_then_for_good(owner: Account) -> None:
    one = report()
    book(owner, one)
    told(owner, one, seconds_ago=30)
    (row,) = Break.objects.all()
    assert (row.kind, row.status, row.delta, row.transfer_id) == ("transfer", "open", D(5), Transfer.objects.get().id)
    assert row.economic_at == one.occurred_at
    assert list(BreakEvent.objects.values_list("kind", flat=True)) == ["opened"]
    assert status_of() == "failed"
    told(owner, one, seconds_ago=20)
    told(owner, seconds_ago=10, window_from=clock.now())  # out of the window: silence says nothing
    assert Break.objects.get().status == "open"
    Break.objects.update(status="resolved", resolution="adjusted", resolved_at=clock.now())
    told(owner, one, seconds_ago=5)
    assert Break.objects.count() == 1
    assert status_of() == "proved"


def test_a_list_that_lied_and_tells_the_truth_again_heals(owner: Account) -> None:
    one = report(kind="funding")
    book(owner, one)
    for seconds_ago in (60, 50):
        told(owner, report(kind="funding", amount=D(6), occurred_at=one.occurred_at), seconds_ago=seconds_ago)
    assert list(Break.objects.values_list("kind", "status")) == [("transfer_differs", "open")]
    told(owner, one, seconds_ago=40)
    assert list(Break.objects.values_list("kind", "status")) == [("transfer_differs", "resolved")]
    assert status_of() == "proved"
    told(owner, seconds_ago=30)
    assert status_of() == "failed"
    assert Break.objects.exclude(status="resolved").get().kind == "transfer_missing_at_venue"
    told(owner, one, seconds_ago=20)
    assert not Break.objects.exclude(status="resolved").exists()


@pytest.mark.parametrize(
    ("read", "status"), [("failed", "failed"), ("partial", "failed"), ("unsupported", "unsupported")]
)
def test_a_read_that_is_not_good_accuses_nobody(owner: Account, read: str, status: str) -> None:
    book(owner, report(kind="funding"))
    told(owner, status=read, error="nothing")
    assert status_of() == status
    assert not Break.objects.exists()


def test_a_row_that_cannot_be_read_back_proves_nothing(owner: Account) -> None:
    builders.snapshot(owner, "transfers", [{"kind": "deposit"}], seconds_ago=20)
    runs.advance()
    assert status_of() == "failed"
    assert "cannot be read back" in Coverage.objects.get(surface="transfers").detail


def test_a_transfer_around_the_read_of_balances_may_or_may_not_be_in_it(owner: Account) -> None:
    builders.opening(owner, USDT="100")
    book(owner, report(occurred_at=clock.now()))
    for seconds_ago, total in ((3, "100"), (2, "105")):
        builders.snapshot(owner, "balances", builders.balance_rows(USDT=total), seconds_ago=seconds_ago)
        runs.advance()
        assert Coverage.objects.get(surface="balances").status == "proved", total
    assert not Break.objects.exists()


def test_running_again_makes_no_new_rows(owner: Account) -> None:
    one, two = report(reference="tx"), report("t2", reference="tx")
    book(owner, one, two)
    told(owner, one, two, seconds_ago=30)
    told(owner, one, two, seconds_ago=20)
    before = (Break.objects.count(), BreakEvent.objects.count())
    for _ in range(3):
        runs.advance()
    assert (Break.objects.count(), BreakEvent.objects.count()) == before == (2, 3)
