"""Secrets planted in a whole running product, under every fault and with DEBUG logging: nowhere to be found afterwards."""

from __future__ import annotations

import base64
import http.cookiejar
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from project import celery
from tests.flows import canary
from tests.flows.client import wait_for
from tests.flows.stack import AccountAtVenue, Stack, running_stack
from tests.venues.paper.process import WorldHandle

PASSPHRASE = "canary-passphrase/with+signs="
FAULTS: list[tuple[str, str, dict[str, Any]]] = [
    ("drop_before", "create_order", {}), ("drop_after", "create_order", {}),
    ("status", "create_order", {"params": {"status": 503, "when": "after"}}), ("html", "create_order", {}),
    ("empty", "create_order", {}), ("json_empty", "create_order", {}), ("truncate", "create_order", {}),
    ("unknown_reject", "create_order", {}), ("duplicate_client_id_reject", "create_order", {}),
    ("html", "cancel_order", {}), ("status", "open_orders", {"params": {"status": 503}}), ("html", "balance", {}),
]  # fmt: skip


def secret_of(name: str) -> tuple[str, str]:
    return f"canary-key-{name}-4711", base64.b64encode(f"canary-secret-{name}-0815".encode()).decode()


@pytest.fixture(scope="module")
def loud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A product whose every logger says all it can."""
    home: Path = tmp_path_factory.mktemp("canary")
    everything = {
        "LOG_LEVEL": "DEBUG", "GAPLESS_BALANCES_SECONDS": "2", "GAPLESS_OPEN_ORDERS_SECONDS": "2",
        "GAPLESS_REQUEST_TIMEOUT_SECONDS": "2", "GAPLESS_LOOKUP_INTERVAL_SECONDS": "1", "GAPLESS_PROBE_SECONDS": "3",
    }  # fmt: skip
    with running_stack(home, **everything) as running:
        yield running


def opened(stack: Stack, exchange: str, keys: list[tuple[str, str]]) -> AccountAtVenue:
    """Open an account with the first of its keys; the venue knows them all as keys of its accounts."""
    code = f"canary-{exchange}"
    rows = [
        {"api_key": key, "secret": secret, "balances": {"USDT": "100000", "BTC": "2"},
         "permissions": {"read": True, "trade": True, "withdraw": number == 2}}
        for number, (key, secret) in enumerate(keys)
    ]  # fmt: skip
    return opened_at(stack, code, stack.paper.create_world(exchange, "canary", accounts=rows), keys[0])


def opened_at(stack: Stack, code: str, world: WorldHandle, key: tuple[str, str]) -> AccountAtVenue:
    api, exchange = stack.api, world.exchange
    api.post("/venues/", {"code": code, "exchange": exchange, "rest_url": world.rest_url, "ws_url": world.ws_url})
    api.post("/accounts/", {"code": code, "venue": code, "label": "canary"})
    account = AccountAtVenue(code, code, world)
    enter(stack, code, key)
    api.post(f"/accounts/{code}/activation/")
    stack.wait_ready(account)
    return account


def enter(stack: Stack, code: str, key: tuple[str, str]) -> Any:
    return stack.api.post(f"/accounts/{code}/keys/", {"api_key": key[0], "secret": key[1], "passphrase": PASSPHRASE})


def state_of(stack: Stack, code: str, version: int) -> str:
    rows = stack.api.all(f"/accounts/{code}/keys/")
    return str(next(row["state"] for row in rows if row["version"] == version))


def test_no_secret_leaves_its_envelope(loud: Stack) -> None:
    keys = {exchange: [secret_of(f"{exchange}-{n}") for n in range(3)] for exchange in ("binance", "kraken")}
    accounts = [opened(loud, exchange, keys[exchange]) for exchange in keys]
    for account in accounts:
        trade_under_faults(loud, account)
        rotate(loud, account, keys[account.world.exchange])
    assert loud.manage("rotate_executor_key").returncode == 0
    secrets = [part for pairs in keys.values() for pair in pairs for part in pair] + [PASSPHRASE]
    private = (loud.home / "secrets" / "executor-private-key.pem").read_text().splitlines()
    secrets += [line for line in private if len(line) > 40]
    assert not api_and_pages(loud, secrets)
    for role in list(loud.processes):
        loud.kill(role, 15)
    found, cells = canary.database(loud.environment["DATABASE_URL"], secrets)
    assert not found and cells > 5_000
    found, size = canary.files(loud.home, secrets, frozenset({"papervenue", "secrets"}))
    logs = "".join(path.read_text() for path in loud.home.glob("*.log"))
    assert '"level": "debug"' in logs and size > 100_000
    assert all(entry["args"] == [name] for name, entry in celery.app.conf.beat_schedule.items())
    assert not found


def fired(stack: Stack, name: str) -> int:
    return int(stack.paper.fault(name)["fired"])


def test_a_key_that_gains_a_right_stops_new_orders_and_lets_cancels_through(loud: Stack) -> None:
    for role in ("web", "executor", "worker", "watchdog"):
        if role not in loud.processes:
            loud.start(role)
    wait_for("the API to answer", lambda: loud.api.get("/"), 90)
    key = secret_of("widened")
    row = {"api_key": key[0], "secret": key[1], "balances": {"USDT": "100000"}, "whitelist": ["127.0.0.1"]}
    world = loud.paper.create_world("binance", "widened", accounts=[row])
    account = opened_at(loud, "widened", world, key)
    order = loud.place(account, "widened-1")
    loud.wait_status(order["id"], "open")
    named = {"exchange": "binance", "world": "widened", "account": key[0]}
    loud.paper.control("PATCH", "keys", {**named, "permissions": {"withdraw": True}})
    halted = wait_for("the account to stop", lambda: stopped(loud, account), 40)
    assert "may withdraw" in halted["status_reason"]
    late = loud.place(account, "widened-2")
    loud.api.post(f"/orders/{order['id']}/cancellation/")
    loud.wait_status(order["id"], "cancelled")
    loud.wait_status(late["id"], "denied", seconds=50)
    loud.paper.control("PATCH", "keys", {**named, "permissions": {"withdraw": False}, "whitelist": []})
    loud.api.post(f"/accounts/{account.code}/activation/")
    wait_for("the lost address list to be noticed", lambda: "no longer" in str(stopped(loud, account)), 40)
    loud.paper.control("PATCH", "keys", {**named, "whitelist": ["127.0.0.1"]})
    loud.api.post(f"/accounts/{account.code}/activation/")
    loud.wait_ready(account)


def stopped(stack: Stack, account: AccountAtVenue) -> Any:
    shown = stack.api.get(f"/accounts/{account.code}/")
    return shown if shown["status"] == "halted" else None


def trade_under_faults(stack: Stack, account: AccountAtVenue) -> None:
    """Place and cancel plainly, then under every fault, and wait until each order is settled or in doubt."""
    order = stack.place(account, f"{account.code}-plain")
    stack.wait_status(order["id"], "open")
    stack.api.post(f"/orders/{order['id']}/cancellation/")
    stack.wait_status(order["id"], "cancelled")
    for number, (fault, operation, extra) in enumerate(FAULTS):
        name = stack.paper.add_fault(account.world, fault, operation, count=1, **extra)
        made = stack.place(account, f"{account.code}-{number}")
        stack.wait_status(made["id"], "open", "rejected", "unknown", "denied", seconds=40)
        if operation == "cancel_order":
            stack.api.post(f"/orders/{made['id']}/cancellation/")
        wait_for(f"{fault} to fire", partial(fired, stack, name), 30)
    stack.paper.remove_faults()


def rotate(stack: Stack, account: AccountAtVenue, keys: list[tuple[str, str]]) -> None:
    """Enter a key that is proved, then one that may withdraw: that one is refused, and trading goes on."""
    # both are other accounts of the world with the same balances once nothing is held
    for row in stack.api.all("/orders/", account=account.code):
        if row["status"] in ("open", "unknown", "partially_filled"):
            stack.api.post(f"/orders/{row['id']}/cancellation/")
    enter(stack, account.code, keys[1])
    wait_for("the new key to be proved", lambda: state_of(stack, account.code, 2) == "active", 40)
    assert state_of(stack, account.code, 1) == "retired"
    stack.wait_ready(account)
    enter(stack, account.code, keys[2])
    wait_for("the key that may withdraw to be refused", lambda: state_of(stack, account.code, 3) == "refused", 40)
    assert state_of(stack, account.code, 2) == "active"
    order = stack.place(account, f"{account.code}-after")
    stack.wait_status(order["id"], "open")


def api_and_pages(stack: Stack, secrets: list[str]) -> list[str]:
    """Read every list of the API and every page that links lead to, as the first admin."""
    found = []
    index = stack.api.get("/")
    lists = {value for value in json.dumps(index).split('"') if "/api/v1/" in value}
    paths = [urllib.parse.urlsplit(value).path for value in lists] + ["/api/v1/schema/"]
    for code in ("canary-binance", "canary-kraken"):
        paths += [f"/api/v1/accounts/{code}/keys/", f"/api/v1/venues/{code}/", f"/api/v1/accounts/{code}/"]
    for path in sorted(set(paths)):
        if "{" not in path and "<" not in path:
            found += canary.hits(secrets, path, json.dumps(stack.api.call("GET", path)).encode())
    browser = signed_in(stack)
    pages = 0
    for path, content in canary.crawl(browser, ["/"]):
        pages += 1
        found += canary.hits(secrets, path, content)
    assert pages > 40 and len(paths) > 15
    return found


def signed_in(stack: Stack) -> Any:
    """Return a function that fetches a page as a person who is signed in."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    done = stack.manage("shell", "-c", SESSION)
    opener.addheaders = [("Cookie", f"sessionid={done.stdout.strip().splitlines()[-1]}")]

    def fetch(path: str) -> bytes:
        try:
            with opener.open(f"http://127.0.0.1:{stack.port}{path}", timeout=20) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as refused:
            return refused.read()

    return fetch


SESSION = (
    "from django.contrib.auth.models import User; from django.contrib.sessions.backends.db import SessionStore;"
    "u=User.objects.order_by('id').first(); s=SessionStore(); s['_auth_user_id']=str(u.pk);"
    "s['_auth_user_backend']='django.contrib.auth.backends.ModelBackend'; s['_auth_user_hash']=u.get_session_auth_hash();"
    "s.create(); print(s.session_key)"
)
