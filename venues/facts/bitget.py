"""Bitget spot."""

from __future__ import annotations

from dataclasses import replace

from venues.facts import generated
from venues.facts.shapes import DUPLICATE, UNKNOWN, BucketRule, Family, Row, not_executed, rejected

# Without that option ccxt asks for the kind of account before the first order. Of market orders to buy, Bitget takes the
# cost and not the quantity, so there are none.
_CAPABILITIES = replace(
    generated.base("bitget"), client_ids_unique="open", fills_need_symbol=True, options={"uta": False}
)
_SUBMIT = (
    Row("40786", "", DUPLICATE),
    Row("43118", "", DUPLICATE),
    Row("43012", "", rejected("INSUFFICIENT_FUNDS")),
    Row("40762", "", rejected("INSUFFICIENT_FUNDS")),
    Row("45110", "", rejected("NOTIONAL_TOO_SMALL")),
    Row("40808", "", rejected("PRECISION")),
    Row("43115", "", rejected("MARKET_CLOSED")),
    Row("40006", "", rejected("KEY_REFUSED")),
    Row("40009", "", rejected("KEY_REFUSED")),
    Row("40012", "", rejected("KEY_REFUSED")),
    Row("40018", "", rejected("KEY_REFUSED")),
    Row("40037", "", rejected("KEY_REFUSED")),
    Row("40014", "", rejected("KEY_MAY_NOT_TRADE")),
    Row("40005", "", not_executed("TIMESTAMP_OUTSIDE_WINDOW")),
    Row("40008", "", not_executed("TIMESTAMP_OUTSIDE_WINDOW")),
    Row("429", "", not_executed("RATE_LIMITED")),
    Row("40010", "", UNKNOWN),  # "Request timed out", which ccxt takes for a refused signature
    Row("40015", "", UNKNOWN),
    Row("40725", "", UNKNOWN),
    Row("50000", "", UNKNOWN),
)
_CANCEL = (Row("43001", "", rejected("ORDER_UNKNOWN")), Row("40768", "", rejected("ORDER_UNKNOWN")))
# Each kind of request has a limit of its own: orders and cancels 10 a second for a user, lists 20.
_BUDGET = (
    BucketRule(
        name="orders", capacity=10, per_seconds=1, is_window=True,
        costs={"cancel": 0, "order": 1, "reconcile": 0, "poll": 0},
    ),
    BucketRule(
        name="cancels", capacity=10, per_seconds=1, is_window=True,
        costs={"cancel": 1, "order": 0, "reconcile": 0, "poll": 0},
    ),
    BucketRule(
        name="reads", capacity=10, per_seconds=1, is_window=True,
        costs={"cancel": 0, "order": 0, "reconcile": 1, "poll": 1},
    ),
)  # fmt: skip
FAMILY = Family(capabilities=_CAPABILITIES, submit=_SUBMIT, cancel=_CANCEL, amend=_CANCEL, budget=_BUDGET)
