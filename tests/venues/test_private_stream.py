"""The private stream: facts arrive, poison harms nothing, losses are told and healed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from tests.venues.desk import SYMBOL, Desk, until
from venues.adapters import stream as streams
from venues.messages import BalanceReport, FillReport, Malformed, OrderReport

FRAME = '{"channel":"executions","type":"update","data":[],"sequence":%d}'


@dataclass
class Heard:
    """What a stream has told so far."""

    desk: Desk
    frames: list[str] = field(default_factory=list)
    reports: list[Any] = field(default_factory=list)
    states: list[tuple[str, str]] = field(default_factory=list)

    def of(self, kind: type) -> list[Any]:
        """Return the reports of one kind."""
        return [report for report in self.reports if isinstance(report, kind)]


@pytest.fixture
async def heard(desk: Desk) -> AsyncIterator[Heard]:
    """Return a running stream that is live."""
    told = Heard(desk)
    task = asyncio.create_task(
        desk.gateway.run_stream(
            lambda body, _: told.frames.append(body),
            lambda reports, _: told.reports.extend(reports),
            lambda state: told.states.append((state.state, state.reason)),
        )
    )
    await until(lambda: ("live", "") in told.states)
    yield told
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_orders_fills_and_balances_arrive(heard: Heard) -> None:
    desk = heard.desk
    order = desk.order()
    placed = await desk.gateway.place(order)
    await until(lambda: heard.of(OrderReport))
    opened = heard.of(OrderReport)[0]
    assert (opened.venue_client_id, opened.venue_order_id) == (order.venue_client_id, placed.venue_order_id)
    assert (opened.status, opened.symbol, opened.quantity) == ("open", SYMBOL, order.quantity)
    desk.venue.trade(desk.world, SYMBOL, "sell", "0.04", client_order_id=order.venue_client_id)
    await until(lambda: heard.of(FillReport))
    fill = heard.of(FillReport)[0]
    assert (fill.venue_order_id, fill.side, fill.quantity, fill.symbol) == (
        placed.venue_order_id,
        "buy",
        Decimal("0.04"),
        SYMBOL,
    )
    assert fill.liquidity == "maker"
    await desk.gateway.cancel(desk.cancel_of(order))
    await until(lambda: any(report.status == "cancelled" for report in heard.of(OrderReport)))
    last = heard.of(OrderReport)[-1]
    assert (last.venue_client_id, last.symbol, last.filled_quantity) == (order.venue_client_id, SYMBOL, Decimal("0.04"))
    if desk.world.exchange == "binance":
        assert {report.asset for report in heard.of(BalanceReport)} >= {"BTC", "USDT"}
    assert heard.frames
    assert not heard.of(Malformed)


async def test_stream_and_rest_name_a_fill_alike(heard: Heard) -> None:
    await heard.desk.gateway.place(heard.desk.order(type="market", price=None))
    await until(lambda: heard.of(FillReport))
    told = {
        (fill.venue_trade_id, fill.symbol, fill.side, fill.price, fill.quantity, fill.fee, fill.fee_asset)
        for fill in heard.of(FillReport)
    }
    read = await heard.desk.gateway.read("fills", symbols=[SYMBOL])
    assert told == {
        (fill.venue_trade_id, fill.symbol, fill.side, fill.price, fill.quantity, fill.fee, fill.fee_asset)
        for fill in read.rows
    }


async def test_a_poison_frame_is_kept_and_the_stream_lives_on(heard: Heard) -> None:
    desk = heard.desk
    desk.venue.add_fault(desk.world, "poison_frame", "stream", count=1)
    order = desk.order()
    await desk.gateway.place(order)
    await until(lambda: heard.of(Malformed))
    await desk.gateway.place(desk.order())
    await until(lambda: len({report.venue_order_id for report in heard.of(OrderReport)}) == 2)
    assert heard.states[-1] == ("live", "")
    assert any(broken.raw for broken in heard.of(Malformed))


async def test_a_closed_stream_is_told_and_comes_back(heard: Heard) -> None:
    desk = heard.desk
    desk.venue.add_fault(desk.world, "close_stream", "stream", count=1, params={"seconds": 0.5})
    await until(lambda: any(state == "lost" for state, _ in heard.states))
    await until(lambda: heard.states[-1] == ("live", ""), 20)
    before = len(heard.reports)
    await desk.gateway.place(desk.order())
    await until(lambda: len(heard.reports) > before)
    assert desk.gateway.health()["stream"].reconnects >= 1


async def test_a_gap_in_the_venues_own_numbers_reconnects(heard: Heard) -> None:
    desk = heard.desk
    if desk.world.exchange != "kraken":
        assert not any('"sequence"' in frame for frame in heard.frames)  # Binance numbers nothing: reads find its gaps
        return
    for number in (1_000, 1_002):
        desk.gateway._adapter.client.on_raw_frame(None, FRAME % number)
    await until(lambda: ("lost", "STREAM_GAP") in heard.states)
    await until(lambda: heard.states[-1] == ("live", ""), 20)


async def test_silence_reconnects(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = heard.desk
    monkeypatch.setattr(streams, "SILENCE_SECONDS_MAX", 0.0)
    desk.gateway._adapter.client.on_socket_lost(
        None, "STREAM_SILENT"
    )  # ends the watch that still counts with the old bound
    await until(lambda: [reason for state, reason in heard.states if state == "lost"].count("STREAM_SILENT") >= 2, 20)


async def test_a_venue_that_is_gone_is_tried_again(heard: Heard) -> None:
    desk = heard.desk
    desk.venue.kill()
    try:
        await until(lambda: heard.states[-1][0] in ("lost", "connecting"))
    finally:
        await asyncio.to_thread(desk.venue.start_again)
    await until(lambda: heard.states[-1] == ("live", ""), 40)
