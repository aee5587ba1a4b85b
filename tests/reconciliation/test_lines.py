"""Lines that explain a difference: candidates from the books, own amounts, and what remains, worked out by the server."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from orders.models import Fill, Transfer
from project.lib import clock
from reconciliation import lines, resolutions, runs
from reconciliation.models import Break, BreakLine
from tests import factories
from tests.reconciliation import builders
from tests.reconciliation.two_people import desk, requested
from tests.reconciliation.two_people import drift as drifted
from venues.models import Account

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Account:
    return desk()


def drift(owner: Account, total: str = "1.5", *seconds_ago: float) -> Break:
    drifted(owner, total, *seconds_ago)  # a trade of the account makes its other asset differ as well
    return Break.objects.get(account=owner, kind="balance", asset="BTC")


def offered(row: Break) -> dict[str, lines.Candidate]:
    return {each.key: each for each in lines.candidates(row, lines.of(row))}


def transfer(owner: Account, amount: str, **values: Any) -> Transfer:
    told = {
        "kind": "withdrawal",
        "venue_transfer_id": "W1",
        "asset": "BTC",
        "source": "transfers",
        "occurred_at": builders.ago(300),
        "recorded_at": builders.ago(300),
    }
    return Transfer.objects.create(account=owner, amount=Decimal(amount), **{**told, **values})


def booked(owner: Account, **values: Any) -> Fill:
    values = {"fee": Decimal("0.001"), "fee_asset": "BTC", **values}
    return builders.fill(builders.order(owner, status="filled"), values.pop("trade", "T1"), builders.ago(200), **values)


def test_trades_fees_and_transfers_are_offered_the_way_they_explain(owner: Account) -> None:
    moved = transfer(owner, "-0.499")
    fill = booked(owner)
    row = drift(owner, "1.999")  # ours: 2 + 0.5 − 0.001; theirs 0.5 less
    found = offered(row)
    assert row.delta == Decimal("-0.5")
    assert found[f"transfer:{moved.pk}"].amount == Decimal("-0.499")
    trade, fee = found[f"fill:{fill.pk}"], found[f"fee:{fill.pk}"]
    assert (trade.amount, trade.is_exact, fee.amount, fee.is_exact) == (Decimal("-0.5"), True, Decimal("-0.001"), False)
    assert "not in the venue's total" in trade.means and "twice in the venue's total" in fee.means
    assert next(iter(found)) == f"fill:{fill.pk}"
    other = transfer(owner, "-1", venue_transfer_id="W2", asset="ETH")
    old = transfer(owner, "-2", venue_transfer_id="W3", occurred_at=builders.ago(3 * 86_400))
    assert not {f"transfer:{other.pk}", f"transfer:{old.pk}"} & offered(row).keys()


def test_what_only_the_venue_told_is_offered_first(owner: Account) -> None:
    row = drift(owner, "2.3", 60, 50)
    at = builders.ago(100)
    builders.snapshot(
        owner,
        "fills",
        [builders.fill_row("T9", at, quantity="0.25", quote_quantity="25", fee="0.01", fee_asset="BTC")],
        seconds_ago=20,
    )
    runs.advance()
    found = list(lines.candidates(row, []))
    assert [(each.source, each.amount, each.is_told) for each in found] == [
        ("fill", Decimal("0.25"), True),
        ("fee", Decimal("-0.01"), True),
    ]
    lines.add(row, "anna", [each.key for each in found])
    assert lines.remaining(row, lines.of(row)) == Decimal("0.06")


def test_lines_are_added_taken_off_and_summed_by_the_server(owner: Account) -> None:
    moved, row = transfer(owner, "-0.3"), drift(owner)
    lines.add(row, "anna", [f"transfer:{moved.pk}"], version=0)
    row.refresh_from_db()
    assert (row.status, row.version) == ("investigating", 1)
    lines.add(row, "bert", amount="−0.15", reason="custody fee by letter")
    given = lines.of(row)
    assert [(each.source, each.amount, each.added_by) for each in given] == [
        ("transfer", Decimal("-0.3"), "anna"), ("person", Decimal("-0.15"), "bert"),
    ]  # fmt: skip
    assert lines.remaining(row, given) == Decimal("-0.05")
    detail = row.events.order_by("-id")[0].detail
    assert (detail["remaining"], detail["lines"][0]["amount"]) == ("-0.05", "-0.15")
    assert f"transfer:{moved.pk}" not in offered(row)
    lines.remove(row, "anna", [given[0].pk])
    assert lines.remaining(row, lines.of(row)) == Decimal("-0.35")
    assert row.events.order_by("-id")[0].kind == "line_removed"


@pytest.mark.parametrize(
    ("picks", "amount", "reason", "said"),
    [
        (["fill:made-up"], "", "", "not offered any more"),
        (["transfer:W1"], "-0.5", "x", "not offered any more"),
        ([], "", "", "no line was ticked"),
        ([], "-0.5", " ", "a reason for your own amount is required"),
        ([], "", "why", "the amount must be a plain decimal"),
        ([], "1e5", "why", "the amount must be a plain decimal"),
        ([], "NaN", "why", "the amount must be a plain decimal"),
        ([], "0.0", "why", "explains nothing"),
    ],
)
def test_what_is_not_a_line_is_refused(owner: Account, picks: list[str], amount: str, reason: str, said: str) -> None:
    row = drift(owner)
    with pytest.raises(resolutions.Refused, match=said):
        lines.add(row, "anna", picks, amount, reason)
    row.refresh_from_db()
    assert not BreakLine.objects.exists() and row.version == 0


def test_lines_stand_while_a_request_waits(owner: Account) -> None:
    row = drift(owner)
    lines.add(row, "anna", amount="-0.1", reason="fee")
    requested(row)
    with pytest.raises(resolutions.Refused, match="waits for a second person"):
        lines.add(row, "anna", amount="-0.1", reason="another")
    with pytest.raises(resolutions.Refused, match="waits for a second person"):
        lines.remove(row, "anna", [lines.of(row)[0].pk])
    with pytest.raises(resolutions.Refused, match="not there any more"):
        lines.remove(factories.BreakFactory(), "anna", [lines.of(row)[0].pk])
    assert len(lines.of(row)) == 1


def test_a_break_without_an_amount_has_no_lines(owner: Account) -> None:
    row = factories.BreakFactory(account=owner, kind="unreadable", delta=None)
    assert lines.candidates(row, []) == [] and lines.remaining(row, []) is None
    with pytest.raises(resolutions.Refused, match="no amount that lines could explain"):
        lines.add(row, "anna", amount="1", reason="why")


def test_living_orders_of_the_asset_are_named_and_not_counted(owner: Account) -> None:
    alive, row = builders.order(owner), drift(owner)
    builders.order(owner, symbol="ETH/EUR")
    builders.order(owner, status="filled")
    assert [each.pk for each in lines.unsettled(row)] == [alive.pk]


def test_candidates_are_bounded_however_busy_the_account_was(
    owner: Account, django_assert_max_num_queries: Any
) -> None:
    order = builders.order(owner, status="filled")
    for number in range(120):
        builders.fill(order, f"T{number}", clock.now() - timedelta(seconds=300 + number), fee=Decimal(0))
    row = drift(owner, "1")
    with django_assert_max_num_queries(9):
        found = lines.candidates(row, [])
    assert 0 < len(found) <= 50
