"""Fills come once, whatever the stream does."""

from __future__ import annotations

import pytest

from tests.flows import oracle
from tests.flows.client import wait_for
from tests.flows.stack import AccountAtVenue, Stack

pytestmark = pytest.mark.process


def test_duplicate_fill_messages_are_booked_once(stack: Stack, account: AccountAtVenue) -> None:
    stack.paper.add_fault(account.world, "duplicate_fill", "stream", seconds=30, params={"times": 4})
    order = stack.place(account, "twice-1", type="market", price=None)
    stack.wait_status(order["id"], "filled")
    wait_for("the fault fired", lambda: stack.fired(account, "duplicate_fill"))
    wait_for("books agree", lambda: oracle.compare(stack, account).is_clean)
    count = stack.sql(
        "SELECT count(*), count(DISTINCT venue_trade_id) FROM orders_fill WHERE order_id = %s", order["id"]
    )
    assert count[0][0] == count[0][1] >= 1


def test_gap_in_the_stream_is_healed_by_the_sweep(stack: Stack, account: AccountAtVenue) -> None:
    order = stack.place(account, "gap-1")
    resting = stack.wait_status(order["id"], "open")
    stack.paper.add_fault(account.world, "close_stream", "stream", seconds=3)
    wait_for("the stream was closed", lambda: stack.fired(account, "close_stream"))
    stack.paper.trade(account.world, "BTC/USDT", "sell", "0.01", price="20000", order_id=resting["venue_order_id"])
    stack.wait_status(order["id"], "filled")
    wait_for("books agree", lambda: oracle.compare(stack, account).is_clean)


def test_unreadable_frame_changes_nothing_and_the_stream_lives_on(stack: Stack, account: AccountAtVenue) -> None:
    order = stack.place(account, "poison-1")
    resting = stack.wait_status(order["id"], "open")

    def unreadable() -> list[object]:
        # a frame reaches who listens now; the stream may still be on its way back from the test before
        stack.paper.add_fault(account.world, "poison_frame", "stream", count=1)
        return [row for row in stack.api.all("/breaks/", account=account.code) if row["kind"] == "unreadable"]

    wait_for("a break tells of it", unreadable, every=1)
    assert stack.fired(account, "poison_frame")
    stack.paper.trade(account.world, "BTC/USDT", "sell", "0.01", price="20000", order_id=resting["venue_order_id"])
    stack.wait_status(order["id"], "filled")


def test_order_and_fill_placed_elsewhere_are_adopted(stack: Stack, account: AccountAtVenue) -> None:
    stack.paper.place_external_order(
        account.world, symbol="ETH/USDT", side="buy", type="limit", quantity="0.5",
        price="500",
    )  # fmt: skip
    adopted = wait_for(
        "the external order is shown",
        lambda: [row for row in stack.api.all("/orders/", account=account.code) if row["is_external"]],
    )
    stack.paper.trade(account.world, "ETH/USDT", "sell", "0.5", price="500")
    stack.wait_status(adopted[0]["id"], "filled")
    wait_for("books agree", lambda: oracle.compare(stack, account).is_clean)
