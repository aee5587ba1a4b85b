"""What is Coinbase's own: its tokens, its refusals inside HTTP 200, its rows, and exact numbers there and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.venues.paper.simulating import SECRETS, Desk, body_of
from venues import errors
from venues.adapters import coinbase_orders, coinbase_rows, rows
from venues.adapters.coinbase_token import Signer
from venues.messages import AmendOrder, BalanceReport, Malformed, PlaceOrder
from venues.paper.dialects import coinbase_rules
from venues.paper.markets import EXCHANGES, markets_of
from venues.paper.messages import Refused

MARKETS = markets_of(EXCHANGES["coinbase"])
PEM = SECRETS["coinbase"]


def refused(code: str, preview: str = "", message: str = "") -> dict[str, Any]:
    return {
        "success": False, "failure_reason": "UNKNOWN_FAILURE_REASON", "order_id": "", "order_configuration": None,
        "error_response": {
            "error": code, "message": message, "error_details": "", "preview_failure_reason": preview,
        },
    }  # fmt: skip


def results(*answers: tuple[bool, str]) -> dict[str, Any]:
    return {"results": [{"success": done, "failure_reason": why, "order_id": "1"} for done, why in answers]}


def unedited(code: str, preview: str = "") -> dict[str, Any]:
    return {"success": False, "errors": [{"edit_failure_reason": code, "preview_failure_reason": preview}]}


NOTHING_SAID = "UNKNOWN_FAILURE_REASON"
REFUSALS: list[tuple[errors.Action, int, Any, str, str]] = [
    ("submit", 200, refused("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND"), "rejected", "INSUFFICIENT_FUNDS"),
    ("submit", 200, refused(NOTHING_SAID, "PREVIEW_INSUFFICIENT_FUND"), "rejected", "INSUFFICIENT_FUNDS"),
    ("submit", 200, refused("INVALID_LIMIT_PRICE_POST_ONLY"), "rejected", "POST_ONLY_WOULD_TAKE"),
    ("submit", 200, refused(NOTHING_SAID, "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE"), "rejected", "TRIGGER_WOULD_FIRE"),
    ("submit", 200, refused(NOTHING_SAID, "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"), "rejected", "QUANTITY_TOO_SMALL"),
    ("submit", 200, refused("UNSUPPORTED_ORDER_CONFIGURATION"), "rejected", "ORDER_UNSUPPORTED"),
    ("submit", 200, refused("INVALID_PRODUCT_ID"), "rejected", "SYMBOL_UNKNOWN"),
    ("submit", 200, refused("DUPLICATE_CLIENT_ORDER_ID"), "unknown", "DUPLICATE_CLIENT_ID"),
    ("submit", 200, refused(NOTHING_SAID), "unknown", "OUTCOME_UNKNOWN"),
    ("submit", 200, refused(NOTHING_SAID, "UNKNOWN_PREVIEW_FAILURE_REASON"), "unknown", "OUTCOME_UNKNOWN"),
    ("submit", 200, refused("SOMETHING_NEW"), "unknown", "OUTCOME_UNKNOWN"),
    ("submit", 200, refused("INSUFFICIENT_FUND") | {"success": True}, "unknown", "OUTCOME_UNKNOWN"),
    ("submit", 200, {}, "unknown", "OUTCOME_UNKNOWN"),
    ("submit", 500, refused("INSUFFICIENT_FUND"), "unknown", "OUTCOME_UNKNOWN"),
    ("submit", 500, {"error": "INTERNAL", "message": "internal"}, "unknown", "OUTCOME_UNKNOWN"),
    ("submit", 500, {"errors": [{"id": "internal_server_error", "message": "?"}]}, "unknown", "OUTCOME_UNKNOWN"),
    ("submit", 400, {"error": "INVALID_ARGUMENT", "message": "invalid side"}, "rejected", "ORDER_INVALID"),
    ("submit", 403, {"error": "PERMISSION_DENIED", "message": "Missing required scopes"}, "rejected", "KEY_MAY_NOT_TRADE"),
    ("submit", 401, {"error": "unauthorized"}, "not_sent", "KEY_REFUSED"),
    ("submit", 401, {"error": "token_ended"}, "not_sent", "TIMESTAMP_OUTSIDE_WINDOW"),
    ("submit", 429, {"errors": [{"id": "rate_limit_exceeded", "message": "Too many"}]}, "not_sent", "RATE_LIMITED"),
    ("submit", 429, {"error": "RESOURCE_EXHAUSTED"}, "not_sent", "RATE_LIMITED"),
    ("submit", 200, results((False, "UNKNOWN_CANCEL_ORDER")), "unknown", "OUTCOME_UNKNOWN"),
    ("cancel", 200, results((False, "UNKNOWN_CANCEL_ORDER")), "rejected", "ORDER_UNKNOWN"),
    ("cancel", 200, results((False, "ORDER_IS_FULLY_FILLED")), "rejected", "ORDER_CLOSED"),
    ("cancel", 200, results((False, "DUPLICATE_CANCEL_REQUEST")), "unknown", "OUTCOME_UNKNOWN"),
    ("cancel", 200, results((False, "COMMANDER_REJECTED_CANCEL_ORDER")), "unknown", "OUTCOME_UNKNOWN"),
    ("cancel", 200, results((False, "UNKNOWN_CANCEL_FAILURE_REASON")), "unknown", "OUTCOME_UNKNOWN"),
    ("cancel", 200, results((False, "ORDER_IS_BEING_REPLACED")), "not_sent", "ORDER_BEING_CHANGED"),
    ("cancel", 200, results(), "unknown", "OUTCOME_UNKNOWN"),
    ("amend", 200, unedited("ORDER_NOT_FOUND"), "rejected", "ORDER_UNKNOWN"),
    ("amend", 200, unedited("ONLY_OPEN_ORDERS_CAN_BE_EDITED"), "rejected", "ORDER_UNKNOWN"),
    ("amend", 200, unedited("CANNOT_EDIT_TO_BELOW_FILLED_SIZE"), "rejected", "ORDER_PARTLY_FILLED"),
    ("amend", 200, unedited("", "PREVIEW_INSUFFICIENT_FUND"), "rejected", "INSUFFICIENT_FUNDS"),
    ("amend", 200, unedited("UNKNOWN_EDIT_ORDER_FAILURE_REASON"), "unknown", "OUTCOME_UNKNOWN"),
    ("amend", 200, {"success": False, "errors": {"edit_failure_reason": "INVALID_EDITED_SIZE"}}, "rejected", "QUANTITY_FILTER"),
    ("amend", 200, unedited("FIELD_ENDTIME_NOT_SUPPORTED"), "rejected", "ORDER_UNSUPPORTED"),
]  # fmt: skip


@pytest.mark.parametrize(("action", "status", "payload", "outcome", "code"), REFUSALS)
def test_what_each_refusal_proves(action: errors.Action, status: int, payload: Any, outcome: str, code: str) -> None:
    said, message = coinbase_rows.error(payload)
    facts = errors.Facts(
        sent=True, status=status, parsed=True, venue_code=said, message=message, classes=("ExchangeError",)
    )
    verdict = errors.judge(action, "coinbase", facts)
    assert (verdict.outcome, verdict.code) == (outcome, code)


# --- tokens ---


def test_a_token_is_one_the_venue_takes_for_this_request_alone() -> None:
    desk = Desk("coinbase")
    body = desk.coinbase_order("50000")
    assert desk.coinbase("POST", "orders", body).status == 200
    for uri in (
        "GET api.coinbase.com/api/v3/brokerage/orders",
        "POST api.coinbase.com/api/v3/brokerage/orders/edit",
        "",
    ):
        token = desk.coinbase_token(uri)
        with pytest.raises(Refused):
            coinbase_rules.check_token(desk.world, token, ("POST", "/api/v3/brokerage/orders", "127.0.0.1:1"))


@pytest.mark.parametrize(
    "written",
    [PEM, PEM.replace("\n", "\\n"), PEM.replace("\n", ""), f" {PEM}\n\n", PEM.replace("\n", "\r\n")],
)
def test_a_key_is_read_however_its_lines_were_pasted(written: str) -> None:
    desk = Desk("coinbase")
    token = Signer("key1", written).token("", desk.now // 1_000_000, desk.now // 1_000_000 + 5)
    assert coinbase_rules.check_token(desk.world, token).api_key == "key1"


@pytest.mark.parametrize(
    "secret",
    [
        "", "c2VjcmV0", "-----BEGIN EC PRIVATE KEY-----AAAA-----END EC PRIVATE KEY-----",
        ec.generate_private_key(ec.SECP384R1())
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused_without_being_quoted(secret: str) -> None:
    with pytest.raises(rows.RowError) as refusal:
        Signer("key", secret)
    assert len(secret) < 4 or secret not in str(refusal.value)


# --- exact numbers there and back ---


def order(**changes: Any) -> PlaceOrder:
    plain: dict[str, Any] = {
        "venue_client_id": "g1", "symbol": "BTC/USDT", "side": "sell", "type": "limit", "quantity": Decimal("0.1"),
        "price": Decimal("70000"), "time_in_force": "GTC", "stamp_ms": 1, "window_ms": 1,
    }  # fmt: skip
    return PlaceOrder(**(plain | changes))


@pytest.mark.parametrize("symbol", MARKETS)
@given(data=st.data())
def test_a_decimal_comes_back_as_it_went_out(symbol: str, data: st.DataObject) -> None:
    market = MARKETS[symbol]
    quantity = market.quantity_step * data.draw(st.integers(1, 10**11), "quantity")
    price = market.price_step * data.draw(st.integers(1, 10**7), "price")
    made = order(symbol=symbol, quantity=quantity, price=price)
    wire = json.loads(json.dumps(coinbase_orders.placement(made, market.venue_id, "g1")))
    terms = wire["order_configuration"]["limit_limit_gtc"]
    assert (Decimal(terms["base_size"]), Decimal(terms["limit_price"])) == (quantity, price)
    assert "E" not in terms["base_size"] + terms["limit_price"]
    row = ROW | {"product_id": market.venue_id, "order_configuration": wire["order_configuration"]}
    report = coinbase_rows.order(row, lambda name: name.replace("-", "/"))
    assert (report.symbol, report.quantity, report.price) == (symbol, quantity, price)


@pytest.mark.parametrize("symbol", MARKETS)
def test_the_venue_shows_what_it_was_sent(symbol: str) -> None:
    desk, market = Desk("coinbase"), MARKETS[symbol]
    sent = order(symbol=symbol, side="buy", quantity=Decimal("1.00000001"), price=market.price_start / 2)
    body = coinbase_orders.placement(sent, market.venue_id, "gexact000000000001")
    placed = coinbase_rows.placed(body_of(desk.coinbase("POST", "orders", body)), sent, "gexact000000000001")
    desk.move_symbol(symbol, str(market.price_start / 2 - market.price_step))
    shown = body_of(desk.coinbase("GET", f"orders/historical/{placed.venue_order_id}"))["order"]
    report = coinbase_rows.order(shown, lambda name: name.replace("-", "/"))
    assert (report.quantity, report.price, report.filled_quantity) == (sent.quantity, sent.price, sent.quantity)
    fills = [coinbase_rows.fill(row, lambda name: name.replace("-", "/")) for row in list_fills(desk)]
    assert sum(fill.quantity for fill in fills) == sent.quantity
    truth = {(row["trade_id"], row["price"], row["quantity"], row["fee"]) for row in desk.world.records("filled")}
    assert {(one.venue_trade_id, f"{one.price}", f"{one.quantity}", f"{one.fee}") for one in fills} == truth


def list_fills(desk: Desk) -> list[Any]:
    return list(body_of(desk.coinbase("GET", "orders/historical/fills"))["fills"])


# --- requests ---

STOP = {"stop_price": "48000", "stop_direction": "STOP_DIRECTION_STOP_DOWN"}
EXPIRY = datetime(2026, 12, 1, 10, 0, 0, 999_900, UTC)


@pytest.mark.parametrize(
    ("changes", "name", "terms"),
    [
        ({}, "limit_limit_gtc", {"limit_price": "70000", "post_only": False}),
        ({"post_only": True}, "limit_limit_gtc", {"limit_price": "70000", "post_only": True}),
        ({"time_in_force": "IOC"}, "sor_limit_ioc", {"limit_price": "70000"}),
        ({"time_in_force": "FOK"}, "limit_limit_fok", {"limit_price": "70000"}),
        (
            {"time_in_force": "GTD", "expires_at": EXPIRY}, "limit_limit_gtd",
            {"limit_price": "70000", "post_only": False, "end_time": "2026-12-01T10:00:00.999Z"},
        ),
        ({"type": "market", "price": None}, "market_market_ioc", {}),
        (
            {"type": "stop_limit", "price": Decimal("47900"), "trigger_price": Decimal("48000")},
            "stop_limit_stop_limit_gtc", {"limit_price": "47900", **STOP},
        ),
        (
            {"type": "take_profit_limit", "trigger_price": Decimal("69000")},
            "stop_limit_stop_limit_gtc",
            {"limit_price": "70000", "stop_price": "69000", "stop_direction": "STOP_DIRECTION_STOP_UP"},
        ),
        (
            {"type": "stop_limit", "side": "buy", "trigger_price": Decimal("69000")},
            "stop_limit_stop_limit_gtc",
            {"limit_price": "70000", "stop_price": "69000", "stop_direction": "STOP_DIRECTION_STOP_UP"},
        ),
    ],
)  # fmt: skip
def test_what_is_asked_for(changes: dict[str, Any], name: str, terms: dict[str, Any]) -> None:
    request = coinbase_orders.placement(order(**changes), "BTC-USDT", "g1")
    assert request["order_configuration"] == {name: {"base_size": "0.1", **terms}}
    assert (request["client_order_id"], request["product_id"]) == ("g1", "BTC-USDT")
    assert request["side"] == changes.get("side", "sell").upper()


@pytest.mark.parametrize(
    "changes",
    [
        {"post_only": True, "time_in_force": "IOC"},
        {"post_only": True, "type": "stop_limit", "trigger_price": Decimal("48000")},
        {"time_in_force": "IOC", "type": "stop_limit", "trigger_price": Decimal("48000")},
    ],
)
def test_what_has_no_configuration_is_not_asked_for(changes: dict[str, Any]) -> None:
    with pytest.raises(rows.RowError):
        coinbase_orders.placement(order(**changes), "BTC-USDT", "g1")


@pytest.mark.parametrize(
    "changes", [{"type": "stop_limit"}, {"time_in_force": "GTD"}, {"venue_order_id": None}, {"price": None}]
)
def test_only_plain_limit_orders_are_edited(changes: dict[str, Any]) -> None:
    plain: dict[str, Any] = {
        "symbol": "BTC/USDT", "side": "buy", "type": "limit", "venue_order_id": "9", "venue_client_id": "g1",
        "new_venue_client_id": "g2", "quantity": Decimal("0.30"), "filled_quantity": Decimal("0.1"),
        "price": Decimal("49000.00"), "trigger_price": None, "time_in_force": "GTC", "post_only": False,
        "stamp_ms": 1, "window_ms": 1,
    }  # fmt: skip
    whole = coinbase_orders.amendment(AmendOrder(**plain))
    assert whole == {"order_id": "9", "price": "49000", "size": "0.3"}
    with pytest.raises(rows.RowError):
        coinbase_orders.amendment(AmendOrder(**(plain | changes)))


# --- rows ---

ROW: dict[str, Any] = {
    "order_id": "9", "product_id": "BTC-USDT", "side": "SELL", "client_order_id": "g1", "status": "OPEN",
    "order_configuration": {"limit_limit_gtc": {"base_size": "0.1", "limit_price": "70000", "post_only": False}},
    "filled_size": "0", "created_time": "2026-11-21T05:00:00.123456789Z", "last_fill_time": None,
}  # fmt: skip
FILL: dict[str, Any] = {
    "entry_id": "e", "trade_id": "t", "order_id": "9", "trade_time": "2026-11-21T05:00:00Z", "trade_type": "FILL",
    "price": "21220.64", "size": "0.005", "commission": "1.14", "product_id": "BTC-USDT",
    "liquidity_indicator": "MAKER", "size_in_quote": False, "side": "BUY",
}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((name, "open") for name in ("PENDING", "OPEN", "QUEUED", "CANCEL_QUEUED", "EDIT_QUEUED")),
        ("FILLED", "filled"), ("CANCELLED", "cancelled"), ("EXPIRED", "expired"), ("FAILED", "rejected"),
    ],
)  # fmt: skip
def test_every_status(status: str, expected: str) -> None:
    assert coinbase_rows.order(ROW | {"status": status}, str).status == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "UNKNOWN_ORDER_STATUS"}, {"status": None}, {"order_configuration": None}, {"filled_size": "-1"},
        {"order_configuration": {"limit_limit_gtc": "0.1"}}, {"side": "UNKNOWN_ORDER_SIDE"}, {"filled_size": "1E999999999"},
        {"order_configuration": {"limit_limit_gtc": {}, "market_market_ioc": {}}}, {"created_time": "yesterday"},
    ],
)  # fmt: skip
def test_an_order_that_cannot_be_read_is_never_guessed(changes: dict[str, Any]) -> None:
    with pytest.raises(rows.RowError):
        coinbase_rows.order(ROW | changes, str)


def test_an_order_by_cost_has_the_quantity_it_filled() -> None:
    by_cost = {"order_configuration": {"market_market_ioc": {"quote_size": "6.36"}}, "filled_size": "0.0002979"}
    assert coinbase_rows.order(ROW | by_cost, str).quantity is None
    assert coinbase_rows.order(ROW | by_cost | {"status": "FILLED"}, str).quantity == Decimal("0.0002979")


def test_kinds_nobody_has_taught_us_stay_unsaid() -> None:
    bracket = {"trigger_bracket_gtc": {"base_size": "1", "limit_price": "2", "stop_trigger_price": "3"}}
    report = coinbase_rows.order(ROW | {"order_configuration": bracket}, str)
    assert (report.type, report.quantity, report.price) == (None, Decimal(1), Decimal(2))


def test_fills_by_quantity_and_by_cost() -> None:
    plain = coinbase_rows.fill(FILL, lambda _: "BTC/USDT")
    assert (plain.quantity, plain.quote_quantity, plain.fee, plain.fee_asset) == (
        Decimal("0.005"), None, Decimal("1.14"), "USDT",
    )  # fmt: skip
    by_cost = coinbase_rows.fill(FILL | {"size": "106.1032", "size_in_quote": True}, str)
    assert (by_cost.quantity, by_cost.quote_quantity, by_cost.fee_asset) == (
        Decimal("0.005"), Decimal("106.1032"), "USDT",
    )  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"trade_type": "REVERSAL"}, {"trade_type": "CORRECTION"}, {"size_in_quote": None}, {"price": "0"}, {"size": ""},
        {"commission": None}, {"trade_id": ""}, {"side": "UNKNOWN_ORDER_SIDE"},
    ],
)  # fmt: skip
def test_a_fill_that_cannot_be_read_is_never_guessed(changes: dict[str, Any]) -> None:
    with pytest.raises(rows.RowError):
        coinbase_rows.fill(FILL | changes, str)


def wallet(currency: str, free: str, held: str, kind: str = "ACCOUNT_TYPE_CRYPTO") -> dict[str, Any]:
    return {"currency": currency, "type": kind, "available_balance": {"value": free}, "hold": {"value": held}}


def test_wallets_of_one_asset_are_one_balance_and_vaults_are_none() -> None:
    found = coinbase_rows.balances(
        [wallet("BTC", "1", "0.5"), wallet("BTC", "2", "0"), wallet("ETH", "0", "0"),
         wallet("BTC", "100", "0", "ACCOUNT_TYPE_VAULT"), wallet("SOL", "NaN", "0"), {"currency": "X"}, "?"]
    )  # fmt: skip
    good = [row for row in found if isinstance(row, BalanceReport)]
    assert good == [BalanceReport(asset="BTC", total=Decimal("3.5"), free=Decimal(3), held=Decimal("0.5"))]
    assert len([row for row in found if isinstance(row, Malformed)]) == 3


def test_what_a_key_may_do_is_what_was_said() -> None:
    granted = coinbase_rows.permissions({"can_view": True, "can_trade": True, "can_transfer": True})
    assert (granted.can_read, granted.can_trade, granted.can_withdraw) == (True, True, True)
    unsaid = coinbase_rows.permissions({"can_view": True, "can_trade": "yes"})
    assert (unsaid.can_trade, unsaid.can_withdraw) == (None, None)


UPDATE: dict[str, Any] = {
    "order_id": "9", "client_order_id": "g1", "product_id": "BTC-USDT", "order_side": "BUY", "order_type": "Limit",
    "status": "OPEN", "cumulative_quantity": "0.04", "leaves_quantity": "0.06", "limit_price": "50000", "stop_price": "",
    "end_time": "0001-01-01T00:00:00Z", "cancel_reason": "",
}  # fmt: skip


def test_a_frame_tells_what_each_order_has_come_to() -> None:
    events = [{"type": "update", "orders": [UPDATE, UPDATE | {"order_type": "Stop Limit", "stop_price": "51000"}]}]
    one, two = coinbase_rows.frame({"channel": "user", "events": events}, str)
    assert (one.status, one.quantity, one.filled_quantity, one.type) == (
        "open",
        Decimal("0.1"),
        Decimal("0.04"),
        "limit",
    )
    assert (two.type, two.trigger_price) == (None, Decimal("51000"))
    ended = UPDATE | {"status": "CANCELLED", "leaves_quantity": "0"}
    (report,) = coinbase_rows.frame({"channel": "user", "events": [{"orders": [ended]}]}, str)
    assert (report.status, report.quantity, report.filled_quantity) == ("cancelled", None, Decimal("0.04"))


@pytest.mark.parametrize(
    "events", [None, [1], [{"orders": 1}], [{"orders": [1]}], [{"orders": [UPDATE | {"status": "?"}]}]]
)
def test_a_frame_that_cannot_be_read_is_kept(events: Any) -> None:
    (report,) = coinbase_rows.frame({"channel": "user", "events": events}, str)
    assert isinstance(report, Malformed)
