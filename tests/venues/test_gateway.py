"""Budget, breaker, clock and health around a real venue."""

from __future__ import annotations

import asyncio

import pytest

from tests.venues.desk import Desk, gateway, now_ms, until
from tests.venues.paper.process import PaperVenue, WorldHandle
from venues.errors import BreakerOpen, BudgetExhausted


async def test_lost_submits_pause_orders_but_never_cancels_and_a_read_resumes_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = desk.order()
    placed = await desk.gateway.place(order)
    breaker = desk.gateway._breakers["submit"]
    monkeypatch.setattr(breaker, "_open_seconds", 0.3)
    desk.venue.add_fault(desk.world, "drop_before", "create_order", count=5)
    for _ in range(5):
        await desk.gateway.turn("order")
        assert (await desk.gateway.place(desk.order())).outcome == "unknown"
    with pytest.raises(BreakerOpen):
        await desk.gateway.turn("order")
    await desk.gateway.turn("cancel")
    assert (await desk.gateway.cancel(desk.cancel_of(order, placed.venue_order_id))).outcome == "accepted"
    assert desk.gateway.health()["submit"].breaker == "open"
    await until(lambda: desk.gateway.health()["submit"].breaker == "half_open")
    with pytest.raises(BreakerOpen):
        await desk.gateway.turn("order")
    await desk.gateway.turn("poll")
    assert (await desk.gateway.read("balances")).status == "good"
    await desk.gateway.turn("order")
    assert desk.gateway.health()["submit"].breaker == "closed"


async def test_rejects_do_not_open_the_breaker(desk: Desk) -> None:
    desk.venue.add_fault(desk.world, "unknown_reject", "create_order", count=8)
    for _ in range(8):
        await desk.gateway.place(desk.order())
    assert desk.gateway.health()["submit"].breaker == "closed"


async def test_the_venues_own_stop_is_obeyed(desk: Desk) -> None:
    desk.venue.add_fault(desk.world, "rate_limited", "create_order", params={"seconds": 60})
    await desk.gateway.place(desk.order())
    assert desk.gateway._turns.budget.stopped_seconds() > 50
    with pytest.raises(BudgetExhausted):
        await desk.gateway.turn("order")


@pytest.mark.parametrize("seconds", [20, -20])
async def test_a_venue_whose_clock_is_off_is_spoken_to_in_its_own_time(desk: Desk, seconds: int) -> None:
    desk.venue.add_fault(desk.world, "skew", params={"seconds": seconds})
    first = await desk.gateway.place(desk.order())
    if first.outcome != "accepted":
        assert abs(desk.gateway.clock_offset_ms - seconds * 1000) < 1_500
    assert (await desk.gateway.place(desk.order())).outcome == "accepted"
    assert (await desk.gateway.read("balances")).status == "good"


async def test_a_read_refused_for_its_time_is_good_the_next_time(desk: Desk) -> None:
    desk.venue.add_fault(desk.world, "skew", params={"seconds": 20})
    await desk.gateway.read("balances")
    assert (await desk.gateway.read("balances")).status == "good"


async def test_health_counts_what_happened(desk: Desk) -> None:
    await desk.gateway.place(desk.order())
    desk.venue.add_fault(desk.world, "status", "balance", params={"status": 503})
    await desk.gateway.read("balances")
    health = desk.gateway.health()
    assert (health["submit"].requests, health["submit"].errors) == (1, 0)
    assert (health["query"].requests, health["query"].errors) == (1, 1)
    assert "503" in health["query"].last_error
    assert health["submit"].latency_ms_p50 is not None
    assert health["submit"].latency_ms_p50 > 0


async def test_why_permissions_could_not_be_asked_is_said(desk: Desk) -> None:
    desk.venue.add_fault(desk.world, "status", "credentials", params={"status": 503, "when": "before"})
    with pytest.raises(ConnectionError, match="503"):  # no answer: it says nothing about the key
        await desk.gateway.permissions()
    desk.venue.add_fault(desk.world, "status", "credentials", params={"status": 404, "when": "before"})
    assert await desk.gateway.permissions() is None
    assert "404" in desk.gateway.last_error and "signature" not in desk.gateway.last_error


async def test_opening_at_a_venue_that_is_gone_says_so(paper: PaperVenue, paper_world: WorldHandle) -> None:
    one = gateway(paper_world)
    paper.add_fault(paper_world, "drop_before", "market_data", count=20)
    with pytest.raises(ConnectionError, match="no market list"):
        await one.open()
    await one.close()
    paper.remove_faults()


async def test_two_gateways_work_side_by_side(desk: Desk) -> None:
    other = gateway(desk.world, nonce_floor=now_ms() + 10)
    await other.open()
    answers = await asyncio.gather(*(desk.gateway.place(desk.order()) for _ in range(3)))
    assert {answer.outcome for answer in answers} == {"accepted"}
    await other.close()
