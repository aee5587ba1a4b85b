"""What is the Coinbase dialect's own: tokens at the door, edits, cancels one by one, lists in pages, its numbers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.venues.paper.simulating import Desk, body_of, listen
from venues.paper.simulated import connect

BATCH, FILLS = "orders/historical/batch", "orders/historical/fills"


def edit(desk: Desk, order_id: str, **changes: Any) -> Any:
    return body_of(
        desk.coinbase("POST", "orders/edit", {"order_id": order_id, "size": "0.1", "price": "50000"} | changes)
    )


def why(answer: Any) -> str:
    only = answer["errors"][0]
    return str(only["edit_failure_reason"] or only["preview_failure_reason"])


@pytest.mark.parametrize(("at", "status"), [(-3, 200), (-5, 401), (-6, 401), (0, 200), (1, 401)])
def test_a_token_holds_from_its_first_second_to_its_last(at: int, status: int) -> None:
    desk = Desk("coinbase")
    reply = desk.coinbase("GET", "accounts", at=desk.now // 1_000_000 + at)
    assert reply.status == status
    if status == 401:
        assert (reply.content, reply.content_type) == (b"Unauthorized\n", "text/plain; charset=utf-8")


def test_a_token_of_more_than_two_minutes_or_of_nobody_is_refused() -> None:
    desk = Desk("coinbase")
    headers = {"jwt": desk.coinbase_token("", seconds=121)}
    stream = connect(desk.world, "/")
    for token in (headers["jwt"], "", "a.b.c", desk.coinbase_token("", seconds=120)[:-4] + "AAAA"):
        stream.write(json.dumps({"type": "subscribe", "channel": "user", "jwt": token}))
        assert [json.loads(text) for text in stream.take()] == [{"type": "error", "message": "authentication failure"}]
    stream.write(json.dumps({"type": "subscribe", "channel": "user", "jwt": desk.coinbase_token("", seconds=120)}))
    assert [json.loads(text)["channel"] for text in stream.take()] == ["subscriptions", "user"]


def test_a_refused_order_is_a_success_of_http() -> None:
    desk = Desk("coinbase")
    reply = desk.coinbase("POST", "orders", desk.coinbase_order("50000", "50"))
    answer = body_of(reply)
    assert (reply.status, answer["success"], answer["order_id"]) == (200, False, "")
    assert answer["error_response"]["error"] == "INSUFFICIENT_FUND"
    assert answer["order_configuration"] == desk.coinbase_order("50000", "50")["order_configuration"]
    assert desk.kinds() == ["rejected"]
    unnamed = desk.coinbase_order("50000") | {"client_order_id": ""}
    assert (desk.coinbase("POST", "orders", unnamed).status, desk.open_ids()) == (400, [])


@pytest.mark.parametrize(
    ("side", "stop", "direction", "reason"),
    [
        ("SELL", "61000", "STOP_DIRECTION_STOP_DOWN", "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE"),
        ("SELL", "59000", "STOP_DIRECTION_STOP_UP", "PREVIEW_STOP_PRICE_BELOW_LAST_TRADE_PRICE"),
        ("BUY", "59000", "STOP_DIRECTION_STOP_UP", "PREVIEW_STOP_PRICE_BELOW_LAST_TRADE_PRICE"),
        ("SELL", "59000", "STOP_DIRECTION_STOP_DOWN", ""),
        ("BUY", "59000", "STOP_DIRECTION_STOP_DOWN", ""),
    ],
)
def test_a_stop_that_would_fire_at_once_is_refused(side: str, stop: str, direction: str, reason: str) -> None:
    desk = Desk("coinbase")
    terms = {"base_size": "0.1", "limit_price": "58000", "stop_price": stop, "stop_direction": direction}
    body = desk.coinbase_order("58000", side=side, order_configuration={"stop_limit_stop_limit_gtc": terms})
    answer = body_of(desk.coinbase("POST", "orders", body))
    assert answer["success"] is (not reason)
    if reason:
        assert answer["error_response"]["preview_failure_reason"] == reason
        return
    (shown,) = body_of(desk.coinbase("GET", BATCH, {"order_status": "OPEN"}))["orders"]
    assert shown["order_configuration"]["stop_limit_stop_limit_gtc"] == terms
    assert (shown["trigger_status"], shown["order_type"]) == ("STOP_PENDING", "STOP_LIMIT")
    desk.move(stop)
    assert "triggered" in desk.kinds()


def test_cancels_are_answered_one_by_one() -> None:
    desk = Desk("coinbase")
    first, filled = desk.place(), desk.place("61000")
    answer = body_of(desk.coinbase("POST", "orders/batch_cancel", {"order_ids": [first, filled, "nobody"]}))
    assert [(row["success"], row["failure_reason"]) for row in answer["results"]] == [
        (True, "UNKNOWN_CANCEL_FAILURE_REASON"), (False, "ORDER_IS_FULLY_FILLED"), (False, "UNKNOWN_CANCEL_ORDER"),
    ]  # fmt: skip
    again = body_of(desk.coinbase("POST", "orders/batch_cancel", {"order_ids": [first]}))
    assert again["results"][0]["failure_reason"] == "UNKNOWN_CANCEL_ORDER"
    assert desk.coinbase("POST", "orders/batch_cancel", {}).status == 400


def test_an_edit_keeps_the_order_and_its_ids() -> None:
    desk = Desk("coinbase")
    order_id = desk.place(client_order_id="a1mine")
    frames = listen(desk)
    assert edit(desk, order_id, size="0.2", price="49000") == {"success": True, "errors": []}
    (shown,) = body_of(desk.coinbase("GET", BATCH, {"order_status": "OPEN"}))["orders"]
    assert (shown["order_id"], shown["client_order_id"]) == (order_id, "a1mine")
    assert shown["order_configuration"]["limit_limit_gtc"]["limit_price"] == "49000"
    ((row,),) = [frame["events"][0]["orders"] for frame in frames()]
    assert (row["order_id"], row["leaves_quantity"], row["limit_price"]) == (order_id, "0.2", "49000")


def test_what_is_not_edited() -> None:
    desk = Desk("coinbase")
    order_id = desk.place()
    desk.world.engine.force_fill(desk.world.engine.accounts["key1"].orders[order_id], Decimal("0.04"))
    assert why(edit(desk, "nobody")) == "ORDER_NOT_FOUND"
    assert why(edit(desk, order_id)) == "EDIT_REQUEST_EQUAL_TO_ORIGINAL_REQUEST"
    assert why(edit(desk, order_id, size="0.04")) == "CANNOT_EDIT_TO_BELOW_FILLED_SIZE"
    assert why(edit(desk, order_id, price="")) == "INVALID_EDITED_PRICE"
    assert why(edit(desk, order_id, price="50000.001")) == "INVALID_EDITED_PRICE"
    assert why(edit(desk, order_id, size="50")) == "PREVIEW_INSUFFICIENT_FUND"
    dated = {"base_size": "0.1", "limit_price": "50000", "end_time": "2033-01-01T00:00:00Z"}
    other = desk.place(order_configuration={"limit_limit_gtd": dated})
    assert why(edit(desk, other, size="0.2")) == "ONLY_LIMIT_ORDER_EDITS_SUPPORTED"
    desk.coinbase("POST", "orders/batch_cancel", {"order_ids": [order_id]})
    assert why(edit(desk, order_id, size="0.2")) == "ONLY_OPEN_ORDERS_CAN_BE_EDITED"
    assert desk.world.records("amended") == []


def pages(desk: Desk, path: str, name: str, key: str, **query: Any) -> list[list[str]]:
    """Read a list to its end, with something new happening after each page."""
    found, cursor = [], ""
    while True:
        answer = body_of(desk.coinbase("GET", path, query | ({"cursor": cursor} if cursor else {})))
        found.append([row[key] for row in answer[name]])
        cursor = answer["cursor"]
        if not cursor:
            return found
        desk.pass_seconds(1)
        desk.place("61000", quantity="0.01")


def test_lists_come_in_pages_that_stand_whatever_is_new() -> None:
    desk = Desk("coinbase")
    placed = []
    for number in range(7):
        desk.pass_seconds(number % 2)  # some at the same moment
        placed.append(desk.place("61000", quantity="0.01"))
    trades = [record["trade_id"] for record in desk.world.records("filled")]
    orders = pages(desk, BATCH, "orders", "order_id", limit="3")
    assert [len(page) for page in orders] == [3, 3, 1]
    assert [order_id for page in orders for order_id in page] == placed[::-1]
    found = pages(desk, FILLS, "fills", "trade_id", limit="4", end_sequence_timestamp="2023-11-14T22:13:23.5Z")
    assert [trade for page in found for trade in page] == trades[::-1]


def test_lists_are_narrowed() -> None:
    desk = Desk("coinbase")
    early = desk.place()
    desk.pass_seconds(10)
    late = desk.place("61000", quantity="0.01")
    since = "2023-11-14T22:13:25Z"

    def listed(**query: Any) -> list[str]:
        return [row["order_id"] for row in body_of(desk.coinbase("GET", BATCH, query))["orders"]]

    assert listed() == [late, early]
    assert listed(start_date=since) == [late]
    assert listed(end_date=since) == [early]
    assert (listed(order_status="OPEN"), listed(order_status=["FILLED", "CANCELLED"])) == ([early], [late])
    assert listed(order_status=["PENDING", "QUEUED"]) == []
    assert (listed(product_ids="ETH-USDT"), listed(product_ids=["ETH-USDT", "BTC-USDT"])) == ([], [late, early])
    assert listed(order_ids=[early]) == [early]
    assert desk.coinbase("GET", BATCH, {"order_status": ["OPEN", "FILLED"]}).status == 400
    assert desk.coinbase("GET", BATCH, {"product_ids": "NO-PE"}).status == 404
    fills = body_of(desk.coinbase("GET", FILLS, {"order_ids": [early]}))
    assert (fills["fills"], fills["cursor"]) == ([], "")


def test_all_channels_of_a_connection_are_numbered_together() -> None:
    desk = Desk("coinbase")
    stream = connect(desk.world, "/")
    for channel in ("heartbeats", "level2", "market_trades", "ticker"):
        stream.write(json.dumps({"type": "subscribe", "channel": channel, "product_ids": ["BTC-USDT"]}))
    stream.write(json.dumps({"type": "subscribe", "channel": "user", "jwt": desk.coinbase_token("")}))
    desk.place("61000")
    desk.world.tell_public()
    desk.world.dialect.heartbeat(desk.world)
    frames = [json.loads(text) for text in stream.take()]
    assert [frame["sequence_num"] for frame in frames] == list(range(len(frames)))
    assert {"heartbeats", "l2_data", "market_trades", "ticker", "user", "subscriptions"} == {
        frame["channel"] for frame in frames
    }
    held = [frame["events"][0]["subscriptions"] for frame in frames if frame["channel"] == "subscriptions"][-1]
    assert held["level2"] == ["BTC-USDT"] and "user" in held
    stream.write(json.dumps({"type": "unsubscribe", "channel": "user", "jwt": desk.coinbase_token("")}))
    assert "user" not in json.loads(stream.take()[-1])["events"][0]["subscriptions"]


def test_the_book_of_the_stream_is_the_books_own() -> None:
    desk = Desk("coinbase")
    stream = connect(desk.world, "/")
    stream.write(json.dumps({"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USDT"]}))
    desk.place("59000")
    desk.place("61000", quantity="3")
    desk.world.step()
    desk.world.tell_public()
    levels: dict[tuple[str, str], Decimal] = {}
    for text in stream.take():
        frame = json.loads(text)
        for update in frame["events"][0].get("updates", []):
            levels[update["side"], update["price_level"]] = Decimal(update["new_quantity"])
    book = desk.world.engine.markets["BTC/USDT"].book
    truth = {
        (side, f"{price:f}"): quantity
        for side, ours in (("bid", "buy"), ("offer", "sell"))
        for price, quantity in book.depth(ours, 1 << 20)
    }
    assert {name: quantity for name, quantity in levels.items() if quantity} == truth


def test_what_is_open_already_is_told_fifty_at_a_time() -> None:
    desk = Desk("coinbase")
    for _ in range(60):
        desk.place(quantity="0.001")
    stream = connect(desk.world, "/")
    stream.write(json.dumps({"type": "subscribe", "channel": "user", "jwt": desk.coinbase_token("")}))
    events = [json.loads(text)["events"][0] for text in stream.take()][1:]
    assert [(event["type"], len(event["orders"])) for event in events] == [("snapshot", 50), ("snapshot", 10)]
