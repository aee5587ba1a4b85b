"""Unresolved attempts and dead letters as rows: opened when proof is missing, settled when it arrives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from orders.models import Attempt, DeadLetter, Order
from orders.states import Status
from project.lib import audit, clock, feed
from venues.messages import Evidence

EVIDENCE_MAX = 50


def evidence_rows(evidence: Iterable[Evidence]) -> list[dict[str, Any]]:
    """Turn evidence into what is stored beside an attempt or a dead letter."""
    return [storable({**dataclasses.asdict(item), "at": item.at.isoformat()}) for item in evidence]


def storable(value: Any) -> Any:
    """Return what a venue said with NUL and half surrogate pairs replaced: PostgreSQL stores neither, and a fact must fit."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return [storable(item) for item in value] if isinstance(value, list | tuple) else value


def _merged(known: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say the same answer of the same source once: how often, first when, last when, with the newest detail."""
    by_answer = {(row.get("source"), row.get("answer")): row for row in known}
    for row in rows:
        before = by_answer.pop((row.get("source"), row.get("answer")), None)
        if before is not None:
            row = {**row, "count": before.get("count", 1) + 1, "first_at": before.get("first_at", before.get("at"))}
        by_answer[(row.get("source"), row.get("answer"))] = row
    return list(by_answer.values())[-EVIDENCE_MAX:]


def add_evidence(attempt: Attempt, rows: list[dict[str, Any]]) -> None:
    """Append evidence to an attempt, and to its open dead letter; only the newest are kept in full."""
    attempt.evidence = _merged(attempt.evidence, rows)
    attempt.save(update_fields=["evidence"])
    for letter in DeadLetter.objects.filter(attempt=attempt, status=DeadLetter.Status.OPEN):
        letter.evidence = _merged(letter.evidence, rows)
        letter.looked_at = clock.now()
        letter.save(update_fields=["evidence", "looked_at"])
        feed.announce("dead_letters", "dead_letter.evidence", letter.id, account=letter.account_id)


def settle(
    order: Order, resolution: str, *, action: str, actor: str, rows: list[dict[str, Any]], reason: str = ""
) -> None:
    """Close every open doubt of one action of an order (submit or cancel): its unknown attempts and dead letters."""
    now = clock.now()
    for attempt in Attempt.objects.filter(order=order, action=action, outcome="unknown", resolved_at=None):
        attempt.resolved_at, attempt.resolution = now, resolution
        attempt.evidence = _merged(attempt.evidence, rows)
        attempt.save(update_fields=["resolved_at", "resolution", "evidence"])
    for letter in DeadLetter.objects.filter(order=order, attempt__action=action, status=DeadLetter.Status.OPEN):
        close(letter, resolution, actor=actor, reason=reason or "proved by the venue's own answer", rows=rows)


def open_letter(attempt: Attempt, cause: str, explanation: str, *, money_at_risk: Decimal, asset: str) -> DeadLetter:
    """Open a dead letter for an attempt; its order's exposure stays reserved. Opening twice returns the first."""
    letter, is_new = DeadLetter.objects.get_or_create(
        attempt=attempt,
        status=DeadLetter.Status.OPEN,
        defaults={
            "order_id": attempt.order_id,
            "account_id": attempt.account_id,
            "cause": cause,
            "explanation": explanation,
            "money_at_risk": money_at_risk,
            "money_at_risk_asset": asset,
            "evidence": attempt.evidence,
            "looked_at": attempt.last_lookup_at,
        },
    )
    if is_new:
        feed.announce("dead_letters", "dead_letter.opened", letter.id, account=letter.account_id, data={"cause": cause})
    return letter


def close(letter: DeadLetter, resolution: str, *, actor: str, reason: str, rows: list[dict[str, Any]]) -> None:
    """Close a dead letter with who, how, why and the evidence."""
    letter.status, letter.resolution, letter.resolved_by = DeadLetter.Status.RESOLVED, resolution, actor
    letter.resolution_reason, letter.resolved_at = reason[:500], clock.now()
    letter.evidence = _merged(letter.evidence, rows)
    letter.save()
    audit.record(actor, "dead_letter.resolve", letter.id, {"resolution": resolution, "reason": reason})
    feed.announce("dead_letters", "dead_letter.resolved", letter.id, account=letter.account_id)


def unresolved(account_code: str) -> list[Attempt]:
    """Return the attempts whose outcome is still unknown, oldest first."""
    return list(
        Attempt.objects.filter(account_id=account_code, outcome="unknown", resolved_at=None)
        .select_related("order")
        .order_by("sent_at", "id")
    )


def begin_recovery(account_code: str, at: datetime) -> int:
    """Mark every attempt without an outcome as unknown: whoever sent it is gone. Returns how many.

    A submit whose order the venue has answered for by other ways (stream, sweep) is no doubt: it is resolved at once.
    """
    lost = Attempt.objects.filter(account_id=account_code, outcome="").update(
        outcome="unknown",
        outcome_at=at,
        code="OWNER_LOST",
        message="the process that sent this ended before the answer",
    )
    proved = Attempt.objects.filter(account_id=account_code, action="submit", outcome="unknown", resolved_at=None)
    proved = proved.exclude(order__status__in=[Status.SENDING, Status.UNKNOWN])
    proved.filter(order__status=Status.REJECTED).update(resolved_at=at, resolution="rejected")
    proved.update(resolved_at=at, resolution="accepted")
    return lost
