"""Append an event and move the order: the ONLY writer of order state. Facts are stored first and judged after. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from orders import doubts, ledger, legs, states, trades
from orders.books import Books
from orders.rows import AttemptRow, EventRow, FillRow, OrderRow, sending
from orders.states import Mutation, Status
from project.lib import clock, decimals
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
    replaces: bool = False,
    data: dict[str, Any] | None = None,
) -> bool:
    """Append one event to an order and move it where the table allows.

    An illegal move is stored as an event of its own and as an anomaly, and changes nothing; returns False then.
    With replaces the venue's id is taken in place of the one before it, and may be empty until the successor has one.
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
        for action in ("submit", "cancel", "amend"):  # what has ended leaves nothing in doubt
            doubts.settle(books, order, to.value, action=action, actor="executor", rows=[])
    if mutation is not None and mutation != order.mutation:
        order.mutation = mutation
        details["mutation"] = mutation
    if code is not None:
        order.reason_code, order.reason_message, order.reason_venue_code = code, message[:500], venue_code[:64]
        details |= {"code": code, "message": message, "venue_code": venue_code}
    if replaces:
        legs.keep_id(books, order)
        order.venue_order_id = details["venue_order_id"] = ""
    if venue_order_id and not order.venue_order_id and _is_free(books, order, venue_order_id):
        order.venue_order_id = details["venue_order_id"] = venue_order_id
        books.learn_venue_id(order, venue_order_id)
    _append(books, order, kind, before, details, source, received_at, occurred_at)
    return True


def begin_submit(books: Books, order: OrderRow, attempt: AttemptRow) -> None:
    """Move a queued order to sending, in the transaction that commits its attempt; any other is left and noted."""
    if order.status != Status.QUEUED:
        record(books, order, "sending", source="executor", received_at=attempt.sent_at, to=Status.SENDING)
        books.change_order(order)
        order.version += 1
        return
    books.begin(order, sending(order, attempt))
    order.status, order.submit_tries = Status.SENDING, order.submit_tries + 1
    order.version, order.updated_at = order.version + 1, attempt.sent_at


def apply_report(
    books: Books, order: OrderRow, report: OrderReport, *, source: str, received_at: datetime, is_final: bool = False
) -> Applied:
    """Apply a venue's statement about an order.

    `needs_fills` means the venue claims more filled than is booked: fetch the fills, then apply again;
    is_final applies it all the same.
    """
    _take_successor(books, order, report, source, received_at)
    is_other = bool(report.venue_order_id) and report.venue_order_id != order.venue_order_id
    if is_other and report.venue_order_id in legs.ended(books, order):
        return "stale"  # about a leg that was replaced: its end is known, and its trades are booked by themselves
    if is_other and order.venue_order_id:
        data = {"ours": order.venue_order_id, "theirs": report.venue_order_id, "status": report.status}
        books.note(order.account, "illegal_transition", str(order.id), order=order.id, data=data)
        return "illegal"
    if is_other and not _is_free(books, order, report.venue_order_id or ""):
        return "illegal"  # it is about another order of ours
    if order.status in _IN_DOUBT:
        evidence = [
            {"source": source, "at": received_at.isoformat(), "answer": f"the venue reports it {report.status}"}
        ]
        doubts.settle(books, order, "accepted", action="submit", actor="executor", rows=evidence)
    leg = legs.in_replacement(books, order)
    claimed = legs.claimed(books, order, report)
    # what is left of a leg is sent on: all that it traded must be booked before, however good the reads of trades look
    is_short = claimed > order.filled_quantity and (leg is not None or not is_final)
    if report.status == "filled" and leg is not None and order.filled_quantity >= max(claimed, order.quantity):
        return _end_leg(books, order, leg, source=source, received_at=received_at, occurred_at=report.occurred_at)
    if report.status == "filled" or (is_short and report.status != "open"):
        return _note_claim(books, order, report, source, received_at, claimed if report.filled_quantity else None)
    to = _REPORTED[report.status]
    if to == Status.CANCELLED and leg is not None:
        return _end_leg(books, order, leg, source=source, received_at=received_at, occurred_at=report.occurred_at)
    if to == Status.CANCELLED and order.expires_at is not None and received_at >= order.expires_at:
        to = Status.EXPIRED  # our own cancel at its time: the venue knows no expiry
    if to == Status.OPEN and order.filled_quantity > 0:
        to = Status.PARTIALLY_FILLED
    if to == order.status or (
        states.is_stale(Status(order.status), to) and order.status not in {Status.DENIED, Status.REJECTED}
    ):
        return _learn_id(books, order, report, source, received_at)
    moved = record(
        books, order, to.value, source=source, received_at=received_at, to=to, occurred_at=report.occurred_at,
        venue_order_id=report.venue_order_id, code=_code(report, to), message=report.reason,
    )  # fmt: skip
    return "applied" if moved else "illegal"


def apply_fill(
    books: Books, order: OrderRow, report: FillReport, *, source: str, received_at: datetime
) -> FillRow | None:
    """Book a trade once, on an order in whatever status: aggregates, ledger, position, event in one go.

    Returns the new fill, or None when it was booked before.
    """
    booked = books.fill(trades.key_of(order.account, report))
    if booked is not None:
        trades.compare(books, booked, report)
        return None
    _take_successor(books, order, report, source, received_at)
    fill = trades.made_of(order, report, source, received_at)
    books.add_fill(fill)
    books.change_order(order)
    before = Status(order.status)
    is_late = before in states.TERMINAL - {Status.FILLED} and _is_late(order, fill)
    is_past = fill.venue_order_id in legs.ended(books, order)
    order.filled_quantity += fill.quantity
    order.filled_value += fill.quote_quantity
    to = _status_after_fill(order, before, is_late, is_past)
    if before in _IN_DOUBT and not is_past:
        row = {"source": source, "at": received_at.isoformat(), "answer": f"trade {fill.venue_trade_id} of this order"}
        doubts.settle(books, order, "accepted", action="submit", actor="executor", rows=[row])
    data = trades.described(fill)
    record(books, order, "late_fill" if is_late else "fill", source=source, received_at=received_at, to=to,
           occurred_at=report.occurred_at, venue_order_id=_own_id(books, order, report), data=data)  # fmt: skip
    ledger.post_fill(books, fill)
    trades.note_unsaid(books, fill, report)
    books.announce("fills", "fill.booked", fill.id, account=order.account, data={"order": str(order.id)})
    if is_late:
        books.note(order.account, "late_fill", str(order.id), order=order.id, fill=fill.id, data=data)
    _note_overfill(books, order, fill.id, data)
    return fill


def end_unsent(
    books: Books, order: OrderRow, kind: str, *, source: str, received_at: datetime, code: str, message: str,
    data: dict[str, Any] | None = None,
) -> bool:  # fmt: skip
    """End an order of which nothing more can be at the venue: denied, or cancelled when an earlier leg of it was there."""
    return record(books, order, kind, source=source, received_at=received_at, code=code, message=message, data=data,
                  to=Status.CANCELLED if was_at_venue(books, order) else Status.DENIED)  # fmt: skip


def was_at_venue(books: Books, order: OrderRow) -> bool:
    """Say whether an earlier leg of the order is known to have stood at the venue."""
    return order.filled_quantity > 0 or any(attempt.venue_order_id for attempt in books.attempts(order.id))


def amend(
    books: Books, order: OrderRow, kind: str, values: Mapping[str, str], *, source: str, received_at: datetime,
    venue_order_id: str | None = None, replaces: bool = False, to: Status | None = None, mutation: Mutation = Mutation.NONE,
) -> None:  # fmt: skip
    """Change what an order asks for: quantity (the total), price, trigger price, expiry; old and new values in the event."""
    books.change_order(order)
    before = {name: _written(getattr(order, name)) for name in values}
    for name, text in values.items():
        value = datetime.fromisoformat(text) if name == "expires_at" else Decimal(text)
        setattr(order, name, value)
    record(books, order, kind, source=source, received_at=received_at, mutation=mutation, to=to, replaces=replaces,
           venue_order_id=venue_order_id, data={"before": before, "after": dict(values)})  # fmt: skip


def answered_late(books: Books, order: OrderRow, action: Literal["cancel", "amend"], received_at: datetime) -> None:
    """Say that a cancel or an amend is pending, where it was called unknown before the venue's answer came after all."""
    if order.mutation == f"{action}_unknown":
        doubts.settle(books, order, "accepted", action=action, actor="executor", rows=[])
        kind = f"{action}_pending"
        record(books, order, kind, source="executor", received_at=received_at, mutation=Mutation(kind))


def trigger(
    books: Books,
    order: OrderRow,
    kind: str,
    state: str,
    *,
    extreme: Decimal | None = None,
    price: Decimal | None = None,
) -> None:
    """Move a conditional order that we watch ourselves: armed, waiting, triggered; or keep the best price it has seen."""
    books.change_order(order)
    order.trigger_state = state
    if extreme is not None:
        order.trigger_extreme = extreme
    data = {"trigger_state": state, "trigger_extreme": _written(order.trigger_extreme), "price": _written(price)}
    record(books, order, kind, source="executor", received_at=clock.now(), data=data)


def take_amendment(
    books: Books, order: OrderRow, attempt: AttemptRow, venue_order_id: str, *, source: str, received_at: datetime
) -> None:
    """Give an order the values that an amend asked for: at the same venue order, or at the one that has replaced it."""
    is_new, values = attempt.request["how"] == "replace", attempt.request["values"]
    is_done = Decimal(values.get("quantity", order.quantity)) <= order.filled_quantity  # it filled on the way
    doubts.settle(books, order, "accepted", action="amend", actor="executor", rows=[])
    amend(books, order, "replaced" if is_new else "amended", values, source=source, received_at=received_at,
          replaces=is_new, venue_order_id=venue_order_id if is_new else None,
          to=Status.FILLED if is_done and not is_new else None)  # fmt: skip
    if is_new:
        attempt.venue_order_id = venue_order_id
        books.change_attempt(attempt)
    _note_overfill(books, order, None, {"quantity": decimals.write(order.quantity)})


def _take_successor(
    books: Books, order: OrderRow, report: OrderReport | FillReport, source: str, received_at: datetime
) -> None:
    """A statement about the successor proves a replace, before its answer or without one: the order has the new values."""
    leg = legs.in_replacement(books, order)
    if leg is None or leg.request["how"] != "replace" or not report.venue_order_id:
        return
    if report.venue_client_id == leg.venue_client_id and report.venue_order_id != order.venue_order_id:
        take_amendment(books, order, leg, report.venue_order_id, source=source, received_at=received_at)


def _end_leg(
    books: Books, order: OrderRow, leg: AttemptRow, *, source: str, received_at: datetime, occurred_at: datetime | None
) -> Applied:
    """The venue's order has ended while it was to be replaced. By us: queue the rest. By the venue: its successor is looked for."""
    if leg.request["how"] == "replace":
        return "stale"
    doubts.settle(books, order, "accepted", action="amend", actor="executor", rows=[])
    values = leg.request["values"]
    wanted = Decimal(values.get("quantity", order.quantity))
    if max(wanted, order.quantity) <= order.filled_quantity:
        record(
            books, order, "filled", source=source, received_at=received_at, to=Status.FILLED, occurred_at=occurred_at
        )
    elif wanted <= order.filled_quantity:
        record(books, order, "cancelled", source=source, received_at=received_at, to=Status.CANCELLED,
               occurred_at=occurred_at, code="REPLACE_LEFT_NOTHING", message="it had filled as much as was still wanted")  # fmt: skip
    else:
        amend(
            books, order, "leg_ended", values, source=source, received_at=received_at, replaces=True, to=Status.QUEUED
        )
    return "applied"


def _written(value: object) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat()
    return decimals.write(value) if isinstance(value, Decimal) else None


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


def _status_after_fill(order: OrderRow, before: Status, is_late: bool, is_past: bool) -> Status | None:
    is_complete = order.filled_quantity >= order.quantity
    if is_past and before in states.WORKING:  # a leg that has ended proves nothing about the newest one
        return Status.PARTIALLY_FILLED if before in states.AT_VENUE else None
    if is_past and before in states.LOCAL and not is_complete:
        return None  # the rest waits to be sent
    is_growing = order.mutation in states.AMENDING  # it may want more by now
    if is_complete and not is_growing:
        return Status.FILLED
    if before in states.TERMINAL and not is_late:
        return None  # it filled before it ended; the end stands
    return Status.PARTIALLY_FILLED


def _is_late(order: OrderRow, fill: FillRow) -> bool:
    return order.status == Status.DENIED or order.ended_at is None or fill.executed_at > order.ended_at


def _note_overfill(books: Books, order: OrderRow, fill: uuid.UUID | None, data: dict[str, Any]) -> None:
    if order.filled_quantity > order.quantity:
        data = {**data, "filled_quantity": decimals.write(order.filled_quantity)}
        books.note(order.account, "overfill", str(order.id), order=order.id, fill=fill, data=data)


def _note_claim(
    books: Books, order: OrderRow, report: OrderReport, source: str, received_at: datetime, claimed: Decimal | None
) -> Applied:
    complete = order.filled_quantity >= (claimed or order.quantity)
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
        return "EXPIRED_AT_VENUE" if report.status == "expired" else "EXPIRED_BY_US"
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
