"""Stage 3, the hot path: commit the attempt, send, record what is known. Nothing is resent while it is unknown."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from orders import doubts, events, intake, leases
from orders.models import Attempt, Intent, Order
from orders.service import Service
from orders.states import Status
from project.lib import clock, decimals, ids
from risk.checks import Approved
from venues.messages import Answer, Evidence, OrderReport, PlaceOrder
from venues.models import Account, Instrument

TRIES_MAX = 3


@dataclass(frozen=True)
class _Begun:
    attempt: uuid.UUID
    order: uuid.UUID
    message: PlaceOrder


async def submit(service: Service, order_id: uuid.UUID) -> bool:
    """Send one queued order. Returns False when it could not go now and stays queued; never raises for the venue."""
    stamped = await service.stamp_for("order")
    if stamped is None:
        return False
    stamp_ms, window_ms = stamped
    begun = await service.writer.run(lambda: _begin(service, order_id, stamp_ms, window_ms))
    if begun is None:
        return True
    answer = await service.gateway.place(begun.message)
    received_at = clock.now()
    needs_fills = await service.writer.run_until_committed(lambda: _finish(begun, answer, received_at))
    if needs_fills or (not service.has_stream and begun.message.time_in_force != "GTC"):
        service.sweep_wanted.set()
    if answer.outcome == "unknown":
        service.lookup_wanted.set()
    return answer.outcome != "not_sent"


def _begin(service: Service, order_id: uuid.UUID, stamp_ms: int, window_ms: int) -> _Begun | None:
    order = events.lock(order_id)
    if order.status != Status.QUEUED or not leases.is_held(service.account, service.lease.epoch):
        return None
    if Intent.objects.filter(order=order, action="cancel", done_at=None).exists():
        return None  # the cancel wins: nothing has left yet
    account = Account.objects.select_related("venue").get(pk=service.account)
    instrument = Instrument.objects.filter(venue_id=account.venue_id, symbol=order.symbol).first()
    verdict = intake.approve_again(order, instrument, account)
    if not isinstance(verdict, Approved):
        events.record(order, "denied", source="executor", received_at=clock.now(), to=Status.DENIED, code=verdict.code,
                      message=verdict.message)  # fmt: skip
        return None
    attempt_id = ids.new_id()
    message = _message(order, verdict, ids.venue_client_id(attempt_id), stamp_ms, window_ms)
    sent_at = datetime.fromtimestamp(stamp_ms / 1000, clock.now().tzinfo)
    has_window = service.gateway.capabilities.window
    attempt = Attempt(
        id=attempt_id, order=order, account_id=service.account, action="submit", venue_client_id=message.venue_client_id,
        epoch=service.lease.epoch, request_digest=_digest(message), window_ms=window_ms, sent_at=sent_at,
        valid_until=sent_at + timedelta(milliseconds=window_ms) if has_window else None,
    )  # fmt: skip
    attempt.save(force_insert=True)
    events.begin_submit(order, attempt=str(attempt_id), epoch=service.lease.epoch)
    return _Begun(attempt_id, order.id, message)


def _message(order: Order, approved: Approved, client_id: str, stamp_ms: int, window_ms: int) -> PlaceOrder:
    proposal = approved.proposal
    return PlaceOrder(
        venue_client_id=client_id, symbol=order.symbol, side="buy" if proposal.side == "buy" else "sell",
        type=proposal.type, quantity=proposal.quantity, price=proposal.price, time_in_force=order.time_in_force.upper(),
        post_only=order.post_only, reduce_only=proposal.reduce_only, stamp_ms=stamp_ms, window_ms=window_ms,
    )  # fmt: skip


def _finish(begun: _Begun, answer: Answer, received_at: datetime) -> bool:
    attempt = Attempt.objects.get(pk=begun.attempt)
    order = events.lock(begun.order)
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
    attempt.save()
    if answer.outcome == "accepted":
        return _accepted(order, answer, received_at)
    if already_proved and answer.outcome != "rejected":
        return False
    if answer.outcome == "rejected":
        events.record(order, "rejected", source="venue", received_at=received_at, to=Status.REJECTED, code=answer.code,
                      message=answer.message, venue_code=answer.venue_code)  # fmt: skip
    elif answer.outcome == "not_sent":
        _not_sent(order, answer, received_at)
    else:
        events.record(order, "unknown", source="executor", received_at=received_at, to=Status.UNKNOWN,
                      code=answer.code or "OUTCOME_UNKNOWN", message=answer.message, venue_code=answer.venue_code)  # fmt: skip
    return False


def _accepted(order: Order, answer: Answer, received_at: datetime) -> bool:
    report = answer.order or OrderReport(
        venue_order_id=answer.venue_order_id, venue_client_id=None, symbol=order.symbol, status="open"
    )
    return events.apply_report(order, report, source="submit", received_at=received_at) == "needs_fills"


def _not_sent(order: Order, answer: Answer, received_at: datetime) -> None:
    failed = (
        Attempt.objects.filter(order=order, action="submit", outcome="not_sent").exclude(code="RATE_LIMITED").count()
    )
    data = {"why": answer.code, "detail": answer.message}
    if (
        order.status == Status.UNKNOWN
    ):  # another owner took the account over and could not know: proof that nothing left
        doubts.settle(order, "never_accepted", action="submit", actor="executor", rows=[])
        events.record(
            order, "denied", source="executor", received_at=received_at, to=Status.DENIED, code="SUBMIT_NOT_SENT",
            message=f"It never left for the venue ({answer.code}). No money is at risk.", data=data,
        )  # fmt: skip
    elif failed >= TRIES_MAX or not answer.transient:
        events.record(
            order, "denied", source="executor", received_at=received_at, to=Status.DENIED, code="SUBMIT_NOT_SENT",
            message=f"It never left for the venue ({answer.code}, tried {failed} times). No money is at risk.", data=data,
        )  # fmt: skip
    else:
        events.record(order, "queued", source="executor", received_at=received_at, to=Status.QUEUED, data=data)


def _digest(message: PlaceOrder) -> str:
    body = "|".join(
        f"{name}={decimals.write(value) if name in {'quantity', 'price'} else value}"
        for name, value in sorted(vars(message).items())
    )
    return hashlib.sha256(body.encode()).hexdigest()
