"""Symbols and assets that a venue names and none of its markets, as we read them, knows: named, never guessed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from django.db.models import Q

from reconciliation import differences as make
from reconciliation import facts
from reconciliation.models import Break
from venues.models import Instrument, Snapshot, Surface

BY_ASSET = (Surface.BALANCES, Surface.TRANSFERS)


def name_them(snapshot: Snapshot, found: facts.Comparison, existing: Iterable[Break]) -> facts.Comparison:
    """Return a comparison in which rows about something unknown are named as such.

    Every row of orders, trades and positions is looked at; of balances only what differs, since an asset that our books
    have held from the start is no news. A balance of an unknown asset is one difference, not two.
    """
    if snapshot.account.venue.markets_loaded_at is None:
        return found  # without a list of markets nothing can be called unknown
    surface = Surface(snapshot.surface)
    known_breaks = [row for row in existing if row.kind == Break.Kind.UNMAPPED]
    if surface in BY_ASSET:
        differing = {each.asset: each for each in found.differences if each.kind == Break.Kind.BALANCE}
        names = set(differing)
    else:
        differing, names = {}, {str(row.get("symbol") or "") for row in snapshot.rows} - {""}
    asked = names | {str(row.evidence.get("name", "")) for row in known_breaks}
    if not asked:
        return found
    known = _known(snapshot.account.venue_id, asked, by_asset=surface in BY_ASSET)
    unknown = sorted(names - known)
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in snapshot.rows:
        told[str(row.get("asset" if surface in BY_ASSET else "symbol") or "")].append(row)
    named = [
        make.unmapped(name, surface, told[name], differing[name].delta if name in differing else None)
        for name in unknown
    ]
    kept = [each for each in found.differences if each.kind != Break.Kind.BALANCE or each.asset not in unknown]
    # A row that is no longer listed is not known any better: only a market that knows it, or a total that agrees, ends it.
    mapped = {row.subject for row in known_breaks if row.evidence.get("name") in known}
    waiting = {
        row.subject for row in known_breaks if surface not in BY_ASSET or row.evidence.get("name") in found.skipped
    } - mapped
    return replace(
        found, differences=(*kept, *named), agreed=found.agreed | mapped, undecided=found.undecided | waiting
    )


def _known(venue: str, names: set[str], *, by_asset: bool) -> set[str]:
    markets = Instrument.objects.filter(venue_id=venue, unmapped_reason="")
    if not by_asset:
        return set(markets.filter(symbol__in=names).values_list("symbol", flat=True))
    rows = markets.filter(Q(base__in=names) | Q(quote__in=names) | Q(settle__in=names))
    return {asset for row in rows.values_list("base", "quote", "settle").distinct() for asset in row} & names
