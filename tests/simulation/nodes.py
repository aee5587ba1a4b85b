"""A node: the real executor with a writer, leases and gateways of its own; it may die, stop, and be started again."""

from __future__ import annotations

import asyncio
import contextvars
import random
from typing import TYPE_CHECKING, Any

from orders.executor import Executor
from tests.simulation.gateway import SimGateway
from tests.simulation.loop import Scope
from tests.simulation.memory import MemoryLeases
from tests.simulation.swarm import Swarm
from tests.simulation.timing import timing
from tests.simulation.writing import InlineWriter

if TYPE_CHECKING:
    from tests.simulation.world import World

RESTART_SECONDS = (0.5, 12.0)
SKEW_SECONDS = 0.3


class Node:
    """One executor process after another on the same machine."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number, self.incarnation = world, number, 0
        self.outside = contextvars.copy_context()
        self.scope = Scope("none")
        self.scope.is_alive = False
        self.executor: Any = None
        self.writer: Any = None
        self._restarts_at = 0.0
        self._chance = random.Random(f"{world.swarm.seed}:node:{number}")

    def start(self) -> None:
        """Start a fresh process."""
        world = self.world
        self.incarnation += 1
        name = f"n{self.number}.{self.incarnation}"
        self.scope = Scope(name)
        self.scope.skew_seconds = self._chance.uniform(-SKEW_SECONDS, SKEW_SECONDS) if world.swarm.is_skewed else 0.0
        self.writer = InlineWriter(world.database, world.loop, world.swarm, name)
        leases = MemoryLeases(world.database, name, 10.0, world.loop.time, self._travel)
        self.executor = Executor(
            timing=timing(world.swarm), writer=self.writer, leases=leases,
            gateways=lambda account, lease: SimGateway(account, lease, world.venue, world.wire, world.streaming),
        )  # fmt: skip
        world.trace.note("nemesis", "starts", name)
        self.scope.context.run(world.loop.create_task, self.executor.run(), name=name)

    def wake(self) -> None:
        """Hear that there is work."""
        self.executor.wake()

    def suffer(self, swarm: Swarm, chance: random.Random) -> None:
        """Take what the nemesis has in store at this moment."""
        if not self.scope.is_alive:
            if self.world.loop.now_seconds >= self._restarts_at:
                self._restarts_at = self.world.loop.now_seconds + chance.uniform(*RESTART_SECONDS)
                if chance.random() < 0.5:
                    self.start()
            return
        if swarm.happens("kill", chance):
            self.world.trace.note("nemesis", "kills", self.scope.name)
            self.world.kill(self.scope)
        elif swarm.happens("pause", chance):
            seconds = chance.uniform(3, 60)
            self.world.trace.note("nemesis", "stops", self.scope.name, f"{seconds:.1f}")
            self.world.pause(self.scope, seconds)
        elif swarm.happens("stop", chance):
            self.world.trace.note("nemesis", "drains", self.scope.name)
            scope = self.scope
            self.executor.stop()
            self.world.loop.call_later(15.0, self._gone, scope, context=self.outside)

    def heal(self) -> None:
        """Run, whatever was done to it."""
        if not self.scope.is_alive:
            self.start()
        elif self.scope.is_paused:
            self.world.loop.resume(self.scope)

    def _gone(self, scope: Scope) -> None:
        if scope.is_alive:
            self.world.kill(scope)
        if self.scope is scope and self.world.swarm.is_over:
            self.start()

    async def _travel(self) -> None:
        await asyncio.sleep(self._chance.uniform(0.0003, 0.003))
