"""Reactions: what fires, what it halts, and how it is let go."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from orders import reactions as watching
from orders.models import Anomaly
from project.lib import clock
from project.lib.models import AuditEntry
from risk import halts, reactions
from risk.models import Firing, Halt, Reaction
from tests import factories
from tests.health.test_standing import measured
from venues.accounts import Invalid
from venues.models import Account, ChannelHealth

PLAIN: dict[str, Any] = {
    "trigger": "score_below", "threshold": 50, "action": "halt", "release": "calm", "calm_seconds": 60, "reason": "safety",
}  # fmt: skip


@pytest.fixture
def account(db: None) -> Account:
    made: Account = factories.AccountFactory(status="ready")
    measured(made)
    return made


def check(seconds: float = 0) -> list[Firing]:
    now = clock.now() + timedelta(seconds=seconds)
    ChannelHealth.objects.update(updated_at=now, heard_at=now)
    return watching.check(now)


def failing(is_so: bool) -> None:
    ChannelHealth.objects.filter(capability="submit").update(breaker="open" if is_so else "closed")


def test_a_low_score_halts_the_venue_and_calm_lets_it_go(account: Account) -> None:
    rule = reactions.make(**PLAIN, actor="ada")
    assert check() == []
    failing(True)
    [firing] = check()
    halt = Halt.objects.get()
    assert (halt.scope, halt.state, halt.created_by) == (f"venue:{account.venue_id}", "halted", f"reaction:{rule.pk}")
    assert "scores 40, below 50" in halt.reason and "safety" in halt.reason
    assert firing.evidence["points"] == 40
    assert check(1) == []
    assert Halt.objects.count() == 1
    failing(False)
    check(30)
    assert halts.state_for(account.code, account.venue_id) == "halted"
    check(62)
    assert halts.state_for(account.code, account.venue_id) == "active"
    firing.refresh_from_db()
    halt.refresh_from_db()
    assert firing.ended_at is not None
    assert halt.released_by == f"reaction:{rule.pk}"
    actions = list(AuditEntry.objects.order_by("sequence").values_list("action", flat=True))
    assert actions == ["reaction.make", "halt.engage", "reaction.halt", "halt.release"]
    failing(True)
    assert len(check(70)) == 1


def test_what_a_person_is_to_release_waits_for_the_person(account: Account) -> None:
    reactions.make(**(PLAIN | {"release": "person", "action": "reduce"}), actor="ada")
    failing(True)
    check()
    failing(False)
    check(3600)
    assert halts.state_for(account.code, account.venue_id) == "reducing"
    assert not reactions.standing().exists()


def test_a_person_who_releases_is_not_overruled_while_the_cause_holds(account: Account) -> None:
    reactions.make(**PLAIN, actor="ada")
    failing(True)
    check()
    halts.release(Halt.objects.get(), "it is needed", "ada")
    assert check(2) == []
    assert Halt.objects.count() == 1
    assert halts.state_for(account.code, account.venue_id) == "active"


def test_an_alert_halts_nothing(account: Account) -> None:
    reactions.make(**(PLAIN | {"action": "alert"}), actor="ada")
    failing(True)
    [firing] = check()
    assert firing.halt is None
    assert not Halt.objects.exists()
    client = Client()
    client.force_login(factories.UserFactory(role="viewer"))
    assert "scores 40" in client.get("/").content.decode()


def test_a_rule_for_one_venue_leaves_others_alone(account: Account) -> None:
    other = factories.AccountFactory(status="ready")
    reactions.make(**(PLAIN | {"venue": other.venue_id}), actor="ada")
    failing(True)
    assert check() == []


def test_no_points_are_no_low_points(account: Account) -> None:
    reactions.make(**PLAIN, actor="ada")
    ChannelHealth.objects.update(updated_at=clock.now() - timedelta(hours=1))
    assert watching.check(clock.now()) == []


@pytest.mark.parametrize("kind", ["delayed_fill", "acknowledged_then_denied", "stream_differs", "throttled_in_move"])
def test_a_detection_acts_on_the_account_it_was_seen_on(account: Account, kind: str) -> None:
    reactions.make(**(PLAIN | {"trigger": kind, "threshold": None}), actor="ada")
    assert check() == []
    seen: datetime = clock.now()
    Anomaly.objects.create(account=account, kind=kind, subject="BTC/USDT", data={"seconds": "12.0"}, seen_at=seen)
    [firing] = check()
    assert (firing.scope, firing.account_id) == (f"account:{account.code}", account.code)
    assert firing.evidence["data"] == {"seconds": "12.0"}
    assert halts.state_for(account.code, account.venue_id) == "halted"
    assert check(30) == []
    check(130)
    assert halts.state_for(account.code, account.venue_id) == "active"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"trigger": "weather"}, "trigger"),
        ({"threshold": None}, "threshold"),
        ({"threshold": 101}, "threshold"),
        ({"trigger": "delayed_fill"}, "threshold"),
        ({"action": "reroute"}, "action"),
        ({"release": "never"}, "release"),
        ({"calm_seconds": 1}, "calm_seconds"),
        ({"reason": " "}, "reason"),
        ({"venue": "nowhere"}, "venue"),
    ],
)
def test_what_is_no_rule(db: None, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        reactions.make(**(PLAIN | changes), actor="ada")
    assert refused.value.field == field


def test_the_risk_page_sets_and_ends_a_rule(account: Account) -> None:
    client = Client()
    client.force_login(factories.UserFactory(role="risk"))
    assert client.post("/risk/reactions/", PLAIN).status_code == 303
    rule = Reaction.objects.get()
    assert "safety" in client.get("/risk/").content.decode()
    client.post(f"/risk/reactions/{rule.pk}/revocation/")
    rule.refresh_from_db()
    assert rule.revoked_at is not None
    assert reactions.in_force() == []
