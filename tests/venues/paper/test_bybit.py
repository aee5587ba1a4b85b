"""What is Bybit's own: signatures and windows, pages and spans, ids used once, waiting orders, its streams."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import aiohttp
import ccxt
import pytest

from tests.venues.paper.bybit_desk import BUY, ask, sign_in
from tests.venues.paper.process import PaperVenue
from tests.venues.paper.simulating import Desk, body_of, listen
from venues.paper.simulated import connect

SYMBOL = "BTC/USDT"
DAY_SECONDS = 86_400
STOP = {**BUY, "side": "Sell", "price": "57000", "triggerPrice": "58000", "orderFilter": "tpslOrder"}


@pytest.fixture
def desk() -> Desk:
    """Return a desk at Bybit."""
    return Desk("bybit")


def code_of(reply: Any) -> int:
    """Return an answer's code; refusals come with HTTP 200."""
    assert reply.status == 200
    code: int = body_of(reply)["retCode"]
    return code


def rows_of(desk: Desk, path: str, **params: Any) -> list[dict[str, Any]]:
    """Return the rows of a list."""
    rows: list[dict[str, Any]] = body_of(ask(desk, "GET", path, {"category": "spot", **params}))["result"]["list"]
    return rows


async def test_timestamp_outside_the_window(bybit: Any) -> None:
    await bybit.load_markets()
    for difference in (6_000, -2_000):
        bybit.options["timeDifference"] = difference
        with pytest.raises(ccxt.InvalidNonce, match="10002"):
            await bybit.fetch_balance()


def test_the_window_is_the_requests_own(desk: Desk) -> None:
    late = desk.now // 1000 - 3_000
    assert code_of(ask(desk, "POST", "order/create", {**BUY, "price": "50000"}, stamp=late, window=2_000)) == 10002
    assert code_of(ask(desk, "POST", "order/create", {**BUY, "price": "50000"}, stamp=late, window=4_000)) == 0
    ahead = desk.now // 1000 + 1_000
    assert code_of(ask(desk, "GET", "order/realtime", {"category": "spot"}, stamp=ahead)) == 10002


def test_wrong_keys_signatures_and_routes(desk: Desk) -> None:
    assert code_of(ask(desk, "GET", "order/realtime", {"category": "spot"}, key="nobody")) == 10003
    assert code_of(ask(desk, "GET", "order/realtime", {"category": "spot"}, secret="wrong")) == 10004
    assert ask(desk, "GET", "order/nowhere", {}).status == 404


async def test_requests_left_are_told(bybit: Any) -> None:
    await bybit.private_get_v5_user_query_api()
    headers = {name.lower(): value for name, value in bybit.last_response_headers.items()}
    assert (headers["x-bapi-limit"], headers["x-bapi-limit-status"]) == ("50", "49")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"category": "linear"}, 10001),
        ({"symbol": "NOPEUSDT"}, 170121),
        ({"side": "Hold"}, 170117),
        ({"orderType": "Iceberg"}, 170116),
        ({"timeInForce": "GTD"}, 170115),
        ({"orderFilter": "Wish"}, 170202),
        ({"orderFilter": "tpslOrder"}, 170203),
        ({"qty": "1e3"}, 170130),
        ({"price": None}, 170130),
        ({"orderLinkId": "x" * 37}, 10001),
        ({"orderLinkId": "a.b"}, 10001),
        ({"price": "50000.05"}, 170134),
        ({"qty": "0.0000001"}, 170137),
        ({"qty": "0.00001"}, 170136),
        ({"qty": "0.00002"}, 170140),
        ({"qty": "5"}, 170131),
    ],
)
def test_refusals(desk: Desk, changes: dict[str, Any], code: int) -> None:
    request = {name: value for name, value in ({**BUY, "price": "50000"} | changes).items() if value is not None}
    assert code_of(ask(desk, "POST", "order/create", request)) == code
    assert "accepted" not in desk.kinds()


def test_a_client_id_is_never_free_again_unless_the_world_says_so(desk: Desk) -> None:
    first = desk.place(orderLinkId="a1once")
    ask(desk, "POST", "order/cancel", {"category": "spot", "symbol": "BTCUSDT", "orderId": first})
    again = {**BUY, "price": "50000", "orderLinkId": "a1once"}
    assert code_of(ask(desk, "POST", "order/create", again)) == 170141
    lax = Desk("bybit", personality={"client_ids_unique": "never"})
    assert [code_of(ask(lax, "POST", "order/create", again)) for _ in range(2)] == [0, 0]
    nameless = Desk("bybit", personality={"client_ids": False})
    assert [code_of(ask(nameless, "POST", "order/create", again)) for _ in range(2)] == [0, 0]
    assert rows_of(nameless, "order/realtime")[0]["orderLinkId"] == ""


def test_market_orders_are_sized_in_either_asset(desk: Desk) -> None:
    market = {**BUY, "orderType": "Market", "qty": "6000"}
    ask(desk, "POST", "order/create", market)
    ask(desk, "POST", "order/create", {**market, "qty": "0.05", "marketUnit": "baseCoin"})
    ask(desk, "POST", "order/create", {**market, "side": "Sell", "qty": "600", "marketUnit": "quoteCoin"})
    by_value, by_quantity, sold = desk.world.engine.accounts["key1"].orders.values()
    assert Decimal(5990) < by_value.cost <= 6000
    assert by_quantity.executed == Decimal("0.05")
    assert Decimal(590) < sold.cost <= 600


def test_post_only_that_would_take_is_accepted_and_rejected(desk: Desk) -> None:
    frames = listen(desk)
    order_id = desk.place("61000", timeInForce="PostOnly")
    (row,) = rows_of(desk, "order/history")
    assert (row["orderId"], row["orderStatus"], row["rejectReason"]) == (
        order_id,
        "Rejected",
        "EC_PostOnlyWillTakeLiquidity",
    )
    told = [row["orderStatus"] for frame in frames() if frame["topic"] == "order" for row in frame["data"]]
    assert told == ["New", "Rejected"]
    resting = desk.place("50000", timeInForce="PostOnly")
    change = {"category": "spot", "symbol": "BTCUSDT", "orderId": resting, "price": "61000"}
    assert code_of(ask(desk, "POST", "order/amend", change)) == 0
    assert not desk.open_ids()
    assert desk.world.engine.accounts["key1"].held["USDT"] == 0
    assert "filled" not in desk.kinds()


def test_lists_come_in_pages_newest_first(desk: Desk) -> None:
    made = []
    for _ in range(23):
        made.append(desk.place(qty="0.01"))
        desk.pass_seconds(0.01)
    first = body_of(ask(desk, "GET", "order/realtime", {"category": "spot"}))["result"]
    assert len(first["list"]) == 20
    late = desk.place(qty="0.01")
    cursor = first["nextPageCursor"]
    second = body_of(ask(desk, "GET", "order/realtime", f"category=spot&cursor={cursor}"))["result"]
    assert [row["orderId"] for row in first["list"] + second["list"]] == made[::-1]
    assert (late in made, second["nextPageCursor"]) == (False, "")


def test_executions_come_in_pages_and_spans_of_seven_days(desk: Desk) -> None:
    for _ in range(5):
        desk.place("61000", qty="0.01")
        desk.pass_seconds(DAY_SECONDS * 2)
    now = desk.now // 1000
    day = DAY_SECONDS * 1000
    assert len(rows_of(desk, "execution/list")) == 3
    assert len(rows_of(desk, "execution/list", startTime=now - 10 * day)) == 4
    too_long = {"category": "spot", "startTime": now - 8 * day, "endTime": now}
    assert code_of(ask(desk, "GET", "execution/list", too_long)) == 10001
    assert code_of(ask(desk, "GET", "order/history", {"category": "spot", "startTime": now})) == 10001
    page = body_of(ask(desk, "GET", "execution/list", {"category": "spot", "limit": 2}))["result"]
    rest = rows_of(desk, "execution/list", limit=2, cursor=page["nextPageCursor"])
    times = [int(row["execTime"]) for row in page["list"] + rest]
    assert len(times) == 3 and times == sorted(times, reverse=True)


def test_what_ended_without_a_trade_is_forgotten_after_a_day(desk: Desk) -> None:
    gone, filled = desk.place(), desk.place("61000")
    ask(desk, "POST", "order/cancel", {"category": "spot", "symbol": "BTCUSDT", "orderId": gone})
    desk.pass_seconds(DAY_SECONDS - 1)
    assert {row["orderId"] for row in rows_of(desk, "order/history")} == {gone, filled}
    desk.pass_seconds(2)
    assert [row["orderId"] for row in rows_of(desk, "order/history")] == [filled]
    assert [row["orderStatus"] for row in rows_of(desk, "order/realtime", orderId=gone)] == ["Cancelled"]
    desk.pass_seconds(6 * DAY_SECONDS)
    assert rows_of(desk, "order/history") == []


@pytest.mark.parametrize(
    ("side", "trigger", "price", "kind"),
    [
        ("Sell", "58000", "57000", "stop_limit"),
        ("Sell", "62000", "61500", "take_profit_limit"),
        ("Buy", "62000", "62500", "stop_limit"),
        ("Buy", "58000", "58500", "take_profit_limit"),
    ],
)
def test_a_trigger_waits_for_the_move_from_the_last_price(
    desk: Desk, side: str, trigger: str, price: str, kind: str
) -> None:
    ask(desk, "POST", "order/create", {**STOP, "side": side, "triggerPrice": trigger, "price": price})
    (order,) = desk.world.engine.accounts["key1"].orders.values()
    (row,) = rows_of(desk, "order/realtime")
    assert (order.request.type, row["orderStatus"], row["stopOrderType"]) == (kind, "Untriggered", "tpslOrder")
    assert (row["orderType"], Decimal(row["triggerPrice"]), row["triggerDirection"]) == ("Limit", Decimal(trigger), 0)
    desk.move(trigger)
    assert order.is_working
    assert desk.kinds()[:2] == ["accepted", "triggered"]


def test_a_waiting_order_is_cancelled_under_its_filter_alone(desk: Desk) -> None:
    order_id = body_of(ask(desk, "POST", "order/create", STOP))["result"]["orderId"]
    named = {"category": "spot", "symbol": "BTCUSDT", "orderId": order_id}
    assert code_of(ask(desk, "POST", "order/cancel", named)) == 170213
    change = {**named, "triggerPrice": "57500"}
    assert code_of(ask(desk, "POST", "order/amend", change)) == 0
    assert code_of(ask(desk, "POST", "order/cancel", {**named, "orderFilter": "tpslOrder"})) == 0
    assert rows_of(desk, "order/history")[0]["orderStatus"] == "Deactivated"


def test_an_amend_changes_in_place_and_never_below_what_is_filled(desk: Desk) -> None:
    order_id = desk.place("59000")
    desk.world.engine.force_fill(desk.world.engine.accounts["key1"].orders[order_id], Decimal("0.04"))
    named = {"category": "spot", "symbol": "BTCUSDT", "orderId": order_id}
    assert code_of(ask(desk, "POST", "order/amend", {**named, "qty": "0.04"})) == 10001
    assert code_of(ask(desk, "POST", "order/amend", {**named, "qty": "0.1"})) == 10001
    assert code_of(ask(desk, "POST", "order/amend", {**named, "qty": "0.2", "price": "58000"})) == 0
    (row,) = rows_of(desk, "order/realtime")
    assert (row["orderId"], row["qty"], row["price"], row["leavesQty"]) == (
        order_id,
        "0.200000",
        "58000.0",
        "0.160000",
    )
    assert code_of(ask(desk, "POST", "order/amend", {**named, "orderId": "none", "qty": "0.3"})) == 170213


async def test_cancel_all(bybit: Any) -> None:
    for _ in range(3):
        await bybit.create_order(SYMBOL, "limit", "buy", "0.01", "50000")
    await bybit.cancel_all_orders(SYMBOL)
    assert await bybit.fetch_open_orders(SYMBOL) == []


@pytest.mark.parametrize(
    ("key", "secret", "seconds", "text"),
    [
        ("key1", "secret", 5, ""),
        ("nobody", "secret", 5, "API key is invalid."),
        ("key1", "wrong", 5, "Sign invalid"),
        ("key1", "secret", 0, "Params Error"),
    ],
)
def test_signing_in_to_the_private_stream(desk: Desk, key: str, secret: str, seconds: int, text: str) -> None:
    stream = connect(desk.world, "/v5/private")
    stream.write(json.dumps(sign_in(key, secret, desk.now // 1000 + seconds * 1000)))
    stream.write('{"op": "subscribe", "args": ["order"]}')
    answers = [json.loads(frame) for frame in stream.take()]
    assert [(frame["op"], frame["success"]) for frame in answers] == [("auth", not text), ("subscribe", not text)]
    assert answers[0]["ret_msg"] == text


def test_frames_of_the_topics_asked_for_and_no_others(desk: Desk) -> None:
    stream = connect(desk.world, "/v5/private")
    stream.write(json.dumps(sign_in("key1", "secret", desk.now // 1000 + 1000)))
    stream.write('{"op": "subscribe", "args": ["execution.spot"], "req_id": "7"}')
    stream.take()
    desk.place("61000", qty="0.01")
    (frame,) = [json.loads(text) for text in stream.take()]
    assert (frame["topic"], frame["data"][0]["execQty"]) == ("execution.spot", "0.010000")
    stream.write('{"op": "ping", "req_id": "8"}')
    stream.write('{"op": "unsubscribe", "args": ["execution.spot"]}')
    stream.write('{"op": "dance"}')
    stream.write("no JSON")
    pong, *others = [json.loads(text) for text in stream.take()]
    assert (pong["op"], pong["req_id"]) == ("pong", "8")
    assert [frame["success"] for frame in others] == [True, False, False]
    desk.place("61000", qty="0.01")
    assert stream.take() == []


async def test_book_deltas_are_numbered_one_by_one_and_rebuild_the_book(venue: PaperVenue) -> None:
    moving = venue.create_world("bybit", "moving-deltas", flow_steps_per_second=20)
    sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}
    numbers: list[int] = []
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{moving.ws_url}/v5/public/spot") as socket:
        await socket.send_json({"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]})
        async with asyncio.timeout(20):
            while len(numbers) < 10:
                frame = await socket.receive_json()
                if "topic" not in frame:
                    assert frame["success"] is True
                    continue
                assert frame["type"] == ("delta" if numbers else "snapshot")
                numbers.append(frame["data"]["u"])
                for side, levels in sides.items():
                    levels |= dict(frame["data"][side])
    venue.remove_world(moving)
    assert numbers == list(range(numbers[0], numbers[0] + 10))
    bids, asks = ([Decimal(price) for price, size in levels.items() if size != "0"] for levels in sides.values())
    assert len(bids) <= 50 and max(bids) < min(asks)
