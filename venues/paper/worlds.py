"""All worlds of one venue process: created, found, moved and ended."""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from venues.paper import defaults
from venues.paper.blueprint import Blueprint
from venues.paper.dialects import binance, bybit, coinbase, deribit, kraken, okx
from venues.paper.journal import FileJournal
from venues.paper.markets import EXCHANGES, markets_of
from venues.paper.personality import Limits, Personality
from venues.paper.world import World

DIALECTS: dict[str, Any] = {
    "binance": binance,
    "bybit": bybit,
    "coinbase": coinbase,
    "deribit": deribit,
    "kraken": kraken,
    "okx": okx,
}
PUBLIC_INTERVAL_SECONDS = 0.1
TICKS_PER_HEARTBEAT = 10
SAVE_INTERVAL_SECONDS = 5.0
MICROSECONDS = 1_000_000
NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


class Waker:
    """Runs a world's timers when they are due, by the event loop's clock."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop) -> None:
        self.world = world
        self.loop = loop
        self._handle: asyncio.TimerHandle | None = None
        world.timers.on_sooner = self._wake_at
        due = world.next_due()
        if due is not None:
            self._wake_at(due)

    def stop(self) -> None:
        """Run no more timers."""
        self.world.timers.on_sooner = lambda at: None
        if self._handle is not None:
            self._handle.cancel()

    def _wake_at(self, at: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        seconds = max((at - self.world.now()) / MICROSECONDS, 0.0)
        self._handle = self.loop.call_later(seconds, self._run)

    def _run(self) -> None:
        self._handle = None
        self.world.advance()
        due = self.world.next_due()
        if due is not None and self._handle is None:
            self._wake_at(due)


class Worlds:
    """The venue's worlds by (exchange, name), each moved by its own tasks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.by_name: dict[tuple[str, str], World] = {}
        self._tasks: dict[tuple[str, str], list[asyncio.Task[None]]] = {}
        self._wakers: dict[tuple[str, str], Waker] = {}

    def create(self, blueprint: Blueprint) -> World:
        """Create a world, or rebuild it from the journal it left. Raises ValueError for a bad blueprint."""
        _check(blueprint)
        name = (blueprint.exchange, blueprint.world)
        if name in self.by_name:
            raise ValueError(f"world {blueprint.world} of {blueprint.exchange} exists already")
        folder = self.folder / blueprint.exchange / blueprint.world
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / "world.json"
        if kept.exists():
            blueprint = Blueprint(**json.loads(kept.read_text()))
        else:
            _write_privately(kept, json.dumps(asdict(blueprint)))
        loop = asyncio.get_running_loop()
        journal = FileJournal(folder / "journal.jsonl")
        dialect = DIALECTS[blueprint.exchange]
        world = self.by_name[name] = World(blueprint, journal, dialect, wall_clock, folder / "flow.json")
        self._wakers[name] = Waker(world, loop)
        self._tasks[name] = [loop.create_task(_move(world)), loop.create_task(_tell_public(world))]
        return world

    def reopen_all(self) -> None:
        """Rebuild every world an earlier run left in the data folder."""
        for kept in sorted(self.folder.glob("*/*/world.json")):
            blueprint = Blueprint(**json.loads(kept.read_text()))
            if (blueprint.exchange, blueprint.world) not in self.by_name:
                self.create(blueprint)

    def find(self, exchange: str, name: str) -> World:
        """Return a world. Raises KeyError when there is none."""
        return self.by_name[(exchange, name)]

    async def remove(self, exchange: str, name: str) -> None:
        """End a world and delete its data. Raises KeyError when there is none."""
        world = self.by_name.pop((exchange, name))
        await self._stop((exchange, name), world)
        shutil.rmtree(self.folder / exchange / name)

    async def close(self) -> None:
        """End all worlds and keep their data."""
        for name, world in list(self.by_name.items()):
            await self._stop(name, world)
        self.by_name.clear()

    async def _stop(self, name: tuple[str, str], world: World) -> None:
        for task in self._tasks.pop(name):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._wakers.pop(name).stop()
        for connection in list(world.hub.connections):
            connection.cut()
        world.flow.save()
        await world.journal.close()


def demo_blueprint(exchange: str, name: str, seed: int, flow_steps_per_second: float) -> Blueprint:
    """Return the blueprint of a world with the demo account."""
    api_key, secret = defaults.KEYS[exchange]
    account = {
        "api_key": api_key,
        "secret": secret,
        "passphrase": defaults.PASSPHRASES.get(exchange, ""),
        "balances": {**defaults.BALANCES, **defaults.MORE_BALANCES.get(exchange, {})},
        "permissions": defaults.PERMISSIONS,
    }
    return Blueprint(
        exchange=exchange,
        world=name,
        seed=seed,
        flow_steps_per_second=flow_steps_per_second,
        markets=None,
        accounts=[account],
    )


def _check(blueprint: Blueprint) -> None:
    if blueprint.exchange not in EXCHANGES:
        raise ValueError(f"exchange must be one of {', '.join(EXCHANGES)}")
    if not blueprint.world or not set(blueprint.world) <= NAME_CHARACTERS:
        raise ValueError("world must be a name of letters, digits, dashes and underscores")
    try:
        markets_of(EXCHANGES[blueprint.exchange], blueprint.markets)
    except KeyError as unknown:
        raise ValueError(f"unknown market {unknown}") from None
    Personality.read(blueprint.personality)
    if blueprint.limits:
        Limits(blueprint.limits)


def _write_privately(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as content:
        content.write(text)


def wall_clock() -> int:
    """Return the time in microseconds since the epoch."""
    return time.time_ns() // 1000


async def _move(world: World) -> None:
    rate = world.blueprint.flow_steps_per_second
    if rate <= 0:
        return
    loop = asyncio.get_running_loop()
    saved_at = loop.time()
    while True:
        await asyncio.sleep(1 / rate)
        world.step()
        if loop.time() - saved_at > SAVE_INTERVAL_SECONDS:
            saved_at = loop.time()
            world.flow.save()


async def _tell_public(world: World) -> None:
    dialect = DIALECTS[world.exchange.name]
    for number in itertools.count(1):
        await asyncio.sleep(PUBLIC_INTERVAL_SECONDS)
        if number % TICKS_PER_HEARTBEAT == 0:
            dialect.heartbeat(world)
        if world.hub.has_public:
            world.tell_public()
        else:
            world.forget_public()
