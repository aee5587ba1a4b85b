"""Faults in which the venue says one thing and does another; the books behind it stay right."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.venues.paper import bybit_desk
from tests.venues.paper.simulating import DERIBIT_BUY, KRAKEN_BUY, LIMIT_BUY, OKX_BUY, Desk, body_of, listen
from venues.paper.orders import Order
from venues.paper.simulated import connect

EXCHANGES = ["binance", "kraken", "bybit", "okx", "coinbase", "deribit"]
CLIENT_ID_NAMES = {
    "binance": "newClientOrderId",
    "kraken": "cl_ord_id",
    "bybit": "orderLinkId",
    "okx": "clOrdId",
    "coinbase": "client_order_id",
    "deribit": "label",
}

STREAM_PATHS = {
    "binance": ["/ws-api/v3", "/ws/btcusdt@trade", "/ws/ethusdt@trade"],
    "kraken": ["/v2"] * 3,
    "bybit": ["/v5/private", "/v5/public/spot", "/v5/public/spot"],
    "deribit": ["/ws/api/v2"] * 3,
    "okx": ["/ws/v5/private", "/ws/v5/public", "/ws/v5/business"],
    "coinbase": ["/"] * 3,
}


@pytest.fixture(params=EXCHANGES)
def desk(request: pytest.FixtureRequest) -> Desk:
    """Return a desk at each exchange in turn."""
    return Desk(request.param)


def order_of(desk: Desk) -> Order:
    return list(desk.world.engine.accounts["key1"].orders.values())[-1]


def cancel(desk: Desk, order_id: Any) -> Any:
    if desk.exchange == "binance":
        return body_of(desk.binance("DELETE", "order", {"symbol": "BTCUSDT", "orderId": order_id}))
    if desk.exchange == "deribit":
        return body_of(desk.deribit("cancel", {"order_id": order_id}))
    if desk.exchange == "bybit":
        named = {"category": "spot", "symbol": "BTCUSDT", "orderId": order_id}
        return body_of(bybit_desk.ask(desk, "POST", "order/cancel", named))
    if desk.exchange == "okx":
        return body_of(desk.okx("POST", "trade/cancel-order", {"instId": "BTC-USDT", "ordId": order_id}))
    if desk.exchange == "coinbase":
        return body_of(desk.coinbase("POST", "orders/batch_cancel", {"order_ids": [order_id]}))
    return body_of(desk.kraken("CancelOrder", {"txid": order_id}))


def is_found(desk: Desk, order_id: Any) -> bool:
    if desk.exchange == "binance":
        return "orderId" in body_of(desk.binance("GET", "order", {"symbol": "BTCUSDT", "orderId": order_id}))
    if desk.exchange == "deribit":
        return "result" in body_of(desk.deribit("get_order_state", {"order_id": order_id}))
    if desk.exchange == "bybit":
        named = {"category": "spot", "orderId": order_id}
        return bool(body_of(bybit_desk.ask(desk, "GET", "order/realtime", named))["result"]["list"])
    if desk.exchange == "okx":
        return body_of(desk.okx("GET", "trade/order", {"instId": "BTC-USDT", "ordId": order_id}))["code"] == "0"
    if desk.exchange == "coinbase":
        return "order" in body_of(desk.coinbase("GET", f"orders/historical/{order_id}"))
    return not body_of(desk.kraken("QueryOrders", {"txid": order_id}))["error"]


@pytest.mark.parametrize("seconds", [0, 3])
def test_cancel_is_acknowledged_but_the_order_fills(desk: Desk, seconds: int) -> None:
    order_id = desk.place()
    rule = desk.fault("cancel_then_fill", "cancel_order", params={"seconds": seconds})
    answer = cancel(desk, order_id)
    said = {
        "binance": answer.get("status") == "CANCELED",
        "kraken": answer.get("result") == {"count": 1, "pending": False},
        "bybit": answer.get("result") == {"orderId": order_id, "orderLinkId": ""},
        "okx": answer.get("code") == "0",
        "coinbase": [row["success"] for row in answer.get("results", [])] == [True],
        "deribit": (answer.get("result") or {}).get("order_state") == "cancelled",
    }
    assert said[desk.exchange]
    desk.pass_seconds(seconds)
    assert (rule.fired, order_of(desk).status, order_of(desk).executed) == (1, "filled", Decimal("0.1"))
    assert desk.kinds() == ["accepted", "filled"]
    desk.world.engine.check_conserved(desk.world.engine.supply)


def test_cancelled_order_fills_in_part_and_then_ends(desk: Desk) -> None:
    order_id = desk.place()
    desk.fault("cancel_then_fill", "cancel_order", params={"share": "0.4"})
    cancel(desk, order_id)
    assert (order_of(desk).status, order_of(desk).executed) == ("cancelled", Decimal("0.04"))
    assert desk.kinds() == ["accepted", "filled", "cancelled"]


def test_acknowledged_order_is_denied_for_a_while(desk: Desk) -> None:
    desk.fault("ack_then_deny", "create_order", params={"seconds": 60})
    order_id = desk.place()
    assert order_id
    assert (is_found(desk, order_id), desk.open_ids()) == (False, [])
    desk.pass_seconds(59)
    assert desk.open_ids() == []
    desk.pass_seconds(2)
    assert (is_found(desk, order_id), desk.open_ids()) == (True, [order_id])
    assert desk.kinds() == ["accepted"]


def late(desk: Desk, seconds: float, **request: Any) -> int:
    desk.fault("late_accept", "create_order", params={"seconds": seconds})
    if desk.exchange == "binance":
        return desk.binance("POST", "order", {**LIMIT_BUY, "price": "50000", **request}).status
    if desk.exchange == "deribit":
        return desk.deribit("buy", {**DERIBIT_BUY, "price": "50000", **request}).status
    if desk.exchange == "bybit":
        return bybit_desk.ask(desk, "POST", "order/create", {**bybit_desk.BUY, "price": "50000"}, **request).status
    if desk.exchange == "okx":
        return desk.okx("POST", "trade/order", {**OKX_BUY, "px": "50000"}, **request).status
    if desk.exchange == "coinbase":
        return desk.coinbase("POST", "orders", desk.coinbase_order("50000", **request)).status
    return desk.kraken("AddOrder", {**KRAKEN_BUY, "price": "50000", **request}).status


def test_failed_request_is_accepted_later(desk: Desk) -> None:
    assert late(desk, 2) == 503
    assert desk.open_ids() == []
    desk.pass_seconds(2)
    assert len(desk.open_ids()) == 1
    (record,) = desk.world.records("accepted")
    assert record["connection"] == "http-1"


def test_late_request_outside_its_window_is_not_accepted() -> None:
    binance = Desk("binance")
    late(binance, 6, recvWindow=5000)
    kraken = Desk("kraken")
    late(kraken, 6, deadline="2023-11-14T22:13:25Z")
    bybit = Desk("bybit")
    late(bybit, 6, window=5000)
    deribit = Desk("deribit")
    late(deribit, 6, valid_until=deribit.now // 1000 + 5000)
    okx = Desk("okx")
    late(okx, 6, expires=okx.now // 1000 + 5000)
    slow = Desk("okx")
    late(slow, 6, at=slow.now // 1000 - 25_000)
    for desk in (binance, kraken, bybit, deribit, okx, slow):
        desk.pass_seconds(10)
        assert desk.open_ids() == []
    careless = Desk("binance", personality={"validity_window": False})
    late(careless, 6, recvWindow=5000)
    careless.pass_seconds(10)
    assert len(careless.open_ids()) == 1
    # A token is judged at the door alone: what has passed it is done however late.
    admitted = Desk("coinbase")
    late(admitted, 6)
    admitted.pass_seconds(10)
    assert len(admitted.open_ids()) == 1


def test_one_fill_of_more_than_the_order(desk: Desk) -> None:
    rule = desk.fault("overfill", params={"quantity": "0.02"})
    desk.place("59000")
    desk.move("58000")
    order = order_of(desk)
    assert (rule.fired, order.status, order.executed, len(order.fills)) == (1, "filled", Decimal("0.12"), 1)
    desk.world.engine.check_conserved(desk.world.engine.supply)
    rate = desk.world.exchange.maker_rate if desk.world.exchange.fee_in_received_asset else 0
    bought = Decimal("0.12") * (1 - rate)
    assert desk.world.engine.accounts["key1"].total["BTC"] == 2 + bought
    assert desk.world.engine.accounts["key1"].held["USDT"] == 0


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("accounts", [1, 2])
def test_a_list_carries_a_row_that_is_not_ours(exchange: str, accounts: int) -> None:
    desk = Desk(exchange, accounts=accounts)
    mine = desk.place()
    if accounts == 2 and exchange == "binance":
        desk.binance("POST", "order", {**LIMIT_BUY, "price": "40000"}, key="key2")
    elif accounts == 2 and exchange == "deribit":
        desk.deribit("buy", {**DERIBIT_BUY, "price": "40000"}, key="key2")
    elif accounts == 2 and exchange == "bybit":
        bybit_desk.ask(desk, "POST", "order/create", {**bybit_desk.BUY, "price": "40000"}, key="key2")
    elif accounts == 2 and exchange == "okx":
        desk.okx("POST", "trade/order", {**OKX_BUY, "px": "40000"}, key="key2")
    elif accounts == 2 and exchange == "coinbase":
        desk.coinbase("POST", "orders", desk.coinbase_order("40000"), key="key2")
    elif accounts == 2:
        desk.kraken("AddOrder", {**KRAKEN_BUY, "price": "40000"}, key="key2")
    rule = desk.fault("wrong_account_row", "open_orders")
    shown = desk.open_ids()
    assert (rule.fired, len(shown), shown[0]) == (1, 2, mine)
    assert shown[1] != mine
    if accounts == 2:
        (other,) = desk.world.engine.accounts["key2"].open.values()
        assert shown[1] == (other.number if exchange == "binance" else other.order_id)
    assert desk.open_ids() == [mine]


def test_another_client_id_is_echoed(desk: Desk) -> None:
    name = CLIENT_ID_NAMES[desk.exchange]
    rule = desk.fault("wrong_client_id_echo", "open_orders")
    order_id = desk.place(**{name: "a1mine0000000001"})
    if desk.exchange == "binance":
        shown = body_of(desk.binance("GET", "openOrders", {}))[0]["clientOrderId"]
    elif desk.exchange == "deribit":
        shown = body_of(desk.deribit("get_open_orders", {}))["result"][0]["label"]
    elif desk.exchange == "bybit":
        listed = body_of(bybit_desk.ask(desk, "GET", "order/realtime", {"category": "spot"}))["result"]["list"]
        shown = listed[0]["orderLinkId"]
    elif desk.exchange == "okx":
        shown = body_of(desk.okx("GET", "trade/orders-pending", {}))["data"][0]["clOrdId"]
    elif desk.exchange == "coinbase":
        found = body_of(desk.coinbase("GET", "orders/historical/batch", {"order_status": "OPEN"}))["orders"]
        shown = found[0]["client_order_id"]
    else:
        shown = body_of(desk.kraken("OpenOrders", {}))["result"]["open"][order_id]["cl_ord_id"]
    assert (shown, rule.fired) == ("z9notyourorder0001", 1)


def test_streams_are_closed_one_by_one(desk: Desk) -> None:
    paths = STREAM_PATHS[desk.exchange]
    streams = [connect(desk.world, path) for path in paths]
    desk.fault("swizzle", params={"seconds": 2})
    assert [stream.is_open for stream in streams].count(False) == 1
    closed = next(stream for stream in streams if not stream.is_open)
    with pytest.raises(ConnectionError):
        connect(desk.world, closed.path)
    desk.pass_seconds(2)
    assert [stream.is_open for stream in streams].count(False) == 2
    desk.pass_seconds(4)
    assert not any(stream.is_open for stream in streams)
    assert connect(desk.world, closed.path).is_open


def test_kraken_gap_in_the_stream_is_visible() -> None:
    desk = Desk("kraken")
    frames = listen(desk)
    desk.place()
    before = [frame["sequence"] for frame in frames()]
    desk.fault("drop_stream_frames", "stream", count=1)
    desk.place()
    assert frames() == []
    desk.place()
    assert frames()[0]["sequence"] > before[-1] + 1


def test_coinbase_gap_in_the_stream_is_visible() -> None:
    desk = Desk("coinbase")
    frames = listen(desk)
    desk.place()
    before = [frame["sequence_num"] for frame in frames()]
    desk.fault("drop_stream_frames", "stream", count=1)
    desk.place()
    assert frames() == []
    desk.place()
    assert frames()[0]["sequence_num"] > before[-1] + 1


def test_faults_happen_to_amendments() -> None:
    desk = Desk("kraken")
    order_id = desk.place()
    rule = desk.fault("drop_after", "amend_order")
    assert desk.kraken("AmendOrder", {"txid": order_id, "order_qty": "0.2"}).is_cut
    assert (rule.fired, order_of(desk).request.quantity) == (1, Decimal("0.2"))
    desk.fault("drop_before", "amend_order")
    assert desk.kraken("AmendOrder", {"txid": order_id, "order_qty": "0.3"}).is_cut
    assert order_of(desk).request.quantity == Decimal("0.2")
