"""What a run against real processes says: everything planted is one open break of its class, and nothing else was opened."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.chaos import report
from tests.reconciliation.planted.accounts import Sown

BREAKS = (
    "id", "account", "kind", "subject", "asset", "status", "ours", "theirs", "delta", "was_open", "openings",
)  # fmt: skip
SHOWN = 12
HEADER = "| commit | date | seed | quiet minutes |"


@dataclass
class Kind:
    """One kind of difference: how many were planted, what became of them."""

    planted: int = 0
    found: int = 0
    right: int = 0
    rows: int = 0


@dataclass
class Verdict:
    """What one run found."""

    kinds: dict[str, Kind] = field(default_factory=lambda: defaultdict(Kind))
    facts: dict[str, Any] = field(default_factory=dict)
    activity: dict[str, dict[str, int]] = field(default_factory=dict)
    quiet_rows: set[str] = field(default_factory=set)
    false_alarms: list[str] = field(default_factory=list)
    false_alarms_later: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    new_rows: int = 0

    @staticmethod
    def query() -> str:
        """Return the query for every break, with how often its history says that it was opened."""
        return (
            "SELECT b.id::text, account_id, b.kind, subject, asset, status, ours, theirs, delta, opened_at IS NOT NULL, "
            "(SELECT count(*) FROM reconciliation_breakevent e WHERE e.discrepancy_id = b.id AND e.kind = 'opened') "
            "FROM reconciliation_break b ORDER BY first_seen_at, b.id"
        )

    @property
    def is_clean(self) -> bool:
        """Whether nothing is missing, wrong, double or too much."""
        everything = all(each.planted == each.found == each.right == each.rows for each in self.kinds.values())
        return everything and not (self.false_alarms or self.false_alarms_later or self.problems or self.new_rows)

    def total(self) -> Kind:
        """Return the sum over all kinds."""
        rows = self.kinds.values()
        return Kind(
            sum(row.planted for row in rows), sum(row.found for row in rows), sum(row.right for row in rows),
            sum(row.rows for row in rows),
        )  # fmt: skip

    def text(self) -> str:
        """Return the verdict for a terminal."""
        lines = [f"quiet for {self.facts.get('quiet seconds', 0)} s"]
        lines += [f"  {code:10} {done}" for code, done in self.activity.items()]
        lines += [
            f"  opened (false alarms): {len(self.false_alarms)}",
            f"  suspected and gone by themselves: {len(self.vanished)}",
        ]
        lines += [f"    {each}" for each in self.vanished[:SHOWN]]
        if self.undecided:
            lines += [f"  suspected when the time was over: {len(self.undecided)}"]
        lines.append(
            f"{'kind':20} planted  found  right class  rows after {self.facts.get('looks again', 0)} looks more"
        )
        for name, row in [*sorted(self.kinds.items()), ("all", self.total())]:
            lines.append(f"{name:20} {row.planted:7}  {row.found:5}  {row.right:11}  {row.rows:10}")
        lines.append(
            f"kills of the comparing process: {self.facts.get('kills')} ({self.facts.get('kills at the failpoint')} at its failpoint)"
        )
        lines.append(
            f"new rows after the looks: {self.new_rows}; false alarms while differences stood: {len(self.false_alarms_later)}"
        )
        for name, items in (
            ("false alarm", self.false_alarms), ("false alarm later", self.false_alarms_later), ("problem", self.problems),
        ):  # fmt: skip
            lines += [f"{name}: {item[:600]}" for item in items[:SHOWN]]
        lines.append("CLEAN" if self.is_clean else "NOT CLEAN")
        return "\n".join(lines)

    def record(self, seed: int) -> None:
        """Add the run as one row to docs/evidence.md."""
        sums, kills = self.total(), self.facts["kills"]
        report.add_row(HEADER, [
            self.facts["commit"], f"{datetime.now(UTC):%Y-%m-%d}", seed, round(self.facts["quiet seconds"] / 60, 1),
            *(sum(done[kind] for done in self.activity.values()) for kind in ("accepted", "filled", "cancelled")),
            len(self.false_alarms), len(self.vanished), f"{kills} ({self.facts['kills at the failpoint']})",
            sums.planted, sums.found, sums.right, sums.rows, self.new_rows, len(self.false_alarms_later),
            len(self.problems), self.facts["seconds"],
        ])  # fmt: skip


def judge(verdict: Verdict, sown: Iterable[Sown], breaks: Iterable[dict[str, Any]], known: set[str]) -> None:
    """Tell for each planted difference what became of it, and name every break that nobody planted."""
    rows = [row for row in breaks if row["id"] not in known and row["was_open"]]
    claimed: Counter[str] = Counter()
    for each in sown:
        about = [row for row in rows if each.is_about(row)]
        claimed.update(row["id"] for row in about)
        kind = verdict.kinds[each.name]
        kind.planted += 1
        kind.found += any(row["status"] == "open" for row in about)
        kind.right += len(about) == 1 and about[0]["kind"] in each.kinds
        kind.rows += len(about)
        if (
            len(about) != 1
            or about[0]["kind"] not in each.kinds
            or about[0]["status"] != "open"
            or about[0]["openings"] != 1
        ):
            told = [(row["kind"], row["subject"], row["status"], row["openings"]) for row in about]
            verdict.problems.append(f"{each.name} at {each.account} is {told or 'not found'}")
    verdict.problems += [f"break {name} is {count} differences at once" for name, count in claimed.items() if count > 1]
    verdict.false_alarms_later = [
        f"{row['account']} {row['kind']} {row['subject']}: ours {row['ours']}, theirs {row['theirs']}"
        for row in rows
        if row["id"] not in claimed
    ]
