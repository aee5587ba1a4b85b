"""What an amend asks for and what each recorded answer to it proves: never two live orders, no half taken for a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from tests.venues.desk import Desk, gateway, now_ms
from tests.venues.paper.process import PaperVenue
from tests.venues.recorded import RecordedWire
from venues.gateway import VenueTarget
from venues.messages import AmendOrder, Answer

OLD, NEW = "gold00000000000001", "gnew00000000000001"
ROW = {
    "symbol": "BTCUSDT", "orderListId": -1, "transactTime": 1795200000000, "price": "50000.00", "origQty": "0.20",
    "executedQty": "0.00", "cummulativeQuoteQty": "0.00", "timeInForce": "GTC", "type": "LIMIT", "side": "BUY",
    "selfTradePreventionMode": "NONE",
}  # fmt: skip
CANCELLED = {**ROW, "orderId": 9, "origClientOrderId": OLD, "clientOrderId": "xyz", "status": "CANCELED"}
PLACED = {**ROW, "orderId": 10, "clientOrderId": NEW, "status": "NEW", "price": "49000.00", "origQty": "0.30"}
UNKNOWN_ORDER = {"code": -2011, "msg": "Unknown order sent."}
POOR = {"code": -2010, "msg": "Account has insufficient balance for requested action."}


def half(code: int, cancel: str, new: str, cancel_response: Any, new_response: Any) -> dict[str, Any]:
    data = {
        "cancelResult": cancel, "newOrderResult": new, "cancelResponse": cancel_response, "newOrderResponse": new_response,
    }  # fmt: skip
    return {"code": code, "msg": "Order cancel-replace failed.", "data": data}


def both(**changes: Any) -> dict[str, Any]:
    return {
        "cancelResult": "SUCCESS", "newOrderResult": "SUCCESS", "cancelResponse": CANCELLED | changes,
        "newOrderResponse": PLACED,
    }  # fmt: skip


def order(**changes: Any) -> AmendOrder:
    plain: dict[str, Any] = {
        "symbol": "BTC/USDT", "side": "buy", "type": "limit", "venue_order_id": "9", "venue_client_id": OLD,
        "new_venue_client_id": NEW, "quantity": Decimal("0.3"), "filled_quantity": Decimal(0),
        "price": Decimal("49000"), "trigger_price": None, "time_in_force": "GTC", "post_only": False,
        "stamp_ms": now_ms(), "window_ms": 5_000,
    }  # fmt: skip
    return AmendOrder(**(plain | changes))


@pytest.fixture
async def rig(paper: PaperVenue, exchange: str) -> AsyncIterator[Desk]:
    """Return an open gateway of one exchange."""
    world = paper.create_world(exchange, f"amends-{now_ms()}")
    one = gateway(world)
    await one.open()
    yield Desk(paper, world, one)
    await one.close()
    paper.remove_world(world)


def answering(rig: Desk, *answers: tuple[int, Any]) -> RecordedWire:
    wire = RecordedWire(*answers)
    rig.gateway._adapter.client.wire = wire
    return wire


binance = pytest.mark.parametrize("exchange", ["binance"])
kraken = pytest.mark.parametrize("exchange", ["kraken"])
deribit = pytest.mark.parametrize("exchange", ["deribit"])


@binance
async def test_binance_replaces_an_untouched_order_only_if_it_is_untouched(rig: Desk) -> None:
    wire = answering(rig, (200, both()))
    answer = await rig.gateway.amend(order())
    assert (answer.outcome, answer.replaced, answer.venue_order_id, answer.code) == ("accepted", "new_order", "10", "")
    assert answer.order is not None
    assert (answer.order.venue_client_id, answer.order.status, answer.order.price) == (NEW, "open", Decimal("49000.00"))
    path, request = wire.asked[0]
    assert path.endswith("/api/v3/order/cancelReplace")
    expected = {
        "cancelReplaceMode": "STOP_ON_FAILURE", "cancelRestrictions": "ONLY_NEW", "cancelOrderId": "9", "quantity": "0.3",
        "price": "49000", "type": "LIMIT", "side": "BUY", "timeInForce": "GTC", "newClientOrderId": NEW,
        "recvWindow": "5000",
    }  # fmt: skip
    assert expected.items() <= request.items()


@binance
async def test_binance_replaces_by_our_own_id_where_the_venue_gave_none(rig: Desk) -> None:
    wire = answering(rig, (200, both()))
    answer = await rig.gateway.amend(order(venue_order_id=None, post_only=True))
    assert (answer.outcome, answer.replaced) == ("accepted", "new_order")
    request = wire.asked[0][1]
    assert (request["cancelOrigClientOrderId"], request["type"]) == (OLD, "LIMIT_MAKER")
    assert not {"cancelOrderId", "timeInForce"} & request.keys()


@binance
async def test_binance_never_replaces_what_has_filled_in_part(rig: Desk) -> None:
    wire = answering(rig)
    answer = await rig.gateway.amend(order(filled_quantity=Decimal("0.1")))
    assert answer.outcome == "not_sent" and not wire.asked


@binance
@pytest.mark.parametrize(
    ("status", "body", "outcome", "replaced", "code"),
    [
        (409, half(-2021, "SUCCESS", "FAILURE", CANCELLED, POOR), "accepted", "cancelled_only", "INSUFFICIENT_FUNDS"),
        (409, half(-2021, "SUCCESS", "FAILURE", CANCELLED, {"code": -1015, "msg": "Too many new orders."}), "accepted", "cancelled_only", "RATE_LIMITED"),
        (409, half(-2021, "SUCCESS", "FAILURE", CANCELLED, {"code": -1007, "msg": "Timeout waiting."}), "unknown", "", "OUTCOME_UNKNOWN"),
        (409, half(-2021, "SUCCESS", "FAILURE", CANCELLED, {"code": -2010, "msg": "Duplicate order sent."}), "unknown", "", "OUTCOME_UNKNOWN"),
        (409, half(-2021, "SUCCESS", "FAILURE", {}, POOR), "unknown", "", "OUTCOME_UNKNOWN"),
        (409, half(-2021, "SUCCESS", "NOT_ATTEMPTED", CANCELLED, None), "unknown", "", "OUTCOME_UNKNOWN"),
        (409, half(-2021, "FAILURE", "SUCCESS", UNKNOWN_ORDER, PLACED), "unknown", "", "OUTCOME_UNKNOWN"),
        (409, {"code": -2021, "msg": "Order cancel-replace partially failed."}, "unknown", "", "OUTCOME_UNKNOWN"),
        (503, half(-2021, "SUCCESS", "FAILURE", CANCELLED, POOR), "unknown", "", "OUTCOME_UNKNOWN"),
        (400, half(-2022, "FAILURE", "NOT_ATTEMPTED", UNKNOWN_ORDER, None), "rejected", "", "ORDER_UNKNOWN"),
        (400, half(-2022, "FAILURE", "NOT_ATTEMPTED", {"code": -2011, "msg": "Order was not canceled due to cancel restrictions."}, None), "rejected", "", "ORDER_PARTLY_FILLED"),
        (400, half(-2022, "FAILURE", "NOT_ATTEMPTED", {"code": -1006, "msg": "?"}, None), "unknown", "", "OUTCOME_UNKNOWN"),
        (400, {"code": -1013, "msg": "Filter failure: PRICE_FILTER"}, "rejected", "", "PRICE_FILTER"),
        (400, {"code": -2011, "msg": "Unknown order sent."}, "rejected", "", "ORDER_UNKNOWN"),
        (429, {"code": -1003, "msg": "Too much request weight used."}, "not_sent", "", "RATE_LIMITED"),
        (200, {"cancelResult": "SUCCESS"}, "unknown", "", "OUTCOME_UNKNOWN"),
        (200, both(orderId=77), "unknown", "", "OUTCOME_UNKNOWN"),
        (200, both() | {"newOrderResponse": PLACED | {"clientOrderId": "somebody"}}, "unknown", "", "OUTCOME_UNKNOWN"),
        (200, "<html>", "unknown", "", "OUTCOME_UNKNOWN"),
    ],
)  # fmt: skip
async def test_binance_answers(rig: Desk, status: int, body: Any, outcome: str, replaced: str, code: str) -> None:
    answering(rig, (status, body))
    answer = await rig.gateway.amend(order())
    assert (answer.outcome, answer.replaced, answer.code) == (outcome, replaced, code)
    assert answer.raw
    if replaced == "cancelled_only":
        assert answer.order is not None
        assert (answer.order.venue_order_id, answer.order.status, answer.venue_order_id) == ("9", "cancelled", "9")


@kraken
@pytest.mark.parametrize(
    ("body", "outcome", "replaced", "code"),
    [
        ({"error": [], "result": {"amend_id": "TTW6PD-RC36L-ZZSWNU"}}, "accepted", "in_place", ""),
        ({"error": ["EOrder:Unknown order"]}, "rejected", "", "ORDER_UNKNOWN"),
        ({"error": ["EOrder:Insufficient funds"]}, "rejected", "", "INSUFFICIENT_FUNDS"),
        ({"error": ["EService:Unavailable"]}, "unknown", "", "OUTCOME_UNKNOWN"),
        ({"error": ["EOrder:Something new"]}, "unknown", "", "OUTCOME_UNKNOWN"),
        ({"error": [], "result": {}}, "unknown", "", "OUTCOME_UNKNOWN"),
    ],
)
async def test_kraken_answers(rig: Desk, body: Any, outcome: str, replaced: str, code: str) -> None:
    wire = answering(rig, (200, body))
    answer = await rig.gateway.amend(order(venue_order_id="OAAAAA-BBBBB-CCCCCC", post_only=True))
    assert (answer.outcome, answer.replaced, answer.code) == (outcome, replaced, code)
    path, request = wire.asked[0]
    assert path.endswith("/0/private/AmendOrder")
    expected = {"txid": "OAAAAA-BBBBB-CCCCCC", "order_qty": "0.3", "limit_price": "49000", "post_only": "true"}
    assert expected.items() <= request.items()
    assert "cl_ord_id" not in request
    assert request["deadline"].endswith("Z")
    if outcome == "accepted":
        assert answer.order is not None
        assert (answer.order.quantity, answer.venue_order_id) == (Decimal("0.3"), "OAAAAA-BBBBB-CCCCCC")


EDITED = {
    "order_id": "9", "order_state": "open", "order_type": "limit", "instrument_name": "BTC_USDT", "direction": "buy",
    "price": 49000.0, "amount": 0.3, "filled_amount": 0.1, "label": OLD, "last_update_timestamp": 1795200000000,
}  # fmt: skip


def edited(**changes: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "result": {"order": EDITED | changes, "trades": []}}


def refused(code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": {"code": code, "message": message}}


@deribit
@pytest.mark.parametrize(
    ("status", "body", "outcome", "replaced", "code"),
    [
        (200, edited(), "accepted", "in_place", ""),
        (400, refused(11044, "not_open_order"), "rejected", "", "ORDER_UNKNOWN"),
        (400, refused(10004, "order_not_found"), "rejected", "", "ORDER_UNKNOWN"),
        (400, refused(11008, "already_filled"), "rejected", "", "ORDER_CLOSED"),
        (400, refused(10009, "not_enough_funds"), "rejected", "", "INSUFFICIENT_FUNDS"),
        (400, refused(13888, "timed_out"), "unknown", "", "OUTCOME_UNKNOWN"),
        (400, refused(10028, "too_many_requests"), "not_sent", "", "RATE_LIMITED"),
        (400, refused(12345, "something new"), "unknown", "", "OUTCOME_UNKNOWN"),
        (502, refused(10009, "not_enough_funds"), "unknown", "", "OUTCOME_UNKNOWN"),
        (200, edited(order_id="10"), "unknown", "", "OUTCOME_UNKNOWN"),
        (200, edited(amount=0.2), "unknown", "", "OUTCOME_UNKNOWN"),
        (200, edited(price=50000.0), "unknown", "", "OUTCOME_UNKNOWN"),
        (200, {"jsonrpc": "2.0", "result": {}}, "unknown", "", "OUTCOME_UNKNOWN"),
    ],
)
async def test_deribit_answers(rig: Desk, status: int, body: Any, outcome: str, replaced: str, code: str) -> None:
    wire = answering(rig, (status, body))
    asked = order(post_only=True)
    answer = await rig.gateway.amend(asked)
    assert (answer.outcome, answer.replaced, answer.code) == (outcome, replaced, code)
    path, request = wire.asked[0]
    assert path == "GET /deribit/" + rig.world.world + "/api/v2/private/edit"
    until_ms = asked.stamp_ms + asked.window_ms + rig.gateway.clock_offset_ms
    assert request == {
        "order_id": "9", "amount": "0.3", "price": "49000", "post_only": "true", "reject_post_only": "true",
        "valid_until": str(until_ms),
    }  # fmt: skip


@deribit
async def test_deribit_edits_by_our_own_id_where_the_venue_gave_none(rig: Desk) -> None:
    wire = answering(rig, (200, edited()))
    answer = await rig.gateway.amend(order(venue_order_id=None))
    assert (answer.outcome, answer.replaced) == ("accepted", "in_place")
    path, request = wire.asked[0]
    assert path.endswith("/private/edit_by_label")
    assert (request["label"], request["instrument_name"]) == (OLD, "BTC_USDT")


OKX_DONE = {"ordId": "9", "clOrdId": OLD, "reqId": "", "sCode": "0", "sMsg": ""}


def okx_shows(**changes: str) -> dict[str, Any]:
    row = {
        "instId": "BTC-USDT", "ordId": "9", "clOrdId": OLD, "ordType": "limit", "side": "buy", "state": "live", "px": "49000",
        "sz": "0.3", "accFillSz": "0", "uTime": "1795200000000",
    }  # fmt: skip
    return {"code": "0", "msg": "", "data": [row | changes]}


@pytest.mark.parametrize("exchange", ["okx"])
@pytest.mark.parametrize(
    ("status", "shown"), [(200, okx_shows(px="50000")), (503, {}), (200, {"code": "51603", "data": []})]
)
async def test_an_amend_okx_took_and_does_not_show_is_not_called_done(rig: Desk, status: int, shown: Any) -> None:
    answering(rig, (200, {"code": "0", "msg": "", "data": [OKX_DONE]}), (status, shown))
    answer = await rig.gateway.amend(order())
    assert (answer.outcome, answer.code, answer.replaced) == ("unknown", "OUTCOME_UNKNOWN", "")
    assert answer.valid_until is not None


@pytest.mark.parametrize("exchange", ["okx"])
@pytest.mark.parametrize(
    ("body", "outcome", "replaced", "code"),
    [
        ({"code": "0", "msg": "", "data": [OKX_DONE]}, "accepted", "in_place", ""),
        ({"code": "1", "msg": "", "data": [OKX_DONE | {"sCode": "51503", "sMsg": "gone"}]}, "rejected", "", "ORDER_UNKNOWN"),
        ({"code": "1", "msg": "", "data": [OKX_DONE | {"sCode": "51149", "sMsg": "?"}]}, "unknown", "", "OUTCOME_UNKNOWN"),
        ({"code": "2", "msg": "", "data": [OKX_DONE | {"sCode": "51502", "sMsg": "poor"}]}, "rejected", "", "INSUFFICIENT_FUNDS"),
        ({"code": "0", "msg": "", "data": [OKX_DONE | {"ordId": "77"}]}, "unknown", "", "OUTCOME_UNKNOWN"),
        ({"code": "0", "msg": "", "data": []}, "unknown", "", "OUTCOME_UNKNOWN"),
    ],
)  # fmt: skip
async def test_okx_answers(rig: Desk, body: Any, outcome: str, replaced: str, code: str) -> None:
    wire = answering(rig, (200, body), (200, okx_shows()))
    answer = await rig.gateway.amend(order())
    assert (answer.outcome, answer.replaced, answer.code) == (outcome, replaced, code)
    assert wire.asked[0][0].endswith("/api/v5/trade/amend-order")


@pytest.mark.parametrize("exchange", ["binance", "kraken", "bybit", "okx", "coinbase", "deribit"])
@pytest.mark.parametrize(
    "changes",
    [
        {"filled_quantity": Decimal("0.3")},
        {"price": None},
        {"trigger_price": Decimal("1")},
        {"type": "trailing_stop", "price": None},
        {"time_in_force": "GTX"},
    ],
)
async def test_what_cannot_be_asked_never_leaves(rig: Desk, changes: dict[str, Any]) -> None:
    wire = answering(rig)
    answer = await rig.gateway.amend(order(**changes))
    assert (answer.outcome, answer.transient) == ("not_sent", False)
    assert answer.message
    assert not wire.asked


@pytest.mark.parametrize("exchange", ["binance", "kraken", "bybit", "okx", "coinbase", "deribit"])
async def test_without_the_live_switch_nothing_is_amended(rig: Desk) -> None:
    wire = answering(rig)
    rig.gateway.permit_trading(False)
    answer: Answer = await rig.gateway.amend(order())
    assert (answer.outcome, answer.code) == ("not_sent", "VENUE_LIVE_DISABLED")
    assert not wire.asked


@kraken
async def test_a_venue_whose_amends_nobody_has_proved_is_not_asked(rig: Desk) -> None:
    other = gateway(
        rig.world, target=VenueTarget(code="o", exchange="gemini", rest_url="http://127.0.0.1:9", may_trade=True)
    )
    answer = await other.amend(order())
    assert (answer.outcome, answer.code) == ("not_sent", "AMEND_UNSUPPORTED")
