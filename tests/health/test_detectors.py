"""Detectors of asymmetric failures: as functions, and against the paper venue's fault of each kind."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import F

from orders import stream, sweeps
from orders.detection import Moves, note_moves
from orders.detectors import Listening, denies_what_it_took, is_throttled_in_move, moved_percent, told_late
from orders.models import Anomaly, Attempt, Fill
from project.lib import clock
from reconciliation import anomalies
from reconciliation.models import Break
from tests.regressions.rig import SYMBOL, Rig
from venues.models import ChannelHealth

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("source", "age", "live", "read", "kind"),
    [
        ("stream", 12, -60, None, "delayed_fill"),
        ("stream", 9, -60, None, ""),
        ("stream", 12, 5, None, ""),  # it was connected after the trade: this is our own lateness
        ("stream", 12, 5, 8, "delayed_fill"),  # but a read in between did not have it either
        ("rest", 12, -60, 8, "delayed_fill"),  # told late everywhere
        ("rest", 12, None, 8, "delayed_fill"),
        ("rest", 12, -60, 1, "stream_differs"),  # the first read that could have it has it; the stream never did
        ("rest", 6, -60, None, "stream_differs"),
        ("rest", 4, -60, None, ""),
        ("rest", 12, 5, 1, ""),
        ("rest", 900, None, None, ""),  # after a crash everything comes late, and nobody has lied
    ],
)
def test_told_late(source: str, age: float, live: float | None, read: float | None, kind: str) -> None:
    listening = Listening(
        stream_live_at=None if live is None else after(live), read_at=None if read is None else after(read),
        read_lag_seconds=2,
    )  # fmt: skip
    assert told_late(AT, after(age), source, listening) == kind


def test_a_denial_counts_only_past_the_lag_of_reads() -> None:
    assert not denies_what_it_took(AT, after(2.9), 2)
    assert denies_what_it_took(AT, after(3.1), 2)
    assert not denies_what_it_took(AT, after(59), 60)


def test_a_move_is_what_the_last_minute_ranged() -> None:
    prices = [(0.0, Decimal(200)), (50.0, Decimal(100)), (70.0, Decimal("100.4")), (100.0, Decimal("100.6"))]
    assert moved_percent(prices, 100.0) == Decimal("0.6")
    assert is_throttled_in_move(prices, 100.0)
    assert not is_throttled_in_move(prices[1:3], 100.0)
    assert moved_percent(prices[:1], 0.0) == 0


async def streaming(rig: Rig) -> asyncio.Task[None]:
    task = asyncio.create_task(stream.Stream(rig.service).run())
    for _ in range(500):
        if rig.service.has_stream:
            return task
        await asyncio.sleep(0.02)
    raise AssertionError("the stream did not open")


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def noted(rig: Rig, kind: str, seconds: float = 20) -> Anomaly:
    for _ in range(int(seconds / 0.05)):
        found = await rig.of(lambda: Anomaly.objects.filter(kind=kind).first())
        if found is not None:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"no {kind} was noted")


async def shown(rig: Rig, kind: str, capability: str) -> None:
    """The break, the count that the score is made of, and that the channel says so."""
    assert await rig.of(anomalies.open_breaks) >= 1
    assert (await rig.of(lambda: Break.objects.get(kind=kind))).status == "open"
    channels = rig.service.gateway.health()
    await rig.service.writer.run(
        lambda books: books.later(lambda: books.store.keep_health(rig.account.code, channels, True))
    )
    row = await rig.of(lambda: ChannelHealth.objects.get(account=rig.account, capability=capability))
    assert row.detections == {kind: 1}


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
async def test_a_fill_that_is_told_ten_seconds_late(rig: Rig) -> None:
    task = await streaming(rig)
    order = await rig.submitted(price="60000", quantity="0.1")
    rig.fault("delayed_fill", params={"seconds": 10.5})
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.1")
    found = await noted(rig, "delayed_fill")
    assert (found.order_id, found.subject, found.data["told_by"]) == (order.pk, SYMBOL, "stream")
    assert Decimal(found.data["seconds"]) >= 10
    await ended(task)
    await shown(rig, "delayed_fill", "stream")
    await rig.assert_books_are_whole()


async def test_a_fill_in_time_says_nothing(rig: Rig) -> None:
    task = await streaming(rig)
    order = await rig.submitted(price="60000", quantity="0.1")
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.1")
    await rig.resolve_until(order, "filled")
    await ended(task)
    assert not await rig.of(Anomaly.objects.exists)


async def test_an_order_that_is_taken_and_then_denied(rig: Rig) -> None:
    rig.fault("ack_then_deny", "create_order", params={"seconds": 60})
    order = await rig.submitted()
    assert order.status == "open"
    await sweeps.look_up(rig.service, order.pk, source="lookup")
    assert not await rig.of(Anomaly.objects.exists)  # within the lag of the venue's reads
    await rig.age(10)
    await rig.of(lambda: _age_answers(10))
    await rig.service.writer.run(lambda books: books.forget(rig.account.code))
    await sweeps.look_up(rig.service, order.pk, source="lookup")
    await sweeps.look_up(rig.service, order.pk, source="lookup")
    found = await rig.of(lambda: Anomaly.objects.get(kind="acknowledged_then_denied"))
    assert (found.order_id, found.data["venue_order_id"]) == (order.pk, order.venue_order_id)
    assert found.data["asked"]
    assert (await rig.fresh(order)).status == "open"  # it is a fact about the venue; the order is not ended by it
    await shown(rig, "acknowledged_then_denied", "submit")


def _age_answers(seconds: float) -> None:
    Attempt.objects.update(outcome_at=F("outcome_at") - timedelta(seconds=seconds))


async def test_a_trade_that_only_rest_tells(rig: Rig) -> None:
    task = await streaming(rig)
    order = await rig.submitted(price="60000", quantity="0.1")
    rig.fault("drop_stream_frames", "stream", count=20)
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.1")
    made_at = clock.now()
    while (clock.now() - made_at).total_seconds() < 5.2:
        await asyncio.sleep(0.1)
    await sweeps.fills(rig.service, reason="schedule")
    found = await noted(rig, "stream_differs")
    assert (found.order_id, found.data["told_by"]) == (order.pk, "rest")
    assert await rig.of(Fill.objects.count) == 1
    await ended(task)
    await shown(rig, "stream_differs", "stream")


async def test_being_slowed_down_in_a_fast_move(rig: Rig) -> None:
    moves = Moves()
    await rig.submitted()
    moves.take(await priced(rig))
    rig.fault("rate_limited", "create_order", params={"seconds": 1})
    await rig.submitted()
    throttled_at = rig.service.gateway.throttled_at
    assert throttled_at is not None
    assert moves.in_move(throttled_at) == {}  # the market stands still: being slowed down is a nuisance only
    rig.venue.control("POST", "prices", {
        "exchange": rig.world.exchange, "world": rig.world.world, "symbol": SYMBOL, "price": "62000",
    })  # fmt: skip
    moves.take(await priced(rig))
    found = moves.in_move(throttled_at)
    assert Decimal(found[SYMBOL]["moved_percent"]) > Decimal("0.5")
    await rig.service.writer.run(lambda books: note_moves(books, rig.account.code, found))
    moves.noted(throttled_at)
    assert moves.in_move(throttled_at) == {}
    await shown(rig, "throttled_in_move", "submit")


async def priced(rig: Rig) -> Any:
    prices = await rig.service.gateway.last_prices([SYMBOL])
    assert prices
    return prices
