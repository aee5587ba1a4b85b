"""The whole way as real processes: POST to web, row, wake-up, executor, wire, the venue's journal; and the executor's memory."""

from __future__ import annotations

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.ground import OWN_CORE, RICH, VENUE_CORE, pin
from bench.load import Timed
from tests.flows.stack import AccountAtVenue, Stack, running_stack
from tests.venues.paper.process import WorldHandle, wait_until

ORDERS, IN_FLIGHT = 300, 4
ACCOUNTS, KNOWN = 50, 100_000
_KNOWN = (
    "INSERT INTO orders_order (id, account_id, client_order_id, body_digest, symbol, side, type, quantity, price, "
    "time_in_force, post_only, reduce_only, strategy, source, is_external, group_role, status, mutation, filled_quantity, "
    "filled_value, reason_code, reason_message, reason_venue_code, venue_order_id, submit_tries, trigger_state, version, "
    "created_at, updated_at) SELECT gen_random_uuid(), a.code, 'known-' || n, '', 'BTC/USDT', 'buy', 'limit', 1, 20000, 'gtc', "
    "false, false, '', 'bench', false, '', 'open', 'none', 0, 0, '', '', '', 'known-' || n, 1, '', 2, now(), now() "
    "FROM venues_account a, generate_series(1, %s) AS n RETURNING 1"
)


def api_to_venue(folder: Path) -> Timed:
    """Time orders from the moment a client posts them to the moment the venue has accepted them."""
    with running_stack(folder) as stack:
        account = stack.open_account("binance")
        for role in ("web", "executor"):
            pin(stack.processes[role].pid, OWN_CORE)
        pin(stack.paper.process.pid, VENUE_CORE)
        posted_at: dict[str, float] = {}

        def post(number: int) -> None:
            name = f"api-{number}"
            posted_at[name] = time.time()
            stack.place(account, name, quantity="0.001")

        began = time.perf_counter()
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            list(pool.map(post, range(ORDERS)))
        wait_until(lambda: len(stack.paper.journal(account.world, "accepted")) >= ORDERS, 60)
        seconds = time.perf_counter() - began
        accepted = {row["client_order_id"]: row["at"] / 1e6 for row in stack.paper.journal(account.world, "accepted")}
        sent = stack.sql(
            "SELECT o.client_order_id, a.venue_client_id FROM orders_attempt a JOIN orders_order o ON o.id = a.order_id"
        )
        latencies = [(accepted[client_id] - posted_at[name]) * 1e6 for name, client_id in sent]
        return Timed("POST /api/v1/orders/ to the venue's acceptance", IN_FLIGHT, latencies, seconds, 0.0)


def executor_memory_mib(folder: Path) -> tuple[float, float]:
    """Return the executor's RSS with 50 accounts ready, before and after it knows 100,000 open orders."""
    with running_stack(folder) as stack:
        accounts = _open_accounts(stack)
        executor = stack.processes["executor"].pid
        before = _rss_mib(executor)
        stack.sql(_KNOWN, KNOWN // ACCOUNTS)
        sweeps = (
            "SELECT count(*) FROM venues_snapshot WHERE surface = 'open_orders' AND taken_at > now() - interval '15 s'"
        )
        wait_until(
            lambda: stack.sql(sweeps)[0][0] >= len(accounts), 60
        )  # every account has gone through its open orders
        return before, _rss_mib(executor)


def _open_accounts(stack: Stack) -> list[AccountAtVenue]:
    rows = [
        {
            "api_key": f"many-{number}", "secret": base64.b64encode(f"many-{number}".encode()).decode(), "balances": RICH,
            "permissions": {"read": True, "trade": True, "withdraw": False},
        }
        for number in range(ACCOUNTS)
    ]  # fmt: skip
    made = stack.paper.create_world("binance", "many", flow_steps_per_second=0, accounts=rows)
    api: Any = stack.api
    api.post("/venues/", {"code": "many", "exchange": "binance", "rest_url": made.rest_url, "ws_url": made.ws_url})
    opened = []
    for row in rows:
        code = str(row["api_key"])
        api.post("/accounts/", {"code": code, "venue": "many", "label": code})
        api.post(f"/accounts/{code}/keys/", {"api_key": code, "secret": row["secret"]})
        api.post(f"/accounts/{code}/activation/")
        handle = WorldHandle("binance", "many", made.rest_url, made.ws_url, code, str(row["secret"]))
        opened.append(AccountAtVenue(code, "many", handle))
    for account in opened:
        stack.wait_ready(account, 120)
    return opened


def _rss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no such process")
