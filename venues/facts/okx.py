"""OKX spot and its regional siblings."""

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

# A stop is an algo order there: it has ids of its own, and once triggered it places an order with other ids.
_CONDITIONAL = ("stop", "stop_limit", "take_profit", "take_profit_limit", "trailing_stop")
# The venue refuses what arrives 30 s after its timestamp, and an order or amend after its expTime.
# A client id is unique among open orders; asked for by one that several orders had, the venue shows the newest.
_CAPABILITIES = Capabilities(
    exchange="okx",
    family="okx",
    tier="A",
    window=True,
    window_max_ms=30_000,
    cancel_window=True,
    processing_bound_seconds=5.0,
    read_lag_seconds=5.0,
    order_types=("limit", "market", *_CONDITIONAL),
    amend="in_place",
    client_id_lookup="order",
    client_id_cancel=True,
    client_ids_unique="open",
    fills_page=100,
    stream=True,
    transfers=True,
    options={"fetchMarkets": {"types": ["spot"]}},
)
_SUBMIT = (
    Row("51016", "", DUPLICATE),
    Row("51011", "", DUPLICATE),
    # "Timed out": the venue's own words are that this says neither success nor failure.
    Row("50004", "", UNKNOWN),
    Row("51054", "", UNKNOWN),
    Row("51149", "", UNKNOWN),
    Row("50001", "", UNKNOWN._replace(category="maintenance")),
    Row("50005", "", UNKNOWN),
    Row("50013", "", UNKNOWN),
    Row("50026", "", UNKNOWN),
    Row("50011", "", not_executed("RATE_LIMITED")),
    Row("50061", "", not_executed("RATE_LIMITED")),
    Row("50036", "", not_executed("TIMESTAMP_OUTSIDE_WINDOW")),
    Row("50102", "", not_executed("TIMESTAMP_OUTSIDE_WINDOW")),
    Row("50112", "", not_executed("TIMESTAMP_OUTSIDE_WINDOW")),
    Row("51008", "", rejected("INSUFFICIENT_FUNDS")),
    Row("51119", "", rejected("INSUFFICIENT_FUNDS")),
    Row("51127", "", rejected("INSUFFICIENT_FUNDS")),
    Row("51131", "", rejected("INSUFFICIENT_FUNDS")),
    Row("51502", "", rejected("INSUFFICIENT_FUNDS")),
    Row("51000", "px", rejected("PRICE_FILTER")),
    Row("51000", "Px", rejected("PRICE_FILTER")),
    Row("51000", "sz", rejected("QUANTITY_FILTER")),
    Row("51000", "Sz", rejected("QUANTITY_FILTER")),
    Row("51000", "", rejected("ORDER_INVALID")),
    Row("51006", "", rejected("PRICE_OUT_OF_BAND")),
    Row("51116", "", rejected("PRICE_OUT_OF_BAND")),
    Row("51135", "", rejected("PRICE_OUT_OF_BAND")),
    Row("51136", "", rejected("PRICE_OUT_OF_BAND")),
    Row("51137", "", rejected("PRICE_OUT_OF_BAND")),
    Row("51138", "", rejected("PRICE_OUT_OF_BAND")),
    Row("51020", "", rejected("QUANTITY_TOO_SMALL")),
    Row("51120", "", rejected("QUANTITY_TOO_SMALL")),
    Row("51004", "", rejected("QUANTITY_FILTER")),
    Row("51005", "", rejected("QUANTITY_FILTER")),
    Row("51121", "", rejected("QUANTITY_FILTER")),
    Row("51202", "", rejected("QUANTITY_FILTER")),
    Row("51203", "", rejected("QUANTITY_FILTER")),
    Row("51025", "", rejected("TOO_MANY_OPEN_ORDERS")),
    Row("51102", "", rejected("TOO_MANY_OPEN_ORDERS")),
    Row("51103", "", rejected("TOO_MANY_OPEN_ORDERS")),
    Row("51174", "", rejected("TOO_MANY_OPEN_ORDERS")),
    Row("51260", "", rejected("TOO_MANY_OPEN_ORDERS")),
    Row("51261", "", rejected("TOO_MANY_OPEN_ORDERS")),
    Row("51277", "", rejected("TRIGGER_WOULD_FIRE")),
    Row("51278", "", rejected("TRIGGER_WOULD_FIRE")),
    Row("51279", "", rejected("TRIGGER_WOULD_FIRE")),
    Row("51280", "", rejected("TRIGGER_WOULD_FIRE")),
    Row("51001", "", rejected("SYMBOL_UNKNOWN")),
    Row("51015", "", rejected("SYMBOL_UNKNOWN")),
    Row("51021", "", rejected("MARKET_CLOSED")),
    Row("51022", "", rejected("MARKET_CLOSED")),
    Row("50007", "", rejected("ACCOUNT_MAY_NOT_TRADE")),
    Row("50009", "", rejected("ACCOUNT_MAY_NOT_TRADE")),
    Row("50027", "", rejected("ACCOUNT_MAY_NOT_TRADE")),
    Row("51009", "", rejected("ACCOUNT_MAY_NOT_TRADE")),
    Row("51010", "", rejected("ACCOUNT_MAY_NOT_TRADE")),
    Row("51024", "", rejected("ACCOUNT_MAY_NOT_TRADE")),
    Row("51155", "", rejected("ACCOUNT_MAY_NOT_TRADE")),
    Row("50030", "", rejected("KEY_MAY_NOT_TRADE")),
    Row("50120", "", rejected("KEY_MAY_NOT_TRADE")),
    Row("5010*", "", rejected("KEY_REFUSED")),
    Row("5011*", "", rejected("KEY_REFUSED")),
)
# "Does not exist" in answer to a cancel says the order is not open now. It never says it was not placed.
_CANCEL = (
    Row("51400", "", rejected("ORDER_UNKNOWN")),
    Row("51401", "", rejected("ORDER_UNKNOWN")),
    Row("51402", "", rejected("ORDER_UNKNOWN")),
    Row("51603", "", rejected("ORDER_UNKNOWN")),
    Row("51410", "", UNKNOWN),
)
_AMEND = (
    Row("51503", "", rejected("ORDER_UNKNOWN")),
    Row("51509", "", rejected("ORDER_CLOSED")),
    Row("51510", "", rejected("ORDER_CLOSED")),
    Row("51511", "", rejected("POST_ONLY_WOULD_TAKE")),
    Row("51506", "", rejected("ORDER_UNSUPPORTED")),
    Row("51500", "", rejected("ORDER_INVALID")),
    *_CANCEL,
)
# 60 in 2 s for each endpoint and instrument; counted here as if all were of one instrument. The reads we make are
# limited each for itself, the tightest (fills, balance) to 10 in 2 s.
_BUDGET = (
    BucketRule(
        name="orders",
        capacity=60,
        per_seconds=2,
        is_window=True,
        costs={"cancel": 0, "order": 1, "reconcile": 0, "poll": 0},
    ),
    BucketRule(
        name="cancels",
        capacity=60,
        per_seconds=2,
        is_window=True,
        costs={"cancel": 1, "order": 0, "reconcile": 0, "poll": 0},
    ),
    BucketRule(
        name="reads",
        capacity=10,
        per_seconds=2,
        is_window=True,
        costs={"cancel": 0, "order": 0, "reconcile": 1, "poll": 1},
    ),
)
FAMILY = Family(capabilities=_CAPABILITIES, submit=_SUBMIT, cancel=_CANCEL, amend=_AMEND, budget=_BUDGET)
