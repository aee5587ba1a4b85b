"""Coinbase's endpoints about its markets, of which the signed ones say the same."""

from collections.abc import Callable
from decimal import Decimal

from venues.paper.dialects import coinbase_rules as rules
from venues.paper.dialects import coinbase_shapes as shapes
from venues.paper.dialects.coinbase_rules import Parsed
from venues.paper.messages import Body, plain
from venues.paper.orders import Print
from venues.paper.personality import MICROSECONDS
from venues.paper.world import World

Handler = Callable[[World, Parsed], Body]
CANDLES_MAX = 350
TRADES_MAX = 1000
GRANULARITIES = {
    "ONE_MINUTE": 60,
    "FIVE_MINUTE": 300,
    "FIFTEEN_MINUTE": 900,
    "THIRTY_MINUTE": 1800,
    "ONE_HOUR": 3600,
    "TWO_HOUR": 7200,
    "SIX_HOUR": 21_600,
    "ONE_DAY": 86_400,
}


def _old_time(world: World, parsed: Parsed) -> Body:
    now = world.venue_now()
    return {"data": {"iso": shapes.iso(now), "epoch": now // MICROSECONDS}}


def _time(world: World, parsed: Parsed) -> Body:
    now = world.venue_now()
    return {
        "iso": shapes.iso(now),
        "epochSeconds": str(now // MICROSECONDS),
        "epochMillis": str(now // 1000),
    }


def _fiat_currencies(world: World, parsed: Parsed) -> Body:
    return {"data": [{"id": "USD", "name": "US Dollar", "min_size": "0.01"}]}


def _crypto_currencies(world: World, parsed: Parsed) -> Body:
    rows = [
        {"asset_id": f"asset-{name.lower()}", "code": name, "name": name, "exponent": "8", "type": "crypto"}
        for name in sorted(world.engine.supply)
    ]
    return {"data": rows}


def _exchange_rates(world: World, parsed: Parsed) -> Body:
    return {"data": {"currency": "USD", "rates": dict.fromkeys(sorted(world.engine.supply), "1")}}


def _products(world: World, parsed: Parsed) -> Body:
    wanted = parsed.query.get("product_ids", [])
    is_spot = parsed.first("product_type") in ("", "SPOT", "UNKNOWN_PRODUCT_TYPE")
    rows = [
        shapes.product(state)
        for state in world.engine.markets.values()
        if is_spot and (not wanted or state.market.venue_id in wanted)
    ]
    return {"products": rows, "num_products": len(rows)}


def _product(world: World, parsed: Parsed) -> Body:
    market = rules.market_of(world, parsed.http.path.rpartition("/")[2])
    return shapes.product(world.engine.markets[market.symbol])


def _book(world: World, parsed: Parsed) -> Body:
    market = rules.market_of(world, parsed.first("product_id"))
    book = world.engine.markets[market.symbol].book
    limit = int(parsed.first("limit") or 0) or 1 << 20
    sides = {"bids": book.depth("buy", limit), "asks": book.depth("sell", limit)}
    rows = {
        name: [{"price": plain(price), "size": plain(size)} for price, size in side] for name, side in sides.items()
    }
    return {"pricebook": {"product_id": market.venue_id, **rows, "time": shapes.iso(world.venue_now())}}


def _trades(world: World, parsed: Parsed) -> Body:
    market = rules.market_of(world, parsed.http.path.split("/")[-2])
    state = world.engine.markets[market.symbol]
    limit = min(int(parsed.first("limit") or 100), TRADES_MAX)
    bid, ask = state.book.best_price("buy"), state.book.best_price("sell")
    return {
        "trades": [shapes.trade(item, market) for item in list(state.prints)[: -limit - 1 : -1]],
        "best_bid": "" if bid is None else plain(bid),
        "best_ask": "" if ask is None else plain(ask),
    }


def _candles(world: World, parsed: Parsed) -> Body:
    market = rules.market_of(world, parsed.http.path.split("/")[-2])
    width = GRANULARITIES.get(parsed.first("granularity"), 60)
    candles: dict[int, list[Print]] = {}
    for item in world.engine.markets[market.symbol].prints:
        candles.setdefault(item.at // MICROSECONDS // width * width, []).append(item)
    rows = [_candle(start, trades) for start, trades in sorted(candles.items(), reverse=True)]
    return {"candles": rows[:CANDLES_MAX]}


def _candle(start: int, trades: list[Print]) -> dict[str, str]:
    prices = [item.price for item in trades]
    corners = {"low": min(prices), "high": max(prices), "open": prices[0], "close": prices[-1]}
    volume = sum((item.quantity for item in trades), Decimal(0))
    return {"start": str(start), **{name: plain(price) for name, price in corners.items()}, "volume": plain(volume)}


# path, in which {} stands for one part: handler
PUBLIC: dict[str, Handler] = {
    "/v2/time": _old_time,
    "/v2/currencies": _fiat_currencies,
    "/v2/currencies/crypto": _crypto_currencies,
    "/v2/exchange-rates": _exchange_rates,
    "/api/v3/brokerage/time": _time,
    "/api/v3/brokerage/market/products": _products,
    "/api/v3/brokerage/market/product_book": _book,
    "/api/v3/brokerage/market/products/{}": _product,
    "/api/v3/brokerage/market/products/{}/ticker": _trades,
    "/api/v3/brokerage/market/products/{}/candles": _candles,
}
# The same for who signs: without the delay that the unsigned ones are cached for at the real exchange.
SIGNED: dict[str, Handler] = {
    path.replace("/market/", "/"): handler for path, handler in PUBLIC.items() if "/market/" in path
}
