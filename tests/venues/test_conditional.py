"""Orders with a trigger or a time to live: what is asked for, and how venues' rows of them are read."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from venues import capabilities
from venues.adapters import binance_orders, binance_rows, checks, kraken_orders, kraken_rows, rows, unified
from venues.messages import PlaceOrder

EXPIRY = datetime(2026, 12, 1, 10, 0, 0, 900_000, UTC)
ALL_OF_CCXT = frozenset({"stopLossPrice", "triggerPrice", "takeProfitPrice", "trailingAmount"})


def order(**changes: Any) -> PlaceOrder:
    plain: dict[str, Any] = {
        "venue_client_id": "g1", "symbol": "BTC/USDT", "side": "sell", "type": "limit", "quantity": Decimal("0.1"),
        "price": None, "time_in_force": "GTC", "stamp_ms": 1, "window_ms": 1,
    }  # fmt: skip
    return PlaceOrder(**(plain | changes))


STOP = order(type="stop", trigger_price=Decimal("48000"))
STOP_LIMIT = order(type="stop_limit", trigger_price=Decimal("48000"), price=Decimal("47900"))
PROFIT = order(type="take_profit", trigger_price=Decimal("60000"))
PROFIT_LIMIT = order(type="take_profit_limit", trigger_price=Decimal("60000"), price=Decimal("59900"))
TRAILING = order(type="trailing_stop", trailing_offset=Decimal("150.5"))
DATED = order(price=Decimal("50000"), time_in_force="GTD", expires_at=EXPIRY)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (STOP, {"type": "STOP_LOSS", "stopPrice": "48000"}),
        (STOP_LIMIT, {"type": "STOP_LOSS_LIMIT", "stopPrice": "48000", "price": "47900", "timeInForce": "GTC"}),
        (PROFIT, {"type": "TAKE_PROFIT", "stopPrice": "60000"}),
        (PROFIT_LIMIT, {"type": "TAKE_PROFIT_LIMIT", "stopPrice": "60000", "price": "59900", "timeInForce": "GTC"}),
    ],
)
def test_binance_requests(wanted: PlaceOrder, expected: dict[str, str]) -> None:
    request = binance_orders.terms(wanted, "BTCUSDT", wanted.quantity)
    common = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.1", "newOrderRespType": "RESULT"}
    assert request == common | expected


def test_binance_has_no_maker_only_orders_with_a_trigger() -> None:
    wanted = order(type="stop_limit", trigger_price=Decimal("48000"), price=Decimal("47900"), post_only=True)
    with pytest.raises(rows.RowError, match="post-only"):
        binance_orders.terms(wanted, "BTCUSDT", wanted.quantity)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (STOP, {"ordertype": "stop-loss", "price": "48000"}),
        (STOP_LIMIT, {"ordertype": "stop-loss-limit", "price": "48000", "price2": "47900", "timeinforce": "GTC"}),
        (PROFIT, {"ordertype": "take-profit", "price": "60000"}),
        (PROFIT_LIMIT, {"ordertype": "take-profit-limit", "price": "60000", "price2": "59900", "timeinforce": "GTC"}),
        (TRAILING, {"ordertype": "trailing-stop", "price": "+150.5"}),
        (DATED, {"ordertype": "limit", "price": "50000", "timeinforce": "GTD", "expiretm": "1796119200"}),
    ],
)
def test_kraken_requests(wanted: PlaceOrder, expected: dict[str, str]) -> None:
    request = kraken_orders.placement(wanted, "XBTUSDT", 1_795_200_000_000)
    common = {"pair": "XBTUSDT", "type": "sell", "volume": "0.1", "deadline": "2026-11-20T18:40:00.000Z"}
    assert request == common | expected


@pytest.mark.parametrize(
    ("wanted", "kind", "expected"),
    [
        (STOP, "market", {"stopLossPrice": "48000"}),
        (STOP_LIMIT, "limit", {"stopLossPrice": "48000", "timeInForce": "GTC"}),
        (PROFIT_LIMIT, "limit", {"takeProfitPrice": "60000", "timeInForce": "GTC"}),
        (TRAILING, "market", {"trailingAmount": "150.5"}),
        (order(price=Decimal(1), post_only=True), "limit", {"timeInForce": "GTC", "postOnly": True}),
        (order(type="market"), "market", {}),
    ],
)
def test_the_general_way(wanted: PlaceOrder, kind: str, expected: dict[str, Any]) -> None:
    assert unified.kind_and_parameters(wanted, ALL_OF_CCXT) == (kind, expected)


def test_the_general_way_asks_only_for_what_ccxt_says_there_is() -> None:
    assert unified.kind_and_parameters(STOP, frozenset({"triggerPrice"}))[1] == {"triggerPrice": "48000"}
    for wanted in (STOP, PROFIT, TRAILING, DATED):
        with pytest.raises(rows.RowError):
            unified.kind_and_parameters(wanted, frozenset())


@pytest.mark.parametrize(
    ("exchange", "wanted"),
    [
        ("binance", TRAILING),
        ("binance", DATED),
        ("gemini", STOP),
        ("okx", DATED),
        ("kraken", order(type="stop", trigger_price=Decimal(1), price=Decimal(1))),
        ("kraken", order(type="stop_limit", price=Decimal(1))),
        ("kraken", order(type="trailing_stop")),
        ("kraken", order(price=Decimal(1), time_in_force="GTD")),
        ("kraken", order(type="market", price=Decimal(1))),
        ("kraken", order()),
    ],
)
def test_what_the_venue_lacks_or_the_order_is_refused(exchange: str, wanted: PlaceOrder) -> None:
    with pytest.raises(rows.RowError):
        checks.refuse_what_the_venue_lacks(capabilities.for_exchange(exchange), wanted)


def test_binance_rows_of_orders_with_a_trigger() -> None:
    row = {
        "symbol": "BTCUSDT", "orderId": "7", "clientOrderId": "g1", "price": "47900.00", "stopPrice": "48000.00",
        "origQty": "0.1", "executedQty": "0", "status": "NEW", "type": "STOP_LOSS_LIMIT", "side": "SELL",
    }  # fmt: skip
    report = binance_rows.order(row, str)
    assert (report.type, report.status, report.price, report.trigger_price) == (
        "stop_limit", "open", Decimal("47900"), Decimal("48000"),
    )  # fmt: skip
    market = binance_rows.order(row | {"type": "TAKE_PROFIT", "price": "0.00"}, str)
    assert (market.type, market.price) == ("take_profit", None)
    plain = binance_rows.order(row | {"type": "LIMIT", "stopPrice": "0.00"}, str)
    assert plain.trigger_price is None


EXECUTION = {
    "e": "executionReport", "s": "BTCUSDT", "c": "of-the-request", "C": "g1", "S": "SELL", "o": "STOP_LOSS_LIMIT", "q": "0.1",
    "p": "47900", "P": "48000", "x": "REPLACED", "X": "NEW", "r": "NONE", "i": "7", "z": "0", "T": "1795200000000",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "client_id"),
    [
        ({}, "g1"),
        ({"x": "CANCELED", "X": "CANCELED"}, "g1"),
        ({"x": "NEW", "C": "", "c": "g1"}, "g1"),
        ({"x": "NEW", "C": "null", "c": "g1"}, "g1"),
        ({"x": "NEW", "C": "", "c": ""}, None),
    ],
)
def test_nautilus_4923_a_binance_frame_names_the_order_and_not_the_request(changes: Any, client_id: str | None) -> None:
    (report,) = binance_rows.frame(EXECUTION | changes, str) or []
    assert (report.venue_client_id, report.type, report.trigger_price) == (client_id, "stop_limit", Decimal("48000"))


def test_a_binance_fill_names_the_order_too() -> None:
    trade = {"x": "TRADE", "X": "FILLED", "t": "5", "L": "47900", "l": "0.1", "n": "0", "N": None, "m": True}
    fill, _ = binance_rows.frame(EXECUTION | trade | {"C": "null", "c": "g1"}, str) or []
    assert fill.venue_client_id == "g1"


KRAKEN_ROW = {
    "status": "open", "opentm": "1795200000.5", "vol": "0.1", "vol_exec": "0", "stopprice": "47850.0",
    "descr": {"pair": "XBTUSDT", "type": "sell", "ordertype": "stop-loss-limit", "price": "48000", "price2": "47900"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("described", "kind", "price", "trigger"),
    [
        ({}, "stop_limit", "47900", "48000"),
        ({"ordertype": "take-profit", "price2": "0"}, "take_profit", None, "48000"),
        ({"ordertype": "trailing-stop", "price": "+150.0", "price2": "0"}, "trailing_stop", None, "47850"),
        ({"ordertype": "limit", "price2": "0"}, "limit", "48000", None),
        ({"ordertype": "market", "price": "0", "price2": "0"}, "market", None, None),
    ],
)
def test_kraken_rows(described: dict[str, str], kind: str, price: str | None, trigger: str | None) -> None:
    report = kraken_rows.order("O1", KRAKEN_ROW | {"descr": KRAKEN_ROW["descr"] | described}, str)  # type: ignore[operator]
    wanted = (kind, price and Decimal(price), trigger and Decimal(trigger))
    assert (report.type, report.price, report.trigger_price) == wanted


def test_an_amended_kraken_order_is_still_open_with_its_new_values() -> None:
    row = {
        "order_id": "O1", "cl_ord_id": "g1", "symbol": "BTC/USDT", "exec_type": "amended", "order_status": "new",
        "order_type": "stop-loss-limit", "order_qty": "0.2", "cum_qty": "0", "limit_price": "47800",
        "triggers": {"price": "48100", "reference": "last"}, "side": "sell", "timestamp": "2026-11-21T05:00:00.1Z",
    }  # fmt: skip
    (report,) = kraken_rows.frame({"channel": "executions", "type": "update", "data": [row]}) or []
    assert (report.status, report.type, report.quantity) == ("open", "stop_limit", Decimal("0.2"))
    assert (report.price, report.trigger_price) == (Decimal("47800"), Decimal("48100"))
    trailing = {"price": 150, "price_type": "quote", "actual_price": "47950"}
    moved = row | {"order_type": "trailing-stop", "triggers": trailing, "limit_price": None}
    (report,) = kraken_rows.frame({"channel": "executions", "type": "update", "data": [moved]}) or []
    assert (report.type, report.price, report.trigger_price) == ("trailing_stop", None, Decimal("47950"))
