"""Lost acknowledgements: a submit whose answer never came is neither failed nor sent again, but looked for."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import pytest

from orders import intake, submission, sweeps
from orders.intake import Conflict
from orders.models import Attempt, DeadLetter, Order
from project.lib import clock
from risk import limits
from tests.orders.scene import ask
from tests.regressions.rig import SYMBOL, Rig, unreachable

D = Decimal
both = pytest.mark.parametrize("exchange", ["binance", "kraken"])
LONG_AGO_SECONDS = 100


@both
async def test_hb_8457_dns_outage_keeps_order_unknown(rig: Rig) -> None:
    """hummingbot/hummingbot #8457: a DNS outage dropped six accepted orders from tracking; here none is given up."""
    acknowledged = [await rig.submitted(quantity="0.01") for _ in range(3)]
    rig.fault("drop_after", "create_order", count=3)
    lost = [await rig.submitted(quantity="0.02") for _ in range(3)]
    assert [order.status for order in acknowledged + lost] == ["open"] * 3 + ["unknown"] * 3 and rig.placed() == 6
    back = unreachable(rig)
    await rig.age(LONG_AGO_SECONDS)
    await rig.resolve(3)
    await rig.compared("open_orders")
    during = [(await rig.fresh(order)).status for order in acknowledged + lost]
    assert during == ["open"] * 3 + ["unknown"] * 3
    counted = await rig.of(lambda: set(Attempt.objects.values_list("lookups_absent", "resolution", "outcome")))
    assert counted == {(0, "", "accepted"), (0, "", "unknown")}  # to fail to ask is not to be told "not there"
    assert (await rig.submitted()).status == "queued"  # proved not sent: it waits for its turn
    back()
    rig.end_pauses()
    after = [await rig.resolve_until(order, "open") for order in acknowledged + lost]
    assert len({order.venue_order_id for order in after}) == 6 == rig.placed()
    await rig.assert_books_are_whole()


@both
async def test_hb_3374_six_dead_buys_were_filled(rig: Rig) -> None:
    """hummingbot/hummingbot #3374: network errors made six buys "dead" that had filled; here all six are booked."""
    orders = []
    for _ in range(2):
        rig.fault("status", "create_order", count=3, params={"status": 502, "when": "after"})
        orders += [await rig.submitted(quantity="0.01") for _ in range(3)]
        assert (await rig.submitted(price="40000")).status == "open"  # the venue lives: its orders' pause does not come
    assert [order.status for order in orders] == ["unknown"] * 6
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.06")
    assert {(await rig.resolve_until(order, "filled")).filled_quantity for order in orders} == {D("0.01")}
    assert rig.placed() == 8
    await rig.assert_books_are_whole()


@both
async def test_an_order_found_long_after_it_filled_is_booked_whole(rig: Rig) -> None:
    """Trades are swept from the newest one back by an overlap; what was in doubt for longer has its trade before that."""
    rig.service.timing = dataclasses.replace(rig.service.timing, fills_overlap_seconds=0)
    rig.fault("drop_after", "create_order")
    lost = await rig.submitted(side="sell", type="market", price=None, quantity="0.5")
    known = await rig.submitted(side="sell", type="market", price=None, quantity="0.1")
    await sweeps.fills(rig.service, reason="schedule")
    assert ((await rig.fresh(lost)).status, (await rig.fresh(known)).status) == ("unknown", "filled")
    lost = await rig.resolve_until(lost, "filled")
    assert lost.filled_quantity == D("0.5")
    await rig.assert_books_are_whole()


@both
async def test_an_order_found_long_after_it_filled_in_part_is_booked_so(rig: Rig) -> None:
    """The same where the rest still stands at the venue: what has filled is not left for the day on which it ends."""
    rig.service.timing = dataclasses.replace(rig.service.timing, fills_overlap_seconds=0)
    rig.fault("drop_after", "create_order")
    lost = await rig.submitted(quantity="0.5", price="60000")
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.2")
    await rig.submitted(side="sell", type="market", price=None, quantity="0.1")
    await sweeps.fills(rig.service, reason="schedule")
    lost = await rig.resolve_until(lost, "partially_filled")
    assert lost.filled_quantity >= D("0.2")
    await rig.assert_books_are_whole()


async def test_hb_2342_timeout_yet_the_order_went_through(rig: Rig) -> None:
    """hummingbot/hummingbot #2342: the submit timed out and was called failed, yet it went through; here it is found."""
    rig.fault("hang", "create_order", params={"seconds": 20, "when": "after"})
    order = await rig.submitted()
    assert (order.status, order.reason_code) == ("unknown", "OUTCOME_UNKNOWN")
    order = await rig.resolve_until(order, "open")
    attempt = await rig.of(lambda: Attempt.objects.get())
    assert order.venue_order_id and (attempt.outcome, attempt.resolution) == ("unknown", "accepted")
    assert rig.placed() == 1


async def test_hb_7503_close_order_that_filled_is_not_retried(rig: Rig) -> None:
    """hummingbot/hummingbot #7503: a close that had filled unseen was sent again; here it is booked once, sent once."""
    rig.fault("drop_after", "create_order")
    close = await rig.submitted(side="sell", type="market", price=None, quantity="0.5")
    assert close.status == "unknown"
    assert await rig.offered() == set()
    assert await submission.submit(rig.service, close.pk)  # nothing left to send
    close = await rig.resolve_until(close, "filled")
    assert close.filled_quantity == D("0.5") and rig.placed() == 1
    assert rig.venue.balances(rig.world)["BTC"]["total"] == "1.5"
    await rig.assert_books_are_whole()


@both
async def test_nt_4215_duplicate_id_after_timeout_means_accepted(rig: Rig) -> None:
    """nautechsystems/nautilus_trader #4215: -1007, a retry, -4116 duplicate, rejected; here a duplicate is no refusal."""
    order = await rig.queued()
    stamped = rig.service.stamp()
    assert stamped is not None
    begun = await rig.service.writer.run(lambda books: submission.begin(books, rig.service, order.pk, *stamped))
    assert begun is not None
    rig.fault("status", "create_order", params={"status": 504, "when": "after", "body": "json"})
    assert (await rig.service.gateway.place(begun.message)).outcome == "unknown"
    again = await rig.service.gateway.place(begun.message)  # what a retrying transport would have done
    assert (again.outcome, again.code) == ("unknown", "DUPLICATE_CLIENT_ID")
    await rig.service.writer.run(lambda books: submission.finish(books, begun, again, clock.now()))
    assert (await rig.fresh(order)).status == "unknown"
    order = await rig.resolve_until(order, "open")
    assert order.venue_order_id and rig.placed() == 1


async def test_openalgo_1991_key_kept_on_ambiguity(rig: Rig) -> None:
    """marketcalls/openalgo PR #1991: a timeout released the client's key, a second order followed; here the key is kept."""
    rig.fault("drop_before", "create_order")
    first = await rig.submitted(client_order_id="signal-1")
    body = {"client_order_id": "signal-1", "quantity": "0.1", "price": "50000"}

    def again(**changes: str) -> intake.Accepted:
        return intake.accept(ask(rig.account, **{**body, **changes}), rig.account, source="bot")

    repeated = await rig.of(again)
    assert (repeated.is_new, repeated.order.pk, repeated.order.status) == (False, first.pk, "unknown")
    with pytest.raises(Conflict):
        await rig.of(lambda: again(price="50001"))
    await rig.age(LONG_AGO_SECONDS)
    ended = await rig.resolve_until(first, "denied")  # proved never accepted, and even then not a second one
    repeated = await rig.of(again)
    assert (repeated.is_new, repeated.order.pk, ended.reason_code) == (False, first.pk, "SUBMIT_NOT_ACCEPTED")
    assert await rig.of(Order.objects.count) == 1 and await rig.of(Attempt.objects.count) == 1 and rig.placed() == 0


@both
async def test_nt_3879_not_found_in_flight_is_no_cancel(rig: Rig) -> None:
    """nautechsystems/nautilus_trader #3879: lookups of a young order said "not found", it was cancelled, orders stacked."""
    rig.fault("ack_then_deny", "create_order", params={"seconds": 1})
    rig.fault("drop_after", "create_order")
    order = await rig.submitted()
    await rig.resolve(4)
    attempt = await rig.of(lambda: Attempt.objects.get())
    said = {row["answer"] for row in attempt.evidence}
    assert "not found" in said and (attempt.lookups_absent, attempt.resolved_at) == (0, None)
    assert (await rig.fresh(order)).status == "unknown" and await rig.offered() == set()
    assert (await rig.resolve_until(order, "open")).venue_order_id and rig.placed() == 1


@both
async def test_nt_4411_inflight_timeout_does_not_reject_a_live_stop(rig: Rig) -> None:
    """nautechsystems/nautilus_trader #4411: a live stop was rejected for want of an answer; here it becomes a dead letter."""
    rig.fault("hang", "create_order", params={"seconds": 20, "when": "after"})
    stop = await rig.submitted(side="sell", type="stop", price=None, trigger_price="40000")
    assert stop.status == "unknown" and rig.placed() == 1
    back = unreachable(rig)
    await rig.age(1000)
    await rig.resolve(2)
    letter = await rig.of(lambda: DeadLetter.objects.get())
    assert (letter.status, letter.order_id, (await rig.fresh(stop)).status) == ("open", stop.pk, "unknown")
    back()
    rig.end_pauses()
    await rig.of(lambda: Attempt.objects.update(last_lookup_at=None))
    await rig.age(0)
    stop = await rig.resolve_until(stop, "open")
    assert (await rig.of(lambda: DeadLetter.objects.get().status)) == "resolved" and stop.venue_order_id


@both
async def test_ccxt_2599_timed_out_order_is_found_when_it_has_ended(rig: Rig) -> None:
    """ccxt/ccxt #2599: after a RequestTimeout one must look, and who looks among open orders misses the ended ones."""
    rig.fault("drop_after", "create_order")
    order = await rig.submitted()
    [accepted] = rig.venue.journal(rig.world, "accepted")
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.04")
    rig.venue.cancel_external(rig.world, symbol=SYMBOL, order_id=accepted["order_id"])
    order = await rig.resolve_until(order, "cancelled")
    assert order.filled_quantity == D("0.04") and order.venue_order_id == str(accepted["order_id"])
    await rig.assert_books_are_whole()


async def test_ccxt_30506_wrong_error_class_is_no_refusal(rig: Rig) -> None:
    """ccxt/ccxt #30506: an error got the wrong class and callers sent again; an error that no list names proves nothing."""
    rig.fault("unknown_reject", "create_order")
    order = await rig.submitted()
    assert order.status == "unknown" and await rig.offered() == set()
    await rig.resolve(2)
    assert (await rig.fresh(order)).status == "unknown"  # not there now, and its window is not over
    assert rig.fired("unknown_reject") == 1


async def test_catalyst_317_no_second_order_after_timeout_and_restart(rig: Rig) -> None:
    """scrtlabs/catalyst #317: timed out, "ordering again", bought twice; here not even a new owner sends it again."""
    rig.fault("drop_after", "create_order")
    order = await rig.submitted()
    assert order.status == "unknown" and await submission.submit(rig.service, order.pk)
    await rig.take_again()
    assert await rig.offered() == set() and await submission.submit(rig.service, order.pk)
    assert (await rig.resolve_until(order, "open")).submit_tries == 1
    assert rig.placed() == 1 == await rig.of(Attempt.objects.count)


@both
async def test_trading_signals_1178_no_layer_repeats_a_post(rig: Rig) -> None:
    """bennycode/trading-signals #1178: the HTTP library retried POST /orders; here one submit is one request, for sure."""
    for fault in ("drop_before", "status", "empty"):
        rig.fault(fault, "create_order", count=20)
        assert (await rig.submitted()).status == "unknown"
        assert rig.fired(fault) == 1
        rig.venue.remove_faults()


async def test_tastytrade_351_submit_held_past_the_read_timeout(rig: Rig) -> None:
    """tastyware/tastytrade #351: held past the read timeout, absent when looked for, filled later; nothing is concluded."""
    late = {"answer": "timeout", "timeout_seconds": 0.2, "seconds": 1.0}
    rig.fault("late_accept", "create_order", params=late)
    order = await rig.submitted()
    await rig.resolve(2)
    assert ((await rig.fresh(order)).status, rig.placed()) == ("unknown", 0)
    order = await rig.resolve_until(order, "open")
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.1")
    await rig.compared("fills")
    assert (await rig.fresh(order)).status == "filled" and rig.placed() == 1


@both
async def test_kalshi_135_the_id_is_committed_before_the_call(rig: Rig) -> None:
    """Kalshi starter-code #135: uuid4 at call time, so a retry had another id; here it is stored first."""
    order = await rig.queued()
    stamped = rig.service.stamp()
    assert stamped is not None
    begun = await rig.service.writer.run(lambda books: submission.begin(books, rig.service, order.pk, *stamped))
    assert begun is not None
    stored = await rig.of(lambda: Attempt.objects.get().venue_client_id)
    await rig.service.gateway.place(begun.message)  # and the process ends here, its answer unheard
    [accepted] = rig.venue.journal(rig.world, "accepted")
    assert accepted["client_order_id"] == stored == begun.message.venue_client_id
    await rig.take_again()
    assert (await rig.resolve_until(order, "open")).venue_order_id == str(accepted["order_id"])
    assert await rig.of(Attempt.objects.count) == 1 == rig.placed()


async def test_longbridge_1134_ids_do_not_expire_here(rig: Rig) -> None:
    """longbridge/developers #1134: the venue forgets ids after ten minutes, a late retry buys twice; here never."""
    rig.fault("drop_before", "create_order")
    order = await rig.submitted(client_order_id="slow-retry")
    await rig.age(30 * 24 * 3600)
    body: dict[str, Any] = {"client_order_id": "slow-retry", "quantity": "0.1", "price": "50000"}
    again = await rig.of(lambda: intake.accept(ask(rig.account, **body), rig.account, source="bot"))
    assert (again.is_new, again.order.pk) == (False, order.pk)
    assert await rig.offered() == set() and rig.placed() == 0


async def test_gateapi_41_lookup_that_fails_for_an_ended_order_ends_nothing(rig: Rig) -> None:
    """gateio/gateapi-go #41: the lookup by client id finds nothing once the order has ended; the trades still count."""
    order = await rig.submitted()
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.1")
    await rig.age(LONG_AGO_SECONDS)
    rig.fault("status", "fetch_order", count=50, params={"status": 404})
    rig.fault("status", "closed_orders", count=50, params={"status": 404})
    await rig.compared("open_orders")
    assert (await rig.fresh(order)).status == "open"  # neither listed nor found is not ended
    await rig.compared("fills")
    order = await rig.fresh(order)
    assert (order.status, order.filled_quantity) == ("filled", D("0.1"))


async def test_nt_4958_acknowledged_and_then_never_received(rig: Rig) -> None:
    """nautechsystems/nautilus_trader #4958: acknowledged, then "never received", rejected, and it filled."""
    rig.fault("ack_then_deny", "create_order", params={"seconds": 60})
    order = await rig.submitted()
    await rig.age(LONG_AGO_SECONDS)
    for _ in range(3):
        await rig.compared("open_orders")
    order = await rig.fresh(order)
    assert order.status == "open" and order.venue_order_id
    await rig.of(lambda: limits.put("global", "open_orders_max", D(1), "ada"))
    assert (await rig.queued()).reason_code == "OPEN_ORDERS_EXCEED_MAXIMUM"  # its exposure stays reserved
    assert ("order_missing_at_venue", str(order.pk), "open") in await rig.compared("open_orders")


async def test_hb_6107_lost_orders_outlive_the_process(rig: Rig) -> None:
    """hummingbot/hummingbot #6107: lost orders were kept in memory alone; here a restart finds and settles them."""
    rig.fault("drop_after", "create_order", count=2)
    orders = [await rig.submitted(), await rig.submitted(side="sell", price="90000")]
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.1")
    await rig.take_again()
    buy = await rig.resolve_until(orders[0], "filled")
    sell = await rig.resolve_until(orders[1], "open")
    assert (buy.filled_quantity, sell.filled_quantity, rig.placed()) == (D("0.1"), D(0), 2)
