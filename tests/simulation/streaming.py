"""The private streams: frames that come late, twice, in another order, spoilt or never; connections that end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from project.lib import clock
from tests.simulation.loop import SCOPE, Scope, VirtualLoop
from tests.simulation.swarm import Swarm
from tests.simulation.venue import MICROSECONDS, SimVenue
from venues.messages import Malformed, Report, StreamState
from venues.paper.orders import Fact
from venues.streams import StreamReason

BACKOFF_SECONDS = (0.25, 3.0)
DELAY_SECONDS = 20.0


@dataclass(eq=False)
class Connection:
    """One node's connection for one account."""

    account: str
    scope: Scope | None
    on_frame: Callable[..., None]
    ended: asyncio.Future[StreamReason]
    last_at: float = 0.0


class Streaming:
    """Everybody who listens."""

    def __init__(self, loop: VirtualLoop, swarm: Swarm, venue: SimVenue) -> None:
        self.loop, self.swarm, self.venue = loop, swarm, venue
        self.chance = random.Random(f"{swarm.seed}:streams")
        self._connections: list[Connection] = []
        venue.tell = self.tell

    async def run(
        self,
        account: str,
        on_frame: Callable[..., None],
        on_state: Callable[..., None],
    ) -> None:
        """Connect, deliver, reconnect, until cancelled."""
        while True:
            on_state(StreamState(state="connecting", at=clock.now()))
            await asyncio.sleep(self.chance.uniform(0.01, 0.3))
            reason = StreamReason.REFUSED
            if not self.swarm.happens("stream_refused", self.chance):
                connection = Connection(account, SCOPE.get(), on_frame, self.loop.create_future())
                self._connections.append(connection)
                on_state(StreamState(state="subscribed", at=clock.now()))
                try:
                    reason = await connection.ended
                finally:
                    self._drop(connection)
            on_state(StreamState(state="lost", at=clock.now(), reason=reason))
            await asyncio.sleep(self.chance.uniform(*BACKOFF_SECONDS))

    def tell(self, fact: Fact) -> None:
        """Send a fact to whoever listens to its account."""
        for connection in list(self._connections):
            if connection.account == fact.account and (connection.scope is None or connection.scope.is_alive):
                self._send(connection, fact)

    def _send(self, connection: Connection, fact: Fact) -> None:
        if self.swarm.happens("stream_closed", self.chance):
            if not connection.ended.done():
                connection.ended.set_result(StreamReason.CLOSED_BY_VENUE)
            return
        reports = self._reports(fact)
        fate = self.swarm.fate(("frame_lost", "frame_reordered", "frame_delayed", "frame_poison"), self.chance)
        if fate == "frame_lost":
            return
        if fate == "frame_poison":
            reports = [Malformed(source="stream", reason="not JSON", raw='{"e":')]
        now = self.loop.time()
        at = now + self.chance.uniform(0.002, 0.04) + max(fact.visible_at - fact.at, 0) / MICROSECONDS
        if fate == "frame_delayed":
            at += self.chance.uniform(0, DELAY_SECONDS)
        if fate == "frame_reordered":
            at += self.chance.uniform(0, 1.0)
        else:
            at = connection.last_at = max(at, connection.last_at)
        context = connection.scope.context if connection.scope else None
        for _ in range(1 + self.swarm.happens("frame_twice", self.chance)):
            self.loop.call_at(at, self._deliver, connection, reports, context=context)

    def _deliver(self, connection: Connection, reports: list[Report]) -> None:
        if connection not in self._connections:
            return
        connection.on_frame("{}", reports, clock.now())

    def _reports(self, fact: Fact) -> list[Report]:
        found: list[Report] = []
        if fact.fill is not None:
            found.append(self.venue.fill_report(fact.fill))
        if fact.order is not None and fact.version is not None:
            found.append(self.venue.report(fact.order, fact.version))
        return found

    def _drop(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)

    def cut(self, chance: random.Random) -> None:
        """Close every connection, in an order of chance."""
        listed: list[Any] = list(self._connections)
        chance.shuffle(listed)
        for connection in listed:
            if not connection.ended.done():
                connection.ended.set_result(StreamReason.CLOSED_BY_VENUE)
