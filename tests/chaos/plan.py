"""What goes wrong when: one seed, one plan. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

# which role passes a point, and how likely it dies there at each passing while the point is armed
FAILPOINTS: dict[str, tuple[str, float]] = {
    "P0": ("web", 0.3), "P1": ("web", 0.3), "P2": ("executor", 0.3), "P3": ("executor", 0.3), "P4": ("executor", 0.3),
    "P5": ("executor", 0.3), "P6": ("executor", 0.3), "P7": ("executor", 0.3), "P8": ("executor", 0.3),
    "P9": ("executor", 0.3), "P10": ("executor", 0.3), "P11": ("executor", 0.5), "P12": ("worker", 0.3),
    "P13": ("web", 1.0), "P14": ("web", 1.0),
}  # fmt: skip
ROLES = (("executor", 60), ("web", 20), ("worker", 12), ("watchdog", 8))
ORDER_FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "drop_before", "probability": 0.4},
    {"fault": "drop_after", "probability": 0.4},
    {"fault": "hang", "probability": 0.3, "params": {"seconds": 8, "when": "before"}},
    {"fault": "hang", "probability": 0.3, "params": {"seconds": 8, "when": "after"}},
    {"fault": "status", "probability": 0.4, "params": {"status": 503, "when": "before"}},
    {"fault": "status", "probability": 0.4, "params": {"status": 503, "when": "after"}},
    {"fault": "status", "probability": 0.4, "params": {"status": 502, "when": "after", "body": "json"}},
    {"fault": "empty", "probability": 0.4},
    {"fault": "json_empty", "probability": 0.4},
    {"fault": "html", "probability": 0.4},
    {"fault": "truncate", "probability": 0.4},
    {"fault": "rate_limited", "probability": 0.3, "params": {"seconds": 1}},
)
READ_FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "read_lag", "probability": 0.8, "params": {"seconds": 3}},
    {"fault": "drop_before", "probability": 0.3},
    {"fault": "hang", "probability": 0.2, "params": {"seconds": 5, "when": "after"}},
    {"fault": "status", "probability": 0.3, "params": {"status": 503, "when": "before"}},
    {"fault": "empty", "probability": 0.3},
    {"fault": "truncate", "probability": 0.3},
    {"fault": "rate_limited", "probability": 0.3, "params": {"seconds": 1}},
)
STREAM_FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "duplicate_fill", "probability": 0.8, "params": {"times": 3}},
    {"fault": "drop_stream_frames", "probability": 0.6},
    {"fault": "close_stream", "params": {"seconds": 2}},
    {"fault": "poison_frame"},
)
READS = ("fetch_order", "open_orders", "closed_orders", "my_trades", "balance")


@dataclass(frozen=True, order=True)
class Step:
    """One thing to do, at so many seconds after the start of the load."""

    at_seconds: float
    kind: str
    target: str = field(compare=False)
    arguments: dict[str, Any] = field(compare=False, default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much goes wrong in a run."""

    kills: int
    pauses: int
    postgres_kills: int
    load_seconds: float
    executors: int
    pause_seconds: tuple[float, float]
    fault_every_seconds: float = 1.0


def make(seed: int, size: Size, desks: list[str]) -> list[Step]:
    """Return the steps of a run, in order of time."""
    chance = random.Random(f"{seed}:plan")
    steps = [
        *_kills(chance, size),
        *_pauses(chance, size),
        *_faults(chance, size, desks),
        *_operator(chance, size, desks),
    ]
    for number in range(size.postgres_kills):
        at = size.load_seconds * (number + chance.uniform(0.3, 0.8)) / size.postgres_kills
        steps.append(Step(at, "postgres", "", {"down_seconds": round(chance.uniform(0.3, 3), 2)}))
    return sorted(steps)


def _kills(chance: random.Random, size: Size) -> list[Step]:
    """Three of four kills strike at a failpoint, each point in turn; the others at any moment."""
    points = list(FAILPOINTS)
    chance.shuffle(points)
    steps = []
    for number in range(size.kills):
        at = size.load_seconds * (number + chance.uniform(0.1, 0.9)) / size.kills
        down = {"down_seconds": round(chance.choice((0.1, 0.5, chance.uniform(0.5, 6))), 2)}
        if number % 4:
            point = points[(number - number // 4 - 1) % len(points)]
            steps.append(Step(at, "failpoint", FAILPOINTS[point][0], {"point": point, **down}))
        else:
            role = chance.choices([name for name, _ in ROLES], [weight for _, weight in ROLES])[0]
            steps.append(Step(at, "kill", role, {"which": chance.randrange(size.executors), **down}))
    return steps


def _pauses(chance: random.Random, size: Size) -> list[Step]:
    """Executors are stopped alone or several at once; each stopped process counts."""
    steps: list[Step] = []
    counts: list[int] = []
    left = size.pauses
    while left:
        counts.append(min(left, chance.randint(1, size.executors)))
        left -= counts[-1]
    for number, count in enumerate(counts):
        at = size.load_seconds * (number + chance.uniform(0.1, 0.7)) / len(counts)
        first = chance.randrange(size.executors)
        which = [(first + offset) % size.executors for offset in range(count)]
        seconds = round(chance.uniform(*size.pause_seconds), 2)
        steps.append(Step(at, "pause", "executor", {"which": which, "seconds": seconds}))
    return steps


def _faults(chance: random.Random, size: Size, desks: list[str]) -> list[Step]:
    steps = []
    at = 1.0
    while at < size.load_seconds:
        area = chance.choices(("order", "cancel", "read", "stream"), (45, 15, 20, 20))[0]
        kinds = {"order": ORDER_FAULTS, "cancel": ORDER_FAULTS, "read": READ_FAULTS, "stream": STREAM_FAULTS}[area]
        fault = dict(chance.choice(kinds))
        operation = {"order": "create_order", "cancel": "cancel_order", "stream": "stream"}.get(area) or chance.choice(
            READS
        )
        if fault["fault"] not in ("close_stream", "poison_frame"):
            fault["seconds"] = round(chance.uniform(1, 5), 1)
        steps.append(Step(at, "fault", chance.choice(desks), {"operation": operation, **fault}))
        at += chance.uniform(0.5, 1.5) * size.fault_every_seconds
    return steps


def _operator(chance: random.Random, size: Size, desks: list[str]) -> list[Step]:
    """People at work: a key is rotated, a difference noted, a reconciliation asked for, an account halted for a moment."""
    steps = []
    at = 8.0
    while at < size.load_seconds:
        what = chance.choice(("rotate_key", "note_break", "reconcile", "halt"))
        steps.append(Step(at, "operator", chance.choice(desks), {"what": what}))
        at += chance.uniform(8, 16)
    return steps
