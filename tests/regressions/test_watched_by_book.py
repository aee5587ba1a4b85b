"""Triggers that go by public books: fired by the book's middle, silent on a stale book and said so, the feed on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from orders import telemetry, triggers
from orders.models import Order, OrderEvent
from tests.regressions.rig import SYMBOL, Rig
from tests.venues.desk import until
from venues.models import BookHealth, StreamSession

D = Decimal
both = pytest.mark.parametrize("exchange", ["binance", "kraken"])
TRAILING = {"side": "sell", "type": "trailing_stop", "price": None, "trailing_offset": "400"}


@pytest_asyncio.fixture
async def armed(rig: Rig) -> AsyncIterator[Order]:
    """Return an armed trailing stop whose owner watches it; Kraken's own would be watched there, so it dates this one."""
    until_then = {"time_in_force": "gtd", "expires_at": "2050-01-01T00:00:00Z"}
    order = await rig.queued(**TRAILING, **(until_then if rig.world.exchange == "kraken" else {}))
    assert order.trigger_state == "armed"
    task = asyncio.create_task(triggers.run(rig.service))
    yield order
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def move(rig: Rig, price: str) -> None:
    """Bring the market to a price."""
    rig.venue.control("POST", "prices", {"exchange": rig.world.exchange, "world": rig.world.world, "symbol": SYMBOL, "price": price})  # fmt: skip


def middle_near(rig: Rig, price: Decimal) -> Decimal | None:
    """Return the middle of the book once it is near a price."""
    middle = rig.service.gateway.book_prices([SYMBOL]).get(SYMBOL)
    return middle if middle is not None and abs(middle - price) < 100 else None


async def became(rig: Rig, order: Order, **values: Any) -> Order:
    """Wait until the order has these values."""
    async with asyncio.timeout(20):
        while True:
            fresh = await rig.fresh(order)
            if all(getattr(fresh, name) == value for name, value in values.items()):
                return fresh
            await asyncio.sleep(0.02)


async def kinds(rig: Rig, order: Order) -> list[str]:
    """Return what has happened to an order."""
    found: list[str] = await rig.of(
        lambda: list(OrderEvent.objects.filter(order=order).order_by("sequence").values_list("kind", flat=True))
    )
    return found


@both
async def test_a_trailing_stop_follows_the_book_and_fires_on_it(rig: Rig, armed: Order) -> None:
    await until(lambda: rig.service.gateway.book_prices([SYMBOL]))
    asked = rig.service.gateway.health()["query"].requests
    for price in ("62000", "63000"):
        move(rig, price)
        middle = await until(partial(middle_near, rig, D(price)))
        await became(rig, armed, trigger_state="armed", trigger_extreme=middle)
    move(rig, "62000")
    fired = await became(rig, armed, trigger_state="triggered")
    assert fired.reason_code == "" and (await kinds(rig, armed))[-1] == "triggered"
    assert rig.service.gateway.health()["query"].requests <= asked + 1  # no price was asked for: a snapshot at most
    await until(lambda: rig.service.gateway.book_health() == [])  # nothing armed: nobody needs the book


async def test_a_stale_book_fires_nothing_and_the_order_says_so(
    rig: Rig, armed: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "STALE_SECONDS", 0.2)
    await until(lambda: rig.service.gateway.book_prices([SYMBOL]))
    before = await became(rig, armed, trigger_state="armed")
    silent = [rig.fault("status", "market_data", seconds=60, params={"status": 503}),
              rig.fault("close_stream", "stream", params={"seconds": 60})]  # fmt: skip
    said = await became(rig, armed, reason_code="BOOK_DISCONNECTED")
    assert "nothing fires on it" in said.reason_message
    move(rig, "40000")
    await until(lambda: rig.fired("status") >= 2)  # asked, and not answered
    still = await rig.fresh(armed)
    assert (still.trigger_state, still.trigger_extreme) == ("armed", before.trigger_extreme or still.trigger_extreme)
    rig.venue.remove_faults(silent[0])
    rig.end_pauses()
    fired = await became(rig, armed, trigger_state="triggered")  # by the price asked for: the stream is still closed
    assert rig.service.gateway.book_prices([SYMBOL]) == {} and fired.reason_code in ("", "BOOK_DISCONNECTED")
    assert (await kinds(rig, armed)).count("book_stale") == 1
    await rig.assert_books_are_whole()


async def test_a_book_that_is_fresh_again_is_said(rig: Rig, armed: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggers, "STALE_SECONDS", 0.2)
    await until(lambda: rig.service.gateway.book_prices([SYMBOL]))
    rig.fault("close_stream", "stream", params={"seconds": 1})
    await became(rig, armed, reason_code="BOOK_DISCONNECTED")
    await became(rig, armed, reason_code="", reason_message="")
    assert [kind for kind in await kinds(rig, armed) if kind.startswith("book")] == ["book_stale", "book_fresh"]
    await rig.assert_books_are_whole()


async def test_books_and_their_sessions_are_written_down(
    rig: Rig, armed: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "INTERVAL_SECONDS", 0.05)
    task = asyncio.create_task(telemetry.run(rig.service))
    async with asyncio.timeout(20):
        while not await rig.of(BookHealth.objects.filter(is_fresh=True, updates=0, snapshots=1).exists):
            await asyncio.sleep(0.02)
        while not await rig.of(StreamSession.objects.filter(kind="book", symbol=SYMBOL, live_at__isnull=False).exists):
            await asyncio.sleep(0.02)
        book = await rig.of(BookHealth.objects.get)
        assert (book.account_id, book.symbol, book.reason) == (rig.account.code, SYMBOL, "")
        assert None not in (book.best_bid, book.best_ask) and book.levels > 2
        await rig.of(lambda: Order.objects.update(trigger_state="triggered"))
        while await rig.of(BookHealth.objects.exists):
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
