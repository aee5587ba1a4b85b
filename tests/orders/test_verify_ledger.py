"""verify_ledger: whichever posting somebody changes, deletes or adds behind the code's back is found and named."""

from __future__ import annotations

import io
import random
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from orders import ledger, store, units
from orders.models import Fill, Posting, Transfer
from project.lib import clock, ids
from tests.factories import unguarded
from tests.orders.scene import apply, fill, make_account, sending
from venues.models import Account

D = Decimal
pytestmark = pytest.mark.django_db
MUTATIONS_PER_SEED = 30
CONTRACT = "BTC/USD:BTC"
TRANSFERS = [
    ("deposit", "250", "0"), ("withdrawal", "-40", "0.5"), ("funding", "-0.013", "0"), ("settlement", "0.7", "0"),
    ("rebate", "0.02", "0"), ("fee", "-1.5", "0"), ("internal", "-3", "0"),
]  # fmt: skip


def life(account: Account, chance: random.Random) -> None:
    """Give an account openings, trades of spot and of an inverse contract, adjustments, and transfers of every kind."""
    with store.transaction() as books:
        ledger.post_opening(books, account.code, {"USDT": D(100000), "BTC": D("2.5"), "ETH": D("0.000000000000000001")})
    order = sending(account)
    for number in range(6):
        side, price = chance.choice(["buy", "sell"]), D(chance.randint(40_000, 70_000))
        quantity = D(chance.randint(1, 10**6)).scaleb(-6)
        asset, fee = chance.choice([("BTC", "0.0001"), ("USDT", "1.25"), ("BNB", "-0.002"), ("BNB", "0")])
        apply(
            order,
            fill(
                f"s{number}", str(quantity), side=side, price=price, quote_quantity=quantity * price, fee=D(fee), fee_asset=asset
            ),
        )  # fmt: skip
        apply(
            order,
            fill(
                f"c{number}", str(chance.randint(1, 99) * 10), side=side, price=price, symbol=CONTRACT, quote_quantity=None,
                realised_pnl=D(chance.randint(-99, 99)).scaleb(-6), fee=D("0.000001"), fee_asset="BTC",
            ),
        )  # fmt: skip
    for number in range(3):
        with store.transaction() as books:
            amount = D(chance.choice([-7, 3, 11])).scaleb(-chance.randint(0, 18))
            ledger.post_adjustment(
                books, account.code, "USDT", amount, actor="ada", memo="found", reference=f"break-{number}"
            )
    for book in ledger.COUNTER_BOOKS:
        for amount in (D("-2.5"), D("2.5")):  # a counter-entry, and the one that takes it back
            with store.transaction() as books:
                ledger.post_adjustment(
                    books, account.code, "BTC", amount, actor="ada", memo="told by the venue", reference=f"break-{book}", counter_book=book
                )  # fmt: skip
    for kind, moved_amount, charged in TRANSFERS:
        moved(account, kind, D(moved_amount), D(charged))


def moved(account: Account, kind: str, amount: Decimal, fee: Decimal) -> None:
    """Book a transfer as its postings must stand."""
    row = Transfer.objects.create(
        account=account, kind=kind, venue_transfer_id=f"v-{ids.new_id()}", asset="USDT", amount=amount, fee=fee,
        source="rest", occurred_at=clock.now(),
    )  # fmt: skip
    book = {"funding": "funding", "settlement": "funding", "rebate": "fees", "fee": "fees"}.get(kind, "transfers")
    charged = -amount if book == "fees" else fee
    legs = [("USDT", "venue", amount), ("USDT", book, -amount - charged), ("USDT", "fees", charged)]
    with store.transaction() as books:
        ledger._post(
            books, account.code, [leg for leg in legs if leg[2]], cause="transfer", entry=row.pk,
            reference=row.venue_transfer_id, memo=kind,
        )  # fmt: skip


def verified() -> tuple[int, str]:
    """Run the command; return its exit code and what it said."""
    out = io.StringIO()
    try:
        call_command("verify_ledger", stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def with_changed(change: Callable[[], Any]) -> tuple[int, str]:
    """Run the command after a change behind the back of the database, and take the change back."""
    with transaction.atomic():
        with unguarded():
            change()
        result = verified()
        transaction.set_rollback(True)
    return result


def another(
    posting: Posting, column: str, chance: random.Random, others: list[Account], entries: list[uuid.UUID]
) -> Any:
    """Return another value for a column of a posting."""
    unit = D(1).scaleb(-18)
    choices: dict[str, list[Any]] = {
        "amount": [posting.amount + unit, posting.amount - unit, -posting.amount, posting.amount * 2, D(0)],
        "asset": [asset for asset in ("USDT", "BTC", "BNB", "NEW") if asset != posting.asset],
        "book": [book for book in Posting.Book.values if book != posting.book],
        "account_id": [other.code for other in others if other.code != posting.account_id],
        "entry": [uuid.UUID(int=chance.getrandbits(128), version=4), *chance.sample(entries, 3)],
    }
    return chance.choice(choices[column])


@pytest.mark.parametrize("seed", range(8))
def test_any_one_changed_posting_is_found_and_named(seed: int) -> None:
    chance = random.Random(seed)
    accounts = [make_account(), make_account()]
    for one in accounts:
        life(one, chance)
    assert verified()[0] == 0
    postings = list(Posting.objects.order_by("id"))
    entries = sorted({posting.entry for posting in postings})
    taken = {(posting.entry, posting.leg) for posting in postings}
    done = 0
    while done < MUTATIONS_PER_SEED:
        posting, column = chance.choice(postings), chance.choice(["amount", "asset", "book", "account_id", "entry"])
        value = another(posting, column, chance, accounts, entries)
        if value == getattr(posting, column) or (column == "entry" and (value, posting.leg) in taken):
            continue  # no change, or one that the key of the table refuses to anybody
        code, said = with_changed(partial(Posting.objects.filter(pk=posting.pk).update, **{column: value}))
        assert code == 1 and said.startswith(f"posting {posting.pk} "), (column, value, posting.cause, said)
        done += 1


FIELDS: dict[str, Callable[[Posting, Account], Any]] = {
    "account_id": lambda posting, other: other.code,
    "asset": lambda posting, other: "BTC" if posting.asset == "USDT" else "USDT",
    "book": lambda posting, other: "trading" if posting.book != "trading" else "adjustments",
    "amount": lambda posting, other: posting.amount + D(1).scaleb(-18),
    "cause": lambda posting, other: "opening" if posting.cause != "opening" else "adjustment",
    "entry": lambda posting, other: ids.new_id(),
    "leg": lambda posting, other: posting.leg + 7,
    "fill_id": lambda posting, other: Fill.objects.exclude(pk=posting.fill_id or ids.new_id()).order_by("id")[0].pk,
    "reference": lambda posting, other: f"{posting.reference}1",
    "memo": lambda posting, other: f"{posting.memo} and more",
    "posted_at": lambda posting, other: posting.posted_at + timedelta(days=1),
}  # fmt: skip


def sort_of(posting: Posting) -> str:
    """Name what a posting is for: its cause, of a transfer and counter-entry the kind or book, and its own book and sign."""
    more = posting.memo if posting.cause == "transfer" else posting.reference if posting.cause == "adjustment" else ""
    kind = "contract" if posting.fill and ":" in posting.fill.symbol else posting.fill and posting.fill.side
    return f"{posting.cause} {kind or ''} {more} {posting.book} {posting.amount > 0}"


def test_every_field_of_a_posting_is_tried() -> None:
    assert {*FIELDS, "id"} == {field.attname for field in Posting._meta.concrete_fields}


@pytest.mark.parametrize("column", FIELDS)
def test_a_posting_of_every_sort_is_named_when_this_field_changes(column: str) -> None:
    account, other = make_account(), make_account()
    life(account, random.Random(6))
    sorts: dict[str, Posting] = {}
    for posting in Posting.objects.select_related("fill").order_by("id"):
        sorts.setdefault(sort_of(posting), posting)
    assert {posting.cause for posting in sorts.values()} == {"opening", "fill", "adjustment", "transfer"}
    assert {posting.book for posting in sorts.values()} == set(Posting.Book.values)
    assert len(sorts) >= 40
    for sort, posting in sorts.items():
        value = FIELDS[column](posting, other)
        code, said = with_changed(partial(Posting.objects.filter(pk=posting.pk).update, **{column: value}))
        assert code == 1 and re.search(rf"posting {posting.pk}\b", said), (sort, value, said)


@pytest.mark.parametrize("column", ["cause", "leg", "fill_id", "reference"])
def test_what_a_posting_says_of_its_origin_is_proved(column: str) -> None:
    life(make_account(), random.Random(3))
    other = str(Fill.objects.order_by("id").last().pk)  # type: ignore[union-attr]
    values = {"cause": "gift", "leg": 9, "fill_id": other, "reference": "elsewhere"}
    for posting in Posting.objects.exclude(fill_id=other).order_by("id"):
        code, said = with_changed(partial(Posting.objects.filter(pk=posting.pk).update, **{column: values[column]}))
        assert code == 1 and f"posting {posting.pk}" in said, (posting.cause, said)


def test_a_posting_too_few_or_too_many_is_found() -> None:
    life(make_account(), random.Random(4))
    for posting in Posting.objects.order_by("id"):
        code, said = with_changed(Posting.objects.filter(pk=posting.pk).delete)
        assert code == 1 and str(posting.entry) in said, (posting.cause, said)
    for posting in Posting.objects.order_by("entry", "-leg").distinct("entry"):
        posting.pk, posting.leg = None, posting.leg + 1
        code, said = with_changed(posting.save)
        assert code == 1 and said.startswith(f"posting {posting.pk} "), (posting.cause, said)


def test_a_trade_no_event_books_and_one_booked_twice_are_named() -> None:
    account = make_account()
    life(account, random.Random(5))
    event = account.events.filter(kind="fill").order_by("sequence").first()
    assert event
    code, said = with_changed(lambda: account.events.filter(pk=event.pk).update(kind="noted"))
    assert code == 1 and f"fill {event.data['fill']} of account {account.code} has no event" in said
    others = account.events.filter(kind="fill").exclude(pk=event.pk).order_by("sequence")
    for other in (others.first(), others.last()):  # right behind it, and with every other trade in between
        assert other
        code, said = with_changed(partial(others.filter(pk=other.pk).update, data=event.data))
        again = f"is booked twice, again by event {other.sequence}"
        assert code == 1 and f"fill {event.data['fill']} of account {account.code} {again}" in said


@given(st.integers(-(10**40), 10**40), st.integers(-(10**20), 10**20).filter(bool))
def test_rounding_is_half_even(numerator: int, denominator: int) -> None:
    assert units.nearest(numerator, denominator) == round(Fraction(numerator, denominator))
