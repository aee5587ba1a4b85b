"""The rate budget and the breakers keep their promises for every order of events."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.venues.desk import until
from venues.breaker import Breaker
from venues.errors import BudgetExhausted
from venues.facts.families import FAMILIES
from venues.facts.shapes import BucketRule, Priority
from venues.ratelimit import (
    CANCEL_RESERVE,
    DEFAULT_RULES,
    RANK,
    TEST_SERVER_RULES,
    WAITING_MAX,
    Budget,
    Ticket,
    reserve,
    rules_for,
)

PRIORITIES: tuple[Priority, ...] = ("cancel", "order", "reconcile", "poll")
RULE = BucketRule(
    name="requests", capacity=10, per_seconds=1, costs={"cancel": 1, "order": 1, "reconcile": 2, "poll": 3}
)


def took(budget: Budget, priority: Priority) -> bool:
    """Take a turn whose request is answered at once; say whether there was one."""
    found = budget.try_take(priority)
    if isinstance(found, Ticket):
        found.settle()
    return isinstance(found, Ticket)


@given(st.lists(st.tuples(st.sampled_from(PRIORITIES), st.floats(0, 0.5)), max_size=200))
def test_never_more_than_the_venue_allows_and_the_reserve_is_kept(steps: list[tuple[Priority, float]]) -> None:
    now = 100.0
    budget = Budget((RULE,), lambda: now)
    spent: list[tuple[float, float]] = []
    for priority, pause in steps:
        now += pause
        before = budget.buckets[0].tokens(now)
        if took(budget, priority):
            spent.append((now, RULE.costs[priority]))
            if priority != "cancel":
                assert before - RULE.costs[priority] >= RULE.capacity * CANCEL_RESERVE - 1e-9
        else:
            assert priority != "cancel" or before < 1
    for start, _ in spent:
        # A bucket never lets through more than it holds plus what flows in meanwhile.
        assert sum(cost for at, cost in spent if start <= at < start + RULE.per_seconds) <= RULE.capacity * 2 + 1e-6


@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 8)), max_size=100))
def test_breaker_opens_only_after_failures_in_a_row_and_always_lets_a_probe_through(
    steps: list[tuple[bool, float]],
) -> None:
    now, in_a_row = 0.0, 0
    breaker = Breaker(failures_max=5, within_seconds=30, open_seconds=10)
    for is_good, pause in steps:
        now += pause
        before = breaker.state(now)
        if is_good:
            breaker.succeeded(now)
            in_a_row = 0
            assert breaker.state(now) == "closed"
        else:
            breaker.failed(now, "lost")
            in_a_row += 1
            if before == "closed" and in_a_row < 5:
                assert breaker.state(now) == "closed"
            if before != "closed":
                assert breaker.state(now) == "open"
        if breaker.state(now) == "open":
            assert not breaker.allows(now)
            assert breaker.state(now + 10.001) == "half_open"
    later = now + 1_000
    assert breaker.allows(later)


def test_half_open_lets_one_through() -> None:
    breaker = Breaker(failures_max=2, within_seconds=30, open_seconds=10)
    breaker.failed(0, "lost")
    breaker.failed(1, "lost")
    assert not breaker.allows(5)
    assert breaker.allows(11)
    assert not breaker.allows(11.5)
    breaker.succeeded(12)
    assert breaker.allows(12)


async def test_the_urgent_go_first() -> None:
    now = 0.0
    budget = Budget((RULE,), lambda: now)
    while took(budget, "cancel"):
        pass
    served: list[Priority] = []

    async def take(priority: Priority) -> None:
        (await budget.turn(priority)).settle()
        served.append(priority)

    tasks = [asyncio.create_task(take(priority)) for priority in ("poll", "reconcile", "order", "cancel")]
    await until(lambda: len(budget._waiting) == 4)
    now = 60.0
    await asyncio.gather(*tasks)
    assert served == sorted(served, key=RANK.__getitem__)


async def test_a_full_queue_and_a_ban_refuse_plainly() -> None:
    now = 0.0
    budget = Budget((RULE,), lambda: now)
    budget.stop(600)
    for priority in PRIORITIES:
        with pytest.raises(BudgetExhausted):
            await budget.turn(priority)
    crowded = Budget((RULE,), lambda: now)
    while took(crowded, "cancel"):
        pass
    tasks = [asyncio.create_task(crowded.turn("cancel")) for _ in range(WAITING_MAX)]
    await until(lambda: len(crowded._waiting) == WAITING_MAX)
    with pytest.raises(BudgetExhausted):
        await crowded.turn("order")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(
    "rules", [DEFAULT_RULES, TEST_SERVER_RULES, *(family.budget for family in FAMILIES.values() if family.budget)]
)
def test_every_priority_fits_its_buckets(rules: tuple[BucketRule, ...]) -> None:
    for rule in rules:
        for priority in PRIORITIES:
            assert rule.costs[priority] + rule.capacity * reserve(rule, priority) <= rule.capacity


def test_the_real_exchange_gets_its_own_limits_and_what_it_counted_is_learnt() -> None:
    budget = Budget(rules_for("binance", is_test_server=False), lambda: 0.0)
    budget.buckets[0].set_used(5_999, 0.0)
    assert not took(budget, "poll")
    assert took(budget, "cancel")
    assert rules_for("binance", is_test_server=True) == TEST_SERVER_RULES
    assert rules_for("nobody", is_test_server=False) == DEFAULT_RULES
