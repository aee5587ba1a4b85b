"""One market list per process and venue, loaded once without keys and shared by every account there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from project.lib import clock, decimals, garbage
from venues import symbols
from venues.messages import MarketSpec
from venues.symbols import SYMBOL_CHARACTERS_MAX

ASSET_CHARACTERS_MAX = 32
FRESH_SECONDS = 3600.0
_KINDS = {"swap": "perpetual"}
TICK_SIZE = 4  # ccxt's word for steps; elsewhere it counts digits


class SharedMarkets:
    """The market lists of this process, by venue code; every gateway of a process is given the same one."""

    def __init__(self) -> None:
        self._loaded: dict[str, tuple[float, Any]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def give(self, venue: str, client: Any, load: Callable[[], Awaitable[Any]], *, reload: bool = False) -> None:
        """Give the client the venue's markets, loading them when nobody has within the hour (or reload is asked)."""
        async with self._locks.setdefault(venue, asyncio.Lock()):
            known = self._loaded.get(venue)
            if known is None or (reload and clock.monotonic_seconds() - known[0] > FRESH_SECONDS):
                known = self._loaded[venue] = (clock.monotonic_seconds(), await load())
                garbage.set_aside()  # tens of thousands of objects that stay for the hour
        client.set_markets_from_exchange(known[1])
        # ccxt's load_markets() takes this for done and makes no request of its own.
        client.markets_loading = asyncio.get_running_loop().create_future()
        client.markets_loading.set_result(client.markets)


def specs(client: Any) -> list[MarketSpec]:
    """Return every market of the client's list; one that has no canonical name, or cannot be written exactly, says why."""
    ticks = client.precisionMode == TICK_SIZE
    found, taken = [], set()
    for market in _every(client):
        spec = _spec(market, ticks)
        if not spec.unmapped_reason and spec.symbol in taken:
            spec = _nameless(market, f"another market of the venue has the name {spec.symbol}")
        taken.add(spec.symbol)
        found.append(spec)
    return found


def _every(client: Any) -> Iterable[Mapping[str, Any]]:
    """Yield the markets ccxt finds by their symbol, then those it hides behind them."""
    named = list(client.markets.values())
    yield from named
    known = {(market.get("id"), market.get("symbol")) for market in named}  # ccxt copies markets when it shares them
    for listed in (client.markets_by_id or {}).values():
        yield from (market for market in listed if (market.get("id"), market.get("symbol")) not in known)


def _spec(market: Mapping[str, Any], ticks: bool) -> MarketSpec:
    symbol = market.get("symbol") or ""
    reason = symbols.problem_of(symbol) or _unwritable(market)
    if reason:
        return _nameless(market, reason)
    kind = market.get("type") or "spot"
    limits, precision = market.get("limits") or {}, market.get("precision") or {}
    amount, price, cost = limits.get("amount") or {}, limits.get("price") or {}, limits.get("cost") or {}
    try:
        return MarketSpec(
            symbol=symbol,
            venue_symbol=str(market["id"]),
            base=market["base"],
            quote=market["quote"],
            settle=market.get("settle") or "",
            kind=_KINDS.get(kind, kind),
            price_step=_number(precision.get("price")) or decimals.ZERO if ticks else decimals.ZERO,
            quantity_step=_number(precision.get("amount")) or decimals.ZERO if ticks else decimals.ZERO,
            quantity_min=_number(amount.get("min")),
            quantity_max=_number(amount.get("max")),
            price_min=_number(price.get("min")),
            price_max=_number(price.get("max")),
            notional_min=_number(cost.get("min")),
            notional_max=_number(cost.get("max")),
            leverage_max=_number((limits.get("leverage") or {}).get("max")),
            contract_size=_number(market.get("contractSize")) or Decimal(1),
            expires_at=_moment(market.get("expiry")),
            is_active=market.get("active") is not False,
        )
    except (ValueError, ArithmeticError):
        return _nameless(market, "its steps or limits cannot be written exactly")


def _unwritable(market: Mapping[str, Any]) -> str:
    if any(not isinstance(market.get(name), str) or not market[name] for name in ("id", "base", "quote")):
        return "the venue names no base and quote asset for it"
    is_long = max(len(market["base"]), len(market["quote"])) > ASSET_CHARACTERS_MAX
    return "the name of an asset is too long" if is_long or len(market["id"]) > SYMBOL_CHARACTERS_MAX else ""


def _nameless(market: Mapping[str, Any], reason: str) -> MarketSpec:
    venue_symbol = str(market.get("id") or market.get("symbol") or "?")[:SYMBOL_CHARACTERS_MAX]
    return MarketSpec(
        symbol=symbols.unmapped(venue_symbol), venue_symbol=venue_symbol, base=_short(market.get("base")),
        quote=_short(market.get("quote")), kind=_short(market.get("type"))[:16] or "spot", price_step=decimals.ZERO,
        quantity_step=decimals.ZERO, quantity_min=None, quantity_max=None, notional_min=None, contract_size=Decimal(1),
        is_active=False, unmapped_reason=reason,
    )  # fmt: skip


def _short(value: object) -> str:
    return value[:ASSET_CHARACTERS_MAX] if isinstance(value, str) else ""


def _moment(value: object) -> datetime | None:
    return clock.from_milliseconds(str(value)) if value else None


def _number(value: object) -> Decimal | None:
    number = decimals.parse_venue(value)
    return number if number is not None and number > 0 else None
