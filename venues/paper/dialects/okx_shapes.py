"""How OKX shows orders, trades, balances and instruments."""

from bisect import bisect_left
from decimal import Decimal
from operator import attrgetter
from typing import Any

from venues.paper.accounts import Account, Transfer, movements
from venues.paper.markets import Market
from venues.paper.orders import NOTHING, RAN_OUT, WOULD_TAKE, Fill, Order, OrderRequest, Version
from venues.paper.world import World

Shape = dict[str, Any]
STATES = {
    "new": "live",
    "partially_filled": "partially_filled",
    "filled": "filled",
    "cancelled": "canceled",
    "expired": "canceled",
}
CANCEL_SOURCES = {RAN_OUT: "20", WOULD_TAKE: "31"}
CHILD_OFFSET = 500
FIRST_BILL = 700_000_000_000_000_000
FIRST_MOVED_BILL = 600_000_000_000_000_000


def text(number: Decimal) -> str:
    """Return a number as OKX writes it: plain, without zeros at the end."""
    return f"{number.normalize():f}"


def eight(number: Decimal) -> str:
    """Return a number with eight decimal places."""
    return f"{number:.8f}"


def milliseconds(at: int) -> str:
    """Return microseconds as milliseconds."""
    return str(at // 1000)


def is_algo(order: Order) -> bool:
    """Tell whether an order is an algo order, which places another one once it is triggered."""
    return order.request.type not in ("limit", "market")


def child_id(order: Order) -> str:
    """Return the id of the order that an algo order placed when it was triggered; a plain order's own."""
    return str(int(order.order_id) + CHILD_OFFSET) if is_algo(order) else order.order_id


def order_type(request: OrderRequest) -> str:
    """Return OKX's word for what an order does in the book."""
    if request.is_market:
        return "market"
    if request.post_only:
        return "post_only"
    return {"IOC": "ioc", "FOK": "fok"}.get(request.time_in_force, "limit")


def order(shown: Order, version: Version, market: Market) -> Shape:
    """Return an order as the order endpoints show it; of an algo order, the one it placed."""
    request, is_child = version.request, is_algo(shown)
    last = shown.fills[version.fills - 1] if version.fills else None
    base, quote = market.base, market.quote
    return {
        "instType": "SPOT",
        "instId": market.venue_id,
        "tgtCcy": "base_ccy" if request.is_market else "",
        "ccy": "",
        "ordId": child_id(shown),
        "clOrdId": "" if is_child else request.client_order_id,
        "tag": "",
        "px": "" if request.is_market else text(request.price or NOTHING),
        "sz": text(request.quantity),
        "pnl": "0",
        "ordType": order_type(request),
        "side": shown.side,
        "posSide": "net",
        "tdMode": "cash",
        "accFillSz": text(version.executed),
        "fillPx": text(last.price) if last else "",
        "tradeId": last.trade_id if last else "",
        "fillSz": text(last.quantity) if last else "0",
        "fillTime": milliseconds(last.at) if last else "",
        "avgPx": text((version.cost / version.executed).quantize(market.price_step)) if version.executed else "",
        "state": STATES[version.status],
        "lever": "",
        "algoId": shown.order_id if is_child else "",
        "algoClOrdId": request.client_order_id if is_child else "",
        "attachAlgoClOrdId": "",
        "attachAlgoOrds": [],
        "tpTriggerPx": "",
        "tpOrdPx": "",
        "slTriggerPx": "",
        "slOrdPx": "",
        "feeCcy": base if shown.side == "buy" else quote,
        "fee": text(-version.fee),
        "rebateCcy": quote if shown.side == "buy" else base,
        "rebate": "0",
        "source": "7" if is_child else "",
        "category": "normal",
        "reduceOnly": "false",
        "cancelSource": _cancel_source(version),
        "cancelSourceReason": version.reason if version.status in ("cancelled", "expired") else "",
        "stpMode": "cancel_maker",
        "uTime": milliseconds(version.at),
        "cTime": milliseconds(shown.working_at if is_child else shown.created_at),
    }


def order_update(shown: Order, version: Version, market: Market, fill: Fill | None, is_amended: bool) -> Shape:
    """Return an order as the orders channel tells of it: with the fill that caused the news, if one did."""
    told = {
        "fillPx": text(fill.price) if fill else "",
        "tradeId": fill.trade_id if fill else "",
        "fillSz": text(fill.quantity) if fill else "0",
        "fillTime": milliseconds(fill.at) if fill else "",
        "fillFee": text(-fill.fee) if fill else "0",
        "fillFeeCcy": fill.fee_asset if fill else "",
        "fillPnl": "0",
        "fillNotionalUsd": "",
        "execType": _liquidity(fill) if fill else "",
        "amendResult": "0" if is_amended else "",
        "amendSource": "1" if is_amended else "",
        "reqId": "",
        "code": "0",
        "msg": "",
        "notionalUsd": "",
    }
    return order(shown, version, market) | told


def algo(shown: Order, version: Version, market: Market, last_price: Decimal) -> Shape:
    """Return an algo order as the algo endpoints show it."""
    request = version.request
    is_target = request.type.startswith("take_profit")
    mine, other = ("tp", "sl") if is_target else ("sl", "tp")
    trigger = "" if shown.trigger_price is None else text(shown.trigger_price)
    limit = "-1" if request.is_market else text(request.price or NOTHING)
    is_child = version.is_working
    shape: Shape = {
        "algoId": shown.order_id,
        "algoClOrdId": request.client_order_id,
        "clOrdId": "",
        "instType": "SPOT",
        "instId": market.venue_id,
        "ordId": child_id(shown) if is_child else "",
        "ordIdList": [child_id(shown)] if is_child else [],
        "ordType": "move_order_stop" if request.is_trailing else "conditional",
        "state": "effective" if is_child else STATES[version.status],
        "side": shown.side,
        "posSide": "net",
        "tdMode": "cash",
        "tgtCcy": "base_ccy" if request.is_market else "",
        "ccy": "",
        "tag": "",
        "sz": text(request.quantity),
        "actualSz": text(request.quantity) if is_child else "",
        "actualPx": "",
        "actualSide": mine if is_child else "",
        "triggerPx": "",
        "ordPx": "",
        "last": text(last_price),
        "callbackSpread": "",
        "callbackRatio": "",
        "activePx": "",
        "moveTriggerPx": "",
        "failCode": "0",
        "triggerTime": milliseconds(shown.working_at) if is_child else "",
        "cTime": milliseconds(shown.created_at),
        "uTime": milliseconds(version.at),
    }
    for prefix in (mine, other):
        shape |= dict.fromkeys((f"{prefix}TriggerPx", f"{prefix}OrdPx", f"{prefix}TriggerPxType"), "")
    if request.is_trailing:
        offset, bips = request.trailing_offset, request.trailing_bips
        shape |= {
            "callbackSpread": text(offset) if offset is not None else "",
            "callbackRatio": text(Decimal(bips) / 10_000) if bips is not None else "",
            "activePx": text(request.trigger_price) if request.trigger_price is not None else "",
            "moveTriggerPx": trigger,
        }
    else:
        shape |= {f"{mine}TriggerPx": trigger, f"{mine}OrdPx": limit, f"{mine}TriggerPxType": "last"}
    return shape


def fill(world: World, account: Account, shown: Fill) -> Shape:
    """Return an own trade as the fills endpoints show it."""
    order_shown = shown.order
    rate = world.exchange.maker_rate if shown.liquidity == "maker" else world.exchange.taker_rate
    return {
        "instType": "SPOT",
        "instId": world.engine.markets[order_shown.request.symbol].market.venue_id,
        "tradeId": shown.trade_id,
        "ordId": child_id(order_shown),
        "clOrdId": "" if is_algo(order_shown) else order_shown.request.client_order_id,
        "billId": bill_id(account, shown),
        "subType": "1" if order_shown.side == "buy" else "2",
        "tag": "",
        "fillPx": text(shown.price),
        "fillSz": text(shown.quantity),
        "fillPnl": "0",
        "side": order_shown.side,
        "posSide": "net",
        "execType": _liquidity(shown),
        "feeCcy": shown.fee_asset,
        "fee": text(-shown.fee),
        "feeRate": text(-rate),
        "ts": milliseconds(shown.at),
        "fillTime": milliseconds(shown.at),
    }


def bill_id(account: Account, shown: Fill) -> str:
    """Return the number under which a fill stands in its account's history."""
    index = bisect_left(account.fills, shown.at, key=attrgetter("at"))
    while index < len(account.fills) and account.fills[index].trade_id != shown.trade_id:
        index += 1
    return str(FIRST_BILL + index)


def balance(world: World, api_key: str, assets: tuple[str, ...] | list[str], moment: int) -> Shape:
    """Return the trading account at a moment, with some of its assets."""
    account = world.engine.accounts[api_key]
    at = milliseconds(moment)
    details = []
    for asset in assets:
        total, held = account.visible_balance(asset, moment)
        names = {"eq": total, "cashBal": total, "availBal": total - held, "frozenBal": held, "ordFrozen": held}
        row = {"ccy": asset, **{name: eight(value) for name, value in names.items()}}
        details.append(row | {"availEq": "", "upl": "0", "liab": "0", "spotBal": row["cashBal"], "uTime": at})
    return {"adjEq": "", "details": details, "imr": "", "isoEq": "0", "mmr": "", "totalEq": "", "uTime": at}


def instrument(market: Market) -> Shape:
    """Return a market as public/instruments shows it."""
    empty = ("alias", "ctMult", "ctType", "ctVal", "ctValCcy", "expTime", "optType", "settleCcy", "stk", "uly")
    sizes = dict.fromkeys(
        ("maxIcebergSz", "maxLmtSz", "maxStopSz", "maxTriggerSz", "maxTwapSz"), text(market.quantity_max)
    )
    return {
        "instType": "SPOT",
        "instId": market.venue_id,
        "instFamily": "",
        "baseCcy": market.base,
        "quoteCcy": market.quote,
        "category": "1",
        "lever": "",
        "listTime": "1548133413000",
        "lotSz": text(market.quantity_step),
        "minSz": text(market.quantity_min),
        "maxMktSz": "1000000",
        "ruleType": "normal",
        "state": "live",
        "tickSz": text(market.price_step),
        **sizes,
        **dict.fromkeys(empty, ""),
    }


def ticker(world: World, market: Market) -> Shape:
    """Return a market's rolling statistics; the day's open is its first price here."""
    state = world.engine.markets[market.symbol]
    bid, ask = state.book.depth("buy", 1), state.book.depth("sell", 1)
    last, start = state.last_price, market.price_start
    volume = sum((item.quantity for item in state.prints), NOTHING)
    return {
        "instType": "SPOT",
        "instId": market.venue_id,
        "last": text(last),
        "lastSz": text(state.prints[-1].quantity) if state.prints else "0",
        "askPx": text(ask[0][0]) if ask else "",
        "askSz": text(ask[0][1]) if ask else "",
        "bidPx": text(bid[0][0]) if bid else "",
        "bidSz": text(bid[0][1]) if bid else "",
        "open24h": text(start),
        "high24h": text(max(last, start)),
        "low24h": text(min(last, start)),
        "volCcy24h": text(sum((item.quantity * item.price for item in state.prints), NOTHING)),
        "vol24h": text(volume),
        "sodUtc0": text(start),
        "sodUtc8": text(start),
        "ts": milliseconds(world.venue_now()),
    }


def _cancel_source(version: Version) -> str:
    if version.status == "expired":
        return CANCEL_SOURCES.get(version.reason, "14")
    return CANCEL_SOURCES.get(version.reason, "1") if version.status == "cancelled" else ""


def _liquidity(shown: Fill) -> str:
    return "M" if shown.liquidity == "maker" else "T"


def bills(world: World, account: Account, one: Transfer | Fill) -> list[Shape]:
    """Return the bills of a transfer, or of both assets of a trade; a fee is written as a negative number."""
    if isinstance(one, Transfer):
        kind = {"type": "1", "subType": "11" if one.amount >= 0 else "12", "notes": one.reference}
        return [_bill(str(FIRST_MOVED_BILL + one.number), one.at, one.asset, one.told, one.fee) | kind]
    symbol = world.engine.markets[one.order.request.symbol].market.venue_id
    return [
        _bill(f"{bill_id(account, one)}{number}", one.at, asset, amount, one.fee if asset == one.fee_asset else NOTHING)
        | {"type": "2", "subType": "1" if amount > 0 else "2", "notes": "", "instId": symbol, "tradeId": one.trade_id}
        for number, (asset, amount) in enumerate(movements(one).items())
    ]


def _bill(key: str, at: int, asset: str, change: Decimal, fee: Decimal) -> Shape:
    return {"billId": key, "ccy": asset, "balChg": text(change), "fee": text(-fee), "ts": milliseconds(at), "instId": "",
            "instType": "SPOT", "from": "", "to": "", "sz": text(abs(change)), "tradeId": "", "ordId": ""}  # fmt: skip
