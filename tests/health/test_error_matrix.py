"""What ccxt's classes get wrong, and the rows that put it right; what a person decides, and what nobody can decide."""

from __future__ import annotations

import pytest

from venues import errors
from venues.errors import Facts, judge
from venues.facts.shapes import Decided, Row, Verdict
from venues.rulebook import Rulebook, verdict_of

# family, action, code, message, HTTP status, ccxt's class -> outcome, our code, category
MISMAPPED: list[tuple[str, errors.Action, str, str, int, str, str, str, str]] = [
    # a duplicate says that the first one exists: ccxt calls it invalid, which reads as a reject
    ("binance", "submit", "-2010", "Duplicate order sent.", 400, "InvalidOrder", "unknown", "DUPLICATE_CLIENT_ID", ""),
    ("binance", "submit", "-4116", "ClientOrderId is duplicated.", 400, "InvalidOrder", "unknown", "DUPLICATE_CLIENT_ID", ""),
    ("kucoin", "submit", "126044", "Duplicated client oid", 200, "InvalidOrder", "unknown", "DUPLICATE_CLIENT_ID", ""),
    ("kucoin", "submit", "400400", "Duplicate clientOid", 200, "BadRequest", "unknown", "DUPLICATE_CLIENT_ID", ""),
    ("bitget", "submit", "40786", "Duplicate clientOid", 400, "ExchangeError", "unknown", "DUPLICATE_CLIENT_ID", ""),
    ("bitget", "submit", "43118", "clientOrderId duplicate", 400, "ExchangeError", "unknown", "DUPLICATE_CLIENT_ID", ""),
    ("gate", "submit", "DUPLICATE_REQUEST", "repeated", 400, "ExchangeError", "unknown", "DUPLICATE_CLIENT_ID", ""),
    ("kraken", "submit", "EOrder:Duplicate cl_ord_id", "EOrder:Duplicate cl_ord_id", 200, "ExchangeError", "unknown", "DUPLICATE_CLIENT_ID", ""),
    # ambiguous, and looks definitive
    ("kraken", "submit", "EService:Timeout", "EService:Timeout", 200, "ExchangeError", "unknown", "OUTCOME_UNKNOWN", ""),
    ("kraken", "submit", "EService:Deadline elapsed", "EService:Deadline elapsed", 200, "ExchangeError", "unknown", "OUTCOME_UNKNOWN", ""),
    ("bitget", "submit", "40010", "Request timed out", 400, "AuthenticationError", "unknown", "OUTCOME_UNKNOWN", ""),
    ("bitget", "submit", "40725", "service return an error", 400, "ExchangeError", "unknown", "OUTCOME_UNKNOWN", ""),
    ("bitget", "submit", "40015", "System is abnormal", 400, "ExchangeError", "unknown", "OUTCOME_UNKNOWN", ""),
    ("bitget", "submit", "50000", "internal error", 500, "InsufficientFunds", "unknown", "OUTCOME_UNKNOWN", ""),
    ("binance", "submit", "-1006", "execution status unknown", 400, "BadResponse", "unknown", "OUTCOME_UNKNOWN", ""),
    ("binance", "submit", "-1007", "Timeout waiting for response", 400, "ExchangeError", "unknown", "OUTCOME_UNKNOWN", ""),
    # definitive, or proved not executed, and looks ambiguous
    ("kraken", "submit", "EService:Market in cancel_only mode", "", 200, "OnMaintenance", "not_sent", "MARKET_RESTRICTED", ""),
    ("kraken", "submit", "EService:Market in post_only mode", "", 200, "OnMaintenance", "not_sent", "MARKET_RESTRICTED", ""),
    ("kraken", "submit", "EAPI:Invalid nonce", "", 200, "InvalidNonce", "not_sent", "NONCE_REFUSED", ""),
    ("kraken", "submit", "EAPI:Invalid signature", "", 200, "ExchangeError", "rejected", "KEY_REFUSED", "auth"),
    ("kraken", "submit", "EOrder:Post only order", "", 200, "ExchangeError", "rejected", "POST_ONLY_WOULD_TAKE", ""),
    ("kraken", "submit", "EOrder:Invalid price", "", 200, "ExchangeError", "rejected", "PRICE_FILTER", ""),
    ("kraken", "submit", "EQuery:Unknown asset pair", "", 200, "ExchangeError", "rejected", "SYMBOL_UNKNOWN", ""),
    ("kraken", "submit", "EOrder:Orders limit exceeded", "", 200, "ExchangeError", "rejected", "TOO_MANY_OPEN_ORDERS", ""),
    ("kraken", "submit", "EAPI:Rate limit exceeded", "", 200, "DDoSProtection", "not_sent", "RATE_LIMITED", "rate_limited"),
    ("kraken", "submit", "EGeneral:Temporary lockout", "", 200, "DDoSProtection", "not_sent", "RATE_LIMITED", "banned"),
    ("binance", "submit", "-1021", "Timestamp outside", 400, "InvalidNonce", "not_sent", "TIMESTAMP_OUTSIDE_WINDOW", ""),
    ("binance", "submit", "-1008", "Server overloaded", 503, "OperationFailed", "not_sent", "VENUE_OVERLOADED", ""),
    ("binance", "submit", "-1003", "Too many requests", 429, "DDoSProtection", "not_sent", "RATE_LIMITED", "rate_limited"),
    ("binance", "submit", "-1003", "IP banned until 1767225600000.", 418, "DDoSProtection", "not_sent", "RATE_LIMITED", "banned"),
    ("binance", "submit", "-1013", "Filter failure: NOTIONAL", 400, "BadRequest", "rejected", "NOTIONAL_TOO_SMALL", ""),
    ("binance", "submit", "-2015", "Invalid API-key", 401, "DDoSProtection", "rejected", "KEY_REFUSED", "auth"),
    # "unknown" says that an order is not open now, whatever the class; of one being submitted it says nothing
    ("kraken", "cancel", "EOrder:Unknown order", "", 200, "InvalidOrder", "rejected", "ORDER_UNKNOWN", ""),
    ("binance", "cancel", "-2011", "Unknown order sent.", 400, "OrderNotFound", "rejected", "ORDER_UNKNOWN", ""),
    ("binance", "submit", "-2011", "Unknown order sent.", 400, "OrderNotFound", "unknown", "OUTCOME_UNKNOWN", ""),
]  # fmt: skip


def answered(code: str, message: str = "text", status: int = 400, kind: str = "ExchangeError") -> Facts:
    return Facts(
        sent=True, status=status, parsed=True, venue_code=code, message=message or code, classes=(kind, "BaseError")
    )


@pytest.mark.parametrize("case", MISMAPPED, ids=lambda case: f"{case[0]}-{case[1]}-{case[2] or case[3]}")
def test_what_ccxt_maps_wrongly(case: tuple[str, errors.Action, str, str, int, str, str, str, str]) -> None:
    family, action, code, message, status, kind, outcome, ours, category = case
    verdict = judge(action, family, answered(code, message, status, kind))
    assert (verdict.outcome, verdict.code, verdict.category) == (outcome, ours, category)


def test_a_decision_wins_over_the_rows_and_over_the_class() -> None:
    ours = Row("-1007", "", verdict_of("not_sent", "NOT_EXECUTED", is_transient=True, cause="system"))
    assert judge("submit", "binance", answered("-1007"), (ours,)) == Verdict("not_sent", "NOT_EXECUTED", True)
    assert judge("submit", "binance", answered("-1006"), (ours,)).outcome == "unknown"
    mine = Row("E77", "frozen", verdict_of("definitive_reject", "MARKET_FROZEN", is_transient=False, cause="system"))
    said = answered("E77", "market frozen", kind="ExchangeError")
    assert judge("submit", "gemini", said) == Verdict("unknown", "OUTCOME_UNKNOWN", basis="class")
    assert judge("submit", "gemini", said, (mine,)) == Verdict("rejected", "MARKET_FROZEN", cause="system")


@pytest.mark.parametrize(
    "ruling", ["definitive_reject", "not_sent", "rate_limited", "banned_until", "auth", "maintenance"]
)
def test_nothing_a_person_decides_weakens_the_outcome_rule(ruling: str) -> None:
    verdict = verdict_of(ruling, "DECIDED", is_transient=False, cause="system")  # type: ignore[arg-type]
    row = Row("*", "", verdict)
    assert verdict.outcome != "accepted"
    assert judge("submit", "gemini", answered("x", status=503), (row,)).outcome == "unknown"
    assert judge("submit", "gemini", answered("x", "Duplicate order"), (row,)).code == "DUPLICATE_CLIENT_ID"
    unread = Facts(sent=True, status=200, parsed=False, venue_code="x", message="text")
    assert judge("submit", "gemini", unread, (row,)).outcome == "unknown"
    assert judge("submit", "gemini", Facts(sent=True), (row,)).outcome == "unknown"


def test_maintenance_is_heard_even_where_the_outcome_stays_unknown() -> None:
    row = Row("-1016", "", verdict_of("maintenance", "VENUE_MAINTENANCE", is_transient=True, cause="system"))
    verdict = judge("submit", "binance", answered("-1016", status=503), (row,))
    assert (verdict.outcome, verdict.category) == ("unknown", "maintenance")


def test_what_no_row_knows_says_so() -> None:
    assert judge("submit", "binance", answered("-9999")).basis == "class"
    assert judge("submit", "binance", answered("-9999", status=500)).basis == "class"
    assert judge("submit", "binance", answered("-2010", "insufficient balance")).basis == "row"
    assert judge("submit", "binance", Facts(sent=True)).basis == "transport"


@pytest.mark.parametrize(
    ("category", "message", "retry_after", "seconds"),
    [
        ("rate_limited", "slow down", None, None),
        ("rate_limited", "slow down", 30.0, 30.0),
        ("banned", "IP banned until 1000060000.", None, None),  # not a moment in milliseconds
        ("banned", "IP banned until 1767225660000.", 5.0, 60.0),
        ("banned", "IP banned until 1767229200000.", None, 900.0),
        ("banned", "IP banned until 1767225500000.", None, 0.0),
        ("auth", "bad key", 30.0, None),
        ("", "slow down", 30.0, None),
    ],
)
def test_how_long_nothing_may_be_sent(
    category: str, message: str, retry_after: float | None, seconds: float | None
) -> None:
    verdict = Verdict("not_sent", "RATE_LIMITED", category=category)  # type: ignore[arg-type]
    assert errors.stop_seconds(verdict, message, retry_after, 1_767_225_600_000) == seconds


def test_the_nearest_decision_is_tried_first() -> None:
    rows = [Row(name, "", Verdict("unknown", name)) for name in ("VENUE", "VENUE_ANY", "FAMILY", "FAMILY_ANY", "OTHER")]
    book = Rulebook(
        [
            Decided("kraken", "", "any", rows[3]),
            Decided("kraken", "", "cancel", rows[2]),
            Decided("kraken", "one", "any", rows[1]),
            Decided("kraken", "one", "cancel", rows[0]),
            Decided("kraken", "two", "cancel", rows[4]),
        ]
    )
    assert book.rows("kraken", "one", "cancel") == tuple(rows[:4])
    assert book.rows("kraken", "three", "submit") == (rows[3],)
    assert book.rows("binance", "one", "cancel") == ()
    book.replace([])
    assert book.rows("kraken", "one", "cancel") == ()
