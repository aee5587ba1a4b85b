"""Binance's unsigned endpoints."""

import json
from collections.abc import Callable
from decimal import Decimal

from venues.paper.dialects import binance_rules as rules
from venues.paper.dialects import binance_shapes as shapes
from venues.paper.markets import Market
from venues.paper.messages import Body
from venues.paper.world import World

DEPTH_MAX = 5000
MINUTE_MILLISECONDS = 60_000
INTERVALS = {"m": 1, "h": 60, "d": 1440, "w": 10_080}
Params = dict[str, str]


def _ping(world: World, params: Params) -> Body:
    return {}


def _status(world: World, params: Params) -> Body:
    is_on = not world.faults.stands("maintenance", "create_order")
    return {"status": 0, "msg": "normal"} if is_on else {"status": 1, "msg": "system_maintenance"}


def _time(world: World, params: Params) -> Body:
    return {"serverTime": world.venue_now() // 1000}


def _exchange_info(world: World, params: Params) -> Body:
    limits = (("REQUEST_WEIGHT", "MINUTE", 1, 6000), ("ORDERS", "SECOND", 10, 1_000_000))
    return {
        "timezone": "UTC",
        "serverTime": world.venue_now() // 1000,
        "rateLimits": [
            {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
            for kind, interval, number, limit in limits
        ],
        "exchangeFilters": [],
        "symbols": [shapes.instrument(market) for market in _markets(world, params)],
    }


def _no_derivatives(world: World, params: Params) -> Body:
    return {"timezone": "UTC", "serverTime": world.venue_now() // 1000, "rateLimits": [], "symbols": []}


def _depth(world: World, params: Params) -> Body:
    book = world.engine.markets[rules.market_of(world, params).symbol].book
    limit = min(rules.integer_of(params, "limit", 100) or 100, DEPTH_MAX)
    return {
        "lastUpdateId": book.revision,
        "bids": [[shapes.eight(price), shapes.eight(quantity)] for price, quantity in book.depth("buy", limit)],
        "asks": [[shapes.eight(price), shapes.eight(quantity)] for price, quantity in book.depth("sell", limit)],
    }


def _trades(world: World, params: Params) -> Body:
    state = world.engine.markets[rules.market_of(world, params).symbol]
    limit = min(rules.integer_of(params, "limit", 500) or 500, 1000)
    return [
        {
            "id": item.trade_number,
            "price": shapes.eight(item.price),
            "qty": shapes.eight(item.quantity),
            "quoteQty": shapes.eight(item.price * item.quantity),
            "time": shapes.milliseconds(item.at),
            "isBuyerMaker": item.taker_side == "sell",
            "isBestMatch": True,
        }
        for item in list(state.prints)[-limit:]
    ]


def _aggregate_trades(world: World, params: Params) -> Body:
    state = world.engine.markets[rules.market_of(world, params).symbol]
    limit = min(rules.integer_of(params, "limit", 500) or 500, 1000)
    return [
        {
            "a": item.trade_number,
            "p": shapes.eight(item.price),
            "q": shapes.eight(item.quantity),
            "f": item.trade_number,
            "l": item.trade_number,
            "T": shapes.milliseconds(item.at),
            "m": item.taker_side == "sell",
            "M": True,
        }
        for item in list(state.prints)[-limit:]
    ]


def _ticker(world: World, params: Params) -> Body:
    return _one_or_many(params, [shapes.ticker(world, market) for market in _markets(world, params)])


def _prices(world: World, params: Params) -> Body:
    rows = [
        {"symbol": market.venue_id, "price": shapes.eight(world.engine.markets[market.symbol].last_price)}
        for market in _markets(world, params)
    ]
    return _one_or_many(params, rows)


def _book_ticker(world: World, params: Params) -> Body:
    names = ("symbol", "bidPrice", "bidQty", "askPrice", "askQty")
    rows = [shapes.ticker(world, market) for market in _markets(world, params)]
    return _one_or_many(params, [{name: row[name] for name in names} for row in rows])


def _klines(world: World, params: Params) -> Body:
    state = world.engine.markets[rules.market_of(world, params).symbol]
    interval = params.get("interval", "1m")
    width = int(interval[:-1] or 1) * INTERVALS.get(interval[-1], 1) * MINUTE_MILLISECONDS
    candles: dict[int, list[tuple[Decimal, Decimal]]] = {}
    for item in state.prints:
        start = shapes.milliseconds(item.at) // width * width
        candles.setdefault(start, []).append((item.price, item.quantity))
    limit = min(rules.integer_of(params, "limit", 500) or 500, 1000)
    return [_candle(start, width, trades) for start, trades in sorted(candles.items())][-limit:]


def _candle(start: int, width: int, trades: list[tuple[Decimal, Decimal]]) -> list[object]:
    prices = [price for price, _ in trades]
    base = shapes.eight(sum((quantity for _, quantity in trades), Decimal(0)))
    quote = shapes.eight(sum((price * quantity for price, quantity in trades), Decimal(0)))
    corners = [shapes.eight(price) for price in (prices[0], max(prices), min(prices), prices[-1])]
    return [start, *corners, base, start + width - 1, quote, len(trades), "0", "0", "0"]


def _markets(world: World, params: Params) -> list[Market]:
    if "symbol" in params:
        return [rules.market_of(world, params)]
    if "symbols" in params:
        return [rules.market_of(world, {"symbol": name}) for name in json.loads(params["symbols"])]
    return list(world.by_venue_id.values())


def _one_or_many(params: Params, rows: list[shapes.Shape]) -> Body:
    return rows[0] if "symbol" in params else rows


PUBLIC: dict[str, Callable[[World, Params], Body]] = {
    "/api/v3/ping": _ping,
    "/api/v3/time": _time,
    "/sapi/v1/system/status": _status,
    "/api/v3/exchangeInfo": _exchange_info,
    "/api/v3/depth": _depth,
    "/api/v3/trades": _trades,
    "/api/v3/aggTrades": _aggregate_trades,
    "/api/v3/ticker/24hr": _ticker,
    "/api/v3/ticker/price": _prices,
    "/api/v3/ticker/bookTicker": _book_ticker,
    "/api/v3/klines": _klines,
    "/fapi/v1/exchangeInfo": _no_derivatives,
    "/dapi/v1/exchangeInfo": _no_derivatives,
}
