"""A venue's export of trades, line by line: what it says as values, and everything that is wrong with it. Pure.

The file is read once, in pieces: one line of the file is one row. A quote that is not closed therefore spoils its own
line and not the ones after it, and every bad line is told with its number.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import IO, Any, NamedTuple

from reconciliation import statement_mapping as mappings
from reconciliation.statement_cells import Cells, Market, Wrong
from reconciliation.statement_mapping import Layout

FILE_BYTES_MAX = 50 * 1024 * 1024
LINES_MAX = 1_000_000
LINE_CHARACTERS_MAX = 65_536
COLUMNS_MAX = 200
PROBLEMS_MAX = 1000
HEADER_WITHIN_LINES = 20
SHOWN_MAX = 80
KINDS_MAX = 50
PIECE_BYTES = 1 << 18
SYNTHETIC = "~"


class Line(NamedTuple):
    """One trade as a statement tells it; `fee` is None where the export tells no fees."""

    number: int
    symbol: str
    side: str
    venue_trade_id: str
    venue_order_id: str
    price: Decimal
    quantity: Decimal
    fee: Decimal | None
    fee_asset: str
    executed_at: datetime


@dataclass(frozen=True)
class Problem:
    """What is wrong with a line (0: with the whole file), in which column, what stands there, what to do."""

    line: int
    column: str
    value: str
    what: str
    remedy: str

    def plain(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return asdict(self)


class _Fatal(Exception):
    """Nothing further of the file can be read; `line` is where, None for after the last line that was."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.line = line


@dataclass
class Reader:
    """Reads one file by one mapping. `lines()` may be called once; afterwards the rest says what was found."""

    layout: Layout
    markets: Mapping[str, tuple[Market, ...]]
    now: datetime
    is_partial: bool = False
    headers: list[str] = field(default_factory=list)
    header_line: int = 0
    problems: list[Problem] = field(default_factory=list)
    problems_count: int = 0
    lines_count: int = 0
    other_rows: Counter[str] = field(default_factory=Counter)
    _places: dict[str, int] = field(default_factory=dict)
    _seen: dict[int, int] = field(default_factory=dict)
    _same: Counter[bytes] = field(default_factory=Counter)
    _candidates: list[tuple[int, list[str]]] = field(default_factory=list)

    @cached_property
    def _kinds(self) -> frozenset[str]:
        return frozenset(word.casefold() for word in self.layout.kinds)

    def lines(self, file: IO[bytes]) -> Iterator[Line]:
        """Yield the trades that can be read. A file with problems is none that may be taken in."""
        cells = Cells(self.layout, self.markets, self.now)
        number = 0
        try:
            for number, text in _numbered(file, self.layout.encoding, is_partial=self.is_partial):
                if isinstance(text, Wrong):
                    self.note(number, "", "", text)
                elif not self.headers:
                    self._look_for_header(number, text)
                elif text.strip() and (line := self._line(number, text, cells)) is not None:
                    yield line
        except _Fatal as fatal:
            line_number = fatal.line if fatal.line is not None else number + 1 if number else 0
            self.note(line_number, "", "", Wrong(str(fatal), "export it again, and check that it is the right file"))
            return
        if not self.headers:
            self._tell_missing_header(number)

    def note(self, line: int, column: str, value: str, wrong: Wrong) -> None:
        """Write a problem down; beyond PROBLEMS_MAX they are only counted."""
        self.problems_count += 1
        if len(self.problems) < PROBLEMS_MAX:
            shown = "".join(sign if sign.isprintable() else "�" for sign in value[:SHOWN_MAX])
            self.problems.append(Problem(line, column, shown, wrong.what, wrong.remedy))

    def _look_for_header(self, number: int, text: str) -> None:
        cells = _split(text, self.layout.delimiter)
        if isinstance(cells, Wrong):
            cells = []
        self._candidates.append((number, cells))
        if mappings.fits(self.layout, cells):
            self._take_header(number, cells)
        elif number >= HEADER_WITHIN_LINES:
            self._tell_missing_header(number)
            raise _Fatal(
                f"none of the first {HEADER_WITHIN_LINES} lines is the row of headers that the mapping describes",
                number,
            )

    def _take_header(self, number: int, cells: list[str]) -> None:
        self.headers, self.header_line = [cell.replace("\ufeff", "").strip() for cell in cells], number
        there = Counter(mappings.normal(cell) for cell in cells)
        order = {mappings.normal(cell): place for place, cell in enumerate(cells)}
        for name, header in self.layout.columns.items():
            if there[mappings.normal(header)] > 1:
                raise _Fatal(f"the column {header} stands twice: which of them counts would be a guess", number)
            self._places[name] = order[mappings.normal(header)]
        if len(cells) > COLUMNS_MAX:
            raise _Fatal(f"it has more than {COLUMNS_MAX} columns", number)

    def _tell_missing_header(self, number: int) -> None:
        told = [(line, cells) for line, cells in self._candidates if any(cell.strip() for cell in cells)]
        if not told:
            self.note(
                0,
                "",
                "",
                Wrong("the file is empty", "export it again; a month without trades has at least its headers"),
            )
            return
        line, best = max(
            told, key=lambda each: sum(self._has(each[1], header) for header in self.layout.columns.values())
        )
        for name, header in self.layout.columns.items():
            if not self._has(best, header):
                what = f"no column {header}, which the mapping names for {name.replace('_', ' ')}"
                self.note(line, header, self.layout.delimiter.join(best), Wrong(what, "choose the mapping of this export, or write a new version of it"))  # fmt: skip

    @staticmethod
    def _has(cells: Iterable[str], header: str) -> bool:
        return mappings.normal(header) in {mappings.normal(cell) for cell in cells}

    def _line(self, number: int, text: str, cells: Cells) -> Line | None:
        # Some exports write a mark into every cell.
        row = _split(text.replace("\ufeff", "") if "\ufeff" in text else text, self.layout.delimiter)
        if isinstance(row, Wrong):
            self.note(number, "", text, row)
            return None
        if len(row) != len(self.headers):
            what = f"{len(row)} cells where the headers are {len(self.headers)}"
            self.note(number, "", text, Wrong(what, "correct the line, or check the delimiter of the mapping"))
            return None
        said = {name: row[place].strip() for name, place in self._places.items()}
        if "kind" in said and said["kind"].casefold() not in self._kinds:
            self._count_other(said["kind"] or "(blank)")
            return None
        self.lines_count += 1
        if self.lines_count > LINES_MAX:
            raise _Fatal(f"more than {LINES_MAX:,} trades; split the export into shorter periods", number)
        try:
            line = self._read(number, said, cells)
        except Wrong:
            self._tell(number, said, cells)
            return None
        return self._once(line, said) if line is not None else None

    def _read(self, number: int, said: Mapping[str, str], cells: Cells) -> Line | None:
        market = cells.market(said["symbol"])
        if self._is_other_leg(said, market):
            return None
        side = cells.side(said["side"])
        fee, asset = cells.fee(said["fee"], said.get("fee_asset"), market, side) if "fee" in said else (None, "")
        return Line(
            number, market.symbol, side, cells.identity(said["venue_trade_id"]) if "venue_trade_id" in said else "",
            said.get("venue_order_id", "")[:100], cells.positive(said["price"]), cells.quantity(said["quantity"], market), fee, asset,
            cells.moment(said["executed_at"]),
        )  # fmt: skip

    def _is_other_leg(self, said: Mapping[str, str], market: Market) -> bool:
        unit = said.get("unit")
        if unit is None or unit.upper() == market.base:
            return False
        self._count_other(f"in {unit}")
        self.lines_count -= 1
        return True

    def _count_other(self, kind: str) -> None:
        shown = kind[:SHOWN_MAX]
        self.other_rows[shown if shown in self.other_rows or len(self.other_rows) < KINDS_MAX else "(others)"] += 1

    def _tell(self, number: int, said: Mapping[str, str], cells: Cells) -> None:
        """Note everything that is wrong with a line, cell by cell."""

        def take(name: str, read: Any, *more: Any) -> Any:
            try:
                return read(said[name], *more) if name in said else None
            except Wrong as wrong:
                self.note(number, self.layout.columns[name], said[name], wrong)
                return None

        market, side = take("symbol", cells.market), take("side", cells.side)
        take("price", cells.positive)
        take("quantity", *((cells.quantity, market) if market else (cells.positive,)))
        take("executed_at", cells.moment)
        take("venue_trade_id", cells.identity)
        if market and side:
            take("fee", cells.fee, said.get("fee_asset"), market, side)

    def _once(self, line: Line, said: Mapping[str, str]) -> Line | None:
        if not line.venue_trade_id:
            return line._replace(venue_trade_id=self._synthetic(line))
        name = hash((line.symbol, line.venue_trade_id, line.side))
        first = self._seen.setdefault(name, line.number)
        if first == line.number:
            return line
        what = f"the same trade as in line {first}"
        remedy = "a trade happens once: export the file again, or check that this is the column of trade ids and not of orders"
        self.note(line.number, self.layout.columns["venue_trade_id"], said["venue_trade_id"], Wrong(what, remedy))
        return None

    def _synthetic(self, line: Line) -> str:
        # A pure function of what the line says; of lines that say the same, of how many came before it.
        told = (
            line.symbol,
            line.side,
            line.price.normalize(),
            line.quantity.normalize(),
            line.executed_at.isoformat(),
            line.venue_order_id,
        )
        content = hashlib.sha256("|".join(map(str, told)).encode()).digest()[:16]
        self._same[content] += 1
        return f"{SYNTHETIC}{content.hex()}{f'-{self._same[content]}' if self._same[content] > 1 else ''}"


def _split(text: str, delimiter: str) -> list[str] | Wrong:
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader((text,), delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        return Wrong(
            "quotes that do not close, or stand in the middle of a cell",
            "correct the line; a cell may not reach over two lines",
        )


def _numbered(file: IO[bytes], encoding: str, *, is_partial: bool) -> Iterator[tuple[int, str | Wrong]]:
    head = file.read(4)
    file.seek(0)
    marked, chosen = mappings.bom_of(head), mappings.ENCODINGS[encoding]
    if marked and chosen and not chosen.startswith(marked):
        raise _Fatal(f"it is {marked}, as its first bytes say, and the mapping says {encoding}")
    found = marked or chosen or "utf-8"
    if found == "utf-16" and not marked:
        raise _Fatal("UTF-16 without a byte order mark; say utf-16-le or utf-16-be in the mapping")
    if not marked and found == "utf-8" and b"\0" in head:
        raise _Fatal("it is no UTF-8 text; where it is UTF-16 say utf-16-le or utf-16-be in the mapping")
    pieces = _utf8_lines(file) if found == "utf-8" else _decoded_lines(file, found, is_partial)
    held: tuple[int, str | Wrong] | None = None
    for number, text in enumerate(pieces, 1):
        if held is not None:
            yield held
        held = (number, _sound(text))
    if held is not None and not is_partial:  # of the beginning of a file the last line may be cut
        yield held


def _utf8_lines(file: IO[bytes]) -> Iterator[str | Wrong]:
    for raw in _raw_lines(file):
        try:
            yield raw.decode("utf-8")
        except UnicodeDecodeError as error:
            yield Wrong(
                f"byte {error.start + 1} of the line is no UTF-8", "export the file as UTF-8, or correct the line"
            )


def _raw_lines(file: IO[bytes]) -> Iterator[bytes]:
    rest, is_first = b"", True
    while piece := file.read(PIECE_BYTES):
        if is_first:
            piece, is_first = piece.removeprefix(codecs.BOM_UTF8), False
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        if len(rest) > LINE_CHARACTERS_MAX * 4:
            raise _Fatal(f"a line of more than {LINE_CHARACTERS_MAX:,} characters: is it a CSV file, with line ends?")
    if rest:
        yield rest


def _decoded_lines(file: IO[bytes], encoding: str, is_partial: bool) -> Iterator[str | Wrong]:
    decoder, rest = codecs.getincrementaldecoder(encoding)(), ""
    while True:
        piece = file.read(PIECE_BYTES)
        try:
            text = rest + decoder.decode(piece, final=not piece and not is_partial)
        except UnicodeDecodeError:
            raise _Fatal(f"it stops being {encoding} after this line") from None
        *whole, rest = text.split("\n")
        yield from whole
        if len(rest) > LINE_CHARACTERS_MAX:
            raise _Fatal(f"a line of more than {LINE_CHARACTERS_MAX:,} characters: is it a CSV file, with line ends?")
        if not piece:
            break
    if rest:
        yield rest


def _sound(text: str | Wrong) -> str | Wrong:
    if isinstance(text, Wrong):
        return text
    text = text.removesuffix("\r")
    if len(text) > LINE_CHARACTERS_MAX:
        return Wrong(f"more than {LINE_CHARACTERS_MAX:,} characters", "is it a CSV file? Correct the line")
    if "\0" in text:
        return Wrong("a NUL byte", "the file was damaged on its way; export it again")
    if "\r" in text:
        return Wrong("a carriage return within the line", "save the file with the line ends of Windows or Unix")
    return text
