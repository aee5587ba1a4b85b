"""A paper venue as a real process, and a control client for it that needs nothing but the standard library."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from venues.paper import defaults

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 30.0
STOP_SECONDS = 10.0
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class WorldHandle:
    """Where a world is, and the key of its first account."""

    exchange: str
    world: str
    rest_url: str
    ws_url: str
    api_key: str
    secret: str = field(repr=False)
    passphrase: str = field(default="", repr=False)


@dataclass(slots=True)
class PaperVenue:
    """A running paper venue."""

    url: str
    data_dir: Path
    options: tuple[str, ...]
    process: subprocess.Popen[bytes]

    def create_world(self, exchange: str, world: str = "test", **extra: Any) -> WorldHandle:
        """Create a world with one account, or with the accounts given; still unless flow_steps_per_second is given."""
        api_key, secret = defaults.KEYS[exchange]
        account = {
            "api_key": api_key,
            "secret": secret,
            "passphrase": defaults.PASSPHRASES.get(exchange, ""),
            "balances": defaults.BALANCES,
            "permissions": defaults.PERMISSIONS,
        }
        request = {"exchange": exchange, "world": world, "seed": 1, "accounts": [account], **extra}
        made = self.control("POST", "worlds", request)
        first = request["accounts"][0]
        keys = (first["api_key"], first["secret"], first.get("passphrase", ""))
        return WorldHandle(exchange, world, made["rest_url"], made["ws_url"], *keys)

    def remove_world(self, world: WorldHandle) -> None:
        """End a world and delete what it knew."""
        self.control("DELETE", "worlds", _named(world))

    def add_fault(self, world: WorldHandle, fault: str, operation: str = "any", **extra: Any) -> str:
        """Add a fault and return its id; `match` may narrow it further."""
        match = {"operation": operation, **extra.pop("match", {})}
        made: str = self.control("POST", "faults", {**_named(world), "fault": fault, "match": match, **extra})["id"]
        return made

    def fault(self, fault_id: str) -> Json:
        """Return a fault with its count of firings."""
        rows: list[Json] = self.control("GET", "faults")["results"]
        return next(row for row in rows if row["id"] == fault_id)

    def remove_faults(self, fault_id: str | None = None) -> None:
        """Remove one fault, or all."""
        self.control("DELETE", f"faults/{fault_id}" if fault_id else "faults")

    def journal(self, world: WorldHandle, kind: str | None = None) -> list[Json]:
        """Return all journal records of a world, or those of one kind."""
        records: list[Json] = []
        after: int | None = 0
        while after is not None:
            query: Json = {**_named(world), "after": after, **({"kind": kind} if kind else {})}
            page = self.control("GET", "journal?" + urllib.parse.urlencode(query))
            records += page["results"]
            after = page["next"]
        return records

    def trade(self, world: WorldHandle, symbol: str, side: str, quantity: str, **extra: Any) -> Json:
        """Let an outside participant trade with accounts' resting orders."""
        return self.control(
            "POST", "trades", {**_named(world), "symbol": symbol, "side": side, "quantity": quantity, **extra}
        )

    def place_external_order(self, world: WorldHandle, **order: Any) -> Json:
        """Place an order on an account behind its owner's back."""
        return self.control("POST", "orders", {**_named(world), "account": world.api_key, **order})

    def cancel_external(self, world: WorldHandle, **order: Any) -> Json:
        """Cancel an account's order behind its owner's back."""
        return self.control("DELETE", "orders", {**_named(world), "account": world.api_key, **order})

    def balances(self, world: WorldHandle) -> dict[str, Json]:
        """Return the first account's balances as the venue's engine has them."""
        found = self.control("GET", "balances?" + urllib.parse.urlencode(_named(world)))
        mine: dict[str, Json] = found["results"][world.api_key]
        return mine

    def prices(self, world: WorldHandle) -> dict[str, Json]:
        """Return each market's best and last prices."""
        found: dict[str, Json] = self.control("GET", "prices?" + urllib.parse.urlencode(_named(world)))["results"]
        return found

    def control(self, method: str, path: str, body: Json | None = None) -> Json:
        """Send a control request and return the answer. Raises AssertionError when it is refused."""
        request = urllib.request.Request(
            f"{self.url}/_control/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                answer: Json = json.load(response)
                return answer
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"{method} {path}: {refused.code} {refused.read().decode()}") from None

    def kill(self) -> None:
        """End the process the hard way."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def start_again(self) -> None:
        """Start on the same port with the same data."""
        self.process = _start(self.url, self.data_dir, self.options)

    def stop(self) -> None:
        """End the process in order."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


@contextlib.contextmanager
def running_paper_venue(data_dir: Path, *options: str) -> Iterator[PaperVenue]:
    """Run a paper venue on a free port for as long as the block lasts. Raises TimeoutError when it does not start."""
    url = f"http://127.0.0.1:{free_port()}"
    venue = PaperVenue(url, data_dir, options, _start(url, data_dir, options))
    try:
        yield venue
    finally:
        venue.stop()


def wait_until(fact: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Return the first true answer of `fact`. Raises AssertionError when it stays false."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = fact()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"did not become true within {seconds} s: {fact}")


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _start(url: str, data_dir: Path, options: tuple[str, ...]) -> subprocess.Popen[bytes]:
    port = url.rpartition(":")[2]
    command = [sys.executable, "-m", "venues.paper", "--port", port, "--data", str(data_dir), "--world", "", *options]
    process = subprocess.Popen(command, cwd=ROOT)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/_control/health", timeout=1):
            return process
        time.sleep(0.05)
    process.kill()
    raise TimeoutError("the paper venue did not start")


def _named(world: WorldHandle) -> Json:
    return {"exchange": world.exchange, "world": world.world}
