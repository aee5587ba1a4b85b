"""OKX's unsigned endpoints."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from venues.paper.dialects import okx_rules as rules
from venues.paper.dialects import okx_shapes as shapes
from venues.paper.markets import Market
from venues.paper.messages import Body
from venues.paper.orders import NOTHING, Print
from venues.paper.world import World

DEPTH_MAX = 400
TRADES_MAX = 500
MINUTE_MILLISECONDS = 60_000
UNITS = {"m": 1, "H": 60, "D": 1440, "W": 10_080}
Params = dict[str, str]
Level = tuple[Decimal, Decimal]


def _time(world: World, params: Params) -> Body:
    return rules.ok([{"ts": shapes.milliseconds(world.venue_now())}])


def _status(world: World, params: Params) -> Body:
    is_on = not world.faults.stands("maintenance", "create_order")
    return rules.ok(
        [] if is_on else [{"title": "Upgrade", "state": "ongoing", "serviceType": "5", "system": "unified"}]
    )


def _instruments(world: World, params: Params) -> Body:
    if not params.get("instType"):
        raise rules.error("50014", "Parameter instType can not be empty", 400)
    return rules.ok([shapes.instrument(market) for market in _markets(world, params)])


def _books(world: World, params: Params) -> Body:
    book = world.engine.markets[rules.market_of(world, params).symbol].book
    size = min(rules.integer_of(params, "sz", 1) or 1, DEPTH_MAX)
    sides = {name: [level(row) for row in book.depth(side, size)] for name, side in (("asks", "sell"), ("bids", "buy"))}
    return rules.ok([{**sides, "ts": shapes.milliseconds(world.venue_now()), "seqId": book.revision}])


def level(row: Level) -> list[str]:
    """Return a price level: price, quantity, a field that died, number of orders."""
    price, quantity = row
    return [shapes.text(price), shapes.text(quantity), "0", "1" if quantity else "0"]


def _ticker(world: World, params: Params) -> Body:
    return rules.ok([shapes.ticker(world, rules.market_of(world, params))])


def _tickers(world: World, params: Params) -> Body:
    return rules.ok([shapes.ticker(world, market) for market in _markets(world, params)])


def _trades(world: World, params: Params) -> Body:
    market = rules.market_of(world, params)
    prints = list(world.engine.markets[market.symbol].prints)
    limit = min(rules.integer_of(params, "limit", 100) or 100, TRADES_MAX)
    return rules.ok([trade(item, market) for item in reversed(prints[-limit:])])


def trade(item: Print, market: Market) -> dict[str, str]:
    """Return a trade as everybody sees it."""
    return {
        "instId": market.venue_id,
        "tradeId": str(item.trade_number),
        "px": shapes.text(item.price),
        "sz": shapes.text(item.quantity),
        "side": item.taker_side,
        "ts": shapes.milliseconds(item.at),
        "count": "1",
    }


def _candles(world: World, params: Params) -> Body:
    state = world.engine.markets[rules.market_of(world, params).symbol]
    bar = params.get("bar", "1m").removesuffix("utc")
    if bar[-1:] not in UNITS or not bar[:-1].isdecimal():
        raise rules.wrong("bar")
    width = int(bar[:-1]) * UNITS[bar[-1]] * MINUTE_MILLISECONDS
    candles: dict[int, list[Print]] = {}
    for item in state.prints:
        candles.setdefault(item.at // 1000 // width * width, []).append(item)
    return rules.ok([_candle(start, items) for start, items in sorted(candles.items(), reverse=True)])


def _candle(start: int, items: list[Print]) -> list[Any]:
    prices = [item.price for item in items]
    base = shapes.text(sum((item.quantity for item in items), NOTHING))
    quote = shapes.text(sum((item.quantity * item.price for item in items), NOTHING))
    corners = [shapes.text(price) for price in (prices[0], max(prices), min(prices), prices[-1])]
    return [str(start), *corners, base, quote, quote, "1"]


def _markets(world: World, params: Params) -> list[Market]:
    if params.get("instType", "SPOT") != "SPOT":
        return []
    return [rules.market_of(world, params)] if params.get("instId") else list(world.by_venue_id.values())


PUBLIC: dict[str, Callable[[World, Params], Body]] = {
    "/api/v5/public/time": _time,
    "/api/v5/public/instruments": _instruments,
    "/api/v5/system/status": _status,
    "/api/v5/market/books": _books,
    "/api/v5/market/ticker": _ticker,
    "/api/v5/market/tickers": _tickers,
    "/api/v5/market/trades": _trades,
    "/api/v5/market/candles": _candles,
}
