"""One market list per process and venue, loaded once without keys and shared by every account there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

from project.lib import clock, decimals
from venues.messages import MarketSpec

FRESH_SECONDS = 3600.0


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
        client.set_markets_from_exchange(known[1])
        # ccxt's load_markets() takes this for done and makes no request of its own.
        client.markets_loading = asyncio.get_running_loop().create_future()
        client.markets_loading.set_result(client.markets)


def specs(client: Any) -> list[MarketSpec]:
    """Return the instruments of the client's market list that can be written exactly."""
    ticks = client.precisionMode == 4
    found = []
    for market in client.markets.values():
        try:
            found.append(_spec(market, ticks))
        except (ValueError, KeyError, TypeError):
            continue  # a market without a symbol or with an impossible step cannot be traded, so it is not listed
    return found


def _spec(market: Mapping[str, Any], ticks: bool) -> MarketSpec:
    limits = market.get("limits") or {}
    precision = market.get("precision") or {}
    amount, cost = limits.get("amount") or {}, limits.get("cost") or {}
    return MarketSpec(
        symbol=market["symbol"],
        venue_symbol=str(market["id"]),
        base=market["base"],
        quote=market["quote"],
        kind=market.get("type") or "spot",
        price_step=_number(precision.get("price")) or decimals.ZERO if ticks else decimals.ZERO,
        quantity_step=_number(precision.get("amount")) or decimals.ZERO if ticks else decimals.ZERO,
        quantity_min=_number(amount.get("min")),
        quantity_max=_number(amount.get("max")),
        notional_min=_number(cost.get("min")),
        contract_size=_number(market.get("contractSize")) or Decimal(1),
        is_active=market.get("active") is not False,
    )


def _number(value: object) -> Decimal | None:
    number = decimals.parse_venue(value)
    return number if number is not None and number > 0 else None
