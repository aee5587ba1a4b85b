"""The demo's faults: a seeded timetable of what now and then goes wrong."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from venues.paper.world import World

FIRST_AFTER_SECONDS = 30.0
JITTER = 0.25
SPENT_KEPT = 100
BLACKOUT_SECONDS = 150
LOOKUPS = ("fetch_order", "open_orders", "closed_orders", "my_trades")


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of trouble: how often, on which exchanges, and the faults it consists of."""

    every_seconds: float
    exchanges: tuple[str, ...]
    faults: tuple[dict[str, Any], ...] = field(default_factory=tuple)


BOTH = ("binance", "kraken")
TIMETABLE = (
    Entry(45, BOTH, ({"fault": "drop_after", "match": {"operation": "create_order"}, "count": 1},)),
    Entry(60, BOTH, ({"fault": "drop_before", "match": {"operation": "create_order"}, "count": 1},)),
    Entry(70, BOTH, ({"fault": "duplicate_fill", "seconds": 8, "params": {"times": 2}},)),
    Entry(90, BOTH, ({"fault": "close_stream"},)),
    Entry(120, BOTH, ({"fault": "delayed_fill", "seconds": 120, "count": 1, "params": {"seconds": 10}},)),
    Entry(
        300,
        ("kraken",),
        (
            {"fault": "drop_after", "match": {"operation": "create_order"}, "count": 1, "seconds": 60},
            {
                "fault": "status",
                "match": {"operation": list(LOOKUPS)},
                "seconds": BLACKOUT_SECONDS,
                "params": {"status": 503, "when": "before"},
            },
            {"fault": "drop_stream_frames", "seconds": BLACKOUT_SECONDS},
        ),
    ),
    Entry(240, ("binance",), ({"fault": "silent_debit", "params": {"asset": "USDT", "amount": "1.23"}},)),
)


async def run_demo_schedule(world: World) -> None:
    """Add the timetable's faults to a world for as long as it runs."""
    chance = random.Random(f"schedule:{world.blueprint.seed}:{world.exchange.name}")
    loop = asyncio.get_running_loop()
    entries = [entry for entry in TIMETABLE if world.exchange.name in entry.exchanges]
    started_at = loop.time() + FIRST_AFTER_SECONDS
    due = [(started_at + entry.every_seconds * chance.uniform(0, 0.8), entry) for entry in entries]
    while True:
        due.sort(key=lambda item: item[0])
        at, entry = due.pop(0)
        await asyncio.sleep(max(0.0, at - loop.time()))
        _forget_spent(world)
        for fault in entry.faults:
            world.add_fault(fault)
        due.append((at + entry.every_seconds * chance.uniform(1 - JITTER, 1 + JITTER), entry))


def _forget_spent(world: World) -> None:
    now = world.now()
    spent = [rule_id for rule_id, rule in world.faults.rules.items() if not rule.is_live(now)]
    for rule_id in spent[:-SPENT_KEPT]:
        world.faults.remove(rule_id)
