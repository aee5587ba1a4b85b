"""Kraken's unsigned endpoints."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from venues.paper.dialects import kraken_rules as rules
from venues.paper.dialects import kraken_shapes as shapes
from venues.paper.engine import MarketState
from venues.paper.markets import Market
from venues.paper.orders import Print
from venues.paper.world import World

Params = dict[str, Any]
DEPTH_MAX = 500


def _time(world: World, params: Params) -> Any:
    return {"unixtime": world.venue_now() // 1_000_000, "rfc1123": shapes.iso(world.venue_now())}


def _status(world: World, params: Params) -> Any:
    status = "maintenance" if world.faults.stands("maintenance", "create_order") else "online"
    return {"status": status, "timestamp": shapes.iso(world.venue_now())}


def _assets(world: World, params: Params) -> Any:
    return {rules.asset_id(name): shapes.asset(name) for name in sorted(world.engine.supply)}


def _pairs(world: World, params: Params) -> Any:
    return {market.venue_id: shapes.instrument(market, world.exchange) for market in _markets(world, params)}


def _ticker(world: World, params: Params) -> Any:
    return {market.venue_id: ticker(world.engine.markets[market.symbol]) for market in _markets(world, params)}


def _depth(world: World, params: Params) -> Any:
    market = rules.market_of(world, params)
    book = world.engine.markets[market.symbol].book
    limit = min(int(params.get("count") or 100), DEPTH_MAX)
    now = world.venue_now() // 1_000_000
    sides = {"asks": book.depth("sell", limit), "bids": book.depth("buy", limit)}
    return {
        market.venue_id: {
            name: [[f"{price:f}", shapes.eight(quantity), now] for price, quantity in levels]
            for name, levels in sides.items()
        }
    }


def _trades(world: World, params: Params) -> Any:
    market = rules.market_of(world, params)
    rows = [
        [
            f"{item.price:f}",
            shapes.eight(item.quantity),
            shapes.seconds(item.at),
            item.taker_side[0],
            "m",
            "",
            item.trade_number,
        ]
        for item in world.engine.markets[market.symbol].prints
    ]
    return {market.venue_id: rows, "last": str(world.venue_now() * 1000)}


def _candles(world: World, params: Params) -> Any:
    market = rules.market_of(world, params)
    width = int(params.get("interval") or 1) * 60
    candles: dict[int, list[Print]] = {}
    for item in world.engine.markets[market.symbol].prints:
        candles.setdefault(item.at // 1_000_000 // width * width, []).append(item)
    rows = [_candle(start, trades) for start, trades in sorted(candles.items())]
    return {market.venue_id: rows, "last": rows[-1][0] if rows else 0}


def _candle(start: int, trades: list[Print]) -> list[Any]:
    prices = [item.price for item in trades]
    volume = sum((item.quantity for item in trades), Decimal(0))
    cost = sum((item.price * item.quantity for item in trades), Decimal(0))
    corners = (prices[0], max(prices), min(prices), prices[-1], (cost / volume).quantize(Decimal("0.01")))
    return [start, *(f"{price:f}" for price in corners), shapes.eight(volume), len(trades)]


def ticker(state: MarketState) -> dict[str, Any]:
    """Return a market's rolling statistics; the day's open is its first price here."""
    bid, ask = state.book.depth("buy", 1), state.book.depth("sell", 1)
    last, start = state.last_price, state.market.price_start
    volume = shapes.eight(sum((item.quantity for item in state.prints), Decimal(0)))
    return {
        "a": [f"{ask[0][0]:f}", "1", f"{ask[0][1]:f}"] if ask else [],
        "b": [f"{bid[0][0]:f}", "1", f"{bid[0][1]:f}"] if bid else [],
        "c": [f"{last:f}", shapes.eight(state.prints[-1].quantity) if state.prints else "0"],
        "v": [volume, volume],
        "p": [f"{last:f}", f"{last:f}"],
        "t": [state.prints_total, state.prints_total],
        "l": [f"{min(last, start):f}"] * 2,
        "h": [f"{max(last, start):f}"] * 2,
        "o": f"{start:f}",
    }


def _markets(world: World, params: Params) -> list[Market]:
    names = params.get("pair")
    if not names:
        return list(world.by_venue_id.values())
    return [rules.market_of(world, {"pair": name}) for name in str(names).split(",")]


PUBLIC: dict[str, Callable[[World, Params], Any]] = {
    "/0/public/Time": _time,
    "/0/public/SystemStatus": _status,
    "/0/public/Assets": _assets,
    "/0/public/AssetPairs": _pairs,
    "/0/public/Ticker": _ticker,
    "/0/public/Depth": _depth,
    "/0/public/Trades": _trades,
    "/0/public/OHLC": _candles,
}
