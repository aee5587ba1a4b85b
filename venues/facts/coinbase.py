"""Coinbase Advanced (spot)."""

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

# The window is the end of the request's token. It is judged at the venue's door alone, with a leeway nobody states, and
# what has passed the door waits for the matching engine without a bound: hence the long time before absence counts.
_CAPABILITIES = Capabilities(
    exchange="coinbase",
    family="coinbase",
    tier="A",
    window=True,
    cancel_window=True,
    window_min_ms=2_000,
    window_max_ms=110_000,
    processing_bound_seconds=60.0,
    read_lag_seconds=10.0,
    clock_grain_ms=1_000,
    order_types=("limit", "market", "stop_limit", "take_profit_limit"),
    times_in_force=("GTC", "IOC", "FOK", "GTD"),
    amend="in_place",
    client_id_key="client_order_id",
    client_id_lookup="scan",
    client_ids_unique="forever",
    fills_page=250,
    stream=True,
    transfers=True,
    transfers_overlap_hours=1,
    stream_fills=False,
    options={"fetchTime": "v3PublicGetBrokerageTime"},
)
# Each may come as the reason for a new order or, with PREVIEW_ before it, as what the check before it found.
_REFUSED = {
    "INSUFFICIENT_FUND": "INSUFFICIENT_FUNDS",
    "INSUFFICIENT_FUNDS": "INSUFFICIENT_FUNDS",
    "INSUFFICIENT_LEDGER_BALANCE": "INSUFFICIENT_FUNDS",
    "INVALID_LEDGER_BALANCE": "INSUFFICIENT_FUNDS",
    "INVALID_LIMIT_PRICE_POST_ONLY": "POST_ONLY_WOULD_TAKE",
    "STOP_PRICE_ABOVE_LAST_TRADE_PRICE": "TRIGGER_WOULD_FIRE",
    "STOP_PRICE_BELOW_LAST_TRADE_PRICE": "TRIGGER_WOULD_FIRE",
    "INVALID_PRICE_PRECISION": "PRICE_FILTER",
    "INVALID_LIMIT_PRICE": "PRICE_FILTER",
    "INVALID_STOP_PRICE": "PRICE_FILTER",
    "INVALID_PRICE_TOO_LARGE": "PRICE_OUT_OF_BAND",
    "BREACHED_PRICE_LIMIT": "PRICE_OUT_OF_BAND",
    "LIMIT_PRICE_TOO_FAR_FROM_MARKET": "PRICE_OUT_OF_BAND",
    "INVALID_SIZE_PRECISION": "QUANTITY_FILTER",
    "INVALID_QUOTE_SIZE_PRECISION": "QUANTITY_FILTER",
    "INVALID_BASE_SIZE_TOO_LARGE": "QUANTITY_FILTER",
    "INVALID_QUOTE_SIZE_TOO_LARGE": "QUANTITY_FILTER",
    "INVALID_BASE_SIZE_TOO_SMALL": "QUANTITY_TOO_SMALL",
    "INVALID_QUOTE_SIZE_TOO_SMALL": "NOTIONAL_TOO_SMALL",
    "INVALID_PRODUCT_ID": "SYMBOL_UNKNOWN",
    "INVALID_NO_LIQUIDITY": "ORDER_NOT_FILLABLE",
    "INVALID_SIDE": "ORDER_INVALID",
    "INVALID_ORDER_CONFIG": "ORDER_INVALID",
    "INVALID_REQUEST": "ORDER_INVALID",
    "INVALID_ARGUMENT": "ORDER_INVALID",
    "END_TIME_TOO_FAR_IN_FUTURE": "ORDER_INVALID",
    "UNSUPPORTED_ORDER_CONFIGURATION": "ORDER_UNSUPPORTED",
    "FOK_DISABLED": "ORDER_UNSUPPORTED",
    "POST_ONLY_NOT_ALLOWED_WITH_FOK": "ORDER_UNSUPPORTED",
    "ORDER_ENTRY_DISABLED": "MARKET_CLOSED",
    "UNTRADABLE_PRODUCT": "MARKET_CLOSED",
    "INELIGIBLE_PAIR": "ACCOUNT_MAY_NOT_TRADE",
    "GEOFENCING_RESTRICTION": "ACCOUNT_MAY_NOT_TRADE",
    "COMMANDER_REJECTED_NEW_ORDER": "ORDER_REFUSED",
}
_SUBMIT = (
    *(Row(prefix + code, "", rejected(ours)) for code, ours in _REFUSED.items() for prefix in ("", "PREVIEW_")),
    Row("DUPLICATE_CLIENT_ORDER_ID", "", DUPLICATE),
    Row("PERMISSION_DENIED", "", rejected("KEY_MAY_NOT_TRADE")),
    # "Unauthorized" stands for a token that ended, another clock, a wrong key, and comes for good tokens now and then. Our
    # adapter calls it by the first where that token had ended, so that no late order stops those after it.
    Row("token_ended", "", not_executed("TIMESTAMP_OUTSIDE_WINDOW")),
    Row("unauthorized", "", not_executed("KEY_REFUSED")),
    Row("rate_limit_exceeded", "", not_executed("RATE_LIMITED")),
    Row("resource_exhausted", "", not_executed("RATE_LIMITED")),
    Row("RESOURCE_EXHAUSTED", "", not_executed("RATE_LIMITED")),
    Row("internal_server_error", "", UNKNOWN),
    Row("INTERNAL", "", UNKNOWN),
)
# An order that is unknown to a cancel is not open now. It never says that it was not placed.
_CANCEL = (
    Row("UNKNOWN_CANCEL_ORDER", "", rejected("ORDER_UNKNOWN")),
    Row("ORDER_IS_FULLY_FILLED", "", rejected("ORDER_CLOSED")),
    Row("INVALID_CANCEL_REQUEST", "", rejected("ORDER_INVALID")),
    Row("INVALID_CANCEL_PRODUCT_ID", "", rejected("ORDER_INVALID")),
    Row("NOT_ALLOWED_TO_CANCEL", "", rejected("KEY_MAY_NOT_TRADE")),
    Row("ORDER_IS_BEING_REPLACED", "", not_executed("ORDER_BEING_CHANGED")),
    Row("DUPLICATE_CANCEL_REQUEST", "", UNKNOWN),
    Row("COMMANDER_REJECTED_CANCEL_ORDER", "", UNKNOWN),
)
_AMEND = (
    Row("ORDER_NOT_FOUND", "", rejected("ORDER_UNKNOWN")),
    Row("ONLY_OPEN_ORDERS_CAN_BE_EDITED", "", rejected("ORDER_UNKNOWN")),
    Row("CANNOT_EDIT_TO_BELOW_FILLED_SIZE", "", rejected("ORDER_PARTLY_FILLED")),
    Row("INVALID_EDITED_SIZE", "", rejected("QUANTITY_FILTER")),
    Row("INVALID_EDITED_PRICE", "", rejected("PRICE_FILTER")),
    Row("EDIT_REQUEST_EQUAL_TO_ORIGINAL_REQUEST", "", rejected("ORDER_INVALID")),
    Row("ONLY_LIMIT_ORDER_EDITS_SUPPORTED", "", rejected("ORDER_UNSUPPORTED")),
    Row("SIZE_IN_QUOTE_EDITS_NOT_ALLOWED", "", rejected("ORDER_UNSUPPORTED")),
    Row("STRATEGY_NOT_SUPPORTED", "", rejected("ORDER_UNSUPPORTED")),
    Row("FIELD_*", "", rejected("ORDER_UNSUPPORTED")),
    Row("CALLER_ID_MISMATCH", "", rejected("KEY_MAY_NOT_TRADE")),
    Row("EXCEEDED_MAX_ALLOWED_EDIT_REQUEST_COUNT", "", rejected("ORDER_REFUSED")),
    Row("COMMANDER_REJECTED_EDIT_ORDER", "", rejected("ORDER_REFUSED")),
    Row("ORDER_IS_ALREADY_BEING_REPLACED", "", not_executed("ORDER_BEING_CHANGED")),
)
# Thirty signed requests a second for each user.
_BUDGET = (
    BucketRule(
        name="requests",
        capacity=30,
        per_seconds=1,
        is_window=True,
        costs={"cancel": 1, "order": 1, "reconcile": 1, "poll": 1},
    ),
)
FAMILY = Family(capabilities=_CAPABILITIES, submit=_SUBMIT, cancel=_CANCEL, amend=_AMEND, budget=_BUDGET)
