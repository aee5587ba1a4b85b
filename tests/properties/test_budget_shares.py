"""Processes that share a venue's limits: for any order of events the venue counts no more than it allows; cancels get through."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from venues.budget_leases import FLIGHT_SECONDS
from venues.budgets import Ask, Grant, Pool, answer
from venues.facts.shapes import BucketRule, Priority
from venues.ratelimit import CANCEL_RESERVE, LEASE_SECONDS, Budget, Ticket
from venues.targets import VenueTarget

COSTS: dict[Priority, float] = {"cancel": 1, "order": 1, "reconcile": 3, "poll": 5}
RULES = (
    BucketRule(name="window", capacity=60, per_seconds=10, costs=COSTS, is_window=True, scope="address"),
    BucketRule(name="leaky", capacity=40, per_seconds=20, costs=COSTS, scope="address"),
)
TARGET = VenueTarget(code="venue", exchange="binance")
PROCESSES = st.integers(0, 2)
EXAMPLES = settings(max_examples=400, stateful_step_count=60, derandomize=True, deadline=None, database=None)


class Shares:
    """The rows of venues_budgetshare, and the rule by which they are read: budget_leases.py in memory and virtual time."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], tuple[Ask, float, float]] = {}

    def renew(self, holder: str, asks: list[Ask], now: float) -> dict[tuple[str, str], Grant]:
        grants = {}
        for ask in asks:
            others = [
                row for (group, bucket, other), row in self.rows.items()
                if (group, bucket) == (ask.group, ask.bucket) and other != holder
                and row[2] + ask.per_seconds + FLIGHT_SECONDS > now
            ]  # fmt: skip
            wanting = [row[0].wanted > row[1] + 1e-6 for row in others if row[2] > now]
            grants[ask.group, ask.bucket] = answer(ask, sum(row[1] for row in others), wanting, now + LEASE_SECONDS)
            self.rows[ask.group, ask.bucket, holder] = ask, grants[ask.group, ask.bucket].granted, now + LEASE_SECONDS
        return grants


class Process:
    """One executor: a pool, a budget, requests under way, and an answer of the database that may be late."""

    def __init__(self, machine: Sharing, name: str) -> None:
        self.machine, self.name = machine, name
        self.pool = Pool(is_leased=True, now=lambda: machine.now)
        self.budget: Budget = self.pool.budget(TARGET, name, name, RULES, is_shared=True)
        self.under_way: list[tuple[Ticket, float]] = []  # and what the venue has not counted of it yet
        self.asked: list[Ask] | None = None
        self.answered: dict[tuple[str, str], Grant] | None = None


class Sharing(RuleBasedStateMachine):
    """Three processes take turns, ask, get answers late, die and are replaced; the venue counts for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.shares = Shares()
        self.born = 3
        self.processes = [Process(self, f"process-{number}") for number in range(3)]
        self.seen: list[tuple[float, float]] = []
        self.level, self.level_at = 0.0, self.now

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 2.0, 5.0, 9.0, 12.0, 45.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        which=PROCESSES, priority=st.sampled_from(sorted(COSTS)), times=st.sampled_from([1, 8, 100]), late=st.booleans()
    )
    def take(self, which: int, priority: Any, times: int, late: bool) -> None:
        """Send up to so many requests; the venue counts each as it arrives, or late, just before it answers."""
        process = self.processes[which]
        for _ in range(times):
            must_pass = priority == "cancel" and self._has_reserve(process)
            found = process.budget.try_take(priority)
            if not isinstance(found, Ticket):
                assert not must_pass, "a cancel waits although its reserve is untouched"
                return
            process.under_way.append((found, COSTS[priority] if late else 0.0))
            if priority != "cancel":
                self._assert_reserve(process)
            if not late:
                self._count(COSTS[priority])

    @rule(which=PROCESSES)
    def answer_all(self, which: int) -> None:
        process = self.processes[which]
        while process.under_way:
            ticket, uncounted = process.under_way.pop()
            self._count(uncounted)
            ticket.settle()

    @rule(which=PROCESSES)
    def ask(self, which: int) -> None:
        process = self.processes[which]
        if process.asked is None:
            process.asked = process.pool.asks()

    @rule(which=PROCESSES)
    def store(self, which: int) -> None:
        process = self.processes[which]
        if process.asked is not None and process.answered is None:
            process.answered = self.shares.renew(process.name, process.asked, self.now)

    @rule(which=PROCESSES)
    def hear(self, which: int) -> None:
        process = self.processes[which]
        if process.answered is not None:
            process.pool.take(process.answered, [])
            process.asked = process.answered = None

    @rule(which=PROCESSES)
    def renew(self, which: int) -> None:
        self.ask(which)
        self.store(which)
        self.hear(which)

    @rule(which=PROCESSES)
    def die(self, which: int) -> None:
        self.born += 1
        for _, uncounted in self.processes[which].under_way:
            self._count(uncounted)
        self.processes[which] = Process(self, f"process-{self.born}")

    @invariant()
    def the_venue_counts_no_more_than_it_allows(self) -> None:
        window, leaky = RULES
        self.seen = [(at, cost) for at, cost in self.seen if at + window.per_seconds >= self.now]
        inside = sum(cost for _, cost in self.seen)
        assert inside <= window.capacity + 1e-6, f"{inside} of {window.capacity} within {window.per_seconds} s"
        assert self.level <= leaky.capacity + 1e-6, f"a level of {self.level} of {leaky.capacity}"

    def _has_reserve(self, process: Process) -> bool:
        buckets = process.budget.buckets
        return all(bucket.tokens(self.now) >= max(1.0, CANCEL_RESERVE * bucket.granted) for bucket in buckets)

    def _assert_reserve(self, process: Process) -> None:
        for bucket in process.budget.buckets:
            kept = bucket.tokens(self.now)
            assert kept >= CANCEL_RESERVE * min(bucket.granted, bucket.headroom) - 1e-6, "the cancels' reserve is gone"
            assert bucket.used(self.now) <= (1 - CANCEL_RESERVE) * bucket.rule.capacity + 1e-6

    def _count(self, cost: float) -> None:
        leaky = RULES[1]
        drained = (self.now - self.level_at) * leaky.capacity / leaky.per_seconds
        self.level, self.level_at = max(0.0, self.level - drained) + cost, self.now
        self.seen.append((self.now, cost))


def test_sharing_machine() -> None:
    run_state_machine_as_test(Sharing, settings=EXAMPLES)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_all_get_their_part_and_every_one_keeps_a_reserve_for_cancels(count: int) -> None:
    """Under full load from all sides the whole limit is used, nobody is starved, and a cancel finds room everywhere."""
    machine = Sharing()
    machine.processes = [Process(machine, f"busy-{number}") for number in range(count)]
    sent = dict.fromkeys(range(count), 0)
    for second in range(120):
        machine.now += 1.0
        for number, process in enumerate(machine.processes):
            machine.renew(number)
            machine.answer_all(number)
            while isinstance(found := process.budget.try_take("order"), Ticket):
                machine._count(COSTS["order"])
                process.under_way.append((found, 0.0))
                sent[number] += second >= 60
            machine.the_venue_counts_no_more_than_it_allows()
            if second >= 60 and second % 10 == 0:
                cancel = process.budget.try_take("cancel")
                assert isinstance(cancel, Ticket), f"{process.name} cannot cancel"
                machine._count(COSTS["cancel"])
                process.under_way.append((cancel, 0.0))
    assert min(sent.values()) * 3 > max(sent.values()) and sum(sent.values()) > 60


def test_what_a_process_that_died_held_comes_back_after_its_lease_and_its_window() -> None:
    machine = Sharing()
    machine.processes = machine.processes[:1]
    machine.renew(0)
    first = machine.processes[0].budget.buckets[0].granted
    machine.die(0)
    machine.renew(0)
    bucket = machine.processes[0].budget.buckets[0]
    assert 0 < bucket.granted <= RULES[0].capacity - first
    machine.now += LEASE_SECONDS + RULES[0].per_seconds + FLIGHT_SECONDS + 1
    for _ in range(3):
        machine.renew(0)
        while isinstance(machine.processes[0].budget.try_take("cancel"), Ticket):
            pass
    assert bucket.granted > RULES[0].capacity / 2


def spend_all(machine: Sharing, which: int) -> None:
    machine.take(which, "cancel", 1_000, late=False)
    machine.answer_all(which)
    machine.the_venue_counts_no_more_than_it_allows()


def renew_all(machine: Sharing, rounds: int = 3) -> None:
    for _ in range(rounds):
        for which in range(len(machine.processes)):
            machine.renew(which)


def test_a_part_shrinks_before_it_is_reported_as_smaller() -> None:
    machine = Sharing()
    machine.renew(0)
    spend_all(machine, 0)
    machine.now += 5.0
    machine.renew(0)  # its part grew by what it has used, which is over before it asks again
    machine.now += 5.5
    machine.ask(0)
    machine.store(0)  # its smaller part is stored, and it has not heard yet
    for which in (1, 2, 1, 2):
        machine.renew(which)
        spend_all(machine, which)
    spend_all(machine, 0)


def test_what_was_spent_just_before_a_death_is_nobodys_until_its_window_is_over() -> None:
    machine = Sharing()
    renew_all(machine)
    machine.now += LEASE_SECONDS - 0.1
    for which in range(3):
        spend_all(machine, which)
        machine.die(which)
    machine.now += 0.2
    renew_all(machine)
    for which in range(3):
        spend_all(machine, which)


def test_a_request_under_way_counts_however_long_it_takes() -> None:
    machine = Sharing()
    machine.renew(0)
    machine.take(0, "cancel", 1_000, late=True)
    machine.now += 300.0
    renew_all(machine)
    machine.take(0, "cancel", 1_000, late=False)
    machine.answer_all(0)
    machine.the_venue_counts_no_more_than_it_allows()
