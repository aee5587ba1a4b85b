"""Deribit: JSON-RPC over GET, labels as client ids, contracts with positions, its user channels."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from project.lib import clock
from venues import errors
from venues.adapters import deribit_orders, deribit_rows, rows, strict, transfer_rows
from venues.adapters.ccxt import CcxtAdapter
from venues.adapters.checks import changed_in_place
from venues.adapters.looking import Listing, Step, among, named
from venues.adapters.transport import HttpRecord
from venues.messages import AmendOrder, Answer, CancelOrder, Malformed, MarketSpec, OrderReport, PlaceOrder

PAGES_MAX = 500
PAGE = 1000
LOG_PAGE = 250
RECENT = timedelta(hours=20)  # what is older than a day is kept apart and asked for apart
AHEAD_MS = 3_600_000
HEARTBEAT_SECONDS = 10
SUBSCRIPTION, HEARTBEAT, ANSWER = 900_001, 900_002, 900_003  # ids of our requests: ccxt counts its own from 1
PAUSE_SECONDS = 1.0
CHANNELS = ["user.orders.any.any.raw", "user.trades.any.any.raw"]


class DeribitAdapter(CcxtAdapter):
    """Deribit. Every request is a GET, and every error is HTTP 400 with a JSON-RPC error."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._subscribed: asyncio.Future[None] | None = None
        self._sent: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Open the session; a signature's nonce is used once."""
        await super().open()
        numbers = _growing()
        self.client.nonce = lambda: next(numbers)

    async def submit(self, order: PlaceOrder) -> OrderReport:
        """Send private/buy or private/sell with a time until which it is valid."""
        request = deribit_orders.placement(order, self._market_id(order.symbol), self._until_ms(order))
        if self.capabilities.client_ids:
            request["label"] = order.venue_client_id
        send = self.client.privateGetBuy if order.side == "buy" else self.client.privateGetSell
        report = deribit_rows.order(_part(_result(await send(request)), "order"), self.symbol_of)
        if self.capabilities.client_ids and report.venue_client_id != order.venue_client_id:
            raise rows.RowError("the venue answered about another order")
        return report

    async def change(self, order: AmendOrder) -> Answer:
        """Send private/edit with a time until which it is valid; order, id and label stay."""
        request = deribit_orders.amendment(order, self._market_id(order.symbol), self._until_ms(order))
        send = self.client.privateGetEdit if order.venue_order_id is not None else self.client.privateGetEditByLabel
        report = deribit_rows.order(_part(_result(await send(request)), "order"), self.symbol_of)
        asked = (order.quantity, order.price)
        if order.venue_order_id not in (None, report.venue_order_id) or (report.quantity, report.price) != asked:
            raise rows.RowError("the venue answered about another order")
        return changed_in_place(order)

    async def revoke(self, order: CancelOrder) -> OrderReport | None:
        """Send private/cancel by the venue's id, else cancel_by_label, which answers with how many it cancelled."""
        if order.venue_order_id is None:
            request = {"label": order.venue_client_id, "currency": self._currency(order.symbol)}
            reply = await self.client.privateGetCancelByLabel(request)
            if not rows.amount(reply, "result"):
                raise rows.RowError("the venue cancelled nothing")
            return None
        reply = await self.client.privateGetCancel({"order_id": order.venue_order_id})
        report = deribit_rows.order(_result(reply), self.symbol_of)
        if report.venue_order_id != order.venue_order_id:
            raise rows.RowError("the venue answered about another order")
        return report

    def conclude(
        self, action: errors.Action, problem: Exception, record: HttpRecord | None, valid_until: datetime | None
    ) -> Answer:
        """Read a cancel by label that found no open order as what it is; everything else goes the common way."""
        is_by_label = record is not None and record.status == 200 and record.path.endswith("cancel_by_label")
        payload = record.payload if record is not None and is_by_label else None
        if action == "cancel" and isinstance(payload, Mapping) and payload.get("result") == "0":
            return Answer(outcome="rejected", code="ORDER_UNKNOWN", message="No open order carries this label.")
        return super().conclude(action, problem, record, valid_until)

    def order_request(self, trace: Sequence[HttpRecord], marker: str) -> HttpRecord | None:
        """Take the last request for the order: an order is a GET here like every read."""
        return super().order_request(trace, marker) or (trace[-1] if trace else None)

    async def list_markets(self) -> list[MarketSpec]:
        """Return the instruments; quantities are sums of the base or quote asset here, never a number of contracts."""
        return [replace(spec, contract_size=Decimal(1)) for spec in await super().list_markets()]

    def recipe(self, symbol: str, client_id: str, venue_order_id: str | None, since: datetime) -> list[Step]:
        """Ask for the order by its id or its label, then look through the open orders and those that ended."""

        async def by_id() -> OrderReport | None:
            reply = await self.client.privateGetGetOrderState({"order_id": venue_order_id})
            return named([deribit_rows.order(_result(reply), self.symbol_of)], client_id, venue_order_id)

        async def by_label() -> OrderReport | None:
            request = {"currency": self._currency(symbol), "label": client_id}
            reply = await self.client.privateGetGetOrderStateByLabel(request)
            return named(self._orders(reply), client_id, venue_order_id)

        steps: list[Step] = [by_id] if venue_order_id else [by_label]
        return [*steps, *(among(listing, client_id, venue_order_id) for listing in self.listings(symbol, since))]

    def listings(self, symbol: str, since: datetime) -> list[Listing]:
        """List the open orders of the instrument, then those that ended, also without a trade, back to the start."""
        market = {"instrument_name": self._market_id(symbol)}

        async def open_now() -> list[OrderReport]:
            return self._orders(await self.client.privateGetGetOpenOrdersByInstrument(market))

        async def ended() -> list[OrderReport]:
            request = {**market, "count": PAGE, "include_unfilled": "true", "include_old": "true"}
            found: list[OrderReport] = []
            for _ in range(PAGES_MAX):
                reply = await self.client.privateGetGetOrderHistoryByInstrument({**request, "offset": len(found)})
                page = self._orders(reply)
                found += page
                oldest = page[-1].occurred_at if page else None
                if len(page) < PAGE or (oldest is not None and oldest < since):
                    return found
            raise rows.RowError("the list of orders does not end")

        return [open_now, ended]

    def says_absent(self, trace: Sequence[HttpRecord], problem: Exception) -> bool:
        """Only order_not_found is a good answer of absence; the lists answer with an empty one."""
        return bool(trace) and trace[-1].answered and self.venue_error(trace[-1].payload)[0] == "10004"

    async def open_orders(self, _: Sequence[str]) -> list[Any]:
        """Return every open order in one request."""
        found = _list(await self.client.privateGetGetOpenOrders({}))
        return rows.collect("open_orders", found, lambda row: deribit_rows.order(row, self.symbol_of))

    async def fills(self, since: datetime | None, _: Sequence[str]) -> list[Any]:
        """Return our trades of every currency, oldest first to the end; those of more than a day ago are asked for apart."""
        is_recent = since is not None and since > clock.now() - RECENT
        start_ms = int(since.timestamp() * 1000) if since else 1
        found: dict[tuple[Any, ...], Any] = {}  # what is kept twice is told twice
        for currency in self._currencies():
            for kept in ({},) if is_recent else ({"historical": "true"}, {}):
                for row in await self._trades(currency, start_ms, kept):
                    found[tuple(str(row.get(name)) for name in ("instrument_name", "trade_id", "direction"))] = row
        return rows.collect("fills", found.values(), lambda row: deribit_rows.fill(row, self.symbol_of))

    async def balances(self, _: Sequence[str]) -> list[Any]:
        """Return every currency with something in it."""
        found = _result(await self.client.privateGetGetAccountSummaries({})).get("summaries")
        if not isinstance(found, list):
            raise rows.RowError("summaries is not a list")
        parsed = rows.collect("balances", found, deribit_rows.balance)
        return [row for row in parsed if isinstance(row, Malformed) or row.total != 0 or row.held != 0]

    async def positions(self, _: Sequence[str]) -> list[Any]:
        """Return every position that is not flat, in one request."""
        found = _list(await self.client.privateGetGetPositions({}))
        parsed = rows.collect("positions", found, lambda row: deribit_rows.position(row, self.symbol_of))
        return [row for row in parsed if isinstance(row, Malformed) or row.quantity != 0]

    async def transfers(self, since: datetime, assets: Sequence[str]) -> list[Any]:
        """Return what the log lists beside trades: of each currency with something in it, and of those named.

        The log is asked for by currency and takes one request a second, so that what is empty is left alone.
        """
        summaries = _result(await self.client.privateGetGetAccountSummaries({}))
        found: list[Any] = []
        for currency in deribit_rows.currencies_to_read(summaries.get("summaries"), assets):
            found += await self._log(currency, int(since.timestamp() * 1000))
        user = rows.optional_text(summaries, "id")
        return transfer_rows.collect(found, lambda row: transfer_rows.deribit(row, self.symbol_of, user))

    async def last_prices(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """Return the last price of each symbol."""
        found = {}
        for symbol in symbols:
            reply = await self.client.publicGetTicker({"instrument_name": self._market_id(symbol)})
            price = deribit_rows.last_price(reply.get("result"))
            if price is not None:
                found[symbol] = price
        return found

    async def subscribe(self, stream: Any) -> None:
        """Sign in, subscribe to the user channels and set a heartbeat; return when the venue has named what carries facts."""
        await self.client.authenticate()
        self._subscribed = asyncio.get_running_loop().create_future()
        socket = self.client.client(self.client.urls["api"]["ws"])
        portfolios = [f"user.portfolio.{asset.lower()}" for asset in self._assets()]
        await socket.send(_request(SUBSCRIPTION, "private/subscribe", {"channels": CHANNELS + portfolios}))
        await self._subscribed
        await socket.send(_request(HEARTBEAT, "public/set_heartbeat", {"interval": HEARTBEAT_SECONDS}))

    def read_frame(self, payload: Any) -> list[Any] | None:
        """Read the user channels; answer the heartbeat's question; take the confirmation of the subscription."""
        if isinstance(payload, Mapping):
            if payload.get("id") == str(SUBSCRIPTION) and self._subscribed is not None and not self._subscribed.done():
                taken = payload.get("result")
                if isinstance(taken, list) and set(CHANNELS) <= set(map(str, taken)):
                    self._subscribed.set_result(None)
                else:
                    self._subscribed.set_exception(ConnectionError("the venue did not take every channel"))
            elif payload.get("method") == "heartbeat":
                self._answer_heartbeat(payload)
        return deribit_rows.frame(payload, self.symbol_of)

    def _answer_heartbeat(self, payload: Mapping[str, Any]) -> None:
        told = payload.get("params")
        if not isinstance(told, Mapping) or told.get("type") != "test_request":
            return
        socket = self.client.clients.get(self.client.urls["api"]["ws"])
        if socket is not None:
            task = asyncio.ensure_future(socket.send(_request(ANSWER, "public/test", {})))
            self._sent.add(task)
            task.add_done_callback(self._sent.discard)

    def venue_error(self, payload: Any) -> tuple[str, str]:
        """Return code and message of a JSON-RPC error, the message with its reason."""
        error = payload.get("error") if isinstance(payload, Mapping) else None
        if not isinstance(error, Mapping):
            return "", ""
        data = error.get("data")
        said = [data.get(name) for name in ("reason", "param")] if isinstance(data, Mapping) else []
        texts = [text for text in (error.get("message"), *said) if isinstance(text, str) and text]
        return str(error.get("code", ""))[:80], ": ".join(texts)

    def is_about_time(self, record: HttpRecord | None) -> bool:
        """Say whether the venue refused a request for its time: its clock and ours may differ."""
        code, message = self.venue_error(record.payload) if record is not None else ("", "")
        return code == "13888" or (code == "13009" and "timestamp" in message)

    def pause_seconds(self, record: HttpRecord) -> float | None:
        """Return how long the venue wants no more requests: its limit is an error like any other, with a wait in it."""
        if record.status != 400 or "10028" not in record.body:
            return None
        try:
            payload = strict.loads(record.body)
        except strict.NotStrict:
            return None
        if self.venue_error(payload)[0] != "10028":
            return None
        data = payload["error"].get("data")
        wait = data.get("wait") if isinstance(data, Mapping) else None
        return float(wait) if isinstance(wait, str) else PAUSE_SECONDS

    def symbol_of(self, venue_symbol: str) -> str:
        """Return our name of an instrument; the venue's own where the market list has none."""
        known = self.client.markets_by_id.get(venue_symbol)
        return str(known[0]["symbol"]) if known else venue_symbol

    async def _trades(self, currency: str, start_ms: int, kept: Mapping[str, str]) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        seen: set[str] = set()
        end_ms = int(time.time() * 1000) + AHEAD_MS
        for _ in range(PAGES_MAX):
            request = {
                "currency": currency,
                "start_timestamp": start_ms,
                "end_timestamp": end_ms,
                "count": PAGE,
                "sorting": "asc",
            }
            result = _result(await self.client.privateGetGetUserTradesByCurrencyAndTime({**request, **kept}))
            page = result.get("trades")
            if not isinstance(page, list) or not all(isinstance(row, Mapping) for row in page):
                raise rows.RowError("trades is not a list of objects")
            fresh = [row for row in page if str(row) not in seen]
            found += fresh
            seen |= {str(row) for row in fresh}
            if result.get("has_more") is not True:
                return found
            if not fresh:
                raise rows.RowError("more trades in a millisecond than a page holds")
            # The same millisecond again: several trades may share it, and a page may end between them.
            start_ms = int(rows.signed(page[-1], "timestamp"))
        raise rows.RowError("the list of trades does not end")

    async def _log(self, currency: str, start_ms: int) -> list[Any]:
        found: list[Any] = []
        end_ms = int(time.time() * 1000) + AHEAD_MS
        request: dict[str, Any] = {
            "currency": currency, "start_timestamp": start_ms, "end_timestamp": end_ms, "count": LOG_PAGE,
        }  # fmt: skip
        for _ in range(PAGES_MAX):
            result = _result(await self.client.privateGetGetTransactionLog(request))
            page, following = result.get("logs"), rows.optional_text(result, "continuation")
            if not isinstance(page, list):
                raise rows.RowError("logs is not a list")
            found += page
            if following is None or not page:
                return found
            if following == request.get("continuation"):
                raise rows.RowError("the log goes round in circles")
            request["continuation"] = following
        raise rows.RowError("the log does not end")

    def _orders(self, reply: Any) -> list[OrderReport]:
        return [deribit_rows.order(row, self.symbol_of) for row in _list(reply)]

    def _until_ms(self, order: PlaceOrder | AmendOrder) -> int:
        return order.stamp_ms + order.window_ms + self.clock_offset_ms

    def _market_id(self, symbol: str) -> str:
        known = self.client.markets.get(symbol)
        return str((known or self.client.market(symbol))["id"])

    def _currency(self, symbol: str) -> str:
        return _currency_of(self.client.market(symbol))

    def _currencies(self) -> list[str]:
        return sorted({_currency_of(market) for market in self.client.markets.values()})

    def _assets(self) -> list[str]:
        listed = self.client.markets.values()
        return sorted(set(self._currencies()) | {str(market["quote"]) for market in listed if not market["contract"]})


def _currency_of(market: Mapping[str, Any]) -> str:
    return str(market["settle"] if market["contract"] else market["base"])


def _growing() -> Iterator[int]:
    return itertools.count(time.time_ns() // 1000)


def _request(number: int, method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}


def _result(reply: Any) -> Mapping[str, Any]:
    return _part(reply, "result")


def _part(row: Any, key: str) -> Mapping[str, Any]:
    found = row.get(key) if isinstance(row, Mapping) else None
    if not isinstance(found, Mapping):
        raise rows.RowError(f"{key} is not an object")
    return found


def _list(reply: Any) -> list[Any]:
    found = reply.get("result") if isinstance(reply, Mapping) else None
    if not isinstance(found, list):
        raise rows.RowError("result is not a list")
    return found
