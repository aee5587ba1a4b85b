"""Binance spot: requests built exactly as recorded, its lookup recipe, its user data stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from project.lib import clock
from venues import errors
from venues.adapters import binance_orders, binance_rows, rows, transfer_rows
from venues.adapters.ccxt import CcxtAdapter
from venues.adapters.judging import MESSAGE_CHARACTERS_MAX
from venues.adapters.looking import Listing, Step, among, named
from venues.adapters.transport import HttpRecord
from venues.messages import AmendOrder, Answer, CancelOrder, Malformed, OrderReport, PlaceOrder

PAGES_MAX = 500
PAGE = 1000
TRANSFERS_SPAN_MS = 89 * 24 * 3_600_000


class BinanceAdapter(CcxtAdapter):
    """Binance and its spot siblings."""

    code_keys = ("code",)
    message_keys = ("msg",)

    async def submit(self, order: PlaceOrder) -> OrderReport:
        """Send POST /api/v3/order stamped with the time of the lease check; the venue refuses it after the window."""
        request = binance_orders.terms(order, self._market_id(order.symbol), order.quantity)
        self._stamp(request, order)
        if self.capabilities.client_ids:
            request["newClientOrderId"] = order.venue_client_id
        report = binance_rows.order(await self.client.privatePostOrder(request), self.symbol_of)
        if self.capabilities.client_ids and report.venue_client_id != order.venue_client_id:
            raise rows.RowError("the venue answered about another order")
        return report

    async def change(self, order: AmendOrder) -> Answer:
        """Send POST /api/v3/order/cancelReplace: the new order goes out only if the old one was cancelled."""
        request = binance_orders.replacement(order, self._market_id(order.symbol))
        self._stamp(request, order)
        if self.capabilities.client_ids:
            request["newClientOrderId"] = order.new_venue_client_id
        reply = await self.client.privatePostOrderCancelReplace(request)
        answer = binance_orders.replaced(reply, order, self.symbol_of)
        placed = answer.order
        if self.capabilities.client_ids and placed and placed.venue_client_id != order.new_venue_client_id:
            raise rows.RowError("the venue answered about another order")
        return answer

    def conclude(
        self, action: errors.Action, problem: Exception, record: HttpRecord | None, valid_until: datetime | None
    ) -> Answer:
        """Read which half of a cancel-replace failed; everything else goes the common way."""
        if action == "amend" and record is not None and record.answered:
            answer = binance_orders.half_done(record.payload, record.status or 0, self.symbol_of, self.decided)
            if answer is not None:
                return replace(
                    answer, message=self.clean(answer.message)[:MESSAGE_CHARACTERS_MAX], raw=self.raw([record])
                )
        return super().conclude(action, problem, record, valid_until)

    async def revoke(self, order: CancelOrder) -> OrderReport | None:
        """Send DELETE /api/v3/order. The answer's clientOrderId is the cancel's own; ours is in origClientOrderId."""
        request: dict[str, Any] = {"symbol": self._market_id(order.symbol)}
        self._stamp(request, order)
        if order.venue_order_id is not None:
            request["orderId"] = order.venue_order_id
        else:
            request["origClientOrderId"] = order.venue_client_id
        report = binance_rows.cancelled(await self.client.privateDeleteOrder(request), self.symbol_of)
        named = order.venue_order_id in (None, report.venue_order_id)
        if not named or (order.venue_order_id is None and report.venue_client_id != order.venue_client_id):
            raise rows.RowError("the venue answered about another order")
        return report

    def recipe(self, symbol: str, client_id: str, venue_order_id: str | None, since: datetime) -> list[Step]:
        """Ask for the order itself, then look through the open orders and all orders since."""
        key = {"orderId": venue_order_id} if venue_order_id else {"origClientOrderId": client_id}

        async def by_id() -> OrderReport | None:
            reply = await self.client.privateGetOrder({"symbol": self._market_id(symbol), **key})
            return named([binance_rows.order(reply, self.symbol_of)], client_id, venue_order_id)

        return [by_id, *(among(listing, client_id, venue_order_id) for listing in self.listings(symbol, since))]

    def listings(self, symbol: str, since: datetime) -> list[Listing]:
        """List the open orders, then all orders since, to the end."""
        market = self._market_id(symbol)

        def read(page: Any) -> list[OrderReport]:
            return [binance_rows.order(row, self.symbol_of) for row in _rows(page)]

        async def open_now() -> list[OrderReport]:
            return read(await self.client.privateGetOpenOrders({"symbol": market}))

        async def all_since() -> list[OrderReport]:
            request: dict[str, Any] = {"symbol": market, "limit": 1000, "startTime": int(since.timestamp() * 1000)}
            found: list[OrderReport] = []
            for _ in range(PAGES_MAX):
                page = await self.client.privateGetAllOrders(request)
                found += read(page)
                if len(page) < 1000:
                    return found
                request = {"symbol": market, "limit": 1000, "orderId": int(rows.text(page[-1], "orderId")) + 1}
            raise rows.RowError("the list of orders does not end")

        return [open_now, all_since]

    def says_absent(self, trace: Sequence[HttpRecord], problem: Exception) -> bool:
        """Only -2013 "Order does not exist" is a good answer of absence."""
        return bool(trace) and trace[-1].answered and self.venue_error(trace[-1].payload)[0] == "-2013"

    async def open_orders(self, _: Sequence[str]) -> list[Any]:
        """Return every open order in one request."""
        found = await self.client.privateGetOpenOrders({})
        return rows.collect("open_orders", _rows(found), lambda row: binance_rows.order(row, self.symbol_of))

    async def fills(self, since: datetime | None, symbols: Sequence[str]) -> list[Any]:
        """Return our trades symbol by symbol, paged by trade id to the end."""
        found: list[Any] = []
        for symbol in symbols or await self._held_symbols():
            market = self.client.market(symbol)["id"]
            request: dict[str, Any] = {"symbol": market, "limit": 1000}
            request |= {"startTime": int(since.timestamp() * 1000)} if since else {"fromId": 0}
            for _ in range(PAGES_MAX):
                page = _rows(await self.client.privateGetMyTrades(request))
                found += page
                if len(page) < 1000:
                    break
                request = {"symbol": market, "limit": 1000, "fromId": int(rows.text(page[-1], "id")) + 1}
            else:
                raise rows.RowError("the list of trades does not end")
        return rows.collect("fills", found, lambda row: binance_rows.fill(row, self.symbol_of))

    async def balances(self, _: Sequence[str]) -> list[Any]:
        """Return every asset with something in it."""
        reply = await self.client.privateGetAccount({"omitZeroBalances": "true"})
        parsed = rows.collect("balances", _rows(reply.get("balances")), binance_rows.balance)
        return [row for row in parsed if isinstance(row, Malformed) or row.total != 0]

    async def transfers(self, since: datetime, _: Sequence[str]) -> list[Any]:
        """Return deposits and withdrawals of the spot wallet; transfers between wallets of the owner are in neither list."""
        client, asset_of = self.client, self.asset_of
        deposits = await self._history(client.sapiGetCapitalDepositHisrec, since)
        withdrawals = await self._history(client.sapiGetCapitalWithdrawHistory, since)
        return [
            *transfer_rows.collect(deposits, lambda row: transfer_rows.binance_deposit(row, asset_of)),
            *transfer_rows.collect(withdrawals, lambda row: transfer_rows.binance_withdrawal(row, asset_of)),
        ]

    async def _history(self, method: Callable[[dict[str, Any]], Awaitable[Any]], since: datetime) -> list[Any]:
        """Read a list of the wallet since a time, in windows and pages, to its end."""
        found: list[Any] = []
        now_ms = int(clock.now().timestamp() * 1000) + self.clock_offset_ms
        for start in range(int(since.timestamp() * 1000), now_ms + 1, TRANSFERS_SPAN_MS):
            request = {"startTime": start, "endTime": start + TRANSFERS_SPAN_MS - 1, "limit": PAGE}
            for number in range(PAGES_MAX):
                page = _rows(await method({**request, "offset": number * PAGE}))
                found += page
                if len(page) < PAGE:
                    break
            else:
                raise rows.RowError("the list of transfers does not end")
        return found

    async def last_prices(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """Return last prices, or the middle of the book where the server has no ticker."""
        found = {}
        for symbol in symbols:
            book = await self.client.publicGetDepth({"symbol": self.client.market(symbol)["id"], "limit": 5})
            middle = binance_rows.middle(book)
            if middle is not None:
                found[symbol] = middle
        return found

    async def subscribe(self, stream: Any) -> None:
        """Sign in to the WebSocket API; ccxt returns when the venue has acknowledged the subscription."""
        await self.client.authenticate({"type": "spot"})

    def read_frame(self, payload: Any) -> list[Any] | None:
        """Read executionReport and outboundAccountPosition events."""
        return binance_rows.frame(payload, self.symbol_of)

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

    def _stamp(self, request: dict[str, Any], order: PlaceOrder | CancelOrder | AmendOrder) -> None:
        request["recvWindow"] = order.window_ms
        request["timestamp"] = order.stamp_ms + self.clock_offset_ms

    async def _held_symbols(self) -> list[str]:
        held = {row.asset for row in await self.balances(()) if not isinstance(row, Malformed)}
        return [
            symbol
            for symbol, market in self.client.markets.items()
            if market["base"] in held and market["quote"] in held
        ]


def _rows(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise rows.RowError("a list was expected")
    return value
