"""Four venue personalities, each with a world, a venue and a ready account."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import Any

from tests.chaos.cluster import Cluster
from tests.flows.client import wait_for
from tests.venues.paper.process import WorldHandle

BALANCES = {"USDT": "1000000000", "BTC": "10000", "ETH": "200000", "SOL": "4000000"}
FLOW_STEPS_PER_SECOND = 2.0


@dataclass(frozen=True)
class Personality:
    """How a venue behaves: the exchange whose protocol it speaks, and what it lacks or does of its own."""

    name: str
    exchange: str
    blueprint: dict[str, Any]
    quirks: tuple[str, ...] = ()
    has_window: bool = True
    has_client_ids: bool = True

    @property
    def needs_person(self) -> bool:
        """Whether some doubts can be settled by a person alone: absence or identity is not provable there."""
        return not (self.has_window and self.has_client_ids)


@dataclass(frozen=True)
class Desk:
    """An account of the product, the venue behind it and the world that is that venue."""

    code: str
    personality: Personality
    world: WorldHandle
    secret: str


def personalities(read_lag_seconds: float) -> list[Personality]:
    """Return the four venues of a run; the lag is that of the Kraken dialect's reads."""
    lagging = {"read_lag_seconds": read_lag_seconds, "read_lag_random": True, "strict_nonce": True}
    return [
        Personality("binance", "binance", {}),
        Personality("kraken-lag", "kraken", lagging),
        Personality("no-window", "binance", {"validity_window": False}, ("no_validity_window",), has_window=False),
        Personality("no-client-id", "binance", {"client_ids": False}, ("no_client_id",), has_client_ids=False),
    ]


def open_desks(cluster: Cluster, seed: int, wanted: list[Personality]) -> list[Desk]:
    """Make every world, venue and account, and wait until all accounts are ready.

    Reads that lag must have caught up with the worlds' first balances before an account opens on them.
    """
    desks = [_create(cluster, seed, personality) for personality in wanted]
    created_at = time.monotonic()
    for desk in desks:
        lag_seconds = float(desk.personality.blueprint.get("read_lag_seconds", 0))
        time.sleep(max(0.0, created_at + lag_seconds + 1 - time.monotonic()) if lag_seconds else 0)
        _activate(cluster, desk)
    for desk in desks:
        wait_for(f"{desk.code} ready", lambda code=desk.code: is_ready(cluster, code), 60)  # type: ignore[misc]
    return desks


def unlike(cluster: Cluster, desks: list[Desk]) -> list[str]:
    """Name the worlds that did not take the personality they were asked for: a run on others proves less than it says."""
    made = {row["world"]: row.get("personality") or {} for row in cluster.paper.control("GET", "worlds")["results"]}
    return [
        f"{desk.code}: asked for {desk.personality.blueprint}, the paper venue made {made[desk.world.world]}"
        for desk in desks
        if not desk.personality.blueprint.items() <= made[desk.world.world].items()
    ]


def is_ready(cluster: Cluster, code: str) -> bool:
    """Say whether an account trades."""
    return bool(cluster.api.get(f"/accounts/{code}/")["status"] == "ready")


def _create(cluster: Cluster, seed: int, personality: Personality) -> Desk:
    code = personality.name
    key, secret = f"key-{code}", base64.b64encode(f"secret-of-{code}".encode()).decode()
    account = {
        "api_key": key, "secret": secret, "balances": BALANCES,
        "permissions": {"read": True, "trade": True, "withdraw": False},
    }  # fmt: skip
    world = cluster.paper.create_world(
        personality.exchange, f"chaos-{code}", seed=seed, accounts=[account],
        flow_steps_per_second=FLOW_STEPS_PER_SECOND, personality=personality.blueprint,
    )  # fmt: skip
    return Desk(code, personality, world, secret)


def _activate(cluster: Cluster, desk: Desk) -> None:
    api, code, world = cluster.api, desk.code, desk.world
    venue: dict[str, object] = {
        "code": code, "exchange": world.exchange, "rest_url": world.rest_url, "ws_url": world.ws_url,
    }  # fmt: skip
    if desk.personality.quirks:
        venue["quirks"] = list(desk.personality.quirks)
    api.post("/venues/", venue)
    api.post("/accounts/", {"code": code, "venue": code, "label": f"chaos {code}"})
    api.post(f"/accounts/{code}/keys/", {"api_key": world.api_key, "secret": desk.secret})
    api.post(f"/accounts/{code}/activation/")
