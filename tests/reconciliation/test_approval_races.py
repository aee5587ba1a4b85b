"""Two people at the same moment: exactly one of them wins, and the books show it once."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from orders.management.commands import verify_ledger
from orders.models import Posting
from project import decisions
from project.lib import audit
from project.lib.models import AuditEntry
from reconciliation import adjustments, resolutions
from reconciliation.models import Break
from risk import approvals
from risk.models import Approval
from tests.orders.scene import in_threads
from tests.reconciliation.two_people import REASON, caller, desk, drift, held, requested

pytestmark = pytest.mark.django_db(transaction=True)
DECIDERS = 4


def whole() -> None:
    assert next(verify_ledger.differences(), None) is None
    assert audit.first_difference(AuditEntry.objects.order_by("sequence")) is None


def test_of_many_approvers_one_posts() -> None:
    owner = desk()
    asked = requested(drift(owner))

    def decide(number: int) -> str:
        try:
            return decisions.decide(asked, caller(f"person-{number}"), "approve", asked.change_hash, "").status
        except approvals.Refused as refusal:
            return refusal.code

    assert Counter(in_threads(DECIDERS, decide)) == {"approved": 1, "DECIDED": DECIDERS - 1}
    assert held(owner) == Decimal("1.5") and Posting.objects.filter(cause="adjustment").count() == 2
    assert AuditEntry.objects.filter(action="approval.approved").count() == 1
    whole()


@pytest.mark.parametrize("round", range(3))
def test_approving_refusing_withdrawing_and_expiring_at_once_end_in_one_state(round: int) -> None:
    owner = desk()
    row = drift(owner)
    asked = requested(row)

    def act(number: int) -> str:
        try:
            if number == 0:
                decisions.decide(asked, caller("bert"), "approve", asked.change_hash, "")
            elif number == 1:
                decisions.decide(asked, caller("carl"), "refuse", asked.change_hash, "no")
            elif number == 2:
                decisions.withdraw(asked, caller("anna"), "")
            else:
                decisions.settle()
                return "settled"
        except approvals.Refused as refusal:
            return refusal.code
        return "won"

    assert Counter(in_threads(4, act)) == {"won": 1, "DECIDED": 2, "settled": 1}
    row.refresh_from_db()
    asked.refresh_from_db()
    is_approved = asked.status == "approved"
    assert held(owner) == (Decimal("1.5") if is_approved else Decimal(2))
    assert row.status == ("resolved" if is_approved else "investigating")
    whole()


def test_of_many_requests_one_is_made() -> None:
    row = drift(desk())

    def ask(number: int) -> str:
        try:
            return adjustments.adjust(row, f"person-{number}", REASON, person=f"person-{number}").status
        except resolutions.Refused as refusal:
            return str(refusal)[:5]

    assert Counter(in_threads(DECIDERS, ask))["awaiting_approval"] == 1
    assert Approval.objects.count() == 1 and Break.objects.get().status == "awaiting_approval"
    whole()


def test_of_many_reversals_one_is_posted() -> None:
    owner = desk(price="1")
    row = adjustments.adjust(drift(owner), "anna", REASON, person="anna")

    def take_back(number: int) -> bool:
        try:
            adjustments.reverse(row, f"person-{number}", "wrong", person=f"person-{number}")
        except resolutions.Refused:
            return False
        return True

    assert sum(in_threads(DECIDERS, take_back)) == 1
    assert held(owner) == Decimal(2)
    whole()
