"""The private stream: facts arrive, poison harms nothing, losses are told and healed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from tests.venues.desk import SYMBOL, Desk, gateway, until
from tests.venues.paper.process import PaperVenue
from venues.adapters import stream as streams
from venues.facts import streaming
from venues.facts.shapes import StreamRule
from venues.messages import BalanceReport, FillReport, Malformed, OrderReport, StreamState
from venues.streams import StreamReason

# frames of the venues that number what they send
FRAMES = {
    "kraken": '{"channel":"executions","type":"update","data":[],"sequence":%d}',
    "coinbase": '{"channel":"heartbeats","events":[],"sequence_num":%d}',
}


@dataclass
class Heard:
    """What a stream has told so far."""

    desk: Desk
    frames: list[str] = field(default_factory=list)
    reports: list[Any] = field(default_factory=list)
    states: list[tuple[str, StreamReason | None]] = field(default_factory=list)

    def take(self, body: str, reports: list[Any]) -> None:
        """Note a frame."""
        self.frames.append(body)
        self.reports.extend(reports)

    def of(self, kind: type) -> list[Any]:
        """Return the reports of one kind."""
        return [report for report in self.reports if isinstance(report, kind)]


@pytest.fixture
async def heard(desk: Desk) -> AsyncIterator[Heard]:
    """Return a running stream that is live."""
    told = Heard(desk)
    task = asyncio.create_task(
        desk.gateway.run_stream(
            lambda body, reports, _: told.take(body, reports),
            lambda state: told.states.append((state.state, state.reason)),
        )
    )
    await until(lambda: ("subscribed", None) in told.states)
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
    if desk.gateway.capabilities.stream_fills:
        await until(lambda: heard.of(FillReport))
        fill = heard.of(FillReport)[0]
        assert (fill.venue_order_id, fill.side, fill.quantity, fill.symbol) == (
            placed.venue_order_id, "buy", Decimal("0.04"), SYMBOL,
        )  # fmt: skip
        assert fill.liquidity == "maker"
    else:  # the claim alone arrives; what it claims is read
        await until(lambda: any(report.filled_quantity == Decimal("0.04") for report in heard.of(OrderReport)))
        assert heard.of(OrderReport)[-1].quantity == order.quantity
        (fill,) = (await desk.gateway.read("fills", symbols=[SYMBOL])).rows
        assert (fill.venue_order_id, fill.quantity) == (placed.venue_order_id, Decimal("0.04"))
    await desk.gateway.cancel(desk.cancel_of(order, placed.venue_order_id))
    await until(lambda: any(report.status == "cancelled" for report in heard.of(OrderReport)))
    last = heard.of(OrderReport)[-1]
    assert (last.venue_client_id, last.symbol, last.filled_quantity) == (order.venue_client_id, SYMBOL, Decimal("0.04"))
    if desk.world.exchange not in ("kraken", "coinbase"):  # these tell balances by REST alone
        quote = "USDC" if desk.world.exchange == "deribit" else "USDT"
        assert {report.asset for report in heard.of(BalanceReport)} >= {"BTC", quote}
    assert heard.frames
    assert not heard.of(Malformed)


async def test_stream_and_rest_name_a_fill_alike(heard: Heard) -> None:
    await heard.desk.gateway.place(heard.desk.order(type="market", price=None))
    if not heard.desk.gateway.capabilities.stream_fills:
        await until(lambda: any(report.status == "filled" for report in heard.of(OrderReport)))
        assert not heard.of(FillReport)
        return
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
    assert heard.states[-1] == ("subscribed", None)
    assert any(broken.raw for broken in heard.of(Malformed))


async def test_a_closed_stream_is_told_and_comes_back(heard: Heard) -> None:
    desk = heard.desk
    desk.venue.add_fault(desk.world, "close_stream", "stream", count=1, params={"seconds": 0.5})
    await until(lambda: any(state == "lost" for state, _ in heard.states))
    await until(lambda: heard.states[-1] == ("subscribed", None), 20)
    before = len(heard.reports)
    await desk.gateway.place(desk.order())
    await until(lambda: len(heard.reports) > before)
    assert desk.gateway.health()["stream"].reconnects >= 1


async def test_a_gap_in_the_venues_own_numbers_reconnects(heard: Heard) -> None:
    desk = heard.desk
    frame = FRAMES.get(desk.world.exchange)
    if frame is None:  # the others number nothing: reads find their gaps
        assert not any('"sequence' in text for text in heard.frames)
        return
    for number in (1_000, 1_002):
        desk.gateway._adapter.client.on_raw_frame(None, frame % number)
    await until(lambda: ("lost", StreamReason.GAP) in heard.states)
    await until(lambda: heard.states[-1] == ("subscribed", None), 20)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (StreamRule(ping_seconds=60, silence_seconds_max=0.4), StreamReason.SILENT),
        (StreamRule(ping_seconds=0.05, silence_seconds_max=60, frame_seconds_max=0.4), StreamReason.HEARTBEAT_MISSED),
    ],
)
async def test_a_stream_without_signs_of_life_is_lost_for_that_reason(
    paper: PaperVenue, monkeypatch: pytest.MonkeyPatch, rule: StreamRule, reason: StreamReason
) -> None:
    world = paper.create_world("binance", f"silent-{reason.lower()}")
    monkeypatch.setitem(streaming.STREAMS, "binance", rule)
    one = gateway(world)
    await one.open()
    reasons: list[StreamReason | None] = []
    task = asyncio.create_task(one.run_stream(lambda *_: None, lambda state: reasons.append(state.reason)))
    await until(lambda: reasons.count(reason) >= 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await one.close()
    assert set(reasons) == {None, reason}


async def test_pongs_keep_a_quiet_stream_alive(paper: PaperVenue, monkeypatch: pytest.MonkeyPatch) -> None:
    world = paper.create_world("binance", "quiet")
    monkeypatch.setitem(streaming.STREAMS, "binance", StreamRule(ping_seconds=0.05, silence_seconds_max=0.4))
    monkeypatch.setattr(streams, "ALIVE_SECONDS", 0.2)
    one = gateway(world)
    await one.open()
    told: list[StreamState] = []
    task = asyncio.create_task(one.run_stream(lambda *_: None, told.append))
    await until(lambda: sum(state.state == "alive" for state in told) >= 6)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await one.close()
    assert {state.state for state in told} == {"connecting", "subscribed", "alive"}
    assert {state.frames for state in told if state.state == "alive"} == {1}  # the answer to the subscription alone


async def test_a_venue_that_is_gone_is_tried_again(heard: Heard) -> None:
    desk = heard.desk
    desk.venue.kill()
    try:
        await until(lambda: heard.states[-1][0] in ("lost", "connecting"))
    finally:
        await asyncio.to_thread(desk.venue.start_again)
    await until(lambda: heard.states[-1] == ("subscribed", None), 40)
