"""Stage 3, the hot path: commit the attempt, send, record what is known. Nothing is resent while it is unknown. Pure."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orders import doubts, events
from orders.books import Books, Fenced
from orders.rows import AttemptRow, OrderRow
from orders.service import Service
from orders.states import Status
from project.lib import clock, decimals, failpoints, ids
from risk import checks
from venues.capabilities import Capabilities
from venues.messages import Answer, Evidence, OrderReport, PlaceOrder

TRIES_MAX = 3
AFTER_TRIGGER = {
    "stop": "market", "take_profit": "market", "trailing_stop": "market", "stop_limit": "limit", "take_profit_limit": "limit",
}  # fmt: skip
_GONE = checks.Denied("INSTRUMENT_UNKNOWN", "The instrument is not listed at the venue any more. Nothing was sent.")


@dataclass(frozen=True)
class Begun:
    """An attempt that is committed and may now be sent."""

    attempt: uuid.UUID
    order: uuid.UUID
    message: PlaceOrder


async def submit(service: Service, order_id: uuid.UUID) -> bool:
    """Send one queued order. Returns False when it could not go now and stays queued; never raises for the venue.

    The next one may go as soon as the venue has answered this one, while the answer is being recorded.
    """
    begun = None
    try:
        async with service.order_slots:
            begun = await _begun(service, order_id)
            if not isinstance(begun, Begun):
                return begun
            failpoints.reach("P4")
            answer = await service.gateway.place(begun.message)
            received_at = clock.now()
        failpoints.reach("P7")
        needs_fills = await service.writer.run_until_committed(lambda books: finish(books, begun, answer, received_at))
    finally:
        if isinstance(begun, Begun):
            service.in_flight.discard(begun.attempt)
    if needs_fills or (not service.has_stream and begun.message.time_in_force != "GTC"):
        service.sweep_wanted.set()
    if answer.outcome == "unknown":
        service.lookup_wanted.set()
    return answer.outcome != "not_sent"


async def _begun(service: Service, order_id: uuid.UUID) -> Begun | bool:
    """Commit an attempt. Returns False when the order cannot go now, True when there is nothing to send any more."""
    if not await service.has_turn("order"):
        return False
    async with service.admission:
        stamped = service.stamp()
        if stamped is None:
            return False
        try:
            begun = await service.writer.run(lambda books: begin(books, service, order_id, *stamped))
        except Fenced:
            return False
    if begun is None:
        return True
    service.in_flight.add(begun.attempt)
    return begun


def begin(books: Books, service: Service, order_id: uuid.UUID, stamp_ms: int, window_ms: int) -> Begun | None:
    """Check once more, then write the attempt and the move to sending; the commit fails when the lease is gone."""
    order = books.order(order_id)
    if order.status != Status.QUEUED:
        books.reread([order_id])  # the rows said it waits: what is cached is old
        return None
    revision, facts = books.risk(service.account, order.symbol)
    verdict = _GONE if facts is None else checks.decide(_proposal(order), facts, is_new=False)
    books.gate(service.account, service.lease.epoch, revision)
    if not isinstance(verdict, checks.Approved):
        events.end_unsent(books, order, "denied", source="executor", received_at=clock.now(), code=verdict.code,
                          message=verdict.message)  # fmt: skip
        return None
    attempt_id, venue = ids.new_id(), service.gateway.capabilities
    message = _message(order, venue, ids.venue_client_id(attempt_id), stamp_ms, window_ms)
    sent_at = datetime.fromtimestamp(stamp_ms / 1000, UTC)
    attempt = AttemptRow(
        id=attempt_id, order=order.id, account=service.account, action="submit", venue_client_id=message.venue_client_id,
        epoch=service.lease.epoch, request_digest=_digest(message), window_ms=window_ms, sent_at=sent_at,
        valid_until=sent_at + timedelta(milliseconds=window_ms) if venue.window else None,
        request={"filled_before": str(order.filled_quantity)} if order.filled_quantity else {},
    )  # fmt: skip
    books.add_attempt(attempt)
    events.begin_submit(books, order, attempt)
    failpoints.reach("P3")
    return Begun(attempt_id, order.id, message)


def finish(books: Books, begun: Begun, answer: Answer, received_at: datetime) -> bool:
    """Record what the answer proves. Returns whether the venue claims fills that are to be fetched."""
    order = books.order(begun.order)
    attempt = books.attempt(begun.order, begun.attempt)
    if (attempt.outcome, attempt.code) == (answer.outcome, answer.code[:64]):
        return False  # recorded already, by a commit whose own answer was lost
    # by the stream, by a lookup, or by another owner who took the account over in the meantime
    already_proved = order.status not in {Status.SENDING, Status.UNKNOWN}
    attempt.outcome, attempt.outcome_at = answer.outcome, received_at
    attempt.code, attempt.message = answer.code[:64], doubts.storable(answer.message)[:500]
    if answer.outcome == "unknown":
        evidence = Evidence(
            source="submit", at=received_at, answer=answer.message or answer.code, detail={"raw": answer.raw[:2000]}
        )
        attempt.evidence = doubts.evidence_rows([evidence])
        if already_proved and attempt.resolved_at is None:
            attempt.resolved_at, attempt.resolution = received_at, "accepted"
    books.change_attempt(attempt)
    doubts.note_unclassified(books, attempt, answer)
    if answer.outcome == "accepted":
        needs_fills = _accepted(books, order, answer, received_at)
        attempt.venue_order_id = answer.venue_order_id or ""  # not before: an attempt's id names a past leg
        return needs_fills
    if already_proved and answer.outcome != "rejected":
        return False
    if answer.outcome == "rejected":
        _rejected(books, order, answer, received_at)
    elif answer.outcome == "not_sent":
        _not_sent(books, order, answer, received_at)
    else:
        events.record(books, order, "unknown", source="executor", received_at=received_at, to=Status.UNKNOWN,
                      code=answer.code or "OUTCOME_UNKNOWN", message=answer.message, venue_code=answer.venue_code)  # fmt: skip
    return False


def _proposal(order: OrderRow) -> checks.Proposal:
    return checks.Proposal(
        side=order.side, type=order.type, quantity=order.leaves_quantity, price=order.price, reduce_only=order.reduce_only,
        trigger_price=None if order.trigger_state else order.trigger_price,
    )  # fmt: skip


def _message(order: OrderRow, venue: Capabilities, client_id: str, stamp_ms: int, window_ms: int) -> PlaceOrder:
    is_ours = bool(order.trigger_state)  # we watched for its trigger: to the venue it is a plain order
    kind = AFTER_TRIGGER.get(order.type, order.type) if is_ours else order.type
    time_in_force = "ioc" if kind == "market" else order.time_in_force
    if time_in_force == "gtd" and "GTD" not in venue.times_in_force:
        time_in_force = "gtc"  # we end it at its time
    return PlaceOrder(
        venue_client_id=client_id, symbol=order.symbol, side="buy" if order.side == "buy" else "sell", type=kind,
        quantity=order.leaves_quantity, price=order.price if kind != "market" else None,
        trigger_price=None if is_ours else order.trigger_price, trailing_offset=None if is_ours else order.trailing_offset,
        expires_at=order.expires_at if time_in_force == "gtd" else None, time_in_force=time_in_force.upper(),
        post_only=order.post_only, reduce_only=order.reduce_only, stamp_ms=stamp_ms, window_ms=window_ms,
    )  # fmt: skip


def _rejected(books: Books, order: OrderRow, answer: Answer, received_at: datetime) -> None:
    if events.was_at_venue(books, order):  # the successor of a leg that had its place in the book
        message = f"The venue refused to replace it: {answer.message}"
        events.end_unsent(books, order, "replacement_rejected", source="venue", received_at=received_at, code=answer.code,
                          message=message)  # fmt: skip
        return
    events.record(books, order, "rejected", source="venue", received_at=received_at, to=Status.REJECTED, code=answer.code,
                  message=answer.message, venue_code=answer.venue_code)  # fmt: skip


def _accepted(books: Books, order: OrderRow, answer: Answer, received_at: datetime) -> bool:
    report = answer.order or OrderReport(
        venue_order_id=answer.venue_order_id, venue_client_id=None, symbol=order.symbol, status="open"
    )
    return events.apply_report(books, order, report, source="submit", received_at=received_at) == "needs_fills"


def _not_sent(books: Books, order: OrderRow, answer: Answer, received_at: datetime) -> None:
    tries = books.attempts(order.id, "submit")
    failed = sum(attempt.outcome == "not_sent" and attempt.code != "RATE_LIMITED" for attempt in tries)
    data = {"why": answer.code, "detail": answer.message}
    if order.status == Status.UNKNOWN:
        # another owner took the account over and could not know: this is the proof that nothing left
        doubts.settle(books, order, "never_accepted", action="submit", actor="executor", rows=[])
        events.end_unsent(
            books, order, "denied", source="executor", received_at=received_at, code="SUBMIT_NOT_SENT",
            message=f"It never left for the venue ({answer.code}). No money is at risk.", data=data,
        )  # fmt: skip
    elif failed >= TRIES_MAX or not answer.transient:
        events.end_unsent(
            books, order, "denied", source="executor", received_at=received_at, code="SUBMIT_NOT_SENT",
            message=f"It never left for the venue ({answer.code}, tried {failed} times). No money is at risk.", data=data,
        )  # fmt: skip
    else:
        events.record(books, order, "queued", source="executor", received_at=received_at, to=Status.QUEUED, data=data)


def _digest(message: PlaceOrder) -> str:
    body = (
        f"{message.venue_client_id}|{message.symbol}|{message.side}|{message.type}|{decimals.write(message.quantity)}|"
        f"{decimals.write(message.price)}|{decimals.write(message.trigger_price)}|{message.time_in_force}|"
        f"{message.post_only}|{message.reduce_only}|{message.stamp_ms}|{message.window_ms}"
    )
    return hashlib.sha256(body.encode()).hexdigest()
