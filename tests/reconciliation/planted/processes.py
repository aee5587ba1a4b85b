"""`python -m tests.reconciliation.planted.processes`: the same differences against real processes that are killed meanwhile.

Six dialects, live orders, fills and cancels. First nothing is planted for so many minutes, and nothing may be opened. Then every
kind is planted everywhere while the comparing process is killed with -9, at its failpoint and at any moment: each difference must
be one open break of its class, however often the run was begun anew. Exit 0 when all of it is so, else 1.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from project.home import HomeError
from tests.chaos import collect, report
from tests.chaos.cluster import TIMING, Cluster, running_cluster
from tests.chaos.venues import Desk
from tests.flows.client import Refused, wait_for
from tests.reconciliation.planted.accounts import Sower, Sown, SteadyTrader, open_desks
from tests.reconciliation.planted.verdict import BREAKS, Verdict, judge

POINT, PROBABILITY = "P12", 0.4
ARMED_SECONDS = 12.0
SPACING_SECONDS = 1.5
FOUND_SECONDS = 150.0
STILL_SECONDS = 40.0
LOOKS_AGAIN = 3
LEAST_A_MINUTE = 2
Say = Callable[[str], None]


class Killer:
    """Kills the comparing process by a plan that the seed makes, and starts it again. Main thread only."""

    def __init__(self, cluster: Cluster, seed: int, kills: int, seconds: float, say: Say) -> None:
        self.at_failpoint = self.at_random = 0
        self._cluster, self._chance, self._say = cluster, random.Random(f"{seed}:kills"), say
        self._moments = deque(sorted(self._chance.uniform(0, seconds) for _ in range(kills)))
        self._began, self._start_at, self._disarm_at, self._count = time.monotonic(), 0.0, 0.0, 0

    @property
    def count(self) -> int:
        """Return how often it was killed."""
        return self.at_failpoint + self.at_random

    @property
    def is_done(self) -> bool:
        """Whether every kill has struck and the process runs again."""
        return not self._moments and not self._disarm_at and not self._start_at

    def tick(self) -> None:
        """Do what is due."""
        slot, now = self._cluster.slots["worker"], time.monotonic()
        if self._start_at:
            if now >= self._start_at:
                self._cluster.start("worker")
                self._start_at = 0.0
            return
        if slot.process is None or slot.process.poll() is not None:
            self._has_died(is_planned=bool(self._disarm_at))
        elif self._disarm_at and now > self._disarm_at:
            self._kill()  # the point was not passed in time: the kill strikes anywhere
        elif not self._disarm_at and self._moments and now >= self._began + self._moments[0]:
            self._moments.popleft()
            self._count += 1
            if self._count % 3:
                self._cluster.armed_file("worker").write_text(f"{POINT}={PROBABILITY}:kill")
                self._disarm_at = now + ARMED_SECONDS
            else:
                self._kill()
        time.sleep(0.02)

    def _kill(self) -> None:
        self._cluster.signal("worker", signal.SIGKILL)
        self.at_random += 1
        self._down("at a random moment")

    def _has_died(self, *, is_planned: bool) -> None:
        if not is_planned:
            raise RuntimeError("the worker ended by itself; see worker.log")
        self._cluster.slots["worker"].process = None
        self.at_failpoint += 1
        self._down(f"at {POINT}")

    def _down(self, where: str) -> None:
        self._cluster.armed_file("worker").unlink(missing_ok=True)
        self._disarm_at, self._start_at = 0.0, time.monotonic() + self._chance.choice((0.05, 0.5, 2.0))
        self._say(f"kill {self.count} of the worker, {where}")


def main() -> int:
    """Run once."""
    options = _options()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    began, commit = time.monotonic(), report.commit()

    def say(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:7.1f} s  {text}\n")
        sys.stderr.flush()

    with running_cluster(1, TIMING, options.keep) as cluster:
        if options.keep:
            say(f"everything is kept in {cluster.home}")
        desks = open_desks(cluster, options.seed)
        say(f"{len(desks)} accounts trade")
        traders = [SteadyTrader(cluster, desk, options.seed, options.rate / len(desks)) for desk in desks]
        for trader in traders:
            trader.start()
        try:
            verdict = _run(cluster, desks, options, say)
        finally:
            for trader in traders:
                trader.stop()
        for trader in traders:
            trader.join()
            verdict.problems += trader.answered_otherwise
        verdict.problems += _proofs(cluster)
        verdict.facts["client"] = dict(sum((trader.counts for trader in traders), Counter[str]()))
    verdict.facts |= {"seconds": round(time.monotonic() - began), "commit": commit}
    sys.stdout.write(verdict.text() + "\n")
    sys.stdout.write(json.dumps({"clean": verdict.is_clean, **verdict.facts}, sort_keys=True) + "\n")
    if options.record:
        verdict.record(options.seed)
    return 0 if verdict.is_clean else 1


def _run(cluster: Cluster, desks: list[Desk], options: argparse.Namespace, say: Say) -> Verdict:
    verdict = Verdict()
    _quiet(cluster, desks, options.quiet_minutes * 60, verdict, say)
    sowers = {desk.code: Sower(cluster, desk, options.seed) for desk in desks}
    explained = _prepare(cluster, sowers)
    say(f"{len(explained)} deposits told, booked and explained")
    steps = [step for sower in sowers.values() for step in sower.steps()]
    random.Random(f"{options.seed}:order").shuffle(steps)
    seconds = len(steps) * SPACING_SECONDS + STILL_SECONDS
    killer = Killer(cluster, options.seed, options.kills, seconds, say)
    sown: list[Sown] = []
    for number, step in enumerate(steps, 1):
        sown.append(step())
        until = time.monotonic() + SPACING_SECONDS
        while time.monotonic() < until:
            killer.tick()
        if number % 20 == 0:
            say(f"{number} of {len(steps)} planted")
    _wait_until_open(cluster, sown, explained, verdict, killer, say)
    before = _names(cluster)
    for _ in range(LOOKS_AGAIN):
        _look_again(cluster, desks, killer)
    while not killer.is_done:
        killer.tick()
    verdict.new_rows = len(_names(cluster) - before)
    judge(verdict, sown, _breaks(cluster), explained | verdict.quiet_rows)
    verdict.facts |= {
        "kills": killer.count, "kills at the failpoint": killer.at_failpoint, "planted": len(sown), "seed": options.seed,
        "looks again": LOOKS_AGAIN,
    }  # fmt: skip
    return verdict


def _quiet(cluster: Cluster, desks: list[Desk], seconds: float, verdict: Verdict, say: Say) -> None:
    """Trade honestly and note whatever was opened, and what was suspected and went by itself."""
    until, said_at = time.monotonic() + seconds, time.monotonic()
    while time.monotonic() < until:
        time.sleep(0.5)
        if time.monotonic() > said_at + 60:
            said_at = time.monotonic()
            say(f"quiet: {len(_names(cluster))} rows of breaks so far")
    rows = _breaks(cluster)
    verdict.quiet_rows = {row["id"] for row in rows}
    verdict.false_alarms = [_told(row) for row in rows if row["was_open"]]
    verdict.vanished = [_told(row) for row in rows if not row["was_open"] and row["status"] == "resolved"]
    verdict.undecided = [_told(row) for row in rows if not row["was_open"] and row["status"] != "resolved"]
    verdict.facts["quiet seconds"] = round(seconds)
    for desk in desks:
        mine = [row for row in collect.journal(cluster, desk) if row.get("account") == desk.world.api_key]
        counts = Counter(row["kind"] for row in mine)
        done = {kind: counts[kind] for kind in ("accepted", "filled", "cancelled")}
        verdict.activity[desk.code] = done
        if min(done.values()) < LEAST_A_MINUTE * seconds / 60:
            verdict.problems.append(f"{desk.code} did too little in the quiet time for it to prove anything: {done}")
    say(f"quiet time over: {len(verdict.false_alarms)} opened, {len(verdict.vanished)} suspected and gone")


def _prepare(cluster: Cluster, sowers: dict[str, Sower]) -> set[str]:
    for sower in sowers.values():
        sower.prepare()
    wanted = 2 * len(sowers) - 1  # the log of one exchange names no transaction: nothing tells a repetition there

    def deposits() -> list[dict[str, Any]]:
        rows = [row for row in _breaks(cluster) if row["kind"] == "transfer" and row["status"] == "open"]
        return rows if len(rows) == wanted else []

    rows = wait_for(f"{wanted} deposits to be told", deposits, FOUND_SECONDS, every=0.5)
    for row in rows:
        sowers[row["account"]].explained(row)
    return {row["id"] for row in rows}


def _wait_until_open(
    cluster: Cluster, sown: list[Sown], explained: set[str], verdict: Verdict, killer: Killer, say: Say
) -> None:
    """Look until everything planted is open, or the time is over."""
    deadline, missing = time.monotonic() + FOUND_SECONDS, sown
    while missing and time.monotonic() < deadline:
        killer.tick()
        rows = [row for row in _breaks(cluster) if row["id"] not in explained | verdict.quiet_rows]
        still = [each for each in missing if not any(row["was_open"] and each.is_about(row) for row in rows)]
        if len(still) != len(missing):
            say(f"{len(sown) - len(still)} of {len(sown)} found")
        missing = still
    verdict.facts["seconds until all were found"] = round(FOUND_SECONDS - max(deadline - time.monotonic(), 0))


def _look_again(cluster: Cluster, desks: list[Desk], killer: Killer) -> None:
    """Ask for a run of every account and wait until each has ended, while kills go on."""
    asked = []
    for desk in desks:
        asked.append(cluster.api.post("/reconciliations/", {"account": desk.code})["id"])
    until = time.monotonic() + 2 * STILL_SECONDS
    while time.monotonic() < until:
        killer.tick()
        rows = cluster.sql(
            "SELECT count(*) FROM reconciliation_run WHERE status <> 'queued' AND id = ANY(%s::uuid[])", asked
        )
        if rows[0][0] == len(asked):
            return
    raise AssertionError("runs that were asked for did not end")


def _breaks(cluster: Cluster) -> list[dict[str, Any]]:
    return [dict(zip(BREAKS, row, strict=True)) for row in cluster.sql(Verdict.query())]


def _names(cluster: Cluster) -> set[str]:
    """Return every break that stood long enough to be open; what is suspected and goes is no row that anybody sees again."""
    return {row["id"] for row in _breaks(cluster) if row["was_open"]}


def _told(row: dict[str, Any]) -> str:
    return f"{row['account']} {row['kind']} {row['subject']}: ours {row['ours']}, theirs {row['theirs']}, delta {row['delta']}"


def _proofs(cluster: Cluster) -> list[str]:
    failed = []
    for command in (("replay", "--check"), ("verify_ledger",), ("verify_audit",)):
        done = cluster.manage(*command)
        if done.returncode != 0:
            failed.append(f"{' '.join(command)}: {(done.stdout + done.stderr).strip()[-400:]}")
    return failed


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.reconciliation.planted.processes", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=1, help="the same seed plants the same and kills at the same moments"
    )
    parser.add_argument(
        "--kills", type=int, default=15, help="kill -9 of the comparing process, two of three at its failpoint"
    )
    parser.add_argument("--quiet-minutes", type=float, default=10, help="how long nothing is planted before")
    parser.add_argument("--rate", type=float, default=4, help="requests a second, all accounts together")
    parser.add_argument("--record", action="store_true", help="add a row to docs/evidence.md")
    parser.add_argument("--keep", action="store_true", help="keep the folder with journals, logs and database")
    return parser.parse_args()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def run() -> int:
    """Run once, and say in a line what kept a run from beginning. Returns the exit code."""
    try:
        return main()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; everything was stopped\n")
        return 130
    except (HomeError, Refused) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1


if __name__ == "__main__":
    sys.exit(run())
