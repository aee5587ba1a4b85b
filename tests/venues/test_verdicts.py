"""The tables that turn a venue's answer into an outcome."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venues import errors
from venues.errors import Facts, judge
from venues.facts.families import FAMILIES


def answered(
    code: str = "", message: str = "", status: int = 400, classes: tuple[str, ...] = ("ExchangeError",)
) -> Facts:
    return Facts(sent=True, status=status, parsed=True, venue_code=code, message=message or "text", classes=classes)


@pytest.mark.parametrize(
    ("family", "facts", "outcome", "code"),
    [
        (
            "binance",
            answered("-2010", "Account has insufficient balance for requested action."),
            "rejected",
            "INSUFFICIENT_FUNDS",
        ),
        ("binance", answered("-2010", "Duplicate order sent."), "unknown", "DUPLICATE_CLIENT_ID"),
        ("binance", answered("-1013", "Filter failure: NOTIONAL"), "rejected", "NOTIONAL_TOO_SMALL"),
        ("binance", answered("-1008", status=503), "not_sent", "VENUE_OVERLOADED"),
        ("binance", answered("-2010", "Account has insufficient balance", status=503), "unknown", "OUTCOME_UNKNOWN"),
        ("binance", answered("-1015", status=429), "not_sent", "RATE_LIMITED"),
        ("binance", answered("-1021"), "not_sent", "TIMESTAMP_OUTSIDE_WINDOW"),
        ("binance", answered("-1007"), "unknown", "OUTCOME_UNKNOWN"),
        ("binance", answered("-1006", classes=("BadRequest", "ExchangeError")), "unknown", "OUTCOME_UNKNOWN"),
        ("binance", answered("-9999"), "unknown", "OUTCOME_UNKNOWN"),
        ("kraken", answered("EAPI:Invalid nonce", status=200), "not_sent", "NONCE_REFUSED"),
        ("kraken", answered("EService:Market in cancel_only mode", status=200), "not_sent", "MARKET_RESTRICTED"),
        ("kraken", answered("EService:Timeout", status=200), "unknown", "OUTCOME_UNKNOWN"),
        ("kraken", answered("EService:Deadline elapsed", status=200), "unknown", "OUTCOME_UNKNOWN"),
        ("kraken", answered("EOrder:Orders limit exceeded", status=200), "rejected", "TOO_MANY_OPEN_ORDERS"),
        (
            "bitget",
            answered("40010", "Request timed out", classes=("AuthenticationError",)),
            "unknown",
            "OUTCOME_UNKNOWN",
        ),
        ("bybit", answered("110072", classes=("InvalidOrder",)), "unknown", "DUPLICATE_CLIENT_ID"),
        ("gemini", answered("x", "Duplicate order id", classes=("InvalidOrder",)), "unknown", "DUPLICATE_CLIENT_ID"),
        ("gemini", answered("x", classes=("InsufficientFunds", "ExchangeError")), "rejected", "INSUFFICIENT_FUNDS"),
        ("gemini", answered("x", classes=("InsufficientFunds",), status=500), "unknown", "OUTCOME_UNKNOWN"),
        ("gemini", answered("x", classes=("OrderNotFound", "InvalidOrder")), "unknown", "OUTCOME_UNKNOWN"),
        ("gemini", answered("x", classes=("RequestTimeout", "NetworkError")), "unknown", "OUTCOME_UNKNOWN"),
    ],
)
def test_submit(family: str, facts: Facts, outcome: str, code: str) -> None:
    verdict = judge("submit", family, facts)
    assert (verdict.outcome, verdict.code) == (outcome, code)


def test_cancel_says_unknown_order_and_nothing_more() -> None:
    assert judge("cancel", "binance", answered("-2011")).code == "ORDER_UNKNOWN"
    assert judge("submit", "binance", answered("-2011")).outcome == "unknown"
    assert judge("cancel", "gemini", answered("x", classes=("OrderNotFound", "InvalidOrder"))).code == "ORDER_UNKNOWN"


@given(
    family=st.sampled_from([*FAMILIES, "gemini"]),
    action=st.sampled_from(["submit", "cancel"]),
    status=st.none() | st.integers(200, 599),
    parsed=st.booleans(),
    code=st.sampled_from(["", "-2010", "-1003", "EOrder:Insufficient funds", "EAPI:Invalid nonce", "40010", "0"]),
    message=st.sampled_from(["", "Duplicate", "insufficient balance"]),
    classes=st.sampled_from(
        [(), ("InsufficientFunds",), ("ExchangeError",), ("RequestTimeout",), ("RowError", "ValueError")]
    ),
)
def test_no_answer_in_the_venues_own_form_is_never_definitive(
    family: str,
    action: errors.Action,
    status: int | None,
    parsed: bool,
    code: str,
    message: str,
    classes: tuple[str, ...],
) -> None:
    facts = Facts(sent=True, status=status, parsed=parsed, venue_code=code, message=message, classes=classes)
    verdict = judge(action, family, facts)
    if status is None or not parsed:
        assert verdict.outcome == "unknown"
    if status is not None and status >= 500 and code != "-1008":
        assert verdict.outcome == "unknown"
    assert verdict.outcome != "accepted"
    assert judge(action, family, Facts(sent=False)).outcome == "not_sent"
