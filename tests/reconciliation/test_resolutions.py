"""What a person may decide about a break, what is refused, and that each decision is on record."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db.models import Sum

from orders.models import Balance, DeadLetter, Posting
from project.lib.models import AuditEntry
from reconciliation import adjustments, coverage, resolutions, runs
from reconciliation.models import Break, Coverage
from tests import factories
from tests.reconciliation import builders
from venues.models import Account

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Account:
    account = builders.account()
    coverage.ensure()
    builders.opening(account, BTC="2")
    factories.InstrumentFactory(venue=account.venue, symbol="BTC/USDT", last_price=Decimal(100))
    return account


def totals(owner: Account) -> dict[str, Decimal]:
    return dict(Balance.objects.filter(account=owner).values_list("asset", "total"))


def drift(owner: Account, *seconds_ago: float, total: str = "1.5") -> Break:
    for seconds in seconds_ago:
        builders.snapshot(owner, "balances", builders.balance_rows(BTC=total), seconds_ago=seconds)
        runs.advance()
    return Break.objects.order_by("-first_seen_at")[0]


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("sequence").values_list("action", flat=True))


def test_an_adjustment_makes_the_books_equal(owner: Account) -> None:
    row = drift(owner, 40, 30)
    shown = adjustments.preview(row)
    assert (shown["total_before"], shown["amount"], shown["total_after"], shown["refusal"]) == ("2", "-0.5", "1.5", "")
    adjustments.adjust(row, "anna", "fee charged outside of a trade", person="anna")
    assert totals(owner) == {"BTC": Decimal("1.5")}
    assert Posting.objects.aggregate(sum=Sum("amount"))["sum"] == 0
    row.refresh_from_db()
    assert (row.status, row.resolution, row.resolved_by) == ("resolved", "adjusted", "anna")
    assert actions() == ["break.adjusted"]
    assert row.events.order_by("-id")[0].detail["amount"] == "-0.5"
    drift(owner, 20)
    assert Break.objects.count() == 1
    assert Coverage.objects.get(surface="balances").status == "proved"
    with pytest.raises(resolutions.Refused, match="already resolved by anna"):
        adjustments.adjust(row, "bert", "again", person="bert")
    assert Posting.objects.count() == 4


def test_a_suspicion_is_not_adjusted(owner: Account) -> None:
    row = drift(owner, 40)
    with pytest.raises(resolutions.Refused, match="wait for the second"):
        adjustments.adjust(row, "anna", "hasty", person="anna")
    assert totals(owner) == {"BTC": Decimal(2)}
    assert actions() == []


@pytest.mark.parametrize("obstacle", ["unknown", "sending", "dead letter"])
def test_unproven_orders_block_a_correction(owner: Account, obstacle: str) -> None:
    row = drift(owner, 40, 30)
    order = builders.order(owner, status="cancelled" if obstacle == "dead letter" else obstacle)
    if obstacle == "dead letter":
        DeadLetter.objects.create(order=order, account=owner, cause="c", explanation="e", money_at_risk=Decimal(1))
    assert "settle them first" in adjustments.preview(row)["refusal"]
    with pytest.raises(resolutions.Refused, match="settle them first"):
        adjustments.adjust(row, "anna", "impatient", person="anna")
    assert Posting.objects.count() == 2


def test_only_balances_are_adjusted(owner: Account) -> None:
    builders.order(owner)
    builders.snapshot(owner, "open_orders", [], seconds_ago=20)
    runs.advance()
    with pytest.raises(resolutions.Refused, match="explain it instead"):
        adjustments.adjust(Break.objects.get(), "anna", "wrong door", person="anna")


def test_an_explained_difference_stays_quiet_until_it_changes(owner: Account) -> None:
    row = drift(owner, 60, 50)
    with pytest.raises(resolutions.Refused, match="reason is required"):
        resolutions.explain(row, "anna", "  ")
    resolutions.explain(row, "anna", "collateral locked by the venue")
    drift(owner, 40, 30)
    assert Break.objects.count() == 1
    assert Coverage.objects.get(surface="balances").detail == "1 explained"
    assert drift(owner, 20, total="1.4").id != row.id
    assert Break.objects.filter(status="suspected").count() == 1
    with pytest.raises(resolutions.Refused, match="go on with that one"):
        resolutions.reopen(row, "anna", "it grew")


def test_assign_note_and_reopen_are_kept_in_history_and_audit(owner: Account) -> None:
    row = drift(owner, 40, 30)
    assert resolutions.assign(row, "anna", "bert").status == "investigating"
    resolutions.note(row, "bert", "asked the venue")
    resolutions.explain(row, "bert", "known")
    for refused in (resolutions.assign, resolutions.note, resolutions.explain):
        with pytest.raises(resolutions.Refused, match="already resolved by bert"):
            refused(row, "anna", "again")
    assert resolutions.reopen(row, "anna", "not convinced").status == "investigating"
    with pytest.raises(resolutions.Refused, match="not resolved"):
        resolutions.reopen(row, "anna", "twice")
    history = list(row.events.order_by("id").values_list("kind", "actor"))
    assert history[2:] == [("assigned", "anna"), ("noted", "bert"), ("explained", "bert"), ("reopened", "anna")]
    assert actions() == ["break.assigned", "break.noted", "break.explained", "break.reopened"]
    drift(owner, 10, total="2")
    row.refresh_from_db()
    assert (row.status, row.resolution) == ("resolved", "automatic")
