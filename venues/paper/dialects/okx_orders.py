"""OKX's signed endpoints about orders and trades."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from venues.paper.accounts import Account, Span
from venues.paper.dialects import okx_rules as rules
from venues.paper.dialects import okx_shapes as shapes
from venues.paper.dialects.okx_rules import Parsed
from venues.paper.messages import Body, Refused
from venues.paper.orders import OPEN_STATUSES, Fill, Order, OrderRequest, Rejected, Version
from venues.paper.personality import MICROSECONDS
from venues.paper.world import World

Item = dict[str, Any]
TIMES_IN_FORCE = {"limit": "GTC", "post_only": "GTC", "ioc": "IOC", "fok": "FOK", "market": "GTC"}
BATCH_MAX = 20
HISTORY_SECONDS = 7 * 86_400


def each(
    world: World, parsed: Parsed, act: Callable[[World, Parsed, Item], Item], refusals: dict[str, tuple[str, str]]
) -> Body:
    """Do one thing to each object of a request's body; each has a code of its own, the envelope sums them up."""
    if not parsed.items:
        raise rules.error("50000", "Body can not be empty", 400)
    if len(parsed.items) > BATCH_MAX:
        raise rules.error("51111", f"Maximum {BATCH_MAX} orders can be placed in bulk")
    data = []
    for item in parsed.items:
        ids = {name: str(item.get(name, "")) for name in ("clOrdId", "ordId", "algoId", "algoClOrdId") if name in item}
        try:
            data.append(act(world, parsed, item))
        except Rejected as rejected:
            data.append(rules.refused_item(*(refusals.get(rejected.reason) or rules.REFUSALS[rejected.reason])) | ids)
        except Refused as refused:
            body: Any = refused.answer.body
            data.append(rules.refused_item(body["code"], body["msg"]) | ids)
    failures = sum(item["sCode"] != "0" for item in data)
    code, text = ("0", "") if not failures else ("2", "") if failures < len(data) else ("1", "All operations failed")
    return {
        "code": code,
        "data": data,
        "msg": text,
        "inTime": str(parsed.http.received_at),
        "outTime": str(world.now()),
    }


def place(world: World, parsed: Parsed) -> Body:
    """Place one order, or each of a batch."""
    return each(world, parsed, _place, rules.REFUSALS)


def _place(world: World, parsed: Parsed, item: Item) -> Item:
    order = world.place(_order_request(world, parsed, item))
    return _done(order)


def _order_request(world: World, parsed: Parsed, item: Item) -> OrderRequest:
    market = rules.market_of(world, item)
    order_type, client_order_id = str(item.get("ordType", "")), str(item.get("clOrdId") or "")
    terms = common_terms(item, client_order_id, "clOrdId")
    if order_type not in TIMES_IN_FORCE:
        raise rules.wrong("ordType")
    if item.get("tdMode") != "cash":
        raise rules.wrong("tdMode")
    price = rules.number_of(item, "px")
    if order_type != "market" and price is None:
        raise rules.error("51204", "The price for the limit order can not be empty")
    quantity = terms.pop("quantity")
    unit = str(item.get("tgtCcy") or ("quote_ccy" if terms["side"] == "buy" else "base_ccy"))
    in_quote = order_type == "market" and unit == "quote_ccy"
    return OrderRequest(
        account=parsed.call.account,
        symbol=market.symbol,
        type="market" if order_type == "market" else "limit",
        quantity=quantity,
        quote_quantity=quantity if in_quote else None,
        price=None if order_type == "market" else price,
        time_in_force=TIMES_IN_FORCE[order_type],
        post_only=order_type == "post_only",
        **terms,
    )


def common_terms(item: Item, client_order_id: str, client_id_name: str) -> dict[str, Any]:
    """Return side, quantity and client id of an order. Raises Refused."""
    side, quantity = str(item.get("side", "")), rules.number_of(item, "sz")
    if side not in ("buy", "sell"):
        raise rules.wrong("side")
    if quantity is None:
        raise rules.wrong("sz")
    if client_order_id and not rules.CLIENT_ORDER_ID.fullmatch(client_order_id):
        raise rules.wrong(client_id_name)
    return {"side": side, "quantity": quantity, "client_order_id": client_order_id}


def cancel(world: World, parsed: Parsed) -> Body:
    """Cancel one order, or each of a batch."""
    return each(world, parsed, _cancel, rules.REFUSALS)


def _cancel(world: World, parsed: Parsed, item: Item) -> Item:
    order = find(world, parsed, item, Rejected("unknown_order"))
    world.cancel(order)
    return _done(order)


def amend(world: World, parsed: Parsed) -> Body:
    """Change one order in place, or each of a batch; its ids stay. The new quantity is the total."""
    return each(world, parsed, _amend, rules.AMEND_REFUSALS)


def _amend(world: World, parsed: Parsed, item: Item) -> Item:
    order = find(world, parsed, item, Rejected("unknown_order"))
    quantity, price = rules.number_of(item, "newSz"), rules.number_of(item, "newPx")
    if quantity is None and price is None:
        raise Rejected("no_change")
    if order.request.is_market and price is not None:
        raise rules.error("51506", "Order modification unavailable for the order type")
    changes: dict[str, Any] = {}
    if quantity is not None:
        changes["quantity"] = quantity
        if quantity <= order.executed:
            raise rules.wrong("newSz")
    if price is not None:
        changes["price"] = price
    world.amend(order, replace(order.request, **changes))
    return _done(order) | {"reqId": str(item.get("reqId", ""))}


def find(world: World, parsed: Parsed, item: Item, missing: Exception, moment: int | None = None) -> Order:
    """Return the order named by id or client id, as of a moment when one is given. Raises Refused or `missing`."""
    market = rules.market_of(world, item)
    account = world.engine.accounts[parsed.call.account]
    order_id, client_order_id = str(item.get("ordId") or ""), str(item.get("clOrdId") or "")
    if not order_id and not client_order_id:
        raise rules.error("51003", "Either client order ID or order ID is required")
    order: Order | None
    if order_id:
        order = by_id(account, order_id)
    else:
        order = account.open_client_ids.get(client_order_id) or account.by_client_id.get(client_order_id)
        if order is not None and shapes.is_algo(order):
            order = None
    if order is None or order.request.symbol != market.symbol or rules.is_forgotten(order, world.now()):
        raise missing
    if moment is not None and order.version_at(moment) is None:
        raise missing
    return order


def by_id(account: Account, order_id: str) -> Order | None:
    """Return the order with an id: a plain one, or one that an algo order placed."""
    order = account.orders.get(order_id)
    if order is not None:
        return None if shapes.is_algo(order) else order
    parent = account.orders.get(str(int(order_id) - shapes.CHILD_OFFSET)) if order_id.isdecimal() else None
    return parent if parent is not None and shapes.is_algo(parent) and parent.is_working else None


def fetch(world: World, parsed: Parsed) -> Body:
    """Show one order."""
    moment = world.read_moment(parsed.call)
    missing = rules.error("51603", "Order does not exist")
    order = find(world, parsed, dict(parsed.params), missing, moment)
    version = order.version_at(moment) or order.versions[0]
    if not version.is_working:
        raise missing
    return rules.ok([_show(world, order, version)])


def pending(world: World, parsed: Parsed) -> Body:
    """Show a page of the orders in the book, newest first."""
    moment = world.read_moment(parsed.call)
    symbol = _symbol_of(world, parsed.params)
    found = world.engine.accounts[parsed.call.account].visible_open_orders(moment, world.now(), symbol)
    shown = ((order, order.version_at(moment)) for order in reversed(found))
    return _page(world, parsed, ((order, version) for order, version in shown if version and version.is_working))


def history(world: World, parsed: Parsed) -> Body:
    """Show a page of the orders that ended in the last seven days, newest first."""
    params, now = parsed.params, world.now()
    moment = world.read_moment(parsed.call)
    symbol = _symbol_of(world, params)
    begin, end = rules.integer_of(params, "begin", 0), rules.integer_of(params, "end", rules.FOREVER)
    state = params.get("state")
    closed = world.engine.accounts[parsed.call.account].closed_between(now - HISTORY_SECONDS * MICROSECONDS, now)

    def ended() -> Iterator[tuple[Order, Version]]:
        for index in range(closed.high - 1, closed.low - 1, -1):
            order = closed.rows[index]
            version = order.version_at(moment)
            if version is None or version.status in OPEN_STATUSES or not version.is_working:
                continue
            is_wanted = symbol in (None, order.request.symbol) and begin <= order.created_at // 1000 <= end
            if is_wanted and state in (None, shapes.STATES[version.status]) and not rules.is_forgotten(order, now):
                yield order, version

    return _page(world, parsed, ended())


def fills(world: World, parsed: Parsed) -> Body:
    """Show a page of the account's trades, newest first; `after` and `before` are bill ids."""
    params = parsed.params
    moment = world.read_moment(parsed.call)
    symbol, order_id = _symbol_of(world, params), params.get("ordId")
    begin, end = rules.integer_of(params, "begin", 0), rules.integer_of(params, "end", rules.FOREVER // 1000 - 1)
    account = world.engine.accounts[parsed.call.account]
    span = account.fills_between(begin * 1000, end * 1000 + 999)
    low = rules.integer_of(params, "before", shapes.FIRST_BILL - 1) - shapes.FIRST_BILL + 1
    high = rules.integer_of(params, "after", shapes.FIRST_BILL + span.high) - shapes.FIRST_BILL
    span = Span(span.rows, max(span.low, low), min(span.high, high))

    def is_shown(fill: Fill) -> bool:
        is_wanted = order_id in (None, shapes.child_id(fill.order)) and symbol in (None, fill.order.request.symbol)
        return is_wanted and fill.visible_at <= moment

    return rules.ok([shapes.fill(world, account, fill) for fill in span.last(rules.page_size(params), is_shown)])


def _page(world: World, parsed: Parsed, found: Iterator[tuple[Order, Version]]) -> Body:
    """Return one page: `after` an id come the older ones, `before` an id stand the newer ones."""
    after, before = parsed.params.get("after"), parsed.params.get("before")
    if after:
        for order, _ in found:
            if shapes.child_id(order) == after:
                break
    rows = []
    for order, version in islice(found, rules.page_size(parsed.params)):
        if before and shapes.child_id(order) == before:
            break
        rows.append(_show(world, order, version))
    return rules.ok(rows)


def _show(world: World, order: Order, version: Version) -> shapes.Shape:
    return shapes.order(order, version, world.engine.markets[order.request.symbol].market)


def _symbol_of(world: World, params: dict[str, str]) -> str | None:
    if params.get("instType", "SPOT") != "SPOT":
        raise rules.wrong("instType")
    return rules.market_of(world, params).symbol if params.get("instId") else None


def _done(order: Order) -> Item:
    client_order_id = "" if shapes.is_algo(order) else order.request.client_order_id
    at = shapes.milliseconds(order.versions[-1].at)
    return {"clOrdId": client_order_id, "ordId": shapes.child_id(order), "tag": "", "ts": at, "sCode": "0", "sMsg": ""}
