"""Binance spot: one door for its REST requests."""

from collections import deque
from urllib.parse import parse_qsl

from venues.paper.dialects import binance_rules as rules
from venues.paper.dialects.binance_orders import PRIVATE
from venues.paper.dialects.binance_public import PUBLIC
from venues.paper.dialects.binance_streams import heartbeat, open_stream, private_frames, read_frame, tell_public
from venues.paper.faults import Call
from venues.paper.messages import Answer, HttpRequest, Refused
from venues.paper.orders import Rejected
from venues.paper.world import World

__all__ = ["answer", "fault_answer", "heartbeat", "open_stream", "private_frames", "read", "read_frame", "tell_public"]

WEIGHT_WINDOW_MICROSECONDS = 60_000_000
ORDER_WINDOW_MICROSECONDS = 10_000_000


def read(world: World, http: HttpRequest) -> rules.Parsed:
    """Read a request: what it wants, for whom and about which order."""
    raw = http.query + http.body.decode("utf-8", "replace")
    params = dict(parse_qsl(raw if not (http.query and http.body) else f"{http.query}&{http.body.decode()}", True))
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


def answer(world: World, parsed: rules.Parsed) -> Answer:
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
        rules.authenticate(world, http.headers.get("X-MBX-APIKEY", ""), parsed, permission)
        return Answer(handler(world, parsed), 200, headers)
    except Refused as refused:
        return Answer(refused.answer.body, refused.answer.status, headers | dict(refused.answer.headers))
    except Rejected as rejected:
        return Answer(rules.refusal(rejected.reason).body, 400, headers)


def fault_answer(world: World, fault: str, seconds: float) -> Answer:
    """Return the reply of a fault that speaks for the exchange."""
    status, code, text = rules.FAULT_ANSWERS[fault]
    until = world.now() // 1000 + int(seconds * 1000)
    headers = {"Retry-After": str(int(seconds))} if status in (418, 429) else {}
    return Answer({"code": code, "msg": text.format(until=until)}, status, headers)


def _count(world: World, http: HttpRequest) -> dict[str, str]:
    now = world.now()
    weight = str(_within(world.request_times["weight"], now, WEIGHT_WINDOW_MICROSECONDS))
    headers = {"X-MBX-USED-WEIGHT": weight, "X-MBX-USED-WEIGHT-1M": weight}
    if http.method == "POST" and http.path == "/api/v3/order":
        recent = _within(world.request_times["orders"], now, ORDER_WINDOW_MICROSECONDS)
        headers["X-MBX-ORDER-COUNT-10S"] = str(recent)
    return headers


def _within(times: deque[int], now: int, window: int) -> int:
    times.append(now)
    while times[0] < now - window:
        times.popleft()
    return len(times)
