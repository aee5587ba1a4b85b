"""One owner per account: taken once, renewed only while held, lost at the end, its epoch rising."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.db import connection

from orders import leases, store
from orders.books import Fenced
from orders.models import AccountLease
from orders.ports import Lease
from orders.service import MARGIN_SECONDS
from project.lib import build, clock
from tests.orders.scene import in_threads, make_account
from venues.models import Account


def run_out(*codes: str) -> None:
    """Let leases end now, in the database's time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orders_accountlease SET expires_at = clock_timestamp() - interval '1 ms' WHERE account_id = ANY(%s)",
            [list(codes)],
        )


def taken(holder: str, seconds: float = 60) -> dict[str, Lease]:
    return {lease.account: lease for lease in leases.acquire(holder, seconds)}


def left_seconds(lease: Lease) -> float:
    """Return what a request may still use of a lease: its time less the margin."""
    return lease.deadline - clock.monotonic_seconds() - MARGIN_SECONDS


def is_held(code: str, epoch: int) -> bool:
    """Say whether the gate of an attempt's commit would let this epoch send."""
    try:
        with store.transaction() as books:
            books.gate(code, epoch, None)
    except Fenced:
        return False
    return True


def test_an_account_is_taken_once(account: Account) -> None:
    mine = taken("one")[account.code]
    assert (mine.epoch, mine.nonce_floor) == (1, 0) and 58 < left_seconds(mine) <= 59
    assert taken("two") == {} and taken("one") == {}
    assert is_held(account.code, 1) and not is_held(account.code, 2)


def test_a_lease_that_ran_out_is_taken_with_the_next_epoch(account: Account) -> None:
    first = taken("one")
    run_out(account.code)
    assert not is_held(account.code, 1)
    assert leases.renew("one", first, {}, 60) == set()
    assert taken("two")[account.code].epoch == 2
    assert leases.renew("one", first, {}, 60) == set() and is_held(account.code, 2)


def test_renewing_moves_the_deadline_and_keeps_the_highest_nonce(account: Account) -> None:
    mine = taken("one", 5)
    before = mine[account.code].deadline
    assert leases.renew("one", mine, {account.code: 700}, 60) == {account.code}
    assert mine[account.code].deadline > before + 50
    leases.renew("one", mine, {account.code: 600}, 60)
    leases.release("one", {account.code: 650})
    assert taken("two")[account.code].nonce_floor == 700


def test_our_deadline_is_never_later_than_the_databases(account: Account) -> None:
    mine = taken("one", 30)[account.code]
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM orders_accountlease")
        left = float(cursor.fetchone()[0])
    assert mine.deadline - clock.monotonic_seconds() <= left + 0.005


def test_releasing_gives_back_at_once_and_only_ones_own(account: Account) -> None:
    other = make_account()
    taken("one")
    AccountLease.objects.filter(account=other).update(holder="two")
    leases.release("one", {account.code: 5, other.code: 99})
    assert set(taken("three")) == {account.code}
    assert AccountLease.objects.get(account=other).nonce_floor == 0


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    code = "import os; from orders import leases; print(leases.holder_name(), flush=True); input()"
    run = f"import django; django.setup(); {code}"
    with subprocess.Popen(
        [sys.executable, "-c", run], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        yield running
        running.kill()


def test_the_leases_of_a_killed_process_end_and_those_of_a_living_one_stay(
    account: Account, process: subprocess.Popen[str]
) -> None:
    assert process.stdout is not None
    holder = process.stdout.readline().strip()
    taken(holder)
    living = make_account()
    taken(leases.holder_name())
    assert leases.release_dead_holders() == 0
    process.kill()
    process.wait(10)
    assert leases.release_dead_holders() == 1
    assert {code: lease.epoch for code, lease in taken("next").items()} == {account.code: 2}
    assert is_held(living.code, 1)


def of_build(holder: str, build_name: str) -> list[str]:
    return sorted(lease.account for lease in leases.acquire(holder, 60, build_name))


def test_nothing_is_taken_while_another_build_holds_a_live_lease(account: Account) -> None:
    assert of_build("old", "1.0") == [account.code]
    other = make_account()
    assert of_build("new", "1.1") == []
    assert of_build("old-2", "1.0") == [other.code]
    run_out(account.code)
    assert of_build("new", "1.1") == []  # one lease of the old build still lives
    run_out(other.code)
    assert of_build("new", "1.1") == sorted([account.code, other.code])
    assert of_build("old", "1.0") == []
    assert dict(AccountLease.objects.values_list("account_id", "build")) == {account.code: "1.1", other.code: "1.1"}


def test_a_refused_build_leaves_the_epochs_alone(account: Account) -> None:
    of_build("old", "1.0")
    for _ in range(3):
        of_build("new", "1.1")
    lease = AccountLease.objects.get()
    assert (lease.epoch, lease.holder, lease.build) == (1, "old", "1.0")


def test_a_process_is_of_the_build_its_source_says(account: Account) -> None:
    taken("one")
    assert AccountLease.objects.get().build == build.fingerprint() != ""


@pytest.mark.django_db(transaction=True)
def test_two_builds_that_start_together_never_hold_accounts_side_by_side() -> None:
    for _ in range(20):
        make_account()

    def start(number: int) -> set[str]:
        return set(of_build(f"executor-{number}", f"build-{number % 2}"))

    for _ in range(10):
        won = in_threads(4, start)
        assert not ((won[0] | won[2]) and (won[1] | won[3]))
        assert sum(map(len, won)) == 20
        run_out(*set().union(*won))


def test_another_machines_holder_is_left_alone(account: Account) -> None:
    taken("elsewhere:1:1")
    assert leases.release_dead_holders() == 0


@pytest.mark.django_db(transaction=True)
def test_two_executors_racing_for_twenty_accounts_never_share_one() -> None:
    codes = [make_account().code for _ in range(20)]

    def race(number: int) -> list[tuple[str, int]]:
        won = []
        for _ in range(15):
            mine = taken(f"executor-{number}")
            won += [(code, lease.epoch) for code, lease in mine.items()]
            held = leases.renew(f"executor-{number}", mine, {}, 60)
            run_out(*held)
        return won

    first, second = in_threads(2, race)
    won = first + second
    assert len(won) == len(set(won)) and {code for code, _ in won} == set(codes)
    assert all(AccountLease.objects.get(pk=code).epoch == max(epoch for c, epoch in won if c == code) for code in codes)
