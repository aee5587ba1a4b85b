"""Binance's signed endpoints: orders, trades, balances and key permissions."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from venues.paper.dialects import binance_rules as rules
from venues.paper.dialects import binance_shapes as shapes
from venues.paper.messages import Body, Refused
from venues.paper.orders import Order, OrderRequest, Rejected
from venues.paper.world import World


def _order_request(world: World, parsed: rules.Parsed) -> OrderRequest:
    params = parsed.params
    market = rules.market_of(world, params)
    side, order_type = params.get("side", ""), params.get("type", "")
    if side not in ("BUY", "SELL"):
        raise Refused(rules.error(400, -1117, "Invalid side."))
    if order_type not in ("LIMIT", "MARKET", "LIMIT_MAKER"):
        raise Refused(rules.error(400, -1116, "Invalid orderType."))
    time_in_force = params.get("timeInForce", "GTC")
    if time_in_force not in ("GTC", "IOC", "FOK"):
        raise Refused(rules.error(400, -1115, "Invalid timeInForce."))
    is_market = order_type == "MARKET"
    quantity, price = rules.number_of(params, "quantity"), rules.number_of(params, "price")
    quote_quantity = rules.number_of(params, "quoteOrderQty") if is_market else None
    for name, value, required in (
        ("quantity", quantity, quote_quantity is None),
        ("price", price, not is_market),
        ("timeInForce", params.get("timeInForce"), order_type == "LIMIT"),
    ):
        if required and value is None:
            raise Refused(
                rules.error(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
            )
    client_order_id = params.get("newClientOrderId") or rules.random_client_id()
    if not rules.CLIENT_ORDER_ID.fullmatch(client_order_id):
        raise Refused(rules.error(400, -1100, "Illegal characters found in parameter 'newClientOrderId'."))
    return OrderRequest(
        account=parsed.call.account,
        symbol=market.symbol,
        side=side.lower(),
        type="market" if is_market else "limit",
        quantity=quantity or Decimal(0),
        price=None if is_market else price,
        quote_quantity=quote_quantity,
        time_in_force=time_in_force,
        post_only=order_type == "LIMIT_MAKER",
        client_order_id=client_order_id,
    )


def _place(world: World, parsed: rules.Parsed) -> Body:
    order = world.place(_order_request(world, parsed))
    version = order.version_at(world.now()) or order.versions[0]
    market = rules.market_of(world, parsed.params)
    return shapes.placed(order, version, market, parsed.params.get("newOrderRespType", "FULL"))


def _test(world: World, parsed: rules.Parsed) -> Body:
    world.engine.check(_order_request(world, parsed))
    return {}


def _find(world: World, parsed: rules.Parsed, refusal_if_missing: Exception, moment: int) -> Order:
    market = rules.market_of(world, parsed.params)
    account = world.engine.accounts[parsed.call.account]
    number = rules.integer_of(parsed.params, "orderId")
    client_order_id = parsed.params.get("origClientOrderId")
    order: Order | None = None
    if number is not None:
        order = account.orders.get(world.engine.order_key(market.symbol, str(number)))
    elif client_order_id:
        order = account.by_client_id.get(client_order_id)
    else:
        raise Refused(
            rules.error(400, -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        )
    if order is None or order.request.symbol != market.symbol or order.version_at(moment) is None:
        raise refusal_if_missing
    return order


def _cancel(world: World, parsed: rules.Parsed) -> Body:
    order = _find(world, parsed, Rejected("unknown_order"), world.now())
    cancel_id = parsed.params.get("newClientOrderId") or rules.random_client_id()
    world.cancel(order, cancel_id)
    return _cancelled(world, order, cancel_id)


def _cancelled(world: World, order: Order, cancel_id: str) -> shapes.Shape:
    shape = shapes.order(order, order.versions[-1], world.engine.markets[order.request.symbol].market)
    return shape | {
        "origClientOrderId": order.request.client_order_id,
        "clientOrderId": cancel_id,
        "transactTime": shape["updateTime"],
    }


def _cancel_all(world: World, parsed: rules.Parsed) -> Body:
    market = rules.market_of(world, parsed.params)
    account = world.engine.accounts[parsed.call.account]
    orders = [order for order in account.open.values() if order.request.symbol == market.symbol]
    if not orders:
        raise Rejected("unknown_order")
    cancelled: list[Any] = []
    for order in orders:
        cancel_id = rules.random_client_id()
        world.cancel(order, cancel_id)
        cancelled.append(_cancelled(world, order, cancel_id))
    return cancelled


def _show(world: World, order: Order, moment: int) -> shapes.Shape:
    version = order.version_at(moment) or order.versions[0]
    return shapes.order(order, version, world.engine.markets[order.request.symbol].market)


def _fetch(world: World, parsed: rules.Parsed) -> Body:
    moment = world.read_moment(parsed.call)
    missing = Refused(rules.error(400, -2013, "Order does not exist."))
    return _show(world, _find(world, parsed, missing, moment), moment)


def _open_orders(world: World, parsed: rules.Parsed) -> Body:
    symbol = rules.market_of(world, parsed.params).symbol if "symbol" in parsed.params else None
    moment = world.read_moment(parsed.call)
    orders = world.engine.accounts[parsed.call.account].visible_open_orders(moment, world.now())
    return [_show(world, order, moment) for order in orders if symbol in (None, order.request.symbol)]


def _all_orders(world: World, parsed: rules.Parsed) -> Body:
    market = rules.market_of(world, parsed.params)
    moment = world.read_moment(parsed.call)
    start, end = rules.window_of(parsed.params)
    first = rules.integer_of(parsed.params, "orderId", 0) or 0
    limit = min(rules.integer_of(parsed.params, "limit", 500) or 500, 1000)
    orders = [
        order
        for order in world.engine.accounts[parsed.call.account].orders.values()
        if order.request.symbol == market.symbol
        and order.number >= first
        and start <= order.created_at // 1000 <= end
        and order.version_at(moment) is not None
    ]
    chosen = orders[:limit] if first or start else orders[-limit:]
    return [_show(world, order, moment) for order in chosen]


def _my_trades(world: World, parsed: rules.Parsed) -> Body:
    market = rules.market_of(world, parsed.params)
    moment = world.read_moment(parsed.call)
    start, end = rules.window_of(parsed.params)
    first = rules.integer_of(parsed.params, "fromId")
    number = rules.integer_of(parsed.params, "orderId")
    limit = min(rules.integer_of(parsed.params, "limit", 500) or 500, 1000)
    fills = [
        fill
        for fill in world.engine.accounts[parsed.call.account].fills
        if fill.order.request.symbol == market.symbol
        and fill.visible_at <= moment
        and start <= fill.at // 1000 <= end
        and (first is None or fill.trade_number >= first)
        and number in (None, fill.order.number)
    ]
    chosen = fills[:limit] if first is not None or start else fills[-limit:]
    return [shapes.trade(fill, market) for fill in chosen]


def _account(world: World, parsed: rules.Parsed) -> Body:
    api_key = parsed.call.account
    key = world.keys[api_key]
    maker, taker = world.exchange.maker_rate, world.exchange.taker_rate
    return {
        "makerCommission": int(maker * 10_000),
        "takerCommission": int(taker * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {"maker": shapes.eight(maker), "taker": shapes.eight(taker), "buyer": "0", "seller": "0"},
        "canTrade": key.permissions.get("trade", False),
        "canWithdraw": key.permissions.get("withdraw", False),
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": world.venue_now() // 1000,
        "accountType": "SPOT",
        "balances": shapes.balances(
            world, api_key, world.engine.accounts[api_key].assets(), ("asset", "free", "locked")
        ),
        "permissions": ["SPOT"],
        "uid": 1,
    }


def _restrictions(world: World, parsed: rules.Parsed) -> Body:
    key = world.keys[parsed.call.account]
    return {
        "ipRestrict": bool(key.whitelist),
        "createTime": 0,
        "enableReading": key.permissions.get("read", True),
        "enableWithdrawals": key.permissions.get("withdraw", False),
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enablePortfolioMarginTrading": False,
        "enableSpotAndMarginTrading": key.permissions.get("trade", False),
    }


def _coins(world: World, parsed: rules.Parsed) -> Body:
    return [shapes.coin(asset) for asset in sorted(world.engine.supply)]


def _nothing(world: World, parsed: rules.Parsed) -> Body:
    return []


# method and path: operation that faults match, permission needed, handler
PRIVATE: dict[tuple[str, str], tuple[str, str, Callable[[World, rules.Parsed], Body]]] = {
    ("POST", "/api/v3/order"): ("create_order", "trade", _place),
    ("POST", "/api/v3/order/test"): ("market_data", "trade", _test),
    ("DELETE", "/api/v3/order"): ("cancel_order", "trade", _cancel),
    ("DELETE", "/api/v3/openOrders"): ("cancel_order", "trade", _cancel_all),
    ("GET", "/api/v3/order"): ("fetch_order", "read", _fetch),
    ("GET", "/api/v3/openOrders"): ("open_orders", "read", _open_orders),
    ("GET", "/api/v3/allOrders"): ("closed_orders", "read", _all_orders),
    ("GET", "/api/v3/myTrades"): ("my_trades", "read", _my_trades),
    ("GET", "/api/v3/account"): ("balance", "read", _account),
    ("GET", "/sapi/v1/account/apiRestrictions"): ("credentials", "read", _restrictions),
    ("GET", "/sapi/v1/capital/config/getall"): ("market_data", "read", _coins),
    ("GET", "/sapi/v1/margin/allPairs"): ("market_data", "read", _nothing),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): ("market_data", "read", _nothing),
    ("GET", "/sapi/v1/capital/deposit/hisrec"): ("market_data", "read", _nothing),
    ("GET", "/sapi/v1/capital/withdraw/history"): ("market_data", "read", _nothing),
}
