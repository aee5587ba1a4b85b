"""Append an event and move the order: the ONLY writer of order state. Facts are stored first and judged after. Pure."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Literal

from orders import doubts, ledger, states
from orders.books import Books
from orders.rows import ZERO, EventRow, FillRow, OrderRow
from orders.states import Mutation, Status
from project.lib import clock, decimals, ids
from venues.messages import FillReport, OrderReport

Applied = Literal["applied", "stale", "needs_fills", "illegal"]
_REPORTED = {"open": Status.OPEN, "cancelled": Status.CANCELLED, "expired": Status.EXPIRED, "rejected": Status.REJECTED}
_IN_DOUBT = frozenset({Status.SENDING, Status.UNKNOWN, Status.DENIED})


def open_order(
    books: Books, order: OrderRow, *, verdict: Status, code: str = "", message: str = "", kind: str = ""
) -> OrderRow:
    """Insert a new order with its first events: received, then queued or denied (or the state an external one has)."""
    now = clock.now()
    order.status, order.reason_code, order.reason_message, order.version = verdict, code, message, 2
    order.created_at = order.updated_at = now
    if verdict in states.TERMINAL:
        order.ended_at = now
    books.add_order(order)
    body = {"code": code, "message": message} if code else {}
    received = {"side": order.side, "type": order.type, "quantity": decimals.write(order.quantity)}
    _event(books, order, "received", "", Status.RECEIVED, received, order.source or "venue", now, None)
    _event(books, order, kind or verdict, Status.RECEIVED, verdict, body, "intake", now, None)
    _announce(books, order, kind or verdict)
    return order


def record(
    books: Books,
    order: OrderRow,
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
    """Append one event to an order and move it where the table allows.

    An illegal move is stored as an event of its own and as an anomaly, and changes nothing; returns False then.
    """
    before, details = Status(order.status), doubts.storable(data or {})
    message, venue_code = doubts.storable(message), doubts.storable(venue_code)
    if to is not None and to != before and not states.may_follow(before, to):
        details |= {"refused_move": to, "kind": kind}
        if books.note(order.account, "illegal_transition", str(order.id), order=order.id, data=details):
            _append(books, order, "illegal_transition", before, details, source, received_at, occurred_at)
        return False
    books.change_order(order)
    if to is not None and to != before:
        code = code or "" if order.reason_code else code  # a reason explains one status: it must not outlive it
        order.status = to
        order.ended_at = (occurred_at or received_at) if to in states.TERMINAL else None
    if to in states.TERMINAL:
        mutation = Mutation.NONE
    if mutation is not None and mutation != order.mutation:
        order.mutation = mutation
        details["mutation"] = mutation
    if code is not None:
        order.reason_code, order.reason_message, order.reason_venue_code = code, message[:500], venue_code[:64]
        details |= {"code": code, "message": message, "venue_code": venue_code}
    if venue_order_id and not order.venue_order_id and _is_free(books, order, venue_order_id):
        order.venue_order_id = venue_order_id
        books.learn_venue_id(order, venue_order_id)
        details["venue_order_id"] = venue_order_id
    _append(books, order, kind, before, details, source, received_at, occurred_at)
    return True


def begin_submit(books: Books, order: OrderRow, *, attempt: uuid.UUID, epoch: int) -> None:
    """Move a queued order to sending, in the transaction that commits its attempt."""
    books.change_order(order)
    order.submit_tries += 1
    record(books, order, "sending", source="executor", received_at=clock.now(), to=Status.SENDING,
           data={"attempt": str(attempt), "epoch": epoch, "try": order.submit_tries})  # fmt: skip


def apply_report(
    books: Books, order: OrderRow, report: OrderReport, *, source: str, received_at: datetime, is_final: bool = False
) -> Applied:
    """Apply a venue's statement about an order.

    `needs_fills` means the venue claims more filled than is booked: fetch the fills, then apply again;
    is_final applies it all the same.
    """
    if report.venue_order_id and order.venue_order_id and report.venue_order_id != order.venue_order_id:
        if any(attempt.venue_order_id == report.venue_order_id for attempt in books.attempts(order.id)):
            return "stale"  # about the order this one has replaced, or a leg of it that is settled by its own attempt
        data = {"ours": order.venue_order_id, "theirs": report.venue_order_id, "status": report.status}
        books.note(order.account, "illegal_transition", str(order.id), order=order.id, data=data)
        return "illegal"
    if order.status in _IN_DOUBT:
        evidence = [
            {"source": source, "at": received_at.isoformat(), "answer": f"the venue reports it {report.status}"}
        ]
        doubts.settle(books, order, "accepted", action="submit", actor="executor", rows=evidence)
    if report.status == "filled" or (
        (report.filled_quantity or ZERO) > order.filled_quantity and report.status != "open" and not is_final
    ):
        return _note_claim(books, order, report, source, received_at)
    to = _REPORTED[report.status]
    if to == Status.OPEN and order.filled_quantity > 0:
        to = Status.PARTIALLY_FILLED
    if to == order.status or (
        states.is_stale(Status(order.status), to) and order.status not in {Status.DENIED, Status.REJECTED}
    ):
        return _learn_id(books, order, report, source, received_at)
    settled = to in states.TERMINAL
    moved = record(
        books, order, to.value, source=source, received_at=received_at, to=to, occurred_at=report.occurred_at,
        venue_order_id=report.venue_order_id, code=_code(report, to), message=report.reason,
    )  # fmt: skip
    if settled and moved:
        doubts.settle(books, order, to.value, action="cancel", actor="executor", rows=[])
    return "applied" if moved else "illegal"


def apply_fill(
    books: Books, order: OrderRow, report: FillReport, *, source: str, received_at: datetime
) -> FillRow | None:
    """Book a trade once, on an order in whatever status: aggregates, ledger, position, event in one go.

    Returns the new fill, or None when it was booked before.
    """
    booked = books.fill((order.account, report.symbol, report.venue_trade_id, report.side))
    if booked is not None:
        _compare_with_booked(books, booked, report)
        return None
    fill = _fill(order, report, source, received_at)
    books.add_fill(fill)
    books.change_order(order)
    before = Status(order.status)
    is_late = before in states.TERMINAL - {Status.FILLED} and _is_late(order, fill)
    order.filled_quantity += fill.quantity
    order.filled_value += fill.quote_quantity
    to = _status_after_fill(order, before, is_late)
    if before in _IN_DOUBT:
        row = {"source": source, "at": received_at.isoformat(), "answer": f"trade {fill.venue_trade_id} of this order"}
        doubts.settle(books, order, "accepted", action="submit", actor="executor", rows=[row])
    data = {
        "fill": str(fill.id), "venue_trade_id": fill.venue_trade_id, "quantity": decimals.write(fill.quantity),
        "price": decimals.write(fill.price), "quote_quantity": decimals.write(fill.quote_quantity),
        "fee": decimals.write(fill.fee), "fee_asset": fill.fee_asset,
    }  # fmt: skip
    record(books, order, "late_fill" if is_late else "fill", source=source, received_at=received_at, to=to,
           occurred_at=report.occurred_at, venue_order_id=_own_id(books, order, report), data=data)  # fmt: skip
    ledger.post_fill(books, fill)
    books.announce("fills", "fill.booked", fill.id, account=order.account, data={"order": str(order.id)})
    if is_late:
        books.note(order.account, "late_fill", str(order.id), order=order.id, fill=fill.id, data=data)
    if order.filled_quantity > order.quantity:
        data = {**data, "filled_quantity": decimals.write(order.filled_quantity)}
        books.note(order.account, "overfill", str(order.id), order=order.id, fill=fill.id, data=data)
    return fill


def _fill(order: OrderRow, report: FillReport, source: str, received_at: datetime) -> FillRow:
    _, quote = ledger.assets_of(report.symbol)
    value = report.price * report.quantity if report.quote_quantity is None else report.quote_quantity
    return FillRow(
        id=ids.new_id(), order=order.id, account=order.account, symbol=report.symbol, side=report.side, price=report.price,
        quantity=report.quantity, quote_quantity=decimals.quantise(value), fee=report.fee,
        fee_asset=report.fee_asset or quote, liquidity=report.liquidity, venue_trade_id=report.venue_trade_id,
        venue_order_id=report.venue_order_id, source=source, executed_at=report.occurred_at or received_at,
        recorded_at=clock.now(),
    )  # fmt: skip


def _own_id(books: Books, order: OrderRow, report: FillReport) -> str | None:
    """Return the id a trade may teach us: not that of an order ours has been replaced by or has replaced."""
    if not order.venue_order_id and any(a.venue_order_id for a in books.attempts(order.id)):
        return None
    return report.venue_order_id


def _is_free(books: Books, order: OrderRow, venue_order_id: str) -> bool:
    taken = (
        books.by_venue_id(order.account, order.symbol, venue_order_id)
        if books.is_careful
        else books.cached_by_venue_id(order.account, order.symbol, venue_order_id)
    )
    if taken is not None and taken is not order:
        data = {"venue_order_id": venue_order_id, "belongs_to": str(taken.id)}
        books.note(order.account, "illegal_transition", str(order.id), order=order.id, data=data)
        return False
    return True


def _status_after_fill(order: OrderRow, before: Status, is_late: bool) -> Status | None:
    if order.filled_quantity >= order.quantity:
        return Status.FILLED
    if before in states.TERMINAL and not is_late:
        return None  # it filled before it ended; the end stands
    return Status.PARTIALLY_FILLED


def _is_late(order: OrderRow, fill: FillRow) -> bool:
    return order.status == Status.DENIED or order.ended_at is None or fill.executed_at > order.ended_at


def _compare_with_booked(books: Books, booked: FillRow, again: FillReport) -> None:
    fields = ("price", "quantity", "fee")
    differs = any(getattr(booked, name) != getattr(again, name) for name in fields)
    if differs or (again.fee and again.fee_asset and booked.fee_asset != again.fee_asset):
        ours = {name: str(getattr(booked, name)) for name in (*fields, "fee_asset")}
        theirs = {name: str(getattr(again, name)) for name in (*fields, "fee_asset")}
        books.note(booked.account, "fill_differs", booked.venue_trade_id, order=booked.order, fill=booked.id,
                   data={"ours": ours, "theirs": theirs})  # fmt: skip


def _note_claim(books: Books, order: OrderRow, report: OrderReport, source: str, received_at: datetime) -> Applied:
    complete = order.filled_quantity >= (report.filled_quantity or order.quantity)
    if report.status == "filled" and complete and order.status == Status.FILLED:
        return _learn_id(books, order, report, source, received_at)
    if order.status in _IN_DOUBT:  # alive for certain; how far, the fills tell
        record(books, order, "proved_alive", source=source, received_at=received_at, to=Status.OPEN,
               venue_order_id=report.venue_order_id, occurred_at=report.occurred_at)  # fmt: skip
    else:
        _learn_id(books, order, report, source, received_at)
    return "needs_fills"


def _learn_id(books: Books, order: OrderRow, report: OrderReport, source: str, received_at: datetime) -> Applied:
    if not report.venue_order_id or order.venue_order_id:
        return "stale"
    record(books, order, "identified", source=source, received_at=received_at, venue_order_id=report.venue_order_id)
    return "applied"


def _code(report: OrderReport, to: Status) -> str | None:
    if to == Status.REJECTED:
        return "VENUE_REJECTED"
    if to == Status.EXPIRED:
        return "EXPIRED_AT_VENUE"
    return "" if to == Status.OPEN else None


def _append(
    books: Books, order: OrderRow, kind: str, before: str, data: dict[str, Any], source: str, received_at: datetime,
    occurred_at: datetime | None,
) -> None:  # fmt: skip
    books.change_order(order)
    order.version += 1
    order.updated_at = clock.now()
    _event(books, order, kind, before, order.status, data, source, received_at, occurred_at)
    _announce(books, order, kind)


def _event(
    books: Books, order: OrderRow, kind: str, before: str, after: str, data: dict[str, Any], source: str,
    received_at: datetime, occurred_at: datetime | None,
) -> None:  # fmt: skip
    books.add_event(EventRow(
        account=order.account, order=order.id, kind=kind, status_before=before, status_after=after, data=data,
        source=source[:32], occurred_at=occurred_at, received_at=received_at, recorded_at=clock.now(),
    ))  # fmt: skip


def _announce(books: Books, order: OrderRow, kind: str) -> None:
    books.announce("orders", f"order.{kind}", order.id, account=order.account, data={"status": order.status})
