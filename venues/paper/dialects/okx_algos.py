"""OKX's algo orders: stops, take-profits and trailing stops, which place an order of their own once triggered."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from venues.paper.dialects import okx_rules as rules
from venues.paper.dialects import okx_shapes as shapes
from venues.paper.dialects.okx_orders import Item, common_terms, each
from venues.paper.dialects.okx_rules import Parsed
from venues.paper.messages import Body
from venues.paper.orders import Order, OrderRequest, Rejected, Version
from venues.paper.world import World

AT_MARKET = "-1"
KINDS = {"sl": "stop", "tp": "take_profit"}
IMMEDIATE = {
    ("take_profit", "buy"): ("51277", "TP trigger price can not be higher than the last price"),
    ("stop", "buy"): ("51278", "SL trigger price can not be lower than the last price"),
    ("take_profit", "sell"): ("51279", "TP trigger price can not be lower than the last price"),
    ("stop", "sell"): ("51280", "SL trigger price can not be higher than the last price"),
}


def place(world: World, parsed: Parsed) -> Body:
    """Place an algo order."""
    return each(world, parsed, _place, rules.REFUSALS)


def _place(world: World, parsed: Parsed, item: Item) -> Item:
    request = _order_request(world, parsed, item)
    try:
        return _done(world.place(request))
    except Rejected as rejected:
        if rejected.reason == "would_trigger":
            raise rules.error(*IMMEDIATE[request.type.removesuffix("_limit"), request.side]) from None
        raise


def _order_request(world: World, parsed: Parsed, item: Item) -> OrderRequest:
    market = rules.market_of(world, item)
    terms = common_terms(item, str(item.get("algoClOrdId") or ""), "algoClOrdId")
    if item.get("tdMode") not in ("cash", "cross"):
        raise rules.wrong("tdMode")
    if item.get("ordType") == "move_order_stop":
        terms |= _trail(item)
    elif item.get("ordType") == "conditional":
        terms |= _condition(item)
    else:
        raise rules.wrong("ordType")
    return OrderRequest(account=parsed.call.account, symbol=market.symbol, **terms)


def _trail(item: Item) -> dict[str, Any]:
    spread, ratio = rules.number_of(item, "callbackSpread"), rules.number_of(item, "callbackRatio")
    if (spread is None) == (ratio is None):
        raise rules.wrong("callbackSpread")
    distance: dict[str, Any] = {"trailing_offset": spread}
    if ratio is not None:
        distance = {"trailing_bips": int(ratio * 10_000)}
    return {"type": "trailing_stop", "trigger_price": rules.number_of(item, "activePx"), **distance}


def _condition(item: Item) -> dict[str, Any]:
    named = [prefix for prefix in KINDS if item.get(f"{prefix}TriggerPx")]
    if len(named) != 1:
        raise rules.wrong("slTriggerPx")
    kind, trigger, limit = KINDS[named[0]], f"{named[0]}TriggerPx", f"{named[0]}OrdPx"
    if item.get(limit) == AT_MARKET:
        return {"type": kind, "trigger_price": rules.number_of(item, trigger)}
    price = rules.number_of(item, limit)
    if price is None:
        raise rules.wrong(limit)
    return {"type": f"{kind}_limit", "trigger_price": rules.number_of(item, trigger), "price": price}


def cancel(world: World, parsed: Parsed) -> Body:
    """Cancel algo orders that were not triggered yet."""
    return each(world, parsed, _cancel, rules.REFUSALS)


def _cancel(world: World, parsed: Parsed, item: Item) -> Item:
    order = _find(world, parsed, item, Rejected("unknown_order"))
    if order.is_working:
        raise Rejected("unknown_order")
    world.cancel(order)
    return _done(order)


def amend(world: World, parsed: Parsed) -> Body:
    """Change an algo order that was not triggered yet."""
    return each(world, parsed, _amend, rules.AMEND_REFUSALS)


def _amend(world: World, parsed: Parsed, item: Item) -> Item:
    order = _find(world, parsed, item, Rejected("unknown_order"))
    request = order.request
    if order.is_working:
        raise Rejected("unknown_order")
    if request.is_trailing:
        raise rules.error("51506", "Order modification unavailable for the order type")
    prefix = "Tp" if request.type.startswith("take_profit") else "Sl"
    names = {"quantity": "newSz", "trigger_price": f"new{prefix}TriggerPx"}
    if not request.is_market:
        names["price"] = f"new{prefix}OrdPx"
    changes: dict[str, Any] = {}
    for mine, theirs in names.items():
        value = rules.number_of(item, theirs)
        if value is not None:
            changes[mine] = value
    if not changes:
        raise Rejected("no_change")
    world.amend(order, replace(request, **changes))
    return _done(order) | {"reqId": str(item.get("reqId", ""))}


def fetch(world: World, parsed: Parsed) -> Body:
    """Show one algo order, triggered or not."""
    moment = world.read_moment(parsed.call)
    missing = rules.error("51603", "Order does not exist")
    account = world.engine.accounts[parsed.call.account]
    order = account.orders.get(parsed.params.get("algoId", "")) or account.by_client_id.get(
        parsed.params.get("algoClOrdId", "")
    )
    version = order.version_at(moment) if order is not None else None
    if order is None or version is None or not shapes.is_algo(order) or rules.is_forgotten(order, world.now()):
        raise missing
    return rules.ok([_show(world, order, version)])


def pending(world: World, parsed: Parsed) -> Body:
    """Show a page of the algo orders that wait, newest first."""
    moment = world.read_moment(parsed.call)
    found = world.engine.accounts[parsed.call.account].visible_open_orders(moment, world.now())
    shown = ((order, order.version_at(moment)) for order in reversed(found))
    return _page(world, parsed, ((order, version) for order, version in shown if version and not version.is_working))


def history(world: World, parsed: Parsed) -> Body:
    """Show a page of the algo orders that were triggered ("effective") or ended before ("canceled"), newest first."""
    moment = world.read_moment(parsed.call)
    state = parsed.params.get("state")
    if state not in ("effective", "canceled", "order_failed"):
        raise rules.wrong("state")

    def ended() -> Iterator[tuple[Order, Version]]:
        for order in reversed(world.engine.accounts[parsed.call.account].orders.values()):
            version = order.version_at(moment)
            if version is None or not shapes.is_algo(order) or rules.is_forgotten(order, world.now()):
                continue
            if state == ("effective" if version.is_working else shapes.STATES[version.status]):
                yield order, version

    return _page(world, parsed, ended())


def _page(world: World, parsed: Parsed, found: Iterator[tuple[Order, Version]]) -> Body:
    params = parsed.params
    wanted = params.get("ordType", "").split(",")
    if not wanted[0]:
        raise rules.error("50014", "Parameter ordType can not be empty", 400)
    symbol = rules.market_of(world, params).symbol if params.get("instId") else None
    if params.get("after"):
        for order, _ in found:
            if order.order_id == params["after"]:
                break
    rows = (_show(world, order, version) for order, version in found if symbol in (None, order.request.symbol))
    return rules.ok(list(islice((row for row in rows if row["ordType"] in wanted), rules.page_size(params))))


def _find(world: World, parsed: Parsed, item: Item, missing: Exception) -> Order:
    market = rules.market_of(world, item)
    account = world.engine.accounts[parsed.call.account]
    algo_id, client_order_id = str(item.get("algoId") or ""), str(item.get("algoClOrdId") or "")
    if not algo_id and not client_order_id:
        raise rules.error("51003", "Either client order ID or order ID is required")
    order = account.orders.get(algo_id) if algo_id else account.open_client_ids.get(client_order_id)
    if order is None or order.request.symbol != market.symbol or not shapes.is_algo(order):
        raise missing
    return order


def _show(world: World, order: Order, version: Version) -> shapes.Shape:
    state = world.engine.markets[order.request.symbol]
    return shapes.algo(order, version, state.market, state.last_price)


def _done(order: Order) -> Item:
    ids = {"algoId": order.order_id, "algoClOrdId": order.request.client_order_id}
    return {**ids, "clOrdId": "", "tag": "", "sCode": "0", "sMsg": ""}
