"""What a venue's answer proves about an order, as data: accepted is never guessed, rejected is on a list."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from venues.facts.families import FAMILIES
from venues.facts.shapes import DUPLICATE, UNKNOWN, Row, Verdict, rejected


class VenueError(Exception):
    """Something about a venue stopped an action before it reached the wire."""

    code = "VENUE_ERROR"


class BreakerOpen(VenueError):
    """The circuit breaker of this capability is open: the venue failed too often in a row to be tried now."""

    code = "BREAKER_OPEN"


class BudgetExhausted(VenueError):
    """The key's rate budget has no room within the waiting time: sending now would earn a ban."""

    code = "BUDGET_EXHAUSTED"


class OrdersPaused(VenueError):
    """The venue refuses the key: orders wait until it says that the key may trade, or a person activates anew."""

    code = "ORDERS_PAUSED"


class UnknownExchange(VenueError):
    """No exchange has this id; the message names the nearest ones."""

    code = "EXCHANGE_UNKNOWN"

    def __init__(self, exchange: str, nearest: tuple[str, ...]) -> None:
        hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(f"There is no exchange {exchange!r}.{hint}")
        self.nearest = nearest


Action = Literal["submit", "cancel", "amend"]
STOP_SECONDS_MAX = 900.0
STOP_SECONDS = {"rate_limited": 5.0, "banned": 120.0}  # where the venue names no time
_UNTIL = re.compile(r"until\D{0,3}(\d{13})\b", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about the one HTTP request that carried the order."""

    sent: bool
    status: int | None = None
    parsed: bool = False
    venue_code: str = ""
    message: str = ""
    classes: tuple[str, ...] = ()


# Only these ccxt classes may become a definitive answer, and only for an answer the venue itself wrote.
# The order matters: an error is tested from its own class upwards, so OrderNotFound is met before InvalidOrder.
SAFE_CLASSES: dict[str, str | None] = {
    "DuplicateOrderId": None,
    "OrderNotFound": None,
    "InsufficientFunds": "INSUFFICIENT_FUNDS",
    "OrderImmediatelyFillable": "POST_ONLY_WOULD_TAKE",
    "OrderNotFillable": "ORDER_NOT_FILLABLE",
    "InvalidOrder": "ORDER_INVALID",
    "BadSymbol": "SYMBOL_UNKNOWN",
    "ArgumentsRequired": "ORDER_INVALID",
    "BadRequest": "ORDER_INVALID",
    "NotSupported": "ORDER_UNSUPPORTED",
    "AccountNotEnabled": "ACCOUNT_MAY_NOT_TRADE",
    "AccountSuspended": "ACCOUNT_MAY_NOT_TRADE",
    "PermissionDenied": "KEY_MAY_NOT_TRADE",
    "AuthenticationError": "KEY_REFUSED",
    "MarketClosed": "MARKET_CLOSED",
    "OperationRejected": "ORDER_REFUSED",
}


def judge(action: Action, family: str, facts: Facts, decided: Iterable[Row] = ()) -> Verdict:
    """Say what one failed request proves. Everything that is not on a list stays unknown.

    decided: rows of people, tried first. They are bound as ours are: nothing after HTTP 5xx is definitive, and an
    answer that speaks of a duplicate is never a refusal of what it is a duplicate of.
    """
    if not facts.sent:
        return Verdict("not_sent", "VENUE_UNREACHABLE", transient=True, basis="transport")
    if facts.status is None or not facts.parsed or not (facts.venue_code or facts.message):
        return UNKNOWN._replace(basis="transport")
    server_error = facts.status >= 500
    for row in decided:
        if _matches(row, facts):
            is_duplicate = "uplicate" in facts.message and action != "cancel"
            return DUPLICATE if is_duplicate else _bounded(row, server_error)
    for row in _rows(action, family):
        if _matches(row, facts):
            return _bounded(row, server_error)
    return UNKNOWN._replace(basis="class") if server_error else _by_class(action, facts)._replace(basis="class")


def stop_seconds(verdict: Verdict, message: str, retry_after: float | None, now_ms: int) -> float | None:
    """Return for how long the venue wants nothing more after a rate limit or a ban, at most a quarter of an hour.

    A moment in its text (milliseconds since 1970) counts first, then its Retry-After; None where it names no time.
    """
    if verdict.category not in STOP_SECONDS:
        return None
    named = _UNTIL.search(message)
    seconds = (int(named[1]) - now_ms) / 1000 if named else retry_after
    return None if seconds is None else min(max(seconds, 0.0), STOP_SECONDS_MAX)


def refused_before_sending(classes: tuple[str, ...]) -> Verdict:
    """Say why ccxt or we refused to build the request: nothing was sent, and trying again changes nothing."""
    code = next((SAFE_CLASSES[name] for name in classes if SAFE_CLASSES.get(name)), None)
    return Verdict("not_sent", code or "REQUEST_NOT_BUILT")


def _rows(action: Action, family: str) -> tuple[Row, ...]:
    known = FAMILIES.get(family)
    if known is None:
        return ()
    own: dict[Action, tuple[Row, ...]] = {"submit": (), "cancel": known.cancel, "amend": known.amend}
    return own[action] + known.submit


def _bounded(row: Row, server_error: bool) -> Verdict:
    if row.server_error_too or not server_error:
        return row.verdict
    return UNKNOWN._replace(category=row.verdict.category)


def _matches(row: Row, facts: Facts) -> bool:
    code = row.venue_code
    hit = facts.venue_code.startswith(code[:-1]) if code.endswith("*") else facts.venue_code == code
    return hit and row.fragment in facts.message


def _by_class(action: Action, facts: Facts) -> Verdict:
    if "uplicate" in facts.message:
        return UNKNOWN if action == "cancel" else DUPLICATE
    for name in facts.classes:
        if name == "OrderNotFound" and action != "submit":
            return rejected("ORDER_UNKNOWN")
        if name == "DuplicateOrderId" and action != "cancel":
            return DUPLICATE
        if name in SAFE_CLASSES:
            code = SAFE_CLASSES[name]
            return rejected(code) if code else UNKNOWN
    return UNKNOWN
