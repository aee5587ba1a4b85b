"""What ccxt declares of its exchanges and what our requests to them carry, as checked in; `manage.py describe_venues` writes it.

declared.json is ccxt's own claim. captured.json is what our general adapter puts on the wire, for every exchange that no
adapter of its own serves. Both are read once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from venues.facts.shapes import Capabilities

FOLDER = Path(__file__).resolve().parent
DECLARED, CAPTURED = FOLDER / "declared.json", FOLDER / "captured.json"
MARKET_TYPES = ("spot", "linear swap", "inverse swap")
KINDS = {"spot": "spot", "linear": "linear swap", "inverse": "inverse swap"}
# Without one of these an account cannot be reconciled, so no order may go there.
NEEDED = {
    "createOrder": "ccxt places no orders there",
    "cancelOrder": "ccxt cancels no orders there",
    "fetchOpenOrders": "no list of open orders",
    "fetchMyTrades": "no list of an account's own trades, so fills could not be proved",
}  # fmt: skip
_METHODS = {
    "create": "createOrder",
    "cancel": "cancelOrder",
    "open_orders": "fetchOpenOrders",
    "fills": "fetchMyTrades",
}
REQUESTS = {"create": "order", "cancel": "cancel", "open_orders": "open orders", "fills": "own trades"}
_HOURS_A_DAY = 24


@functools.cache
def declared() -> dict[str, dict[str, Any]]:
    """Return ccxt's claims by exchange id."""
    return _exchanges(DECLARED)


@functools.cache
def captured() -> dict[str, dict[str, Any]]:
    """Return what our requests carry, by exchange id; none for one that an adapter of its own serves."""
    return _exchanges(CAPTURED)


def market_terms(exchange: str, market_type: str = "") -> Mapping[str, Any]:
    """Return ccxt's claims about one market type of an exchange; its first one unless named."""
    known = declared().get(exchange, {}).get("markets", {})
    name = market_type or next((name for name in MARKET_TYPES if name in known), "")
    return dict(known.get(name, {}))


def base(exchange: str) -> Capabilities:
    """Return the facts about an exchange that follow from both files; for one in neither, the default, which promises nothing."""
    said, caught = declared().get(exchange), captured().get(exchange, {})
    if said is None:
        return Capabilities(exchange=exchange, family=exchange)
    methods, terms = said["methods"], market_terms(exchange, KINDS.get(caught.get("kind", ""), ""))
    trades, closed = terms.get("my_trades", {}), terms.get("closed_orders", {}) or terms.get("orders", {})
    refusal = refusal_of(methods, caught)
    has_ids = is_named(caught)
    span_days = trades.get("span_days")
    return Capabilities(
        exchange=exchange,
        family=exchange,
        tier="C" if refusal else "B",
        refusal=refusal,
        nonce_exclusive=caught.get("nonce", False),
        order_types=("limit", "market") if caught.get("market") and not terms.get("market_needs_price") else ("limit",),
        times_in_force=("GTC", *(name for name in caught.get("times_in_force", ()) if name in terms.get("times_in_force", ()))),
        post_only=bool(caught.get("post_only") and terms.get("post_only")),
        client_ids=has_ids,
        client_id_lookup="order" if has_ids and caught.get("client_id_lookup") else "scan",
        client_id_cancel=has_ids and bool(caught.get("client_id_cancel")),
        fills_need_symbol=bool(caught.get("fills_need_symbol") or trades.get("symbol_required")),
        open_orders_need_symbol=bool(
            caught.get("open_orders_need_symbol") or terms.get("open_orders", {}).get("symbol_required")
        ),
        fills_page=trades.get("limit") or 100,
        fills_span_hours=None if span_days is None else round(span_days * _HOURS_A_DAY),
        fills_days_back=trades.get("days_back"),
        orders_days_back=closed.get("days_back"),
        cancelled_hours=closed.get("cancelled_hours"),
        batch_max=terms.get("batch_max") or 1,
        dead_man_switch=methods.get("cancelAllOrdersAfter") is True,
    )  # fmt: skip


def refusal_of(methods: Mapping[str, Any], caught: Mapping[str, Any]) -> str:
    """Say why no order may go to an exchange; empty where it may."""
    lacking = [reason for method, reason in NEEDED.items() if not methods.get(method)]
    said: dict[str, list[str]] = {}
    for name, word in REQUESTS.items():
        reason = caught.get(name, "ok")
        if reason != "ok" and methods.get(_METHODS[name]):
            said.setdefault(reason, []).append(word)
    return "; ".join([*lacking, *(f"{', '.join(words)}: {reason}" for reason, words in said.items())])


def is_named(caught: Mapping[str, Any]) -> bool:
    """Say whether our client id goes out under a name the exchange knows, and is read back from its orders.

    An unknown name is passed through by ccxt and ignored by the exchange; the unified one is known where it is read back.
    """
    sent, read = caught.get("client_id_key", ""), caught.get("client_id_read_key", "")
    return bool(sent and read) and (sent != "clientOrderId" or read == sent)


def _exchanges(path: Path) -> dict[str, dict[str, Any]]:
    return dict(json.loads(path.read_text())["exchanges"]) if path.exists() else {}
