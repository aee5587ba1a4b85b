"""How Kraken shows orders, trades, instruments and execution reports."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from venues.paper.accounts import Transfer, movements
from venues.paper.dialects.kraken_rules import ASSET_NAMES, asset_id, ws_name
from venues.paper.markets import Exchange, Market, decimals
from venues.paper.orders import NOTHING, RAN_OUT, TRIGGER_TYPES, Fact, Fill, Order, OrderRequest, Version

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
ORDER_TYPES = {
    "limit": "limit",
    "market": "market",
    "stop": "stop-loss",
    "stop_limit": "stop-loss-limit",
    "take_profit": "take-profit",
    "take_profit_limit": "take-profit-limit",
    "trailing_stop": "trailing-stop",
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


def sentence(request: OrderRequest, market: Market) -> str:
    """Return Kraken's one-line description of an order."""
    start = f"{request.side} {eight(request.quantity)} {market.venue_id} @"
    if request.type == "market":
        return f"{start} market"
    if request.type == "limit":
        return f"{start} limit {_price(request.price or NOTHING, market)}"
    words = ORDER_TYPES[request.type].removesuffix("-limit").replace("-", " ")
    trigger = _trigger_text(request, market)
    limit = f" -> limit {_price(request.price, market)}" if request.price is not None else ""
    return f"{start} {words} {trigger}{limit}"


def _trigger_text(request: OrderRequest, market: Market) -> str:
    if request.trailing_bips is not None:
        return f"+{Decimal(request.trailing_bips) / 100:.4f}%"
    if request.trailing_offset is not None:
        return f"+{_price(request.trailing_offset, market)}"
    return _price(request.trigger_price or NOTHING, market)


def order(shown: Order, version: Version, market: Market, with_trades: bool = False) -> Shape:
    """Return an order as the order endpoints show it."""
    request = version.request
    client_order_id = request.client_order_id
    is_triggered_type = request.type in TRIGGER_TYPES
    limit = "0" if request.price is None else _price(request.price, market)
    price, price2 = (_trigger_text(request, market), limit) if is_triggered_type else (limit, "0")
    shape: Shape = {
        "refid": None,
        "userref": None,
        **({"cl_ord_id": client_order_id} if client_order_id else {}),
        "status": "expired" if _ran_out(version) else STATUSES[version.status],
        "opentm": seconds(shown.created_at),
        "starttm": 0,
        "expiretm": 0 if request.expires_at is None else seconds(request.expires_at),
        "descr": {
            "pair": market.venue_id,
            "type": shown.side,
            "ordertype": ORDER_TYPES[request.type],
            "price": price,
            "price2": price2,
            "leverage": "none",
            "order": sentence(request, market),
            "close": "",
        },
        "vol": eight(request.quantity),
        "vol_exec": eight(version.executed),
        "cost": eight(version.cost),
        "fee": eight(version.fee),
        "price": eight(average(version)),
        "stopprice": _price(shown.trigger_price, market) if shown.trigger_price is not None else "0.00000",
        "limitprice": limit if is_triggered_type and request.price is not None else "0.00000",
        "misc": "stopped" if is_triggered_type and version.is_working else "",
        "oflags": oflags(shown),
    }
    if STATUSES[version.status] != "open":
        shape |= {"reason": version.reason or None, "closetm": seconds(version.at)}
    if with_trades:
        shape["trades"] = [fill.trade_id for fill in shown.fills[: version.fills]]
    return shape


def _ran_out(version: Version) -> bool:
    """Tell whether an order ended at the time it was given; the rest of one that must trade at once is canceled."""
    return version.status == "expired" and version.reason == RAN_OUT


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
        "ordertype": ORDER_TYPES[fill.order.request.type],
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
    if fact.kind == "triggered":
        status = {"order_status": "triggered"}
        return [opening_report(shown, version, market, "status") | status]
    if fact.kind == "amended":
        row = opening_report(shown, version, market, "amended")
        return [row | {"amended": True, "reason": version.reason}]
    if _ran_out(version):
        return [_brief_report(shown, version, "expired") | {"order_status": "expired", "reason": version.reason}]
    ended = _brief_report(shown, version, "canceled")
    return [ended | {"cancel_reason": version.reason, "reason": version.reason}]


def opening_report(shown: Order, version: Version, market: Market, execution: str) -> Shape:
    """Return the row that tells everything about an order."""
    request = version.request
    row = _brief_report(shown, version, execution) | {
        "symbol": market.symbol,
        "order_qty": float(request.quantity),
        "time_in_force": request.time_in_force,
        "side": shown.side,
        "order_type": ORDER_TYPES[request.type],
        "post_only": request.post_only,
        "fee_ccy_pref": oflags(shown).split(",")[0],
    }
    if request.price is not None:
        row |= {"limit_price_type": "static", "limit_price": float(request.price)}
    if request.expires_at is not None:
        row["expire_time"] = iso(request.expires_at)
    if request.type in TRIGGER_TYPES:
        row["triggers"] = {
            "reference": "last",
            "price": float(request.trigger_price or request.trailing_offset or request.trailing_bips or 0),
            "price_type": "quote" if request.trailing_offset else "pct" if request.trailing_bips else "static",
            "actual_price": float(shown.trigger_price or 0),
            "status": "triggered" if version.is_working else "untriggered",
            "timestamp": iso(shown.working_at or shown.created_at),
        }
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
        "order_type": ORDER_TYPES[shown.request.type],
        "fees": [{"asset": fill.fee_asset, "qty": float(fill.fee)}],
    }


def _brief_report(shown: Order, version: Version, execution: str) -> Shape:
    client_order_id = version.request.client_order_id
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


def ledger_rows(one: Transfer | Fill) -> dict[str, Shape]:
    """Return the rows of the ledger about a transfer, or about both assets of a trade; a fee is on top of an amount."""
    if isinstance(one, Transfer):
        row = _ledger_row(one.kind, one.reference or f"R{one.number:06d}", one.at, one.asset)
        return {f"L{one.number:05d}-PAPER-MOVED": row | {"amount": eight(one.told + one.fee), "fee": eight(one.fee)}}
    found = {}
    for asset, amount in movements(one).items():
        row = _ledger_row("trade", one.trade_id, one.at, asset)
        fee = one.fee if asset == one.fee_asset else NOTHING
        found[f"L{one.trade_number:05d}-{asset}-{one.trade_id[-6:]}"] = row | {
            "amount": eight(amount + fee),
            "fee": eight(fee),
        }
    return found


def _ledger_row(kind: str, reference: str, at: int, asset: str) -> Shape:
    return {
        "refid": reference,
        "time": seconds(at),
        "type": kind,
        "subtype": "",
        "aclass": "currency",
        "asset": asset_id(asset),
    }
