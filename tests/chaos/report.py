"""What a run says at its end: a table for people, one line of JSON for machines, one row for docs/evidence.md."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.plan import FAILPOINTS
from tests.chaos.verdict import VIOLATIONS, Verdict

ROOT = Path(__file__).resolve().parents[2]
EVIDENCE = ROOT / "docs" / "evidence.md"
SHOWN = 8


def commit() -> str:
    """Return the commit under test, with a mark when the tree differs from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if changed else "")


def table(verdict: Verdict, facts: Mapping[str, Any]) -> str:
    """Return the figures, the coverage and the first violations of each kind."""
    lines = ["", "what went wrong on purpose"]
    for name in ("kills at random", "kills at failpoints", "pauses", "postgres kills", "faults fired"):
        lines.append(f"  {name:28} {facts[name]:>8}")
    lines.append("verdict")
    for name, count in verdict.figures().items():
        mark = "" if name not in VIOLATIONS else "ok" if not count else "VIOLATION"
        lines.append(f"  {name:28} {count:>8}  {mark}")
    lines.append("coverage")
    fired: Mapping[str, int] = facts["failpoints"]
    lines.append("  failpoints  " + " ".join(f"{point}={fired.get(point, 0)}" for point in FAILPOINTS))
    lines.append("  faults      " + " ".join(f"{name}={count}" for name, count in sorted(facts["faults"].items())))
    lines.append("  venues      " + "; ".join(facts["venues"]))
    lines += [f"  note        {note}" for note in facts["notes"]]
    for name, items in verdict.found.items():
        lines += [f"{name}: {item}" for item in items[:SHOWN]]
        if len(items) > SHOWN:
            lines.append(f"{name}: and {len(items) - SHOWN} more")
    return "\n".join(lines)


def machine_line(verdict: Verdict, facts: Mapping[str, Any]) -> str:
    """Return everything as one line of JSON."""
    return json.dumps({**facts, "verdict": verdict.figures(), "clean": verdict.is_clean}, sort_keys=True)


def record(verdict: Verdict, facts: Mapping[str, Any]) -> None:
    """Add the run as one row to docs/evidence.md."""
    found = verdict.figures()
    violations = sum(found[name] for name in VIOLATIONS if name not in ("lost", "duplicated", "wrong", "unresolved"))
    cells = [
        facts["commit"], f"{datetime.now(UTC):%Y-%m-%d}", facts["seed"],
        f"{facts['kills at random'] + facts['kills at failpoints']} ({facts['kills at failpoints']})", facts["pauses"],
        facts["postgres kills"], facts["faults fired"], found["attempted"], found["acked"], found["ok"], found["recovered"],
        found["lost"], found["duplicated"], found["wrong"], found["unresolved"], found["stale_accepts"], violations,
        found["settled_by_evidence"], found["settled_by_person"], facts["seconds"],
    ]  # fmt: skip
    add_row("| commit | date | seed | kills", cells)


def add_row(header: str, cells: Sequence[object]) -> None:
    """Add a row to the end of the table in docs/evidence.md whose header begins so. Raises StopIteration without one."""
    lines = EVIDENCE.read_text().split("\n")
    last = next(number for number, line in enumerate(lines) if line.startswith(header))
    while last + 1 < len(lines) and lines[last + 1].startswith("|"):
        last += 1
    lines.insert(last + 1, "| " + " | ".join(str(cell) for cell in cells) + " |")
    EVIDENCE.write_text("\n".join(lines))


def replace_between(begin: str, end: str, text: str) -> None:
    """Put a text between two marks of docs/evidence.md. Raises ValueError when a mark is missing."""
    page = EVIDENCE.read_text()
    before, after = page.index(begin) + len(begin), page.index(end)
    EVIDENCE.write_text(f"{page[:before]}\n\n{text}\n\n{page[after:]}")
