"""What happens to a request between a node and the venue: delays, losses both ways, errors, hangs, late arrivals."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from project.lib import failpoints
from tests.simulation.loop import WORLD, VirtualLoop
from tests.simulation.swarm import Swarm

Ending = Literal["answer", "unreachable", "reset", "timeout", "server_error", "garbled", "rate_limited"]
ACTIONS = (
    "unreachable", "lost_before", "lost_after", "late", "error_before", "error_after", "garbled", "hang_before",
    "hang_after", "rate_limited",
)  # fmt: skip
QUESTIONS = ("unreachable", "lost_before", "error_before", "garbled", "hang_before")
TIMEOUT_SECONDS = 10.0
LATE_SECONDS = (0.5, 25.0)
NEVER_ARRIVES = {"unreachable", "lost_before", "error_before", "hang_before", "rate_limited"}
ENDINGS: dict[str, Ending] = {
    "unreachable": "unreachable", "lost_before": "reset", "lost_after": "reset", "error_before": "server_error",
    "error_after": "server_error", "garbled": "garbled", "rate_limited": "rate_limited",
}  # fmt: skip


@dataclass(frozen=True)
class Reply:
    """How a request ended for the one who sent it; the value is the venue's answer where there is one."""

    ending: Ending
    value: Any = None


class Wire:
    """The network between all nodes and the venue. Nothing it carries dies with the node that sent it."""

    def __init__(self, loop: VirtualLoop, swarm: Swarm, trace: Callable[..., None]) -> None:
        self.loop, self.swarm, self.trace = loop, swarm, trace
        self.chance = random.Random(f"{swarm.seed}:wire")

    def latency(self) -> float:
        """Draw how long one way takes, in seconds."""
        drawn = self.chance.random()
        return 0.002 + 0.03 * drawn if drawn < 0.97 else 0.03 + self.chance.random()

    async def ask(self, deliver: Callable[[], Any]) -> Reply:
        """Ask something that changes nothing."""
        return await self._carry(self.swarm.fate(QUESTIONS, self.chance), deliver)

    async def act(self, name: str, deliver: Callable[[], Any]) -> Reply:
        """Send something that changes the venue. The node may die half way (P5) or once it is written (P6)."""
        fate = self.swarm.fate(ACTIONS, self.chance)
        self.trace("wire", name, fate)
        failpoints.reach("P5")
        waiting = self._carry(fate, deliver)
        failpoints.reach("P6")
        return await waiting

    def _carry(self, fate: str, deliver: Callable[[], Any]) -> asyncio.Future[Reply]:
        future: asyncio.Future[Reply] = self.loop.create_future()
        out, back = self.latency(), self.latency()
        if fate == "late":
            out = self.chance.uniform(*LATE_SECONDS)
        ending = ENDINGS.get(fate)

        def arrive() -> None:
            value = deliver()
            if not fate or (fate == "late" and out + back < TIMEOUT_SECONDS):
                self.loop.call_later(back, end, Reply("answer", value), context=WORLD)

        def end(reply: Reply) -> None:
            if not future.done():
                future.set_result(reply)

        if fate not in NEVER_ARRIVES:
            self.loop.call_later(out, arrive, context=WORLD)
        if ending is not None:
            self.loop.call_later(out + back, end, Reply(ending), context=WORLD)
        elif fate:
            self.loop.call_later(TIMEOUT_SECONDS, end, Reply("timeout"), context=WORLD)
        return future
