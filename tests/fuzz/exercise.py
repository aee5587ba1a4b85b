"""Send bytes down the real path of one surface, and check what must hold for whatever comes out."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from project.lib import clock, decimals
from tests.fuzz.answering import Answered
from tests.fuzz.examples import VENUE_ORDER_ID
from tests.fuzz.names import OURS
from venues.adapters import rows
from venues.adapters.stream import Stream
from venues.breaker import Breaker
from venues.facts.shapes import StreamRule
from venues.health import Channel
from venues.messages import (
    Answer,
    BalanceReport,
    CancelOrder,
    FillReport,
    Lookup,
    Malformed,
    OrderReport,
    PlaceOrder,
    Read,
)

# Near enough that those who read in windows of seven days do not read a hundred of them each time.
SINCE = clock.now() - timedelta(days=10)
EARLIEST = datetime(2009, 1, 1, tzinfo=UTC)
WINDOW: dict[str, Any] = {"stamp_ms": 1_732_000_000_000, "window_ms": 5_000}
ORDER_STATUSES = {"open", "filled", "cancelled", "expired", "rejected"}


class Broken(AssertionError):
    """What came out of a venue's bytes is not what may ever come out."""


def exercise(answered: Answered, surface: str, status: int, body: bytes) -> Any:
    """Hand the bytes to one surface and check the result; return it. Raises Broken, or whatever the product raised."""
    answered.wire.status, answered.wire.body = status, body
    # Every input meets the adapter as it is at its start: what it learnt from others must not matter.
    answered.adapter.clock_offset_ms = 0
    if surface == "stream":
        return stream(answered, body)
    return SURFACES[surface](answered)


def stream(answered: Answered, body: bytes) -> list[Any]:
    """Hand a frame to the stream; return the reports it told."""
    frames: list[str] = []
    reports: list[Any] = []

    def take(text: str, found: list[Any], _: datetime) -> None:
        frames.append(text)
        reports.extend(found)

    one = Stream(answered.adapter, StreamRule(), Channel("stream"), Breaker(), take, lambda _: None)
    socket: Any = SimpleNamespace(is_dropped=False, on_message_callback=lambda socket, payload: None)
    one._take(socket, body)
    for report in reports:
        check(report)
    _must(not reports or len(frames) == 1, "reports without the raw frame they were read from")
    for at, report in enumerate(reports):
        before = reports[at - 1] if at else None
        same_row = isinstance(before, Malformed) and isinstance(report, OrderReport) and '"TRADE"' in before.raw
        _must(not same_row, "an order's statement was taken though the fill in the same row could not be read")
    return reports


def submit(answered: Answered) -> Answer:
    """Place our order; the answer is the body."""
    order = PlaceOrder(
        venue_client_id=OURS, symbol="BTC/USDT", side="buy", type="limit", quantity=Decimal("0.1"), price=Decimal("50000"),
        time_in_force="GTC", **WINDOW,
    )  # fmt: skip
    answer: Answer = answered.run(answered.adapter.place(order))
    check(answer)
    _must(answered.wire.requests > 0 or answer.outcome == "not_sent", "nothing was sent, and yet it is no not_sent")
    if answer.outcome == "accepted":
        _must(answered.wire.status < 300, "accepted though the venue answered with an error")
        _must(bool(answer.venue_order_id), "accepted without an order id")
        _must(answer.order is not None and answer.order.venue_client_id == OURS, "accepted: another order's report")
    return answer


def cancel(answered: Answered) -> Answer:
    """Cancel our order by the venue's id; the answer is the body."""
    identity = VENUE_ORDER_ID[answered.adapter.target.code]
    order = CancelOrder(symbol="BTC/USDT", venue_order_id=identity, venue_client_id=OURS, **WINDOW)
    answer: Answer = answered.run(answered.adapter.cancel(order))
    check(answer)
    if answer.outcome == "accepted":
        _must(answered.wire.status < 300, "accepted though the venue answered with an error")
        _must(
            answer.order is None or answer.order.venue_order_id == identity,
            "the cancel of another order was taken for ours",
        )
    return answer


def lookup(answered: Answered) -> Lookup:
    """Look for our order; every request of the recipe is answered by the body."""
    found: Lookup = answered.run(
        answered.adapter.look_up(symbol="BTC/USDT", venue_client_id=OURS, venue_order_id=None, since=SINCE)
    )
    if found.result == "found":
        order = found.order
        if order is None or order.venue_client_id != OURS or order.venue_order_id is None:
            raise Broken("found, but not our order")
        check(order)
    for evidence in found.evidence:
        _must(_plain(f"{evidence.source}{evidence.answer}{evidence.detail}"), "evidence that cannot be stored")
    return found


def read(answered: Answered, surface: str) -> Read:
    """Read a surface; every request is answered by the body."""
    found: Read = answered.run(answered.adapter.read(surface, since=SINCE, symbols=["BTC/USDT"]))
    _must(_plain(found.error), "an error that cannot be stored")
    _must((found.status == "failed") == bool(found.error), "failed without an error, or an error without failing")
    _must(found.status == "partial" or not found.malformed, "rows were unreadable, but the read is not partial")
    wanted = {"open_orders": OrderReport, "fills": FillReport, "balances": BalanceReport}[surface]
    for row in found.rows:
        _must(isinstance(row, wanted), f"{type(row).__name__} among {surface}")
        check(row)
    for row in found.malformed:
        check(row)
    return found


def check(value: Any) -> None:
    """Raise Broken unless a report or an answer is one that may be applied and stored."""
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        name = f"{type(value).__name__}.{field.name}"
        if isinstance(content, Decimal):
            _must(content.is_finite() and abs(content) < decimals.LIMIT, f"{name} is out of range: {content:.40}")
            _must(content == decimals.quantise(content), f"{name} has more decimals than are stored")
        elif isinstance(content, str):
            _must(_plain(content), f"{name} cannot be stored")
            _must(len(content) <= (rows.RAW_CHARACTERS_MAX * 4 if field.name == "raw" else 400), f"{name} is too long")
        elif isinstance(content, datetime):
            _must(content.tzinfo is not None and content >= EARLIEST, f"{name} is not a time of ours: {content}")
        elif dataclasses.is_dataclass(content):
            check(content)
    _CHECKS[type(value)](value)


def _order(report: OrderReport) -> None:
    _must(report.status in ORDER_STATUSES and report.side in ("buy", "sell", None), "status or side")
    _must(bool(report.venue_order_id) or report.venue_client_id == OURS, "an order without any id")
    _must(report.venue_client_id is None or 0 < len(report.venue_client_id) <= 200, "client id")
    for number in (report.price, report.quantity, report.filled_quantity):
        _must(number is None or number >= 0, "a negative number in an order")
    _must(report.price is None or report.price > 0, "a price of zero")


def _fill(report: FillReport) -> None:
    _must(bool(report.venue_trade_id and report.venue_order_id and report.symbol), "a fill without an id or a symbol")
    _must(report.side in ("buy", "sell") and report.liquidity in ("maker", "taker", ""), "side or liquidity")
    _must(report.price > 0 and report.quantity > 0, "a fill of nothing or for nothing")
    _must(report.fee == 0 or bool(report.fee_asset), "a fee in no asset")


def _balance(report: BalanceReport) -> None:
    _must(bool(report.asset), "a balance of no asset")
    _must(report.held >= 0, "less than nothing is held")


def _malformed(report: Malformed) -> None:
    _must(bool(report.source and report.reason), "unreadable, but nobody says why")
    _must("our reader failed" not in report.reason, f"{report.reason}: the reader must refuse it by itself")


def _answer(answer: Answer) -> None:
    _must(answer.outcome in ("accepted", "rejected", "not_sent", "unknown"), "outcome")
    _must(answer.outcome == "accepted" or bool(answer.code), "no reason code")


_CHECKS: dict[type, Any] = {
    OrderReport: _order, FillReport: _fill, BalanceReport: _balance, Malformed: _malformed, Answer: _answer,
}  # fmt: skip
SURFACES: dict[str, Any] = {
    "submit": submit,
    "cancel": cancel,
    "lookup": lookup,
    "open_orders": lambda answered: read(answered, "open_orders"),
    "fills": lambda answered: read(answered, "fills"),
    "balances": lambda answered: read(answered, "balances"),
}


def _plain(text: str) -> bool:
    # PostgreSQL stores neither a NUL nor half a character.
    return "\x00" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


def _must(fact: bool, complaint: str) -> None:
    if not fact:
        raise Broken(complaint)
