"""Binance spot and its siblings."""

from __future__ import annotations

from venues.facts.shapes import (
    DUPLICATE,
    UNKNOWN,
    BucketRule,
    Capabilities,
    Family,
    Row,
    not_executed,
    rejected,
)

# Trailing stops trail by basis points there: our offset is an amount of money.
_CONDITIONAL = ("stop", "stop_limit", "take_profit", "take_profit_limit")
_CAPABILITIES = Capabilities(
    exchange="binance",
    family="binance",
    tier="A",
    window=True,
    cancel_window=True,
    window_max_ms=60_000,
    processing_bound_seconds=5.0,
    read_lag_seconds=2.0,
    order_types=("limit", "market", *_CONDITIONAL),
    amend="replace",
    client_id_lookup="order",
    client_id_cancel=True,
    client_ids_unique="open",
    fills_need_symbol=True,
    fills_page=1000,
    fills_span_hours=24,
    stream=True,
    transfers=True,
    transfers_overlap_hours=168,
    options={
        "fetchMargins": False,
        "fetchMarkets": {"types": ["spot"]},
        "warnOnFetchOpenOrdersWithoutSymbol": False,
    },
)
_SUBMIT = (
    Row("-2010", "Duplicate order", DUPLICATE),
    Row("-4116", "", DUPLICATE),
    Row("-2010", "insufficient balance", rejected("INSUFFICIENT_FUNDS")),
    Row("-2010", "immediately match", rejected("POST_ONLY_WOULD_TAKE")),
    Row("-2010", "trigger immediately", rejected("TRIGGER_WOULD_FIRE")),
    Row("-2010", "Market is closed", rejected("MARKET_CLOSED")),
    Row("-2010", "disabled on this account", rejected("ACCOUNT_MAY_NOT_TRADE")),
    Row("-2010", "may not place", rejected("ACCOUNT_MAY_NOT_TRADE")),
    Row("-2010", "", rejected("ORDER_REFUSED")),
    Row("-2018", "", rejected("INSUFFICIENT_FUNDS")),
    Row("-2019", "", rejected("INSUFFICIENT_FUNDS")),
    Row("-1013", "PRICE_FILTER", rejected("PRICE_FILTER")),
    Row("-1013", "PERCENT_PRICE", rejected("PRICE_OUT_OF_BAND")),
    Row("-1013", "NOTIONAL", rejected("NOTIONAL_TOO_SMALL")),
    Row("-1013", "LOT_SIZE", rejected("QUANTITY_FILTER")),
    Row("-1013", "MAX_NUM_", rejected("TOO_MANY_OPEN_ORDERS")),
    Row("-1013", "Market is closed", rejected("MARKET_CLOSED")),
    Row("-1013", "", rejected("ORDER_INVALID")),
    Row("-1111", "", rejected("PRECISION")),
    Row("-1121", "", rejected("SYMBOL_UNKNOWN")),
    Row("-1002", "", rejected("KEY_REFUSED")),
    Row("-1022", "", rejected("KEY_REFUSED")),
    Row("-2014", "", rejected("KEY_REFUSED")),
    Row("-2015", "", rejected("KEY_REFUSED")),
    Row("-1003", "banned until", not_executed("RATE_LIMITED", "banned")),
    Row("-1003", "", not_executed("RATE_LIMITED")),
    Row("-1015", "", not_executed("RATE_LIMITED")),
    Row("-1008", "", not_executed("VENUE_OVERLOADED"), server_error_too=True),
    Row("-1021", "", not_executed("TIMESTAMP_OUTSIDE_WINDOW")),
    Row("-1000", "", UNKNOWN),
    Row("-1001", "", UNKNOWN),
    Row("-1006", "", UNKNOWN),
    Row("-1007", "", UNKNOWN),
    Row("-1016", "", UNKNOWN._replace(category="maintenance")),
    Row("-1014", "", rejected("ORDER_UNSUPPORTED")),
    Row("-1020", "", rejected("ORDER_UNSUPPORTED")),
    Row("-11*", "", rejected("ORDER_INVALID")),
)
# "Unknown" in answer to a cancel says the order is not open now. It never says it was not placed.
_CANCEL = (
    Row("-2011", "cancel restrictions", rejected("ORDER_PARTLY_FILLED")),
    Row("-2011", "", rejected("ORDER_UNKNOWN")),
    Row("-2013", "", rejected("ORDER_UNKNOWN")),
    Row("-2026", "", rejected("ORDER_CLOSED")),
)
# An amend refused by these changed nothing. cancelReplace's own two codes say only that a half failed: the halves decide.
_AMEND = (Row("-2021", "", UNKNOWN), Row("-2022", "", UNKNOWN), *_CANCEL)
# As exchangeInfo declares them: weight and requests per address, orders per account. ccxt counts weight in fifths.
_BUDGET = (
    BucketRule(
        name="weight", capacity=6_000, per_seconds=60, is_window=True, scope="address", per_ccxt_cost=5.0,
        costs={"cancel": 1, "order": 1, "reconcile": 20, "poll": 20}, used_header="X-MBX-USED-WEIGHT-1M",
    ),
    BucketRule(
        name="requests", capacity=61_000, per_seconds=300, is_window=True, scope="address",
        costs={"cancel": 1, "order": 1, "reconcile": 1, "poll": 1},
    ),
    BucketRule(
        name="orders", capacity=100, per_seconds=10, is_window=True, used_header="X-MBX-ORDER-COUNT-10S",
        costs={"cancel": 0, "order": 1, "reconcile": 0, "poll": 0},
    ),
    BucketRule(
        name="orders_day", capacity=200_000, per_seconds=86_400, is_window=True, used_header="X-MBX-ORDER-COUNT-1D",
        costs={"cancel": 0, "order": 1, "reconcile": 0, "poll": 0},
    ),
)  # fmt: skip
FAMILY = Family(capabilities=_CAPABILITIES, submit=_SUBMIT, cancel=_CANCEL, amend=_AMEND, budget=_BUDGET)
