"""What the conformance kit found about the facts of an exchange: kept as rows, the newest finding of each fact stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from project.lib import clock
from venues.matrix import Proof
from venues.models import ProvedFact, Venue

DETAIL_CHARACTERS_MAX = 200


def keep(venue: Venue, findings: Iterable[tuple[str, bool, str]], at: datetime | None = None) -> None:
    """Keep findings (name of a fact, whether it held, a few words) made at a venue, in place of the former ones."""
    rows = [
        ProvedFact(
            exchange=venue.exchange, fact=fact, venue=venue.code, holds=holds, detail=detail[:DETAIL_CHARACTERS_MAX],
            at=at or clock.now(),
        )
        for fact, holds, detail in findings
    ]  # fmt: skip
    ProvedFact.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["exchange", "fact"],
        update_fields=["venue", "holds", "detail", "at"],
    )  # fmt: skip


def recorded(exchanges: Iterable[str] | None = None) -> Mapping[str, Mapping[str, Proof]]:
    """Return every finding by exchange and fact, of some exchanges or of all; one query."""
    rows = ProvedFact.objects.all() if exchanges is None else ProvedFact.objects.filter(exchange__in=list(exchanges))
    found: dict[str, dict[str, Proof]] = {}
    for row in rows:
        found.setdefault(row.exchange, {})[row.fact] = Proof(row.holds, row.at, row.venue, row.detail)
    return found
