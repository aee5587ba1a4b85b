"""Money as integers of 10^-18, exactly: the arithmetic of verify_ledger, which shares none with the ledger it verifies."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact

DECIMALS = 18
UNIT = 10**DECIMALS
EXACT = Context(prec=100, traps=[Inexact])


def scaled(number: Decimal) -> int:
    """Turn numeric(38,18) into an integer of 10^-18 units, exactly. Raises Inexact for a number with more decimals."""
    return int(EXACT.scaleb(number, DECIMALS).to_integral_exact(context=EXACT))


def written(units: int) -> str:
    """Write units of 10^-18 as a plain number."""
    text = format(EXACT.scaleb(Decimal(units), -DECIMALS), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def nearest(numerator: int, denominator: int) -> int:
    """Divide and round half even, as every stored price and profit is rounded."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))
