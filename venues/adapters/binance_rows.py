"""Binance's raw rows and frames into our reports; pure and strict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from project.lib import decimals
from venues.adapters import rows
from venues.messages import BalanceReport, FillReport, Malformed, OrderReport, VenueOrderStatus

SymbolOf = Callable[[str], str]
_STATUS: dict[str, VenueOrderStatus] = {
    "NEW": "open",
    "PENDING_NEW": "open",
    "PARTIALLY_FILLED": "open",
    "PENDING_CANCEL": "open",
    "FILLED": "filled",
    "CANCELED": "cancelled",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
}
_TYPES = {"LIMIT_MAKER": "limit", "STOP_LOSS": "stop", "STOP_LOSS_LIMIT": "stop_limit"}


def order(row: Mapping[str, Any], symbol_of: SymbolOf) -> OrderReport:
    """Read an order as REST writes it. Raises rows.RowError."""
    kind = rows.optional_text(row, "type")
    time_key = next((key for key in ("updateTime", "transactTime", "time") if row.get(key)), None)
    price = rows.optional_amount(row, "price")
    return OrderReport(
        venue_order_id=rows.text(row, "orderId"),
        venue_client_id=rows.optional_text(row, "clientOrderId"),
        symbol=symbol_of(rows.text(row, "symbol")),
        status=_status(row, "status"),
        side=rows.side(row, "side"),
        type=_TYPES.get(kind, kind.lower()) if kind else None,
        price=price or None,
        trigger_price=rows.optional_amount(row, "stopPrice") or None,
        quantity=rows.optional_amount(row, "origQty"),
        filled_quantity=rows.optional_amount(row, "executedQty"),
        occurred_at=rows.milliseconds(row, time_key) if time_key else None,
    )


def cancelled(row: Mapping[str, Any], symbol_of: SymbolOf) -> OrderReport:
    """Read the answer to a cancel, where our client id is in origClientOrderId. Raises rows.RowError."""
    return order({**row, "clientOrderId": row.get("origClientOrderId")}, symbol_of)


def fill(row: Mapping[str, Any], symbol_of: SymbolOf) -> FillReport:
    """Read one row of myTrades. Raises rows.RowError."""
    is_buyer, is_maker = row.get("isBuyer"), row.get("isMaker")
    if not isinstance(is_buyer, bool) or not isinstance(is_maker, bool):
        raise rows.RowError("isBuyer or isMaker is missing")
    return FillReport(
        venue_trade_id=rows.text(row, "id"),
        venue_order_id=rows.text(row, "orderId"),
        venue_client_id=None,
        symbol=symbol_of(rows.text(row, "symbol")),
        side="buy" if is_buyer else "sell",
        price=rows.positive(row, "price"),
        quantity=rows.positive(row, "qty"),
        quote_quantity=rows.optional_amount(row, "quoteQty"),
        fee=rows.signed(row, "commission"),
        fee_asset=rows.text(row, "commissionAsset"),
        liquidity="maker" if is_maker else "taker",
        occurred_at=rows.milliseconds(row, "time"),
    )


def balance(row: Mapping[str, Any]) -> BalanceReport:
    """Read one asset of the account. Raises rows.RowError."""
    free, held = rows.amount(row, "free"), rows.amount(row, "locked")
    return BalanceReport(asset=rows.text(row, "asset"), total=rows.total(free, held), free=free, held=held)


def frame(payload: Any, symbol_of: SymbolOf) -> list[Any] | None:
    """Read a frame of the user data stream; None for one that is not an account event."""
    if not isinstance(payload, Mapping):
        return None
    event = payload.get("event", payload)
    kind = event.get("e") if isinstance(event, Mapping) else None
    if kind == "executionReport":
        reports: list[Any] = [rows.one("stream", event, lambda row: _execution(row, symbol_of))]
        if event.get("x") == "TRADE":
            # The fill first: an order that says "filled" before its fill would look like a gap.
            booked = rows.one("stream", event, lambda row: _execution_fill(row, symbol_of))
            # An order's statement never counts without its fill; a fill stands whatever the status says.
            return [booked] if isinstance(booked, Malformed) else [booked, *reports]
        return reports
    if kind == "outboundAccountPosition":
        assets = event.get("B")
        if not isinstance(assets, list):
            return [rows.malformed("stream", "B is not a list", str(event))]
        return rows.collect("stream", assets, _stream_balance)
    return None


def middle(book: Mapping[str, Any]) -> Decimal | None:
    """Return the middle of the best bid and ask, or None for an empty side."""
    try:
        bid, ask = (decimals.parse_venue(book[side][0][0]) for side in ("bids", "asks"))
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return (bid + ask) / 2 if bid and ask else None


def _execution(row: Mapping[str, Any], symbol_of: SymbolOf) -> OrderReport:
    kind = rows.optional_text(row, "o")
    return OrderReport(
        venue_order_id=rows.text(row, "i"),
        venue_client_id=_client_id(row),
        symbol=symbol_of(rows.text(row, "s")),
        status=_status(row, "X"),
        side=rows.side(row, "S"),
        type=_TYPES.get(kind, kind.lower()) if kind else None,
        price=rows.optional_amount(row, "p") or None,
        trigger_price=rows.optional_amount(row, "P") or None,
        quantity=rows.amount(row, "q"),
        filled_quantity=rows.amount(row, "z"),
        occurred_at=rows.milliseconds(row, "T"),
        reason="" if row.get("r") in (None, "NONE") else rows.text(row, "r"),
    )


def _execution_fill(row: Mapping[str, Any], symbol_of: SymbolOf) -> FillReport:
    is_maker = row.get("m")
    if not isinstance(is_maker, bool):
        raise rows.RowError("m is missing")
    fee = rows.signed(row, "n")
    return FillReport(
        venue_trade_id=rows.text(row, "t"),
        venue_order_id=rows.text(row, "i"),
        venue_client_id=_client_id(row),
        symbol=symbol_of(rows.text(row, "s")),
        side=rows.side(row, "S"),
        price=rows.positive(row, "L"),
        quantity=rows.positive(row, "l"),
        quote_quantity=rows.optional_amount(row, "Y"),
        fee=fee,
        fee_asset=rows.text(row, "N") if fee else rows.optional_text(row, "N") or "",
        liquidity="maker" if is_maker else "taker",
        occurred_at=rows.milliseconds(row, "T"),
    )


def _client_id(row: Mapping[str, Any]) -> str | None:
    # When something was done to an order (CANCELED, REPLACED) `c` is the id of that request and `C` the order's own;
    # otherwise `C` is empty. A server without client ids sends neither.
    original = rows.optional_text(row, "C")
    return original if original not in (None, "null") else rows.optional_text(row, "c")


def _stream_balance(row: Mapping[str, Any]) -> BalanceReport:
    free, held = rows.amount(row, "f"), rows.amount(row, "l")
    return BalanceReport(asset=rows.text(row, "a"), total=rows.total(free, held), free=free, held=held)


def _status(row: Mapping[str, Any], key: str) -> VenueOrderStatus:
    status = _STATUS.get(rows.text(row, key))
    if status is None:
        raise rows.RowError(f"{key} is unknown")
    return status
