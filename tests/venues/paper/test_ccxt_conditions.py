"""Waiting orders and amendments through unmodified ccxt, over real sockets, and after the venue was killed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.venues.paper.clients import client
from tests.venues.paper.process import PaperVenue, WorldHandle, running_paper_venue, wait_until

SYMBOL = "BTC/USDT"
AMENDS_IN_PLACE = ("kraken", "bybit", "okx", "coinbase", "deribit")
# Deribit gives an order another id when its trigger fires; its triggers are not spoken here.
with_triggers = pytest.mark.parametrize("world", ["binance", "kraken", "bybit", "okx", "coinbase"], indirect=True)
# At OKX what waits is listed apart, is named otherwise, and places an order of its own once triggered.
WAITING: dict[str, dict[str, Any]] = {"okx": {"ordType": "conditional"}}
TRIGGER = {"okx": "stopLossPrice"}
BY_ID: dict[str, dict[str, Any]] = {"okx": {"trigger": True}}


def move(venue: PaperVenue, world: WorldHandle, price: str) -> None:
    """Bring the market to a price."""
    place = {"exchange": world.exchange, "world": world.world}
    venue.control("POST", "prices", {**place, "symbol": SYMBOL, "price": price})


async def stop_loss(exchange: Any) -> Any:
    # Coinbase has stops with a limit alone.
    kind, price = ("limit", "57000") if exchange.id == "coinbase" else ("market", None)
    return await exchange.create_order(SYMBOL, kind, "sell", "0.1", price, {"stopLossPrice": "58000"})


@with_triggers
async def test_stop_loss_waits_and_trades(exchange: Any, venue: PaperVenue, world: WorldHandle) -> None:
    made = await stop_loss(exchange)
    waiting = WAITING.get(world.exchange, {})
    (shown,) = await exchange.fetch_open_orders(SYMBOL, None, None, dict(waiting))
    trigger = Decimal(shown[TRIGGER.get(world.exchange, "triggerPrice")])
    assert (shown["id"], shown["status"], trigger) == (made["id"], "open", Decimal(58_000))
    move(venue, world, "57990")
    assert await exchange.fetch_open_orders(SYMBOL) == []
    assert await exchange.fetch_open_orders(SYMBOL, None, None, dict(waiting)) == []
    (trade,) = await exchange.fetch_my_trades(SYMBOL)
    assert (await exchange.fetch_order(trade["order"], SYMBOL))["id"] == made["id"]
    assert (trade["order"] == made["id"]) is (world.exchange not in WAITING)
    assert [record["kind"] for record in venue.journal(world)][-3:] == ["accepted", "triggered", "filled"]


@with_triggers
async def test_take_profit_limit_rests(exchange: Any, venue: PaperVenue, world: WorldHandle) -> None:
    made = await exchange.create_order(SYMBOL, "limit", "sell", "0.1", "63000", {"takeProfitPrice": "62000"})
    move(venue, world, "62000")
    (shown,) = await exchange.fetch_open_orders(SYMBOL)
    assert (shown["id"], Decimal(shown["price"])) == (made["id"], Decimal(63_000))
    move(venue, world, "63010")
    by_id = BY_ID.get(world.exchange, {})
    assert (await exchange.fetch_order(made["id"], SYMBOL, dict(by_id)))["status"] == "closed"


async def test_edit_order(exchange: Any, world: WorldHandle) -> None:
    made = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "50000", {"clientOrderId": "a1edit000000001"})
    edited = await exchange.edit_order(made["id"], SYMBOL, "limit", "buy", "0.2", "51000")
    (shown,) = await exchange.fetch_open_orders(SYMBOL)
    assert (Decimal(shown["amount"]), Decimal(shown["price"])) == (Decimal("0.2"), Decimal(51_000))
    assert (shown["id"] == made["id"]) is (world.exchange in AMENDS_IN_PLACE)
    assert edited["id"] is not None or world.exchange == "coinbase"  # whose answer names no order


@pytest.mark.parametrize("name", ["binance", "kraken", "bybit", "coinbase"])
async def test_killed_venue_remembers_waiting_amended_and_timed_orders(tmp_path: Path, name: str) -> None:
    with running_paper_venue(tmp_path) as venue:
        world = venue.create_world(name)
        exchange = client(world)
        try:
            stop = await stop_loss(exchange)
            rest = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "50000")
            if name == "kraken":
                await exchange.edit_order(rest["id"], SYMBOL, "limit", "buy", "0.2", "49000")
                await exchange.create_order(SYMBOL, "limit", "buy", "0.01", "48000", {"expiretm": "+3"})
            elif name in ("bybit", "coinbase"):
                await exchange.edit_order(rest["id"], SYMBOL, "limit", "buy", "0.2", "49000")
            else:
                await exchange.request(
                    "order/amend/keepPriority",
                    ["private"],
                    "PUT",
                    {"symbol": "BTCUSDT", "orderId": rest["id"], "newQty": "0.05"},
                )
            before = venue.balances(world)
            shown = await exchange.fetch_open_orders(SYMBOL)
            venue.kill()
            venue.start_again()
            await exchange.close()
            exchange = client(world)
            assert venue.balances(world) == before
            again = await exchange.fetch_open_orders(SYMBOL)
            assert [(row["id"], row["amount"], row["price"]) for row in again] == [
                (row["id"], row["amount"], row["price"]) for row in shown
            ]
            move(venue, world, "57990")
            assert (await exchange.fetch_order(stop["id"], SYMBOL))["status"] == "closed"
            if name == "kraken":
                assert wait_until(lambda: venue.journal(world, "expired"))
            assert [row["id"] for row in await exchange.fetch_open_orders(SYMBOL)] == [rest["id"]]
        finally:
            await exchange.close()
