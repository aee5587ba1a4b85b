"""Carries the plan out: kills, stops, faults, and the supervisor's part of starting again what is down."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.chaos import plan
from tests.chaos.cluster import Cluster, Slot
from tests.chaos.plan import Step
from tests.chaos.venues import Desk
from tests.flows.client import Api, Refused

ARMED_SECONDS = 12.0
TICK_SECONDS = 0.05
FELL_OVER_SECONDS = 1.0
BYTES_MAX = 8_000_000_000
Row = dict[str, Any]


class DiskFull(Exception):
    """The run has written more than it may."""


class Nemesis:
    """One thread, the main one: only it starts and ends processes."""

    def __init__(self, cluster: Cluster, desks: list[Desk], say: Callable[[str], None]) -> None:
        self.kills, self.faults_asked, self.fell_over = Counter[str](), Counter[str](), list[str]()
        self.armed, self.log = Counter[str](), list[Row]()
        self.pauses = self.postgres_kills = 0
        self._cluster, self._say = cluster, say
        self._desks = {desk.code: desk for desk in desks}
        self._began = time.monotonic()
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._arming: set[str] = set()
        self._is_database_down = False
        self._looked_at_disk = 0.0

    def run(self, steps: list[Step], seconds: float) -> None:
        """Carry out every step and go on until the time is over. Raises DiskFull."""
        self._began = time.monotonic()
        for step in steps:
            self._at(step.at_seconds, lambda step=step: self._do(step))  # type: ignore[misc]
        while time.monotonic() < self._began + seconds or self._later:
            self.tick()

    def tick(self) -> None:
        """Do what is due, and look after processes that are down."""
        now = time.monotonic() - self._began
        while self._later and self._later[0][0] <= now:
            heapq.heappop(self._later)[2]()
        for slot in self._cluster.slots.values():
            self._look_after(slot)
        if time.monotonic() > self._looked_at_disk + 20:
            self._looked_at_disk = time.monotonic()
            if (used := self._cluster.bytes_used()) > BYTES_MAX:
                raise DiskFull(f"the run has written {used >> 20} MB")
        time.sleep(TICK_SECONDS)

    def calm(self) -> None:
        """Undo everything: faults away, failpoints off, everything continued and started."""
        for name in self._cluster.slots:
            self._cluster.armed_file(name).unlink(missing_ok=True)
            self._cluster.signal(name, signal.SIGCONT)
        self._cluster.paper.remove_faults()

    @property
    def failpoint_kills(self) -> Counter[str]:
        """Return how often each failpoint fired."""
        return Counter(row["point"] for row in self._cluster.firings())

    def _do(self, step: Step) -> None:
        {
            "kill": self._kill, "failpoint": self._arm, "pause": self._pause, "postgres": self._kill_postgres,
            "fault": self._fault, "operator": self._operator,
        }[step.kind](step)  # fmt: skip

    def _kill(self, step: Step) -> None:
        names = self._alive(step.target)
        if not names:
            self._at_in(0.5, lambda: self._kill(step))  # all of them are down: strike when one is back
            return
        name = names[step.arguments.get("which", 0) % len(names)]
        if self._cluster.signal(name, signal.SIGKILL):
            self.kills["at random"] += 1
            self._note("kill", name)
            self._start_in(name, step.arguments["down_seconds"])

    def _arm(self, step: Step) -> None:
        """Switch a failpoint on in every process of the role; the first to die switches it off again."""
        point = step.arguments["point"]
        if step.target in self._arming:
            self._at_in(0.5, lambda: self._arm(step))  # one point of a role at a time
            return
        self._arming.add(step.target)
        self.armed[point] += 1
        for name in self._names(step.target):
            self._cluster.armed_file(name).write_text(f"{point}={plan.FAILPOINTS[point][1]}:kill")
        self._note("armed", f"{step.target} {point}")
        if point in ("P13", "P14"):
            desk = next(iter(self._desks))
            what = "halt" if point == "P13" else "rotate_key"
            self._operator(Step(0, "operator", desk, {"what": what}))
        seen, until = self.failpoint_kills[point], time.monotonic() + ARMED_SECONDS

        def look() -> None:
            if self.failpoint_kills[point] == seen and time.monotonic() < until:
                self._at_in(TICK_SECONDS, look)
                return
            for name in self._names(step.target):
                self._cluster.armed_file(name).unlink(missing_ok=True)
            self._arming.discard(step.target)
            if self.failpoint_kills[point] == seen:
                self._note("not reached", point)
                self._kill(step)  # the point was not passed in time: the kill strikes anywhere

        look()

    def _pause(self, step: Step) -> None:
        names = self._names(step.target)
        missed = []
        for which in step.arguments["which"]:
            name = names[which % len(names)]
            if self._cluster.slots[name].is_stopped or not self._cluster.signal(name, signal.SIGSTOP):
                missed.append(which)  # down, or stopped already: stop it when it is back
                continue
            self.pauses += 1
            process = self._cluster.slots[name].process
            self._note("stop", f"{name} {step.arguments['seconds']} s")
            self._at_in(step.arguments["seconds"], lambda name=name, process=process: self._go_on(name, process))  # type: ignore[misc]
        if missed:
            later = dataclasses.replace(step, arguments={**step.arguments, "which": missed})
            self._at_in(0.5, lambda: self._pause(later))

    def _go_on(self, name: str, process: object) -> None:
        if self._cluster.slots[name].process is process:
            self._cluster.signal(name, signal.SIGCONT)
            self._note("continue", name)

    def _kill_postgres(self, step: Step) -> None:
        count = self._cluster.kill_postgres()
        self.postgres_kills += 1
        self._is_database_down = True
        self._note("postgres", f"killed {count} processes, down {step.arguments['down_seconds']} s")

        def start() -> None:
            self._cluster.start_postgres()
            self._is_database_down = False

        self._at_in(step.arguments["down_seconds"], start)

    def _fault(self, step: Step) -> None:
        asked = dict(step.arguments)
        fault, operation = asked.pop("fault"), asked.pop("operation")
        self._cluster.paper.add_fault(self._desks[step.target].world, fault, operation, **asked)
        self.faults_asked[fault] += 1
        self._note("fault", f"{step.target} {fault} {operation} {json.dumps(asked)}")

    def _operator(self, step: Step) -> None:
        desk, what = self._desks[step.target], step.arguments["what"]
        self._note("operator", f"{desk.code} {what}")
        work = Operator(Api(self._cluster.api.url, self._cluster.token), desk, what)
        threading.Thread(target=work.run, daemon=True).start()

    def _look_after(self, slot: Slot) -> None:
        if slot.process is None:
            if slot.start_at and time.monotonic() >= slot.start_at:
                self._cluster.start(slot.name)
            return
        if slot.process.poll() is None:
            return
        pid, code = slot.process.pid, slot.process.returncode
        slot.process = None
        if any(row["pid"] == pid and row["action"] == "kill" for row in self._cluster.firings()):
            self.kills["at failpoints"] += 1
            self._note("died", f"{slot.name} at a failpoint")
            self._start_in(slot.name, FELL_OVER_SECONDS)
            return
        self.fell_over.append(
            f"{slot.name} exit {code}{' while the database was down' if self._is_database_down else ''}"
        )
        self._note("fell over", self.fell_over[-1])
        self._start_in(slot.name, FELL_OVER_SECONDS)

    def _start_in(self, name: str, seconds: float) -> None:
        self._cluster.slots[name].start_at = time.monotonic() + seconds

    def _names(self, role: str) -> list[str]:
        return [slot.name for slot in self._cluster.slots.values() if slot.role == role]

    def _alive(self, role: str) -> list[str]:
        slots = [self._cluster.slots[name] for name in self._names(role)]
        return [slot.name for slot in slots if slot.process is not None and slot.process.poll() is None]

    def _at(self, seconds: float, work: Callable[[], None]) -> None:
        heapq.heappush(self._later, (seconds, next(self._numbers), work))

    def _at_in(self, seconds: float, work: Callable[[], None]) -> None:
        self._at(time.monotonic() - self._began + seconds, work)

    def _note(self, kind: str, what: str) -> None:
        at = round(time.monotonic() - self._began, 2)
        self.log.append({"at": at, "kind": kind, "what": what})
        self._say(f"{at:8.2f} {kind:12} {what}")


class Operator:
    """A person's request, made until it is answered, in a thread of its own: the web process may be down."""

    def __init__(self, api: Api, desk: Desk, what: str) -> None:
        self._api, self._desk, self._what = api, desk, what

    def run(self) -> None:
        """Carry the request out; refusals and outages are part of a person's day."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                getattr(self, f"_{self._what}")()
                return
            except Refused as refused:
                if refused.status < 500:
                    return
            except OSError:
                pass
            time.sleep(0.5)

    def _rotate_key(self) -> None:
        self._api.post(
            f"/accounts/{self._desk.code}/keys/", {"api_key": self._desk.world.api_key, "secret": self._desk.secret}
        )

    def _note_break(self) -> None:
        found = self._api.get("/breaks/", account=self._desk.code)["results"]
        unresolved = [row for row in found if row["status"] != "resolved"]
        if unresolved:
            self._api.post(f"/breaks/{unresolved[0]['id']}/assignment/", {"owner": "admin"})

    def _reconcile(self) -> None:
        self._api.post("/reconciliations/", {"account": self._desk.code})

    def _halt(self) -> None:
        scope = f"account:{self._desk.code}"
        try:
            self._api.post("/halts/", {"scope": scope, "reason": "chaos: for a moment"})
        except (OSError, Refused):
            pass  # the answer may be lost and the halt in force all the same
        time.sleep(2)
        self._lift(scope)

    def _lift(self, scope: str) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                lift_halts(self._api, scope)
                return
            except (OSError, Refused):
                time.sleep(0.5)  # the web process is down, or another thread of ours was faster


def lift_halts(api: Api, scope: str = "") -> None:
    """Lift the halts of our own operator, in one scope or in all; a watchdog's stay. Raises Refused and OSError."""
    for halt in api.get("/halts/", in_force="true")["results"]:
        if halt["reason"].startswith("chaos") and scope in ("", halt["scope"]):
            api.call("DELETE", f"/api/v1/halts/{halt['id']}/", {"reason": "chaos: over"})
