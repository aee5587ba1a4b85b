"""What a rule allows: which one judges a difference, whether it is within, and at what it would be. Exact and pure.

Every bound a rule names must hold, and one that cannot be told (no price, no total of ours) does not hold: a rule never
lets pass what nobody could measure. One rule judges a difference, the narrowest, so that a narrow rule also shields
what it covers from a wide one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Context, Decimal

BASIS = Decimal(10_000)
BASIS_STEP = Decimal("0.0001")
CENT = Decimal("0.01")
TOLERATE, CLOSE = "tolerate", "close"
# Two stored numbers have 38 digits each: with this many a quotient on the grid of basis points is never rounded down.
_UP = Context(prec=130, rounding=ROUND_CEILING)


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """One version of a rule as values: bounds in the asset, in basis points of our total, in USD; None is no bound."""

    id: str
    code: str
    version: int
    action: str
    kinds: frozenset[str] = frozenset()
    scope: str = "global"
    asset: str = ""
    absolute: Decimal | None = None
    basis_points: Decimal | None = None
    usd: Decimal | None = None
    grace_seconds: int = 0
    active_from: datetime | None = None

    @property
    def name(self) -> str:
        """The rule and its version, as pages say it."""
        return f"{self.code} v{self.version}"

    @property
    def actor(self) -> str:
        """Who resolved a break, when this rule did."""
        return f"rule:{self.code}:v{self.version}"

    @property
    def has_bounds(self) -> bool:
        """Whether it lets any amount pass; one without bounds only gives time."""
        return not (self.absolute is None and self.basis_points is None and self.usd is None)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A difference as rules see it: amounts without sign, the asset of the amount, our total, its exact value in USD."""

    kind: str
    account: str
    venue: str
    asset: str
    amount: Decimal | None
    total: Decimal | None = None
    usd: Decimal | None = None


def covers(rule: Allowance, case: Case, kinds: frozenset[str]) -> bool:
    """Say whether a rule is about a difference; a rule that names no kinds is about `kinds`."""
    if case.kind not in (rule.kinds or kinds) or (rule.asset and rule.asset != case.asset):
        return False
    return rule.scope in ("global", f"venue:{case.venue}", f"account:{case.account}")


def judging(rules: Iterable[Allowance], case: Case, kinds: frozenset[str]) -> Allowance | None:
    """Return the rule that judges a difference: the narrowest scope, then one asset before all, then the newest."""
    fitting = [rule for rule in rules if covers(rule, case, kinds)]
    return max(fitting, key=_narrowness, default=None)


def is_within(rule: Allowance, case: Case) -> bool:
    """Say whether a difference is within every bound a rule names; one without bounds holds nothing."""
    if case.amount is None or not rule.has_bounds:
        return False
    if rule.absolute is not None and abs(case.amount) > rule.absolute:
        return False
    # Compared as products: a quotient would be rounded.
    if rule.basis_points is not None and (
        not case.total or abs(case.amount) * BASIS > rule.basis_points * abs(case.total)
    ):
        return False
    return rule.usd is None or (case.usd is not None and case.usd <= rule.usd)


def is_young(rule: Allowance, first_seen_at: datetime, now: datetime) -> bool:
    """Say whether a difference is still within the time a rule gives it."""
    return now < first_seen_at + timedelta(seconds=rule.grace_seconds)


def passes_at(case: Case) -> dict[str, Decimal | None]:
    """Return the smallest bound of each sort, on the grid a rule is written in, under which a difference would pass."""
    points = None
    if case.amount is not None and case.total:
        points = _UP.quantize(_UP.divide(abs(case.amount) * BASIS, abs(case.total)), BASIS_STEP)
    return {
        "absolute": None if case.amount is None else abs(case.amount),
        "basis_points": points,
        "usd": None if case.usd is None else _UP.quantize(case.usd, CENT),
    }


def _narrowness(rule: Allowance) -> tuple[int, bool, bool, float]:
    scope = ("global", "venue", "account").index(rule.scope.partition(":")[0])
    newest = rule.active_from.timestamp() if rule.active_from else float("inf")
    return scope, bool(rule.asset), bool(rule.kinds), newest
