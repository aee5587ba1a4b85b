"""What a run says: the figures beside what was wanted, and the page docs/stress.md."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.report import commit
from tests.chaos.verdict import VIOLATIONS, Verdict

PAGE = Path(__file__).resolve().parents[2] / "docs" / "stress.md"
RSS_MIB_MAX, READY_SECONDS_MAX, RATE_WANTED = 500 / 1.048576, 15.0, 300.0
SHOWN = 5
HEAD = """# Fifty venues at once

`make stress VENUES=50` opens an account at each of fifty venues, over every protocol the paper venue speaks and the sibling exchanges of each, all
served by one executor process, and measures and judges three parts: from the start of the executor to the last account ready; a steady rate of
orders through all of them; and a storm of faults (lost, late, cut, empty and refused answers, reads that lag or fail, streams cut, poisoned, thinned and
repeated) while a client trades through the API. The venues limit requests themselves and count who exceeds them. At the end every
acknowledged order, fill and balance is compared with the venues' own journals, without tolerance. This page is written by the run (`ARGS=--record`).
"""


def broken(facts: Mapping[str, Any]) -> list[str]:
    """Return what the venues hold against us."""
    return [name for name in ("over_limit", "bans", "nonces_refused") if facts[name]]


def text(verdict: Verdict, facts: Mapping[str, Any]) -> str:
    """Return the whole page."""
    figures = verdict.figures()
    lines = [
        HEAD,
        f"Commit {commit()}, {datetime.now(UTC):%Y-%m-%d}, seed {facts['seed']}, {platform.machine()}, two cores, Python "
        f"{platform.python_version()}; everything, the venues included, on this machine.\n",
        "| figure | seen | wanted |\n|---|---|---|",
        f"| venues, live connections over {len(facts['classes'])} exchanges | {facts['venues']} | 50 |",
        f"| executor started to all ready | {facts['ready_seconds']:.1f} s | ≤ {READY_SECONDS_MAX:.0f} s |",
        f"| executor memory, ready | {facts['rss_mib_ready']:.0f} MiB | ≤ {RSS_MIB_MAX:.0f} MiB |",
        f"| executor memory, at the end | {facts['rss_mib_end']:.0f} MiB | |",
    ]
    if "rate_asked" in facts:
        lines += [
            f"| orders stored at {facts['rate_asked']:.0f}/s for {facts['rate_seconds']:.0f} s | {facts['rate_stored']:,} | |",
            f"| of these sent before the last was stored | {facts['rate_sent_in_time']:,} | all but the last moment's |",
            f"| rate until all were sent | {facts['rate_per_second']:.0f}/s | ≥ {RATE_WANTED:.0f}/s |",
            f"| stored to sent, p99 | {facts['rate_lag_seconds_p99'] * 1000:.0f} ms | |",
            f"| executor CPU per order, streams and reads included | {facts['rate_cpu_us']:.0f} µs | |",
        ]
    lines += [
        f"| storm | {facts['seconds']:.0f} s, {sum(facts['faults'].values()):,} faults fired | 600 s |",
        f"| requests over a venue's limit, by its own count | {facts['over_limit']} | 0 |",
        f"| bans | {facts['bans']} | 0 |",
        f"| nonces refused | {facts['nonces_refused']} | 0 |",
        f"| nonces overtaken while the venue held their request for seconds (known as not sent) | {facts['nonces_overtaken']} | |",
        *(
            f"| {name.replace('_', ' ')} | {count:,} | {'0' if name in VIOLATIONS else ''} |"
            for name, count in figures.items()
        ),
        "",
        "Exchanges: " + ", ".join(f"{name} × {count}" for name, count in sorted(facts["classes"].items())) + ".\n",
        "Faults: " + ", ".join(f"{name} {count}" for name, count in sorted(facts["faults"].items())) + ".",
    ]
    for name, items in verdict.found.items():
        lines += [f"\n{name}: {item}" for item in items[:SHOWN]]
    lines += [f"\nnote: {note}" for note in (*facts["refused"], *facts["fell_over"])]
    return "\n".join(lines)


def record(page: str) -> None:
    """Write the page."""
    PAGE.write_text(page + "\n")
