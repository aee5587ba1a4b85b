"""The whole product as processes: database of its own, paper venue, web, executor, worker, watchdog."""

from __future__ import annotations

import base64
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.flows.client import Api, wait_for
from tests.venues.paper.process import PaperVenue, WorldHandle, free_port, running_paper_venue

ROOT = Path(__file__).resolve().parents[2]
MANAGE = (sys.executable, "manage.py")
_numbers = itertools.count(1)


@dataclass
class AccountAtVenue:
    """An account of the product and the world behind it."""

    code: str
    venue: str
    world: WorldHandle


@dataclass
class Stack:
    """Handles of a running product."""

    home: Path
    environment: dict[str, str]
    paper: PaperVenue
    port: int
    token: str = ""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def api(self) -> Api:
        """Return an API client with the first admin's token."""
        return Api(f"http://127.0.0.1:{self.port}", self.token)

    def start(self, role: str, **environment: str) -> None:
        """Start one role as a process of its own."""
        web = (sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port), "--websocket_timeout", "-1")
        command = (*web, "project.asgi:application") if role == "web" else (*MANAGE, f"run_{role}")
        log = (self.home / f"{role}.log").open("ab")
        self.processes[role] = subprocess.Popen(
            command, cwd=ROOT, env={**self.environment, "ROLE": role, **environment}, stdout=log, stderr=log
        )

    def kill(self, role: str, number: int = signal.SIGKILL) -> None:
        """End one role by its pid and wait until it is gone; SIGKILL unless told otherwise."""
        process = self.processes.pop(role)
        process.send_signal(number)
        process.wait(timeout=15)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a management command to its end."""
        return subprocess.run(
            [*MANAGE, *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def sql(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read the product's database directly, for what the API does not show."""
        with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as link:
            return link.execute(query, parameters).fetchall()

    def open_account(self, exchange: str, *, flow_steps_per_second: float = 0, ready: bool = True) -> AccountAtVenue:
        """Make a world, a venue, an account and a key; activate it and wait until it is ready."""
        number = next(_numbers)
        code, world = f"{exchange}-{number}", f"flow{number}"
        api_key, secret = f"key-{code}", base64.b64encode(f"secret-of-{code}".encode()).decode()
        made = self.paper.create_world(
            exchange, world, seed=number, flow_steps_per_second=flow_steps_per_second,
            accounts=[{
                "api_key": api_key, "secret": secret,
                "balances": {"USDT": "100000", "BTC": "2", "ETH": "30", "SOL": "500"},
                "permissions": {"read": True, "trade": True, "withdraw": False},
            }],
        )  # fmt: skip
        api = self.api
        api.post("/venues/", {"code": code, "exchange": exchange, "rest_url": made.rest_url, "ws_url": made.ws_url})
        api.post("/accounts/", {"code": code, "venue": code, "label": f"flow {number}"})
        api.post(f"/accounts/{code}/keys/", {"api_key": api_key, "secret": secret})
        api.post(f"/accounts/{code}/activation/")
        account = AccountAtVenue(code, code, made)
        if ready:
            self.wait_ready(account)
        return account

    def wait_ready(self, account: AccountAtVenue, seconds: float = 40) -> None:
        """Wait until the account trades."""

        def look() -> bool:
            shown = self.api.get(f"/accounts/{account.code}/")
            return bool(shown["status"] == "ready")

        wait_for(f"{account.code} ready", look, seconds)

    def place(self, account: AccountAtVenue, client_order_id: str, **body: object) -> Any:
        """Post an order: a small limit buy far from the market unless told otherwise."""
        order: dict[str, object] = {
            "client_order_id": client_order_id, "account": account.code, "symbol": "BTC/USDT", "side": "buy",
            "type": "limit", "quantity": "0.01", "price": "20000",
        }  # fmt: skip
        return self.api.post(
            "/orders/", {name: value for name, value in {**order, **body}.items() if value is not None}
        )

    def wait_status(self, order_id: str, *statuses: str, seconds: float = 20) -> Any:
        """Wait until an order stands at one of the statuses and return it."""

        def look() -> Any:
            shown = self.api.get(f"/orders/{order_id}/")
            return shown if shown["status"] in statuses else None

        return wait_for(f"order {order_id} in {statuses}", look, seconds)

    def fired(self, account: AccountAtVenue, fault: str) -> int:
        """Return how often a fault fired in the account's world, by the venue's own journal."""
        rows = self.paper.control("GET", "faults")["results"]
        mine = (account.world.exchange, account.world.world)
        return sum(row["fired"] for row in rows if row["fault"] == fault and (row["exchange"], row["world"]) == mine)

    def logs(self, role: str) -> str:
        """Return what a role wrote, for a failure's message."""
        path = self.home / f"{role}.log"
        return path.read_text()[-4000:] if path.exists() else ""


@contextmanager
def running_stack(home: Path, **environment: str) -> Iterator[Stack]:
    """Start everything on a fresh database and end it, by pid, whatever happens."""
    base = os.environ["DATABASE_URL"]
    name = f"gapless_flow_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(base, autocommit=True) as link:
        link.execute(f'CREATE DATABASE "{name}"')
    url = urlunsplit(urlsplit(base)._replace(path=f"/{name}"))
    with running_paper_venue(home / "papervenue") as paper:
        given = {
            **os.environ, "DATABASE_URL": url, "GAPLESS_HOME": str(home), "GAPLESS_PAPER_URL": paper.url,
            "GAPLESS_CUSTOM_URLS": "1", "DEMO": "0", "SECRET_KEY": "flow-tests", "PYTHONUNBUFFERED": "1", **environment,
        }  # fmt: skip
        stack = Stack(home, given, paper, free_port())
        try:
            for command in ("migrate", "init_secrets"):
                done = stack.manage(command)
                assert done.returncode == 0, done.stdout + done.stderr
            seeded = stack.manage("seed_demo")
            assert seeded.returncode == 0, seeded.stderr
            lines = [json.loads(line) for line in seeded.stdout.splitlines() if line.startswith("{")]
            stack.token = next(line["token"] for line in lines if "token" in line)
            for role in ("web", "executor", "worker", "watchdog"):
                stack.start(role)
            wait_for("the API to answer", lambda: stack.api.get("/"), 90)
            yield stack
        finally:
            for role in list(stack.processes):
                stack.kill(role, signal.SIGTERM)
            with psycopg.connect(base, autocommit=True) as link:
                link.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
