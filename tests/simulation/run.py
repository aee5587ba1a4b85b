"""Run seeds: `python -m tests.simulation.run --seeds 2000 [--start n] [--workers 2] [--trace SEED]`."""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tests.simulation import swarm, world
from tests.simulation.trace import Violation

KEPT = Path(__file__).parent / "seeds.txt"
CHUNK = 25
CHUNKS_A_PROCESS = 8
SHOWN_MAX = 10
NEEDED_POINTS = tuple(swarm.POINTS)
Patch = Callable[[], AbstractContextManager[Any]]


def one(seed: int, patch: Patch = nullcontext, *, keep_lines: bool = True) -> world.Outcome:
    """Run one seed, with a planted bug if one is given."""
    with _quietly(), patch():
        made = world.World(swarm.draw(seed))
        made.run()
        outcome = made.outcome()
        made.dispose()
        del made
    if not keep_lines:
        outcome.lines.clear()
    return outcome


def find(seeds: Iterable[int], patch: Patch = nullcontext) -> tuple[int, Violation] | None:
    """Return the first seed that breaks a promise with a planted bug, and what it breaks; None when all keep them."""
    for seed in seeds:
        outcome = one(seed, patch, keep_lines=False)
        if outcome.violations:
            return seed, outcome.violations[0]
    return None


def kept_seeds() -> list[int]:
    """Return the seeds that failed once: they are run before all others, for ever."""
    lines = (line.partition("#")[0].strip() for line in KEPT.read_text().splitlines())
    return [int(line) for line in lines if line]


def digest_elsewhere(seed: int, hash_seed: str) -> str:
    """Return the digest of a seed's trace as another process with other string hashes gets it."""
    command = [sys.executable, "-m", "tests.simulation.run", "--digest", str(seed)]
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the collector out of a run, and what abandoned coroutines say out of the output."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
    was_enabled = gc.isenabled()
    gc.disable()
    gc.freeze()  # what was there before need not be looked through after each run
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()
        if was_enabled:
            gc.enable()
        sys.unraisablehook = hook


def _chunk(seeds: list[int]) -> list[world.Outcome]:
    return [one(seed, keep_lines=False) for seed in seeds]


class Report:
    """What a run of many seeds came to."""

    def __init__(self) -> None:
        self.outcomes = self.orders = self.letters = self.by_person = 0
        self.virtual_seconds = 0.0
        self.fired: Counter[str] = Counter()
        self.digests: set[str] = set()
        self.failing: list[world.Outcome] = []

    def add(self, outcome: world.Outcome) -> None:
        """Count one seed."""
        self.outcomes += 1
        self.orders += outcome.orders
        self.letters += outcome.letters
        self.by_person += outcome.by_person
        self.virtual_seconds += outcome.seconds
        self.fired += outcome.fired
        self.digests.add(outcome.digest)
        if outcome.violations:
            self.failing.append(outcome)

    def lines(self, seconds: float) -> Iterator[str]:
        """Yield the report in lines."""
        for outcome in sorted(self.failing, key=lambda failed: failed.seed)[:SHOWN_MAX]:
            yield outcome.violations[0].shown()
        fired = self.fired
        yield f"seeds {self.outcomes}, distinct traces {len(self.digests)}, orders {self.orders}"
        yield f"dead letters {self.letters}, settled by a person {self.by_person}"
        yield f"{seconds:.1f} s, {self.outcomes / seconds:.1f} seeds/s, {self.virtual_seconds / 3600:.1f} h of virtual time"
        for name, family in (
            ("wire", swarm.WIRE), ("reads", swarm.READS), ("streams", swarm.STREAM), ("venue", swarm.VENUE),
            ("database", swarm.DATABASE), ("nodes", swarm.NODES), ("crash points", swarm.POINTS), ("web", swarm.WEB),
        ):  # fmt: skip
            yield f"{name}: " + ", ".join(f"{fault} {fired[fault]}" for fault in family)
        if not sum(fired.values()):
            yield "FAILED: no fault fired, so nothing was shown"
        if self.failing:
            yield "FAILED seeds: " + " ".join(str(failed.seed) for failed in sorted(self.failing, key=lambda o: o.seed))

    @property
    def is_good(self) -> bool:
        """Whether every promise was kept although faults fired."""
        return not self.failing and bool(sum(self.fired.values()))


def main() -> int:
    """Run what the command line asks for. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="tests.simulation.run")
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trace", type=int)
    parser.add_argument("--digest", type=int)
    options = parser.parse_args()
    if options.digest is not None:
        _say(one(options.digest).digest)
        return 0
    if options.trace is not None:
        outcome = one(options.trace)
        _say("\n".join([*outcome.lines, *(str(violation) for violation in outcome.violations), outcome.digest]))
        return 1 if outcome.violations else 0
    seeds = [*kept_seeds(), *range(options.start, options.start + options.seeds)]
    chunks = [seeds[first : first + CHUNK] for first in range(0, len(seeds), CHUNK)]
    report, started = Report(), time.monotonic()
    context = multiprocessing.get_context("fork")
    with context.Pool(options.workers, maxtasksperchild=CHUNKS_A_PROCESS) as pool:
        for outcomes in pool.imap(_chunk, chunks):
            for outcome in outcomes:
                report.add(outcome)
    for line in report.lines(time.monotonic() - started):
        _say(line)
    return 0 if report.is_good else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
