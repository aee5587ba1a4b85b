"""Limits, bans, nonces and breakers: what the venue forbids is not sent, and what was not sent is not lost."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from orders import leases, submission
from orders.models import Attempt
from tests.regressions.rig import Rig
from tests.venues.desk import Desk
from venues.errors import BreakerOpen, BudgetExhausted
from venues.facts.shapes import Priority

D = Decimal
both = pytest.mark.parametrize("exchange", ["binance", "kraken"])
kraken = pytest.mark.parametrize("exchange", ["kraken"])
PRIORITIES: tuple[Priority, ...] = ("cancel", "order", "reconcile", "poll")


@both
async def test_ft_7187_418_ban_is_obeyed_and_the_order_waits(rig: Rig) -> None:
    """freqtrade/freqtrade #7187: went on asking through a 418 and was banned for longer; here all is still until its end."""
    rig.fault("ban", "create_order", params={"seconds": 120})
    order = await rig.submitted()
    assert order.status == "queued" and await rig.offered() == {order.pk}
    for priority in PRIORITIES:
        with pytest.raises(BudgetExhausted):
            await rig.service.gateway.turn(priority)
    assert await submission.submit(rig.service, order.pk) is False
    assert (await rig.service.gateway.read("balances")).status == "failed"
    assert (rig.fired("ban"), await rig.of(Attempt.objects.count)) == (1, 1)
    for stop in rig.service.gateway._turns.budget.stops:
        stop.until = 0.0  # the two minutes are over
    assert await submission.submit(rig.service, order.pk)
    assert (await rig.fresh(order)).status == "open" and rig.placed() == 1


@both
async def test_octobot_2108_retry_after_is_waited_for(rig: Rig) -> None:
    """Drakkar-Software/OctoBot #2108: 429 ignored until the address was banned; here the next request waits it out."""
    rig.fault("rate_limited", "create_order", params={"seconds": 1})
    order = await rig.submitted()
    assert order.status == "queued"
    started = asyncio.get_running_loop().time()
    assert await submission.submit(rig.service, order.pk)
    assert asyncio.get_running_loop().time() - started >= 0.8
    outcomes = await rig.of(lambda: list(Attempt.objects.order_by("sent_at").values_list("outcome", "code")))
    assert outcomes == [("not_sent", "RATE_LIMITED"), ("accepted", "")] and rig.placed() == 1


async def test_nt_2281_firewall_page_is_no_refusal(rig: Rig) -> None:
    """nautechsystems/nautilus_trader #2281: a firewall's 403 page was read as the venue's word; here it proves nothing."""
    rig.fault("status", "create_order", params={"status": 403, "when": "after"})
    order = await rig.submitted()
    assert order.status == "unknown"
    assert (await rig.resolve_until(order, "open")).venue_order_id and rig.placed() == 1


@kraken
async def test_krakenex_21_nonce_of_concurrent_requests(rig: Rig) -> None:
    """veox/python3-krakenex #21: requests at the same time gave "invalid nonce"; here they rise in order of arrival."""
    desk = Desk(rig.venue, rig.world, rig.service.gateway)
    orders = [desk.order(quantity=D("0.001"), window_ms=20_000) for _ in range(30)]
    rig.fault("hang", "create_order", params={"seconds": 0.3, "when": "before"})  # the first is on its way for long
    answers, reads = await asyncio.gather(
        asyncio.gather(*(rig.service.gateway.place(order) for order in orders)),
        asyncio.gather(*(rig.service.gateway.read("balances") for _ in range(10))),
    )
    assert [answer.outcome for answer in answers] == ["accepted"] * 30 and [read.status for read in reads] == [
        "good"
    ] * 10
    nonces = [int(row["nonce"]) for row in rig.venue.journal(rig.world, "accepted")]
    assert nonces == sorted(set(nonces))


@kraken
async def test_ft_2613_nonce_rises_over_a_restart_and_a_clock_set_back(rig: Rig) -> None:
    """freqtrade/freqtrade #2613: Kraken said "invalid nonce" after restarts; here the floor is kept with the lease."""
    client = rig.service.gateway._adapter.client
    real = client.milliseconds
    client.milliseconds = lambda: real() + 3_600_000  # a clock an hour ahead, set right before the restart
    assert (await rig.submitted()).status == "open"
    floor = rig.service.gateway.nonce_floor()
    await rig.take_again()
    assert rig.service.lease.nonce_floor == floor
    assert (await rig.submitted()).status == "open"
    nonces = [int(row["nonce"]) for row in rig.venue.journal(rig.world, "accepted")]
    assert nonces[1] > nonces[0] >= floor - 10


@kraken
async def test_ccxt_5110_a_refused_nonce_is_tried_again_as_not_sent(rig: Rig) -> None:
    """ccxt/ccxt #5110: "invalid nonce" broke the key's use for good; here it is a proof of not sent, and goes again."""
    stranger = rig.gateway(rig.service.lease)  # somebody else signs with the same key, an hour ahead
    await stranger.open()
    client = stranger._adapter.client
    real = client.milliseconds
    client.milliseconds = lambda: real() + 3_600_000
    await stranger.read("balances")
    await stranger.close()
    order = await rig.submitted()
    attempt = await rig.of(lambda: Attempt.objects.get())
    assert (order.status, attempt.outcome, attempt.code) == ("queued", "not_sent", "NONCE_REFUSED")
    rig.service.gateway._adapter.client.options["lastNonce"] = stranger.nonce_floor()
    assert await submission.submit(rig.service, order.pk)
    assert (await rig.fresh(order)).status == "open" and rig.placed() == 1


@both
async def test_binance_trading_bot_742_the_same_failure_again_and_again_pauses_orders(rig: Rig) -> None:
    """chrisleekr/binance-trading-bot PR #742: the same rejection over and over; here orders pause, and cancels do not."""
    live = await rig.submitted()
    rig.fault("drop_before", "create_order", count=20)
    lost = [await rig.submitted(quantity="0.01") for _ in range(5)]
    assert {order.status for order in lost} == {"unknown"}
    with pytest.raises(BreakerOpen):
        await rig.service.gateway.turn("order")
    waiting = await rig.submitted()
    assert waiting.status == "queued" and rig.fired("drop_before") == 5
    await rig.cancel(live)
    assert (await rig.resolve_until(live, "cancelled")).status == "cancelled"
    rig.venue.remove_faults()
    rig.end_pauses()
    await rig.service.gateway.read("balances")  # a read that is answered brings orders back
    assert await submission.submit(rig.service, waiting.pk)
    assert (await rig.fresh(waiting)).status == "open"


async def test_two_owners_never_sign_for_one_account(rig: Rig) -> None:
    """Two processes with one key (what makes for stray nonces and double orders elsewhere): one lease, one owner."""
    order = await rig.queued()
    assert await rig.of(lambda: leases.acquire("second", 60)) == []
    first = rig.service
    await rig.take_again()
    assert await submission.submit(first, order.pk) is False  # it does not know yet that it lost the account
    assert rig.placed() == 0 and not await rig.of(Attempt.objects.exists)
    assert await submission.submit(rig.service, order.pk)
    assert (await rig.fresh(order)).status == "open" and rig.placed() == 1
