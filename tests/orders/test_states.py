"""Every (state, state) pair, against a table written by hand."""

from __future__ import annotations

import itertools

import pytest

from orders import states
from orders.states import Status

# Rows: where the order is. Columns: where it may go. Written out, so that a change of the code is a change of two tables.
NAMES = [
    "received", "held", "queued", "sending", "unknown", "open", "partially_filled", "filled", "cancelled", "expired", "rejected",
    "denied",
]  # fmt: skip
TABLE = """
received          . x x . . . x x . . . x
held              . . x . . . x x x x . x
queued            . . . x . . x x x x . x
sending           . . x . x x x x x x x x
unknown           . . . . . x x x x x x x
open              . . x . . . x x x x x .
partially_filled  . . x . . . x x x x x .
filled            . . . . . . x . . . . .
cancelled         . . . . . x x x . . . .
expired           . . . . . x x x . . . .
rejected          . . . . . x x x . . . .
denied            . . . . . x x x x x . .
"""
ALLOWED = {
    (row.split()[0], name): mark == "x"
    for row in TABLE.strip().splitlines()
    for name, mark in zip(NAMES, row.split()[1:], strict=True)
}


@pytest.mark.parametrize(("current", "following"), list(itertools.product(NAMES, NAMES)))
def test_every_pair(current: str, following: str) -> None:
    assert states.may_follow(Status(current), Status(following)) is ALLOWED[current, following]


def test_the_table_knows_every_status() -> None:
    assert set(NAMES) == {status.value for status in Status} == {status.value for status in states.ALLOWED}
    assert set(states.RANK) == set(Status)


@pytest.mark.parametrize("status", sorted(states.TERMINAL - {Status.FILLED}))
def test_a_fill_leaves_every_terminal_status(status: Status) -> None:
    assert states.may_follow(status, Status.PARTIALLY_FILLED)
    assert states.may_follow(status, Status.FILLED)


def test_every_status_is_local_working_or_terminal_and_only_one_of_them() -> None:
    groups = (states.LOCAL, states.WORKING, states.TERMINAL)
    assert sum(len(group) for group in groups) == len(Status)
    assert frozenset().union(*groups) == frozenset(Status)
    assert states.AT_VENUE < states.WORKING and states.ALIVE == states.LOCAL | states.WORKING


@pytest.mark.parametrize(
    ("current", "reported", "stale"),
    [
        ("filled", "open", True), ("filled", "cancelled", True), ("cancelled", "open", True), ("rejected", "open", True),
        ("partially_filled", "open", True), ("open", "cancelled", False), ("unknown", "open", False),
        ("sending", "rejected", False), ("open", "open", False), ("cancelled", "expired", False),
    ],
)  # fmt: skip
def test_an_older_statement_is_stale(current: str, reported: str, stale: bool) -> None:
    assert states.is_stale(Status(current), Status(reported)) is stale
