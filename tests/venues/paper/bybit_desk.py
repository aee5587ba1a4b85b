"""Signed Bybit requests and a signed-in stream for a world in memory."""

from __future__ import annotations

import hashlib
import hmac
import json
import urllib.parse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from venues.paper.exchange import Hang, Reply
from venues.paper.simulated import SimulatedStream, connect, request

if TYPE_CHECKING:
    from tests.venues.paper.simulating import Desk

BUY = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.1"}
TOPICS = ("order", "execution", "wallet")


def ask(
    desk: Desk,
    method: str,
    path: str,
    params: Mapping[str, Any] | str,
    key: str = "key1",
    secret: str = "secret",
    stamp: int | None = None,
    window: int = 5000,
) -> Reply:
    """Send a signed request; a query may be given as text."""
    text = (
        params
        if isinstance(params, str)
        else json.dumps(params)
        if method == "POST"
        else urllib.parse.urlencode(params)
    )
    at = str(desk.now // 1000 if stamp is None else stamp)
    headers = {
        "X-BAPI-API-KEY": key,
        "X-BAPI-TIMESTAMP": at,
        "X-BAPI-RECV-WINDOW": str(window),
        "X-BAPI-SIGN": hmac.new(secret.encode(), f"{at}{key}{window}{text}".encode(), hashlib.sha256).hexdigest(),
    }
    query, body = ("", text.encode()) if method == "POST" else (text, b"")
    answer = request(desk.world, method, f"/v5/{path}", query, headers, body)
    assert not isinstance(answer, Hang)
    return answer


def sign_in(key: str, secret: str, expires: int) -> dict[str, Any]:
    """Return the frame that signs in to the private stream."""
    signature = hmac.new(secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
    return {"op": "auth", "args": [key, str(expires), signature]}


def listening(desk: Desk) -> SimulatedStream:
    """Return a stream subscribed to everything of the first account."""
    stream = connect(desk.world, "/v5/private")
    stream.write(json.dumps(sign_in("key1", "secret", desk.now // 1000 + 1000)))
    stream.write(json.dumps({"op": "subscribe", "args": TOPICS}))
    return stream
