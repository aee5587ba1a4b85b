"""Messages of Deribit as it sends them, for the fuzzer to spoil."""

from __future__ import annotations

from typing import Any

from tests.fuzz.names import OTHER, OURS

_AT = 1_732_000_000_000


def _deribit(result: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "result": result,
        "usIn": _AT * 1000,
        "usOut": _AT * 1000 + 5,
        "usDiff": 5,
        "testnet": False,
    }


def _deribit_error(code: int, message: str, **data: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": {"code": code, "message": message, "data": data}, "testnet": False}


def _deribit_order(**changes: Any) -> dict[str, Any]:
    return {
        "order_id": "BTC-584849853", "order_state": "open", "order_type": "limit", "instrument_name": "BTC_USDT",
        "direction": "buy", "price": 50000.0, "amount": 0.1, "filled_amount": 0.04, "average_price": 50000.0,
        "time_in_force": "good_til_cancelled", "post_only": False, "reduce_only": False, "label": OURS, "replaced": False,
        "creation_timestamp": _AT, "last_update_timestamp": _AT + 5, "commission": 2.5e-7, "max_show": 0.1, "api": True,
        "web": False, "mmp": False, "is_liquidation": False, "contracts": 1.0,
    } | changes  # fmt: skip


_DERIBIT_TRADE = {
    "trade_id": "BTC-219381310", "trade_seq": 149546319, "timestamp": _AT, "instrument_name": "BTC_USDT", "direction": "buy",
    "price": 50000.0, "amount": 0.04, "fee": 2.5e-7, "fee_currency": "BTC", "order_id": "BTC-584849853", "order_type": "limit",
    "state": "open", "label": OURS, "liquidity": "M", "mark_price": 50000.1, "index_price": 50000.2, "tick_direction": 0,
    "self_trade": False, "matching_id": None, "post_only": False, "reduce_only": False,
}  # fmt: skip
_DERIBIT_CONTRACT = _DERIBIT_TRADE | {"instrument_name": "BTC-PERPETUAL", "amount": 10.0, "profit_loss": -1.2e-7}


def _deribit_notice(channel: str, data: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}}


DERIBIT: dict[str, list[Any]] = {
    "stream": [
        _deribit_notice("user.orders.any.any.raw", _deribit_order(filled_amount=0.0)),
        _deribit_notice("user.orders.any.any.100ms", [_deribit_order(order_state="cancelled", cancel_reason="user_request")]),
        _deribit_notice("user.trades.any.any.raw", [_DERIBIT_TRADE, _DERIBIT_CONTRACT]),
        _deribit_notice("user.portfolio.btc", {
            "currency": "BTC", "balance": 1.5, "session_rpl": -1e-8, "initial_margin": 0.1, "spot_reserve": 0.0, "equity": 1.6,
        }),
        _deribit_notice("book.BTC-PERPETUAL.100ms", {"type": "change", "change_id": 2, "prev_change_id": 1, "bids": [], "asks": []}),
        {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}},
        {"jsonrpc": "2.0", "id": 900001, "result": ["user.orders.any.any.raw"]},
    ],
    "submit": [
        _deribit({"order": _deribit_order(), "trades": [_DERIBIT_TRADE]}),
        _deribit({"order": _deribit_order(order_type="market", price="market_price", order_state="filled", filled_amount=0.1), "trades": []}),
    ],
    "cancel": [_deribit(_deribit_order(order_state="cancelled"))],
    "open_orders": [_deribit([_deribit_order(), _deribit_order(order_id="ETH-9", label=OTHER, direction="sell")]), _deribit([])],
    "fills": [_deribit({"trades": [_DERIBIT_TRADE, _DERIBIT_CONTRACT], "has_more": False}), _deribit({"trades": [], "has_more": False})],
    "balances": [_deribit({"id": 1, "summaries": [
        {"currency": "BTC", "balance": 1.1, "session_rpl": 0.0, "initial_margin": 0.1, "spot_reserve": 0.01, "equity": 1.1},
        {"currency": "USDT", "balance": 9000.0, "initial_margin": 0.0, "equity": 9000.0},
    ]})],
    "lookup": [_deribit([_deribit_order()]), _deribit([_deribit_order(order_state="filled", filled_amount=0.1)]), _deribit([])],
    "refused": [
        _deribit_error(10009, "not_enough_funds"), _deribit_error(13888, "timed_out"), _deribit_error(10004, "order_not_found"),
        _deribit_error(-32602, "Invalid params", reason="must conform to tick size", param="price"),
        _deribit_error(10028, "too_many_requests", wait=1),
    ],
}  # fmt: skip
