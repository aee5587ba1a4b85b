"""What is OKX's own: passphrase and times, an envelope with a code for each order, algo orders, sequences and checksums."""

from __future__ import annotations

import binascii
import json
from decimal import Decimal
from typing import Any

import pytest

from tests.venues.paper.simulating import OKX_BUY, Desk, body_of, listen, okx_login
from venues.paper.simulated import connect, request

BUY = {**OKX_BUY, "px": "50000"}
NAMED = {"instId": "BTC-USDT"}
STOP = {
    "instId": "BTC-USDT", "tdMode": "cash", "side": "sell", "ordType": "conditional", "sz": "0.1", "slTriggerPx": "58000",
    "slOrdPx": "-1", "algoClOrdId": "a1stop000000000001",
}  # fmt: skip


@pytest.fixture
def desk() -> Desk:
    """Return a desk at OKX."""
    return Desk("okx")


def post(desk: Desk, path: str, params: Any) -> Any:
    return body_of(desk.okx("POST", f"trade/{path}", params))


def get(desk: Desk, path: str, **params: str) -> list[Any]:
    found: list[Any] = body_of(desk.okx("GET", f"trade/{path}", params))["data"]
    return found


def test_a_request_is_refused_for_its_key_its_passphrase_its_signature_or_its_time(desk: Desk) -> None:
    now = desk.now // 1000
    for changes, status, code in (
        ({"key": "nobody"}, 401, "50111"),
        ({"passphrase": "wrong"}, 401, "50105"),
        ({"passphrase": ""}, 401, "50104"),
        ({"at": now - 30_001}, 401, "50102"),
        ({"at": now + 30_001}, 401, "50102"),
        ({"expires": now - 1}, 200, "50036"),
    ):
        reply = desk.okx("POST", "trade/order", BUY, **changes)
        assert (reply.status, body_of(reply)["code"]) == (status, code)
    unsigned = request(desk.world, "GET", "/api/v5/account/balance")
    assert json.loads(unsigned.content)["code"] == "50103"  # type: ignore[union-attr]
    assert desk.open_ids() == []
    assert body_of(desk.okx("POST", "trade/order", BUY, at=now - 29_999, expires=now + 1))["code"] == "0"


def test_a_batch_has_a_code_for_each_order_and_one_for_all(desk: Desk) -> None:
    poor, nowhere = {**BUY, "sz": "900"}, {**BUY, "instId": "NO-PE"}
    for items, code, codes in (
        ([BUY, {**BUY, "clOrdId": "a1b2"}], "0", ["0", "0"]),
        ([BUY, poor, nowhere], "2", ["0", "51008", "51001"]),
        ([poor], "1", ["51008"]),
        ([{**BUY, "clOrdId": "not-plain"}, {**BUY, "px": "1.23"}, {**BUY, "sz": "0.00000001"}], "1", ["51000", "51000", "51121"]),
        ([{**BUY, "clOrdId": "a1b2"}], "1", ["51016"]),
    ):  # fmt: skip
        answer = post(desk, "batch-orders", items)
        assert (answer["code"], [row["sCode"] for row in answer["data"]]) == (code, codes)
    assert len(desk.open_ids()) == 3


def test_ids_are_digits_and_unique_in_the_exchange(desk: Desk) -> None:
    ids = [desk.place(), desk.place(instId="ETH-USDT", px="2000"), desk.place()]
    assert all(identity.isdecimal() and len(identity) == 18 for identity in ids)
    assert len(set(ids)) == 3


def test_what_was_cancelled_without_a_fill_is_forgotten_after_two_hours(desk: Desk) -> None:
    untouched, touched = desk.place(), desk.place()
    desk.world.engine.force_fill(desk.world.engine.accounts["key1"].orders[touched], Decimal("0.04"))
    for identity in (untouched, touched):
        post(desk, "cancel-order", {**NAMED, "ordId": identity})
    assert {row["ordId"] for row in get(desk, "orders-history", instType="SPOT")} == {untouched, touched}
    desk.pass_seconds(2 * 3600 + 1)
    assert [row["ordId"] for row in get(desk, "orders-history", instType="SPOT")] == [touched]
    assert body_of(desk.okx("GET", "trade/order", {**NAMED, "ordId": untouched}))["code"] == "51603"
    (row,) = get(desk, "order", ordId=touched, **NAMED)
    assert (row["state"], row["accFillSz"], row["cancelSource"]) == ("canceled", "0.04", "1")


def test_trades_and_orders_are_paged_by_id_without_gaps(desk: Desk) -> None:
    for _ in range(7):
        desk.place("61000", sz="0.001")
        desk.place("50000", sz="0.001")
    whole = get(desk, "fills-history", instType="SPOT")
    pages: list[Any] = []
    after: dict[str, str] = {}
    while page := get(desk, "fills-history", instType="SPOT", limit="3", **after):
        pages += page
        after = {"after": page[-1]["billId"]}
        desk.place("61000", sz="0.001")  # what comes in between is newer than every page
    assert pages == whole
    assert [row["billId"] for row in whole] == sorted((row["billId"] for row in whole), reverse=True)
    newer = get(desk, "fills-history", before=whole[0]["billId"])
    assert newer and all(row["billId"] > whole[0]["billId"] for row in newer)
    first, second = get(desk, "orders-pending", limit="4"), get(desk, "orders-pending", limit="4")
    assert first == second
    rest = get(desk, "orders-pending", after=first[-1]["ordId"])
    assert [row["ordId"] for row in first + rest] == desk.open_ids()
    (only,) = get(desk, "fills-history", ordId=whole[0]["ordId"])
    assert only["tradeId"] == whole[0]["tradeId"]


def test_an_amend_stays_in_place_and_names_the_total(desk: Desk) -> None:
    identity = desk.place()
    desk.world.engine.force_fill(desk.world.engine.accounts["key1"].orders[identity], Decimal("0.04"))
    assert post(desk, "amend-order", {**NAMED, "ordId": identity, "newSz": "0.2", "newPx": "49000"})["code"] == "0"
    (row,) = get(desk, "orders-pending")
    assert (row["ordId"], row["sz"], row["accFillSz"], row["px"]) == (identity, "0.2", "0.04", "49000")
    for changes, code in (
        ({"ordId": "1"}, "51503"),
        ({"newSz": "900"}, "51502"),
        ({"newSz": "0.2", "newPx": "49000"}, "51500"),
        ({}, "51500"),
        ({"newSz": "0.04"}, "51000"),
    ):
        answer = post(desk, "amend-order", {**NAMED, "ordId": identity, **changes})
        assert answer["data"][0]["sCode"] == code
    (again,) = get(desk, "orders-pending")
    assert (again["sz"], again["px"]) == ("0.2", "49000")


def test_post_only_that_would_take_is_accepted_and_cancelled(desk: Desk) -> None:
    identity = desk.place("61000", ordType="post_only")
    (row,) = get(desk, "order", ordId=identity, **NAMED)
    assert (row["state"], row["accFillSz"], row["cancelSource"]) == ("canceled", "0", "31")
    assert desk.kinds() == ["accepted", "cancelled"]


def test_a_market_order_counts_in_quote_where_it_says_so_and_a_buy_by_default(desk: Desk) -> None:
    market = {name: value for name, value in OKX_BUY.items() if name != "ordType"} | {"ordType": "market"}
    for changes, quantity in (
        ({"sz": "600"}, Decimal("0.01")),
        ({"sz": "0.01", "tgtCcy": "base_ccy"}, Decimal("0.01")),
    ):
        before = desk.world.engine.accounts["key1"].total["BTC"]
        post(desk, "order", {**market, **changes})
        bought = desk.world.engine.accounts["key1"].total["BTC"] - before
        assert abs(bought - quantity) < Decimal("0.0001")


def test_a_stop_waits_apart_and_places_an_order_with_another_id(desk: Desk) -> None:
    answer = post(desk, "order-algo", STOP)["data"][0]
    algo_id = answer["algoId"]
    assert (answer["sCode"], answer["algoClOrdId"], desk.open_ids()) == ("0", STOP["algoClOrdId"], [])
    (waiting,) = get(desk, "orders-algo-pending", ordType="conditional")
    assert (waiting["algoId"], waiting["state"], waiting["slTriggerPx"], waiting["ordId"]) == (
        algo_id,
        "live",
        "58000",
        "",
    )
    assert get(desk, "orders-algo-pending", ordType="move_order_stop") == []
    assert body_of(desk.okx("GET", "trade/order", {**NAMED, "ordId": algo_id}))["code"] == "51603"
    desk.move("58000")
    assert get(desk, "orders-algo-pending", ordType="conditional") == []
    (effective,) = get(desk, "order-algo", algoClOrdId=str(STOP["algoClOrdId"]))
    assert (effective["state"], effective["algoId"]) == ("effective", algo_id)
    (row,) = get(desk, "order", ordId=effective["ordId"], **NAMED)
    assert (row["algoId"], row["state"], row["ordType"], row["clOrdId"]) == (algo_id, "filled", "market", "")
    assert row["ordId"] != algo_id
    assert {fill["ordId"] for fill in get(desk, "fills-history")} == {row["ordId"]}
    assert post(desk, "cancel-algos", [{**NAMED, "algoId": algo_id}])["data"][0]["sCode"] == "51400"


def test_algo_orders_are_cancelled_amended_and_refused(desk: Desk) -> None:
    limit = {**STOP, "slOrdPx": "57000", "algoClOrdId": "a1limit00000000001"}
    trail = {**OKX_BUY, "side": "sell", "ordType": "move_order_stop", "callbackSpread": "500"}
    post(desk, "order-algo", STOP)
    amended = post(desk, "order-algo", limit)["data"][0]["algoId"]
    trailing = post(desk, "order-algo", trail)["data"][0]["algoId"]
    post(desk, "cancel-algos", [{**NAMED, "algoClOrdId": STOP["algoClOrdId"]}])
    changes = {"newSlTriggerPx": "57500", "newSlOrdPx": "57400", "newSz": "0.2"}
    assert post(desk, "amend-algos", {**NAMED, "algoId": amended, **changes})["code"] == "0"
    (row,) = get(desk, "orders-algo-pending", ordType="conditional")
    assert (row["algoId"], row["slTriggerPx"], row["slOrdPx"], row["sz"]) == (amended, "57500", "57400", "0.2")
    (row,) = get(desk, "orders-algo-pending", ordType="move_order_stop")
    assert (row["algoId"], row["callbackSpread"], row["moveTriggerPx"]) == (trailing, "500", "59500")
    assert post(desk, "amend-algos", {**NAMED, "algoId": trailing, "newSz": "0.3"})["data"][0]["sCode"] == "51506"
    (gone,) = get(desk, "orders-algo-history", ordType="conditional", state="canceled")
    assert gone["algoClOrdId"] == STOP["algoClOrdId"]
    for wrong, code in (
        ({"slTriggerPx": "61000"}, "51280"),
        ({"slTriggerPx": "", "tpTriggerPx": "59000", "tpOrdPx": "-1"}, "51279"),
        ({"side": "buy", "slTriggerPx": "59000"}, "51278"),
        ({"ordType": "iceberg"}, "51000"),
    ):
        assert post(desk, "order-algo", {**STOP, "algoClOrdId": "", **wrong})["data"][0]["sCode"] == code


def test_the_orders_channel_carries_the_fills_and_the_account_channel_the_money(desk: Desk) -> None:
    frames = listen(desk)
    identity = desk.place("59000", clOrdId="a1stream0000000001")
    desk.world.engine.force_fill(desk.world.engine.accounts["key1"].orders[identity], Decimal("0.04"))
    desk.world.drain()
    post(desk, "cancel-order", {**NAMED, "ordId": identity})
    told = frames()
    rows = [row for frame in told if frame["arg"]["channel"] == "orders" for row in frame["data"]]
    assert [(row["state"], row["tradeId"] != "", row["fillSz"], row["accFillSz"]) for row in rows] == [
        ("live", False, "0", "0"), ("partially_filled", True, "0.04", "0.04"), ("canceled", False, "0", "0.04"),
    ]  # fmt: skip
    assert (rows[1]["fillFee"], rows[1]["fillFeeCcy"], rows[1]["execType"]) == ("-0.000032", "BTC", "M")
    last = [frame for frame in told if frame["arg"]["channel"] == "account"][-1]["data"][0]["details"]
    assert {row["ccy"]: row["frozenBal"] for row in last} == {"USDT": "0.00000000"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"apiKey": "nobody"}, "60005"),
        ({"passphrase": "x"}, "60024"),
        ({"sign": "x"}, "60007"),
        ({"timestamp": "1"}, "60007"),
    ],
)
def test_a_connection_is_not_signed_in_by_a_wrong_key(desk: Desk, changes: dict[str, str], code: str) -> None:
    stream = connect(desk.world, "/ws/v5/private")
    stream.write("ping")
    stream.write(json.dumps({"op": "subscribe", "args": [{"channel": "account"}]}))
    stream.write(json.dumps({"op": "login", "args": [okx_login(desk, **changes)]}))
    pong, early, refused = stream.take()
    assert (pong, json.loads(early)["code"], json.loads(refused)["code"]) == ("pong", "60011", code)


def test_algo_orders_are_told_on_the_business_connection(desk: Desk) -> None:
    stream = connect(desk.world, "/ws/v5/business")
    stream.write(json.dumps({"op": "login", "args": [okx_login(desk)]}))
    stream.write(json.dumps({"op": "subscribe", "args": [{"channel": "orders-algo", "instType": "SPOT"}]}))
    stream.take()
    post(desk, "order-algo", STOP)
    desk.move("58000")
    states = [json.loads(text)["data"][0]["state"] for text in stream.take()]
    assert states == ["live", "effective"]


def test_the_book_channel_is_chained_by_sequence_and_proved_by_checksum(desk: Desk) -> None:
    stream = connect(desk.world, "/ws/v5/public")
    stream.write(json.dumps({"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]}))
    book: dict[str, dict[str, str]] = {"asks": {}, "bids": {}}
    frames = [json.loads(text) for text in stream.take()][1:]
    for _ in range(20):
        desk.world.step()
        desk.world.tell_public()
        frames += [json.loads(text) for text in stream.take()]
    assert (frames[0]["action"], frames[0]["data"][0]["prevSeqId"]) == ("snapshot", -1)
    assert len(frames) > 5
    before = -1
    for frame in frames:
        (row,) = frame["data"]
        assert row["prevSeqId"] == before
        before = row["seqId"]
        for side in book:
            for price, quantity, _, _ in row[side]:
                book[side].pop(price, None)
                if quantity != "0":
                    book[side][price] = quantity
        assert row["checksum"] == _checksum(book)


def _checksum(book: dict[str, dict[str, str]]) -> int:
    bids = sorted(book["bids"].items(), key=lambda level: -Decimal(level[0]))[:25]
    asks = sorted(book["asks"].items(), key=lambda level: Decimal(level[0]))[:25]
    pieces = []
    for number in range(25):
        pieces += [part for side in (bids, asks) if number < len(side) for part in side[number]]
    unsigned = binascii.crc32(":".join(pieces).encode())
    return unsigned - 2**32 if unsigned >= 2**31 else unsigned
