"""Deribit's signed endpoints: orders and trades."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from venues.paper.accounts import Account, looks_open
from venues.paper.book import OPPOSITE, crosses
from venues.paper.dialects import deribit_rules as rules
from venues.paper.dialects import deribit_shapes as shapes
from venues.paper.dialects.deribit_rules import Parsed
from venues.paper.markets import Market
from venues.paper.orders import Fill, Order, OrderRequest, Rejected
from venues.paper.world import World

TRADES_DEFAULT, ORDERS_DEFAULT, ROWS_MAX = 10, 20, 1000
RECENT_MICROSECONDS = 86_400_000_000
UNFILLED_MICROSECONDS = 86_400_000_000
FOREVER = 1 << 62


def buy(world: World, parsed: Parsed) -> Any:
    """Place a buy order."""
    return _place(world, parsed, "buy")


def sell(world: World, parsed: Parsed) -> Any:
    """Place a sell order."""
    return _place(world, parsed, "sell")


def _place(world: World, parsed: Parsed, side: str) -> Any:
    params = parsed.params
    rules.check_validity(world, params)
    market = rules.market_of(world, params)
    label = params.get("label", "")
    if len(label) > rules.LABEL_CHARACTERS_MAX:
        raise rules.invalid("label", "too long")
    kind = params.get("type", "limit")
    if kind not in ("limit", "market"):
        raise rules.refused(10033, "not_implemented")
    time_in_force = shapes.TIMES_IN_FORCE.get(params.get("time_in_force", "good_til_cancelled"))
    if time_in_force is None:
        raise rules.invalid("time_in_force")
    price = rules.number_of(params, "price") if kind == "limit" else None
    if kind == "limit" and price is None:
        raise rules.invalid("price", "value required")
    post_only = rules.is_true(params, "post_only")
    if post_only and price is not None and not rules.is_true(params, "reject_post_only"):
        price = _beside_the_spread(world, market, side, price)
    request = OrderRequest(
        account=parsed.call.account,
        symbol=market.symbol,
        side=side,
        type=kind,
        quantity=_amount(params, market),
        price=price,
        time_in_force=time_in_force,
        post_only=post_only,
        client_order_id=label,
        reduce_only=rules.is_true(params, "reduce_only"),
    )
    return _with_trades(world, world.place(request), 0)


def _amount(params: dict[str, str], market: Market) -> Decimal:
    amount, contracts = rules.number_of(params, "amount"), rules.number_of(params, "contracts")
    if amount is None and contracts is None:
        raise rules.invalid("amount", "value required")
    if amount is not None and contracts is not None and amount != contracts * market.contract_size:
        raise rules.invalid("amount", "amount and contracts do not match")
    return amount if amount is not None else (contracts or Decimal(0)) * market.contract_size


def _beside_the_spread(world: World, market: Market, side: str, price: Decimal) -> Decimal:
    """Return the price to which Deribit moves a post-only order that would trade."""
    best = world.engine.markets[market.symbol].book.best_price(OPPOSITE[side])
    if best is None or not crosses(side, price, best):
        return price
    return best - market.price_step if side == "buy" else best + market.price_step


def _with_trades(world: World, order: Order, fills_before: int) -> Any:
    market = world.engine.markets[order.request.symbol].market
    moment = world.now()
    version = order.told_version(moment) or order.versions[0]
    fills = [fill for fill in order.fills[fills_before:] if fill.visible_at <= moment]
    return {
        "order": shapes.order(order, version, market),
        "trades": [shapes.trade(fill, version, market) for fill in fills],
    }


def edit(world: World, parsed: Parsed) -> Any:
    """Change an order in place; its id and label stay."""
    params = parsed.params
    rules.check_validity(world, params)
    order = _open_order(world, parsed)
    market = world.engine.markets[order.request.symbol].market
    changes: dict[str, Any] = {}
    if "amount" in params or "contracts" in params:
        changes["quantity"] = _amount(params, market)
    price = rules.number_of(params, "price")
    if price is not None:
        changes["price"] = price
    if not changes:
        raise rules.invalid("amount", "value required")
    if "post_only" in params:
        changes["post_only"] = rules.is_true(params, "post_only")
    if changes.get("quantity", order.request.quantity) <= order.executed:
        raise rules.refused(11008, "already_filled")
    before = len(order.fills)
    try:
        world.amend(order, replace(order.request, **changes))
    except Rejected as refusal:
        if refusal.reason != "no_change":  # an edit that asks for what there is answers with what there is
            raise
    return _with_trades(world, order, before)


def cancel(world: World, parsed: Parsed) -> Any:
    """Cancel one order and show it."""
    order = _open_order(world, parsed)
    version = world.cancel(order)
    return shapes.order(order, version, world.engine.markets[order.request.symbol].market)


def _open_order(world: World, parsed: Parsed) -> Order:
    account, params = world.engine.accounts[parsed.call.account], parsed.params
    if parsed.http.path.endswith("_by_label"):
        symbol = rules.market_of(world, params).symbol
        named = [
            one for one in account.open_by_symbol[symbol].values() if one.request.client_order_id == _label(params)
        ]
        order = named[0] if len(named) == 1 else None
    else:
        order = account.orders.get(params.get("order_id", ""))
    if order is None:
        raise rules.refused(10004, "order_not_found")
    return order


def cancel_by_label(world: World, parsed: Parsed) -> Any:
    """Cancel every open order of a label and return how many there were."""
    label = _label(parsed.params)
    return _cancel_all(world, parsed, lambda order: order.request.client_order_id == label)


def cancel_all(world: World, parsed: Parsed) -> Any:
    """Cancel every open order, or those of a currency or an instrument; return how many there were."""
    symbols = {market.symbol for market in _markets(world, parsed.params)}
    return _cancel_all(world, parsed, lambda order: order.request.symbol in symbols)


def _cancel_all(world: World, parsed: Parsed, is_meant: Any) -> int:
    orders = [order for order in world.engine.accounts[parsed.call.account].open.values() if is_meant(order)]
    for order in orders:
        world.cancel(order)
    return len(orders)


def open_orders(world: World, parsed: Parsed) -> Any:
    """Show the open orders, or those of a currency, an instrument or a label."""
    moment = world.read_moment(parsed.call)
    account = world.engine.accounts[parsed.call.account]
    symbols = {market.symbol for market in _markets(world, parsed.params)}
    label = parsed.params.get("label")
    orders = [
        order
        for order in account.visible_open_orders(moment, world.now())
        if order.request.symbol in symbols and label in (None, order.request.client_order_id)
    ]
    return [_show(world, order, moment) for order in orders]


def order_state(world: World, parsed: Parsed) -> Any:
    """Show one order by its id."""
    moment = world.read_moment(parsed.call)
    order = world.engine.accounts[parsed.call.account].orders.get(parsed.params.get("order_id", ""))
    if order is None or order.version_at(moment) is None:
        raise rules.refused(10004, "order_not_found")
    return _show(world, order, moment)


def order_state_by_label(world: World, parsed: Parsed) -> Any:
    """Show every order of a currency that carries a label, open ones first."""
    moment = world.read_moment(parsed.call)
    account, label = world.engine.accounts[parsed.call.account], _label(parsed.params)
    symbols = {market.symbol for market in _markets(world, parsed.params)}
    known = [order for order in account.open.values() if order.request.client_order_id == label]
    known += account.closed_by_client_id.get(label, [])
    shown = [order for order in known if order.request.symbol in symbols and order.version_at(moment) is not None]
    return [_show(world, order, moment) for order in shown]


def order_history(world: World, parsed: Parsed) -> Any:
    """Show a page of the orders that ended, newest first; those of which nothing traded only when asked for."""
    params = parsed.params
    moment = world.read_moment(parsed.call)
    account = world.engine.accounts[parsed.call.account]
    symbols = {market.symbol for market in _markets(world, params)}
    with_unfilled = rules.is_true(params, "include_unfilled")
    is_whole = rules.is_true(params, "include_old") or rules.is_true(params, "historical")
    start = 0 if is_whole else moment - RECENT_MICROSECONDS

    def is_shown(order: Order) -> bool:
        version = order.version_at(moment)
        if version is None or looks_open(order, moment) or order.request.symbol not in symbols:
            return False
        return bool(version.executed) or (with_unfilled and version.at > moment - UNFILLED_MICROSECONDS)

    offset = int(rules.number_of(params, "offset") or 0)
    page = account.closed_between(start, moment).last(
        rules.count_of(params, ORDERS_DEFAULT, ROWS_MAX), is_shown, offset
    )
    return [_show(world, order, moment) for order in page]


def user_trades(world: World, parsed: Parsed) -> Any:
    """Show a page of own trades by currency or instrument, within a time or from a sequence number on."""
    params = parsed.params
    moment = world.read_moment(parsed.call)
    markets = _markets(world, params)
    count = rules.count_of(params, TRADES_DEFAULT, ROWS_MAX)
    fills = _fills_between(world.engine.accounts[parsed.call.account], markets, params, moment)
    is_by_time = parsed.http.path.endswith("_and_time")
    if params.get("sorting", "asc" if is_by_time else "desc") != "asc":
        fills.reverse()
    rows = [_show_trade(world, fill, moment) for fill in fills[:count]]
    return {"trades": rows, "has_more": len(fills) > count}


def trades_of_order(world: World, parsed: Parsed) -> Any:
    """Show the trades of one order, oldest first."""
    moment = world.read_moment(parsed.call)
    order = world.engine.accounts[parsed.call.account].orders.get(parsed.params.get("order_id", ""))
    if order is None:
        raise rules.refused(10004, "order_not_found")
    return [_show_trade(world, fill, moment) for fill in order.fills if fill.visible_at <= moment]


def _fills_between(account: Account, markets: list[Market], params: dict[str, str], moment: int) -> list[Fill]:
    start = int(rules.number_of(params, "start_timestamp") or 0) * 1000
    end_ms = rules.number_of(params, "end_timestamp")
    end = FOREVER if end_ms is None else int(end_ms) * 1000 + 999
    if not (rules.is_true(params, "historical") or rules.is_true(params, "include_old")):
        start = max(start, moment - RECENT_MICROSECONDS)
    first = int(rules.number_of(params, "start_seq") or 0)
    last = int(rules.number_of(params, "end_seq") or FOREVER)
    symbols = {market.symbol for market in markets}
    span = account.fills_between(start, min(end, moment))
    return [
        fill
        for fill in (span.rows[index] for index in range(span.low, span.high))
        if fill.order.request.symbol in symbols and fill.visible_at <= moment and first <= fill.trade_number <= last
    ]


def _markets(world: World, params: dict[str, str]) -> list[Market]:
    return [rules.market_of(world, params)] if "instrument_name" in params else rules.markets_of(world, params)


def _label(params: dict[str, str]) -> str:
    label = params.get("label")
    if not label:
        raise rules.invalid("label", "value required")
    return label


def _show(world: World, order: Order, moment: int) -> shapes.Shape:
    version = order.version_at(moment) or order.versions[0]
    return shapes.order(order, version, world.engine.markets[order.request.symbol].market)


def _show_trade(world: World, fill: Fill, moment: int) -> shapes.Shape:
    version = fill.order.told_version(moment) or fill.order.versions[0]
    return shapes.trade(fill, version, world.engine.markets[fill.order.request.symbol].market)


def newest_of(orders: Iterable[Order]) -> str:
    """Return the id of the newest order, empty when there is none."""
    return next((order.order_id for order in reversed(list(orders))), "")
