"""The last part of the proof of absence: what the account holds must be explained without the order in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from orders import doubts, fold, ledger, resolver, store
from orders.models import Attempt, Balance, DeadLetter, Order
from orders.service import Service
from orders.states import Status
from orders.writer import Writer
from project.lib import clock
from tests.orders.scene import fill, moved, sending
from tests.orders.test_writer import aside
from venues.messages import BalanceReport, FillReport, Read
from venues.models import Account

pytestmark = pytest.mark.django_db(transaction=True)
D = Decimal
SENT_AGO = timedelta(minutes=10)
OURS = D(100)


@pytest_asyncio.fixture
async def served(service: Service, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Any]]:
    """Serve the account by a running writer; return what its venue answers to reads: fills and the total of USDT."""
    says: dict[str, Any] = {"fills": (), "total": OURS, "base": D(0), "status": "good"}

    async def read(surface: str, *, since: datetime | None = None, symbols: tuple[str, ...] = ()) -> Read:
        rows = says["fills"] if surface == "fills" else (holds("USDT", says["total"]), holds("BTC", says["base"]))
        return Read(status=says["status"], rows=rows, requested_at=clock.now(), taken_at=clock.now())

    monkeypatch.setattr(service.gateway, "read", read)
    writer = Writer()
    writer.start()
    service.writer = writer
    yield says
    await asyncio.to_thread(writer.stop)


def holds(asset: str, total: Decimal) -> BalanceReport:
    return BalanceReport(asset=asset, total=total, free=total, held=D(0))


def in_doubt(account: Account) -> Attempt:
    """Return a submit that nothing but the books is missing for: its window is long past and two lookups found nothing."""
    moved(sending(account), Status.UNKNOWN, code="OUTCOME_UNKNOWN")
    sent_at = clock.now() - SENT_AGO
    changes = {
        "outcome": "unknown",
        "sent_at": sent_at,
        "valid_until": sent_at + timedelta(seconds=5),
        "lookups_absent": 2,
    }
    Attempt.objects.update(**changes)
    with store.transaction() as books:
        ledger.post_opening(books, account.code, {"USDT": OURS})
    return Attempt.objects.get()


def read_before(account: Account, total: Decimal, *seconds_before_the_send: float) -> None:
    for seconds in seconds_before_the_send:
        at = clock.now() - SENT_AGO - timedelta(seconds=seconds)
        with store.transaction() as books:
            books.store.note_balances(account.code, [holds("USDT", total)], requested_at=at, is_whole=True)


async def judged(service: Service) -> Order:
    await resolver._prove_absences(service)
    assert await aside(lambda: list(fold.differences())) == []
    return await aside(lambda: Order.objects.get())


@pytest.mark.parametrize(
    ("before", "reads", "now", "is_proved"),
    [
        (OURS, (), OURS, True),
        (D(90), (60, 50), D(90), True),  # there before, confirmed before: not this order's
        (D(90), (60,), D(90), False),  # seen once: one read alone may have been a lagging one
        (D(90), (60, 56), D(90), False),  # twice, but too close together
        (D(90), (-10, -20), D(90), False),  # confirmed after the send: it may be this order
        (D(90), (60, 50), D("89.9"), False),  # it has changed since
        (D(90), (60, 50), OURS, True),  # it is gone
        (OURS, (60, 50), D(90), False),
    ],
    ids=["none", "confirmed", "seen once", "too close", "after the send", "changed", "gone", "new"],
)
async def test_a_difference_of_balances_blocks_the_proof_unless_it_was_known_before(
    service: Service, account: Account, served: dict[str, Any], before: Decimal, reads: tuple[float, ...], now: Decimal, is_proved: bool
) -> None:  # fmt: skip
    await aside(lambda: in_doubt(account))
    await aside(lambda: read_before(account, before, *reads))
    served["total"] = now
    order = await judged(service)
    assert (order.status, order.reason_code) == (
        ("denied", "SUBMIT_NOT_ACCEPTED") if is_proved else ("unknown", "OUTCOME_UNKNOWN")
    )
    assert bool((await aside(lambda: Attempt.objects.get())).resolution) is is_proved


async def test_a_difference_found_by_the_proof_is_not_confirmed_by_repeating_it(
    service: Service, account: Account, served: dict[str, Any]
) -> None:
    await aside(lambda: in_doubt(account))
    served["total"] = D(90)
    for _ in range(2):
        assert (await judged(service)).status == "unknown"
        await aside(lambda: Balance.objects.update(difference_since=clock.now() - timedelta(seconds=30)))
    assert (await aside(lambda: Balance.objects.get(asset="USDT"))).difference_confirmed_at is not None
    assert (await judged(service)).status == "unknown"


async def test_trades_that_came_in_while_reading_block_the_proof(
    service: Service, account: Account, served: dict[str, Any]
) -> None:
    attempt = await aside(lambda: in_doubt(account))
    await aside(lambda: moved(sending(account), Status.OPEN, venue_order_id="v-9"))
    served["fills"] = (fill("t-1", "0.1", venue_order_id="v-9", occurred_at=clock.now(), fee=D(0)),)
    assert isinstance(served["fills"][0], FillReport)
    served["total"], served["base"] = OURS - D(6000), D("0.1")
    await resolver._prove_absences(service)
    assert await aside(lambda: Order.objects.get(pk=attempt.order_id).status) == "unknown"
    served["fills"] = ()
    await resolver._prove_absences(service)
    assert await aside(lambda: Order.objects.get(pk=attempt.order_id).status) == "denied"


async def test_a_failed_read_proves_nothing(service: Service, account: Account, served: dict[str, Any]) -> None:
    await aside(lambda: in_doubt(account))
    served["status"] = "partial"
    assert (await judged(service)).status == "unknown"


async def test_a_proof_after_the_dead_letter_closes_it(
    service: Service, account: Account, served: dict[str, Any]
) -> None:
    attempt = await aside(lambda: in_doubt(account))

    def park() -> None:
        with store.transaction() as books:
            row = books.attempt(attempt.order_id, attempt.pk)
            doubts.open_letter(books, row, "SUBMIT_UNKNOWN", "nobody knows", money_at_risk=D(1), asset="USDT")

    await aside(park)
    assert (await judged(service)).reason_code == "SUBMIT_NOT_ACCEPTED"
    letter = await aside(lambda: DeadLetter.objects.get())
    assert (letter.status, letter.resolution, letter.resolved_by) == ("resolved", "never_accepted", "executor")
    assert letter.evidence[-1]["answer"] == "trades and balances are explained without it"
