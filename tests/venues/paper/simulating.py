"""A world in memory with a clock in hand, and signed requests to it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import urllib.parse
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.venues.paper import bybit_desk
from venues.adapters.coinbase_token import Signer
from venues.paper.defaults import ec_key
from venues.paper.exchange import Hang, Reply
from venues.paper.simulated import SimulatedWorld, connect, request, simulated_world

START = 1_700_000_000_000_000
SECRETS = {
    "binance": "secret",
    "bybit": "secret",
    "coinbase": ec_key("secret"),
    "okx": "secret",
    "deribit": "secret",
    "kraken": base64.b64encode(b"secret").decode(),
}
BALANCES = {"USDT": "100000", "BTC": "2", "ETH": "30"}
LIMIT_BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1"}
DERIBIT_BUY = {"instrument_name": "BTC_USDT", "type": "limit", "amount": "0.1"}
OKX_BUY = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.1"}
COINBASE_BUY = {"product_id": "BTC-USDT", "side": "BUY"}
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
                {"api_key": f"key{number}", "secret": SECRETS[exchange], "passphrase": "phrase", "balances": BALANCES}
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

    def deribit(self, name: str, params: Mapping[str, Any], key: str = "key1", at: int | None = None) -> Reply:
        """Send a signed Deribit request; `at` is its time in microseconds."""
        path, query = f"/api/v2/private/{name}", urllib.parse.urlencode(params)
        stamp = str((self.now if at is None else at) // 1000)
        signed = f"{stamp}\nonce\nGET\n{path}{'?' + query if query else ''}\n\n"
        signature = hmac.new(b"secret", signed.encode(), hashlib.sha256).hexdigest()
        headers = {"Authorization": f"deri-hmac-sha256 id={key},ts={stamp},sig={signature},nonce=once"}
        return reply_of(request(self.world, "GET", path, query, headers))

    def okx(self, method: str, path: str, params: Any, key: str = "key1", **extra: Any) -> Reply:
        """Send a signed OKX request; `at` and `expires` are its times in milliseconds."""
        at, expires = extra.pop("at", self.now // 1000), extra.pop("expires", None)
        query = urllib.parse.urlencode(params) if method == "GET" else ""
        body = b"" if method == "GET" else json.dumps(params).encode()
        target = f"/api/v5/{path}"
        timestamp = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")[:23] + "Z"
        signed = f"{timestamp}{method}{target}{f'?{query}' if query else ''}".encode() + body
        headers = {
            "OK-ACCESS-KEY": key,
            "OK-ACCESS-PASSPHRASE": extra.pop("passphrase", "phrase"),
            "OK-ACCESS-TIMESTAMP": timestamp,
            "OK-ACCESS-SIGN": base64.b64encode(hmac.new(b"secret", signed, hashlib.sha256).digest()).decode(),
            **({} if expires is None else {"expTime": str(expires)}),
        }
        return reply_of(request(self.world, method, target, query, headers, body, **extra))

    def coinbase(
        self, method: str, path: str, given: Mapping[str, Any] | None = None, key: str = "key1", at: int | None = None
    ) -> Reply:
        """Send a signed Coinbase request; what is given is the body of a POST and the query of a GET."""
        full = f"/api/v3/brokerage/{path}"
        body, query = (json.dumps(given or {}).encode(), "") if method == "POST" else (b"", "")
        if method == "GET":
            query = urllib.parse.urlencode(given or {}, doseq=True)
        headers = {"Authorization": f"Bearer {self.coinbase_token(f'{method} api.coinbase.com{full}', key, at)}"}
        return reply_of(request(self.world, method, full, query, headers, body))

    def coinbase_token(self, uri: str, key: str = "key1", at: int | None = None, seconds: int = 5) -> str:
        """Return a token that holds from a time in epoch seconds, or from now."""
        starts_at = self.now // 1_000_000 if at is None else at
        return Signer(key, SECRETS["coinbase"]).token(uri, starts_at, starts_at + seconds)

    def coinbase_order(self, price: str, quantity: str = "0.1", side: str = "BUY", **extra: Any) -> dict[str, Any]:
        """Return a new limit order under a client id of its own, changed as given."""
        self.nonce += 1
        limit = {"limit_limit_gtc": {"base_size": quantity, "limit_price": price, "post_only": False}}
        plain = {**COINBASE_BUY, "side": side, "client_order_id": f"id-{self.nonce}", "order_configuration": limit}
        return plain | extra

    def place(self, price: str = "50000", **extra: Any) -> Any:
        """Place a buy limit order of 0.1 BTC, changed as given, and return the order's id."""
        if self.exchange == "binance":
            return body_of(self.binance("POST", "order", {**LIMIT_BUY, "price": price, **extra}))["orderId"]
        if self.exchange == "deribit":
            return body_of(self.deribit("buy", {**DERIBIT_BUY, "price": price, **extra}))["result"]["order"]["order_id"]
        if self.exchange == "bybit":
            request = {**bybit_desk.BUY, "price": price, **extra}
            return body_of(bybit_desk.ask(self, "POST", "order/create", request))["result"]["orderId"]
        if self.exchange == "okx":
            return body_of(self.okx("POST", "trade/order", {**OKX_BUY, "px": price, **extra}))["data"][0]["ordId"]
        if self.exchange == "coinbase":
            return body_of(self.coinbase("POST", "orders", self.coinbase_order(price, **extra)))["order_id"]
        return body_of(self.kraken("AddOrder", {**KRAKEN_BUY, "price": price, **extra}))["result"]["txid"][0]

    def open_ids(self) -> list[Any]:
        """Return the ids of the open orders as the venue shows them."""
        if self.exchange == "binance":
            return [row["orderId"] for row in body_of(self.binance("GET", "openOrders", {}))]
        if self.exchange == "deribit":
            return [row["order_id"] for row in body_of(self.deribit("get_open_orders", {}))["result"]]
        if self.exchange == "bybit":
            shown = body_of(bybit_desk.ask(self, "GET", "order/realtime", {"category": "spot"}))["result"]["list"]
            return [row["orderId"] for row in shown]
        if self.exchange == "okx":
            return [row["ordId"] for row in body_of(self.okx("GET", "trade/orders-pending", {}))["data"]]
        if self.exchange == "coinbase":
            found = body_of(self.coinbase("GET", "orders/historical/batch", {"order_status": "OPEN"}))["orders"]
            return [row["order_id"] for row in found]
        return list(body_of(self.kraken("OpenOrders", {}))["result"]["open"])

    def move(self, price: str) -> None:
        """Bring the market to a price."""
        self.move_symbol("BTC/USDT", price)

    def move_symbol(self, symbol: str, price: str) -> None:
        """Bring any market to a price."""
        self.world.move_price(symbol, Decimal(price))

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
    if desk.exchange == "okx":
        stream = connect(desk.world, "/ws/v5/private")
        stream.write(json.dumps({"op": "login", "args": [okx_login(desk)]}))
        channels = [{"channel": "orders", "instType": "ANY"}, {"channel": "account"}]
        stream.write(json.dumps({"op": "subscribe", "args": channels}))
        stream.take()
        return lambda: [json.loads(text) for text in stream.take()]
    if desk.exchange == "kraken":
        token = body_of(desk.kraken("GetWebSocketsToken", {}))["result"]["token"]
        stream = connect(desk.world, "/v2")
        stream.write(json.dumps({"method": "subscribe", "params": {"channel": "executions", "token": token}}))
    elif desk.exchange == "bybit":
        stream = bybit_desk.listening(desk)
    elif desk.exchange == "deribit":
        stream = connect(desk.world, "/ws/api/v2")
        stream.write(json.dumps({"id": 1, "method": "public/auth", "params": deribit_login(desk)}))
        wanted = ["user.orders.any.any.raw", "user.trades.any.any.raw"]
        stream.write(json.dumps({"id": 2, "method": "private/subscribe", "params": {"channels": wanted}}))
    elif desk.exchange == "coinbase":
        stream = connect(desk.world, "/")
        stream.write(json.dumps({"type": "subscribe", "channel": "user", "jwt": desk.coinbase_token("")}))
    else:
        params: dict[str, Any] = {"apiKey": "key1", "timestamp": desk.now // 1000}
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = hmac.new(b"secret", text.encode(), hashlib.sha256).hexdigest()
        stream = connect(desk.world, "/ws-api/v3")
        stream.write(json.dumps({"id": 1, "method": "userDataStream.subscribe.signature", "params": params}))
    stream.take()
    return lambda: [json.loads(text) for text in stream.take()]


def deribit_login(desk: Desk, **changes: Any) -> dict[str, Any]:
    """Return what signs a connection in at Deribit."""
    stamp = desk.now // 1000
    signature = hmac.new(b"secret", f"{stamp}\nonce\n".encode(), hashlib.sha256).hexdigest()
    plain = {"grant_type": "client_signature", "client_id": "key1", "timestamp": stamp, "nonce": "once", "data": ""}
    return plain | {"signature": signature} | changes


def okx_login(desk: Desk, **changes: str) -> dict[str, str]:
    """Return what signs a connection in at OKX."""
    seconds = str(desk.now // 1_000_000)
    signed = f"{seconds}GET/users/self/verify".encode()
    signature = base64.b64encode(hmac.new(b"secret", signed, hashlib.sha256).digest()).decode()
    return {"apiKey": "key1", "passphrase": "phrase", "timestamp": seconds, "sign": signature} | changes
