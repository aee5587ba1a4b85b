"""What people asked the owner for, other than cancels: fresh snapshots, another look, a binding, a declared absence. Pure."""

from __future__ import annotations

import copy
import dataclasses
import uuid

from orders import amendment, cancellation, doubts, events, legs, resolver, sweeps
from orders.books import Books
from orders.rows import IntentRow, LetterRow
from orders.service import Service
from orders.states import Status
from project.lib import clock
from venues.messages import OrderReport


async def carry_out(service: Service, intent_id: uuid.UUID) -> bool:
    """Carry out one wish and keep its result in words. Returns True: it is settled either way."""
    intent = await service.writer.run(lambda books: books.store.intent(intent_id))
    if intent.done_at:
        return True
    if intent.action == "capture":
        reads = await sweeps.all_surfaces(service, reason="demand")
        result = ", ".join(f"{surface} {read.status}" for surface, read in reads.items())
    else:
        result = await _about_letter(service, intent)
    await service.writer.run_until_committed(lambda books: _done(books, intent_id, result))
    return True


async def look_again(service: Service, letter: LetterRow) -> str:
    """Look the order of a dead letter up at once. Returns in words what came of it."""
    if letter.attempt is None:
        return "refused: this dead letter is about no single request"
    attempt_id = letter.attempt
    order, attempt = await service.writer.run(
        lambda books: (copy.copy(books.order(letter.order)), copy.copy(books.attempt(letter.order, attempt_id)))
    )
    lookup = await resolver.look(service, order, attempt)
    return {"found": "found at the venue", "absent": "the venue says it is not there"}.get(
        lookup.result, "the venue did not answer well enough to tell"
    )


async def bind(service: Service, letter: LetterRow, venue_order_id: str, *, actor: str, reason: str) -> str:
    """Verify with the venue that an order is ours, and take it as such. Returns the result in words."""
    order, before = await service.writer.run(
        lambda books: (copy.copy(found := books.order(letter.order)), legs.filled_before(books, found, None))
    )
    lookup = await service.gateway.look_up(
        symbol=order.symbol, venue_client_id="", venue_order_id=venue_order_id, since=order.created_at
    )
    if lookup.result != "found" or lookup.order is None:
        return f"refused: the venue does not show order {venue_order_id} on {order.symbol}"
    report = dataclasses.replace(lookup.order, venue_client_id=None, venue_order_id=venue_order_id)
    if (report.side and report.side != order.side) or (report.quantity and report.quantity != order.quantity - before):
        return "refused: side or quantity of that order differ from ours"
    rows = doubts.evidence_rows(lookup.evidence)
    result = await service.writer.run_until_committed(
        lambda books: _take(books, letter.order, report, rows, actor=actor, reason=reason)
    )
    if result.startswith("bound"):
        await sweeps.settle_report(service, order.id, report, source="lookup")
    return result


def declare_absent(books: Books, letter: LetterRow, *, actor: str, reason: str) -> str:
    """End the doubt by a person's word. A submit becomes denied, a cancel counts as not applied."""
    order = books.order(letter.order)
    now = clock.now()
    if letter.action == "submit" and Status(order.status) != Status.UNKNOWN:
        return f"refused: the order is {order.status}, not unknown"
    # first: it is that person's word
    doubts.settle(books, order, "declared_absent", action=letter.action, actor=actor, rows=[], reason=reason)
    if letter.action == "cancel":
        cancellation.did_not_apply(books, order, now)
    elif letter.action == "amend":
        amendment.did_not_apply(books, order, now)
    else:
        events.end_unsent(books, order, "declared_absent", source="person", received_at=now, code="SUBMIT_NOT_ACCEPTED",
                          message=f"declared absent by {actor}: {reason}")  # fmt: skip
    return "declared absent"


def _take(
    books: Books, order_id: uuid.UUID, report: OrderReport, rows: list[dict[str, object]], *, actor: str, reason: str
) -> str:
    order = books.order(order_id)
    taken = books.by_venue_id(order.account, order.symbol, report.venue_order_id or "")
    if taken is not None and taken is not order:
        return f"refused: venue order {report.venue_order_id} belongs to another order already"
    doubts.settle(books, order, "bound", action="submit", actor=actor, rows=rows, reason=reason)
    events.apply_report(books, order, report, source="person", received_at=clock.now())
    return f"bound to venue order {report.venue_order_id}"


async def _about_letter(service: Service, intent: IntentRow) -> str:
    letter_id = uuid.UUID(intent.data["dead_letter"])
    letter = await service.writer.run(lambda books: _letter(books, letter_id))
    if letter is None:
        return "resolved already"
    if intent.action == "look_again":
        return await look_again(service, letter)
    reason = intent.data["reason"]
    if intent.action == "bind":
        return await bind(service, letter, intent.data["venue_order_id"], actor=intent.requested_by, reason=reason)
    return await service.writer.run_until_committed(
        lambda books: declare_absent(books, letter, actor=intent.requested_by, reason=reason)
    )


def _letter(books: Books, letter_id: uuid.UUID) -> LetterRow | None:
    order_id = books.store.letter_order(letter_id)
    if order_id is None:
        return None
    return next((copy.copy(letter) for letter in books.letters(order_id) if letter.id == letter_id), None)


def _done(books: Books, intent_id: uuid.UUID, result: str) -> None:
    intent = books.store.intent(intent_id)
    books.finish(intent, result)
    topic = "coverage" if intent.action == "capture" else "dead_letters"
    books.announce(topic, f"intent.{intent.action}", intent.id, account=intent.account, data={"result": intent.result})
