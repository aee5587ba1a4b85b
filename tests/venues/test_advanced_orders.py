"""Amends, triggers and expiry against a venue whose truth is known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from project.lib import clock
from tests.venues.desk import SYMBOL, Desk, gateway, now_ms, until
from tests.venues.paper.process import PaperVenue, WorldHandle
from venues import capabilities
from venues.adapters.ccxt import CcxtAdapter
from venues.adapters.checks import TRIGGERED
from venues.adapters.markets import SharedMarkets
from venues.credentials import Secret
from venues.gateway import VenueTarget
from venues.messages import AmendOrder, OrderReport, PlaceOrder

AGO = timedelta(minutes=5)
# The venues whose own triggers we use.
with_triggers = pytest.mark.parametrize("paper_world", ["binance", "kraken", "bybit"], indirect=True)
# Where a waiting order's row does not say whether it is a stop or a take-profit.
SAYS_NOT_WHICH_WAY = {"bybit"}


def change_of(order: PlaceOrder, venue_order_id: str | None, **changes: Any) -> AmendOrder:
    plain: dict[str, Any] = {
        "symbol": order.symbol, "side": order.side, "type": order.type, "venue_order_id": venue_order_id,
        "venue_client_id": order.venue_client_id, "new_venue_client_id": f"{order.venue_client_id[:-1]}z",
        "quantity": order.quantity, "filled_quantity": Decimal(0), "price": order.price,
        "trigger_price": order.trigger_price, "time_in_force": order.time_in_force, "post_only": order.post_only,
        "stamp_ms": now_ms(), "window_ms": 5_000,
    }  # fmt: skip
    return AmendOrder(**(plain | changes))


async def open_orders(desk: Desk) -> dict[str, OrderReport]:
    read = await desk.gateway.read("open_orders", symbols=[SYMBOL])
    assert read.status == "good", read
    return {str(row.venue_order_id): row for row in read.rows}


@pytest.mark.parametrize("by_venue_id", [True, False])
async def test_an_amend_leaves_exactly_one_live_order_with_the_new_terms(desk: Desk, by_venue_id: bool) -> None:
    order = desk.order()
    placed = await desk.gateway.place(order)
    wanted = change_of(
        order, placed.venue_order_id if by_venue_id else None, quantity=Decimal("0.2"), price=Decimal("49000")
    )
    answer = await desk.gateway.amend(wanted)
    if desk.world.exchange == "coinbase" and not by_venue_id:  # it knows orders by its own ids alone
        assert (answer.outcome, answer.transient) == ("not_sent", False)
        return
    binance = desk.world.exchange == "binance"
    assert (answer.outcome, answer.replaced) == ("accepted", "new_order" if binance else "in_place")
    live = await open_orders(desk)
    assert len(live) == 1
    ((identity, report),) = live.items()
    assert (report.quantity, report.price) == (Decimal("0.2"), Decimal("49000"))
    assert report.venue_client_id == (wanted.new_venue_client_id if binance else order.venue_client_id)
    assert (identity == placed.venue_order_id) is not binance
    if by_venue_id or binance:
        assert identity == answer.venue_order_id


async def test_what_is_filled_stays_filled_whether_the_venue_amends_or_only_replaces(desk: Desk) -> None:
    order = desk.order(price=Decimal("59990"))
    placed = await desk.gateway.place(order)
    desk.venue.trade(desk.world, SYMBOL, "sell", "0.04", price="59990")
    found = await desk.gateway.look_up(
        symbol=SYMBOL, venue_client_id=order.venue_client_id, venue_order_id=placed.venue_order_id, since=clock.now() - AGO
    )  # fmt: skip
    assert found.order is not None
    filled = found.order.filled_quantity or Decimal(0)
    assert 0 < filled < order.quantity
    wanted = change_of(
        order, placed.venue_order_id, filled_quantity=filled, quantity=Decimal("0.15"), price=Decimal("50000")
    )
    answer = await desk.gateway.amend(wanted)
    ((identity, report),) = (await open_orders(desk)).items()
    leaves = (report.quantity or Decimal(0)) - (report.filled_quantity or Decimal(0))
    if desk.world.exchange == "binance":
        # its replace would send the whole quantity again: such an order is cancelled and sent anew instead
        assert (answer.outcome, answer.code) == ("not_sent", "REQUEST_NOT_BUILT")
        assert (identity, leaves) == (placed.venue_order_id, order.quantity - filled)
        assert desk.placed() == 1
    else:
        assert answer.outcome == "accepted", answer
        assert leaves == Decimal("0.15") - filled


async def test_a_replacement_the_venue_refuses_leaves_a_cancelled_order_or_the_old_one(desk: Desk) -> None:
    order = desk.order()
    placed = await desk.gateway.place(order)
    answer = await desk.gateway.amend(change_of(order, placed.venue_order_id, quantity=Decimal("90")))
    live = await open_orders(desk)
    assert answer.code == "INSUFFICIENT_FUNDS"
    if desk.world.exchange == "binance":
        assert (answer.outcome, answer.replaced, live) == ("accepted", "cancelled_only", {})
        assert answer.order is not None
        assert (answer.order.venue_order_id, answer.order.status) == (placed.venue_order_id, "cancelled")
    else:
        assert (answer.outcome, answer.replaced) == ("rejected", "")
        assert live[str(placed.venue_order_id)].quantity == order.quantity


async def test_an_order_that_is_gone_is_not_amended_and_none_is_made(desk: Desk) -> None:
    order = desk.order()
    placed = await desk.gateway.place(order)
    await desk.gateway.cancel(desk.cancel_of(order, placed.venue_order_id))
    answer = await desk.gateway.amend(change_of(order, placed.venue_order_id, price=Decimal("49000")))
    assert (answer.outcome, answer.code) == ("rejected", "ORDER_UNKNOWN")
    assert await open_orders(desk) == {}
    assert desk.placed() == 1


@pytest.mark.parametrize(
    ("fault", "params", "outcome"),
    [
        ("drop_before", {}, "unknown"),
        ("drop_after", {}, "unknown"),
        ("status", {"status": 503, "when": "after"}, "unknown"),
        ("empty", {}, "unknown"),
        ("truncate", {}, "unknown"),
        ("hang", {"seconds": 20, "when": "after"}, "unknown"),
        ("rate_limited", {"seconds": 1}, "not_sent"),
    ],
)
async def test_faults_on_amend(desk: Desk, fault: str, params: dict[str, Any], outcome: str) -> None:
    order = desk.order()
    placed = await desk.gateway.place(order)
    desk.venue.add_fault(desk.world, fault, "amend_order", params=params, count=10)
    answer = await desk.gateway.amend(change_of(order, placed.venue_order_id, price=Decimal("49000")))
    assert (answer.outcome, answer.replaced) == (outcome, "")
    assert len([row for row in desk.venue.journal(desk.world, "fault") if row["fault"] == fault]) == 1


async def test_an_amend_after_its_window_changes_nothing(desk: Desk) -> None:
    order = desk.order()
    placed = await desk.gateway.place(order)
    late = change_of(order, placed.venue_order_id, price=Decimal("49000"), stamp_ms=now_ms() - 20_000)
    answer = await desk.gateway.amend(late)
    assert answer.outcome in ("not_sent", "unknown")
    assert (await open_orders(desk))[str(placed.venue_order_id)].price == order.price


@with_triggers
@pytest.mark.parametrize(
    ("kind", "trigger", "price"),
    [
        ("stop", "55000", None),
        ("stop_limit", "55000", "54000"),
        ("take_profit", "65000", None),
        ("take_profit_limit", "65000", "64000"),
    ],
)
async def test_an_order_with_a_trigger_rests_open_is_read_and_fires(
    desk: Desk, kind: str, trigger: str, price: str | None
) -> None:
    order = desk.order(
        type=kind, side="sell", price=price and Decimal(price), trigger_price=Decimal(trigger), quantity=Decimal("0.01")
    )
    placed = await desk.gateway.place(order)
    if kind not in desk.gateway.capabilities.order_types:
        assert (placed.outcome, desk.placed()) == ("not_sent", 0)
        return
    assert placed.outcome == "accepted", placed
    report = (await open_orders(desk))[str(placed.venue_order_id)]
    told = None if desk.world.exchange in SAYS_NOT_WHICH_WAY else kind
    assert (report.status, report.type, report.trigger_price) == ("open", told, Decimal(trigger))
    assert report.price == (price and Decimal(price))
    move(desk, trigger)
    found = await desk.gateway.look_up(
        symbol=SYMBOL, venue_client_id=order.venue_client_id, venue_order_id=placed.venue_order_id, since=clock.now() - AGO
    )  # fmt: skip
    assert found.order is not None
    assert found.order.status == "filled", found
    fills = await desk.gateway.read("fills", since=clock.now() - AGO, symbols=[SYMBOL])
    assert sum(row.quantity for row in fills.rows) == Decimal("0.01")


@with_triggers
async def test_a_trigger_is_moved(desk: Desk) -> None:
    order = desk.order(
        type="stop_limit", side="sell", price=Decimal("54000"), trigger_price=Decimal("55000"), quantity=Decimal("0.01")
    )
    placed = await desk.gateway.place(order)
    answer = await desk.gateway.amend(
        change_of(order, placed.venue_order_id, trigger_price=Decimal("56000"), price=Decimal("55500"))
    )
    if desk.world.exchange == "coinbase":  # it changes limit orders alone
        assert (answer.outcome, answer.transient) == ("not_sent", False)
        return
    assert answer.outcome == "accepted", answer
    ((_, report),) = (await open_orders(desk)).items()
    told = None if desk.world.exchange in SAYS_NOT_WHICH_WAY else "stop_limit"
    assert (report.type, report.trigger_price, report.price) == (told, Decimal("56000"), Decimal("55500"))


async def test_a_trailing_stop_trails_by_an_amount_where_the_venue_can(desk: Desk) -> None:
    order = desk.order(
        type="trailing_stop", side="sell", price=None, trailing_offset=Decimal("1000"), quantity=Decimal("0.01")
    )
    placed = await desk.gateway.place(order)
    if "trailing_stop" not in desk.gateway.capabilities.order_types:
        assert (placed.outcome, placed.code) == ("not_sent", "REQUEST_NOT_BUILT")
        return
    assert placed.outcome == "accepted", placed
    before = (await open_orders(desk))[str(placed.venue_order_id)]
    move(desk, "62000")
    after = (await open_orders(desk))[str(placed.venue_order_id)]
    assert (before.type, after.type) == ("trailing_stop", "trailing_stop")
    assert before.trigger_price is not None
    assert after.trigger_price == Decimal("61000")
    move(desk, "61000")
    assert await open_orders(desk) == {}


async def test_an_order_ends_at_its_time_where_the_venue_has_such_orders(desk: Desk) -> None:
    order = desk.order(time_in_force="GTD", expires_at=clock.now() + timedelta(seconds=7))
    placed = await desk.gateway.place(order)
    if "GTD" not in desk.gateway.capabilities.times_in_force:
        assert placed.outcome == "not_sent"
        return
    assert placed.outcome == "accepted", placed

    async def status() -> str:
        found = await desk.gateway.look_up(
            symbol=SYMBOL, venue_client_id=order.venue_client_id, venue_order_id=placed.venue_order_id,
            since=clock.now() - AGO,
        )  # fmt: skip
        return found.order.status if found.order else found.result

    assert await status() == "open"
    await until(lambda: desk.venue.journal(desk.world, "expired"), 12.0)
    assert await status() == "expired"


@pytest.fixture
async def general(paper: PaperVenue, paper_world: WorldHandle) -> AsyncIterator[tuple[CcxtAdapter, Desk]]:
    """Return the general adapter, told that the exchange has conditional orders and amends."""
    target = VenueTarget(
        code="general", exchange=paper_world.exchange, rest_url=paper_world.rest_url, ws_url=paper_world.ws_url,
        may_trade=True,
    )  # fmt: skip
    taught = replace(
        capabilities.for_exchange(paper_world.exchange), stream=False, window=False, amend="in_place",
        order_types=("limit", "market", *TRIGGERED),
    )  # fmt: skip
    adapter = CcxtAdapter(
        target, taught, Secret(paper_world.api_key, paper_world.secret, paper_world.passphrase), timeout_seconds=1.5,
        nonce_floor=0,
        shared=SharedMarkets(), on_http=lambda _: None,
    )  # fmt: skip
    await adapter.open()
    yield adapter, Desk(paper, paper_world, gateway(paper_world))
    await adapter.close()


@pytest.mark.parametrize("paper_world", ["binance", "kraken", "bybit"], indirect=True)  # OKX lists what waits elsewhere
@pytest.mark.parametrize("kind", ["stop", "stop_limit", "take_profit", "take_profit_limit"])
async def test_the_general_way_places_triggers_and_reads_them(general: tuple[CcxtAdapter, Desk], kind: str) -> None:
    adapter, desk = general
    trigger, limit = ("65000", "64000") if kind.startswith("take") else ("55000", "54000")
    price = Decimal(limit) if kind.endswith("limit") else None
    order = desk.order(type=kind, side="sell", price=price, trigger_price=Decimal(trigger), quantity=Decimal("0.01"))
    placed = await adapter.place(order)
    if kind not in adapter.capabilities.order_types:
        assert (placed.outcome, placed.transient) == ("not_sent", False)
        return
    assert placed.outcome == "accepted", placed
    read = await adapter.read("open_orders", since=None, symbols=[SYMBOL])
    (report,) = read.rows
    assert (report.venue_order_id, report.trigger_price) == (placed.venue_order_id, Decimal(trigger))
    assert report.type in (kind, None)  # of a stop at binance ccxt says no more than that it has a trigger


@pytest.mark.parametrize(
    "paper_world", ["kraken", "bybit"], indirect=True
)  # at binance ccxt's edit_order is a cancel-replace
async def test_the_general_way_amends_in_place(general: tuple[CcxtAdapter, Desk]) -> None:
    adapter, desk = general
    order = desk.order()
    placed = await adapter.place(order)
    answer = await adapter.amend(change_of(order, placed.venue_order_id, price=Decimal("49000")))
    assert (answer.outcome, answer.replaced) == ("accepted", "in_place")
    read = await adapter.read("open_orders", since=None, symbols=[SYMBOL])
    assert [row.price for row in read.rows] == [Decimal("49000")]


def move(desk: Desk, price: str) -> None:
    where = {"exchange": desk.world.exchange, "world": desk.world.world, "symbol": SYMBOL}
    desk.venue.control("POST", "prices", {**where, "price": price})
