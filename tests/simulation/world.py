"""One seed, one world: nodes, venue, wire, web and nemesis under one virtual clock; safety first, then liveness."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from project.lib import clock, failpoints, ids
from project.lib.feed import Signals
from tests.simulation import checks
from tests.simulation.listening import Listener
from tests.simulation.loop import EPOCH_SECONDS, SCOPE, Deadlock, Scope, VirtualLoop
from tests.simulation.memory import AccountRecord, Database, LeaseRecord, away
from tests.simulation.nodes import Node
from tests.simulation.people import Clients, Person
from tests.simulation.streaming import Streaming
from tests.simulation.swarm import Swarm
from tests.simulation.trace import Trace, Violation
from tests.simulation.venue import SimVenue
from tests.simulation.watching import Watch
from tests.simulation.web import Web
from tests.simulation.wire import Wire
from tests.simulation.writing import Killed, installed

LIVENESS_SECONDS = 500.0
_EPOCH = datetime.fromtimestamp(EPOCH_SECONDS, UTC)


@dataclass
class Outcome:
    """What came of a seed."""

    seed: int
    digest: str
    violations: list[Violation]
    fired: Counter[str]
    lines: list[str] = field(default_factory=list)
    orders: int = 0
    seconds: float = 0.0
    steps: int = 0
    letters: int = 0
    by_person: int = 0
    alarms: tuple[str, ...] = ()


class World:
    """Everything of one run."""

    def __init__(self, swarm: Swarm) -> None:
        self.swarm = swarm
        self.loop = VirtualLoop()
        self.chance = random.Random(f"{swarm.seed}:nemesis")
        self.trace = Trace(swarm.seed, self.loop.time)
        self.database = Database(self.true_now)
        codes = [f"acc{number}" for number in range(swarm.accounts)]
        self.venue = SimVenue(swarm, lambda: EPOCH_SECONDS + self.loop.now_seconds, self.trace.note, codes)
        self.wire = Wire(self.loop, swarm, self.trace.note)
        self.streaming = Streaming(self.loop, swarm, self.venue)
        self.watch = Watch(self.database, self.venue, self.trace)
        self.web = Web(self.database, self.wake)
        self.graveyard: list[Scope] = []
        self.outage_until = 0.0
        self._is_overtaking = False
        self._ids = random.Random(f"{swarm.seed}:ids")
        self._wall: tuple[float, datetime] = (-1.0, _EPOCH)
        self.database.fault = self._database_fault
        for code in codes:
            self._add_account(code)
        self.nodes = [Node(self, number) for number in range(swarm.nodes)]
        self.clients = Clients(self)

    def true_now(self) -> datetime:
        """Return the database's and the venue's time."""
        at = self.loop.now_seconds
        if self._wall[0] != at:
            self._wall = (at, _EPOCH + timedelta(seconds=at))
        return self._wall[1]

    def node_now(self) -> datetime:
        """Return the wall clock of the node that asks."""
        scope = SCOPE.get()
        now = self.true_now()
        return now + timedelta(seconds=scope.skew_seconds) if scope is not None and scope.skew_seconds else now

    def new_id(self) -> uuid.UUID:
        """Return a UUIDv7 of virtual time and seeded bits."""
        milliseconds = int((EPOCH_SECONDS + self.loop.now_seconds) * 1000)
        bits = self._ids.getrandbits(74)
        number = milliseconds << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0b10 << 62 | bits & (1 << 62) - 1
        return uuid.UUID(int=number)

    def wake(self, account: str) -> None:
        """Signal that an account has work; signals may be lost."""
        for node in self.nodes:
            if node.scope.is_alive and not self.swarm.happens("signal_lost", self.chance):
                self.loop.call_later(self.chance.uniform(0.0005, 0.01), node.wake, context=node.scope.context)

    def run(self) -> None:
        """Run both phases. Violations are in the trace."""
        with self._installed():
            try:
                self.loop.run_root(self._main())
            except Deadlock as stuck:
                self.trace.violate("deadlock", str(stuck))

    def reach(self, point: str) -> None:
        """Pass a failpoint: the node may die or stop there."""
        scope = SCOPE.get()
        if scope is None or not self.swarm.happens(point, self.chance):
            return
        if self.chance.random() < 0.3:
            self.trace.note("nemesis", "stopped at", point)
            self.pause(scope, self.chance.uniform(3, 60))
            return
        self.trace.note("nemesis", "died at", point)
        self.kill(scope)
        raise Killed(point)

    def kill(self, scope: Scope) -> None:
        """End a node at once: nothing of it ever runs again."""
        scope.is_alive = False
        scope.kept.clear()
        self.graveyard.append(scope)

    def pause(self, scope: Scope, seconds: float) -> None:
        """Stop a node as SIGSTOP does, and let it go on after a while."""
        if not scope.is_paused:
            scope.is_paused = True
            self.loop.call_later(seconds, self._resume, scope, context=self.nodes[0].outside)

    def dispose(self) -> None:
        """Let go of every coroutine; what their `finally` would do no longer reaches anything."""
        for scope in [*self.graveyard, *(node.scope for node in self.nodes)]:
            scope.is_alive = False
        logging.disable()
        for task in self.loop.tasks:
            task._log_destroy_pending = task._log_traceback = False  # type: ignore[attr-defined]
            with suppress(Exception):
                task.get_coro().close()
        self.loop.tasks.clear()
        logging.disable(logging.NOTSET)

    def outcome(self) -> Outcome:
        """Return what came of it."""
        letters = self.database.letters.values()
        return Outcome(
            seed=self.swarm.seed, digest=self.trace.digest(), violations=self.trace.violations, fired=self.swarm.fired,
            lines=self.trace.lines, orders=len(self.database.orders), seconds=self.loop.now_seconds,
            steps=self.loop.steps, letters=len(letters), by_person=sum(row.resolved_by == "person" for row in letters),
            alarms=tuple(sorted(self.watch.alarms)),
        )  # fmt: skip

    @contextmanager
    def _installed(self) -> Iterator[None]:
        points: dict[str, Any] = vars(failpoints)
        listener = Listener(self.trace)
        armed = points["_armed"]
        with ExitStack() as stack:
            stack.enter_context(clock.use(self.node_now, self.loop.time))
            stack.enter_context(ids.use(self.new_id))
            stack.enter_context(installed(self.database, self._notify, self._overtake))
            stack.enter_context(listener.listening())
            self.loop.set_exception_handler(listener.background)
            points["_armed"] = self
            try:
                yield
            finally:
                points["_armed"] = armed

    async def _main(self) -> None:
        self.trace.note("swarm", {k: v for k, v in vars(self.swarm).items() if k not in {"fired", "rates"}})
        for node in self.nodes:
            node.start()
        helpers = [
            self.loop.create_task(work, name=name)
            for work, name in (
                (self._nemesis(), "nemesis"),
                (self._market(), "market"),
                (self.clients.run(), "clients"),
            )
        ]
        await asyncio.sleep(self.swarm.safety_seconds)
        self.trace.note("phase", "liveness")
        self.swarm.is_over = True
        self.outage_until = 0.0
        for node in self.nodes:
            node.heal()
        for scope in list(self.database.halts):
            self.halt(scope, False)
        await self._liveness()
        for helper in helpers:
            helper.cancel()

    async def _liveness(self) -> None:
        person = Person(self)
        deadline = self.loop.now_seconds + LIVENESS_SECONDS
        reason = ""
        while self.loop.now_seconds < deadline:
            await asyncio.sleep(2.0)
            reason = self.clients.unfinished() or checks.unsettled(self.database)
            if not reason:
                self.venue.is_quiet = True
                broken = next(checks.all_broken(self.database, self.venue, self.clients.acked), None)
                if broken is None:
                    return
            person.act()
        if reason:
            word = next((part for part in reason.split() if len(part) == 36), "")
            self.trace.violate("liveness", f"after {LIVENESS_SECONDS:.0f} s without faults: {reason}", word)
        for rule, about, word in checks.all_broken(self.database, self.venue, self.clients.acked):
            self.trace.violate(rule, about, word)

    async def _market(self) -> None:
        chance = random.Random(f"{self.swarm.seed}:market")
        while not self.venue.is_quiet:
            await asyncio.sleep(chance.expovariate(1.0))
            self.venue.may_drift = all(row.opened_at for row in self.database.accounts.values())
            self.venue.move()

    async def _nemesis(self) -> None:
        swarm, chance = self.swarm, self.chance
        while not swarm.is_over:
            await asyncio.sleep(chance.uniform(0.2, 1.5))
            for node in self.nodes:
                node.suffer(swarm, chance)
            if swarm.happens("outage", chance):
                seconds = chance.choice((0.3, 2.0, 8.0, 15.0))
                self.outage_until = self.loop.now_seconds + seconds
                self.trace.note("nemesis", "database away for", seconds)
            if swarm.happens("stream_closed", chance):
                self.trace.note("nemesis", "streams cut")
                self.streaming.cut(chance)
            if swarm.happens("halt", chance):
                scope = chance.choice(("global", "venue:sim", *(f"account:{code}" for code in self.database.accounts)))
                self.halt(scope, scope not in self.database.halts)

    def halt(self, scope: str, is_on: bool) -> None:
        """Engage or release a halt, and remember since when for the checks."""
        if self.outage_until > self.loop.now_seconds:
            return
        before = self.database.fault
        self.database.fault = lambda place: None
        self.web.halt(scope, is_on)
        self.database.fault = before
        self.trace.note("halt", scope, is_on)
        for code in self.database.accounts:
            if self.database.trading_state(code) == "halted":
                self.watch.halted_since.setdefault(code, EPOCH_SECONDS + self.loop.now_seconds)
            else:
                self.watch.halted_since.pop(code, None)

    def _database_fault(self, place: str) -> None:
        moment = place.partition(":")[2]
        if self.loop.now_seconds < self.outage_until:
            raise away("the database is away")
        if moment == "commit" and self.swarm.happens("commit_refused", self.chance):
            self.trace.note("database", "refused", place)
            raise away("the connection was lost before the commit")
        if moment == "answer" and self.swarm.happens("commit_unanswered", self.chance):
            self.trace.note("database", "unanswered", place)
            raise away("the connection was lost after the commit")

    def _overtake(self) -> None:
        """Let another node commit between the reading and the writing of the one that is about to."""
        if self._is_overtaking or len(self.nodes) < 2 or not self.swarm.happens("overtaken", self.chance):
            return
        mine = SCOPE.get()
        others = [n for n in self.nodes if n.scope is not mine and n.scope.is_alive and not n.scope.is_paused]
        self._is_overtaking = True
        try:
            for node in others:
                node.scope.context.run(node.writer.commit_early)
        finally:
            self._is_overtaking = False

    def _notify(self, signals: Signals) -> None:
        for account in sorted(signals.wakes):
            self.wake(account)

    def _resume(self, scope: Scope) -> None:
        if scope.is_alive and scope.is_paused:
            self.trace.note("nemesis", "goes on", scope.name)
            self.loop.resume(scope)

    def _add_account(self, code: str) -> None:
        now, database = self.true_now(), self.database
        database.accounts[code] = AccountRecord(
            code=code, target=self.venue.target, status_at=now, activation_requested_at=now, credential=self.new_id()
        )
        database.leases[code] = LeaseRecord()
        database.events[code], database.captures[code] = [], []
