"""The survey of every exchange: what ccxt declares, and what our requests to those of the general way carry."""

from __future__ import annotations

from typing import Any

from venues.adapters import declared
from venues.adapters.capture_cases import KINDS
from venues.adapters.captured import captured
from venues.adapters.registry import ADAPTERS
from venues.capabilities import for_exchange
from venues.exchanges import EXCHANGES


def declared_everywhere() -> dict[str, dict[str, Any]]:
    """Return ccxt's claims about every exchange."""
    return {exchange: declared.declared(exchange) for exchange in EXCHANGES}


async def captured_everywhere(claims: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what our requests carry, for every exchange without an adapter of its own."""
    found = {}
    for exchange in EXCHANGES:
        if exchange in ADAPTERS:
            continue
        kind = KINDS.get(exchange) or kind_of(claims[exchange])
        found[exchange] = {"kind": kind, **await captured(exchange, kind, for_exchange(exchange))}
    return found


def kind_of(claims: dict[str, Any]) -> str:
    """Return the kind of market whose requests are caught: spot where there is one."""
    if "spot" in claims.get("kinds", ()):
        return "spot"
    return "inverse" if "linear swap" not in claims["markets"] and "inverse swap" in claims["markets"] else "linear"
