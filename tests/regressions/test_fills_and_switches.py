"""Fills, exposure and the kill switch: each trade counts once, whenever it is told; a stop stops."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from orders import events, fold, matching, store, submission
from orders.models import Anomaly, Attempt, Fill, Order, OrderEvent, Position, Posting
from orders.states import Status
from orders.stream import Stream
from project.lib import ids
from risk import halts, limits
from tests.factories import AccountFactory
from tests.orders.scene import apply, at, fill, make_account, moved, report, sending
from tests.regressions.rig import SYMBOL, Rig
from tests.venues.desk import until
from venues.models import Account

D = Decimal
both = pytest.mark.parametrize("exchange", ["binance", "kraken"])


@both
async def test_hbapi_duplicate_fill_keeps_filled_qty(rig: Rig) -> None:
    """hummingbot/hummingbot-api (execution-anchors §20): the same fill twice made 0.5 into 1.0 FILLED; here it is 0.5."""
    stream = asyncio.create_task(Stream(rig.service).run())
    await until(lambda: rig.service.has_stream)
    order = await rig.submitted()
    rig.fault("duplicate_fill", "stream", count=5, params={"times": 3})
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.05")
    await until(lambda: rig.fired("duplicate_fill"))
    for _ in range(200):
        if (await rig.fresh(order)).filled_quantity:
            break
        await asyncio.sleep(0.02)
    await rig.compared("fills", "fills")
    stream.cancel()
    await asyncio.gather(stream, return_exceptions=True)
    order = await rig.fresh(order)
    assert (order.filled_quantity, order.status) == (D("0.05"), "partially_filled")
    assert await rig.of(Fill.objects.count) == 1 == await rig.of(lambda: OrderEvent.objects.filter(kind="fill").count())
    await rig.assert_books_are_whole()


def test_nt_3493_no_inferred_fill_before_the_real_one(account: Account) -> None:
    """nautechsystems/nautilus_trader #3493: a fill was inferred from a status, then the real one came too: counted twice."""
    order = moved(sending(account), Status.OPEN, venue_order_id="v-1")
    assert apply(order, report("filled", 1, filled_quantity=D(1))) == ["needs_fills"]
    assert (order.status, order.filled_quantity, Fill.objects.count(), Posting.objects.count()) == ("open", D(0), 0, 0)
    apply(order, fill("t-1", "0.6", 0.5), fill("t-2", "0.4", 0.9), report("filled", 1, filled_quantity=D(1)))
    assert (order.status, order.filled_quantity, Fill.objects.count()) == ("filled", D(1), 2)
    assert Position.objects.get().quantity == 1 and not Anomaly.objects.exists()


def test_nt_4522_a_fill_is_not_marked_as_seen_before_it_is_applied(account: Account) -> None:
    """nautechsystems/nautilus_trader #4522: marked as seen, then applying failed, and the repeat was skipped: lost."""
    order = moved(sending(account), Status.OPEN, venue_order_id="v-1")

    class Broken(Exception):
        pass

    with pytest.raises(Broken), store.transaction() as books:
        events.apply_fill(books, books.order(order.pk), fill("t-1", "0.4"), source="stream", received_at=at(1))
        raise Broken
    order.refresh_from_db()
    assert (order.filled_quantity, Fill.objects.count()) == (D(0), 0)
    apply(order, fill("t-1", "0.4"))  # the venue tells it again
    assert (order.filled_quantity, Fill.objects.count()) == (D("0.4"), 1) and list(fold.differences()) == []


@both
async def test_passivbot_980_fill_ingestion_lag_keeps_the_exposure(rig: Rig) -> None:
    """enarjord/passivbot #980: fills came late, the entry looked missing, a second one made 142 %; here its room is taken."""
    await rig.of(lambda: limits.put("global", "open_orders_max", D(1), "ada"))
    order = await rig.submitted()
    rig.fault("delayed_fill", params={"seconds": 60})
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.1")
    await rig.compared("fills", "open_orders")
    order = await rig.fresh(order)
    assert (order.status, order.filled_quantity) == ("open", D(0))  # filled there, told late everywhere
    assert (await rig.queued()).reason_code == "OPEN_ORDERS_EXCEED_MAXIMUM"
    assert rig.placed() == 1
    await rig.assert_books_are_whole()


def test_bbgo_132_self_trades_share_a_trade_id(account: Account) -> None:
    """c9s/bbgo #132: both sides of a trade with oneself have one trade id, and one was dropped; here both are booked."""
    buy = moved(sending(account), Status.OPEN, venue_order_id="v-1")
    sell = moved(sending(account, side="sell"), Status.OPEN, venue_order_id="v-2")
    apply(buy, fill("t-1", "0.4", 1))
    apply(sell, fill("t-1", "0.4", 1, side="sell", venue_order_id="v-2"))
    apply(buy, fill("t-1", "0.4", 1))
    assert (buy.filled_quantity, sell.filled_quantity) == (D("0.4"), D("0.4"))
    position = Position.objects.get()
    assert (position.quantity, position.realised_pnl, Fill.objects.count()) == (D(0), D(0), 2)
    assert list(fold.differences()) == []


async def test_hb_855_three_fills_are_three(rig: Rig) -> None:
    """hummingbot/hummingbot #855: three fills, two hedges; here each trade of a burst is booked and told by itself."""
    order = await rig.submitted()
    for _ in range(3):
        rig.venue.trade(rig.world, SYMBOL, "sell", "0.03")
    await rig.compared("fills")
    order = await rig.fresh(order)
    assert (order.status, order.filled_quantity) == ("partially_filled", D("0.09"))
    assert await rig.of(lambda: OrderEvent.objects.filter(order=order, kind="fill").count()) == 3
    theirs = {str(row["trade_id"]) for row in rig.venue.journal(rig.world, "filled")}
    ours = await rig.of(lambda: set(Fill.objects.values_list("venue_trade_id", flat=True)))
    assert len(ours) == 3 == len(theirs)
    await rig.assert_books_are_whole()


@both
async def test_hb_2534_kill_switch(rig: Rig) -> None:
    """hummingbot/hummingbot #2534: the kill switch was hit and orders went on; here not one leaves after its commit."""
    live, waiting = await rig.submitted(), await rig.queued()
    stamped = rig.service.stamp()
    assert stamped is not None
    await rig.service.writer.run(lambda books: books.risk(rig.account.code, SYMBOL))  # what the owner knows is warm
    await rig.of(lambda: halts.engage("global", "stop", "ada"))
    assert await submission.submit(rig.service, waiting.pk)
    stopped = await rig.fresh(waiting)
    assert (stopped.status, stopped.reason_code) == ("denied", "TRADING_HALTED")
    assert (await rig.submitted()).status == "denied"
    assert rig.placed() == 1 == await rig.of(Attempt.objects.count)
    await rig.cancel(live)  # what stands can still be taken away
    assert (await rig.resolve_until(live, "cancelled")).status == "cancelled"


async def test_duplicate_or_overfill_is_booked_and_told(rig: Rig) -> None:
    """execution-anchors §20, duplicate/overfill: more filled than was asked; here it is booked, and a break for a person."""
    order = await rig.submitted()
    rig.fault("overfill", params={"quantity": "0.02"})
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.1")
    await rig.compared("fills")
    order = await rig.fresh(order)
    assert (order.status, order.filled_quantity) == ("filled", D("0.12"))
    assert await rig.of(lambda: list(Anomaly.objects.values_list("kind", flat=True))) == ["overfill"]
    await rig.assert_books_are_whole()


def test_hftbacktest_87_client_ids_do_not_collide(account: Account) -> None:
    """nkaz001/hftbacktest #87: random client ids met again, and another's order was taken for ours; here they cannot."""
    made = [ids.venue_client_id(ids.new_id()) for _ in range(20_000)]
    assert len(set(made)) == len(made)
    ours = sending(account)
    other = sending(make_account())
    theirs = Attempt.objects.get(order=other).venue_client_id
    with store.transaction() as books:
        found = matching.find(books, account.code, report("open", venue_client_id=theirs))
        mine = Attempt.objects.get(order=ours).venue_client_id
        known = matching.find(books, account.code, report("open", venue_client_id=mine))
    assert found is None and known is not None and known.id == ours.pk


async def test_hb_918_trades_missed_while_down_are_booked_once(rig: Rig) -> None:
    """hummingbot/hummingbot #918: trades made while the bot was down were missing, or doubled once it was back."""
    order = await rig.submitted()
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.04")
    await rig.take_again("second")
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.03")
    await rig.compared("fills", "fills")
    order = await rig.fresh(order)
    assert (order.filled_quantity, await rig.of(Fill.objects.count), await rig.of(Order.objects.count)) == (
        D("0.07"),
        2,
        1,
    )
    await rig.assert_books_are_whole()


def test_condor_245_several_accounts_on_one_exchange_are_apart(account: Account) -> None:
    """hummingbot/condor #245: several accounts on one exchange; ids and trades of one never touch the other's books."""
    other: Account = AccountFactory(venue=account.venue)
    mine, theirs = sending(account, client_order_id="same"), sending(other, client_order_id="same", side="sell")
    apply(mine, report("open"), fill("t-1", "0.4"))
    apply(theirs, report("open"), fill("t-1", "0.4", side="sell"))  # the venue's ids are alike as well
    apply(theirs, fill("t-2", "0.6", side="sell"))
    assert (mine.filled_quantity, theirs.filled_quantity, mine.pk == theirs.pk) == (D("0.4"), D(1), False)
    assert dict(Position.objects.values_list("account", "quantity")) == {account.code: D("0.4"), other.code: D(-1)}
    assert not Anomaly.objects.exists() and list(fold.differences()) == []
