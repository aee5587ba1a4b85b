"""How Bybit shows orders, executions, wallets and instruments."""

from decimal import Decimal
from typing import Any

from venues.paper.accounts import Transfer, movements
from venues.paper.markets import Exchange, Market, decimals
from venues.paper.orders import NOTHING, TRIGGER_TYPES, WOULD_TAKE, Fill, Order, Version
from venues.paper.world import World

Shape = dict[str, Any]
OPEN_STATUSES = {"new": "New", "partially_filled": "PartiallyFilled", "filled": "Filled"}
CONDITIONAL = "tpslOrder"


def milliseconds(at: int) -> str:
    """Return microseconds as the milliseconds that Bybit writes, in a text."""
    return str(at // 1000)


def plain(number: Decimal) -> str:
    """Return a decimal without an exponent and without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def eight(number: Decimal) -> str:
    """Return a number with eight decimal places."""
    return f"{number:.8f}"


def order_status(version: Version) -> str:
    """Return Bybit's word for where an order is."""
    if version.status in OPEN_STATUSES:
        return "Untriggered" if version.status == "new" and not version.is_working else OPEN_STATUSES[version.status]
    if version.reason == WOULD_TAKE:
        return "Rejected"
    if version.executed:
        return "PartiallyFilledCanceled"
    return "Cancelled" if version.is_working else "Deactivated"


def order(shown: Order, version: Version, market: Market) -> Shape:
    """Return a spot order as the order endpoints and the order topic show it."""
    request = version.request
    is_open = version.status in ("new", "partially_filled")
    leaves = max(request.quantity - version.executed, NOTHING) if is_open else NOTHING
    average = plain(_rounded(version.cost / version.executed, market)) if version.executed else ""
    fee_asset = shown.fills[0].fee_asset if shown.fills else ""
    return {
        "symbol": market.venue_id,
        "orderId": shown.order_id,
        "orderLinkId": request.client_order_id,
        "blockTradeId": "",
        "side": shown.side.capitalize(),
        "orderType": order_type(shown),
        "stopOrderType": _stop_type(shown),
        "price": _price(request.price or NOTHING, market),
        "qty": _quantity(request.quantity, market),
        "marketUnit": "baseCoin" if request.type == "market" else "",
        "timeInForce": time_in_force(shown),
        "orderStatus": order_status(version),
        "cancelType": "CancelByUser" if version.status == "cancelled" and version.reason != WOULD_TAKE else "UNKNOWN",
        "rejectReason": _reject_reason(version),
        "avgPrice": average,
        "leavesQty": _quantity(leaves, market),
        "leavesValue": plain(leaves * (request.price or NOTHING)),
        "cumExecQty": _quantity(version.executed, market),
        "cumExecValue": plain(version.cost),
        "cumExecFee": plain(version.fee),
        "cumFeeDetail": {fee_asset: plain(version.fee)} if version.fee else {},
        "triggerPrice": _price(shown.trigger_price or NOTHING, market),
        "triggerDirection": 0,
        "triggerBy": "",
        "takeProfit": "",
        "stopLoss": "",
        "isLeverage": "0",
        "positionIdx": 0,
        "orderIv": "",
        "lastPriceOnCreated": "",
        "reduceOnly": False,
        "closeOnTrigger": False,
        "placeType": "",
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "createdTime": milliseconds(shown.created_at),
        "updatedTime": milliseconds(version.at),
    }


def execution(fill: Fill, market: Market, exchange: Exchange) -> Shape:
    """Return an own trade as the execution list shows it."""
    shown = fill.order
    rate = exchange.maker_rate if fill.liquidity == "maker" else exchange.taker_rate
    leaves = shown.request.quantity
    for one in shown.fills:
        leaves -= one.quantity
        if one is fill:
            break
    return {
        "symbol": market.venue_id,
        "orderId": shown.order_id,
        "orderLinkId": shown.request.client_order_id,
        "side": shown.side.capitalize(),
        "orderPrice": _price(shown.request.price or NOTHING, market),
        "orderQty": _quantity(shown.request.quantity, market),
        "leavesQty": _quantity(max(leaves, NOTHING), market),
        "orderType": order_type(shown),
        "stopOrderType": _stop_type(shown),
        "execFee": plain(fill.fee),
        "execId": fill.trade_id,
        "execPrice": _price(fill.price, market),
        "execQty": _quantity(fill.quantity, market),
        "execType": "Trade",
        "execValue": plain(fill.cost),
        "execTime": milliseconds(fill.at),
        "feeCurrency": fill.fee_asset,
        "isMaker": fill.liquidity == "maker",
        "feeRate": plain(rate),
        "tradeIv": "",
        "markIv": "",
        "markPrice": "",
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": "",
        "seq": fill.trade_number,
    }


def order_type(shown: Order) -> str:
    """Return Bybit's word for an order's type; of one with a trigger it is the type after that."""
    return "Market" if shown.request.is_market else "Limit"


def time_in_force(shown: Order) -> str:
    """Return Bybit's word for how long an order works."""
    if shown.request.is_market:
        return "IOC"
    return "PostOnly" if shown.request.post_only else shown.request.time_in_force


def wallet(world: World, api_key: str, assets: list[str], moment: int | None = None) -> Shape:
    """Return the unified account with some of its coins at a moment, or now."""
    account = world.engine.accounts[api_key]
    now = world.now() if moment is None else moment
    rows = [(asset, *account.visible_balance(asset, now)) for asset in assets]
    sums = ("totalEquity", "totalWalletBalance", "totalMarginBalance", "totalAvailableBalance")
    worth = plain(sum((total * _worth(world, asset) for asset, total, _ in rows), NOTHING))
    return {
        "accountType": "UNIFIED",
        **dict.fromkeys(sums, worth),
        **dict.fromkeys(("accountIMRate", "accountMMRate", "accountLTV"), "0"),
        **dict.fromkeys(("totalPerpUPL", "totalInitialMargin", "totalMaintenanceMargin"), "0"),
        "coin": [_coin(world, asset, total, held) for asset, total, held in rows],
    }


def instrument(market: Market) -> Shape:
    """Return a market as instruments-info shows it."""
    return {
        "symbol": market.venue_id,
        "baseCoin": market.base,
        "quoteCoin": market.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "none",
        "lotSizeFilter": {
            "basePrecision": plain(market.quantity_step),
            "quotePrecision": "0.00000001",
            "minOrderQty": plain(market.quantity_min),
            "maxOrderQty": plain(market.quantity_max),
            "minOrderAmt": plain(market.notional_min),
            "maxOrderAmt": "8000000",
        },
        "priceFilter": {"tickSize": plain(market.price_step)},
        "riskParameters": {"priceLimitRatioX": "0.5", "priceLimitRatioY": "0.5"},
    }


def ticker(world: World, market: Market) -> Shape:
    """Return a market's rolling statistics; the day's open is its first price here."""
    state = world.engine.markets[market.symbol]
    bid, ask = state.book.depth("buy", 1), state.book.depth("sell", 1)
    last, start = state.last_price, market.price_start
    return {
        "symbol": market.venue_id,
        "bid1Price": plain(bid[0][0]) if bid else "",
        "bid1Size": plain(bid[0][1]) if bid else "",
        "ask1Price": plain(ask[0][0]) if ask else "",
        "ask1Size": plain(ask[0][1]) if ask else "",
        "lastPrice": plain(last),
        "prevPrice24h": plain(start),
        "price24hPcnt": f"{last / start - 1:.4f}",
        "highPrice24h": plain(max(last, start)),
        "lowPrice24h": plain(min(last, start)),
        "turnover24h": plain(sum((item.quantity * item.price for item in state.prints), NOTHING)),
        "volume24h": plain(sum((item.quantity for item in state.prints), NOTHING)),
    }


def _coin(world: World, asset: str, total: Decimal, held: Decimal) -> Shape:
    zeros = ("totalOrderIM", "totalPositionIM", "totalPositionMM", "unrealisedPnl", "cumRealisedPnl", "bonus")
    return {
        "coin": asset,
        "equity": eight(total),
        "walletBalance": eight(total),
        "locked": eight(held),
        "usdValue": plain(total * _worth(world, asset)),
        "availableToWithdraw": "",
        "availableToBorrow": "",
        **dict.fromkeys(("borrowAmount", "accruedInterest", "spotHedgingQty", *zeros), "0"),
        "marginCollateral": True,
        "collateralSwitch": False,
    }


def _worth(world: World, asset: str) -> Decimal:
    state = world.engine.markets.get(f"{asset}/USDT")
    return state.last_price if state else Decimal(1)


def _stop_type(shown: Order) -> str:
    return CONDITIONAL if shown.request.type in TRIGGER_TYPES else ""


def _reject_reason(version: Version) -> str:
    if version.reason == WOULD_TAKE:
        return "EC_PostOnlyWillTakeLiquidity"
    if version.status == "expired":
        return "EC_CancelForNoFullFill" if version.request.time_in_force == "FOK" else "EC_NoImmediateQtyToFill"
    return "EC_PerCancelRequest" if version.status == "cancelled" else "EC_NoError"


def _price(price: Decimal, market: Market) -> str:
    return f"{price:.{decimals(market.price_step)}f}" if price else "0"


def _rounded(price: Decimal, market: Market) -> Decimal:
    return price.quantize(market.price_step * Decimal("0.0001"))


def _quantity(quantity: Decimal, market: Market) -> str:
    return f"{quantity:.{decimals(market.quantity_step)}f}"


def transactions(one: Transfer | Fill) -> list[Shape]:
    """Return the rows of the log about a transfer, or about both coins of a trade."""
    if isinstance(one, Transfer):
        name = "TRANSFER_IN" if one.amount >= 0 else "TRANSFER_OUT"
        return [_transaction(f"{one.number:06d}_{one.asset}_MOVED", name, one.at, one.asset, one.told, one.fee)]
    return [
        _transaction(
            f"{one.trade_id}_{asset}", "TRADE", one.at, asset, amount, one.fee if asset == one.fee_asset else NOTHING
        )
        for asset, amount in movements(one).items()
    ]


def _transaction(key: str, kind: str, at: int, asset: str, change: Decimal, fee: Decimal) -> Shape:
    return {
        "id": key,
        "symbol": "",
        "category": "spot",
        "side": "None",
        "transactionTime": milliseconds(at),
        "type": kind,
        "transSubType": "",
        "qty": plain(abs(change)),
        "currency": asset,
        "funding": "",
        "fee": plain(fee),
        "cashFlow": plain(change + fee),
        "change": plain(change),
        "bonusChange": "",
    }
