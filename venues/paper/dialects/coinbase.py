"""Coinbase Advanced: one door for its REST requests."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from venues.paper.dialects import coinbase_rules as rules
from venues.paper.dialects.coinbase_orders import is_about_live
from venues.paper.dialects.coinbase_private import PRIVATE, Route
from venues.paper.dialects.coinbase_public import PUBLIC
from venues.paper.dialects.coinbase_streams import heartbeat, open_stream, private_frames, read_frame, tell_public
from venues.paper.faults import Call
from venues.paper.messages import Answer, Body, HttpRequest, Refused
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

ROUTES: dict[str, dict[str, Route]] = {
    method: {path: route for (one, path), route in PRIVATE.items() if one == method} for method in ("GET", "POST")
}


def read(world: World, http: HttpRequest) -> rules.Parsed:
    """Read a request: what it wants, for whom and about which order."""
    query, body = rules.query_of(http), rules.body_of(http)
    route = _route(http)
    operation = route[0] if route else "market_data"
    if operation == "closed_orders" and is_about_live(query):
        operation = "open_orders"
    account = rules.api_key_of(rules.bearer(http)) if route else ""
    market = world.by_venue_id.get(str(body.get("product_id") or query.get("product_ids", [""])[0]))
    call = Call(
        operation=operation,
        account=account,
        symbol=market.symbol if market else "",
        client_order_id=str(body.get("client_order_id") or _client_order_id(world, account, body)),
    )
    return rules.Parsed(http, call, query, body)


def admit(world: World, parsed: rules.Parsed) -> Answer | None:
    """Check a request's token and what its key may do; return the refusal, None when it may go on."""
    route = _route(parsed.http)
    try:
        if route is not None:
            rules.authenticate(world, parsed, route[1])
    except Refused as refused:
        return refused.answer
    return None


def answer(world: World, parsed: rules.Parsed, is_admitted: bool = False) -> Answer:
    """Handle a request and return the reply; errors are replies too. A token is judged at the door and never again."""
    try:
        public = _find(PUBLIC, parsed.http.path) if parsed.http.method == "GET" else None
        if public is not None:
            return Answer(public(world, parsed))
        route = _route(parsed.http)
        if route is None:
            raise rules.error(404, "NOT_FOUND", "Not Found")
        if not is_admitted:
            rules.authenticate(world, parsed, route[1])
        return route[2](world, parsed)
    except Refused as refused:
        return refused.answer


def rows_of(world: World, parsed: rules.Parsed, account: str) -> Body | None:
    """Return what the same read would show another account, None when it would show nothing."""
    route = _route(parsed.http)
    if route is None:
        return None
    query = {name: value for name, value in parsed.query.items() if name not in ("order_ids", "cursor")}
    other = replace(parsed, call=replace(parsed.call, account=account), query=query)
    try:
        if route[0] != "fetch_order":
            return route[2](world, other).body
        newest = next(reversed(world.engine.accounts[account].orders), "none")
        path = f"{parsed.http.path.rpartition('/')[0]}/{newest}"
        return route[2](world, replace(other, http=replace(parsed.http, path=path))).body
    except Refused:
        return None


def fault_answer(world: World, fault: str, seconds: float) -> Answer:
    """Return the reply of a fault that speaks for the exchange."""
    if fault in rules.FAULT_WORDS:
        return rules.not_created(rules.FAULT_WORDS[fault])
    said = rules.UNAVAILABLE if fault == "maintenance" else rules.TOO_MANY
    return Answer(said, rules.FAULT_STATUSES[fault], {"Retry-After": str(int(seconds))})


def _client_order_id(world: World, account: str, body: Mapping[str, Any]) -> str:
    """Return the client id of the order that a cancel or an edit names by the venue's own id."""
    named = body.get("order_id") or next(iter(body.get("order_ids") or []), "")
    known = world.engine.accounts[account].orders if account in world.engine.accounts else {}
    order = known.get(str(named))
    return order.request.client_order_id if order else ""


def _route(http: HttpRequest) -> Route | None:
    found: Route | None = _find(ROUTES.get(http.method, {}), http.path)
    return found


def _find(table: Mapping[str, Any], path: str) -> Any:
    """Return what a table has for a path, where one part of it may be anything."""
    found = table.get(path)
    parts = path.split("/")
    for index in range(len(parts) - 1, 2, -1):
        if found is not None:
            break
        found = table.get("/".join([*parts[:index], "{}", *parts[index + 1 :]]))
    return found
