"""Public books against the paper venue: they follow, a loss is noticed and mended, they are shared and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from project.lib import clock
from tests.venues.desk import SYMBOL, Desk, gateway, until
from tests.venues.paper.process import PaperVenue, WorldHandle
from venues.adapters import book_registry, shared_books
from venues.books import BookReason, BookStats
from venues.facts.streaming import BOOKS
from venues.gateway import Gateway, SharedBooks, SharedMarkets

OTHER = "ETH/USDT"


@pytest.fixture
async def watched(desk: Desk) -> AsyncIterator[Desk]:
    """Return a desk whose book of BTC/USDT is fresh."""
    desk.gateway.want_books([SYMBOL])
    await until(lambda: SYMBOL in desk.gateway.book_prices([SYMBOL]))
    yield desk


def stats(gateway: Gateway) -> BookStats:
    [one] = gateway.book_health()
    return one


def true_best(desk: Desk) -> tuple[Decimal, Decimal]:
    shown = desk.venue.prices(desk.world)[SYMBOL]
    return Decimal(shown["bid"]), Decimal(shown["ask"])


async def until_true(desk: Desk) -> None:
    """Wait until our book is fresh and its best prices are the venue's."""
    bid, ask = true_best(desk)
    await until(lambda: (stats(desk.gateway).is_fresh, stats(desk.gateway).best_bid, stats(desk.gateway).best_ask) == (True, bid, ask))  # fmt: skip


def move(desk: Desk, price: str) -> None:
    """Bring the market to a price."""
    world = {"exchange": desk.world.exchange, "world": desk.world.world}
    desk.venue.control("POST", "prices", {**world, "symbol": SYMBOL, "price": price})


async def test_a_book_follows_its_venue_and_prices_come_from_it(watched: Desk) -> None:
    await until_true(watched)
    for price in ("61000", "59500", "60250"):
        move(watched, price)
        await until_true(watched)
    after = stats(watched.gateway)
    assert (after.gaps, after.checksum_failures, after.crossings, after.unreadable, after.snapshots) == (0, 0, 0, 0, 1)
    assert after.updates >= 3
    bid, ask = true_best(watched)
    asked = watched.gateway.health()["query"].requests
    assert await watched.gateway.last_prices([SYMBOL]) == {SYMBOL: (bid + ask) / 2}
    assert watched.gateway.health()["query"].requests == asked  # no request: the book knows
    assert set(await watched.gateway.last_prices([SYMBOL, OTHER])) == {SYMBOL, OTHER}
    assert watched.gateway.health()["query"].requests == asked + 1


async def test_a_lost_change_makes_the_book_stale_until_a_new_snapshot(watched: Desk) -> None:
    await until_true(watched)
    watched.venue.add_fault(watched.world, "drop_stream_frames", "market_data", count=1)
    move(watched, "61000")
    await until(lambda: len(watched.venue.journal(watched.world, "fault")) == 1)
    move(watched, "61001")
    await until(lambda: stats(watched.gateway).snapshots == 2)
    await until_true(watched)
    after = stats(watched.gateway)
    assert (after.gaps, after.checksum_failures) == ((0, 1) if watched.world.exchange == "kraken" else (1, 0))


async def test_a_quiet_book_stays_fresh_while_the_connection_proves_it(watched: Desk) -> None:
    before = stats(watched.gateway).updates
    ends = clock.monotonic_seconds() + 3.5
    while clock.monotonic_seconds() < ends:
        assert stats(watched.gateway).is_fresh, stats(watched.gateway).reason
        await asyncio.sleep(0.05)
    assert stats(watched.gateway).updates == before


async def test_a_book_of_a_venue_that_is_gone_is_stale_and_comes_back(watched: Desk) -> None:
    watched.venue.kill()
    try:
        await until(lambda: stats(watched.gateway).reason == BookReason.DISCONNECTED)
        assert watched.gateway.book_prices([SYMBOL]) == {}
        assert await watched.gateway.last_prices([SYMBOL]) == {}
        assert watched.gateway.stale_books([SYMBOL], 0.0) == {SYMBOL: BookReason.DISCONNECTED}
    finally:
        await asyncio.to_thread(watched.venue.start_again)
    await until(lambda: stats(watched.gateway).is_fresh, 40)
    await until_true(watched)
    first, *_, newest = watched.gateway.take_book_sessions()
    assert (first.kind, first.symbol, first.reason, newest.ended_at) == ("book", SYMBOL, first.reason, None)
    assert first.reason in ("STREAM_CLOSED_BY_VENUE", "STREAM_FAILED")
    assert newest.reconnect_ms is not None and newest.healed_ms is not None and newest.tries >= 1


async def test_a_frame_that_cannot_be_read_costs_the_book_its_freshness(watched: Desk) -> None:
    watched.venue.add_fault(watched.world, "poison_frame", "stream", count=1)
    await until(lambda: stats(watched.gateway).unreadable == 1)
    await until(lambda: stats(watched.gateway).snapshots == 2)
    await until_true(watched)


async def test_accounts_of_a_process_share_a_book_and_the_last_one_stops_it(
    paper: PaperVenue, paper_world: WorldHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_books, "IDLE_SECONDS", 0.3)
    books, markets = SharedBooks(), SharedMarkets()
    one, other = (gateway(paper_world, books=books, shared=markets) for _ in range(2))
    other.account_code = "other"
    for each in (one, other):
        await each.open()
        each.want_books([SYMBOL])
    await until(lambda: SYMBOL in one.book_prices([SYMBOL]))
    assert one.book(SYMBOL) is other.book(SYMBOL) is not None
    [session] = one.take_book_sessions()
    assert other.take_book_sessions() == []  # one account speaks for a shared book
    one.want_books([])
    assert one.book_health() == [] and stats(other).is_fresh
    assert [row.id for row in other.take_book_sessions()] == [session.id]
    other.want_books([OTHER])
    await until(lambda: other.book(SYMBOL) is None)  # after a while without anybody
    await until(lambda: OTHER in other.book_prices([OTHER]))
    ended = [row for row in other.take_book_sessions() if row.ended_at is not None]
    assert [(row.symbol, row.reason) for row in ended] == [(SYMBOL, "STREAM_STOPPED")]
    [last] = other.release_books()
    assert (last.symbol, last.reason) == (OTHER, "STREAM_STOPPED") and other.book(OTHER) is None
    for each in (one, other):
        await each.close()


def test_every_reader_has_a_rule_to_read_by() -> None:
    assert set(book_registry.BOOK_READERS) <= set(BOOKS) and book_registry.book_reader(
        "binanceus"
    ) is book_registry.book_reader("binance")


async def test_an_exchange_without_a_reader_has_no_books(
    paper: PaperVenue, paper_world: WorldHandle, monkeypatch: Any
) -> None:
    monkeypatch.delitem(book_registry.BOOK_READERS, paper_world.exchange)
    one = gateway(paper_world)
    await one.open()
    one.want_books([SYMBOL])
    assert one.book(SYMBOL) is None and one.stale_books([SYMBOL], 0.0) == {} and one.book_health() == []
    assert set(await one.last_prices([SYMBOL])) == {SYMBOL}
    await one.close()
