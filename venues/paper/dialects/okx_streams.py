"""OKX over WebSocket: login, orders with their fills, algo orders, the account, and public channels."""

import binascii
import json
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from venues.paper.blueprint import PublicChange
from venues.paper.book import Book
from venues.paper.dialects import okx_rules as rules
from venues.paper.dialects import okx_shapes as shapes
from venues.paper.dialects.okx_public import level, trade
from venues.paper.hub import Frame, Listener
from venues.paper.markets import Market
from venues.paper.orders import Fact
from venues.paper.personality import MICROSECONDS
from venues.paper.world import World

PUBLIC_PATH, PRIVATE_PATH, BUSINESS_PATH = "/ws/v5/public", "/ws/v5/private", "/ws/v5/business"
DEPTHS = {"books": 400, "books5": 5, "bbo-tbt": 1}
CHANNELS = {
    PUBLIC_PATH: ("books", "books5", "bbo-tbt", "trades", "tickers"),
    PRIVATE_PATH: ("orders", "account"),
    BUSINESS_PATH: ("orders-algo",),
}
CHECKSUM_LEVELS = 25
VERIFY = "GET/users/self/verify"
Levels = dict[Decimal, Decimal]


def open_stream(world: World, connection: Listener, path: str, query: str) -> None:
    """Say nothing: OKX waits for the first request."""


def read_frame(world: World, connection: Listener, path: str, text: str) -> None:
    """Handle one frame from a client; "ping" is a plain text."""
    if text == "ping":
        connection.send_text("pong")
        return
    try:
        frame = json.loads(text)
    except ValueError:
        frame = None
    arguments = frame.get("args") if isinstance(frame, dict) else None
    if (
        not isinstance(frame, dict)
        or not isinstance(arguments, list)
        or not all(isinstance(a, dict) for a in arguments)
    ):
        connection.send(_error("60012", f"Illegal request: {text}"))
        return
    if frame.get("op") == "login":
        connection.send(_login(world, connection, arguments[0] if arguments else {}))
        return
    for argument in arguments:
        if frame.get("op") == "subscribe":
            _subscribe(world, connection, path, argument)
        elif frame.get("op") == "unsubscribe":
            _forget(connection, argument)
            connection.send({"event": "unsubscribe", "arg": argument, "connId": "paper"})
        else:
            connection.send(_error("60019", f"Invalid op {frame.get('op')}"))


def private_frames(world: World, connection: Listener, fact: Fact) -> list[Frame]:
    """Return the frames that tell a subscriber about a fact."""
    subscribed = connection.accounts[fact.account]
    frames: list[Frame] = []
    order, version = fact.order, fact.version
    if order is not None and version is not None:
        state = world.engine.markets[order.request.symbol]
        if (
            "orders-algo" in subscribed
            and shapes.is_algo(order)
            and (not version.is_working or fact.kind == "triggered")
        ):
            row = shapes.algo(order, version, state.market, state.last_price)
            frames.append({"arg": subscribed["orders-algo"], "data": [row]})
        if "orders" in subscribed and version.is_working:
            row = shapes.order_update(order, version, state.market, fact.fill, fact.kind == "amended")
            frames.append({"arg": subscribed["orders"], "data": [row]})
    if "account" in subscribed:
        row = shapes.balance(world, fact.account, list(fact.balances), world.now())
        frames.append(_account_frame(subscribed["account"], row, "event_update"))
    return frames


def tell_public(world: World, symbol: str, change: PublicChange) -> None:
    """Send listeners what changed in a market."""
    state = world.engine.markets[symbol]
    for connection in world.hub.connections:
        for memory in connection.channels.values():
            argument = memory["arg"]
            if argument["instId"] != state.market.venue_id:
                continue
            if argument["channel"] == "books":
                _send_book_update(world, connection, state.market, memory)
            elif argument["channel"] in DEPTHS:
                connection.send(_depth_frame(world, state.market, argument))
            elif argument["channel"] == "tickers":
                connection.send({"arg": argument, "data": [shapes.ticker(world, state.market)]})
            else:
                for item in change.prints:
                    connection.send({"arg": argument, "data": [trade(item, state.market)]})


def heartbeat(world: World) -> None:
    """Send nothing: at OKX the client pings."""


def checksum(book: Book) -> int:
    """Return OKX's signed CRC32 over the 25 best bids and asks in turn."""
    sides = (book.depth("buy", CHECKSUM_LEVELS), book.depth("sell", CHECKSUM_LEVELS))
    pairs = zip_longest(*sides)
    levels = [row for pair in pairs for row in pair if row is not None]
    text = ":".join(f"{shapes.text(price)}:{shapes.text(quantity)}" for price, quantity in levels)
    unsigned = binascii.crc32(text.encode())
    return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned


def _login(world: World, connection: Listener, given: dict[str, Any]) -> Frame:
    key = world.keys.get(str(given.get("apiKey", "")))
    timestamp = str(given.get("timestamp", ""))
    if key is None or not key.permissions.get("read", False):
        return _error("60005", "Invalid apiKey")
    if str(given.get("passphrase", "")) != key.passphrase:
        return _error("60024", "Wrong passphrase")
    if rules.sign(key.secret, f"{timestamp}{VERIFY}".encode()) != given.get("sign"):
        return _error("60007", "Invalid sign")
    if not rules.NUMBER.fullmatch(timestamp):
        return _error("60004", "Invalid timestamp")
    late = abs(world.venue_now() - int(Decimal(timestamp) * MICROSECONDS)) > rules.TIMESTAMP_SECONDS * MICROSECONDS
    if late and world.personality.validity_window:
        return _error("60006", "Timestamp request expired")
    connection.accounts.setdefault(key.api_key, {})
    return {"event": "login", "code": "0", "msg": "", "connId": "paper"}


def _subscribe(world: World, connection: Listener, path: str, argument: Frame) -> None:
    channel = str(argument.get("channel", ""))
    is_public, market = path == PUBLIC_PATH, world.by_venue_id.get(str(argument.get("instId", "")))
    if channel not in CHANNELS.get(path, ()) or (is_public and market is None):
        connection.send(
            _error("60018", f"Wrong URL or channel:{channel},instId:{argument.get('instId')} doesn't exist.")
        )
        return
    if not is_public and not connection.accounts:
        connection.send(_error("60011", "Please log in"))
        return
    connection.send({"event": "subscribe", "arg": argument, "connId": "paper"})
    if market is not None and is_public:
        memory = connection.channels[f"{channel}:{market.venue_id}"] = {"arg": argument}
        _send_public_snapshot(world, connection, market, memory)
        return
    for api_key, subscribed in connection.accounts.items():
        subscribed[channel] = argument
        if channel == "account":
            row = shapes.balance(world, api_key, world.engine.accounts[api_key].assets(), world.now())
            connection.send(_account_frame(argument, row, "snapshot"))


def _forget(connection: Listener, argument: Frame) -> None:
    connection.channels.pop(f"{argument.get('channel')}:{argument.get('instId')}", None)
    for subscribed in connection.accounts.values():
        subscribed.pop(str(argument.get("channel")), None)


def _send_public_snapshot(world: World, connection: Listener, market: Market, memory: Frame) -> None:
    state, argument = world.engine.markets[market.symbol], memory["arg"]
    if argument["channel"] == "tickers":
        connection.send({"arg": argument, "data": [shapes.ticker(world, market)]})
    elif argument["channel"] == "books":
        for side in ("buy", "sell"):
            memory[side] = dict(state.book.depth(side, DEPTHS["books"]))
        memory["seqId"] = -1
        connection.send(_book_frame(world, state.book, memory, "snapshot", memory["buy"], memory["sell"]))
    elif argument["channel"] in DEPTHS:
        connection.send(_depth_frame(world, market, argument))


def _send_book_update(world: World, connection: Listener, market: Market, memory: Frame) -> None:
    book = world.engine.markets[market.symbol].book
    changes: dict[str, Levels] = {}
    for side in ("buy", "sell"):
        before: Levels = memory[side]
        levels = dict(book.depth(side, DEPTHS["books"]))
        changed = {price: quantity for price, quantity in levels.items() if before.get(price) != quantity}
        changes[side] = dict.fromkeys((price for price in before if price not in levels), Decimal(0)) | changed
        memory[side] = levels
    if changes["buy"] or changes["sell"]:
        connection.send(_book_frame(world, book, memory, "update", changes["buy"], changes["sell"]))


def _book_frame(world: World, book: Book, memory: Frame, action: str, bids: Levels, asks: Levels) -> Frame:
    row = {
        "asks": [level(row) for row in asks.items()],
        "bids": [level(row) for row in bids.items()],
        "ts": shapes.milliseconds(world.venue_now()),
        "checksum": checksum(book),
        "prevSeqId": memory["seqId"],
        "seqId": book.revision,
    }
    memory["seqId"] = book.revision
    return {"arg": memory["arg"], "action": action, "data": [row]}


def _depth_frame(world: World, market: Market, argument: Frame) -> Frame:
    book = world.engine.markets[market.symbol].book
    size = DEPTHS[argument["channel"]]
    row = {
        "asks": [level(row) for row in book.depth("sell", size)],
        "bids": [level(row) for row in book.depth("buy", size)],
        "instId": market.venue_id,
        "ts": shapes.milliseconds(world.venue_now()),
        "seqId": book.revision,
    }
    return {"arg": argument, "data": [row]}


def _account_frame(argument: Frame, row: shapes.Shape, kind: str) -> Frame:
    return {"arg": argument, "eventType": kind, "curPage": 1, "lastPage": True, "data": [row]}


def _error(code: str, text: str) -> Frame:
    return {"event": "error", "code": code, "msg": text, "connId": "paper"}
