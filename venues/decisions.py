"""What people decide about venues' answers: made, revoked, read for the executors. A decision is never changed."""

from __future__ import annotations

import re

from project.lib import audit, clock, feed
from venues import capabilities
from venues.accounts import Invalid
from venues.exchanges import EXCHANGES
from venues.facts.shapes import Decided, Row
from venues.models import ErrorCase, ErrorDecision, Operation, Venue
from venues.rulebook import verdict_of

Ruling, Cause = ErrorDecision.Ruling, ErrorDecision.Cause
REASON_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,63}\Z", re.ASCII)
PREFIX_CHARACTERS_MIN, FRAGMENT_CHARACTERS_MIN = 2, 4
REASON_CODES: dict[str, str] = {
    Ruling.DEFINITIVE_REJECT: "ORDER_REFUSED", Ruling.NOT_SENT: "NOT_EXECUTED", Ruling.AMBIGUOUS: "OUTCOME_UNKNOWN",
    Ruling.RATE_LIMITED: "RATE_LIMITED", Ruling.BANNED_UNTIL: "RATE_LIMITED", Ruling.AUTH: "KEY_REFUSED",
    Ruling.MAINTENANCE: "VENUE_MAINTENANCE",
}  # fmt: skip


@feed.retried
def make(
    *,
    family: str,
    venue: str = "",
    operation: str,
    venue_code: str,
    fragment: str = "",
    ruling: str,
    reason_code: str = "",
    is_transient: bool = False,
    cause: str = Cause.SYSTEM,
    note: str,
    actor: str,
) -> ErrorDecision:
    """Decide what an answer proves from now on; every executor goes by it within seconds. Raises accounts.Invalid.

    It says nothing of the past: an order that is unknown already is looked up until its own proof is there. The open
    cases that it answers are closed with it.
    """
    place, family = _place(family.strip(), venue.strip())
    _check(operation, venue_code.strip(), fragment.strip(), ruling, note)
    reason_code = reason_code.strip().upper() or REASON_CODES[ruling]
    if not REASON_CODE.match(reason_code):
        raise Invalid(
            "reason_code", "INVALID", "A reason code is CATEGORY_CONDITION: capitals, digits and _, 3 to 64 of them."
        )
    if cause not in Cause.values:
        raise Invalid("cause", "INVALID", f"must be one of {', '.join(Cause.values)}")
    with feed.transaction():
        decision = ErrorDecision.objects.create(
            family=family, venue=place, operation=operation, venue_code=venue_code.strip(), fragment=fragment.strip(),
            ruling=ruling, reason_code=reason_code, is_transient=is_transient, cause=cause, note=note.strip()[:500],
            decided_by=actor,
        )  # fmt: skip
        closed = [
            case
            for case in ErrorCase.objects.select_for_update(no_key=True).filter(decision=None)
            if answers(decision, case)
        ]
        ErrorCase.objects.filter(pk__in=[case.pk for case in closed]).update(decision=decision)
        detail = {
            "family": family, "venue": venue, "operation": operation, "code": decision.venue_code,
            "fragment": decision.fragment, "ruling": ruling, "reason_code": reason_code, "transient": is_transient,
            "cause": cause, "note": decision.note, "cases": [str(case.pk) for case in closed],
        }  # fmt: skip
        audit.record(actor, "error_decision.make", decision.id, detail)
        _announce(decision, "made")
    return decision


@feed.retried
def revoke(decision: ErrorDecision, reason: str, actor: str) -> ErrorDecision:
    """Take a decision back: from now on the built-in rows judge again. Raises accounts.Invalid."""
    if not reason.strip():
        raise Invalid("reason", "REQUIRED", "a revocation needs a reason: the audit log keeps it")
    with feed.transaction():
        decision = ErrorDecision.objects.select_for_update(no_key=True).get(pk=decision.pk)
        if decision.revoked_at:
            raise Invalid("id", "REVOKED", f"revoked already by {decision.revoked_by}")
        decision.revoked_at, decision.revoked_by, decision.revoke_reason = clock.now(), actor, reason.strip()[:500]
        decision.save(update_fields=["revoked_at", "revoked_by", "revoke_reason"])
        audit.record(actor, "error_decision.revoke", decision.id, {"reason": decision.revoke_reason})
        _announce(decision, "revoked")
    return decision


def in_force() -> list[Decided]:
    """Return the decisions not revoked, newest first, as the rows that executors judge by."""
    rows = ErrorDecision.objects.filter(revoked_at=None).order_by("-created_at", "-id")
    return [Decided(row.family, row.venue_id or "", row.operation, row_of(row)) for row in rows]


def row_of(decision: ErrorDecision) -> Row:
    """Return the row of the error matrix that a decision is."""
    verdict = verdict_of(
        decision.ruling, decision.reason_code, is_transient=decision.is_transient, cause=decision.cause  # type: ignore[arg-type]
    )  # fmt: skip
    return Row(decision.venue_code or "*", decision.fragment, verdict)


def answers(decision: ErrorDecision, case: ErrorCase) -> bool:
    """Say whether a decision classifies what a case is about; one for a single venue leaves its family's case open."""
    code = decision.venue_code or "*"
    is_code = case.venue_code.startswith(code[:-1]) if code.endswith("*") else case.venue_code == code
    is_action = decision.operation in (Operation.ANY, case.operation)
    is_said = all(decision.fragment in text for text in case.messages)
    return decision.venue_id is None and decision.family == case.family and is_action and is_code and is_said


def _place(family: str, venue: str) -> tuple[Venue | None, str]:
    if not venue:
        if capabilities.for_exchange(family).family != family or family not in EXCHANGES:
            raise Invalid(
                "family", "NOT_FOUND", "There is no exchange family of this name: it is the id of its first exchange."
            )
        return None, family
    place = Venue.objects.filter(pk=venue).first()
    if place is None:
        raise Invalid("venue", "NOT_FOUND", f"There is no venue {venue[:80]!r}.")
    return place, capabilities.for_exchange(place.exchange, place.quirks).family


def _check(operation: str, venue_code: str, fragment: str, ruling: str, note: str) -> None:
    if operation not in Operation.values:
        raise Invalid("operation", "INVALID", f"must be one of {', '.join(Operation.values)}")
    if ruling not in Ruling.values:
        raise Invalid("ruling", "INVALID", f"must be one of {', '.join(Ruling.values)}")
    is_open = venue_code.endswith("*") and len(venue_code) <= PREFIX_CHARACTERS_MIN
    if (not venue_code or is_open) and len(fragment) < FRAGMENT_CHARACTERS_MIN:
        raise Invalid(
            "venue_code", "TOO_WIDE", "This would match nearly every answer. Name the code, or part of the message."
        )
    if "uplicate" in fragment and ruling != Ruling.AMBIGUOUS:
        raise Invalid(
            "ruling",
            "DUPLICATE_IS_EVIDENCE",
            "An answer about a duplicate is evidence that the first one exists: only ambiguous fits.",
        )
    if not note.strip():
        raise Invalid("note", "REQUIRED", "Say what the decision rests on: the next person has to know.")


def _announce(decision: ErrorDecision, what: str) -> None:
    data = {"family": decision.family, "operation": decision.operation, "code": decision.venue_code}
    feed.announce("venues", f"error_decision.{what}", decision.id, data=data)
    feed.wake("")
