"""kill -9 anywhere: every acknowledged intent ends, nothing is sent twice, nothing is booked twice."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import pytest

from tests.flows import oracle
from tests.flows.client import Refused, wait_for
from tests.flows.stack import AccountAtVenue, Stack

pytestmark = pytest.mark.process
ENDED = {"denied", "filled", "cancelled", "expired", "rejected", "open"}


def test_executor_killed_between_send_and_answer(stack: Stack, binance: AccountAtVenue) -> None:
    stack.paper.add_fault(
        binance.world, "hang", "create_order", count=1,
        params={"seconds": 30, "when": "after"},
    )  # fmt: skip
    order = stack.place(binance, "killed-1")
    wait_for("the venue has it", lambda: stack.fired(binance, "hang"))
    stack.kill("executor")
    stack.start("executor")
    stack.wait_status(order["id"], "open", seconds=40)
    accepted = oracle.accepted_per_intent(stack, binance, stack.paper.journal(binance.world))
    assert list(accepted.values()) == [1]


def test_two_hundred_intents_survive_five_kills_of_the_executor(stack: Stack, tmp_path: Path) -> None:
    account = stack.open_account("binance", flow_steps_per_second=5)
    chance, acknowledged = random.Random(7), tmp_path / "acknowledged"
    stack.paper.add_fault(account.world, "drop_after", "create_order", probability=0.05, seconds=600)
    stack.paper.add_fault(account.world, "drop_before", "create_order", probability=0.02, seconds=600)
    prices = stack.paper.prices(account.world)

    def post() -> None:
        with acknowledged.open("a") as file:
            for number in range(200):
                side, kind = chance.choice(["buy", "sell"]), chance.choice(["market", "limit", "far"])
                body: dict[str, object] = {"side": side, "quantity": "0.001", "type": "market" if kind == "market" else "limit"}
                body["price"] = None if kind == "market" else str(round(float(prices["BTC/USDT"]) * (0.5 if kind == "far" and side == "buy" else 1.5 if kind == "far" else 1)))
                placed = wait_for("an answer", lambda body=body, number=number: stack.place(account, f"burst-{number}", **body))
                file.write(placed["id"] + "\n")
                file.flush()
                os.fsync(file.fileno())

    client = threading.Thread(target=post)
    client.start()
    for _ in range(5):
        sent = len(acknowledged.read_text().split()) if acknowledged.exists() else 0
        wait_for("more intents", lambda sent=sent: acknowledged.exists() and len(acknowledged.read_text().split()) >= min(sent + 20, 200), 60)
        stack.kill("executor")
        stack.start("executor")
    client.join(timeout=120)
    assert not client.is_alive()
    ids = set(acknowledged.read_text().split())
    assert len(ids) == 200

    def all_ended() -> bool:
        rows = {row["id"]: row["status"] for row in stack.api.all("/orders/", account=account.code)}
        parked = {row["order"] for row in stack.api.all("/dead-letters/", account=account.code) if row["status"] == "open"}
        return all(rows[key] in ENDED or key in parked for key in ids)

    wait_for("every acknowledged intent has ended, rests or is parked", all_ended, 180, every=1)
    stack.paper.remove_faults()
    verdict = wait_for("books agree", lambda: (found := oracle.compare(stack, account)).is_clean and found, 60, every=1)
    assert verdict.fills > 0
    assert stack.manage("replay", "--check").returncode == 0
    assert stack.manage("verify_ledger").returncode == 0


def test_web_killed_during_posts_loses_no_acknowledged_intent(stack: Stack, binance: AccountAtVenue) -> None:
    answered = []
    for number in range(12):
        if number == 6:
            stack.kill("web")
            stack.start("web")
        answered.append(wait_for("an answer", lambda number=number: stack.place(binance, f"web-{number}"), 30)["id"])
    assert len(set(answered)) == 12
    for order_id in answered:
        stack.wait_status(order_id, "open")


def test_redis_and_worker_carry_no_truth(stack: Stack, binance: AccountAtVenue) -> None:
    stack.kill("worker")
    order = stack.place(binance, "no-worker", type="market", price=None)
    stack.wait_status(order["id"], "filled")
    stack.start("worker")
    wait_for("the worker checks again", lambda: oracle.compare(stack, binance).is_clean)


def test_order_for_an_account_that_is_not_ready_waits_and_is_denied(stack: Stack) -> None:
    ready = stack.open_account("binance")
    stack.api.post("/accounts/", {"code": f"{ready.code}-idle", "venue": ready.venue, "label": "never activated"})
    idle = AccountAtVenue(f"{ready.code}-idle", ready.venue, ready.world)
    order = stack.place(idle, "waits-1")
    assert order["status"] == "queued"
    denied = stack.wait_status(order["id"], "denied", seconds=40)
    assert denied["status_reason"]["code"] == "ACCOUNT_NOT_READY"


def test_key_that_may_withdraw_is_refused(stack: Stack) -> None:
    made = stack.paper.create_world(
        "binance", "withdraw", seed=1, flow_steps_per_second=0,
        accounts=[{"api_key": "w", "secret": "w", "balances": {"USDT": "1000"}, "permissions": {"read": True, "trade": True, "withdraw": True}}],
    )  # fmt: skip
    stack.api.post("/venues/", {"code": "withdraw", "exchange": "binance", "rest_url": made.rest_url, "ws_url": made.ws_url})
    stack.api.post("/accounts/", {"code": "withdraw", "venue": "withdraw", "label": ""})
    stack.api.post("/accounts/withdraw/keys/", {"api_key": "w", "secret": "w"})
    stack.api.post("/accounts/withdraw/activation/")
    shown = wait_for(
        "refused", lambda: (row := stack.api.get("/accounts/withdraw/"))["status"] == "disabled" and row["status_reason"] and row
    )
    assert "withdraw" in str(shown["status_reason"])
    try:
        stack.api.get("/accounts/withdraw/keys/")
    except Refused as refused:
        raise AssertionError("keys are listed by their fingerprints") from refused
