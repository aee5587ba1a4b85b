"""After the storm: wait until nothing moves, and let a person settle, by the venue's journal, what only a person may."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal

import psycopg

from tests.chaos import collect, verdict
from tests.chaos.cluster import Cluster
from tests.chaos.nemesis import Nemesis
from tests.chaos.venues import Desk
from tests.flows.client import Refused

REASON = "chaos: read in the venue's own journal"
ASK_AGAIN_SECONDS = 8.0


def wait_until_still(cluster: Cluster, nemesis: Nemesis, seconds: float, say: Callable[[str], None]) -> list[str]:
    """Tick until nothing moves for two looks, or the time is over. Returns what still moves."""
    deadline, still, said_at = time.monotonic() + seconds, 0, 0.0
    moving = ["not looked at yet"]
    while time.monotonic() < deadline and still < 2:
        with contextlib.suppress(psycopg.OperationalError):
            moving = collect.unsettled(cluster)
            still = 0 if moving else still + 1
        if time.monotonic() > said_at + 10 and moving:
            said_at = time.monotonic()
            say(f"         waiting for {dict(Counter(moving).most_common(6))}")
        until = time.monotonic() + 1
        while time.monotonic() < until:
            nemesis.tick()
    return moving


def settle_as_person(
    cluster: Cluster, nemesis: Nemesis, desks: list[Desk], attempted: Sequence[verdict.Row], seconds: float
) -> list[str]:
    """Settle the dead letters of venues where proof is impossible, by the journal's truth. Returns what was refused."""
    refused: list[str] = []
    asked_at: dict[str, float] = {}
    wanted = {desk.code: desk for desk in desks if desk.personality.needs_person}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        letters = [row for row in _open_letters(cluster) if row["account"] in wanted]
        if not letters:
            break
        truth = {code: _truth(cluster, desk, attempted) for code, desk in wanted.items()}
        for letter in letters:
            if asked_at.get(letter["id"], 0.0) < time.monotonic() - ASK_AGAIN_SECONDS:
                asked_at[letter["id"]] = time.monotonic()
                refused += _settle(cluster, letter, truth[letter["account"]])
        until = time.monotonic() + 1
        while time.monotonic() < until:
            nemesis.tick()
    return refused[:50]


def _open_letters(cluster: Cluster) -> list[verdict.Row]:
    return [row for row in collect.product(cluster).letters if row["status"] == "open"]


def _truth(cluster: Cluster, desk: Desk, attempted: Sequence[verdict.Row]) -> dict[str, verdict.AtVenue]:
    """Return what the venue has of each intent, by client order id."""
    names = {
        (row["symbol"], Decimal(row["quantity"])): row["client_order_id"]
        for row in attempted
        if row["account"] == desk.code
    }
    accepted = verdict.fold(row for row in collect.journal(cluster, desk) if row.get("account") == desk.world.api_key)
    return {names[key]: at_venue for key, at_venue in accepted if key in names}


def _settle(cluster: Cluster, letter: verdict.Row, truth: dict[str, verdict.AtVenue]) -> list[str]:
    api = cluster.api
    try:
        order = api.get(f"/orders/{letter['order']}/")
        at_venue = truth.get(order["client_order_id"])
        if letter["action"] == "submit" and at_venue is not None:
            body = {"venue_order_id": at_venue.order_id, "reason": REASON}
            api.post(f"/dead-letters/{letter['id']}/binding/", body)
        elif letter["action"] == "submit" or (at_venue is not None and at_venue.status in verdict.RESTING):
            api.post(f"/dead-letters/{letter['id']}/absence/", {"reason": REASON})
        else:
            api.post(f"/dead-letters/{letter['id']}/look/")
    except Refused as refusal:
        return [f"dead letter {letter['id']}: {refusal}"[:300]]
    except OSError:
        pass
    return []
