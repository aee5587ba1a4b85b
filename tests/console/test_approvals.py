"""Approvals on the pages: the preview, the request, the second person with a password, everybody else refused."""

from __future__ import annotations

import html
import re
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import Client

from orders.models import Balance, Posting
from project.lib.models import AuditEntry
from reconciliation.models import Break
from risk.models import Approval
from tests import factories
from tests.console.conftest import SignIn
from tests.reconciliation.two_people import REASON, desk, drift, requested

pytestmark = pytest.mark.django_db


def flashed(client: Client, path: str = "/") -> str:
    shown = re.findall(r'<div class="flash"[^>]*><p>(.*?)</p>', client.get(path).content.decode())
    return html.unescape(" ".join(shown))


def test_from_the_break_to_the_second_person(sign_in: SignIn) -> None:
    row, risk, second = drift(desk()), sign_in("risk"), sign_in("approver")
    page = risk.get(f"/breaks/{row.id}/?book=fees").content.decode()
    assert "Request approval" in page and 'name="delta" value="-0.5"' in page and 'value="fees" selected' in page
    risk.post(f"/breaks/{row.id}/adjustment/", {"reason": REASON, "book": "fees", "delta": "-0.5"})
    assert "Nothing is posted until a second person" in flashed(risk)
    asked = Approval.objects.get()
    assert 'href="/approvals/"' in (nav := risk.get("/live/frame/").content.decode()) and "Approvals <span" in nav
    assert f"/approvals/{asked.id}/" in risk.get(f"/breaks/{row.id}/").content.decode()
    assert "You requested this" in html.unescape(risk.get(f"/approvals/{asked.id}/").content.decode())
    word = {"decision": "approve", "change_hash": asked.change_hash}
    url = f"/approvals/{asked.id}/decision/"
    risk.post(url, word)
    assert "somebody else has to decide" in flashed(risk)
    shown = second.get(f"/approvals/{asked.id}/").content.decode()
    assert (
        asked.change_hash in shown.replace("<wbr>", "")
        and "Approve and post" in shown
        and "Your password" in shown
        and REASON in shown
    )
    second.post(url, word)
    assert "confirm it with your password" in flashed(second)
    second.post(url, {**word, "password": "wrong"})
    assert "password is wrong; 4 more" in flashed(second) and not Posting.objects.filter(cause="adjustment").exists()
    second.post(url, {**word, "password": factories.PASSWORD})
    assert "Approved and carried out" in flashed(second)
    assert second.get(f"/approvals/{asked.id}/").context["asks_password"] is False
    second.post(url, word)
    assert "approved already by approver" in flashed(second)
    assert Posting.objects.filter(cause="adjustment").count() == 2 and Break.objects.get().resolution == "adjusted"
    assert "Take the counter-entry back" in risk.get(f"/breaks/{row.id}/").content.decode()
    risk.post(f"/breaks/{row.id}/reversal/", {"reason": "it was a deposit"})
    assert "Nothing is posted until" in flashed(risk) and Approval.objects.count() == 2


def test_five_wrong_passwords_end_the_session(sign_in: SignIn) -> None:
    asked, client = requested(drift(desk())), sign_in("approver")
    word = {"decision": "approve", "change_hash": asked.change_hash, "password": "guess"}
    for _ in range(5):
        client.post(f"/approvals/{asked.id}/decision/", word)
    assert client.get("/approvals/").status_code == 302
    assert AuditEntry.objects.filter(action="person.password_wrong").count() == 5
    asked.refresh_from_db()
    assert asked.status == "pending"


def test_somebody_without_a_password_needs_none(sign_in: SignIn) -> None:
    asked, client = requested(drift(desk())), sign_in("approver")
    person = User.objects.get(username="approver")
    person.set_unusable_password()
    person.save()
    client.force_login(person)
    client.post(
        f"/approvals/{asked.id}/decision/", {"decision": "refuse", "change_hash": asked.change_hash, "reason": "no"}
    )
    asked.refresh_from_db()
    assert (asked.status, asked.decision_reason) == ("refused", "no")


@pytest.mark.parametrize("role", ["risk", "trader", "operator", "viewer"])
def test_other_roles_do_not_decide(sign_in: SignIn, role: str) -> None:
    asked, client = requested(drift(desk())), sign_in(role)
    assert "Needs the role admin or approver" in client.get(f"/approvals/{asked.id}/").content.decode()
    word = {"decision": "approve", "change_hash": asked.change_hash, "password": factories.PASSWORD}
    client.post(f"/approvals/{asked.id}/decision/", word)
    asked.refresh_from_db()
    assert asked.status == "pending" and "needs the role approver" in flashed(client)
    assert AuditEntry.objects.filter(action="approval.attempt", actor=role).exists()


def test_tabs_and_withdrawal(sign_in: SignIn) -> None:
    row, risk = drift(desk()), sign_in("risk")
    asked = requested(row, "risk")
    for tab, is_there in (("pending", True), ("mine", True), ("history", False)):
        assert (f"approval-{asked.id}" in risk.get(f"/approvals/?tab={tab}").content.decode()) is is_there
    risk.post(f"/approvals/{asked.id}/withdrawal/", {"next": f"/breaks/{row.id}/"})
    assert f"approval-{asked.id}" in risk.get("/approvals/?tab=history").content.decode()
    assert Break.objects.get().status == "investigating"
    other = sign_in("approver")
    assert f"approval-{asked.id}" not in other.get("/approvals/?tab=mine").content.decode()


def test_a_desk_of_one_is_told_whom_it_lacks(sign_in: SignIn) -> None:
    row, risk = drift(desk()), sign_in("risk")
    assert "Nobody else may approve yet" in risk.get(f"/breaks/{row.id}/").content.decode()
    requested(row, "risk")
    assert "Nobody else may approve yet" in risk.get(f"/breaks/{row.id}/").content.decode()
    factories.UserFactory(username="abel", role="approver")
    assert "Nobody else may approve yet" not in risk.get(f"/breaks/{row.id}/").content.decode()
    assert "wait for a second person" in risk.get("/").content.decode()


def test_a_reopened_break_offers_both_a_counter_entry_and_the_reversal(sign_in: SignIn) -> None:
    row, risk = drift(desk(price="1")), sign_in("risk")
    risk.post(f"/breaks/{row.id}/adjustment/", {"reason": REASON})
    risk.post(f"/breaks/{row.id}/reopening/", {"reason": "not convinced"})
    page = risk.get(f"/breaks/{row.id}/").content.decode()
    assert "Take the counter-entry back" in page and "Post counter-entry" in page
    assert "the difference would be" not in page  # nobody has read the venue's total into the balance here


def test_a_difference_that_moved_since_is_told(sign_in: SignIn) -> None:
    row, risk = drift(desk()), sign_in("risk")
    Balance.objects.update(venue_total=Decimal("1.7"))
    page = risk.get(f"/breaks/{row.id}/").content.decode()
    assert "By the newest read the difference would be 0.2 afterwards, not 0" in page


def test_what_no_version_carries_out_is_refused_in_words(sign_in: SignIn) -> None:
    asked, client = factories.ApprovalFactory(action="desk.paint"), sign_in("approver")
    assert client.get(f"/approvals/{asked.id}/").status_code == 200
    word = {"decision": "approve", "change_hash": asked.change_hash, "password": factories.PASSWORD}
    client.post(f"/approvals/{asked.id}/decision/", word)
    assert "nothing here carries out desk.paint" in flashed(client)
