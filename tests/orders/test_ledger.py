"""The ledger: every entry balances, every balance is its fold, a position is what an independent calculation says."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders import fold, ledger, store
from orders.ledger import Holding
from orders.management.commands import verify_ledger
from orders.models import Balance, Fill, Position, Posting
from project.lib import clock
from tests.orders.scene import apply, fill, make_account, sending
from venues.messages import BalanceReport
from venues.models import Account

D = Decimal
UNIT = D(1).scaleb(-18)
SIDES = st.sampled_from(["buy", "sell"])
AMOUNTS = st.integers(1, 10**22).map(lambda units: D(units).scaleb(-18))
TRADES = st.lists(st.tuples(SIDES, AMOUNTS, AMOUNTS), max_size=12)


def independently(trades: list[tuple[str, Decimal, Decimal]]) -> tuple[Fraction, Fraction, Fraction]:
    """Return quantity, cost of what is open, and realised P&L, by average cost in exact fractions."""
    quantity = cost = realised = Fraction(0)
    for side, amount, price in trades:
        signed = Fraction(amount) if side == "buy" else -Fraction(amount)
        if quantity * signed >= 0:
            quantity, cost = quantity + signed, cost + signed * Fraction(price)
            continue
        closing = -quantity if abs(signed) > abs(quantity) else signed
        average = cost / quantity
        realised -= closing * (Fraction(price) - average)
        opening = signed - closing
        cost = cost + closing * average + opening * Fraction(price)
        quantity += signed
    return quantity, cost, realised


@given(TRADES)
def test_a_position_is_what_an_independent_calculation_says(trades: list[tuple[str, Decimal, Decimal]]) -> None:
    holding = Holding()
    for side, amount, price in trades:
        holding = ledger.fold(holding, side, amount, price)
    quantity, cost, realised = independently(trades)
    assert Fraction(holding.quantity) == quantity
    assert (holding.entry_price is None) == (quantity == 0)
    # each step rounds the average entry to 18 decimals: at most one unit of price per step and unit of quantity
    bound = (
        Fraction(UNIT) * (len(trades) + 1) * (1 + sum(Fraction(amount) for _, amount, _ in trades)) * (len(trades) + 1)
    )
    assert abs(Fraction(holding.realised_pnl) - realised) <= bound
    if quantity:
        assert abs(Fraction(holding.entry_price or 0) * quantity - cost) <= bound


@pytest.mark.parametrize(
    ("trades", "expected"),
    [
        ([("buy", "1", "100"), ("buy", "1", "200")], Holding(D(2), D(150), D(0))),
        ([("buy", "2", "100"), ("sell", "1", "130")], Holding(D(1), D(100), D(30))),
        ([("buy", "1", "100"), ("sell", "1", "90")], Holding(D(0), None, D(-10))),
        ([("buy", "1", "100"), ("sell", "3", "120")], Holding(D(-2), D(120), D(20))),
        ([("sell", "2", "100"), ("buy", "1", "80")], Holding(D(-1), D(100), D(20))),
        ([("sell", "1", "100"), ("buy", "2", "110")], Holding(D(1), D(110), D(-10))),
    ],
)
def test_average_entry_and_realised_profit(trades: list[tuple[str, str, str]], expected: Holding) -> None:
    holding = Holding()
    for side, amount, price in trades:
        holding = ledger.fold(holding, side, D(amount), D(price))
    assert holding == expected


FILLS = st.lists(
    st.tuples(SIDES, AMOUNTS, AMOUNTS, st.none() | AMOUNTS, st.integers(-(10**15), 10**15), st.sampled_from(["BTC", "USDT", "BNB", ""])),
    min_size=1, max_size=5,
)  # fmt: skip


@pytest.mark.django_db
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILLS)
def test_whatever_fills_come_every_entry_balances_and_every_balance_is_its_fold(trades: list[Any]) -> None:
    account = make_account()
    order = sending(account)
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for number, (side, quantity, price, quote, fee_units, fee_asset) in enumerate(trades):
        fee = D(fee_units).scaleb(-18)
        apply(
            order,
            fill(
                f"t-{number}", str(quantity), side=side, price=price, quote_quantity=quote, fee=fee, fee_asset=fee_asset
            ),
        )
        booked = Fill.objects.get(order=order, venue_trade_id=f"t-{number}")
        sign = 1 if side == "buy" else -1
        expected["BTC"] += sign * quantity
        expected["USDT"] -= sign * booked.quote_quantity
        expected[fee_asset or "USDT"] -= fee
    entries = Posting.objects.filter(account=account).values("entry", "asset").annotate(rest=Sum("amount"))
    assert all(entry["rest"] == 0 for entry in entries)
    assert {k: v for k, v in totals(account).items() if v} == {k: v for k, v in expected.items() if v}
    assert list(fold.differences()) == [] and list(verify_ledger.differences()) == []


def totals(account: Account) -> dict[str, Decimal]:
    """Return our total of every asset of an account."""
    return dict(Balance.objects.filter(account=account).values_list("asset", "total"))


def say(account: Account, *reports: BalanceReport, is_whole: bool = False) -> None:
    """Let the venue say what it holds for an account."""
    with store.transaction() as books:
        books.store.note_balances(account.code, reports, requested_at=clock.now(), is_whole=is_whole)


def test_the_quote_amount_is_the_venues_own(account: Account) -> None:
    apply(sending(account), fill("t-1", "0.3", price=D("0.1"), quote_quantity=D("0.031")))
    assert totals(account)["USDT"] == D("-0.031")


def test_a_rebate_adds_to_what_the_account_holds(account: Account) -> None:
    apply(sending(account), fill("t-1", "1", fee=D("-0.5"), fee_asset="USDT"))
    assert totals(account)["USDT"] == D("-59999.5")


def test_an_entry_that_does_not_balance_is_refused(account: Account) -> None:
    with pytest.raises(ValueError, match=r"does not balance: .*USDT.*1"), store.transaction() as books:
        ledger._post(books, account.code, [("USDT", "venue", D(2)), ("USDT", "fees", D(-1))], cause="adjustment")
    assert not Posting.objects.exists() and not Balance.objects.exists()


def test_opening_balances_stand_against_their_own_book(account: Account) -> None:
    with store.transaction() as books:
        ledger.post_opening(books, account.code, {"USDT": D(1000), "BTC": D("0.5"), "DUST": D(0)})
    assert totals(account) == {"USDT": D(1000), "BTC": D("0.5")}
    legs = Posting.objects.values_list("asset", "book", "amount").order_by("asset", "leg")
    assert list(legs) == [
        ("BTC", "venue", D("0.5")),
        ("BTC", "opening", D("-0.5")),
        ("USDT", "venue", D(1000)),
        ("USDT", "opening", D(-1000)),
    ]


def test_an_adjustment_moves_the_total_and_keeps_what_was(account: Account) -> None:
    with store.transaction() as books:
        ledger.post_opening(books, account.code, {"USDT": D(10)})
    with store.transaction() as books:
        entry = ledger.post_adjustment(
            books, account.code, "USDT", D("-2.5"), actor="ada", memo="fee the venue forgot", reference="break-1"
        )
    legs = Posting.objects.filter(entry=entry).order_by("leg")
    assert [(leg.book, leg.amount, leg.memo) for leg in legs] == [
        ("venue", D("-2.5"), "ada: fee the venue forgot"), ("adjustments", D("2.5"), "ada: fee the venue forgot"),
    ]  # fmt: skip
    assert totals(account) == {"USDT": D("7.5")} and Posting.objects.count() == 4


def test_what_the_venue_says_never_changes_our_total(account: Account) -> None:
    with store.transaction() as books:
        ledger.post_opening(books, account.code, {"USDT": D(10)})
    say(account, BalanceReport(asset="USDT", total=D(9), free=D(8), held=D(1)))
    say(account, BalanceReport(asset="NEW", total=D(1), free=D(1), held=D(0)))
    assert totals(account) == {"USDT": D(10), "NEW": D(0)}
    row = Balance.objects.get(asset="USDT")
    assert (row.venue_total, row.venue_free, row.venue_held) == (D(9), D(8), D(1))


def test_a_position_is_stored_per_symbol(account: Account) -> None:
    apply(sending(account), fill("t-1", "1", price=D(100)), fill("t-2", "0.5", price=D(160), side="sell"))
    position = Position.objects.get()
    assert (position.symbol, position.quantity, position.entry_price, position.realised_pnl) == (
        "BTC/USDT",
        D("0.5"),
        D(100),
        D(30),
    )
