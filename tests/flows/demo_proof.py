"""Prove a running demo: halt, cancel, settle every doubt as a person of risk would, then compare with the venues' journals.

Usage: python -m tests.flows.demo_proof http://127.0.0.1:8000 TOKEN http://127.0.0.1:8900
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from decimal import Decimal
from pathlib import Path

from project.lib import ids
from tests.chaos import verdict
from tests.flows.client import Api, Refused, wait_for
from tests.venues.paper.process import PaperVenue, WorldHandle
from venues.paper import defaults

ROOT = Path(__file__).resolve().parents[2]
ACCOUNTS = {f"{exchange}-demo": exchange for exchange in defaults.EXCHANGES}
WORKING = "queued,sending,open,partially_filled"


def main(url: str, token: str, paper_url: str) -> int:
    """Run the proof and print it; 0 when everything agrees."""
    api, paper = Api(url, token), PaperVenue(paper_url, Path("/nonexistent"), (), subprocess.Popen(["true"]))
    halt = api.post("/halts/", {"scope": "global", "reason": "proof of the books"})
    try:
        quiet(api)
        differences = 0
        for code, exchange in ACCOUNTS.items():
            world = WorldHandle(exchange, defaults.WORLD, "", "", defaults.KEYS[exchange][0], "")
            settle(api, paper, code, world)
            differences += compare(api, paper, code, world)
        statuses = Counter(row["status"] for code in ACCOUNTS for row in api.all("/orders/", account=code))
        say(f"orders: {dict(statuses)}")
        for command in (("replay", "--check"), ("verify_ledger",), ("verify_audit",)):
            done = subprocess.run(
                [sys.executable, "manage.py", *command],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
                env=os.environ,
            )
            say(f"{' '.join(command)}: exit {done.returncode}: {done.stdout.strip()}")
            differences += done.returncode
    finally:
        api.call("DELETE", f"/api/v1/halts/{halt['id']}/", {"reason": "proof is done"})
    say(f"differences: {differences}")
    return min(differences, 1)


def quiet(api: Api) -> None:
    """Cancel what works and wait until nothing does, and until every unknown order has its dead letter."""
    for code in ACCOUNTS:
        for order in api.all("/orders/", account=code, status=WORKING):
            with contextlib.suppress(Refused):
                api.post(f"/orders/{order['id']}/cancellation/")
    wait_for(
        "nothing works any more",
        lambda: not any(api.all("/orders/", account=c, status=WORKING) for c in ACCOUNTS),
        120,
        1,
    )

    def parked() -> bool:
        unknown = {row["id"] for code in ACCOUNTS for row in api.all("/orders/", account=code, status="unknown")}
        letters = {row["order"] for row in api.all("/dead-letters/") if row["status"] == "open"}
        return unknown <= letters

    began = time.monotonic()
    wait_for("no order is unknown without a dead letter", parked, 200, 1)
    letters = [row for row in api.all("/dead-letters/") if row["status"] == "open"]
    say(
        f"no order is unknown without a dead letter ({time.monotonic() - began:.0f} s); open dead letters: {len(letters)}"
    )


def settle(api: Api, paper: PaperVenue, code: str, world: WorldHandle) -> None:
    """Close dead letters by the venue's journal, then post a counter-entry for each balance break."""
    accepted = {row["client_order_id"]: row["order_id"] for row in paper.journal(world, "accepted")}
    for letter in [row for row in api.all("/dead-letters/", account=code) if row["status"] == "open"]:
        client_id = ids.venue_client_id(uuid.UUID(letter["attempt"]))
        if client_id in accepted:
            api.post(
                f"/dead-letters/{letter['id']}/binding/",
                {"venue_order_id": accepted[client_id], "reason": "in the venue's journal"},
            )
        else:
            api.post(f"/dead-letters/{letter['id']}/absence/", {"reason": "not in the venue's journal"})
    wait_for(
        "dead letters are closed",
        lambda: not [r for r in api.all("/dead-letters/", account=code) if r["status"] == "open"],
        60,
        1,
    )
    for found in [
        row for row in api.all("/breaks/", account=code) if row["kind"] == "balance" and row["status"] == "open"
    ]:
        say(f"{code}: break {found['delta']} adjusted")
        api.post(
            f"/breaks/{found['id']}/resolution/",
            {"action": "adjust", "reason": "debited by the venue outside of trading"},
        )


def compare(api: Api, paper: PaperVenue, code: str, world: WorldHandle) -> int:
    """Compare fills and balances exactly; print the figures and return how many differ."""
    theirs = Counter(
        (
            row["symbol"],
            str(row["trade_id"]),
            row["side"],
            Decimal(row["quantity"]),
            Decimal(row["price"]),
            Decimal(row["fee"]),
        )
        for row in paper.journal(world, "filled")
    )
    ours = Counter(
        (r["symbol"], r["venue_trade_id"], r["side"], Decimal(r["quantity"]), Decimal(r["price"]), Decimal(r["fee"]))
        for r in api.all("/fills/", account=code)
    )
    lost, invented = theirs - ours, ours - theirs
    say(
        f"{code}: journal {theirs.total()} fills, ours {ours.total()}; lost {lost.total()}, invented {invented.total()}"
    )
    wrong = lost.total() + invented.total()
    held, running = paper.balances(world), verdict.running_funding(paper.journal(world))
    for row in api.all("/balances/", account=code):
        venue = Decimal(held[row["asset"]]["total"]) - running[row["asset"]]
        say(f"{code}: {row['asset']} ledger {row['total']} venue {venue} difference {venue - Decimal(row['total'])}")
        wrong += venue != Decimal(row["total"])
    return wrong


def say(line: str) -> None:
    """Print one line of the proof."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
