"""Digests of fills: the database keeps them whatever writes a fill, and Python hashes as it does."""

from __future__ import annotations

import importlib
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.db.models import F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders import digest_proof
from orders.models import Fill, FillDigest
from project.lib import clock, decimals
from reconciliation import digests
from tests.factories import unguarded
from tests.reconciliation import builders
from venues.models import Account

pytestmark = pytest.mark.django_db
MIGRATION = importlib.import_module("orders.migrations.0013_digests_kept_as_fills_are_booked")
words = st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=20
) | st.sampled_from(["BTC/USDT", "ETH/USDT:USDT", "1", "t-1\x1f"])  # fmt: skip
numbers = st.decimals(min_value="-99999999999999999999", max_value="99999999999999999999", places=18) | st.sampled_from(
    [Decimal(0), Decimal("100"), Decimal("0.10"), Decimal("1E+3"), Decimal("-0"), Decimal("-0.000000000000000001")]
)


def kept() -> dict[tuple[str, datetime], tuple[int, int]]:
    rows = FillDigest.objects.values_list("account_id", "minute", "count", "digest")
    return {(account, minute): (count, int(total)) for account, minute, count, total in rows}


def counted_anew() -> dict[tuple[str, datetime], tuple[int, int]]:
    """Add the digests up from the fills, in Python."""
    found: dict[tuple[str, datetime], digests.Digest] = defaultdict(digests.Digest)
    for fill in Fill.objects.all():
        found[(fill.account_id, digests.minute_of(fill.executed_at))].add(hash_of(fill))
    return {key: (digest.count, digest.total) for key, digest in found.items()}


def hash_of(fill: Fill) -> int:
    price, quantity, fee = (decimals.write(number) or "" for number in (fill.price, fill.quantity, fill.fee))
    return digests.trade_hash(fill.venue_trade_id, fill.symbol, fill.side, price, quantity, fee, fill.fee_asset)


def unsaved(owner: Account, *names: str) -> list[Fill]:
    order = builders.order(owner)
    return [
        Fill(
            order=order, account=owner, symbol=order.symbol, side="buy", price=Decimal("20000.10") + number,
            quantity=Decimal("0.5"), quote_quantity=Decimal("1"), fee=Decimal("0.05") * (number % 2), fee_asset="USDT",
            venue_trade_id=name, venue_order_id="v", source="test", executed_at=clock.now() - timedelta(seconds=37 * number),
        )
        for number, name in enumerate(names)
    ]  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words, words, words, numbers, numbers, numbers, words)
def test_the_database_and_python_hash_the_same(
    trade: str, symbol: str, side: str, price: Decimal, quantity: Decimal, fee: Decimal, asset: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT gapless_fill_hash(%s, %s, %s, %s::numeric(38,18), %s::numeric(38,18), %s::numeric(38,18), %s)",
            [trade, symbol, side, price, quantity, fee, asset],
        )
        [found] = cursor.fetchone()
    texts = [decimals.write(number) or "" for number in (price, quantity, fee)]
    assert found == digests.trade_hash(trade, symbol, side, texts[0], texts[1], texts[2], asset)


def test_every_figure_of_a_trade_is_in_its_hash() -> None:
    trade = {"venue_trade_id": "t", "symbol": "BTC/USDT", "side": "buy", "price": "100", "quantity": "1", "fee": "0.1", "fee_asset": "USDT"}  # fmt: skip
    changed = [{**trade, name: value + "1"} for name, value in trade.items()]
    assert len({digests.trade_hash(**each) for each in [trade, *changed]}) == 8
    free = {**trade, "fee": "0"}  # an asset without a fee says nothing, as in the comparison of rows
    assert digests.trade_hash(**free) == digests.trade_hash(**{**free, "fee_asset": ""})


def test_fills_of_the_books_of_the_orm_and_of_copy_are_counted() -> None:
    owner, other = builders.account(), builders.account("other")
    builders.fill(builders.order(owner), "T1", builders.ago(20))
    Fill.objects.bulk_create([*unsaved(owner, "T2", "T3", "T4"), *unsaved(other, "T2", "T5")])
    further = unsaved(owner, "T8", "T9")
    with connection.cursor() as cursor, cursor.copy("COPY orders_fill (id, order_id, account_id, symbol, side, price, "
            "quantity, quote_quantity, fee, fee_asset, realised_pnl, liquidity, venue_trade_id, venue_order_id, source, "
            "executed_at, recorded_at) FROM STDIN") as copied:  # fmt: skip
        for fill in further:
            copied.write_row((
                fill.pk, fill.order_id, owner.code, fill.symbol, fill.side, fill.price, fill.quantity, 1, fill.fee, "USDT", 0, "",
                fill.venue_trade_id, "v", "test", fill.executed_at, clock.now(),
            ))  # fmt: skip
    assert sum(count for count, _ in kept().values()) == 8
    assert kept() == counted_anew()


def test_what_is_rolled_back_or_refused_is_not_counted() -> None:
    owner = builders.account()
    builders.fill(builders.order(owner), "T1", builders.ago(20))
    before = kept()
    with pytest.raises(Exception, match="fill_once"), transaction.atomic():
        Fill.objects.bulk_create([*unsaved(owner, "T2"), *unsaved(owner, "T1")])
    with pytest.raises(RuntimeError), transaction.atomic():
        Fill.objects.bulk_create(unsaved(owner, "T3"))
        raise RuntimeError
    assert kept() == before == counted_anew()


@pytest.mark.parametrize("change", ["move", "value", "delete", "all"])
def test_a_change_past_the_guards_is_counted_too(change: str) -> None:
    """Somebody with all rights switches triggers off for the session: these stay on, and no digest hides what was done."""
    owner = builders.account()
    Fill.objects.bulk_create(unsaved(owner, "T1", "T2", "T3", "T4"))
    before = kept()
    with unguarded():
        if change == "move":
            Fill.objects.update(executed_at=F("executed_at") - timedelta(seconds=40))
        elif change == "value":
            Fill.objects.filter(venue_trade_id="T2").update(price=F("price") + Decimal("0.000000000000000001"))
        elif change == "delete":
            Fill.objects.filter(venue_trade_id="T2").delete()
        else:
            Fill.objects.all().delete()
    assert kept() == counted_anew() != before


def test_what_was_booked_before_the_migration_is_added_up() -> None:
    owner = builders.account()
    Fill.objects.bulk_create(unsaved(owner, *(f"T{number}" for number in range(9))))
    before = kept()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM orders_filldigest")
        cursor.execute(MIGRATION.BACKFILL)
    assert kept() == before == counted_anew()


@pytest.mark.parametrize("change", ["count", "digest", "row", "minute"])
def test_the_proof_of_the_ledger_names_a_digest_that_is_not_that_of_the_fills(change: str) -> None:
    owner = builders.account()
    Fill.objects.bulk_create(unsaved(owner, "T1", "T2", "T3", "T4"))
    assert list(digest_proof.differences()) == []
    row = FillDigest.objects.order_by("minute")[0]
    if change == "row":
        row.delete()
    elif change == "minute":
        FillDigest.objects.filter(pk=row.pk).update(minute=F("minute") - timedelta(days=1))
    else:
        FillDigest.objects.filter(pk=row.pk).update(**{change: F(change) + 1})
    found = list(digest_proof.differences())
    assert len(found) == (2 if change == "minute" else 1)
    assert f"digest of fills main {row.minute.isoformat()}" in found[-1]


def test_a_time_without_a_zone_falls_into_no_minute() -> None:
    at = datetime(2026, 1, 1, 12, 0, 59, 999999)  # noqa: DTZ001
    with pytest.raises(ValueError, match="zone"):
        digests.minute_of(at)
    assert digests.minute_of(at.replace(tzinfo=UTC)).isoformat() == "2026-01-01T12:00:00+00:00"
