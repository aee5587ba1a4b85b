"""What each dialect really sends, one JSON tree per kind of message; the shapes of the venues' own documents."""

from __future__ import annotations

from typing import Any

from tests.fuzz.coinbase_examples import COINBASE, COINBASE_ID
from tests.fuzz.deribit_examples import DERIBIT
from tests.fuzz.names import OTHER, OURS

VENUE_ORDER_ID = {
    "binance": "28457001", "kraken": "OQCLML-BW3P3-BUCMWZ", "bybit": "1321052653536515584", "okx": "312269865356374016",
    "coinbase": COINBASE_ID, "unified": "312269865356374016", "deribit": "BTC-584849853",
}  # fmt: skip
_AT = 1_732_000_000_000


def _binance_order(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "orderId": 28457001, "orderListId": -1, "clientOrderId": OURS, "price": "50000.00000000",
        "origQty": "0.10000000", "executedQty": "0.04000000", "cummulativeQuoteQty": "2000.00000000", "status": "PARTIALLY_FILLED",
        "timeInForce": "GTC", "type": "LIMIT", "side": "BUY", "stopPrice": "0.00000000", "icebergQty": "0.00000000",
        "time": _AT, "updateTime": _AT + 5, "isWorking": True, "workingTime": _AT, "selfTradePreventionMode": "NONE",
    } | changes  # fmt: skip


def _binance_event(**changes: Any) -> dict[str, Any]:
    return {
        "subscriptionId": 0,
        "event": {
            "e": "executionReport", "E": _AT, "s": "BTCUSDT", "c": OURS, "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "0.10000000",
            "p": "50000.00000000", "P": "0.00000000", "F": "0.00000000", "g": -1, "C": "", "x": "NEW", "X": "NEW", "r": "NONE",
            "i": 28457001, "l": "0.00000000", "z": "0.00000000", "L": "0.00000000", "n": "0", "N": None, "T": _AT, "t": -1, "I": 5,
            "w": True, "m": False, "M": False, "O": _AT, "Z": "0.00000000", "Y": "0.00000000", "Q": "0.00000000", "W": _AT, "V": "NONE",
        } | changes,
    }  # fmt: skip


_BINANCE_TRADE = {
    "symbol": "BTCUSDT", "id": 551, "orderId": 28457001, "orderListId": -1, "price": "50000.00000000", "qty": "0.04000000",
    "quoteQty": "2000.00000000", "commission": "0.00004000", "commissionAsset": "BTC", "time": _AT, "isBuyer": True,
    "isMaker": True, "isBestMatch": True,
}  # fmt: skip
_FILL = {
    "x": "TRADE",
    "X": "PARTIALLY_FILLED",
    "l": "0.04000000",
    "z": "0.04000000",
    "L": "50000.0",
    "n": "0.00004",
    "N": "BTC",
    "t": 551,
}
BINANCE: dict[str, list[Any]] = {
    "stream": [
        _binance_event(),
        _binance_event(**_FILL, m=True),
        _binance_event(**_FILL | {"X": "FILLED", "z": "0.1", "l": "0.1", "n": "0", "N": None}),
        _binance_event(x="CANCELED", X="CANCELED", c="web_9f2", C=OURS),
        _binance_event(x="EXPIRED", X="EXPIRED", o="MARKET", p="0.00000000", f="IOC"),
        _binance_event(x="EXPIRED", X="EXPIRED_IN_MATCH", o="LIMIT_MAKER"),
        _binance_event(o="STOP_LOSS_LIMIT", P="49000.00000000", f="GTC"),
        _binance_event(o="TAKE_PROFIT", P="61000.00000000", d=4, D=_AT),
        _binance_event(x="REJECTED", X="REJECTED", r="INSUFFICIENT_BALANCE"),
        {"subscriptionId": 0, "event": {
            "e": "outboundAccountPosition", "E": _AT, "u": _AT,
            "B": [{"a": "BTC", "f": "1.00000000", "l": "0.10000000"}, {"a": "USDT", "f": "9000.00000000", "l": "0.00000000"}],
        }},
        {"subscriptionId": 0, "event": {"e": "balanceUpdate", "E": _AT, "a": "USDT", "d": "-5.00000000", "T": _AT}},
        {"id": "1", "status": 200, "result": {"subscriptionId": 0}},
    ],
    "submit": [
        {key: value for key, value in _binance_order().items() if key not in ("time", "updateTime")} | {"transactTime": _AT},
        _binance_order(type="MARKET", price="0.00000000", status="FILLED", executedQty="0.10000000"),
    ],
    "cancel": [_binance_order(status="CANCELED", clientOrderId="web_9f2", origClientOrderId=OURS, transactTime=_AT)],
    "open_orders": [[_binance_order(), _binance_order(orderId=28457002, clientOrderId=OTHER, side="SELL", type="STOP_LOSS_LIMIT")], []],
    "fills": [[_BINANCE_TRADE, _BINANCE_TRADE | {"id": 552, "isBuyer": False, "isMaker": False}], []],
    "balances": [{"makerCommission": 10, "canTrade": True, "accountType": "SPOT", "balances": [
        {"asset": "BTC", "free": "1.00000000", "locked": "0.10000000"}, {"asset": "USDT", "free": "9000.0", "locked": "0"},
    ]}],
    "lookup": [_binance_order(), [_binance_order(clientOrderId=OTHER, orderId=7), _binance_order()], []],
    "refused": [
        {"code": -2010, "msg": "Account has insufficient balance for requested action."},
        {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."},
        {"code": -2013, "msg": "Order does not exist."}, {"code": -1007, "msg": "Timeout waiting for response."},
    ],
}  # fmt: skip


def _kraken_order(**changes: Any) -> dict[str, Any]:
    return {
        "refid": None, "userref": None, "cl_ord_id": OURS, "status": "open", "opentm": 1732000000.1234, "starttm": 0, "expiretm": 0,
        "descr": {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "price": "50000.0", "price2": "0", "leverage": "none",
                  "order": "buy 0.10000000 XBTUSDT @ limit 50000.0", "close": ""},
        "vol": "0.10000000", "vol_exec": "0.04000000", "cost": "2000.0", "fee": "3.2", "price": "50000.0", "stopprice": "0.0",
        "limitprice": "0.0", "misc": "", "oflags": "fciq",
    } | changes  # fmt: skip


def _kraken_result(value: Any) -> dict[str, Any]:
    return {"error": [], "result": value}


def _kraken_row(**changes: Any) -> dict[str, Any]:
    return {
        "timestamp": "2024-11-19T07:06:40.123456Z", "order_status": "new", "exec_type": "new", "order_userref": 0,
        "order_id": "OQCLML-BW3P3-BUCMWZ", "cl_ord_id": OURS, "cum_qty": 0, "cum_cost": 0, "avg_price": 0, "fee_usd_equiv": 0,
    } | changes  # fmt: skip


_KRAKEN_WHOLE = {
    "symbol": "BTC/USDT", "order_qty": 0.1, "time_in_force": "GTC", "side": "buy", "order_type": "limit", "post_only": False,
    "limit_price_type": "static", "limit_price": 50000.0, "fee_ccy_pref": "fciq",
}  # fmt: skip
_KRAKEN_FILL = _kraken_row(
    exec_type="trade", order_status="partially_filled", cum_qty=0.04, exec_id="TKH2SE-M7IF5-CFI7LT", trade_id=551, symbol="BTC/USDT",
    side="buy", order_qty=0.1, last_qty=0.04, last_price=50000.0, liquidity_ind="m", cost=2000.0, order_type="limit",
    fees=[{"asset": "USDT", "qty": 3.2}],
)  # fmt: skip
_KRAKEN_TRADE = {
    "ordertxid": "OQCLML-BW3P3-BUCMWZ", "postxid": "TKH2SE-M7IF5-CFI7LT", "pair": "XBTUSDT", "time": 1732000000.5, "type": "buy",
    "ordertype": "limit", "price": "50000.0", "cost": "2000.0", "fee": "3.2", "vol": "0.04", "margin": "0.0", "leverage": "0",
    "misc": "", "trade_id": 551, "maker": True,
}  # fmt: skip


def _kraken_frame(*rows: Any, kind: str = "update") -> dict[str, Any]:
    return {"channel": "executions", "type": kind, "data": list(rows), "sequence": 7}


KRAKEN: dict[str, list[Any]] = {
    "stream": [
        _kraken_frame(_kraken_row(order_status="pending_new", exec_type="pending_new") | _KRAKEN_WHOLE, _kraken_row()),
        _kraken_frame(_KRAKEN_FILL),
        _kraken_frame(_KRAKEN_FILL, _kraken_row(exec_type="filled", order_status="filled", cum_qty=0.1)),
        _kraken_frame(_kraken_row(exec_type="canceled", order_status="canceled", reason="User requested")),
        _kraken_frame(_kraken_row(exec_type="expired", order_status="expired", reason="GTD")),
        _kraken_frame(_kraken_row(**_KRAKEN_WHOLE | {"order_type": "stop-loss-limit"}), kind="snapshot"),
        {"channel": "heartbeat"},
        {"method": "pong", "req_id": 1, "time_in": "2024-11-19T07:06:40.1Z", "time_out": "2024-11-19T07:06:40.2Z"},
        {"channel": "status", "type": "update", "data": [{"system": "online", "version": "2.0.9"}]},
    ],
    "submit": [_kraken_result({"txid": ["OQCLML-BW3P3-BUCMWZ"], "descr": {"order": "buy 0.1 XBTUSDT @ limit 50000.0"}})],
    "cancel": [_kraken_result({"count": 1}), _kraken_result({"count": 0, "pending": True})],
    "open_orders": [
        _kraken_result({"open": {
            "OQCLML-BW3P3-BUCMWZ": _kraken_order(), "OB5VMB-B4U2U-DK2WRW": _kraken_order(cl_ord_id=OTHER, userref=9),
        }}),
        _kraken_result({"open": {}}),
    ],
    "fills": [_kraken_result({"count": 1, "trades": {"TKH2SE-M7IF5-CFI7LT": _KRAKEN_TRADE}}), _kraken_result({"count": 0, "trades": {}})],
    "balances": [_kraken_result({
        "XXBT": {"balance": "1.1", "hold_trade": "0.1"}, "USDT": {"balance": "9000.0", "hold_trade": "0"}, "ZUSD": {"balance": "0"},
    })],
    "lookup": [
        _kraken_result({"open": {"OQCLML-BW3P3-BUCMWZ": _kraken_order()}, "closed": {}}),
        _kraken_result({"open": {}, "closed": {"OQCLML-BW3P3-BUCMWZ": _kraken_order(status="closed", vol_exec="0.1", closetm=1732000009.5)}}),
        _kraken_result({"open": {}, "closed": {"OQCLML-BW3P3-BUCMWZ": _kraken_order(status="canceled", reason="User requested")}}),
        _kraken_result({"open": {}, "closed": {}}),
    ],
    "refused": [
        {"error": ["EOrder:Insufficient funds"]}, {"error": ["EService:Deadline elapsed"]}, {"error": ["EAPI:Invalid nonce"]},
        {"error": ["EOrder:Unknown order"]}, {"error": ["EService:Timeout"], "result": {}},
    ],
}  # fmt: skip


def _bybit(result: Any, **changes: Any) -> dict[str, Any]:
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": _AT} | changes


def _bybit_list(*found: Any) -> dict[str, Any]:
    return _bybit({"category": "spot", "list": list(found), "nextPageCursor": ""})


def _bybit_order(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "orderId": "1321052653536515584", "orderLinkId": OURS, "blockTradeId": "", "side": "Buy",
        "orderType": "Limit", "stopOrderType": "", "price": "50000.0", "qty": "0.100000", "marketUnit": "", "timeInForce": "GTC",
        "orderStatus": "PartiallyFilled", "cancelType": "UNKNOWN", "rejectReason": "EC_NoError", "avgPrice": "50000", "leavesQty": "0.060000",
        "leavesValue": "3000", "cumExecQty": "0.040000", "cumExecValue": "2000", "cumExecFee": "0.00004", "cumFeeDetail": {"BTC": "0.00004"},
        "triggerPrice": "0.0", "triggerDirection": 0, "isLeverage": "0", "positionIdx": 0, "reduceOnly": False, "smpGroup": 0,
        "createdTime": str(_AT), "updatedTime": str(_AT + 5),
    } | changes  # fmt: skip


def _bybit_execution(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "orderId": "1321052653536515584", "orderLinkId": OURS, "side": "Buy", "orderPrice": "50000.0",
        "orderQty": "0.100000", "leavesQty": "0.060000", "orderType": "Limit", "stopOrderType": "", "execFee": "0.00004",
        "execId": "2210000000101610464", "execPrice": "50000.0", "execQty": "0.040000", "execType": "Trade", "execValue": "2000",
        "execTime": str(_AT), "feeCurrency": "BTC", "isMaker": True, "feeRate": "0.001", "seq": 4688002127, "extraFees": "",
    } | changes  # fmt: skip


_BYBIT_COINS = {"accountType": "UNIFIED", "totalEquity": "60000", "coin": [
    {"coin": "BTC", "equity": "1.1", "walletBalance": "1.1", "locked": "0.1", "availableToWithdraw": "", "borrowAmount": "0", "bonus": "0"},
    {"coin": "USDT", "equity": "9000", "walletBalance": "9000", "locked": "0", "usdValue": "9000", "marginCollateral": True},
]}  # fmt: skip


def _bybit_frame(topic: str, *data: Any) -> dict[str, Any]:
    return {"id": "5923240c6880ab-c59f-420b-9adb-3639adc9dd90", "topic": topic, "creationTime": _AT, "data": list(data)}


_BYBIT_IDS = _bybit({"orderId": "1321052653536515584", "orderLinkId": OURS})
BYBIT: dict[str, list[Any]] = {
    "stream": [
        _bybit_frame("order.spot", _bybit_order(category="spot", orderStatus="New", cumExecQty="0", cumExecValue="0", avgPrice="")),
        _bybit_frame("execution.spot", _bybit_execution(category="spot", isLeverage="0")),
        _bybit_frame("execution.spot", _bybit_execution(execFee="-0.2", feeCurrency="", extraFees=[{
            "feeCoin": "USDT", "feeType": "GST", "subFeeType": "IND_GST", "feeRate": "0.0000675", "fee": "0.006403779",
        }])),
        _bybit_frame("order.spot", _bybit_order(orderStatus="Filled", cumExecQty="0.100000"), _bybit_order(orderStatus="Rejected", cumExecQty="0")),
        _bybit_frame("order.spot", _bybit_order(orderStatus="PartiallyFilledCanceled", cancelType="CancelByUser")),
        _bybit_frame("order.spot", _bybit_order(orderType="Market", price="0", marketUnit="baseCoin", timeInForce="IOC")),
        _bybit_frame("order.spot", _bybit_order(orderStatus="Untriggered", stopOrderType="tpslOrder", triggerPrice="49000.0")),
        _bybit_frame("wallet", _BYBIT_COINS),
        {"success": True, "ret_msg": "", "op": "auth", "conn_id": "cejreaspqfh3sjdnldmg-p"},
        {"req_id": "2", "op": "pong", "args": ["1732000000000"], "conn_id": "cejreaspqfh3sjdnldmg-p"},
        {"success": True, "ret_msg": "", "op": "subscribe", "conn_id": "cejreaspqfh3sjdnldmg-p"},
    ],
    "submit": [_BYBIT_IDS],
    "cancel": [_BYBIT_IDS],
    "open_orders": [_bybit_list(_bybit_order(), _bybit_order(orderId="7", orderLinkId=OTHER, stopOrderType="StopOrder")), _bybit_list()],
    "fills": [_bybit_list(_bybit_execution(), _bybit_execution(execId="552", side="Sell", isMaker=False)), _bybit_list()],
    "balances": [_bybit({"list": [_BYBIT_COINS]})],
    "lookup": [_bybit_list(_bybit_order()), _bybit_list(_bybit_order(orderLinkId=OTHER, orderId="7")), _bybit_list()],
    "refused": [
        _bybit({}, retCode=170131, retMsg="Insufficient balance."), _bybit({}, retCode=170213, retMsg="Order does not exist."),
        _bybit({}, retCode=10002, retMsg="invalid request, please check your server timestamp or recv_window param."),
        _bybit({}, retCode=10016, retMsg="Server error."),
    ],
}  # fmt: skip


def _okx(*rows: Any) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": list(rows)}


def _okx_order(**changes: Any) -> dict[str, Any]:
    return {
        "instType": "SPOT", "instId": "BTC-USDT", "ordId": "312269865356374016", "clOrdId": OURS, "tag": "", "px": "50000", "sz": "0.1",
        "pnl": "0", "ordType": "limit", "side": "buy", "posSide": "net", "tdMode": "cash", "accFillSz": "0.04", "fillPx": "50000",
        "tradeId": "551", "fillSz": "0.04", "fillTime": str(_AT), "state": "partially_filled", "avgPx": "50000", "lever": "",
        "feeCcy": "BTC", "fee": "-0.00004", "rebateCcy": "USDT", "rebate": "0", "tgtCcy": "", "category": "normal", "reduceOnly": "false",
        "cTime": str(_AT), "uTime": str(_AT + 5), "source": "",
    } | changes  # fmt: skip


_OKX_TRADE = {
    "side": "buy", "fillSz": "0.04", "fillPx": "50000", "fee": "-0.00004", "ordId": "312269865356374016", "instType": "SPOT",
    "instId": "BTC-USDT", "clOrdId": OURS, "posSide": "net", "billId": "312269865356374020", "tag": "", "execType": "M",
    "tradeId": "551", "feeCcy": "BTC", "ts": str(_AT),
}  # fmt: skip
UNIFIED: dict[str, list[Any]] = {
    "submit": [_okx({"clOrdId": OURS, "ordId": "312269865356374016", "tag": "", "sCode": "0", "sMsg": ""})],
    "cancel": [_okx({"clOrdId": OURS, "ordId": "312269865356374016", "sCode": "0", "sMsg": ""})],
    "open_orders": [_okx(_okx_order(), _okx_order(ordId="7", clOrdId=OTHER, ordType="post_only", state="live")), _okx()],
    "fills": [_okx(_OKX_TRADE, _OKX_TRADE | {"tradeId": "552", "billId": "3", "execType": "T", "side": "sell"}), _okx()],
    "balances": [_okx({"adjEq": "", "details": [
        {"ccy": "BTC", "cashBal": "1.1", "availBal": "1", "availEq": "", "frozenBal": "0.1", "eq": "1.1", "ordFrozen": "0.1", "uTime": str(_AT)},
        {"ccy": "USDT", "cashBal": "9000", "availBal": "9000", "availEq": "", "frozenBal": "0", "eq": "9000", "ordFrozen": "0", "uTime": str(_AT)},
    ], "totalEq": "", "uTime": str(_AT)})],
    "lookup": [_okx(_okx_order()), _okx(_okx_order(clOrdId=OTHER, ordId="7")), _okx()],
    "refused": [
        {"code": "1", "msg": "All operations failed", "data": [{"clOrdId": OURS, "ordId": "", "sCode": "51008", "sMsg": "Insufficient balance"}]},
        {"code": "50011", "msg": "Rate limit reached", "data": []}, {"code": "51603", "msg": "Order does not exist", "data": []},
        {"code": "50102", "msg": "Timestamp request expired", "data": []},
    ],
}  # fmt: skip


def _okx_frame(channel: str, *rows: Any, **more: Any) -> dict[str, Any]:
    return {"arg": {"channel": channel, "instType": "SPOT", "uid": "1"}, "data": list(rows)} | more


_OKX_NEWS = _okx_order(
    state="live", accFillSz="0", fillPx="", fillSz="0", tradeId="", fillTime="", fillFee="0", fillFeeCcy="", execType="",
    amendResult="", reqId="", code="0", msg="", algoId="", algoClOrdId="", cancelSource="", cancelSourceReason="",
)  # fmt: skip
_OKX_FILL = _OKX_NEWS | {
    "state": "partially_filled", "accFillSz": "0.04", "fillPx": "50000", "fillSz": "0.04", "tradeId": "551",
    "fillTime": str(_AT), "fillFee": "-0.00004", "fillFeeCcy": "BTC", "execType": "M",
}  # fmt: skip
_OKX_ALGO = {
    "algoId": "681096944655273984", "algoClOrdId": OTHER, "ordId": "", "ordIdList": [], "instType": "SPOT", "instId": "BTC-USDT",
    "ordType": "conditional", "side": "sell", "sz": "0.1", "slTriggerPx": "48000", "slOrdPx": "-1", "tpTriggerPx": "", "tpOrdPx": "",
    "state": "live", "actualSz": "", "actualPx": "", "callbackSpread": "", "moveTriggerPx": "", "cTime": str(_AT), "uTime": str(_AT),
}  # fmt: skip
OKX = UNIFIED | {
    "stream": [
        _okx_frame("orders", _OKX_NEWS),
        _okx_frame("orders", _OKX_FILL),
        _okx_frame("orders", _OKX_FILL | {"state": "filled", "accFillSz": "0.1", "execType": "T", "fillFee": "0.00001"}),
        _okx_frame("orders", _OKX_NEWS | {"state": "canceled", "cancelSource": "1", "cancelSourceReason": "canceled by user"}),
        _okx_frame("orders", _OKX_FILL | {"clOrdId": "", "algoId": "681096944655273984", "algoClOrdId": OURS, "ordType": "market", "px": ""}),
        _okx_frame("orders", _OKX_NEWS | {"amendResult": "0", "px": "49000", "ordType": "post_only"}),
        _okx_frame("account", UNIFIED["balances"][0]["data"][0], eventType="event_update", curPage=1, lastPage=True),
        {"event": "login", "code": "0", "msg": "", "connId": "a4d3ae55"},
        {"event": "subscribe", "arg": {"channel": "account"}, "connId": "a4d3ae55"},
        {"event": "channel-conn-count", "channel": "orders", "connCount": "1", "connId": "a4d3ae55"},
    ],
    "open_orders": [*UNIFIED["open_orders"], _okx(
        _OKX_ALGO, _OKX_ALGO | {"slTriggerPx": "", "slOrdPx": "", "tpTriggerPx": "61000", "tpOrdPx": "60900"},
        _OKX_ALGO | {"ordType": "move_order_stop", "slTriggerPx": "", "slOrdPx": "", "callbackSpread": "150", "moveTriggerPx": "49850"},
    )],
}  # fmt: skip
EXAMPLES = {
    "binance": BINANCE, "kraken": KRAKEN, "bybit": BYBIT, "okx": OKX, "coinbase": COINBASE, "deribit": DERIBIT, "unified": UNIFIED,
}  # fmt: skip
SURFACES = ("stream", "submit", "cancel", "open_orders", "fills", "balances", "lookup")


def of(dialect: str, surface: str) -> list[Any]:
    """Return the messages of one surface; a read or an order may be refused as well."""
    found = EXAMPLES[dialect].get(surface, [])
    return found if surface == "stream" else found + EXAMPLES[dialect]["refused"]


def surfaces(dialect: str) -> list[str]:
    """Return the surfaces a dialect has: the general way reads no stream."""
    return [surface for surface in SURFACES if surface in EXAMPLES[dialect]]
