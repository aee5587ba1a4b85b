"""How much a difference matters: what it is worth in USD by our own books, else what its kind says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings

from orders import valuation
from orders.valuation import Price
from reconciliation import facts
from reconciliation.models import Break

Kind = Break.Kind
USD_MAX = Decimal(10) ** 35
LEVELS = ("low", "medium", "high", "critical")
# Where no price is known; for orders and trades also the least that it ever is.
BY_KIND: dict[str, str] = {
    Kind.ORDER_MISSING_AT_VENUE: "high", Kind.FILL_MISSING_HERE: "high", Kind.FILL_MISSING_AT_VENUE: "high",
    Kind.LATE_FILL: "high", Kind.OVERFILL: "high", Kind.WRONG_SIDE: "high", Kind.BALANCE: "high", Kind.POSITION: "high",
    Kind.TRANSFER: "high", Kind.TRANSFER_MISSING_AT_VENUE: "high", Kind.TRANSFER_DIFFERS: "high",
    Kind.TRANSFER_DUPLICATED: "high", Kind.ACKNOWLEDGED_THEN_DENIED: "high", Kind.UNMAPPED: "high",
    Kind.ORDER_STATUS: "medium", Kind.FILL_DIFFERS: "medium", Kind.ILLEGAL_TRANSITION: "medium", Kind.UNREADABLE: "medium",
    Kind.DELAYED_FILL: "medium", Kind.STREAM_DIFFERS: "medium", Kind.THROTTLED_IN_MOVE: "medium",
    Kind.BALANCE_FROZEN: "medium", Kind.FEE_DIFFERS: "low", Kind.EXTERNAL_ORDER: "low",
}  # fmt: skip
# A few dollars of these are a few dollars; every other kind is at least what BY_KIND says, however small the sum.
MONEY = frozenset({
    Kind.BALANCE, Kind.BALANCE_FROZEN, Kind.POSITION, Kind.FEE_DIFFERS, Kind.TRANSFER, Kind.TRANSFER_MISSING_AT_VENUE,
    Kind.TRANSFER_DIFFERS, Kind.TRANSFER_DUPLICATED,
})  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """The level, the value it comes from (none where no price is known), that value unrounded, and the price used."""

    level: str
    usd: Decimal | None
    exact_usd: Decimal | None
    price: dict[str, Any]


def prices_for(differences: Iterable[facts.Difference], venue: str) -> dict[str, Price]:
    """Return the prices of what differences are in: two queries at most, none when nothing has a sum."""
    return valuation.prices_usd({unit for each in differences if (unit := _stake(each)[0])}, venue=venue)


def judge(difference: facts.Difference, prices: dict[str, Price]) -> Verdict:
    """Say how much a difference matters."""
    unit, amount = _stake(difference)
    return of_amount(difference.kind, unit, amount, prices)


def of_amount(kind: str, unit: str, amount: Decimal | None, prices: dict[str, Price]) -> Verdict:
    """Say how much an amount of an asset matters in a difference of a kind."""
    price = prices.get(unit)
    if amount is None or price is None:
        why = "no amount is known" if amount is None else f"none of our books knows a price of {unit or 'it'}"
        return Verdict(BY_KIND[kind], None, None, {"asset": unit, "usd": None, "why": why})
    exact = abs(amount) * price.value
    told = {
        "asset": unit, "usd": facts.text(price.value), "source": price.source, "at": price.at.isoformat() if price.at else None,
        "age_seconds": price.age_seconds, "is_assumed": price.is_assumed,
    }  # fmt: skip
    return Verdict(level(kind, exact), min(abs(price.worth(amount)), USD_MAX), exact, told)


def level(kind: str, usd: Decimal) -> str:
    """Return the level of a value in USD; orders and trades are never below what their kind says."""
    found = next((name for name, floor in settings.RECONCILIATION_SEVERITY_USD.items() if usd >= floor), "low")
    return found if kind in MONEY else max(found, BY_KIND[kind], key=LEVELS.index)


def _stake(difference: facts.Difference) -> tuple[str, Decimal | None]:
    amount = difference.delta if difference.amount is None else difference.amount
    return (difference.unit or difference.asset, amount) if amount is not None else ("", None)
