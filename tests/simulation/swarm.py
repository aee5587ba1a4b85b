"""What one seed is made of: the shape of its world, its fault rates, and a count of every fault that really fired."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

# The most often each fault may happen, per chance; a seed draws its own rates below these, many of them zero.
WIRE = {
    "unreachable": 0.06, "lost_before": 0.10, "lost_after": 0.12, "late": 0.06, "error_before": 0.08, "error_after": 0.08,
    "garbled": 0.05, "rate_limited": 0.05, "hang_before": 0.04, "hang_after": 0.04,
}  # fmt: skip
READS = {"read_failed": 0.15, "read_partial": 0.08, "read_malformed": 0.04, "read_stale": 0.5}
STREAM = {
    "frame_lost": 0.10, "frame_twice": 0.20, "frame_reordered": 0.15, "frame_delayed": 0.10, "frame_poison": 0.05,
    "stream_closed": 0.03, "stream_refused": 0.30,
}  # fmt: skip
VENUE = {
    "fill_delayed": 0.15, "cancel_then_fill": 0.30, "ack_then_deny": 0.10, "slow_to_show": 0.15, "overfill": 0.03,
    "silent_debit": 0.02, "deposit": 0.02, "ack_without_order": 0.3,
}  # fmt: skip
DATABASE = {"commit_refused": 0.02, "commit_unanswered": 0.02, "slow_commit": 0.10, "signal_lost": 0.30,
    "overtaken": 0.50,
}  # fmt: skip
NODES = {"kill": 0.02, "pause": 0.02, "stop": 0.005, "outage": 0.01}
POINTS = {
    "P2": 0.01, "P3": 0.02, "P4": 0.03, "P5": 0.02, "P6": 0.03, "P7": 0.03, "P8": 0.003, "P9": 0.01, "P10": 0.01,
    "P11": 0.04,
}  # fmt: skip
WEB = {"P0": 0.03, "P1": 0.03, "halt": 0.02, "duplicate_post": 0.15}
FAMILIES = (WIRE, READS, STREAM, VENUE, DATABASE, NODES, POINTS, WEB)
PERSONALITIES = ("binance", "binance", "kraken", "no_window", "no_client_id")
CALM_SHARE = 0.08


@dataclass
class Swarm:
    """The configuration of one seed."""

    seed: int
    personality: str = "binance"
    accounts: int = 1
    nodes: int = 1
    orders: int = 20
    safety_seconds: float = 40.0
    poll_seconds: float = 1.0
    dead_letter_seconds: float = 120.0
    has_stream: bool = True
    amends: str = ""
    is_skewed: bool = False
    is_calm: bool = False
    rates: dict[str, float] = field(default_factory=dict)
    fired: Counter[str] = field(default_factory=Counter)
    is_over: bool = False

    def happens(self, fault: str, chance: random.Random) -> bool:
        """Decide whether a fault happens now, and count it."""
        rate = self.rates.get(fault, 0.0)
        if self.is_over or not rate or chance.random() >= rate:
            return False
        self.fired[fault] += 1
        return True

    def fate(self, faults: tuple[str, ...], chance: random.Random) -> str:
        """Draw once which of some faults happens now, if any, and count it."""
        drawn = chance.random()
        if self.is_over:
            return ""
        for fault in faults:
            drawn -= self.rates.get(fault, 0.0)
            if drawn < 0:
                self.fired[fault] += 1
                return fault
        return ""


def draw(seed: int) -> Swarm:
    """Return the configuration of a seed."""
    chance = random.Random(f"{seed}:swarm")
    personality = chance.choice(PERSONALITIES)
    swarm = Swarm(
        seed=seed,
        personality=personality,
        accounts=chance.choice((1, 1, 2, 3)),
        nodes=chance.choice((1, 1, 2, 3)),
        orders=chance.randint(20, 60),
        safety_seconds=chance.uniform(25, 50),
        poll_seconds=chance.choice((0.25, 1.0, 1.0, 2.0)),
        dead_letter_seconds=20.0 if personality == "no_window" else chance.choice((45.0, 120.0)),
        has_stream=chance.random() < 0.85,
        is_skewed=chance.random() < 0.2,
        amends=chance.choice(("", "", "by_venue", "by_us")),
        is_calm=chance.random() < CALM_SHARE,
    )
    for family in FAMILIES:
        busy = chance.random() < 0.75
        for fault, most in family.items():
            share, is_on = chance.random(), chance.random() < 0.6
            swarm.rates[fault] = most * share if busy and is_on and not swarm.is_calm else 0.0
    return swarm
