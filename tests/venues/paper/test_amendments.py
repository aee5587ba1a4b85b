"""Amendments as the two exchanges make them: replace by a new order, or change in place, and every way they fail."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.venues.paper.simulating import LIMIT_BUY, Desk, body_of, listen
from venues.paper.exchange import Reply

NEW_ID, OLD_ID = "a1new00000000000001", "a1old00000000000001"


def replace(desk: Desk, mode: str = "STOP_ON_FAILURE", **changes: Any) -> Reply:
    """Cancel the old order and place a new one in its place."""
    params = {
        **LIMIT_BUY,
        "price": "51000",
        "cancelReplaceMode": mode,
        "cancelOrigClientOrderId": OLD_ID,
        "newClientOrderId": NEW_ID,
        **changes,
    }
    return desk.binance("POST", "order/cancelReplace", params)


def test_cancel_replace_makes_a_new_order_that_names_the_old() -> None:
    desk = Desk("binance")
    old = desk.place(newClientOrderId=OLD_ID)
    frames = listen(desk)
    reply = replace(desk)
    answer = body_of(reply)
    assert (reply.status, answer["cancelResult"], answer["newOrderResult"]) == (200, "SUCCESS", "SUCCESS")
    assert answer["cancelResponse"]["origClientOrderId"] == OLD_ID
    assert answer["cancelResponse"]["status"] == "CANCELED"
    new = answer["newOrderResponse"]["orderId"]
    assert answer["newOrderResponse"]["clientOrderId"] == NEW_ID
    assert desk.open_ids() == [new] != [old]
    assert desk.kinds() == ["accepted", "cancelled", "accepted"]
    assert desk.world.records("accepted")[1]["replaces"] == str(old)
    reports = [frame["event"] for frame in frames() if frame["event"]["e"] == "executionReport"]
    assert [(one["x"], one["i"], one["C"]) for one in reports] == [("CANCELED", old, OLD_ID), ("NEW", new, "")]


def test_half_success_is_409_and_names_both_results() -> None:
    desk = Desk("binance")
    desk.place(newClientOrderId=OLD_ID)
    reply = replace(desk, type="LIMIT_MAKER", price="61000")
    answer = body_of(reply)
    assert (reply.status, answer["code"]) == (409, -2021)
    assert answer["msg"] == "Order cancel-replace partially failed."
    data = answer["data"]
    assert (data["cancelResult"], data["newOrderResult"]) == ("SUCCESS", "FAILURE")
    assert data["cancelResponse"]["status"] == "CANCELED"
    assert data["newOrderResponse"] == {"code": -2010, "msg": "Order would immediately match and take."}
    assert desk.open_ids() == []


def test_stop_on_failure_changes_nothing_when_the_old_order_is_gone() -> None:
    desk = Desk("binance")
    reply = replace(desk)
    answer = body_of(reply)
    assert (reply.status, answer["code"], answer["msg"]) == (400, -2022, "Order cancel-replace failed.")
    assert answer["data"] == {
        "cancelResult": "FAILURE",
        "newOrderResult": "NOT_ATTEMPTED",
        "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
        "newOrderResponse": None,
    }
    assert desk.kinds() == []


def test_allow_failure_places_the_new_order_all_the_same() -> None:
    desk = Desk("binance")
    reply = replace(desk, "ALLOW_FAILURE")
    answer = body_of(reply)
    assert (reply.status, answer["code"]) == (409, -2021)
    assert (answer["data"]["cancelResult"], answer["data"]["newOrderResult"]) == ("FAILURE", "SUCCESS")
    assert desk.open_ids() == [answer["data"]["newOrderResponse"]["orderId"]]
    both = body_of(replace(desk, "ALLOW_FAILURE", quantity="5", newClientOrderId="a1third0000000000"))
    assert (both["code"], both["data"]["newOrderResult"]) == (-2022, "FAILURE")


def test_a_new_order_against_the_filters_cancels_nothing() -> None:
    desk = Desk("binance")
    old = desk.place(newClientOrderId=OLD_ID)
    assert body_of(replace(desk, price="51000.001"))["code"] == -1013
    assert body_of(replace(desk, mode="PERHAPS"))["code"] == -1102
    assert desk.open_ids() == [old]


@pytest.mark.parametrize(("restriction", "is_done"), [("ONLY_NEW", False), ("ONLY_PARTIALLY_FILLED", True)])
def test_cancel_restrictions(restriction: str, is_done: bool) -> None:
    desk = Desk("binance")
    desk.place("59000", newClientOrderId=OLD_ID)
    state = desk.world.engine.markets["BTC/USDT"]
    desk.world.engine.force_fill(desk.world.engine.accounts["key1"].open_client_ids[OLD_ID], Decimal("0.04"))
    reply = replace(desk, cancelRestrictions=restriction)
    assert (reply.status == 200) is is_done
    assert state.book.best_price("buy") is not None


def test_keep_priority_makes_smaller_in_place() -> None:
    desk = Desk("binance")
    first, second = desk.place(newClientOrderId=OLD_ID), desk.place()
    frames = listen(desk)
    amend = {"symbol": "BTCUSDT", "orderId": first, "newQty": "0.06", "newClientOrderId": NEW_ID}
    answer = body_of(desk.binance("PUT", "order/amend/keepPriority", amend))["amendedOrder"]
    assert (answer["orderId"], answer["origClientOrderId"], answer["clientOrderId"]) == (first, OLD_ID, NEW_ID)
    assert (answer["qty"], answer["status"]) == ("0.06000000", "NEW")
    assert desk.open_ids() == [first, second]
    report = next(frame["event"] for frame in frames() if frame["event"]["e"] == "executionReport")
    assert (report["x"], report["X"], report["q"]) == ("REPLACED", "NEW", "0.06000000")
    assert (report["c"], report["C"]) == (NEW_ID, OLD_ID)
    (record,) = desk.world.records("amended")
    assert (record["before"]["quantity"], record["after"]["quantity"]) == ("0.1", "0.06")
    assert (record["before"]["client_order_id"], record["after"]["client_order_id"]) == (OLD_ID, NEW_ID)
    assert desk.world.engine.accounts["key1"].held["USDT"] == Decimal("0.16") * 50_000
    best = desk.world.engine.markets["BTC/USDT"].book.levels["buy"][Decimal("50000")]
    assert [order.leaves for order in best.values()] == [Decimal("0.06"), Decimal("0.1")]
    lookup = {"symbol": "BTCUSDT", "origClientOrderId": NEW_ID}
    assert body_of(desk.binance("GET", "order", lookup))["origQty"] == "0.06000000"


@pytest.mark.parametrize(("quantity", "code"), [("0.2", -1013), ("0.1", -2038), (None, -1102)])
def test_keep_priority_refuses(quantity: str | None, code: int) -> None:
    desk = Desk("binance")
    order_id = desk.place()
    amend = {"symbol": "BTCUSDT", "orderId": order_id} | ({"newQty": quantity} if quantity else {})
    assert body_of(desk.binance("PUT", "order/amend/keepPriority", amend))["code"] == code
    assert desk.world.records("amended") == []


def test_kraken_amends_in_place_with_the_same_ids() -> None:
    desk = Desk("kraken")
    order_id = desk.place(cl_ord_id=OLD_ID[:18])
    frames = listen(desk)
    answer = body_of(desk.kraken("AmendOrder", {"txid": order_id, "order_qty": "0.15", "limit_price": "49000"}))
    assert answer["error"] == []
    assert answer["result"]["amend_id"].startswith("T")
    shown = body_of(desk.kraken("OpenOrders", {}))["result"]["open"][order_id]
    assert (shown["vol"], shown["descr"]["price"], shown["cl_ord_id"]) == ("0.15000000", "49000.0", OLD_ID[:18])
    rows = [row for frame in frames() for row in frame.get("data", [])]
    assert [(row["exec_type"], row["order_id"], row["order_qty"], row["limit_price"]) for row in rows] == [
        ("amended", order_id, 0.15, 49000.0)
    ]
    by_client_id = {"cl_ord_id": OLD_ID[:18], "order_qty": "0.05"}
    assert body_of(desk.kraken("AmendOrder", by_client_id))["error"] == []
    assert [record["after"]["quantity"] for record in desk.world.records("amended")] == ["0.15", "0.05"]
    assert desk.world.engine.accounts["key1"].held["USDT"] == Decimal("0.05") * 49_000 * Decimal("1.004")


def test_kraken_amend_below_what_is_filled_cancels_the_rest() -> None:
    desk = Desk("kraken")
    order_id = desk.place()
    desk.world.engine.force_fill(desk.world.engine.accounts["key1"].orders[order_id], Decimal("0.04"))
    assert body_of(desk.kraken("AmendOrder", {"txid": order_id, "order_qty": "0.02"}))["error"] == []
    order = desk.world.engine.accounts["key1"].orders[order_id]
    assert (order.status, order.executed) == ("cancelled", Decimal("0.04"))


def test_kraken_amend_moves_a_trigger_and_may_trade() -> None:
    desk = Desk("kraken")
    stop = {"pair": "XBTUSDT", "type": "sell", "ordertype": "stop-loss", "volume": "0.5", "price": "58000"}
    stop_id = body_of(desk.kraken("AddOrder", stop))["result"]["txid"][0]
    assert body_of(desk.kraken("AmendOrder", {"txid": stop_id, "trigger_price": "55000"}))["error"] == []
    desk.move("57000")
    assert desk.open_ids() == [stop_id]
    limit_id = desk.place()
    desk.kraken("AmendOrder", {"txid": limit_id, "limit_price": "58000"})
    assert desk.world.engine.accounts["key1"].orders[limit_id].status == "filled"
    desk.move("55000")
    assert desk.world.engine.accounts["key1"].orders[stop_id].status == "filled"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"txid": "OAAAAA-BBBBB-CCCCCC", "order_qty": "1"}, "EOrder:Unknown order"),
        ({"order_qty": "5"}, "EOrder:Insufficient funds"),
        ({"order_qty": "0.00001"}, "EOrder:Order minimum not met"),
        ({"limit_price": "49000.01"}, "EOrder:Invalid price"),
        ({"limit_price": "61000", "post_only": "true"}, "EOrder:Post only order"),
        ({"order_qty": "0.1"}, "EOrder:Invalid order"),
        ({"trigger_price": "1"}, "EGeneral:Invalid arguments"),
        ({}, "EGeneral:Invalid arguments"),
        ({"order_qty": "0.2", "deadline": "2023-01-01T00:00:00Z"}, "EService:Deadline elapsed"),
    ],
)
def test_kraken_refuses_an_amendment_and_changes_nothing(changes: dict[str, str], error: str) -> None:
    desk = Desk("kraken")
    order_id = desk.place()
    answer = body_of(desk.kraken("AmendOrder", {"txid": order_id, **changes}))
    assert answer["error"][0].startswith(error)
    order = desk.world.engine.accounts["key1"].orders[order_id]
    assert (order.status, order.request.quantity, order.price) == ("new", Decimal("0.1"), Decimal(50_000))
    assert desk.world.records("amended") == []
