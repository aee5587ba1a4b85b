"""Binance's two amendments: cancel and replace by a new order, and a smaller quantity that keeps its place."""

from dataclasses import replace

from venues.paper.dialects import binance_rules as rules
from venues.paper.dialects import binance_shapes as shapes
from venues.paper.dialects.binance_orders import ORDER_NAMES, cancelled, find, order_request, placed
from venues.paper.messages import Answer, Body, Refused
from venues.paper.orders import OPEN_STATUSES, Order, Rejected
from venues.paper.pricing import check_filters
from venues.paper.world import World

CANCEL_NAMES = ("cancelOrderId", "cancelOrigClientOrderId")
MODES = ("STOP_ON_FAILURE", "ALLOW_FAILURE")
RESTRICTIONS = ("ONLY_NEW", "ONLY_PARTIALLY_FILLED")


def cancel_replace(world: World, parsed: rules.Parsed) -> Body:
    """Cancel an order and place another: 409 when one of the two failed, 400 when nothing was done."""
    params = parsed.params
    mode, restriction = params.get("cancelReplaceMode"), params.get("cancelRestrictions")
    if mode not in MODES:
        raise Refused(rules.missing("cancelReplaceMode"))
    if restriction is not None and restriction not in RESTRICTIONS:
        raise Refused(rules.error(400, -1145, "Invalid cancelRestrictions"))
    request = order_request(world, parsed)
    state = world.engine.markets[request.symbol]
    check_filters(state.market, request, state.last_price)  # before anything is cancelled, as Binance does
    try:
        old: Order | None = find(world, parsed, Rejected("unknown_order"), CANCEL_NAMES)
    except Rejected:
        old = None
    cancel_answer = _cancel(world, old, params.get("cancelNewClientOrderId"), restriction)
    is_cancelled = "code" not in cancel_answer
    if not is_cancelled and mode == "STOP_ON_FAILURE":
        raise _failed(400, -2022, cancel_answer, None, "NOT_ATTEMPTED")
    try:
        order = world.place(replace(request, replaces=old.order_id if old is not None and is_cancelled else ""))
    except Rejected as rejected:
        refusal = rules.refusal(rejected.reason).body
        code = -2021 if is_cancelled else -2022
        raise _failed(409 if is_cancelled else 400, code, cancel_answer, refusal, "FAILURE") from None
    new_answer = placed(world, parsed, order)
    if not is_cancelled:
        raise _failed(409, -2021, cancel_answer, new_answer, "SUCCESS")
    return {
        "cancelResult": "SUCCESS",
        "newOrderResult": "SUCCESS",
        "cancelResponse": cancel_answer,
        "newOrderResponse": new_answer,
    }


def keep_priority(world: World, parsed: rules.Parsed) -> Body:
    """Make an open order smaller without losing its place. Raises Refused or Rejected."""
    params = parsed.params
    quantity = rules.number_of(params, "newQty")
    if quantity is None:
        raise Refused(rules.missing("newQty"))
    order = find(world, parsed, Refused(rules.error(400, -2013, "Order does not exist.")), ORDER_NAMES)
    if order.status not in OPEN_STATUSES:
        raise Rejected("not_amendable")
    if quantity > order.request.quantity:
        raise Rejected("quantity_increase")
    if quantity == order.request.quantity:
        raise Rejected("no_change")
    if quantity <= order.executed:
        raise Rejected("not_amendable")
    client_order_id = params.get("newClientOrderId") or ""
    if not client_order_id and world.personality.client_ids:
        client_order_id = world.random_text(22)
    original = order.request.client_order_id
    taken = world.engine.accounts[order.request.account].open_client_ids.get(client_order_id)
    if world.engine.client_ids_unique and taken is not None and taken is not order:
        raise Rejected("duplicate_client_order_id")
    world.amend(order, replace(order.request, quantity=quantity, client_order_id=client_order_id))
    return shapes.amended(order, order.versions[-1], rules.market_of(world, params), original)


def _cancel(world: World, order: Order | None, cancel_id: str | None, restriction: str | None) -> shapes.Shape:
    """Cancel the old order and return the answer, or the error that says why not."""
    if order is None:
        return _body(rules.refusal("unknown_order"))
    is_new = order.status == "new"
    if order.is_open and restriction is not None and is_new != (restriction == "ONLY_NEW"):
        return _body(rules.error(400, -2011, "Order was not canceled due to cancel restrictions."))
    try:
        return cancelled(world, order, cancel_id)
    except Rejected as rejected:
        return _body(rules.refusal(rejected.reason))


def _failed(status: int, code: int, cancel_answer: shapes.Shape, new_answer: Body | None, new_result: str) -> Refused:
    text = "Order cancel-replace partially failed." if code == -2021 else "Order cancel-replace failed."
    data = {
        "cancelResult": "FAILURE" if "code" in cancel_answer else "SUCCESS",
        "newOrderResult": new_result,
        "cancelResponse": cancel_answer,
        "newOrderResponse": new_answer,
    }
    return Refused(Answer({"code": code, "msg": text, "data": data}, status))


def _body(answer: Answer) -> shapes.Shape:
    return answer.body if isinstance(answer.body, dict) else {}
