"""Cases of orders that wait for a trigger at the venue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from venues.conformance.bench import Bench, Skipped
from venues.conformance.cases import case
from venues.conformance.ordering import listed

ABOVE, BELOW = Decimal("1.1"), Decimal("0.85")


async def _waits(bench: Bench, kind: str, **terms: Any) -> str:
    if kind not in bench.can.order_types:
        raise Skipped(f"this venue has no {kind} orders of its own: the executor watches for the trigger")
    _, answer = await bench.rest(**{"type": kind, "price": None, **terms})
    row = await listed(bench, answer.venue_order_id)
    return f"waits as {row.type or 'an order'} at {row.trigger_price or 'its offset'}"


def _sized(bench: Bench) -> dict[str, Any]:
    return {"side": "sell", "quantity": bench.smallest(bench.price * BELOW)}


@case("a stop order waits for its trigger", fact="order_types")
async def stop_waits(bench: Bench) -> str:
    trigger = bench.grid(bench.price * BELOW, down=True)
    return await _waits(bench, "stop", trigger_price=trigger, **_sized(bench))


@case("a stop-limit order waits for its trigger", fact="order_types")
async def stop_limit_waits(bench: Bench) -> str:
    trigger = bench.grid(bench.price * BELOW, down=True)
    return await _waits(bench, "stop_limit", trigger_price=trigger, price=trigger, **_sized(bench))


@case("a take-profit order waits for its trigger", fact="order_types")
async def take_profit_waits(bench: Bench) -> str:
    trigger = bench.grid(bench.price * ABOVE, down=True)
    return await _waits(bench, "take_profit", trigger_price=trigger, **_sized(bench))


@case("a take-profit limit order waits for its trigger", fact="order_types")
async def take_profit_limit_waits(bench: Bench) -> str:
    trigger = bench.grid(bench.price * ABOVE, down=True)
    return await _waits(bench, "take_profit_limit", trigger_price=trigger, price=trigger, **_sized(bench))


@case("a trailing stop waits at its distance", fact="order_types")
async def trailing_stop_waits(bench: Bench) -> str:
    offset = bench.grid(bench.price * (1 - BELOW), down=True)
    return await _waits(bench, "trailing_stop", trailing_offset=offset, **_sized(bench))
