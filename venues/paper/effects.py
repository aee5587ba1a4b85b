"""What faults do to a world: at once, to its orders and fills, and to its streams."""

import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from venues.paper import lies, recovery
from venues.paper.blueprint import Key
from venues.paper.engine import Engine
from venues.paper.faults import AT_ONCE, LIES, Call, FaultBook, Rule
from venues.paper.hub import Hub, Listener
from venues.paper.journal import Record
from venues.paper.orders import NOTHING, Order, OrderRequest, Version
from venues.paper.personality import MICROSECONDS
from venues.paper.timers import Timer, Timers


class Effects:
    """The part of a world that misbehaves when asked to."""

    engine: Engine
    faults: FaultBook
    hub: Hub
    keys: dict[str, Key]
    now: Callable[[], int]
    random: random.Random
    refused_paths: dict[str, int]
    timers: Timers

    def advance(self, now: int | None = None) -> int:
        """Run what is due."""
        raise NotImplementedError

    def drain(self) -> None:
        """Journal and tell what is new."""
        raise NotImplementedError

    def write(self, kind: str, record: Record) -> None:
        """Journal a record."""
        raise NotImplementedError

    def later(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Have something called in some seconds; what it changes is journalled and told."""
        return self.timers.at(self.now() + int(seconds * MICROSECONDS), call)

    def transfer(self, account: str, asset: str, amount: Decimal, tell: bool = True, **told: Any) -> None:
        """Move money in or out of an account; an untold movement is journalled but sent to nobody and in no list."""
        fact = self.engine.transfer(account, asset, amount, is_listed=tell, **told)
        if not tell:
            self.engine.facts.remove(fact)
            self.write(fact.kind, recovery.describe(fact))
        self.drain()

    def add_fault(self, request: dict[str, Any]) -> Rule:
        """Add a fault; some happen at once. Raises ValueError or KeyError when it makes no sense."""
        rule = self.faults.add(request)
        if rule.fault in AT_ONCE:
            self._IMMEDIATE[rule.fault](self, rule)
        return rule

    def _fault_fired(self, rule: Rule, call: Call) -> None:
        self.write(
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

    def _move_money(self, rule: Rule) -> None:
        account = rule.account or next(iter(self.keys))
        asset, amount = str(rule.params["asset"]), Decimal(str(rule.params["amount"]))
        fee = Decimal(str(rule.params.get("fee", 0)))
        reference = str(rule.params.get("reference") or f"paper-{len(self.engine.accounts[account].transfers) + 1}")
        self.faults.fire(rule, Call(operation="balance", account=account))
        if rule.fault == "silent_debit":
            self.transfer(account, asset, -amount, tell=False)
        elif rule.fault == "withdrawal":
            self.transfer(account, asset, -amount - fee, fee=fee, reference=reference)
        else:
            for _ in range(2 if rule.fault == "duplicate_deposit" else 1):
                self.transfer(account, asset, amount, reference=reference)
            if rule.params.get("unlisted"):  # told by the stream, and in no list
                self.engine.accounts[account].transfers[-1].is_listed = False

    def _lie_about_transfer(self, rule: Rule) -> None:
        """Leave the newest transfer of a reference out of the lists, or tell it with another amount."""
        account = rule.account or next(iter(self.keys))
        reference = str(rule.params["reference"])
        listed = [moved for moved in self.engine.accounts[account].transfers if moved.reference == reference]
        if not listed:
            raise ValueError(f"no transfer of {account} has the reference {reference}")
        self.faults.fire(rule, Call(operation="transfers", account=account))
        if rule.fault == "hide_transfer":
            listed[-1].is_listed = False
        else:
            listed[-1].shown = Decimal(str(rule.params["amount"]))

    def _lie(self, rule: Rule) -> None:
        account = rule.account or next(iter(self.keys))
        lies.tell(self.engine, self.engine.accounts[account], rule)
        self.faults.fire(rule, Call(operation="any", account=account))

    def _close_streams(self, rule: Rule) -> None:
        self.faults.fire(rule, Call(operation="stream", account=rule.account))
        self.refused_paths[""] = self.now() + int(rule.number("seconds", 0) * MICROSECONDS)
        for connection in self._targets(rule):
            connection.cut()

    def _swizzle(self, rule: Rule) -> None:
        """Close the connections one by one, in an order of chance, and refuse each for a while."""
        self.faults.fire(rule, Call(operation="stream", account=rule.account))
        seconds = rule.number("seconds", 1)
        targets = self._targets(rule)
        self.random.shuffle(targets)
        for number, connection in enumerate(targets):
            self.later(number * rule.number("interval", seconds), lambda one=connection: self._cut(one, seconds))  # type: ignore[misc]
        self.advance()

    def _cut(self, connection: Listener, seconds: float) -> None:
        self.refused_paths[connection.path] = self.now() + int(seconds * MICROSECONDS)
        connection.cut()

    def _poison_streams(self, rule: Rule) -> None:
        self.faults.fire(rule, Call(operation="stream", account=rule.account))
        for connection in self._targets(rule):
            connection.send_text(
                str(rule.params.get("frame", '{"e":"executionReport","channel":"executions","data":[{'))
            )

    def _targets(self, rule: Rule) -> list[Listener]:
        return self.hub.watching(rule.account) if rule.account else list(self.hub.connections)

    def _excess(self, order: Order) -> Decimal:
        if not self.faults.rules:
            return NOTHING
        rule = self.faults.take(("overfill",), call_about("any", order.request))
        if rule is None:
            return NOTHING
        step = self.engine.markets[order.request.symbol].market.quantity_step
        wanted = rule.params.get("quantity")
        excess = Decimal(str(wanted)) if wanted is not None else order.request.quantity / 10
        return max(excess // step * step, step)

    def _cancel_and_fill(self, order: Order, reason: str, rule: Rule) -> Version:
        before = order.versions[-1]

        def fill_and_end() -> None:
            if order.is_open:
                step = self.engine.markets[order.request.symbol].market.quantity_step
                part = order.leaves * Decimal(str(rule.params.get("share", 1)))
                self.engine.force_fill(order, max(part // step * step, step))
            if order.is_open:
                self.engine.cancel(order, reason)
            self.drain()

        if rule.number("seconds", 0) > 0:
            self.later(rule.number("seconds", 0), fill_and_end)
        else:
            fill_and_end()
        # Told after the fact: what traded during the cancel traded before its answer, to the millisecond too.
        return replace(before, status="cancelled", at=self.now(), reason=reason)

    def _fill_delay(self, order: Order) -> int:
        if not self.faults.rules:
            return 0
        call = call_about("any", order.request)
        for rule in self.faults.live(("delayed_fill",), call):
            self.faults.fire(rule, call)
            return int(rule.number("seconds", 10) * MICROSECONDS)
        return 0

    _IMMEDIATE: dict[str, Callable[["Effects", Rule], None]] = {
        **dict.fromkeys(LIES, _lie),
        "silent_debit": _move_money,
        "deposit": _move_money,
        "withdrawal": _move_money,
        "duplicate_deposit": _move_money,
        "hide_transfer": _lie_about_transfer,
        "alter_transfer": _lie_about_transfer,
        "close_stream": _close_streams,
        "poison_frame": _poison_streams,
        "swizzle": _swizzle,
    }


def call_about(operation: str, request: OrderRequest) -> Call:
    """Return what a fault is matched against for something done about an order."""
    return Call(
        operation=operation,
        account=request.account,
        symbol=request.symbol,
        client_order_id=request.client_order_id,
    )
