"""Unknown → evidence: look each doubt up until it is proved one way or the other, or becomes a dead letter. Pure."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from orders import amendment, cancellation, doubts, events, legs, proof, recovery, states, sweeps
from orders.books import Books
from orders.rows import AttemptRow, OrderRow
from orders.service import Service
from orders.states import Mutation, Status
from project.lib import clock, decimals, symbols
from venues.messages import Evidence, Lookup, OrderReport

LOOKUP_SECONDS_AFTER_LETTER = 30
STUCK_MAX = 20
ORPHAN_SECONDS = 1.0
LOOKUPS_MAX, LOOKUPS_AT_ONCE = 64, 4
Doubt = tuple[OrderRow, AttemptRow]


async def resolve(service: Service) -> int:
    """Take unresolved attempts of the account one step further, those first that were longest not looked at.

    Returns how many are left. Only so many are looked up before what can be concluded is: an owner that is ended again and
    again would otherwise never come to it.
    """
    found, stuck = await service.writer.run(lambda books: _unsettled(books, service))
    if not found and not stuck:
        return 0
    now = clock.now()
    due = sorted((doubt for doubt in found if _is_due(service, doubt[1], now)), key=_looked_at)[:LOOKUPS_MAX]
    await _look_up(service, due)
    await _check_stuck(service, stuck)
    if due:
        await _prove_absences(service)
    await service.writer.run_until_committed(lambda books: _park_overdue(books, service))
    return len(found) + len(stuck)


async def _look_up(service: Service, due: list[Doubt]) -> None:
    waiting = iter(due)

    async def work() -> None:
        for order, attempt in waiting:
            await look(service, order, attempt)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(LOOKUPS_AT_ONCE, len(due))):
            group.create_task(work())


def _looked_at(doubt: Doubt) -> tuple[datetime, uuid.UUID]:
    attempt = doubt[1]
    return attempt.last_lookup_at or attempt.sent_at, attempt.id


async def look(service: Service, order: OrderRow, attempt: AttemptRow) -> Lookup:
    """Ask the venue about an attempt and keep what it answers."""
    if attempt.action == "amend" and attempt.request.get("how") == "replace":
        order = dataclasses.replace(order, venue_order_id="")  # the successor is looked for, by the id it was given
    lookup = await sweeps.ask(service, order, attempt.venue_client_id, since=attempt.sent_at - timedelta(seconds=60))
    await service.writer.run_until_committed(lambda books: _note_lookup(books, service, attempt, lookup))
    if attempt.action == "amend":
        await _judge_amend(service, attempt, lookup)
    elif lookup.result == "found" and lookup.order is not None:
        await sweeps.settle_report(service, order.id, lookup.order, source="lookup")
        if attempt.action == "cancel":
            await service.writer.run_until_committed(lambda books: _judge_cancel(books, service, attempt))
    return lookup


def _unsettled(books: Books, service: Service) -> tuple[list[Doubt], list[Doubt]]:
    """Return doubts and stuck cancels, after calling lost what was committed and yet is in nobody's hands.

    A commit whose answer never came (the database went away) leaves an attempt nobody knows to send.
    """
    before = clock.now() - timedelta(seconds=service.timing.request_timeout_seconds + ORPHAN_SECONDS)
    mine = set(service.in_flight)
    recovery.mark_lost(books, service.account, lambda a: a.id not in mine and a.sent_at < before)
    return _doubts(books, service), [*_stuck_cancels(books, service), *_stuck_sends(books, service, before)]


def _doubts(books: Books, service: Service) -> list[Doubt]:
    return [(copy.copy(books.order(a.order)), copy.copy(a)) for a in doubts.unresolved(books, service.account)]


def _is_due(service: Service, attempt: AttemptRow, now: datetime) -> bool:
    if attempt.last_lookup_at is None:
        return True
    age = (now - attempt.sent_at).total_seconds()
    is_parked = age >= service.timing.dead_letter_seconds
    interval = LOOKUP_SECONDS_AFTER_LETTER if is_parked else service.timing.lookup_interval_seconds
    return (now - attempt.last_lookup_at).total_seconds() >= interval


def _note_lookup(books: Books, service: Service, attempt: AttemptRow, lookup: Lookup) -> None:
    fresh = books.attempt(attempt.order, attempt.id)
    now = clock.now()
    is_conclusive = (
        lookup.result == "absent" and (from_ := _conclusive_from(service, fresh)) is not None and now >= from_
    )
    rows = doubts.evidence_rows(lookup.evidence)
    if is_conclusive and fresh.lookups_absent and not _is_spaced(service, fresh, now):
        doubts.add_evidence(books, fresh, rows)  # a person asking twice in a second is one proof, not two
        return
    fresh.last_lookup_at = now
    if lookup.result == "found":
        fresh.lookups_absent = 0
    elif is_conclusive:
        fresh.lookups_absent += 1
    doubts.add_evidence(books, fresh, rows)


def _is_spaced(service: Service, attempt: AttemptRow, now: datetime) -> bool:
    last = attempt.last_lookup_at
    return last is None or (now - last).total_seconds() >= service.timing.lookup_interval_seconds


def _judge_cancel(books: Books, service: Service, attempt: AttemptRow) -> None:
    order = books.order(attempt.order)
    if Status(order.status) in states.TERMINAL:
        doubts.settle(books, order, order.status, action="cancel", actor="executor", rows=[])
        return
    from_ = _conclusive_from(service, attempt)
    if from_ is not None and clock.now() >= from_:
        cancellation.did_not_apply(books, order, clock.now())


async def _judge_amend(service: Service, attempt: AttemptRow, lookup: Lookup) -> None:
    """Decide an amend whose answer was lost: it shows at the venue, or by its rules it can no longer happen."""
    how = attempt.request["how"]
    is_replace = how == "replace"
    from_ = _conclusive_from(service, attempt)
    is_late = from_ is not None and clock.now() >= from_
    report, old = lookup.order, None
    if is_replace and lookup.result == "absent" and is_late:
        old = await sweeps.look_up(service, attempt.order, source="lookup")

    def judge(books: Books) -> None:
        order, fresh = books.order(attempt.order), books.attempt(attempt.order, attempt.id)
        if Status(order.status) in states.TERMINAL:
            doubts.settle(books, order, order.status, action="amend", actor="executor", rows=[])
        elif not fresh.is_unresolved or order.mutation not in states.AMENDING:
            return
        elif report is not None and (is_replace or (how == "in_place" and _shows(report, fresh))):
            new_id = report.venue_order_id or ""
            events.take_amendment(books, order, fresh, new_id, source="venue", received_at=clock.now())
        elif is_replace and fresh.lookups_absent >= proof.LOOKUPS_NEEDED and old is not None:
            if old.status == "open":
                amendment.did_not_apply(books, order, clock.now())
            elif old.status == "cancelled":
                amendment.left_nothing(books, order, clock.now(), "its successor never came to be")
        elif report is not None and not is_replace and is_late and report.status in {"open", "filled"}:
            amendment.did_not_apply(books, order, clock.now())

    await service.writer.run_until_committed(judge)
    if report is not None:
        await sweeps.settle_report(service, attempt.order, report, source="lookup")


def _shows(report: OrderReport, attempt: AttemptRow) -> bool:
    """Say whether the venue shows every value that was asked for."""
    wanted = attempt.request["values"]
    shown = {"quantity": report.quantity, "price": report.price, "trigger_price": report.trigger_price}
    return all(shown.get(name) == Decimal(text) for name, text in wanted.items() if name in shown)


async def _prove_absences(service: Service) -> None:
    """Prove absence for all concurrent unknowns of the account together: the books must be explained without any."""
    ready = await service.writer.run(lambda books: _ready(books, service))
    if not ready:
        return
    explanation = await _explain_books(service, ready)
    if explanation is None:
        return

    def conclude(books: Books) -> None:
        for stale, attempt in ready:
            order = books.order(stale.id)
            if Status(order.status) != Status.UNKNOWN or not books.attempt(order.id, attempt.id).is_unresolved:
                continue
            rows = doubts.evidence_rows([explanation])
            doubts.settle(books, order, "never_accepted", action="submit", actor="executor", rows=rows)
            events.end_unsent(
                books, order, "never_accepted", source="executor", received_at=clock.now(),
                code="SUBMIT_NOT_ACCEPTED", message="The venue never accepted it: proved by lookups, trades and balances.",
            )  # fmt: skip

    await service.writer.run_until_committed(conclude)


def _ready(books: Books, service: Service) -> list[Doubt]:
    now = clock.now()
    return [
        (order, attempt)
        for order, attempt in _doubts(books, service)
        if attempt.action == "submit" and proof.judge(_doubt(service, attempt, True), now).is_proved
    ]


async def _explain_books(service: Service, found: list[Doubt]) -> Evidence | None:
    """Read trades and balances once more; return the evidence if they agree with our books without these orders.

    A difference that was there, confirmed by two reads, before the first of them was sent is not theirs.
    """
    assets = sorted({asset for order, _ in found for asset in symbols.split(order.symbol).moved})
    sent_at = min(attempt.sent_at for _, attempt in found)
    started_at = clock.now()
    trades = await sweeps.fills(service, reason="proof")
    money = await sweeps.balances(service, reason="proof")
    if trades.status != "good" or money.status != "good":
        return None

    def compare(books: Books) -> dict[str, Any] | None:
        if books.store.has_new_fills(service.account, started_at - timedelta(minutes=10), started_at):
            return None  # trades came in while reading: ask again when it is quiet
        explained = {}
        for asset, view in books.store.balances(service.account, assets).items():
            difference = (view.venue_total or 0) - view.total
            known = view.difference_confirmed_at is not None and view.difference_confirmed_at < sent_at
            if difference and not (known and view.difference_confirmed == difference):
                return None
            explained[asset] = decimals.write(view.total)
        return explained

    answer = await service.writer.run(compare)
    if answer is None:
        return None
    return Evidence(
        source="books", at=clock.now(), answer="trades and balances are explained without it", detail=answer
    )


def _stuck_cancels(books: Books, service: Service) -> list[Doubt]:
    found: list[Doubt] = []
    before = clock.now() - timedelta(seconds=1)
    pending = [
        order_id
        for mutation in (Mutation.CANCEL_PENDING, Mutation.AMEND_PENDING)
        for order_id in books.store.orders_in(service.account, mutation=mutation)
    ]
    for order_id in pending[:STUCK_MAX]:
        order = books.order(order_id)
        attempt = legs.in_replacement(books, order) or books.newest_attempt(order_id, "cancel")
        is_old = order.updated_at < before and Status(order.status) in states.AT_VENUE
        if is_old and attempt is not None and attempt.outcome == "accepted":
            found.append((copy.copy(order), copy.copy(attempt)))
    return found


def _stuck_sends(books: Books, service: Service, before: datetime) -> list[Doubt]:
    """Return orders that went out and were answered, and stand as if they were still on their way: none, if all is well."""
    found: list[Doubt] = []
    for order_id in books.store.orders_in(service.account, status=Status.SENDING):
        attempt = books.newest_attempt(order_id, "submit")
        if attempt is not None and attempt.outcome and attempt.sent_at < before and not attempt.is_unresolved:
            found.append((copy.copy(books.order(order_id)), copy.copy(attempt)))
    return found[:STUCK_MAX]


async def _check_stuck(service: Service, stuck: list[Doubt]) -> None:
    """An accepted cancel that does not end its order is looked up until it does, or counts as not applied."""
    lag = service.gateway.capabilities.read_lag_seconds + service.timing.lookup_interval_seconds
    for order, attempt in stuck:
        report = await sweeps.look_up(service, order.id, source="lookup")
        is_old = (clock.now() - attempt.sent_at).total_seconds() > lag
        if report is not None and report.status in {"open", "filled"} and is_old:
            await service.writer.run_until_committed(partial(_cancel_did_not_apply, order_id=order.id))


def _cancel_did_not_apply(books: Books, order_id: uuid.UUID) -> None:
    order = books.order(order_id)
    if Status(order.status) in states.TERMINAL:
        return
    if order.mutation == Mutation.CANCEL_PENDING:
        cancellation.did_not_apply(books, order, clock.now())
    elif order.mutation == Mutation.AMEND_PENDING:
        amendment.did_not_apply(books, order, clock.now())


def _park_overdue(books: Books, service: Service) -> None:
    now = clock.now()
    for attempt in doubts.unresolved(books, service.account):
        order = books.order(attempt.order)
        is_overdue = (now - attempt.sent_at).total_seconds() >= service.timing.dead_letter_seconds
        if not is_overdue or (attempt.action == "submit" and Status(order.status) != Status.UNKNOWN):
            continue
        verdict = proof.judge(_doubt(service, attempt, False), now)
        price, parts = order.price or order.last_price_seen or Decimal(0), symbols.split(order.symbol)
        what = "sent to the venue" if attempt.action == "submit" else "asked to be changed or cancelled"
        doubts.open_letter(
            books, attempt, f"{attempt.action.upper()}_{attempt.code or 'UNKNOWN'}"[:64],
            f"This order was {what} and nothing proves what became of it: {verdict.missing}. It counts as filled until settled.",
            money_at_risk=parts.notional(order.leaves_quantity, price), asset=parts.quote,
        )  # fmt: skip


def _conclusive_from(service: Service, attempt: AttemptRow) -> datetime | None:
    return proof.conclusive_from(_doubt(service, attempt, False))


def _doubt(service: Service, attempt: AttemptRow, books_explained: bool) -> proof.Doubt:
    facts = service.gateway.capabilities
    return proof.Doubt(
        sent_at=attempt.sent_at, valid_until=attempt.valid_until,
        processing_bound_seconds=facts.processing_bound_seconds, read_lag_seconds=facts.read_lag_seconds,
        lookups_absent=attempt.lookups_absent, books_explained=books_explained,
    )  # fmt: skip
