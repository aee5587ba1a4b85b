"""Worlds that differ from their exchange's defaults, and worlds with limits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.venues.paper import bybit_desk
from tests.venues.paper.process import PaperVenue
from tests.venues.paper.simulating import KRAKEN_BUY, LIMIT_BUY, OKX_BUY, START, Desk, body_of
from venues.paper.personality import Personality

ID = "a1client0000000001"


def test_without_a_window_late_requests_are_accepted() -> None:
    stale = (START // 1000) - 3_600_000
    normal = Desk("binance").binance("POST", "order", {**LIMIT_BUY, "price": "50000"}, timestamp=stale)
    assert body_of(normal)["code"] == -1021
    desk = Desk("binance", personality={"validity_window": False})
    late = desk.binance("POST", "order", {**LIMIT_BUY, "price": "50000"}, timestamp=stale)
    assert late.status == 200
    bybit = Desk("bybit", personality={"validity_window": False})
    late = bybit_desk.ask(bybit, "POST", "order/create", {**bybit_desk.BUY, "price": "50000"}, stamp=stale)
    assert body_of(late)["retCode"] == 0
    deribit = Desk("deribit", personality={"validity_window": False})
    assert deribit.place(valid_until=stale) in deribit.open_ids()
    kraken = Desk("kraken", personality={"validity_window": False})
    assert kraken.place(deadline="2020-01-01T00:00:00Z") in kraken.open_ids()
    late_order = {**OKX_BUY, "px": "50000"}
    assert body_of(Desk("okx").okx("POST", "trade/order", late_order, at=stale))["code"] == "50102"
    okx = Desk("okx", personality={"validity_window": False})
    assert body_of(okx.okx("POST", "trade/order", late_order, at=stale, expires=stale))["code"] == "0"
    stale_token = START // 1_000_000 - 3_600
    for personality, status in (({}, 401), ({"validity_window": False}, 200)):
        coinbase = Desk("coinbase", personality=personality)
        assert coinbase.coinbase("POST", "orders", coinbase.coinbase_order("50000"), at=stale_token).status == status


def test_without_client_ids_they_are_ignored_and_never_echoed() -> None:
    desk = Desk("binance", personality={"client_ids": False})
    reply = desk.binance("POST", "order", {**LIMIT_BUY, "price": "50000", "newClientOrderId": ID})
    again = desk.binance("POST", "order", {**LIMIT_BUY, "price": "50000", "newClientOrderId": ID})
    assert (reply.status, again.status) == (200, 200)
    rows = desk.binance("GET", "openOrders", {})
    assert ID.encode() not in reply.content + again.content + rows.content
    lookup = body_of(desk.binance("GET", "order", {"symbol": "BTCUSDT", "origClientOrderId": ID}))
    assert lookup["code"] == -1102
    assert body_of(desk.binance("DELETE", "order", {"symbol": "BTCUSDT", "origClientOrderId": ID}))["code"] == -1102
    assert all(record["client_order_id"] == "" for record in desk.world.records("accepted"))


def test_kraken_without_client_ids() -> None:
    desk = Desk("kraken", personality={"client_ids": False})
    first, second = desk.place(cl_ord_id=ID), desk.place(cl_ord_id=ID)
    shown = body_of(desk.kraken("OpenOrders", {"cl_ord_id": ID}))["result"]["open"]
    assert sorted(shown) == sorted([first, second])
    assert not any("cl_ord_id" in row for row in shown.values())
    assert body_of(desk.kraken("CancelOrder", {"cl_ord_id": ID}))["error"] == ["EGeneral:Invalid arguments:txid"]


def test_bybit_without_client_ids() -> None:
    desk = Desk("bybit", personality={"client_ids": False})
    first, second = desk.place(orderLinkId=ID), desk.place(orderLinkId=ID)
    shown = bybit_desk.ask(desk, "GET", "order/realtime", {"category": "spot", "orderLinkId": ID})
    assert {row["orderId"] for row in body_of(shown)["result"]["list"]} == {first, second}
    assert ID.encode() not in shown.content
    cancel = {"category": "spot", "symbol": "BTCUSDT", "orderLinkId": ID}
    assert body_of(bybit_desk.ask(desk, "POST", "order/cancel", cancel))["retCode"] == 10001


@pytest.mark.parametrize(("uniqueness", "is_refused"), [("open", True), ("never", False)])
def test_uniqueness_of_client_ids(uniqueness: str, is_refused: bool) -> None:
    desk = Desk("binance", personality={"client_ids_unique": uniqueness})
    desk.place(newClientOrderId=ID)
    again = desk.binance("POST", "order", {**LIMIT_BUY, "price": "50000", "newClientOrderId": ID})
    assert (again.status == 400) is is_refused


@pytest.mark.parametrize("exchange", ["binance", "kraken", "bybit", "coinbase", "deribit"])
def test_reads_lag_behind_in_everything(exchange: str) -> None:
    desk = Desk(exchange, personality={"read_lag_seconds": 60})
    desk.pass_seconds(100)
    order_id = desk.place("61000")
    resting = desk.place("50000")
    assert desk.open_ids() == []
    assert money(desk) == money(Desk(exchange))
    assert trades(desk) == []
    desk.pass_seconds(59)
    assert (desk.open_ids(), trades(desk)) == ([], [])
    desk.pass_seconds(2)
    assert desk.open_ids() == [resting]
    assert len(trades(desk)) >= 1
    assert money(desk) != money(Desk(exchange))
    assert desk.world.engine.accounts["key1"].orders
    assert order_id != resting


def test_lag_of_chance_differs_from_read_to_read_and_not_from_seed_to_seed() -> None:
    def seen(seed: int) -> list[int]:
        desk = Desk("binance", seed=seed, personality={"read_lag_seconds": 60, "read_lag_random": True})
        desk.pass_seconds(100)
        desk.place()
        desk.pass_seconds(30)
        return [len(desk.open_ids()) for _ in range(40)]

    assert set(seen(1)) == {0, 1}
    assert seen(1) == seen(1) != seen(2)


def test_coinbase_without_client_ids() -> None:
    desk = Desk("coinbase", personality={"client_ids": False})
    first, second = desk.place(client_order_id=ID), desk.place(client_order_id=ID)
    assert desk.open_ids() == [second, first]
    shown = desk.coinbase("GET", "orders/historical/batch", {"order_status": "OPEN"}).content
    assert ID.encode() not in shown


@pytest.mark.parametrize(("uniqueness", "is_same"), [("open", True), ("never", False)])
def test_coinbase_answers_a_used_client_id_with_the_order_that_has_it(uniqueness: str, is_same: bool) -> None:
    desk = Desk("coinbase", personality={"client_ids_unique": uniqueness})
    first = desk.place(client_order_id=ID)
    desk.coinbase("POST", "orders/batch_cancel", {"order_ids": [first]})
    assert (desk.place("40000", client_order_id=ID) == first) is is_same


def trades(desk: Desk) -> list[Any]:
    if desk.exchange == "binance":
        return list(body_of(desk.binance("GET", "myTrades", {"symbol": "BTCUSDT"})))
    if desk.exchange == "bybit":
        return list(body_of(bybit_desk.ask(desk, "GET", "execution/list", {"category": "spot"}))["result"]["list"])
    if desk.exchange == "deribit":
        asked = {"currency": "BTC", "historical": "false"}
        return list(body_of(desk.deribit("get_user_trades_by_currency", asked))["result"]["trades"])
    if desk.exchange == "okx":
        return list(body_of(desk.okx("GET", "trade/fills-history", {}))["data"])
    if desk.exchange == "coinbase":
        return list(body_of(desk.coinbase("GET", "orders/historical/fills"))["fills"])
    return list(body_of(desk.kraken("TradesHistory", {}))["result"]["trades"])


def money(desk: Desk) -> Any:
    if desk.exchange == "binance":
        return body_of(desk.binance("GET", "account", {}))["balances"]
    if desk.exchange == "bybit":
        wallet = bybit_desk.ask(desk, "GET", "account/wallet-balance", {"accountType": "UNIFIED"})
        return [{**coin, "usdValue": ""} for coin in body_of(wallet)["result"]["list"][0]["coin"]]
    if desk.exchange == "deribit":
        return body_of(desk.deribit("get_account_summaries", {}))["result"]["summaries"]
    if desk.exchange == "okx":
        details = body_of(desk.okx("GET", "account/balance", {}))["data"][0]["details"]
        return [(row["ccy"], row["cashBal"], row["frozenBal"]) for row in details]
    if desk.exchange == "coinbase":
        return body_of(desk.coinbase("GET", "accounts"))["accounts"]
    return body_of(desk.kraken("BalanceEx", {}))["result"]


def test_strict_nonces_lock_out() -> None:
    desk = Desk("kraken", personality={"strict_nonce": True})
    desk.place()
    for _ in range(5):
        assert body_of(desk.kraken("OpenOrders", {}, nonce=1))["error"] == ["EAPI:Invalid nonce"]
    assert body_of(desk.kraken("OpenOrders", {}))["error"] == ["EGeneral:Temporary lockout"]
    desk.pass_seconds(10.1)
    assert len(desk.open_ids()) == 1
    lax = Desk("kraken")
    lax.place()
    for _ in range(6):
        lax.kraken("OpenOrders", {}, nonce=1)
    assert len(lax.open_ids()) == 1


def test_unknown_options_are_refused(venue: PaperVenue) -> None:
    with pytest.raises(ValueError, match="no option colour"):
        Personality.read({"colour": True})
    with pytest.raises(AssertionError, match="client_ids_unique must be"):
        venue.create_world("binance", "odd", personality={"client_ids_unique": "sometimes"})
    with pytest.raises(AssertionError, match="per_second must be above 0"):
        venue.create_world("binance", "odd", limits={"per_second": 0})


def test_personality_is_kept_and_shown(venue: PaperVenue) -> None:
    wanted = {"read_lag_seconds": 2.5, "strict_nonce": True}
    made = venue.create_world("kraken", "odd-nonces", personality=wanted, limits={"per_second": 5})
    rows = venue.control("GET", "worlds")["results"]
    (row,) = [row for row in rows if row["world"] == "odd-nonces"]
    venue.remove_world(made)
    assert row["personality"] == {
        "validity_window": True,
        "client_ids": True,
        "client_ids_unique": "open",
        "read_lag_random": False,
        "funding_interval_seconds": 28800,
        "settlement_interval_seconds": 86400,
        **wanted,
    }
    assert row["limits"] == {"per_second": 5}


@pytest.mark.parametrize("exchange", ["binance", "kraken", "coinbase"])
def test_limits_are_enforced_and_ignoring_them_is_a_ban(exchange: str) -> None:
    desk = Desk(exchange, limits={"per_second": 2, "burst": 4, "ban_seconds": 30})

    def ask() -> Any:
        if exchange == "binance":
            return desk.binance("POST", "order", {**LIMIT_BUY, "price": "50000"})
        if exchange == "okx":
            return desk.okx("POST", "trade/order", {**OKX_BUY, "px": "50000"})
        if exchange == "coinbase":
            return desk.coinbase("POST", "orders", desk.coinbase_order("50000"))
        return desk.kraken("AddOrder", {**KRAKEN_BUY, "price": "50000"})

    assert [ask().status for _ in range(4)] == [200] * 4
    refused = ask()
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    desk.pass_seconds(1)
    assert [ask().status for _ in range(3)] == [200, 200, 429]
    assert [ask().status for _ in range(9)] == [429] * 9
    banned = ask()
    assert (banned.status, banned.headers["Retry-After"]) == (418, "30")
    desk.pass_seconds(20)
    assert ask().status == 418
    desk.pass_seconds(10.1)
    assert ask().status == 200
    assert desk.world.describe()["refused"] == {"rate_limited": 11, "ban": 2}
    assert len(desk.world.records("accepted")) == 7


def test_limits_of_bybit_come_in_the_envelope_and_its_ban_as_403() -> None:
    desk = Desk("bybit", limits={"per_second": 2, "burst": 4, "ban_seconds": 30})

    def ask() -> tuple[int, int, str | None]:
        reply = bybit_desk.ask(desk, "POST", "order/create", {**bybit_desk.BUY, "price": "50000"})
        return reply.status, body_of(reply)["retCode"], reply.headers.get("X-Bapi-Limit-Status")

    assert [ask()[:2] for _ in range(4)] == [(200, 0)] * 4
    assert ask() == (200, 10006, "0")
    desk.pass_seconds(1)
    assert [ask()[1] for _ in range(3)] == [0, 0, 10006]
    assert [ask()[1] for _ in range(9)] == [10006] * 9
    assert ask() == (403, 10018, None)
    desk.pass_seconds(30.1)
    assert ask()[:2] == (200, 0)
    assert desk.world.describe()["refused"] == {"rate_limited": 11, "ban": 1}
