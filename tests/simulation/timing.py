"""The intervals of a run: the product's own, but for what a seed changes."""

from __future__ import annotations

from orders.service import Timing
from tests.simulation.swarm import Swarm


def timing(swarm: Swarm) -> Timing:
    """Return the product's own intervals; only the polling and the dead letter bound differ by seed."""
    return Timing(
        lease_seconds=10, lease_renew_seconds=2, poll_seconds=swarm.poll_seconds, request_timeout_seconds=10,
        lookup_interval_seconds=5, dead_letter_seconds=swarm.dead_letter_seconds, not_ready_seconds=30,
        open_orders_seconds=10, fills_seconds=30, fills_overlap_seconds=300, balances_seconds=60, probe_seconds=21_600,
        markets_seconds=3600,
    )  # fmt: skip
