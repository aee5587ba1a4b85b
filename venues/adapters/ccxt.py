"""Any exchange ccxt speaks to: requests and answers in ccxt's unified form, judged by our transport."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp

from project.lib import clock, decimals
from venues import errors
from venues.adapters import client as clients
from venues.adapters import markets, permissions, rows, unified
from venues.adapters.judging import RAW_CHARACTERS_MAX, Judging, class_names
from venues.adapters.transport import HttpRecord, recording
from venues.adapters.wire import LeanWire
from venues.capabilities import Capabilities
from venues.credentials import Secret
from venues.messages import (
    AmendOrder,
    Answer,
    CancelOrder,
    Evidence,
    Lookup,
    Malformed,
    MarketSpec,
    OrderReport,
    Permissions,
    PlaceOrder,
    Read,
    Shape,
)
from venues.targets import VenueTarget

LOOKUP_MARGIN = timedelta(minutes=1)
LIVE_DISABLED = (
    "Live trading is switched off for this venue, so nothing was sent. Switch the venue to live, or use a paper venue."
)


class CcxtAdapter(Judging):
    """One account at one exchange. Subclasses replace what an exchange does in its own way; nothing raises on venue trouble."""

    def __init__(
        self,
        target: VenueTarget,
        capabilities: Capabilities,
        secret: Secret,
        *,
        timeout_seconds: float,
        nonce_floor: int,
        shared: markets.SharedMarkets,
        on_http: Callable[[HttpRecord], None],
    ) -> None:
        super().__init__(capabilities, secret)
        self.target = target
        self.client: Any = None
        self._timeout_seconds = timeout_seconds
        self._nonce_floor = nonce_floor
        self._shared = shared
        self._on_http = on_http
        self._wire: LeanWire | None = None
        self._sockets: aiohttp.ClientSession | None = None
        self.clock_offset_ms = 0

    # --- life ---

    async def open(self) -> None:
        """Open the session and get the market list. Raises ConnectionError with a short reason when the venue gives none."""
        self._wire = LeanWire(self._timeout_seconds)
        self._sockets = clients.socket_session() if self.capabilities.stream else None
        self.client = clients.build(self.target, self.capabilities, self._secret, self._wire, self._sockets)
        self.client.on_http = self._on_http
        self.client.options["lastNonce"] = self._nonce_floor
        await self._give_markets()
        await self.measure_clock()

    async def close(self) -> None:
        """Close sockets and session."""
        if self.client is not None:
            await self.client.close()
            self.client.session = None
        if self._sockets is not None:
            await self._sockets.close()
        if self._wire is not None:
            await self._wire.close()

    async def measure_clock(self) -> None:
        """Learn how far the venue's clock is from ours; a venue without a clock leaves the offset as it is."""
        if not self.capabilities.window:
            return
        before = time.time()
        try:
            theirs = await self.client.fetch_time()
        except Exception:
            return  # an optional endpoint: without it our own clock stands
        after = time.time()
        grain_ms = self.capabilities.clock_grain_ms
        offset_ms = round(float(theirs) + grain_ms / 2 - (before + after) * 500)
        # Within the time the question took, and the grain of their clock, a difference is not proved.
        is_proved = abs(offset_ms) > (after - before) * 1000 + grain_ms
        self.clock_offset_ms = offset_ms if is_proved else 0
        self.client.options["timeDifference"] = -self.clock_offset_ms

    def nonce_floor(self) -> int:
        """Return the highest nonce used so far; the next owner of the account must start above it."""
        used = self.client.options.get("lastNonce", 0) if self.client is not None else 0
        return max(self._nonce_floor, int(used))

    # --- orders ---

    async def place(self, order: PlaceOrder) -> Answer:
        """Send one order once and say what that proved."""
        if not self.target.may_trade:
            return Answer(outcome="not_sent", code="VENUE_LIVE_DISABLED", message=LIVE_DISABLED)
        marker, valid_until = self.wire_client_id(order.venue_client_id), self._valid_until(order)
        with recording() as trace:
            try:
                self._refuse_what_the_venue_lacks(order)
                report = await self.submit(order)
            except Exception as problem:
                return await self._concluded("submit", problem, _order_request(trace, marker), valid_until)
        raw = self.clean(trace[-1].body)[:RAW_CHARACTERS_MAX] if trace else ""
        if report.venue_order_id is None:
            return Answer(
                outcome="unknown", code="NO_ORDER_ID", message="The venue answered without an order id.", raw=raw,
                valid_until=valid_until,
            )  # fmt: skip
        return Answer(
            outcome="accepted", venue_order_id=report.venue_order_id, order=report, raw=raw, valid_until=valid_until
        )

    async def cancel(self, order: CancelOrder) -> Answer:
        """Ask for one cancel once. ORDER_UNKNOWN means not open now; it never means never placed."""
        valid_until = self._valid_until(order) if self.capabilities.family == "binance" else None
        with recording() as trace:
            try:
                report = await self.revoke(order)
            except Exception as problem:
                return await self._concluded("cancel", problem, trace[-1] if trace else None, valid_until)
        raw = self.clean(trace[-1].body)[:RAW_CHARACTERS_MAX] if trace else ""
        return Answer(
            outcome="accepted", venue_order_id=order.venue_order_id, order=report, raw=raw, valid_until=valid_until
        )

    async def amend(self, order: AmendOrder) -> Answer:
        """Change one live order by one request and say what that proved."""
        if not self.target.may_trade:
            return Answer(outcome="not_sent", code="VENUE_LIVE_DISABLED", message=LIVE_DISABLED)
        return Answer(outcome="not_sent", code="AMEND_UNSUPPORTED", message="This venue changes no live orders.")

    async def submit(self, order: PlaceOrder) -> OrderReport:
        """Translate, sign and send; return the venue's report. Raises whatever goes wrong."""
        self._refuse_what_ccxt_would_round(order)
        parameters = {self.capabilities.client_id_key: self.wire_client_id(order.venue_client_id)}
        if self.capabilities.window_parameter:
            parameters[self.capabilities.window_parameter] = str(order.window_ms)
        if order.type != "market":
            parameters["timeInForce"] = order.time_in_force
        if order.post_only:
            parameters["postOnly"] = True  # type: ignore[assignment]
        if order.reduce_only:
            parameters["reduceOnly"] = True  # type: ignore[assignment]
        price = decimals.write(order.price)
        placed = await self.client.create_order(
            order.symbol, order.type, order.side, decimals.write(order.quantity), price, parameters
        )
        return unified.placed(placed, order)

    async def revoke(self, order: CancelOrder) -> OrderReport | None:
        """Translate, sign and send a cancel. Raises whatever goes wrong."""
        by_client_id = order.venue_order_id is None
        if by_client_id and not self.capabilities.client_id_cancel:
            raise rows.RowError("this venue cancels by its own order id only, and it is not known yet")
        parameters = (
            {self.capabilities.client_id_key: self.wire_client_id(order.venue_client_id)} if by_client_id else {}
        )
        await self.client.cancel_order(order.venue_order_id or "", order.symbol, parameters)
        return None

    def wire_client_id(self, venue_client_id: str) -> str:
        """Return the client id in the form this exchange takes."""
        return venue_client_id

    # --- looking ---

    async def look_up(
        self,
        *,
        symbol: str,
        venue_client_id: str,
        venue_order_id: str | None,
        since: datetime,
        shape: Shape | None = None,
        known_venue_order_ids: frozenset[str] = frozenset(),
    ) -> Lookup:
        """Look for one order by the venue's recipe. Absent only when every request was answered well."""
        client_id = self.wire_client_id(venue_client_id)
        evidence: list[Evidence] = []
        is_complete = True
        for step in self.recipe(symbol, client_id, venue_order_id, since - LOOKUP_MARGIN):
            with recording() as trace:
                try:
                    found = await step()
                    verdict = "found" if found else "not found"
                except Exception as problem:
                    found = None
                    verdict = "not found" if self.says_absent(trace, problem) else "failed"
            evidence += [self.evidence(record, verdict) for record in trace] or [_no_request(verdict)]
            if found:
                return Lookup(result="found", order=found, evidence=tuple(evidence))
            is_complete = is_complete and verdict == "not found"
        return Lookup(result="absent" if is_complete and evidence else "failed", evidence=tuple(evidence))

    def recipe(
        self, symbol: str, client_id: str, venue_order_id: str | None, since: datetime
    ) -> list[Callable[[], Any]]:
        """Return the requests that together would show the order if it were there, most telling first."""
        since_ms = int(since.timestamp() * 1000)

        async def by_id() -> OrderReport | None:
            key = self.capabilities.client_id_key
            parameters = {} if venue_order_id else {key: client_id, "clientOrderId": client_id}
            row = await self.client.fetch_order(venue_order_id or "", symbol, parameters)
            return self._matching([row], client_id, venue_order_id)

        def listed(method: str) -> Callable[[], Any]:
            async def run() -> OrderReport | None:
                found = await getattr(self.client, method)(symbol, since_ms if method != "fetch_open_orders" else None)
                return self._matching(found, client_id, venue_order_id)

            return run

        steps: list[Callable[[], Any]] = []
        if self.client.has.get("fetchOrder") and (venue_order_id or self.capabilities.client_id_lookup == "order"):
            steps.append(by_id)
        steps += [listed(name) for key, name in unified.LISTINGS if self.client.has.get(key) is True]
        return steps

    def says_absent(self, trace: Sequence[HttpRecord], problem: Exception) -> bool:
        """Say whether a failed lookup was a good answer of the kind "no such order"."""
        return bool(trace) and trace[-1].payload is not None and "OrderNotFound" in class_names(problem)

    def _matching(
        self, found: Sequence[Mapping[str, Any]], client_id: str, venue_order_id: str | None
    ) -> OrderReport | None:
        for row in found:
            report = unified.order(row)
            if report.venue_client_id == client_id or (venue_order_id and report.venue_order_id == venue_order_id):
                return report
        return None

    # --- reading ---

    async def read(self, surface: str, *, since: datetime | None, symbols: Sequence[str]) -> Read:
        """Read one surface whole. A failed request makes it failed, an unreadable row partial."""
        requested_at = clock.now()
        readers = {"open_orders": self.open_orders, "balances": self.balances}
        with recording() as trace:
            try:
                if surface == "fills":
                    found = await self.fills(since, symbols)
                elif surface in readers:
                    found = await readers[surface](symbols)
                else:
                    return Read(status="unsupported", requested_at=requested_at, taken_at=clock.now())
            except Exception as problem:
                error = self.describe(trace[-1] if trace else None, problem)
                if trace and self.is_about_time(trace[-1]):
                    await self.measure_clock()
                return Read(status="failed", error=error, requested_at=requested_at, taken_at=clock.now())
        bad = tuple(row for row in found if isinstance(row, Malformed))
        good = tuple(row for row in found if not isinstance(row, Malformed))
        return Read(
            status="partial" if bad else "good",
            rows=good,
            malformed=bad,
            requested_at=requested_at,
            taken_at=clock.now(),
        )

    async def open_orders(self, symbols: Sequence[str]) -> list[Any]:
        """Return every open order as OrderReport or Malformed. Raises when a request fails."""
        wanted = list(symbols) if self.capabilities.open_orders_need_symbol else [None]
        found = [await self.client.fetch_open_orders(symbol) for symbol in wanted]
        return rows.collect("open_orders", [row for page in found for row in page], unified.order)

    async def fills(self, since: datetime | None, symbols: Sequence[str]) -> list[Any]:
        """Return our trades since then as FillReport or Malformed. Raises when a request fails."""
        wanted = list(symbols) if self.capabilities.fills_need_symbol else [None]
        since_ms = int(since.timestamp() * 1000) if since else None
        found = [row for symbol in wanted for row in await unified.paged_trades(self.client, symbol, since_ms)]
        return rows.collect("fills", found, unified.fill)

    async def balances(self, _: Sequence[str]) -> list[Any]:
        """Return what the account has as BalanceReport or Malformed. Raises when the request fails."""
        return unified.balances(await self.client.fetch_balance())

    async def list_markets(self) -> list[MarketSpec]:
        """Return the venue's instruments, loaded again when older than an hour. Raises ConnectionError."""
        await self._give_markets(reload=True)
        return markets.specs(self.client)

    async def last_prices(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """Return the last price of each symbol the venue names one for; for display and valuation only."""
        tickers = await self.client.fetch_tickers(list(symbols))
        prices = {symbol: unified.price(ticker) for symbol, ticker in tickers.items()}
        return {symbol: price for symbol, price in prices.items() if price is not None}

    async def permissions(self) -> Permissions | None:
        """Ask what the key may do; every field is None where nobody has taught us to ask this exchange."""
        return await permissions.probe(self.client, self.target.exchange)

    # --- streams ---

    async def subscribe(self, stream: Any) -> None:
        """Connect, sign in and subscribe; return when the venue has confirmed. Raises when it does not."""
        raise NotImplementedError

    def read_frame(self, payload: Any) -> list[Any] | None:
        """Return the reports of a private frame, or None for a frame that is ccxt's to handle."""
        return None

    async def _concluded(
        self, action: errors.Action, problem: Exception, record: HttpRecord | None, valid_until: datetime | None
    ) -> Answer:
        answer = self.conclude(action, problem, record, valid_until)
        if self.is_about_time(record):
            await self.measure_clock()
        return answer

    def _valid_until(self, order: PlaceOrder | CancelOrder) -> datetime | None:
        if not self.capabilities.window:
            return None
        return datetime.fromtimestamp((order.stamp_ms + order.window_ms) / 1000, UTC)

    def _refuse_what_the_venue_lacks(self, order: PlaceOrder) -> None:
        can = self.capabilities
        if order.reduce_only and not can.reduce_only:
            raise rows.RowError("this venue has no reduce-only orders")
        if order.type not in can.order_types or order.time_in_force not in can.times_in_force:
            raise rows.RowError(f"this venue takes no {order.type} {order.time_in_force} orders")

    def _refuse_what_ccxt_would_round(self, order: PlaceOrder) -> None:
        client, symbol = self.client, order.symbol
        if Decimal(client.amount_to_precision(symbol, decimals.write(order.quantity))) != order.quantity:
            raise rows.RowError("the quantity does not lie on the venue's grid")
        if (
            order.price is not None
            and Decimal(client.price_to_precision(symbol, decimals.write(order.price))) != order.price
        ):
            raise rows.RowError("the price does not lie on the venue's grid")

    async def _give_markets(self, *, reload: bool = False) -> None:
        async def load() -> Any:
            keyless = clients.build(self.target, self.capabilities, None, self.client.wire)
            try:
                await keyless.load_markets(True)
            finally:
                keyless.session = None
            return keyless

        with recording() as trace:
            try:
                await self._shared.give(self.target.code, self.client, load, reload=reload)
            except asyncio.CancelledError:
                raise
            except Exception as problem:
                reason = self.describe(trace[-1] if trace else None, problem)
                raise ConnectionError(f"no market list: {reason}") from None


def _no_request(verdict: str) -> Evidence:
    return Evidence(source="local", at=clock.now(), answer=verdict, detail={})


def _order_request(trace: Sequence[HttpRecord], marker: str) -> HttpRecord | None:
    # The request that names our client id is the order. Without one, anything but a plain read might be it.
    for record in reversed(trace):
        if record.carries(marker):
            return record
    return next((record for record in reversed(trace) if record.method != "GET"), None)
