"""A counter-entry above the threshold takes two people; it is previewed to the last leg, and can be taken back."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings
from django.db.models import Sum

from orders.management.commands import verify_ledger
from orders.models import Balance, Posting
from project import decisions
from project.lib import clock
from project.lib.models import AuditEntry
from reconciliation import adjustments, resolutions
from reconciliation.models import Break
from reconciliation.resolutions import Refused
from risk import approvals, halts
from risk.models import Approval
from tests import factories
from tests.reconciliation import builders
from tests.reconciliation.two_people import REASON, caller, desk, drift, held, line, requested
from venues.models import Account, Instrument

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Account:
    return desk()


def test_adjusting_a_snoozed_break_ends_the_snooze(owner: Account, settings: LazySettings) -> None:
    settings.APPROVAL_USD = Decimal("1000000")
    row = drift(owner)
    resolutions.snooze(row, "anna", clock.now() + timedelta(hours=1))
    adjustments.adjust(row, "anna", REASON, person="anna")
    row.refresh_from_db()
    assert (row.status, row.resolution, row.snoozed_until) == ("resolved", "adjusted", None)


def postings(cause: str = "adjustment") -> list[tuple[str, str]]:
    rows = Posting.objects.filter(cause=cause).order_by("id").values_list("book", "amount")
    return [(book, f"{amount.normalize():f}") for book, amount in rows]


def approve(approval: Approval, name: str = "bert") -> Approval:
    return decisions.decide(approval, caller(name), "approve", approval.change_hash, "")


def test_above_the_threshold_a_second_person_carries_it_out(owner: Account) -> None:
    row = drift(owner)
    asked = requested(row)
    row.refresh_from_db()
    assert (row.status, row.approval_id, held(owner), postings()) == ("awaiting_approval", asked.id, Decimal(2), [])
    assert (asked.amount_usd, asked.account_id, asked.action) == (Decimal("30000.00"), "main", "break.adjust")
    assert asked.summary == "Post one counter-entry that moves main by -0.5 BTC"
    with pytest.raises(approvals.Refused, match="anna requested it"):
        decisions.decide(asked, caller("anna", "admin"), "approve", asked.change_hash, "")
    done = approve(asked)
    row.refresh_from_db()
    assert (row.status, row.resolution, row.resolved_by, held(owner)) == (
        "resolved",
        "adjusted",
        "bert",
        Decimal("1.5"),
    )
    assert postings() == [("venue", "-0.5"), ("adjustments", "0.5")]
    assert done.result["entries"] == [
        str(Posting.objects.filter(cause="adjustment").values_list("entry", flat=True)[0])
    ]
    assert Posting.objects.filter(cause="adjustment")[0].memo == f"anna, approved by bert: {REASON}"
    wanted = ["approval.request", "break.approval_requested", "approval.attempt", "break.adjusted", "approval.approved"]
    assert list(AuditEntry.objects.order_by("sequence").values_list("action", flat=True)) == wanted
    assert next(verify_ledger.differences(), None) is None
    with pytest.raises(approvals.Refused, match="approved already"):
        approve(asked, "carl")
    drift(owner, "1.5", 20)
    assert Break.objects.count() == 1 and len(postings()) == 2


@pytest.mark.parametrize(
    ("price", "delta", "needs"),
    [("1000", "1", False), ("1000.01", "1", True), ("2000", "1.5", False), ("0.01", "1", False)],
)
def test_the_threshold_is_of_what_is_moved(price: str, delta: str, needs: bool) -> None:
    account = desk(price=price)
    made = adjustments.adjust(drift(account, delta), "anna", REASON, person="anna")
    assert made.status == ("awaiting_approval" if needs else "resolved")


def test_what_nobody_can_value_takes_two(owner: Account, settings: LazySettings) -> None:
    settings.APPROVAL_USD = Decimal(10**12)
    Instrument.objects.update(last_price_at=clock.now() - timedelta(hours=2))
    row = drift(owner)
    shown = adjustments.preview(row)
    assert shown["needs_approval"] and shown["usd"] is None and "older than an hour" in shown["why"]
    Instrument.objects.all().delete()
    assert "nobody here knows" in adjustments.preview(row)["why"]
    assert requested(row).amount_usd is None


def test_lines_against_each_other_do_not_make_a_large_change_small(owner: Account) -> None:
    row = drift(owner, "1.999999")
    line(row, "person", "a", "-1.5")
    line(row, "person", "b", "1.499999")
    assert adjustments.preview(row)["needs_approval"] is True


def test_the_preview_shows_every_leg_and_both_sides(owner: Account) -> None:
    row = drift(owner)
    Balance.objects.filter(account=owner, asset="BTC").update(venue_total=Decimal("1.5"), as_of=clock.now())
    line(row, "fee", "F-17", "-0.2")
    line(row, "transfer", "T-4", "-0.1")
    shown = adjustments.preview(row, "funding", "the rest")
    legs = [[(leg["book"], leg["debit"], leg["credit"]) for leg in entry["legs"]] for entry in shown["entries"]]
    assert legs == [
        [("venue", "", "0.2"), ("fees", "0.2", "")],
        [("venue", "", "0.1"), ("transfers", "0.1", "")],
        [("venue", "", "0.2"), ("funding", "0.2", "")],
    ]
    assert [entry["memo"] for entry in shown["entries"]] == ["fee F-17", "transfer T-4", "the rest"]
    books = {book["book"]: (book["before"], book["after"]) for book in shown["books"]}
    assert books == {"venue": ("2", "1.5"), "fees": (None, None), "transfers": ("0", "0.1"), "funding": ("0", "0.2")}
    assert (shown["difference_before"], shown["difference_after"]) == ("-0.5", "0")
    asked = adjustments.adjust(row, "anna", "the rest", person="anna", book="funding").approval
    assert asked is not None and len(approve(asked).result["entries"]) == 3
    assert postings() == [
        ("venue", "-0.2"),
        ("fees", "0.2"),
        ("venue", "-0.1"),
        ("transfers", "0.1"),
        ("venue", "-0.2"),
        ("funding", "0.2"),
    ]
    assert held(owner) == Decimal("1.5") and Posting.objects.aggregate(sum=Sum("amount"))["sum"] == 0


def test_a_refusal_gives_the_break_back(owner: Account) -> None:
    row = drift(owner)
    asked = requested(row)
    decisions.decide(asked, caller("bert"), "refuse", asked.change_hash, "ask the venue first")
    row.refresh_from_db()
    assert (row.status, held(owner), row.events.order_by("-id")[0].detail["reason"]) == (
        "investigating",
        Decimal(2),
        "ask the venue first",
    )
    assert requested(row).id != asked.id


def test_another_delta_outdates_the_request(owner: Account) -> None:
    row = drift(owner)
    asked = requested(row)
    drift(owner, "1.4", 20)
    with pytest.raises(approvals.Refused, match="has changed since"):
        approve(asked)
    row.refresh_from_db()
    asked.refresh_from_db()
    assert (asked.status, row.status, held(owner), postings()) == ("outdated", "investigating", Decimal(2), [])


@pytest.mark.parametrize("how", ["line", "venue agrees again", "run out"])
def test_the_schedule_settles_what_no_longer_stands(owner: Account, how: str) -> None:
    row = drift(owner)
    asked = requested(row)
    assert decisions.settle() == 0
    if how == "line":
        line(row, "fee", "F-1", "-0.1")
    elif how == "run out":
        Approval.objects.update(expires_at=clock.now())
    else:
        drift(owner, "2", 20)
    assert decisions.settle() == 1
    asked.refresh_from_db()
    row.refresh_from_db()
    assert asked.status == ("expired" if how == "run out" else "outdated")
    assert (row.status, row.resolution) == (
        ("resolved", "automatic") if how == "venue agrees again" else ("investigating", "")
    )


def test_while_it_waits_the_break_is_not_closed_otherwise(owner: Account) -> None:
    row = drift(owner)
    requested(row)
    with pytest.raises(Refused, match="waits for a second person"):
        resolutions.explain(row, "anna", "it is nothing")
    with pytest.raises(Refused, match="waits for a second person"):
        adjustments.adjust(row, "carl", "again", person="carl")
    assert resolutions.assign(row, "anna", "bert").status == "awaiting_approval"


@pytest.mark.parametrize("obstacle", ["unknown", "open in a halt", "open, halted by the account", "dead letter"])
def test_unsettled_orders_block_request_and_decision(owner: Account, obstacle: str) -> None:
    row = drift(owner)
    asked = requested(row)
    builders.order(owner, status="unknown" if obstacle == "unknown" else "open")
    if obstacle == "dead letter":
        factories.DeadLetterFactory(order__account=owner, order__status="cancelled")
    elif obstacle == "open in a halt":
        halts.engage("account:main", "drill", "ravi")
    elif obstacle != "unknown":
        Account.objects.filter(pk=owner.pk).update(status="halted")
    said = "not settled" if obstacle.startswith("open") else "settle them first"
    with pytest.raises(approvals.Refused, match=said) as refusal:
        approve(asked)
    asked.refresh_from_db()
    assert (refusal.value.code, asked.status, held(owner)) == ("BLOCKED", "pending", Decimal(2))
    decisions.withdraw(asked, caller("anna", "risk"), "")
    row.refresh_from_db()
    assert said in adjustments.preview(row)["refusal"]
    with pytest.raises(Refused, match=said):
        adjustments.adjust(row, "anna", REASON, person="anna")


@pytest.mark.parametrize("what", ["an open order", "a halt"])
def test_an_open_order_or_a_halt_alone_blocks_nothing(owner: Account, what: str) -> None:
    row = drift(owner)
    if what == "a halt":
        halts.engage("account:main", "drill", "ravi")
    else:
        builders.order(owner)
    assert adjustments.preview(row)["refusal"] == ""
    assert approve(requested(row)).status == "approved"


def test_what_the_person_saw_is_what_is_posted(owner: Account) -> None:
    row = drift(owner)
    with pytest.raises(Refused, match=r"was -0\.4 when you looked and is -0\.5 now"):
        adjustments.adjust(row, "anna", REASON, person="anna", expected="-0.4")
    with pytest.raises(Refused, match="no book 'trading'"):
        adjustments.adjust(row, "anna", REASON, person="anna", book="trading")
    line(row, "fee", "F-1", "-1", asset="USDT")
    with pytest.raises(Refused, match="is in USDT"):
        adjustments.adjust(row, "anna", REASON, person="anna")


@pytest.mark.parametrize("price", ["60000", "1"])
def test_a_counter_entry_is_taken_back_once(price: str) -> None:
    owner = desk(price=price)
    row = drift(owner)
    made = adjustments.adjust(row, "anna", REASON, person="anna", book="fees")
    if made.approval:
        approve(made.approval)
    assert held(owner) == Decimal("1.5")
    row.refresh_from_db()
    taken = adjustments.reverse(row, "anna", "it was a deposit", person="anna")
    if price == "60000":
        assert taken.approval and (taken.status, held(owner)) == ("resolved", Decimal("1.5"))
        with pytest.raises(approvals.Refused, match="anna requested it"):
            approve(taken.approval, "anna")
        approve(taken.approval)
    row.refresh_from_db()
    assert (row.status, row.resolution, held(owner)) == ("investigating", "", Decimal(2))
    assert postings() == [("venue", "-0.5"), ("fees", "0.5"), ("venue", "0.5"), ("fees", "-0.5")]
    with pytest.raises(Refused, match="no counter-entry of this break stands"):
        adjustments.reverse(row, "anna", "again", person="anna")
    assert next(verify_ledger.differences(), None) is None
    shown: Any = adjustments.preview_reversal(row)
    assert shown is None


def test_a_reversal_leaves_a_twin_alone(owner: Account, settings: LazySettings) -> None:
    settings.APPROVAL_USD = Decimal(10**9)
    row = drift(owner)
    adjustments.adjust(row, "anna", REASON, person="anna")
    twin = drift(owner, "1.2", 20, 10)
    assert twin.id != row.id
    row.refresh_from_db()
    adjustments.reverse(row, "anna", "wrong", person="anna")
    row.refresh_from_db()
    assert (row.status, held(owner)) == ("resolved", Decimal(2))
