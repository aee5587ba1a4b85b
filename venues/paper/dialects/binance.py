"""Binance spot: one door for its REST requests."""

from dataclasses import replace

from venues.paper.dialects import binance_rules as rules
from venues.paper.dialects.binance_private import PRIVATE
from venues.paper.dialects.binance_public import PUBLIC
from venues.paper.dialects.binance_streams import heartbeat, open_stream, private_frames, read_frame, tell_public
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

CLIENT_ID_PARAMETERS = (
    "newClientOrderId",
    "origClientOrderId",
    "cancelNewClientOrderId",
    "cancelOrigClientOrderId",
)


def read(world: World, http: HttpRequest) -> rules.Parsed:
    """Read a request: what it wants, for whom and about which order."""
    body = http.body.decode("utf-8", "replace")
    raw = http.query + body
    params = read_form(raw if not (http.query and body) else f"{http.query}&{body}")
    if not world.personality.client_ids:
        for name in CLIENT_ID_PARAMETERS:
            params.pop(name, None)
    route = PRIVATE.get((http.method, http.path))
    operation = route[0] if route else "market_data"
    market = world.by_venue_id.get(params.get("symbol", ""))
    client_order_id = params.get("origClientOrderId") or params.get("newClientOrderId", "")
    account = http.headers.get("X-MBX-APIKEY", "") if route else ""
    call = Call(
        operation=operation,
        account=account,
        symbol=market.symbol if market else "",
        client_order_id=client_order_id,
    )
    return rules.Parsed(http, call, params, raw)


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
    """Handle a request and return the reply. Errors are replies too."""
    http = parsed.http
    headers = _count(world, http)
    try:
        public = PUBLIC.get(http.path) if http.method == "GET" else None
        if public is not None:
            return Answer(public(world, parsed.params), 200, headers)
        route = PRIVATE.get((http.method, http.path))
        if route is None:
            raise Refused(rules.error(404, -1000, "No such endpoint."))
        _, permission, handler = route
        if not is_admitted:
            rules.authenticate(world, parsed, permission)
        rules.check_time(world, parsed.params)
        return Answer(handler(world, parsed), 200, headers)
    except Refused as refused:
        return Answer(refused.answer.body, refused.answer.status, headers | dict(refused.answer.headers))
    except Rejected as rejected:
        return Answer(rules.refusal(rejected.reason).body, 400, headers)


def rows_of(world: World, parsed: rules.Parsed, account: str) -> Body | None:
    """Return what the same read would show another account, None when it would show nothing."""
    route = PRIVATE.get((parsed.http.method, parsed.http.path))
    if route is None:
        return None
    params = {name: value for name, value in parsed.params.items() if name not in ("orderId", "origClientOrderId")}
    other = replace(parsed, call=replace(parsed.call, account=account), params=params)
    try:
        if route[0] != "fetch_order":
            return route[2](world, other)
        rows = PRIVATE[("GET", "/api/v3/allOrders")][2](world, other)
        return rows[-1] if isinstance(rows, list) and rows else None
    except (Refused, Rejected):
        return None


def fault_answer(world: World, fault: str, seconds: float) -> Answer:
    """Return the reply of a fault that speaks for the exchange."""
    status, code, text = rules.FAULT_ANSWERS[fault]
    until = world.now() // 1000 + int(seconds * 1000)
    headers = {"Retry-After": str(int(seconds))} if status in (418, 429) else {}
    return Answer({"code": code, "msg": text.format(until=until)}, status, headers)


def _count(world: World, http: HttpRequest) -> dict[str, str]:
    now = world.now()
    weight = str(world.weight.add(now))
    headers = {"X-MBX-USED-WEIGHT": weight, "X-MBX-USED-WEIGHT-1M": weight}
    if http.method == "POST" and http.path.startswith("/api/v3/order"):
        headers["X-MBX-ORDER-COUNT-10S"] = str(world.order_count.add(now))
    return headers
