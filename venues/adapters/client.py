"""Builds ccxt instances our way: our transport, texts for numbers, no hidden waits, retries or requests."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import functools
import re
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import ccxt.async_support
import ccxt.pro
from ccxt.base.exchange import Exchange
from ccxt.base.precise import Precise

from venues.adapters.transport import HttpRecord, Transport, Wire, ssl_context
from venues.capabilities import Capabilities
from venues.credentials import Secret
from venues.errors import UnknownExchange
from venues.facts.streaming import stream_rule
from venues.ratelimit import Ticket
from venues.streams import StreamReason
from venues.targets import VenueTarget

LINE_SECONDS_MAX = 1.0
PONGS_MISSED_MAX = 1e6  # ccxt shall not judge: our own watch does, and says why
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*", re.ASCII).fullmatch
EXPONENT_CHARACTERS_MAX = 3


def _bound_exponents() -> None:
    # ccxt writes 1E999999999 out in full, which takes this process for ever; a venue may send that as a text.
    original: Any = Precise.__init__

    def init(self: Any, number: Any, decimals: Any = None) -> None:
        if decimals is None and len(number.lower().partition("e")[2]) > EXPONENT_CHARACTERS_MAX:
            raise ValueError("a number no venue may send")
        original(self, number, decimals)

    Precise.__init__ = init


_bound_exponents()


class ClientHooks(Transport):
    """What every ccxt instance of ours has on top of its exchange class."""

    number = str
    timeout_on_exit = 0
    # Nonce venues refuse a request that overtakes another: private requests go out one at a time.
    line: asyncio.Lock | None = None

    async def pay(self, ccxt_cost: float) -> Ticket | None:
        """Called before every request with its cost; may wait. What it returns is settled when the request is over."""
        return None

    @contextlib.asynccontextmanager
    async def paid(self, ccxt_cost: float = 1.0) -> AsyncIterator[None]:
        """Pay for the one request made inside the block, before it is signed: for adapters that sign by themselves."""
        ticket = await self.pay(ccxt_cost)
        try:
            yield
        finally:
            if ticket is not None:
                ticket.settle()

    def on_http(self, record: HttpRecord) -> None:
        """Called once for every HTTP request that has ended."""

    def on_raw_frame(self, socket: Any, data: str | bytes) -> None:
        """Called with every WebSocket frame before anybody parses it."""

    def on_socket_lost(self, socket: Any, reason: str) -> None:
        """Called when a WebSocket ends, for whatever reason."""

    async def fetch2(
        self, path: Any, api: Any = "public", method: str = "GET", params: Any = None, config: Any = None
    ) -> Any:
        """Pay, sign and send; on nonce venues behind the private request before, for at most a second.

        In the place of ccxt's own, which looks for its throttle, its retries and its cache first: we use none of them.
        """
        ticket = await self.pay(self._cost(api, method, path, params or {}, config or {}))
        try:
            return await self._in_line(path, api, method, params)
        finally:
            if ticket is not None:
                ticket.settle()

    def _cost(self, api: Any, method: str, path: str, params: Any, config: Any) -> float:
        client: Any = self
        try:
            return float(client.calculate_rate_limiter_cost(api, method, path, params, config))
        except (TypeError, ValueError):  # some classes compare what we send as a text; no request fails for that
            return 1.0

    async def _in_line(self, path: Any, api: Any, method: str, params: Any) -> Any:
        if self.line is None or "public" in str(api):
            return await self._signed_and_sent(path, api, method, params)
        await self.line.acquire()
        release = _once(self.line.release)
        # An unanswered request must not hold up a cancel: after a second it has long arrived or never will.
        timer = asyncio.get_running_loop().call_later(LINE_SECONDS_MAX, release)
        try:
            return await self._signed_and_sent(path, api, method, params)
        finally:
            timer.cancel()
            release()

    async def _signed_and_sent(self, path: Any, api: Any, method: str, params: Any) -> Any:
        client: Any = self
        request = client.sign(path, api, method, {} if params is None else params)
        return await client.fetch(request["url"], request["method"], request["headers"], request["body"])

    @staticmethod
    def urlencode(params: Any = None, doseq: bool = False, sort: bool = False) -> str:
        """Write a query as ccxt does, six times as fast where names and values are plain texts and integers."""
        plain = _query(params or {}, "")
        return plain if plain is not None else str(Exchange.urlencode(params, doseq, sort))

    @staticmethod
    def urlencode_nested(params: Any) -> str:
        """Write a query of nested parameters as ccxt does; see urlencode."""
        plain = _query(params, "[]")
        return plain if plain is not None else str(Exchange.urlencode_nested(params))

    def client(self, url: str) -> Any:
        """Return ccxt's socket for the url with our frame handler in front of its parser."""
        inner: Any = super()
        socket = inner.client(url)
        socket.handle_text_or_binary_message = functools.partial(self.on_raw_frame, socket)
        return socket

    def ws_dial_delay(self, url: str) -> float:
        """Return that nothing is to be waited for: the stream has a backoff of its own."""
        return 0.0

    def on_error(self, socket: Any, error: Any) -> None:
        """Tell the stream that its socket failed."""
        inner: Any = super()
        inner.on_error(socket, error)
        self.on_socket_lost(socket, StreamReason.FAILED)

    def on_close(self, socket: Any, error: Any) -> None:
        """Tell the stream that the venue closed its socket."""
        inner: Any = super()
        inner.on_close(socket, error)
        self.on_socket_lost(socket, StreamReason.CLOSED_BY_VENUE)


def build(
    target: VenueTarget,
    capabilities: Capabilities,
    secret: Secret | None,
    wire: Wire,
    sockets: aiohttp.ClientSession | None = None,
) -> Any:
    """Return a ccxt instance for the target; without a secret it reads public data only, without sockets no streams."""
    client = _class_of(target.exchange)({"enableRateLimit": False, "session": sockets})
    client.wire = wire
    if secret is not None:
        _give_keys(client, secret)
    client.options.update(capabilities.options)
    client.options["maxRetriesOnFailure"] = 0
    client.has = {
        **client.has,
        "fetchCurrencies": client.has.get("fetchCurrencies") and capabilities.family == "kraken",
    }
    client.streaming = {
        **client.streaming,
        "keepAlive": int(stream_rule(capabilities.family).ping_seconds * 1000),
        "maxPingPongMisses": PONGS_MISSED_MAX,
    }
    if not capabilities.client_ids:
        client.handle_client_order_id = _unchanged  # binance would put in an id of its own
    if capabilities.nonce_exclusive:
        client.line = asyncio.Lock()
    if target.rest_url:
        client.urls["api"] = _moved(client.urls["api"], target.rest_url, target.ws_url or _socket_url(target.rest_url))
    elif target.sandbox:
        client.set_sandbox_mode(True)
    if client.enableRateLimit or client.options["maxRetriesOnFailure"] != 0:
        raise RuntimeError("ccxt would wait or repeat by itself")
    return client


def socket_session() -> aiohttp.ClientSession:
    """Return a session for WebSockets only: with the process's TLS context, without cookies or proxies."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=ssl_context()), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    )


def exchange_ids() -> list[str]:
    """Return the id of every exchange ccxt can trade on."""
    return list(ccxt.async_support.exchanges)


@functools.cache
def _class_of(exchange: str) -> Callable[[dict[str, Any]], Any]:
    if exchange not in ccxt.async_support.exchanges:
        raise UnknownExchange(exchange, tuple(difflib.get_close_matches(exchange, exchange_ids(), 3)))
    module = ccxt.pro if exchange in ccxt.pro.exchanges else ccxt.async_support
    return type(f"{exchange}_client", (ClientHooks, getattr(module, exchange)), {})


def _query(params: Any, safe: str) -> str | None:
    pieces = []
    for name, value in params.items():
        if (value.__class__ is not str and value.__class__ is not int) or not _PLAIN(name):
            return None
        text = str(value)
        pieces.append(f"{name}={text if _PLAIN(text) else quote(text, safe=safe)}")
    return "&".join(pieces)


def _unchanged(request: dict[str, Any], *_: Any) -> dict[str, Any]:
    return request


def _give_keys(client: Any, secret: Secret) -> None:
    client.apiKey, client.secret, client.password = secret.api_key, secret.secret, secret.passphrase
    needs = client.requiredCredentials
    if needs.get("walletAddress"):
        client.walletAddress = secret.api_key
    if needs.get("privateKey"):
        client.privateKey = secret.secret
    if needs.get("uid"):
        client.uid = secret.passphrase
    if needs.get("accountId"):
        client.accountId = secret.passphrase


def _moved(node: Any, rest_url: str, ws_url: str) -> Any:
    if isinstance(node, dict):
        return {key: _moved(child, rest_url, ws_url) for key, child in node.items()}
    if not isinstance(node, str):
        return node
    parts = urlsplit(node)
    base = ws_url if parts.scheme in ("ws", "wss") else rest_url
    return base.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")


def _socket_url(rest_url: str) -> str:
    return "ws" + rest_url[4:] if rest_url.startswith("http") else rest_url


def _once(action: Callable[[], None]) -> Callable[[], None]:
    waiting = [action]

    def run() -> None:
        if waiting:
            waiting.pop()()

    return run
