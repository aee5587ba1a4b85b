"""What is asked of Bybit for each order, and how its rows and frames are read; nothing is sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.venues.desk import SYMBOL
from venues.adapters import bybit_orders, bybit_rows, rows
from venues.messages import FillReport, Malformed, OrderReport, PlaceOrder


def order(**changes: Any) -> PlaceOrder:
    plain: dict[str, Any] = {
        "venue_client_id": "g1", "symbol": SYMBOL, "side": "sell", "type": "limit", "quantity": Decimal("0.10"),
        "price": Decimal("50000.0"), "time_in_force": "GTC", "stamp_ms": 1, "window_ms": 1,
    }  # fmt: skip
    return PlaceOrder(**(plain | changes))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (order(), {"orderType": "Limit", "price": "50000", "timeInForce": "GTC"}),
        (order(post_only=True), {"orderType": "Limit", "price": "50000", "timeInForce": "PostOnly"}),
        (order(time_in_force="IOC"), {"orderType": "Limit", "price": "50000", "timeInForce": "IOC"}),
        (order(type="market", price=None), {"orderType": "Market", "marketUnit": "baseCoin"}),
        (
            order(type="stop_limit", trigger_price=Decimal("51000")),
            {
                "orderType": "Limit", "price": "50000", "timeInForce": "GTC", "orderFilter": "tpslOrder",
                "triggerPrice": "51000",
            },
        ),
    ],
)  # fmt: skip
def test_requests(wanted: PlaceOrder, expected: dict[str, str]) -> None:
    common = {"category": "spot", "symbol": "BTCUSDT", "side": "Sell", "qty": "0.1"}
    assert bybit_orders.placement(wanted, "BTCUSDT") == common | expected


@pytest.mark.parametrize(
    ("side", "kind", "last", "is_refused"),
    [
        ("sell", "stop_limit", "101", False),
        ("sell", "stop_limit", "100", True),
        ("sell", "stop_limit", "99", True),
        ("buy", "stop_limit", "99", False),
        ("buy", "stop_limit", "100", True),
        ("sell", "take_profit_limit", "99", False),
        ("sell", "take_profit_limit", "101", True),
        ("buy", "take_profit_limit", "101", False),
        ("buy", "take_profit_limit", "99", True),
    ],
)
def test_a_trigger_the_market_has_passed_is_refused(side: str, kind: str, last: str, is_refused: bool) -> None:
    wanted = order(side=side, type=kind, trigger_price=Decimal(100))
    if is_refused:
        with pytest.raises(rows.RowError, match="beyond the trigger"):
            bybit_orders.refuse_a_passed_trigger(wanted, Decimal(last))
    else:
        bybit_orders.refuse_a_passed_trigger(wanted, Decimal(last))


ROW = {
    "symbol": "BTCUSDT", "orderId": "1", "orderLinkId": "g1", "side": "Buy", "orderType": "Limit", "stopOrderType": "",
    "price": "50000.0", "qty": "0.1", "marketUnit": "", "orderStatus": "New", "cumExecQty": "0", "triggerPrice": "0.0",
    "rejectReason": "EC_NoError", "createdTime": "1795200000000", "updatedTime": "1795200000001",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"status": "open", "type": "limit", "price": Decimal("50000"), "trigger_price": None, "reason": ""}),
        ({"orderStatus": "Untriggered", "stopOrderType": "StopOrder", "triggerPrice": "49000"},
         {"status": "open", "type": None, "price": Decimal("50000"), "trigger_price": Decimal("49000")}),
        ({"orderStatus": "PartiallyFilledCanceled", "cumExecQty": "0.04"},
         {"status": "cancelled", "filled_quantity": Decimal("0.04")}),
        ({"orderStatus": "Deactivated"}, {"status": "cancelled"}),
        ({"orderStatus": "Filled", "cumExecQty": "0.09"}, {"status": "cancelled"}),
        ({"orderStatus": "Rejected", "rejectReason": "EC_PostOnlyWillTakeLiquidity"},
         {"status": "rejected", "reason": "EC_PostOnlyWillTakeLiquidity"}),
        ({"orderType": "Market", "price": "0", "marketUnit": "baseCoin"}, {"price": None, "quantity": Decimal("0.1")}),
        ({"orderType": "Market", "price": "61800", "qty": "200"}, {"price": None, "quantity": None}),
        ({"orderType": "Market", "side": "Sell", "marketUnit": "quoteCoin", "qty": "200"}, {"quantity": None}),
        ({"orderType": "Market", "side": "Sell"}, {"type": "market", "quantity": Decimal("0.1")}),
    ],
)  # fmt: skip
def test_order_rows(changes: dict[str, str], expected: dict[str, Any]) -> None:
    report = bybit_rows.order(ROW | changes, str)
    assert {name: getattr(report, name) for name in expected} == expected


@pytest.mark.parametrize("changes", [{"orderStatus": "Pondering"}, {"orderType": "UNKNOWN"}, {"orderId": ""}])
def test_order_rows_nobody_can_read(changes: dict[str, str]) -> None:
    with pytest.raises(rows.RowError):
        bybit_rows.order(ROW | changes, str)


EXECUTION = {
    "symbol": SYMBOL, "orderId": "1", "orderLinkId": "g1", "side": "Buy", "execFee": "0.0001", "execId": "7", "execPrice": "50000",
    "execQty": "0.1", "execType": "Trade", "execValue": "5000", "execTime": "1795200000000", "isMaker": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "fee", "asset"),
    [
        ({"feeCurrency": "BTC"}, "0.0001", "BTC"),
        ({"feeCoin": "MNT"}, "0.0001", "MNT"),
        ({}, "0.0001", "BTC"),
        ({"side": "Sell", "execFee": "5"}, "5", "USDT"),
        ({"isMaker": True, "execFee": "-0.5"}, "-0.5", "USDT"),
        ({"isMaker": True, "execFee": "-0.00001", "side": "Sell"}, "-0.00001", "BTC"),
        ({"extraFees": ""}, "0.0001", "BTC"),
        ({"extraFees": [{"feeCoin": "BTC", "feeType": "GST", "fee": "0.00002"}]}, "0.00012", "BTC"),
    ],
)
def test_fees(changes: dict[str, Any], fee: str, asset: str) -> None:
    report = bybit_rows.fill(EXECUTION | changes, str, str)
    assert (report.fee, report.fee_asset, report.quote_quantity) == (Decimal(fee), asset, Decimal(5000))


@pytest.mark.parametrize(
    "changes",
    [
        {"extraFees": [{"feeCoin": "USDT", "fee": "1"}]},
        {"extraFees": "[{}]"},
        {"execType": "Funding"},
        {"isMaker": "true"},
        {"execQty": "0"},
    ],
)
def test_executions_nobody_can_book(changes: dict[str, Any]) -> None:
    with pytest.raises(rows.RowError):
        bybit_rows.fill(EXECUTION | changes, str, str)


def test_frames() -> None:
    def read(topic: str, data: Any) -> Any:
        return bybit_rows.frame({"topic": topic, "data": data}, str, str)

    assert [type(one) for one in read("order", [ROW, {}])] == [OrderReport, Malformed]
    assert [type(one) for one in read("execution.spot", [EXECUTION])] == [FillReport]
    coins = [
        {"coin": "BTC", "walletBalance": "1.5", "locked": "0.5"},
        {"coin": "USDT", "walletBalance": "-2", "locked": ""},
    ]
    wallet = read("wallet", [{"accountType": "UNIFIED", "coin": coins}])
    assert [(one.total, one.free, one.held) for one in wallet] == [(Decimal("1.5"), 1, Decimal("0.5")), (-2, -2, 0)]
    for topic, data in (("order", {}), ("wallet", [{"accountType": "CONTRACT", "coin": []}]), ("wallet", [])):
        assert [type(one) for one in read(topic, data)] == [Malformed]
    assert read("orderbook.50.BTCUSDT", {}) is None
    assert bybit_rows.frame({"op": "pong"}, str, str) is None
