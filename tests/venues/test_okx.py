"""The OKX adapter's own: windows on every request, ids of algo orders, the exact way of a number, what each code proves."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from project.lib import clock
from tests.venues.desk import SYMBOL, Desk, gateway, now_ms
from tests.venues.paper.process import PaperVenue
from venues import capabilities, errors
from venues.adapters import okx_rows
from venues.adapters.transport import Headers, HttpRecord
from venues.gateway import VenueTarget
from venues.messages import FillReport, OrderReport

AGO = timedelta(minutes=5)


@pytest.fixture
async def okx(paper: PaperVenue) -> AsyncIterator[Desk]:
    """Return an open gateway on an OKX world."""
    world = paper.create_world("okx", f"okx-{now_ms()}")
    one = gateway(world)
    await one.open()
    yield Desk(paper, world, one)
    await one.close()
    paper.remove_world(world)


class Capturing:
    """A wire that keeps the request and answers that the order was taken."""

    def __init__(self) -> None:
        self.record: HttpRecord | None = None
        self.headers: Mapping[str, str] = {}

    async def send(self, record: HttpRecord, headers: Mapping[str, str], body: bytes | None) -> None:
        """Keep the request and answer."""
        self.record, self.headers = record, headers
        asked = json.loads(body or b"{}")
        first = asked[0] if isinstance(asked, list) else asked
        ids = {"ordId": "7", "algoId": "8"} | {name: first[name] for name in first if name.endswith("Id")}
        record.sent, record.status, record.headers = True, 200, Headers()
        record.body = json.dumps({"code": "0", "msg": "", "data": [ids | {"sCode": "0", "sMsg": ""}]})

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("changes", "path", "terms"),
    [
        ({}, "trade/order", {"ordType": "limit", "px": "50000", "sz": "0.1", "clOrdId": "g1"}),
        ({"post_only": True}, "trade/order", {"ordType": "post_only", "px": "50000"}),
        ({"time_in_force": "FOK"}, "trade/order", {"ordType": "fok"}),
        ({"type": "market", "price": None}, "trade/order", {"ordType": "market", "sz": "0.1", "tgtCcy": "base_ccy"}),
        (
            {"type": "stop_limit", "trigger_price": Decimal("55000")}, "trade/order-algo",
            {"ordType": "conditional", "slTriggerPx": "55000", "slOrdPx": "50000", "algoClOrdId": "g1"},
        ),
        (
            {"type": "take_profit", "price": None, "trigger_price": Decimal("45000")}, "trade/order-algo",
            {"ordType": "conditional", "tpTriggerPx": "45000", "tpOrdPx": "-1", "tgtCcy": "base_ccy"},
        ),
        (
            {"type": "trailing_stop", "price": None, "trailing_offset": Decimal("150.5")}, "trade/order-algo",
            {"ordType": "move_order_stop", "callbackSpread": "150.5"},
        ),
    ],
)  # fmt: skip
async def test_no_request_outlives_its_window(okx: Desk, changes: Any, path: str, terms: dict[str, str]) -> None:
    wire = Capturing()
    okx.gateway._adapter.client.wire = wire
    stamp = 1_795_200_000_000
    order = okx.order(venue_client_id="g1", stamp_ms=stamp, window_ms=5_000, **changes)
    answer = await okx.gateway.place(order)
    assert answer.outcome == "accepted", answer
    record, headers = wire.record, wire.headers
    assert record is not None and record.path == f"POST /okx/{okx.world.world}/api/v5/{path}"
    body = json.loads(record.request_body)
    assert terms.items() <= body.items()
    assert "tag" not in body  # ccxt would put in its broker's
    deadline = stamp + 5_000 + okx.gateway.clock_offset_ms
    signed = datetime.strptime(headers["OK-ACCESS-TIMESTAMP"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert headers["expTime"] == str(deadline)
    assert abs(signed.timestamp() * 1000 + 30_000 - deadline) <= 1
    text = f"{headers['OK-ACCESS-TIMESTAMP']}POST/api/v5/{path}{record.request_body}".encode()
    expected = base64.b64encode(hmac.new(okx.world.secret.encode(), text, hashlib.sha256).digest()).decode()
    assert (headers["OK-ACCESS-SIGN"], headers["OK-ACCESS-PASSPHRASE"]) == (expected, okx.world.passphrase)


async def test_a_stop_and_a_cancel_after_their_window_are_refused(okx: Desk) -> None:
    late: dict[str, Any] = {"stamp_ms": now_ms() - 20_000}
    stop = okx.order(type="stop", side="sell", price=None, trigger_price=Decimal("55000"), **late)
    answer = await okx.gateway.place(stop)
    assert (answer.outcome, answer.code, okx.placed()) == ("not_sent", "TIMESTAMP_OUTSIDE_WINDOW", 0)


@pytest.mark.parametrize("exchange", ["okxus", "myokx"])
async def test_its_siblings_speak_alike(okx: Desk, exchange: str) -> None:
    target = VenueTarget(
        code=exchange, exchange=exchange, rest_url=okx.world.rest_url, ws_url=okx.world.ws_url, may_trade=True
    )
    one = gateway(okx.world, target=target)
    await one.open()
    order = okx.order()
    assert (await one.place(order)).outcome == "accepted"
    assert [row.venue_client_id for row in (await one.read("open_orders")).rows] == [order.venue_client_id]
    await one.close()
    can = capabilities.for_exchange(exchange)
    assert (can.exchange, can.family, can.tier) == (exchange, "okx", "A")


async def test_more_trades_than_a_page_are_read_whole(okx: Desk) -> None:
    for _ in range(105):
        assert (
            await okx.gateway.place(okx.order(price=Decimal("61000"), quantity=Decimal("0.001")))
        ).outcome == "accepted"
    read = await okx.gateway.read("fills", since=clock.now() - AGO)
    truth = okx.venue.journal(okx.world, "filled")
    assert [row.venue_trade_id for row in reversed(read.rows)] == [row["trade_id"] for row in truth]


async def test_a_triggered_stop_keeps_the_ids_it_was_placed_with_and_is_cancelled_by_them(okx: Desk) -> None:
    order = okx.order(
        type="take_profit_limit", side="sell", price=Decimal("66000"), trigger_price=Decimal("65000"),
        quantity=Decimal("0.01"),
    )  # fmt: skip
    placed = await okx.gateway.place(order)
    okx.venue.control("POST", "prices", {**_place(okx), "price": "65000"})
    fresh = gateway(okx.world)  # the next owner knows nothing of what was placed
    await fresh.open()
    (report,) = (await fresh.read("open_orders")).rows
    assert (report.venue_order_id, report.venue_client_id) == (placed.venue_order_id, order.venue_client_id)
    okx.venue.trade(okx.world, SYMBOL, "buy", "0.004", price="66000")
    later = gateway(okx.world)
    await later.open()
    read = await later.read("fills", since=clock.now() - AGO)
    assert read.status == "good"
    (fill,) = read.rows
    assert isinstance(fill, FillReport)
    assert (fill.venue_order_id, fill.venue_client_id) == (placed.venue_order_id, order.venue_client_id)
    found = await later.look_up(symbol=SYMBOL, venue_client_id=order.venue_client_id, since=clock.now() - AGO)
    assert isinstance(found.order, OrderReport)
    assert (found.order.venue_order_id, found.order.filled_quantity) == (placed.venue_order_id, Decimal("0.004"))
    assert (await later.cancel(okx.cancel_of(order, placed.venue_order_id))).outcome == "accepted"
    assert (await later.read("open_orders")).rows == ()
    for one in (fresh, later):
        await one.close()


@pytest.mark.parametrize("by_venue_id", [True, False])
async def test_a_waiting_stop_is_cancelled_and_the_venue_says_so(okx: Desk, by_venue_id: bool) -> None:
    order = okx.order(type="stop", side="sell", price=None, trigger_price=Decimal("55000"))
    placed = await okx.gateway.place(order)
    answer = await okx.gateway.cancel(okx.cancel_of(order, placed.venue_order_id if by_venue_id else None))
    assert answer.outcome == "accepted"
    assert answer.order is not None
    assert (answer.order.status, answer.order.venue_order_id) == ("cancelled", placed.venue_order_id)


async def test_a_stop_whose_answer_was_lost_is_found_and_cancelled(okx: Desk) -> None:
    okx.venue.add_fault(okx.world, "drop_after", "create_order")
    order = okx.order(type="stop", side="sell", price=None, trigger_price=Decimal("55000"))
    assert (await okx.gateway.place(order)).outcome == "unknown"
    fresh = gateway(okx.world)
    await fresh.open()
    found = await fresh.look_up(symbol=SYMBOL, venue_client_id=order.venue_client_id, since=clock.now() - AGO)
    assert found.order is not None
    assert (found.result, found.order.type, found.order.status) == ("found", "stop", "open")
    assert (await fresh.cancel(okx.cancel_of(order, found.order.venue_order_id))).outcome == "accepted"
    await fresh.close()


async def test_what_the_venue_may_have_forgotten_is_never_called_absent(okx: Desk) -> None:
    asked: dict[str, Any] = {"symbol": SYMBOL, "venue_client_id": "gnever000000000000"}
    assert (await okx.gateway.look_up(**asked, since=clock.now() - AGO)).result == "absent"
    assert (await okx.gateway.look_up(**asked, since=clock.now() - timedelta(hours=3))).result == "failed"


CODES: list[tuple[errors.Action, str, str, str, str]] = [
    ("submit", "51016", "Client order ID already exists.", "unknown", "DUPLICATE_CLIENT_ID"),
    ("submit", "51149", "Order timed out. Please try again later.", "unknown", "OUTCOME_UNKNOWN"),
    ("submit", "50004", "API endpoint request timeout", "unknown", "OUTCOME_UNKNOWN"),
    ("submit", "50026", "System error", "unknown", "OUTCOME_UNKNOWN"),
    ("submit", "50013", "Systems are busy", "unknown", "OUTCOME_UNKNOWN"),
    ("submit", "59998", "Nobody knows", "unknown", "OUTCOME_UNKNOWN"),
    ("submit", "51008", "Insufficient USDT balance", "rejected", "INSUFFICIENT_FUNDS"),
    ("submit", "51000", "Parameter px error", "rejected", "PRICE_FILTER"),
    ("submit", "51000", "Parameter sz error", "rejected", "QUANTITY_FILTER"),
    ("submit", "51000", "Parameter side error", "rejected", "ORDER_INVALID"),
    ("submit", "51020", "Minimum order amount", "rejected", "QUANTITY_TOO_SMALL"),
    ("submit", "51121", "Lot size", "rejected", "QUANTITY_FILTER"),
    ("submit", "51006", "Price limit", "rejected", "PRICE_OUT_OF_BAND"),
    ("submit", "51280", "SL trigger price", "rejected", "TRIGGER_WOULD_FIRE"),
    ("submit", "51001", "Instrument ID", "rejected", "SYMBOL_UNKNOWN"),
    ("submit", "50113", "Invalid Sign", "rejected", "KEY_REFUSED"),
    ("submit", "50105", "Passphrase incorrect", "rejected", "KEY_REFUSED"),
    ("submit", "50120", "No permission", "rejected", "KEY_MAY_NOT_TRADE"),
    ("submit", "50011", "Too Many Requests", "not_sent", "RATE_LIMITED"),
    ("submit", "50061", "Order rate limit", "not_sent", "RATE_LIMITED"),
    ("submit", "50036", "expTime", "not_sent", "TIMESTAMP_OUTSIDE_WINDOW"),
    ("submit", "50102", "Timestamp request expired", "not_sent", "TIMESTAMP_OUTSIDE_WINDOW"),
    ("cancel", "51400", "Does not exist", "rejected", "ORDER_UNKNOWN"),
    ("cancel", "51410", "Under cancelling status", "unknown", "OUTCOME_UNKNOWN"),
    ("amend", "51503", "Does not exist", "rejected", "ORDER_UNKNOWN"),
    ("amend", "51510", "Completed", "rejected", "ORDER_CLOSED"),
    ("amend", "51511", "Post Only", "rejected", "POST_ONLY_WOULD_TAKE"),
]


@pytest.mark.parametrize(("action", "code", "message", "outcome", "ours"), CODES)
def test_what_a_code_proves(action: errors.Action, code: str, message: str, outcome: str, ours: str) -> None:
    facts = errors.Facts(
        sent=True, status=200, parsed=True, venue_code=code, message=message, classes=("ExchangeError",)
    )
    verdict = errors.judge(action, "okx", facts)
    assert (verdict.outcome, verdict.code) == (outcome, ours)


def test_a_fee_paid_is_negative_there_and_a_rebate_is_not() -> None:
    row = {
        "instId": "BTC-USDT", "tradeId": "1", "ordId": "2", "clOrdId": "", "side": "buy", "fillPx": "50000", "fillSz": "0.1",
        "fee": "-0.0001", "feeCcy": "BTC", "execType": "T", "ts": "1795200000000",
    }  # fmt: skip
    assert okx_rows.fill(row, str).fee == Decimal("0.0001")
    rebate = okx_rows.fill(row | {"fee": "0.00001", "execType": "M"}, str)
    assert (rebate.fee, rebate.fee_asset, rebate.liquidity) == (Decimal("-0.00001"), "BTC", "maker")


def _place(okx: Desk) -> dict[str, str]:
    return {"exchange": "okx", "world": okx.world.world, "symbol": SYMBOL}
