"""A world in memory with a clock in hand, and signed requests to it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import urllib.parse
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from venues.paper.exchange import Hang, Reply
from venues.paper.simulated import SimulatedWorld, connect, request, simulated_world

START = 1_700_000_000_000_000
SECRETS = {"binance": "secret", "kraken": base64.b64encode(b"secret").decode()}
BALANCES = {"USDT": "100000", "BTC": "2", "ETH": "30"}
LIMIT_BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1"}
KRAKEN_BUY = {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "volume": "0.1"}


class Desk:
    """One exchange's world and an account in it; `now` is moved by hand."""

    def __init__(
        self,
        exchange: str,
        seed: int = 1,
        personality: dict[str, Any] | None = None,
        limits: dict[str, Any] | None = None,
        accounts: int = 1,
    ) -> None:
        self.exchange = exchange
        self.now = START
        self.nonce = 0
        self.world: SimulatedWorld = simulated_world(
            exchange,
            seed,
            lambda: self.now,
            [
                {"api_key": f"key{number}", "secret": SECRETS[exchange], "balances": BALANCES}
                for number in range(1, accounts + 1)
            ],
            personality,
            limits,
        )

    def pass_seconds(self, seconds: float) -> None:
        """Move the clock, stopping wherever something is due."""
        until = self.now + int(seconds * 1_000_000)
        while (due := self.world.next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            self.world.advance()
        self.now = until
        self.world.advance()

    def binance(self, method: str, path: str, params: Mapping[str, Any], key: str = "key1", **extra: Any) -> Reply:
        """Send a signed Binance request."""
        given = {"timestamp": extra.pop("timestamp", self.now // 1000), **params}
        text = urllib.parse.urlencode(given)
        signed = f"{text}&signature={hmac.new(b'secret', text.encode(), hashlib.sha256).hexdigest()}"
        body, query = (signed.encode(), "") if method in ("POST", "PUT") else (b"", signed)
        answer = request(self.world, method, f"/api/v3/{path}", query, {"X-MBX-APIKEY": key}, body, **extra)
        return reply_of(answer)

    def kraken(self, path: str, params: Mapping[str, Any], key: str = "key1", nonce: int | None = None) -> Reply:
        """Send a signed Kraken request."""
        self.nonce += 1
        number = str(self.nonce if nonce is None else nonce)
        body = urllib.parse.urlencode({"nonce": number, **params}).encode()
        full = f"/0/private/{path}"
        digest = hashlib.sha256(number.encode() + body).digest()
        signature = base64.b64encode(hmac.new(b"secret", full.encode() + digest, hashlib.sha512).digest()).decode()
        headers = {
            "API-Key": key,
            "API-Sign": signature,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return reply_of(request(self.world, "POST", full, "", headers, body))

    def place(self, price: str = "50000", **extra: Any) -> Any:
        """Place a buy limit order of 0.1 BTC, changed as given, and return the order's id."""
        if self.exchange == "binance":
            return body_of(self.binance("POST", "order", {**LIMIT_BUY, "price": price, **extra}))["orderId"]
        return body_of(self.kraken("AddOrder", {**KRAKEN_BUY, "price": price, **extra}))["result"]["txid"][0]

    def open_ids(self) -> list[Any]:
        """Return the ids of the open orders as the venue shows them."""
        if self.exchange == "binance":
            return [row["orderId"] for row in body_of(self.binance("GET", "openOrders", {}))]
        return list(body_of(self.kraken("OpenOrders", {}))["result"]["open"])

    def move(self, price: str) -> None:
        """Bring the market to a price."""
        self.world.move_price("BTC/USDT", Decimal(price))

    def fault(self, name: str, operation: str = "any", **extra: Any) -> Any:
        """Add a fault."""
        return self.world.add_fault({"fault": name, "match": {"operation": operation}, **extra})

    def kinds(self) -> list[str]:
        """Return the kinds of the journal's records about orders."""
        quiet = ("started", "deposited", "fault")
        return [record["kind"] for record in self.world.records() if record["kind"] not in quiet]


def reply_of(answer: Reply | Hang) -> Reply:
    """Return an answer that must not hang."""
    assert isinstance(answer, Reply)
    return answer


def body_of(reply: Reply) -> Any:
    """Return an answer's JSON."""
    return json.loads(reply.content)


def listen(desk: Desk) -> Callable[[], list[Any]]:
    """Subscribe to the first account's private stream; return a function that gives the frames since its last call."""
    if desk.exchange == "kraken":
        token = body_of(desk.kraken("GetWebSocketsToken", {}))["result"]["token"]
        stream = connect(desk.world, "/v2")
        stream.write(json.dumps({"method": "subscribe", "params": {"channel": "executions", "token": token}}))
    else:
        params: dict[str, Any] = {"apiKey": "key1", "timestamp": desk.now // 1000}
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = hmac.new(b"secret", text.encode(), hashlib.sha256).hexdigest()
        stream = connect(desk.world, "/ws-api/v3")
        stream.write(json.dumps({"id": 1, "method": "userDataStream.subscribe.signature", "params": params}))
    stream.take()
    return lambda: [json.loads(text) for text in stream.take()]
