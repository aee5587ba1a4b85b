"""Coinbase's raw rows and frames into our reports; pure and strict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from project.lib import decimals
from venues.adapters import rows
from venues.messages import BalanceReport, FillReport, Malformed, OrderReport, Permissions, PlaceOrder, VenueOrderStatus

SymbolOf = Callable[[str], str]
# What is queued or pending has not ended.
_STATUS: dict[str, VenueOrderStatus] = {
    "PENDING": "open",
    "OPEN": "open",
    "QUEUED": "open",
    "CANCEL_QUEUED": "open",
    "EDIT_QUEUED": "open",
    "FILLED": "filled",
    "CANCELLED": "cancelled",
    "EXPIRED": "expired",
    "FAILED": "rejected",
}
_LIQUIDITY: dict[str, Any] = {"MAKER": "maker", "TAKER": "taker"}
# Vaults and futures wallets are other money: nothing of it trades here.
_WALLETS = ("ACCOUNT_TYPE_CRYPTO", "ACCOUNT_TYPE_FIAT")


def placed(reply: Any, order: PlaceOrder, client_id: str) -> OrderReport:
    """Read the answer to a new order. Raises rows.RowError unless it names ours.

    The product is not compared: an alias is answered with the name of the book it stands in.
    """
    made = _success(reply).get("success_response")
    if not isinstance(made, Mapping):
        raise rows.RowError("success_response is not an object")
    if rows.text(made, "client_order_id") != client_id or rows.side(made, "side") != order.side:
        raise rows.RowError("the venue answered about another order")
    return OrderReport(
        venue_order_id=rows.text(made, "order_id"),
        venue_client_id=order.venue_client_id,
        symbol=order.symbol,
        status="open",
        side=order.side,
        type=order.type,
        price=order.price,
        trigger_price=order.trigger_price,
        quantity=order.quantity,
    )


def took_the_cancel(reply: Any, venue_order_id: str) -> None:
    """Read the answer to a cancel of one order. Raises rows.RowError unless it says that it was taken."""
    results = reply.get("results") if isinstance(reply, Mapping) else None
    only = results[0] if isinstance(results, list) and len(results) == 1 else None
    if rows.text(_success(only), "order_id") != venue_order_id:
        raise rows.RowError("the venue answered about another order")


def took_the_edit(reply: Any) -> None:
    """Read the answer to an edit. Raises rows.RowError unless it says that it was taken."""
    _success(reply)


def order(row: Mapping[str, Any], symbol_of: SymbolOf) -> OrderReport:
    """Read an order as REST writes it. Raises rows.RowError."""
    side = rows.side(row, "side")
    kind, terms = _configured(row)
    is_down = terms.get("stop_direction") == "STOP_DIRECTION_STOP_DOWN"
    if kind == "stop_limit" and is_down != (side == "sell"):
        kind = "take_profit_limit"
    filled = rows.amount(row, "filled_size")
    # An order by cost names no quantity: until it has filled, none is known.
    quantity = rows.optional_amount(terms, "base_size")
    status = _status(row)
    return OrderReport(
        venue_order_id=rows.text(row, "order_id"),
        venue_client_id=rows.optional_text(row, "client_order_id"),
        symbol=symbol_of(rows.text(row, "product_id")),
        status=status,
        side=side,
        type=kind,
        price=rows.optional_amount(terms, "limit_price") or None,
        trigger_price=rows.optional_amount(terms, "stop_price") or None,
        quantity=filled if quantity is None and status == "filled" else quantity,
        filled_quantity=filled,
        occurred_at=next((at for name in _TIMES if (at := rows.rfc3339(row, name)) is not None), None),
        reason=_reason(row, "cancel_message", "reject_message"),
    )


def fill(row: Mapping[str, Any], symbol_of: SymbolOf) -> FillReport:
    """Read one of our trades; its fee is in the quote asset. Raises rows.RowError.

    Of an order by cost the size is what it cost: the quantity is that by the price, to eighteen places.
    """
    kind, is_cost = rows.text(row, "trade_type"), row.get("size_in_quote")
    if kind != "FILL":
        raise rows.RowError(f"a trade of type {kind}, which nobody has taught us to book")
    if not isinstance(is_cost, bool):
        raise rows.RowError("size_in_quote is missing")
    symbol = symbol_of(rows.text(row, "product_id"))
    price, size, fee = rows.positive(row, "price"), rows.positive(row, "size"), rows.signed(row, "commission")
    asset = symbol.replace("-", "/").partition("/")[2].partition(":")[0]
    if fee and not asset:
        raise rows.RowError("a fee in no asset")
    return FillReport(
        venue_trade_id=rows.text(row, "trade_id"),
        venue_order_id=rows.text(row, "order_id"),
        venue_client_id=None,
        symbol=symbol,
        side=rows.side(row, "side"),
        price=price,
        quantity=_bought(size, price) if is_cost else size,
        quote_quantity=size if is_cost else None,
        fee=fee,
        fee_asset=asset,
        liquidity=_LIQUIDITY.get(str(row.get("liquidity_indicator")), ""),
        occurred_at=rows.rfc3339(row, "trade_time"),
    )


def balances(found: Iterable[Any]) -> list[BalanceReport | Malformed]:
    """Read the wallets that trade, those of one asset as one; a wallet that cannot be read stands by itself."""
    wallets = [row for row in found if not isinstance(row, Mapping) or str(row.get("type", "")) in ("", *_WALLETS)]
    bad: list[BalanceReport | Malformed] = []
    merged: dict[str, BalanceReport] = {}
    for report in rows.collect("balances", wallets, _wallet):
        if isinstance(report, Malformed):
            bad.append(report)
            continue
        other = merged.get(report.asset)
        merged[report.asset] = report if other is None else _together(report, other)
    return [*bad, *(report for report in merged.values() if report.total != 0)]


def permissions(reply: Any) -> Permissions:
    """Read what a key may do; what is not said stays None. Moving money between portfolios counts as withdrawing."""
    if not isinstance(reply, Mapping):
        raise rows.RowError("the answer is not an object")
    view, trade, transfer = (
        reply[name] if isinstance(reply.get(name), bool) else None for name in ("can_view", "can_trade", "can_transfer")
    )
    return Permissions(
        can_read=view,
        can_trade=trade,
        can_withdraw=transfer,
        can_transfer=transfer,
        source="GET /api/v3/brokerage/key_permissions",
    )


def frame(payload: Mapping[str, Any], symbol_of: SymbolOf) -> list[Any]:
    """Read a frame of the user channel: what each order has come to, never a single trade."""
    events = payload.get("events")
    if not isinstance(events, list):
        return [rows.malformed("stream", "events is not a list", str(payload))]
    reports: list[Any] = []
    for event in events:
        listed = event.get("orders", []) if isinstance(event, Mapping) else None
        if not isinstance(listed, list):
            reports.append(rows.malformed("stream", "orders is not a list", str(event)))
            continue
        reports += rows.collect("stream", listed, lambda row: _update(row, symbol_of))
    return reports


def error(payload: Any) -> tuple[str, str]:
    """Return the venue's code and message out of an answer that refuses; empty texts where it does not."""
    if not isinstance(payload, Mapping) or payload.get("success") is True:
        return "", ""
    layers = [layer for layer in _refusals(payload) if isinstance(layer, Mapping) and layer.get("success") is not True]
    codes = [
        str(layer[name]) for layer in layers for name in _CODES if isinstance(layer.get(name), str) and layer[name]
    ]
    said = [str(layer[name]) for layer in layers for name in _MESSAGES if isinstance(layer.get(name), str)]
    # "UNKNOWN_FAILURE_REASON" stands beside the real one, and where there is no failure at all.
    telling = [code for code in codes if not code.endswith("_FAILURE_REASON")]
    return next(iter(telling or codes), ""), next((text for text in said if text), "")


_TIMES = ("last_update_time", "last_fill_time", "created_time")
_CODES = (
    "new_order_failure_reason", "edit_failure_reason", "error", "preview_failure_reason", "failure_reason", "id",
)  # fmt: skip
_MESSAGES = ("message", "error_details", "error_description")


def _refusals(payload: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = [payload.get("error_response")]
    for name in ("results", "errors"):
        listed = payload.get(name)
        found += listed if isinstance(listed, list) else [listed]
    return [*found, payload]


def _success(reply: Any) -> Mapping[str, Any]:
    if not isinstance(reply, Mapping):
        raise rows.RowError("the answer is not an object")
    if reply.get("success") is not True:
        raise rows.RowError("the venue did not say that it was done")
    return reply


def _configured(row: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Any]]:
    """Return type and terms of an order; a type nobody has taught us is left unsaid."""
    found = row.get("order_configuration")
    given = {name: terms for name, terms in found.items() if terms is not None} if isinstance(found, Mapping) else {}
    if len(given) != 1:
        raise rows.RowError("order_configuration is not an object of one kind")
    ((name, terms),) = given.items()
    if not isinstance(terms, Mapping):
        raise rows.RowError("the order's terms are not an object")
    for start, kind in (
        ("market_", "market"),
        ("limit_", "limit"),
        ("sor_limit_", "limit"),
        ("stop_limit_", "stop_limit"),
    ):
        if str(name).startswith(start):
            return kind, terms
    return None, terms


def _update(row: Mapping[str, Any], symbol_of: SymbolOf) -> OrderReport:
    filled, leaves = rows.amount(row, "cumulative_quantity"), rows.amount(row, "leaves_quantity")
    status = _status(row)
    kind = rows.optional_text(row, "order_type")
    return OrderReport(
        venue_order_id=rows.text(row, "order_id"),
        venue_client_id=rows.optional_text(row, "client_order_id"),
        symbol=symbol_of(rows.text(row, "product_id")),
        status=status,
        side=rows.side(row, "order_side"),
        # Which way a stop fires is not said here, so that it stays open which of ours it is.
        type={"market": "market", "limit": "limit"}.get((kind or "").lower()),
        price=rows.optional_amount(row, "limit_price") or None,
        trigger_price=rows.optional_amount(row, "stop_price") or None,
        # Of an order that ended nothing is left, whatever was not filled.
        quantity=rows.total(filled, leaves) if status in ("open", "filled") else None,
        filled_quantity=filled,
        reason=_reason(row, "cancel_reason", "reject_reason"),
    )


def wallet_to_read(row: Any, assets: Iterable[str]) -> str | None:
    """Return the id of a wallet with something in it, or of an asset named; None for any other. Raises rows.RowError."""
    if not isinstance(row, Mapping):
        raise rows.RowError("a wallet is not an object")
    if rows.text(row, "type") not in _WALLETS:
        return None
    is_wanted = _wallet(row).total != 0 or rows.text(row, "currency") in assets
    return rows.text(row, "uuid") if is_wanted else None


def _wallet(row: Mapping[str, Any]) -> BalanceReport:
    rows.text(row, "type")
    free, held = row.get("available_balance"), row.get("hold")
    if not isinstance(free, Mapping) or not isinstance(held, Mapping):
        raise rows.RowError("available_balance or hold is not an object")
    available, on_hold = rows.amount(free, "value"), rows.amount(held, "value")
    return BalanceReport(
        asset=rows.text(row, "currency"), total=rows.total(available, on_hold), free=available, held=on_hold
    )


def _together(one: BalanceReport, two: BalanceReport) -> BalanceReport:
    return BalanceReport(
        asset=one.asset,
        total=rows.total(one.total, two.total),
        free=rows.total(one.free, two.free),
        held=rows.total(one.held, two.held),
    )


def _bought(cost: Decimal, price: Decimal) -> Decimal:
    quantity = rows.total(decimals.quantise(cost / price))
    if quantity == 0:
        raise rows.RowError("a fill of nothing")
    return quantity


def _status(row: Mapping[str, Any]) -> VenueOrderStatus:
    status = _STATUS.get(rows.text(row, "status"))
    if status is None:
        raise rows.RowError("status is unknown")
    return status


def _reason(row: Mapping[str, Any], *names: str) -> str:
    return next((text for name in names if (text := rows.optional_text(row, name))), "")
