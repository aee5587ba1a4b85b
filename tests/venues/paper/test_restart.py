"""A venue that was killed forgets nothing it has answered."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.venues.paper.clients import client, client_id_of, with_client_id
from tests.venues.paper.process import WorldHandle, running_paper_venue

SYMBOL = "BTC/USDT"


async def facts(exchange: Any) -> dict[str, Any]:
    await exchange.load_markets()
    trades = await exchange.fetch_my_trades(SYMBOL)
    balance = await exchange.fetch_balance()
    return {
        "open": [
            (order["id"], client_id_of(order), Decimal(order["filled"]))
            for order in await exchange.fetch_open_orders(SYMBOL)
        ],
        "closed": sorted((order["id"], order["status"]) for order in await exchange.fetch_closed_orders(SYMBOL)),
        "trades": sorted((trade["id"], trade["price"], trade["amount"], trade["fee"]["cost"]) for trade in trades),
        "total": {asset: Decimal(total) for asset, total in balance["total"].items()},
        "used": {asset: Decimal(used) for asset, used in balance["used"].items()},
    }


@pytest.mark.parametrize("name", ["binance", "kraken", "bybit", "okx", "coinbase", "deribit"])
async def test_killed_venue_comes_back_with_everything(tmp_path: Path, name: str) -> None:
    with running_paper_venue(tmp_path) as venue:
        world: WorldHandle = venue.create_world(name)
        exchange = client(world)
        try:
            partly = await exchange.create_order(
                SYMBOL, "limit", "sell", "1", "70000", with_client_id(exchange, "a1partly00000001")
            )
            venue.trade(world, SYMBOL, "buy", "0.3")
            await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "61000")
            gone = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "50000")
            await exchange.cancel_order(gone["id"], SYMBOL)
            before = await facts(exchange)
            records = venue.journal(world)
            venue.kill()
            venue.start_again()
            await exchange.close()
            exchange = client(world)
            assert await facts(exchange) == before
            assert venue.journal(world)[: len(records)] == records
            later = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "50000")
            assert later["id"] not in {order_id for order_id, _ in before["closed"]} | {partly["id"]}
            venue.trade(world, SYMBOL, "buy", "0.7", price="70000")
            assert (await exchange.fetch_order(partly["id"], SYMBOL))["status"] == "closed"
            ids = [trade["id"] for trade in await exchange.fetch_my_trades(SYMBOL)]
            assert len(ids) == len(set(ids)) == 3
        finally:
            await exchange.close()


async def test_no_answered_order_is_lost_when_killed_under_load(tmp_path: Path) -> None:
    with running_paper_venue(tmp_path) as venue:
        world = venue.create_world("binance")
        exchange = client(world, timeout=3000)
        answered: list[str] = []

        async def send() -> None:
            made = await exchange.create_order(SYMBOL, "limit", "buy", "0.001", "50000")
            answered.append(made["id"])
            if len(answered) == 60:
                venue.kill()

        try:
            await exchange.load_markets()
            results = await asyncio.gather(*(send() for _ in range(300)), return_exceptions=True)
        finally:
            await exchange.close()
        assert 60 <= len(answered) < 300 == len(results)
        venue.start_again()
        assert set(answered) <= {record["order_id"] for record in venue.journal(world, "accepted")}
        assert Decimal(venue.balances(world)["USDT"]["held"]) == 50 * len(venue.journal(world, "accepted"))


async def test_line_cut_by_a_crash_is_dropped(tmp_path: Path) -> None:
    with running_paper_venue(tmp_path) as venue:
        world = venue.create_world("binance")
        venue.place_external_order(world, symbol=SYMBOL, side="buy", quantity="0.1", price="50000")
        venue.kill()
        journal = tmp_path / "binance" / "test" / "journal.jsonl"
        with journal.open("a") as file:
            file.write('{"n":99,"kind":"accep')
        venue.start_again()
        assert [record["n"] for record in venue.journal(world)] == list(range(1, len(venue.journal(world)) + 1))
        assert len(venue.journal(world, "accepted")) == 1
