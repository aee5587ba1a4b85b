"""Bybit v5 spot: requests stamped with the lease's time, its lookup recipe, windows of seven days, its private stream."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from project.lib import clock
from venues.adapters import bybit_orders, bybit_rows, rows, transfer_rows
from venues.adapters.ccxt import CcxtAdapter
from venues.adapters.checks import changed_in_place
from venues.adapters.judging import class_names
from venues.adapters.looking import Listing, Step, among
from venues.adapters.transport import HttpRecord
from venues.messages import AmendOrder, Answer, CancelOrder, Malformed, OrderReport, PlaceOrder

PAGES_MAX = 500
SPAN_MS = 7 * 24 * 3_600_000
SIGN_IN_MS = 10_000
LOG_TYPES = (
    "TRANSFER_IN", "TRANSFER_OUT", "INTEREST", "FEE_REFUND", "AIRDROP", "BONUS", "BONUS_RECOLLECT", "CURRENCY_BUY",
    "CURRENCY_SELL",
)  # fmt: skip
TOPICS = ("order.spot", "execution.spot", "wallet")


class BybitAdapter(CcxtAdapter):
    """Bybit and its siblings. Refusals come with HTTP 200 and a retCode; an accepted order is not yet in the book."""

    code_keys = ("retCode",)
    message_keys = ("retMsg",)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._signed_in: asyncio.Future[None] | None = None

    async def submit(self, order: PlaceOrder) -> OrderReport:
        """Send POST /v5/order/create; the venue refuses it after the window."""
        await self._refuse_a_passed_trigger(order)
        request = bybit_orders.placement(order, self._market_id(order.symbol))
        if self.capabilities.client_ids:
            request["orderLinkId"] = order.venue_client_id
        report = bybit_rows.placed(await self._post("v5/order/create", request, order), order)
        if self.capabilities.client_ids and report.venue_client_id != order.venue_client_id:
            raise rows.RowError("the venue answered about another order")
        return report

    async def change(self, order: AmendOrder) -> Answer:
        """Send POST /v5/order/amend; order and ids stay."""
        await self._refuse_a_passed_trigger(order)
        request = bybit_orders.amendment(order, self._market_id(order.symbol))
        found = bybit_rows.result(await self._post("v5/order/amend", request, order))
        _refuse_another(found, order)
        return changed_in_place(replace(order, venue_order_id=rows.text(found, "orderId")))

    async def revoke(self, order: CancelOrder) -> OrderReport | None:
        """Send POST /v5/order/cancel, and again for each kind of waiting order while there is no such order."""
        request = {"category": "spot", "symbol": self._market_id(order.symbol), **bybit_orders.identity(order)}
        for kind in bybit_orders.FILTERS:
            try:
                reply = await self._post("v5/order/cancel", {**request, "orderFilter": kind}, order)
            except Exception as problem:
                if "OrderNotFound" not in class_names(problem) or kind == bybit_orders.FILTERS[-1]:
                    raise
            else:
                _refuse_another(bybit_rows.result(reply), order)
                break
        return None

    async def _post(self, path: str, request: dict[str, Any], order: PlaceOrder | CancelOrder | AmendOrder) -> Any:
        """Pay, sign with the stamp and the window of the order, not with the time of signing, and send."""
        client = self.client
        async with client.paid():
            stamp_ms, usual_window = order.stamp_ms + self.clock_offset_ms, client.options["recvWindow"]
            client.nonce, client.options["recvWindow"] = lambda: stamp_ms, order.window_ms
            try:
                signed = client.sign(path, ["private"], "POST", request)
            finally:
                del client.nonce
                client.options["recvWindow"] = usual_window
            return await client.fetch(signed["url"], signed["method"], signed["headers"], signed["body"])

    async def _refuse_a_passed_trigger(self, order: PlaceOrder | AmendOrder) -> None:
        """Ask for the last price before an order with a trigger is sent: it alone decides which way the venue waits."""
        if order.trigger_price is None:
            return
        last = (await self.last_prices([order.symbol])).get(order.symbol)
        if last is None:
            raise rows.RowError("the venue names no last price to judge the trigger by")
        bybit_orders.refuse_a_passed_trigger(order, last)

    def recipe(self, symbol: str, client_id: str, venue_order_id: str | None, since: datetime) -> list[Step]:
        """Look among the open and the last 500 ended orders, then in the history: by the venue's id, else by ours."""
        wanted = {"orderId": venue_order_id} if venue_order_id else {"orderLinkId": client_id}
        return [among(one, client_id, venue_order_id) for one in self._lists(since, wanted)]

    def listings(self, symbol: str, since: datetime) -> list[Listing]:
        """List the open orders, then the ended ones since, to the end."""
        return self._lists(since, {"symbol": self._market_id(symbol)})

    def _lists(self, since: datetime, narrowed: Mapping[str, str]) -> list[Listing]:
        request = {"category": "spot", "limit": 50, **narrowed}

        async def recent() -> list[OrderReport]:
            return self._reports(await self._listed(self.client.privateGetV5OrderRealtime, request))

        async def history() -> list[OrderReport]:
            found: list[OrderReport] = []
            for start in _windows(since):
                window = {**request, "startTime": start, "endTime": start + SPAN_MS - 1}
                found += self._reports(await self._listed(self.client.privateGetV5OrderHistory, window))
            return found

        return [recent, history]

    def _reports(self, found: Sequence[Any]) -> list[OrderReport]:
        return [bybit_rows.order(row, self.symbol_of) for row in found]

    def says_absent(self, trace: Sequence[HttpRecord], problem: Exception) -> bool:
        """Say no: a good answer of absence is an empty list, never an error."""
        return False

    async def open_orders(self, _: Sequence[str]) -> list[Any]:
        """Return every open order, waiting ones included, page by page."""
        found = await self._listed(self.client.privateGetV5OrderRealtime, {"category": "spot", "limit": 50})
        return rows.collect("open_orders", found, lambda row: bybit_rows.order(row, self.symbol_of))

    async def fills(self, since: datetime | None, _: Sequence[str]) -> list[Any]:
        """Return our trades since then, oldest first, in windows of seven days; without a time the last seven days."""
        found: list[Any] = []
        for start in [None] if since is None else _windows(since):
            # Without an end the venue takes the start and seven days, whatever its clock says.
            window = {} if start is None else {"startTime": start}
            request = {"category": "spot", "limit": self.capabilities.fills_page, **window}
            found += reversed(await self._listed(self.client.privateGetV5ExecutionList, request))
        return rows.collect("fills", found, lambda row: bybit_rows.fill(row, self.symbol_of, self.asset_of))

    async def balances(self, _: Sequence[str]) -> list[Any]:
        """Return every coin with something in it."""
        reply = await self.client.privateGetV5AccountWalletBalance({"accountType": "UNIFIED"})
        found = bybit_rows.coins(bybit_rows.listed(bybit_rows.result(reply)))
        parsed = rows.collect("balances", found, lambda row: bybit_rows.balance(row, self.asset_of))
        return [row for row in parsed if isinstance(row, Malformed) or row.total != 0 or row.held != 0]

    async def transfers(self, since: datetime, _: Sequence[str]) -> list[Any]:
        """Return what the log of the unified wallet lists of every type but trades, in windows of seven days."""
        found: list[Any] = []
        for start in _windows(since):
            for kind in LOG_TYPES:
                window = {"type": kind, "startTime": start, "endTime": start + SPAN_MS - 1}
                request = {"accountType": "UNIFIED", "limit": 50, **window}
                found += await self._listed(self.client.privateGetV5AccountTransactionLog, request)
        return transfer_rows.collect(found, lambda row: transfer_rows.bybit(row, self.symbol_of, self.asset_of))

    async def last_prices(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """Return the last price of each symbol."""
        found = {}
        for symbol in symbols:
            reply = await self.client.publicGetV5MarketTickers({"category": "spot", "symbol": self._market_id(symbol)})
            for row in bybit_rows.listed(bybit_rows.result(reply))[:1]:
                found[symbol] = rows.positive(row, "lastPrice")
        return found

    async def subscribe(self, stream: Any) -> None:
        """Connect, sign in by the venue's clock, subscribe; return when the venue has acknowledged."""
        client = self.client
        self._signed_in = asyncio.get_running_loop().create_future()
        socket = client.client(client.implode_hostname(client.urls["api"]["ws"]["private"]["contract"]))
        await socket.connect(client.session)
        expires = str(int(clock.now().timestamp() * 1000) + self.clock_offset_ms + SIGN_IN_MS)
        signature = hmac.new(client.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
        await socket.send({"op": "auth", "args": [client.apiKey, expires, signature], "req_id": "1"})
        await self._signed_in
        await socket.send({"op": "subscribe", "args": list(TOPICS), "req_id": "2"})
        await stream.acknowledged()

    def read_frame(self, payload: Any) -> list[Any] | None:
        """Read order, execution and wallet frames, and the answer to our signing in."""
        if isinstance(payload, Mapping) and payload.get("op") == "auth":
            if self._signed_in is not None and not self._signed_in.done():
                if payload.get("success") is True:
                    self._signed_in.set_result(None)
                else:
                    self._signed_in.set_exception(PermissionError("the venue refused the key"))
            return []
        return bybit_rows.frame(payload, self.symbol_of, self.asset_of)

    def is_about_time(self, record: HttpRecord | None) -> bool:
        """Say whether the venue refused a request for its time."""
        return record is not None and self.venue_error(record.payload)[0] == "10002"

    def symbol_of(self, venue_symbol: str) -> str:
        """Return our name of a venue symbol; the venue's own where the market list has none."""
        known = self.client.markets_by_id.get(venue_symbol)
        return str(known[0]["symbol"]) if known else venue_symbol

    def asset_of(self, coin: str) -> str:
        """Return our name of a coin."""
        return str(self.client.safe_currency_code(coin))

    def _market_id(self, symbol: str) -> str:
        known = self.client.markets.get(symbol)
        return str((known or self.client.market(symbol))["id"])

    async def _listed(self, method: Callable[[dict[str, Any]], Awaitable[Any]], request: dict[str, Any]) -> list[Any]:
        """Read a list to its end, by cursor. Raises rows.RowError when it does not end."""
        found: list[Any] = []
        cursor: Any = ""
        for _ in range(PAGES_MAX):
            result = bybit_rows.result(await method({**request, "cursor": cursor} if cursor else request))
            page, before, cursor = bybit_rows.listed(result), cursor, result.get("nextPageCursor")
            found += page
            if not page or not cursor:
                return found
            if cursor == before:
                break
        raise rows.RowError("the list does not end")


def _windows(since: datetime) -> range:
    """Return the starts of the windows of seven days from a time until now, in milliseconds."""
    return range(int(since.timestamp() * 1000), int(clock.now().timestamp() * 1000) + 1, SPAN_MS)


def _refuse_another(found: Mapping[str, Any], order: AmendOrder | CancelOrder) -> None:
    (key, wanted), *_ = bybit_orders.identity(order).items()
    if rows.text(found, key) != wanted:
        raise rows.RowError("the venue answered about another order")
