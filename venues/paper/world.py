"""One world: an engine, its journal, its faults, its participants and its listeners; without a clock of its own."""

import random
from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from venues.paper import recovery
from venues.paper.blueprint import Blueprint, Key, PublicChange
from venues.paper.effects import Effects, call_about
from venues.paper.engine import Engine
from venues.paper.faults import Call, FaultBook
from venues.paper.flow import Flow
from venues.paper.hub import Frame, Hub, Listener
from venues.paper.journal import Journal, Record
from venues.paper.markets import EXCHANGES, markets_of
from venues.paper.messages import NOBODY, Answer, Context, HttpRequest
from venues.paper.orders import RAN_OUT, Fact, Order, OrderRequest, Rejected, Version
from venues.paper.personality import MICROSECONDS, Limits, NonceGuard, Personality, Rolling
from venues.paper.replay import Replay
from venues.paper.spoil import with_other_client_id
from venues.paper.timers import Timer, Timers

WEIGHT_WINDOW_SECONDS = 60
ORDER_WINDOW_SECONDS = 10
CLIENT_ID_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Protocols(Protocol):
    """What a world and its server need from a dialect."""

    def read(self, world: "World", http: HttpRequest) -> Any:
        """Read a request: what it wants, for whom and about which order."""

    def admit(self, world: "World", parsed: Any) -> Answer | None:
        """Check a request's key and signature; return the refusal, None when it may go on."""

    def answer(self, world: "World", parsed: Any, is_admitted: bool = False) -> Answer:
        """Handle a request and return the reply; errors are replies too."""

    def rows_of(self, world: "World", parsed: Any, account: str) -> Any:
        """Return what the same read would show another account."""

    def fault_answer(self, world: "World", fault: str, seconds: float) -> Answer:
        """Return the reply of a fault that speaks for the exchange."""

    def open_stream(self, world: "World", connection: Listener, path: str, query: str) -> None:
        """Greet a new connection."""

    def read_frame(self, world: "World", connection: Listener, path: str, text: str) -> None:
        """Handle one frame from a client."""

    def private_frames(self, world: "World", connection: Listener, fact: Fact) -> list[Frame]:
        """Return the frames that tell a subscriber about a fact."""

    def tell_public(self, world: "World", symbol: str, change: PublicChange) -> None:
        """Send listeners what changed in a market."""

    def heartbeat(self, world: "World") -> None:
        """Send listeners the exchange's sign of life."""


class World(Effects):
    """Facts go to the journal first; answers and frames leave only after they are durable.

    The clock is handed in, in microseconds; what is due later is in `timers`, run by `advance`.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        journal: Journal,
        dialect: Protocols,
        clock: Callable[[], int],
        flow_path: Path | None = None,
    ) -> None:
        self.blueprint = blueprint
        self.dialect = dialect
        self.exchange = EXCHANGES[blueprint.exchange]
        self.personality = Personality.read(blueprint.personality)
        self.limits = Limits(blueprint.limits) if blueprint.limits else None
        self.refused_counts = {"rate_limited": 0, "ban": 0}
        self.journal = journal
        self.now = clock
        self.timers = Timers()
        self.hub = Hub()
        self.context = NOBODY
        self.keys: dict[str, Key] = {}
        self.nonces: dict[str, int] = {}
        self.nonce_guard = NonceGuard()
        self.weight = Rolling(WEIGHT_WINDOW_SECONDS)
        self.order_count = Rolling(ORDER_WINDOW_SECONDS)
        self.request_counts: dict[tuple[str, str], Rolling] = {}
        self.tokens: dict[str, str] = {}
        self.switches: dict[str, Timer] = {}
        self.refused_paths: dict[str, int] = {}
        self.replay: Replay | None = None
        salt = f"{blueprint.exchange}:{blueprint.world}:{blueprint.seed}"
        self.random = random.Random(f"{salt}:{len(journal)}")
        markets = markets_of(self.exchange, blueprint.markets)
        self.engine = Engine(self.exchange, list(markets.values()), self.now, salt)
        self.engine.fill_delay = self._fill_delay
        self.engine.excess = self._excess
        is_unique = self.exchange.client_ids_unique and self.personality.client_ids_unique == "open"
        self.engine.client_ids_unique = is_unique
        self.by_venue_id = {market.venue_id: market for market in markets.values()}
        self.faults = FaultBook(blueprint.seed, self.now, self._fault_fired)
        self._told: dict[str, tuple[int, int]] = {}
        self._open_accounts()
        self._watch_funding()
        self.flow = Flow(self.engine, blueprint.seed, flow_path)
        self.flow.fill_books()
        self.drain()
        self.forget_public()

    def describe(self) -> dict[str, Any]:
        """Return the world as the control interface shows it, addresses apart."""
        return {
            "exchange": self.exchange.name,
            "world": self.blueprint.world,
            "seed": self.blueprint.seed,
            "flow_steps_per_second": self.blueprint.flow_steps_per_second,
            "markets": list(self.engine.markets),
            "accounts": list(self.keys),
            "journal_records": len(self.journal),
            "personality": asdict(self.personality),
            "limits": self.blueprint.limits or None,
            "refused": self.refused_counts,
        }

    def advance(self, now: int | None = None) -> int:
        """Run what is due by now, or by a time in microseconds; return how many timers ran."""
        ran = self.timers.run_due(self.now() if now is None else now)
        if ran:
            self.drain()
        return ran

    def next_due(self) -> int | None:
        """Return when something is due next, in microseconds; None when nothing is."""
        return self.timers.next_due()

    def venue_now(self) -> int:
        """Return the time as the exchange tells it: a skew fault shifts it."""
        if not self.faults.rules:
            return self.now()
        offset = sum(rule.number("seconds", 5) for rule in self.faults.live(("skew",), Call(operation="any")))
        return self.now() + int(offset * MICROSECONDS)

    def read_moment(self, call: Call) -> int:
        """Return the moment whose orders, trades and balances a read may show."""
        rule = self.faults.take(("read_lag",), call)
        lag = rule.number("seconds", 5) if rule else self.personality.read_lag_seconds
        if lag and rule is None and self.personality.read_lag_random:
            lag *= self.random.random()
        return self.now() - int(lag * MICROSECONDS)

    def random_text(self, length: int) -> str:
        """Return letters and digits, such as an exchange makes up for an order without a client id."""
        return "".join(self.random.choices(CLIENT_ID_CHARACTERS, k=length))

    def place(self, request: OrderRequest) -> Order:
        """Place an order; a refusal is journalled and raised again as Rejected."""
        try:
            order = self.engine.place(request)
        except Rejected as rejection:
            self.write("rejected", recovery.describe_request(request) | {"reason": rejection.reason})
            raise
        if request.expires_at is not None:
            self.timers.at(request.expires_at, lambda: self._expire(order))
        self.drain()
        if self.faults.rules and (
            rule := self.faults.take(("ack_then_deny",), call_about("create_order", order.request))
        ):
            order.hidden_until = self.now() + int(rule.number("seconds", 30) * MICROSECONDS)
        return order

    def cancel(self, order: Order, reason: str = "User requested") -> Version:
        """Cancel an order and return what the owner is told; a refusal is journalled and raised again as Rejected."""
        rule = None
        if self.faults.rules and order.is_open:
            rule = self.faults.take(("cancel_then_fill",), call_about("cancel_order", order.request))
        if rule is not None:
            return self._cancel_and_fill(order, reason, rule)
        try:
            self.engine.cancel(order, reason)
        except Rejected as rejection:
            self.write("cancel_rejected", _refusal(order, rejection))
            raise
        self.drain()
        return order.versions[-1]

    def amend(self, order: Order, request: OrderRequest, reason: str = "User requested") -> None:
        """Change an order in place; a refusal is journalled and raised again as Rejected."""
        try:
            self.engine.amend(order, request, reason)
        except Rejected as rejection:
            self.write("amend_rejected", _refusal(order, rejection))
            raise
        self.drain()

    def drain(self) -> None:
        """Journal the engine's new facts and tell subscribers once they are durable and visible."""
        if not self.engine.facts:
            return
        facts, self.engine.facts = self.engine.facts, []
        for fact in facts:
            self.write(fact.kind, recovery.describe(fact))
            if self.hub.connections:
                self.journal.after_durable(lambda fact=fact: self._tell_when_visible(fact))  # type: ignore[misc]

    def refuses_stream(self, path: str) -> bool:
        """Tell whether a stream may not be opened now."""
        now = self.now()
        return any(now < self.refused_paths.get(name, 0) for name in ("", path))

    def step(self) -> None:
        """Move the anonymous participants once, or repeat the recorded trades that are due."""
        replay = self.replay if self.replay is not None and not self.replay.is_over else None
        self.flow.step(replay.symbol if replay else "")
        if replay is not None:
            for trade in replay.due(self.now()):
                self.flow.print_trade(replay.symbol, trade.side, trade.price, trade.quantity)
        self.drain()

    def move_price(self, symbol: str, price: Decimal) -> None:
        """Bring a market to a price at once; the orders in between trade, triggers fire. Raises KeyError."""
        self.flow.move_to(symbol, price)
        self.drain()

    def tell_public(self) -> None:
        """Send public listeners what changed in the books since the last call."""
        for symbol, state in self.engine.markets.items():
            revision, prints_total = self._told[symbol]
            self._told[symbol] = (state.book.revision, state.prints_total)
            new_prints = min(state.prints_total - prints_total, len(state.prints))
            levels = state.book.take_touched()
            if state.book.revision == revision and not new_prints:
                continue
            prints = list(state.prints)[len(state.prints) - new_prints :]
            change = PublicChange(revision + 1, state.book.revision, levels, prints)
            call = Call(operation="market_data", symbol=symbol)
            self.hub.lose_frames(
                bool(self.faults.rules) and self.faults.take(("drop_stream_frames",), call) is not None
            )
            self.dialect.tell_public(self, symbol, change)
            self.hub.lose_frames(False)

    def forget_public(self) -> None:
        """Let the next listener start from here: nobody listens now."""
        for symbol, state in self.engine.markets.items():
            self._told[symbol] = (state.book.revision, state.prints_total)
            state.book.touched.clear()

    def _open_accounts(self) -> None:
        for row in self.blueprint.accounts:
            self.keys[row["api_key"]] = Key(
                api_key=row["api_key"],
                secret=row["secret"],
                permissions=dict(row.get("permissions") or {"read": True, "trade": True, "withdraw": False}),
                passphrase=row.get("passphrase", ""),
                whitelist=tuple(row.get("whitelist") or ()),
            )
            self.engine.open_account(row["api_key"])
        if len(self.journal):
            recovery.rebuild(self.engine, self._remembering_nonces())
            self._watch_expiries()
            self.write("started", {"orders": sum(len(account.orders) for account in self.engine.accounts.values())})
            return
        self.write("started", {"orders": 0})
        for row in self.blueprint.accounts:
            for asset, amount in row.get("balances", {}).items():
                self.engine.transfer(row["api_key"], asset, Decimal(str(amount)))

    def _watch_expiries(self) -> None:
        for account in self.engine.accounts.values():
            for order in account.open.values():
                if order.request.expires_at is not None:
                    self.timers.at(order.request.expires_at, lambda order=order: self._expire(order))  # type: ignore[misc]

    def _watch_funding(self) -> None:
        for symbol, state in self.engine.markets.items():
            if state.market.funding_rate:
                self._await_funding(symbol)
        if any(state.market.settle for state in self.engine.markets.values()):
            self._await_settlement()

    def _await_funding(self, symbol: str) -> None:
        """Have a perpetual's funding paid at the next whole interval of the clock."""
        interval = int(self.personality.funding_interval_seconds * MICROSECONDS)
        due = (self.now() // interval + 1) * interval
        self.timers.at(due, lambda: self._pay_funding(symbol))

    def _pay_funding(self, symbol: str) -> None:
        self.engine.pay_funding(symbol, self.engine.last_price(symbol))
        self.drain()
        self._await_funding(symbol)

    def _await_settlement(self) -> None:
        """Have every contract settled at the next whole interval of the clock."""
        interval = int(self.personality.settlement_interval_seconds * MICROSECONDS)
        self.timers.at((self.now() // interval + 1) * interval, self._settle)

    def _settle(self) -> None:
        for symbol, state in self.engine.markets.items():
            if state.market.settle:
                self.engine.settle(symbol, self.engine.last_price(symbol))
        self.drain()
        self._await_settlement()

    def _remembering_nonces(self) -> Any:
        for record in self.journal.records():
            if record.get("nonce") is not None:
                self.nonces[record["account"]] = max(self.nonces.get(record["account"], 0), record["nonce"])
            yield record

    def write(self, kind: str, record: Record) -> None:
        """Journal a record, with the request that caused it."""
        line: Record = {"kind": kind, "at": self.now(), **record}
        context: Context = self.context
        if context.connection:
            line |= {"connection": context.connection, "received_at": context.received_at}
            if context.nonce is not None and record.get("account"):
                line["nonce"] = context.nonce
        self.journal.append(line)

    def _expire(self, order: Order) -> None:
        expires_at = order.request.expires_at
        if expires_at is not None and expires_at <= self.now():
            self.engine.expire(order, RAN_OUT)
            self.drain()

    def _tell_when_visible(self, fact: Fact) -> None:
        if fact.visible_at > self.now():
            self.timers.at(fact.visible_at, lambda: self._tell(fact))
        else:
            self._tell(fact)

    def _tell(self, fact: Fact) -> None:
        connections = self.hub.watching(fact.account)
        if not connections:
            return
        frames = [(connection, self.dialect.private_frames(self, connection, fact)) for connection in connections]
        times = 1
        if self.faults.rules:
            request = fact.order.request if fact.order else None
            call = call_about("stream", request) if request else Call(operation="stream", account=fact.account)
            if self.faults.take(("drop_stream_frames",), call):
                return  # the frames have used up their sequence numbers: the gap is to be seen
            if fact.order and (rule := self.faults.take(("wrong_client_id_echo",), call)):
                frames = [(connection, with_other_client_id(made, rule)) for connection, made in frames]
            duplicate = self.faults.take(("duplicate_fill",), call) if fact.fill else None
            times = int(duplicate.number("times", 2)) if duplicate else 1
        for connection, made in frames:
            for _ in range(times):
                for frame in made:
                    connection.send(frame)


def _refusal(order: Order, rejection: Rejected) -> Record:
    return {"account": order.request.account, "order_id": order.order_id, "reason": rejection.reason}
