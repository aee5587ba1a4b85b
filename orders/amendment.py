"""Amend a live order: in place, by the venue's own replace, or by cancel and new; never two live orders. Pure."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from orders import doubts, events, states, sweeps
from orders.books import Books, Fenced
from orders.rows import AttemptRow, IntentRow, OrderRow
from orders.service import Service
from orders.states import Mutation, Status
from orders.submission import AFTER_TRIGGER
from project.lib import clock, failpoints, ids
from risk import checks
from venues.capabilities import Capabilities
from venues.messages import AmendOrder, Answer, CancelOrder

TRIES_MAX = 3
LOCAL_FIELDS = frozenset({"expires_at"})  # what the venue need not know: we end the order ourselves at its time
How = Literal["in_place", "replace", "cancel_and_new"]


@dataclass(frozen=True)
class Begun:
    """An amend attempt that is committed and may now be sent, as an amend or as the cancel of the order it replaces."""

    attempt: uuid.UUID
    order: uuid.UUID
    how: How
    message: AmendOrder | CancelOrder


async def amend(service: Service, intent_id: uuid.UUID) -> bool:
    """Carry one wish to amend forward. Returns True when the wish is settled, False to try again later."""
    stage = await service.writer.run(lambda books: locally(books, intent_id))
    if stage != "at_venue":
        return stage == "done"
    stamped = await service.stamp_for("order")
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
        if isinstance(begun.message, AmendOrder):
            answer = await service.gateway.amend(begun.message)
        else:
            answer = await service.gateway.cancel(begun.message)
        received_at = clock.now()
        is_settled = await service.writer.run_until_committed(
            lambda books: finish(books, begun, intent_id, answer, received_at)
        )
    finally:
        service.in_flight.discard(begun.attempt)
    if answer.outcome == "rejected" or begun.how == "cancel_and_new":
        await sweeps.look_up(service, begun.order, source="lookup")
    service.lookup_wanted.set()
    return is_settled


def locally(books: Books, intent_id: uuid.UUID) -> str:
    """Settle a wish that needs no venue. Returns `done`, `at_venue` or `wait`."""
    intent = books.store.intent(intent_id)
    if intent.done_at or intent.order is None:
        return "done"
    order, values = books.order(intent.order), intent.data
    if Status(order.status) in states.TERMINAL:
        return _done(books, intent, f"the order is {order.status}")
    if Decimal(values.get("quantity", order.quantity)) <= order.filled_quantity:
        return _done(books, intent, "refused: that much has filled already; cancel the rest instead")
    if Status(order.status) in states.LOCAL or set(values) <= LOCAL_FIELDS:
        events.amend(books, order, "amended", values, source="executor", received_at=clock.now(),
                     mutation=Mutation(order.mutation))  # fmt: skip
        return _done(books, intent, "changed here: the venue need not know")
    if Status(order.status) in states.AT_VENUE and order.mutation == Mutation.NONE:
        return "at_venue"
    books.reread([order.id])
    return "wait"


def begin(books: Books, service: Service, intent_id: uuid.UUID, stamp_ms: int, window_ms: int) -> Begun | None:
    """Write the amend's attempt; the commit fails when the lease is gone or the risk rules have changed."""
    intent = books.store.intent(intent_id)
    if intent.order is None or intent.done_at:
        return None
    order = books.order(intent.order)
    if Status(order.status) not in states.AT_VENUE or order.mutation != Mutation.NONE or not order.venue_order_id:
        return None
    revision, facts = books.risk(service.account, order.symbol)
    verdict = None if facts is None else checks.decide(_proposal(order, intent), facts, is_new=False)
    if not isinstance(verdict, checks.Approved):
        why = verdict.message if isinstance(verdict, checks.Denied) else "the instrument is not listed any more."
        _done(books, intent, f"refused: {why} The order stands as it was.")
        return None
    made = _live_leg(books, order)
    attempt_id, sent_at = ids.new_id(), datetime.fromtimestamp(stamp_ms / 1000, UTC)
    venue = service.gateway.capabilities
    how: How = "cancel_and_new" if venue.amend == "none" else venue.amend
    # A successor without an id of ours could not be told from others when its answer is lost. And only what is untouched
    # is replaced, if it still is: a trade on the way would make the successor larger than what is left.
    if how == "replace" and (not venue.client_ids or order.filled_quantity):
        how = "cancel_and_new"
    client_id = made.venue_client_id if made else ""
    attempt = AttemptRow(
        id=attempt_id, order=order.id, account=service.account, action="amend",
        venue_client_id=ids.venue_client_id(attempt_id) if how == "replace" else "", epoch=service.lease.epoch,
        request_digest=order.venue_order_id[:64], window_ms=window_ms, sent_at=sent_at,
        valid_until=sent_at + timedelta(milliseconds=window_ms) if venue.window else None,
        request={"how": how, "values": intent.data, "filled_before": str(order.filled_quantity)},
    )  # fmt: skip
    books.gate(service.account, service.lease.epoch, revision)
    books.add_attempt(attempt)
    events.record(books, order, "amend_pending", source="executor", received_at=clock.now(), mutation=Mutation.AMEND_PENDING,
                  data={"attempt": str(attempt_id), "by": intent.requested_by, "how": how, "values": intent.data})  # fmt: skip
    if how == "cancel_and_new":
        stop = CancelOrder(symbol=order.symbol, venue_order_id=order.venue_order_id, venue_client_id=client_id,
                           stamp_ms=stamp_ms, window_ms=window_ms)  # fmt: skip
        return Begun(attempt_id, order.id, how, stop)
    return Begun(attempt_id, order.id, how, _message(order, intent, venue, client_id, attempt, stamp_ms))


def finish(books: Books, begun: Begun, intent_id: uuid.UUID, answer: Answer, received_at: datetime) -> bool:
    """Record what the answer proves. Returns whether the wish is settled."""
    intent, order = books.store.intent(intent_id), books.order(begun.order)
    attempt = books.attempt(begun.order, begun.attempt)
    doubts.note_answer(books, attempt, answer, received_at)
    if Status(order.status) in states.TERMINAL or order.mutation not in states.AMENDING:
        doubts.settle(books, order, order.status, action="amend", actor="executor", rows=[])
        is_amended = bool(attempt.venue_order_id)  # its successor has been seen before this answer
        return _done(books, intent, "amended" if is_amended else f"the order is {order.status}") == "done"
    if answer.outcome == "accepted":
        return _accepted(books, order, attempt, begun.how, intent, answer, received_at)
    if answer.outcome == "unknown":
        events.record(books, order, "amend_unknown", source="executor", received_at=received_at,
                      mutation=Mutation.AMEND_UNKNOWN, data={"code": answer.code, "detail": answer.message})  # fmt: skip
        return _done(books, intent, "the venue's answer was lost; it is being looked up") == "done"
    doubts.settle(books, order, "not_applied", action="amend", actor="executor", rows=[])
    events.record(books, order, "amend_refused" if answer.outcome == "rejected" else "amend_not_sent", source="executor",
                  received_at=received_at, mutation=Mutation.NONE, to=_filled(order),
                  data={"code": answer.code, "detail": answer.message})  # fmt: skip
    tries = sum(attempt.sent_at >= intent.requested_at for attempt in books.attempts(order.id, "amend"))
    if answer.outcome == "rejected" or not answer.transient or tries >= TRIES_MAX:
        return _done(books, intent, f"refused: {answer.code} {answer.message}. The order stands as it was.") == "done"
    return False


def did_not_apply(books: Books, order: OrderRow, received_at: datetime) -> None:
    """Return an order whose amend proved without effect to `none`."""
    doubts.settle(books, order, "not_applied", action="amend", actor="executor", rows=[])
    events.record(books, order, "amend_not_applied", source="executor", received_at=received_at, mutation=Mutation.NONE,
                  to=_filled(order))  # fmt: skip


def left_nothing(books: Books, order: OrderRow, received_at: datetime, why: str) -> None:
    """End an order whose replacement was refused after the venue had ended the old one (Binance: HTTP 409, -2021)."""
    doubts.settle(books, order, "cancelled", action="amend", actor="executor", rows=[])
    events.record(books, order, "cancelled", source="venue", received_at=received_at, to=_filled(order) or Status.CANCELLED,
                  code="REPLACE_LEFT_NOTHING", message=f"The old order is cancelled and there is no new one: {why}")  # fmt: skip


def _accepted(
    books: Books,
    order: OrderRow,
    attempt: AttemptRow,
    how: How,
    intent: IntentRow,
    answer: Answer,
    received_at: datetime,
) -> bool:
    if how == "cancel_and_new":  # accepted is not cancelled: the leg's own end queues the rest
        events.answered_late(books, order, "amend", received_at)
        if answer.order is not None:
            events.apply_report(books, order, answer.order, source="amend", received_at=received_at)
        return _done(books, intent, "the venue took the cancel; the rest is sent when it has ended") == "done"
    if answer.replaced == "cancelled_only":
        left_nothing(books, order, received_at, answer.code)
        return _done(books, intent, f"the old order is cancelled, the new one was refused: {answer.code}") == "done"
    events.take_amendment(books, order, attempt, answer.venue_order_id or "", source="venue", received_at=received_at)
    if answer.order is not None:
        events.apply_report(books, order, answer.order, source="amend", received_at=received_at)
    return _done(books, intent, "amended") == "done"


def _filled(order: OrderRow) -> Status | None:
    return Status.FILLED if order.filled_quantity >= order.quantity else None


def _live_leg(books: Books, order: OrderRow) -> AttemptRow | None:
    legs = [attempt for attempt in books.attempts(order.id) if attempt.action != "cancel" and attempt.venue_client_id]
    named = [leg for leg in legs if leg.venue_order_id == order.venue_order_id]
    return named[-1] if named else next((leg for leg in reversed(legs) if leg.action == "submit"), None)


def _proposal(order: OrderRow, intent: IntentRow) -> checks.Proposal:
    quantity = Decimal(intent.data.get("quantity", order.quantity)) - order.filled_quantity
    price = Decimal(intent.data["price"]) if "price" in intent.data else order.price
    trigger = Decimal(intent.data["trigger_price"]) if "trigger_price" in intent.data else order.trigger_price
    return checks.Proposal(
        side=order.side, type=order.type, quantity=quantity, price=price, reduce_only=order.reduce_only,
        trigger_price=None if order.trigger_state else trigger,
    )  # fmt: skip


def _message(
    order: OrderRow, intent: IntentRow, venue: Capabilities, client_id: str, attempt: AttemptRow, stamp_ms: int
) -> AmendOrder:
    asked = {name: Decimal(text) for name, text in intent.data.items() if name not in LOCAL_FIELDS}
    is_ours = bool(order.trigger_state)  # we watched for its trigger: to the venue it is a plain order, as it was sent
    time_in_force = order.time_in_force.upper() if order.time_in_force.upper() in venue.times_in_force else "GTC"
    return AmendOrder(
        symbol=order.symbol, side="buy" if order.side == "buy" else "sell",
        type=AFTER_TRIGGER.get(order.type, order.type) if is_ours else order.type,
        venue_order_id=order.venue_order_id, venue_client_id=client_id, new_venue_client_id=attempt.venue_client_id,
        quantity=asked.get("quantity", order.quantity), filled_quantity=order.filled_quantity,
        price=asked.get("price", order.price),
        trigger_price=None if is_ours else asked.get("trigger_price", order.trigger_price),
        time_in_force=time_in_force, post_only=order.post_only, stamp_ms=stamp_ms, window_ms=attempt.window_ms,
    )  # fmt: skip


def _done(books: Books, intent: IntentRow, result: str) -> str:
    books.finish(intent, result)
    return "done"
