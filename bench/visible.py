"""`python -m bench.visible`: how long from the venue telling of money we do not have until a break is suspected, pushed and shown.

Real processes with their own intervals: nothing is due on a schedule that would find it in time, so what is measured is the
way of the signal: stream, owner, its read, the worker's comparison, the page's socket, the page.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import aiohttp

from project import embedded
from tests.flows.client import wait_for
from tests.flows.stack import AccountAtVenue, Stack, running_stack

SPACING_SECONDS = 6.0  # an owner confirms a difference with a second read before it follows the next
PATIENCE_SECONDS = 20.0
SLOWEST_TOLD = 5
SIGN_IN = (
    "from django.test import Client; from django.contrib.auth.models import User; c = Client(); "
    "c.force_login(User.objects.get(is_superuser=True)); print('session', c.cookies['sessionid'].value)"
)


class Watcher:
    """A signed-in page: its socket, and when each frame about breaks came."""

    def __init__(self, stack: Stack) -> None:
        self.url = f"http://127.0.0.1:{stack.port}"
        said = stack.manage("shell", "-c", SIGN_IN).stdout
        self.cookie = f"sessionid={said.rpartition('session ')[2].strip()}"
        self.frames: list[float] = []
        threading.Thread(target=lambda: asyncio.run(self._listen()), daemon=True).start()

    def page(self) -> str:
        """Return the table of breaks as the page fetches it after a frame."""
        request = urllib.request.Request(f"{self.url}/breaks/?tab=all&fragment=breaks", headers={"Cookie": self.cookie})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.read().decode())

    def frame_since(self, at: float) -> float | None:
        """Return when the first frame about breaks came after a moment."""
        return next((seen for seen in self.frames if seen >= at), None)

    async def _listen(self) -> None:
        headers = {"Cookie": self.cookie, "Origin": self.url}
        address = f"{self.url.replace('http', 'ws')}/ws/console/?since=0"
        async with aiohttp.ClientSession() as session, session.ws_connect(address, headers=headers) as socket:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT and "breaks" in json.loads(message.data)["topics"]:
                    self.frames.append(time.time())


def measured(stack: Stack, watcher: Watcher, account: AccountAtVenue, asset: str) -> tuple[float, float, float]:
    """Let the venue tell of money; return the seconds until a break is suspected, a frame came, and the page showed it."""
    world = account.world
    stack.paper.add_fault(world, "deposit", params={"asset": asset, "amount": "1", "unlisted": True})
    told = next(row for row in reversed(stack.paper.journal(world, "deposited")) if row["asset"] == asset)
    shown_at = told["at"] / 1_000_000

    def suspected() -> float | None:
        rows = stack.sql(
            "SELECT extract(epoch FROM min(e.at)) FROM reconciliation_breakevent e JOIN reconciliation_break b "
            "ON b.id = e.discrepancy_id WHERE b.subject LIKE %s AND b.account_id = %s",
            f"{asset}%", account.code,
        )  # fmt: skip
        return float(rows[0][0]) if rows[0][0] is not None else None

    suspected_at = wait_for(f"{asset} suspected", suspected, PATIENCE_SECONDS, every=0.01)
    frame_at = wait_for(
        f"a frame about {asset}", lambda: watcher.frame_since(suspected_at), PATIENCE_SECONDS, every=0.002
    )
    wait_for(f"{asset} on the page", lambda: asset in watcher.page(), PATIENCE_SECONDS, every=0.002)
    return suspected_at - shown_at, frame_at - shown_at, time.time() - shown_at


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--accounts", type=int, default=5)
    parser.add_argument("--exchange", default="binance")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gapless-visible-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        database = embedded.start(folder)
        os.environ["DATABASE_URL"] = database.url
        try:
            with running_stack(folder / "home") as stack:
                accounts = [stack.open_account(options.exchange) for _ in range(options.accounts)]
                watcher = Watcher(stack)
                time.sleep(2 * SPACING_SECONDS)
                results = []
                for number in range(options.times):
                    began = time.monotonic()
                    results.append(measured(stack, watcher, accounts[number % len(accounts)], f"T{number:03d}"))
                    time.sleep(max(SPACING_SECONDS / len(accounts) - (time.monotonic() - began), 0.0))
        finally:
            database.stop()
    for what, column in zip(
        ("suspected", "frame at the page", "shown on the page"), zip(*results, strict=True), strict=True
    ):
        ranked = sorted(column)
        p99 = ranked[math.ceil(len(ranked) * 0.99) - 1]
        sys.stdout.write(
            f"{what}: p50 {statistics.median(ranked):.3f} s, p99 {p99:.3f} s, most {ranked[-1]:.3f} s of {len(ranked)}\n"
        )
    slowest = sorted(range(len(results)), key=lambda number: -results[number][-1])[:SLOWEST_TOLD]
    for number in slowest:
        told = ", ".join(f"{seconds:.3f}" for seconds in results[number])
        sys.stdout.write(f"slowest: number {number} at account {number % options.accounts}: {told} s\n")


if __name__ == "__main__":
    main()
