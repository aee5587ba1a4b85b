"""One cell of a statement, read exactly: numbers, times, sides, symbols; what is wrong with it and what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple
from zoneinfo import ZoneInfo

from project.lib import decimals
from reconciliation.statement_mapping import Layout
from venues import symbols as names

EARLIEST = datetime(2009, 1, 3, tzinfo=UTC)
EMPTY = frozenset({"", "-", "--", "—"})
EXPONENT_MAX = 18
PLACES = decimals.SCALE
_ID_MAX = 100
_WORD = re.compile(r"(?P<number>.*?[0-9.,])\s*(?P<asset>[A-Za-z][A-Za-z0-9]{0,31})\Z", re.ASCII)
_EPOCH = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000}


class Wrong(Exception):
    """What is wrong with a cell, and what to do about it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


class Market(NamedTuple):
    """A market of the venue as cells name it."""

    symbol: str
    base: str
    quote: str
    settle: str = ""


@dataclass(frozen=True)
class Cells:
    """Reads the cells of one file by its mapping. Every method raises Wrong."""

    layout: Layout
    markets: Mapping[str, tuple[Market, ...]]
    now: datetime

    @cached_property
    def _number(self) -> re.Pattern[str]:
        point, group = re.escape(self.layout.decimal), re.escape(self.layout.thousands)
        whole = rf"\d{{1,3}}(?:{group}\d{{3}})+|\d{{1,40}}" if self.layout.thousands else r"\d{1,40}"
        return re.compile(rf"([+-]?)({whole})?(?:{point}(\d{{0,40}}))?(?:[eE]([+-]?\d{{1,4}}))?\Z", re.ASCII)

    @cached_property
    def _zone(self) -> tzinfo:
        return UTC if self.layout.zone == "UTC" else ZoneInfo(self.layout.zone)

    @cached_property
    def _latest(self) -> datetime:
        return self.now + timedelta(days=1)

    @cached_property
    def _found(self) -> dict[str, Market]:
        return {}

    @cached_property
    def _sides(self) -> dict[str, str]:
        told = {word.casefold(): "buy" for word in self.layout.buy}
        return told | {word.casefold(): "sell" for word in self.layout.sell}

    def number(self, text: str) -> Decimal:
        """Read a number by the mapping's signs, exactly: never rounded."""
        found = self._number.match(text)
        if found is None or not (found[2] or found[3]):
            raise Wrong(*self._not_a_number(text))
        sign, whole, rest, exponent = found.groups("")
        power = int(exponent or 0)
        if abs(power) > EXPONENT_MAX:
            raise Wrong("an exponent that no amount has", "export the file with plain numbers, or ask the venue")
        plain, rest = whole.replace(self.layout.thousands, "") if self.layout.thousands else whole, rest.rstrip("0")
        places = len(rest) - power if rest else max(-power - len(plain) + len(plain.rstrip("0")), 0)
        if places > PLACES and (rest or plain.strip("0")):
            what = f"{places} decimals; at most {PLACES} are kept, and nothing is rounded"
            raise Wrong(what, "ask the venue for the exact amount")
        number = Decimal(f"{sign}{plain or 0}.{rest or 0}{f'E{exponent}' if exponent else ''}")
        if number >= decimals.LIMIT or -number >= decimals.LIMIT:
            raise Wrong("more than 20 digits before the decimal sign", "check the decimal sign of the mapping")
        return number

    def positive(self, text: str) -> Decimal:
        """Read a number above zero."""
        number = self.number(text)
        if number > 0:
            return number
        if number < 0:
            raise Wrong("less than zero", "the side says which way a trade goes; check that this is the right column")
        raise Wrong(
            "zero, and nothing is traded for or of nothing",
            "check that this is the right column, and the sort of the row",
        )

    def moment(self, text: str) -> datetime:
        """Read a time in the mapping's format and zone."""
        form = self.layout.time_format
        try:
            if form in _EPOCH:
                found = self._since_epoch(text, _EPOCH[form])
            elif form == "iso":
                if len(text) <= 10:
                    raise ValueError
                found = datetime.fromisoformat(text)
            else:
                found = datetime.strptime(text, form)  # noqa: DTZ007 - the zone is the mapping's
            found = (found if found.tzinfo is not None else self._placed(found)).astimezone(UTC)
        except (ValueError, OverflowError):
            what = f"not a time of the form {form}"
            raise Wrong(what, "correct the line, or the time format of the mapping") from None
        if not EARLIEST <= found <= self._latest:
            what = f"a time that cannot be ({found:%Y-%m-%d %H:%M} UTC)"
            raise Wrong(what, "check the time format and the zone of the mapping")
        return found

    def side(self, text: str) -> str:
        """Read the side by the mapping's words."""
        side = self._sides.get(text.casefold())
        if side is None:
            words = ", ".join((*self.layout.buy, *self.layout.sell))
            raise Wrong(f"neither buy nor sell; the mapping knows {words}", "add the word to the mapping if it is one")
        return side

    def market(self, text: str) -> Market:
        """Find the market a cell names: in the venue's spelling, in ours, or as the mapping says. Nothing is guessed."""
        if (known := self._found.get(text)) is not None:
            return known
        said = self.layout.symbols.get(text, text)
        found = self.markets.get(said) or self.markets.get(names.canonical(said) or "")
        if not found:
            raise Wrong("a symbol that none of the venue's markets has", "load the venue's markets again, or say in the mapping which of our symbols it is")  # fmt: skip
        wanted = self.layout.market
        left = [each for each in found if not wanted or (wanted == "contract") == bool(each.settle)]
        if len(left) != 1:
            told = " and ".join(each.symbol for each in found[:4])
            raise Wrong(
                f"a symbol of {told}",
                "say in the mapping whether the export is of spot or of contracts, or which symbol it is",
            )
        self._found[text] = left[0]
        return left[0]

    def identity(self, text: str) -> str:
        """Read an id as it is."""
        if not text or text in EMPTY:
            raise Wrong("no id", "a trade without an id cannot be found again; ask the venue, or map no column of ids")
        if len(text) > _ID_MAX or not text.isprintable():
            raise Wrong(
                f"no id: longer than {_ID_MAX} characters, or with control characters",
                "check that this is the right column",
            )
        return text

    def quantity(self, text: str, market: Market) -> Decimal:
        """Read the quantity, with the name of its asset behind it where the export writes it so."""
        if self.layout.with_asset:
            text = text.removesuffix(market.base).rstrip()
        return self.positive(text)

    def fee(self, text: str, asset: str | None, market: Market, side: str) -> tuple[Decimal, str]:
        """Read what a trade cost, positive when paid, and the asset it was paid in; an empty cell is no fee."""
        if text in EMPTY:
            return decimals.ZERO, ""
        if self.layout.with_asset and asset is None:
            text, asset = _split(text, market)
        number = self.number(text)
        if self.layout.fee_sign == "change":
            number = -number
        if not number:
            return decimals.ZERO, ""
        name = asset if asset is not None and asset not in EMPTY else self._fee_asset(market, side)
        if not name:
            raise Wrong("a fee without an asset", "name the column of the fee's asset in the mapping, or the asset")
        name = names.asset(name)
        if not name.isascii() or not name.isalnum() or len(name) > 32:
            raise Wrong("a fee in something that is not the name of an asset", "check the column of the fee's asset")
        return number, name

    def _fee_asset(self, market: Market, side: str) -> str:
        kind = self.layout.fee_asset
        if kind == "received":
            return market.settle or (market.base if side == "buy" else market.quote)
        return {"base": market.base, "quote": market.quote, "settle": market.settle or market.quote}.get(kind, kind)

    def _since_epoch(self, text: str, per_second: int) -> datetime:
        whole, _, part = text.partition(".")
        if not (whole.isascii() and whole.isdigit() and len(whole) <= 18 and (not part or part.isdigit())):
            raise ValueError
        micros = int(Decimal(f"{whole}.{part or 0}") * (1_000_000 // per_second))
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)

    def _placed(self, naive: datetime) -> datetime:
        first = naive.replace(tzinfo=self._zone)
        if self._zone is UTC:
            return first
        second = first.replace(fold=1)
        if first.utcoffset() != second.utcoffset():
            raise Wrong(f"an hour that is missing or comes twice in {self.layout.zone}", "export the file in UTC: which of two it is would be a guess")  # fmt: skip
        return first

    def _not_a_number(self, text: str) -> tuple[str, str]:
        if not text or text in EMPTY:
            return "no number", "the cell is empty; ask the venue, or check that this is the right column"
        signs = f"decimal sign {self.layout.decimal!r}" + (
            f" and {self.layout.thousands!r} between thousands" if self.layout.thousands else ""
        )
        if re.fullmatch(r"[+-]?\d[\d.,' ]*(?:[eE][+-]?\d+)?", text):
            return f"no number with {signs}", "the file writes numbers another way: change the signs of the mapping"
        return "no number", f"numbers are read with {signs}; correct the line, or check that this is the right column"


def _split(text: str, market: Market) -> tuple[str, str]:
    for asset in sorted({market.base, market.quote, market.settle} - {""}, key=len, reverse=True):
        if text.endswith(asset) and text != asset:
            return text.removesuffix(asset).rstrip(), asset
    found = _WORD.match(text)
    return (found["number"].rstrip(), found["asset"]) if found else (text, "")
