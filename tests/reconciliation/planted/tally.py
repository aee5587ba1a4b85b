"""What became of every planted difference: counted from the moment it is planted, so that none is forgotten; as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.chaos import report

HEAD = ("kind", "at", "planted", "found", "right class", "false alarms", "rows after the third look", "slowest, s")
HONEST = "honest trading"
BEGIN, END = "<!-- planted: written by `--record` -->", "<!-- planted: end -->"


@dataclass
class Planted:
    """One planted difference; what is not written into it did not happen."""

    exchange: str
    is_found: bool = False
    is_right: bool = False
    false_alarms: int = 0
    seconds: float | None = None
    rows_after: int | None = None

    @property
    def is_good(self) -> bool:
        """Whether it was found in time, in the right class, alone, and stayed one row however often one looked."""
        return self.is_found and self.is_right and not self.false_alarms and self.rows_after == 1


@dataclass
class Honest:
    """One account that traded honestly: how many looks were taken at it, and what was opened all the same."""

    exchange: str
    looks: int = 0
    false_alarms: int = 0
    is_whole: bool = False


@dataclass
class Tally:
    """Everything one run planted, by kind, and the accounts where nothing was planted."""

    commit: str = field(default_factory=report.commit)  # the one that was loaded, whatever is committed meanwhile
    planted: dict[str, list[Planted]] = field(default_factory=dict)
    honest: list[Honest] = field(default_factory=list)

    def plant(self, kind: str, exchange: str) -> Planted:
        """Count a difference before it is planted."""
        made = Planted(exchange)
        self.planted.setdefault(kind, []).append(made)
        return made

    def trade(self, exchange: str) -> Honest:
        """Count an account where nothing is planted."""
        self.honest.append(Honest(exchange))
        return self.honest[-1]

    @property
    def is_clean(self) -> bool:
        """Whether everything planted was found as it should be, and nothing else."""
        everything = [each for rows in self.planted.values() for each in rows]
        quiet = all(each.is_whole and not each.false_alarms for each in self.honest)
        return quiet and bool(everything) and all(each.is_good for each in everything)

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table: a row per kind, one for all, one for honest trading."""
        found = [_row(kind, rows) for kind, rows in self.planted.items()]
        if len(found) > 1:
            found.append(_row("all", [each for rows in self.planted.values() for each in rows]))
        if self.honest:
            looks = sum(each.looks for each in self.honest)
            alarms = sum(each.false_alarms for each in self.honest)
            found.append((f"{HONEST}, {looks} looks", _places(self.honest), "0", "", "", str(alarms), "0", ""))
        return found

    def text(self) -> str:
        """Return the table for a terminal."""
        rows = [HEAD, *self.rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
        return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)

    def record(self, seeds: int) -> None:
        """Write the table into docs/evidence.md, in the place of the one before."""
        said = "nothing failed" if self.is_clean else "NOT all of it as it should be"
        lines = [
            f"Commit {self.commit}, {datetime.now(UTC):%Y-%m-%d}, {seeds} seeds a kind: {said}.", "",
            "| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD), *("| " + " | ".join(row) + " |" for row in self.rows()),
        ]  # fmt: skip
        report.replace_between(BEGIN, END, "\n".join(lines))


def _row(kind: str, rows: list[Planted]) -> tuple[str, ...]:
    slowest = [each.seconds for each in rows if each.seconds is not None]
    return (
        kind, _places(rows), str(len(rows)), str(sum(each.is_found for each in rows)), str(sum(each.is_right for each in rows)),
        str(sum(each.false_alarms for each in rows)), str(sum(each.rows_after or 0 for each in rows)),
        f"{max(slowest):g}" if slowest else "",
    )  # fmt: skip


def _places(rows: list[Planted] | list[Honest]) -> str:
    exchanges = {each.exchange for each in rows}
    return f"{len(exchanges)} exchanges" if len(exchanges) > 2 else ", ".join(sorted(exchanges))


TALLY = Tally()
