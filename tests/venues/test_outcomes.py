"""What each way of failing proves about an order, and that nothing is ever sent twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from project.lib import clock
from tests.venues.desk import Desk, gateway, now_ms
from tests.venues.paper.process import PaperVenue, WorldHandle, free_port
from venues.credentials import Secret
from venues.gateway import VenueTarget
from venues.paper import defaults

WRONG_SECRETS = {"coinbase": defaults.ec_key("another")}
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
    # The others answer a submit without numbers, so there is nothing in it to disbelieve.
    assert answer.outcome == ("unknown" if desk.world.exchange in ("binance", "deribit") else "accepted")
    assert desk.placed() == 1


async def test_maintenance_ends_no_order_and_is_told_by_whoever_has_a_word_for_it(desk: Desk) -> None:
    desk.venue.add_fault(desk.world, "maintenance", "create_order", count=10)
    answer = await desk.gateway.place(desk.order())
    exchange = desk.world.exchange
    assert answer.outcome == ("not_sent" if exchange == "deribit" else "unknown")
    assert desk.placed() == 0
    says_so = exchange in ("binance", "kraken", "okx", "deribit")
    assert answer.category == ("maintenance" if says_so else "")
    await desk.gateway.check()
    # Coinbase has no status endpoint: only its failures say that something is wrong.
    assert bool(desk.gateway.maintenance) is (exchange != "coinbase")


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
    by_our_id = await desk.gateway.cancel(desk.cancel_of(other))
    assert by_our_id.outcome == ("accepted" if desk.gateway.capabilities.client_id_cancel else "not_sent")
    again = await desk.gateway.cancel(desk.cancel_of(order, placed.venue_order_id))
    assert (again.outcome, again.code) == ("rejected", "ORDER_UNKNOWN")


# what is changed about a good order, our code, and our code where an exchange looks at something else first
REJECTS: list[tuple[dict[str, Any], str, dict[str, str]]] = [
    ({"quantity": Decimal("50")}, "INSUFFICIENT_FUNDS", {}),
    ({"price": Decimal("50000.001")}, "PRICE_FILTER", {}),
    (
        {"quantity": Decimal("0.00001")},
        "QUANTITY_TOO_SMALL",
        {"binance": "NOTIONAL_TOO_SMALL", "coinbase": "NOTIONAL_TOO_SMALL", "deribit": "QUANTITY_FILTER"},
    ),
]


@pytest.mark.parametrize(("changes", "code", "elsewhere"), REJECTS)
async def test_definitive_rejects(desk: Desk, changes: dict[str, Any], code: str, elsewhere: dict[str, str]) -> None:
    answer = await desk.gateway.place(desk.order(**changes))
    assert (answer.outcome, answer.code) == ("rejected", elsewhere.get(desk.world.exchange, code))
    assert answer.venue_code
    assert answer.message
    assert desk.placed() == 0


# where such an order is accepted and ends at once: as what, and with which reason
ENDS_POST_ONLY_TAKERS = {
    "bybit": ("rejected", "EC_PostOnlyWillTakeLiquidity"),
    "okx": ("cancelled", "post-only order that would take"),
}


async def test_a_post_only_order_that_would_take_is_refused_or_ended_and_never_takes(desk: Desk) -> None:
    order = desk.order(price=Decimal("61000"), post_only=True)
    answer = await desk.gateway.place(order)
    if desk.world.exchange not in ENDS_POST_ONLY_TAKERS:
        assert (answer.outcome, answer.code, desk.placed()) == ("rejected", "POST_ONLY_WOULD_TAKE", 0)
        return
    assert answer.outcome == "accepted"
    found = await desk.gateway.look_up(
        symbol=order.symbol, venue_client_id=order.venue_client_id, since=clock.now() - timedelta(minutes=1)
    )
    assert found.order is not None
    assert (found.order.status, found.order.reason) == ENDS_POST_ONLY_TAKERS[desk.world.exchange]
    assert found.order.filled_quantity == 0


async def test_the_same_client_id_twice_is_evidence_and_no_reject(desk: Desk) -> None:
    order = desk.order()
    first = await desk.gateway.place(order)
    again = await desk.gateway.place(order)
    if desk.gateway.capabilities.client_ids_unique == "never":  # then only we keep an id from being used again
        assert (again.outcome, desk.placed()) == ("accepted", 2)
        return
    if desk.world.exchange == "coinbase":  # the venue answers with the order that has the id
        assert (again.outcome, again.venue_order_id) == ("accepted", first.venue_order_id)
    else:
        assert (again.outcome, again.code) == ("unknown", "DUPLICATE_CLIENT_ID")
    assert desk.placed() == 1


async def test_an_unknown_symbol_never_leaves(desk: Desk) -> None:
    answer = await desk.gateway.place(desk.order(symbol="NO/PE"))
    assert (answer.outcome, answer.code, answer.transient) == ("not_sent", "SYMBOL_UNKNOWN", False)


async def test_an_order_after_its_window_is_refused_by_the_venue(desk: Desk) -> None:
    answer = await desk.gateway.place(desk.order(stamp_ms=now_ms() - 20_000))
    assert desk.placed() == 0
    # Kraken's "EService:Deadline elapsed" and Deribit's timed_out also stand for their own slowness, so they prove nothing by
    # themselves.
    expected = {
        "binance": ("not_sent", "TIMESTAMP_OUTSIDE_WINDOW"),
        "kraken": ("unknown", "OUTCOME_UNKNOWN"),
        "bybit": ("not_sent", "TIMESTAMP_OUTSIDE_WINDOW"),
        "okx": ("not_sent", "TIMESTAMP_OUTSIDE_WINDOW"),
        "coinbase": ("not_sent", "TIMESTAMP_OUTSIDE_WINDOW"),
        "deribit": ("unknown", "OUTCOME_UNKNOWN"),
    }
    assert (answer.outcome, answer.code) == expected[desk.world.exchange]


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
    wrong = gateway(
        paper_world, secret=Secret(paper_world.api_key, WRONG_SECRETS.get(paper_world.exchange, "d3Jvbmc="))
    )
    await wrong.open()
    desk = Desk(paper, paper_world, wrong)
    answer = await wrong.place(desk.order())
    await wrong.close()
    # Coinbase's door says the same of a token that came late: another one may be taken.
    outcome = "not_sent" if paper_world.exchange == "coinbase" else "rejected"
    assert (answer.outcome, answer.code) == (outcome, "KEY_REFUSED")
    assert desk.placed() == 0


async def test_a_key_no_header_can_carry_never_leaves(paper: PaperVenue, paper_world: WorldHandle) -> None:
    # In Coinbase's tokens any key can be carried; there it is the secret that must be one.
    key, secret = ("key\r\nX-Other: 1", paper_world.secret)
    if paper_world.exchange == "coinbase":
        key, secret = paper_world.api_key, "X-Other: 1"
    broken = gateway(paper_world, secret=Secret(key, secret))
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
