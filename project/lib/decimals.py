"""Exact money: parse, quantise and write decimals; numeric(38,18) is the widest number stored."""

from __future__ import annotations

import decimal
import re
from decimal import Decimal

CONTEXT = decimal.Context(prec=60, traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow])
decimal.setcontext(CONTEXT.copy())
decimal.DefaultContext.prec = 60  # new threads start from this

SCALE = 18
LIMIT = Decimal(10) ** 20
ZERO = Decimal(0)
_PLAIN = re.compile(r"-?(?:0|[1-9]\d{0,19})(?:\.\d{1,18})?\Z", re.ASCII)
_VENUE = re.compile(r"[+-]?\d{1,40}(?:\.\d{0,40})?(?:[eE][+-]?\d{1,2})?\Z", re.ASCII)


def parse(text: str) -> Decimal:
    """Parse a plain decimal string: no sign but '-', no exponent, space or leading zero, <= 20 digits before and 18 after the point.

    Raises ValueError with what is wrong.
    """
    if not isinstance(text, str) or not _PLAIN.fullmatch(text):
        raise ValueError(
            'must be a plain decimal string such as "0.0125", at most 20 digits before and 18 after the point'
        )
    return Decimal(text)


def parse_venue(value: object) -> Decimal | None:
    """Parse a number a venue sent (string, int or float); None stays None, decimals beyond the 18th are rounded half even.

    Raises ValueError for NaN, Infinity, absurd exponents, 20 digits before the point and more, or anything else.
    """
    if value is None:
        return None
    text = str(value)
    if isinstance(value, bool) or not _VENUE.fullmatch(text):
        raise ValueError("not a number a venue may send")
    number = Decimal(text)
    # Before, because rounding takes 60 digits at most; after, because it may round up to the limit.
    if abs(number) >= LIMIT or abs(number := quantise(number)) >= LIMIT:
        raise ValueError("number out of range")
    return number


def quantise(number: Decimal) -> Decimal:
    """Round to the 18 decimals that are stored, half even; a number that has no more is returned as it is."""
    return CONTEXT.quantize(number, Decimal(1).scaleb(-SCALE)) if number.as_tuple().exponent < -SCALE else number  # type: ignore[operator]


def write(number: Decimal | None) -> str | None:
    """Write a decimal as the plain string the API and the pages show: no exponent, no trailing zeros."""
    if number is None:
        return None
    if number == 0:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def grouped(text: str) -> str:
    """Write every plain number of a text with its thousands apart and a real minus, every digit kept; words stay as they are."""
    words = []
    for word in text.split(" "):
        try:
            words.append(f"{parse(word):,f}".replace("-", "−"))
        except ValueError:
            words.append(word)
    return " ".join(words)


def is_multiple(number: Decimal, step: Decimal) -> bool:
    """Say whether number lies on the grid of step; a step of zero allows every number."""
    return step == 0 or CONTEXT.remainder(number, step) == 0


def floor_to(number: Decimal, step: Decimal) -> Decimal:
    """Round towards zero onto the grid of step."""
    return number if step == 0 else CONTEXT.divide_int(number, step) * step


def price_to(price: Decimal, step: Decimal, side: str) -> Decimal:
    """Round a price onto the grid of step so that it never costs more than was meant: a buy never up, a sell never down."""
    return floor_to(price, step) if side == "buy" else ceil_to(price, step)


def ceil_to(number: Decimal, step: Decimal) -> Decimal:
    """Round away from zero onto the grid of step."""
    down = floor_to(number, step)
    return down if down == number else down + step.copy_sign(number)
