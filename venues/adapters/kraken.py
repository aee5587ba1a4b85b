"""Kraken spot: nonces in order, a deadline on every order, its lookup recipe, its executions stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from project.lib import decimals
from venues.adapters import kraken_rows, rows
from venues.adapters.ccxt import CcxtAdapter
from venues.adapters.transport import HttpRecord
from venues.messages import CancelOrder, Malformed, OrderReport, Permissions, PlaceOrder

PAGES_MAX = 200
SYMBOLS_KEPT = 10_000


class KrakenAdapter(CcxtAdapter):
    """Kraken spot. Errors come as texts in a list, with HTTP 200."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._symbols: dict[str, str] = {}

    async def submit(self, order: PlaceOrder) -> OrderReport:
        """Send AddOrder with a deadline: the matching engine refuses the order afterwards."""
        request: dict[str, Any] = {
            "pair": self.client.market(order.symbol)["id"],
            "type": order.side,
            "ordertype": order.type,
            "volume": decimals.write(order.quantity),
            "cl_ord_id": order.venue_client_id,
            "deadline": _rfc3339(order.stamp_ms + order.window_ms + self.clock_offset_ms),
        }
        if order.type == "limit":
            request |= {"price": decimals.write(order.price), "timeinforce": order.time_in_force}
        if order.post_only:
            request["oflags"] = "post"
        if order.reduce_only:
            request["reduce_only"] = "true"
        return kraken_rows.placed(_result(await self.client.privatePostAddOrder(request)), order)

    async def revoke(self, order: CancelOrder) -> OrderReport | None:
        """Send CancelOrder by the venue's id, else by ours."""
        by_id = {"txid": order.venue_order_id} if order.venue_order_id else {"cl_ord_id": order.venue_client_id}
        result = _result(await self.client.privatePostCancelOrder(by_id))
        if rows.amount(result, "count") == 0 and result.get("pending") is not True:
            raise rows.RowError("the venue cancelled nothing")
        return None

    def recipe(
        self, symbol: str, client_id: str, venue_order_id: str | None, since: datetime
    ) -> list[Callable[[], Any]]:
        """Look among the open orders, then among the closed ones since, filtered by our client id."""

        def matching(found: Mapping[str, Any]) -> OrderReport | None:
            for key, row in found.items():
                report = kraken_rows.order(key, row, self.symbol_of)
                if report.venue_client_id == client_id or (venue_order_id and key == venue_order_id):
                    return report
            return None

        async def among_open() -> OrderReport | None:
            return matching(_orders(await self.client.privatePostOpenOrders({"cl_ord_id": client_id}), "open"))

        async def among_closed() -> OrderReport | None:
            request = {"cl_ord_id": client_id, "start": str(int(since.timestamp()))}
            return matching(_orders(await self.client.privatePostClosedOrders(request), "closed"))

        async def by_id() -> OrderReport | None:
            return matching(_result(await self.client.privatePostQueryOrders({"txid": venue_order_id})))

        return [by_id, among_open, among_closed] if venue_order_id else [among_open, among_closed]

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


def _rfc3339(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
