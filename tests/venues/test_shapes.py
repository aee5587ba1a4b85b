"""A venue that takes no client id: nothing of ours is sent, and an order is found by its shape or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import pytest

from project.lib import clock
from tests.venues.desk import SYMBOL, Desk, gateway
from tests.venues.paper.process import PaperVenue, WorldHandle
from venues import capabilities
from venues.gateway import VenueTarget
from venues.messages import Lookup, PlaceOrder, Shape

AGO = timedelta(minutes=1)


@pytest.fixture
async def nameless(paper: PaperVenue, paper_world: WorldHandle) -> AsyncIterator[Desk]:
    """Return an open gateway that believes its venue takes no client ids."""
    target = VenueTarget(
        code="nameless", exchange=paper_world.exchange, rest_url=paper_world.rest_url, ws_url=paper_world.ws_url,
        may_trade=True, quirks=("no_client_id", "no_validity_window"),
    )  # fmt: skip
    one = gateway(paper_world, target=target)
    await one.open()
    yield Desk(paper, paper_world, one)
    await one.close()


def shape_of(order: PlaceOrder) -> Shape:
    return Shape(side=order.side, type=order.type, quantity=order.quantity, price=order.price)


async def looked_up(desk: Desk, order: PlaceOrder, known: frozenset[str] = frozenset(), **named: str) -> Lookup:
    return await desk.gateway.look_up(
        symbol=SYMBOL, venue_client_id=order.venue_client_id, since=clock.now() - AGO, shape=shape_of(order),
        known_venue_order_ids=known, **named,
    )  # fmt: skip


async def test_no_client_id_leaves_and_the_only_order_of_the_shape_is_ours(nameless: Desk) -> None:
    order = nameless.order()
    answer = await nameless.gateway.place(order)
    assert (answer.outcome, answer.valid_until) == ("accepted", None)
    assert answer.order is not None
    assert answer.order.venue_client_id is None
    (accepted,) = nameless.venue.journal(nameless.world, "accepted")
    assert accepted["client_order_id"] != order.venue_client_id
    found = await looked_up(nameless, order)
    assert (found.result, found.order and found.order.venue_order_id) == ("found", answer.venue_order_id)
    assert found.evidence[-1].answer.startswith("the only order of this shape since")


async def test_an_order_that_is_done_is_found_as_well(nameless: Desk) -> None:
    order = nameless.order()
    answer = await nameless.gateway.place(order)
    assert (await nameless.gateway.cancel(nameless.cancel_of(order, answer.venue_order_id))).outcome == "accepted"
    found = await looked_up(nameless, order)
    assert found.order is not None
    assert (found.order.venue_order_id, found.order.status) == (answer.venue_order_id, "cancelled")


async def test_two_of_a_shape_are_named_and_prove_nothing_until_one_is_known(nameless: Desk) -> None:
    order, twin = nameless.order(), nameless.order()
    first, second = await nameless.gateway.place(order), await nameless.gateway.place(twin)
    doubtful = await looked_up(nameless, order)
    assert doubtful.result == "failed"
    assert set(doubtful.evidence[-1].detail["candidates"]) == {first.venue_order_id, second.venue_order_id}
    found = await looked_up(nameless, twin, frozenset({str(first.venue_order_id)}))
    assert (found.result, found.order and found.order.venue_order_id) == ("found", second.venue_order_id)


async def test_other_shapes_are_not_ours(nameless: Desk) -> None:
    order = nameless.order()
    await nameless.gateway.place(order)
    for changes in (
        {"price": Decimal("50001")},
        {"quantity": Decimal("0.2")},
        {"side": "sell", "price": Decimal("70000")},
    ):
        absent = await looked_up(nameless, nameless.order(**changes))
        assert (absent.result, absent.order) == ("absent", None)
        assert absent.evidence[-1].answer.startswith("no order of this shape")


async def test_a_list_that_cannot_be_read_proves_nothing(nameless: Desk) -> None:
    order = nameless.order()
    await nameless.gateway.place(order)
    nameless.venue.add_fault(nameless.world, "status", "any", params={"status": 503}, count=1)
    failed = await looked_up(nameless, order)
    assert failed.result == "failed"
    assert failed.evidence[-1].answer == "not every list could be read"


async def test_by_its_venue_order_id_an_order_is_found_without_a_shape(nameless: Desk) -> None:
    answer = await nameless.gateway.place(nameless.order())
    found = await nameless.gateway.look_up(
        symbol=SYMBOL, venue_client_id="", venue_order_id=answer.venue_order_id, since=clock.now() - AGO
    )
    assert (found.result, found.order and found.order.venue_order_id) == ("found", answer.venue_order_id)
    lost = await nameless.gateway.look_up(symbol=SYMBOL, venue_client_id="g1", since=clock.now() - AGO)
    assert lost.result == "failed"


async def test_a_cancel_needs_the_venues_id(nameless: Desk) -> None:
    order = nameless.order()
    await nameless.gateway.place(order)
    answer = await nameless.gateway.cancel(nameless.cancel_of(order))
    assert (answer.outcome, nameless.venue.journal(nameless.world, "cancelled")) == ("not_sent", [])


def test_quirks_are_facts_of_one_venue() -> None:
    plain, quirky = capabilities.for_exchange("kraken"), capabilities.for_exchange("kraken", ("no_client_id",))
    assert (plain.client_ids, quirky.client_ids, quirky.client_id_cancel, quirky.window) == (True, False, False, True)
    assert not capabilities.for_exchange("kraken", ["no_validity_window"]).window
    with pytest.raises(KeyError):
        capabilities.for_exchange("kraken", ["no_brakes"])
