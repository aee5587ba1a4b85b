"""Fifty venues: every exchange whose protocol the paper venue speaks, and its siblings, in turn; a world and an account each."""

from __future__ import annotations

import itertools
from typing import Any

from tests.chaos.cluster import Cluster
from tests.chaos.load import Trader
from tests.chaos.venues import Desk, Personality, is_ready
from tests.flows.client import wait_for
from venues.facts.families import SIBLINGS
from venues.paper import defaults
from venues.paper.worlds import DIALECTS

# The venue's own count of requests, for each remote address: more than this is refused, and who goes on is banned.
LIMITS = {"per_second": 60, "burst": 120, "ban_seconds": 120}
FLOW_STEPS_PER_SECOND = 0.5
BALANCES = {
    "USDT": "1000000000",
    "USD": "1000000000",
    "USDC": "1000000000",
    "BTC": "10000",
    "ETH": "200000",
    "SOL": "4000000",
}
# symbol, quantity step, first quantity in steps; of an inverse contract the quantity is in quote asset
CONTRACTS = {"deribit": (("BTC/USD:BTC", "10", 1),)}
Row = dict[str, Any]


def classes() -> list[tuple[str, str]]:
    """Return every exchange the dialects serve, with the dialect that serves it."""
    own = [(dialect, dialect) for dialect in sorted(DIALECTS)]
    return own + [(sibling, family) for sibling, family in sorted(SIBLINGS.items()) if family in DIALECTS]


class FleetTrader(Trader):
    """A trader for venues that trade contracts as well."""

    def symbols(self) -> tuple[tuple[str, str, int], ...]:
        """Return what is traded here."""
        return CONTRACTS.get(self.desk.world.exchange, super().symbols())


def open_fleet(cluster: Cluster, count: int) -> list[Desk]:
    """Make worlds, venues and accounts, and ask for their activation; nobody serves them yet."""
    desks = []
    for number, (exchange, dialect) in zip(range(count), itertools.cycle(classes()), strict=False):
        desks.append(_open(cluster, f"{exchange}-{number + 1:02}", exchange, dialect))
    return desks


def wait_until_ready(cluster: Cluster, desks: list[Desk], seconds: float) -> None:
    """Wait until every account trades. Raises AssertionError when one does not in time."""
    waiting = {desk.code for desk in desks}

    def ready() -> bool:
        rows = cluster.sql("SELECT code FROM venues_account WHERE status = 'ready'")
        waiting.difference_update(code for (code,) in rows)
        return not waiting

    wait_for(f"{len(desks)} accounts to be ready", ready, seconds, every=0.05)
    assert is_ready(cluster, desks[0].code)


def _open(cluster: Cluster, code: str, exchange: str, dialect: str) -> Desk:
    api_key, secret = defaults.KEYS[dialect]
    passphrase = defaults.PASSPHRASES.get(dialect, "")
    account = {
        "api_key": api_key, "secret": secret, "passphrase": passphrase, "balances": BALANCES,
        "permissions": defaults.PERMISSIONS,
    }  # fmt: skip
    world = cluster.paper.create_world(
        dialect, f"stress-{code}", accounts=[account], limits=LIMITS, flow_steps_per_second=FLOW_STEPS_PER_SECOND
    )
    api = cluster.api
    api.post("/venues/", {"code": code, "exchange": exchange, "rest_url": world.rest_url, "ws_url": world.ws_url})
    api.post("/accounts/", {"code": code, "venue": code, "label": code})
    keys = {"api_key": api_key, "secret": secret, **({"passphrase": passphrase} if passphrase else {})}
    api.post(f"/accounts/{code}/keys/", keys)
    api.post(f"/accounts/{code}/activation/")
    return Desk(code, Personality(code, dialect, {}), world, secret)
