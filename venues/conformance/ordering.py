"""Cases of plain orders: placed, found, cancelled, refused, filled; with exact numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from project.lib import clock, decimals
from venues.conformance.bench import Bench, Skipped, expect, said
from venues.conformance.cases import case
from venues.messages import OrderReport

ABSURD = Decimal(100_000)


async def listed(bench: Bench, venue_order_id: str | None) -> OrderReport:
    """Return an order out of the list of open ones. Raises Refuted when it does not appear there."""

    async def seen() -> OrderReport | None:
        return next((row for row in await bench.live() if row.venue_order_id == venue_order_id), None)

    found = await bench.eventually("the order is in the list of open orders", seen)
    return found or OrderReport(venue_order_id=None, venue_client_id=None, symbol="", status="open")


@case("a limit order far from the market is accepted with the venue's id")
async def limit_order_rests(bench: Bench) -> str:
    _, answer = await bench.rest()
    return f"venue order id {answer.venue_order_id}"


@case("it is listed with exactly our quantity and price")
async def numbers_are_exact(bench: Bench) -> str:
    order, answer = await bench.rest()
    row = await listed(bench, answer.venue_order_id)
    expect(row.quantity == order.quantity, f"quantity {row.quantity} instead of {order.quantity}")
    expect(row.price == order.price, f"price {row.price} instead of {order.price}")
    expect(row.side == order.side, f"side {row.side} instead of {order.side}")
    return f"{row.quantity} at {row.price}"


@case("it is listed with our client id", fact="client_ids")
async def client_id_is_echoed(bench: Bench) -> str:
    if not bench.can.client_ids:
        raise Skipped("this venue takes no client ids")
    order, answer = await bench.rest()
    row = await listed(bench, answer.venue_order_id)
    wanted = bench.gateway.wire_client_id(order.venue_client_id)
    expect(row.venue_client_id == wanted, f"listed with {row.venue_client_id} instead of {wanted}")
    return wanted


@case("an order is found by our client id", fact="client_id_lookup")
async def found_by_client_id(bench: Bench) -> str:
    if not bench.can.client_ids:
        raise Skipped("this venue takes no client ids")
    order, answer = await bench.rest()

    async def seen() -> bool:
        found = await bench.look_up(order)
        return found.order is not None and found.order.venue_order_id == answer.venue_order_id

    await bench.eventually("the order is found by our id", seen)
    return bench.can.client_id_lookup


@case("an order is found by the venue's id, open and cancelled")
async def found_by_venue_id(bench: Bench) -> str:
    order, answer = await bench.rest()

    async def is_open() -> bool:
        found = await bench.look_up(order, answer.venue_order_id)
        return found.order is not None and found.order.status == "open"

    await bench.eventually("the open order is found by its venue id", is_open)
    await bench.cancel(order, answer.venue_order_id)

    async def is_cancelled() -> bool:
        found = await bench.look_up(order, answer.venue_order_id)
        return found.order is not None and found.order.status == "cancelled"

    await bench.eventually("the cancelled order is found by its venue id", is_cancelled)
    return "open, then cancelled"


@case("a cancel by the venue's id ends the order")
async def cancelled_by_venue_id(bench: Bench) -> str:
    order, placed = await bench.rest()
    answer = await bench.cancel(order, placed.venue_order_id)
    expect(answer.outcome == "accepted", said(answer))
    await _is_gone(bench, placed.venue_order_id)
    return "gone from the list"


@case("a cancel by our client id ends the order", fact="client_id_cancel")
async def cancelled_by_client_id(bench: Bench) -> str:
    if not bench.can.client_id_cancel:
        raise Skipped("this venue cancels by its own id only")
    order, placed = await bench.rest()
    answer = await bench.cancel(order, None)
    expect(answer.outcome == "accepted", said(answer))
    await _is_gone(bench, placed.venue_order_id)
    return "gone from the list"


@case("a second cancel is refused as unknown or closed, never accepted in doubt")
async def second_cancel_is_refused(bench: Bench) -> str:
    order, placed = await bench.rest()
    await bench.cancel(order, placed.venue_order_id)
    await _is_gone(bench, placed.venue_order_id)
    answer = await bench.cancel(order, placed.venue_order_id)
    expect(answer.outcome in ("rejected", "accepted"), said(answer))
    return said(answer)


@case(
    "a client id in use is refused as a duplicate or answered with its order, and one stands", fact="client_ids_unique"
)
async def duplicate_is_refused(bench: Bench) -> str:
    if not bench.can.client_ids or bench.can.client_ids_unique == "never":
        raise Skipped("this venue promises no uniqueness: nothing is ever sent twice anyway")
    order, placed = await bench.rest()
    await listed(bench, placed.venue_order_id)
    answer = await bench.place(replace(order, **bench.stamp()))
    is_the_first = answer.outcome == "accepted" and answer.venue_order_id == placed.venue_order_id
    expect(is_the_first or answer.code == "DUPLICATE_CLIENT_ID", f"the second was {said(answer)}")
    named = [row for row in await bench.live() if row.venue_client_id == order.venue_client_id]
    expect(len(named) <= 1, f"{len(named)} orders stand under one client id")
    if is_the_first:
        return "answered with the first order"
    return "refused as a duplicate, which says that the first one stands"


@case("a post-only order that would take is refused", fact="post_only")
async def post_only_never_takes(bench: Bench) -> str:
    if not bench.can.post_only:
        raise Skipped("this venue has no post-only orders")
    price = bench.grid(bench.price * Decimal("1.05"), down=True)
    order = bench.order(price=price, post_only=True)
    answer = await bench.place(order)
    if answer.outcome == "accepted":  # some venues accept it and end it at once

        async def ended() -> bool:
            found = await bench.look_up(order, answer.venue_order_id)
            return found.order is not None and found.order.status in ("cancelled", "expired", "rejected")

        await bench.eventually("the order was ended without a trade", ended)
        return "accepted and ended at once"
    expect(answer.outcome == "rejected", said(answer))
    return said(answer)


@case("a post-only order that does not take rests", fact="post_only")
async def post_only_rests(bench: Bench) -> str:
    if not bench.can.post_only:
        raise Skipped("this venue has no post-only orders")
    _, answer = await bench.rest(post_only=True)
    await listed(bench, answer.venue_order_id)
    return "rests"


async def _must_trade_at_once(bench: Bench, time_in_force: str) -> str:
    if time_in_force not in bench.can.times_in_force:
        raise Skipped(f"this venue takes no {time_in_force} orders")
    order = bench.order(time_in_force=time_in_force)
    answer = await bench.place(order)
    if answer.outcome != "accepted":
        expect(answer.outcome == "rejected", said(answer))
        return said(answer)
    await _is_gone(bench, answer.venue_order_id)
    return "accepted and ended without a trade"


@case("an IOC order that finds nobody does not rest", fact="times_in_force")
async def ioc_does_not_rest(bench: Bench) -> str:
    return await _must_trade_at_once(bench, "IOC")


@case("a FOK order that finds nobody does not rest", fact="times_in_force")
async def fok_does_not_rest(bench: Bench) -> str:
    return await _must_trade_at_once(bench, "FOK")


@case("an order good till a date is taken with that date", fact="times_in_force")
async def gtd_is_taken(bench: Bench) -> str:
    if "GTD" not in bench.can.times_in_force:
        raise Skipped("this venue has no GTD: we end such orders ourselves")
    until = clock.now().replace(microsecond=0) + timedelta(hours=2)
    _, answer = await bench.rest(time_in_force="GTD", expires_at=until)
    await listed(bench, answer.venue_order_id)
    return "rests"


@case("an order beyond the balance is refused for funds")
async def funds_are_checked(bench: Bench) -> str:
    quantity = min(bench.smallest(bench.price) * ABSURD, bench.spec.quantity_max or ABSURD * ABSURD)
    answer = await bench.place(bench.order(quantity=bench.on_grid(quantity)))
    expect(answer.outcome == "rejected", f"an order for {decimals.write(quantity)} was {said(answer)}")
    return said(answer)


@case("a price off the grid never becomes an order")
async def off_grid_is_refused(bench: Bench) -> str:
    order = bench.order()
    answer = await bench.place(replace(order, price=(order.price or bench.price) + bench.spec.price_step / 2))
    expect(answer.outcome in ("not_sent", "rejected"), said(answer))
    return said(answer)


@case("a quantity below the minimum never becomes an order")
async def minimum_is_kept(bench: Bench) -> str:
    step = bench.spec.quantity_step
    if not bench.spec.notional_min and (not bench.spec.quantity_min or bench.spec.quantity_min <= step):
        raise Skipped("one step is the minimum here")
    answer = await bench.place(bench.order(quantity=step))
    expect(answer.outcome in ("not_sent", "rejected"), said(answer))
    return said(answer)


@case("an unknown symbol never becomes an order")
async def unknown_symbol_is_refused(bench: Bench) -> str:
    answer = await bench.place(bench.order(symbol="NOSUCHASSET/USDT"))
    expect(answer.outcome in ("not_sent", "rejected"), said(answer))
    return said(answer)


@case("an order stamped outside of its window is not taken", fact="window")
async def window_is_enforced(bench: Bench) -> str:
    if not bench.can.window:
        raise Skipped("this venue has no validity window: absence is never proved by time")
    old = bench.order()
    order = replace(old, stamp_ms=old.stamp_ms - 600_000)
    answer = await bench.place(order)
    # Some say no in words that other failures use too: then not being there is what counts.
    expect(answer.outcome != "accepted", "an order from ten minutes ago was taken")
    found = await bench.look_up(order)
    expect(found.result == "absent", f"looked for afterwards it was {found.result}")
    return said(answer)


@case("an amend leaves exactly one live order with the new terms", fact="amend")
async def amend_leaves_one_order(bench: Bench) -> str:
    if bench.can.amend == "none":
        raise Skipped("this venue changes no live orders: we cancel and send anew")
    order, placed = await bench.rest()
    await listed(bench, placed.venue_order_id)
    price = bench.grid((order.price or bench.price) * Decimal("0.99"), down=True)
    answer = await bench.amend(order, placed.venue_order_id, price=price)
    expect(answer.outcome == "accepted", said(answer))

    async def only_the_new_one() -> bool:
        ours = {placed.venue_order_id, answer.venue_order_id}
        mine = [row for row in await bench.live() if row.venue_order_id in ours]
        return [(row.price, row.quantity) for row in mine] == [(price, order.quantity)]

    await bench.eventually("exactly one order stands, at the new price", only_the_new_one)
    return answer.replaced


@case("an amend of an ended order makes no new one", fact="amend")
async def amend_of_nothing_is_refused(bench: Bench) -> str:
    if bench.can.amend == "none":
        raise Skipped("this venue changes no live orders")
    order, placed = await bench.rest()
    await bench.cancel(order, placed.venue_order_id)
    await _is_gone(bench, placed.venue_order_id)
    price = bench.grid((order.price or bench.price) * Decimal("0.99"), down=True)
    answer = await bench.amend(order, placed.venue_order_id, price=price)
    expect(answer.outcome == "rejected", said(answer))
    return said(answer)


async def _is_gone(bench: Bench, venue_order_id: str | None) -> None:
    async def gone() -> bool:
        return all(row.venue_order_id != venue_order_id for row in await bench.live())

    await bench.eventually("the order has left the list of open orders", gone)
