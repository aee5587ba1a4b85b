"""Books followed over what real venues sent: Binance's snapshot and diff, Bybit's 500 levels, Deribit's snapshot rows."""

from __future__ import annotations

import csv
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from venues.adapters.book_reader import levels
from venues.books import Book, Change, Level
from venues.facts.streaming import BOOKS

pytestmark = pytest.mark.recorded_data
FOLDER = Path(os.environ.get("GAPLESS_RECORDED_DATA", "../shared/data"))
BINANCE = "binance-futures-btcusdt-depth-{}-2022-11-02.csv"


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open() as lines:
        return list(csv.DictReader(lines))


def sides(found: list[dict[str, str]], side: str, price: str, quantity: str) -> tuple[list[Level], list[Level]]:
    bids, asks = (
        [(Decimal(row[price]), Decimal(row[quantity])) for row in found if row[side].startswith(letter)]
        for letter in "ba"
    )
    return bids, asks


def binance(kind: str) -> Change:
    found = rows(BINANCE.format(kind))
    bids, asks = sides(found, "side", "price", "qty")
    one = found[0]
    return Change(
        bids=bids, asks=asks, is_snapshot=kind == "snapshot", first=int(one["first_update_id"]),
        last=int(one["last_update_id"]), previous=int(one["pu"]),
    )  # fmt: skip


def bybit() -> Iterator[tuple[Change, dict[str, object]]]:
    with (
        zipfile.ZipFile(FOLDER / "bybit-xrpusdt-ob500.data.zip") as archive,
        archive.open(archive.namelist()[0]) as lines,
    ):
        for line in lines:
            frame = json.loads(line)
            data = frame["data"]
            yield Change(
                bids=levels(data["b"]), asks=levels(data["a"]), is_snapshot=frame["type"] == "snapshot", last=data["u"]
            ), data  # fmt: skip


def merged(*told: list[Level]) -> dict[Decimal, Decimal]:
    """Return the levels after one side's snapshot and diff, by a plain dictionary."""
    whole = {price: quantity for side in told for price, quantity in side}
    return {price: quantity for price, quantity in whole.items() if quantity}


def test_binances_diff_of_another_minute_does_not_follow_on_its_snapshot() -> None:
    """The two files lie ten minutes apart: to apply the one to the other would be a wrong book."""
    book, snapshot = Book(rule=BOOKS["binanceusdm"]), binance("snapshot")
    book.take(snapshot, 0.0)
    before = book.bids.levels(1000)
    assert (before, len(before), book.asks.levels(1000)) == (sorted(snapshot.bids, reverse=True), 100, [])
    book.take(binance("update"), 0.0)
    assert (book.reason, book.number, book.bids.levels(1000)) == ("BOOK_GAP", snapshot.last, before)


@pytest.mark.parametrize(
    ("first", "last", "reason"), [(0, 0, None), (-5, 5, None), (1, 5, "BOOK_GAP"), (-5, -1, "old")]
)
def test_binances_diff_follows_a_snapshot_within_it(first: int, last: int, reason: str | None) -> None:
    """The recorded diff, with its numbers moved around those of the snapshot: U ≤ lastUpdateId ≤ u, or it does not fit."""
    book = Book(rule=BOOKS["binanceusdm"])
    snapshot, diff = binance("snapshot"), binance("update")
    number = snapshot.last or 0
    book.take(snapshot, 0.0)
    book.take(replace(diff, first=number + first, last=number + last, previous=number + first - 30), 0.0)
    bids, asks = merged(list(snapshot.bids)), {}
    if reason is None:
        bids, asks = merged(list(snapshot.bids), list(diff.bids)), merged(list(diff.asks))
        assert max(bids) < min(asks)
    assert (dict(book.bids.levels(1000)), dict(book.asks.levels(1000))) == (bids, asks)
    assert book.reason == (None if reason == "old" else reason) and book.counts.repeats == (reason == "old")


def test_bybits_book_of_500_levels_is_followed_to_its_end() -> None:
    book, frames = Book(rule=replace(BOOKS["bybit"], levels_max=500)), 0
    plain: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})
    for change, _ in bybit():
        frames += 1
        book.take(change, float(frames))
        for side, told in zip(plain, (change.bids, change.asks), strict=True):
            if change.is_snapshot:
                side.clear()
            side.update(told)
            for price in [price for price, quantity in side.items() if not quantity]:
                del side[price]
        assert book.is_fresh(float(frames)), book.reason
        assert book.bids.levels(500) == sorted(plain[0].items(), reverse=True)[:500]
        assert book.asks.levels(500) == sorted(plain[1].items())[:500]
    assert frames == 50 and book.counts.updates == 49 and book.counts.gaps == 0


@pytest.mark.parametrize("lost", [1, 10, 25, 48])
def test_bybits_lost_frame_is_noticed_at_once(lost: int) -> None:
    book = Book(rule=replace(BOOKS["bybit"], levels_max=500))
    for number, (change, _) in enumerate(bybit()):
        if number == lost:
            continue
        book.take(change, 0.0)
        assert book.reason == (None if number < lost else "BOOK_GAP")


def test_deribits_snapshot_rows_are_a_side_of_a_book() -> None:
    found = rows("deribit-btc-perpetual-incremental-l2.csv")
    bids, asks = sides(found, "side", "price", "amount")
    book = Book(rule=BOOKS["deribit"])
    book.take(Change(bids=bids, asks=asks, is_snapshot=True, last=1), 0.0)
    assert (len(book.asks.prices), book.bids.best(), book.asks.best()) == (len(found), None, Decimal("6421.5"))
    assert book.middle() is None and book.is_fresh(0.0)
    book.take(
        Change(bids=[(Decimal("6421"), Decimal(10))], asks=[(Decimal("6421.5"), Decimal(0))], last=2, previous=1), 0.0
    )
    assert (book.middle(), book.asks.best()) == (Decimal("6421.5"), Decimal("6422"))
