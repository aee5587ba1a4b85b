"""Stops, take-profits, trailing stops and orders that end at a time: open while they wait, then traded or ended."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.venues.paper.simulating import Desk, body_of, listen
from venues.paper.orders import Order

STOP_SELL = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_LOSS", "quantity": "0.5", "stopPrice": "58000"}
STOP_LIMIT = {**STOP_SELL, "type": "STOP_LOSS_LIMIT", "price": "57000", "timeInForce": "GTC"}
KRAKEN_STOP = {"pair": "XBTUSDT", "type": "sell", "ordertype": "stop-loss", "volume": "0.5", "price": "58000"}


def only(desk: Desk) -> Order:
    (order,) = desk.world.engine.accounts["key1"].orders.values()
    return order


def test_binance_stop_waits_open_holds_and_trades_at_the_trigger() -> None:
    desk = Desk("binance")
    answer = body_of(desk.binance("POST", "order", STOP_SELL))
    assert list(answer) == ["symbol", "orderId", "orderListId", "clientOrderId", "transactTime"]
    (row,) = body_of(desk.binance("GET", "openOrders", {}))
    assert (row["status"], row["type"], row["stopPrice"]) == ("NEW", "STOP_LOSS", "58000.00000000")
    assert row["isWorking"] is False
    assert desk.world.engine.accounts["key1"].held["BTC"] == Decimal("0.5")
    desk.move("58000.01")
    assert len(desk.open_ids()) == 1
    desk.move("58000")
    assert desk.open_ids() == []
    assert only(desk).status == "filled"
    assert desk.kinds()[:2] == ["accepted", "triggered"]
    assert desk.world.engine.accounts["key1"].held["BTC"] == 0


def test_binance_stop_limit_rests_once_triggered() -> None:
    desk = Desk("binance")
    desk.binance("POST", "order", {**STOP_LIMIT, "price": "59000"})
    desk.move("58000")
    (row,) = body_of(desk.binance("GET", "openOrders", {}))
    assert (row["isWorking"], row["price"], row["type"]) == (True, "59000.00000000", "STOP_LOSS_LIMIT")
    desk.move("59000.01")
    assert only(desk).status == "filled"
    assert all(fill.price >= 59_000 for fill in only(desk).fills)


@pytest.mark.parametrize(
    ("side", "kind", "trigger", "not_yet", "fires"),
    [
        ("BUY", "STOP_LOSS", "62000", "61999", "62001"),
        ("BUY", "TAKE_PROFIT", "58000", "58001", "57999"),
        ("SELL", "TAKE_PROFIT", "62000", "61999", "62001"),
        ("SELL", "STOP_LOSS", "58000", "58001", "57999"),
    ],
)
def test_direction_of_every_trigger(side: str, kind: str, trigger: str, not_yet: str, fires: str) -> None:
    desk = Desk("binance")
    desk.binance("POST", "order", {**STOP_SELL, "side": side, "type": kind, "stopPrice": trigger})
    desk.move(not_yet)
    assert "triggered" not in desk.kinds()
    desk.move(fires)
    assert only(desk).status == "filled"


def test_binance_refuses_what_would_trigger_at_once_and_what_lacks_a_price() -> None:
    desk = Desk("binance")
    reply = desk.binance("POST", "order", {**STOP_SELL, "stopPrice": "61000"})
    assert (reply.status, body_of(reply)) == (400, {"code": -2010, "msg": "Order would trigger immediately."})
    without = {name: value for name, value in STOP_SELL.items() if name != "stopPrice"}
    assert body_of(desk.binance("POST", "order", without))["code"] == -1102
    assert body_of(desk.binance("POST", "order", {**STOP_SELL, "trailingDelta": "5"}))["code"] == -1013
    limit = {**STOP_LIMIT, "type": "LIMIT"}
    assert body_of(desk.binance("POST", "order", limit))["code"] == -1106


def test_binance_trailing_delta_follows_the_highest_price() -> None:
    desk = Desk("binance")
    trailing = {name: value for name, value in STOP_SELL.items() if name != "stopPrice"} | {"trailingDelta": "100"}
    desk.binance("POST", "order", trailing)
    desk.move("66000")
    (row,) = body_of(desk.binance("GET", "openOrders", {}))
    assert (row["stopPrice"], row["trailingDelta"]) == ("65340.00000000", 100)
    desk.move("65341")
    assert "triggered" not in desk.kinds()
    desk.move("65340")
    assert only(desk).status == "filled"


def test_binance_trailing_with_stop_price_starts_there() -> None:
    desk = Desk("binance")
    desk.binance("POST", "order", {**STOP_SELL, "type": "TAKE_PROFIT", "stopPrice": "63000", "trailingDelta": "100"})
    desk.move("59000")
    assert "triggered" not in desk.kinds()
    desk.move("63000")
    desk.move("62371")
    assert "triggered" not in desk.kinds()
    desk.move("62370")
    assert only(desk).status == "filled"


def test_kraken_stop_take_profit_and_trailing() -> None:
    desk = Desk("kraken")
    stop = body_of(desk.kraken("AddOrder", KRAKEN_STOP))["result"]
    assert stop["descr"]["order"] == "sell 0.50000000 XBTUSDT @ stop loss 58000.0"
    shown = body_of(desk.kraken("OpenOrders", {}))["result"]["open"][stop["txid"][0]]
    assert (shown["status"], shown["stopprice"]) == ("open", "58000.0")
    assert (shown["descr"]["ordertype"], shown["descr"]["price"], shown["descr"]["price2"]) == (
        "stop-loss",
        "58000.0",
        "0",
    )
    limit = {**KRAKEN_STOP, "ordertype": "stop-loss-limit", "price2": "57500", "volume": "0.1"}
    answer = body_of(desk.kraken("AddOrder", limit))["result"]
    assert answer["descr"]["order"] == "sell 0.10000000 XBTUSDT @ stop loss 58000.0 -> limit 57500.0"
    trailing = {**KRAKEN_STOP, "ordertype": "trailing-stop", "price": "+500", "volume": "0.1"}
    body_of(desk.kraken("AddOrder", trailing))
    profit = {**KRAKEN_STOP, "ordertype": "take-profit", "price": "64000", "volume": "0.1"}
    body_of(desk.kraken("AddOrder", profit))
    desk.move("62000")
    desk.move("61500")
    orders = list(desk.world.engine.accounts["key1"].orders.values())
    assert [order.status for order in orders] == ["new", "new", "filled", "new"]
    desk.move("64000")
    desk.move("58000")
    assert [order.status for order in orders] == ["filled"] * 4
    assert len(desk.world.records("triggered")) == 4


def test_kraken_tells_the_trigger_on_the_stream() -> None:
    desk = Desk("kraken")
    frames = listen(desk)
    desk.kraken("AddOrder", KRAKEN_STOP)
    desk.move("58000")
    rows = [row for frame in frames() for row in frame.get("data", []) if "exec_type" in row]
    assert [row["exec_type"] for row in rows][:3] == ["pending_new", "new", "status"]
    assert (rows[0]["triggers"]["price"], rows[0]["triggers"]["status"]) == (58000.0, "untriggered")
    assert (rows[2]["order_status"], rows[2]["triggers"]["status"]) == ("triggered", "triggered")


def test_market_stop_without_the_money_ends_instead_of_overspending() -> None:
    desk = Desk("kraken")
    desk.kraken("AddOrder", {**KRAKEN_STOP, "type": "buy", "price": "61000", "volume": "1.63"})
    desk.move("70000")
    assert only(desk).status == "expired"
    assert desk.world.engine.accounts["key1"].free("USDT") == 100_000


@pytest.mark.parametrize("form", ["+30", "absolute"])
def test_kraken_order_ends_at_its_time(form: str) -> None:
    desk = Desk("kraken")
    frames = listen(desk)
    expires = form if form == "+30" else str(desk.now // 1_000_000 + 30)
    order_id = desk.place(timeinforce="GTD", expiretm=expires)
    desk.pass_seconds(29.9)
    assert desk.open_ids() == [order_id]
    desk.pass_seconds(0.2)
    assert desk.open_ids() == []
    (record,) = desk.world.records("expired")
    assert (record["order_id"], record["reason"]) == (order_id, "order expired")
    closed = body_of(desk.kraken("ClosedOrders", {}))["result"]["closed"][order_id]
    assert closed["status"] == "expired"
    assert any(row.get("exec_type") == "expired" for frame in frames() for row in frame.get("data", []))


def test_gtd_needs_a_time_and_binance_has_none() -> None:
    kraken = Desk("kraken")
    for wrong in ({"timeinforce": "GTD"}, {"expiretm": "1"}, {"expiretm": "soon"}):
        order = {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "volume": "0.1", "price": "50000", **wrong}
        assert body_of(kraken.kraken("AddOrder", order))["error"] == ["EGeneral:Invalid arguments:expiretm"]
    binance = Desk("binance")
    reply = binance.binance("POST", "order", {**STOP_LIMIT, "type": "LIMIT", "timeInForce": "GTD"})
    assert body_of(reply) == {"code": -1115, "msg": "Invalid timeInForce."}
