"""Worlds that differ from their exchange's defaults, and worlds with limits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.venues.paper.process import PaperVenue
from tests.venues.paper.simulating import KRAKEN_BUY, LIMIT_BUY, START, Desk, body_of
from venues.paper.personality import Personality

ID = "a1client0000000001"
EXCHANGES = ["binance", "kraken"]


def test_without_a_window_late_requests_are_accepted() -> None:
    stale = (START // 1000) - 3_600_000
    normal = Desk("binance").binance("POST", "order", {**LIMIT_BUY, "price": "50000"}, timestamp=stale)
    assert body_of(normal)["code"] == -1021
    desk = Desk("binance", personality={"validity_window": False})
    late = desk.binance("POST", "order", {**LIMIT_BUY, "price": "50000"}, timestamp=stale)
    assert late.status == 200
    kraken = Desk("kraken", personality={"validity_window": False})
    assert kraken.place(deadline="2020-01-01T00:00:00Z") in kraken.open_ids()


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


@pytest.mark.parametrize(("uniqueness", "is_refused"), [("open", True), ("never", False)])
def test_uniqueness_of_client_ids(uniqueness: str, is_refused: bool) -> None:
    desk = Desk("binance", personality={"client_ids_unique": uniqueness})
    desk.place(newClientOrderId=ID)
    again = desk.binance("POST", "order", {**LIMIT_BUY, "price": "50000", "newClientOrderId": ID})
    assert (again.status == 400) is is_refused


@pytest.mark.parametrize("exchange", EXCHANGES)
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


def trades(desk: Desk) -> list[Any]:
    if desk.exchange == "binance":
        return list(body_of(desk.binance("GET", "myTrades", {"symbol": "BTCUSDT"})))
    return list(body_of(desk.kraken("TradesHistory", {}))["result"]["trades"])


def money(desk: Desk) -> Any:
    if desk.exchange == "binance":
        return body_of(desk.binance("GET", "account", {}))["balances"]
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
        **wanted,
    }
    assert row["limits"] == {"per_second": 5}


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_limits_are_enforced_and_ignoring_them_is_a_ban(exchange: str) -> None:
    desk = Desk(exchange, limits={"per_second": 2, "burst": 4, "ban_seconds": 30})

    def ask() -> Any:
        if exchange == "binance":
            return desk.binance("POST", "order", {**LIMIT_BUY, "price": "50000"})
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
