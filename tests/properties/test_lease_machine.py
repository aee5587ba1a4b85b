"""Leases over a real database: whatever the order of events, at most one holder believes that it owns an account."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from orders import leases
from orders.models import AccountLease
from orders.ports import Lease
from project.lib import clock
from tests.factories import AccountFactory, VenueFactory
from venues.models import Account

# Who holds leases, and the build each runs.
HOLDERS = {"one": "build-1", "two": "build-1", "three": "build-2"}
SECONDS = 30.0
# The two clocks do not tick alike to the microsecond.
SLACK_SECONDS = 0.002
_holders = st.sampled_from(sorted(HOLDERS))
# How long each statement of a call takes to reach the database, and its answer to come back.
_pauses = st.lists(st.sampled_from([0.0, 0.0, 0.5, 12.0, 29.5, 31.0]), min_size=1, max_size=5)


class Leasing(RuleBasedStateMachine):
    """Three holders of two accounts; time passes for them and for the database alike, also inside a statement."""

    passed = 0.0

    def __init__(self) -> None:
        super().__init__()
        AccountLease.objects.all().delete()
        self.mine: dict[str, dict[str, Lease]] = {holder: {} for holder in HOLDERS}
        self.epochs: dict[str, int] = {}
        self.floors: dict[str, int] = {}

    @rule(seconds=st.sampled_from([0.1, 5.0, 29.0, 31.0]))
    def wait(self, seconds: float) -> None:
        _pass(seconds)

    @rule(first=_holders, second=_holders, seconds=st.sampled_from([1.0, 26.0, 29.5]))
    def come_too_early(self, first: str, second: str, seconds: float) -> None:
        self.take_over(first)
        _pass(seconds)
        self.acquire(second, [0.0])
        self.one_owner_at_most()

    @rule(first=_holders, second=_holders)
    def let_one_account_go(self, first: str, second: str) -> None:
        self.take_over(first)
        _pass(20.0)
        self.renew(first, [0.0], 0, 1)
        _pass(15.0)
        self.acquire(second, [0.0])

    @rule(holder=_holders)
    def take_over(self, holder: str) -> None:
        _pass(SECONDS + 1)
        self.acquire(holder, [0.0])

    @rule(holder=_holders, pauses=_pauses)
    def acquire(self, holder: str, pauses: list[float]) -> None:
        with slow(pauses):
            taken = leases.acquire(holder, SECONDS, HOLDERS[holder])
        for lease in taken:
            assert lease.epoch > self.epochs.get(lease.account, 0), "the epoch did not rise"
            assert lease.nonce_floor >= self.floors.get(lease.account, 0), "the nonce floor fell"
            self.epochs[lease.account] = lease.epoch
            self.mine[holder][lease.account] = lease

    @rule(holder=_holders, pauses=_pauses, floor=st.integers(0, 50), how_many=st.sampled_from([1, 2, 2]))
    def renew(self, holder: str, pauses: list[float], floor: int, how_many: int) -> None:
        held = dict(sorted(self.mine[holder].items())[:how_many])  # an owner may let one account go and keep the other
        rows = _rows()
        lost = {code for code, lease in held.items() if lease.epoch != rows[code][0] or rows[code][1] <= 0}
        with slow(pauses):
            kept = leases.renew(holder, held, dict.fromkeys(held, floor), SECONDS)
        assert kept <= held.keys() - lost, "a lease that had run out, or that somebody else took since, was extended"
        for code in kept:
            self.floors[code] = max(self.floors.get(code, 0), floor)
        for code in held.keys() - kept:
            del self.mine[holder][code]

    @rule(holder=_holders, floor=st.integers(0, 50))
    def release(self, holder: str, floor: int) -> None:
        held = self.mine[holder]
        leases.release(holder, dict.fromkeys(held, floor))
        for code, lease in held.items():
            if lease.epoch == self.epochs[code]:
                assert _rows()[code][1] <= 0, "given back, and still held"
                self.floors[code] = max(self.floors.get(code, 0), floor)
        held.clear()

    @rule(holder=_holders)
    def crash(self, holder: str) -> None:
        # A process is gone with what it knew; its lease stays in the database until it runs out.
        self.mine[holder] = {}

    @invariant()
    def one_owner_at_most(self) -> None:
        for code in self.epochs:
            believing = [name for name, held in self.mine.items() if code in held and _believes(held[code])]
            assert len(believing) <= 1, f"{' and '.join(believing)} both believe that they own {code}"

    @invariant()
    def one_build_at_most(self) -> None:
        builds = {HOLDERS[name] for name, held in self.mine.items() if any(map(_believes, held.values()))}
        assert len(builds) <= 1, "two builds trade side by side"

    @invariant()
    def no_deadline_is_later_than_the_databases(self) -> None:
        rows = _rows()
        for code, epoch in self.epochs.items():
            assert rows[code][0] == epoch
        for held in self.mine.values():
            for code, lease in held.items():
                current, theirs = rows[code]
                ours = lease.deadline - clock.monotonic_seconds()  # read later, so never more than it was
                assert ours <= 0 or (lease.epoch == current and ours <= theirs + SLACK_SECONDS), (
                    f"{ours} s left by our clock, {theirs} s in the database"
                )


def _believes(lease: Lease) -> bool:
    return lease.deadline > clock.monotonic_seconds()


def _rows() -> dict[str, tuple[int, float]]:
    """Return each account's epoch and how long the database says its lease still lasts, in seconds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT account_id, epoch, extract(epoch FROM coalesce(expires_at, '-infinity') - clock_timestamp()) "
            "FROM orders_accountlease"
        )
        return {code: (epoch, float(left)) for code, epoch, left in cursor.fetchall()}


def _pass(seconds: float) -> None:
    """Let time pass: for holders the monotonic clock goes on, for the database every lease comes nearer its end."""
    if not seconds:
        return
    Leasing.passed += seconds
    with connection.connection.cursor() as cursor:  # beneath Django's wrappers, which are how a statement is made slow
        cursor.execute("UPDATE orders_accountlease SET expires_at = expires_at - make_interval(secs => %s)", [seconds])


@contextmanager
def slow(pauses: list[float]) -> Iterator[None]:
    """Let time pass before each statement reaches the database, and before each answer reaches us."""

    def late(execute: Callable[..., Any], *arguments: Any) -> Any:
        _pass(next(waiting))
        result = execute(*arguments)
        _pass(next(waiting))
        return result

    waiting = itertools.chain(pauses, itertools.repeat(0.0))
    with connection.execute_wrapper(late):
        yield


def test_lease_machine(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    venue = VenueFactory()
    for _ in range(2):
        AccountFactory(venue=venue)
    assert Account.objects.count() == 2
    ticking = clock.monotonic_seconds
    monkeypatch.setattr(clock, "monotonic_seconds", lambda: ticking() + Leasing.passed)
    run_state_machine_as_test(
        Leasing,
        # Shrinking would run for minutes against the database; a sequence of forty steps can be read as it is.
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
        ),
    )
