"""Cases that only read: lists, clock, permissions, surfaces, and how the venue says no."""

from __future__ import annotations

from datetime import timedelta

from project.lib import clock
from venues.conformance.bench import Bench, Refuted, Skipped, expect
from venues.conformance.cases import case


@case("the market list has an instrument with exact steps", places_orders=False)
async def markets_are_listed(bench: Bench) -> str:
    specs = await bench.gateway.markets()
    gridded = [spec for spec in specs if spec.is_active and spec.price_step > 0 and spec.quantity_step > 0]
    expect(bool(gridded), f"none of {len(specs)} instruments has both a price step and a quantity step")
    return f"{len(specs)} instruments, {len(gridded)} with exact steps; using {bench.spec.symbol}"


@case("the venue's clock can be compared with ours", fact="window", places_orders=False)
async def clock_is_known(bench: Bench) -> str:
    if not bench.can.window:
        raise Skipped("this venue has no validity window, so its clock decides nothing")
    offset = bench.gateway.clock_offset_ms
    expect(abs(offset) < bench.can.window_max_ms / 2, f"the venue's clock is {offset} ms from ours")
    return f"{offset} ms ahead of ours"


@case("the venue names a price", places_orders=False)
async def price_is_named(bench: Bench) -> str:
    prices = await bench.gateway.last_prices([bench.spec.symbol])
    expect(prices.get(bench.spec.symbol, 0) > 0, f"no price: {bench.gateway.last_error or 'not named'}")
    return str(prices[bench.spec.symbol])


@case("the venue says what the key may do", fact="permissions", places_orders=False)
async def permissions_are_said(bench: Bench) -> str:
    found = await bench.gateway.permissions()
    expect(found is not None, f"could not be asked: {bench.gateway.last_error}")
    if found is None or found.can_withdraw is None:
        raise Skipped("the venue does not say whether the key may withdraw: activation needs a person's waiver")
    expect(found.can_trade is not False, "this key may not trade")
    return f"trade {found.can_trade}, withdraw {found.can_withdraw}, by {found.source}"


@case("the key cannot withdraw", places_orders=False)
async def key_cannot_withdraw(bench: Bench) -> str:
    found = await bench.gateway.permissions()
    if found is None or found.can_withdraw is None:
        raise Skipped("the venue does not say")
    expect(not found.can_withdraw, "this key may withdraw: the product refuses it")
    return "no withdraw right"


@case("open orders can be read whole", places_orders=False)
async def open_orders_are_read(bench: Bench) -> str:
    return f"{len(await bench.read('open_orders'))} open orders"


@case("trades can be read whole", fact="fills_need_symbol", places_orders=False)
async def fills_are_read(bench: Bench) -> str:
    found = await bench.read("fills", clock.now() - timedelta(hours=1))
    keys = {(row.symbol, row.venue_trade_id, row.side) for row in found}
    expect(len(keys) == len(found), "a trade is listed twice")
    return f"{len(found)} trades in the last hour"


@case("balances can be read whole and add up", places_orders=False)
async def balances_add_up(bench: Bench) -> str:
    found = await bench.balances()
    expect(bool(found), "the account has nothing: give it something to trade with")
    wrong = [row.asset for row in found.values() if row.free + row.held != row.total]
    expect(not wrong, f"free and held are not the total of {', '.join(wrong[:5])}")
    return f"{len(found)} assets"


@case("what the venue lacks is unsupported, never empty", places_orders=False)
async def lacking_surfaces_are_named(bench: Bench) -> str:
    seen = []
    for surface in ("positions", "transfers"):
        read = await bench.gateway.read(surface, symbols=[bench.spec.symbol])
        if read.status not in ("good", "unsupported"):
            raise Refuted(f"{surface}: {read.status} {read.error}")
        seen.append(f"{surface} {read.status}")
    return ", ".join(seen)


@case("an order that was never sent is absent, by good answers", fact="client_id_lookup", places_orders=False)
async def unknown_order_is_absent(bench: Bench) -> str:
    found = await bench.look_up(bench.order())
    if not bench.can.client_ids:
        raise Skipped("this venue takes no client ids: orders are looked for by their shape")
    expect(found.result == "absent", f"looked for by our id it was {found.result}: {_sources(found.evidence)}")
    return _sources(found.evidence)


def _sources(evidence: tuple[object, ...]) -> str:
    return ", ".join(f"{getattr(row, 'source', '')} {getattr(row, 'answer', '')}" for row in evidence)[:200]
