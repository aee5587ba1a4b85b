"""OKX's raw rows and frames into our reports; pure and strict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from venues.adapters import rows
from venues.messages import BalanceReport, FillReport, Malformed, OrderReport, Permissions, PlaceOrder, VenueOrderStatus

SymbolOf = Callable[[str], str]
_STATUS: dict[str, VenueOrderStatus] = {
    "live": "open",
    "partially_filled": "open",
    "filled": "filled",
    "canceled": "cancelled",
    "mmp_canceled": "cancelled",
}
# "effective": triggered; what became of it is told by the order it placed.
_ALGO_STATUS: dict[str, VenueOrderStatus] = {
    "live": "open",
    "pause": "open",
    "effective": "open",
    "canceled": "cancelled",
    "order_failed": "rejected",
}
ALGO_TYPES = ("conditional", "move_order_stop")
_TYPES = {"post_only": "limit", "ioc": "limit", "fok": "limit", "optimal_limit_ioc": "market"}
_LIQUIDITY = {"M": "maker", "T": "taker"}


def data(reply: Any) -> list[Any]:
    """Return the rows of an answer. Raises rows.RowError."""
    found = reply.get("data") if isinstance(reply, Mapping) else None
    if not isinstance(found, list) or reply.get("code") != "0":
        raise rows.RowError("the answer has no data")
    return found


def only(reply: Any) -> Mapping[str, Any]:
    """Return the one row of an answer. Raises rows.RowError."""
    found = data(reply)
    if len(found) != 1 or not isinstance(found[0], Mapping):
        raise rows.RowError("one row was expected")
    return found[0]


def done(reply: Any, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the row that says a request was taken, about the order it was for. Raises rows.RowError."""
    row = only(reply)
    if row.get("sCode") != "0":
        raise rows.RowError("sCode is not 0")
    for name in ("ordId", "clOrdId", "algoId", "algoClOrdId"):
        if name in asked and row.get(name) != asked[name]:
            raise rows.RowError("the venue answered about another order")
    return row


def placed(row: Mapping[str, Any], key: str, order: PlaceOrder) -> OrderReport:
    """Read the answer to a submit, which names ids and nothing else. Raises rows.RowError."""
    return OrderReport(
        venue_order_id=rows.optional_text(row, key),
        venue_client_id=order.venue_client_id,
        symbol=order.symbol,
        status="open",
        side=order.side,
        type=order.type,
        price=order.price,
        trigger_price=order.trigger_price,
        quantity=order.quantity,
    )


def order(row: Mapping[str, Any], symbol_of: SymbolOf) -> OrderReport:
    """Read an order, or an algo order, as REST and the stream write it. Raises rows.RowError.

    An order that an algo order has placed goes under that one's ids.
    """
    kind, parent = rows.text(row, "ordType"), rows.optional_text(row, "algoId")
    if kind in ALGO_TYPES:
        return _algo(row, kind, symbol_of)
    side = rows.side(row, "side")
    in_quote = kind == "market" and side == "buy" and row.get("tgtCcy") == "quote_ccy"
    return OrderReport(
        venue_order_id=parent or rows.text(row, "ordId"),
        venue_client_id=rows.optional_text(row, "algoClOrdId" if parent else "clOrdId"),
        symbol=symbol_of(rows.text(row, "instId")),
        status=_status(row, _STATUS),
        side=side,
        type=None if parent else _TYPES.get(kind, kind),
        price=rows.optional_amount(row, "px") or None,
        quantity=None if in_quote else rows.amount(row, "sz"),
        filled_quantity=rows.optional_amount(row, "accFillSz"),
        occurred_at=rows.milliseconds(row, "uTime"),
        reason=rows.optional_text(row, "cancelSourceReason") or "",
    )


def fill(row: Mapping[str, Any], symbol_of: SymbolOf) -> FillReport:
    """Read one row of fills-history: a fee paid is negative there. Raises rows.RowError."""
    return _fill(row, symbol_of, "fee", "feeCcy", "ts")


def balance(row: Mapping[str, Any]) -> BalanceReport:
    """Read one asset of the trading account. Raises rows.RowError."""
    return BalanceReport(
        asset=rows.text(row, "ccy"),
        total=rows.signed(row, "cashBal"),
        free=rows.amount(row, "availBal"),
        held=rows.amount(row, "frozenBal"),
    )


def balances(reply: Any, source: str) -> list[Any]:
    """Read every asset of the trading account. Raises rows.RowError when there is no account in it."""
    details = only(reply).get("details")
    if not isinstance(details, list):
        raise rows.RowError("details is not a list")
    return rows.collect(source, details, balance)


def permissions(reply: Any) -> Permissions:
    """Read account/config. Raises rows.RowError."""
    row = only(reply)
    granted = rows.text(row, "perm").split(",")
    return Permissions(
        can_read=True,
        can_trade="trade" in granted,
        can_withdraw="withdraw" in granted,
        ip_restricted=bool(row.get("ip")),
        source="GET /api/v5/account/config",
    )


def frame(payload: Any, symbol_of: SymbolOf) -> list[Any] | None:
    """Read a frame of the private stream; None for one that carries no fact of ours."""
    argument = payload.get("arg") if isinstance(payload, Mapping) else None
    channel = argument.get("channel") if isinstance(argument, Mapping) else None
    if channel not in ("orders", "account") or "event" in payload:
        return None
    try:
        if channel == "account":
            return balances({"code": "0", "data": payload.get("data")}, "stream")
        found = data({"code": "0", "data": payload.get("data")})
    except rows.RowError as problem:
        return [rows.malformed("stream", str(problem), str(payload))]
    return [report for row in found for report in _update(row, symbol_of)]


def _update(row: Any, symbol_of: SymbolOf) -> list[Any]:
    """Return an order's news: the fill first, for an order that says "filled" before it would look like a gap."""
    told = rows.one("stream", row, lambda row: order(row, symbol_of))
    if not isinstance(row, Mapping) or not row.get("tradeId") or row.get("fillSz") in ("0", ""):
        return [told]
    booked = rows.one("stream", row, lambda row: _fill(row, symbol_of, "fillFee", "fillFeeCcy", "fillTime"))
    # An order's statement never counts without its fill; a fill stands whatever the status says.
    return [booked] if isinstance(booked, Malformed) else [booked, told]


def _algo(row: Mapping[str, Any], ordered: str, symbol_of: SymbolOf) -> OrderReport:
    is_trailing = ordered == "move_order_stop"
    prefix = "tp" if rows.optional_text(row, "tpTriggerPx") else "sl"
    limit = None if is_trailing else rows.optional_text(row, f"{prefix}OrdPx")
    is_market = limit in (None, "-1")
    kind = {"tp": "take_profit", "sl": "stop"}[prefix] + ("" if is_market else "_limit")
    trigger = rows.optional_amount(row, "moveTriggerPx" if is_trailing else f"{prefix}TriggerPx")
    return OrderReport(
        venue_order_id=rows.text(row, "algoId"),
        venue_client_id=rows.optional_text(row, "algoClOrdId"),
        symbol=symbol_of(rows.text(row, "instId")),
        status=_status(row, _ALGO_STATUS),
        side=rows.side(row, "side"),
        type="trailing_stop" if is_trailing else kind,
        price=None if is_market else rows.positive(row, f"{prefix}OrdPx"),
        trigger_price=trigger or None,
        quantity=rows.optional_amount(row, "sz"),
        occurred_at=rows.milliseconds(row, "uTime" if row.get("uTime") else "cTime"),
    )


def _fill(row: Mapping[str, Any], symbol_of: SymbolOf, fee_key: str, asset_key: str, time_key: str) -> FillReport:
    parent = rows.optional_text(row, "algoId")
    fee = -rows.signed(row, fee_key)
    liquidity: Any = _LIQUIDITY.get(rows.text(row, "execType"))
    if liquidity is None:
        raise rows.RowError("execType is unknown")
    return FillReport(
        venue_trade_id=rows.text(row, "tradeId"),
        venue_order_id=parent or rows.text(row, "ordId"),
        venue_client_id=rows.optional_text(row, "algoClOrdId" if parent else "clOrdId"),
        symbol=symbol_of(rows.text(row, "instId")),
        side=rows.side(row, "side"),
        price=rows.positive(row, "fillPx"),
        quantity=rows.positive(row, "fillSz"),
        quote_quantity=None,
        fee=fee,
        fee_asset=rows.text(row, asset_key) if fee else rows.optional_text(row, asset_key) or "",
        liquidity=liquidity,
        occurred_at=rows.milliseconds(row, time_key),
    )


def _status(row: Mapping[str, Any], known: Mapping[str, VenueOrderStatus]) -> VenueOrderStatus:
    status = known.get(rows.text(row, "state"))
    if status is None:
        raise rows.RowError("state is unknown")
    return status
