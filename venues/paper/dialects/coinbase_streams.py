"""Coinbase over WebSocket: the user's orders, books, trades and tickers, numbered together on each connection."""

import json
from typing import Any

from venues.paper.blueprint import PublicChange
from venues.paper.dialects import coinbase_rules as rules
from venues.paper.dialects import coinbase_shapes as shapes
from venues.paper.engine import MarketState
from venues.paper.hub import Frame, Listener
from venues.paper.messages import Refused, plain
from venues.paper.orders import NOTHING, Fact
from venues.paper.world import World

USER, HEARTBEATS = "user", "heartbeats"
PUBLIC = ("level2", "market_trades", "ticker", "ticker_batch")
NAMES = {"level2": "l2_data"}
SIDES = {"buy": "bid", "sell": "offer"}
SNAPSHOT_ORDERS = 50
SNAPSHOT_TRADES = 50
EPOCH = "1970-01-01T00:00:00Z"


def open_stream(world: World, connection: Listener, path: str, query: str) -> None:
    """Greet a new connection: the exchange says nothing until it is asked."""


def read_frame(world: World, connection: Listener, path: str, text: str) -> None:
    """Handle one frame from a client."""
    try:
        frame = json.loads(text)
    except ValueError:
        frame = None
    if not isinstance(frame, dict) or frame.get("type") not in ("subscribe", "unsubscribe"):
        connection.send({"type": "error", "message": "failure to decode message"})
        return
    channel = str(frame.get("channel", ""))
    if channel == USER:
        _user(world, connection, frame)
    elif channel == HEARTBEATS:
        _switch(connection, HEARTBEATS, frame["type"])
        _confirm(world, connection)
    else:
        _market_channel(world, connection, channel, frame)


def private_frames(world: World, connection: Listener, fact: Fact) -> list[Frame]:
    """Return the frame that tells a subscriber about one of its orders; of trades and balances nothing is told."""
    if fact.order is None or fact.version is None:
        return []
    market = world.engine.markets[fact.order.request.symbol].market
    row = shapes.update(fact.order, fact.version, market)
    return [_frame(world, connection, USER, {"type": "update", "orders": [row]})]


def tell_public(world: World, symbol: str, change: PublicChange) -> None:
    """Send listeners what changed in a market."""
    state = world.engine.markets[symbol]
    for connection in world.hub.connections:
        for name in list(connection.channels):
            channel, _, listened = name.partition(":")
            if listened != symbol:
                continue
            if channel == "level2":
                updates = [_level(world, *level) for level in _changed(change)]
                if updates:
                    event = {"type": "update", "product_id": state.market.venue_id, "updates": updates}
                    connection.send(_frame(world, connection, channel, event))
            elif channel == "market_trades" and change.prints:
                rows = [shapes.trade(item, state.market) for item in reversed(change.prints)]
                connection.send(_frame(world, connection, channel, {"type": "update", "trades": rows}))
            elif channel.startswith("ticker"):
                event = {"type": "update", "tickers": [_ticker(state)]}
                connection.send(_frame(world, connection, channel, event))


def heartbeat(world: World) -> None:
    """Send who asked for it the sign of life of each second."""
    now = world.venue_now()
    for connection in world.hub.connections:
        memory = connection.channels.get(HEARTBEATS)
        if memory is not None:
            memory["count"] = memory.get("count", 0) + 1
            event = {"current_time": shapes.iso(now), "heartbeat_counter": memory["count"]}
            connection.send(_frame(world, connection, HEARTBEATS, event))


def _user(world: World, connection: Listener, frame: Frame) -> None:
    try:
        key = rules.check_token(world, str(frame.get("jwt", "")))
    except Refused:
        connection.send({"type": "error", "message": "authentication failure"})
        return
    if frame["type"] == "unsubscribe":
        connection.accounts.pop(key.api_key, None)
        _confirm(world, connection)
        return
    connection.accounts[key.api_key] = {USER: True}
    _confirm(world, connection)
    now = world.now()
    shown = world.engine.accounts[key.api_key].visible_open_orders(now, now)
    rows = [
        shapes.update(
            order, order.version_at(now) or order.versions[0], world.engine.markets[order.request.symbol].market
        )
        for order in shown
    ]
    for start in range(0, max(len(rows), 1), SNAPSHOT_ORDERS):
        event = {"type": "snapshot", "orders": rows[start : start + SNAPSHOT_ORDERS]}
        connection.send(_frame(world, connection, USER, event))


def _market_channel(world: World, connection: Listener, channel: str, frame: Frame) -> None:
    products = [world.by_venue_id.get(str(name)) for name in frame.get("product_ids") or world.by_venue_id]
    if channel not in PUBLIC or None in products:
        connection.send({"type": "error", "message": "failure to subscribe"})
        return
    markets = [market for market in products if market is not None]
    for market in markets:
        _switch(connection, f"{channel}:{market.symbol}", frame["type"])
    _confirm(world, connection)
    for market in markets if frame["type"] == "subscribe" else []:
        _send_snapshot(world, connection, channel, world.engine.markets[market.symbol])


def _switch(connection: Listener, name: str, wish: str) -> None:
    if wish == "subscribe":
        connection.channels.setdefault(name, {})
    else:
        connection.channels.pop(name, None)


def _confirm(world: World, connection: Listener) -> None:
    held: dict[str, list[str]] = {USER: [shapes.USER_ID]} if connection.accounts else {}
    for name in connection.channels:
        channel, _, symbol = name.partition(":")
        listed = held.setdefault(channel, [])
        listed.append(world.engine.markets[symbol].market.venue_id if symbol else HEARTBEATS)
    connection.send(_frame(world, connection, "subscriptions", {"subscriptions": held}))


def _send_snapshot(world: World, connection: Listener, channel: str, state: MarketState) -> None:
    if channel == "level2":
        deep = 1 << 20
        levels = [(side, *level) for side in SIDES for level in state.book.depth(side, deep)]
        updates = [_level(world, *level) | {"event_time": EPOCH} for level in levels]
        event: Frame = {"type": "snapshot", "product_id": state.market.venue_id, "updates": updates}
    elif channel == "market_trades":
        newest = list(state.prints)[: -SNAPSHOT_TRADES - 1 : -1]
        event = {"type": "snapshot", "trades": [shapes.trade(item, state.market) for item in newest]}
    else:
        event = {"type": "snapshot", "tickers": [_ticker(state)]}
    connection.send(_frame(world, connection, channel, event))


def _changed(change: PublicChange) -> list[tuple[str, Any, Any]]:
    return [(side, *level) for side in SIDES for level in change.levels[side]]


def _level(world: World, side: str, price: Any, quantity: Any) -> Frame:
    return {
        "side": SIDES[side],
        "event_time": shapes.iso(world.venue_now()),
        "price_level": plain(price),
        "new_quantity": plain(quantity),
    }


def _ticker(state: MarketState) -> Frame:
    bids, asks = state.book.depth("buy", 1), state.book.depth("sell", 1)
    last, start = state.last_price, state.market.price_start
    return {
        "type": "ticker",
        "product_id": state.market.venue_id,
        "price": plain(last),
        "volume_24_h": plain(sum((item.quantity for item in state.prints), NOTHING)),
        "low_24_h": plain(min(last, start)),
        "high_24_h": plain(max(last, start)),
        "low_52_w": plain(min(last, start)),
        "high_52_w": plain(max(last, start)),
        "price_percent_chg_24_h": f"{(last / start - 1) * 100:.2f}",
        "best_bid": plain(bids[0][0]) if bids else "",
        "best_bid_quantity": plain(bids[0][1]) if bids else "",
        "best_ask": plain(asks[0][0]) if asks else "",
        "best_ask_quantity": plain(asks[0][1]) if asks else "",
    }


def _frame(world: World, connection: Listener, channel: str, event: Frame) -> Frame:
    return {
        "channel": NAMES.get(channel, channel),
        "client_id": "",
        "timestamp": shapes.iso(world.venue_now()),
        "sequence_num": next(connection.sequence) - 1,
        "events": [event],
    }
