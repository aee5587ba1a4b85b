"""A world in memory is the same bytes for the same seed and calls, whatever Python's hash seed is."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.venues.paper.simulating import Desk, body_of, reply_of
from venues.paper.simulated import connect, request

ROOT = Path(__file__).resolve().parents[3]
CORE = (
    "accounts", "book", "effects", "engine", "exchange", "faults", "flow", "holdings", "hub", "personality", "pricing",
    "recovery", "simulated", "spoil", "timers", "triggers", "world",
)  # fmt: skip
FORBIDDEN_MODULES = {"asyncio", "threading", "time", "secrets", "uuid", "concurrent", "aiohttp", "os", "socket"}


def trace(exchange: str, hash_seed: str, seed: int = 3) -> str:
    """Return the digest of everything a scripted run leaves, made in a process of its own."""
    command = [sys.executable, "-m", "tests.venues.paper.scenario", exchange, str(seed)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("exchange", ["binance", "kraken", "bybit", "okx", "coinbase", "deribit"])
def test_same_bytes_under_every_hash_seed(exchange: str) -> None:
    first, second = trace(exchange, "1"), trace(exchange, "4242")
    assert first == second
    assert int(first.split()[1]) > 200
    assert trace(exchange, "1", seed=4) != first


@pytest.mark.parametrize("name", CORE)
def test_core_has_no_clock_no_threads_and_iterates_over_no_set(name: str) -> None:
    folder = ROOT / "venues" / "paper"
    tree = ast.parse((folder / f"{name}.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & FORBIDDEN_MODULES
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in FORBIDDEN_MODULES
        if isinstance(node, ast.For | ast.comprehension):
            is_set = isinstance(node.iter, ast.Set | ast.SetComp)
            is_call = isinstance(node.iter, ast.Call) and getattr(node.iter.func, "id", "") in ("set", "frozenset")
            assert not is_set and not is_call
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("random", "choice")
        ):
            assert not (isinstance(node.func.value, ast.Name) and node.func.value.id == "random")


def test_timers_are_exposed_and_run_in_order() -> None:
    desk = Desk("kraken")
    assert desk.world.next_due() is None
    desk.fault("delayed_fill", params={"seconds": 7})
    desk.place(expiretm="+20")
    desk.place("49000", expiretm="+10")
    assert desk.world.next_due() == desk.now + 10_000_000
    desk.now += 30_000_000
    assert desk.world.advance() == 2
    assert [record["client_order_id"] for record in desk.world.records("expired")] == ["", ""]
    first, second = (record["order_id"] for record in desk.world.records("accepted"))
    assert [record["order_id"] for record in desk.world.records("expired")] == [second, first]
    assert desk.world.next_due() is None


def test_first_book_event_of_a_new_world_follows_its_snapshot() -> None:
    desk = Desk("binance")
    stream = connect(desk.world, "/ws/btcusdt@depth")
    asked = reply_of(request(desk.world, "GET", "/api/v3/depth", "symbol=BTCUSDT"))
    for _ in range(30):
        desk.world.step()
    desk.world.tell_public()
    (event,) = [json.loads(text) for text in stream.take()]
    assert event["U"] == body_of(asked)["lastUpdateId"] + 1 < event["u"]
