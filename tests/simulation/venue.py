"""The venue of one run: the paper venue's matching engine, what its reads show, and the truth that the checks compare with."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from tests.simulation.swarm import Swarm
from venues import capabilities
from venues.messages import (
    BalanceReport,
    CancelOrder,
    FillReport,
    MarketSpec,
    OrderReport,
    PlaceOrder,
    VenueOrderStatus,
)
from venues.paper.accounts import Account
from venues.paper.engine import Engine
from venues.paper.markets import EXCHANGES, markets_of
from venues.paper.orders import Fact, Fill, Order, OrderRequest, Rejected, Resting, Version
from venues.targets import VenueTarget

SYMBOLS = ("BTC/USDT", "ETH/USDT")
QUIRKS = {"no_window": ("no_validity_window",), "no_client_id": ("no_client_id",)}
MICROSECONDS = 1_000_000
LEVELS = 4
_STATUS: dict[str, VenueOrderStatus] = {
    "new": "open", "partially_filled": "open", "filled": "filled", "cancelled": "cancelled", "expired": "expired",
}  # fmt: skip
Verdict = Literal["accepted", "rejected", "expired", "duplicate"]


@dataclass
class Submit:
    """A submit as it arrived."""

    client_id: str
    account: str
    at_seconds: float
    verdict: Verdict
    order: Order | None = None


@dataclass
class Truth:
    """What the venue knows for certain, for the checks and for the simulated person; nothing of it reaches the product."""

    submits: list[Submit] = field(default_factory=list)
    accepted: dict[str, list[Order]] = field(default_factory=dict)
    in_flight: dict[str, int] = field(default_factory=dict)
    drifts: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    overfilled: set[str] = field(default_factory=set)


class SimVenue:
    """One venue with its accounts and its anonymous market."""

    def __init__(self, swarm: Swarm, now: Callable[[], float], trace: Callable[..., None], accounts: list[str]) -> None:
        exchange = "kraken" if swarm.personality == "kraken" else "binance"
        self.swarm, self.now, self.trace = swarm, now, trace
        self.chance = random.Random(f"{swarm.seed}:venue")
        self.target = VenueTarget(
            code="sim", exchange=exchange, rest_url="http://127.0.0.1/", may_trade=True,
            quirks=QUIRKS.get(swarm.personality, ()),
        )  # fmt: skip
        facts = capabilities.for_exchange(exchange, self.target.quirks)
        facts = replace(facts, transfers=False)  # it moves money without a list of it
        self.facts = facts if swarm.has_stream else replace(facts, stream=False)
        if swarm.amends == "by_us":
            self.facts = replace(self.facts, amend="none")
        self._backdated_us = 0
        markets = markets_of(EXCHANGES[exchange], list(SYMBOLS))
        self.engine = Engine(EXCHANGES[exchange], list(markets.values()), self.now_us, str(swarm.seed))
        self.engine.fill_delay, self.engine.excess = self._fill_delay, self._excess
        self.engine.client_ids_unique = self.facts.client_ids
        self.truth = Truth()
        self.tell: Callable[[Fact], None] = lambda fact: None
        self.on_submit: Callable[[Submit], None] = lambda submit: None
        self.is_quiet = self.may_drift = False
        self._denials: dict[str, tuple[Order, int]] = {}
        self._quotes: dict[tuple[str, str, int], Resting] = {}
        self._backdated_us = 3600 * MICROSECONDS  # what the accounts have, they have had for long
        for code in accounts:
            self.engine.open_account(code)
            for asset, amount in (("USDT", "2000000"), ("BTC", "20"), ("ETH", "300")):
                self.engine.transfer(code, asset, Decimal(amount))
        self._backdated_us = 0
        self.engine.facts.clear()
        self._quote()

    def now_us(self) -> int:
        """Return the venue's time in microseconds since the epoch."""
        return int(self.now() * MICROSECONDS) - self._backdated_us

    def place(self, message: PlaceOrder, account: str) -> tuple[str, str, OrderReport | None]:
        """Take a submit as it arrives. Returns verdict, refusal and report."""
        now = self.now()
        if self.facts.window and now * 1000 > message.stamp_ms + message.window_ms:
            self._note(message, account, "expired")
            return "expired", "TIMESTAMP_OUTSIDE_WINDOW", None
        request = OrderRequest(
            account=account, symbol=message.symbol, side=message.side, type=message.type, quantity=message.quantity,
            price=message.price, time_in_force=message.time_in_force, post_only=message.post_only,
            client_order_id=message.venue_client_id if self.facts.client_ids else "",
        )  # fmt: skip
        try:
            order = self.engine.place(request)
        except Rejected as refusal:
            is_double = refusal.reason == "duplicate_client_order_id"
            self._note(message, account, "duplicate" if is_double else "rejected")
            return ("duplicate" if is_double else "rejected"), refusal.reason, None
        self._note(message, account, "accepted", order)
        if self.swarm.happens("slow_to_show", self.chance):
            order.hidden_until = self.now_us() + int(
                self.chance.uniform(0, self.facts.processing_bound_seconds) * MICROSECONDS
            )
        self.drain()
        return "accepted", "", self.report(order, order.versions[-1])

    def cancel(self, message: CancelOrder, account: str) -> tuple[str, str, OrderReport | None]:
        """Take a cancel as it arrives. Returns verdict, refusal and report."""
        if self.facts.window and self.now() * 1000 > message.stamp_ms + message.window_ms:
            return "expired", "TIMESTAMP_OUTSIDE_WINDOW", None
        mine = self.engine.accounts[account]
        order = self._named(mine, message.symbol, message.venue_order_id, message.venue_client_id)
        if order is None or not order.is_open:
            self.trace("venue", "cancel_refused", message.venue_client_id)
            return "rejected", "unknown_order", None
        self.trace("venue", "cancel", order.key)
        if self.swarm.happens("cancel_then_fill", self.chance):
            report = self.report(order, order.versions[-1])
            self.engine.force_fill(order, order.leaves)
            self.drain()
            how = self.chance.random()
            if how < 0.2:
                return "accepted", "", report
            # called cancelled before the trade is told; not where we replace what a venue says is over: that is an overfill
            is_over = how > 0.4 and not self.swarm.amends
            return "accepted", "", replace(report, status="cancelled") if is_over else None
        self.engine.cancel(order)
        self.drain()
        return "accepted", "", self.report(order, order.versions[-1])

    def look_up(
        self, account: str, symbol: str, client_id: str, venue_order_id: str | None, moment: int
    ) -> OrderReport | None:
        """Return what a lookup by id shows at a moment."""
        order = self._named(self.engine.accounts[account], symbol, venue_order_id, client_id)
        version = order.version_at(moment) if order else None
        return self.report(order, version) if order and version else None

    def orders(self, account: str, moment: int, since_us: int = 0) -> list[OrderReport]:
        """Return every order that reads show at a moment."""
        found = [
            (order, order.version_at(moment))
            for order in self.engine.accounts[account].orders.values()
            if order.created_at >= since_us
        ]
        return [self.report(order, version) for order, version in found if version is not None]

    def fills(self, account: str, since_us: int, moment: int) -> list[FillReport]:
        """Return the trades that reads show at a moment."""
        found = self.engine.accounts[account].fills
        return [self.fill_report(fill) for fill in found if fill.at >= since_us and fill.visible_at <= moment]

    def balances(self, account: str, moment: int) -> list[BalanceReport]:
        """Return what reads show an account to have at a moment."""
        mine, found = self.engine.accounts[account], []
        for asset in mine.assets():
            total, held = mine.visible_balance(asset, moment)
            if total:
                found.append(BalanceReport(asset=asset, total=total, free=total - held, held=held))
        return found

    def report(self, order: Order, version: Version) -> OrderReport:
        """Tell about an order as it stood."""
        request = version.request
        side: Literal["buy", "sell"] = "buy" if request.side == "buy" else "sell"
        return OrderReport(
            venue_order_id=order.order_id, venue_client_id=request.client_order_id or None, symbol=request.symbol,
            status=_STATUS[version.status], side=side, type=request.type, price=request.price, quantity=request.quantity,
            filled_quantity=version.executed, occurred_at=_at(version.at), reason=version.reason,
        )  # fmt: skip

    def fill_report(self, fill: Fill) -> FillReport:
        """Tell about a trade."""
        request = fill.order.request
        return FillReport(
            venue_trade_id=fill.trade_id, venue_order_id=fill.order.order_id,
            venue_client_id=request.client_order_id or None, symbol=request.symbol,
            side="buy" if request.side == "buy" else "sell", price=fill.price, quantity=fill.quantity,
            quote_quantity=fill.cost, fee=fill.fee, fee_asset=fill.fee_asset,
            liquidity="maker" if fill.liquidity == "maker" else "taker", occurred_at=_at(fill.at),
        )  # fmt: skip

    def hide(self, account: str, report: OrderReport, seconds: float, submitted: str) -> None:
        """Deny an order for a while that was acknowledged just now; a new one from when its acknowledgement is stored.

        A venue that denied one beyond its bounds which nobody is known to have been told of would prove it absent.
        """
        order = self._named(self.engine.accounts[account], report.symbol, report.venue_order_id, "")
        if order is None:
            return
        self._denials[submitted] = (order, int(seconds * MICROSECONDS))
        if not submitted:
            self.acknowledged("")

    def acknowledged(self, submitted: str) -> None:
        """Deny from now on what is to be denied, for it is stored that we know of it."""
        if submitted in self._denials:
            order, duration = self._denials.pop(submitted)
            order.hidden_until = self.now_us() + duration

    def specs(self) -> list[MarketSpec]:
        """List the instruments."""
        return [
            MarketSpec(
                symbol=market.symbol, venue_symbol=market.venue_id, base=market.base, quote=market.quote, kind="spot",
                price_step=market.price_step, quantity_step=market.quantity_step, quantity_min=market.quantity_min,
                quantity_max=market.quantity_max, notional_min=market.notional_min, contract_size=Decimal(1),
                is_active=True,
            )
            for market in (state.market for state in self.engine.markets.values())
        ]  # fmt: skip

    def move(self) -> None:
        """Let the anonymous market act once: hit a resting order of ours, refill the quotes, move money behind our back."""
        resting = [o for account in self.engine.accounts.values() for o in account.open.values()]
        if resting and self.chance.random() < 0.5:  # enough that most orders end in a run
            order = self.chance.choice(resting)
            step = self.engine.markets[order.request.symbol].market.quantity_step
            share = Decimal(self.chance.choice(("0.25", "0.5", "1", "1")))
            part = max(order.leaves * share // step * step, step)
            self.engine.force_fill(order, part)
        self._quote()
        for fault in ("silent_debit", "deposit"):
            if self.may_drift and self.swarm.happens(fault, self.chance):
                self._drift(fault)
        self.drain()

    def drain(self) -> None:
        """Write down what has happened, and tell the streams."""
        facts, self.engine.facts = self.engine.facts, []
        for fact in facts:
            order = fact.order
            if order is not None:
                self.trace("venue", fact.kind, fact.account, order.key, order.executed, order.request.client_order_id)
                self.tell(fact)

    def named(self, account: str, symbol: str, venue_order_id: str | None, client_id: str) -> Order | None:
        """Return an account's order by the venue's id, else by ours."""
        return self._named(self.engine.accounts[account], symbol, venue_order_id, client_id)

    def _named(self, mine: Account, symbol: str, venue_order_id: str | None, client_id: str) -> Order | None:
        if venue_order_id:
            return mine.orders.get(self.engine.order_key(symbol, venue_order_id))
        return mine.by_client_id.get(client_id) if client_id else None

    def _note(self, message: PlaceOrder, account: str, verdict: Verdict, order: Order | None = None) -> None:
        name = message.venue_client_id
        submit = Submit(name, account, self.now(), verdict, order)
        self.truth.submits.append(submit)
        if order is not None:
            self.truth.accepted.setdefault(name, []).append(order)
        self.trace("venue", verdict, name, account, order.key if order else "")
        self.on_submit(submit)

    def _drift(self, fault: str) -> None:
        code = self.chance.choice(list(self.engine.accounts))
        asset = self.chance.choice(("USDT", "BTC"))
        amount = Decimal(self.chance.randint(1, 500)) / (1 if asset == "USDT" else 10_000)
        amount = -amount if fault == "silent_debit" else amount
        self.engine.transfer(code, asset, amount)
        key = (code, asset)
        self.truth.drifts[key] = self.truth.drifts.get(key, Decimal(0)) + amount
        self.trace("venue", fault, code, asset, amount)

    def _quote(self) -> None:
        for symbol, state in self.engine.markets.items():
            tick = state.market.price_start / 2000
            for side, sign in (("buy", -1), ("sell", 1)):
                for level in range(1, LEVELS + 1):
                    known = self._quotes.get((symbol, side, level))
                    if known is not None and known.leaves:
                        continue
                    price = state.market.price_start + sign * level * tick
                    size = Decimal(self.chance.randint(5, 40)) / (100 if symbol.startswith("BTC") else 5)
                    quote = self._quotes[(symbol, side, level)] = Resting(side, price, size)
                    self.engine.outside(symbol, quote, price, rests=True)

    def _fill_delay(self, order: Order) -> int:
        if not self.swarm.happens("fill_delayed", self.chance):
            return 0
        return int(self.chance.uniform(0, min(10.0, self.facts.read_lag_seconds)) * MICROSECONDS)

    def _excess(self, order: Order) -> Decimal:
        if not self.swarm.happens("overfill", self.chance):
            return Decimal(0)
        self.truth.overfilled.add(order.key)
        step = self.engine.markets[order.request.symbol].market.quantity_step
        return max(order.request.quantity / 10 // step * step, step)


def _at(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / MICROSECONDS, UTC)
