"""Gate spot and its European sibling."""

from __future__ import annotations

from dataclasses import replace

from venues.facts import generated
from venues.facts.shapes import DUPLICATE, UNKNOWN, BucketRule, Family, Row, not_executed, rejected

# Our id goes there as text, which must begin with t-; it is looked up and cancelled in the place of the order's own id.
# Without that option ccxt asks for the kind of account before the first order.
_CAPABILITIES = replace(
    generated.base("gate"),
    client_ids=True,
    client_id_form="t_prefix",
    client_id_in_place=True,
    client_id_row_key="text",
    client_id_lookup="order",
    client_id_cancel=True,
    client_ids_unique="open",
    options={"unifiedAccount": False},
)
_SUBMIT = (
    Row("DUPLICATE_REQUEST", "", DUPLICATE),
    Row("REPEATED_CREATION", "", DUPLICATE),
    Row("BALANCE_NOT_ENOUGH", "", rejected("INSUFFICIENT_FUNDS")),
    Row("MARGIN_BALANCE_NOT_ENOUGH", "", rejected("INSUFFICIENT_FUNDS")),
    Row("INSUFFICIENT_AVAILABLE", "", rejected("INSUFFICIENT_FUNDS")),
    Row("POC_FILL_IMMEDIATELY", "", rejected("POST_ONLY_WOULD_TAKE")),
    Row("FOK_NOT_FILL", "", rejected("ORDER_NOT_FILLABLE")),
    Row("INVALID_PRECISION", "", rejected("PRECISION")),
    Row("AMOUNT_TOO_LITTLE", "", rejected("QUANTITY_TOO_SMALL")),
    Row("AMOUNT_TOO_MUCH", "", rejected("QUANTITY_FILTER")),
    Row("INVALID_PARAM_VALUE", "too small", rejected("NOTIONAL_TOO_SMALL")),
    Row("INVALID_PARAM_VALUE", "", rejected("ORDER_INVALID")),
    Row("INVALID_CURRENCY*", "", rejected("SYMBOL_UNKNOWN")),
    Row("TOO_MANY_ORDERS", "", rejected("TOO_MANY_OPEN_ORDERS")),
    Row("TRADE_RESTRICTED", "", rejected("ACCOUNT_MAY_NOT_TRADE")),
    Row("ACCOUNT_LOCKED", "", rejected("ACCOUNT_MAY_NOT_TRADE")),
    Row("READ_ONLY", "", rejected("KEY_MAY_NOT_TRADE")),
    Row("FORBIDDEN", "", rejected("KEY_MAY_NOT_TRADE")),
    Row("INVALID_KEY", "", rejected("KEY_REFUSED")),
    Row("INVALID_SIGNATURE", "", rejected("KEY_REFUSED")),
    Row("INVALID_CREDENTIALS", "", rejected("KEY_REFUSED")),
    Row("AUTHENTICATION_FAILED", "", rejected("KEY_REFUSED")),
    Row("IP_FORBIDDEN", "", rejected("KEY_REFUSED")),
    Row("TOO_FAST", "", not_executed("RATE_LIMITED")),
    Row("TOO_MANY_REQUESTS", "", not_executed("RATE_LIMITED")),
    Row("REQUEST_EXPIRED", "", not_executed("TIMESTAMP_OUTSIDE_WINDOW")),
    Row("INTERNAL", "", UNKNOWN),
    Row("SERVER_ERROR", "", UNKNOWN),
)
_CANCEL = (
    Row("ORDER_NOT_FOUND", "", rejected("ORDER_UNKNOWN")),
    Row("CLIENT_ID_NOT_FOUND", "", rejected("ORDER_UNKNOWN")),
    Row("ORDER_CLOSED", "", rejected("ORDER_CLOSED")),
    Row("ORDER_CANCELLED", "", rejected("ORDER_CLOSED")),
    Row("ORDER_FINISHED", "", rejected("ORDER_CLOSED")),
)
# Orders 10 a second for a user; everything else of spot 200 in ten seconds.
_BUDGET = (
    BucketRule(
        name="orders", capacity=10, per_seconds=1, is_window=True,
        costs={"cancel": 0, "order": 1, "reconcile": 0, "poll": 0},
    ),
    BucketRule(
        name="requests", capacity=200, per_seconds=10, is_window=True,
        costs={"cancel": 1, "order": 0, "reconcile": 1, "poll": 1},
    ),
)  # fmt: skip
FAMILY = Family(capabilities=_CAPABILITIES, submit=_SUBMIT, cancel=_CANCEL, amend=_CANCEL, budget=_BUDGET)
