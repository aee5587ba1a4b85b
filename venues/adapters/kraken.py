"""Kraken spot: nonces in order, a deadline on every order, its lookup recipe, its executions stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from venues.adapters import kraken_orders, kraken_rows, rows, transfer_rows
from venues.adapters.ccxt import CcxtAdapter
from venues.adapters.checks import changed_in_place
from venues.adapters.looking import Listing, Step, among, named
from venues.adapters.transport import HttpRecord
from venues.messages import AmendOrder, Answer, CancelOrder, Malformed, OrderReport, Permissions, PlaceOrder

PAGES_MAX = 200
SYMBOLS_KEPT = 10_000
_KEY = "its key"
LEDGER_TYPES = ("deposit", "withdrawal", "transfer", "adjustment")


class KrakenAdapter(CcxtAdapter):
    """Kraken spot. Errors come as texts in a list, with HTTP 200."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._symbols: dict[str, str] = {}

    async def submit(self, order: PlaceOrder) -> OrderReport:
        """Send AddOrder with a deadline: the matching engine refuses the order afterwards."""
        deadline_ms = order.stamp_ms + order.window_ms + self.clock_offset_ms
        request = kraken_orders.placement(order, str(self.client.market(order.symbol)["id"]), deadline_ms)
        if self.capabilities.client_ids:
            request["cl_ord_id"] = order.venue_client_id
        return kraken_rows.placed(_result(await self.client.privatePostAddOrder(request)), order)

    async def change(self, order: AmendOrder) -> Answer:
        """Send AmendOrder with a deadline; order and ids stay."""
        request = kraken_orders.amendment(order, order.stamp_ms + order.window_ms + self.clock_offset_ms)
        rows.text(_result(await self.client.privatePostAmendOrder(request)), "amend_id")
        return changed_in_place(order)

    async def revoke(self, order: CancelOrder) -> OrderReport | None:
        """Send CancelOrder by the venue's id, else by ours."""
        by_id = {"txid": order.venue_order_id} if order.venue_order_id else {"cl_ord_id": order.venue_client_id}
        result = _result(await self.client.privatePostCancelOrder(by_id))
        if rows.amount(result, "count") == 0 and result.get("pending") is not True:
            raise rows.RowError("the venue cancelled nothing")
        return None

    def recipe(self, symbol: str, client_id: str, venue_order_id: str | None, since: datetime) -> list[Step]:
        """Look among the open orders, then among the closed ones since, filtered by our client id."""

        async def by_id() -> OrderReport | None:
            found = _result(await self.client.privatePostQueryOrders({"txid": venue_order_id}))
            return named(self._reports(found), client_id, venue_order_id)

        listings = self._lists(since, {"cl_ord_id": client_id} if client_id else {})
        return [*([by_id] if venue_order_id else []), *(among(one, client_id, venue_order_id) for one in listings)]

    def listings(self, symbol: str, since: datetime) -> list[Listing]:
        """List the open orders, then the closed ones since, to the end."""
        return self._lists(since, {})

    def _lists(self, since: datetime, narrowed: Mapping[str, str]) -> list[Listing]:
        async def open_now() -> list[OrderReport]:
            return self._reports(_orders(await self.client.privatePostOpenOrders({**narrowed}), "open"))

        async def closed_since() -> list[OrderReport]:
            request = {**narrowed, "start": str(int(since.timestamp()))}
            found: dict[str, Any] = {}
            offset = 0
            for _ in range(PAGES_MAX):
                reply = await self.client.privatePostClosedOrders({**request, "ofs": offset} if offset else request)
                page = _orders(reply, "closed")
                found |= page
                offset += len(page)
                # Without a count it is one page: a list by client id has no more.
                if not page or offset >= (rows.optional_amount(_result(reply), "count") or 0):
                    return self._reports(found)
            raise rows.RowError("the list of orders does not end")

        return [open_now, closed_since]

    def _reports(self, found: Mapping[str, Any]) -> list[OrderReport]:
        return [kraken_rows.order(key, row, self.symbol_of) for key, row in found.items()]

    def says_absent(self, trace: Sequence[HttpRecord], problem: Exception) -> bool:
        """Only "Unknown order" is a good answer of absence; the lists answer with an empty one."""
        return bool(trace) and trace[-1].answered and self.venue_error(trace[-1].payload)[0] == "EOrder:Unknown order"

    async def open_orders(self, _: Sequence[str]) -> list[Any]:
        """Return every open order in one request."""
        found = _orders(await self.client.privatePostOpenOrders({}), "open")
        return [
            rows.one("open_orders", row, lambda row, key=key: kraken_rows.order(key, row, self.symbol_of))  # type: ignore[misc]
            for key, row in found.items()
        ]

    async def fills(self, since: datetime | None, _: Sequence[str]) -> list[Any]:
        """Return our trades, newest first, paged by offset to the end. A trade that comes in between repeats a row."""
        request: dict[str, Any] = {"start": str(int(since.timestamp()) - 1)} if since else {}
        found: dict[str, Any] = {}
        offset = 0
        for _page in range(PAGES_MAX):
            result = _result(await self.client.privatePostTradesHistory({**request, "ofs": offset}))
            page = result.get("trades")
            if not isinstance(page, Mapping):
                raise rows.RowError("trades is not an object")
            found |= page
            offset += len(page)
            if not page or offset >= rows.amount(result, "count"):
                break
        else:
            raise rows.RowError("the list of trades does not end")
        return [
            rows.one("fills", row, lambda row, key=key: kraken_rows.fill(key, row, self.symbol_of))  # type: ignore[misc]
            for key, row in found.items()
        ]

    async def balances(self, _: Sequence[str]) -> list[Any]:
        """Return every asset with something in it, from BalanceEx."""
        result = _result(await self.client.privatePostBalanceEx({}))
        found = [{"asset": self.client.safe_currency_code(key), "row": row} for key, row in result.items()]
        parsed = rows.collect("balances", found, kraken_rows.balance)
        return [row for row in parsed if isinstance(row, Malformed) or row.total != 0]

    async def transfers(self, since: datetime, _: Sequence[str]) -> list[Any]:
        """Return what the ledger lists of some types; asked for whole it would tell every trade twice, at a price per page."""
        found: dict[str, Any] = {}
        for kind in LEDGER_TYPES:
            found |= await self._ledger({"type": kind, "start": str(int(since.timestamp()) - 1)})
        keyed = [{**row, _KEY: key} if isinstance(row, Mapping) else row for key, row in found.items()]
        asset_of = self.client.safe_currency_code
        return transfer_rows.collect(keyed, lambda row: transfer_rows.kraken(rows.text(row, _KEY), row, asset_of))

    async def _ledger(self, request: Mapping[str, str]) -> dict[str, Any]:
        """Return the rows of the ledger, newest first, paged by offset to the end."""
        found: dict[str, Any] = {}
        offset = 0
        for _ in range(PAGES_MAX):
            result = _result(await self.client.privatePostLedgers({**request, "ofs": offset}))
            page = result.get("ledger")
            if not isinstance(page, Mapping):
                raise rows.RowError("ledger is not an object")
            found |= page
            offset += len(page)
            if not page or offset >= rows.amount(result, "count"):
                return found
        raise rows.RowError("the ledger does not end")

    async def last_prices(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """Return the middle of the book of each symbol."""
        found = {}
        for symbol in symbols:
            market = self.client.market(symbol)["id"]
            books = _result(await self.client.publicGetDepth({"pair": market, "count": 5}))
            middle = kraken_rows.middle(next(iter(books.values()), None))
            if middle is not None:
                found[symbol] = middle
        return found

    async def permissions(self) -> Permissions | None:
        """Ask GetApiKeyInfo."""
        return kraken_rows.permissions(_result(await self.client.privatePostGetApiKeyInfo({})))

    async def status(self) -> str | None:
        """Ask SystemStatus: in its modes cancel_only and maintenance Kraken takes no orders; it does in the others."""
        try:
            said = rows.text(_result(await self.client.publicGetSystemStatus({})), "status")
        except Exception:
            return None  # an optional endpoint: what it does not say proves nothing
        return "maintenance" if said in ("maintenance", "cancel_only") else "ok"

    async def subscribe(self, stream: Any) -> None:
        """Get a token, connect, subscribe to executions; return when the venue has acknowledged."""
        token = rows.text(_result(await self.client.privatePostGetWebSocketsToken({})), "token")
        socket = self.client.client(self.client.urls["api"]["ws"]["privateV2"])
        await socket.connect(self.client.session)
        parameters = {"channel": "executions", "token": token, "snap_orders": True, "snap_trades": True}
        await socket.send({"method": "subscribe", "params": parameters, "req_id": 1})
        await stream.acknowledged()

    def read_frame(self, payload: Any) -> list[Any] | None:
        """Read executions frames; a row that leaves the symbol out gets it from the rows before it."""
        reports = kraken_rows.frame(payload)
        return reports and [self._with_symbol(report) for report in reports]

    def venue_error(self, payload: Any) -> tuple[str, str]:
        """Return the first error text, which is code and message in one."""
        found = payload.get("error") if isinstance(payload, Mapping) else None
        texts = [text for text in found if isinstance(text, str)] if isinstance(found, list) else []
        first = next((text for text in texts if text.startswith("E")), "")
        return first[:80], first

    def _with_symbol(self, report: Any) -> Any:
        if not isinstance(report, OrderReport) or report.venue_order_id is None:
            return report
        if not report.symbol:
            return replace(report, symbol=self._symbols.get(report.venue_order_id, ""))
        self._symbols[report.venue_order_id] = report.symbol
        if len(self._symbols) > SYMBOLS_KEPT:
            del self._symbols[next(iter(self._symbols))]
        return report

    def symbol_of(self, venue_symbol: str) -> str:
        """Return our name of a pair, however Kraken writes it here (XXBTZUSD, XBTUSD, XBT/USD, BTC/USD)."""
        if venue_symbol in self.client.markets:
            return venue_symbol
        known = self.client.markets_by_id.get(venue_symbol)
        if known:
            return str(known[0]["symbol"])
        named = self.client.options.get("marketsByAltname", {}).get(venue_symbol.replace("/", ""))
        return str(named["symbol"]) if named else venue_symbol


def _result(reply: Any) -> Any:
    result = reply.get("result") if isinstance(reply, Mapping) else None
    if not isinstance(result, Mapping):
        raise rows.RowError("the answer has no result")
    return result


def _orders(reply: Any, key: str) -> Mapping[str, Any]:
    found = _result(reply).get(key)
    if not isinstance(found, Mapping):
        raise rows.RowError(f"{key} is not an object")
    return found
