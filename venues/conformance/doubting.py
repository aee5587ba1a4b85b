"""Cases of doubt: a request that never left, and answers lost, cut or empty; made on our side of the wire."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from venues.conformance.bench import Bench, Skipped, expect, said
from venues.conformance.cases import case
from venues.conformance.losing import Loss
from venues.messages import Lookup, OrderReport, PlaceOrder


async def _placed_in_doubt(bench: Bench, loss: Loss) -> tuple[PlaceOrder, OrderReport]:
    """Place an order whose answer is lost, and find it by our id. Raises Refuted."""
    if not bench.can.client_ids:
        raise Skipped("this venue takes no client ids: a person settles such a doubt")
    order = bench.order()
    bench.wire.lose(bench.gateway.wire_client_id(order.venue_client_id), loss)
    answer = await bench.place(order)
    expect(answer.outcome == "unknown", f"without an answer the order was called {said(answer)}")

    async def seen() -> OrderReport | None:
        return (await bench.look_up(order)).order

    found = await bench.eventually("the order is found by our id", seen)
    assert found is not None  # noqa: S101 - eventually() returns nothing else
    await bench.cancel(order, found.venue_order_id)
    return order, found


@case("an order that never left is not sent, and absent")
async def never_sent_is_not_sent(bench: Bench) -> str:
    if not bench.can.client_ids:
        raise Skipped("this venue takes no client ids")
    order = bench.order()
    bench.wire.lose(bench.gateway.wire_client_id(order.venue_client_id), "never_sent")
    answer = await bench.place(order)
    expect(answer.outcome == "not_sent", said(answer))
    found = await bench.look_up(order)
    expect(found.result == "absent", f"looked for it was {found.result}")
    return said(answer)


@case("an order whose answer is late is unknown, then found by our id", fact="client_id_lookup")
async def late_answer_is_resolved(bench: Bench) -> str:
    _, found = await _placed_in_doubt(bench, "answer_lost")
    return f"found {found.status} as {found.venue_order_id}"


@case("an order whose answer is cut is unknown, then found by our id", fact="client_id_lookup")
async def cut_answer_is_resolved(bench: Bench) -> str:
    _, found = await _placed_in_doubt(bench, "answer_cut")
    return f"found {found.status} as {found.venue_order_id}"


@case("an order whose answer is empty is unknown, then found by our id", fact="client_id_lookup")
async def empty_answer_is_resolved(bench: Bench) -> str:
    _, found = await _placed_in_doubt(bench, "answer_empty")
    return f"found {found.status} as {found.venue_order_id}"


@case("the same id sent again after a lost answer makes no second live order", fact="client_ids_unique")
async def second_send_is_no_second_order(bench: Bench) -> str:
    if not bench.can.client_ids or bench.can.client_ids_unique == "never":
        raise Skipped("this venue promises no uniqueness: nothing is ever sent twice anyway")
    order = bench.order()
    bench.wire.lose(bench.gateway.wire_client_id(order.venue_client_id), "answer_lost")
    await bench.place(order)

    async def seen() -> OrderReport | None:
        return (await bench.look_up(order)).order

    found = await bench.eventually("the order is found by our id", seen)
    answer = await bench.place(replace(order, **bench.stamp()))
    if answer.outcome == "accepted" and found is not None and answer.venue_order_id == found.venue_order_id:
        return "answered with the first order"
    expect(answer.code == "DUPLICATE_CLIENT_ID", said(answer))
    return "refused as a duplicate: evidence that the first was accepted"


@case("a cancel whose answer is lost is unknown, then seen done")
async def lost_cancel_is_resolved(bench: Bench) -> str:
    order, placed = await bench.rest()
    bench.wire.lose(str(placed.venue_order_id), "answer_lost")
    answer = await bench.cancel(order, placed.venue_order_id)
    expect(answer.outcome == "unknown", said(answer))

    async def ended() -> bool:
        found: Lookup = await bench.look_up(order, placed.venue_order_id)
        return found.order is not None and found.order.status == "cancelled"

    await bench.eventually("the order is found cancelled", ended)
    return "found cancelled"


@case("an amend whose answer is lost is unknown, and one order stands", fact="amend")
async def lost_amend_leaves_one_order(bench: Bench) -> str:
    if bench.can.amend == "none":
        raise Skipped("this venue changes no live orders")
    before = {row.venue_order_id for row in await bench.live()}
    order, placed = await bench.rest()
    bench.wire.lose(str(placed.venue_order_id), "answer_lost")
    price = bench.grid((order.price or bench.price) * Decimal("0.99"), down=True)
    answer = await bench.amend(order, placed.venue_order_id, price=price)
    expect(answer.outcome == "unknown", said(answer))

    async def one_stands() -> bool:
        mine = [row for row in await bench.live() if row.venue_order_id not in before]
        return [row.price for row in mine] == [price]

    await bench.eventually("exactly one order stands, at the new price", one_stands)
    for row in await bench.live():
        if row.venue_order_id not in before:
            await bench.cancel(order, row.venue_order_id)
    return "one order stands"
