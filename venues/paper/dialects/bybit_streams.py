"""Bybit over WebSocket: orders, executions and wallet behind a login; public books, trades and tickers."""

import json
from typing import Any

from venues.paper.blueprint import PublicChange
from venues.paper.book import Levels, depth_changes
from venues.paper.dialects import bybit_rules as rules
from venues.paper.dialects import bybit_shapes as shapes
from venues.paper.hub import Frame, Listener
from venues.paper.markets import Market
from venues.paper.orders import Fact, Print
from venues.paper.world import World

PRIVATE_STREAM = "/v5/private"
PUBLIC_STREAM = "/v5/public/spot"
PRIVATE_TOPICS = {"order", "order.spot", "execution", "execution.spot", "wallet"}
DEPTHS = {1, 50, 200, 1000}


def open_stream(world: World, connection: Listener, path: str, query: str) -> None:
    """Say nothing: a new connection is not greeted."""


def read_frame(world: World, connection: Listener, path: str, text: str) -> None:
    """Handle one frame from a client."""
    try:
        frame = json.loads(text)
    except ValueError:
        frame = None
    if not isinstance(frame, dict):
        connection.send(_told({}, "", success=False, text="Params Error"))
        return
    operation = frame.get("op")
    given = frame.get("args")
    arguments = given if isinstance(given, list) else []
    if operation == "ping":
        connection.send(_pong(world, frame, path))
    elif operation == "auth" and path == PRIVATE_STREAM:
        problem = _sign_in(world, connection, arguments)
        connection.send(_told(frame, "auth", success=not problem, text=problem))
    elif operation in ("subscribe", "unsubscribe"):
        _subscription(world, connection, path, frame, [str(name) for name in arguments])
    else:
        connection.send(_told(frame, str(operation), success=False, text="error:invalid op"))


def private_frames(world: World, connection: Listener, fact: Fact) -> list[Frame]:
    """Return the frames about a fact, of the topics that a connection has asked for."""
    topics = connection.accounts[fact.account]
    frames: list[Frame] = []
    order, version, fill = fact.order, fact.version, fact.fill
    market = world.engine.markets[order.request.symbol].market if order is not None else None
    for topic in topics:
        kind = topic.partition(".")[0]
        rows: list[shapes.Shape] = []
        if kind == "execution" and fill is not None and market is not None:
            rows = [{"category": "spot", "isLeverage": "0", **shapes.execution(fill, market, world.exchange)}]
        elif kind == "order" and order is not None and version is not None and market is not None:
            rows = [{"category": "spot", **shapes.order(order, version, market)}]
        elif kind == "wallet":
            rows = [shapes.wallet(world, fact.account, list(fact.balances))]
        if rows:
            now = world.venue_now() // 1000
            frames.append({"id": _frame_id(connection), "topic": topic, "creationTime": now, "data": rows})
    return frames


def tell_public(world: World, symbol: str, change: PublicChange) -> None:
    """Send listeners what changed in a market."""
    market = world.engine.markets[symbol].market
    for connection in world.hub.connections:
        for topic, memory in connection.channels.items():
            name, _, rest = topic.partition(".")
            if rest.rpartition(".")[2] != market.venue_id:
                continue
            if name == "orderbook":
                _send_book_delta(world, connection, market, topic, memory)
            elif name == "publicTrade" and change.prints:
                rows = [_public_trade(market, item) for item in change.prints]
                connection.send(_public(world, topic, "snapshot", rows))
            elif name == "tickers":
                _send_ticker(world, connection, market, topic)


def heartbeat(world: World) -> None:
    """Send nothing: the client asks with a ping."""


def _sign_in(world: World, connection: Listener, arguments: list[Any]) -> str:
    """Let a connection see an account; return the reason why not, empty when it may."""
    api_key, expires, signature = [str(one) for one in [*arguments, "", "", ""][:3]]
    key = world.keys.get(api_key)
    if key is None or not key.permissions.get("read", False):
        return "API key is invalid."
    if not expires.isdecimal() or int(expires) <= world.venue_now() // 1000:
        return "Params Error"
    if not rules.is_signature(key.secret, f"GET/realtime{expires}".encode(), signature):
        return "Sign invalid"
    connection.accounts.setdefault(api_key, {})
    return ""


def _subscription(world: World, connection: Listener, path: str, frame: Frame, topics: list[str]) -> None:
    is_private = path == PRIVATE_STREAM
    known = PRIVATE_TOPICS.__contains__ if is_private else lambda topic: _is_public(world, topic)
    wrong = next((topic for topic in topics if not known(topic)), None)
    operation = str(frame["op"])
    if is_private and not connection.accounts:
        connection.send(_told(frame, operation, success=False, text="Request not authorized"))
        return
    if wrong is not None or not topics or path not in (PRIVATE_STREAM, PUBLIC_STREAM):
        connection.send(_told(frame, operation, success=False, text=f"error:handler not found,topic:{wrong or ''}"))
        return
    subscribed = next(iter(connection.accounts.values())) if is_private else connection.channels
    connection.send(_told(frame, operation, success=True, text="" if is_private else operation))
    for topic in topics:
        if operation == "unsubscribe":
            subscribed.pop(topic, None)
        else:
            subscribed[topic] = {}
            if not is_private:
                _send_public_snapshot(world, connection, topic)


def _is_public(world: World, topic: str) -> bool:
    name, _, rest = topic.partition(".")
    depth, _, venue_id = rest.rpartition(".")
    if venue_id not in world.by_venue_id:
        return False
    if name == "orderbook":
        return depth.isdecimal() and int(depth) in DEPTHS
    return name in ("publicTrade", "tickers") and not depth


def _send_public_snapshot(world: World, connection: Listener, topic: str) -> None:
    name, _, rest = topic.partition(".")
    depth, _, venue_id = rest.rpartition(".")
    market = world.by_venue_id[venue_id]
    if name == "tickers":
        _send_ticker(world, connection, market, topic)
    elif name == "orderbook":
        book = world.engine.markets[market.symbol].book
        memory = connection.channels[topic]
        memory |= {"depth": int(depth), "u": book.revision}
        memory |= {side: dict(book.depth(side, int(depth))) for side in ("buy", "sell")}
        row = _book_row(market, memory["buy"], memory["sell"], memory["u"], book.revision)
        connection.send(_public(world, topic, "snapshot", row))


def _send_book_delta(world: World, connection: Listener, market: Market, topic: str, memory: Frame) -> None:
    book = world.engine.markets[market.symbol].book
    changes = depth_changes(book, memory)
    if changes["buy"] or changes["sell"]:
        memory["u"] += 1
        row = _book_row(market, changes["buy"], changes["sell"], memory["u"], book.revision)
        connection.send(_public(world, topic, "delta", row))


def _book_row(market: Market, bids: Levels, asks: Levels, update_id: int, sequence: int) -> Frame:
    return {
        "s": market.venue_id,
        "b": [[shapes.plain(price), shapes.plain(quantity)] for price, quantity in bids.items()],
        "a": [[shapes.plain(price), shapes.plain(quantity)] for price, quantity in asks.items()],
        "u": update_id,
        "seq": sequence,
    }


def _send_ticker(world: World, connection: Listener, market: Market, topic: str) -> None:
    row = shapes.ticker(world, market)
    sides = ("bid1Price", "bid1Size", "ask1Price", "ask1Size")
    shown = {name: value for name, value in row.items() if name not in sides} | {"usdIndexPrice": row["lastPrice"]}
    connection.send(_public(world, topic, "snapshot", shown) | {"cs": world.engine.markets[market.symbol].trade_number})


def _public_trade(market: Market, item: Print) -> Frame:
    return {
        "i": str(item.trade_number),
        "T": item.at // 1000,
        "p": shapes.plain(item.price),
        "v": shapes.plain(item.quantity),
        "S": item.taker_side.capitalize(),
        "s": market.venue_id,
        "BT": False,
        "RPI": False,
        "seq": item.trade_number,
    }


def _public(world: World, topic: str, kind: str, data: Any) -> Frame:
    now = world.venue_now() // 1000
    return {"topic": topic, "type": kind, "ts": now, "data": data, "cts": now}


def _told(frame: Frame, operation: str, *, success: bool, text: str) -> Frame:
    named = {"req_id": frame["req_id"]} if "req_id" in frame else {}
    return {"success": success, "ret_msg": text, "conn_id": "paper", "op": operation, **named}


def _pong(world: World, frame: Frame, path: str) -> Frame:
    named = {"req_id": frame["req_id"]} if "req_id" in frame else {}
    if path == PRIVATE_STREAM:
        return {**named, "op": "pong", "args": [str(world.venue_now() // 1000)], "conn_id": "paper"}
    return {"success": True, "ret_msg": "pong", "conn_id": "paper", **named, "op": "ping"}


def _frame_id(connection: Listener) -> str:
    return f"paper-{next(connection.sequence)}"
