"""Deribit's raw rows and frames into our reports; pure and strict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from project.lib import decimals
from venues.adapters import rows
from venues.messages import BalanceReport, FillReport, OrderReport, PositionReport, VenueOrderStatus

SymbolOf = Callable[[str], str]
_STATUS: dict[str, VenueOrderStatus] = {
    "open": "open",
    "untriggered": "open",
    "filled": "filled",
    "cancelled": "cancelled",
    "rejected": "rejected",
}
_TYPES = {
    "stop_market": "stop",
    "take_market": "take_profit",
    "take_limit": "take_profit_limit",
}


def order(row: Mapping[str, Any], symbol_of: SymbolOf) -> OrderReport:
    """Read an order as every endpoint and channel writes it. Raises rows.RowError."""
    status = _STATUS.get(rows.text(row, "order_state"))
    if status is None:
        raise rows.RowError("order_state is unknown")
    quantity, filled = rows.amount(row, "amount"), rows.amount(row, "filled_amount")
    if status == "filled" and filled < quantity:
        raise rows.RowError("filled, but not whole")
    kind = rows.text(row, "order_type")
    return OrderReport(
        venue_order_id=rows.text(row, "order_id"),
        venue_client_id=rows.optional_text(row, "label"),
        symbol=symbol_of(rows.text(row, "instrument_name")),
        status=status,
        side=rows.side(row, "direction"),
        type=_TYPES.get(kind, kind),
        price=None if row.get("price") == "market_price" else rows.optional_amount(row, "price") or None,
        trigger_price=rows.optional_amount(row, "trigger_price") or None,
        quantity=quantity,
        filled_quantity=filled,
        occurred_at=rows.milliseconds(row, "last_update_timestamp"),
        reason="" if status == "open" else rows.optional_text(row, "cancel_reason") or "",
    )


def fill(row: Mapping[str, Any], symbol_of: SymbolOf) -> FillReport:
    """Read an own trade; of a contract it says what it realised. Raises rows.RowError."""
    symbol, liquidity, fee = symbol_of(rows.text(row, "instrument_name")), row.get("liquidity"), rows.signed(row, "fee")
    if "/" not in symbol:
        raise rows.RowError("a trade of an instrument that nobody lists")
    # An option's profit_loss is not what its trade moved: the premium is. Of an option nothing is said.
    says_realised = ":" in symbol and symbol.count("-") <= 1
    return FillReport(
        venue_trade_id=rows.text(row, "trade_id"),
        venue_order_id=rows.text(row, "order_id"),
        venue_client_id=rows.optional_text(row, "label"),
        symbol=symbol,
        side=rows.side(row, "direction"),
        price=rows.positive(row, "price"),
        quantity=rows.positive(row, "amount"),
        quote_quantity=None,
        fee=fee,
        fee_asset=rows.text(row, "fee_currency") if fee else rows.optional_text(row, "fee_currency") or "",
        liquidity="maker" if liquidity == "M" else "taker" if liquidity == "T" else "",
        occurred_at=rows.milliseconds(row, "timestamp"),
        realised_pnl=rows.signed(row, "profit_loss") if says_realised else None,
    )


def balance(row: Mapping[str, Any]) -> BalanceReport:
    """Read one currency's summary: its cash, with what trades have realised and not yet settled. Raises rows.RowError.

    The venue counts the funding of the running session among what is realised; it is the account's when it is settled.
    """
    realised, funding = (_signed_or_nothing(row, name) for name in ("session_rpl", "session_funding"))
    total = rows.total(rows.signed(row, "balance"), realised, -funding)
    held = rows.total(rows.amount(row, "initial_margin"), rows.optional_amount(row, "spot_reserve") or decimals.ZERO)
    return BalanceReport(asset=rows.text(row, "currency"), total=total, free=total - held, held=held)


def currencies_to_read(summaries: Any, assets: Iterable[str]) -> list[str]:
    """Return the currencies with something in them and those named that the account has. Raises rows.RowError."""
    if not isinstance(summaries, list) or not all(isinstance(row, Mapping) for row in summaries):
        raise rows.RowError("summaries is not a list of objects")
    read = [balance(row) for row in summaries]
    return sorted(row.asset for row in read if row.total or row.held or row.asset in assets)


def _signed_or_nothing(row: Mapping[str, Any], key: str) -> Decimal:
    return decimals.ZERO if row.get(key) in (None, "") else rows.signed(row, key)


def position(row: Mapping[str, Any], symbol_of: SymbolOf) -> PositionReport:
    """Read one position; `size` is negative for a short one. Raises rows.RowError."""
    size = rows.signed(row, "size")
    direction = rows.text(row, "direction")
    if direction != ("buy" if size > 0 else "sell" if size < 0 else "zero"):
        raise rows.RowError("size and direction disagree")
    return PositionReport(
        symbol=symbol_of(rows.text(row, "instrument_name")),
        quantity=size,
        entry_price=rows.optional_amount(row, "average_price") or None,
        mark_price=rows.optional_amount(row, "mark_price") or None,
        unrealised_pnl=rows.signed(row, "floating_profit_loss"),
        margin=rows.optional_amount(row, "initial_margin"),
    )


def frame(payload: Any, symbol_of: SymbolOf) -> list[Any] | None:
    """Read a notification of a user channel; None for any other frame."""
    parameters = payload.get("params") if isinstance(payload, Mapping) else None
    channel = parameters.get("channel") if isinstance(parameters, Mapping) else None
    if not isinstance(parameters, Mapping) or not isinstance(channel, str) or not channel.startswith("user."):
        return None
    data = parameters.get("data")
    listed = data if isinstance(data, list) else [data]
    if channel.startswith("user.trades."):
        return rows.collect("stream", listed, lambda row: fill(row, symbol_of))
    if channel.startswith("user.orders."):
        return rows.collect("stream", listed, lambda row: order(row, symbol_of))
    if channel.startswith("user.portfolio."):
        return rows.collect("stream", listed, balance)
    return None


def last_price(ticker: Any) -> Decimal | None:
    """Return the last price of a ticker, or None for a market in which nothing has traded."""
    if not isinstance(ticker, Mapping) or ticker.get("last_price") in (None, ""):
        return None
    return rows.amount(ticker, "last_price") or None
