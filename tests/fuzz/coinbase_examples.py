"""What Coinbase really sends, one JSON tree per kind of message; the shapes of its own documents."""

from __future__ import annotations

from typing import Any

from tests.fuzz.names import OTHER, OURS

_AT = "2024-11-19T07:06:40.123456Z"
COINBASE_ID = "11111111-0000-4000-8000-000000000001"


def _order(**changes: Any) -> dict[str, Any]:
    return {
        "order_id": COINBASE_ID, "product_id": "BTC-USDT", "user_id": "2222-2", "side": "BUY", "client_order_id": OURS, "status": "OPEN",
        "order_configuration": {"limit_limit_gtc": {"base_size": "0.1", "limit_price": "50000", "post_only": False}},
        "time_in_force": "GOOD_UNTIL_CANCELLED", "created_time": _AT, "completion_percentage": "40.00", "filled_size": "0.04",
        "average_filled_price": "50000", "fee": "", "number_of_fills": "1", "filled_value": "2000", "pending_cancel": False,
        "size_in_quote": False, "total_fees": "12", "size_inclusive_of_fees": False, "total_value_after_fees": "2012",
        "trigger_status": "INVALID_ORDER_TYPE", "order_type": "LIMIT", "reject_reason": "REJECT_REASON_UNSPECIFIED", "settled": False,
        "product_type": "SPOT", "reject_message": "", "cancel_message": "", "last_fill_time": _AT, "last_update_time": None,
    } | changes  # fmt: skip


def _list(name: str, *found: Any) -> dict[str, Any]:
    return {name: list(found), "sequence": "0", "has_next": False, "cursor": ""}


def _frame(channel: str, *events: Any) -> dict[str, Any]:
    return {"channel": channel, "client_id": "", "timestamp": _AT, "sequence_num": 7, "events": list(events)}


def _update(**changes: Any) -> dict[str, Any]:
    return {
        "order_id": COINBASE_ID, "client_order_id": OURS, "product_id": "BTC-USDT", "order_side": "BUY", "order_type": "Limit",
        "status": "OPEN", "cumulative_quantity": "0.04", "leaves_quantity": "0.06", "completion_percentage": "40.00", "avg_price": "50000",
        "filled_value": "2000", "number_of_fills": "1", "total_fees": "12", "limit_price": "50000", "stop_price": "", "post_only": "false",
        "creation_time": _AT, "end_time": "0001-01-01T00:00:00Z", "cancel_reason": "", "reject_Reason": "", "reject_reason": "",
        "time_in_force": "GOOD_UNTIL_CANCELLED", "trigger_status": "INVALID_ORDER_TYPE", "product_type": "SPOT",
    } | changes  # fmt: skip


def _wallet(currency: str, free: str, held: str) -> dict[str, Any]:
    return {
        "uuid": f"8bfc20d7-{currency}", "name": f"{currency} Wallet", "currency": currency, "type": "ACCOUNT_TYPE_CRYPTO",
        "available_balance": {"value": free, "currency": currency}, "hold": {"value": held, "currency": currency},
        "default": False, "active": True, "created_at": _AT, "deleted_at": None, "ready": True,
    }  # fmt: skip


_FILL = {
    "entry_id": "22222-2222222-22222222", "trade_id": "551", "order_id": COINBASE_ID, "trade_time": _AT, "trade_type": "FILL",
    "price": "50000", "size": "0.04", "commission": "12", "product_id": "BTC-USDT", "sequence_timestamp": _AT,
    "liquidity_indicator": "MAKER", "size_in_quote": False, "user_id": "3333-3", "side": "BUY",
}  # fmt: skip
_STOP = {
    "base_size": "0.1",
    "limit_price": "48000",
    "stop_price": "49000",
    "stop_direction": "STOP_DIRECTION_STOP_DOWN",
}
COINBASE: dict[str, list[Any]] = {
    "stream": [
        _frame("user", {"type": "update", "orders": [_update()], "positions": {}}),
        _frame("user", {"type": "snapshot", "orders": [_update(), _update(order_id="7", client_order_id=OTHER)]}),
        _frame("user", {"type": "update", "orders": [_update(status="CANCELLED", leaves_quantity="0", cancel_reason="User")]}),
        _frame("user", {"type": "update", "orders": [
            _update(order_type="Stop Limit", stop_price="49000", cumulative_quantity="0", leaves_quantity="0.1"),
        ]}),
        _frame("user", {"type": "snapshot", "orders": []}),
        _frame("subscriptions", {"subscriptions": {"user": ["2222-2"], "heartbeats": ["heartbeats"]}}),
        _frame("heartbeats", {"current_time": "2024-11-19 07:06:40 +0000 UTC m=+1", "heartbeat_counter": "3049"}),
        {"type": "error", "message": "authentication failure"},
    ],
    "submit": [{
        "success": True, "failure_reason": "UNKNOWN_FAILURE_REASON", "order_id": COINBASE_ID,
        "success_response": {"order_id": COINBASE_ID, "product_id": "BTC-USDT", "side": "BUY", "client_order_id": OURS},
        "order_configuration": {"limit_limit_gtc": {"base_size": "0.1", "limit_price": "50000", "post_only": False}},
    }],
    "cancel": [{"results": [{"success": True, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON", "order_id": COINBASE_ID}]}],
    "open_orders": [
        _list("orders", _order(), _order(
            order_id="7", client_order_id=OTHER, side="SELL", filled_size="0", order_configuration={"stop_limit_stop_limit_gtc": _STOP},
        )),
        _list("orders", _order(
            status="FILLED", filled_size="0.1", order_configuration={"market_market_ioc": {"quote_size": "5000"}}, size_in_quote=True,
        )),
        _list("orders"),
    ],
    "fills": [
        _list("fills", _FILL, _FILL | {
            "entry_id": "33333", "trade_id": "552", "size": "2000", "size_in_quote": True, "side": "SELL", "liquidity_indicator": "TAKER",
        }),
        _list("fills"),
    ],
    "balances": [_list("accounts", _wallet("BTC", "1", "0.1"), _wallet("USDT", "9000", "0"), _wallet("BTC", "2", "0"))],
    "lookup": [
        _list("orders", _order()), _list("orders", _order(client_order_id=OTHER, order_id="7")),
        _list("orders"),
    ],
    "refused": [
        {"success": False, "failure_reason": "UNKNOWN_FAILURE_REASON", "order_id": "", "error_response": {
            "error": "INSUFFICIENT_FUND", "message": "Insufficient balance in source account", "error_details": "",
            "preview_failure_reason": "PREVIEW_INSUFFICIENT_FUND",
        }},
        {"results": [{"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER", "order_id": COINBASE_ID}]},
        {"error": "PERMISSION_DENIED", "error_details": "Missing required scopes", "message": "Missing required scopes"},
        {"error": "NOT_FOUND", "error_details": "order not found", "message": "order not found"},
    ],
}  # fmt: skip
