"""What Bybit's codes and answers prove, and how it is asked, listed, listened to."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from project.lib import clock
from tests.venues.desk import SYMBOL, Desk, gateway, now_ms, until
from tests.venues.paper.process import PaperVenue, WorldHandle
from tests.venues.recorded import RecordedWire
from tests.venues.test_advanced_orders import change_of, move
from tests.venues.test_bybit_rows import EXECUTION, ROW
from venues.credentials import Secret
from venues.errors import Action, Facts, judge
from venues.facts.families import SIBLINGS
from venues.gateway import VenueTarget
from venues.messages import OrderReport, PlaceOrder, StreamState

bybit = pytest.mark.parametrize("paper_world", ["bybit"], indirect=True)
EXCEPTIONS: dict[str, type[Exception]] = ccxt.bybit().exceptions["exact"]
NOT_THERE = (200, {"retCode": 170213, "retMsg": "Order does not exist.", "result": {}, "time": 1})


def done(**result: Any) -> tuple[int, Any]:
    return 200, {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1795200000000}


def answering(desk: Desk, *answers: tuple[int, Any]) -> RecordedWire:
    wire = RecordedWire(*answers)
    desk.gateway._adapter.client.wire = wire
    return wire


@pytest.mark.parametrize(
    ("action", "code", "message", "outcome", "ours"),
    [
        ("submit", "170131", "Insufficient balance.", "rejected", "INSUFFICIENT_FUNDS"),
        ("submit", "170134", "Order price has too many decimals.", "rejected", "PRICE_FILTER"),
        ("submit", "170136", "Order quantity exceeded lower limit.", "rejected", "QUANTITY_TOO_SMALL"),
        ("submit", "170140", "Order value exceeded lower limit.", "rejected", "NOTIONAL_TOO_SMALL"),
        ("submit", "170121", "Invalid symbol.", "rejected", "SYMBOL_UNKNOWN"),
        ("submit", "170151", "The trading pair is not open yet.", "rejected", "MARKET_CLOSED"),
        ("submit", "10001", "params error", "rejected", "ORDER_INVALID"),
        ("submit", "10001", "openapi sign params error!", "rejected", "KEY_REFUSED"),
        ("submit", "10003", "API key is invalid.", "rejected", "KEY_REFUSED"),
        ("submit", "10004", "Error sign", "rejected", "KEY_REFUSED"),
        ("submit", "10005", "Permission denied", "rejected", "KEY_MAY_NOT_TRADE"),
        ("submit", "10024", "Compliance rules triggered", "rejected", "ACCOUNT_MAY_NOT_TRADE"),
        ("submit", "10002", "invalid request, please check", "not_sent", "TIMESTAMP_OUTSIDE_WINDOW"),
        ("submit", "10006", "Too many visits.", "not_sent", "RATE_LIMITED"),
        ("submit", "10018", "Exceeded the IP Rate Limit.", "not_sent", "RATE_LIMITED"),
        ("submit", "170141", "Duplicate clientOrderId", "unknown", "DUPLICATE_CLIENT_ID"),
        ("submit", "10014", "Invalid duplicate request.", "unknown", "DUPLICATE_CLIENT_ID"),
        ("submit", "10000", "Server Timeout", "unknown", "OUTCOME_UNKNOWN"),
        ("submit", "10016", "Server error.", "unknown", "OUTCOME_UNKNOWN"),
        ("submit", "10429", "System level frequency protection", "unknown", "OUTCOME_UNKNOWN"),
        ("submit", "170007", "Timeout waiting for response", "unknown", "OUTCOME_UNKNOWN"),
        ("submit", "170032", "Network error.", "unknown", "OUTCOME_UNKNOWN"),
        ("submit", "170146", "Order creation timeout.", "unknown", "OUTCOME_UNKNOWN"),
        ("submit", "170213", "Order does not exist.", "unknown", "OUTCOME_UNKNOWN"),
        ("submit", "179999", "A rule nobody has heard of", "unknown", "OUTCOME_UNKNOWN"),
        ("cancel", "170213", "Order does not exist.", "rejected", "ORDER_UNKNOWN"),
        ("cancel", "170142", "Order has been canceled.", "rejected", "ORDER_CLOSED"),
        ("cancel", "170191", "Can not cancel order, please try again later.", "unknown", "OUTCOME_UNKNOWN"),
        ("cancel", "10006", "Too many visits.", "not_sent", "RATE_LIMITED"),
        ("amend", "170213", "Order does not exist.", "rejected", "ORDER_UNKNOWN"),
        ("amend", "10001", "The order remains unchanged", "rejected", "ORDER_INVALID"),
        ("amend", "10016", "Server error.", "unknown", "OUTCOME_UNKNOWN"),
    ],
)
def test_what_each_code_proves(action: Action, code: str, message: str, outcome: str, ours: str) -> None:
    kind = EXCEPTIONS.get(code, ccxt.ExchangeError)
    classes = tuple(one.__name__ for one in kind.__mro__)
    facts = Facts(sent=True, status=200, parsed=True, venue_code=code, message=message, classes=classes)
    verdict = judge(action, "bybit", facts)
    assert (verdict.outcome, verdict.code) == (outcome, ours)


@bybit
async def test_an_order_is_signed_with_the_lease_s_stamp_and_window_and_a_read_is_not(desk: Desk) -> None:
    wanted = desk.order(stamp_ms=now_ms() - 700, window_ms=1_234)
    wire = answering(desk, done(orderId="9", orderLinkId=wanted.venue_client_id), done(list=[]))
    desk.gateway._adapter.clock_offset_ms = 40
    assert (await desk.gateway.place(wanted)).venue_order_id == "9"
    await desk.gateway.read("open_orders")
    stamps = [(int(one["X-BAPI-TIMESTAMP"]), one["X-BAPI-RECV-WINDOW"]) for one in wire.headers]
    assert stamps[0] == (wanted.stamp_ms + 40, "1234")
    assert (abs(stamps[1][0] - now_ms()) < 5_000, stamps[1][1]) == (True, "5000")


@bybit
@pytest.mark.parametrize(
    ("answer", "outcome", "code"),
    [
        (done(orderId="9", orderLinkId="ours"), "accepted", ""),
        (done(orderId="", orderLinkId="ours"), "unknown", "NO_ORDER_ID"),
        (done(orderId="9", orderLinkId="another"), "unknown", "OUTCOME_UNKNOWN"),
        (done(orderId="9"), "unknown", "OUTCOME_UNKNOWN"),
        ((200, {"retCode": 0, "retMsg": "OK"}), "unknown", "OUTCOME_UNKNOWN"),
        ((200, {"retCode": "0", "result": []}), "unknown", "OUTCOME_UNKNOWN"),
        ((500, {"retCode": 170131, "retMsg": "Insufficient balance."}), "unknown", "OUTCOME_UNKNOWN"),
        ((403, "<html>"), "unknown", "OUTCOME_UNKNOWN"),
    ],
)
async def test_answers_to_a_submit(desk: Desk, answer: tuple[int, Any], outcome: str, code: str) -> None:
    answering(desk, answer)
    said = await desk.gateway.place(desk.order(venue_client_id="ours"))
    assert (said.outcome, said.code) == (outcome, code)


@bybit
@pytest.mark.parametrize(
    ("answers", "filters", "outcome", "code"),
    [
        ([done(orderId="9", orderLinkId="x")], ["Order"], "accepted", ""),
        ([NOT_THERE, done(orderId="9", orderLinkId="x")], ["Order", "tpslOrder"], "accepted", ""),
        ([NOT_THERE] * 3, ["Order", "tpslOrder", "StopOrder"], "rejected", "ORDER_UNKNOWN"),
        ([NOT_THERE, (502, "<html>")], ["Order", "tpslOrder"], "unknown", "OUTCOME_UNKNOWN"),
        ([done(orderId="8", orderLinkId="x")], ["Order"], "unknown", "OUTCOME_UNKNOWN"),
    ],
)
async def test_a_cancel_looks_among_the_waiting_orders_too(
    desk: Desk, answers: list[tuple[int, Any]], filters: list[str], outcome: str, code: str
) -> None:
    wire = answering(desk, *answers)
    said = await desk.gateway.cancel(desk.cancel_of(desk.order(), "9"))
    assert (said.outcome, said.code) == (outcome, code)
    assert [request["orderFilter"] for _, request in wire.asked] == filters
    assert {request["orderId"] for _, request in wire.asked} == {"9"}


@bybit
@pytest.mark.parametrize(
    ("answer", "outcome", "replaced", "code"),
    [
        (done(orderId="9", orderLinkId="x"), "accepted", "in_place", ""),
        (done(orderId="8", orderLinkId="x"), "unknown", "", "OUTCOME_UNKNOWN"),
        (done(), "unknown", "", "OUTCOME_UNKNOWN"),
        (NOT_THERE, "rejected", "", "ORDER_UNKNOWN"),
        ((200, {"retCode": 170131, "retMsg": "Insufficient balance."}), "rejected", "", "INSUFFICIENT_FUNDS"),
        ((200, {"retCode": 10016, "retMsg": "Server error."}), "unknown", "", "OUTCOME_UNKNOWN"),
    ],
)
async def test_answers_to_an_amend(desk: Desk, answer: tuple[int, Any], outcome: str, replaced: str, code: str) -> None:
    wire = answering(desk, answer)
    said = await desk.gateway.amend(change_of(desk.order(), "9", price=Decimal("49000")))
    assert (said.outcome, said.replaced, said.code) == (outcome, replaced, code)
    ((path, request),) = wire.asked
    assert path.endswith("/v5/order/amend")
    assert request == {"category": "spot", "symbol": "BTCUSDT", "orderId": "9", "qty": "0.1", "price": "49000"}


@bybit
async def test_fills_are_read_in_windows_of_seven_days_and_to_the_end_of_each(desk: Desk) -> None:
    rows_ = [EXECUTION | {"execId": str(number)} for number in range(4)]
    pages = (done(list=rows_[2:][::-1], nextPageCursor="a%3Ab"), done(list=rows_[:2][::-1], nextPageCursor=""))
    wire = answering(desk, *pages, done(list=[], nextPageCursor=""), done(list=[], nextPageCursor=""))
    since = clock.now() - timedelta(days=15)
    read = await desk.gateway.read("fills", since=since, symbols=[SYMBOL])
    assert (read.status, [row.venue_trade_id for row in read.rows]) == ("good", ["0", "1", "2", "3"])
    starts = [int(request["startTime"]) for _, request in wire.asked]
    first, week = int(since.timestamp() * 1000), 7 * 86_400_000
    assert starts == [first, first, first + week, first + 2 * week]
    assert [request.get("cursor") for _, request in wire.asked] == [None, "a:b", None, None]
    assert not any("endTime" in request for _, request in wire.asked)


@bybit
async def test_a_list_that_does_not_end_is_a_failed_read(desk: Desk) -> None:
    endless = done(list=[ROW], nextPageCursor="again")
    answering(desk, endless, endless, endless)
    assert (await desk.gateway.read("open_orders")).status == "failed"


@bybit
async def test_open_orders_beyond_one_page_are_all_read(desk: Desk) -> None:
    await asyncio.gather(*(desk.gateway.place(desk.order(quantity=Decimal("0.001"))) for _ in range(53)))
    read = await desk.gateway.read("open_orders")
    assert (read.status, len({row.venue_order_id for row in read.rows})) == ("good", 53)


@bybit
async def test_a_trigger_is_judged_by_the_last_price_before_anything_is_sent(desk: Desk) -> None:
    def stop(trigger: str) -> PlaceOrder:
        return desk.order(type="stop_limit", side="sell", price=Decimal("54000"), trigger_price=Decimal(trigger))

    move(desk, "58000")
    passed = await desk.gateway.place(stop("59000"))
    assert (passed.outcome, passed.transient, desk.placed()) == ("not_sent", False, 0)
    assert "beyond the trigger" in passed.message
    desk.venue.add_fault(desk.world, "status", "market_data", params={"status": 503})
    assert (await desk.gateway.place(stop("55000"))).outcome == "not_sent"
    waiting = stop("55000")
    placed = await desk.gateway.place(waiting)
    assert (placed.outcome, desk.placed()) == ("accepted", 1)
    move(desk, "57000")
    moved = await desk.gateway.amend(change_of(waiting, placed.venue_order_id, trigger_price=Decimal("57500")))
    assert moved.outcome == "not_sent"
    assert (await desk.gateway.cancel(desk.cancel_of(waiting))).outcome == "accepted"


@pytest.mark.parametrize("sibling", sorted(name for name, family in SIBLINGS.items() if family == "bybit"))
async def test_siblings_speak_the_same(paper: PaperVenue, sibling: str) -> None:
    world = paper.create_world("bybit", f"sibling-{sibling}")
    target = VenueTarget(code=sibling, exchange=sibling, rest_url=world.rest_url, ws_url=world.ws_url, may_trade=True)
    one = gateway(world, target=target)
    await one.open()
    states: list[StreamState] = []
    reports: list[Any] = []
    stream = asyncio.create_task(
        one.run_stream(
            lambda _, told, __: reports.extend(told),
            states.append,
        )
    )
    await until(lambda: any(state.state == "subscribed" for state in states))
    desk = Desk(paper, world, one)
    wanted = desk.order()
    placed = await one.place(wanted)
    await until(lambda: any(isinstance(one, OrderReport) for one in reports))
    found = await one.look_up(
        symbol=SYMBOL, venue_client_id=wanted.venue_client_id, since=clock.now() - timedelta(minutes=1)
    )
    granted = await one.permissions()
    cancelled = await one.cancel(desk.cancel_of(wanted))
    stream.cancel()
    await asyncio.gather(stream, return_exceptions=True)
    await one.close()
    paper.remove_world(world)
    assert found.order is not None and granted is not None
    assert (placed.outcome, found.order.venue_order_id) == ("accepted", placed.venue_order_id)
    assert (granted.can_trade, granted.can_withdraw, cancelled.outcome) == (True, False, "accepted")


@bybit
async def test_a_stream_whose_key_is_refused_says_so(paper: PaperVenue, paper_world: WorldHandle) -> None:
    wrong = gateway(paper_world, secret=Secret(paper_world.api_key, "wrong"))
    await wrong.open()
    states: list[StreamState] = []
    stream = asyncio.create_task(wrong.run_stream(lambda *_: None, states.append))
    await until(lambda: any(state.state == "lost" for state in states))
    stream.cancel()
    await asyncio.gather(stream, return_exceptions=True)
    await wrong.close()
    assert {state.state for state in states} == {"connecting", "lost"}
    assert {state.detail for state in states if state.state == "lost"} == {"PermissionError"}
    assert paper_world.api_key not in repr(states)
