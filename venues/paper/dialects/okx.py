"""OKX spot: one door for its REST requests."""

import json
from dataclasses import replace
from typing import Any

from venues.paper.dialects import okx_rules as rules
from venues.paper.dialects.okx_private import PRIVATE
from venues.paper.dialects.okx_public import PUBLIC
from venues.paper.dialects.okx_streams import heartbeat, open_stream, private_frames, read_frame, tell_public
from venues.paper.faults import Call
from venues.paper.messages import Answer, Body, HttpRequest, Refused, read_form
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

ID_PARAMETERS = ("ordId", "clOrdId", "algoId", "algoClOrdId")
CLIENT_ID_PARAMETERS = ("clOrdId", "algoClOrdId")


def read(world: World, http: HttpRequest) -> rules.Parsed:
    """Read a request: what it wants, for whom and about which order."""
    params, items = read_form(http.query), _items(http.body)
    if not world.personality.client_ids:
        for name in CLIENT_ID_PARAMETERS:
            for given in (params, *items):
                given.pop(name, None)
    route = PRIVATE.get((http.method, http.path))
    first: dict[str, Any] = items[0] if items else params
    market = world.by_venue_id.get(str(first.get("instId", "")))
    call = Call(
        operation=route[0] if route else "market_data",
        account=http.headers.get("OK-ACCESS-KEY", "") if route else "",
        symbol=market.symbol if market else "",
        client_order_id=str(first.get("clOrdId") or first.get("algoClOrdId") or ""),
    )
    return rules.Parsed(http, call, params, items)


def admit(world: World, parsed: rules.Parsed) -> Answer | None:
    """Check a request's key and signature, but not its time; return the refusal, None when it may go on."""
    route = PRIVATE.get((parsed.http.method, parsed.http.path))
    try:
        if route is not None:
            rules.authenticate(world, parsed, route[1])
    except Refused as refused:
        return refused.answer
    return None


def answer(world: World, parsed: rules.Parsed, is_admitted: bool = False) -> Answer:
    """Handle a request and return the reply; errors are replies too, most of them with status 200."""
    try:
        return Answer(_result(world, parsed, is_admitted))
    except Refused as refused:
        return refused.answer
    except Rejected as rejected:
        return rules.error(*rules.REFUSALS[rejected.reason]).answer


def rows_of(world: World, parsed: rules.Parsed, account: str) -> Body | None:
    """Return what the same read would show another account, None when it would show nothing."""
    route = PRIVATE.get((parsed.http.method, parsed.http.path))
    if route is None:
        return None
    params = {name: value for name, value in parsed.params.items() if name not in ID_PARAMETERS}
    if route[0] == "fetch_order":
        newest = next(reversed(world.engine.accounts[account].orders), "")
        params |= {"ordId": newest, "algoId": newest}
    other = replace(parsed, call=replace(parsed.call, account=account), params=params)
    try:
        return route[3](world, other)
    except (Refused, Rejected):
        return None


def fault_answer(world: World, fault: str, seconds: float) -> Answer:
    """Return the reply of a fault that speaks for the exchange."""
    status, code, text = rules.FAULT_ANSWERS[fault]
    if status == 200:
        body = {"code": "1", "data": [rules.refused_item(code, text)], "msg": "All operations failed"}
        return Answer(body)
    return Answer({"code": code, "data": [], "msg": text}, status, {"Retry-After": str(int(seconds))})


def _result(world: World, parsed: rules.Parsed, is_admitted: bool) -> Body:
    http = parsed.http
    public = PUBLIC.get(http.path) if http.method == "GET" else None
    if public is not None:
        return public(world, parsed.params)
    route = PRIVATE.get((http.method, http.path))
    if route is None:
        raise rules.error("50404", "No such endpoint", 404)
    _, permission, has_deadline, handler = route
    if not is_admitted:
        rules.authenticate(world, parsed, permission)
    rules.check_time(world, parsed, has_deadline)
    return handler(world, parsed)


def _items(body: bytes) -> list[dict[str, Any]]:
    if not body:
        return []
    try:
        found = json.loads(body)
    except ValueError:
        return []
    items = found if isinstance(found, list) else [found]
    return [item for item in items if isinstance(item, dict)]
