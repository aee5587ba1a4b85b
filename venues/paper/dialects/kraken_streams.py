"""Kraken over WebSocket version 2: executions, balances, book, trades and ticker."""

import binascii
import json
from typing import Any

from venues.paper.blueprint import PublicChange
from venues.paper.book import Book, Levels, depth_changes
from venues.paper.dialects import kraken_shapes as shapes
from venues.paper.dialects.kraken_public import ticker
from venues.paper.hub import Frame, Listener
from venues.paper.markets import Market, decimals
from venues.paper.orders import Fact, Print
from venues.paper.world import World

SNAPSHOT_TRADES = 50
DEPTHS = (10, 25, 100, 500, 1000)
CHECKSUM_LEVELS = 10


def open_stream(world: World, connection: Listener, path: str, query: str) -> None:
    """Greet a new connection."""
    status = {"version": "2.0.10", "system": "online", "api_version": "v2", "connection_id": 1}
    connection.send({"channel": "status", "type": "update", "data": [status]})


def read_frame(world: World, connection: Listener, path: str, text: str) -> None:
    """Handle one frame from a client."""
    time_in = shapes.iso(world.venue_now())
    try:
        frame = json.loads(text)
    except ValueError:
        frame = None
    if not isinstance(frame, dict):
        connection.send({"error": "Malformed request", "success": False})
        return
    answer: Frame = {"method": frame.get("method"), "time_in": time_in, "time_out": shapes.iso(world.venue_now())}
    if "req_id" in frame:
        answer["req_id"] = frame["req_id"]
    if frame.get("method") == "ping":
        connection.send(answer | {"method": "pong"})
    elif frame.get("method") in ("subscribe", "unsubscribe"):
        _subscription(world, connection, frame["method"], frame.get("params") or {}, answer)
    else:
        connection.send(answer | {"error": "Method not supported", "success": False})


def private_frames(world: World, connection: Listener, fact: Fact) -> list[Frame]:
    """Return the executions and balances frames about a fact."""
    subscribed = connection.accounts[fact.account]
    frames: list[Frame] = []
    if "executions" in subscribed and fact.order is not None and fact.version is not None:
        market = world.engine.markets[fact.order.request.symbol].market
        for row in shapes.execution_reports(fact, fact.order, fact.version, market):
            frames.append(_update(connection, "executions", [row]))
    if "balances" in subscribed and (fact.fill is not None or fact.order is None):
        rows = _balance_rows(world, fact)
        frames.append(_update(connection, "balances", rows))
    return frames


def tell_public(world: World, symbol: str, change: PublicChange) -> None:
    """Send listeners what changed in a market."""
    state = world.engine.markets[symbol]
    for connection in world.hub.connections:
        for channel, memory in connection.channels.items():
            name, listened, _ = channel.split(":")
            if listened != symbol:
                continue
            if name == "book":
                _send_book_update(world, connection, state.market, memory)
            elif name == "trade" and change.prints:
                rows = [_public_trade(symbol, item) for item in change.prints]
                connection.send({"channel": "trade", "type": "update", "data": rows})
            elif name == "ticker":
                connection.send({"channel": "ticker", "type": "update", "data": [_ticker_row(world, symbol)]})


def heartbeat(world: World) -> None:
    """Send every subscribed connection the sign of life Kraken sends each second."""
    for connection in world.hub.connections:
        if connection.channels or connection.accounts:
            connection.send({"channel": "heartbeat"})


def _subscription(world: World, connection: Listener, method: str, params: dict[str, Any], answer: Frame) -> None:
    channel = str(params.get("channel", ""))
    if channel in ("executions", "balances"):
        account = world.tokens.get(str(params.get("token", "")))
        if account is None:
            connection.send(answer | {"error": "ESession:Invalid session", "success": False})
            return
        subscribed = connection.accounts.setdefault(account, {})
        shown = {name: value for name, value in params.items() if name != "token"}
        connection.send(answer | {"result": shown, "success": True})
        if method == "unsubscribe":
            subscribed.pop(channel, None)
        else:
            subscribed[channel] = True
            _send_private_snapshot(world, connection, account, channel, params)
        return
    for symbol in params.get("symbol") or []:
        if channel not in ("book", "trade", "ticker") or symbol not in world.engine.markets:
            connection.send(answer | {"error": f"Currency pair not supported {symbol}", "success": False})
            continue
        depth = int(params.get("depth") or DEPTHS[0])
        name = f"{channel}:{symbol}:{depth if channel == 'book' else 0}"
        connection.send(answer | {"result": {"channel": channel, "symbol": symbol}, "success": True})
        if method == "unsubscribe":
            connection.channels.pop(name, None)
        else:
            connection.channels[name] = {"depth": depth}
            _send_public_snapshot(world, connection, channel, symbol, connection.channels[name])


def _send_private_snapshot(
    world: World, connection: Listener, account: str, channel: str, params: dict[str, Any]
) -> None:
    participant = world.engine.accounts[account]
    now = world.now()
    if channel == "balances":
        rows = []
        for asset in participant.assets():
            total = float(participant.visible_balance(asset, now)[0])
            wallet = {"type": "spot", "id": "main", "balance": total}
            rows.append({"asset": asset, "asset_class": "currency", "balance": total, "wallets": [wallet]})
        connection.send(_update(connection, "balances", rows) | {"type": "snapshot"})
        return
    if params.get("snap_orders", True):
        rows = []
        for order in participant.visible_open_orders(now, now):
            version = order.version_at(now) or order.versions[0]
            market = world.engine.markets[order.request.symbol].market
            rows.append(shapes.opening_report(order, version, market, "new"))
        connection.send(_update(connection, "executions", rows) | {"type": "snapshot"})
    if params.get("snap_trades", False):
        fills = [fill for fill in participant.fills[-SNAPSHOT_TRADES:] if fill.visible_at <= now]
        rows = [
            shapes.trade_report(fill, fill.order.versions[-1], world.engine.markets[fill.order.request.symbol].market)
            for fill in fills
        ]
        connection.send(_update(connection, "executions", rows) | {"type": "snapshot"})


def _send_public_snapshot(world: World, connection: Listener, channel: str, symbol: str, memory: Frame) -> None:
    state = world.engine.markets[symbol]
    if channel == "trade":
        rows = [_public_trade(symbol, item) for item in list(state.prints)[-SNAPSHOT_TRADES:]]
    elif channel == "ticker":
        rows = [_ticker_row(world, symbol)]
    else:
        for side in ("buy", "sell"):
            memory[side] = dict(state.book.depth(side, memory["depth"]))
        rows = [_book_row(state.market, state.book, memory["buy"], memory["sell"])]
    connection.send({"channel": channel, "type": "snapshot", "data": rows})


def _send_book_update(world: World, connection: Listener, market: Market, memory: Frame) -> None:
    book = world.engine.markets[market.symbol].book
    changes = depth_changes(book, memory)
    if changes["buy"] or changes["sell"]:
        row = _book_row(market, book, changes["buy"], changes["sell"])
        row["timestamp"] = shapes.iso(world.venue_now())
        connection.send({"channel": "book", "type": "update", "data": [row]})


def _book_row(market: Market, book: Book, bids: Levels, asks: Levels) -> Frame:
    return {
        "symbol": market.symbol,
        "bids": [{"price": float(price), "qty": float(quantity)} for price, quantity in bids.items()],
        "asks": [{"price": float(price), "qty": float(quantity)} for price, quantity in asks.items()],
        "checksum": checksum(market, book),
    }


def checksum(market: Market, book: Book) -> int:
    """Return Kraken's CRC32 over the ten best asks and bids."""
    price_places, quantity_places = decimals(market.price_step), decimals(market.quantity_step)
    text = ""
    for side in ("sell", "buy"):
        for price, quantity in book.depth(side, CHECKSUM_LEVELS):
            text += f"{price:.{price_places}f}".replace(".", "").lstrip("0")
            text += f"{quantity:.{quantity_places}f}".replace(".", "").lstrip("0")
    return binascii.crc32(text.encode())


def _update(connection: Listener, channel: str, rows: list[Frame]) -> Frame:
    return {"channel": channel, "type": "update", "data": rows, "sequence": next(connection.sequence)}


def _balance_rows(world: World, fact: Fact) -> list[Frame]:
    account = world.engine.accounts[fact.account]
    kind = "trade" if fact.fill else "deposit" if fact.kind == "deposited" else "withdrawal"
    return [
        {
            "asset": asset,
            "asset_class": "currency",
            "balance": float(account.visible_balance(asset, world.now())[0]),
            "timestamp": shapes.iso(fact.at),
            "type": kind,
            "category": kind,
            "wallet_type": "spot",
            "wallet_id": "main",
            "ref_id": fact.fill.trade_id if fact.fill else "",
        }
        for asset in fact.balances
    ]


def _public_trade(symbol: str, item: Print) -> Frame:
    return {
        "symbol": symbol,
        "side": item.taker_side,
        "price": float(item.price),
        "qty": float(item.quantity),
        "ord_type": "market",
        "trade_id": item.trade_number,
        "timestamp": shapes.iso(item.at),
    }


def _ticker_row(world: World, symbol: str) -> Frame:
    state = world.engine.markets[symbol]
    row = ticker(state)
    last, start = float(state.last_price), float(state.market.price_start)
    return {
        "symbol": symbol,
        "bid": float(row["b"][0]) if row["b"] else 0.0,
        "bid_qty": float(row["b"][2]) if row["b"] else 0.0,
        "ask": float(row["a"][0]) if row["a"] else 0.0,
        "ask_qty": float(row["a"][2]) if row["a"] else 0.0,
        "last": last,
        "volume": float(row["v"][0]),
        "vwap": last,
        "low": float(row["l"][0]),
        "high": float(row["h"][0]),
        "change": last - start,
        "change_pct": round((last / start - 1) * 100, 2),
    }
