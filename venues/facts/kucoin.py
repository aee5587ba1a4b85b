"""KuCoin spot."""

from __future__ import annotations

from dataclasses import replace

from venues.facts import generated
from venues.facts.shapes import DUPLICATE, UNKNOWN, BucketRule, Family, Row, not_executed, rejected

# Without that option ccxt asks for the kind of account before the first order. A second order under the clientOid of a
# living one is refused; nobody promises more.
_CAPABILITIES = replace(
    generated.base("kucoin"),
    client_ids_unique="open",
    open_orders_need_symbol=True,
    fills_need_symbol=True,
    options={"uta": False},
)
_SUBMIT = (
    Row("126033", "", DUPLICATE),
    Row("126044", "", DUPLICATE),
    Row("400400", "uplicate", DUPLICATE),
    Row("400100", "uplicate", DUPLICATE),
    Row("200004", "", rejected("INSUFFICIENT_FUNDS")),
    Row("210021", "", rejected("INSUFFICIENT_FUNDS")),
    Row("230003", "", rejected("INSUFFICIENT_FUNDS")),
    Row("126013", "", rejected("INSUFFICIENT_FUNDS")),
    Row("260100", "", rejected("INSUFFICIENT_FUNDS")),
    Row("126003", "", rejected("NOTIONAL_TOO_SMALL")),
    Row("126022", "", rejected("PRICE_OUT_OF_BAND")),
    Row("126029", "", rejected("PRICE_OUT_OF_BAND")),
    Row("126030", "", rejected("PRICE_OUT_OF_BAND")),
    Row("400330", "", rejected("PRICE_OUT_OF_BAND")),
    Row("126011", "", rejected("TOO_MANY_OPEN_ORDERS")),
    Row("126007", "", rejected("MARKET_CLOSED")),
    Row("126009", "", rejected("MARKET_CLOSED")),
    Row("900001", "", rejected("SYMBOL_UNKNOWN")),
    Row("400200", "", rejected("ORDER_REFUSED")),
    Row("400100", "", rejected("ORDER_INVALID")),
    Row("400001", "", rejected("KEY_REFUSED")),
    Row("400003", "", rejected("KEY_REFUSED")),
    Row("400004", "", rejected("KEY_REFUSED")),
    Row("400005", "", rejected("KEY_REFUSED")),
    Row("400006", "", rejected("KEY_REFUSED")),
    Row("400007", "", rejected("KEY_MAY_NOT_TRADE")),
    Row("400002", "", not_executed("TIMESTAMP_OUTSIDE_WINDOW")),
    Row("429000", "", not_executed("RATE_LIMITED")),
    Row("126038", "", UNKNOWN),
    Row("126039", "", UNKNOWN),
    Row("500000", "", UNKNOWN),
)
_CANCEL = (
    Row("126043", "", rejected("ORDER_UNKNOWN")),
    Row("400100", "order_not_exist", rejected("ORDER_UNKNOWN")),
    Row("400100", "", UNKNOWN),
)
# 4000 units in 30 seconds on the lowest level; the dear reads are the lists.
_BUDGET = (
    BucketRule(
        name="spot", capacity=4000, per_seconds=30, is_window=True,
        costs={"cancel": 3, "order": 2, "reconcile": 10, "poll": 10},
    ),
)  # fmt: skip
FAMILY = Family(capabilities=_CAPABILITIES, submit=_SUBMIT, cancel=_CANCEL, amend=_CANCEL, budget=_BUDGET)
