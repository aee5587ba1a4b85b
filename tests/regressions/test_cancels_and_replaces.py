"""Cancels and replaces: an order asked to end is not ended, an order refused to be ended is not gone."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from orders import amendment, cancellation, events, intake, store, sweeps
from orders.models import Anomaly, Attempt, Fill, Intent, Order, OrderEvent
from orders.requests import Amendment
from orders.states import Mutation, Status
from orders.stream import Stream
from project.lib import clock, ids
from project.lib.models import AuditEntry
from tests.orders.scene import apply, fill, moved, report, sending
from tests.regressions.rig import SYMBOL, RefusedCancels, Rig
from tests.venues.desk import until
from venues.models import Account

D = Decimal
both = pytest.mark.parametrize("exchange", ["binance", "kraken"])


@both
async def test_ft_3647_cancelled_locally_and_filled_on_the_exchange(rig: Rig) -> None:
    """freqtrade/freqtrade #3647: cancelled by the bot, filled at the exchange, untracked; here the fill wins."""
    order = await rig.submitted()
    rig.fault("cancel_then_fill", "cancel_order")
    await rig.cancel(order)
    await rig.compared("open_orders", "fills")
    await rig.resolve(2)
    order = await rig.fresh(order)
    assert (order.status, order.filled_quantity, order.mutation) == ("filled", D("0.1"), "none")
    assert rig.venue.balances(rig.world)["BTC"]["total"] != "2"
    await rig.assert_books_are_whole()


@both
async def test_nexus_cancel_refused_returns_to_open(rig: Rig) -> None:
    """NexusTrader: a refused cancel left no way back and the order was dropped; here it is open again, and asked again."""
    order = await rig.submitted()
    RefusedCancels(rig, 1)
    assert await rig.cancel(order) is False
    order = await rig.fresh(order)
    refused = await rig.of(lambda: Attempt.objects.get(action="cancel"))
    assert (refused.outcome, order.status, order.mutation) == ("rejected", "open", "none")
    [wish] = await rig.offered()
    await until_settled(rig, wish)
    assert (await rig.resolve_until(order, "cancelled")).filled_quantity == 0


@both
async def test_nt_4730_lost_cancel_ack(rig: Rig) -> None:
    """nautechsystems/nautilus_trader #4730: a lost cancel answer left the order pending for ever; here it is looked up."""
    order = await rig.submitted()
    rig.fault("drop_after", "cancel_order")
    assert await rig.cancel(order) is False
    assert (await rig.fresh(order)).mutation == "cancel_unknown"
    order = await rig.resolve_until(order, "cancelled")
    attempt = await rig.of(lambda: Attempt.objects.get(action="cancel"))
    assert (order.mutation, attempt.resolution) == ("none", "cancelled")
    assert len(rig.venue.journal(rig.world, "cancelled")) == 1


@both
async def test_alpaca_400_pending_cancel_ends(rig: Rig) -> None:
    """alpacahq/alpaca-py #400: pending_cancel for ever; here a cancel that proved without effect is sent again."""
    order = await rig.submitted()
    rig.fault("drop_before", "cancel_order")
    await rig.cancel(order)
    await rig.resolve(2)
    assert (await rig.fresh(order)).mutation == "cancel_unknown"  # it may still arrive
    await rig.age(100)
    await rig.resolve()
    order = await rig.fresh(order)
    assert (order.status, order.mutation) == ("open", "none")
    [wish] = await rig.offered()
    await until_settled(rig, wish)
    assert (await rig.resolve_until(order, "cancelled")).mutation == "none"


def test_ibsync_23_pending_cancel_is_not_filled(account: Account) -> None:
    """scmhub/ibsync #23: PendingCancel was turned into Filled; here only trades fill an order."""
    order = moved(sending(account), Status.OPEN, venue_order_id="v-1")
    moved(order, Status.OPEN, mutation=Mutation.CANCEL_PENDING)
    apply(order, fill("t-1", "0.4", 1))
    assert (order.status, order.filled_quantity, order.mutation) == ("partially_filled", D("0.4"), "cancel_pending")
    [said] = apply(order, report("filled", 2))
    assert said == "needs_fills" and order.status == "partially_filled"
    apply(order, report("cancelled", 3, filled_quantity=D("0.4")))
    assert (order.status, order.filled_quantity, order.mutation) == ("cancelled", D("0.4"), "none")


async def test_passivbot_514_cancel_refused_because_filled_is_not_never_placed(rig: Rig) -> None:
    """enarjord/passivbot #514: "never placed, already cancelled or filled" was read as never placed, and sent again."""
    order = await rig.submitted()
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.1")
    await rig.cancel(order)
    order = await rig.fresh(order)
    assert (order.status, order.filled_quantity) == ("filled", D("0.1"))
    assert (await rig.of(lambda: Attempt.objects.get(action="cancel"))).code in {"ORDER_UNKNOWN", "ORDER_CLOSED"}
    for wish in await rig.offered():
        assert await cancellation.cancel(rig.service, wish)  # settled: the order is filled
    assert await rig.offered() == set() and rig.placed() == 1


async def test_hb_5122_not_found_at_cancel_is_asked_once_more_and_not_for_ever(rig: Rig) -> None:
    """hummingbot/hummingbot #5122: cancels of an order "not found" repeated without end; here they are given up, told."""
    order = await rig.submitted()
    RefusedCancels(rig, cancellation.TRIES_MAX + 5)
    await rig.cancel(order)
    for _ in range(cancellation.TRIES_MAX - 1):
        [wish] = await rig.offered()
        await cancellation.cancel(rig.service, wish)
    assert await rig.offered() == set()
    intent = await rig.of(lambda: Intent.objects.get())
    assert "given up after 5 tries" in intent.result and (await rig.fresh(order)).status == "open"
    assert await rig.of(lambda: Attempt.objects.filter(action="cancel").count()) == cancellation.TRIES_MAX


async def amend(rig: Rig, order: Order, **values: str) -> Intent:
    wanted = Amendment(**{name: D(text) for name, text in values.items()})  # type: ignore[arg-type]
    intent = await rig.of(lambda: intake.request_amendment(order, wanted, actor="ada"))
    assert intent is not None
    await amendment.amend(rig.service, intent.pk)
    return intent


def open_at_venue(rig: Rig) -> int:
    journal = rig.venue.journal(rig.world)
    ended = {row["order_id"] for row in journal if row["kind"] in {"cancelled", "expired"}}
    return len({row["order_id"] for row in journal if row["kind"] == "accepted"} - ended)


async def test_nt_4288_phantom_cancel_in_cancel_replace(rig: Rig) -> None:
    """nautechsystems/nautilus_trader #4288: the cancel half of a replace read as the end, sent anew: double exposure."""
    order = await rig.submitted()
    first = order.venue_order_id
    stream = asyncio.create_task(Stream(rig.service).run())
    await until(lambda: rig.service.has_stream)
    rig.fault("drop_after", "amend_order")
    await amend(rig, order, price="49000")  # its answer is lost; the stream tells of the old order's end
    seen = await rig.fresh(order)
    assert seen.status == "open" and seen.mutation in {"amend_unknown", "none"}
    for _ in range(200):
        seen = await rig.fresh(order)
        if seen.mutation == "none":
            break
        await rig.resolve()
    stream.cancel()
    await asyncio.gather(stream, return_exceptions=True)
    assert (seen.status, seen.price, seen.mutation) == ("open", D(49000), "none") and seen.venue_order_id != first
    assert await rig.offered() == set() and open_at_venue(rig) == 1 and await rig.of(Order.objects.count) == 1
    await rig.assert_books_are_whole()


async def test_nt_4923_cancel_frame_under_the_cancels_own_id_is_still_our_order(rig: Rig) -> None:
    """nautechsystems/nautilus_trader #4923: Binance names the cancel in `c`, our order in `C`; the wrong one lost it."""
    stream = asyncio.create_task(Stream(rig.service).run())
    await until(lambda: rig.service.has_stream)
    order = await rig.submitted()
    rig.fault("drop_after", "cancel_order")  # the stream alone tells
    await rig.cancel(order)
    for _ in range(200):
        if (await rig.fresh(order)).status == "cancelled":
            break
        await asyncio.sleep(0.02)
    stream.cancel()
    await asyncio.gather(stream, return_exceptions=True)
    told = await rig.of(
        lambda: OrderEvent.objects.filter(order=order, kind="cancelled").values_list("source", flat=True)[0]
    )
    assert (await rig.fresh(order)).status == "cancelled" and told == "stream"
    assert not await rig.of(Anomaly.objects.exists) and await rig.of(Order.objects.count) == 1


async def test_nt_4270_modify_of_a_partly_filled_order_keeps_one_order(rig: Rig) -> None:
    """nautechsystems/nautilus_trader #4270: modify done as cancel and new loses track of fills; here it is one order."""
    order = await rig.submitted()
    await amend(rig, order, price="49000")
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.04")
    order = await rig.fresh(order)
    await amend(rig, order, price="48000", quantity="0.2")  # Binance replaces untouched orders only
    await rig.compared("fills", "open_orders")
    order = await rig.fresh(order)
    assert (order.status, order.filled_quantity, order.mutation) == ("partially_filled", D("0.04"), "none")
    assert (order.price, open_at_venue(rig), await rig.of(Order.objects.count)) == (D(49000), 1, 1)
    await rig.assert_books_are_whole()


async def test_ft_9128_no_ghost_position_on_replace(rig: Rig) -> None:
    """freqtrade/freqtrade #9128: a trade of the order that was replaced became a ghost position; here it is booked."""
    order = await rig.submitted()
    await amend(rig, order, price="49000")
    old = rig.venue.journal(rig.world, "accepted")[0]["order_id"]
    late = fill("late-1", "0.02", venue_order_id=str(old), price=D(50000), quote_quantity=D(1000))
    await rig.service.writer.run(lambda books: sweeps.apply_reports(books, rig.service, [late], source="stream"))
    order = await rig.fresh(order)
    assert (order.filled_quantity, order.status) == (D("0.02"), "partially_filled")
    assert await rig.of(lambda: Fill.objects.get().order_id) == order.pk and await rig.of(Order.objects.count) == 1
    await rig.assert_books_are_whole()


async def test_nt_4523_each_of_many_cancels_is_tracked(rig: Rig) -> None:
    """nautechsystems/nautilus_trader #4523: of cancels sent together the lost ones were forgotten; here each is known."""
    orders = [await rig.submitted(quantity="0.01") for _ in range(4)]
    rig.fault("drop_before", "cancel_order", count=2)
    await asyncio.gather(*(rig.cancel(order) for order in orders))
    states = sorted([(await rig.fresh(order)).mutation for order in orders])
    assert states.count("cancel_unknown") == 2
    await rig.age(100)
    for _ in range(3):
        await rig.resolve()
        for wish in await rig.offered():
            await cancellation.cancel(rig.service, wish)
    assert {(await rig.fresh(order)).status for order in orders} == {"cancelled"}
    assert len(rig.venue.journal(rig.world, "cancelled")) == 4


@both
async def test_hb_2501_fill_during_the_cancel_is_booked(rig: Rig) -> None:
    """hummingbot/hummingbot #2501: the maker filled during its cancel and the taker never came; here the fill is news."""
    order = await rig.submitted()
    rig.fault("cancel_then_fill", "cancel_order", params={"share": "0.4"})
    await rig.cancel(order)
    await rig.compared("fills", "open_orders")
    order = await rig.resolve_until(order, "cancelled")
    assert (order.filled_quantity, order.mutation) == (D("0.04"), "none")
    assert await rig.of(lambda: OrderEvent.objects.filter(order=order, kind__in=["fill", "late_fill"]).count()) == 1
    assert await rig.of(lambda: rig.account.balances.get(asset="BTC").total) > D("2.03")
    await rig.assert_books_are_whole()


async def test_bfxhfui_722_who_cancelled_is_on_record(rig: Rig) -> None:
    """bitfinexcom/bfx-hf-ui #722: nobody could tell who cancelled and why; here the log and the audit both do."""
    order = await rig.submitted()
    await rig.cancel(order, actor="grace")
    assert (await rig.resolve_until(order, "cancelled")).status == "cancelled"
    event = await rig.of(lambda: OrderEvent.objects.get(order=order, kind="cancel_pending"))
    entry = await rig.of(lambda: AuditEntry.objects.get(action="order.cancel"))
    assert (event.data["by"], entry.actor, entry.subject) == ("grace", "grace", str(order.pk))


def test_nt_3831_statement_about_the_replaced_order_ends_nothing(account: Account) -> None:
    """nautechsystems/nautilus_trader #3831: modify as cancel and new; a late word about the old order ends nothing here."""
    order = moved(sending(account), Status.OPEN, venue_order_id="v-1")
    with store.transaction() as books:
        row = books.order(order.pk)
        events.take_amendment(books, row, replacing(books, row), "v-2", source="test", received_at=row.created_at)
    [said] = apply(order, report("cancelled", 5))  # about v-1
    assert (said, order.status, order.venue_order_id) == ("stale", "open", "v-2")
    apply(order, fill("t-1", "0.3", 4), fill("t-2", "0.7", 6, venue_order_id="v-2"))
    assert (order.status, order.filled_quantity) == ("filled", D(1)) and not Anomaly.objects.exists()


def replacing(books: Any, row: Any) -> Any:
    submitted = books.newest_attempt(row.id, "submit")
    submitted.venue_order_id = row.venue_order_id
    books.change_attempt(submitted)
    from_it = type(submitted)(
        id=ids.new_id(), order=row.id, account=row.account, action="amend", venue_client_id="gnew", epoch=1,
        request_digest="", window_ms=5000, valid_until=None, sent_at=clock.now(),
        request={"how": "replace", "values": {"price": "59000"}, "filled_before": "0"},
    )  # fmt: skip
    books.add_attempt(from_it)
    return from_it


async def until_settled(rig: Rig, wish: Any) -> None:
    """Carry a wish on as the owner does, until it is settled."""
    for _ in range(200):
        if await cancellation.cancel(rig.service, wish):
            return
        await rig.resolve()
        await asyncio.sleep(0.02)
    raise AssertionError("the wish is never settled")
