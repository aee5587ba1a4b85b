"""What people decided about venues' answers, as an executor holds it: replaced whole, read without a query. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from venues.facts.shapes import Cause, Decided, Row, Verdict, not_executed, rejected

Ruling = Literal[
    "definitive_reject", "not_sent", "ambiguous", "rate_limited", "banned_until", "auth", "maintenance"
]  # fmt: skip
ANY = "any"


class Rulebook:
    """The decisions in force. Those for one venue are tried before those for its family, the newest first."""

    def __init__(self, decided: Iterable[Decided] = ()) -> None:
        self._rows: dict[tuple[str, str, str], tuple[Row, ...]] = {}
        self.replace(decided)

    def replace(self, decided: Iterable[Decided]) -> None:
        """Take these decisions, newest first, instead of all there were."""
        rows: dict[tuple[str, str, str], tuple[Row, ...]] = {}
        for one in decided:
            key = (one.family, one.venue, one.action)
            rows[key] = (*rows.get(key, ()), one.row)
        self._rows = rows

    def rows(self, family: str, venue: str, action: str) -> tuple[Row, ...]:
        """Return the rows for an action at a venue, in the order in which they are tried."""
        if not self._rows:
            return ()
        keys = ((family, venue, action), (family, venue, ANY), (family, "", action), (family, "", ANY))
        return tuple(row for key in keys for row in self._rows.get(key, ()))


def verdict_of(ruling: Ruling, code: str, *, is_transient: bool, cause: Cause) -> Verdict:
    """Return what a person's ruling means for an order. None of them can mean that it was accepted."""
    if ruling == "ambiguous":
        return Verdict("unknown", code, cause=cause)
    if ruling in ("definitive_reject", "auth"):
        return rejected(code)._replace(category="auth" if ruling == "auth" else "", cause=cause)
    if ruling == "not_sent":
        return Verdict("not_sent", code, transient=is_transient, cause=cause)
    if ruling == "banned_until":
        return not_executed(code, "banned")
    return not_executed(code, "rate_limited" if ruling == "rate_limited" else "maintenance")
