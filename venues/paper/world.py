"""One world: an engine, its journal, its faults, its participants and its listeners."""

import asyncio
import random
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from venues.paper import recovery
from venues.paper.engine import Engine
from venues.paper.faults import AT_ONCE, Call, FaultBook, Rule
from venues.paper.flow import Flow
from venues.paper.journal import Journal, Record
from venues.paper.markets import EXCHANGES, markets_of
from venues.paper.messages import NOBODY, Context
from venues.paper.orders import Fact, Order, OrderRequest, Rejected
from venues.paper.replay import Replay
from venues.paper.streams import Connection, Frame, Hub

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key of a world's account."""

    api_key: str
    secret: str
    permissions: dict[str, bool]
    whitelist: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """Everything a world is made from; kept beside its journal."""

    exchange: str
    world: str
    seed: int
    flow_steps_per_second: float
    markets: list[str] | None
    accounts: list[dict[str, Any]] = field(default_factory=list)


class Protocols(Protocol):
    """What a world needs from its dialect."""

    def private_frames(self, world: "World", connection: Connection, fact: Fact) -> list[Frame]:
        """Return the frames that tell a subscriber about a fact."""

    def tell_public(self, world: "World", symbol: str, change: "PublicChange") -> None:
        """Send listeners what changed in a market."""


@dataclass(frozen=True, slots=True)
class PublicChange:
    """What happened in a market since the listeners were last told."""

    first_revision: int
    last_revision: int
    levels: dict[str, list[tuple[Decimal, Decimal]]]
    prints: list[Any]


class World:
    """Facts go to the journal first; answers and frames leave only after they are durable."""

    def __init__(self, blueprint: Blueprint, folder: Path, dialect: Protocols) -> None:
        self.blueprint = blueprint
        self.folder = folder
        self.dialect = dialect
        self.exchange = EXCHANGES[blueprint.exchange]
        self.journal = Journal(folder / "journal.jsonl")
        self.hub = Hub()
        self.context = NOBODY
        self.keys: dict[str, Key] = {}
        self.nonces: dict[str, int] = {}
        self.request_times: defaultdict[str, deque[int]] = defaultdict(deque)
        self.tokens: dict[str, str] = {}
        self.switches: dict[str, asyncio.TimerHandle] = {}
        self.refuse_streams_until = 0
        self.replay: Replay | None = None
        salt = f"{blueprint.exchange}:{blueprint.world}:{blueprint.seed}"
        self.random = random.Random(salt)
        markets = markets_of(self.exchange, blueprint.markets)
        self.engine = Engine(self.exchange, list(markets.values()), self.now, salt)
        self.engine.fill_delay = self._fill_delay
        self.by_venue_id = {market.venue_id: market for market in markets.values()}
        self.faults = FaultBook(blueprint.seed, self.now, self._fault_fired)
        self._told: dict[str, tuple[int, int]] = {}
        self._open_accounts()
        self.flow = Flow(self.engine, blueprint.seed, folder / "flow.json")
        self.flow.fill_books()
        self.drain()

    def now(self) -> int:
        """Return the time in microseconds since the epoch."""
        return time.time_ns() // 1000

    def venue_now(self) -> int:
        """Return the time as the exchange tells it: a skew fault shifts it."""
        offset = sum(rule.number("seconds", 5) for rule in self.faults.live(("skew",), Call(operation="any")))
        return self.now() + int(offset * MICROSECONDS)

    def read_moment(self, call: Call) -> int:
        """Return the moment whose orders and trades a read may show."""
        rule = self.faults.take(("read_lag",), call)
        return self.now() - int(rule.number("seconds", 5) * MICROSECONDS) if rule else self.now()

    def place(self, request: OrderRequest) -> Order:
        """Place an order; a refusal is journalled and raised again as Rejected."""
        try:
            order = self.engine.place(request)
        except Rejected as rejection:
            self._journal("rejected", recovery.describe_request(request) | {"reason": rejection.reason})
            raise
        self.drain()
        return order

    def cancel(self, order: Order, reason: str = "User requested") -> None:
        """Cancel an order; a refusal is journalled and raised again as Rejected."""
        try:
            self.engine.cancel(order, reason)
        except Rejected as rejection:
            self._journal(
                "cancel_rejected",
                {"account": order.request.account, "order_id": order.order_id, "reason": rejection.reason},
            )
            raise
        self.drain()

    def transfer(self, account: str, asset: str, amount: Decimal, tell: bool = True) -> None:
        """Move money in or out of an account; an untold movement is journalled but sent to nobody."""
        fact = self.engine.transfer(account, asset, amount)
        if not tell:
            self.engine.facts.remove(fact)
            self._journal(fact.kind, recovery.describe(fact))
        self.drain()

    def drain(self) -> None:
        """Journal the engine's new facts and tell subscribers once they are durable and visible."""
        facts, self.engine.facts = self.engine.facts, []
        for fact in facts:
            self._journal(fact.kind, recovery.describe(fact))
            if self.hub.connections:
                self.journal.after_durable(lambda fact=fact: self._tell_when_visible(fact))  # type: ignore[misc]

    def add_fault(self, request: dict[str, Any]) -> Rule:
        """Add a fault; some happen at once. Raises ValueError or KeyError when it makes no sense."""
        rule = self.faults.add(request)
        if rule.fault in AT_ONCE:
            self._IMMEDIATE[rule.fault](self, rule)
        return rule

    def step(self) -> None:
        """Move the anonymous participants once, or repeat the recorded trades that are due."""
        replay = self.replay if self.replay is not None and not self.replay.is_over else None
        self.flow.step(replay.symbol if replay else "")
        if replay is not None:
            for trade in replay.due(self.now()):
                self.flow.print_trade(replay.symbol, trade.side, trade.price, trade.quantity)
        self.drain()

    def tell_public(self) -> None:
        """Send public listeners what changed in the books since the last call."""
        for symbol, state in self.engine.markets.items():
            revision, prints_total = self._told.get(symbol, (state.book.revision, state.prints_total))
            self._told[symbol] = (state.book.revision, state.prints_total)
            new_prints = min(state.prints_total - prints_total, len(state.prints))
            levels = state.book.take_touched()
            if state.book.revision == revision and not new_prints:
                continue
            prints = list(state.prints)[len(state.prints) - new_prints :]
            change = PublicChange(revision + 1, state.book.revision, levels, prints)
            self.dialect.tell_public(self, symbol, change)

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
                whitelist=tuple(row.get("whitelist") or ()),
            )
            self.engine.open_account(row["api_key"])
        if len(self.journal):
            recovery.rebuild(self.engine, self._remembering_nonces())
            self._journal("started", {"orders": sum(len(account.orders) for account in self.engine.accounts.values())})
            return
        self._journal("started", {"orders": 0})
        for row in self.blueprint.accounts:
            for asset, amount in row.get("balances", {}).items():
                self.engine.transfer(row["api_key"], asset, Decimal(str(amount)))

    def _remembering_nonces(self) -> Any:
        for record in self.journal.records():
            if record.get("nonce") is not None:
                self.nonces[record["account"]] = max(self.nonces.get(record["account"], 0), record["nonce"])
            yield record

    def _journal(self, kind: str, record: Record) -> None:
        line: Record = {"kind": kind, "at": self.now(), **record}
        context: Context = self.context
        if context.connection:
            line |= {"connection": context.connection, "received_at": context.received_at}
            if context.nonce is not None and record.get("account"):
                line["nonce"] = context.nonce
        self.journal.append(line)

    def _fault_fired(self, rule: Rule, call: Call) -> None:
        self._journal(
            "fault",
            {
                "fault": rule.fault,
                "fault_id": rule.id,
                "operation": call.operation,
                "account": call.account,
                "symbol": call.symbol,
                "client_order_id": call.client_order_id,
                "params": rule.params,
            },
        )

    def _fill_delay(self, order: Order) -> int:
        request = order.request
        call = Call(
            operation="any",
            account=request.account,
            symbol=request.symbol,
            client_order_id=request.client_order_id,
        )
        for rule in self.faults.live(("delayed_fill",), call):
            self.faults.fire(rule, call)
            return int(rule.number("seconds", 10) * MICROSECONDS)
        return 0

    def _tell_when_visible(self, fact: Fact) -> None:
        wait = (fact.visible_at - self.now()) / MICROSECONDS
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._tell, fact)
        else:
            self._tell(fact)

    def _tell(self, fact: Fact) -> None:
        connections = self.hub.watching(fact.account)
        if not connections:
            return
        request = fact.order.request if fact.order else None
        call = Call(
            operation="stream",
            account=fact.account,
            symbol=request.symbol if request else "",
            client_order_id=request.client_order_id if request else "",
        )
        if self.faults.take(("drop_stream_frames",), call):
            return
        duplicate = self.faults.take(("duplicate_fill",), call) if fact.fill else None
        times = int(duplicate.number("times", 2)) if duplicate else 1
        for connection in connections:
            for _ in range(times):
                for frame in self.dialect.private_frames(self, connection, fact):
                    connection.send(frame)

    def _move_money(self, rule: Rule) -> None:
        account = rule.account or next(iter(self.keys))
        amount = Decimal(str(rule.params["amount"]))
        is_deposit = rule.fault == "deposit"
        self.faults.fire(rule, Call(operation="balance", account=account))
        self.transfer(account, str(rule.params["asset"]), amount if is_deposit else -amount, tell=is_deposit)

    def _close_streams(self, rule: Rule) -> None:
        self.faults.fire(rule, Call(operation="stream", account=rule.account))
        self.refuse_streams_until = self.now() + int(rule.number("seconds", 0) * MICROSECONDS)
        for connection in self._targets(rule):
            connection.cut()

    def _poison_streams(self, rule: Rule) -> None:
        self.faults.fire(rule, Call(operation="stream", account=rule.account))
        for connection in self._targets(rule):
            connection.send_text(
                str(rule.params.get("frame", '{"e":"executionReport","channel":"executions","data":[{'))
            )

    def _targets(self, rule: Rule) -> list[Connection]:
        return self.hub.watching(rule.account) if rule.account else list(self.hub.connections)

    _IMMEDIATE: dict[str, Callable[["World", Rule], None]] = {
        "silent_debit": _move_money,
        "deposit": _move_money,
        "close_stream": _close_streams,
        "poison_frame": _poison_streams,
    }
