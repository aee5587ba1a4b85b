"""How Kraken shows orders, trades, instruments and execution reports."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from venues.paper.dialects.kraken_rules import ASSET_NAMES, asset_id, ws_name
from venues.paper.markets import Exchange, Market, decimals
from venues.paper.orders import Fact, Fill, Order, Version

Shape = dict[str, Any]
STATUSES = {
    "new": "open",
    "partially_filled": "open",
    "filled": "closed",
    "cancelled": "canceled",
    "expired": "canceled",
}
STREAM_STATUSES = {
    "new": "new",
    "partially_filled": "partially_filled",
    "filled": "filled",
    "cancelled": "canceled",
    "expired": "canceled",
}


def seconds(at: int) -> float:
    """Return microseconds as seconds."""
    return at / 1_000_000


def iso(at: int) -> str:
    """Return microseconds as Kraken's text form."""
    return datetime.fromtimestamp(at / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def eight(number: Decimal) -> str:
    """Return a number with eight decimal places."""
    return f"{number:.8f}"


def average(version: Version) -> Decimal:
    """Return the average price of what was executed, 0 for nothing."""
    return version.cost / version.executed if version.executed else Decimal(0)


def sentence(order: Order, market: Market) -> str:
    """Return Kraken's one-line description of an order."""
    start = f"{order.side} {eight(order.request.quantity)} {market.venue_id} @"
    return f"{start} market" if order.request.type == "market" else f"{start} limit {_price(order.price, market)}"


def order(shown: Order, version: Version, market: Market, with_trades: bool = False) -> Shape:
    """Return an order as the order endpoints show it."""
    is_market = shown.request.type == "market"
    client_order_id = shown.request.client_order_id
    shape: Shape = {
        "refid": None,
        "userref": None,
        **({"cl_ord_id": client_order_id} if client_order_id else {}),
        "status": STATUSES[version.status],
        "opentm": seconds(shown.created_at),
        "starttm": 0,
        "expiretm": 0,
        "descr": {
            "pair": market.venue_id,
            "type": shown.side,
            "ordertype": shown.request.type,
            "price": "0" if is_market else _price(shown.price, market),
            "price2": "0",
            "leverage": "none",
            "order": sentence(shown, market),
            "close": "",
        },
        "vol": eight(shown.request.quantity),
        "vol_exec": eight(version.executed),
        "cost": eight(version.cost),
        "fee": eight(version.fee),
        "price": eight(average(version)),
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": oflags(shown),
    }
    if STATUSES[version.status] != "open":
        shape |= {"reason": version.reason or None, "closetm": seconds(version.at)}
    if with_trades:
        shape["trades"] = [fill.trade_id for fill in shown.fills[: version.fills]]
    return shape


def oflags(shown: Order) -> str:
    """Return an order's flags as Kraken writes them."""
    fee_flag = "fcib" if shown.request.fee_preference == "base" else "fciq"
    return f"{fee_flag},post" if shown.request.post_only else fee_flag


def trade(fill: Fill, market: Market) -> Shape:
    """Return an own trade as TradesHistory shows it."""
    return {
        "ordertxid": fill.order.order_id,
        "postxid": "TKH2SE-M7IF5-CFI7LT",
        "pair": market.venue_id,
        "time": seconds(fill.at),
        "type": fill.order.side,
        "ordertype": fill.order.request.type,
        "price": _price(fill.price, market),
        "cost": eight(fill.cost),
        "fee": eight(fill.fee),
        "vol": eight(fill.quantity),
        "margin": "0.00000",
        "leverage": "0",
        "misc": "",
        "trade_id": fill.trade_number,
        "maker": fill.liquidity == "maker",
    }


def instrument(market: Market, exchange: Exchange) -> Shape:
    """Return a market as AssetPairs shows it."""
    return {
        "altname": market.venue_id,
        "wsname": ws_name(market),
        "aclass_base": "currency",
        "base": asset_id(market.base),
        "aclass_quote": "currency",
        "quote": asset_id(market.quote),
        "lot": "unit",
        "cost_decimals": 8,
        "pair_decimals": decimals(market.price_step),
        "lot_decimals": decimals(market.quantity_step),
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, float(exchange.taker_rate * 100)]],
        "fees_maker": [[0, float(exchange.maker_rate * 100)]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": f"{market.quantity_min:f}",
        "costmin": f"{market.notional_min:f}",
        "tick_size": f"{market.price_step:f}",
        "status": "online",
    }


def asset(name: str) -> Shape:
    """Return an asset as Assets shows it."""
    precise = 8 if name == "USDT" else 10
    return {
        "aclass": "currency",
        "altname": ASSET_NAMES.get(name, name),
        "decimals": precise,
        "display_decimals": 5,
        "status": "enabled",
    }


def execution_reports(fact: Fact, shown: Order, version: Version, market: Market) -> list[Shape]:
    """Return the executions channel's rows about a fact: some facts make two."""
    if fact.kind == "accepted":
        return [opening_report(shown, version, market, "pending_new"), _brief_report(shown, version, "new")]
    if fact.fill is not None:
        rows = [trade_report(fact.fill, version, market)]
        if version.status == "filled":
            rows.append(_brief_report(shown, version, "filled"))
        return rows
    ended = _brief_report(shown, version, "canceled")
    return [ended | {"cancel_reason": version.reason, "reason": version.reason}]


def opening_report(shown: Order, version: Version, market: Market, execution: str) -> Shape:
    """Return the row that tells everything about an order."""
    row = _brief_report(shown, version, execution) | {
        "symbol": market.symbol,
        "order_qty": float(shown.request.quantity),
        "time_in_force": shown.request.time_in_force,
        "side": shown.side,
        "order_type": shown.request.type,
        "post_only": shown.request.post_only,
        "fee_ccy_pref": oflags(shown).split(",")[0],
    }
    if shown.request.type != "market":
        row |= {"limit_price_type": "static", "limit_price": float(shown.price)}
    return row


def trade_report(fill: Fill, version: Version, market: Market) -> Shape:
    """Return the row about one trade."""
    shown = fill.order
    return _brief_report(shown, version, "trade") | {
        "timestamp": iso(fill.at),
        "exec_id": fill.trade_id,
        "trade_id": fill.trade_number,
        "symbol": market.symbol,
        "side": shown.side,
        "order_qty": float(shown.request.quantity),
        "last_qty": float(fill.quantity),
        "last_price": float(fill.price),
        "liquidity_ind": "m" if fill.liquidity == "maker" else "t",
        "cost": float(fill.cost),
        "order_type": shown.request.type,
        "fees": [{"asset": fill.fee_asset, "qty": float(fill.fee)}],
    }


def _brief_report(shown: Order, version: Version, execution: str) -> Shape:
    client_order_id = shown.request.client_order_id
    fee_price = average(version) if shown.request.fee_preference == "base" else Decimal(1)
    return {
        "timestamp": iso(version.at),
        "order_status": "pending_new" if execution == "pending_new" else STREAM_STATUSES[version.status],
        "exec_type": execution,
        "order_userref": 0,
        "order_id": shown.order_id,
        **({"cl_ord_id": client_order_id} if client_order_id else {}),
        "cum_qty": float(version.executed),
        "cum_cost": float(version.cost),
        "avg_price": float(average(version)),
        "fee_usd_equiv": float(version.fee * fee_price),
    }


def _price(price: Decimal, market: Market) -> str:
    return f"{price:.{decimals(market.price_step)}f}"
