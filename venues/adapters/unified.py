"""ccxt's unified rows, read strictly, for exchanges whose raw rows nobody has taught us."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from project.lib import decimals
from venues.adapters import rows
from venues.messages import BalanceReport, FillReport, OrderReport, PlaceOrder, VenueOrderStatus

LISTINGS = (
    ("fetchOpenOrders", "fetch_open_orders"),
    ("fetchClosedOrders", "fetch_closed_orders"),
    ("fetchCanceledOrders", "fetch_canceled_orders"),
    ("fetchOrders", "fetch_orders"),
)
PAGES_MAX = 200
_STATUS: dict[str, VenueOrderStatus] = {
    "open": "open",
    "closed": "filled",
    "canceled": "cancelled",
    "cancelled": "cancelled",
    "canceling": "open",
    "expired": "expired",
    "rejected": "rejected",
}


_TYPES = {
    "stop_market": "stop",
    "stop_loss": "stop",
    "stop_loss_limit": "stop_limit",
    "take_profit_market": "take_profit",
    "trailing_stop_market": "trailing_stop",
    "limit_maker": "limit",
}
# Which of ccxt's parameters may carry the trigger of a type, the fitter first, and where ccxt says that a class takes it.
_TRIGGERS = {"stop": ("stopLossPrice", "triggerPrice"), "take_profit": ("takeProfitPrice",)}
_HAS = {
    "stopLossPrice": "createStopLossOrder",
    "takeProfitPrice": "createTakeProfitOrder",
    "triggerPrice": "createTriggerOrder",
    "trailingAmount": "createTrailingAmountOrder",
}


def takes(client: Any) -> frozenset[str]:
    """Return which of the parameters for a trigger ccxt says this class takes."""
    spot = ((client.features or {}).get("spot") or {}).get("createOrder") or {}
    return frozenset(name for name, key in _HAS.items() if spot.get(name) is True or client.has.get(key) is True)


def kind_and_parameters(order: PlaceOrder, taken: frozenset[str]) -> tuple[str, dict[str, Any]]:
    """Return ccxt's order type (limit or market) and its parameters but the client id. Raises rows.RowError."""
    parameters: dict[str, Any] = {}
    if order.time_in_force == "GTD":
        raise rows.RowError("nobody has taught us how this venue takes a time to live")
    kind = order.type
    if order.type == "trailing_stop" or order.trigger_price is not None:
        wanted = _TRIGGERS.get(order.type.removesuffix("_limit"), ("trailingAmount",))
        key = next((name for name in wanted if name in taken), None)
        if key is None:
            raise rows.RowError(f"this venue has no {order.type} orders")
        kind = "market" if order.price is None else "limit"
        parameters[key] = decimals.write(order.trigger_price or order.trailing_offset)
    if kind != "market":
        parameters["timeInForce"] = order.time_in_force
    if order.post_only:
        parameters["postOnly"] = True
    if order.reduce_only:
        parameters["reduceOnly"] = True
    return kind, parameters


def placed(row: Mapping[str, Any], order: PlaceOrder) -> OrderReport:
    """Read ccxt's answer to a submit: often little more than an id, which may be missing."""
    return OrderReport(
        venue_order_id=rows.optional_text(row, "id"),
        venue_client_id=order.venue_client_id,
        symbol=order.symbol,
        status=_STATUS.get(str(row.get("status") or "open"), "open"),
        occurred_at=_time(row, "timestamp"),
    )


def order(row: Mapping[str, Any], client_id_row_key: str = "") -> OrderReport:
    """Read one order; its client id out of the venue's own row where ccxt drops it. Raises rows.RowError."""
    status = _STATUS.get(str(row.get("status")))
    if status is None:
        raise rows.RowError("status is unknown")
    filled, quantity = rows.optional_amount(row, "filled"), rows.optional_amount(row, "amount")
    if status == "filled" and filled is not None and quantity is not None and filled < quantity:
        status = "cancelled"  # "closed" with a rest is a cancel or an expiry, never a complete fill
    return OrderReport(
        venue_order_id=rows.text(row, "id"),
        venue_client_id=rows.optional_text(row, "clientOrderId") or _kept(row, client_id_row_key),
        symbol=rows.text(row, "symbol"),
        status=status,
        side=rows.side(row, "side") if row.get("side") else None,
        type=_type(row),
        price=rows.optional_amount(row, "price") or None,
        trigger_price=rows.optional_amount(row, "triggerPrice") or None,
        quantity=quantity,
        filled_quantity=filled,
        occurred_at=_time(row, "lastUpdateTimestamp") or _time(row, "timestamp"),
    )


def fill(row: Mapping[str, Any], client_id_row_key: str = "") -> FillReport:
    """Read one trade of ours; see order. Raises rows.RowError."""
    symbol = rows.text(row, "symbol")
    fee, info = row.get("fee") or {}, row.get("info") or {}
    if not isinstance(fee, Mapping) or not isinstance(info, Mapping):
        raise rows.RowError("fee or info is not an object")
    liquidity = rows.optional_text(row, "takerOrMaker")
    paid = rows.signed(fee, "cost") if fee.get("cost") is not None else decimals.ZERO
    asset = rows.optional_text(fee, "currency") or symbol.partition("/")[2].partition(":")[0]
    if paid and not asset:
        raise rows.RowError("a fee in no asset")
    return FillReport(
        venue_trade_id=rows.text(row, "id"),
        venue_order_id=rows.text(row, "order"),
        venue_client_id=_kept(row, client_id_row_key or "clientOrderId"),
        symbol=symbol,
        side=rows.side(row, "side"),
        price=rows.positive(row, "price"),
        quantity=rows.positive(row, "amount"),
        quote_quantity=rows.optional_amount(row, "cost"),
        fee=paid,
        fee_asset=asset,
        liquidity="maker" if liquidity == "maker" else "taker" if liquidity == "taker" else "",
        occurred_at=_time(row, "timestamp"),
    )


def _kept(row: Mapping[str, Any], key: str) -> str | None:
    info = row.get("info")
    return rows.optional_text(info, key) if key and isinstance(info, Mapping) else None


def _time(row: Mapping[str, Any], key: str) -> datetime | None:
    # ccxt passes on Binance's -1 for "not working yet": an order whose trigger has not fired has no such time
    return rows.milliseconds(row, key) if row.get(key) not in (None, 0, -1) else None


def balances(reply: Mapping[str, Any]) -> list[Any]:
    """Read a unified balance: one BalanceReport or Malformed for each asset that is not zero."""
    totals = reply.get("total") or {}
    found = [
        {
            "asset": asset,
            "total": totals[asset],
            "free": (reply.get("free") or {}).get(asset),
            "held": (reply.get("used") or {}).get(asset),
        }
        for asset in totals
    ]
    parsed = rows.collect("balances", found, _balance)
    return [row for row in parsed if not isinstance(row, BalanceReport) or row.total != 0 or row.held != 0]


def price(ticker: Mapping[str, Any]) -> Decimal | None:
    """Return the last price of a ticker, or None."""
    try:
        number = decimals.parse_venue(ticker.get("last") or ticker.get("close"))
    except (ValueError, ArithmeticError):
        return None
    return number if number is not None and number > 0 else None


async def paged_trades(client: Any, symbol: str | None, since_ms: int | None) -> list[Mapping[str, Any]]:
    """Read our trades forward from a time until a page brings nothing new. Raises when a page fails."""
    seen: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    start = since_ms
    for _ in range(PAGES_MAX):
        page = await client.fetch_my_trades(symbol, start)
        fresh = {(row.get("symbol"), row.get("id"), row.get("side")): row for row in page}
        is_new = bool(fresh.keys() - seen.keys())
        seen |= fresh
        stamps = [row["timestamp"] for row in page if row.get("timestamp")]
        if not is_new or not stamps or since_ms is None:
            return list(seen.values())
        # The same millisecond again: several trades may share it, and a page may end between them.
        start = max(stamps)
    raise rows.RowError("the list of trades does not end")


def error_layers(payload: Any) -> Iterator[Mapping[str, Any]]:
    """Walk the places where venues put a code: the inner item of a batch first, then the envelope."""
    if isinstance(payload, list):
        yield from (item for item in payload[:1] if isinstance(item, Mapping))
        return
    if not isinstance(payload, Mapping):
        return
    inner = payload.get("data")
    if isinstance(inner, list):
        yield from (item for item in inner[:1] if isinstance(item, Mapping))
    answers = _path(payload, "response", "data", "statuses")
    if isinstance(answers, list):
        yield from (item for item in answers[:1] if isinstance(item, Mapping))
    nested = payload.get("error")
    if isinstance(nested, Mapping):
        yield nested
    yield payload


def _path(node: Any, *keys: str) -> Any:
    for key in keys:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def _balance(row: Mapping[str, Any]) -> BalanceReport:
    total = rows.signed(row, "total")
    held = rows.optional_amount(row, "held") or decimals.ZERO
    free = rows.signed(row, "free") if row.get("free") is not None else total - held
    return BalanceReport(asset=rows.text(row, "asset"), total=total, free=free, held=held)


def _type(row: Mapping[str, Any]) -> str | None:
    kind = rows.optional_text(row, "type")
    if kind is None:
        return None
    plain = kind.lower().replace("-", "_").replace(" ", "_")
    plain = _TYPES.get(plain, plain)
    if plain not in ("limit", "market") or not row.get("triggerPrice"):
        return plain
    # Some classes name only what is placed when the trigger fires; without more it stays unsaid which way it fires.
    base = "take_profit" if row.get("takeProfitPrice") else "stop" if row.get("stopLossPrice") else None
    return base and (f"{base}_limit" if plain == "limit" else base)
