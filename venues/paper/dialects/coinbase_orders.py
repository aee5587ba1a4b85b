"""Coinbase's signed endpoints about orders and fills."""

import heapq
from collections.abc import Iterator
from dataclasses import replace
from decimal import ROUND_DOWN
from typing import Any

from venues.paper.accounts import Account, Span
from venues.paper.contracts import QUANTUM
from venues.paper.dialects import coinbase_rules as rules
from venues.paper.dialects import coinbase_shapes as shapes
from venues.paper.dialects.coinbase_rules import Parsed
from venues.paper.messages import Answer, Refused
from venues.paper.orders import NOTHING, Fill, Order, OrderRequest, Rejected
from venues.paper.world import World

# name of a configuration: type, time in force
CONFIGURATIONS = {
    "market_market_ioc": ("market", "GTC"),
    "limit_limit_gtc": ("limit", "GTC"),
    "limit_limit_gtd": ("limit", "GTD"),
    "limit_limit_fok": ("limit", "FOK"),
    "sor_limit_ioc": ("limit", "IOC"),
    "stop_limit_stop_limit_gtc": ("stop_limit", "GTC"),
    "stop_limit_stop_limit_gtd": ("stop_limit", "GTD"),
}
UNSUPPORTED = ("UNSUPPORTED_ORDER_CONFIGURATION", "", "source is not enabled for trading")
DIRECTIONS = ("STOP_DIRECTION_STOP_UP", "STOP_DIRECTION_STOP_DOWN")
LIVE = ("OPEN", "PENDING", "QUEUED", "CANCEL_QUEUED", "EDIT_QUEUED")
ORDERS_PAGE, ORDERS_PAGE_MAX = 100, 1000
FILLS_PAGE, FILLS_PAGE_MAX = 100, 3000
FOREVER = 1 << 62
Place = tuple[int, str, int]


def create(world: World, parsed: Parsed) -> Answer:
    """Place an order; a client id that was used before, ever, gives the order it named and places none."""
    configuration = parsed.body.get("order_configuration")
    account = world.engine.accounts[parsed.call.account]
    try:
        request = _order_request(world, parsed, configuration)
        known = account.by_client_id.get(request.client_order_id) if world.engine.client_ids_unique else None
        order = known or world.place(request)
    except Rejected as rejected:
        return rules.not_created(rules.phrases(rejected.reason, configuration), configuration)
    response = {
        "order_id": order.order_id,
        "product_id": world.engine.markets[order.request.symbol].market.venue_id,
        "side": order.side.upper(),
        "client_order_id": order.request.client_order_id,
    }
    return Answer(
        {
            "success": True,
            "failure_reason": rules.NONE_SAID,
            "order_id": order.order_id,
            "success_response": response,
            "order_configuration": configuration,
        }
    )


def _order_request(world: World, parsed: Parsed, configuration: Any) -> OrderRequest:
    body = parsed.body
    client_order_id = str(body.get("client_order_id") or "")
    if world.personality.client_ids and not rules.CLIENT_ORDER_ID.fullmatch(client_order_id):
        raise rules.invalid("client_order_id")
    side = str(body.get("side", ""))
    if side not in ("BUY", "SELL"):
        raise rules.invalid("side")
    if not isinstance(configuration, dict) or len(configuration) != 1:
        raise rules.invalid("order_configuration")
    ((name, terms),) = configuration.items()
    if name not in CONFIGURATIONS or not isinstance(terms, dict):
        raise Refused(rules.not_created(UNSUPPORTED, configuration))
    market = world.by_venue_id.get(str(body.get("product_id", "")))
    if market is None:
        raise Rejected("unknown_symbol")
    kind, time_in_force = CONFIGURATIONS[name]
    request = OrderRequest(
        account=parsed.call.account,
        symbol=market.symbol,
        side=side.lower(),
        type=kind,
        quantity=rules.number_of(terms, "base_size") or NOTHING,
        time_in_force=time_in_force,
        client_order_id=client_order_id if world.personality.client_ids else "",
        expires_at=_end_time(world, terms) if time_in_force == "GTD" else None,
    )
    if kind == "market":
        return _by_cost(world, request, terms)
    price = rules.number_of(terms, "limit_price")
    if not request.quantity or price is None:
        raise rules.invalid("order_configuration")
    request = replace(request, price=price, post_only=terms.get("post_only") is True)
    return _with_stop(request, terms) if kind == "stop_limit" else request


def _by_cost(world: World, request: OrderRequest, terms: dict[str, Any]) -> OrderRequest:
    """Return a market order as it is sized: a buy may name what it spends, fee included."""
    cost = rules.number_of(terms, "quote_size")
    if (cost is None) == (not request.quantity) or (cost is not None and request.side == "sell"):
        raise rules.invalid("order_configuration")
    if cost is None:
        return request
    spent = (cost / (1 + world.exchange.taker_rate)).quantize(QUANTUM, ROUND_DOWN)
    return replace(request, quote_quantity=spent)


def _with_stop(request: OrderRequest, terms: dict[str, Any]) -> OrderRequest:
    stop, direction = rules.number_of(terms, "stop_price"), terms.get("stop_direction")
    if stop is None or direction not in DIRECTIONS:
        raise rules.invalid("order_configuration")
    if rules.stop_direction(request) != direction:
        request = replace(request, type="take_profit_limit")
    return replace(request, trigger_price=stop)


def _end_time(world: World, terms: dict[str, Any]) -> int:
    at = rules.time_of(str(terms.get("end_time", "")), "end_time")
    if at <= world.venue_now():
        raise rules.invalid("end_time")
    return at


def cancel(world: World, parsed: Parsed) -> Answer:
    """Cancel orders by id, each with a result of its own."""
    order_ids = parsed.body.get("order_ids")
    if not isinstance(order_ids, list) or not order_ids:
        raise rules.invalid("order_ids")
    return Answer({"results": [_cancel_one(world, parsed, str(order_id)) for order_id in order_ids]})


def _cancel_one(world: World, parsed: Parsed, order_id: str) -> shapes.Shape:
    order = world.engine.accounts[parsed.call.account].orders.get(order_id)
    reason = "UNKNOWN_CANCEL_FAILURE_REASON"
    if order is None:
        reason = "UNKNOWN_CANCEL_ORDER"
    else:
        try:
            world.cancel(order)
        except Rejected:
            reason = "ORDER_IS_FULLY_FILLED" if order.status == "filled" else "UNKNOWN_CANCEL_ORDER"
    is_done = reason == "UNKNOWN_CANCEL_FAILURE_REASON"
    return {"success": is_done, "failure_reason": reason, "order_id": order_id}


def edit(world: World, parsed: Parsed) -> Answer:
    """Change price and size of a limit order that stands until cancelled; its ids stay. The size is the whole order's."""
    order = world.engine.accounts[parsed.call.account].orders.get(str(parsed.body.get("order_id", "")))
    if order is None:
        return rules.not_edited("ORDER_NOT_FOUND")
    if not order.is_open:
        return rules.not_edited("ONLY_OPEN_ORDERS_CAN_BE_EDITED")
    if order.request.type != "limit" or order.request.time_in_force != "GTC":
        return rules.not_edited("ONLY_LIMIT_ORDER_EDITS_SUPPORTED")
    size, price = rules.number_of(parsed.body, "size"), rules.number_of(parsed.body, "price")
    if size is None or price is None:  # what is left out counts as nothing
        return rules.not_edited("INVALID_EDITED_SIZE" if size is None else "INVALID_EDITED_PRICE")
    if size <= order.executed:
        return rules.not_edited("CANNOT_EDIT_TO_BELOW_FILLED_SIZE")
    try:
        world.amend(order, replace(order.request, quantity=size, price=price))
    except Rejected as rejected:
        return rules.not_edited(*rules.EDIT_REFUSALS[rejected.reason])
    return Answer({"success": True, "errors": []})


def one_order(world: World, parsed: Parsed) -> Answer:
    """Show one order."""
    moment = world.read_moment(parsed.call)
    order = world.engine.accounts[parsed.call.account].orders.get(parsed.http.path.rpartition("/")[2])
    if order is None or order.version_at(moment) is None:
        raise rules.error(404, "NOT_FOUND", "order with this orderID was not found")
    return Answer({"order": _show(world, order, moment)})


def is_about_live(query: dict[str, list[str]]) -> bool:
    """Tell whether a list asks for orders that have not ended."""
    wanted = query.get("order_status", [])
    return bool(wanted) and all(status in LIVE for status in wanted)


def list_orders(world: World, parsed: Parsed) -> Answer:
    """Show a page of orders, newest first; open ones cannot be asked for together with others."""
    statuses = parsed.query.get("order_status", [])
    if "OPEN" in statuses and len(statuses) > 1:
        raise rules.invalid("order_status")
    moment = world.read_moment(parsed.call)
    account = world.engine.accounts[parsed.call.account]
    wanted_ids = parsed.query.get("order_ids", [])
    limit = _limit(parsed, ORDERS_PAGE, ORDERS_PAGE_MAX)
    page: list[shapes.Shape] = []
    cursor = ""
    for order in _newest_first(world, account, parsed, moment):
        version = order.version_at(moment)
        if version is None or (wanted_ids and order.order_id not in wanted_ids):
            continue
        if statuses and shapes.status(version) not in statuses:
            continue
        if len(page) == limit:
            cursor = page[-1]["order_id"]
            break
        page.append(_show(world, order, moment))
    return Answer({"orders": page, "sequence": "0", "has_next": bool(cursor), "cursor": cursor})


def _newest_first(world: World, account: Account, parsed: Parsed, moment: int) -> Iterator[Order]:
    start = rules.time_of(parsed.first("start_date"), "start_date") if parsed.first("start_date") else 0
    end = rules.time_of(parsed.first("end_date"), "end_date") - 1 if parsed.first("end_date") else FOREVER
    after = account.orders.get(parsed.first("cursor"))
    if after is not None:
        end = min(end, after.created_at)
    symbols = _symbols(world, parsed)
    if is_about_live(parsed.query):
        shown = account.visible_open_orders(moment, world.now())
        rows = iter(sorted((one for one in shown if one.request.symbol in symbols), key=_place, reverse=True))
    else:
        spans = [_backwards(account.orders_between(symbol, start, end)) for symbol in symbols]
        rows = heapq.merge(*spans, key=_place, reverse=True)
    return (
        order for order in rows if start <= order.created_at <= end and (after is None or _place(order) < _place(after))
    )


def _backwards(span: Span[Order]) -> Iterator[Order]:
    return (span.rows[index] for index in range(span.high - 1, span.low - 1, -1))


def _place(order: Order) -> Place:
    return order.created_at, order.request.symbol, order.number


def list_fills(world: World, parsed: Parsed) -> Answer:
    """Show a page of fills, newest first. The cursor counts from the oldest, so that a new fill moves nothing."""
    moment = world.read_moment(parsed.call)
    account = world.engine.accounts[parsed.call.account]
    first, last = parsed.first("start_sequence_timestamp"), parsed.first("end_sequence_timestamp")
    start = rules.time_of(first, "start_sequence_timestamp") if first else 0
    end = rules.time_of(last, "end_sequence_timestamp") if last else FOREVER
    symbols, wanted_ids = _symbols(world, parsed), parsed.query.get("order_ids", [])
    span = account.fills_between(start, min(end, moment))
    cursor = parsed.first("cursor")
    high = min(span.high, int(cursor)) if cursor.isdecimal() else span.high
    limit = _limit(parsed, FILLS_PAGE, FILLS_PAGE_MAX)
    page: list[Fill] = []
    following = ""
    for index in range(high - 1, span.low - 1, -1):
        one = span.rows[index]
        is_wanted = not wanted_ids or one.order.order_id in wanted_ids
        if one.visible_at > moment or one.order.request.symbol not in symbols or not is_wanted:
            continue
        if len(page) == limit:
            following = str(index + 1)
            break
        page.append(one)
    rows = [shapes.fill(one, world.engine.markets[one.order.request.symbol].market) for one in page]
    return Answer({"fills": rows, "cursor": following})


def _symbols(world: World, parsed: Parsed) -> list[str]:
    wanted = parsed.query.get("product_ids", []) + parsed.query.get("product_id", [])
    return [rules.market_of(world, name).symbol for name in wanted] or list(world.engine.markets)


def _limit(parsed: Parsed, default: int, highest: int) -> int:
    text = parsed.first("limit")
    return min(int(text), highest) if text.isdecimal() and int(text) else default


def _show(world: World, order: Order, moment: int) -> shapes.Shape:
    version = order.version_at(moment) or order.versions[0]
    return shapes.order(order, version, world.engine.markets[order.request.symbol].market)
