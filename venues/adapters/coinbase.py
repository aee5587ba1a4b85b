"""Coinbase Advanced: a token for every request, refusals inside HTTP 200, lists to look through, a stream of orders alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from project.lib import clock, decimals
from venues import errors
from venues.adapters import coinbase_orders, coinbase_rows, rows, transfer_rows
from venues.adapters.ccxt import CcxtAdapter
from venues.adapters.checks import changed_in_place
from venues.adapters.coinbase_token import Signer
from venues.adapters.looking import Listing, Step, among, named
from venues.adapters.transport import HttpRecord
from venues.messages import AmendOrder, Answer, CancelOrder, OrderReport, Permissions, PlaceOrder
from venues.streams import StreamReason

HOST = "api.coinbase.com"
BASE = "/api/v3/brokerage"
ORDERS, FILLS, HISTORY = (
    f"{BASE}/orders/historical/batch",
    f"{BASE}/orders/historical/fills",
    f"{BASE}/orders/historical",
)
ORDERS_PAGE, FILLS_PAGE, WALLETS_PAGE, TRANSACTIONS_PAGE = 1000, 250, 250, 100
PAGES_MAX = 200
TOKEN_SECONDS = 120
# A token of this very second would be one of the future to a clock that is a little behind ours.
EARLIER_SECONDS = 2
# Asked for before those that are open: what is queued opens meanwhile and is then in both.
NOT_YET_OPEN = ("PENDING", "QUEUED", "CANCEL_QUEUED", "EDIT_QUEUED")
Query = Mapping[str, str | Sequence[str]]


class CoinbaseAdapter(CcxtAdapter):
    """Coinbase Advanced. Requests are signed and built here; ccxt has the markets, the clock and the sockets."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._subscribed = asyncio.Event()
        self._next_number: int | None = None

    # --- orders ---

    async def submit(self, order: PlaceOrder) -> OrderReport:
        """Send a new order under a token that ends with its window."""
        client_id = order.venue_client_id if self.capabilities.client_ids else str(uuid4())  # it insists on one
        market = str(self.client.market(order.symbol)["id"])
        reply = await self._post(f"{BASE}/orders", coinbase_orders.placement(order, market, client_id), order)
        return coinbase_rows.placed(reply, order, client_id)

    async def revoke(self, order: CancelOrder) -> OrderReport | None:
        """Send a cancel of one order. That it was taken does not say that the order has ended."""
        venue_order_id = order.venue_order_id or ""
        reply = await self._post(f"{BASE}/orders/batch_cancel", {"order_ids": [venue_order_id]}, order)
        coinbase_rows.took_the_cancel(reply, venue_order_id)
        return None

    async def change(self, order: AmendOrder) -> Answer:
        """Send an edit; order and ids stay."""
        coinbase_rows.took_the_edit(await self._post(f"{BASE}/orders/edit", coinbase_orders.amendment(order), order))
        return changed_in_place(order)

    def conclude(
        self, action: errors.Action, problem: Exception, record: HttpRecord | None, valid_until: datetime | None
    ) -> Answer:
        """Give the plain text of the venue's door a form, and say whether the token had ended: the venue never says why."""
        if record is not None and _is_refused_at_the_door(record):
            is_over = valid_until is not None and clock.now() >= valid_until - timedelta(seconds=1)
            said = "the window was over" if is_over else "the venue took the token of this request for none"
            record.payload = {"error": "token_ended" if is_over else "unauthorized", "message": said}
        return super().conclude(action, problem, record, valid_until)

    def venue_error(self, payload: Any) -> tuple[str, str]:
        """Return the reason a request was refused for."""
        return coinbase_rows.error(payload)

    def is_about_time(self, record: HttpRecord | None) -> bool:
        """A token that is not taken may have been made by another clock: the venue never says why."""
        return record is not None and record.status == 401

    # --- looking and reading ---

    def recipe(self, symbol: str, client_id: str, venue_order_id: str | None, since: datetime) -> list[Step]:
        """Ask for the order itself where the venue's id is known, then look through all orders made since."""

        async def by_id() -> OrderReport | None:
            reply = await self._get(f"{HISTORY}/{venue_order_id}")
            return named([coinbase_rows.order(_part(reply, "order"), self.symbol_of)], client_id, venue_order_id)

        steps = [among(listing, client_id, venue_order_id) for listing in self.listings(symbol, since)]
        return [*([by_id] if venue_order_id else []), *steps]

    def listings(self, symbol: str, since: datetime) -> list[Listing]:
        """List all orders made since, in whatever status; of every market, as an alias may stand under another name."""

        async def all_since() -> list[OrderReport]:
            found = await self._paged(ORDERS, "orders", ORDERS_PAGE, {"start_date": _written(since)})
            return [coinbase_rows.order(row, self.symbol_of) for row in found]

        return [all_since]

    def says_absent(self, trace: Sequence[HttpRecord], problem: Exception) -> bool:
        """Only 404 NOT_FOUND in answer to an order's id is a good answer of absence; the list answers with none."""
        if not trace or not trace[-1].answered or trace[-1].status != 404:
            return False
        return self.venue_error(trace[-1].payload)[0].upper() == "NOT_FOUND"

    async def open_orders(self, _: Sequence[str]) -> list[Any]:
        """Return every order that has not ended."""
        found: dict[Any, Any] = {}
        for statuses in (NOT_YET_OPEN, ("OPEN",)):
            page = await self._paged(ORDERS, "orders", ORDERS_PAGE, {"order_status": statuses})
            found |= {_key(row, "order_id"): row for row in page}
        return rows.collect("open_orders", found.values(), lambda row: coinbase_rows.order(row, self.symbol_of))

    async def fills(self, since: datetime | None, _: Sequence[str]) -> list[Any]:
        """Return our trades since then, newest first, to the end; the cursor stands whatever trades meanwhile."""
        query = {"start_sequence_timestamp": _written(since)} if since else {}
        found = {_key(row, "entry_id"): row for row in await self._paged(FILLS, "fills", FILLS_PAGE, query)}
        return rows.collect("fills", found.values(), lambda row: coinbase_rows.fill(row, self.symbol_of))

    async def balances(self, _: Sequence[str]) -> list[Any]:
        """Return every asset with something in it."""
        return coinbase_rows.balances(await self._paged(f"{BASE}/accounts", "accounts", WALLETS_PAGE, {}))

    async def transfers(self, since: datetime, assets: Sequence[str]) -> list[Any]:
        """Return what the wallets list beside trades: of each with something in it, and of those named."""
        found: list[Any] = []
        for wallet in await self._paged(f"{BASE}/accounts", "accounts", WALLETS_PAGE, {}):
            name = coinbase_rows.wallet_to_read(wallet, assets)
            if name is not None:
                listed = await self._transactions(name, since)
                found += transfer_rows.collect(listed, lambda row, name=name: transfer_rows.coinbase(row, name))  # type: ignore[misc]
        return found

    async def last_prices(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """Return the last price of each symbol in one request."""
        markets = {str(self.client.market(symbol)["id"]): symbol for symbol in symbols}
        reply = await self.client.v3PublicGetBrokerageMarketProducts({"product_ids": list(markets)})
        found = {}
        for row in _list(reply, "products"):
            symbol = markets.get(str(row.get("product_id"))) if isinstance(row, Mapping) else None
            price = decimals.parse_venue(row.get("price") or None) if symbol else None
            if symbol and price:
                found[symbol] = price
        return found

    async def permissions(self) -> Permissions | None:
        """Ask key_permissions."""
        return coinbase_rows.permissions(await self._get(f"{BASE}/key_permissions"))

    # --- the stream ---

    async def subscribe(self, stream: Any) -> None:
        """Connect and subscribe to our orders and to heartbeats; return when the venue has confirmed the orders."""
        self._subscribed.clear()
        self._next_number = None
        socket = self.client.client(self.client.urls["api"]["ws"])
        await socket.connect(self.client.session)
        for channel, extra in (
            ("user", {"jwt": self._token("", self._now_ms(), TOKEN_SECONDS * 1000)}),
            ("heartbeats", {}),
        ):
            await socket.send({"type": "subscribe", "channel": channel, "product_ids": [], **extra})
        await self._subscribed.wait()

    def read_frame(self, payload: Any) -> list[Any] | None:
        """Read the user channel; all channels of the connection are numbered together, and a number left out is a gap."""
        if not isinstance(payload, Mapping):
            return None
        self._check_number(payload.get("sequence_num"))
        if payload.get("channel") == "user":
            return coinbase_rows.frame(payload, self.symbol_of)
        if payload.get("channel") == "subscriptions" and _names_the_user(payload.get("events")):
            self._subscribed.set()
        if payload.get("type") == "error":
            self.client.on_socket_lost(None, StreamReason.REFUSED)
        return None

    def symbol_of(self, venue_symbol: str) -> str:
        """Return our name of a product; the venue's own where the market list has none."""
        known = self.client.markets_by_id.get(venue_symbol)
        return str(known[0]["symbol"]) if known else venue_symbol

    def _check_number(self, number: Any) -> None:
        if not isinstance(number, str) or not (number.isascii() and number.isdigit() and len(number) < 20):
            return
        expected, self._next_number = self._next_number, int(number) + 1
        if expected is not None and int(number) > expected:
            self.client.on_socket_lost(None, StreamReason.GAP)

    # --- requests ---

    @cached_property
    def _signer(self) -> Signer:
        return Signer(self._secret.api_key, self._secret.secret)

    async def _post(self, path: str, body: Mapping[str, Any], order: PlaceOrder | CancelOrder | AmendOrder) -> Any:
        return await self._send("POST", path, "", json.dumps(body), order if self.capabilities.window else None)

    async def _get(self, path: str, query: Query | None = None) -> Any:
        return await self._send("GET", path, urlencode(query or {}, doseq=True), None, None)

    async def _send(
        self, method: str, path: str, query: str, body: str | None, order: PlaceOrder | CancelOrder | AmendOrder | None
    ) -> Any:
        """Pay, sign for the window of the order, or for as long as can be where none is given, and send."""
        async with self.client.paid():
            stamp_ms, window_ms = (
                (self._now_ms(), TOKEN_SECONDS * 1000)
                if order is None
                else (order.stamp_ms + self.clock_offset_ms, order.window_ms)
            )
            headers = {
                "Authorization": f"Bearer {self._token(f'{method} {HOST}{path}', stamp_ms, window_ms)}",
                "Content-Type": "application/json",
            }
            address = f"{self.client.urls['api']['rest']}{path}" + (f"?{query}" if query else "")
            return await self.client.fetch(address, method, headers, body)

    async def _paged(self, path: str, name: str, limit: int, query: Query) -> list[Any]:
        """Return the rows of all pages. Raises rows.RowError when they do not end."""
        found: list[Any] = []
        asked: dict[str, Any] = {**query, "limit": str(limit)}
        for _ in range(PAGES_MAX):
            reply = await self._get(path, asked)
            found += _list(reply, name)
            cursor = rows.optional_text(reply, "cursor")
            if cursor is None or reply.get("has_next") is False:
                return found
            if cursor == asked.get("cursor"):
                raise rows.RowError("the list goes round in circles")
            asked["cursor"] = cursor
        raise rows.RowError("the list does not end")

    async def _transactions(self, wallet: str, since: datetime) -> list[Any]:
        """Return the transactions of a wallet since a time, newest first; there is no other way to ask."""
        found: list[Any] = []
        query: dict[str, str] = {"limit": str(TRANSACTIONS_PAGE), "order": "desc"}
        for _ in range(PAGES_MAX):
            reply = await self._get(f"/v2/accounts/{wallet}/transactions", query)
            page = _list(reply, "data")
            found += page
            following = rows.optional_text(_part(reply, "pagination"), "next_starting_after")
            oldest = rows.rfc3339(page[-1], "created_at") if page and isinstance(page[-1], Mapping) else None
            if following is None or (oldest is not None and oldest < since):
                return found
            if following == query.get("starting_after"):
                raise rows.RowError("the list goes round in circles")
            query["starting_after"] = following
        raise rows.RowError("the list does not end")

    def _token(self, uri: str, starts_ms: int, window_ms: int) -> str:
        """Return a token for whole seconds, that it ends with never after the window's."""
        starts_at = starts_ms // 1000 - EARLIER_SECONDS
        ends_at = min((starts_ms + window_ms) // 1000, starts_at + TOKEN_SECONDS)
        return self._signer.token(uri, starts_at, ends_at)

    def _now_ms(self) -> int:
        return int(clock.now().timestamp() * 1000) + self.clock_offset_ms


def _is_refused_at_the_door(record: HttpRecord) -> bool:
    return record.answered and record.status == 401 and record.body.strip() == "Unauthorized"


def _names_the_user(events: Any) -> bool:
    held = (
        [event.get("subscriptions") for event in events if isinstance(event, Mapping)]
        if isinstance(events, list)
        else []
    )
    return any(isinstance(channels, Mapping) and "user" in channels for channels in held)


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _key(row: Any, name: str) -> Any:
    """Return what tells a row from others; a row that cannot be read is told apart by being itself."""
    value = row.get(name) if isinstance(row, Mapping) else None
    return value if isinstance(value, str) and value else id(row)


def _list(reply: Any, name: str) -> list[Any]:
    found = reply.get(name) if isinstance(reply, Mapping) else None
    if not isinstance(found, list):
        raise rows.RowError(f"{name} is not a list")
    return found


def _part(reply: Any, name: str) -> Mapping[str, Any]:
    found = reply.get(name) if isinstance(reply, Mapping) else None
    if not isinstance(found, Mapping):
        raise rows.RowError(f"{name} is not an object")
    return found
