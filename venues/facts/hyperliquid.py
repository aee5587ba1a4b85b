"""Hyperliquid."""

from __future__ import annotations

from dataclasses import replace

from venues.facts import generated
from venues.facts.shapes import BucketRule, Family, Row, not_executed, rejected

# Our id is its cloid: 16 bytes in hexadecimal. Without these options ccxt signs a referral and approves a fee to others
# before the first order, and when it loads the markets. It answers without codes: its rows go by the text.
_CAPABILITIES = replace(
    generated.base("hyperliquid"),
    nonce_exclusive=True,
    client_id_form="hexadecimal",
    client_id_row_key="cloid",
    client_id_lookup="order",
    client_id_cancel=True,
    fills_need_symbol=True,
    open_orders_need_symbol=True,
    options={"refSet": True, "approvedBuilderFee": True, "builderFee": False},
)
_SUBMIT = (
    Row("", "Insufficient margin", rejected("INSUFFICIENT_FUNDS")),
    Row("", "Insufficient spot balance", rejected("INSUFFICIENT_FUNDS")),
    Row("", "Post only order would have immediately matched", rejected("POST_ONLY_WOULD_TAKE")),
    Row("", "could not immediately match", rejected("ORDER_NOT_FILLABLE")),
    Row("", "Price must be divisible by tick size", rejected("PRICE_FILTER")),
    Row("", "Order must have minimum value", rejected("NOTIONAL_TOO_SMALL")),
    Row("", "Order has invalid size", rejected("QUANTITY_FILTER")),
    Row("", "Order has zero size", rejected("QUANTITY_TOO_SMALL")),
    Row("", "away from the reference price", rejected("PRICE_OUT_OF_BAND")),
    Row("", "Reduce only order would increase position", rejected("REDUCE_ONLY_REFUSED")),
    Row("", "No liquidity available", rejected("ORDER_NOT_FILLABLE")),
    Row("", "User or API Wallet ", rejected("KEY_REFUSED")),
    Row("", "Too many cumulative requests", not_executed("RATE_LIMITED")),
)
_CANCEL = (Row("", "Order was never placed, already canceled, or filled", rejected("ORDER_UNKNOWN")),)
# 1200 units a minute for an address of the internet; actions cost 1, most questions 20.
_BUDGET = (
    BucketRule(
        name="weight", capacity=1200, per_seconds=60, is_window=True,
        scope="address", costs={"cancel": 1, "order": 1, "reconcile": 20, "poll": 20},
    ),
)  # fmt: skip
FAMILY = Family(capabilities=_CAPABILITIES, submit=_SUBMIT, cancel=_CANCEL, amend=_CANCEL, budget=_BUDGET)
