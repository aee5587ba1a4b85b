"""What the columns of a venue's export mean: a mapping as a value, checked when it is written, guessed from headers. Pure."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# Our field, and what it is, for a person who fills the mapping in.
FIELDS: dict[str, str] = {
    "symbol": "what was traded, in the venue's spelling",
    "side": "buy or sell",
    "price": "price of one unit",
    "quantity": "how much of the base asset, of an inverse contract of the quote asset",
    "executed_at": "when it was traded",
    "venue_trade_id": "the venue's id of the trade; without it trades are told apart by what they say",
    "venue_order_id": "the venue's id of the order",
    "fee": "what the trade cost; without it fees are not compared",
    "fee_asset": "the asset of the fee",
    "kind": "the sort of row, where the export holds others than trades",
    "unit": "the asset the quantity is in; rows in another one than the base are not read",
}
REQUIRED = ("symbol", "side", "price", "quantity", "executed_at")
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
DECIMALS = (".", ",")
THOUSANDS = ("", ",", ".", " ", "'")
ENCODINGS = {"auto": "", "utf-8": "utf-8", "utf-16": "utf-16", "utf-16-le": "utf-16-le", "utf-16-be": "utf-16-be"}
TIME_FORMATS = ("iso", "epoch_s", "epoch_ms", "epoch_us")
FEE_SIGNS = {"cost": "a fee that was paid is positive", "change": "a fee that was paid is negative"}
FEE_ASSETS = {"base", "quote", "settle", "received"}
MARKETS = ("", "spot", "contract")
TIME_UNITS = ("microsecond", "millisecond", "second", "minute")
WORDS_MAX, SYMBOLS_MAX, TEXT_MAX, TOLERANCE_SECONDS_MAX = 50, 500, 100, 3600
_ASSET = re.compile(r"[A-Z0-9]{1,32}\Z", re.ASCII)
# Of the venues' own words and of those that people give their columns.
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "symbol": ("pair", "symbol", "market", "product", "instrument", "instid", "contract", "spot pairs"),
    "side": ("side", "direction", "action", "type"),
    "price": ("price", "filled price", "fillpx", "avg price", "execution price", "trade price"),
    "quantity": ("quantity", "qty", "executed", "vol", "volume", "size", "filled quantity", "fillsz", "amount"),
    "executed_at": ("time", "date", "date(utc)", "time(utc)", "created at", "timestamp", "ts", "executed at", "timestamp (utc)"),
    "venue_trade_id": ("trade id", "tradeid", "trade", "txid", "transaction id", "execution id", "execid", "trade_id"),
    "venue_order_id": ("order id", "orderid", "ordertxid", "order no.", "orderno", "ordid", "order_id", "order"),
    "fee": ("fee", "fees", "commission", "fee charged", "trading fee", "execfeev2", "fee paid"),
    "fee_asset": ("fee asset", "fee coin", "feecoin", "fee unit", "fee currency", "feeccy", "price/fee/total unit"),
}  # fmt: skip


class WrongMapping(ValueError):
    """A mapping that cannot be used: `field` names the part, the text what is wrong with it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A mapping as the reader uses it. `columns` lead from our field to their header."""

    columns: Mapping[str, str]
    delimiter: str = ","
    decimal: str = "."
    thousands: str = ""
    encoding: str = "auto"
    time_format: str = "iso"
    zone: str = "UTC"
    buy: tuple[str, ...] = ("buy",)
    sell: tuple[str, ...] = ("sell",)
    fee_sign: str = "cost"
    fee_asset: str = ""
    kinds: tuple[str, ...] = ()
    market: str = ""
    time_unit: str = "second"
    time_tolerance_seconds: int = 2
    with_asset: bool = False
    symbols: Mapping[str, str] = field(default_factory=dict)

    def options(self) -> dict[str, Any]:
        """Return everything but the columns, as it is stored."""
        return {
            "delimiter": self.delimiter, "decimal": self.decimal, "thousands": self.thousands, "encoding": self.encoding,
            "time_format": self.time_format, "zone": self.zone, "buy": list(self.buy), "sell": list(self.sell),
            "fee_sign": self.fee_sign, "fee_asset": self.fee_asset, "kinds": list(self.kinds), "market": self.market,
            "time_unit": self.time_unit, "time_tolerance_seconds": self.time_tolerance_seconds, "with_asset": self.with_asset,
            "symbols": dict(self.symbols),
        }  # fmt: skip


def layout(columns: Any, options: Any) -> Layout:
    """Read a mapping as a person or a client wrote it. Raises WrongMapping for the first thing that is wrong."""
    if not isinstance(columns, Mapping) or not isinstance(options, Mapping):
        raise WrongMapping("columns", "columns and options have to be objects")
    found = Layout(columns=_columns(columns), **_options(options))
    _check(found)
    return found


def normal(header: str) -> str:
    """Return a header as it is compared: without a byte order mark, spaces around and doubled, and without case."""
    return " ".join(header.replace("\ufeff", "").split()).casefold()


def suggest(headers: Sequence[str]) -> dict[str, str]:
    """Return which header is probably which of our fields: a proposal for a person, never used by itself."""
    left = {normal(header): header.replace("\ufeff", "").strip() for header in headers if normal(header)}
    found: dict[str, str] = {}
    for name, words in _SYNONYMS.items():
        hit = next((word for word in words if word in left), None)
        if hit is not None:
            found[name] = left.pop(hit)
    return found


def fits(layout: Layout, headers: Iterable[str]) -> bool:
    """Say whether a row of headers has every column a mapping names."""
    there = {normal(header) for header in headers}
    return all(normal(header) in there for header in layout.columns.values())


def _columns(given: Mapping[str, Any]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for name, header in given.items():
        if name not in FIELDS:
            raise WrongMapping("columns", f"{str(name)[:40]!r} is not a field here; the fields are {', '.join(FIELDS)}")
        if not isinstance(header, str) or len(header) > TEXT_MAX or not header.isprintable():
            raise WrongMapping(name, f"its header must be one line of at most {TEXT_MAX} characters")
        if header.strip():
            columns[name] = header.strip()
    for name in REQUIRED:
        if name not in columns:
            raise WrongMapping(name, f"which column is the {name.replace('_', ' ')}? Without it no trade can be read")
    taken: dict[str, str] = {}
    for name, header in columns.items():
        if other := taken.get(normal(header)):
            raise WrongMapping(name, f"the column {header} is the {other} already")
        taken[normal(header)] = name
    return {name: columns[name] for name in FIELDS if name in columns}


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    known = Layout(columns={}).options()
    if unknown := [str(name)[:40] for name in given if name not in known]:
        raise WrongMapping("options", f"{unknown[0]!r} is not an option; they are {', '.join(known)}")
    values: dict[str, Any] = {}
    for name, value in given.items():
        standard = known[name]
        if isinstance(standard, list):
            if not isinstance(value, list | tuple) or len(value) > WORDS_MAX or not all(map(_is_text, value)):
                raise WrongMapping(name, f"must be a list of at most {WORDS_MAX} words")
            values[name] = tuple(word.strip() for word in value if word.strip())
        elif isinstance(standard, dict):
            is_fine = isinstance(value, Mapping) and len(value) <= SYMBOLS_MAX
            if not is_fine or not all(_is_text(name) and _is_text(other) for name, other in value.items()):
                raise WrongMapping(name, f"must lead from at most {SYMBOLS_MAX} of their symbols to ours")
            values[name] = {theirs.strip(): ours.strip() for theirs, ours in value.items()}
        elif type(value) is not type(standard) or (isinstance(value, str) and len(value) > TEXT_MAX):
            raise WrongMapping(name, f"must be {'true or false' if isinstance(standard, bool) else 'a number' if isinstance(standard, int) else 'a text'}")  # fmt: skip
        else:
            values[name] = value
    return values


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= TEXT_MAX and value.isprintable()


def _check(found: Layout) -> None:
    for name, value, allowed in (
        ("delimiter", found.delimiter, DELIMITERS), ("decimal", found.decimal, DECIMALS), ("thousands", found.thousands, THOUSANDS),
        ("encoding", found.encoding, ENCODINGS), ("fee_sign", found.fee_sign, FEE_SIGNS), ("market", found.market, MARKETS),
        ("time_unit", found.time_unit, TIME_UNITS),
    ):  # fmt: skip
        if value not in allowed:
            raise WrongMapping(name, f"must be one of {', '.join(map(repr, allowed))}")
    if found.thousands == found.decimal:
        raise WrongMapping("thousands", "the sign between thousands cannot be the decimal sign")
    if not found.buy or not found.sell:
        raise WrongMapping("buy" if not found.buy else "sell", "say the word the venue writes for it")
    if both := {word.casefold() for word in found.buy} & {word.casefold() for word in found.sell}:
        raise WrongMapping("sell", f"{min(both)!r} cannot be both buy and sell")
    if "kind" in found.columns and not found.kinds:
        raise WrongMapping("kinds", "say which words in the column of sorts mean a trade")
    if not 0 <= found.time_tolerance_seconds <= TOLERANCE_SECONDS_MAX:
        raise WrongMapping("time_tolerance_seconds", f"must be between 0 and {TOLERANCE_SECONDS_MAX}")
    if found.fee_asset and found.fee_asset not in FEE_ASSETS and not _ASSET.match(found.fee_asset):
        raise WrongMapping("fee_asset", f"must be one of {', '.join(sorted(FEE_ASSETS))} or the name of an asset")
    if "fee" in found.columns and not (found.fee_asset or "fee_asset" in found.columns or found.with_asset):
        raise WrongMapping("fee_asset", "in which asset is the fee? Name its column, or say base, quote, settle, received or an asset")  # fmt: skip
    _check_time(found)


def _check_time(found: Layout) -> None:
    try:
        ZoneInfo(found.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise WrongMapping(
            "zone", f"{found.zone[:40]!r} is not a time zone; write UTC, Etc/GMT-8 or Europe/Berlin"
        ) from None
    if found.time_format in TIME_FORMATS:
        return
    moment = datetime(2026, 11, 22, 13, 45, 56, tzinfo=UTC)
    try:
        read = datetime.strptime(moment.strftime(found.time_format), found.time_format)  # noqa: DTZ007 - the zone is the mapping's
    except (ValueError, re.error):
        read = None
    if read is None or (read.year, read.month, read.day, read.hour, read.minute) != (2026, 11, 22, 13, 45):
        text = f"must be one of {', '.join(TIME_FORMATS)}, or a pattern with year, month, day, hour and minute such as %Y-%m-%d %H:%M:%S"
        raise WrongMapping("time_format", text)


def bom_of(head: bytes) -> str:
    """Return the encoding that a byte order mark names; empty without one."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8"
    return "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ""
