"""What our general adapter would send to an exchange, caught before it leaves: the requests of every kind, nothing else.

No byte goes out. The market is made up, the keys are made up, and a request that only prepares another one is answered
from a table, so that the one that matters is reached.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ccxt.base.errors import BaseError, NotSupported

from project.lib import decimals
from venues.adapters import capture_cases as cases
from venues.adapters import client as clients
from venues.adapters import rows
from venues.adapters.ccxt import CcxtAdapter
from venues.adapters.markets import SharedMarkets
from venues.adapters.transport import HttpRecord
from venues.capabilities import Capabilities
from venues.messages import CancelOrder, PlaceOrder
from venues.targets import VenueTarget

CLIENT_ID = "g0capture1example9"
SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STAMP_MS = 1_767_323_045_000
ADDRESS = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Caught:
    """One kind of request: what was sent for it, in order, and why nothing was where nothing was."""

    records: tuple[HttpRecord, ...]
    headers: tuple[Mapping[str, str], ...]
    problem: str = ""


class CapturingWire:
    """Keeps every request and answers the ones that only prepare, by a table; the others stay unanswered."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self._answers = answers
        self.records: list[HttpRecord] = []
        self.headers: list[Mapping[str, str]] = []

    async def send(self, record: HttpRecord, headers: Mapping[str, str], body: bytes | None) -> None:
        """Keep the request; answer it where the table says how."""
        self.records.append(record)
        self.headers.append(dict(headers))
        asked = record.url + record.request_body
        answer = next((text for part, text in self._answers.items() if part in asked), None)
        if answer is None:
            record.sent, record.fault = True, "captured"
        else:
            record.sent, record.status, record.body = True, 200, answer

    async def close(self) -> None:
        """Nothing is held."""


class Bench:
    """The general adapter of one exchange on a made-up market of one kind, with nothing behind it."""

    def __init__(self, exchange: str, kind: str, capabilities: Capabilities) -> None:
        self.case = cases.case(exchange)
        self.row_key = capabilities.client_id_row_key
        generous = replace(
            capabilities, window=False, stream=False, client_ids=True, client_id_cancel=True,
            client_id_lookup="order", times_in_force=("GTC", "IOC", "FOK"), post_only=True,
        )  # fmt: skip
        target = VenueTarget(code="capture", exchange=exchange, rest_url=ADDRESS, may_trade=True)
        self.wire = CapturingWire(self.case.answers)
        self.adapter = CcxtAdapter(
            target, generous, self.case.secret, timeout_seconds=1.0, nonce_floor=0, shared=SharedMarkets(),
            on_http=lambda record: None,
        )  # fmt: skip
        self.client = clients.build(target, generous, self.case.secret, self.wire)
        self.adapter.client = self.client
        self.market = cases.market(self.client, kind, self.case)
        currencies = {code: {"id": code, "code": code, "precision": "0.00000001"} for code in cases.ASSETS}
        self.client.set_markets([self.market], currencies)
        self.client.markets_loading = asyncio.get_running_loop().create_future()
        self.client.markets_loading.set_result(self.client.markets)
        for name, value in self.case.attributes.items():
            setattr(self.client, name, value)

    def order(self, **changes: Any) -> PlaceOrder:
        """Return the order whose request is caught."""
        plain: dict[str, Any] = {
            "venue_client_id": CLIENT_ID, "symbol": self.market["symbol"], "side": "buy", "type": "limit",
            "quantity": self.case.quantity, "price": self.case.price, "time_in_force": "GTC", "stamp_ms": STAMP_MS,
            "window_ms": 5_000,
        }  # fmt: skip
        return PlaceOrder(**(plain | changes))

    async def submit(self, **changes: Any) -> Caught:
        """Catch a create."""
        return await self.caught(lambda: self.adapter.submit(self.order(**changes)))

    async def revoke(self, venue_order_id: str | None) -> Caught:
        """Catch a cancel, by the venue's order id or by ours alone."""
        order = CancelOrder(
            symbol=self.market["symbol"], venue_order_id=venue_order_id, venue_client_id=CLIENT_ID, stamp_ms=STAMP_MS,
            window_ms=5_000,
        )  # fmt: skip
        return await self.caught(lambda: self.adapter.revoke(order))

    async def look_up(self, venue_order_id: str | None) -> Caught:
        """Catch the question for one order, by the venue's order id or by ours alone."""
        client_id = self.adapter.wire_client_id(CLIENT_ID)
        steps = self.adapter.recipe(self.market["symbol"], client_id, venue_order_id, SINCE)
        return await self.caught(steps[0]) if self.client.has.get("fetchOrder") else Caught((), (), "no such method")

    async def open_orders(self, *, by_symbol: bool) -> Caught:
        """Catch the list of open orders, of one symbol or of all."""
        self.adapter.capabilities = replace(self.adapter.capabilities, open_orders_need_symbol=by_symbol)
        return await self.caught(lambda: self.adapter.open_orders([self.market["symbol"]]))

    async def fills(self, *, by_symbol: bool) -> Caught:
        """Catch the list of our own trades since a time, of one symbol or of all."""
        self.adapter.capabilities = replace(self.adapter.capabilities, fills_need_symbol=by_symbol)
        return await self.caught(lambda: self.adapter.fills(SINCE, [self.market["symbol"]]))

    async def caught(self, ask: Callable[[], Awaitable[Any]]) -> Caught:
        """Run one call; keep its requests, or the reason why it made none."""
        self.wire.records, self.wire.headers, problem = [], [], ""
        try:
            await ask()
        except Exception as error:  # whatever a class does with made-up keys is a result here
            problem = _reason(self.client.id, error)
        return Caught(tuple(self.wire.records), tuple(self.wire.headers), problem)


def _reason(exchange: str, error: Exception) -> str:
    """Say why a class made no request; an error that is not one of ccxt's own says only that it stumbled."""
    if isinstance(error, NotSupported):
        return "ccxt has no such request there"
    if not isinstance(error, BaseError | rows.RowError):
        return f"ccxt stumbles before it asks ({type(error).__name__})"
    return " ".join(str(error).replace(f"{exchange} ", "", 1).split())


def said(record: HttpRecord) -> list[tuple[str, str]]:
    """Return every value a request carries with its name; the pieces of the path are named `path`."""
    parts = urlsplit(record.url)
    found = [("path", unquote(piece)) for piece in parts.path.split("/")[1:]]
    found += parse_qsl(parts.query, keep_blank_values=True)
    body = record.request_body
    try:
        return found + list(_leaves("", json.loads(body, parse_float=str, parse_int=str)))
    except ValueError:
        pass
    try:
        return found + list(_leaves("", json.loads(base64.b64decode(body, validate=True))))
    except (ValueError, binascii.Error):
        return found + parse_qsl(body, keep_blank_values=True)


def number(text: str) -> Decimal | None:
    """Return a value as an exact number, or None where it is none."""
    try:
        return decimals.parse_venue(text)
    except (ValueError, ArithmeticError):
        return None


def _leaves(name: str, node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, child in node.items():
            yield from _leaves(str(key), child)
    elif isinstance(node, list):
        for child in node:
            yield from _leaves(name, child)
    else:
        yield name, "None" if node is None else node if isinstance(node, str) else json.dumps(node)
