"""OKX spot: requests signed by ourselves so that none outlives its window, its lookup recipe, its private stream."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from project.lib import clock
from venues.adapters import okx_orders, okx_rows, rows, transfer_rows
from venues.adapters.ccxt import CcxtAdapter
from venues.adapters.checks import changed_in_place
from venues.adapters.judging import class_names
from venues.adapters.looking import Listing, Step, among, named
from venues.adapters.okx_algos import Algos
from venues.adapters.transport import HttpRecord
from venues.messages import AmendOrder, Answer, CancelOrder, OrderReport, Permissions, PlaceOrder

PAGE = 100
PAGES_MAX = 500
TIMESTAMP_MS = 30_000
CANCELLED_KEPT = timedelta(hours=2)
BILLS_KEPT = timedelta(days=6)
# Transfers, interest, funding, conversions and the venue's own: five requests a second are allowed.
BILL_TYPES = ("1", "7", "8", "11", "27", "30")
ABSENT = ("51603", "51001")
ABOUT_TIME = ("50036", "50102", "50112")


class OkxAdapter(CcxtAdapter):
    """OKX and its regional siblings. Most errors come with HTTP 200, the code of one order inside the envelope."""

    code_keys = ("sCode", "code")
    message_keys = ("sMsg", "msg")
    pongs = frozenset(("pong",))

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._algos = Algos()
        self._events: asyncio.Queue[Mapping[str, Any]] | None = None

    async def submit(self, order: PlaceOrder) -> OrderReport:
        """Send trade/order, or trade/order-algo for an order with a trigger."""
        market, has_ids = self._market_id(order.symbol), self.capabilities.client_ids
        if okx_orders.is_algo(order.type):
            request, path, prefix = okx_orders.algo(order, market), "trade/order-algo", "algo"
            self._algos.asked(order.venue_client_id)
        else:
            request, path, prefix = okx_orders.terms(order, market), "trade/order", ""
        asked = {"algoClOrdId" if prefix else "clOrdId": order.venue_client_id} if has_ids else {}
        row = okx_rows.done(await self._signed("POST", path, {**request, **asked}, order), asked)
        self._algos.learn(row)
        return okx_rows.placed(row, "algoId" if prefix else "ordId", order)

    async def revoke(self, order: CancelOrder) -> OrderReport | None:
        """Send trade/cancel-order, or trade/cancel-algos for one that waits for its trigger.

        The answer says that the cancel was taken, not that it was done. That the stream tells, but not of what waits.
        """
        ids, is_waiting = self._algos.address(order.venue_order_id, order.venue_client_id)
        request = {"instId": self._market_id(order.symbol), **ids}
        if not is_waiting:
            okx_rows.done(await self._signed("POST", "trade/cancel-order", request, order), ids)
            return None
        okx_rows.done(await self._signed("POST", "trade/cancel-algos", [request], order), ids)
        return await self._shown(request["instId"], ids, is_waiting)

    async def change(self, order: AmendOrder) -> Answer:
        """Send trade/amend-order, or trade/amend-algos for one that waits for its trigger; order and ids stay.

        The answer says that the amend was taken, not that it was done, so it counts once the order shows it.
        """
        ids, is_waiting = self._algos.address(order.venue_order_id, order.venue_client_id)
        market = self._market_id(order.symbol)
        if is_waiting:
            request, path = okx_orders.algo_amendment(order, market, ids), "trade/amend-algos"
        else:
            request, path = okx_orders.amendment(order, market, ids), "trade/amend-order"
        okx_rows.done(await self._signed("POST", path, request, order), ids)
        shown = await self._shown(market, ids, is_waiting)
        wanted = (order.quantity, order.price, order.trigger_price if is_waiting else None)
        if shown is not None and (shown.quantity, shown.price, shown.trigger_price) == wanted:
            return changed_in_place(order)
        return Answer(
            outcome="unknown", code="OUTCOME_UNKNOWN", message="The venue took the amend and does not show it yet."
        )

    def recipe(self, symbol: str, client_id: str, venue_order_id: str | None, since: datetime) -> list[Step]:
        """Ask for the order itself, as a plain and as an algo order, then look through every list since."""
        ids = {"ordId": venue_order_id} if venue_order_id else {"clOrdId": client_id}
        algo_ids = {"algoId": venue_order_id} if venue_order_id else {"algoClOrdId": client_id}

        async def by_id() -> OrderReport | None:
            return named([await self._order(symbol, ids)], client_id, venue_order_id)

        async def by_algo_id() -> OrderReport | None:
            row = okx_rows.only(await self._signed("GET", "trade/order-algo", algo_ids))
            self._algos.learn(row)
            if row.get("state") == "effective":
                report = await self._order(symbol, {"ordId": rows.text(row, "ordId")})
            else:
                report = okx_rows.order(row, self.symbol_of)
            return named([report], client_id, venue_order_id)

        async def may_be_forgotten() -> None:
            raise rows.RowError("the venue forgets an order that was cancelled without a fill after two hours")

        steps: list[Step] = [by_id, by_algo_id]
        steps += [among(listing, client_id, venue_order_id) for listing in self.listings(symbol, since)]
        return [*steps, may_be_forgotten] if clock.now() - since > CANCELLED_KEPT else steps

    def listings(self, symbol: str, since: datetime) -> list[Listing]:
        """List the open orders, the algo orders that wait, then the orders since that ended."""
        market = {"instType": "SPOT", "instId": self._market_id(symbol)}

        async def open_now() -> list[OrderReport]:
            return [self._read(row) for row in await self._pages("trade/orders-pending", market, "ordId")]

        def waiting(kind: str) -> Listing:
            async def run() -> list[OrderReport]:
                found = await self._pages("trade/orders-algo-pending", {**market, "ordType": kind}, "algoId")
                return [self._read(row) for row in found]

            return run

        async def ended_since() -> list[OrderReport]:
            begin = {"begin": str(int(since.timestamp() * 1000))}
            return [self._read(row) for row in await self._pages("trade/orders-history", {**market, **begin}, "ordId")]

        return [open_now, *(waiting(kind) for kind in okx_rows.ALGO_TYPES), ended_since]

    def says_absent(self, trace: Sequence[HttpRecord], problem: Exception) -> bool:
        """Only "Order does not exist" is a good answer of absence."""
        return bool(trace) and trace[-1].answered and self.venue_error(trace[-1].payload)[0] in ABSENT

    def is_about_time(self, record: HttpRecord | None) -> bool:
        """Say whether the venue refused a request for its time: its clock and ours may differ."""
        return record is not None and self.venue_error(record.payload)[0] in ABOUT_TIME

    async def open_orders(self, _: Sequence[str]) -> list[Any]:
        """Return every open order and every algo order that waits."""
        market = {"instType": "SPOT"}
        found = await self._pages("trade/orders-pending", market, "ordId")
        reports: list[Any] = rows.collect("open_orders", found, self._read)
        for kind in okx_rows.ALGO_TYPES:
            found = await self._pages("trade/orders-algo-pending", {**market, "ordType": kind}, "algoId")
            reports += rows.collect("open_orders", found, self._read)
        return reports

    async def fills(self, since: datetime | None, _: Sequence[str]) -> list[Any]:
        """Return our trades of all symbols, newest first, paged by bill id to the end."""
        request = {"instType": "SPOT"} | ({"begin": str(int(since.timestamp() * 1000))} if since else {})
        found = [await self._with_parent(row) for row in await self._pages("trade/fills-history", request, "billId")]
        return rows.collect("fills", found, lambda row: okx_rows.fill(row, self.symbol_of))

    async def balances(self, _: Sequence[str]) -> list[Any]:
        """Return every asset with something in it."""
        found = okx_rows.balances(await self._signed("GET", "account/balance", {}), "balances")
        return [row for row in found if getattr(row, "total", None) != 0]

    async def transfers(self, since: datetime, _: Sequence[str]) -> list[Any]:
        """Return the bills of the trading account of every type but trades; those of more than a week ago are kept apart."""
        path = "account/bills" if clock.now() - since < BILLS_KEPT else "account/bills-archive"
        begin = str(int(since.timestamp() * 1000))
        found = [
            row for kind in BILL_TYPES for row in await self._pages(path, {"type": kind, "begin": begin}, "billId")
        ]
        return transfer_rows.collect(found, lambda row: transfer_rows.okx(row, self.symbol_of))

    async def last_prices(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """Return the last price of each symbol."""
        found = {}
        for symbol in symbols:
            row = okx_rows.only(await self.client.publicGetMarketTicker({"instId": self._market_id(symbol)}))
            price = rows.optional_amount(row, "last")
            if price:
                found[symbol] = price
        return found

    async def permissions(self) -> Permissions | None:
        """Ask account/config."""
        return okx_rows.permissions(await self._signed("GET", "account/config", {}))

    async def subscribe(self, stream: Any) -> None:
        """Sign in and subscribe to orders and balances; return when the venue has confirmed each."""
        self._events = asyncio.Queue()
        socket = self.client.client(self.client.get_url("orders", "private"))
        await socket.connect(self.client.session)
        seconds = str(self._now_ms() // 1000)
        login = {"apiKey": self._secret.api_key, "passphrase": self._secret.passphrase, "timestamp": seconds}
        login["sign"] = self._signature(f"{seconds}GET/users/self/verify")
        await socket.send({"op": "login", "args": [login]})
        await self._confirmed("login")
        channels = [{"channel": "orders", "instType": "SPOT"}, {"channel": "account"}]
        await socket.send({"op": "subscribe", "args": channels})
        for _ in channels:
            await self._confirmed("subscribe")
        self._events = None

    def read_frame(self, payload: Any) -> list[Any] | None:
        """Read orders with their fills, and balances; confirmations are for whoever subscribes."""
        if not isinstance(payload, Mapping):
            return None
        if "event" in payload:
            if self._events is not None and payload["event"] in ("login", "subscribe", "error"):
                self._events.put_nowait(payload)
            return []
        reports = okx_rows.frame(payload, self.symbol_of)
        found = payload.get("data")
        if reports and isinstance(found, list):
            for row in found:
                if isinstance(row, Mapping) and row.get("algoId"):
                    self._algos.learn(row)
        return reports

    def symbol_of(self, venue_symbol: str) -> str:
        """Return our name of an instrument; the venue's own where the market list has none."""
        known = self.client.markets_by_id.get(venue_symbol)
        return str(known[0]["symbol"]) if known else venue_symbol

    async def _confirmed(self, event: str) -> None:
        said = await self._events.get() if self._events is not None else {}
        if said.get("event") != event or said.get("code", "0") != "0":
            raise ConnectionError("the venue refused to sign in or to subscribe")

    async def _shown(self, market: str, ids: Mapping[str, str], is_waiting: bool) -> OrderReport | None:
        """Return what the venue shows of an order it has just been told to change; None where it cannot be read."""
        path, request = ("trade/order-algo", ids) if is_waiting else ("trade/order", {"instId": market, **ids})
        try:
            return self._read(okx_rows.only(await self._signed("GET", path, request)))
        except Exception:
            return None  # what was asked for was taken all the same

    async def _order(self, symbol: str, ids: Mapping[str, str]) -> OrderReport:
        request = {"instId": self._market_id(symbol), **ids}
        return self._read(okx_rows.only(await self._signed("GET", "trade/order", request)))

    def _read(self, row: Mapping[str, Any]) -> OrderReport:
        report = okx_rows.order(row, self.symbol_of)
        self._algos.learn(row)
        return report

    async def _with_parent(self, row: Any) -> Any:
        """Return a fill with the algo order it belongs to: the venue names only the order that one has placed."""
        order_id, market = (row.get("ordId"), row.get("instId")) if isinstance(row, Mapping) else (None, None)
        if not isinstance(order_id, str) or not isinstance(market, str) or row.get("clOrdId"):
            return row  # an order placed by an algo order has no client id
        parent = self._algos.parent_of(order_id)
        if parent is None:
            try:
                order = okx_rows.only(await self._signed("GET", "trade/order", {"instId": market, "ordId": order_id}))
            except Exception as problem:
                if "OrderNotFound" not in class_names(problem):
                    raise
                order = {"ordId": order_id}  # so old that the venue knows its fills only
            self._algos.learn(order)
            parent = self._algos.parent_of(order_id) or ("", "")
        return {**row, "algoId": parent[0], "algoClOrdId": parent[1]}

    async def _pages(self, path: str, request: Mapping[str, str], key: str) -> list[Any]:
        """Return the rows of a list, newest first, to its end; what comes in between is newer than all of them."""
        found: list[Any] = []
        after: dict[str, str] = {}
        for _ in range(PAGES_MAX):
            page = okx_rows.data(await self._signed("GET", path, {**request, "limit": str(PAGE), **after}))
            found += page
            if len(page) < PAGE:
                return found
            last = page[-1]
            after = {"after": rows.text(last if isinstance(last, Mapping) else {}, key)}
        raise rows.RowError("the list does not end")

    async def _signed(
        self, method: str, path: str, request: Any, stamped: PlaceOrder | CancelOrder | AmendOrder | None = None
    ) -> Any:
        """Pay, sign and send one request and return the answer.

        The venue refuses what is 30 s older than its timestamp, and orders and amends after `expTime`. The timestamp of
        what must not outlive its window is set back, so that the two end together: cancels and algo orders know no other.
        """
        client, target, body = self.client, f"/api/v5/{path}", ""
        headers = {"OK-ACCESS-KEY": self._secret.api_key, "OK-ACCESS-PASSPHRASE": self._secret.passphrase}
        if method == "POST":
            body = json.dumps(request, separators=(",", ":"))
            headers["Content-Type"] = "application/json"
        elif request:
            target += f"?{client.urlencode(request)}"
        async with client.paid():
            signed_ms = self._now_ms()
            if stamped is not None:
                deadline_ms = stamped.stamp_ms + stamped.window_ms + self.clock_offset_ms
                headers["expTime"] = str(deadline_ms)
                signed_ms = deadline_ms - TIMESTAMP_MS
            timestamp = datetime.fromtimestamp(signed_ms / 1000, UTC).isoformat(timespec="milliseconds")[:23] + "Z"
            headers["OK-ACCESS-TIMESTAMP"] = timestamp
            headers["OK-ACCESS-SIGN"] = self._signature(f"{timestamp}{method}{target}{body}")
            address = client.implode_hostname(client.urls["api"]["rest"])
            return await client.fetch(address + target, method, headers, body or None)

    def _signature(self, text: str) -> str:
        return base64.b64encode(hmac.digest(self._secret.secret.encode(), text.encode(), "sha256")).decode()

    def _now_ms(self) -> int:
        return int(clock.now().timestamp() * 1000) + self.clock_offset_ms

    def _market_id(self, symbol: str) -> str:
        known = self.client.markets.get(symbol)
        return str((known or self.client.market(symbol))["id"])
