"""The rate budget against a venue that counts for itself: never over the limit, the reserve kept, a stop obeyed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from venues.facts import binance
from venues.facts.shapes import BucketRule, Priority
from venues.ratelimit import CANCEL_RESERVE, RANK, Budget, Ticket, reserve

WINDOWS = binance.FAMILY.budget
PRIORITIES: tuple[Priority, ...] = ("cancel", "order", "reconcile", "poll")
RULES = (
    BucketRule(name="reads", capacity=20, per_seconds=40, costs={"cancel": 0, "order": 0, "reconcile": 1, "poll": 2}),
    BucketRule(name="orders", capacity=10, per_seconds=4, costs={"cancel": 1, "order": 1, "reconcile": 0, "poll": 0}),
    BucketRule(name="all", capacity=60, per_seconds=30, costs={"cancel": 1, "order": 2, "reconcile": 10, "poll": 5}),
)


def taken(budget: Budget, priority: Priority) -> float:
    """Take a turn whose request is answered at once and return 0, or return the seconds to wait."""
    found = budget.try_take(priority)
    if not isinstance(found, Ticket):
        return found
    found.settle()
    return 0.0


EXAMPLES = settings(max_examples=500, stateful_step_count=50, derandomize=True, deadline=None, database=None)


class Budgeting(RuleBasedStateMachine):
    """Takes turns at random moments; the venue's counters rise with each and drain evenly, as Kraken says of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.budget = Budget(RULES, lambda: self.now)
        self.counters = [0.0 for _ in RULES]
        self.stopped_until = 0.0

    @rule(seconds=st.sampled_from([0.001, 0.1, 0.4, 1.0, 7.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for index, limit in enumerate(RULES):
            drained = seconds * limit.capacity / limit.per_seconds
            self.counters[index] = max(0.0, self.counters[index] - drained)

    @rule(priority=st.sampled_from(PRIORITIES), times=st.integers(1, 12))
    def take(self, priority: Priority, times: int) -> None:
        for _ in range(times):
            must_pass = priority == "cancel" and self.now >= self.stopped_until and self._has_room(priority)
            seconds = taken(self.budget, priority)
            assert not must_pass or seconds == 0, f"a cancel must wait {seconds} s although the venue has room for it"
            if seconds > 0:
                return
            assert self.now >= self.stopped_until, "sent while the venue said stop"
            for index, limit in enumerate(RULES):
                self.counters[index] += limit.costs[priority]
                if priority != "cancel" and limit.costs[priority]:
                    kept = limit.capacity - self.counters[index]
                    assert kept >= limit.capacity * reserve(limit, priority) - 1e-6, (
                        f"a {priority} took from the cancels' reserve"
                    )

    @rule(priority=st.sampled_from(PRIORITIES))
    def wait_as_told(self, priority: Priority) -> None:
        seconds = taken(self.budget, priority)
        if seconds == 0:
            for index, limit in enumerate(RULES):
                self.counters[index] += limit.costs[priority]
            return
        self.wait(seconds + 1e-6)
        assert taken(self.budget, priority) == 0, "waited as told, and still no turn"
        for index, limit in enumerate(RULES):
            self.counters[index] += limit.costs[priority]

    @precondition(lambda self: self.now >= self.stopped_until)
    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 900.0]))
    def stop(self, seconds: float) -> None:
        self.budget.stop(seconds)
        self.stopped_until = max(self.stopped_until, self.now + seconds)

    @rule()
    def stop_shorter(self) -> None:
        self.budget.stop(0.5)
        self.stopped_until = max(self.stopped_until, self.now + 0.5)

    @invariant()
    def venue_counts_no_more_than_its_limit(self) -> None:
        for counter, limit in zip(self.counters, RULES, strict=True):
            assert counter <= limit.capacity + 1e-6, f"the venue counted {counter} of {limit.capacity} {limit.name}"

    def _has_room(self, priority: Priority) -> bool:
        return all(
            counter + limit.costs[priority] <= limit.capacity - 1e-6
            for counter, limit in zip(self.counters, RULES, strict=True)
        )


def test_budget_machine() -> None:
    run_state_machine_as_test(Budgeting, settings=EXAMPLES)


@settings(max_examples=50, derandomize=True, deadline=None, database=None)
@given(waiting=st.lists(st.sampled_from(["order", "reconcile", "poll"]), min_size=1, max_size=40))
def test_no_crowd_of_others_holds_up_a_cancel(waiting: Sequence[Priority]) -> None:
    async def scene() -> None:
        now = 0.0
        budget = Budget(RULES, lambda: now)
        for priority in waiting:
            while taken(budget, priority) == 0:
                pass
        crowd = [asyncio.create_task(budget.turn(priority)) for priority in waiting]
        await asyncio.sleep(0)
        # As many as the smallest reserve holds go out at once, the crowd notwithstanding.
        for _ in range(int(RULES[1].capacity * CANCEL_RESERVE)):
            cancel = asyncio.ensure_future(budget.turn("cancel"))
            await asyncio.sleep(0)
            assert cancel.done() and cancel.exception() is None, "a cancel waits behind others"
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)

    asyncio.run(scene())


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(PRIORITIES), st.integers(1, 400), st.sampled_from([0.0, 0.01, 1.0, 5.0, 9.0, 30.0, 61.0])
        ),
        max_size=25,
    )
)
def test_what_falls_into_any_window_is_within_the_limit(steps: list[tuple[Priority, int, float]]) -> None:
    now = 1_000.0
    budget = Budget(WINDOWS, lambda: now)
    spent: list[tuple[float, Priority]] = []
    for priority, times, pause in steps:
        now += pause
        for _ in range(times):
            wait = taken(budget, priority)
            if wait > 0:
                now += wait
                assert taken(budget, priority) == 0, "waited as told, and still no turn"
                spent.append((now, priority))
                break
            spent.append((now, priority))
    for limit in WINDOWS:
        inside, first = 0.0, 0
        for at, priority in spent:
            inside += limit.costs[priority]
            while spent[first][0] <= at - limit.per_seconds:
                inside -= limit.costs[spent[first][1]]
                first += 1
            assert inside <= limit.capacity, f"{inside} of {limit.capacity} {limit.name} within {limit.per_seconds} s"


@pytest.mark.parametrize("priority", PRIORITIES)
def test_what_the_venue_claims_to_have_counted_never_stops_us_for_longer_than_its_window(priority: Priority) -> None:
    now = 0.0
    rule_ = BucketRule(name="weight", capacity=6_000, per_seconds=60, costs=dict.fromkeys(RANK, 1))
    for claimed in (6_000.0, 1e9, float("inf")):
        budget = Budget((rule_,), lambda: now)
        budget.buckets[0].set_used(claimed, now)
        assert taken(budget, priority) <= 60
