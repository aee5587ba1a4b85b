"""kill -9 anywhere: every acknowledged intent ends, nothing is sent twice, nothing is booked twice."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from functools import partial
from pathlib import Path

import pytest

from tests.flows import oracle
from tests.flows.client import Refused, wait_for
from tests.flows.stack import AccountAtVenue, Stack

pytestmark = pytest.mark.process
ENDED = {"denied", "filled", "cancelled", "expired", "rejected", "open"}


def test_executor_killed_between_send_and_answer(stack: Stack, binance: AccountAtVenue) -> None:
    rule = stack.paper.add_fault(
        binance.world, "hang", "create_order", count=1,
        params={"seconds": 30, "when": "after"},
    )  # fmt: skip
    order = stack.place(binance, "killed-1")
    wait_for("the venue has it", lambda: stack.paper.fault(rule)["fired"])
    stack.kill("executor")
    stack.start("executor")
    stack.wait_status(order["id"], "open", seconds=40)
    accepted = oracle.accepted_per_intent(stack, binance, stack.paper.journal(binance.world))
    assert accepted[order["id"]] == 1


class Client(threading.Thread):
    """Posts intents and keeps, fsynced, the id of each that was acknowledged; asks again until there is an answer."""

    def __init__(self, stack: Stack, account: AccountAtVenue, count: int, kept: Path) -> None:
        super().__init__(daemon=True)
        self.stack, self.account, self.count, self.kept = stack, account, count, kept
        self.price = float(stack.paper.prices(account.world)["BTC/USDT"]["last"])
        self.chance = random.Random(7)
        kept.touch()

    def acknowledged(self) -> list[str]:
        """Return the ids acknowledged so far."""
        return self.kept.read_text().split()

    def run(self) -> None:
        """Post all of them."""
        with self.kept.open("a") as file:
            for number in range(self.count):
                body = self.body()
                placed = wait_for("an answer", partial(self.stack.place, self.account, f"burst-{number}", **body), 60)
                file.write(placed["id"] + "\n")
                file.flush()
                os.fsync(file.fileno())

    def body(self) -> dict[str, object]:
        """Return a market order, one at the market, or one far away."""
        side, kind = self.chance.choice(["buy", "sell"]), self.chance.choice(["market", "near", "far"])
        if kind == "market":
            return {"side": side, "quantity": "0.001", "type": "market", "price": None}
        away = 1.0 if kind == "near" else 0.5 if side == "buy" else 1.5
        return {"side": side, "quantity": "0.001", "price": str(round(self.price * away))}


def test_two_hundred_intents_survive_five_kills_of_the_executor(stack: Stack, tmp_path: Path) -> None:
    account = stack.open_account("binance", flow_steps_per_second=5)
    stack.paper.add_fault(account.world, "drop_after", "create_order", probability=0.05, seconds=600)
    stack.paper.add_fault(account.world, "drop_before", "create_order", probability=0.02, seconds=600)
    client = Client(stack, account, 200, tmp_path / "acknowledged")
    client.start()
    for kill in range(1, 6):
        wait_for("more intents", lambda kill=kill: len(client.acknowledged()) >= kill * 30, 90)  # type: ignore[misc]
        stack.kill("executor")
        stack.start("executor")
    client.join(timeout=180)
    ids = set(client.acknowledged())
    assert len(ids) == 200

    def all_ended() -> bool:
        rows = {row["id"]: row["status"] for row in stack.api.all("/orders/", account=account.code)}
        parked = {
            row["order"] for row in stack.api.all("/dead-letters/", account=account.code) if row["status"] == "open"
        }
        return all(rows[key] in ENDED or key in parked for key in ids)

    wait_for("every acknowledged intent has ended, rests or is parked", all_ended, 180, every=1)
    stack.paper.remove_faults()
    wait_for("books agree", lambda: oracle.compare(stack, account).is_clean, 60, every=1)
    assert oracle.compare(stack, account).fills > 0
    assert stack.manage("replay", "--check").returncode == 0
    assert stack.manage("verify_ledger").returncode == 0


def test_web_killed_during_posts_loses_no_acknowledged_intent(stack: Stack, binance: AccountAtVenue) -> None:
    answered = []
    for number in range(12):
        if number == 6:
            stack.kill("web")
            stack.start("web")
        answered.append(wait_for("an answer", partial(stack.place, binance, f"web-{number}"), 30)["id"])
    assert len(set(answered)) == 12
    for order_id in answered:
        stack.wait_status(order_id, "open")


def test_web_stops_in_order_while_requests_are_running(stack: Stack, binance: AccountAtVenue) -> None:
    stopped = threading.Event()

    def ask() -> None:
        while not stopped.is_set():
            with contextlib.suppress(OSError, Refused):
                stack.api.get("/orders/", account=binance.code)

    askers = [threading.Thread(target=ask, daemon=True) for _ in range(6)]
    for asker in askers:
        asker.start()
    wait_for("requests to be answered", lambda: stack.api.get("/"))
    stack.kill("web", signal.SIGTERM)  # raises when it does not end in time
    stopped.set()
    stack.start("web")
    wait_for("the API to answer", lambda: stack.api.get("/"), 60)


def test_redis_and_worker_carry_no_truth(stack: Stack, binance: AccountAtVenue) -> None:
    stack.kill("worker")
    order = stack.place(binance, "no-worker", type="market", price=None)
    stack.wait_status(order["id"], "filled")
    stack.start("worker")
    wait_for("the worker checks again", lambda: oracle.compare(stack, binance).is_clean)


def test_order_for_an_account_that_is_not_ready_waits_and_is_denied(stack: Stack, binance: AccountAtVenue) -> None:
    ready = binance
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
    stack.api.post(
        "/venues/", {"code": "withdraw", "exchange": "binance", "rest_url": made.rest_url, "ws_url": made.ws_url}
    )
    stack.api.post("/accounts/", {"code": "withdraw", "venue": "withdraw", "label": ""})
    stack.api.post("/accounts/withdraw/keys/", {"api_key": "w", "secret": "w"})
    stack.api.post("/accounts/withdraw/activation/")
    shown = wait_for(
        "refused",
        lambda: (row := stack.api.get("/accounts/withdraw/"))["status"] == "disabled" and row["status_reason"] and row,
    )
    assert "withdraw" in str(shown["status_reason"])
    try:
        stack.api.get("/accounts/withdraw/keys/")
    except Refused as refused:
        raise AssertionError("keys are listed by their fingerprints") from refused
