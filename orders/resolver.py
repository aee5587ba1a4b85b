"""Unknown → evidence: look each doubt up until it is proved one way or the other, or becomes a dead letter."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from orders import cancellation, doubts, events, ledger, proof, states, sweeps
from orders.models import Attempt, Balance, DeadLetter, Fill, Order
from orders.service import Service
from orders.states import Mutation, Status
from project.lib import clock, decimals
from venues.messages import Evidence, Lookup

LOOKUP_SECONDS_AFTER_LETTER = 30


async def resolve(service: Service) -> int:
    """Take every unresolved attempt of the account one step further. Returns how many are left."""
    attempts, stuck = await service.writer.run(lambda: (doubts.unresolved(service.account), _stuck_cancels(service)))
    if not attempts and not stuck:
        return 0
    now = clock.now()
    due = [attempt for attempt in attempts if _is_due(service, attempt, now)]
    for attempt in due:
        await _look(service, attempt)
    await _check_stuck_cancels(service, stuck)
    if due:
        await _prove_absences(service)
    for attempt in await service.writer.run(lambda: doubts.unresolved(service.account)):
        if (clock.now() - attempt.sent_at).total_seconds() >= service.timing.dead_letter_seconds:
            await service.writer.run_until_committed(partial(_park, service, attempt))
    return len(attempts) + len(stuck)


async def look_again(service: Service, letter: DeadLetter) -> str:
    """Look the order of a dead letter up at once. Returns in words what came of it."""
    attempt = await service.writer.run(lambda: Attempt.objects.select_related("order").get(dead_letters=letter))
    lookup = await _look(service, attempt)
    return {"found": "found at the venue", "absent": "the venue says it is not there"}.get(
        lookup.result, "the venue did not answer well enough to tell"
    )


async def bind(service: Service, letter: DeadLetter, venue_order_id: str, *, actor: str, reason: str) -> str:
    """Verify with the venue that an order is ours, and take it as such. Returns the result in words."""
    order = await service.writer.run(lambda: Order.objects.get(pk=letter.order_id))
    lookup = await service.gateway.look_up(
        symbol=order.symbol, venue_client_id="", venue_order_id=venue_order_id, since=order.created_at
    )
    report = lookup.order
    if lookup.result != "found" or report is None:
        return f"refused: the venue does not show order {venue_order_id} on {order.symbol}"
    if (report.side and report.side != order.side) or (report.quantity and report.quantity != order.quantity):
        return "refused: side or quantity of that order differ from ours"
    report = dataclasses.replace(report, venue_client_id=None, venue_order_id=venue_order_id)

    def take() -> str:
        if (
            Order.objects.filter(account_id=order.account_id, symbol=order.symbol, venue_order_id=venue_order_id)
            .exclude(pk=order.pk)
            .exists()
        ):
            return f"refused: venue order {venue_order_id} belongs to another order already"
        doubts.settle(
            order, "bound", action="submit", actor=actor, rows=doubts.evidence_rows(lookup.evidence), reason=reason
        )
        events.apply_report(events.lock(order.pk), report, source="person", received_at=clock.now())
        return f"bound to venue order {venue_order_id}"

    result = await service.writer.run_until_committed(take)
    if result.startswith("bound"):
        await sweeps.settle_report(service, order.pk, report, source="lookup")
    return result


def declare_absent(letter: DeadLetter, *, actor: str, reason: str) -> str:
    """End the doubt by a person's word. A submit becomes denied, a cancel counts as not applied."""
    order = events.lock(letter.order_id)
    action = letter.attempt.action if letter.attempt else "submit"
    now = clock.now()
    if action == "cancel":
        doubts.settle(
            order, "declared_absent", action=action, actor=actor, rows=[], reason=reason
        )  # first: it is that person's word
        cancellation.cancel_did_not_apply(order, now)
    elif Status(order.status) == Status.UNKNOWN:
        events.record(order, "declared_absent", source="person", received_at=now, to=Status.DENIED, code="SUBMIT_NOT_ACCEPTED",
                      message=f"declared absent by {actor}: {reason}")  # fmt: skip
    else:
        return f"refused: the order is {order.status}, not unknown"
    doubts.settle(order, "declared_absent", action=action, actor=actor, rows=[], reason=reason)
    return "declared absent"


def _is_due(service: Service, attempt: Attempt, now: datetime) -> bool:
    if attempt.last_lookup_at is None:
        return True
    age = (now - attempt.sent_at).total_seconds()
    is_parked = age >= service.timing.dead_letter_seconds
    interval = LOOKUP_SECONDS_AFTER_LETTER if is_parked else service.timing.lookup_interval_seconds
    return (now - attempt.last_lookup_at).total_seconds() >= interval


async def _look(service: Service, attempt: Attempt) -> Lookup:
    order = attempt.order
    lookup = await service.gateway.look_up(
        symbol=order.symbol, venue_client_id=attempt.venue_client_id, venue_order_id=order.venue_order_id or None,
        since=attempt.sent_at - timedelta(seconds=60),
    )  # fmt: skip
    await service.writer.run_until_committed(lambda: _note_lookup(service, attempt, lookup))
    if lookup.result == "found" and lookup.order is not None:
        await sweeps.settle_report(service, order.pk, lookup.order, source="lookup")
        if attempt.action == "cancel":
            await service.writer.run_until_committed(lambda: _judge_cancel(service, attempt))
    return lookup


def _note_lookup(service: Service, attempt: Attempt, lookup: Lookup) -> None:
    fresh = Attempt.objects.select_for_update().get(pk=attempt.pk)
    now = clock.now()
    is_conclusive = (
        lookup.result == "absent" and (from_ := _conclusive_from(service, fresh)) is not None and now >= from_
    )
    if is_conclusive and fresh.lookups_absent and not _is_spaced(service, fresh, now):
        doubts.add_evidence(
            fresh, doubts.evidence_rows(lookup.evidence)
        )  # a person asking twice in a second is one proof, not two
        return
    fresh.last_lookup_at = now
    fresh.lookups_absent = (
        fresh.lookups_absent + 1 if is_conclusive else 0 if lookup.result == "found" else fresh.lookups_absent
    )
    fresh.save(update_fields=["last_lookup_at", "lookups_absent"])
    doubts.add_evidence(fresh, doubts.evidence_rows(lookup.evidence))


def _is_spaced(service: Service, attempt: Attempt, now: datetime) -> bool:
    last = attempt.last_lookup_at
    return last is None or (now - last).total_seconds() >= service.timing.lookup_interval_seconds


def _judge_cancel(service: Service, attempt: Attempt) -> None:
    order = events.lock(attempt.order_id)
    if Status(order.status) in states.TERMINAL:
        doubts.settle(order, order.status, action="cancel", actor="executor", rows=[])
        return
    from_ = _conclusive_from(service, attempt)
    if from_ is not None and clock.now() >= from_:
        cancellation.cancel_did_not_apply(order, clock.now())


async def _prove_absences(service: Service) -> None:
    """Prove absence for all concurrent unknowns of the account together: the books must be explained without any."""
    ready = await service.writer.run(lambda: _ready(service))
    if not ready:
        return
    explanation = await _explain_books(service, ready)
    if explanation is None:
        return

    def conclude() -> None:
        for attempt in ready:
            order = events.lock(attempt.order_id)
            if Status(order.status) != Status.UNKNOWN:
                continue
            rows = doubts.evidence_rows([explanation])
            doubts.settle(order, "never_accepted", action="submit", actor="executor", rows=rows)
            events.record(
                order, "never_accepted", source="executor", received_at=clock.now(), to=Status.DENIED,
                code="SUBMIT_NOT_ACCEPTED", message="The venue never accepted it: proved by lookups, trades and balances.",
            )  # fmt: skip

    await service.writer.run_until_committed(conclude)


def _ready(service: Service) -> list[Attempt]:
    parked = set(
        DeadLetter.objects.filter(account_id=service.account, status=DeadLetter.Status.OPEN).values_list(
            "attempt_id", flat=True
        )
    )
    now = clock.now()
    return [
        attempt
        for attempt in doubts.unresolved(service.account)
        if attempt.action == "submit" and attempt.pk not in parked and _verdict(service, attempt, now, True).is_proved
    ]


async def _explain_books(service: Service, attempts: list[Attempt]) -> Evidence | None:
    """Read trades and balances once more; return the evidence if they agree with our books without these orders."""
    assets = sorted({asset for attempt in attempts for asset in ledger.assets_of(attempt.order.symbol)})
    started_at = clock.now()
    trades = await sweeps.fills(service, reason="proof")
    money = await sweeps.balances(service, reason="proof")
    if trades.status != "good" or money.status != "good":
        return None

    def compare() -> dict[str, Any] | None:
        rows = Balance.objects.filter(account_id=service.account, asset__in=assets)
        shown = {row.asset: (row.total, row.venue_total) for row in rows}
        recent = Fill.objects.filter(account_id=service.account, executed_at__gte=started_at - timedelta(minutes=10))
        if recent.filter(recorded_at__gte=started_at).exists():
            return None  # trades came in while reading: ask again when it is quiet
        if any(total != (venue_total or 0) for total, venue_total in shown.values()):
            return None
        return {asset: decimals.write(total) for asset, (total, _) in shown.items()}

    explained = await service.writer.run(compare)
    if explained is None:
        return None
    return Evidence(
        source="books", at=clock.now(), answer="trades and balances are explained without it", detail=explained
    )


def _stuck_cancels(service: Service) -> list[tuple[Order, Attempt]]:
    orders = Order.objects.filter(
        account_id=service.account, mutation=Mutation.CANCEL_PENDING, status__in=[s.value for s in states.AT_VENUE],
        updated_at__lt=clock.now() - timedelta(seconds=1),
    )  # fmt: skip
    newest = [(order, order.attempts.filter(action="cancel").order_by("-sent_at").first()) for order in orders[:20]]
    return [(order, attempt) for order, attempt in newest if attempt is not None and attempt.outcome == "accepted"]


async def _check_stuck_cancels(service: Service, stuck: list[tuple[Order, Attempt]]) -> None:
    """An accepted cancel that does not end its order is looked up until it does, or counts as not applied."""
    lag = service.gateway.capabilities.read_lag_seconds + service.timing.lookup_interval_seconds
    for order, attempt in stuck:
        report = await sweeps.look_up(service, order.pk, source="lookup")
        is_old = (clock.now() - attempt.sent_at).total_seconds() > lag
        if report is not None and report.status == "open" and is_old:
            await service.writer.run_until_committed(partial(_cancel_did_not_apply, order.pk))


def _cancel_did_not_apply(order_id: uuid.UUID) -> None:
    cancellation.cancel_did_not_apply(events.lock(order_id), clock.now())


def _park(service: Service, attempt: Attempt) -> None:
    order = events.lock(attempt.order_id)
    if attempt.action == "submit" and Status(order.status) != Status.UNKNOWN:
        return
    verdict = _verdict(service, attempt, clock.now(), False)
    price = order.price or order.last_price_seen or 0
    quote = ledger.assets_of(order.symbol)[1]
    what = "sent to the venue" if attempt.action == "submit" else "asked to be cancelled"
    doubts.open_letter(
        attempt, f"{attempt.action.upper()}_{attempt.code or 'UNKNOWN'}"[:64],
        f"This order was {what} and nothing proves what became of it: {verdict.missing}. It counts as filled until settled.",
        money_at_risk=order.leaves_quantity * price, asset=quote,
    )  # fmt: skip


def _verdict(service: Service, attempt: Attempt, now: datetime, books_explained: bool) -> proof.Verdict:
    return proof.judge(_doubt(service, attempt, books_explained), now)


def _conclusive_from(service: Service, attempt: Attempt) -> datetime | None:
    return proof.conclusive_from(_doubt(service, attempt, False))


def _doubt(service: Service, attempt: Attempt, books_explained: bool) -> proof.Doubt:
    facts = service.gateway.capabilities
    return proof.Doubt(
        sent_at=attempt.sent_at, valid_until=attempt.valid_until,
        processing_bound_seconds=facts.processing_bound_seconds, read_lag_seconds=facts.read_lag_seconds,
        lookups_absent=attempt.lookups_absent, books_explained=books_explained,
    )  # fmt: skip
