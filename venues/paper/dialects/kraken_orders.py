"""Kraken's signed endpoints: orders, trades, balances, key permissions and the dead-man switch."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from venues.paper.dialects import kraken_rules as rules
from venues.paper.dialects import kraken_shapes as shapes
from venues.paper.dialects.kraken_rules import Parsed
from venues.paper.orders import Fill, Order, OrderRequest, Rejected
from venues.paper.world import MICROSECONDS, World

PAGE = 50
TOKEN_SECONDS = 900
SWITCH_SECONDS_MAX = 86_400
FOREVER = 1 << 62


def _add(world: World, parsed: Parsed) -> Any:
    rules.check_deadline(world, parsed.params)
    request = _order_request(world, parsed)
    market = world.engine.markets[request.symbol].market
    if rules.is_true(parsed.params, "validate"):
        world.engine.check(request)
        price = "market" if request.type == "market" else f"limit {request.price:f}"
        return {"descr": {"order": f"{request.side} {shapes.eight(request.quantity)} {market.venue_id} @ {price}"}}
    order = world.place(request)
    return {"descr": {"order": shapes.sentence(order, market)}, "txid": [order.order_id]}


def _order_request(world: World, parsed: Parsed) -> OrderRequest:
    params = parsed.params
    market = rules.market_of(world, params)
    side, order_type = str(params.get("type", "")), str(params.get("ordertype", ""))
    flags = set(filter(None, str(params.get("oflags", "")).split(",")))
    time_in_force = str(params.get("timeinforce", "GTC"))
    client_order_id = str(params.get("cl_ord_id", ""))
    for name, is_good in (
        ("type", side in ("buy", "sell")),
        ("ordertype", order_type in ("limit", "market")),
        ("timeinforce", time_in_force in ("GTC", "IOC", "FOK")),
        ("oflags", flags <= {"post", "fciq", "fcib", "viqc", "nompp"}),
        ("cl_ord_id", not client_order_id or rules.CLIENT_ORDER_ID.fullmatch(client_order_id)),
        ("cl_ord_id and userref are exclusive", not (client_order_id and params.get("userref"))),
    ):
        if not is_good:
            raise rules.error(f"EGeneral:Invalid arguments:{name}")
    is_market = order_type == "market"
    volume, price = rules.number_of(params, "volume"), rules.number_of(params, "price")
    if volume is None:
        raise rules.error("EGeneral:Invalid arguments:volume")
    if price is None and not is_market:
        raise rules.error("EGeneral:Invalid arguments:price")
    in_quote = is_market and "viqc" in flags
    return OrderRequest(
        account=parsed.call.account,
        symbol=market.symbol,
        side=side,
        type=order_type,
        quantity=volume,
        price=None if is_market else price,
        quote_quantity=volume if in_quote else None,
        time_in_force=time_in_force,
        post_only="post" in flags,
        client_order_id=client_order_id,
        fee_preference="base" if "fcib" in flags else "",
    )


def _cancel(world: World, parsed: Parsed) -> Any:
    account = world.engine.accounts[parsed.call.account]
    client_order_id = parsed.params.get("cl_ord_id")
    if client_order_id:
        order = account.open_client_ids.get(str(client_order_id))
    else:
        order = account.open.get(str(parsed.params.get("txid", "")))
    if order is None:
        raise Rejected("unknown_order")
    world.cancel(order)
    return {"count": 1, "pending": False}


def cancel_everything(world: World, api_key: str, reason: str = "User requested") -> int:
    """Cancel all open orders of an account and return how many there were."""
    orders = list(world.engine.accounts[api_key].open.values())
    for order in orders:
        world.cancel(order, reason)
    return len(orders)


def _cancel_all(world: World, parsed: Parsed) -> Any:
    return {"count": cancel_everything(world, parsed.call.account)}


def _cancel_after(world: World, parsed: Parsed) -> Any:
    timeout = int(rules.number_of(parsed.params, "timeout") or 0)
    if timeout > SWITCH_SECONDS_MAX:
        raise rules.error("EGeneral:Invalid arguments:timeout")
    api_key = parsed.call.account
    armed = world.switches.pop(api_key, None)
    if armed is not None:
        armed.cancel()
    now = world.venue_now()
    if timeout:
        loop = asyncio.get_running_loop()
        world.switches[api_key] = loop.call_later(
            timeout, cancel_everything, world, api_key, "Cancel all orders after timeout"
        )
    trigger = shapes.iso(now + timeout * MICROSECONDS) if timeout else "0"
    return {"currentTime": shapes.iso(now), "triggerTime": trigger}


def _open_orders(world: World, parsed: Parsed) -> Any:
    moment = world.read_moment(parsed.call)
    orders = world.engine.accounts[parsed.call.account].visible_open_orders(moment, world.now())
    wanted = parsed.params.get("cl_ord_id")
    chosen = [order for order in orders if not wanted or order.request.client_order_id == wanted]
    return {"open": {order.order_id: _show(world, parsed, order, moment) for order in reversed(chosen)}}


def _closed_orders(world: World, parsed: Parsed) -> Any:
    moment = world.read_moment(parsed.call)
    start, end, offset = _range(parsed.params)
    wanted = parsed.params.get("cl_ord_id")
    closed = [
        order
        for order in reversed(world.engine.accounts[parsed.call.account].closed)
        if (not wanted or order.request.client_order_id == wanted)
        and start < order.versions[-1].at <= end
        and _is_closed(order, moment)
    ]
    page = closed[offset : offset + PAGE]
    return {
        "closed": {order.order_id: _show(world, parsed, order, moment) for order in page},
        "count": len(closed),
    }


def _query_orders(world: World, parsed: Parsed) -> Any:
    moment = world.read_moment(parsed.call)
    account = world.engine.accounts[parsed.call.account]
    found = {}
    for order_id in filter(None, str(parsed.params.get("txid", "")).split(",")):
        order = account.orders.get(order_id)
        if order is None or order.version_at(moment) is None:
            raise Rejected("unknown_order")
        found[order_id] = _show(world, parsed, order, moment)
    if not found:
        raise rules.error("EGeneral:Invalid arguments:txid")
    return found


def _trades_history(world: World, parsed: Parsed) -> Any:
    moment = world.read_moment(parsed.call)
    start, end, offset = _range(parsed.params)
    fills = [
        fill
        for fill in reversed(world.engine.accounts[parsed.call.account].fills)
        if fill.visible_at <= moment and start < fill.at <= end
    ]
    page = fills[offset : offset + PAGE]
    return {"trades": {fill.trade_id: _show_trade(world, fill) for fill in page}, "count": len(fills)}


def _query_trades(world: World, parsed: Parsed) -> Any:
    moment = world.read_moment(parsed.call)
    wanted = set(filter(None, str(parsed.params.get("txid", "")).split(",")))
    fills = {
        fill.trade_id: _show_trade(world, fill)
        for fill in world.engine.accounts[parsed.call.account].fills
        if fill.trade_id in wanted and fill.visible_at <= moment
    }
    if not wanted or set(fills) != wanted:
        raise rules.error("EGeneral:Invalid arguments:txid")
    return fills


def _balance(world: World, parsed: Parsed) -> Any:
    return {rules.asset_id(asset): shapes.eight(total) for asset, total, _ in _totals(world, parsed)}


def _balance_extended(world: World, parsed: Parsed) -> Any:
    return {
        rules.asset_id(asset): {"balance": shapes.eight(total), "hold_trade": shapes.eight(held)}
        for asset, total, held in _totals(world, parsed)
    }


def _trade_balance(world: World, parsed: Parsed) -> Any:
    worth = Decimal(0)
    for asset, total, _ in _totals(world, parsed):
        state = world.engine.markets.get(f"{asset}/USDT")
        worth += total * (state.last_price if state else Decimal(1))
    amount = f"{worth:.4f}"
    zeros = dict.fromkeys(("m", "n", "c", "v"), "0.0000")
    return {"eb": amount, "tb": amount, "e": amount, "mf": amount, **zeros}


def _token(world: World, parsed: Parsed) -> Any:
    token = secrets.token_urlsafe(32)
    world.tokens[token] = parsed.call.account
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop().call_later(TOKEN_SECONDS, world.tokens.pop, token, None)
    return {"token": token, "expires": TOKEN_SECONDS}


def _key_info(world: World, parsed: Parsed) -> Any:
    key = world.keys[parsed.call.account]
    permissions = {
        "read": ("query-funds", "query-open-trades", "query-closed-trades", "query-ledger"),
        "trade": ("modify-trades", "close-trades"),
        "withdraw": ("withdraw-funds",),
    }
    now = str(world.venue_now() // MICROSECONDS)
    return {
        "apiKeyName": "paper",
        "apiKey": key.api_key,
        "nonce": str(world.nonces.get(key.api_key, 0)),
        "nonceWindow": 0,
        "permissions": [name for right, names in permissions.items() if key.permissions.get(right) for name in names],
        "validUntil": "0",
        "queryFrom": "0",
        "queryTo": "0",
        "createdTime": now,
        "modifiedTime": now,
        "ipAllowlist": list(key.whitelist),
        "lastUsed": now,
    }


def _nothing(world: World, parsed: Parsed) -> Any:
    return []


def _volume(world: World, parsed: Parsed) -> Any:
    rates = {"fees": world.exchange.taker_rate, "fees_maker": world.exchange.maker_rate}
    rows = {
        name: {market: {"fee": f"{rate * 100:.4f}"} for market in world.by_venue_id} for name, rate in rates.items()
    }
    return {"currency": "ZUSD", "volume": "0.0000", **rows}


def _totals(world: World, parsed: Parsed) -> list[tuple[str, Decimal, Decimal]]:
    account = world.engine.accounts[parsed.call.account]
    return [(asset, *account.visible_balance(asset, world.now())) for asset in account.assets()]


def _show(world: World, parsed: Parsed, order: Order, moment: int) -> shapes.Shape:
    version = order.version_at(moment) or order.versions[0]
    market = world.engine.markets[order.request.symbol].market
    return shapes.order(order, version, market, rules.is_true(parsed.params, "trades"))


def _show_trade(world: World, fill: Fill) -> shapes.Shape:
    return shapes.trade(fill, world.engine.markets[fill.order.request.symbol].market)


def _is_closed(order: Order, moment: int) -> bool:
    version = order.version_at(moment)
    return version is not None and version.status not in ("new", "partially_filled")


def _range(params: dict[str, Any]) -> tuple[int, int, int]:
    start, end = rules.time_of(params, "start"), rules.time_of(params, "end")
    offset = int(rules.number_of(params, "ofs") or 0)
    return start or 0, FOREVER if end is None else end, offset


# path: operation that faults match, permission needed, handler
PRIVATE: dict[str, tuple[str, str, Callable[[World, Parsed], Any]]] = {
    "/0/private/AddOrder": ("create_order", "trade", _add),
    "/0/private/CancelOrder": ("cancel_order", "trade", _cancel),
    "/0/private/CancelAll": ("cancel_order", "trade", _cancel_all),
    "/0/private/CancelAllOrdersAfter": ("market_data", "trade", _cancel_after),
    "/0/private/OpenOrders": ("open_orders", "read", _open_orders),
    "/0/private/ClosedOrders": ("closed_orders", "read", _closed_orders),
    "/0/private/QueryOrders": ("fetch_order", "read", _query_orders),
    "/0/private/TradesHistory": ("my_trades", "read", _trades_history),
    "/0/private/QueryTrades": ("my_trades", "read", _query_trades),
    "/0/private/Balance": ("balance", "read", _balance),
    "/0/private/BalanceEx": ("balance", "read", _balance_extended),
    "/0/private/TradeBalance": ("balance", "read", _trade_balance),
    "/0/private/TradeVolume": ("market_data", "read", _volume),
    "/0/private/GetWebSocketsToken": ("credentials", "read", _token),
    "/0/private/GetApiKeyInfo": ("credentials", "read", _key_info),
    "/0/private/DepositStatus": ("market_data", "read", _nothing),
    "/0/private/WithdrawStatus": ("market_data", "read", _nothing),
}
