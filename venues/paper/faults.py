"""Faults on demand: which exchange misbehaviour happens to which call."""

import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

BEFORE = ("drop_before", "rate_limited", "ban", "unknown_reject", "duplicate_client_id_reject", "maintenance")
AFTER = ("drop_after", "empty", "html", "json_empty", "truncate", "huge_exponent")
EITHER = ("hang", "status")
LATE = ("late_accept",)
READS = ("read_lag",)
ORDERS = ("cancel_then_fill", "ack_then_deny", "overfill")
ROWS = ("wrong_account_row", "wrong_client_id_echo")
STREAM = ("duplicate_fill", "drop_stream_frames")
MOVES = ("silent_debit", "deposit", "withdrawal", "duplicate_deposit")
LISTED = ("hide_transfer", "alter_transfer")
LIES = ("hide_trade", "alter_trade", "list_trade", "list_order", "list_position", "freeze")
AT_ONCE = (*MOVES, *LIES, *LISTED, "close_stream", "poison_frame", "swizzle")
STANDING = ("delayed_fill", "skew")
FAULTS = (*BEFORE, *AFTER, *EITHER, *LATE, *READS, *ORDERS, *ROWS, *STREAM, *AT_ONCE, *STANDING)
OPERATIONS = (
    "create_order",
    "cancel_order",
    "amend_order",
    "fetch_order",
    "open_orders",
    "closed_orders",
    "my_trades",
    "balance",
    "stream",
    "any",
    "market_data",
    "credentials",
    "positions",
    "transfers",
)
READ_OPERATIONS = ("fetch_order", "open_orders", "closed_orders", "my_trades", "transfers")
EVERYWHERE = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a fault is matched against."""

    operation: str
    account: str = ""
    symbol: str = ""
    client_order_id: str = ""


@dataclass(slots=True, kw_only=True)
class Rule:
    """One fault that somebody asked for."""

    id: str
    fault: str
    operations: tuple[str, ...]
    account: str
    symbol: str
    client_order_id: str
    count: int | None
    probability: float
    expires_at: int | None
    params: dict[str, Any] = field(default_factory=dict)
    fired: int = 0

    def number(self, name: str, default: float) -> float:
        """Return a numeric parameter of the fault."""
        return float(self.params.get(name, default))

    def is_live(self, now: int) -> bool:
        """Tell whether the fault may still fire."""
        return (self.count is None or self.count > 0) and (self.expires_at is None or now < self.expires_at)

    def matches(self, call: Call) -> bool:
        """Tell whether the fault is meant for a call."""
        return (
            (call.operation in self.operations or EVERYWHERE in self.operations)
            and self.account in ("", call.account)
            and self.symbol in ("", call.symbol)
            and self.client_order_id in ("", call.client_order_id)
        )

    def describe(self, now: int) -> dict[str, Any]:
        """Return the rule as the control interface shows it."""
        return {
            "id": self.id,
            "fault": self.fault,
            "match": {
                "operation": list(self.operations),
                "account": self.account,
                "symbol": self.symbol,
                "client_order_id": self.client_order_id,
            },
            "count": self.count,
            "probability": self.probability,
            "params": self.params,
            "fired": self.fired,
            "live": self.is_live(now),
        }


class FaultBook:
    """The faults of one world. `on_fired` is told about every firing, so that it can be journalled."""

    def __init__(self, seed: int, now: Callable[[], int], on_fired: Callable[[Rule, Call], None]) -> None:
        self.rules: dict[str, Rule] = {}
        self._random = random.Random(seed)
        self._now = now
        self._on_fired = on_fired
        self._numbers = itertools.count(1)

    def add(self, request: dict[str, Any]) -> Rule:
        """Add a fault from a control request. Raises ValueError when it makes no sense."""
        fault = str(request.get("fault", ""))
        if fault not in FAULTS:
            raise ValueError(f"fault must be one of {', '.join(FAULTS)}")
        match = request.get("match") or {}
        operation = match.get("operation") or "any"
        operations = (operation,) if isinstance(operation, str) else tuple(operation)
        unknown = [name for name in operations if name not in OPERATIONS]
        if unknown:
            raise ValueError(f"operation must be one of {', '.join(OPERATIONS)}, not {', '.join(unknown)}")
        seconds = request.get("seconds")
        count = request.get("count")
        if count is None and seconds is None and fault not in STANDING:
            count = 1
        rule = Rule(
            id=str(next(self._numbers)),
            fault=fault,
            operations=operations,
            account=str(match.get("account") or ""),
            symbol=str(match.get("symbol") or ""),
            client_order_id=str(match.get("client_order_id") or ""),
            count=None if count is None else int(count),
            probability=float(request.get("probability", 1)),
            expires_at=None if seconds is None else self._now() + int(float(seconds) * 1_000_000),
            params=dict(request.get("params") or {}),
        )
        self.rules[rule.id] = rule
        return rule

    def live(self, faults: Iterable[str], call: Call) -> list[Rule]:
        """Return the rules of some kinds that apply to a call, without firing them."""
        if not self.rules:
            return []
        now = self._now()
        return [
            rule for rule in self.rules.values() if rule.fault in faults and rule.is_live(now) and rule.matches(call)
        ]

    def stands(self, fault: str, operation: str) -> bool:
        """Tell whether a fault would befall an operation of somebody now, without firing it."""
        now = self._now()
        return any(
            rule.fault == fault and rule.is_live(now) and {operation, EVERYWHERE} & {*rule.operations}
            for rule in self.rules.values()
        )

    def take(self, faults: Iterable[str], call: Call, when: str | None = None) -> Rule | None:
        """Fire and return the first rule that applies to a call, None when there is none."""
        for rule in self.live(faults, call):
            if when is not None and rule.fault in EITHER and rule.params.get("when", "after") != when:
                continue
            if rule.probability >= 1 or self._random.random() < rule.probability:
                self.fire(rule, call)
                return rule
        return None

    def fire(self, rule: Rule, call: Call) -> None:
        """Count a firing and tell about it."""
        rule.fired += 1
        if rule.count is not None:
            rule.count -= 1
        self._on_fired(rule, call)

    def remove(self, rule_id: str | None) -> int:
        """Remove one fault, or all; return how many were there."""
        if rule_id is None:
            removed = len(self.rules)
            self.rules.clear()
            return removed
        return 0 if self.rules.pop(rule_id, None) is None else 1
