"""What the exchanges tell unmodified ccxt over WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.venues.paper.clients import client, with_client_id
from tests.venues.paper.process import PaperVenue, WorldHandle

SYMBOL = "BTC/USDT"
Rows = list[dict[str, Any]]


@asynccontextmanager
async def collecting(watch: Callable[[], Awaitable[Any]]) -> AsyncIterator[Rows]:
    """Collect copies of everything a watch method delivers; its rows change under the reader."""
    rows: Rows = []

    async def collect() -> None:
        while True:
            delivered = await watch()
            rows.extend(dict(row) for row in (delivered if isinstance(delivered, list) else [delivered]))

    task = asyncio.create_task(collect())
    try:
        yield rows
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(fact: Callable[[], Any], seconds: float = 10) -> Any:
    async with asyncio.timeout(seconds):
        while not fact():
            await asyncio.sleep(0.02)
    return fact()


async def ready(exchange: Any, path: str) -> None:
    """Wait until the exchange's user stream is subscribed."""
    await until(
        lambda: any(
            one.url.endswith(path) and one.subscriptions.keys() - {"authenticated"} for one in exchange.clients.values()
        )
    )
    await exchange.fetch_balance()


USER_STREAMS = {
    "binance": "/ws-api/v3",
    "kraken": "/v2",
    "bybit": "/v5/private",
    "okx": "/ws/v5/private",
    "coinbase": "",
    "deribit": "/ws/api/v2",
}
# of whose streams no trade and no balance comes
ORDERS_ALONE = ("coinbase",)


async def test_orders_and_trades_arrive(exchange: Any, venue: PaperVenue, world: WorldHandle) -> None:
    if world.exchange in ORDERS_ALONE:
        await orders_arrive(exchange, venue, world)
        return
    await exchange.load_markets()
    async with collecting(exchange.watch_orders) as orders, collecting(exchange.watch_my_trades) as trades:
        await ready(exchange, USER_STREAMS[world.exchange])
        made = await exchange.create_order(SYMBOL, "limit", "sell", "1", "70000")
        await until(lambda: any(row["id"] == made["id"] and row["status"] == "open" for row in orders))
        venue.trade(world, SYMBOL, "buy", "0.4", price="70000")
        venue.trade(world, SYMBOL, "buy", "0.6", price="70000")
        await until(lambda: len(trades) >= 2)
        await until(lambda: any(row["status"] == "closed" for row in orders))
    facts = venue.journal(world, "filled")
    assert [row["id"] for row in trades] == [fact["trade_id"] for fact in facts]
    assert [Decimal(row["amount"]) for row in trades] == [Decimal("0.4"), Decimal("0.6")]
    sign = -1 if world.exchange == "okx" else 1  # there a fee paid is negative, and ccxt leaves a stream's as it is
    assert [sign * Decimal(row["fee"]["cost"]) for row in trades] == [Decimal(fact["fee"]) for fact in facts]


async def orders_arrive(exchange: Any, venue: PaperVenue, world: WorldHandle) -> None:
    """Watch an order come to what it comes to, where its trades are not told."""
    early = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "50000")
    async with collecting(exchange.watch_orders) as orders:
        await until(lambda: any(row["id"] == early["id"] for row in orders))  # the snapshot has it
        named = with_client_id(exchange, "a1stream000000001")
        made = await exchange.create_order(SYMBOL, "limit", "sell", "1", "70000", named)
        await until(lambda: any(row["id"] == made["id"] and row["status"] == "open" for row in orders))
        venue.trade(world, SYMBOL, "buy", "0.4", price="70000")
        await until(lambda: any(row["filled"] == "0.4" and row["remaining"] == "0.6" for row in orders))
        venue.trade(world, SYMBOL, "buy", "0.6", price="70000")
        await until(lambda: any(row["status"] == "closed" for row in orders))
    assert {row["clientOrderId"] for row in orders if row["id"] == made["id"]} == {"a1stream000000001"}
    assert [trade["amount"] for trade in await exchange.fetch_my_trades(SYMBOL)] == ["0.4", "0.6"]


def total_of(exchange: Any, balance: dict[str, Any], asset: str) -> Decimal:
    """Return an asset's total; where others put the asset's own, ccxt's Deribit class puts a whole balance."""
    found = balance.get(asset, {})
    return Decimal((found.get(asset, {}) if exchange.id == "deribit" else found).get("total") or 0)


async def test_balance_after_a_fill_arrives(exchange: Any, world: WorldHandle) -> None:
    if world.exchange in ORDERS_ALONE:
        with pytest.raises(ccxt.NotSupported):
            await exchange.watch_balance()
        return
    await exchange.load_markets()
    async with collecting(exchange.watch_balance) as balances:
        await ready(exchange, USER_STREAMS[world.exchange])
        await exchange.create_order(SYMBOL, "limit", "buy", "0.5", "61000")
        await until(lambda: any(total_of(exchange, row, "BTC") > Decimal("2.49") for row in balances))


async def test_cancel_names_the_original_client_id(binance: Any) -> None:
    await binance.load_markets()
    async with collecting(binance.watch_orders) as orders:
        await ready(binance, "/ws-api/v3")
        made = await binance.create_order(
            SYMBOL, "limit", "buy", "0.1", "50000", {"clientOrderId": "a1cancel000000001"}
        )
        await binance.cancel_order(made["id"], SYMBOL)
        (row,) = await until(lambda: [row for row in orders if row["status"] == "canceled"])
    assert row["info"]["C"] == "a1cancel000000001" != row["info"]["c"]


async def test_kraken_snapshot_shows_orders_placed_before(kraken: Any) -> None:
    made = await kraken.create_order(SYMBOL, "limit", "buy", "0.1", "50000", {"clientOrderId": "a1early0000000001"})
    async with collecting(kraken.watch_orders) as orders:
        (row,) = await until(lambda: [row for row in orders if row["id"] == made["id"]])
    assert row["info"]["cl_ord_id"] == "a1early0000000001"


@pytest.mark.parametrize("name", ["binance", "kraken", "bybit", "okx", "coinbase", "deribit"])
async def test_order_book_follows_the_venue(venue: PaperVenue, name: str) -> None:
    moving = venue.create_world(name, f"moving-{name}", flow_steps_per_second=20)
    exchange = client(moving)
    exchange.number = float  # ccxt's own Kraken book cannot hold text prices
    try:
        async with asyncio.timeout(20):
            books = []
            for _ in range(20):
                book = await exchange.watch_order_book(SYMBOL)
                books.append((book["bids"][0][0], book["asks"][0][0]))
        assert all(bid < ask for bid, ask in books)
        assert len(set(books)) > 1
        assert await asyncio.wait_for(exchange.watch_trades(SYMBOL), 20)
    finally:
        await exchange.close()
        venue.remove_world(moving)
