"""Any exchange ccxt speaks to: requests and answers in ccxt's unified form, judged by our transport."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp

from project.lib import clock, decimals
from venues import errors
from venues.adapters import client as clients
from venues.adapters import markets, permissions, rows, unified
from venues.adapters.checks import changed_in_place, refuse_an_impossible_change, refuse_what_the_venue_lacks
from venues.adapters.looking import Looking
from venues.adapters.transport import HttpRecord, recording
from venues.adapters.wire import LeanWire
from venues.capabilities import Capabilities
from venues.credentials import Secret
from venues.messages import (
    AmendOrder,
    Answer,
    CancelOrder,
    Malformed,
    MarketSpec,
    OrderReport,
    Permissions,
    PlaceOrder,
    Read,
)
from venues.ratelimit import Ticket
from venues.targets import VenueTarget

TRANSFERS_BACK = timedelta(days=7)
LIVE_DISABLED = (
    "Live trading is switched off for this venue, so nothing was sent. Switch the venue to live, or use a paper venue."
)


class CcxtAdapter(Looking):
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
        pay: Callable[[float], Awaitable[Ticket | None]] | None = None,
    ) -> None:
        super().__init__(capabilities, secret)
        self.target = target
        self._timeout_seconds = timeout_seconds
        self._nonce_floor = nonce_floor
        self._shared = shared
        self._on_http, self._pay = on_http, pay
        self._wire: LeanWire | None = None
        self._sockets: aiohttp.ClientSession | None = None
        self.clock_offset_ms = 0

    # Texts a venue answers our keepalive with that are not JSON.
    pongs: frozenset[str] = frozenset()

    # --- life ---

    async def open(self) -> None:
        """Open the session and get the market list. Raises ConnectionError with a short reason when the venue gives none."""
        self._wire = LeanWire(self._timeout_seconds)
        self._sockets = clients.socket_session() if self.capabilities.stream else None
        self.client = clients.build(self.target, self.capabilities, self._secret, self._wire, self._sockets)
        self._teach(self.client)
        self.client.options["lastNonce"] = self._nonce_floor
        await self._give_markets()
        await self.measure_clock()

    def _teach(self, client: Any) -> None:
        client.on_http = self._on_http
        if self._pay is not None:
            client.pay = self._pay

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
            theirs = float(await self.client.fetch_time())
        except Exception:
            return  # an optional endpoint: without it, or without sense in it, our own clock stands
        after = time.time()
        grain_ms = self.capabilities.clock_grain_ms
        offset_ms = round(theirs + grain_ms / 2 - (before + after) * 500)
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
                refuse_what_the_venue_lacks(self.capabilities, order)
                report = await self.submit(order)
            except Exception as problem:
                return await self._concluded("submit", problem, self.order_request(trace, marker), valid_until)
        raw = self.raw(trace)
        if report.venue_order_id is None:
            return Answer(
                outcome="unknown", code="NO_ORDER_ID", message="The venue answered without an order id.", raw=raw,
                valid_until=valid_until,
            )  # fmt: skip
        if not self.capabilities.client_ids:
            report = replace(report, venue_client_id=None)
        return Answer(
            outcome="accepted", venue_order_id=report.venue_order_id, order=report, raw=raw, valid_until=valid_until
        )

    async def cancel(self, order: CancelOrder) -> Answer:
        """Ask for one cancel once. ORDER_UNKNOWN means not open now; it never means never placed."""
        valid_until = self._valid_until(order) if self.capabilities.cancel_window else None
        with recording() as trace:
            try:
                if order.venue_order_id is None and not self.capabilities.client_id_cancel:
                    raise rows.RowError("this venue cancels by its own order id only, and it is not known yet")
                report = await self.revoke(order)
            except Exception as problem:
                return await self._concluded("cancel", problem, trace[-1] if trace else None, valid_until)
        return Answer(
            outcome="accepted", venue_order_id=order.venue_order_id, order=report, raw=self.raw(trace),
            valid_until=valid_until,
        )  # fmt: skip

    async def amend(self, order: AmendOrder) -> Answer:
        """Change one live order by one request and say what that proved."""
        if not self.target.may_trade:
            return Answer(outcome="not_sent", code="VENUE_LIVE_DISABLED", message=LIVE_DISABLED)
        if self.capabilities.amend == "none":
            return Answer(outcome="not_sent", code="AMEND_UNSUPPORTED", message="This venue changes no live orders.")
        marker, valid_until = order.venue_order_id or order.venue_client_id, self._valid_until(order)
        with recording() as trace:
            try:
                refuse_an_impossible_change(self.capabilities, order)
                answer = await self.change(order)
            except Exception as problem:
                return await self._concluded("amend", problem, self.order_request(trace, marker), valid_until)
        return replace(answer, raw=self.raw(trace), valid_until=valid_until)

    async def submit(self, order: PlaceOrder) -> OrderReport:
        """Translate, sign and send; return the venue's report. Raises whatever goes wrong."""
        self._refuse_what_ccxt_would_round(order.symbol, order.quantity, order.price, order.trigger_price)
        kind, parameters = unified.kind_and_parameters(order, unified.takes(self.client))
        if self.capabilities.client_ids:
            wire_id = self.wire_client_id(order.venue_client_id)
            is_number = self.capabilities.client_id_form == "whole_number"
            parameters[self.capabilities.client_id_key] = int(wire_id) if is_number else wire_id
        if self.capabilities.window_parameter:
            parameters[self.capabilities.window_parameter] = str(order.window_ms)
        placed = await self.client.create_order(
            order.symbol, kind, order.side, decimals.write(order.quantity), decimals.write(order.price), parameters
        )
        return unified.placed(placed, order)

    async def revoke(self, order: CancelOrder) -> OrderReport | None:
        """Translate, sign and send a cancel. Raises whatever goes wrong."""
        if order.venue_order_id is not None:
            await self.client.cancel_order(order.venue_order_id, order.symbol, {})
            return None
        wire_id = self.wire_client_id(order.venue_client_id)
        if self.capabilities.client_id_in_place:
            await self.client.cancel_order(wire_id, order.symbol, {})
        else:
            await self.client.cancel_order("", order.symbol, {self.capabilities.client_id_key: wire_id})
        return None

    async def change(self, order: AmendOrder) -> Answer:
        """Translate, sign and send an amend in place. Raises whatever goes wrong."""
        if self.capabilities.amend != "in_place" or order.venue_order_id is None:
            raise rows.RowError("only an order whose venue order id is known is changed here, and only in place")
        self._refuse_what_ccxt_would_round(order.symbol, order.quantity, order.price, order.trigger_price)
        parameters = {} if order.trigger_price is None else {"triggerPrice": decimals.write(order.trigger_price)}
        await self.client.edit_order(
            order.venue_order_id, order.symbol, order.type, order.side, decimals.write(order.quantity),
            decimals.write(order.price), parameters,
        )  # fmt: skip
        return changed_in_place(order)

    # --- reading ---

    async def read(self, surface: str, *, since: datetime | None, symbols: Sequence[str]) -> Read:
        """Read one surface whole. A failed request makes it failed, an unreadable row partial."""
        requested_at = clock.now()
        readers = {"open_orders": self.open_orders, "balances": self.balances}
        if self.capabilities.positions:
            readers["positions"] = self.positions
        with recording() as trace:
            try:
                if surface == "fills":
                    found = await self.fills(since, symbols)
                elif surface == "transfers" and self.capabilities.transfers:
                    since = since or requested_at - TRANSFERS_BACK
                    listed = await self.transfers(since, symbols)
                    found = [row for row in listed if isinstance(row, Malformed) or row.occurred_at >= since]
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
        good = tuple(self.as_ours(row) for row in found if not isinstance(row, Malformed))
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
        return rows.collect("open_orders", [row for page in found for row in page], self.order_row)

    async def fills(self, since: datetime | None, symbols: Sequence[str]) -> list[Any]:
        """Return our trades since then as FillReport or Malformed. Raises when a request fails."""
        wanted = list(symbols) if self.capabilities.fills_need_symbol else [None]
        since_ms = int(since.timestamp() * 1000) if since else None
        found = [row for symbol in wanted for row in await unified.paged_trades(self.client, symbol, since_ms)]
        return rows.collect("fills", found, lambda row: unified.fill(row, self.capabilities.client_id_row_key))

    async def balances(self, _: Sequence[str]) -> list[Any]:
        """Return what the account has as BalanceReport or Malformed. Raises when the request fails."""
        return unified.balances(await self.client.fetch_balance())

    async def positions(self, _: Sequence[str]) -> list[Any]:
        """Return every position that is not flat as PositionReport or Malformed. Raises when the request fails."""
        raise NotImplementedError

    async def transfers(self, since: datetime, assets: Sequence[str]) -> list[Any]:
        """Return the money that moved without a trade since then, as TransferReport or Malformed. Raises when a request fails.

        Where the venue lists it by asset, those in which it shows nothing are left out but for the `assets` named here.
        """
        raise NotImplementedError

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

    async def status(self) -> str | None:
        """Return `ok` or `maintenance` as the venue's own status endpoint says, None where there is none or it failed."""
        if self.client.has.get("fetchStatus") is not True:
            return None
        try:
            said = (await self.client.fetch_status()).get("status")
        except Exception:
            return None  # an optional endpoint: what it does not say proves nothing
        return said if said in ("ok", "maintenance") else None

    def order_request(self, trace: Sequence[HttpRecord], marker: str) -> HttpRecord | None:
        """Return the request that was the order, None when none was made.

        It names our id. Where none does, anything but a plain read might be it.
        """
        for record in reversed(trace):
            if record.carries(marker):
                return record
        return next((record for record in reversed(trace) if record.method != "GET"), None)

    def pause_seconds(self, record: HttpRecord) -> float | None:
        """Return how long an answer that is no HTTP 429 or 418 wants no more requests, None when it says nothing of it."""
        return None

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

    def _valid_until(self, order: PlaceOrder | CancelOrder | AmendOrder) -> datetime | None:
        if not self.capabilities.window:
            return None
        return datetime.fromtimestamp((order.stamp_ms + order.window_ms) / 1000, UTC)

    def _refuse_what_ccxt_would_round(
        self, symbol: str, quantity: Decimal, price: Decimal | None, trigger_price: Decimal | None
    ) -> None:
        if Decimal(self.client.amount_to_precision(symbol, decimals.write(quantity))) != quantity:
            raise rows.RowError("the quantity does not lie on the venue's grid")
        for name, value in (("price", price), ("trigger price", trigger_price)):
            if value is not None and Decimal(self.client.price_to_precision(symbol, decimals.write(value))) != value:
                raise rows.RowError(f"the {name} does not lie on the venue's grid")

    async def _give_markets(self, *, reload: bool = False) -> None:
        async def load() -> Any:
            keyless = clients.build(self.target, self.capabilities, None, self.client.wire)
            self._teach(keyless)
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
