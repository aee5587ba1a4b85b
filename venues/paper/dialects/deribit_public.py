"""Deribit's unsigned endpoints."""

from collections.abc import Callable
from typing import Any

from venues.paper.dialects import deribit_rules as rules
from venues.paper.dialects import deribit_shapes as shapes
from venues.paper.world import World

Params = dict[str, str]
TOKEN_SECONDS = 900
VERSION = {"version": "1.2.26"}


def _time(world: World, params: Params) -> Any:
    return world.venue_now() // 1000


def _test(world: World, params: Params) -> Any:
    return VERSION


def _status(world: World, params: Params) -> Any:
    is_locked = world.faults.stands("maintenance", "create_order")
    return {"locked": "true" if is_locked else "false", "locked_indices": []}


def _currencies(world: World, params: Params) -> Any:
    return [
        {
            "currency": name,
            "currency_long": name,
            "coin_type": name,
            "min_confirmations": 1,
            "withdrawal_fee": 0.0,
            "fee_precision": 4,
            "in_cross_collateral_pool": False,
        }
        for name in shapes.currencies_of(world)
    ]


def _instruments(world: World, params: Params) -> Any:
    now = world.venue_now()
    return [shapes.instrument(market, world.exchange, now) for market in rules.markets_of(world, params)]


def _instrument(world: World, params: Params) -> Any:
    return shapes.instrument(rules.market_of(world, params), world.exchange, world.venue_now())


def _order_book(world: World, params: Params) -> Any:
    state = world.engine.markets[rules.market_of(world, params).symbol]
    depth = int(rules.number_of(params, "depth") or 5)
    return shapes.ticker(state, world.venue_now()) | {
        "change_id": state.book.revision,
        "bids": [[float(price), float(quantity)] for price, quantity in state.book.depth("buy", depth)],
        "asks": [[float(price), float(quantity)] for price, quantity in state.book.depth("sell", depth)],
    }


def _ticker(world: World, params: Params) -> Any:
    return shapes.ticker(world.engine.markets[rules.market_of(world, params).symbol], world.venue_now())


def _summaries(world: World, params: Params) -> Any:
    rows = []
    for market in rules.markets_of(world, params):
        row = shapes.ticker(world.engine.markets[market.symbol], world.venue_now())
        row |= {"last": row["last_price"], "bid_price": row["best_bid_price"], "ask_price": row["best_ask_price"]}
        rows.append(
            row | {"base_currency": market.base, "quote_currency": market.quote, "volume": row["stats"]["volume"]}
        )
    return rows


def _last_trades(world: World, params: Params) -> Any:
    state = world.engine.markets[rules.market_of(world, params).symbol]
    wanted = rules.count_of(params, 10, 1000)
    newest = list(state.prints)[-wanted:]
    rows = [shapes.public_trade(item, state.market) for item in reversed(newest)]
    return {"trades": rows, "has_more": len(state.prints) > wanted}


def authorised(world: World, params: dict[str, Any]) -> Any:
    """Check a key and give it a token."""
    key = rules.check_client_signature(world, params)
    token = world.random_text(43)
    world.tokens[token] = key.api_key
    world.later(TOKEN_SECONDS, lambda: world.tokens.pop(token, None))
    return {
        "access_token": token,
        "refresh_token": world.random_text(43),
        "expires_in": TOKEN_SECONDS,
        "scope": f"{rules.scope_of(key)} connection mainaccount",
        "token_type": "bearer",
    }


PUBLIC: dict[str, Callable[[World, Params], Any]] = {
    "/api/v2/public/get_time": _time,
    "/api/v2/public/test": _test,
    "/api/v2/public/status": _status,
    "/api/v2/public/get_currencies": _currencies,
    "/api/v2/public/get_instruments": _instruments,
    "/api/v2/public/get_instrument": _instrument,
    "/api/v2/public/get_order_book": _order_book,
    "/api/v2/public/ticker": _ticker,
    "/api/v2/public/get_book_summary_by_currency": _summaries,
    "/api/v2/public/get_last_trades_by_instrument": _last_trades,
    "/api/v2/public/get_last_trades_by_instrument_and_time": _last_trades,
    "/api/v2/public/auth": authorised,
}
