"""Bybit v5 spot: one door for its REST requests."""

import json
from dataclasses import replace
from typing import Any

from venues.paper.dialects import bybit_rules as rules
from venues.paper.dialects.bybit_private import PRIVATE, REQUESTS_PER_SECOND, REQUESTS_PER_SECOND_ELSE
from venues.paper.dialects.bybit_public import PUBLIC
from venues.paper.dialects.bybit_streams import heartbeat, open_stream, private_frames, read_frame, tell_public
from venues.paper.faults import Call
from venues.paper.messages import Answer, HttpRequest, Refused, read_form
from venues.paper.orders import Rejected
from venues.paper.personality import Rolling
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
    params = _params(http)
    if not world.personality.client_ids:
        params.pop("orderLinkId", None)
    route = PRIVATE.get((http.method, http.path))
    market = world.by_venue_id.get(str(params.get("symbol") or ""))
    call = Call(
        operation=route[0] if route else "market_data",
        account=http.headers.get("X-BAPI-API-KEY", "") if route else "",
        symbol=market.symbol if market else "",
        client_order_id=str(params.get("orderLinkId") or ""),
    )
    return rules.Parsed(http, call, params)


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
    """Handle a request and return the reply: refusals come with status 200, as at the real exchange."""
    headers = _count(world, parsed)
    try:
        return Answer(rules.envelope(world, _result(world, parsed, is_admitted)), 200, headers)
    except Refused as refused:
        return Answer(refused.answer.body, refused.answer.status, headers)
    except Rejected as rejected:
        return Answer(rules.envelope(world, {}, *rules.REFUSALS[rejected.reason]), 200, headers)


def rows_of(world: World, parsed: rules.Parsed, account: str) -> Any:
    """Return what the same read would show another account, None when it would show nothing."""
    route = PRIVATE.get((parsed.http.method, parsed.http.path))
    if route is None:
        return None
    params = {name: value for name, value in parsed.params.items() if name not in ("orderId", "orderLinkId", "cursor")}
    other = replace(parsed, call=replace(parsed.call, account=account), params=params)
    try:
        return {"result": route[2](world, other)}
    except (Refused, Rejected):
        return None


def fault_answer(world: World, fault: str, seconds: float) -> Answer:
    """Return the reply of a fault that speaks for the exchange."""
    status, code, text = rules.FAULT_ANSWERS[fault]
    headers = {}
    if fault == "rate_limited":
        reset_at = world.venue_now() // 1000 + int(seconds * 1000)
        headers = _limit_headers(REQUESTS_PER_SECOND_ELSE, 0, reset_at)
    return Answer(rules.envelope(world, {}, code, text), status, headers)


def _result(world: World, parsed: rules.Parsed, is_admitted: bool) -> Any:
    http = parsed.http
    route = PRIVATE.get((http.method, http.path))
    if route is None:
        public = PUBLIC.get(http.path) if http.method == "GET" else None
        if public is None:
            raise rules.error(world, 10017, "Route not found.", 404)
        return public(world, dict(parsed.params))
    _, permission, handler = route
    if not is_admitted:
        rules.authenticate(world, parsed, permission)
    rules.check_time(world, parsed)
    return handler(world, parsed)


def _count(world: World, parsed: rules.Parsed) -> dict[str, str]:
    """Count a signed request among those of its account and endpoint in the last second."""
    if parsed.call.account not in world.keys:
        return {}
    path, now = parsed.http.path, world.now()
    counted = world.request_counts.setdefault((parsed.call.account, path), Rolling(1))
    most = REQUESTS_PER_SECOND.get(path, REQUESTS_PER_SECOND_ELSE)
    return _limit_headers(most, max(most - counted.add(now), 0), world.venue_now() // 1000)


def _limit_headers(most: int, left: int, reset_at: int) -> dict[str, str]:
    return {
        "X-Bapi-Limit": str(most),
        "X-Bapi-Limit-Status": str(left),
        "X-Bapi-Limit-Reset-Timestamp": str(reset_at),
    }


def _params(http: HttpRequest) -> dict[str, Any]:
    if http.method != "POST":
        return dict(read_form(http.query))
    try:
        body = json.loads(http.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
