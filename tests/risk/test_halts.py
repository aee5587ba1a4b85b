"""Halts and limits: whom they cover, who set them, and that a mistyped one is refused instead of doing nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from project.lib.models import AuditEntry, FeedEntry
from risk import halts, limits
from risk.models import Halt, Limit
from tests.factories import AccountFactory
from venues.models import Account

D = Decimal


@pytest.fixture
def account(db: None) -> Account:
    account: Account = AccountFactory(code="main", venue__code="binance")
    return account


def test_the_strictest_halt_counts_until_each_is_released(account: Account) -> None:
    reducing = halts.engage("venue:binance", "maintenance", "ada", "reducing")
    assert halts.state_for("main", "binance") == "reducing"
    halted = halts.engage("account:main", "odd fills", "bob")
    assert halts.state_for("main", "binance") == "halted"
    assert halts.state_for("other", "binance") == "reducing" and halts.state_for("other", "kraken") == "active"
    halts.release(halted, "explained", "ada")
    assert halts.state_for("main", "binance") == "reducing"
    halts.release(reducing, "over", "ada")
    assert halts.state_for("main", "binance") == "active" and halts.in_force() == []


def test_two_halts_in_one_scope_are_two(account: Account) -> None:
    first, second = halts.engage("global", "a", "ada"), halts.engage("global", "b", "bob")
    halts.release(first, "fine", "ada")
    assert halts.in_force() == [second] and halts.state_for("main", "binance") == "halted"


def test_a_halt_is_audited_and_announced(account: Account) -> None:
    halt = halts.engage("account:main", " odd fills ", "ada")
    halts.release(halt, "explained", "bob")
    assert list(AuditEntry.objects.order_by("sequence").values_list("actor", "action")) == [
        ("ada", "halt.engage"),
        ("bob", "halt.release"),
    ]
    assert list(FeedEntry.objects.order_by("seq").values_list("kind", flat=True)) == ["halt.engaged", "halt.released"]
    halt.refresh_from_db()
    assert (halt.reason, halt.released_by, halt.release_reason) == ("odd fills", "bob", "explained")


@pytest.mark.parametrize(
    ("scope", "reason", "state"),
    [
        ("", "x", "halted"), ("Global", "x", "halted"), ("global:", "x", "halted"), ("global:main", "x", "halted"),
        ("account", "x", "halted"), ("account:", "x", "halted"), ("account:mian", "x", "halted"), ("venue:main", "x", "halted"),
        ("order:1", "x", "halted"), ("global", "", "halted"), ("global", "  ", "halted"), ("global", "x", "active"),
    ],
)  # fmt: skip
def test_a_halt_that_would_stop_nothing_is_refused(account: Account, scope: str, reason: str, state: str) -> None:
    with pytest.raises(halts.Refused):
        halts.engage(scope, reason, "ada", state)
    assert not Halt.objects.exists() and not AuditEntry.objects.exists()


def test_a_release_needs_a_reason_and_happens_once(account: Account) -> None:
    halt = halts.engage("global", "x", "ada")
    with pytest.raises(halts.Refused, match="reason"):
        halts.release(halt, " ", "ada")
    halts.release(halt, "fine", "ada")
    with pytest.raises(halts.Refused, match="released already by ada"):
        halts.release(halt, "again", "bob")


def test_the_tightest_limit_applies(account: Account) -> None:
    for scope, value in (("global", 100), ("venue:binance", 50), ("account:main", 70)):
        limits.put(scope, "quantity_max", D(value), "ada")
    assert limits.in_force("main", "binance") == {"quantity_max": D(50)}
    assert limits.in_force("other", "kraken") == {"quantity_max": D(100)}


def test_a_changed_limit_counts_its_version_and_keeps_what_was(account: Account) -> None:
    limits.put("global", "quantity_max", D(1), "ada")
    limit = limits.put("global", "quantity_max", D(2), "bob")
    assert (limit.version, limit.updated_by, Limit.objects.count()) == (2, "bob", 1)
    newest = AuditEntry.objects.order_by("-sequence").first()
    assert newest is not None and newest.detail == {"before": "1.000000000000000000", "after": "2"}


@pytest.mark.parametrize(
    ("scope", "name", "value"),
    [
        ("global", "speed_max", "1"),
        ("global", "quantity_max", "0"),
        ("global", "quantity_max", "-1"),
        ("account:mian", "quantity_max", "1"),
    ],
)
def test_a_limit_that_limits_nothing_is_refused(account: Account, scope: str, name: str, value: str) -> None:
    with pytest.raises(limits.Refused):
        limits.put(scope, name, D(value), "ada")
    assert not Limit.objects.exists()
