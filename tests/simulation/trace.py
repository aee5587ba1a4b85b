"""Everything that happened in a run, line by line, and its SHA-256: equal for equal seeds or the simulation is broken."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.loop import SCOPE


@dataclass(frozen=True)
class Violation:
    """A promise was broken: which, when, about what, and what happened just before."""

    seed: int
    rule: str
    at_seconds: float
    about: str
    tail: tuple[str, ...]

    def __str__(self) -> str:
        return f"seed {self.seed}, t={self.at_seconds:.3f}: {self.rule}: {self.about}"

    def shown(self) -> str:
        """Return the violation with the end of the trace."""
        return "\n".join([str(self), *(f"    {line}" for line in self.tail)])


class Trace:
    """The lines of one run."""

    def __init__(self, seed: int, time: Callable[[], float]) -> None:
        self.seed, self.time = seed, time
        self.lines: list[str] = []
        self.violations: list[Violation] = []

    def note(self, *parts: object) -> None:
        """Add a line: when, on which node, what."""
        scope = SCOPE.get()
        where = scope.name if scope is not None else "-"
        self.lines.append(f"{self.time():.6f} {where} {' '.join(map(str, parts))}")

    def violate(self, rule: str, about: str, word: str = "") -> None:
        """Note a broken promise, with the last lines that name `word`."""
        self.note("VIOLATION", rule, about)
        if len(self.violations) < 20:
            tail = [line for line in self.lines if not word or word in line][-25:]
            self.violations.append(Violation(self.seed, rule, self.time(), about, tuple(tail)))

    def digest(self) -> str:
        """Return the SHA-256 of all lines."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()
