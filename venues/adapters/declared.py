"""What ccxt declares about its exchanges, read out of its classes into plain data; it claims, and proves nothing."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import ccxt.async_support
import ccxt.pro
from ccxt.async_support.base.exchange import Exchange as Base

METHODS = (
    "createOrder", "cancelOrder", "editOrder", "fetchOrder", "fetchOpenOrders", "fetchClosedOrders",
    "fetchCanceledOrders", "fetchCanceledAndClosedOrders", "fetchOrders", "fetchMyTrades", "fetchBalance",
    "fetchPositions", "fetchLedger", "fetchDeposits", "fetchWithdrawals", "fetchTime", "fetchStatus",
    "fetchTradingFees", "createOrders", "cancelOrders", "cancelAllOrders", "cancelAllOrdersAfter", "sandbox",
    "watchOrders", "watchMyTrades", "watchBalance", "watchPositions", "watchOrderBook", "createOrderWs",
    "cancelOrderWs",
)  # fmt: skip
MARKET_TYPES = (
    ("spot", ("spot",)), ("linear swap", ("swap", "linear")), ("inverse swap", ("swap", "inverse")),
    ("linear future", ("future", "linear")), ("inverse future", ("future", "inverse")),
)  # fmt: skip
_DAYS_MAX = 3650  # more is ccxt's way to say that there is no bound
_TRIGGERS = ("triggerPrice", "stopLossPrice", "takeProfitPrice", "trailing")
_TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTD")


def version() -> str:
    """Return the version of ccxt the facts are read from."""
    return str(ccxt.async_support.__version__)


def declared(exchange: str) -> dict[str, Any]:
    """Return what ccxt says of one exchange: methods, market types, order terms and history windows of each type."""
    module = ccxt.pro if exchange in ccxt.pro.exchanges else ccxt.async_support
    client = getattr(module, exchange)()
    facts: dict[str, Any] = {
        "name": client.name,
        "certified": bool(client.certified),
        "methods": {name: said for name in METHODS if (said := _said(client, name))},
        "credentials": sorted(name for name, needed in client.requiredCredentials.items() if needed),
        "rate_limit_ms": float(client.rateLimit),
        "markets": {},
    }
    for label, path in MARKET_TYPES:
        terms = _terms(client, path)
        if terms:
            facts["markets"][label] = terms
    for kind in ("spot", "margin", "swap", "future", "option"):
        if client.has.get(kind) is True:
            facts.setdefault("kinds", []).append(kind)
    return facts


def _said(client: Any, name: str) -> Any:
    """Return True or "emulated"; nothing where the class says so and has only the base's stub."""
    said = client.has.get(name)
    if said not in (True, "emulated"):
        return None
    method = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    own: Any = getattr(type(client), method, None)
    base: Any = getattr(Base, method, None)
    is_stub = base is not None and own is base and "NotSupported" in inspect.getsource(base)
    return None if is_stub and said is True else said


def _terms(client: Any, path: tuple[str, ...]) -> dict[str, Any]:
    node: Any = client.features or {}
    for step in path:
        node = node.get(step) if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping) or not node:
        return {}
    order = node.get("createOrder") or {}
    in_force = order.get("timeInForce") or {}
    return _present({
        "times_in_force": [name for name in _TIMES_IN_FORCE if in_force.get(name) is True],
        "post_only": in_force.get("PO") is True,
        "triggers": [name for name in _TRIGGERS if order.get(name) is True],
        "market_by_cost": order.get("marketBuyByCost") is True,
        "market_needs_price": order.get("marketBuyRequiresPrice") is True,
        "hedged": order.get("hedged") is True,
        "batch_max": (node.get("createOrders") or {}).get("max"),
        "my_trades": _window(node.get("fetchMyTrades")),
        "order": _window(node.get("fetchOrder")),
        "open_orders": _window(node.get("fetchOpenOrders")),
        "closed_orders": _window(node.get("fetchClosedOrders")),
        "orders": _window(node.get("fetchOrders")),
    })  # fmt: skip


def _window(node: Any) -> dict[str, Any]:
    if not isinstance(node, Mapping):
        return {}
    cancelled = _bound(node.get("daysBackCanceled"))
    return _present({
        "limit": node.get("limit"),
        "span_days": _bound(node.get("untilDays")),
        "days_back": _bound(node.get("daysBack")),
        "cancelled_hours": None if cancelled is None else round(float(cancelled) * 24, 2),
        "symbol_required": node.get("symbolRequired") is True,
    })  # fmt: skip


def _bound(days: Any) -> float | None:
    return days if days is not None and days <= _DAYS_MAX else None


def _present(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, False, [], {})}
