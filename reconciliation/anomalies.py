"""Turn the owners' notes of what should not have happened into breaks, once each."""

from __future__ import annotations

from datetime import datetime

from orders.models import Anomaly
from project.lib import clock, feed
from reconciliation import breaks, facts
from reconciliation.compare import fingerprint
from reconciliation.models import Break, BreakEvent

BATCH = 500
SIDES: dict[str, tuple[str, str]] = {
    Anomaly.Kind.LATE_FILL: ("the order had ended", "a trade after its end"),
    Anomaly.Kind.OVERFILL: ("the quantity asked for", "more than that was filled"),
    Anomaly.Kind.ILLEGAL_TRANSITION: ("a move this order cannot make", "the venue reports it"),
    Anomaly.Kind.EXTERNAL_ORDER: ("not sent from here", "an order on this account; adopted"),
    Anomaly.Kind.FILL_DIFFERS: ("the trade as booked", "the same trade with other values"),
    Anomaly.Kind.UNREADABLE: ("nothing was changed", "a message that could not be read"),
}


def open_breaks() -> int:
    """Open a break for every anomaly nobody has handled; return how many anomalies were taken in.

    The same anomaly again adds to the history of its unresolved break. Only a person closes these.
    """
    if not Anomaly.objects.filter(handled_at=None).exists():
        return 0
    with feed.transaction():
        waiting = Anomaly.objects.select_for_update(skip_locked=True, of=("self",)).select_related("order", "fill")
        rows = list(waiting.filter(handled_at=None).order_by("seen_at", "id")[:BATCH])
        now = clock.now()
        named = {row.id: fingerprint(row.account_id, row.kind, _subject(row)) for row in rows}
        known = {
            (row.account_id, row.fingerprint): row
            for row in Break.objects.select_for_update()
            .filter(account__in={row.account_id for row in rows}, fingerprint__in=set(named.values()))
            .exclude(status=Break.Status.RESOLVED)
            .order_by("id")
        }
        events = []
        for row in rows:
            key = (row.account_id, named[row.id])
            existing = known.get(key)
            if existing is None:
                known[key] = _open(row, named[row.id], now)
                events.append(breaks.event(known[key], "opened", "reconciliation", {"anomaly": row.id}))
            else:
                events.append(_add(existing, row, now))
        BreakEvent.objects.bulk_create(events)
        Anomaly.objects.filter(id__in=[row.id for row in rows]).update(handled_at=now)
        return len(rows)


def _open(row: Anomaly, name: str, now: datetime) -> Break:
    ours, theirs = _sides(row)
    return Break.objects.create(
        account_id=row.account_id, kind=row.kind, subject=_subject(row), fingerprint=name, status=Break.Status.OPEN,
        asset=facts.base_asset(row.order.symbol) if row.order else "", ours=ours, theirs=theirs, order=row.order,
        fill=row.fill, first_seen_at=row.seen_at, last_seen_at=row.seen_at, opened_at=now, evidence=_evidence(row),
    )  # fmt: skip


def _add(existing: Break, row: Anomaly, now: datetime) -> BreakEvent:
    kind = "seen_again"
    if existing.status == Break.Status.SUSPECTED:
        existing.status, existing.opened_at, kind = Break.Status.OPEN, now, "opened"
    existing.ours, existing.theirs = _sides(row)
    existing.order, existing.fill = existing.order or row.order, existing.fill or row.fill
    existing.seen_count, existing.last_seen_at = existing.seen_count + 1, row.seen_at
    existing.evidence = {**existing.evidence, **_evidence(row)}
    existing.save()
    return breaks.event(existing, kind, "reconciliation", {"anomaly": row.id})


def _subject(row: Anomaly) -> str:
    if row.kind == Anomaly.Kind.FILL_DIFFERS and row.fill:
        return facts.fill_subject(row.fill.symbol, row.fill.venue_trade_id, row.fill.side)
    if row.kind == Anomaly.Kind.EXTERNAL_ORDER and row.order and row.order.venue_order_id:
        return row.order.venue_order_id
    return row.subject


def _sides(row: Anomaly) -> tuple[str, str]:
    ours, theirs = SIDES[row.kind]
    if row.kind == Anomaly.Kind.OVERFILL and row.order:
        return f"quantity {facts.text(row.order.quantity)}", f"filled {facts.text(row.order.filled_quantity)}"
    if row.kind == Anomaly.Kind.ILLEGAL_TRANSITION and "refused_move" in row.data:
        return (row.order.status if row.order else ours), f"{row.data.get('kind', '')}: {row.data['refused_move']}"[
            :200
        ]
    return _told(row, "ours") or ours, _told(row, "theirs") or theirs


def _told(row: Anomaly, side: str) -> str:
    values = row.data.get(side)
    if isinstance(values, dict):
        values = ", ".join(f"{name} {value}" for name, value in values.items())
    return str(values or "")[:200]


def _evidence(row: Anomaly) -> dict[str, object]:
    return {
        "anomaly": row.id,
        "data": row.data,
        "severity": breaks.SEVERITY[row.kind],
        "why": "The owner of the account recorded the venue's own words; they are facts, not a comparison.",
    }
