"""Binance's signed endpoints about orders and trades."""

from decimal import Decimal

from venues.paper.accounts import Span
from venues.paper.dialects import binance_rules as rules
from venues.paper.dialects import binance_shapes as shapes
from venues.paper.messages import Body, Refused
from venues.paper.orders import TRIGGER_TYPES, Fill, Order, OrderRequest, Rejected
from venues.paper.world import World

ORDER_TYPES = {
    "LIMIT": "limit",
    "MARKET": "market",
    "LIMIT_MAKER": "limit",
    "STOP_LOSS": "stop",
    "STOP_LOSS_LIMIT": "stop_limit",
    "TAKE_PROFIT": "take_profit",
    "TAKE_PROFIT_LIMIT": "take_profit_limit",
}
PRICED = ("LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
TIMED = ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
BIPS_MIN, BIPS_MAX = 10, 2000


def order_request(world: World, parsed: rules.Parsed, replaces: str = "") -> OrderRequest:
    """Return the order that a request's parameters ask for. Raises Refused or Rejected."""
    params = parsed.params
    market = rules.market_of(world, params)
    side, order_type = params.get("side", ""), params.get("type", "")
    if side not in ("BUY", "SELL"):
        raise Refused(rules.error(400, -1117, "Invalid side."))
    if order_type not in ORDER_TYPES:
        raise Refused(rules.error(400, -1116, "Invalid orderType."))
    time_in_force = params.get("timeInForce", "GTC")
    if time_in_force not in ("GTC", "IOC", "FOK"):
        raise Refused(rules.error(400, -1115, "Invalid timeInForce."))
    quantity, price = rules.number_of(params, "quantity"), rules.number_of(params, "price")
    quote_quantity = rules.number_of(params, "quoteOrderQty") if order_type == "MARKET" else None
    trigger, bips = _trigger_of(params, order_type)
    for name, value, is_required in (
        ("quantity", quantity, quote_quantity is None),
        ("price", price, order_type in PRICED),
        ("timeInForce", params.get("timeInForce"), order_type in TIMED),
    ):
        if is_required and value is None:
            raise Refused(rules.missing(name))
    client_order_id = params.get("newClientOrderId") or ""
    if not client_order_id and world.personality.client_ids:
        client_order_id = world.random_text(22)
    if client_order_id and not rules.CLIENT_ORDER_ID.fullmatch(client_order_id):
        raise Refused(rules.error(400, -1100, "Illegal characters found in parameter 'newClientOrderId'."))
    return OrderRequest(
        account=parsed.call.account,
        symbol=market.symbol,
        side=side.lower(),
        type=ORDER_TYPES[order_type],
        quantity=quantity or Decimal(0),
        price=price if order_type in PRICED else None,
        quote_quantity=quote_quantity,
        time_in_force=time_in_force,
        post_only=order_type == "LIMIT_MAKER",
        client_order_id=client_order_id,
        trigger_price=trigger,
        trailing_bips=bips,
        replaces=replaces,
    )


def _trigger_of(params: dict[str, str], order_type: str) -> tuple[Decimal | None, int | None]:
    """Return the stop price and the trailing delta of an order; one of them must be there when it waits for a price."""
    if ORDER_TYPES[order_type] not in TRIGGER_TYPES:
        for name in ("stopPrice", "trailingDelta"):
            if params.get(name) is not None:
                raise Refused(rules.error(400, -1106, f"Parameter '{name}' sent when not required."))
        return None, None
    trigger, bips = rules.number_of(params, "stopPrice"), rules.integer_of(params, "trailingDelta")
    if trigger is None and bips is None:
        raise Refused(rules.missing("stopPrice"))
    if bips is not None and not BIPS_MIN <= bips <= BIPS_MAX:
        raise Refused(rules.error(400, -1013, "Filter failure: TRAILING_DELTA"))
    return trigger, bips


def place(world: World, parsed: rules.Parsed) -> Body:
    """Place an order."""
    return placed(world, parsed, world.place(order_request(world, parsed)))


def placed(world: World, parsed: rules.Parsed, order: Order) -> shapes.Shape:
    """Return the answer to an order that was placed, in the form the request asks for."""
    version = order.told_version(world.now()) or order.versions[0]
    market = rules.market_of(world, parsed.params)
    default = "ACK" if order.request.type in TRIGGER_TYPES else "FULL"
    return shapes.placed(order, version, market, parsed.params.get("newOrderRespType", default))


def test(world: World, parsed: rules.Parsed) -> Body:
    """Check an order without placing it."""
    world.engine.check(order_request(world, parsed))
    return {}


def find(
    world: World, parsed: rules.Parsed, refusal_if_missing: Exception, names: tuple[str, str], moment: int | None = None
) -> Order:
    """Return the order named by id or client id, as of a moment when one is given. Raises Refused or the refusal."""
    market = rules.market_of(world, parsed.params)
    account = world.engine.accounts[parsed.call.account]
    number = rules.integer_of(parsed.params, names[0])
    client_order_id = parsed.params.get(names[1])
    order: Order | None = None
    if number is not None:
        order = account.orders.get(world.engine.order_key(market.symbol, str(number)))
    elif client_order_id:
        order = account.open_client_ids.get(client_order_id) or account.by_client_id.get(client_order_id)
    else:
        text = f"Param '{names[1]}' or '{names[0]}' must be sent, but both were empty/null!"
        raise Refused(rules.error(400, -1102, text))
    if order is None or order.request.symbol != market.symbol:
        raise refusal_if_missing
    if moment is not None and order.version_at(moment) is None:
        raise refusal_if_missing
    return order


ORDER_NAMES = ("orderId", "origClientOrderId")


def cancel(world: World, parsed: rules.Parsed) -> Body:
    """Cancel one order."""
    order = find(world, parsed, Rejected("unknown_order"), ORDER_NAMES)
    return cancelled(world, order, parsed.params.get("newClientOrderId"))


def cancelled(world: World, order: Order, cancel_id: str | None) -> shapes.Shape:
    """Cancel an order and return the answer. Raises Rejected when it is not open."""
    cancel_id = cancel_id or (world.random_text(22) if world.personality.client_ids else "")
    version = world.cancel(order, cancel_id)
    shape = shapes.order(order, version, world.engine.markets[order.request.symbol].market)
    return shape | {
        "origClientOrderId": order.request.client_order_id,
        "clientOrderId": cancel_id,
        "transactTime": shape["updateTime"],
    }


def cancel_all(world: World, parsed: rules.Parsed) -> Body:
    """Cancel all open orders of a symbol."""
    market = rules.market_of(world, parsed.params)
    account = world.engine.accounts[parsed.call.account]
    orders = list(account.open_by_symbol[market.symbol].values())
    if not orders:
        raise Rejected("unknown_order")
    return [cancelled(world, order, None) for order in orders]


def _show(world: World, order: Order, moment: int) -> shapes.Shape:
    version = order.version_at(moment) or order.versions[0]
    return shapes.order(order, version, world.engine.markets[order.request.symbol].market)


def fetch(world: World, parsed: rules.Parsed) -> Body:
    """Show one order."""
    moment = world.read_moment(parsed.call)
    missing = Refused(rules.error(400, -2013, "Order does not exist."))
    return _show(world, find(world, parsed, missing, ORDER_NAMES, moment), moment)


def open_orders(world: World, parsed: rules.Parsed) -> Body:
    """Show the open orders of a symbol, or all."""
    symbol = rules.market_of(world, parsed.params).symbol if "symbol" in parsed.params else None
    moment = world.read_moment(parsed.call)
    orders = world.engine.accounts[parsed.call.account].visible_open_orders(moment, world.now(), symbol)
    return [_show(world, order, moment) for order in orders]


def all_orders(world: World, parsed: rules.Parsed) -> Body:
    """Show the orders of a symbol, open and ended."""
    market = rules.market_of(world, parsed.params)
    moment = world.read_moment(parsed.call)
    start, end = rules.window_of(parsed.params)
    first = rules.integer_of(parsed.params, "orderId", 0) or 0
    limit = min(rules.integer_of(parsed.params, "limit", 500) or 500, 1000)
    account = world.engine.accounts[parsed.call.account]
    span = account.orders_between(market.symbol, start * 1000, end * 1000 + 999, first)

    def is_shown(order: Order) -> bool:
        return order.version_at(moment) is not None

    chosen = span.first(limit, is_shown) if first or start else span.last(limit, is_shown)[::-1]
    return [_show(world, order, moment) for order in chosen]


def my_trades(world: World, parsed: rules.Parsed) -> Body:
    """Show the account's trades of a symbol."""
    market = rules.market_of(world, parsed.params)
    moment = world.read_moment(parsed.call)
    start, end = rules.window_of(parsed.params)
    first = rules.integer_of(parsed.params, "fromId")
    number = rules.integer_of(parsed.params, "orderId")
    limit = min(rules.integer_of(parsed.params, "limit", 500) or 500, 1000)
    account = world.engine.accounts[parsed.call.account]
    span = account.fills_between(start * 1000, end * 1000 + 999, market.symbol, first or 0)
    if number is not None:
        order = account.orders.get(world.engine.order_key(market.symbol, str(number)))
        fills = [fill for fill in order.fills if fill.trade_number >= (first or 0)] if order else []
        span = Span(fills, 0, len(fills))

    def is_shown(fill: Fill) -> bool:
        return fill.visible_at <= moment

    chosen = span.first(limit, is_shown) if first is not None or start else span.last(limit, is_shown)[::-1]
    return [shapes.trade(fill, market) for fill in chosen]
