"""Kraken spot."""

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

_CONDITIONAL = ("stop", "stop_limit", "take_profit", "take_profit_limit")
_CAPABILITIES = Capabilities(
    exchange="kraken",
    family="kraken",
    tier="A",
    window=True,
    window_min_ms=2_000,
    window_max_ms=60_000,
    processing_bound_seconds=5.0,
    read_lag_seconds=60.0,
    clock_grain_ms=1_000,
    nonce_exclusive=True,
    order_types=("limit", "market", *_CONDITIONAL, "trailing_stop"),
    times_in_force=("GTC", "IOC", "FOK", "GTD"),
    amend="in_place",
    client_id_lookup="open_and_closed",
    client_id_cancel=True,
    client_ids_unique="open",
    fills_page=50,
    stream=True,
    transfers=True,
)
_SUBMIT = (
    Row("*", "uplicate", DUPLICATE),
    Row("*", "cl_ord_id already", DUPLICATE),
    Row("EOrder:Insufficient*", "", rejected("INSUFFICIENT_FUNDS")),
    Row("EOrder:Post only order", "", rejected("POST_ONLY_WOULD_TAKE")),
    Row("EOrder:Order minimum not met*", "", rejected("QUANTITY_TOO_SMALL")),
    Row("EOrder:Cost minimum not met*", "", rejected("NOTIONAL_TOO_SMALL")),
    Row("EOrder:Tick size check failed*", "", rejected("PRICE_FILTER")),
    Row("EOrder:Invalid price*", "", rejected("PRICE_FILTER")),
    Row("EGeneral:Invalid arguments:price*", "", rejected("PRICE_FILTER")),
    Row("EGeneral:Invalid arguments:volume*", "", rejected("QUANTITY_FILTER")),
    Row("EOrder:Orders limit exceeded*", "", rejected("TOO_MANY_OPEN_ORDERS")),
    Row("EOrder:Positions limit exceeded*", "", rejected("TOO_MANY_OPEN_ORDERS")),
    Row("EOrder:Margin *", "", rejected("MARGIN_REFUSED")),
    Row("EOrder:Reduce only*", "", rejected("REDUCE_ONLY_REFUSED")),
    Row("EQuery:Unknown asset*", "", rejected("SYMBOL_UNKNOWN")),
    Row("EQuery:Invalid asset*", "", rejected("SYMBOL_UNKNOWN")),
    Row("EAPI:Invalid key*", "", rejected("KEY_REFUSED")),
    Row("EAPI:Invalid signature*", "", rejected("KEY_REFUSED")),
    Row("EGeneral:Permission denied*", "", rejected("KEY_MAY_NOT_TRADE")),
    Row("EAPI:Rate limit exceeded*", "", not_executed("RATE_LIMITED")),
    Row("EOrder:Rate limit exceeded*", "", not_executed("RATE_LIMITED")),
    Row("EGeneral:Too many requests*", "", not_executed("RATE_LIMITED")),
    Row("EGeneral:Temporary lockout*", "", not_executed("RATE_LIMITED", "banned")),
    Row("EAPI:Invalid nonce*", "", not_executed("NONCE_REFUSED")),
    Row("EService:Market in *", "", not_executed("MARKET_RESTRICTED")),
    Row("EGeneral:*", "eadline", not_executed("TIMESTAMP_OUTSIDE_WINDOW")),
    Row("EOrder:*", "eadline", not_executed("TIMESTAMP_OUTSIDE_WINDOW")),
    Row("EService:Unavailable*", "", UNKNOWN._replace(category="maintenance")),
    Row("EService:*", "", UNKNOWN),
    Row("EDatabase:*", "", UNKNOWN),
    Row("EGeneral:Internal error*", "", UNKNOWN),
    Row("EGeneral:Invalid arguments*", "", rejected("ORDER_INVALID")),
    Row("EOrder:Invalid order*", "", rejected("ORDER_INVALID")),
)
_CANCEL = (
    Row("EOrder:Unknown order*", "", rejected("ORDER_UNKNOWN")),
    Row("EOrder:Cancel pending*", "", UNKNOWN),
)
# Reads (20, drained 0.5 a second on the middle tier) and orders (per pair, 125 at most) are counted apart. A list of what
# is past counts twice: ccxt has that as a cost of 6 against 3.
_BUDGET = (
    BucketRule(
        name="reads", capacity=20, per_seconds=40, per_ccxt_cost=1 / 3,
        costs={"cancel": 0, "order": 0, "reconcile": 1, "poll": 1},
    ),
    BucketRule(name="orders", capacity=125, per_seconds=54, costs={"cancel": 1, "order": 1, "reconcile": 0, "poll": 0}),
)  # fmt: skip
FAMILY = Family(capabilities=_CAPABILITIES, submit=_SUBMIT, cancel=_CANCEL, amend=_CANCEL, budget=_BUDGET)
