"""`make stress VENUES=50`: one executor over fifty venues; a steady rate, then ten minutes of faults; judged by the venues' journals."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from tests.chaos import collect, load, plan, settling
from tests.chaos.cluster import ROOT, TIMING, Cluster, running_cluster
from tests.chaos.nemesis import Nemesis
from tests.chaos.venues import Desk
from tests.chaos.verdict import Verdict, judge
from tests.flows.client import wait_for
from tests.stress import fleet, report

READY_SECONDS_MAX = 180.0
DRAINED_SECONDS_MAX = 300.0  # a machine too slow for the rate ends with the rate it had, not without a figure
# So long wait other requests of a key behind one; the same as in venues.adapters.client, which needs Django to be set up.
HELD_SECONDS = 1.0
# A little above what is wanted, so that the client's own waits do not decide.
RATE_ASKED = 310.0
STILL_SECONDS = 180.0
AGREE_SECONDS = 60.0
EXECUTOR = "executor-1"
# Faults strike one venue after another: each has one every twenty seconds or so, and some calm in between.
FAULT_EVERY_SECONDS = 0.4
# No role is stopped here, so nothing needs to be taken over in seconds: leases and reads keep the product's own times.
OURS = {"GAPLESS_NOT_READY_SECONDS": TIMING["GAPLESS_NOT_READY_SECONDS"], "GAPLESS_DEAD_LETTER_SECONDS": "60"}


def main() -> int:
    """Run once. Returns 0 when every promise was kept, 1 otherwise."""
    options = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    facts: dict[str, Any] = {"venues": options.venues}
    with running_cluster(0, OURS, options.keep) as cluster:
        desks = fleet.open_fleet(cluster, options.venues)
        facts["classes"] = Counter(desk.code.rpartition("-")[0] for desk in desks)
        began = time.monotonic()
        cluster.add(EXECUTOR, "executor")
        fleet.wait_until_ready(cluster, desks, READY_SECONDS_MAX)
        facts["ready_seconds"] = time.monotonic() - began
        facts["rss_mib_ready"] = _rss_mib(cluster)
        _say(
            f"{len(desks)} venues ready in {facts['ready_seconds']:.1f} s, executor at {facts['rss_mib_ready']:.0f} MiB"
        )
        facts |= _rate(cluster, options)
        verdict = _storm(cluster, desks, options, facts)
        facts["rss_mib_end"] = _rss_mib(cluster)
        facts |= _by_the_venues(cluster)
    text = report.text(verdict, facts)
    sys.stdout.write(text + "\n")
    if options.record:
        report.record(text)
    return 0 if verdict.is_clean and not report.broken(facts) else 1


def _rate(cluster: Cluster, options: argparse.Namespace) -> dict[str, Any]:
    """Store orders at a steady rate and count what the executor has sent meanwhile."""
    if not options.rate_seconds:
        return {}
    before, cpu_before = _sent(cluster), _cpu_seconds(cluster)
    stored = subprocess.run(
        [sys.executable, "-m", "tests.stress.intake", str(options.rate), str(options.rate_seconds), str(cluster.home)],
        cwd=ROOT, env=cluster.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    at_once = _sent(cluster) - before
    total = int(stored.stdout)
    wait_for("the orders of the rate to be sent", lambda: _sent(cluster) - before >= total, DRAINED_SECONDS_MAX)
    seconds, lag = cluster.sql(
        "SELECT extract(epoch FROM max(a.sent_at) - min(o.created_at)), "
        "percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM a.sent_at - o.created_at)) FROM orders_attempt a "
        "JOIN orders_order o ON o.id = a.order_id WHERE o.client_order_id LIKE 'rate-%%'"
    )[0]
    return {
        "rate_asked": options.rate, "rate_seconds": options.rate_seconds, "rate_stored": total, "rate_sent_in_time": at_once,
        "rate_per_second": total / float(seconds), "rate_lag_seconds_p99": float(lag),
        "rate_cpu_us": (_cpu_seconds(cluster) - cpu_before) / total * 1e6,
    }  # fmt: skip


def _storm(cluster: Cluster, desks: list[Desk], options: argparse.Namespace, facts: dict[str, Any]) -> Verdict:
    """Trade through the API while the venues misbehave; wait for rest; compare with the venues' journals."""
    nemesis = Nemesis(cluster, desks, lambda text: None)
    traders = [fleet.FleetTrader(cluster, desk, options.seed, options.api_rate / len(desks)) for desk in desks]
    size = plan.Size(
        kills=0, pauses=0, postgres_kills=0, load_seconds=options.seconds, executors=1, pause_seconds=(0, 0),
        fault_every_seconds=FAULT_EVERY_SECONDS,
    )  # fmt: skip
    for trader in traders:
        trader.start()
    nemesis.run(plan.make(options.seed, size, [desk.code for desk in desks]), options.seconds)
    nemesis.calm()
    for trader in traders:
        trader.stop()
    while any(trader.is_alive() for trader in traders):
        nemesis.tick()
    _say("calm: no more orders, no more faults")
    moving = settling.wait_until_still(cluster, nemesis, STILL_SECONDS, _say)
    history = load.history(cluster.home, desks)
    refused = settling.settle_as_person(cluster, nemesis, desks, history.attempted, STILL_SECONDS)
    verdict = _judged(cluster, nemesis, desks, history)
    verdict.found["unresolved"] += [f"still under way: {Counter(moving)}"] if moving else []
    verdict.found["proofs_failed"] += [
        f"{' '.join(words)}: {(done.stdout + done.stderr).strip()[-400:]}"
        for words in (("replay", "--check"), ("verify_ledger",), ("verify_audit",))
        if (done := cluster.manage(*words)).returncode
    ]
    for trader in traders:
        verdict.found["answered_otherwise"] += trader.answered_otherwise
    faults = Counter(row["fault"] for desk in desks for row in collect.journal(cluster, desk) if row["kind"] == "fault")
    if not faults:
        verdict.found["proofs_failed"].append("no fault fired: this run proves nothing")
    facts |= {"seconds": options.seconds, "seed": options.seed, "faults": faults, "refused": refused[:5]}
    facts["fell_over"] = nemesis.fell_over
    return verdict


def _judged(cluster: Cluster, nemesis: Nemesis, desks: list[Desk], history: Any) -> Verdict:
    """Judge, and again while the books still follow the venues, for a bounded time."""
    deadline = time.monotonic() + AGREE_SECONDS
    while True:
        verdict = judge(history, collect.product(cluster), [collect.venue(cluster, desk) for desk in desks])
        if verdict.is_clean or time.monotonic() > deadline:
            return verdict
        until = time.monotonic() + 2
        while time.monotonic() < until:
            nemesis.tick()


def _by_the_venues(cluster: Cluster) -> dict[str, Any]:
    """Return what the venues counted against us, and the nonces they refused.

    A nonce is overtaken when the venue held its request back for longer than others wait behind it: a fault of the storm
    holds requests for eight seconds before they are looked at, and a cancel must not wait so long.
    """
    worlds = cluster.paper.control("GET", "worlds")["results"]
    held = f"make_interval(secs => {HELD_SECONDS})"
    nonces = cluster.sql(
        f"SELECT count(*) FILTER (WHERE took <= {held}), count(*) FILTER (WHERE took > {held}) FROM ("
        "SELECT outcome_at - sent_at AS took FROM orders_attempt WHERE code = 'NONCE_REFUSED' UNION ALL "
        "SELECT taken_at - requested_at FROM venues_snapshot WHERE error ILIKE '%%nonce%%') AS refused"
    )
    return {
        "over_limit": sum(world["refused"]["rate_limited"] for world in worlds),
        "bans": sum(world["refused"]["ban"] for world in worlds),
        "nonces_refused": int(nonces[0][0]),
        "nonces_overtaken": int(nonces[0][1]),
    }


def _sent(cluster: Cluster) -> int:
    query = "SELECT count(*) FROM orders_attempt a JOIN orders_order o ON o.id = a.order_id WHERE o.client_order_id LIKE 'rate-%%'"
    return int(cluster.sql(query)[0][0])


def _stat(cluster: Cluster, name: str) -> str:
    process = cluster.slots[EXECUTOR].process
    return Path(f"/proc/{process.pid if process else 0}/{name}").read_text()


def _rss_mib(cluster: Cluster) -> float:
    line = next(line for line in _stat(cluster, "status").splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _cpu_seconds(cluster: Cluster) -> float:
    user, system = _stat(cluster, "stat").rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / 100


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("--venues", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=600, help="length of the storm")
    parser.add_argument("--rate", type=float, default=RATE_ASKED, help="orders a second in the steady part")
    parser.add_argument("--rate-seconds", type=float, default=60)
    parser.add_argument(
        "--api-rate", type=float, default=25, help="requests a second in the storm, all accounts together"
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same plan")
    parser.add_argument("--record", action="store_true", help="write the report to docs/stress.md")
    parser.add_argument("--keep", action="store_true", help="keep the folder with journals, logs and database")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
