"""The arithmetic of tolerances: exact at the edge, for every number that can be stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciliation.tolerance import Allowance, Case, is_within, is_young, judging, passes_at

D = Decimal
KINDS = frozenset({"balance", "position"})
amounts = st.integers(1, 10**38 - 1).map(lambda n: D(n).scaleb(-18))
signed = st.tuples(amounts, st.sampled_from([1, -1])).map(lambda pair: pair[0] * pair[1])
dollars = st.integers(0, 10**30).map(lambda n: D(n).scaleb(-18))


def rule(**values: Any) -> Allowance:
    values = {"id": "r", "code": "r", "version": 1, "action": "tolerate", **values}
    return Allowance(**values)


def case(**values: Any) -> Case:
    values = {"kind": "balance", "account": "main", "venue": "binance", "asset": "BTC", "amount": D(1), **values}
    return Case(**values)


@given(amount=signed, total=signed, usd=dollars)
def test_what_it_would_pass_at_is_the_smallest_bound_that_lets_it_pass(
    amount: Decimal, total: Decimal, usd: Decimal
) -> None:
    seen = case(amount=amount, total=total, usd=usd)
    steps = {"absolute": D("1e-18"), "basis_points": D("0.0001"), "usd": D("0.01")}
    for name, bound in passes_at(seen).items():
        assert bound is not None
        assert is_within(rule(**{name: bound}), seen), name
        if bound >= steps[name]:
            assert not is_within(rule(**{name: bound - steps[name]}), seen), name


@given(amount=signed, bound=amounts)
def test_an_absolute_bound_is_compared_exactly_whatever_the_sign(amount: Decimal, bound: Decimal) -> None:
    assert is_within(rule(absolute=bound), case(amount=amount)) == (abs(amount) <= bound)


@given(
    amount=signed, total=signed, usd=dollars, one=amounts, two=st.integers(0, 10**12 - 1), three=st.integers(0, 10**12)
)
def test_every_bound_must_hold(
    amount: Decimal, total: Decimal, usd: Decimal, one: Decimal, two: int, three: int
) -> None:
    seen, bounds = (
        case(amount=amount, total=total, usd=usd),
        {"absolute": one, "basis_points": D(two).scaleb(-4), "usd": D(three).scaleb(-2)},
    )
    each = [is_within(rule(**{name: bound}), seen) for name, bound in bounds.items()]
    assert is_within(rule(**bounds), seen) == all(each)


@pytest.mark.parametrize(
    ("bounds", "values"),
    [
        ({}, {}),
        ({"absolute": D(5)}, {"amount": None}),
        ({"usd": D(1_000_000)}, {"usd": None}),
        ({"absolute": D(5), "usd": D(1_000_000)}, {"usd": None}),
        ({"basis_points": D(10_000)}, {"total": None}),
        ({"basis_points": D(10_000)}, {"total": D(0)}),
        ({"grace_seconds": 60}, {}),
    ],
)
def test_what_nobody_could_measure_is_never_let_pass(bounds: dict[str, Any], values: dict[str, Any]) -> None:
    assert not is_within(rule(**bounds), case(**{"total": D(1), "usd": D(1), **values}))


def test_what_cannot_be_told_has_no_bound_to_pass_at() -> None:
    assert passes_at(case(amount=None)) == {"absolute": None, "basis_points": None, "usd": None}
    assert passes_at(case(amount=D("-0.5"), total=D(3))) == {
        "absolute": D("0.5"),
        "basis_points": D("1666.6667"),
        "usd": None,
    }


def test_the_narrowest_rule_judges_then_the_newest() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    wide, wide_newer = rule(code="a", active_from=at), rule(code="b", active_from=at + timedelta(days=1))
    asset, kind = (
        rule(code="c", asset="BTC", active_from=at),
        rule(code="d", kinds=frozenset({"balance"}), active_from=at),
    )
    venue, account = (
        rule(code="e", scope="venue:binance", active_from=at),
        rule(code="f", scope="account:main", active_from=at),
    )
    ladder = [wide, wide_newer, kind, asset, venue, account]
    for count in range(1, len(ladder) + 1):
        for order in (ladder[:count], ladder[:count][::-1]):
            assert judging(order, case(), KINDS) is ladder[count - 1]
    assert judging([venue, account], case(venue="okx", account="other"), KINDS) is None
    assert judging([asset], case(asset="ETH"), KINDS) is None
    assert judging([kind], case(kind="position"), KINDS) is None
    assert judging([wide], case(kind="order_status"), KINDS) is None, (
        "a rule without kinds is about what can be tolerated"
    )


def test_time_of_grace_ends_to_the_second() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert is_young(rule(grace_seconds=60), at, at + timedelta(seconds=59))
    assert not is_young(rule(grace_seconds=60), at, at + timedelta(seconds=60))
    assert not is_young(rule(), at, at)
