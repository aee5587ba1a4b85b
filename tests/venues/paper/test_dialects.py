"""What is each exchange's own: signatures, windows, nonces, ids and permissions."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.venues.paper.clients import client
from tests.venues.paper.process import PaperVenue, WorldHandle
from venues.paper import defaults

SYMBOL = "BTC/USDT"
# ccxt does not know OKX's code for it.
MAY_NOT_TRADE: dict[str, tuple[type[Exception], ...]] = {
    "binance": (ccxt.AuthenticationError, ccxt.DDoSProtection),
    "kraken": (ccxt.PermissionDenied,),
    "bybit": (ccxt.PermissionDenied,),
    "okx": (ccxt.ExchangeError,),
    "coinbase": (ccxt.PermissionDenied,),
    "deribit": (ccxt.PermissionDenied,),
}


async def test_wrong_secret_is_refused(world: WorldHandle) -> None:
    intruder = client(world)
    intruder.secret = defaults.ec_key("wrong") if world.exchange == "coinbase" else "d3Jvbmc="
    try:
        with pytest.raises(ccxt.BaseError, match=r"[Ss]ign|Unauthorized"):
            await intruder.fetch_balance()
    finally:
        await intruder.close()


async def test_key_without_trade_right_cannot_trade(venue: PaperVenue, world: WorldHandle) -> None:
    api_key, secret = defaults.KEYS[world.exchange]
    account = {
        "api_key": api_key, "secret": secret, "passphrase": world.passphrase, "balances": {"USDT": "1000"},
        "permissions": {"read": True},
    }  # fmt: skip
    readers = venue.create_world(world.exchange, f"{world.world}-readers", accounts=[account])
    reader = client(readers)
    try:
        assert Decimal((await reader.fetch_balance())["total"]["USDT"]) == 1000
        with pytest.raises(MAY_NOT_TRADE[world.exchange]):
            await reader.create_order(SYMBOL, "limit", "buy", "0.01", "50000")
    finally:
        await reader.close()
        venue.remove_world(readers)


async def test_binance_timestamp_outside_the_window(binance: Any) -> None:
    await binance.load_markets()
    binance.options["timeDifference"] = 60_000
    with pytest.raises(ccxt.InvalidNonce, match="-1021"):
        await binance.fetch_balance()


async def test_binance_ids_are_per_symbol(binance: Any) -> None:
    first = await binance.create_order(SYMBOL, "limit", "buy", "0.01", "50000")
    second = await binance.create_order("ETH/USDT", "limit", "buy", "0.1", "2000")
    assert first["id"] == second["id"] == "1"
    assert (await binance.fetch_order("1", "ETH/USDT"))["symbol"] == "ETH/USDT"


async def test_binance_lookup_by_client_id_and_its_absence(binance: Any) -> None:
    made = await binance.create_order(SYMBOL, "limit", "buy", "0.01", "50000", {"clientOrderId": "a1lookup0000000001"})
    found = await binance.fetch_order(None, SYMBOL, {"clientOrderId": "a1lookup0000000001"})
    assert found["id"] == made["id"]
    with pytest.raises(ccxt.OrderNotFound):
        await binance.fetch_order(None, SYMBOL, {"clientOrderId": "a1absent0000000001"})


async def test_binance_trades_page_by_id_and_window(binance: Any) -> None:
    for _ in range(5):
        await binance.create_order(SYMBOL, "market", "buy", "0.01")
    trades = await binance.fetch_my_trades(SYMBOL)
    page = await binance.fetch_my_trades(SYMBOL, None, 2, {"fromId": int(trades[1]["id"])})
    assert [trade["id"] for trade in page] == [trade["id"] for trade in trades[1:3]]
    future = binance.milliseconds() + 60_000
    assert await binance.fetch_my_trades(SYMBOL, future, None, {"endTime": future + 1000}) == []


async def test_binance_counts_weight_and_tells_key_rights(binance: Any) -> None:
    rights = await binance.sapi_get_account_apirestrictions()
    assert (rights["enableWithdrawals"], rights["enableSpotAndMarginTrading"]) == (False, True)
    headers = {name.lower(): value for name, value in binance.last_response_headers.items()}
    assert int(headers["x-mbx-used-weight-1m"]) > 0


async def test_kraken_nonce_must_grow(kraken: Any) -> None:
    await kraken.fetch_balance()
    kraken.incrementing_nonce = lambda: 1
    with pytest.raises(ccxt.InvalidNonce):
        await kraken.fetch_balance()


async def test_kraken_deadline_in_the_past_places_nothing(
    kraken: Any, venue: PaperVenue, kraken_world: WorldHandle
) -> None:
    passed = (datetime.now(UTC) - timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    with pytest.raises(ccxt.ExchangeError, match="Deadline elapsed"):
        await kraken.create_order(SYMBOL, "limit", "buy", "0.01", "50000", {"deadline": passed})
    soon = (datetime.now(UTC) + timedelta(seconds=20)).isoformat().replace("+00:00", "Z")
    await kraken.create_order(SYMBOL, "limit", "buy", "0.01", "50000", {"deadline": soon})
    assert len(venue.journal(kraken_world, "accepted")) == 1


async def test_kraken_lookup_by_client_id_in_open_and_closed(kraken: Any) -> None:
    params = {"clientOrderId": "a1lookup0000000001"}
    made = await kraken.create_order(SYMBOL, "limit", "buy", "0.01", "50000", dict(params))
    await kraken.create_order(SYMBOL, "limit", "buy", "0.01", "50000")
    (open_order,) = await kraken.fetch_open_orders(SYMBOL, None, None, dict(params))
    assert open_order["id"] == made["id"]
    await kraken.cancel_order(made["id"], SYMBOL)
    (closed,) = await kraken.fetch_closed_orders(SYMBOL, None, None, dict(params))
    assert (closed["id"], closed["status"]) == (made["id"], "canceled")


async def test_kraken_history_comes_in_pages_of_fifty(kraken: Any) -> None:
    for _ in range(60):
        await kraken.create_order("SOL/USDT", "market", "buy", "0.1")
    first = await kraken.fetch_my_trades("SOL/USDT")
    second = await kraken.fetch_my_trades("SOL/USDT", None, None, {"ofs": 50})
    assert (len(first), len(second)) == (50, 10)
    assert len({trade["id"] for trade in first + second}) == 60


async def test_kraken_fee_in_base_when_asked(kraken: Any, venue: PaperVenue, kraken_world: WorldHandle) -> None:
    await kraken.create_order(SYMBOL, "limit", "buy", "0.1", "61000", {"oflags": "fcib"})
    (fill,) = venue.journal(kraken_world, "filled")
    assert (fill["fee_asset"], Decimal(fill["fee"])) == ("BTC", Decimal("0.0004"))


async def test_kraken_key_info_and_dead_man_switch(kraken: Any) -> None:
    info = (await kraken.private_post_getapikeyinfo())["result"]
    assert "modify-trades" in info["permissions"]
    assert "withdraw-funds" not in info["permissions"]
    await kraken.create_order(SYMBOL, "limit", "buy", "0.01", "50000")
    await kraken.cancel_all_orders_after(1000)
    async with asyncio.timeout(10):
        while await kraken.fetch_open_orders(SYMBOL):
            await asyncio.sleep(0.1)


def test_unknown_world_is_not_found(venue: PaperVenue) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{venue.url}/binance/nowhere/api/v3/ping", timeout=5)
