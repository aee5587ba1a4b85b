"""Turn the owners' notes of what should not have happened into breaks, once each."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation

from orders import valuation
from orders.models import Anomaly
from orders.valuation import Price
from project.lib import clock, feed, symbols
from reconciliation import breaks, facts, severity, workflow
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
    Anomaly.Kind.DELAYED_FILL: ("listening when it traded", "a trade told ten seconds late or later"),
    Anomaly.Kind.ACKNOWLEDGED_THEN_DENIED: ("the order was acknowledged", "no such order"),
    Anomaly.Kind.STREAM_DIFFERS: ("the stream was live", "a trade that only REST tells"),
    Anomaly.Kind.THROTTLED_IN_MOVE: ("within our budget", "slowed down while the price moved"),
}


def open_breaks() -> int:
    """Open a break for every anomaly nobody has handled; return how many anomalies were taken in.

    The same anomaly again adds to the history of its unresolved break. Only a person closes these.
    """
    waiting = Anomaly.objects.filter(handled_at=None, kind__in=SIDES)
    if not waiting.exists():
        return 0
    with feed.transaction():
        locked = waiting.select_for_update(no_key=True, skip_locked=True, of=("self",)).select_related("order", "fill")
        rows = list(locked.order_by("seen_at", "id")[:BATCH])
        now = clock.now()
        prices = _prices(rows)
        named = {row.id: fingerprint(row.account_id, *_name(row)) for row in rows}
        known = {
            (row.account_id, row.fingerprint): row
            for row in Break.objects.select_for_update(no_key=True)
            .filter(account__in={row.account_id for row in rows}, fingerprint__in=set(named.values()))
            .exclude(status=Break.Status.RESOLVED)
            .order_by("id")
        }
        events = []
        for row in rows:
            key = (row.account_id, named[row.id])
            existing = known.get(key)
            if existing is None:
                known[key] = _open(row, named[row.id], now, prices)
                events.append(breaks.event(known[key], "opened", "reconciliation", {"anomaly": row.id}))
            else:
                events.append(_add(existing, row, now))
        BreakEvent.objects.bulk_create(events)
        Anomaly.objects.filter(id__in=[row.id for row in rows]).update(handled_at=now)
        return len(rows)


def _open(row: Anomaly, name: str, now: datetime, prices: dict[str, Price]) -> Break:
    ours, theirs = _sides(row)
    verdict = severity.of_amount(_kind(row), *_stake(row), prices)
    found = Break(
        account_id=row.account_id, kind=_kind(row), subject=_subject(row), fingerprint=name, status=Break.Status.OPEN,
        asset=_asset(row), ours=ours, theirs=theirs, order=row.order,
        fill=row.fill, first_seen_at=row.seen_at, last_seen_at=row.seen_at, opened_at=now, severity=verdict.level,
        severity_usd=verdict.usd, economic_at=row.fill.executed_at if row.fill else None,
        stream=_streamed(row), evidence={**_evidence(row), "severity": verdict.level, "price": verdict.price},
    )  # fmt: skip
    found.due_at = breaks.due_at(found)
    breaks.count_recurrence(row.account_id, [found])
    found.save(force_insert=True)
    return found


def _add(existing: Break, row: Anomaly, now: datetime) -> BreakEvent:
    kind = "seen_again"
    if existing.status == Break.Status.SUSPECTED:
        existing.status, existing.opened_at, kind = workflow.moved(existing.status, Break.Status.OPEN), now, "opened"
    before, (existing.ours, existing.theirs) = (existing.ours, existing.theirs), _sides(row)
    if (existing.ours, existing.theirs) != before:
        existing.snoozed_until, existing.version = None, existing.version + 1
    existing.stream = _streamed(row) or existing.stream
    existing.order, existing.fill = existing.order or row.order, existing.fill or row.fill
    existing.asset = existing.asset or _asset(row)  # a comparison saw the order first, which only its adoption names
    existing.seen_count, existing.last_seen_at = existing.seen_count + 1, row.seen_at
    existing.evidence = {**existing.evidence, **_evidence(row)}
    existing.save()
    return breaks.event(existing, kind, "reconciliation", {"anomaly": row.id})


def _kind(row: Anomaly) -> str:
    """Return the kind of break: a trade told again with another fee alone is one of its own, as comparisons have it."""
    ours, theirs = row.data.get("ours"), row.data.get("theirs")
    if row.kind == Anomaly.Kind.FILL_DIFFERS and isinstance(ours, dict) and isinstance(theirs, dict):
        figures = (_numbers(ours), _numbers(theirs))
        mine, other = ({**told, **known} for told, known in zip((ours, theirs), figures, strict=True))
        differing = {name for name in mine if mine[name] != other.get(name)}  # by value: 0.10 is 0.1
        if differing and differing <= facts.FEE_FIELDS:
            return Break.Kind.FEE_DIFFERS
    return row.kind


def _name(row: Anomaly) -> tuple[str, str, str]:
    """Return kind, subject and asset as a comparison names the same difference."""
    kind = _kind(row)
    if row.fill and kind in (Break.Kind.FILL_DIFFERS, Break.Kind.FEE_DIFFERS):
        fee = row.fill.fee_asset if kind == Break.Kind.FEE_DIFFERS else facts.base_asset(row.fill.symbol)
        return kind, _subject(row), fee
    return kind, _subject(row), ""


def _asset(row: Anomaly) -> str:
    """Return the asset an anomaly is about, by which lists are filtered; it may be known though no name has it."""
    return _name(row)[2] or (facts.base_asset(row.order.symbol) if row.order else "")


def _stake(row: Anomaly) -> tuple[str, Decimal | None]:
    """Return what is at stake: filled too much, a trade after its order's end, or how far two tellings are apart."""
    if row.kind == Anomaly.Kind.OVERFILL and row.order:
        return facts.traded_asset(row.order.symbol), row.order.filled_quantity - row.order.quantity
    if row.fill is None:
        return "", None
    parts = symbols.split(row.fill.symbol)
    if row.kind == Anomaly.Kind.LATE_FILL:
        return parts.quote, parts.notional(row.fill.quantity, row.fill.price)
    told = _numbers(row.data.get("theirs"))
    if _kind(row) == Break.Kind.FEE_DIFFERS and "fee" in told:
        return row.fill.fee_asset, told["fee"] - row.fill.fee
    if row.kind == Anomaly.Kind.FILL_DIFFERS and {"price", "quantity"} <= told.keys():
        gap = parts.notional(told["quantity"], told["price"]) - parts.notional(row.fill.quantity, row.fill.price)
        return parts.quote, gap
    return "", None


def _numbers(told: object) -> dict[str, Decimal]:
    """Return the figures of a trade as it was told, those that are numbers."""
    found = {}
    for name, value in told.items() if isinstance(told, dict) else ():
        try:
            found[name] = Decimal(str(value))
        except InvalidOperation:
            continue
    return {name: value for name, value in found.items() if value.is_finite()}


def _prices(rows: list[Anomaly]) -> dict[str, Price]:
    assets = {asset for asset, amount in map(_stake, rows) if amount is not None}
    return valuation.prices_usd(assets) if assets else {}


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


def _streamed(row: Anomaly) -> str:
    # Where the owner took the fact from the stream itself, what it said is what the venue said.
    is_streamed = row.data.get("source") == "stream" or (row.fill is not None and row.fill.source == "stream")
    return _sides(row)[1] if is_streamed else ""


def _told(row: Anomaly, side: str) -> str:
    values = row.data.get(side)
    if isinstance(values, dict):
        values = ", ".join(f"{name} {value}" for name, value in values.items())
    return str(values or "")[:200]


def _evidence(row: Anomaly) -> dict[str, object]:
    return {
        "anomaly": row.id,
        "data": row.data,
        "why": "The owner of the account recorded the venue's own words; they are facts, not a comparison.",
    }
