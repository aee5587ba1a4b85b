"""OKX's order requests; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from project.lib import decimals
from venues.adapters import rows
from venues.messages import AmendOrder, PlaceOrder

AT_MARKET = "-1"
_TYPES = {"IOC": "ioc", "FOK": "fok", "GTC": "limit"}
_PREFIXES = {"stop": "sl", "take_profit": "tp"}


def is_algo(kind: str) -> bool:
    """Say whether an order of this type is an algo order there."""
    return kind not in ("limit", "market")


def terms(order: PlaceOrder, market: str) -> dict[str, Any]:
    """Return a plain order without its client id; a market order's size is in the base asset too."""
    request: dict[str, Any] = {
        "instId": market,
        "tdMode": "cash",
        "side": order.side,
        "sz": decimals.write(order.quantity),
    }
    if order.price is None:
        return request | {"ordType": "market", "tgtCcy": "base_ccy"}
    kind = "post_only" if order.post_only else _TYPES[order.time_in_force]
    return request | {"ordType": kind, "px": decimals.write(order.price)}


def algo(order: PlaceOrder, market: str) -> dict[str, Any]:
    """Return an algo order without its client id. Raises rows.RowError for what only a plain order can be."""
    if order.post_only or order.time_in_force != "GTC":
        raise rows.RowError("this venue has no post-only and no immediate orders with a trigger")
    request: dict[str, Any] = {
        "instId": market,
        "tdMode": "cash",
        "side": order.side,
        "sz": decimals.write(order.quantity),
    }
    if order.price is None:
        request["tgtCcy"] = "base_ccy"
    if order.trailing_offset is not None:
        return request | {"ordType": "move_order_stop", "callbackSpread": decimals.write(order.trailing_offset)}
    prefix = _prefix(order.type)
    return request | {
        "ordType": "conditional",
        f"{prefix}TriggerPx": decimals.write(order.trigger_price),
        f"{prefix}OrdPx": AT_MARKET if order.price is None else decimals.write(order.price),
        f"{prefix}TriggerPxType": "last",
    }


def amendment(order: AmendOrder, market: str, ids: Mapping[str, str]) -> dict[str, Any]:
    """Return a change of an order in the book; its quantity is the total, as ours is."""
    request = {"instId": market, **ids, "newSz": decimals.write(order.quantity)}
    return request if order.price is None else request | {"newPx": decimals.write(order.price)}


def algo_amendment(order: AmendOrder, market: str, ids: Mapping[str, str]) -> dict[str, Any]:
    """Return a change of an algo order that waits for its trigger."""
    prefix = _prefix(order.type).title()
    return {
        "instId": market,
        **ids,
        "newSz": decimals.write(order.quantity),
        f"new{prefix}TriggerPx": decimals.write(order.trigger_price),
        f"new{prefix}OrdPx": AT_MARKET if order.price is None else decimals.write(order.price),
    }


def _prefix(kind: str) -> str:
    return _PREFIXES[kind.removesuffix("_limit")]
