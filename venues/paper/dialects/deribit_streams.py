"""Deribit over WebSocket: authentication, orders, trades and portfolio of an account, books by change id, heartbeats."""

import json
from typing import Any

from venues.paper.blueprint import PublicChange
from venues.paper.dialects import deribit_rules as rules
from venues.paper.dialects import deribit_shapes as shapes
from venues.paper.dialects.deribit_public import VERSION, authorised
from venues.paper.hub import Frame, Listener
from venues.paper.markets import Market
from venues.paper.messages import Refused
from venues.paper.orders import Fact
from venues.paper.world import World

INTERVALS = ("100ms", "agg2", "raw")
HEARTBEAT_SECONDS_MIN = 10


def open_stream(world: World, connection: Listener, path: str, query: str) -> None:
    """Say nothing: Deribit waits for the first request."""


def read_frame(world: World, connection: Listener, path: str, text: str) -> None:
    """Handle one request from a client."""
    try:
        frame = json.loads(text)
    except ValueError:
        frame = None
    if not isinstance(frame, dict) or not isinstance(frame.get("params") or {}, dict):
        connection.send(rules.enveloped(world, rules.error(-32700, "Parse error")))
        return
    head = {"id": frame["id"]} if "id" in frame else {}
    try:
        result = _handled(world, connection, str(frame.get("method", "")), frame.get("params") or {})
    except Refused as refused:
        error = refused.answer.body if isinstance(refused.answer.body, dict) else {}
        connection.send(rules.enveloped(world, head | error))
        return
    connection.send(rules.enveloped(world, head | {"result": result}))
    for name in connection.session.pop("fresh", ()):
        _send_snapshot(world, connection, name)


def private_frames(world: World, connection: Listener, fact: Fact) -> list[Frame]:
    """Return the frames about a fact: trades first, then the order, then the portfolio."""
    subscribed = connection.accounts[fact.account]
    frames: list[Frame] = []
    if fact.order is not None and fact.version is not None:
        market = world.engine.markets[fact.order.request.symbol].market
        if fact.fill is not None:
            row = shapes.trade(fact.fill, fact.version, market)
            frames += [_notice(name, [row]) for name in subscribed if _is_about(name, "trades", market)]
        shown = shapes.order(fact.order, fact.version, market)
        for name in subscribed:
            if _is_about(name, "orders", market):
                frames.append(_notice(name, shown if name.endswith(".raw") else [shown]))
    account = world.engine.accounts[fact.account]
    for currency in fact.balances:
        name = f"user.portfolio.{currency.lower()}"
        if name in subscribed:
            frames.append(_notice(name, shapes.summary(world, account, currency, world.now())))
    return frames


def tell_public(world: World, symbol: str, change: PublicChange) -> None:
    """Send listeners what changed in a market."""
    state = world.engine.markets[symbol]
    for connection in world.hub.connections:
        for name, memory in connection.channels.items():
            channel, listened, _ = name.split(".", 2)
            if listened != state.market.venue_id:
                continue
            if channel == "book" and change.last_revision > memory["change_id"]:
                connection.send(_notice(name, _book_change(world, state.market, memory, change)))
            elif channel == "trades" and change.prints:
                connection.send(_notice(name, [shapes.public_trade(item, state.market) for item in change.prints]))
            elif channel == "ticker":
                connection.send(_notice(name, shapes.ticker(state, world.venue_now())))


def heartbeat(world: World) -> None:
    """Ask those who set a heartbeat whether they are there; who did not answer the time before is cut off."""
    now = world.now()
    for connection in list(world.hub.connections):
        seconds = connection.session.get("heartbeat")
        if not seconds or now < connection.session["asks_at"]:
            continue
        if connection.session["is_asked"]:
            connection.cut()
            continue
        connection.session |= {"is_asked": True, "asks_at": now + int(seconds * 1_000_000)}
        connection.send({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}})


def _handled(world: World, connection: Listener, method: str, params: dict[str, Any]) -> Any:
    if method == "public/auth":
        granted = authorised(world, params)
        connection.session["account"] = world.tokens[granted["access_token"]]
        return granted
    if method in ("public/test", "public/hello"):
        connection.session["is_asked"] = False
        return VERSION
    if method == "public/get_time":
        return world.venue_now() // 1000
    if method == "public/set_heartbeat":
        seconds = rules.number_of({"interval": str(params.get("interval", ""))}, "interval")
        if seconds is None or seconds < HEARTBEAT_SECONDS_MIN:
            raise rules.invalid("interval", "must be at least 10")
        due = world.now() + int(seconds) * 1_000_000
        connection.session |= {"heartbeat": float(seconds), "asks_at": due, "is_asked": False}
        return "ok"
    if method == "public/disable_heartbeat":
        connection.session.pop("heartbeat", None)
        return "ok"
    names = params.get("channels")
    if not isinstance(names, list):
        raise rules.invalid("channels") if method.endswith("subscribe") else rules.refused(-32601, "Method not found")
    if method == "private/subscribe":
        return _subscribe_private(world, connection, names)
    if method == "public/subscribe":
        return _subscribe_public(world, connection, names)
    if method in ("public/unsubscribe", "private/unsubscribe"):
        return [name for name in names if _forget(connection, name)]
    raise rules.refused(-32601, "Method not found")


def _subscribe_private(world: World, connection: Listener, names: list[Any]) -> list[str]:
    api_key = connection.session.get("account")
    if api_key is None:
        raise rules.refused(13009, "unauthorized", "invalid_token")
    if not world.keys[api_key].permissions.get("read"):
        raise rules.refused(13021, "forbidden")
    taken = [
        str(name)
        for name in names
        if str(name).split(".")[:2] in (["user", "orders"], ["user", "trades"], ["user", "portfolio"])
    ]
    subscribed = connection.accounts.setdefault(api_key, {})
    for name in taken:
        # ccxt asks for user.portfolio.BTC and hears of user.portfolio.btc
        subscribed[name.lower() if name.startswith("user.portfolio") else name] = True
    connection.session["fresh"] = [name for name in taken if name.startswith("user.portfolio")]
    return taken


def _subscribe_public(world: World, connection: Listener, names: list[Any]) -> list[str]:
    taken = []
    for name in map(str, names):
        channel, _, rest = name.partition(".")
        venue_id, _, interval = rest.partition(".")
        is_known = channel in ("book", "trades", "ticker") and interval in INTERVALS and venue_id in world.by_venue_id
        if is_known and (interval != "raw" or "account" in connection.session):
            connection.channels[name] = {"change_id": 0}
            taken.append(name)
    connection.session["fresh"] = [name for name in taken if name.startswith("book")]
    return taken


def _forget(connection: Listener, name: Any) -> bool:
    known = connection.channels.pop(str(name), None) is not None
    for subscribed in connection.accounts.values():
        known = subscribed.pop(str(name), None) is not None or known
    return known


def _send_snapshot(world: World, connection: Listener, name: str) -> None:
    channel, subject = name.split(".")[:2]
    if channel == "user":
        account = world.engine.accounts[connection.session["account"]]
        currency = name.rpartition(".")[2].upper()
        if currency in world.engine.supply:
            connection.send(_notice(name.lower(), shapes.summary(world, account, currency, world.now())))
        return
    market = world.by_venue_id[subject]
    book = world.engine.markets[market.symbol].book
    connection.channels[name]["change_id"] = book.revision
    sides = {
        theirs: [["new", float(price), float(quantity)] for price, quantity in book.depth(mine, 1000)]
        for mine, theirs in _SIDES
    }
    head = {"type": "snapshot", "timestamp": world.venue_now() // 1000, "instrument_name": market.venue_id}
    connection.send(_notice(name, head | {"change_id": book.revision} | sides))


_SIDES = (("buy", "bids"), ("sell", "asks"))


def _book_change(world: World, market: Market, memory: Frame, change: PublicChange) -> Frame:
    before, memory["change_id"] = memory["change_id"], change.last_revision
    sides = {
        theirs: [
            ["change" if quantity else "delete", float(price), float(quantity)]
            for price, quantity in change.levels[mine]
        ]
        for mine, theirs in _SIDES
    }
    head = {"type": "change", "timestamp": world.venue_now() // 1000, "instrument_name": market.venue_id}
    return head | {"prev_change_id": before, "change_id": change.last_revision} | sides


def _is_about(name: str, kind: str, market: Market) -> bool:
    """Tell whether a channel such as user.orders.any.any.raw or user.trades.BTC-PERPETUAL.raw tells of a market."""
    parts = name.split(".")
    if parts[:2] != ["user", kind]:
        return False
    if len(parts) == 4:
        return parts[2] == market.venue_id
    return (
        len(parts) == 5 and parts[2] in ("any", rules.kind_of(market)) and parts[3] in ("any", rules.settlement(market))
    )


def _notice(channel: str, data: Any) -> Frame:
    return {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}}
