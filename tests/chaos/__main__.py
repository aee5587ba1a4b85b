"""`make chaos KILLS=20`: run the product, break it on purpose, and judge what it says against the venues' journals."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

from project.home import HomeError
from tests.chaos import collect, load, plan, report, settling, venues
from tests.chaos.cluster import TIMING, Cluster, running_cluster
from tests.chaos.nemesis import Nemesis, lift_halts
from tests.chaos.venues import Desk
from tests.chaos.verdict import History, Verdict, judge
from tests.flows.client import Refused, wait_for

STILL_SECONDS = 45.0
PERSON_SECONDS = 60.0
AGREE_SECONDS = 45.0


def main() -> int:
    """Run once. Returns 0 when nothing was violated, 1 otherwise."""
    options = _options()
    size = plan.Size(
        kills=options.kills, pauses=options.pauses, postgres_kills=options.pgkills, load_seconds=options.seconds,
        executors=options.executors, pause_seconds=(3, 60) if options.long else (3, 8),
    )  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    began = time.monotonic()
    say = _sayer(options.quiet)
    with running_cluster(options.executors, _timing(options), options.keep) as cluster:
        if options.keep:
            say(f"everything is kept in {cluster.home}")
        wanted = venues.personalities(60 if options.long else 5)
        desks = venues.open_desks(cluster, options.seed, [p for p in wanted if p.name in options.venues.split(",")])
        say(f"{time.monotonic() - began:.0f} s: ready; {options.kills} kills in {options.seconds:.0f} s of load")
        nemesis = Nemesis(cluster, desks, say)
        traders = [load.Trader(cluster, desk, options.seed, options.rate / len(desks)) for desk in desks]
        verdict, facts = _run(cluster, desks, nemesis, traders, options, size, say)
    facts["seconds"] = round(time.monotonic() - began)
    sys.stdout.write(report.table(verdict, facts) + "\n")
    sys.stdout.write(report.machine_line(verdict, facts) + "\n")
    if options.record:
        report.record(verdict, facts)
    return 0 if verdict.is_clean else 1


def _run(
    cluster: Cluster, desks: list[Desk], nemesis: Nemesis, traders: list[load.Trader], options: argparse.Namespace,
    size: plan.Size, say: Callable[[str], None],
) -> tuple[Verdict, dict[str, Any]]:  # fmt: skip
    for trader in traders:
        trader.start()
    nemesis.run(plan.make(options.seed, size, [desk.code for desk in desks]), size.load_seconds)
    fired = _faults_fired(cluster, desks)
    nemesis.calm()
    for trader in traders:
        trader.stop()
    while any(trader.is_alive() for trader in traders):
        nemesis.tick()
    say("calm: no more orders, no more faults")
    help_needed = _heal(cluster, nemesis, desks)
    bound = float(_timing(options)["GAPLESS_DEAD_LETTER_SECONDS"]) + STILL_SECONDS
    moving = settling.wait_until_still(cluster, nemesis, bound, say)
    say(f"still; moving {dict(Counter(moving))}")
    history = load.history(cluster.home, desks)
    refused = settling.settle_as_person(cluster, nemesis, desks, history.attempted, PERSON_SECONDS)
    verdict = _judged(cluster, nemesis, desks, history)
    if moving:
        verdict.found["unresolved"].append(
            f"after {bound:.0f} s without orders and faults still under way: {Counter(moving)}"
        )
    verdict.found["needed_help"] += help_needed + _alarms(cluster)
    verdict.found["proofs_failed"] += _proofs(cluster) + venues.unlike(cluster, desks)
    for trader in traders:
        verdict.found["answered_otherwise"] += trader.answered_otherwise
        if trader.counts["never answered"]:
            verdict.found["answered_otherwise"].append(
                f"{trader.name}: {trader.counts['never answered']} never answered"
            )
    facts = _facts(nemesis, desks, options, fired, traders, refused)
    if verdict.at_venue * 5 < verdict.attempted:
        verdict.found["proofs_failed"].append(
            "fewer than a fifth of the orders reached a venue: this run proves little"
        )
    if not fired or not sum(nemesis.kills.values()) + nemesis.pauses + nemesis.postgres_kills:
        verdict.found["proofs_failed"].append("no fault fired: this run proves nothing")
    return verdict, facts


def _heal(cluster: Cluster, nemesis: Nemesis, desks: list[Desk]) -> list[str]:
    """Wait until every process runs and every account trades, without a person's help. Returns what did not recover."""
    _lift_halts(cluster, nemesis)
    waiting = {desk.code for desk in desks}
    deadline = time.monotonic() + 60
    while waiting and time.monotonic() < deadline:
        nemesis.tick()
        try:
            waiting -= {code for code in waiting if venues.is_ready(cluster, code)}
        except (OSError, Refused):
            continue
        time.sleep(0.2)
    down = [slot.name for slot in cluster.slots.values() if slot.process is None or slot.process.poll() is not None]
    return [f"account {code} is not ready" for code in sorted(waiting)] + [f"{name} does not run" for name in down]


def _lift_halts(cluster: Cluster, nemesis: Nemesis) -> None:
    """Lift what our own operator forgot because the web process died under it; a watchdog's halt stays, and is reported."""

    def lifted() -> bool:
        nemesis.tick()
        lift_halts(cluster.api)
        return True

    wait_for("halts to be lifted", lifted, 60, every=0.2)


def _judged(cluster: Cluster, nemesis: Nemesis, desks: list[Desk], history: History) -> Verdict:
    """Judge, and again while the books still follow the venues, for a bounded time."""
    deadline = time.monotonic() + AGREE_SECONDS
    while True:
        product = collect.product(cluster)
        verdict = judge(history, product, [collect.venue(cluster, desk) for desk in desks])
        if verdict.is_clean or time.monotonic() > deadline:
            return verdict
        until = time.monotonic() + 2
        while time.monotonic() < until:
            nemesis.tick()


def _alarms(cluster: Cluster) -> list[str]:
    halts = cluster.sql("SELECT scope, reason FROM risk_halt WHERE created_by = 'watchdog'")
    return [f"the watchdog halted {scope}: {reason}" for scope, reason in halts]


def _proofs(cluster: Cluster) -> list[str]:
    failed = []
    for command in (("replay", "--check"), ("verify_ledger",), ("verify_audit",)):
        done = cluster.manage(*command)
        if done.returncode != 0:
            failed.append(f"{' '.join(command)}: {(done.stdout + done.stderr).strip()[-400:]}")
    return failed


def _faults_fired(cluster: Cluster, desks: list[Desk]) -> Counter[str]:
    """Count what really happened, by the venues' own journals."""
    return Counter(row["fault"] for desk in desks for row in collect.journal(cluster, desk) if row["kind"] == "fault")


def _facts(
    nemesis: Nemesis, desks: list[Desk], options: argparse.Namespace, fired: Counter[str], traders: list[load.Trader],
    refused: list[str],
) -> dict[str, Any]:  # fmt: skip
    counts: Counter[str] = sum((trader.counts for trader in traders), Counter())
    fell = Counter(nemesis.fell_over)
    return {
        "commit": report.commit(), "seed": options.seed, "kills at random": nemesis.kills["at random"],
        "kills at failpoints": nemesis.kills["at failpoints"], "pauses": nemesis.pauses,
        "postgres kills": nemesis.postgres_kills, "faults fired": sum(fired.values()), "faults": dict(fired),
        "failpoints": dict(nemesis.failpoint_kills), "failpoints armed": dict(nemesis.armed),
        "venues": [f"{desk.code}: {desk.personality.exchange} {desk.personality.blueprint or 'as it is'}" for desk in desks],
        "client": dict(counts),
        "notes": [f"{count} × {what}, started again" for what, count in fell.items()] + refused[:10],
    }  # fmt: skip


def _timing(options: argparse.Namespace) -> dict[str, str]:
    return {**TIMING, "GAPLESS_DEAD_LETTER_SECONDS": "180" if options.long else TIMING["GAPLESS_DEAD_LETTER_SECONDS"]}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="kill -9 of role processes, three of four at failpoints")
    parser.add_argument("--pauses", type=int, help="SIGSTOP of executors (default: half the kills)")
    parser.add_argument("--pgkills", type=int, help="kill -9 of the whole PostgreSQL (default: a tenth of the kills)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same plan")
    parser.add_argument("--rate", type=float, default=30, help="requests a second, all accounts together")
    parser.add_argument("--seconds", type=float, help="length of the load (default: 5 per kill, at least 30)")
    parser.add_argument("--executors", type=int, default=2)
    parser.add_argument("--venues", default="binance,kraken-lag,no-window,no-client-id", help="personalities to use")
    parser.add_argument("--long", action="store_true", help="pauses up to 60 s, reads that lag up to 60 s")
    parser.add_argument("--record", action="store_true", help="add a row to docs/evidence.md")
    parser.add_argument("--keep", action="store_true", help="keep the folder with journals, logs and database")
    parser.add_argument("--quiet", action="store_true", help="say nothing but the result")
    options = parser.parse_args()
    options.pauses = max(options.kills // 2, 2) if options.pauses is None else options.pauses
    options.pgkills = max(options.kills // 10, 1) if options.pgkills is None else options.pgkills
    # room to recover in between: whoever is always stopped or down sends nothing, and then nothing is proved
    needed = max(options.kills * 5.0, options.pauses * 8.0 / options.executors, options.pgkills * 10.0, 30.0)
    options.seconds = needed if options.seconds is None else options.seconds
    return options


def _sayer(is_quiet: bool) -> Callable[[str], None]:
    def say(text: str) -> None:
        if not is_quiet:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    return say


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; everything was stopped\n")
        sys.exit(130)
    except HomeError as problem:
        sys.exit(str(problem))
