"""Kraken's signed endpoints: orders, trades and the dead-man switch."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from venues.paper.accounts import looks_open
from venues.paper.dialects import kraken_rules as rules
from venues.paper.dialects import kraken_shapes as shapes
from venues.paper.dialects.kraken_rules import Parsed
from venues.paper.orders import OPEN_STATUSES, Fill, Order, OrderRequest, Rejected, text_id
from venues.paper.personality import MICROSECONDS
from venues.paper.world import World

PAGE = 50
SWITCH_SECONDS_MAX = 86_400
FOREVER = 1 << 62


ORDER_TYPES = {
    "limit": "limit",
    "market": "market",
    "stop-loss": "stop",
    "stop-loss-limit": "stop_limit",
    "take-profit": "take_profit",
    "take-profit-limit": "take_profit_limit",
    "trailing-stop": "trailing_stop",
}
FLAGS = ("post", "fciq", "fcib", "viqc", "nompp")
TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTD")


def add(world: World, parsed: Parsed) -> Any:
    """Place an order, or only check it."""
    rules.check_deadline(world, parsed.params)
    request = _order_request(world, parsed)
    market = world.engine.markets[request.symbol].market
    if rules.is_true(parsed.params, "validate"):
        world.engine.check(request)
        return {"descr": {"order": shapes.sentence(request, market)}}
    order = world.place(request)
    return {"descr": {"order": shapes.sentence(order.request, market)}, "txid": [order.order_id]}


def _order_request(world: World, parsed: Parsed) -> OrderRequest:
    params = parsed.params
    market = rules.market_of(world, params)
    side, order_type = str(params.get("type", "")), str(params.get("ordertype", ""))
    flags = [flag for flag in str(params.get("oflags", "")).split(",") if flag]
    time_in_force = str(params.get("timeinforce", "GTC")).upper()
    client_order_id = str(params.get("cl_ord_id", ""))
    for name, is_good in (
        ("type", side in ("buy", "sell")),
        ("ordertype", order_type in ORDER_TYPES),
        ("timeinforce", time_in_force in TIMES_IN_FORCE),
        ("oflags", all(flag in FLAGS for flag in flags)),
        ("cl_ord_id", not client_order_id or rules.CLIENT_ORDER_ID.fullmatch(client_order_id)),
        ("cl_ord_id and userref are exclusive", not (client_order_id and params.get("userref"))),
    ):
        if not is_good:
            raise rules.error(f"EGeneral:Invalid arguments:{name}")
    volume = rules.number_of(params, "volume")
    if volume is None:
        raise rules.error("EGeneral:Invalid arguments:volume")
    in_quote = order_type == "market" and "viqc" in flags
    return OrderRequest(
        account=parsed.call.account,
        symbol=market.symbol,
        side=side,
        type=ORDER_TYPES[order_type],
        quantity=volume,
        quote_quantity=volume if in_quote else None,
        time_in_force=time_in_force,
        post_only="post" in flags,
        client_order_id=client_order_id,
        fee_preference="base" if "fcib" in flags else "",
        expires_at=_expiry(world, params, time_in_force),
        **_prices(params, ORDER_TYPES[order_type], world.engine.markets[market.symbol].last_price),
    )


def _prices(params: dict[str, Any], order_type: str, last_price: Decimal) -> dict[str, Any]:
    """Return limit, trigger and trail of an order: where there is a trigger it is `price`, and the limit `price2`."""
    if order_type == "market":
        return {}
    if order_type == "trailing_stop":
        found = rules.OFFSET.fullmatch(str(params.get("price", "")))
        if found is None:
            raise rules.error("EGeneral:Invalid arguments:price")
        if found[2]:
            return {"trailing_bips": int(Decimal(found[1]) * 100)}
        return {"trailing_offset": Decimal(found[1])}
    names = {"price": "price" if order_type == "limit" else "trigger_price"}
    if order_type.endswith("_limit"):
        names["price2"] = "price"
    prices = {mine: rules.number_of(params, theirs) for theirs, mine in names.items()}
    for theirs, mine in names.items():
        if prices[mine] is None:
            raise rules.error(f"EGeneral:Invalid arguments:{theirs}")
    return prices


def _expiry(world: World, params: dict[str, Any], time_in_force: str) -> int | None:
    """Return when an order ends by itself: `expiretm` is a Unix time, or "+" and seconds from now; 0 is never."""
    text = str(params.get("expiretm", "0"))
    is_relative = text.startswith("+")
    if not rules.NUMBER.fullmatch(text.removeprefix("+")):
        raise rules.error("EGeneral:Invalid arguments:expiretm")
    seconds = Decimal(text.removeprefix("+"))
    if not seconds:
        if time_in_force == "GTD":
            raise rules.error("EGeneral:Invalid arguments:expiretm")
        return None
    now = world.venue_now()
    expires_at = int(seconds * MICROSECONDS) + (now if is_relative else 0)
    if time_in_force not in ("GTC", "GTD") or expires_at <= now:
        raise rules.error("EGeneral:Invalid arguments:expiretm")
    return expires_at


def amend(world: World, parsed: Parsed) -> Any:
    """Change an order in place; its ids stay."""
    params = parsed.params
    rules.check_deadline(world, params)
    order = _open_order(world, parsed)
    request = order.request
    quantity, limit = rules.number_of(params, "order_qty"), rules.number_of(params, "limit_price")
    changes: dict[str, Any] = {}
    if quantity is not None:
        changes["quantity"] = quantity
    if limit is not None:
        if request.is_market:
            raise rules.error("EGeneral:Invalid arguments:limit_price")
        changes["price"] = limit
    if params.get("trigger_price") is not None:
        changes |= _new_trigger(order, str(params["trigger_price"]))
    if params.get("post_only") is not None:
        changes["post_only"] = rules.is_true(params, "post_only")
    if not changes:
        raise rules.error("EGeneral:Invalid arguments")
    world.amend(order, replace(request, **changes))
    return {"amend_id": text_id("T", f"{world.engine.salt}:amend:{order.order_id}:{len(world.journal)}")}


def _new_trigger(order: Order, text: str) -> dict[str, Any]:
    if order.is_working:
        raise rules.error("EGeneral:Invalid arguments:trigger_price")
    if not order.request.is_trailing:
        return {"trigger_price": rules.number_of({"trigger_price": text}, "trigger_price")}
    found = rules.OFFSET.fullmatch(text)
    if found is None:
        raise rules.error("EGeneral:Invalid arguments:trigger_price")
    if found[2]:
        return {"trailing_bips": int(Decimal(found[1]) * 100), "trailing_offset": None}
    return {"trailing_offset": Decimal(found[1]), "trailing_bips": None}


def _open_order(world: World, parsed: Parsed) -> Order:
    account = world.engine.accounts[parsed.call.account]
    client_order_id, order_id = parsed.params.get("cl_ord_id"), parsed.params.get("txid")
    if not client_order_id and not order_id:
        raise rules.error("EGeneral:Invalid arguments:txid")
    order = account.open_client_ids.get(str(client_order_id)) if client_order_id else account.open.get(str(order_id))
    if order is None:
        raise Rejected("unknown_order")
    return order


def cancel(world: World, parsed: Parsed) -> Any:
    """Cancel one order."""
    world.cancel(_open_order(world, parsed))
    return {"count": 1, "pending": False}


def cancel_everything(world: World, api_key: str, reason: str = "User requested") -> int:
    """Cancel all open orders of an account and return how many there were."""
    orders = list(world.engine.accounts[api_key].open.values())
    for order in orders:
        world.cancel(order, reason)
    return len(orders)


def cancel_all(world: World, parsed: Parsed) -> Any:
    """Cancel all open orders."""
    return {"count": cancel_everything(world, parsed.call.account)}


def cancel_after(world: World, parsed: Parsed) -> Any:
    """Arm or disarm the switch that cancels everything."""
    timeout = int(rules.number_of(parsed.params, "timeout") or 0)
    if timeout > SWITCH_SECONDS_MAX:
        raise rules.error("EGeneral:Invalid arguments:timeout")
    api_key = parsed.call.account
    armed = world.switches.pop(api_key, None)
    if armed is not None:
        armed.cancel()
    now = world.venue_now()
    if timeout:
        world.switches[api_key] = world.later(
            timeout, lambda: cancel_everything(world, api_key, "Cancel all orders after timeout")
        )
    trigger = shapes.iso(now + timeout * MICROSECONDS) if timeout else "0"
    return {"currentTime": shapes.iso(now), "triggerTime": trigger}


def open_orders(world: World, parsed: Parsed) -> Any:
    """Show the open orders, or the one with a client id."""
    moment = world.read_moment(parsed.call)
    account = world.engine.accounts[parsed.call.account]
    wanted = str(parsed.params.get("cl_ord_id") or "")
    if wanted:
        known = account.by_client_id.get(wanted)
        candidates = [account.open_client_ids.get(wanted), known, *account.closed_by_client_id.get(wanted, [])]
        orders = [order for order in dict.fromkeys(candidates) if order is not None and looks_open(order, moment)]
    else:
        orders = account.visible_open_orders(moment, world.now())
    return {"open": {order.order_id: _show(world, parsed, order, moment) for order in reversed(orders)}}


def closed_orders(world: World, parsed: Parsed) -> Any:
    """Show a page of the orders that ended, newest first."""
    moment = world.read_moment(parsed.call)
    start, end, offset = range_of(parsed.params)
    account = world.engine.accounts[parsed.call.account]
    span = account.closed_between(start, min(end, moment), str(parsed.params.get("cl_ord_id") or ""))

    def is_shown(order: Order) -> bool:
        version = order.version_at(moment)
        return version is not None and version.status not in OPEN_STATUSES

    page = span.last(PAGE, is_shown, offset)
    is_settled = account.last_visible_at <= moment
    return {
        "closed": {order.order_id: _show(world, parsed, order, moment) for order in page},
        "count": len(span) if is_settled else span.count(is_shown),
    }


def query_orders(world: World, parsed: Parsed) -> Any:
    """Show orders by id."""
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


def trades_history(world: World, parsed: Parsed) -> Any:
    """Show a page of the trades, newest first."""
    moment = world.read_moment(parsed.call)
    start, end, offset = range_of(parsed.params)
    account = world.engine.accounts[parsed.call.account]
    span = account.fills_between(start + 1, min(end, moment))

    def is_shown(fill: Fill) -> bool:
        return fill.visible_at <= moment

    page = span.last(PAGE, is_shown, offset)
    count = len(span) if account.last_visible_at <= moment else span.count(is_shown)
    return {"trades": {fill.trade_id: _show_trade(world, fill) for fill in page}, "count": count}


def query_trades(world: World, parsed: Parsed) -> Any:
    """Show trades by id."""
    moment = world.read_moment(parsed.call)
    known = world.engine.accounts[parsed.call.account].fill_by_id
    wanted = [name for name in str(parsed.params.get("txid", "")).split(",") if name]
    fills = [known.get(name) for name in wanted]
    found = {
        fill.trade_id: _show_trade(world, fill) for fill in fills if fill is not None and fill.visible_at <= moment
    }
    if not wanted or len(found) != len(dict.fromkeys(wanted)):
        raise rules.error("EGeneral:Invalid arguments:txid")
    return found


def _show(world: World, parsed: Parsed, order: Order, moment: int) -> shapes.Shape:
    version = order.version_at(moment) or order.versions[0]
    market = world.engine.markets[order.request.symbol].market
    return shapes.order(order, version, market, rules.is_true(parsed.params, "trades"))


def _show_trade(world: World, fill: Fill) -> shapes.Shape:
    return shapes.trade(fill, world.engine.markets[fill.order.request.symbol].market)


def range_of(params: dict[str, Any]) -> tuple[int, int, int]:
    """Return start, end and offset of a list. Raises Refused."""
    start, end = rules.time_of(params, "start"), rules.time_of(params, "end")
    offset = int(rules.number_of(params, "ofs") or 0)
    return start or 0, FOREVER if end is None else end, offset
