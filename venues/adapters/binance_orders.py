"""Binance's order requests and the answers to a cancel-replace; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from project.lib import decimals
from venues import errors
from venues.adapters import binance_rows, rows
from venues.facts.shapes import Row
from venues.messages import AmendOrder, Answer, OrderReport, PlaceOrder

HALF_DONE, FAILED = "-2021", "-2022"
_TYPES = {
    "limit": "LIMIT",
    "market": "MARKET",
    "stop": "STOP_LOSS",
    "stop_limit": "STOP_LOSS_LIMIT",
    "take_profit": "TAKE_PROFIT",
    "take_profit_limit": "TAKE_PROFIT_LIMIT",
}


def terms(order: PlaceOrder | AmendOrder, market: str, quantity: Decimal) -> dict[str, Any]:
    """Return what a new order is: side, type, quantity, prices, time in force. Raises rows.RowError."""
    request: dict[str, Any] = {
        "symbol": market,
        "side": order.side.upper(),
        "type": _TYPES[order.type],
        "quantity": decimals.write(quantity),
        "newOrderRespType": "RESULT",
    }
    if order.trigger_price is not None:
        request["stopPrice"] = decimals.write(order.trigger_price)
    if order.price is not None:
        request["price"] = decimals.write(order.price)
        if not order.post_only:
            request["timeInForce"] = order.time_in_force
    if order.post_only:
        if order.type != "limit":
            raise rows.RowError("this venue has no post-only orders with a trigger")
        request["type"] = "LIMIT_MAKER"
    return request


def replacement(order: AmendOrder, market: str) -> dict[str, Any]:
    """Return a cancel-replace of an order of which nothing has filled. Raises rows.RowError for any other."""
    if order.filled_quantity:
        raise rows.RowError("only an order of which nothing has filled is replaced")
    request = terms(order, market, order.quantity)
    request["cancelReplaceMode"] = "STOP_ON_FAILURE"
    request["cancelRestrictions"] = "ONLY_NEW"  # a fill on the way would make the successor too large
    if order.venue_order_id is not None:
        request["cancelOrderId"] = order.venue_order_id
    else:
        request["cancelOrigClientOrderId"] = order.venue_client_id
    return request


def replaced(reply: Any, order: AmendOrder, symbol_of: binance_rows.SymbolOf) -> Answer:
    """Read the answer to a cancel-replace of which both halves succeeded. Raises rows.RowError."""
    if not isinstance(reply, Mapping) or (reply.get("cancelResult"), reply.get("newOrderResult")) != ("SUCCESS",) * 2:
        raise rows.RowError("the answer to cancelReplace lacks a result")
    old = binance_rows.cancelled(_half(reply, "cancelResponse"), symbol_of)
    new = binance_rows.order(_half(reply, "newOrderResponse"), symbol_of)
    if _is_another(old, order):
        raise rows.RowError("the venue answered about another order")
    return Answer(outcome="accepted", replaced="new_order", venue_order_id=new.venue_order_id, order=new)


def half_done(
    payload: Any, status: int, symbol_of: binance_rows.SymbolOf, decided: Callable[[errors.Action], Iterable[Row]]
) -> Answer | None:
    """Read the answer to a cancel-replace of which a half failed; None when its halves prove nothing."""
    data = payload.get("data") if isinstance(payload, Mapping) else None
    if not isinstance(data, Mapping) or status >= 500:
        return None
    results: tuple[Any, Any] = (data.get("cancelResult"), data.get("newOrderResult"))
    failed_key = "newOrderResponse" if results == ("SUCCESS", "FAILURE") else "cancelResponse"
    failed = data.get(failed_key)
    if results not in (("SUCCESS", "FAILURE"), ("FAILURE", "NOT_ATTEMPTED")) or not isinstance(failed, Mapping):
        return None
    code, message = str(failed.get("code", "")), str(failed.get("msg", ""))
    facts = errors.Facts(sent=True, status=status, parsed=True, venue_code=code, message=message)
    half: errors.Action = "submit" if failed_key == "newOrderResponse" else "cancel"
    verdict = errors.judge(half, "binance", facts, decided(half))
    if verdict.outcome not in ("rejected", "not_sent"):
        return None
    if failed_key == "cancelResponse":
        return Answer(
            outcome=verdict.outcome, code=verdict.code, message=message, venue_code=code, transient=verdict.transient
        )
    try:
        old = binance_rows.cancelled(_half(data, "cancelResponse"), symbol_of)
    except rows.RowError:
        return None
    return Answer(
        outcome="accepted", replaced="cancelled_only", venue_order_id=old.venue_order_id, order=old, code=verdict.code,
        message=message, venue_code=code,
    )  # fmt: skip


def _half(reply: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    half = reply.get(key)
    if not isinstance(half, Mapping):
        raise rows.RowError(f"{key} is not an object")
    return half


def _is_another(old: OrderReport, order: AmendOrder) -> bool:
    if order.venue_order_id is not None:
        return old.venue_order_id != order.venue_order_id
    return old.venue_client_id != order.venue_client_id
