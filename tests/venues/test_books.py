"""Single rules of a book: how changes link, when it is stale and says why, what it does not know, the venues' checksums."""

from __future__ import annotations

import re
import zlib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.venues.book_truth import PLACES, tape
from venues import checksums
from venues.books import BOOK_MEANINGS, GATHERED_MAX, Book, BookReason, Change
from venues.facts.streaming import BOOKS

D = Decimal
OPERATIONS = Path(__file__).resolve().parents[2] / "docs/operations.md"


def change(bids: str = "", asks: str = "", **numbers: Any) -> Change:
    """Return a change written as "price quantity, price quantity"."""

    def read(text: str) -> list[tuple[Decimal, Decimal]]:
        return [(D(price), D(quantity)) for price, quantity in (pair.split() for pair in text.split(",") if pair)]

    return Change(bids=read(bids), asks=read(asks), **numbers)


def book(exchange: str, **rule: Any) -> Book:
    """Return a book with bid 99 and ask 101, number 10, as of second 0."""
    made = Book(rule=replace(BOOKS[exchange], checksum="", **rule))
    made.take(change("99 1, 98 2", "101 1, 102 2", is_snapshot=True, last=10), 0.0)
    return made


def shown(one: Book) -> tuple[list[str], list[str]]:
    return tuple([f"{price} {quantity}" for price, quantity in side.levels(9)] for side in (one.bids, one.asks))  # type: ignore[return-value]


def test_levels_come_change_and_go() -> None:
    one = book("binance")
    one.take(change("99 0, 98.5 3, 98 5", "101 0, 101.5 0", first=11, last=12), 1.0)
    assert shown(one) == (["98.5 3", "98 5"], ["102 2"]) and one.middle() == D("100.25")
    one.take(change("98.5 0, 98 0", "", first=13, last=13), 2.0)
    assert one.middle() is None and one.is_fresh(2.0)


@pytest.mark.parametrize(
    ("exchange", "numbers", "reason", "number"),
    [
        ("binance", {"first": 11, "last": 14}, None, 14),
        ("binance", {"first": 8, "last": 14}, None, 14),  # it began before the snapshot and reaches beyond
        ("binance", {"first": 7, "last": 10}, None, 10),  # it is in the snapshot
        ("binance", {"first": 12, "last": 14}, "BOOK_GAP", 10),
        ("binanceusdm", {"first": 8, "last": 14, "previous": 7}, None, 14),
        ("binanceusdm", {"first": 11, "last": 14, "previous": 10}, None, 14),
        ("binanceusdm", {"first": 7, "last": 9, "previous": 6}, None, 10),
        ("binanceusdm", {"first": 11, "last": 14, "previous": 11}, "BOOK_GAP", 10),
        ("okx", {"last": 14, "previous": 10}, None, 14),
        ("okx", {"last": 10, "previous": 10}, None, 10),  # nothing has changed, it says
        ("okx", {"last": 3, "previous": 10}, None, 3),  # it counts anew
        ("okx", {"last": 14, "previous": 11}, "BOOK_GAP", 10),
        ("bybit", {"last": 11}, None, 11),
        ("bybit", {"last": 12}, "BOOK_GAP", 10),
        ("deribit", {"last": 99, "previous": 10}, None, 99),
        ("deribit", {"last": 99, "previous": 98}, "BOOK_GAP", 10),
        ("coinbase", {"last": 11}, None, 11),
        ("coinbase", {"last": 13}, "BOOK_GAP", 10),
    ],
)
def test_how_the_first_change_links_to_the_snapshot(
    exchange: str, numbers: dict[str, int], reason: str | None, number: int
) -> None:
    one = book(exchange)
    named: dict[str, Any] = {**numbers}
    one.take(change("99 7", **named), 1.0)
    assert (one.reason, one.number, one.counts.gaps) == (reason, number, int(reason is not None))


def test_after_a_restart_of_their_numbers_an_old_change_is_no_repeat() -> None:
    one = book("okx")
    one.take(change("99 2", last=3, previous=10), 1.0)
    one.take(change("99 3", last=5, previous=3), 1.0)
    one.take(change("99 2", last=3, previous=10), 1.0)
    assert (one.reason, one.counts.repeats, shown(one)[0][0]) == (None, 1, "99 3")
    one.take(change("99 9", last=4, previous=2), 1.0)  # neither ours nor next: something was lost on the way
    assert one.reason == "BOOK_GAP"


def test_a_crossed_book_is_no_book() -> None:
    one = book("bybit")
    one.take(change("101 1", last=11), 1.0)
    assert one.why_stale(1.0) == "BOOK_CROSSED" and one.counts.crossings == 1
    one.take(change("101 0", last=12), 1.0)
    assert one.reason == "BOOK_CROSSED"  # only a snapshot mends it
    one.take(change("99 1", "100 1", is_snapshot=True, last=50), 1.0)
    assert one.is_fresh(1.0) and one.middle() == D("99.5")


def test_freshness_is_two_seconds_since_the_last_sign_of_life() -> None:
    one = book("binance")
    assert one.is_fresh(2.0) and one.why_stale(2.01) == "BOOK_SILENT"
    one.alive(2.5)
    assert one.is_fresh(4.5) and not one.is_fresh(4.51)
    one.spoil(BookReason.DISCONNECTED)
    one.alive(5.0)
    assert one.why_stale(5.0) == "BOOK_DISCONNECTED"  # life alone makes no book


def test_a_repeat_is_no_sign_of_life() -> None:
    one = book("binance")
    one.take(change("99 3", first=11, last=12), 1.0)
    one.take(change("99 3", first=11, last=12), 3.0)
    assert one.counts.repeats == 1 and not one.is_fresh(3.1)


def test_what_comes_before_the_snapshot_is_gathered_and_replayed() -> None:
    one = Book(rule=BOOKS["binance"])
    assert one.why_stale(0.0) == "BOOK_STARTING"
    for first in range(8, 14, 2):
        one.take(change(f"99 {first}", first=first, last=first + 1), 0.0)
    one.take(change("99 1", "101 1", is_snapshot=True, last=6), 0.0)
    assert one.why_stale(0.0) == "BOOK_GAP"  # 7 is missing: the snapshot is too old
    one.take(change("99 1", "101 1", is_snapshot=True, last=9), 1.0)
    assert one.is_fresh(1.0) and (one.number, shown(one)[0]) == (13, ["99 12"])


def test_too_much_before_the_snapshot_is_said() -> None:
    one = Book(rule=BOOKS["binance"])
    for number in range(GATHERED_MAX + 1):
        one.take(change("99 1", first=number, last=number), 0.0)
    assert one.reason == "BOOK_OVERFLOW"
    one.take(change("99 1", "101 1", is_snapshot=True, last=GATHERED_MAX), 0.0)
    assert one.is_fresh(0.0)


def test_what_lies_beyond_the_levels_of_a_snapshot_is_unknown_and_not_kept() -> None:
    one = Book(rule=replace(BOOKS["binance"], levels_max=8))
    deep = ", ".join(f"{price} 1" for price in range(99, 91, -1))
    one.take(change(deep, "101 1", is_snapshot=True, last=1), 0.0)
    one.take(change("91 1, 97 0", "109 1", first=2, last=2), 0.0)
    # Of the asks there were fewer than asked for: those are all there are.
    assert shown(one) == ([f"{price} 1" for price in (99, 98, 96, 95, 94, 93, 92)], ["101 1", "109 1"])
    assert not one.needs_snapshot
    one.take(change("99 0, 98 0, 96 0, 95 0, 94 0, 93 0", first=3, last=3), 0.0)
    assert one.is_fresh(0.0) and one.needs_snapshot  # what it shows is true, and it knows too little
    one.take(change("92 2", first=4, last=5), 0.0)
    one.take(change("98 1, 92 1", "101 1", is_snapshot=True, last=2), 0.0)
    assert (one.number, shown(one)[0]) == (5, ["92 2"])  # older than what was gathered: left alone
    one.take(change("92 1, 91 1, 90 1", "101 1", is_snapshot=True, last=4), 0.0)
    assert (one.number, shown(one)[0]) == (5, ["92 2", "91 1", "90 1"]) and not one.needs_snapshot


def test_what_was_gathered_for_a_snapshot_is_forgotten_when_none_is_needed_any_more() -> None:
    one = Book(rule=replace(BOOKS["binance"], levels_max=8))
    deep = ", ".join(f"{price} 1" for price in range(99, 91, -1))
    one.take(change(deep, "101 1", is_snapshot=True, last=1), 0.0)
    gone = ", ".join(f"{price} 0" for price in range(99, 92, -1))
    for number, told in enumerate((gone, "92 2", "98 1", "98 2", "98 0", "92 3"), start=2):
        one.take(change(told, first=number, last=number), 0.0)
    assert one.is_fresh(0.0) and one.needs_snapshot
    one.take(change("92 2", "101 1", is_snapshot=True, last=6), 0.0)
    assert (one.reason, one.number, shown(one)[0], one.counts.gaps) == (None, 7, ["92 3"], 0)


def test_kraken_computes_the_checksum_of_its_own_example() -> None:
    asks = [(D(f"0.05{n:03}"), D("0.00000500")) for n in range(5, 55, 5)]
    bids = [(D(f"0.0{n}"), D("0.00000500")) for n in (5000, 4995, 4990, 4980, 4975, 4970, 4965, 4960, 4955, 4950)]
    assert checksums.kraken(lambda n: bids[:n], lambda n: asks[:n], (5, 8)) == 974947235


def test_okx_joins_both_sides_in_turn_and_signs_the_sum() -> None:
    bids, asks = [(D("3366.1"), D(7))], [(D("3366.8"), D(9)), (D("3368"), D(8)), (D("3372"), D("0.5000"))]
    sums = {checksums.okx(lambda n: bids[:n], lambda n, count=count: asks[:count], None) for count in (1, 2, 3)}  # type: ignore[misc]
    assert sums == {_signed(text) for text in ("3366.1:7:3366.8:9", "3366.1:7:3366.8:9:3368:8",
                                               "3366.1:7:3366.8:9:3368:8:3372:0.5000")}  # fmt: skip


def _signed(text: str) -> int:
    return int.from_bytes(zlib.crc32(text.encode()).to_bytes(4, "big"), "big", signed=True)


@pytest.mark.parametrize("exchange", [name for name, rule in BOOKS.items() if rule.checksum])
def test_a_checksum_that_does_not_fit_spoils_the_book(exchange: str) -> None:
    recorded = tape(BOOKS[exchange], seed=3, length=2)
    one = Book(rule=recorded.rule, places=PLACES)
    one.take(recorded.snapshot(0), 0.0)
    assert one.is_fresh(0.0)
    one.take(replace(recorded.changes[0], checksum=(recorded.changes[0].checksum or 0) ^ 1), 0.0)
    assert (one.reason, one.counts.checksum_failures) == ("BOOK_CHECKSUM", 1)


def test_every_reason_has_a_meaning_and_stands_in_the_operators_page() -> None:
    named = set(re.findall(r"`(BOOK_[A-Z_]+)`", OPERATIONS.read_text()))
    assert named == set(BookReason) == set(BOOK_MEANINGS)
    for reason in BookReason:
        assert BOOK_MEANINGS[reason] in OPERATIONS.read_text()
