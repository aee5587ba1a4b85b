"""Kraken spot: one door for its REST requests."""

import json
from dataclasses import replace
from typing import Any

from venues.paper.dialects import kraken_rules as rules
from venues.paper.dialects.kraken_private import PRIVATE
from venues.paper.dialects.kraken_public import PUBLIC
from venues.paper.dialects.kraken_streams import heartbeat, open_stream, private_frames, read_frame, tell_public
from venues.paper.faults import Call
from venues.paper.messages import Answer, Context, HttpRequest, Refused, read_form
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
    params = _params(http)
    if not world.personality.client_ids:
        params.pop("cl_ord_id", None)
    route = PRIVATE.get(http.path)
    market = rules.market_named(world, str(params.get("pair", "")))
    call = Call(
        operation=route[0] if route else "market_data",
        account=http.headers.get("API-Key", "") if route else "",
        symbol=market.symbol if market else "",
        client_order_id=str(params.get("cl_ord_id", "")),
    )
    return rules.Parsed(http, call, params)


def admit(world: World, parsed: rules.Parsed) -> Answer | None:
    """Check a request's key, signature and nonce, but not its deadline; return the refusal, None when it may go on."""
    route = PRIVATE.get(parsed.http.path)
    try:
        if route is not None:
            rules.authenticate(world, parsed, route[1])
    except Refused as refused:
        return refused.answer
    return None


def answer(world: World, parsed: rules.Parsed, is_admitted: bool = False) -> Answer:
    """Handle a request and return the reply: errors come with status 200, as at the real exchange."""
    try:
        return Answer({"error": [], "result": _result(world, parsed, is_admitted)})
    except Refused as refused:
        return refused.answer
    except Rejected as rejected:
        return Answer({"error": [rules.REFUSALS[rejected.reason].format(detail=rejected.detail)]})


def rows_of(world: World, parsed: rules.Parsed, account: str) -> Any:
    """Return what the same read would show another account, None when it would show nothing."""
    route = PRIVATE.get(parsed.http.path)
    if route is None:
        return None
    params = {name: value for name, value in parsed.params.items() if name not in ("txid", "cl_ord_id")}
    if route[0] == "fetch_order":
        params["txid"] = next(reversed(world.engine.accounts[account].orders), "")
    other = replace(parsed, call=replace(parsed.call, account=account), params=params)
    try:
        return {"result": route[2](world, other)}
    except (Refused, Rejected):
        return None


def fault_answer(world: World, fault: str, seconds: float) -> Answer:
    """Return the reply of a fault that speaks for the exchange."""
    status, text = rules.FAULT_ANSWERS[fault]
    headers = {"Retry-After": str(int(seconds))} if status in (418, 429) else {}
    return Answer({"error": [text]}, status, headers)


def _result(world: World, parsed: rules.Parsed, is_admitted: bool) -> Any:
    path = parsed.http.path
    public = PUBLIC.get(path)
    if public is not None:
        return public(world, parsed.params)
    route = PRIVATE.get(path)
    if route is None or parsed.http.method != "POST":
        raise rules.error("EGeneral:Unknown method")
    _, permission, handler = route
    nonce = int(parsed.params["nonce"]) if is_admitted else rules.authenticate(world, parsed, permission)
    world.context = Context(parsed.http.connection, parsed.http.received_at, nonce)
    return handler(world, parsed)


def _params(http: HttpRequest) -> dict[str, Any]:
    if http.headers.get("Content-Type", "").startswith("application/json"):
        try:
            body = json.loads(http.body)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}
    text = http.body.decode("utf-8", "replace") if http.method == "POST" else http.query
    return dict(read_form(text))
