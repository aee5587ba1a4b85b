"""Kraken's raw rows and frames into our reports; pure and strict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from project.lib import decimals
from venues.adapters import rows
from venues.messages import BalanceReport, FillReport, Malformed, OrderReport, Permissions, PlaceOrder, VenueOrderStatus

SymbolOf = Callable[[str], str]
_STATUS: dict[str, VenueOrderStatus] = {
    "pending": "open",
    "open": "open",
    "closed": "filled",
    "canceled": "cancelled",
    "expired": "expired",
    "pending_new": "open",
    "new": "open",
    "partially_filled": "open",
    "triggered": "open",
    "filled": "filled",
}
_TYPES = {
    "stop-loss": "stop",
    "stop-loss-limit": "stop_limit",
    "take-profit": "take_profit",
    "take-profit-limit": "take_profit_limit",
    "trailing-stop": "trailing_stop",
}
_WITHDRAW = {"withdraw-funds", "withdraw"}
_TRADE = {"modify-trades", "create-orders", "create-modify-orders", "trade"}
_READ = {"query-funds", "query-open-trades", "query-closed-trades", "query-trades", "query"}


def placed(result: Mapping[str, Any], order: PlaceOrder) -> OrderReport:
    """Read the answer to AddOrder, which is a list of one id. Raises rows.RowError."""
    ids = result.get("txid")
    only = rows.optional_text({"txid": ids[0]}, "txid") if isinstance(ids, list) and len(ids) == 1 else None
    return OrderReport(
        venue_order_id=only,
        venue_client_id=order.venue_client_id,
        symbol=order.symbol,
        status="open",
        side=order.side,
        type=order.type,
        price=order.price,
        trigger_price=order.trigger_price,
        quantity=order.quantity,
    )


def order(key: str, row: Mapping[str, Any], symbol_of: SymbolOf) -> OrderReport:
    """Read an order as REST writes it. Raises rows.RowError."""
    described = row.get("descr")
    if not isinstance(described, Mapping):
        raise rows.RowError("descr is not an object")
    status = _status(row, "status")
    quantity, filled = rows.amount(row, "vol"), rows.amount(row, "vol_exec")
    if status == "filled" and filled < quantity:
        status = "cancelled"
    kind = _type(described, "ordertype")
    # With a trigger, `price` is the trigger and `price2` the limit; of a trailing stop `price` is the distance.
    has_trigger = kind in _TYPES.values()
    first = rows.optional_amount(*((row, "stopprice") if kind == "trailing_stop" else (described, "price"))) or None
    second = rows.optional_amount(described, "price2") or None
    return OrderReport(
        venue_order_id=rows.text({"id": key}, "id"),
        venue_client_id=rows.optional_text(row, "cl_ord_id"),
        symbol=symbol_of(rows.text(described, "pair")),
        status=status,
        side=rows.side(described, "type"),
        type=kind,
        price=second if has_trigger else first,
        trigger_price=first if has_trigger else None,
        quantity=quantity,
        filled_quantity=filled,
        occurred_at=rows.seconds(row, "closetm") or rows.seconds(row, "opentm"),
        reason=rows.optional_text(row, "reason") or "",
    )


def fill(key: str, row: Mapping[str, Any], symbol_of: SymbolOf) -> FillReport:
    """Read one row of TradesHistory. The fee is in the quote asset unless the row names another. Raises rows.RowError."""
    symbol = symbol_of(rows.text(row, "pair"))
    fee, maker = rows.signed(row, "fee"), row.get("maker")
    return FillReport(
        venue_trade_id=rows.text({"id": key}, "id"),
        venue_order_id=rows.text(row, "ordertxid"),
        venue_client_id=rows.optional_text(row, "cl_ord_id"),
        symbol=symbol,
        side=rows.side(row, "type"),
        price=rows.positive(row, "price"),
        quantity=rows.positive(row, "vol"),
        quote_quantity=rows.optional_amount(row, "cost"),
        fee=fee,
        fee_asset=_fee_asset(fee, rows.optional_text(row, "fee_asset"), symbol),
        liquidity="" if not isinstance(maker, bool) else "maker" if maker else "taker",
        occurred_at=rows.seconds(row, "time"),
    )


def balance(found: Mapping[str, Any]) -> BalanceReport:
    """Read one asset of BalanceEx. Raises rows.RowError."""
    row = found["row"]
    if not isinstance(row, Mapping):
        raise rows.RowError("not an object")
    total, held = rows.amount(row, "balance"), rows.optional_amount(row, "hold_trade") or decimals.ZERO
    return BalanceReport(asset=rows.text(found, "asset"), total=total, free=total - held, held=held)


def permissions(result: Mapping[str, Any]) -> Permissions:
    """Read GetApiKeyInfo; what it does not say stays None."""
    granted = result.get("permissions")
    names = {str(name) for name in granted} if isinstance(granted, list) else None
    allowed = result.get("ipAllowlist", result.get("ip_allowlist"))
    return Permissions(
        can_read=None if names is None else bool(names & _READ),
        can_trade=None if names is None else bool(names & _TRADE),
        can_withdraw=None if names is None else bool(names & _WITHDRAW),
        can_transfer=False if names is not None else None,  # Kraken's keys have no such right of their own
        ip_restricted=bool(allowed) if isinstance(allowed, list) else None,
        expires_at=_end(result.get("validUntil")),
        source="POST /0/private/GetApiKeyInfo",
    )


def _end(value: Any) -> datetime | None:
    seconds = int(value) if isinstance(value, str | int) and str(value).isdecimal() and len(str(value)) < 12 else 0
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def frame(payload: Any) -> list[Any] | None:
    """Read a WebSocket v2 frame; None for one that carries no executions."""
    if not isinstance(payload, Mapping) or payload.get("channel") != "executions":
        return None
    data = payload.get("data")
    if not isinstance(data, list):
        return [rows.malformed("stream", "data is not a list", str(payload))]
    reports: list[Any] = []
    for row in data:
        if isinstance(row, Mapping) and row.get("exec_type") == "trade":
            reports.append(rows.one("stream", row, _execution_fill))
            if isinstance(reports[-1], Malformed):
                continue  # an order's statement never counts without its fill; a fill stands whatever the status says
        reports.append(rows.one("stream", row, _execution))
    return reports


def middle(book: Any) -> Decimal | None:
    """Return the middle of the best bid and ask, or None for an empty side."""
    try:
        bid, ask = (decimals.parse_venue(book[side][0][0]) for side in ("bids", "asks"))
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return (bid + ask) / 2 if bid and ask else None


def _execution(row: Mapping[str, Any]) -> OrderReport:
    # Rows may be partial: a cancel names neither symbol nor quantity. What is missing stays None or empty.
    triggers = row.get("triggers") or {}
    if not isinstance(triggers, Mapping):
        raise rows.RowError("triggers is not an object")
    is_price = triggers.get("price_type", "static") == "static"
    return OrderReport(
        venue_order_id=rows.text(row, "order_id"),
        venue_client_id=rows.optional_text(row, "cl_ord_id"),
        symbol=rows.optional_text(row, "symbol") or "",
        status=_status(row, "order_status"),
        side=rows.side(row, "side") if row.get("side") else None,
        type=_type(row, "order_type"),
        price=rows.optional_amount(row, "limit_price") or None,
        # The price of a trailing stop's trigger is its distance; where it stands now is the actual price.
        trigger_price=rows.optional_amount(triggers, "price" if is_price else "actual_price") or None,
        quantity=rows.optional_amount(row, "order_qty"),
        filled_quantity=rows.optional_amount(row, "cum_qty"),
        occurred_at=rows.rfc3339(row, "timestamp"),
        reason=rows.optional_text(row, "reason") or "",
    )


def _execution_fill(row: Mapping[str, Any]) -> FillReport:
    symbol = rows.text(row, "symbol")
    fees = row.get("fees") or []
    if not isinstance(fees, list) or not all(isinstance(fee, Mapping) for fee in fees):
        raise rows.RowError("fees is not a list of objects")
    assets = {rows.text(fee, "asset") for fee in fees}
    if len(assets) > 1:
        raise rows.RowError("fees in more than one asset")
    total = rows.total(*(rows.signed(fee, "qty") for fee in fees))
    maker = row.get("liquidity_ind")
    return FillReport(
        venue_trade_id=rows.text(row, "exec_id"),
        venue_order_id=rows.text(row, "order_id"),
        venue_client_id=rows.optional_text(row, "cl_ord_id"),
        symbol=symbol,
        side=rows.side(row, "side"),
        price=rows.positive(row, "last_price"),
        quantity=rows.positive(row, "last_qty"),
        quote_quantity=rows.optional_amount(row, "cost"),
        fee=total,
        fee_asset=_fee_asset(total, next(iter(assets), None), symbol),
        liquidity="maker" if maker == "m" else "taker" if maker == "t" else "",
        occurred_at=rows.rfc3339(row, "timestamp"),
    )


def _fee_asset(fee: Decimal, named: str | None, symbol: str) -> str:
    # Kraken's fees are in the quote asset unless it says otherwise; a pair nobody lists has no asset to book them in.
    asset = named or symbol.partition("/")[2]
    if fee and not asset:
        raise rows.RowError("a fee in no asset")
    return asset


def _type(row: Mapping[str, Any], key: str) -> str | None:
    kind = rows.optional_text(row, key)
    return _TYPES.get(kind, kind) if kind else None


def _status(row: Mapping[str, Any], key: str) -> VenueOrderStatus:
    status = _STATUS.get(rows.text(row, key))
    if status is None:
        raise rows.RowError(f"{key} is unknown")
    return status
