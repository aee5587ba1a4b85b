"""Failpoints: named places where a test build dies, stops or fails on purpose. Off, each costs one comparison.

`GAPLESS_FAILPOINTS="P4=0.02:kill,P6=0.02:kill,P3=0.01:pause=5"` switches points on: probability, then what happens there.
`GAPLESS_FAILPOINTS=@FILE` reads the same from a file, again whenever the file changes. Both need GAPLESS_TEST_BUILD=1, and
neither works beside GAPLESS_LIVE: `verify`, which every role calls at start-up, ends the process instead.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Action = Literal["kill", "pause", "raise"]
PAUSE_SECONDS_MAX = 120.0
POINTS: Mapping[str, str] = {
    "P0": "web: request parsed, before the commit",
    "P1": "web: after the commit, before the answer",
    "P2": "executor: work taken, before it is planned",
    "P3": "executor: after the risk check, before the attempt's commit",
    "P4": "executor: after the attempt's commit, before the socket is written",
    "P5": "executor: half of the request is written",
    "P6": "executor: request written, before the answer is read",
    "P7": "executor: answer read, before its commit",
    "P8": "executor: outcome committed, before the signal",
    "P9": "executor: fill frame read, before its commit",
    "P10": "executor: inside the transaction that books a fill",
    "P11": "executor: cancel attempt committed, before it is sent",
    "P12": "worker: between observation and the commit of what differs",
    "P13": "web: a person's decision, between commit and page",
    "P14": "web: key rotation, between the new envelope and the end of the old one",
}


class Injected(Exception):
    """Raised by a failpoint whose action is `raise`."""


@dataclass(frozen=True)
class Rule:
    """What happens at one point, and how likely; `seconds` is how long a pause lasts."""

    probability: float
    action: Action
    seconds: float = 0.0


def parse(text: str) -> dict[str, Rule]:
    """Read `P4=0.02:kill,P3=0.01:pause=5`. Raises ValueError with what is wrong in it."""
    rules = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        point, equals, rest = entry.partition("=")
        probability, colon, what = rest.partition(":")
        action, _, seconds = what.partition("=")
        if point not in POINTS or not equals or not colon:
            raise ValueError(f"{entry!r} is not POINT=PROBABILITY:ACTION with a point of {', '.join(POINTS)}")
        if action == "pause":
            rules[point] = Rule(float(probability), "pause", min(float(seconds), PAUSE_SECONDS_MAX))
        elif action == "kill" or action == "raise":
            rules[point] = Rule(float(probability), "kill" if action == "kill" else "raise")
        else:
            raise ValueError(f"{entry!r}: the action must be kill, raise or pause=SECONDS")
        if not 0 <= rules[point].probability <= 1:
            raise ValueError(f"{entry!r}: the probability must lie between 0 and 1")
    return rules


class Armed:
    """The rules of this process. Each point draws from its own sequence, so that the others do not disturb it."""

    def __init__(self, spec: str, seed: str, log: Path | None) -> None:
        self._file = Path(spec[1:]) if spec.startswith("@") else None
        self._changed_ns = -1
        self._rules = {} if self._file else parse(spec)
        self._chances = {point: random.Random(f"{seed}:{point}") for point in POINTS}
        self._log = log
        self._lock = threading.Lock()

    def reach(self, point: str) -> None:
        """Decide and act. Raises KeyError for a point that is not in the table, Injected for the action `raise`."""
        with self._lock:
            chance = self._chances[point]
            rule = self._current().get(point)
            if rule is None or chance.random() >= rule.probability:
                return
            self._note(point, rule)
        if rule.action == "raise":
            raise Injected(point)
        if rule.action == "pause":
            stop_for(rule.seconds)
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def is_on(self, point: str) -> bool:
        """Say whether there is a rule for a point."""
        with self._lock:
            return point in self._current()

    def _current(self) -> Mapping[str, Rule]:
        if self._file is not None:
            try:
                changed_ns = self._file.stat().st_mtime_ns
                if changed_ns != self._changed_ns:
                    self._rules, self._changed_ns = parse(self._file.read_text()), changed_ns
            except FileNotFoundError:
                self._rules, self._changed_ns = {}, -1
        return self._rules

    def _note(self, point: str, rule: Rule) -> None:
        if self._log is None:
            return
        line = {"point": point, "action": rule.action, "pid": os.getpid(), "at": time.time()}
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, json.dumps(line).encode() + b"\n")  # one write: whole, even if this process dies next
        finally:
            os.close(descriptor)


_armed: Armed | None = None


def reach(point: str) -> None:
    """Pass a named place. Nothing happens there unless a test build has switched the point on."""
    if _armed is not None:
        _armed.reach(point)


def is_on(point: str) -> bool:
    """Say whether a test build has switched a point on: for places that must be made before they can be passed."""
    return _armed is not None and _armed.is_on(point)


def verify(environment: Mapping[str, str] = os.environ) -> None:
    """Switch on what the environment asks for, in a test build only. Raises SystemExit, which says why, otherwise.

    GAPLESS_FAILPOINTS_SEED makes the draws repeatable; GAPLESS_FAILPOINTS_LOG names a file that gets a line per firing.
    """
    global _armed
    spec = environment.get("GAPLESS_FAILPOINTS", "")
    if not spec:
        _armed = None
        return
    if environment.get("GAPLESS_TEST_BUILD") != "1":
        raise SystemExit(
            "GAPLESS_FAILPOINTS makes processes die on purpose and works in a test build only. Nothing was started. "
            "Remove it, or set GAPLESS_TEST_BUILD=1 on a machine that trades nothing."
        )
    if environment.get("GAPLESS_LIVE", "") not in {"", "0"}:
        raise SystemExit(
            "GAPLESS_FAILPOINTS and GAPLESS_LIVE never go together. Nothing was started. Remove one of them."
        )
    log = environment.get("GAPLESS_FAILPOINTS_LOG")
    try:
        _armed = Armed(spec, environment.get("GAPLESS_FAILPOINTS_SEED", "0"), Path(log) if log else None)
    except ValueError as problem:
        raise SystemExit(f"GAPLESS_FAILPOINTS cannot be read: {problem}. Nothing was started.") from None


def stop_for(seconds: float) -> None:
    """Stop this process as SIGSTOP does, all its threads, and have a helper of its own continue it."""
    script = f"sleep {seconds:f}; kill -CONT {os.getpid()}"
    helper = os.posix_spawn("/bin/sh", ["sh", "-c", f"({script}) >/dev/null 2>&1 &"], os.environ)
    os.waitpid(helper, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
