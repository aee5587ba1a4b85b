"""Bybit's unsigned endpoints."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from venues.paper.dialects import bybit_rules as rules
from venues.paper.dialects import bybit_shapes as shapes
from venues.paper.markets import Market
from venues.paper.orders import NOTHING
from venues.paper.world import World

Params = dict[str, Any]
DEPTH_MAX = 200
TRADES_MAX = 60
CANDLES_MAX = 1000
MINUTE_MILLISECONDS = 60_000
INTERVALS = {"D": 1440, "W": 10_080, "M": 43_200}


def _time(world: World, params: Params) -> Any:
    now = world.venue_now()
    return {"timeSecond": str(now // 1_000_000), "timeNano": str(now * 1000)}


def _status(world: World, params: Params) -> Any:
    is_on = not world.faults.stands("maintenance", "create_order")
    return {
        "list": [] if is_on else [{"id": "1", "title": "Upgrade", "state": "ongoing", "serviceTypes": [1, 2, 3, 4, 5]}]
    }


def _instruments(world: World, params: Params) -> Any:
    rows = [shapes.instrument(market) for market in _markets(world, params)]
    return {"category": params.get("category", ""), "list": rows, "nextPageCursor": ""}


def _tickers(world: World, params: Params) -> Any:
    rows = [shapes.ticker(world, market) for market in _markets(world, params)]
    return {"category": params.get("category", ""), "list": rows}


def _book(world: World, params: Params) -> Any:
    rules.check_spot(world, params)
    market = rules.market_of(world, params)
    book = world.engine.markets[market.symbol].book
    limit = rules.limit_of(world, params, 1, DEPTH_MAX)
    sides = {"b": book.depth("buy", limit), "a": book.depth("sell", limit)}
    return {
        "s": market.venue_id,
        **{name: [[shapes.plain(price), shapes.plain(size)] for price, size in rows] for name, rows in sides.items()},
        "ts": world.venue_now() // 1000,
        "u": book.revision,
        "seq": book.revision,
        "cts": world.venue_now() // 1000,
    }


def _trades(world: World, params: Params) -> Any:
    rules.check_spot(world, params)
    market = rules.market_of(world, params)
    prints = list(world.engine.markets[market.symbol].prints)
    rows = [
        {
            "execId": str(item.trade_number),
            "symbol": market.venue_id,
            "price": shapes.plain(item.price),
            "size": shapes.plain(item.quantity),
            "side": item.taker_side.capitalize(),
            "time": shapes.milliseconds(item.at),
            "isBlockTrade": False,
            "isRPITrade": False,
            "seq": str(item.trade_number),
        }
        for item in reversed(prints[-rules.limit_of(world, params, TRADES_MAX, TRADES_MAX) :])
    ]
    return {"category": "spot", "list": rows}


def _candles(world: World, params: Params) -> Any:
    rules.check_spot(world, params)
    market = rules.market_of(world, params)
    interval = str(params.get("interval") or "1")
    minutes = INTERVALS.get(interval) or (int(interval) if interval.isdecimal() else 0)
    if not minutes:
        raise rules.error(world, rules.PARAMETER_ERROR, "params error: interval is invalid")
    width = minutes * MINUTE_MILLISECONDS
    candles: dict[int, list[tuple[Decimal, Decimal]]] = {}
    for item in world.engine.markets[market.symbol].prints:
        candles.setdefault(item.at // 1000 // width * width, []).append((item.price, item.quantity))
    rows = [_candle(start, trades) for start, trades in sorted(candles.items(), reverse=True)]
    limit = rules.limit_of(world, params, 200, CANDLES_MAX)
    return {"category": "spot", "symbol": market.venue_id, "list": rows[:limit]}


def _candle(start: int, trades: list[tuple[Decimal, Decimal]]) -> list[str]:
    prices = [price for price, _ in trades]
    corners = [shapes.plain(price) for price in (prices[0], max(prices), min(prices), prices[-1])]
    volume = sum((quantity for _, quantity in trades), NOTHING)
    turnover = sum((price * quantity for price, quantity in trades), NOTHING)
    return [str(start), *corners, shapes.plain(volume), shapes.plain(turnover)]


def _markets(world: World, params: Params) -> list[Market]:
    if params.get("category") != "spot":
        return []  # derivatives and options are not traded here
    return [rules.market_of(world, params)] if params.get("symbol") else list(world.by_venue_id.values())


PUBLIC: dict[str, Callable[[World, Params], Any]] = {
    "/v5/market/time": _time,
    "/v5/system/status": _status,
    "/v5/market/instruments-info": _instruments,
    "/v5/market/tickers": _tickers,
    "/v5/market/orderbook": _book,
    "/v5/market/recent-trade": _trades,
    "/v5/market/kline": _candles,
}
