"""The answer to a submit is lost: the order is unknown until the venue's own words prove what became of it."""

from __future__ import annotations

import pytest

from tests.flows import oracle
from tests.flows.client import wait_for
from tests.flows.stack import AccountAtVenue, Stack

pytestmark = pytest.mark.process


def kinds_of(stack: Stack, order_id: str) -> list[str]:
    return [event["kind"] for event in stack.api.all(f"/orders/{order_id}/events/")]


@pytest.mark.parametrize(
    ("fault", "params"),
    [
        ("drop_after", {}),
        ("status", {"status": 503, "when": "after"}),
        ("empty", {}),
        ("html", {}),
        ("json_empty", {}),
        ("truncate", {}),
        ("huge_exponent", {}),
    ],
)
def test_accepted_but_unanswered_is_found_and_open(
    stack: Stack, binance: AccountAtVenue, fault: str, params: dict[str, object]
) -> None:
    rule = stack.paper.add_fault(binance.world, fault, "create_order", count=1, params=params)
    order = stack.place(binance, f"lost-{fault}")
    stack.wait_status(order["id"], "open")
    assert "unknown" in kinds_of(stack, order["id"]) or fault in {"drop_after", "truncate"}
    assert stack.paper.fault(rule)["fired"] == 1
    accepted = oracle.accepted_per_intent(stack, binance, stack.paper.journal(binance.world))
    assert accepted[order["id"]] == 1


def test_lost_acknowledgement_on_kraken_is_found_and_open(stack: Stack, shared: dict[str, AccountAtVenue]) -> None:
    account = shared["kraken"]
    stack.paper.add_fault(account.world, "drop_after", "create_order", count=1)
    order = stack.place(account, "lost-kraken")
    stack.wait_status(order["id"], "open", seconds=30)
    stack.api.post(f"/orders/{order['id']}/cancellation/")
    stack.wait_status(order["id"], "cancelled", seconds=30)


def test_request_that_never_arrived_is_proved_absent_and_never_resent(stack: Stack, binance: AccountAtVenue) -> None:
    stack.paper.add_fault(binance.world, "drop_before", "create_order", count=1)
    order = stack.place(binance, "never-1")
    stack.wait_status(order["id"], "unknown", seconds=10)
    denied = stack.wait_status(order["id"], "denied", seconds=60)
    assert denied["status_reason"]["code"] == "SUBMIT_NOT_ACCEPTED"
    assert stack.sql("SELECT count(*) FROM orders_attempt WHERE order_id = %s", order["id"]) == [(1,)]
    journal = stack.paper.journal(binance.world)
    assert oracle.accepted_per_intent(stack, binance, journal)[order["id"]] == 0
    [(resolution, evidence)] = stack.sql(
        "SELECT resolution, evidence FROM orders_attempt WHERE order_id = %s", order["id"]
    )
    assert resolution == "never_accepted"
    assert {"books"} <= {row["source"] for row in evidence}


def test_venue_that_cannot_be_reached_is_not_doubt(stack: Stack, binance: AccountAtVenue) -> None:
    before = stack.sql("SELECT count(*) FROM orders_deadletter")
    stack.paper.add_fault(binance.world, "rate_limited", "create_order", count=1, params={"retry_after": 1})
    order = stack.place(binance, "limited-1")
    stack.wait_status(order["id"], "open", seconds=40)
    assert stack.sql("SELECT count(*) FROM orders_deadletter") == before


def test_lost_cancel_answer_is_settled_by_looking(stack: Stack, account: AccountAtVenue) -> None:
    order = stack.place(account, "cancel-lost")
    stack.wait_status(order["id"], "open")
    stack.paper.add_fault(account.world, "drop_after", "cancel_order", count=1)
    stack.api.post(f"/orders/{order['id']}/cancellation/")
    ended = stack.wait_status(order["id"], "cancelled", seconds=40)
    assert ended["mutation"] == "none"
    wait_for(
        "no doubt left",
        lambda: stack.sql(
            "SELECT count(*) FROM orders_attempt WHERE account_id = %s AND outcome IN ('', 'unknown') AND resolved_at IS NULL",
            account.code,
        ) == [(0,)],
    )  # fmt: skip
