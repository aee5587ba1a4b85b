"""Cases that trade: a fill with its fee, found, added up, and the balances moved by exactly that."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

from project.lib import clock
from venues.conformance.bench import Bench, Refuted, Skipped, expect
from venues.conformance.cases import case
from venues.messages import FillReport

Fills = list[FillReport]


async def traded(bench: Bench, side: str) -> tuple[Fills, Decimal, datetime]:
    """Take the smallest quantity from the book; return its fills, the quantity and when it began. Raises Refuted."""
    since = clock.now() - timedelta(seconds=2)
    quantity = bench.smallest(bench.price * Decimal("0.9"))
    order = bench.order(type="market", side=side, price=None, quantity=quantity, time_in_force="IOC")
    answer = await bench.place(order)
    expect(answer.outcome == "accepted", f"a market order was {answer.outcome} {answer.code} {answer.message}")

    async def all_of_it() -> Fills:
        mine = [fill for fill in await bench.fills_since(since) if fill.venue_order_id == answer.venue_order_id]
        return mine if sum(fill.quantity for fill in mine) >= quantity else []

    return await bench.eventually(f"its trades add up to {quantity}", all_of_it), quantity, since


@case("a market order's trades are found and add up exactly", spends=True)
async def trades_add_up(bench: Bench) -> str:
    fills, quantity, _ = await traded(bench, "buy")
    total = sum((fill.quantity for fill in fills), Decimal(0))
    expect(total == quantity, f"trades add up to {total} of {quantity}")
    expect(all(fill.side == "buy" and fill.price > 0 for fill in fills), "a trade has another side, or no price")
    return f"{len(fills)} trades of {quantity}, fee {fills[0].fee} {fills[0].fee_asset}"


@case("balances move by exactly what was traded and charged", spends=True)
async def balances_move_exactly(bench: Bench) -> str:
    if bench.spec.kind != "spot":
        raise Skipped("not a spot instrument: what is exchanged is settled in margin")
    before = {asset: row.total for asset, row in (await bench.balances()).items()}
    fills, _, _ = await traded(bench, "sell")
    wanted = _movements(bench, fills)

    async def moved() -> bool:
        after = {asset: row.total for asset, row in (await bench.balances()).items()}
        changes = {asset: after.get(asset, Decimal(0)) - before.get(asset, Decimal(0)) for asset in wanted}
        return changes == wanted

    await bench.eventually(f"balances have moved by {_written(wanted)}", moved)
    return _written(wanted)


@case("trades read twice with an overlap are the same trades", spends=True)
async def trades_are_the_same_again(bench: Bench) -> str:
    _, _, since = await traded(bench, "buy")
    first = await bench.fills_since(since - timedelta(minutes=1))
    again = await bench.fills_since(since - timedelta(minutes=5))
    key = {(fill.venue_trade_id, fill.side): fill for fill in again}
    for fill in first:
        twin = key.get((fill.venue_trade_id, fill.side))
        if twin is None or (twin.price, twin.quantity, twin.fee) != (fill.price, fill.quantity, fill.fee):
            raise Refuted(f"trade {fill.venue_trade_id} is missing or different when it is read again")
    return f"{len(first)} of {len(again)} trades compared"


def _movements(bench: Bench, fills: Fills) -> dict[str, Decimal]:
    moved: dict[str, Decimal] = defaultdict(Decimal)
    for fill in fills:
        sign = 1 if fill.side == "buy" else -1
        cost = fill.quote_quantity if fill.quote_quantity is not None else fill.price * fill.quantity
        moved[bench.spec.base] += sign * fill.quantity
        moved[bench.spec.quote] -= sign * cost
        moved[fill.fee_asset] -= fill.fee
    return dict(moved)


def _written(moved: dict[str, Decimal]) -> str:
    return ", ".join(f"{amount:+} {asset}" for asset, amount in moved.items())
