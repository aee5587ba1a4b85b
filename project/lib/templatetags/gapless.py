"""Template filters of the console: plain decimals, state words."""

from __future__ import annotations

from decimal import Decimal

from django import template

from project.lib import decimals

register = template.Library()


@register.filter
def plain(number: Decimal | None) -> str:
    """Write a decimal without exponent or trailing zeros; nothing becomes a dash."""
    return decimals.write(number) or "—"


@register.filter
def words(code: str) -> str:
    """Turn a code such as partially_filled into the words a person reads."""
    return str(code).replace("_", " ")
