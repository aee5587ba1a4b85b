"""Deribit: one door for its JSON-RPC requests over GET."""

from dataclasses import replace
from typing import Any

from venues.paper.dialects import deribit_rules as rules
from venues.paper.dialects.deribit_orders import newest_of
from venues.paper.dialects.deribit_private import PRIVATE
from venues.paper.dialects.deribit_public import PUBLIC
from venues.paper.dialects.deribit_streams import heartbeat, open_stream, private_frames, read_frame, tell_public
from venues.paper.faults import Call
from venues.paper.messages import Answer, HttpRequest, Refused, read_form
from venues.paper.orders import Rejected
from venues.paper.world import World

__all__ = [
    "admit",
    "answer",
    "fault_answer",
    "heartbeat",
    "open_stream",
    "private_frames",
    "read",
    "read_frame",
    "rows_of",
    "tell_public",
]


def read(world: World, http: HttpRequest) -> rules.Parsed:
    """Read a request: what it wants, for whom and about which order."""
    params = read_form(http.query)
    if not world.personality.client_ids:
        params.pop("label", None)
    route = PRIVATE.get(http.path)
    market = world.by_venue_id.get(params.get("instrument_name", ""))
    call = Call(
        operation=route[0] if route else "market_data",
        account=rules.account_named(http, world) if route else "",
        symbol=market.symbol if market else "",
        client_order_id=params.get("label", ""),
    )
    return rules.Parsed(http, call, params)


def admit(world: World, parsed: rules.Parsed) -> Answer | None:
    """Check a request's key and signature, but not its validity; return the refusal, None when it may go on."""
    route = PRIVATE.get(parsed.http.path)
    try:
        if route is not None:
            rules.authenticate(world, parsed, route[1])
    except Refused as refused:
        return _enveloped(world, refused.answer)
    return None


def answer(world: World, parsed: rules.Parsed, is_admitted: bool = False) -> Answer:
    """Handle a request and return the reply: every error has status 400, as at the real exchange."""
    try:
        return Answer(rules.enveloped(world, {"result": _result(world, parsed, is_admitted)}))
    except Refused as refused:
        return _enveloped(world, refused.answer)
    except Rejected as rejected:
        return Answer(rules.enveloped(world, rules.error(*rules.REFUSALS[rejected.reason])), rules.HTTP_ERROR)


def rows_of(world: World, parsed: rules.Parsed, account: str) -> Any:
    """Return what the same read would show another account, None when it would show nothing."""
    route = PRIVATE.get(parsed.http.path)
    if route is None:
        return None
    params = {name: text for name, text in parsed.params.items() if name != "order_id"}
    if "order_id" in parsed.params:
        params["order_id"] = newest_of(world.engine.accounts[account].orders.values())
    other = replace(parsed, call=replace(parsed.call, account=account), params=params)
    try:
        return {"result": route[2](world, other)}
    except (Refused, Rejected):
        return None


def fault_answer(world: World, fault: str, seconds: float) -> Answer:
    """Return the reply of a fault that speaks for the exchange; a limit says how long to wait."""
    code, message, reason = rules.FAULT_CODES[fault]
    said = rules.error(code, message, reason, wait=int(seconds) if code == 10028 else None)
    return Answer(rules.enveloped(world, said), rules.HTTP_ERROR)


def _result(world: World, parsed: rules.Parsed, is_admitted: bool) -> Any:
    path = parsed.http.path
    if parsed.http.method != "GET":
        raise rules.refused(-32600, "request entity must be sent by GET")
    public = PUBLIC.get(path)
    if public is not None:
        return public(world, parsed.params)
    route = PRIVATE.get(path)
    if route is None:
        raise rules.refused(-32601, "Method not found")
    _, permission, handler = route
    if not is_admitted:
        rules.authenticate(world, parsed, permission)
    return handler(world, parsed)


def _enveloped(world: World, refusal: Answer) -> Answer:
    return replace(refusal, body=rules.enveloped(world, dict(refusal.body) if isinstance(refusal.body, dict) else {}))
