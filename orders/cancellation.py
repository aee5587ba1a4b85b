"""Cancel an order: locally while nothing has left, else at the venue; a cancel may be repeated, so doubt means asking again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from orders import doubts, events, leases, states, sweeps
from orders.models import Attempt, Intent, Order
from orders.service import Service
from orders.states import Mutation, Status
from project.lib import clock, ids
from venues.messages import Answer, CancelOrder, Evidence

TRIES_MAX = 5


@dataclass(frozen=True)
class _Begun:
    attempt: uuid.UUID
    order: uuid.UUID
    message: CancelOrder


async def cancel(service: Service, intent_id: uuid.UUID) -> bool:
    """Carry one wish to cancel forward. Returns True when the wish is settled, False to try again later."""
    stage = await service.writer.run(lambda: _locally(intent_id))
    if stage != "at_venue":
        return stage == "done"
    stamped = await service.stamp_for("cancel")
    if stamped is None:
        return False
    stamp_ms, window_ms = stamped
    begun = await service.writer.run(lambda: _begin(service, intent_id, stamp_ms, window_ms))
    if begun is None:
        return False
    answer = await service.gateway.cancel(begun.message)
    received_at = clock.now()
    is_settled = await service.writer.run_until_committed(lambda: _finish(begun, intent_id, answer, received_at))
    if answer.outcome == "rejected":  # the venue knows no such open order: what became of it is asked at once
        await sweeps.look_up(service, begun.order, source="lookup")
    service.lookup_wanted.set()
    return is_settled


def _locally(intent_id: uuid.UUID) -> str:
    intent = Intent.objects.select_for_update().get(pk=intent_id)
    if intent.done_at or intent.order_id is None:
        return "done"
    order = events.lock(intent.order_id)
    if Status(order.status) in states.TERMINAL:
        return _done(intent, f"the order is {order.status}")
    if Status(order.status) in states.LOCAL:
        events.record(order, "cancelled", source="executor", received_at=clock.now(), to=Status.CANCELLED,
                      code="CANCELLED_BEFORE_SEND", message="cancelled here: it never left for the venue")  # fmt: skip
        return _done(intent, "cancelled before it was sent")
    if Status(order.status) in states.AT_VENUE and order.mutation == Mutation.NONE:
        return "at_venue"
    return "wait"  # sending or unknown: there is nothing certain to cancel yet; or a cancel is on its way


def _begin(service: Service, intent_id: uuid.UUID, stamp_ms: int, window_ms: int) -> _Begun | None:
    intent = Intent.objects.select_for_update().get(pk=intent_id)
    if intent.order_id is None:
        return None
    order = events.lock(intent.order_id)
    is_ready = Status(order.status) in states.AT_VENUE and order.mutation == Mutation.NONE and not intent.done_at
    if not is_ready or not leases.is_held(service.account, service.lease.epoch):
        return None
    submitted = Attempt.objects.filter(order=order, action="submit").order_by("-sent_at").first()
    client_id = submitted.venue_client_id if submitted else ""
    if not client_id and not order.venue_order_id:
        return None
    attempt_id = ids.new_id()
    sent_at = datetime.fromtimestamp(stamp_ms / 1000, clock.now().tzinfo)
    Attempt(
        id=attempt_id, order=order, account_id=service.account, action="cancel", venue_client_id=client_id,
        epoch=service.lease.epoch, request_digest=order.venue_order_id[:64], window_ms=window_ms, sent_at=sent_at,
        valid_until=sent_at + timedelta(milliseconds=window_ms) if service.gateway.capabilities.window else None,
    ).save(force_insert=True)  # fmt: skip
    events.record(order, "cancel_pending", source="executor", received_at=clock.now(), mutation=Mutation.CANCEL_PENDING,
                  data={"attempt": str(attempt_id), "by": intent.requested_by})  # fmt: skip
    message = CancelOrder(
        symbol=order.symbol, venue_order_id=order.venue_order_id or None, venue_client_id=client_id, stamp_ms=stamp_ms,
        window_ms=window_ms,
    )  # fmt: skip
    return _Begun(attempt_id, order.id, message)


def _finish(begun: _Begun, intent_id: uuid.UUID, answer: Answer, received_at: datetime) -> bool:
    intent = Intent.objects.select_for_update().get(pk=intent_id)
    attempt = Attempt.objects.get(pk=begun.attempt)
    order = events.lock(begun.order)
    attempt.outcome, attempt.outcome_at = answer.outcome, received_at
    attempt.code, attempt.message = answer.code[:64], doubts.storable(answer.message)[:500]
    evidence = Evidence(source="cancel", at=received_at, answer=answer.message or answer.code or answer.outcome)
    attempt.evidence = doubts.evidence_rows([evidence])
    attempt.save()
    if Status(order.status) in states.TERMINAL:
        doubts.settle(order, order.status, action="cancel", actor="executor", rows=[])
        return _done(intent, f"the order is {order.status}") == "done"
    if answer.outcome == "accepted":
        # accepted is not cancelled: the order's own end comes by the stream or the lookup that follows now
        if answer.order is not None:
            events.apply_report(order, answer.order, source="cancel", received_at=received_at)
        return _done(intent, "the venue took the cancel") == "done"
    if answer.outcome == "unknown":
        events.record(order, "cancel_unknown", source="executor", received_at=received_at, mutation=Mutation.CANCEL_UNKNOWN,
                      data={"code": answer.code, "detail": answer.message})  # fmt: skip
        return False
    events.record(order, "cancel_refused" if answer.outcome == "rejected" else "cancel_not_sent", source="executor",
                  received_at=received_at, mutation=Mutation.NONE, data={"code": answer.code, "detail": answer.message})  # fmt: skip
    tries = Attempt.objects.filter(order=order, action="cancel", sent_at__gte=intent.requested_at).count()
    if tries >= TRIES_MAX:
        return (
            _done(intent, f"given up after {tries} tries: {answer.code}. The order is still {order.status}.") == "done"
        )
    return False


def _done(intent: Intent, result: str) -> str:
    intent.done_at, intent.result = clock.now(), result[:200]
    intent.save(update_fields=["done_at", "result"])
    return "done"


def cancel_did_not_apply(order: Order, received_at: datetime) -> None:
    """Return an order whose cancel proved without effect to `none`; a waiting wish sends another."""
    doubts.settle(order, "not_applied", action="cancel", actor="executor", rows=[])
    events.record(order, "cancel_not_applied", source="executor", received_at=received_at, mutation=Mutation.NONE)
