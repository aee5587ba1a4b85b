"""Unresolved attempts and dead letters: opened when proof is missing, settled when it arrives. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from orders.books import Books
from orders.rows import AttemptRow, LetterRow, OrderRow
from orders.states import Status
from project.lib import clock, ids
from venues.messages import Answer, Evidence

EVIDENCE_MAX = 50


def evidence_rows(evidence: Iterable[Evidence]) -> list[dict[str, Any]]:
    """Turn evidence into what is stored beside an attempt or a dead letter."""
    return [storable({**dataclasses.asdict(item), "at": item.at.isoformat()}) for item in evidence]


def storable(value: Any) -> Any:
    """Return what a venue said with NUL and half surrogate pairs replaced: PostgreSQL stores neither, and a fact must fit."""
    if isinstance(value, str):
        if value.isascii() and "\0" not in value:
            return value
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return [storable(item) for item in value] if isinstance(value, list | tuple) else value


def merged(known: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say the same answer of the same source once: how often, first when, last when, with the newest detail."""
    by_answer = {(row.get("source"), row.get("answer")): row for row in known}
    for row in rows:
        before = by_answer.pop((row.get("source"), row.get("answer")), None)
        if before is not None:
            row = {**row, "count": before.get("count", 1) + 1, "first_at": before.get("first_at", before.get("at"))}
        by_answer[(row.get("source"), row.get("answer"))] = row
    return list(by_answer.values())[-EVIDENCE_MAX:]


def add_evidence(books: Books, attempt: AttemptRow, rows: list[dict[str, Any]]) -> None:
    """Append evidence to an attempt, and to its open dead letter; only the newest are kept in full."""
    attempt.evidence = merged(attempt.evidence, rows)
    books.change_attempt(attempt)
    for letter in books.letters(attempt.order):
        if letter.attempt == attempt.id:
            letter.evidence = merged(letter.evidence, rows)
            letter.looked_at = clock.now()
            books.change_letter(letter)
            books.announce("dead_letters", "dead_letter.evidence", letter.id, account=letter.account)


def note_unclassified(books: Books, attempt: AttemptRow, answer: Answer) -> None:
    """Note a venue's answer that no row of the error matrix knows, for a person to say what it proves."""
    if not answer.unclassified:
        return
    data = {
        "operation": attempt.action, "venue_code": answer.venue_code, "message": answer.message,
        "http_status": answer.http_status, "exception_class": answer.unclassified, "outcome": answer.outcome,
        "code": answer.code,
    }  # fmt: skip
    books.note(attempt.account, "unclassified_answer", str(attempt.order), order=attempt.order, data=storable(data))


def note_answer(books: Books, attempt: AttemptRow, answer: Answer, received_at: datetime) -> None:
    """Write the venue's answer to a cancel or an amend beside its attempt, as outcome and as evidence."""
    note_unclassified(books, attempt, answer)
    attempt.outcome, attempt.outcome_at = answer.outcome, received_at
    attempt.code, attempt.message = answer.code[:64], storable(answer.message)[:500]
    evidence = Evidence(source=attempt.action, at=received_at, answer=answer.message or answer.code or answer.outcome)
    attempt.evidence = evidence_rows([evidence])
    books.change_attempt(attempt)


def settle(
    books: Books,
    order: OrderRow,
    resolution: str,
    *,
    action: str,
    actor: str,
    rows: list[dict[str, Any]],
    reason: str = "",
) -> None:
    """Close every open doubt of one action of an order (submit, cancel, amend): its unknown attempts and dead letters."""
    now = clock.now()
    for attempt in books.attempts(order.id, action):
        if attempt.is_unresolved:
            attempt.resolved_at, attempt.resolution = now, resolution
            attempt.evidence = merged(attempt.evidence, rows)
            books.change_attempt(attempt)
    for letter in books.letters(order.id):
        if letter.action == action:
            close(
                books, letter, resolution, actor=actor, reason=reason or "proved by the venue's own answer", rows=rows
            )


def open_letter(
    books: Books, attempt: AttemptRow, cause: str, explanation: str, *, money_at_risk: Decimal, asset: str
) -> LetterRow:
    """Open a dead letter for an attempt; its order's exposure stays reserved. Opening twice returns the first."""
    for known in books.letters(attempt.order):
        if known.attempt == attempt.id:
            return known
    letter = LetterRow(
        id=ids.new_id(), order=attempt.order, attempt=attempt.id, action=attempt.action, account=attempt.account, cause=cause,
        explanation=explanation[:500], money_at_risk=money_at_risk, money_at_risk_asset=asset,
        evidence=list(attempt.evidence), looked_at=attempt.last_lookup_at, created_at=clock.now(),
    )  # fmt: skip
    books.add_letter(letter)
    books.announce("dead_letters", "dead_letter.opened", letter.id, account=letter.account, data={"cause": cause})
    return letter


def close(
    books: Books, letter: LetterRow, resolution: str, *, actor: str, reason: str, rows: list[dict[str, Any]]
) -> None:
    """Close a dead letter with who, how, why and the evidence."""
    letter.status, letter.resolution, letter.resolved_by = "resolved", resolution, actor
    letter.resolution_reason, letter.resolved_at = reason[:500], clock.now()
    letter.evidence = merged(letter.evidence, rows)
    books.change_letter(letter)
    books.audit(actor, "dead_letter.resolve", letter.id, {"resolution": resolution, "reason": reason})
    books.announce("dead_letters", "dead_letter.resolved", letter.id, account=letter.account)


def unresolved(books: Books, account: str) -> list[AttemptRow]:
    """Return the attempts whose outcome is still unknown, oldest first."""
    order_ids = books.store.orders_in_doubt(account)
    books.load(order_ids)
    found = [attempt for order_id in order_ids for attempt in books.attempts(order_id) if attempt.is_unresolved]
    return sorted(found, key=lambda attempt: (attempt.sent_at, attempt.id))


def mark_lost(books: Books, account: str, at: datetime, is_lost: Callable[[AttemptRow], bool]) -> list[AttemptRow]:
    """Mark the attempts without an outcome as unknown that nobody waits for any more. Returns them.

    A submit whose order the venue has answered for by other ways (stream, sweep) is no doubt: it is resolved at once.
    """
    order_ids = books.store.orders_in_doubt(account)
    books.load(order_ids)
    lost: list[AttemptRow] = []
    for order_id in order_ids:
        order = books.order(order_id)
        for attempt in books.attempts(order_id):
            if attempt.outcome == "" and is_lost(attempt):
                attempt.outcome, attempt.outcome_at, attempt.code = "unknown", at, "OWNER_LOST"
                attempt.message = "whoever was to send this ended before the answer was recorded"
                books.change_attempt(attempt)
                lost.append(attempt)
            proved = attempt.action == "submit" and order.status not in {Status.SENDING, Status.UNKNOWN}
            if attempt.is_unresolved and proved:
                attempt.resolved_at = at
                attempt.resolution = "rejected" if order.status == Status.REJECTED else "accepted"
                books.change_attempt(attempt)
    return lost
