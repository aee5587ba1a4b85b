"""Bybit's raw rows and frames into our reports; pure and strict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from project.lib import decimals
from venues.adapters import rows
from venues.messages import BalanceReport, FillReport, OrderReport, PlaceOrder, Side, VenueOrderStatus

NameOf = Callable[[str], str]
_STATUS: dict[str, VenueOrderStatus] = {
    "Created": "open",
    "New": "open",
    "PartiallyFilled": "open",
    "Untriggered": "open",
    "Triggered": "open",
    "Active": "open",
    "PendingCancel": "open",
    "Filled": "filled",
    "Cancelled": "cancelled",
    "PartiallyFilledCanceled": "cancelled",
    "Deactivated": "cancelled",
    "Rejected": "rejected",
}
_TYPES = {"Limit": "limit", "Market": "market"}
_NO_REASON = (None, "EC_NoError")


def placed(reply: Any, order: PlaceOrder) -> OrderReport:
    """Read the answer to a new order: two ids and nothing more. Raises rows.RowError."""
    found = result(reply)
    return OrderReport(
        venue_order_id=rows.optional_text(found, "orderId"),
        venue_client_id=rows.optional_text(found, "orderLinkId"),
        symbol=order.symbol,
        status="open",
        side=order.side,
        type=order.type,
        price=order.price,
        trigger_price=order.trigger_price,
        quantity=order.quantity,
    )


def order(row: Mapping[str, Any], symbol_of: NameOf) -> OrderReport:
    """Read an order of a list or of the order topic. Raises rows.RowError."""
    status = _STATUS.get(rows.text(row, "orderStatus"))
    if status is None:
        raise rows.RowError("orderStatus is unknown")
    side, quantity = rows.side(row, "side"), rows.optional_amount(row, "qty")
    filled = rows.optional_amount(row, "cumExecQty")
    kind = _TYPES.get(rows.text(row, "orderType"))
    if kind is None:
        raise rows.RowError("orderType is unknown")
    unit = rows.optional_text(row, "marketUnit")
    if kind == "market" and (unit == "quoteCoin" or (unit is None and side == "buy")):
        quantity = None  # an amount of the quote asset
    if status == "filled" and filled is not None and quantity is not None and filled < quantity:
        status = "cancelled"
    reason = rows.optional_text(row, "rejectReason")
    return OrderReport(
        venue_order_id=rows.text(row, "orderId"),
        venue_client_id=rows.optional_text(row, "orderLinkId"),
        symbol=symbol_of(rows.text(row, "symbol")),
        status=status,
        side=side,
        # Of a conditional order the row does not say which way it waits.
        type=None if rows.optional_text(row, "stopOrderType") not in (None, "UNKNOWN") else kind,
        price=None if kind == "market" else rows.optional_amount(row, "price") or None,
        trigger_price=rows.optional_amount(row, "triggerPrice") or None,
        quantity=quantity,
        filled_quantity=filled,
        occurred_at=rows.milliseconds(row, "updatedTime" if row.get("updatedTime") else "createdTime"),
        reason="" if reason in _NO_REASON else str(reason),
    )


def fill(row: Mapping[str, Any], symbol_of: NameOf, asset_of: NameOf) -> FillReport:
    """Read an execution of a list or of the execution topic. Raises rows.RowError."""
    is_maker = row.get("isMaker")
    if not isinstance(is_maker, bool):
        raise rows.RowError("isMaker is missing")
    if rows.text(row, "execType") != "Trade":
        raise rows.RowError("execType is not a trade")
    symbol, side = symbol_of(rows.text(row, "symbol")), rows.side(row, "side")
    fee, asset = _fee(row, symbol, side, asset_of, is_maker=is_maker)
    return FillReport(
        venue_trade_id=rows.text(row, "execId"),
        venue_order_id=rows.text(row, "orderId"),
        venue_client_id=rows.optional_text(row, "orderLinkId"),
        symbol=symbol,
        side=side,
        price=rows.positive(row, "execPrice"),
        quantity=rows.positive(row, "execQty"),
        quote_quantity=rows.optional_amount(row, "execValue"),
        fee=fee,
        fee_asset=asset,
        liquidity="maker" if is_maker else "taker",
        occurred_at=rows.milliseconds(row, "execTime"),
    )


def balance(row: Mapping[str, Any], asset_of: NameOf) -> BalanceReport:
    """Read one coin of the unified account; what open spot orders hold is locked. Raises rows.RowError."""
    total, held = rows.signed(row, "walletBalance"), rows.optional_amount(row, "locked") or decimals.ZERO
    return BalanceReport(asset=asset_of(rows.text(row, "coin")), total=total, free=rows.total(total, -held), held=held)


def coins(accounts: Any) -> list[Any]:
    """Return the rows of every coin of the unified account. Raises rows.RowError."""
    found = accounts if isinstance(accounts, list) and len(accounts) == 1 else [None]
    account = found[0]
    if not isinstance(account, Mapping) or account.get("accountType") != "UNIFIED":
        raise rows.RowError("not one unified account")
    held = account.get("coin")
    if not isinstance(held, list):
        raise rows.RowError("coin is not a list")
    return held


def frame(payload: Any, symbol_of: NameOf, asset_of: NameOf) -> list[Any] | None:
    """Read a frame of the private stream; None for one that carries no facts of the account."""
    topic = payload.get("topic") if isinstance(payload, Mapping) else None
    kind = topic.partition(".")[0] if isinstance(topic, str) else ""
    if kind not in ("order", "execution", "wallet"):
        return None
    data = payload.get("data")
    if not isinstance(data, list):
        return [rows.malformed("stream", "data is not a list", str(payload))]
    if kind == "order":
        return rows.collect("stream", data, lambda row: order(row, symbol_of))
    if kind == "execution":
        return rows.collect("stream", data, lambda row: fill(row, symbol_of, asset_of))
    try:
        found = coins(data)
    except rows.RowError as problem:
        return [rows.malformed("stream", str(problem), str(payload))]
    return rows.collect("stream", found, lambda row: balance(row, asset_of))


def result(reply: Any) -> Mapping[str, Any]:
    """Return the result in an answer's envelope. Raises rows.RowError."""
    found = reply.get("result") if isinstance(reply, Mapping) else None
    if not isinstance(found, Mapping):
        raise rows.RowError("the answer has no result")
    return found


def listed(found: Mapping[str, Any]) -> list[Any]:
    """Return the rows of a result that is a list. Raises rows.RowError."""
    page = found.get("list")
    if not isinstance(page, list):
        raise rows.RowError("list is not a list")
    return page


def _fee(row: Mapping[str, Any], symbol: str, side: Side, asset_of: NameOf, *, is_maker: bool) -> tuple[Decimal, str]:
    """Return what a trade cost, taxes on top included, and in which asset."""
    fee = rows.signed(row, "execFee")
    named = rows.optional_text(row, "feeCurrency") or rows.optional_text(row, "feeCoin")
    base, _, quote = symbol.partition("/")
    # The fee is taken from what is received; a maker's rebate is paid in the other asset.
    received = base if (side == "buy") is not (is_maker and fee < 0) else quote
    asset = asset_of(named) if named else received
    extra = row.get("extraFees") or []
    if not isinstance(extra, list) or not all(isinstance(one, Mapping) for one in extra):
        raise rows.RowError("extraFees is not a list of objects")
    if any(asset_of(rows.text(one, "feeCoin")) != asset for one in extra):
        raise rows.RowError("fees in more than one asset")
    total = rows.total(fee, *(rows.signed(one, "fee") for one in extra))
    if total and not asset:
        raise rows.RowError("a fee in no asset")
    return total, asset
