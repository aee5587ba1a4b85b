"""Answers of venues that no row classifies, as cases: one open per exchange family, action and code."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from project.lib import feed
from venues.errors import SAFE_CLASSES
from venues.facts.shapes import CATEGORIES
from venues.models import ErrorCase, ErrorDecision

MESSAGES_MAX = 10
Ruling = ErrorDecision.Ruling
# What ccxt's class of an answer hints at where SAFE_CLASSES does not tell; a hint for a person, never a verdict.
_HINTS: dict[str, tuple[str, str]] = {
    "DuplicateOrderId": (Ruling.AMBIGUOUS, "OUTCOME_UNKNOWN"),
    "OrderNotFound": (Ruling.AMBIGUOUS, "OUTCOME_UNKNOWN"),
    "RateLimitExceeded": (Ruling.RATE_LIMITED, "RATE_LIMITED"),
    "DDoSProtection": (Ruling.RATE_LIMITED, "RATE_LIMITED"),
    "OnMaintenance": (Ruling.MAINTENANCE, "VENUE_MAINTENANCE"),
    "InvalidNonce": (Ruling.NOT_SENT, "NONCE_REFUSED"),
}


def note(family: str, seen: Mapping[str, Any], at: datetime) -> ErrorCase:
    """Count one unclassified answer into its open case, or open one. Call inside feed.transaction()."""
    key = {"family": family, "operation": seen["operation"], "venue_code": seen["venue_code"]}
    plain = {"judged_outcome": seen["outcome"], "judged_code": seen["code"], "first_seen_at": at, "last_seen_at": at}
    case, is_new = ErrorCase.objects.select_for_update(no_key=True).get_or_create(**key, decision=None, defaults=plain)
    case.messages = [*(text for text in case.messages if text != seen["message"]), seen["message"]][-MESSAGES_MAX:]
    case.http_status, case.exception_class = seen["http_status"], seen["exception_class"]
    case.judged_outcome, case.judged_code = seen["outcome"], seen["code"]
    case.count, case.last_seen_at = case.count + 1, max(at, case.last_seen_at)
    case.save()
    if is_new:
        feed.announce("venues", "error_case.opened", case.id, data=key)
    return case


def open_cases() -> QuerySet[ErrorCase]:
    """Return the cases nobody has decided, the newest first."""
    return ErrorCase.objects.filter(decision=None).order_by("-last_seen_at", "id")


def suggestion(case: ErrorCase) -> tuple[str, str]:
    """Return the ruling and the reason code that ccxt's class of the answer suggests."""
    if any("uplicate" in text for text in case.messages):
        return Ruling.AMBIGUOUS, "DUPLICATE_CLIENT_ID"
    if case.exception_class in _HINTS:
        return _HINTS[case.exception_class]
    code = SAFE_CLASSES.get(case.exception_class)
    if code is None:
        return Ruling.AMBIGUOUS, "OUTCOME_UNKNOWN"
    return (Ruling.AUTH if CATEGORIES.get(code) == "auth" else Ruling.DEFINITIVE_REJECT), code
