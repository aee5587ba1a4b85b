"""The comparison of fills without digests: every row of the read beside every fill of its window. What the fast way must equal."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q

from orders.models import Fill
from reconciliation import compare, facts, sides
from reconciliation.models import Break
from venues.models import Snapshot


def fills(snapshot: Snapshot, existing: Iterable[Break] = ()) -> facts.Comparison:
    theirs = [facts.fill_report(row) for row in snapshot.rows]
    stated = {(row.symbol, row.venue_trade_id, row.side) for row in theirs}
    known = [facts.fill_report(row.evidence["theirs"]) for row in existing if row.evidence.get("theirs")]
    theirs += [row for row in known if (row.symbol, row.venue_trade_id, row.side) not in stated]
    own = Fill.objects.filter(account_id=snapshot.account_id)
    asked = Q(symbol__in={row.symbol for row in theirs}, venue_trade_id__in={row.venue_trade_id for row in theirs})
    if snapshot.window_from:
        asked |= Q(executed_at__gte=snapshot.window_from, executed_at__lte=snapshot.taken_at)
    ours = [
        facts.OurFill(
            id=str(fill.id), order_id=str(fill.order_id), symbol=fill.symbol, side=fill.side,
            venue_trade_id=fill.venue_trade_id, price=fill.price, quantity=fill.quantity, fee=fill.fee,
            fee_asset=fill.fee_asset, executed_at=fill.executed_at, recorded_at=fill.recorded_at,
        )
        for fill in own.filter(asked)
    ]  # fmt: skip
    since = snapshot.account.opened_at or snapshot.taken_at
    return compare.compare_fills(sides.reading(snapshot), ours, theirs, since=since)


def told(comparison: facts.Comparison) -> tuple[list[tuple[object, ...]], frozenset[str], frozenset[str]]:
    """Return what a comparison says, in an order of its own."""
    said = [
        (each.kind, each.subject, each.asset, each.ours, each.theirs, each.delta, each.amount, each.fill_id, repr(each.evidence))
        for each in comparison.differences
    ]  # fmt: skip
    return sorted(said, key=repr), comparison.agreed, comparison.skipped
