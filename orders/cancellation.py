"""Cancel an order: locally while nothing has left, else at the venue; a cancel may be repeated, so doubt means asking again. Pure."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orders import doubts, events, states, sweeps
from orders.books import Books, Fenced
from orders.rows import AttemptRow, IntentRow, OrderRow
from orders.service import Service
from orders.states import Mutation, Status
from project.lib import clock, failpoints, ids
from venues.messages import Answer, CancelOrder

TRIES_MAX = 5


@dataclass(frozen=True)
class Begun:
    """A cancel attempt that is committed and may now be sent."""

    attempt: uuid.UUID
    order: uuid.UUID
    message: CancelOrder


async def cancel(service: Service, intent_id: uuid.UUID) -> bool:
    """Carry one wish to cancel forward. Returns True when the wish is settled, False to try again later."""
    stage = await service.writer.run(lambda books: locally(books, intent_id))
    if stage != "at_venue":
        return stage == "done"
    stamped = await service.stamp_for("cancel")
    if stamped is None:
        return False
    try:
        begun = await service.writer.run(lambda books: begin(books, service, intent_id, *stamped))
    except Fenced:
        return False
    if begun is None:
        return False
    service.in_flight.add(begun.attempt)
    try:
        failpoints.reach("P11")
        answer = await service.gateway.cancel(begun.message)
        received_at = clock.now()
        is_settled = await service.writer.run_until_committed(
            lambda books: finish(books, begun, intent_id, answer, received_at)
        )
    finally:
        service.in_flight.discard(begun.attempt)
    if answer.outcome == "rejected":  # the venue knows no such open order: what became of it is asked at once
        await sweeps.look_up(service, begun.order, source="lookup")
    service.lookup_wanted.set()
    return is_settled


def locally(books: Books, intent_id: uuid.UUID) -> str:
    """Settle a wish that needs no venue. Returns `done`, `at_venue` or `wait`."""
    intent = books.store.intent(intent_id)
    if intent.done_at or intent.order is None:
        return "done"
    order = books.order(intent.order)
    if Status(order.status) in states.TERMINAL:
        return _done(books, intent, f"the order is {order.status}")
    if Status(order.status) in states.LOCAL:
        events.record(books, order, "cancelled", source="executor", received_at=clock.now(), to=Status.CANCELLED,
                      code="CANCELLED_BEFORE_SEND", message="cancelled here: it never left for the venue")  # fmt: skip
        return _done(books, intent, "cancelled before it was sent")
    if Status(order.status) in states.AT_VENUE and order.mutation == Mutation.NONE:
        return "at_venue"
    books.reread([order.id])  # another process may have ended it: what does not write would never learn of it
    return "wait"  # sending or unknown: there is nothing certain to cancel yet; or a cancel is on its way


def begin(books: Books, service: Service, intent_id: uuid.UUID, stamp_ms: int, window_ms: int) -> Begun | None:
    """Write the cancel's attempt; the commit fails when the lease is gone."""
    intent = books.store.intent(intent_id)
    if intent.order is None:
        return None
    order = books.order(intent.order)
    if Status(order.status) not in states.AT_VENUE or order.mutation != Mutation.NONE or intent.done_at:
        return None
    submitted = books.newest_attempt(order.id, "submit")
    client_id = submitted.venue_client_id if submitted else ""
    if not client_id and not order.venue_order_id:
        return None
    sent_at = datetime.fromtimestamp(stamp_ms / 1000, UTC)
    attempt = AttemptRow(
        id=ids.new_id(), order=order.id, account=service.account, action="cancel", venue_client_id=client_id,
        epoch=service.lease.epoch, request_digest=order.venue_order_id[:64], window_ms=window_ms, sent_at=sent_at,
        valid_until=sent_at + timedelta(milliseconds=window_ms) if service.gateway.capabilities.window else None,
    )  # fmt: skip
    books.gate(service.account, service.lease.epoch, None)
    books.add_attempt(attempt)
    events.record(books, order, "cancel_pending", source="executor", received_at=clock.now(),
                  mutation=Mutation.CANCEL_PENDING, data={"attempt": str(attempt.id), "by": intent.requested_by})  # fmt: skip
    message = CancelOrder(
        symbol=order.symbol, venue_order_id=order.venue_order_id or None, venue_client_id=client_id, stamp_ms=stamp_ms,
        window_ms=window_ms,
    )  # fmt: skip
    return Begun(attempt.id, order.id, message)


def finish(books: Books, begun: Begun, intent_id: uuid.UUID, answer: Answer, received_at: datetime) -> bool:
    """Record what the answer proves. Returns whether the wish is settled."""
    intent = books.store.intent(intent_id)
    order = books.order(begun.order)
    attempt = books.attempt(begun.order, begun.attempt)
    doubts.note_answer(books, attempt, answer, received_at)
    if Status(order.status) in states.TERMINAL:
        doubts.settle(books, order, order.status, action="cancel", actor="executor", rows=[])
        return _done(books, intent, f"the order is {order.status}") == "done"
    if answer.outcome == "accepted":
        # accepted is not cancelled: the order's own end comes by the stream or the lookup that follows now
        events.answered_late(books, order, "cancel", received_at)
        if answer.order is not None:
            events.apply_report(books, order, answer.order, source="cancel", received_at=received_at)
        return _done(books, intent, "the venue took the cancel") == "done"
    if answer.outcome == "unknown":
        events.record(books, order, "cancel_unknown", source="executor", received_at=received_at,
                      mutation=Mutation.CANCEL_UNKNOWN, data={"code": answer.code, "detail": answer.message})  # fmt: skip
        return False
    doubts.settle(books, order, "not_applied", action="cancel", actor="executor", rows=[])
    events.record(books, order, "cancel_refused" if answer.outcome == "rejected" else "cancel_not_sent", source="executor",
                  received_at=received_at, mutation=Mutation.NONE, data={"code": answer.code, "detail": answer.message})  # fmt: skip
    tries = sum(attempt.sent_at >= intent.requested_at for attempt in books.attempts(order.id, "cancel"))
    if tries >= TRIES_MAX:
        text = f"given up after {tries} tries: {answer.code}. The order is still {order.status}."
        return _done(books, intent, text) == "done"
    return False


def _done(books: Books, intent: IntentRow, result: str) -> str:
    books.finish(intent, result)
    return "done"


def did_not_apply(books: Books, order: OrderRow, received_at: datetime) -> None:
    """Return an order whose cancel proved without effect to `none`; a waiting wish sends another."""
    doubts.settle(books, order, "not_applied", action="cancel", actor="executor", rows=[])
    events.record(
        books, order, "cancel_not_applied", source="executor", received_at=received_at, mutation=Mutation.NONE
    )
