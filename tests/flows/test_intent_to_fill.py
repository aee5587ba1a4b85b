"""An intent becomes a reconciled fill."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from tests.flows import oracle
from tests.flows.client import Refused, wait_for
from tests.flows.stack import AccountAtVenue, Stack

pytestmark = pytest.mark.process


def test_limit_order_rests_and_fills_and_the_books_agree(stack: Stack, fresh: AccountAtVenue) -> None:
    account = fresh
    order = stack.place(account, "rest-1")
    assert order["status"] in {"queued", "sending", "open"}
    resting = stack.wait_status(order["id"], "open")
    assert resting["venue_order_id"]
    stack.paper.trade(account.world, "BTC/USDT", "sell", "0.004", price="20000")
    stack.wait_status(order["id"], "partially_filled")
    stack.paper.trade(account.world, "BTC/USDT", "sell", "0.006", price="20000")
    filled = stack.wait_status(order["id"], "filled")
    assert (filled["filled_quantity"], filled["leaves_quantity"], filled["average_price"]) == ("0.01", "0", "20000")
    assert len(stack.api.all("/fills/", account=account.code)) == 2
    wait_for("balances agree with the venue", lambda: oracle.compare(stack, account).is_clean)
    position = stack.api.all("/positions/", account=account.code)[0]
    assert (position["symbol"], position["quantity"]) == ("BTC/USDT", "0.01")
    kinds = [event["kind"] for event in stack.api.all(f"/orders/{order['id']}/events/")]
    assert kinds[:3] == ["received", "queued", "sending"]
    assert kinds.count("fill") == 2


def test_market_and_immediate_orders_end_by_themselves(stack: Stack, account: AccountAtVenue) -> None:
    market = stack.place(account, "market-1", type="market", price=None)
    filled = stack.wait_status(market["id"], "filled")
    assert Decimal(filled["filled_quantity"]) == Decimal("0.01")
    assert filled["fees"]
    nothing = stack.place(account, "ioc-1", time_in_force="ioc")
    assert stack.wait_status(nothing["id"], "expired", "cancelled")["filled_quantity"] == "0"
    wait_for("balances agree with the venue", lambda: oracle.compare(stack, account).is_clean)


def test_post_only_that_would_take_is_rejected_by_the_venue(stack: Stack, account: AccountAtVenue) -> None:
    order = stack.place(account, "post-1", post_only=True, price="300000", quantity="0.001")
    ended = stack.wait_status(order["id"], "rejected", "cancelled", "expired")
    assert ended["filled_quantity"] == "0"
    if ended["status"] == "rejected":
        assert ended["status_reason"]["code"] == "POST_ONLY_WOULD_TAKE"


def test_cancel_is_a_request_and_becomes_a_fact(stack: Stack, account: AccountAtVenue) -> None:
    order = stack.place(account, "cancel-1")
    stack.wait_status(order["id"], "open")
    stack.api.post(f"/orders/{order['id']}/cancellation/")
    cancelled = stack.wait_status(order["id"], "cancelled")
    assert cancelled["leaves_quantity"] == "0"
    with pytest.raises(Refused) as refused:
        stack.api.post(f"/orders/{order['id']}/cancellation/")
    assert refused.value.status == 409


def test_fifty_threads_with_one_client_order_id_make_one_order(stack: Stack, binance: AccountAtVenue) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: stack.place(binance, "same-1"), range(50)))
    assert len({answer["id"] for answer in answers}) == 1
    stack.wait_status(answers[0]["id"], "open")
    with pytest.raises(Refused) as refused:
        stack.place(binance, "same-1", quantity="0.02")
    assert refused.value.status == 409
    accepted = oracle.accepted_per_intent(stack, binance, stack.paper.journal(binance.world))
    assert accepted[answers[0]["id"]] == 1


def test_halt_denies_new_orders_and_lets_cancels_pass(stack: Stack, binance: AccountAtVenue) -> None:
    resting = stack.place(binance, "halt-1")
    stack.wait_status(resting["id"], "open")
    halt = stack.api.post("/halts/", {"scope": f"account:{binance.code}", "reason": "test of the stop"})
    denied = stack.place(binance, "halt-2")
    assert (denied["status"], denied["status_reason"]["code"]) == ("denied", "TRADING_HALTED")
    stack.api.post(f"/orders/{resting['id']}/cancellation/")
    stack.wait_status(resting["id"], "cancelled")
    stack.api.call("DELETE", f"/api/v1/halts/{halt['id']}/", {"reason": "test over"})
    assert stack.wait_status(stack.place(binance, "halt-3")["id"], "open")
