"""Bybit's signed endpoints about orders and executions."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from typing import Any

from venues.paper.accounts import Account, Span
from venues.paper.dialects import bybit_rules as rules
from venues.paper.dialects import bybit_shapes as shapes
from venues.paper.dialects.bybit_rules import Parsed
from venues.paper.engine import MarketState
from venues.paper.markets import Market
from venues.paper.orders import OPEN_STATUSES, Order, OrderRequest, Rejected, Version
from venues.paper.world import World

ORDER_TYPES = {"Limit": "limit", "Market": "market"}
TIMES_IN_FORCE = {"GTC": "GTC", "IOC": "IOC", "FOK": "FOK", "PostOnly": "GTC"}
FILTERS = ("Order", "tpslOrder", "StopOrder")
ORDERS_PAGE, ORDERS_PAGE_MAX = 20, 50
FILLS_PAGE, FILLS_PAGE_MAX = 50, 100
CLOSED_KEPT = 500
DAY_MILLISECONDS = 86_400_000
SPAN_MILLISECONDS = 7 * DAY_MILLISECONDS
# What ended without a trade is forgotten after a day.
UNFILLED_KEPT_MICROSECONDS = DAY_MILLISECONDS * 1000


def create(world: World, parsed: Parsed) -> Any:
    """Place an order. Its client id may never have been used before, by any order of the account."""
    request = _order_request(world, parsed)
    known = world.engine.accounts[request.account].by_client_id
    if world.engine.client_ids_unique and request.client_order_id and request.client_order_id in known:
        raise Rejected("duplicate_client_order_id")
    return _ids(world.place(request))


def _order_request(world: World, parsed: Parsed) -> OrderRequest:
    params = parsed.params
    rules.check_spot(world, params)
    market = rules.market_of(world, params)
    side, order_type = params.get("side"), params.get("orderType")
    force = str(params.get("timeInForce") or "GTC")
    client_order_id = str(params.get("orderLinkId") or "")
    for is_good, code, text in (
        (side in ("Buy", "Sell"), 170117, "Invalid side."),
        (order_type in ORDER_TYPES, 170116, "Invalid orderType."),
        (force in TIMES_IN_FORCE, 170115, "Invalid timeInForce."),
        (params.get("orderFilter", "Order") in FILTERS, 170202, "Invalid orderFilter parameter."),
        (not client_order_id or rules.CLIENT_ORDER_ID.fullmatch(client_order_id), 10001, "orderLinkId is invalid"),
    ):
        if not is_good:
            raise rules.error(world, code, text)
    quantity, price = rules.number_of(world, params, "qty"), rules.number_of(world, params, "price")
    trigger = rules.number_of(world, params, "triggerPrice")
    if params.get("orderFilter", "Order") != "Order" and trigger is None:
        raise rules.error(world, 170203, "Please enter the TP/SL price.")
    if quantity is None or (order_type == "Limit" and price is None):
        raise rules.invalid(world, "qty" if quantity is None else "price")
    kind = ORDER_TYPES[str(order_type)]
    unit = params.get("marketUnit") or ("quoteCoin" if side == "Buy" else "baseCoin")
    in_quote = kind == "market" and unit == "quoteCoin"
    request = OrderRequest(
        account=parsed.call.account,
        symbol=market.symbol,
        side=str(side).lower(),
        type=kind,
        quantity=Decimal(0) if in_quote else quantity,
        quote_quantity=quantity if in_quote else None,
        price=price if kind == "limit" else None,
        time_in_force=TIMES_IN_FORCE[force] if kind == "limit" else "GTC",
        post_only=force == "PostOnly" and kind == "limit",
        client_order_id=client_order_id,
    )
    return request if trigger is None else _with_trigger(request, trigger, world.engine.markets[market.symbol])


def _with_trigger(request: OrderRequest, trigger: Decimal, state: MarketState) -> OrderRequest:
    """Return a conditional order: which way it waits for nobody can say, it is where the trigger is from the last price."""
    is_above = trigger > state.last_price
    kind = "stop" if (request.side == "buy") == is_above else "take_profit"
    return replace(request, type=kind if request.is_market else f"{kind}_limit", trigger_price=trigger)


def amend(world: World, parsed: Parsed) -> Any:
    """Change an open order in place; its ids stay."""
    params = parsed.params
    rules.check_spot(world, params)
    order = _named(world, parsed)
    if not order.is_open:
        raise Rejected("unknown_order")
    request = order.request
    quantity, price = rules.number_of(world, params, "qty"), rules.number_of(world, params, "price")
    trigger = rules.number_of(world, params, "triggerPrice")
    if quantity is not None:
        if quantity <= order.executed:
            raise Rejected("not_amendable")
        request = replace(request, quantity=quantity)
    if price is not None and not request.is_market:
        request = replace(request, price=price)
    if trigger is not None:
        if order.is_working:
            raise rules.invalid(world, "triggerPrice")
        request = _with_trigger(request, trigger, world.engine.markets[request.symbol])
    world.amend(order, request)
    return _ids(order)


def cancel(world: World, parsed: Parsed) -> Any:
    """Cancel one order: a plain or triggered one unless the filter says that it waits for its trigger."""
    params = parsed.params
    rules.check_spot(world, params)
    order = _named(world, parsed)
    if order.is_working is not (params.get("orderFilter", "Order") == "Order"):
        raise Rejected("unknown_order")
    world.cancel(order)
    return _ids(order)


def cancel_all(world: World, parsed: Parsed) -> Any:
    """Cancel all open orders, or those of a symbol."""
    rules.check_spot(world, parsed.params)
    symbol = _symbol(world, parsed.params)
    orders = [one for one in _account(world, parsed).open.values() if symbol in (None, one.request.symbol)]
    for order in orders:
        world.cancel(order)
    return {"list": [_ids(order) for order in orders], "success": "1"}


def realtime(world: World, parsed: Parsed) -> Any:
    """Show open orders, or of the last ended ones those asked for."""
    params = parsed.params
    rules.check_spot(world, params)
    account, moment = _account(world, parsed), world.read_moment(parsed.call)
    ended = account.closed[-CLOSED_KEPT:]
    if _is_narrowed(params):
        orders = [one for one in _wanted(world, parsed) if one.is_open or one in ended]
    elif str(params.get("openOnly") or "0") != "0":
        symbol = _symbol(world, params)
        orders = [one for one in ended if symbol in (None, one.request.symbol) and _is_closed(one, moment)]
    else:
        orders = account.visible_open_orders(moment, world.now(), _symbol(world, params))
    return _page(world, parsed, orders, moment)


def history(world: World, parsed: Parsed) -> Any:
    """Show ended orders, newest first. What ended without a trade is kept for a day."""
    params = parsed.params
    rules.check_spot(world, params)
    account, moment = _account(world, parsed), world.read_moment(parsed.call)
    start, end = span_of(world, parsed, needs_both=True)
    low, high, kept_from = start * 1000, end * 1000 + 999, world.now() - UNFILLED_KEPT_MICROSECONDS
    if _is_narrowed(params):
        made = [one for one in _wanted(world, parsed) if low <= one.created_at <= high]
    else:
        symbol = _symbol(world, params)
        spans = [account.orders_between(name, low, high) for name in account.orders_by_symbol if symbol in (None, name)]
        made = [span.rows[index] for span in spans for index in range(span.low, span.high)]
    ended = [
        one
        for one in made
        if _is_closed(one, moment)
        and (one.executed or one.versions[-1].at > kept_from)
        and params.get("orderStatus") in (None, "", shapes.order_status(_version(one, moment)))
    ]
    return _page(world, parsed, ended, moment)


def executions(world: World, parsed: Parsed) -> Any:
    """Show the account's trades, newest first, of at most seven days."""
    params = parsed.params
    rules.check_spot(world, params)
    moment, limit = world.read_moment(parsed.call), rules.limit_of(world, params, FILLS_PAGE, FILLS_PAGE_MAX)
    if _is_narrowed(params):
        fills = [fill for order in _wanted(world, parsed) for fill in order.fills]
        span = Span(fills, 0, len(fills))
    else:
        start, end = span_of(world, parsed)
        span = _account(world, parsed).fills_between(start * 1000, end * 1000 + 999, _symbol(world, params))
    before = rules.integer_of(world, params, "cursor")
    high = span.high if before is None else min(span.high, before)
    shown = (index for index in range(high - 1, span.low - 1, -1) if span.rows[index].visible_at <= moment)
    page = list(islice(shown, limit))
    rows = [
        shapes.execution(span.rows[index], _market(world, span.rows[index].order), world.exchange) for index in page
    ]
    return _listed(rows, str(page[-1]) if len(page) == limit else "")


def _page(world: World, parsed: Parsed, orders: Iterable[Order], moment: int) -> Any:
    """Return a page of orders, those made last first."""
    limit = rules.limit_of(world, parsed.params, ORDERS_PAGE, ORDERS_PAGE_MAX)
    cursor = str(parsed.params.get("cursor") or "")
    at, _, order_id = cursor.partition(":")
    if cursor and not (at.isdecimal() and order_id):
        raise rules.error(world, rules.PARAMETER_ERROR, "params error: cursor")
    newest_first = sorted(orders, key=_place, reverse=True)
    shown = (
        one for one in newest_first if one.version_at(moment) and (not cursor or _place(one) < (int(at), order_id))
    )
    page = list(islice(shown, limit))
    rows = [shapes.order(one, _version(one, moment), _market(world, one)) for one in page]
    return _listed(rows, f"{page[-1].created_at}%3A{page[-1].order_id}" if len(page) == limit else "")


def _listed(rows: list[shapes.Shape], cursor: str) -> Any:
    return {"category": "spot", "list": rows, "nextPageCursor": cursor}


def _place(order: Order) -> tuple[int, str]:
    return order.created_at, order.order_id


def span_of(world: World, parsed: Parsed, *, needs_both: bool = False) -> tuple[int, int]:
    """Return the time span of a request in milliseconds: seven days at most, and the last seven by default. Raises Refused."""
    start = rules.integer_of(world, parsed.params, "startTime")
    end = rules.integer_of(world, parsed.params, "endTime")
    if needs_both and (start is None) is not (end is None):
        raise rules.error(world, rules.PARAMETER_ERROR, "params error: startTime and endTime must be passed together")
    if start is None:
        end = world.venue_now() // 1000 if end is None else end
        return max(end - SPAN_MILLISECONDS, 0), end
    if end is None:
        return start, start + SPAN_MILLISECONDS
    if not 0 <= end - start <= SPAN_MILLISECONDS:
        raise rules.error(world, rules.PARAMETER_ERROR, "The time range between startTime and endTime exceeds 7 days")
    return start, end


def _named(world: World, parsed: Parsed) -> Order:
    """Return the order of a symbol that a request names. Raises Refused or Rejected."""
    market = rules.market_of(world, parsed.params)
    account = _account(world, parsed)
    order_id, client_order_id = parsed.params.get("orderId"), parsed.params.get("orderLinkId")
    if order_id:
        order = account.orders.get(world.engine.order_key(market.symbol, str(order_id)))
    elif client_order_id:
        order = account.by_client_id.get(str(client_order_id))
    else:
        raise rules.error(world, rules.PARAMETER_ERROR, "params error: orderId or orderLinkId is required")
    if order is None or order.request.symbol != market.symbol:
        raise Rejected("unknown_order")
    return order


def _is_narrowed(params: Mapping[str, Any]) -> bool:
    return bool(params.get("orderId") or params.get("orderLinkId"))


def _wanted(world: World, parsed: Parsed) -> list[Order]:
    """Return the order a list is narrowed to by its id, else by its client id; none when there is no such order."""
    account, params = _account(world, parsed), parsed.params
    if params.get("orderId"):
        order = account.orders.get(str(params["orderId"]))
    else:
        order = account.by_client_id.get(str(params["orderLinkId"]))
    return [] if order is None else [order]


def _symbol(world: World, params: Mapping[str, Any]) -> str | None:
    return rules.market_of(world, params).symbol if params.get("symbol") else None


def _market(world: World, order: Order) -> Market:
    return world.engine.markets[order.request.symbol].market


def _account(world: World, parsed: Parsed) -> Account:
    return world.engine.accounts[parsed.call.account]


def _ids(order: Order) -> dict[str, str]:
    return {"orderId": order.order_id, "orderLinkId": order.request.client_order_id}


def _version(order: Order, moment: int) -> Version:
    return order.version_at(moment) or order.versions[0]


def _is_closed(order: Order, moment: int) -> bool:
    version = order.version_at(moment)
    return version is not None and version.status not in OPEN_STATUSES
