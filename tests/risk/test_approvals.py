"""A change that two people make: bound to its hash, decided once, by somebody else, in time, or not at all."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from project.lib import clock, feed
from project.lib.models import AuditEntry, FeedEntry
from risk import approvals
from risk.approvals import Action, Refused
from risk.models import Approval
from tests.reconciliation.two_people import caller

pytestmark = pytest.mark.django_db
CHANGE: dict[str, Any] = {"limit": "notional_max", "to": Decimal("250000.50")}


class Desk:
    """The subject of a change: what would be done now, what was done, what was left."""

    def __init__(self) -> None:
        self.change: dict[str, Any] | None = dict(CHANGE)
        self.done: list[str] = []
        self.left: list[str] = []
        self.action = Action(current=lambda row: self.change, carry_out=self._carry_out, leave=self._leave)

    def request(self, **values: Any) -> Approval:
        values = {
            "subject": "7",
            "change": CHANGE,
            "actor": "anna",
            "person": "anna",
            "reason": "more volume",
            **values,
        }
        return approvals.request(action="limit.put", summary="Raise a limit", **values)

    def _carry_out(self, row: Approval, actor: str) -> dict[str, Any]:
        self.done.append(actor)
        return {"by": actor}

    def _leave(self, row: Approval) -> None:
        self.left.append(row.status)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("sequence").values_list("action", flat=True))


def test_the_hash_is_of_the_canonical_change() -> None:
    assert approvals.canonical({"b": Decimal("1.50"), "a": [Decimal("0E-18"), None]}) == '{"a":["0",null],"b":"1.5"}'
    assert approvals.digest({"a": "1", "b": "2"}) == approvals.digest({"b": "2", "a": "1"})
    assert approvals.digest({"a": Decimal("1.10")}) == approvals.digest({"a": Decimal("1.1000")})
    assert approvals.digest({"a": Decimal("1.1")}) != approvals.digest({"a": Decimal("1.100000000000000001")})
    with pytest.raises(TypeError, match="never a float"):
        approvals.canonical({"a": 0.1})


def test_another_person_approves_and_it_is_done_once(desk: Desk) -> None:
    row = desk.request()
    assert (row.status, row.change, row.change_hash) == (
        "pending",
        {"limit": "notional_max", "to": "250000.5"},
        approvals.digest(CHANGE),
    )
    assert row.expires_at - row.requested_at == timedelta(hours=24)
    done = approvals.approve(row, caller("bert"), row.change_hash, desk.action, "agreed")
    assert (done.status, done.decided_by, done.result, desk.done) == ("approved", "bert", {"by": "bert"}, ["bert"])
    for again in (caller("bert"), caller("carl")):
        with pytest.raises(Refused, match="approved already by bert"):
            approvals.approve(row, again, row.change_hash, desk.action)
    with pytest.raises(Refused, match="approved already"):
        approvals.refuse(row, caller("carl"), row.change_hash, desk.action, "late")
    assert desk.done == ["bert"] and actions() == ["approval.request", "approval.approved"]
    assert list(FeedEntry.objects.order_by("seq").values_list("topic", "kind")) == [
        ("approvals", "approval.request"),
        ("approvals", "approval.approved"),
    ]


@pytest.mark.parametrize(
    ("who", "change_hash", "code", "said"),
    [
        (caller("anna", "approver", "admin"), None, "SAME_PERSON", "somebody else has to decide"),
        (caller("anna", "admin", actor="token:night shift"), None, "SAME_PERSON", "by whatever token"),
        (caller("bert", "risk", "operator"), None, "FORBIDDEN", "needs the role approver"),
        (caller("bert", "admin", is_read_only=True), None, "FORBIDDEN", "needs the role approver"),
        (caller("bert"), "0" * 64, "HASH_DIFFERS", "read it afresh"),
        (caller("bert"), "", "HASH_DIFFERS", "read it afresh"),
    ],
)
@pytest.mark.parametrize("wanted", ["approve", "refuse"])
def test_who_may_not_is_refused_and_on_record(
    desk: Desk, who: Any, change_hash: str | None, code: str, said: str, wanted: str
) -> None:
    row = desk.request(actor="token:desk")
    given = row.change_hash if change_hash is None else change_hash
    with pytest.raises(Refused, match=said) as refusal:
        if wanted == "approve":
            approvals.approve(row, who, given, desk.action)
        else:
            approvals.refuse(row, who, given, desk.action, "no")
    row.refresh_from_db()
    assert (refusal.value.code, row.status, desk.done, desk.left) == (code, "pending", [], [])
    attempt = AuditEntry.objects.get(action="approval.attempt")
    assert (attempt.actor, attempt.detail["refused"], attempt.detail["wanted"]) == (who.actor, code, wanted)


@pytest.mark.parametrize("now", [None, {"limit": "notional_max", "to": "250000.51"}])
def test_what_has_changed_since_is_not_done(desk: Desk, now: dict[str, Any] | None) -> None:
    row, desk.change = desk.request(), now
    with pytest.raises(Refused, match="has changed since"):
        approvals.approve(row, caller("bert"), row.change_hash, desk.action)
    row.refresh_from_db()
    assert (row.status, desk.done, desk.left, actions()[-1]) == ("outdated", [], ["outdated"], "approval.outdated")


def test_a_change_altered_in_the_database_is_not_done(desk: Desk) -> None:
    row = desk.request()
    Approval.objects.update(change={"limit": "notional_max", "to": "9999999"})
    with pytest.raises(Refused, match="has changed since"):
        approvals.approve(row, caller("bert"), row.change_hash, desk.action)
    assert desk.done == []


def test_what_has_run_out_is_not_done(desk: Desk) -> None:
    row = desk.request(ttl=timedelta(seconds=-1))
    with pytest.raises(Refused, match="ran out"):
        approvals.approve(row, caller("bert"), row.change_hash, desk.action)
    row.refresh_from_db()
    assert (row.status, desk.done, desk.left) == ("expired", [], ["expired"])


def test_the_schedule_settles_what_ran_out_or_changed_and_nothing_else(desk: Desk) -> None:
    late, stays = desk.request(ttl=timedelta(seconds=-1)), desk.request(subject="8")
    foreign = approvals.request(
        action="other",
        subject="7",
        change={},
        summary="s",
        actor="a",
        person="a",
        reason="r",
        ttl=timedelta(seconds=-1),
    )
    assert approvals.expire({"limit.put": desk.action}) == 1
    desk.change = None
    assert approvals.expire({"limit.put": desk.action}) == 1
    assert approvals.expire({"limit.put": desk.action}) == 0
    for row, status in ((late, "expired"), (stays, "outdated"), (foreign, "pending")):
        row.refresh_from_db()
        assert row.status == status


def test_one_request_at_a_time_and_always_a_reason(desk: Desk) -> None:
    first = desk.request()
    with pytest.raises(Refused, match="requested already"):
        desk.request(actor="carl", person="carl")
    with pytest.raises(Refused, match="reason is required"):
        desk.request(subject="8", reason="  ")
    with pytest.raises(Refused, match="nobody is known"):
        desk.request(subject="8", person="")
    with pytest.raises(Refused, match="needs a reason"):
        approvals.refuse(first, caller("bert"), first.change_hash, desk.action, " ")
    approvals.refuse(first, caller("bert"), first.change_hash, desk.action, "too much")
    assert desk.left == ["refused"] and desk.request().status == "pending"


def test_only_the_requester_withdraws(desk: Desk) -> None:
    row = desk.request()
    with pytest.raises(Refused, match="only anna"):
        approvals.withdraw(row, caller("bert", "admin"), desk.action, "")
    assert approvals.withdraw(row, caller("anna", "viewer"), desk.action, "wrong").status == "withdrawn"
    with pytest.raises(Refused, match="withdrawn already"):
        approvals.approve(row, caller("bert"), row.change_hash, desk.action)
    assert desk.left == ["withdrawn"] and desk.done == []


def test_what_cannot_be_carried_out_leaves_everything_as_it_was(desk: Desk) -> None:
    row = desk.request()

    def blocked(row: Approval, actor: str) -> dict[str, Any]:
        feed.announce("approvals", "half.done", "x")
        raise Refused("not now", "BLOCKED")

    action = Action(current=lambda row: desk.change, carry_out=blocked, leave=lambda row: None)
    with pytest.raises(Refused, match="not now"):
        approvals.approve(row, caller("bert"), row.change_hash, action)
    row.refresh_from_db()
    assert row.status == "pending" and actions() == ["approval.request"]
    assert not FeedEntry.objects.filter(kind="half.done").exists()
    assert row.expires_at > clock.now()
