"""What each way of failing proves about an order, and that nothing is ever sent twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from tests.venues.desk import Desk, gateway, now_ms
from tests.venues.paper.process import PaperVenue, WorldHandle, free_port
from venues.credentials import Secret
from venues.gateway import VenueTarget

# fault, its parameters, orders then on the venue, outcome, our code, transient
SUBMIT_FAULTS: list[tuple[str, dict[str, Any], int, str, str, bool]] = [
    ("drop_before", {}, 0, "unknown", "OUTCOME_UNKNOWN", False),
    ("drop_after", {}, 1, "unknown", "OUTCOME_UNKNOWN", False),
    ("hang", {"seconds": 20, "when": "before"}, 0, "unknown", "OUTCOME_UNKNOWN", False),
    ("hang", {"seconds": 20, "when": "after"}, 1, "unknown", "OUTCOME_UNKNOWN", False),
    ("status", {"status": 500, "when": "after"}, 1, "unknown", "OUTCOME_UNKNOWN", False),
    ("status", {"status": 503, "when": "after", "body": "json"}, 1, "unknown", "OUTCOME_UNKNOWN", False),
    ("status", {"status": 504, "when": "after"}, 1, "unknown", "OUTCOME_UNKNOWN", False),
    ("status", {"status": 524, "when": "after"}, 1, "unknown", "OUTCOME_UNKNOWN", False),
    ("status", {"status": 302, "when": "after"}, 1, "unknown", "OUTCOME_UNKNOWN", False),
    ("status", {"status": 400, "when": "after"}, 1, "unknown", "OUTCOME_UNKNOWN", False),
    ("status", {"status": 403, "when": "after"}, 1, "unknown", "OUTCOME_UNKNOWN", False),
    ("status", {"status": 429, "when": "after"}, 1, "unknown", "OUTCOME_UNKNOWN", False),
    ("empty", {}, 1, "unknown", "OUTCOME_UNKNOWN", False),
    ("html", {}, 1, "unknown", "OUTCOME_UNKNOWN", False),
    ("json_empty", {}, 1, "unknown", "OUTCOME_UNKNOWN", False),
    ("truncate", {}, 1, "unknown", "OUTCOME_UNKNOWN", False),
    ("unknown_reject", {}, 0, "unknown", "OUTCOME_UNKNOWN", False),
    ("duplicate_client_id_reject", {}, 0, "unknown", "DUPLICATE_CLIENT_ID", False),
    ("rate_limited", {"seconds": 1}, 0, "not_sent", "RATE_LIMITED", True),
    ("ban", {"seconds": 1}, 0, "not_sent", "RATE_LIMITED", True),
]


@pytest.mark.parametrize(("fault", "params", "placed", "outcome", "code", "transient"), SUBMIT_FAULTS)
async def test_faults_on_submit(
    desk: Desk, fault: str, params: dict[str, Any], placed: int, outcome: str, code: str, transient: bool
) -> None:
    desk.venue.add_fault(desk.world, fault, "create_order", params=params, count=10)
    answer = await desk.gateway.place(desk.order())
    assert (answer.outcome, answer.code, answer.transient) == (outcome, code, transient)
    assert desk.placed() == placed
    fired = [row for row in desk.venue.journal(desk.world, "fault") if row["fault"] == fault]
    assert len(fired) == 1, "the request went out more than once"
    assert desk.world.secret not in repr(answer)
    assert desk.world.api_key not in repr(answer)
    if outcome == "unknown":
        assert answer.valid_until is not None


async def test_impossible_numbers_make_a_submit_unknown_where_they_are_read(desk: Desk) -> None:
    desk.venue.add_fault(desk.world, "huge_exponent", "create_order")
    answer = await desk.gateway.place(desk.order())
    # Kraken answers a submit without numbers, so there is nothing in it to disbelieve.
    assert answer.outcome == ("unknown" if desk.world.exchange == "binance" else "accepted")
    assert desk.placed() == 1


CANCEL_FAULTS: list[tuple[str, dict[str, Any], int, str]] = [
    ("drop_before", {}, 0, "unknown"),
    ("drop_after", {}, 1, "unknown"),
    ("hang", {"seconds": 20, "when": "after"}, 1, "unknown"),
    ("status", {"status": 502, "when": "after"}, 1, "unknown"),
    ("empty", {}, 1, "unknown"),
    ("truncate", {}, 1, "unknown"),
    ("rate_limited", {"seconds": 1}, 0, "not_sent"),
]


@pytest.mark.parametrize(("fault", "params", "cancelled", "outcome"), CANCEL_FAULTS)
async def test_faults_on_cancel(desk: Desk, fault: str, params: dict[str, Any], cancelled: int, outcome: str) -> None:
    order = desk.order()
    placed = await desk.gateway.place(order)
    desk.venue.add_fault(desk.world, fault, "cancel_order", params=params, count=10)
    answer = await desk.gateway.cancel(desk.cancel_of(order, placed.venue_order_id))
    assert answer.outcome == outcome
    assert len([row for row in desk.venue.journal(desk.world, "fault") if row["fault"] == fault]) == 1
    assert len(desk.venue.journal(desk.world, "cancelled")) == cancelled


async def test_cancels(desk: Desk) -> None:
    order, other = desk.order(), desk.order()
    placed = await desk.gateway.place(order)
    await desk.gateway.place(other)
    assert (await desk.gateway.cancel(desk.cancel_of(order, placed.venue_order_id))).outcome == "accepted"
    assert (await desk.gateway.cancel(desk.cancel_of(other))).outcome == "accepted"
    again = await desk.gateway.cancel(desk.cancel_of(order, placed.venue_order_id))
    assert (again.outcome, again.code) == ("rejected", "ORDER_UNKNOWN")


REJECTS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"quantity": Decimal("50")}, {"binance": "INSUFFICIENT_FUNDS", "kraken": "INSUFFICIENT_FUNDS"}),
    ({"price": Decimal("50000.001")}, {"binance": "PRICE_FILTER", "kraken": "PRICE_FILTER"}),
    ({"quantity": Decimal("0.00001")}, {"binance": "NOTIONAL_TOO_SMALL", "kraken": "QUANTITY_TOO_SMALL"}),
    (
        {"price": Decimal("61000"), "post_only": True},
        {"binance": "POST_ONLY_WOULD_TAKE", "kraken": "POST_ONLY_WOULD_TAKE"},
    ),
]


@pytest.mark.parametrize(("changes", "codes"), REJECTS)
async def test_definitive_rejects(desk: Desk, changes: dict[str, Any], codes: dict[str, str]) -> None:
    answer = await desk.gateway.place(desk.order(**changes))
    assert (answer.outcome, answer.code) == ("rejected", codes[desk.world.exchange])
    assert answer.venue_code
    assert answer.message
    assert desk.placed() == 0


async def test_the_same_client_id_twice_is_evidence_and_no_reject(desk: Desk) -> None:
    order = desk.order()
    await desk.gateway.place(order)
    again = await desk.gateway.place(order)
    assert (again.outcome, again.code) == ("unknown", "DUPLICATE_CLIENT_ID")
    assert desk.placed() == 1


async def test_an_unknown_symbol_never_leaves(desk: Desk) -> None:
    answer = await desk.gateway.place(desk.order(symbol="NO/PE"))
    assert (answer.outcome, answer.code, answer.transient) == ("not_sent", "SYMBOL_UNKNOWN", False)


async def test_an_order_after_its_window_is_refused_by_the_venue(desk: Desk) -> None:
    answer = await desk.gateway.place(desk.order(stamp_ms=now_ms() - 20_000))
    assert desk.placed() == 0
    if desk.world.exchange == "binance":
        assert (answer.outcome, answer.code) == ("not_sent", "TIMESTAMP_OUTSIDE_WINDOW")
    else:
        # Kraken's "EService:Deadline elapsed" also stands for its own timeouts, so it proves nothing by itself.
        assert (answer.outcome, answer.venue_code) == ("unknown", "EService:Deadline elapsed")


async def test_nothing_listens(desk: Desk) -> None:
    desk.gateway._adapter.client.urls["api"] = _moved(
        desk.gateway._adapter.client.urls["api"], f"http://127.0.0.1:{free_port()}"
    )
    answer = await desk.gateway.place(desk.order())
    assert (answer.outcome, answer.code, answer.transient) == ("not_sent", "VENUE_UNREACHABLE", True)


async def test_no_such_host(desk: Desk) -> None:
    desk.gateway._adapter.client.urls["api"] = _moved(desk.gateway._adapter.client.urls["api"], "http://venue.invalid")
    answer = await desk.gateway.place(desk.order())
    assert (answer.outcome, answer.code, answer.transient) == ("not_sent", "VENUE_UNREACHABLE", True)


async def test_a_wrong_key_is_refused(paper: PaperVenue, paper_world: WorldHandle) -> None:
    wrong = gateway(paper_world, secret=Secret(paper_world.api_key, "d3Jvbmc="))
    await wrong.open()
    desk = Desk(paper, paper_world, wrong)
    answer = await wrong.place(desk.order())
    await wrong.close()
    assert (answer.outcome, answer.code) == ("rejected", "KEY_REFUSED")


async def test_a_key_no_header_can_carry_never_leaves(paper: PaperVenue, paper_world: WorldHandle) -> None:
    broken = gateway(paper_world, secret=Secret("key\r\nX-Other: 1", paper_world.secret))
    await broken.open()
    desk = Desk(paper, paper_world, broken)
    answer = await broken.place(desk.order())
    await broken.close()
    assert (answer.outcome, answer.code, answer.transient) == ("not_sent", "REQUEST_NOT_BUILT", False)
    assert "X-Other" not in repr(answer)


async def test_a_live_venue_without_permission_sends_nothing(paper: PaperVenue, paper_world: WorldHandle) -> None:
    target = VenueTarget(code="live", exchange=paper_world.exchange, rest_url=paper_world.rest_url, may_trade=False)
    closed = gateway(paper_world, target=target)
    await closed.open()
    desk = Desk(paper, paper_world, closed)
    answer = await closed.place(desk.order())
    await closed.close()
    assert (answer.outcome, answer.code, answer.transient) == ("not_sent", "VENUE_LIVE_DISABLED", False)
    assert desk.placed() == 0


async def test_the_live_switch_works_on_an_open_gateway(desk: Desk) -> None:
    desk.gateway.permit_trading(False)
    assert (await desk.gateway.place(desk.order())).code == "VENUE_LIVE_DISABLED"
    desk.gateway.permit_trading(True)
    assert (await desk.gateway.place(desk.order())).outcome == "accepted"
    assert desk.placed() == 1


async def test_a_hundred_orders_at_once(desk: Desk) -> None:
    orders = [desk.order(quantity=Decimal("0.001"), window_ms=20_000) for _ in range(100)]
    answers = await asyncio.gather(*(desk.gateway.place(order) for order in orders))
    assert Counter((answer.outcome, answer.code) for answer in answers) == {("accepted", ""): 100}
    assert len({answer.venue_order_id for answer in answers}) == 100
    if desk.world.exchange == "kraken":
        nonces = [int(row["nonce"]) for row in desk.venue.journal(desk.world, "accepted")]
        assert len(nonces) == 100
        assert nonces == sorted(set(nonces))
        assert desk.gateway.nonce_floor() == max(nonces)


async def test_nonces_start_above_the_floor(paper: PaperVenue, paper_world: WorldHandle) -> None:
    floor = now_ms() + 60_000
    later = gateway(paper_world, nonce_floor=floor)
    await later.open()
    answer = await later.place(Desk(paper, paper_world, later).order())
    await later.close()
    assert answer.outcome == "accepted"
    assert later.nonce_floor() == (floor + 1 if paper_world.exchange == "kraken" else floor)


def _moved(node: Any, address: str) -> Any:
    if isinstance(node, dict):
        return {key: _moved(child, address) for key, child in node.items()}
    return address + "/" + str(node).split("/", 3)[-1]
