"""Whatever is lost, doubled or comes in another order, a book is the venue's or says that it is stale."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.venues.book_truth import PLACES, Tape, tape
from venues.books import Book, Change
from venues.facts.streaming import BOOKS

EXCHANGES = sorted(BOOKS)
STEPS = 40
fates = st.lists(st.sampled_from(["keep", "keep", "keep", "keep", "lose", "twice", "late", "much_later"]), min_size=STEPS, max_size=STEPS)  # fmt: skip


def delivered(changes: list[Change], dice: list[str]) -> list[tuple[int, Change]]:
    """Return the changes as they arrive, each with its position on the tape."""
    arriving: list[tuple[float, int, Change]] = []
    for position, (change, fate) in enumerate(zip(changes, dice, strict=True)):
        delay = {"late": 1.5, "much_later": 6.5}.get(fate, 0.0)
        if fate != "lose":
            arriving.append((position + delay, position, change))
        if fate == "twice":
            arriving.append((position + 2.25, position, change))
    return [(position, change) for _, position, change in sorted(arriving, key=lambda row: row[:2])]


def run(recorded: Tape, dice: list[str], snapshot_lags: list[int]) -> Book:
    """Deliver a tape to a book that asks for snapshots as its feed does; check it after every step."""
    book = Book(rule=recorded.rule, places=PLACES)
    book.take(recorded.snapshot(0), now=0.0)
    assert book.reason is None and recorded.agrees(book)
    reached, lags = 0, iter(snapshot_lags)
    for now, (position, change) in enumerate(delivered(recorded.changes, dice), start=1):
        reached = max(reached, position + 1)
        book.take(change, float(now))
        assert book.reason is not None or recorded.agrees(book), f"a wrong book after change {position}"
        if book.needs_snapshot:
            at = max(reached - next(lags, 0), 0) if recorded.rule.snapshot == "rest" else reached
            book.take(recorded.snapshot(at), float(now))
            assert book.reason is not None or recorded.agrees(book), f"a wrong book after snapshot {at}"
    return book


@pytest.mark.parametrize("exchange", EXCHANGES)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), dice=fates, lags=st.lists(st.integers(0, 5), max_size=60), depth=st.integers(4, 30))
def test_a_book_is_true_or_stale(exchange: str, seed: int, dice: list[str], lags: list[int], depth: int) -> None:
    rule = BOOKS[exchange] if BOOKS[exchange].checksum else replace(BOOKS[exchange], levels_max=depth)
    run(tape(rule, seed, STEPS), dice, lags)


@pytest.mark.parametrize("exchange", EXCHANGES)
@given(seed=st.integers(0, 10_000), depth=st.integers(4, 30))
@settings(max_examples=40, deadline=None)
def test_without_mishaps_a_book_follows_to_the_end(exchange: str, seed: int, depth: int) -> None:
    rule = BOOKS[exchange] if BOOKS[exchange].checksum else replace(BOOKS[exchange], levels_max=depth)
    recorded = tape(rule, seed, STEPS)
    book = run(recorded, ["keep"] * STEPS, [])
    assert book.reason is None and recorded.agrees(book)
    assert (book.counts.gaps, book.counts.checksum_failures, book.counts.repeats) == (
        0,
        0,
        0,
    ) or book.counts.snapshots > 1
    if rule.linked_by != "checksum":
        assert book.number == recorded.moments[-1].number


@pytest.mark.parametrize("exchange", EXCHANGES)
@given(seed=st.integers(0, 10_000), lost=st.integers(0, STEPS - 2))
@settings(max_examples=40, deadline=None)
def test_a_single_loss_is_noticed_with_the_next_change(exchange: str, seed: int, lost: int) -> None:
    recorded = tape(BOOKS[exchange], seed, STEPS)
    book = Book(rule=recorded.rule, places=PLACES)
    book.take(recorded.snapshot(0), 0.0)
    for position, change in enumerate(recorded.changes[: lost + 2]):
        if position != lost:
            book.take(change, 1.0)
    assert book.reason is not None or recorded.agrees(book)
    if recorded.rule.linked_by != "checksum":
        assert book.reason == "BOOK_GAP" and book.counts.gaps == 1
