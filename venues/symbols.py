"""Canonical symbols: which names we trade by, which are nobody's, and the other names an asset goes by. Pure."""

from __future__ import annotations

import re

# BTC/USDT, BTC/USDT:USDT (perpetual), BTC/USD:BTC-260925 (dated future)
SYMBOL = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}(:[A-Z0-9]{1,20})?(-[0-9A-Z\-]{1,30})?\Z", re.ASCII)
SYMBOL_CHARACTERS_MAX = 64
UNMAPPED = "unmapped:"
# Other names of one asset: of one exchange, or from before a change of name.
ALIASES = {
    "XBT": "BTC", "XXBT": "BTC", "XETH": "ETH", "XXDG": "DOGE", "XDG": "DOGE", "XLTC": "LTC", "XXRP": "XRP", "XXLM": "XLM",
    "STR": "XLM", "BCC": "BCH", "BCHABC": "BCH", "BCHSV": "BSV", "ZUSD": "USD", "ZEUR": "EUR", "ZGBP": "GBP", "ZJPY": "JPY",
    "USDT0": "USDT", "UST": "USTC",
}  # fmt: skip
_PARTS = re.compile(r"([^/:\-]+)/([^/:\-]+)(?::([^/:\-]+))?(-.+)?\Z")


def problem_of(symbol: str) -> str:
    """Say why a market's name is none of ours; empty for a canonical one."""
    if not symbol:
        return "the venue's market has no name that ccxt can make out"
    if SYMBOL.match(symbol):
        return ""
    if len(symbol) > SYMBOL_CHARACTERS_MAX or not symbol.isascii():
        return "its name is too long, or has letters outside A to Z"
    return "its name is not of the form BASE/QUOTE in capital letters and digits"


def unmapped(venue_symbol: str) -> str:
    """Return the symbol an instrument without a canonical name is listed under; no order can name it."""
    return f"{UNMAPPED}{venue_symbol}"[:SYMBOL_CHARACTERS_MAX]


def asset(name: str) -> str:
    """Return the canonical name of an asset, itself where it has no other."""
    return ALIASES.get(name.upper(), name.upper())


def canonical(text: str) -> str | None:
    """Return a symbol with the canonical names of its assets (XBT/USDT is BTC/USDT); None where it has no such form."""
    found = _PARTS.match(text.strip())
    if found is None:
        return None
    base, quote, settle, rest = found.groups()
    symbol = f"{asset(base)}/{asset(quote)}" + (f":{asset(settle)}" if settle else "") + (rest or "").upper()
    return symbol if SYMBOL.match(symbol) else None
