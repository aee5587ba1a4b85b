"""Binance over WebSocket: the user stream of the WebSocket API, and public streams."""

import json
from typing import Any

from venues.paper.blueprint import PublicChange
from venues.paper.dialects import binance_rules as rules
from venues.paper.dialects import binance_shapes as shapes
from venues.paper.hub import Frame, Listener
from venues.paper.markets import Market
from venues.paper.messages import Answer, Refused
from venues.paper.orders import Fact, Print
from venues.paper.world import World

USER_STREAM = "/ws-api/v3"
WRAPPED = "wrapped:"


def open_stream(world: World, connection: Listener, path: str, query: str) -> None:
    """Subscribe a new connection to the streams its address names."""
    if path.startswith("/ws/"):
        _subscribe(connection, [path.removeprefix("/ws/")], "")
    elif path == "/stream" and query.startswith("streams="):
        _subscribe(connection, query.removeprefix("streams=").split("/"), WRAPPED)


def read_frame(world: World, connection: Listener, path: str, text: str) -> None:
    """Handle one frame from a client."""
    frame = _decode(text)
    if path == USER_STREAM:
        connection.send(_api_answer(world, connection, frame))
        return
    prefix = WRAPPED if path == "/stream" else ""
    names = [str(name) for name in frame.get("params") or []]
    result: Any = None
    if frame.get("method") == "SUBSCRIBE":
        _subscribe(connection, names, prefix)
    elif frame.get("method") == "UNSUBSCRIBE":
        for name in names:
            connection.channels.pop(prefix + name, None)
    elif frame.get("method") == "LIST_SUBSCRIPTIONS":
        result = list(connection.channels)
    else:
        connection.send({"error": {"code": 2, "msg": "Invalid request"}, "id": frame.get("id")})
        return
    connection.send({"result": result, "id": frame.get("id")})


def private_frames(world: World, connection: Listener, fact: Fact) -> list[Frame]:
    """Return the user stream's events about a fact."""
    now = world.venue_now()
    time = shapes.milliseconds(now)
    events: list[Frame] = []
    if fact.order is not None and fact.version is not None:
        market = world.engine.markets[fact.order.request.symbol].market
        events.append(shapes.execution_report(fact, fact.order, fact.version, market, now))
    else:
        sign = "" if fact.kind == "deposited" else "-"
        delta = f"{sign}{shapes.eight(fact.amount)}"
        events.append({"e": "balanceUpdate", "E": time, "a": fact.asset, "d": delta, "T": time})
    rows = shapes.balances(world, fact.account, list(fact.balances), ("a", "f", "l"))
    events.append({"e": "outboundAccountPosition", "E": time, "u": shapes.milliseconds(fact.at), "B": rows})
    subscription = connection.accounts[fact.account]["subscriptionId"]
    return [{"subscriptionId": subscription, "event": event} for event in events]


def tell_public(world: World, symbol: str, change: PublicChange) -> None:
    """Send listeners what changed in a market."""
    for channel, event in _public_events(world, symbol, change):
        for connection in world.hub.connections:
            if channel in connection.channels:
                connection.send(event)
            if WRAPPED + channel in connection.channels:
                connection.send({"stream": channel, "data": event})


def heartbeat(world: World) -> None:
    """Send nothing: Binance pings on the protocol's own level."""


def _public_events(world: World, symbol: str, change: PublicChange) -> list[tuple[str, Frame]]:
    state = world.engine.markets[symbol]
    market = state.market
    name = market.venue_id.lower()
    time = shapes.milliseconds(world.venue_now())
    depth = {
        "e": "depthUpdate",
        "E": time,
        "s": market.venue_id,
        "U": change.first_revision,
        "u": change.last_revision,
        "b": [[shapes.eight(price), shapes.eight(quantity)] for price, quantity in change.levels["buy"]],
        "a": [[shapes.eight(price), shapes.eight(quantity)] for price, quantity in change.levels["sell"]],
    }
    events: list[tuple[str, Frame]] = [(f"{name}@depth", depth), (f"{name}@depth@100ms", depth)]
    row = shapes.ticker(world, market)
    best = {"u": change.last_revision, "s": market.venue_id, "b": row["bidPrice"], "B": row["bidQty"]}
    events.append((f"{name}@bookTicker", best | {"a": row["askPrice"], "A": row["askQty"]}))
    events.append((f"{name}@ticker", _ticker_event(row, time)))
    for item in change.prints:
        events.append((f"{name}@trade", _trade_event(item, market, time)))
    return events


def _subscribe(connection: Listener, names: list[str], prefix: str) -> None:
    for name in names:
        connection.channels[prefix + name] = {}


def _decode(text: str) -> dict[str, Any]:
    try:
        frame = json.loads(text)
    except ValueError:
        return {}
    return frame if isinstance(frame, dict) else {}


def _api_answer(world: World, connection: Listener, frame: dict[str, Any]) -> Frame:
    method, request_id = frame.get("method"), frame.get("id")
    params = frame.get("params") or {}
    if method == "ping":
        return {"id": request_id, "status": 200, "result": {}}
    if method == "time":
        return {"id": request_id, "status": 200, "result": {"serverTime": world.venue_now() // 1000}}
    if method == "userDataStream.unsubscribe":
        connection.accounts.clear()
        return {"id": request_id, "status": 200, "result": {}}
    if method != "userDataStream.subscribe.signature":
        return _api_error(request_id, rules.error(400, -1000, "Unknown method."))
    try:
        account = _authenticate(world, params)
    except Refused as refused:
        return _api_error(request_id, refused.answer)
    connection.accounts.setdefault(account, {"subscriptionId": len(connection.accounts)})
    result = {"subscriptionId": connection.accounts[account]["subscriptionId"]}
    return {"id": request_id, "status": 200, "result": result}


def _api_error(request_id: Any, answer: Answer) -> Frame:
    return {"id": request_id, "status": answer.status, "error": answer.body}


def _authenticate(world: World, params: dict[str, Any]) -> str:
    key = world.keys.get(str(params.get("apiKey", "")))
    if key is None or not key.permissions.get("read", False):
        raise Refused(rules.error(401, -2015, "Invalid API-key, IP, or permissions for action."))
    signed = "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
    rules.check_signature(key.secret, signed, str(params.get("signature", "")))
    rules.check_time(world, params)
    return key.api_key


def _trade_event(item: Print, market: Market, time: int) -> Frame:
    return {
        "e": "trade",
        "E": time,
        "s": market.venue_id,
        "t": item.trade_number,
        "p": shapes.eight(item.price),
        "q": shapes.eight(item.quantity),
        "T": shapes.milliseconds(item.at),
        "m": item.taker_side == "sell",
        "M": True,
    }


def _ticker_event(row: shapes.Shape, time: int) -> Frame:
    names = {
        "s": "symbol", "p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "x": "prevClosePrice",
        "c": "lastPrice", "Q": "lastQty", "b": "bidPrice", "B": "bidQty", "a": "askPrice", "A": "askQty",
        "o": "openPrice", "h": "highPrice", "l": "lowPrice", "v": "volume", "q": "quoteVolume", "O": "openTime",
        "C": "closeTime", "F": "firstId", "L": "lastId", "n": "count",
    }  # fmt: skip
    return {"e": "24hrTicker", "E": time, **{short: row[name] for short, name in names.items()}}
