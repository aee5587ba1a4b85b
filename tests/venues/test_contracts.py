"""Contracts through the gateway of Deribit: amounts as they are, positions, what a trade realised, and never a doubt lost."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project.lib import clock, decimals
from tests.venues.desk import Desk, gateway
from tests.venues.paper.process import PaperVenue
from tests.venues.recorded import RecordedWire
from venues.adapters import deribit_orders, deribit_rows, rows
from venues.errors import Facts, judge
from venues.gateway import VenueTarget
from venues.messages import CancelOrder, FillReport, PositionReport
from venues.paper.markets import EXCHANGES, markets_of

D = Decimal
SYMBOL = "BTC/USD:BTC"
ACCOUNT = {"api_key": "key1", "secret": "secret", "balances": {"BTC": "2", "USDC": "50000", "USDT": "50000"}}
MARKETS = markets_of(EXCHANGES["deribit"])
AGO = timedelta(minutes=5)
_numbers = itertools.count(1)


@pytest.fixture
async def desk(paper: PaperVenue) -> AsyncIterator[Desk]:
    """Return an open gateway on a world of contracts."""
    world = paper.create_world("deribit", f"contracts-{next(_numbers)}", accounts=[ACCOUNT])
    one = gateway(world)
    await one.open()
    yield Desk(paper, world, one)
    await one.close()
    paper.remove_world(world)


def contract(desk: Desk, **changes: Any) -> Any:
    return desk.order(**({"symbol": SYMBOL, "quantity": D(1000), "price": D(61000)} | changes))


async def test_fills_positions_and_balances_of_contracts(desk: Desk) -> None:
    assert (await desk.gateway.place(contract(desk))).outcome == "accepted"
    await desk.gateway.place(contract(desk, side="sell", quantity=D(400), type="market", price=None, reduce_only=True))
    fills = await desk.gateway.read("fills", since=clock.now() - AGO)
    facts = desk.venue.journal(desk.world, "filled")
    assert [(row.side, row.quantity, row.realised_pnl, row.fee, row.fee_asset) for row in fills.rows] == [
        (fact["side"], D(fact["quantity"]), D(fact["realised"]), D(fact["fee"]), "BTC") for fact in facts
    ]
    positions = await desk.gateway.read("positions")
    (position,) = positions.rows
    assert isinstance(position, PositionReport)
    assert (positions.status, position.symbol, position.quantity) == ("good", SYMBOL, D(600))
    assert position.entry_price == D(facts[0]["price"])
    engine = desk.venue.balances(desk.world)
    (btc,) = [row for row in (await desk.gateway.read("balances")).rows if row.asset == "BTC"]
    assert (btc.total, btc.held) == (D(engine["BTC"]["total"]), D(engine["BTC"]["held"]))


async def test_a_failed_read_of_positions_is_not_a_flat_one(desk: Desk) -> None:
    desk.venue.add_fault(desk.world, "status", "positions", params={"status": 502})
    read = await desk.gateway.read("positions")
    assert (read.status, read.rows) == ("failed", ())
    desk.venue.add_fault(desk.world, "empty", "positions")
    assert (await desk.gateway.read("positions")).status == "failed"


@pytest.mark.parametrize("fault", ["drop_after", "empty", "truncate", "hang"])
async def test_a_lost_answer_is_a_doubt_even_without_a_label(desk: Desk, fault: str) -> None:
    """An order is a GET there: without our id in it nothing but its place tells it from a read."""
    target = VenueTarget(
        code="nameless", exchange="deribit", rest_url=desk.world.rest_url, ws_url=desk.world.ws_url, may_trade=True,
        quirks=("no_client_id",),
    )  # fmt: skip
    nameless = gateway(desk.world, target=target)
    await nameless.open()
    desk.venue.add_fault(desk.world, fault, "create_order", params={"seconds": 20})
    answer = await nameless.place(contract(desk))
    await nameless.close()
    assert (answer.outcome, desk.placed()) == ("unknown", 1)


async def test_cancels_by_label(desk: Desk) -> None:
    order = contract(desk, price=D(50000))
    absent = await desk.gateway.cancel(cancel_of(order))
    assert (absent.outcome, absent.code) == ("rejected", "ORDER_UNKNOWN")
    await desk.gateway.place(order)
    assert (await desk.gateway.cancel(cancel_of(order))).outcome == "accepted"
    found = await desk.gateway.look_up(symbol=SYMBOL, venue_client_id=order.venue_client_id, since=clock.now() - AGO)
    assert found.order is not None
    assert (found.result, found.order.status) == ("found", "cancelled")


def cancel_of(order: Any) -> CancelOrder:
    return CancelOrder(
        symbol=order.symbol, venue_order_id=None, venue_client_id=order.venue_client_id, stamp_ms=order.stamp_ms,
        window_ms=5_000,
    )  # fmt: skip


async def test_its_limit_is_an_error_like_any_other_and_is_obeyed(desk: Desk) -> None:
    desk.venue.add_fault(desk.world, "rate_limited", "create_order", params={"seconds": 40})
    answer = await desk.gateway.place(contract(desk))
    assert (answer.outcome, answer.venue_code) == ("not_sent", "10028")
    assert 30 < desk.gateway._turns.budget.stopped_seconds() <= 40


async def test_every_request_has_a_nonce_of_its_own(desk: Desk) -> None:
    client = desk.gateway._adapter.client
    nonces = [
        client.sign("get_positions", ["private"], "GET", {})["headers"]["Authorization"].rpartition("nonce=")[2]
        for _ in range(50)
    ]
    assert len(set(nonces)) == 50


async def test_trades_of_long_ago_are_asked_for_apart_and_pages_follow_one_another(desk: Desk) -> None:
    row = {
        "trade_id": "T1", "trade_seq": 1, "timestamp": 1_795_000_000_000, "instrument_name": "BTC-PERPETUAL",
        "direction": "buy", "price": 60000.0, "amount": 10.0, "fee": 1e-08, "fee_currency": "BTC", "order_id": "O1",
        "liquidity": "T", "profit_loss": 0.0, "label": "",
    }  # fmt: skip
    second = row | {"trade_id": "T2", "timestamp": 1_795_000_000_001}
    answers = {"BTC": [([row], True), ([row, second], False), ([second], False)]}
    pages = [page for name in ("BTC", "ETH", "USDC") for page in answers.get(name, [([], False)] * 2)]
    wire = RecordedWire(
        *[(200, {"jsonrpc": "2.0", "result": {"trades": rows, "has_more": more}}) for rows, more in pages]
    )
    client = desk.gateway._adapter.client
    before, client.wire = client.wire, wire
    read = await desk.gateway.read("fills")
    client.wire = before
    assert read.status == "good"
    assert [fill.venue_trade_id for fill in read.rows] == ["T1", "T2"]
    assert [asked.get("historical") for _, asked in wire.asked[:3]] == ["true", "true", None]
    assert wire.asked[1][1]["start_timestamp"] == "1795000000000"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(MARKETS)), st.integers(1, 10**6), st.integers(1, 10**6))
def test_numbers_go_to_the_wire_and_back_exactly(symbol: str, steps: int, ticks: int) -> None:
    market = MARKETS[symbol]
    quantity, price = steps * market.quantity_step, ticks * market.price_step
    order = Desk.order(None, symbol=symbol, quantity=quantity, price=price)  # type: ignore[arg-type]
    request = deribit_orders.placement(order, market.venue_id, 1)
    assert (D(request["amount"]), D(request["price"])) == (quantity, price)
    assert "E" not in request["amount"] + request["price"]
    row = {
        "order_id": "1", "order_state": "open", "order_type": "limit", "instrument_name": market.venue_id, "direction": "buy",
        "amount": decimals.write(quantity), "filled_amount": "0.0", "price": repr(float(price)),
        "last_update_timestamp": 1_795_000_000_000,
    }  # fmt: skip
    report = deribit_rows.order(row, lambda _: symbol)
    assert (report.quantity, report.price) == (quantity, price)


@pytest.mark.parametrize(
    ("action", "code", "message", "outcome", "ours"),
    [
        ("submit", "10009", "not_enough_funds", "rejected", "INSUFFICIENT_FUNDS"),
        ("submit", "11054", "post_only_reject", "rejected", "POST_ONLY_WOULD_TAKE"),
        ("submit", "11030", "other_reject invalid_reduce_only_order", "rejected", "REDUCE_ONLY_REFUSED"),
        ("submit", "11030", "other_reject", "rejected", "ORDER_REFUSED"),
        ("submit", "-32602", "Invalid params: must conform to tick size: price", "rejected", "PRICE_FILTER"),
        (
            "submit",
            "-32602",
            "Invalid params: must be a multiple of the minimum order size",
            "rejected",
            "QUANTITY_FILTER",
        ),
        ("submit", "-32602", "Invalid params: instrument not found", "rejected", "SYMBOL_UNKNOWN"),
        ("submit", "13004", "invalid_credentials", "rejected", "KEY_REFUSED"),
        ("submit", "13021", "forbidden", "rejected", "KEY_MAY_NOT_TRADE"),
        ("submit", "13009", "unauthorized: timestamp is too old", "not_sent", "TIMESTAMP_OUTSIDE_WINDOW"),
        ("submit", "10028", "too_many_requests", "not_sent", "RATE_LIMITED"),
        ("submit", "10047", "matching_engine_queue_full", "not_sent", "RATE_LIMITED"),
        ("submit", "10041", "settlement_in_progress", "not_sent", "MARKET_RESTRICTED"),
        ("submit", "13888", "timed_out", "unknown", "OUTCOME_UNKNOWN"),
        ("submit", "11094", "internal_server_error", "unknown", "OUTCOME_UNKNOWN"),
        ("submit", "10001", "error", "unknown", "OUTCOME_UNKNOWN"),
        ("submit", "10004", "order_not_found", "unknown", "OUTCOME_UNKNOWN"),
        ("submit", "77777", "something new", "unknown", "OUTCOME_UNKNOWN"),
        ("cancel", "10004", "order_not_found", "rejected", "ORDER_UNKNOWN"),
        ("cancel", "11044", "not_open_order", "rejected", "ORDER_UNKNOWN"),
        ("cancel", "13888", "timed_out", "unknown", "OUTCOME_UNKNOWN"),
        ("amend", "11008", "already_filled", "rejected", "ORDER_CLOSED"),
        ("amend", "11044", "not_open_order", "rejected", "ORDER_UNKNOWN"),
    ],
)
def test_what_its_errors_prove(action: Any, code: str, message: str, outcome: str, ours: str) -> None:
    facts = Facts(sent=True, status=400, parsed=True, venue_code=code, message=message, classes=("ExchangeError",))
    verdict = judge(action, "deribit", facts)
    assert (verdict.outcome, verdict.code) == (outcome, ours)
    assert (
        judge(action, "deribit", Facts(sent=True, status=502, parsed=True, venue_code=code, message=message)).outcome
        == "unknown"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"order_state": "new_state"},
        {"order_state": "filled", "filled_amount": "5"},
        {"amount": None},
        {"direction": "up"},
        {"last_update_timestamp": "0"},
    ],
)
def test_an_order_that_makes_no_sense_is_no_report(changes: dict[str, Any]) -> None:
    row = {
        "order_id": "1", "order_state": "open", "order_type": "limit", "instrument_name": "BTC-PERPETUAL", "direction": "buy",
        "amount": "10.0", "filled_amount": "0.0", "price": "50000.0", "last_update_timestamp": "1795000000000",
    }  # fmt: skip
    assert deribit_rows.order(row, str).quantity == 10
    with pytest.raises(rows.RowError):
        deribit_rows.order(row | changes, str)


def test_the_funding_of_a_session_is_not_the_accounts_before_it_is_settled() -> None:
    row = {
        "currency": "BTC", "balance": "1.5", "session_rpl": "-0.3", "session_funding": "-0.1", "initial_margin": "0.2",
        "spot_reserve": "0.05",
    }  # fmt: skip
    read = deribit_rows.balance(row)
    assert (read.total, read.held, read.free) == (D("1.3"), D("0.25"), D("1.05"))


def test_a_contract_whose_trade_does_not_say_what_it_realised_is_no_report() -> None:
    row = {
        "trade_id": "T1", "timestamp": "1795000000000", "instrument_name": "BTC-PERPETUAL", "direction": "buy", "price": "60000.0",
        "amount": "10.0", "fee": "2.5e-7", "fee_currency": "BTC", "order_id": "O1", "liquidity": "M", "profit_loss": "-1e-8",
    }  # fmt: skip
    fill = deribit_rows.fill(row, lambda _: SYMBOL)
    assert isinstance(fill, FillReport)
    assert (fill.fee, fill.realised_pnl) == (D("0.00000025"), D("-0.00000001"))
    with pytest.raises(rows.RowError, match="profit_loss"):
        deribit_rows.fill({**row, "profit_loss": None}, lambda _: SYMBOL)
    with pytest.raises(rows.RowError, match="disagree"):
        deribit_rows.position({"instrument_name": "BTC-PERPETUAL", "size": "10.0", "direction": "sell"}, str)
