"""What each family's frames say of a book, and that a frame with anything wrong in it says nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from venues.adapters import strict
from venues.adapters.book_reader import BookReader, Refused, number, places_of
from venues.adapters.book_registry import BOOK_READERS
from venues.adapters.rows import RowError
from venues.books import Change
from venues.facts.streaming import BOOKS

D = Decimal
BIDS, ASKS = [(D("99.5"), D("1"))], [(D("100.5"), D("0"))]
OKX = {"arg": {"channel": "books"}, "action": "update"}
OKX_ROW = {
    "bids": [["99.5", "1", "0", "1"]],
    "asks": [["100.5", "0", "0", "0"]],
    "seqId": 12,
    "prevSeqId": 9,
    "checksum": -7,
}
DERIBIT = {
    "type": "change",
    "change_id": 12,
    "prev_change_id": 9,
    "bids": [["new", 99.5, 1]],
    "asks": [["delete", 100.5, 0]],
}
COINBASE = [
    {"side": "bid", "price_level": "99.5", "new_quantity": "1"},
    {"side": "offer", "price_level": "100.5", "new_quantity": "0"},
]
KRAKEN = {
    "symbol": "BTC/USDT",
    "bids": [{"price": 99.5, "qty": 1}],
    "asks": [{"price": 100.5, "qty": 0}],
    "checksum": 77,
}
GOOD: dict[str, tuple[Any, dict[str, Any]]] = {
    "binance": ({"e": "depthUpdate", "U": 10, "u": 12, "b": [["99.5", "1"]], "a": [["100.5", "0"]]}, {"first": 10, "last": 12}),
    "kraken": ({"channel": "book", "type": "update", "data": [KRAKEN]}, {"checksum": 77}),
    "okx": (OKX | {"data": [OKX_ROW]}, {"last": 12, "previous": 9, "checksum": -7}),
    "bybit": ({"topic": "orderbook.200.BTCUSDT", "type": "delta", "data": {"b": [["99.5", "1"]], "a": [["100.5", "0"]], "u": 12}}, {"last": 12}),
    "deribit": ({"method": "subscription", "params": {"data": DERIBIT}}, {"last": 12, "previous": 9}),
    "coinbase": ({"channel": "l2_data", "sequence_num": 12, "events": [{"type": "update", "updates": COINBASE}]}, {"last": 12}),
}  # fmt: skip
REFUSALS: dict[str, Any] = {
    "kraken": {"method": "subscribe", "success": False}, "okx": {"event": "error", "code": "60018"},
    "bybit": {"op": "subscribe", "success": False}, "deribit": {"id": 2, "error": {"code": 1}},
    "coinbase": {"type": "error", "message": "failure to subscribe"},
}  # fmt: skip


def reader(exchange: str) -> BookReader:
    """Return a reader on a market that is only as much of one as it needs."""
    market = {"id": "BTCUSDT", "lowercaseId": "btcusdt", "precision": {"price": "0.1", "amount": "0.00000001"}}
    addresses = {"okx": "ws://x", "deribit": "ws://x", "coinbase": "ws://x", "kraken": {"publicV2": "ws://x"},
                 "binance": {"spot": "ws://x"}, "bybit": {"public": {"spot": "ws://{hostname}"}}}  # fmt: skip
    client = SimpleNamespace(market=lambda _: market, urls={"api": {"ws": addresses[exchange]}}, hostname="x")
    return BOOK_READERS[exchange](client, "BTC/USDT", BOOKS[exchange])


def read(exchange: str, payload: Any) -> list[Change]:
    return reader(exchange).read(strict.loads(json.dumps(payload)))


@pytest.mark.parametrize("exchange", sorted(BOOK_READERS))
def test_a_change_is_read_exactly(exchange: str) -> None:
    payload, numbers = GOOD[exchange]
    assert read(exchange, payload) == [Change(bids=BIDS, asks=ASKS, **numbers)]
    assert reader(exchange).url().startswith("ws://x")


@pytest.mark.parametrize("exchange", sorted(BOOK_READERS))
@pytest.mark.parametrize("spoilt", ['""', '"abc"', '"-1"', '"1e999"', "null", "[]", "{}", "true"])
def test_a_change_with_a_wrong_price_says_nothing(exchange: str, spoilt: str) -> None:
    written = json.dumps(GOOD[exchange][0])
    broken = written.replace('"99.5"' if '"99.5"' in written else "99.5", spoilt, 1)
    assert broken != written
    with pytest.raises(RowError):
        reader(exchange).read(strict.loads(broken))


@pytest.mark.parametrize("exchange", sorted(BOOK_READERS))
@pytest.mark.parametrize("payload", [[], "text", 7, None])
def test_what_is_no_object_cannot_be_read(exchange: str, payload: Any) -> None:
    with pytest.raises(RowError):
        read(exchange, payload)


@pytest.mark.parametrize("exchange", sorted(REFUSALS))
def test_a_refused_subscription_is_told(exchange: str) -> None:
    with pytest.raises(Refused):
        read(exchange, REFUSALS[exchange])


def test_other_frames_change_nothing() -> None:
    assert read("kraken", {"channel": "heartbeat"}) == read("okx", {"event": "subscribe"}) == []
    assert read("bybit", {"op": "pong", "success": True}) == read("deribit", {"id": 2, "result": ["book.x"]}) == []
    assert read("coinbase", {"channel": "heartbeats", "sequence_num": 3, "events": []}) == [
        Change(bids=(), asks=(), last=3)
    ]


def test_a_checksum_of_zero_is_none_at_okx() -> None:
    assert read("okx", OKX | {"data": [OKX_ROW | {"checksum": 0}]})[0].checksum is None


def test_deribit_is_answered_that_we_are_there() -> None:
    asked = strict.loads('{"method":"heartbeat","params":{"type":"test_request"}}')
    assert reader("deribit").reply(asked)["method"] == "public/test"
    assert reader("deribit").reply(strict.loads('{"method":"heartbeat","params":{"type":"heartbeat"}}')) is None


@pytest.mark.parametrize("value", ["", "1.5", "-2", True, None, "9" * 20, "٣"])
def test_a_number_of_a_sequence_is_a_plain_one(value: Any) -> None:
    with pytest.raises(RowError):
        number(value)


def test_places_are_those_of_the_step() -> None:
    assert [places_of(step) for step in ("0.1", "0.00000001", "1", "10", "0.50")] == [1, 8, 0, 0, 1]
    assert reader("kraken").places() == (1, 8)
