"""A venue that was away leaves hundreds of doubts: none holds up another, nor the cancel of an order that lives.

Seen in a long run of process chaos: executors were killed faster than a pass over all doubts took, and the pass began at the
oldest each time. 1,400 orders stayed unknown, none of them became a dead letter, and every unmatched statement read them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from orders import intake, resolver, sweeps
from orders.desk import WAITING_MAX
from orders.models import Attempt, DeadLetter, Intent, Order
from orders.owner import Owner
from orders.service import IN_FLIGHT_MAX
from orders.states import Status
from orders.store import Store
from project.lib import clock
from tests.orders.scene import moved, queued, report, sending
from tests.regressions.rig import Rig
from tests.venues.desk import until
from venues.models import Account

DOUBTS = resolver.LOOKUPS_MAX + 16


def in_doubt(account: Account, count: int, **age: float) -> list[Order]:
    orders = [moved(sending(account, price="50000", quantity="0.1"), Status.UNKNOWN) for _ in range(count)]
    sent_at = clock.now() - timedelta(**age)
    Attempt.objects.update(outcome="unknown", sent_at=sent_at, valid_until=sent_at + timedelta(seconds=5))
    return orders


async def test_a_pass_takes_those_first_that_waited_longest_and_concludes(rig: Rig) -> None:
    await rig.of(lambda: in_doubt(rig.account, DOUBTS, minutes=15))
    await rig.service.writer.run(lambda books: books.forget(rig.account.code))
    assert await resolver.resolve(rig.service) == DOUBTS
    looked_at = Attempt.objects.exclude(last_lookup_at=None)
    first = await rig.of(lambda: set(looked_at.values_list("pk", flat=True)))
    assert len(first) == resolver.LOOKUPS_MAX
    assert await rig.of(DeadLetter.objects.count) == DOUBTS, "what is overdue is parked, looked at or not"
    again = await rig.take_again()  # it was ended, and another owner goes on where it stopped
    rested = clock.now() - timedelta(minutes=1)
    await rig.of(lambda: looked_at.update(last_lookup_at=rested))
    await again.writer.run(lambda books: books.forget(rig.account.code))
    await resolver.resolve(again)
    later = await rig.of(lambda: set(Attempt.objects.filter(last_lookup_at__gt=rested).values_list("pk", flat=True)))
    everyone = await rig.of(lambda: set(Attempt.objects.values_list("pk", flat=True)))
    assert later >= everyone - first


async def test_doubts_are_proved_absent_all_the_same(rig: Rig) -> None:
    orders = await rig.of(lambda: in_doubt(rig.account, DOUBTS, minutes=5))
    await rig.service.writer.run(lambda books: books.forget(rig.account.code))
    for _ in range(5):
        await resolver.resolve(rig.service)
    ended = await rig.of(
        lambda: list(Order.objects.filter(pk__in=[order.pk for order in orders]).values_list("status", "reason_code"))
    )
    assert set(ended) == {("denied", "SUBMIT_NOT_ACCEPTED")} and len(ended) == DOUBTS
    await rig.assert_books_are_whole()


async def test_unmatched_statements_cost_one_look_at_the_doubts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.of(lambda: in_doubt(rig.account, 3, minutes=5))
    jobs: list[Any] = []
    run = rig.service.writer.run

    async def counted(job: Callable[..., Any]) -> Any:
        jobs.append(job)
        return await run(job)

    monkeypatch.setattr(rig.service.writer, "run", counted)
    await sweeps.adopt_unmatched(rig.service, [report("open", venue_order_id=f"v-{number}") for number in range(200)])
    assert len(jobs) == 1
    assert rig.service.lookup_wanted.is_set() and not await rig.of(Order.objects.filter(is_external=True).count)


async def test_a_cancel_goes_out_while_as_many_orders_as_may_be_under_way_hang(rig: Rig) -> None:
    live = await rig.submitted()
    for _ in range(IN_FLIGHT_MAX + 6):
        await rig.queued(quantity="0.001")
    rig.service.gateway._adapter._wire._timeout_seconds = 10  # type: ignore[union-attr]
    rig.fault("hang", "create_order", count=2 * IN_FLIGHT_MAX, params={"seconds": 3, "when": "before"})
    owner = Owner(rig.service.lease, rig.service.writer, rig.service.timing, gateways=None)  # type: ignore[arg-type]
    owner.service, rig.service.is_open = rig.service, True
    waiting = await rig.service.writer.run(lambda books: books.store.waiting([rig.account.code]))
    owner.offer(waiting.queued[rig.account.code], [])
    await until(lambda: len(rig.service.in_flight) == IN_FLIGHT_MAX)
    wish = await rig.of(lambda: intake.request_cancellation(live, actor="ada"))
    owner.offer([], [(wish.pk, "cancel", live.pk)])
    await until(lambda: wish.pk not in owner._busy)
    told = Attempt.objects.exclude(outcome_at=None).order_by("outcome_at").values_list("action", "outcome")
    assert await rig.of(lambda: list(told)) == [("submit", "accepted"), ("cancel", "accepted")], "nothing of what hangs"
    await asyncio.wait(owner._busy.values())


def test_cancels_that_must_wait_hold_up_no_cancel_of_a_live_order(account: Account) -> None:
    waits = in_doubt(account, 3, minutes=5)
    Intent.objects.bulk_create(
        Intent(account=account, order=waits[number % 3], action="cancel", requested_by="ada")
        for number in range(WAITING_MAX + 50)
    )
    live = moved(sending(account), Status.OPEN)
    wish = intake.request_cancellation(live, actor="ada")
    local = intake.request_cancellation(queued(account), actor="ada")
    assert wished(account) == {wish.pk, local.pk}
    moved(waits[0], Status.OPEN)
    assert len(wished(account)) == 2 + Intent.objects.filter(order=waits[0]).count()
    Order.objects.filter(pk=live.pk).update(mutation="cancel_unknown")
    assert wish.pk not in wished(account)
    Order.objects.filter(pk=live.pk).update(mutation="none", status="filled")
    assert wish.pk in wished(account), "an order that ended settles its wish"


def wished(account: Account) -> set[Any]:
    return {intent for intent, _, _ in Store().waiting([account.code]).wishes[account.code]}
