"""Append an event and move the order: the ONLY writer of order state. Facts are stored first and judged after."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from django.db import connection
from django.db.models import Sum

from orders import doubts, ledger, states
from orders.models import Anomaly, Fill, Order, OrderEvent
from orders.states import Mutation, Status
from project.lib import clock, decimals, feed
from venues.messages import FillReport, OrderReport

ZERO = Decimal(0)
ONCE_PER = timedelta(hours=1)
Applied = Literal["applied", "stale", "needs_fills", "illegal"]
_REPORTED = {"open": Status.OPEN, "cancelled": Status.CANCELLED, "expired": Status.EXPIRED, "rejected": Status.REJECTED}


def lock(order_id: uuid.UUID) -> Order:
    """Return the order, locked until the transaction ends."""
    return Order.objects.select_for_update().get(pk=order_id)


def open_order(order: Order, *, verdict: Status, code: str = "", message: str = "", kind: str = "") -> Order:
    """Insert a new order with its first events: received, then queued or denied (or the state an external one has)."""
    now = clock.now()
    order.status, order.reason_code, order.reason_message, order.version = verdict, code, message, 2
    order.created_at = order.updated_at = now
    order.save(force_insert=True)
    first = _next_sequence(order.account_id, 2)  # after the row: everybody locks orders before the account's counter
    body = {"code": code, "message": message} if code else {}
    received = {"side": order.side, "type": order.type, "quantity": decimals.write(order.quantity)}
    OrderEvent.objects.bulk_create(
        [
            _event(order, first, "received", "", Status.RECEIVED, received, order.source or "venue", now, None, now),
            _event(order, first + 1, kind or verdict, Status.RECEIVED, verdict, body, "intake", now, None, now),
        ]
    )
    _announce(order, kind or verdict)
    return order


def record(
    order: Order,
    kind: str,
    *,
    source: str,
    received_at: datetime,
    to: Status | None = None,
    mutation: Mutation | None = None,
    occurred_at: datetime | None = None,
    code: str | None = None,
    message: str = "",
    venue_code: str = "",
    venue_order_id: str | None = None,
    data: dict[str, Any] | None = None,
) -> bool:
    """Append one event to a locked order and move it where the table allows.

    An illegal move is stored as an event of its own and as an anomaly, and changes nothing; returns False then.
    """
    before, details = Status(order.status), doubts.storable(data or {})
    message, venue_code = doubts.storable(message), doubts.storable(venue_code)
    if to is not None and to != before and not states.may_follow(before, to):
        details |= {"refused_move": to, "kind": kind}
        if note_anomaly(order.account_id, Anomaly.Kind.ILLEGAL_TRANSITION, str(order.id), order=order, data=details):
            _append(order, "illegal_transition", before, details, source, received_at, occurred_at)
        return False
    if to is not None and to != before and order.reason_code:
        code = code or ""  # a reason explains one status; leaving it must not leave "never accepted" on a live order
    if to is not None:
        order.status = to
    if to in states.TERMINAL:
        mutation = Mutation.NONE
    if mutation is not None and mutation != order.mutation:
        order.mutation = mutation
        details["mutation"] = mutation
    if code is not None:
        order.reason_code, order.reason_message, order.reason_venue_code = code, message[:500], venue_code[:64]
        details |= {"code": code, "message": message, "venue_code": venue_code}
    if venue_order_id and not order.venue_order_id and _is_free(order, venue_order_id):
        order.venue_order_id = venue_order_id
        details["venue_order_id"] = venue_order_id
    _append(order, kind, before, details, source, received_at, occurred_at)
    return True


def begin_submit(order: Order, *, attempt: str, epoch: int) -> None:
    """Move a queued order to sending, in the transaction that commits its attempt."""
    order.submit_tries += 1
    record(order, "sending", source="executor", received_at=clock.now(), to=Status.SENDING,
           data={"attempt": attempt, "epoch": epoch, "try": order.submit_tries})  # fmt: skip


def apply_report(
    order: Order, report: OrderReport, *, source: str, received_at: datetime, is_final: bool = False
) -> Applied:
    """Apply a venue's statement about a locked order.

    `needs_fills` means the venue claims more filled than is booked: fetch the fills, then apply again;
    is_final applies it all the same.
    """
    if report.venue_order_id and order.venue_order_id and report.venue_order_id != order.venue_order_id:
        data = {"ours": order.venue_order_id, "theirs": report.venue_order_id, "status": report.status}
        note_anomaly(order.account_id, Anomaly.Kind.ILLEGAL_TRANSITION, str(order.id), order=order, data=data)
        return "illegal"
    if order.status in {Status.SENDING, Status.UNKNOWN, Status.DENIED}:
        evidence = [
            {"source": source, "at": received_at.isoformat(), "answer": f"the venue reports it {report.status}"}
        ]
        doubts.settle(order, "accepted", action="submit", actor="executor", rows=evidence)
    if report.status == "filled" or (
        (report.filled_quantity or ZERO) > order.filled_quantity and report.status != "open" and not is_final
    ):
        return _note_claim(order, report, source, received_at)
    to = _REPORTED[report.status]
    if to == Status.OPEN and order.filled_quantity > 0:
        to = Status.PARTIALLY_FILLED
    if to == order.status or (
        states.is_stale(Status(order.status), to) and order.status not in {Status.DENIED, Status.REJECTED}
    ):
        return _learn_id(order, report, source, received_at)
    settled = to in states.TERMINAL
    moved = record(
        order, to.value, source=source, received_at=received_at, to=to, occurred_at=report.occurred_at,
        venue_order_id=report.venue_order_id, code=_code(report, to), message=report.reason,
    )  # fmt: skip
    if settled and moved:
        doubts.settle(order, to.value, action="cancel", actor="executor", rows=[])
    return "applied" if moved else "illegal"


def apply_fill(order: Order, report: FillReport, *, source: str, received_at: datetime) -> Fill | None:
    """Book a trade once, on a locked order in whatever status: aggregates, ledger, position, event in one go.

    Returns the new fill, or None when it was booked before.
    """
    _, quote = ledger.assets_of(report.symbol)
    fill = Fill(
        order=order, account_id=order.account_id, symbol=report.symbol, side=report.side, price=report.price,
        quantity=report.quantity,
        quote_quantity=decimals.quantise(report.price * report.quantity if report.quote_quantity is None else report.quote_quantity),
        fee=report.fee, fee_asset=report.fee_asset or quote, liquidity=report.liquidity,
        venue_trade_id=report.venue_trade_id, venue_order_id=report.venue_order_id, source=source,
        executed_at=report.occurred_at or received_at,
    )  # fmt: skip
    booked = Fill.objects.filter(
        account_id=order.account_id, symbol=report.symbol, venue_trade_id=report.venue_trade_id, side=report.side
    ).first()
    if booked:
        _compare_with_booked(booked, fill)
        return None
    fill.save(force_insert=True)
    totals = Fill.objects.filter(order=order).aggregate(quantity=Sum("quantity"), value=Sum("quote_quantity"))
    before = Status(order.status)
    is_late = before in states.TERMINAL - {Status.FILLED} and _is_late(order, fill)
    order.filled_quantity, order.filled_value = totals["quantity"], totals["value"]
    to = _status_after_fill(order, before, is_late)
    if before in {Status.SENDING, Status.UNKNOWN, Status.DENIED}:
        row = {"source": source, "at": received_at.isoformat(), "answer": f"trade {fill.venue_trade_id} of this order"}
        doubts.settle(order, "accepted", action="submit", actor="executor", rows=[row])
    data = {
        "fill": str(fill.id), "venue_trade_id": fill.venue_trade_id, "quantity": decimals.write(fill.quantity),
        "price": decimals.write(fill.price), "quote_quantity": decimals.write(fill.quote_quantity),
        "fee": decimals.write(fill.fee), "fee_asset": fill.fee_asset,
    }  # fmt: skip
    record(order, "late_fill" if is_late else "fill", source=source, received_at=received_at, to=to,
           occurred_at=report.occurred_at, venue_order_id=report.venue_order_id, data=data)  # fmt: skip
    ledger.post_fill(fill)
    feed.announce("fills", "fill.booked", fill.id, account=order.account_id, data={"order": str(order.id)})
    if is_late:
        note_anomaly(order.account_id, Anomaly.Kind.LATE_FILL, str(order.id), order=order, fill=fill, data=data)
    if order.filled_quantity > order.quantity:
        data["filled_quantity"] = decimals.write(order.filled_quantity)
        note_anomaly(order.account_id, Anomaly.Kind.OVERFILL, str(order.id), order=order, fill=fill, data=data)
    return fill


def note_anomaly(
    account: str,
    kind: Anomaly.Kind,
    subject: str,
    *,
    order: Order | None = None,
    fill: Fill | None = None,
    data: dict[str, Any],
) -> bool:
    """Write down a venue fact that should not have happened, for reconciliation to make a break of; once, not each read."""
    data = doubts.storable(data)
    recent = Anomaly.objects.filter(
        account_id=account, kind=kind, subject=subject[:200], seen_at__gt=clock.now() - ONCE_PER
    )
    if recent.filter(data=data).exists():
        return False
    Anomaly.objects.create(account_id=account, kind=kind, subject=subject[:200], order=order, fill=fill, data=data)
    feed.announce("breaks", f"anomaly.{kind}", subject[:64], account=account)
    return True


def _is_free(order: Order, venue_order_id: str) -> bool:
    taken = Order.objects.filter(
        account_id=order.account_id, symbol=order.symbol, venue_order_id=venue_order_id
    ).first()
    if taken is not None:
        data = {"venue_order_id": venue_order_id, "belongs_to": str(taken.id)}
        note_anomaly(order.account_id, Anomaly.Kind.ILLEGAL_TRANSITION, str(order.id), order=order, data=data)
    return taken is None


def _status_after_fill(order: Order, before: Status, is_late: bool) -> Status | None:
    if order.filled_quantity >= order.quantity:
        return Status.FILLED
    if before in states.TERMINAL and not is_late:
        return None  # it filled before it ended; the end stands
    return Status.PARTIALLY_FILLED


def _is_late(order: Order, fill: Fill) -> bool:
    if order.status == Status.DENIED:
        return True
    ends = OrderEvent.objects.filter(order=order, status_after=order.status).exclude(status_before=order.status)
    ended = ends.order_by("-sequence").first()  # the end in force: an order may have ended before and been revived
    return ended is None or fill.executed_at > (ended.occurred_at or ended.received_at)


def _compare_with_booked(booked: Fill, again: Fill) -> None:
    fields = ("price", "quantity", "fee", "fee_asset")
    ours = {name: str(getattr(booked, name)) for name in fields}
    theirs = {name: str(getattr(again, name)) for name in fields}
    if any(Decimal(ours[n]) != Decimal(theirs[n]) for n in fields[:3]) or (
        again.fee and ours["fee_asset"] != theirs["fee_asset"]
    ):
        known = Anomaly.objects.filter(fill=booked, kind=Anomaly.Kind.FILL_DIFFERS, data__theirs=theirs).exists()
        if not known:
            note_anomaly(booked.account_id, Anomaly.Kind.FILL_DIFFERS, booked.venue_trade_id, order=booked.order,
                         fill=booked, data={"ours": ours, "theirs": theirs})  # fmt: skip


def _note_claim(order: Order, report: OrderReport, source: str, received_at: datetime) -> Applied:
    complete = order.filled_quantity >= (report.filled_quantity or order.quantity)
    if report.status == "filled" and complete and order.status == Status.FILLED:
        return _learn_id(order, report, source, received_at)
    if order.status in {Status.SENDING, Status.UNKNOWN, Status.DENIED}:  # alive for certain; how far, the fills tell
        record(order, "proved_alive", source=source, received_at=received_at, to=Status.OPEN,
               venue_order_id=report.venue_order_id, occurred_at=report.occurred_at)  # fmt: skip
    else:
        _learn_id(order, report, source, received_at)
    return "needs_fills"


def _learn_id(order: Order, report: OrderReport, source: str, received_at: datetime) -> Applied:
    if not report.venue_order_id or order.venue_order_id:
        return "stale"
    record(order, "identified", source=source, received_at=received_at, venue_order_id=report.venue_order_id)
    return "applied"


def _code(report: OrderReport, to: Status) -> str | None:
    if to == Status.REJECTED:
        return "VENUE_REJECTED"
    if to == Status.EXPIRED:
        return "EXPIRED_AT_VENUE"
    return "" if to == Status.OPEN else None


def _next_sequence(account: str, count: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE venues_account SET event_sequence = event_sequence + %s WHERE code = %s RETURNING event_sequence",
            [count, account],
        )
        return int(cursor.fetchone()[0]) - count + 1


def _append(
    order: Order, kind: str, before: Status, data: dict[str, Any], source: str, received_at: datetime,
    occurred_at: datetime | None,
) -> None:  # fmt: skip
    now = clock.now()
    order.version += 1
    order.updated_at = now
    order.save()
    sequence = _next_sequence(order.account_id, 1)
    _event(order, sequence, kind, before, Status(order.status), data, source, received_at, occurred_at, now).save()
    _announce(order, kind)


def _event(
    order: Order, sequence: int, kind: str, before: str, after: str, data: dict[str, Any], source: str,
    received_at: datetime, occurred_at: datetime | None, recorded_at: datetime,
) -> OrderEvent:  # fmt: skip
    return OrderEvent(
        account_id=order.account_id, sequence=sequence, order=order, kind=kind, status_before=before, status_after=after,
        data=data, source=source[:32], received_at=received_at, occurred_at=occurred_at, recorded_at=recorded_at,
    )  # fmt: skip


def _announce(order: Order, kind: str) -> None:
    feed.announce("orders", f"order.{kind}", order.id, account=order.account_id, data={"status": order.status})
