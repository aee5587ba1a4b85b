"""The watchdog: more out than in is found in the log and halts the account, once; a clean log halts nobody."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from orders import watchdog
from orders.models import Attempt, Order, OrderEvent
from orders.states import Status
from project.lib import clock
from risk import halts
from risk.models import Halt
from tests.orders.scene import apply, fill, make_account, moved, queued, report, sending
from venues.models import Account


def sent_again(order: Order, **changes: Any) -> Attempt:
    facts = {
        "order": order, "account_id": order.account_id, "action": "submit", "venue_client_id": f"again{Attempt.objects.count()}",
        "epoch": 1, "request_digest": "", "window_ms": 5000, "sent_at": clock.now(), **changes,
    }  # fmt: skip
    return Attempt.objects.create(**facts)


def found() -> list[tuple[str, str]]:
    return [(breach.account, breach.what) for breach in watchdog.breaches(clock.now())]


def test_a_clean_log_halts_nobody(account: Account) -> None:
    apply(sending(account), report("open"), fill("t-1", "0.4"), fill("t-2", "0.6"))
    queued(account)
    apply(sending(account), report("cancelled", venue_order_id="v-2"))
    assert found() == [] and watchdog.check(clock.now()) == []


def test_one_intent_sent_twice_halts_its_account_once(account: Account) -> None:
    order = sending(account)
    sent_again(order)
    assert found() == [(account.code, f"order {order.id} went out 2 times for one intent")]
    [halt] = watchdog.check(clock.now())
    assert (halt.scope, halt.created_by, halt.state) == (f"account:{account.code}", "watchdog", "halted")
    assert watchdog.check(clock.now()) == [] and Halt.objects.count() == 1
    assert queued(account).reason_code == "TRADING_HALTED" and queued(make_account()).status == "queued"


@pytest.mark.parametrize(
    "harmless",
    [
        {"outcome": "not_sent"}, {"outcome": "rejected"}, {"outcome": "unknown", "resolution": "never_accepted"},
        {"outcome": "unknown", "resolution": "declared_absent"}, {"action": "cancel"},
    ],
    ids=str,
)  # fmt: skip
def test_what_never_lived_does_not_count(account: Account, harmless: dict[str, str]) -> None:
    sent_again(sending(account), **harmless)
    assert found() == []


@pytest.mark.parametrize("outcome", ["", "accepted", "unknown"])
def test_what_may_live_counts(account: Account, outcome: str) -> None:
    sent_again(sending(account), outcome=outcome)
    assert len(found()) == 1


def test_a_leg_that_an_amend_ended_does_not_count(account: Account) -> None:
    order = moved(sending(account), Status.OPEN)
    OrderEvent.objects.create(
        account=account, sequence=1000, order=order, kind="leg_ended", source="test", received_at=clock.now()
    )
    sent_again(order, outcome="accepted")
    assert found() == []
    sent_again(order, outcome="accepted")
    assert found() == [(account.code, f"order {order.id} went out 3 times for one intent")]


def test_an_overfill_halts(account: Account) -> None:
    order = sending(account)
    apply(order, fill("t-1", "0.7"), fill("t-2", "0.7"))
    assert found() == [(account.code, f"order {order.id} filled 1.4 of 1")]


@pytest.mark.parametrize("scope", ["global", "venue", "account"])
def test_an_order_sent_although_halted_is_found(account: Account, scope: str) -> None:
    code = {"global": "global", "venue": f"venue:{account.venue_id}", "account": f"account:{account.code}"}[scope]
    halt = halts.engage(code, "stop", "ada")
    grace = timedelta(seconds=watchdog.GRACE_SECONDS)
    order = moved_order(account)
    sent_again(order, sent_at=halt.created_at + grace - timedelta(milliseconds=1))
    assert found() == []
    Attempt.objects.update(sent_at=halt.created_at + grace + timedelta(milliseconds=1))
    assert found() == [(account.code, f"order {order.id} went out although {code} is halted")]


def test_reducing_and_released_halts_and_other_accounts_do_not_count(account: Account) -> None:
    halts.engage("global", "slow", "ada", "reducing")
    halts.release(halts.engage("global", "stop", "ada"), "fine", "ada")
    halts.engage(f"account:{make_account().code}", "stop", "ada")
    sent_again(moved_order(account), sent_at=clock.now() + timedelta(seconds=60))
    assert found() == []


def moved_order(account: Account) -> Order:
    """Return an order that could be sent, made before anything was halted."""
    order = Order(
        account=account,
        client_order_id="early",
        body_digest="",
        symbol="BTC/USDT",
        side="buy",
        type="limit",
        quantity=Decimal(1),
        status="queued",
    )
    order.save()
    return moved(order, Status.SENDING)
