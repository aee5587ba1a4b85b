"""How Binance shows orders, trades, balances and instruments."""

from decimal import Decimal
from typing import Any

from venues.paper.markets import Market, decimals
from venues.paper.orders import NOTHING, TRIGGER_TYPES, Fact, Fill, Order, OrderRequest, Version
from venues.paper.world import World

Shape = dict[str, Any]
STATUSES = {
    "new": "NEW",
    "partially_filled": "PARTIALLY_FILLED",
    "filled": "FILLED",
    "cancelled": "CANCELED",
    "expired": "EXPIRED",
}
EXECUTIONS = {
    "accepted": "NEW",
    "triggered": "NEW",
    "amended": "REPLACED",
    "filled": "TRADE",
    "cancelled": "CANCELED",
    "expired": "EXPIRED",
}
ORDER_TYPES = {
    "limit": "LIMIT",
    "market": "MARKET",
    "stop": "STOP_LOSS",
    "stop_limit": "STOP_LOSS_LIMIT",
    "take_profit": "TAKE_PROFIT",
    "take_profit_limit": "TAKE_PROFIT_LIMIT",
    "trailing_stop": "STOP_LOSS",
}

INSTRUMENT_ORDER_TYPES = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)
_DELTA_MINIMUMS = ("minTrailingAboveDelta", "minTrailingBelowDelta")
_DELTA_MAXIMUMS = ("maxTrailingAboveDelta", "maxTrailingBelowDelta")


def eight(number: Decimal) -> str:
    """Return a number with the eight decimal places that Binance writes."""
    return f"{number:.8f}"


def milliseconds(at: int) -> int:
    """Return microseconds as milliseconds."""
    return at // 1000


def order_type(request: OrderRequest) -> str:
    """Return Binance's word for an order's type."""
    return "LIMIT_MAKER" if request.post_only else ORDER_TYPES[request.type]


def order(shown: Order, version: Version, market: Market) -> Shape:
    """Return an order as the order endpoints show it."""
    request = version.request
    shape: Shape = {
        "symbol": market.venue_id,
        "orderId": shown.number,
        "orderListId": -1,
        "clientOrderId": request.client_order_id,
        "price": eight(request.price or NOTHING),
        "origQty": eight(request.quantity),
        "executedQty": eight(version.executed),
        "cummulativeQuoteQty": eight(version.cost),
        "status": STATUSES[version.status],
        "timeInForce": request.time_in_force,
        "type": order_type(request),
        "side": shown.side.upper(),
        "stopPrice": _stop_price(shown),
        "icebergQty": "0.00000000",
        "time": milliseconds(shown.created_at),
        "updateTime": milliseconds(version.at),
        "isWorking": version.is_working,
        "workingTime": milliseconds(shown.working_at) if version.is_working else -1,
        "origQuoteOrderQty": "0.00000000",
        "selfTradePreventionMode": "NONE",
    }
    if request.trailing_bips is not None:
        shape["trailingDelta"] = request.trailing_bips
        shape["trailingTime"] = milliseconds(shown.created_at) if shown.is_tracking else -1
    return shape


def _stop_price(shown: Order) -> str:
    return "0.00000000" if shown.trigger_price is None else eight(shown.trigger_price)


def amended(shown: Order, version: Version, market: Market, original_client_id: str) -> Shape:
    """Return the answer to an amendment that kept its place."""
    full = order(shown, version, market)
    return {
        "transactTime": milliseconds(version.at),
        "executionId": _execution_id(shown, version),
        "amendedOrder": {
            "symbol": market.venue_id,
            "orderId": shown.number,
            "orderListId": -1,
            "origClientOrderId": original_client_id,
            "clientOrderId": full["clientOrderId"],
            "price": full["price"],
            "qty": full["origQty"],
            "executedQty": full["executedQty"],
            "preventedQty": "0.00000000",
            "quoteOrderQty": "0.00000000",
            "cumulativeQuoteQty": full["cummulativeQuoteQty"],
            "status": full["status"],
            "timeInForce": full["timeInForce"],
            "type": full["type"],
            "side": full["side"],
            "workingTime": full["workingTime"],
            "selfTradePreventionMode": "NONE",
        },
    }


def _execution_id(shown: Order, version: Version) -> int:
    return shown.number * 10 + version.fills


def placed(shown: Order, version: Version, market: Market, response_type: str) -> Shape:
    """Return the answer to a new order in the form asked for: ACK, RESULT or FULL."""
    answer: Shape = {
        "symbol": market.venue_id,
        "orderId": shown.number,
        "orderListId": -1,
        "clientOrderId": version.request.client_order_id,
        "transactTime": milliseconds(version.at),
    }
    if response_type == "ACK":
        return answer
    full = order(shown, version, market)
    answer |= {name: full[name] for name in _PLACED_FIELDS}
    if version.request.type in TRIGGER_TYPES:
        answer |= {name: full[name] for name in ("stopPrice", "trailingDelta", "trailingTime") if name in full}
    if response_type == "FULL":
        answer["fills"] = [
            {
                "price": eight(fill.price),
                "qty": eight(fill.quantity),
                "commission": eight(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_number,
            }
            for fill in shown.fills[: version.fills]
        ]
    return answer


_PLACED_FIELDS = (
    "price",
    "origQty",
    "executedQty",
    "origQuoteOrderQty",
    "cummulativeQuoteQty",
    "status",
    "timeInForce",
    "type",
    "side",
    "workingTime",
    "selfTradePreventionMode",
)


def trade(fill: Fill, market: Market) -> Shape:
    """Return an own trade as myTrades shows it."""
    return {
        "symbol": market.venue_id,
        "id": fill.trade_number,
        "orderId": fill.order.number,
        "orderListId": -1,
        "price": eight(fill.price),
        "qty": eight(fill.quantity),
        "quoteQty": eight(fill.cost),
        "commission": eight(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": milliseconds(fill.at),
        "isBuyer": fill.order.side == "buy",
        "isMaker": fill.liquidity == "maker",
        "isBestMatch": True,
    }


def execution_report(fact: Fact, shown: Order, version: Version, market: Market, now: int) -> Shape:
    """Return the user stream's event about an order."""
    fill, request = fact.fill, version.request
    current, original = request.client_order_id, ""
    if fact.kind == "cancelled":
        current, original = version.reason, request.client_order_id
    elif fact.before is not None:
        original = fact.before.client_order_id
    report: Shape = {
        "e": "executionReport",
        "E": milliseconds(now),
        "s": market.venue_id,
        "c": current,
        "S": shown.side.upper(),
        "o": order_type(request),
        "f": request.time_in_force,
        "q": eight(request.quantity),
        "p": eight(request.price or NOTHING),
        "P": _stop_price(shown),
        "F": "0.00000000",
        "g": -1,
        "C": original,
        "x": EXECUTIONS[fact.kind],
        "X": STATUSES[version.status],
        "r": "NONE",
        "i": shown.number,
        "l": eight(fill.quantity) if fill else "0.00000000",
        "z": eight(version.executed),
        "L": eight(fill.price) if fill else "0.00000000",
        "n": eight(fill.fee) if fill else "0",
        "N": fill.fee_asset if fill else None,
        "T": milliseconds(fact.at),
        "t": fill.trade_number if fill else -1,
        "I": _execution_id(shown, version),
        "w": version.is_working and version.status in ("new", "partially_filled"),
        "m": fill is not None and fill.liquidity == "maker",
        "M": False,
        "O": milliseconds(shown.created_at),
        "Z": eight(version.cost),
        "Y": eight(fill.cost) if fill else "0.00000000",
        "Q": "0.00000000",
        "V": "NONE",
    }
    if version.is_working:
        report["W"] = milliseconds(shown.working_at)
    if request.trailing_bips is not None:
        report["d"] = request.trailing_bips
    return report


def balances(
    world: World,
    api_key: str,
    assets: tuple[str, ...] | list[str],
    names: tuple[str, str, str],
    moment: int | None = None,
) -> list[Shape]:
    """Return balances at a moment, or now, under the field names given for asset, free and locked."""
    account = world.engine.accounts[api_key]
    rows = []
    for asset in assets:
        total, held = account.visible_balance(asset, world.now() if moment is None else moment)
        rows.append({names[0]: asset, names[1]: eight(total - held), names[2]: eight(held)})
    return rows


def instrument(market: Market) -> Shape:
    """Return a market as exchangeInfo shows it."""
    price_step = eight(market.price_step)
    quantity_step = eight(market.quantity_step)
    return {
        "symbol": market.venue_id,
        "status": "TRADING",
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(INSTRUMENT_ORDER_TYPES),
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": price_step,
                "maxPrice": eight(market.price_max),
                "tickSize": price_step,
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": eight(market.quantity_min),
                "maxQty": eight(market.quantity_max),
                "stepSize": quantity_step,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": eight(market.notional_min),
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {
                "filterType": "TRAILING_DELTA",
                **dict.fromkeys(_DELTA_MINIMUMS, 10),
                **dict.fromkeys(_DELTA_MAXIMUMS, 2000),
            },
        ],
    }


def coin(asset: str) -> Shape:
    """Return an asset as the wallet endpoints show it, without any way to withdraw."""
    return {
        "coin": asset,
        "name": asset,
        "depositAllEnable": False,
        "withdrawAllEnable": False,
        "free": "0",
        "locked": "0",
        "freeze": "0",
        "withdrawing": "0",
        "ipoing": "0",
        "ipoable": "0",
        "storage": "0",
        "isLegalMoney": False,
        "trading": True,
        "networkList": [],
    }


def ticker(world: World, market: Market) -> Shape:
    """Return a market's rolling statistics; the day's open is its first price here."""
    state = world.engine.markets[market.symbol]
    bid, ask = state.book.depth("buy", 1), state.book.depth("sell", 1)
    last = state.last_price
    places = decimals(market.price_step)
    now = milliseconds(world.venue_now())
    return {
        "symbol": market.venue_id,
        "priceChange": eight(last - market.price_start),
        "priceChangePercent": f"{(last / market.price_start - 1) * 100:.3f}",
        "weightedAvgPrice": f"{last:.{places}f}",
        "prevClosePrice": eight(market.price_start),
        "lastPrice": eight(last),
        "lastQty": eight(state.prints[-1].quantity) if state.prints else "0.00000000",
        "bidPrice": eight(bid[0][0]) if bid else "0.00000000",
        "bidQty": eight(bid[0][1]) if bid else "0.00000000",
        "askPrice": eight(ask[0][0]) if ask else "0.00000000",
        "askQty": eight(ask[0][1]) if ask else "0.00000000",
        "openPrice": eight(market.price_start),
        "highPrice": eight(max(last, market.price_start)),
        "lowPrice": eight(min(last, market.price_start)),
        "volume": eight(sum((item.quantity for item in state.prints), Decimal(0))),
        "quoteVolume": eight(sum((item.quantity * item.price for item in state.prints), Decimal(0))),
        "openTime": now - 86_400_000,
        "closeTime": now,
        "firstId": 1,
        "lastId": state.trade_number,
        "count": state.prints_total,
    }
