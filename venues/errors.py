"""What a venue's answer proves about an order, as data: accepted is never guessed, rejected is on a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from venues.messages import Outcome


class VenueError(Exception):
    """Something about a venue stopped an action before it reached the wire."""

    code = "VENUE_ERROR"


class BreakerOpen(VenueError):
    """The circuit breaker of this capability is open: the venue failed too often in a row to be tried now."""

    code = "BREAKER_OPEN"


class BudgetExhausted(VenueError):
    """The key's rate budget has no room within the waiting time: sending now would earn a ban."""

    code = "BUDGET_EXHAUSTED"


class UnknownExchange(VenueError):
    """No exchange has this id; the message names the nearest ones."""

    code = "EXCHANGE_UNKNOWN"

    def __init__(self, exchange: str, nearest: tuple[str, ...]) -> None:
        hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(f"There is no exchange {exchange!r}.{hint}")
        self.nearest = nearest


Action = Literal["submit", "cancel", "amend"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about the one HTTP request that carried the order."""

    sent: bool
    status: int | None = None
    parsed: bool = False
    venue_code: str = ""
    message: str = ""
    classes: tuple[str, ...] = ()


class Verdict(NamedTuple):
    """The conclusion: an outcome, our reason code, and whether trying again can help."""

    outcome: Outcome
    code: str
    transient: bool = False


class Row(NamedTuple):
    """One line of a venue's table: its code (a trailing * matches a prefix), a fragment of its message, the verdict."""

    venue_code: str
    fragment: str
    verdict: Verdict
    server_error_too: bool = False


UNKNOWN = Verdict("unknown", "OUTCOME_UNKNOWN")
DUPLICATE = Verdict("unknown", "DUPLICATE_CLIENT_ID")


def _rejected(code: str) -> Verdict:
    return Verdict("rejected", code)


def _not_executed(code: str) -> Verdict:
    return Verdict("not_sent", code, transient=True)


# Rows are tried from the top; the first that matches decides.
_BINANCE = (
    Row("-2010", "Duplicate order", DUPLICATE),
    Row("-4116", "", DUPLICATE),
    Row("-2010", "insufficient balance", _rejected("INSUFFICIENT_FUNDS")),
    Row("-2010", "immediately match", _rejected("POST_ONLY_WOULD_TAKE")),
    Row("-2010", "trigger immediately", _rejected("TRIGGER_WOULD_FIRE")),
    Row("-2010", "Market is closed", _rejected("MARKET_CLOSED")),
    Row("-2010", "disabled on this account", _rejected("ACCOUNT_MAY_NOT_TRADE")),
    Row("-2010", "may not place", _rejected("ACCOUNT_MAY_NOT_TRADE")),
    Row("-2010", "", _rejected("ORDER_REFUSED")),
    Row("-2018", "", _rejected("INSUFFICIENT_FUNDS")),
    Row("-2019", "", _rejected("INSUFFICIENT_FUNDS")),
    Row("-1013", "PRICE_FILTER", _rejected("PRICE_FILTER")),
    Row("-1013", "PERCENT_PRICE", _rejected("PRICE_OUT_OF_BAND")),
    Row("-1013", "NOTIONAL", _rejected("NOTIONAL_TOO_SMALL")),
    Row("-1013", "LOT_SIZE", _rejected("QUANTITY_FILTER")),
    Row("-1013", "MAX_NUM_", _rejected("TOO_MANY_OPEN_ORDERS")),
    Row("-1013", "Market is closed", _rejected("MARKET_CLOSED")),
    Row("-1013", "", _rejected("ORDER_INVALID")),
    Row("-1111", "", _rejected("PRECISION")),
    Row("-1121", "", _rejected("SYMBOL_UNKNOWN")),
    Row("-1002", "", _rejected("KEY_REFUSED")),
    Row("-1022", "", _rejected("KEY_REFUSED")),
    Row("-2014", "", _rejected("KEY_REFUSED")),
    Row("-2015", "", _rejected("KEY_REFUSED")),
    Row("-1003", "", _not_executed("RATE_LIMITED")),
    Row("-1015", "", _not_executed("RATE_LIMITED")),
    Row("-1008", "", _not_executed("VENUE_OVERLOADED"), server_error_too=True),
    Row("-1021", "", _not_executed("TIMESTAMP_OUTSIDE_WINDOW")),
    Row("-1000", "", UNKNOWN),
    Row("-1001", "", UNKNOWN),
    Row("-1006", "", UNKNOWN),
    Row("-1007", "", UNKNOWN),
    Row("-1016", "", UNKNOWN),
    Row("-1014", "", _rejected("ORDER_UNSUPPORTED")),
    Row("-1020", "", _rejected("ORDER_UNSUPPORTED")),
    Row("-11*", "", _rejected("ORDER_INVALID")),
)
_KRAKEN = (
    Row("*", "uplicate", DUPLICATE),
    Row("*", "cl_ord_id already", DUPLICATE),
    Row("EOrder:Insufficient*", "", _rejected("INSUFFICIENT_FUNDS")),
    Row("EOrder:Post only order", "", _rejected("POST_ONLY_WOULD_TAKE")),
    Row("EOrder:Order minimum not met*", "", _rejected("QUANTITY_TOO_SMALL")),
    Row("EOrder:Cost minimum not met*", "", _rejected("NOTIONAL_TOO_SMALL")),
    Row("EOrder:Tick size check failed*", "", _rejected("PRICE_FILTER")),
    Row("EOrder:Invalid price*", "", _rejected("PRICE_FILTER")),
    Row("EGeneral:Invalid arguments:price*", "", _rejected("PRICE_FILTER")),
    Row("EGeneral:Invalid arguments:volume*", "", _rejected("QUANTITY_FILTER")),
    Row("EOrder:Orders limit exceeded*", "", _rejected("TOO_MANY_OPEN_ORDERS")),
    Row("EOrder:Positions limit exceeded*", "", _rejected("TOO_MANY_OPEN_ORDERS")),
    Row("EOrder:Margin *", "", _rejected("MARGIN_REFUSED")),
    Row("EOrder:Reduce only*", "", _rejected("REDUCE_ONLY_REFUSED")),
    Row("EQuery:Unknown asset*", "", _rejected("SYMBOL_UNKNOWN")),
    Row("EQuery:Invalid asset*", "", _rejected("SYMBOL_UNKNOWN")),
    Row("EAPI:Invalid key*", "", _rejected("KEY_REFUSED")),
    Row("EAPI:Invalid signature*", "", _rejected("KEY_REFUSED")),
    Row("EGeneral:Permission denied*", "", _rejected("KEY_MAY_NOT_TRADE")),
    Row("EAPI:Rate limit exceeded*", "", _not_executed("RATE_LIMITED")),
    Row("EOrder:Rate limit exceeded*", "", _not_executed("RATE_LIMITED")),
    Row("EGeneral:Too many requests*", "", _not_executed("RATE_LIMITED")),
    Row("EGeneral:Temporary lockout*", "", _not_executed("RATE_LIMITED")),
    Row("EAPI:Invalid nonce*", "", _not_executed("NONCE_REFUSED")),
    Row("EService:Market in *", "", _not_executed("MARKET_RESTRICTED")),
    Row("EGeneral:*", "eadline", _not_executed("TIMESTAMP_OUTSIDE_WINDOW")),
    Row("EOrder:*", "eadline", _not_executed("TIMESTAMP_OUTSIDE_WINDOW")),
    Row("EService:*", "", UNKNOWN),
    Row("EDatabase:*", "", UNKNOWN),
    Row("EGeneral:Internal error*", "", UNKNOWN),
    Row("EGeneral:Invalid arguments*", "", _rejected("ORDER_INVALID")),
    Row("EOrder:Invalid order*", "", _rejected("ORDER_INVALID")),
)
_BITGET = (
    Row("40010", "", UNKNOWN),
    Row("40725", "", UNKNOWN),
    Row("40015", "", UNKNOWN),
    Row("40786", "", DUPLICATE),
    Row("43118", "", DUPLICATE),
)
_OKX = (Row("51149", "", UNKNOWN), Row("51016", "", DUPLICATE))
_BYBIT = (
    Row("10000", "", UNKNOWN),
    Row("10016", "", UNKNOWN),
    Row("10429", "", UNKNOWN),
    Row("170032", "", UNKNOWN),
    Row("110072", "", DUPLICATE),
    Row("170141", "", DUPLICATE),
)
_KUCOIN = (Row("126044", "", DUPLICATE), Row("400400", "uplicate", DUPLICATE))
_GATE = (Row("DUPLICATE_REQUEST", "", DUPLICATE),)
_DERIBIT = (Row("13888", "", UNKNOWN),)
SUBMIT: dict[str, tuple[Row, ...]] = {
    "binance": _BINANCE,
    "kraken": _KRAKEN,
    "bitget": _BITGET,
    "okx": _OKX,
    "bybit": _BYBIT,
    "kucoin": _KUCOIN,
    "gate": _GATE,
    "deribit": _DERIBIT,
}
# "Unknown" in answer to a cancel says the order is not open now. It never says it was not placed.
CANCEL: dict[str, tuple[Row, ...]] = {
    "binance": (
        Row("-2011", "cancel restrictions", _rejected("ORDER_PARTLY_FILLED")),
        Row("-2011", "", _rejected("ORDER_UNKNOWN")),
        Row("-2013", "", _rejected("ORDER_UNKNOWN")),
        Row("-2026", "", _rejected("ORDER_CLOSED")),
    ),
    "kraken": (
        Row("EOrder:Unknown order*", "", _rejected("ORDER_UNKNOWN")),
        Row("EOrder:Cancel pending*", "", UNKNOWN),
    ),
}
# An amend refused by these changed nothing. cancelReplace's own two codes say only that a half failed: the halves decide.
AMEND: dict[str, tuple[Row, ...]] = {
    "binance": (Row("-2021", "", UNKNOWN), Row("-2022", "", UNKNOWN), *CANCEL["binance"]),
    "kraken": CANCEL["kraken"],
}
_TABLES: dict[str, dict[str, tuple[Row, ...]]] = {"submit": {}, "cancel": CANCEL, "amend": AMEND}
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


def judge(action: Action, family: str, facts: Facts) -> Verdict:
    """Say what one failed request proves. Everything that is not on a list stays unknown."""
    if not facts.sent:
        return Verdict("not_sent", "VENUE_UNREACHABLE", transient=True)
    if facts.status is None or not facts.parsed:
        return UNKNOWN
    server_error = facts.status >= 500
    for row in _TABLES[action].get(family, ()) + SUBMIT.get(family, ()):
        if _matches(row, facts):
            return row.verdict if row.server_error_too or not server_error else UNKNOWN
    if server_error or not (facts.venue_code or facts.message):
        return UNKNOWN
    return _by_class(action, facts)


def refused_before_sending(classes: tuple[str, ...]) -> Verdict:
    """Say why ccxt or we refused to build the request: nothing was sent, and trying again changes nothing."""
    code = next((SAFE_CLASSES[name] for name in classes if SAFE_CLASSES.get(name)), None)
    return Verdict("not_sent", code or "REQUEST_NOT_BUILT")


def _matches(row: Row, facts: Facts) -> bool:
    code = row.venue_code
    hit = facts.venue_code.startswith(code[:-1]) if code.endswith("*") else facts.venue_code == code
    return hit and row.fragment in facts.message


def _by_class(action: Action, facts: Facts) -> Verdict:
    if "uplicate" in facts.message:
        return UNKNOWN if action == "cancel" else DUPLICATE
    for name in facts.classes:
        if name == "OrderNotFound" and action != "submit":
            return _rejected("ORDER_UNKNOWN")
        if name == "DuplicateOrderId" and action != "cancel":
            return DUPLICATE
        if name in SAFE_CLASSES:
            code = SAFE_CLASSES[name]
            return _rejected(code) if code else UNKNOWN
    return UNKNOWN
