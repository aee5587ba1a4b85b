"""The reader of statements: every preset read back exactly, every kind of bad line named with what to do."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import IO, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciliation import statement_mapping as mappings
from reconciliation import statement_presets as presets
from reconciliation import statement_reader
from reconciliation.statement_mapping import Layout, WrongMapping
from reconciliation.statement_presets import PRESETS, Preset
from reconciliation.statement_reader import Line, Reader
from tests.reconciliation import statement_files
from tests.reconciliation.statement_files import HEADERS, NOW, PLAIN

MARKETS = statement_files.markets_of(replace(PRESETS[0], exchange="plain"))
SPOT = replace(PLAIN, market="spot")
GOOD = {
    "trade": "T1", "order": "O1", "pair": "BTCUSDT", "side": "BUY", "price": "100.5", "quantity": "0.25", "fee": "0.05", "fee asset": "USDT",
    "time": "2026-06-01 12:00:00",
}  # fmt: skip


def read(content: bytes, layout: Layout = SPOT, markets: Any = MARKETS, **options: Any) -> tuple[list[Line], Reader]:
    reader = Reader(layout, markets, NOW, **options)
    return list(reader.lines(io.BytesIO(content))), reader


def one(layout: Layout = SPOT, **values: str) -> tuple[list[Line], Reader]:
    """Read a file of one line, written as the layout says."""
    row = {**GOOD, **values}
    cells = layout.delimiter.join(row[header] for header in HEADERS)
    return read(f"{layout.delimiter.join(HEADERS)}\n{cells}\n".encode(), layout)


def told(reader: Reader) -> list[tuple[int, str, str]]:
    return [(each.line, each.column, each.what) for each in reader.problems]


money = st.decimals(Decimal("0.00000001"), Decimal("9999999"), places=8)


@st.composite
def trades(draw: st.DrawFn, preset: Preset) -> list[Line]:
    names = sorted({market.symbol for found in statement_files.markets_of(preset).values() for market in found})
    if preset.layout.market:
        names = [name for name in names if (":" in name) == (preset.layout.market == "contract")]
    lines = []
    for number in range(draw(st.integers(1, 8))):
        symbol = draw(st.sampled_from(names))
        base, _, rest = symbol.partition("/")
        quote, _, settle = rest.partition(":")
        side = draw(st.sampled_from(["buy", "sell"]))
        assets = {
            "quote": quote, "settle": settle or quote, "received": settle or (base if side == "buy" else quote), "base": base,
        }  # fmt: skip
        fee = draw(st.one_of(st.just(Decimal(0)), money, money.map(lambda amount: -amount)))
        asset = assets.get(preset.layout.fee_asset) or draw(st.sampled_from([base, quote, "BNB"]))
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=draw(st.integers(0, 10_000_000_000)))
        lines.append(Line(
            number, symbol, side, f"{draw(st.integers(1, 10**12))}-{number}", f"order {number}"[:5] + str(number), draw(money), draw(money), fee,
            asset if fee else "", at,
        ))  # fmt: skip
    return lines


@pytest.mark.parametrize("preset", PRESETS, ids=lambda each: each.code)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_a_venue_exports_is_read_back_exactly(preset: Preset, data: st.DataObject) -> None:
    lines = data.draw(trades(preset))
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    ends = data.draw(st.sampled_from(["\n", "\r\n"]))
    content = statement_files.export(preset, lines).decode().replace("\n", ends).encode(encoding)
    found, reader = read(content, preset.layout, statement_files.markets_of(preset))
    assert told(reader) == []
    wanted = [statement_files.exact(preset, line) for line in lines]
    has_ids = "venue_trade_id" in preset.layout.columns
    shown = [
        line._replace(number=place, venue_trade_id=line.venue_trade_id if has_ids else wanted[place].venue_trade_id)
        for place, line in enumerate(found)
    ]
    assert shown == [line._replace(number=place) for place, line in enumerate(wanted)]
    assert [line.number for line in found] == list(range(reader.header_line + 1, reader.header_line + 1 + len(lines)))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda each: each.code)
def test_a_preset_is_known_by_its_headers_and_is_a_mapping_one_may_save(preset: Preset) -> None:
    assert presets.fitting(preset.headers, preset.exchange) == preset
    assert mappings.layout(dict(preset.layout.columns), preset.layout.options()) == preset.layout
    assert presets.header_row([["UID:1", "Account Type:Main"], list(preset.headers)], preset.exchange) == list(
        preset.headers
    )


# What a venue's users have posted of their exports, with made-up ids: read as they stand.
SAMPLES = [
    ("binance-spot", 'Date(UTC),Pair,Side,Price,Executed,Amount,Fee\n2026-06-01 07:28:46,BTCUSDT,SELL,"64000.1",0.00093BTC,59.52USDT,0.0595USDT\n', ("sell", "0.00093", "64000.1", "0.0595", "USDT")),
    ("binance-futures", "Uid,Time,Symbol,Side,Price,Quantity,Amount,Fee,Realized Profit,Buyer,Maker,Trade ID,Order ID\n1,2026-03-17 09:34:12,BTCUSDT,BUY,73822.3,0.01,738.223,0.29528919 USDT,0.28,true,false,419925075,49172439177\n", ("buy", "0.01", "73822.3", "0.29528919", "USDT")),
    ("kraken-trades", '"txid","ordertxid","pair","time","type","ordertype","price","cost","fee","vol","margin","misc","ledgers"\n"TFWNEI-DWFNM-DPKYGT","OTVM57-ZCIA2-HXL3O6","XBTUSDT","2017-11-12 19:04:13.6946","buy","market",103.22000000,10.32200000,0.02683720,0.10000000,0.00000000,"","L3ZB4N-T33RW-ATJMAH,LKFD5C-OY5LR-PWEQW2"\n', ("buy", "0.10000000", "103.22000000", "0.02683720", "USDT")),
    ("coinbase-fills", "portfolio,trade id,product,side,created at,size,size unit,price,fee,total,price/fee/total unit\ndefault,2985581,BTC-USDT,SELL,2020-11-25T11:29:22.362Z,0.75789000,BTC,19295.00,51.182206425,14572.305343575,USDT\n", ("sell", "0.75789000", "19295.00", "51.182206425", "USDT")),
    ("okx-fills", "instType,instId,tradeId,ordId,clOrdId,billId,tag,fillPx,fillSz,side,posSide,execType,feeCcy,fee,ts\nSPOT,BTC-USDT,1,2,,3,,60000,0.1,buy,net,T,BTC,-0.0001,1780000000123\n", ("buy", "0.1", "60000", "0.0001", "BTC")),
    ("okx-trading-history", "\ufeffUID:1,\ufeffAccount Type:Main,\ufeffTime Zone:UTC+0\n\ufeffid,Order id,Time,Trade Type,Symbol,Action,Amount,Trading Unit,Filled Price,PnL,Fee,Fee Unit,Position Change,Position Balance,Balance Change,Balance,Balance Unit\n2,901,2026-01-08 11:00:00,Spot,ETH-USDT,Buy,0.5,ETH,3000,0,-0.0005,ETH,0,0,0.4995,0.4995,ETH\n1,901,2026-01-08 11:00:00,Spot,ETH-USDT,Sell,1500,USDT,3000,0,0,USDT,0,0,-1500,0,USDT\n3,900,2026-01-08 10:00:00,Transfer,,Transfer in,0,cont,0,0,0,USDT,0,0,1500,1500,USDT\n", ("buy", "0.5", "3000", None, "")),
    ("bybit-spot", "Spot Pairs,Order Type,Direction,feeCoin,ExecFeeV2,Filled Value,Filled Price,Filled Quantity,Fees,Transaction ID,Order No.,Timestamp (UTC)\nBTCUSDT,MARKET,SELL,USDT,0.0040382175,1.61528700000000000000,53842.90000000000000000000,0.00003000000000000000,--,3010000000039612078, 04058112,08:22 2026-06-05\n", ("sell", "0.00003", "53842.9", "0.0040382175", "USDT")),
    ("bybit-spot-statement", "UID: 1,Company Name: ,Country:\nUid,Spot Pairs,Order Type,Direction,Filled Value,Filled Price,Filled Quantity,Fees,Transaction ID,Order No.,Timestamp (UTC+0)\n1,BTCUSDT,LIMIT,BUY,4478.057,97100.0,0.046118,0.0000461,2290000000522832993,1836393090823494400,2024-12-09 19:48:23\n", ("buy", "0.046118", "97100.0", "0.0000461", "BTC")),
    ("bybit-derivatives", "Market,Filled Type,Filled Quantity,Filled Price,Order Price,Fee Rate,Trading Fee,feeCoin,ExecFeeV2,Direction,Order Type,Trasaction ID,Order No.,Transaction Time(UTC+0)\nBTCUSDT,Trade,2,100,100,0.00055,0.11,USDT,0.11,Long,Market, a1, o1,10:00 2026-01-10\nBTCUSDT,Funding,2,108,0,-0.0001,-0.05,,0,Long,--, f2, g2,16:00 2026-01-11\n", ("buy", "2", "100", "0.11", "USDT")),
    ("deribit-log", "ID,UserSeq,Date,Instrument,Type,Side,Amount,Base Amount,Position,Price,Mark Price,Index Price,Cash Flow,Funding,Fee Rate,Fee Charged,Fee Balance,Change,Balance,Equity,Trade ID,Order ID,Info,Note\n1,17,2026-05-04 08:00:00,BTC-PERPETUAL,settlement,long,,,10,,,,0.1,0,,,,,1,1,,,,\n2,18,2026-05-04 09:00:00,BTC-PERPETUAL,trade,close sell,1000,0.0156,0,64000.5,64000,64000,0.001,0,0.0005,0.0000078,0,0.0009,1,1,T-99,O-1,,\n", ("sell", "1000", "64000.5", "0.0000078", "BTC")),
]  # fmt: skip


@pytest.mark.parametrize(("code", "content", "wanted"), SAMPLES, ids=[sample[0] for sample in SAMPLES])
def test_a_venue_s_own_rows(code: str, content: str, wanted: tuple[str, str, str, str | None, str]) -> None:
    preset = statement_files.preset(code)
    found, reader = read(content.encode(), preset.layout, statement_files.markets_of(preset))
    assert told(reader) == [] and len(found) == 1
    line = found[0]
    side, quantity, price, fee, asset = wanted
    assert (line.side, line.quantity, line.price, line.fee, line.fee_asset) == (
        side, Decimal(quantity), Decimal(price), None if fee is None else Decimal(fee), asset,
    )  # fmt: skip
    assert sum(reader.other_rows.values()) == len(content.splitlines()) - reader.header_line - 1


def test_every_preset_has_a_sample() -> None:
    assert {sample[0] for sample in SAMPLES} == set(presets.BY_CODE)


HEAD = ",".join(HEADERS)
ROW = ",".join(GOOD.values())


def file(*rows: str) -> bytes:
    return "\n".join([HEAD, *rows]).encode()


BAD_FILES: list[tuple[str, bytes, list[tuple[int, str]]]] = [
    ("empty", b"", [(0, "the file is empty")]),
    ("blank", b"\n \n\n", [(0, "the file is empty")]),
    ("only a mark", b"\xef\xbb\xbf", [(0, "the file is empty")]),
    ("a column is missing", file(ROW).replace(b"price", b"cost"), [(1, "no column price")]),
    ("two columns are missing", b"trade,order,pair,side\n", [(1, "no column")] * 5),
    ("a column comes twice", file(ROW + ",1").replace(b",time", b",time,PRICE"), [(1, "stands twice")]),
    ("no line of headers", b"\n".join([ROW.encode()] * 30), [(1, "no column")] * 9 + [(20, "none of the first 20 lines")]),
    ("too few cells", file(ROW, "T2,O2,BTCUSDT", ROW.replace("T1", "T3")), [(3, "3 cells where the headers are 9")]),
    ("too many cells", file(ROW + ",x"), [(2, "10 cells")]),
    ("a comma that is not quoted", file(ROW.replace("100.5", "1,100.5")), [(2, "10 cells")]),
    ("a quote that does not close", file(ROW.replace("BUY", '"BUY'), ROW.replace("T1", "T2")), [(2, "quotes that do not close")]),
    ("a quote in the middle", file(ROW.replace("BUY", '"BU"Y')), [(2, "quotes that do not close")]),
    ("NUL", file(ROW.replace("BUY", "B\0UY"), ROW), [(2, "a NUL byte")]),
    ("not UTF-8", file(ROW, ROW.replace("T1", "T2")).replace(b"T2", b"T\xff2"), [(3, "byte 2 of the line is no UTF-8")]),
    ("line ends of another age", file(ROW).replace(b"\n", b"\r"), [(1, "a carriage return within the line"), (0, "the file is empty")]),
    ("a trade twice", file(ROW, ROW.replace("T1", "T2"), ROW), [(4, "the same trade as in line 2")]),
    ("several at once", file(ROW.replace("100.5", "x").replace("BUY", "y"), ROW.replace("0.25", "-1")), [(2, "neither"), (2, "no number"), (3, "less than zero")]),
    ("a binary file", b"PK\x03\x04\x14\x00\x06\x00" + bytes(range(256)) * 4, [(0, "")]),
    ("UTF-16 without its mark", file(ROW).decode().encode("utf-16-le"), [(0, "no UTF-8 text")]),
    ("a line without end", HEAD.encode() + b"x" * 300_000, [(0, "a line of more than")]),
]  # fmt: skip


@pytest.mark.parametrize(("content", "wanted"), [each[1:] for each in BAD_FILES], ids=[each[0] for each in BAD_FILES])
def test_bad_files_are_named_line_by_line(content: bytes, wanted: list[tuple[int, str]]) -> None:
    _, reader = read(content)
    assert reader.problems_count == len(reader.problems) and all(each.remedy and each.what for each in reader.problems)
    if wanted == [(0, "")]:
        assert reader.problems
        return
    found = [(each.line, each.what) for each in reader.problems]
    assert len(found) == len(wanted), found
    for (line, what), (wanted_line, words) in zip(found, wanted, strict=True):
        assert line == wanted_line and words in what, found


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (file(ROW), "auto"), (b"\xef\xbb\xbf" + file(ROW), "auto"), (b"\xef\xbb\xbf" + file(ROW), "utf-8"), (file(ROW).decode().encode("utf-16"), "auto"),
        (file(ROW).decode().encode("utf-16"), "utf-16"), (file(ROW).decode().encode("utf-16-le"), "utf-16-le"), (file(ROW).decode().encode("utf-16-be"), "utf-16-be"),
        (b"\xfe\xff" + file(ROW).decode().encode("utf-16-be"), "auto"), (file(ROW) + b"\n\n\r\n", "auto"), (file(ROW).replace(b"\n", b"\r\n"), "auto"),
        (b"some words before\n\n" + file(ROW), "auto"), (file(*ROW.splitlines()).replace(HEAD.encode(), b" TRADE , Order,PAIR,side,Price,QUANTITY,fee,Fee  Asset,time"), "auto"),
    ],
)  # fmt: skip
def test_encodings_line_ends_and_spacing_do_not_matter(content: bytes, encoding: str) -> None:
    found, reader = read(content, replace(SPOT, encoding=encoding))
    assert told(reader) == [] and [line.venue_trade_id for line in found] == ["T1"]


@pytest.mark.parametrize(
    ("content", "encoding", "words"),
    [
        (file(ROW).decode().encode("utf-16"), "utf-8", "it is utf-16, as its first bytes say"), (b"\xef\xbb\xbf" + file(ROW), "utf-16", "it is utf-8"),
        (file(ROW), "utf-16", "without a byte order mark"), (file(ROW).decode().encode("utf-16")[:-1], "auto", "stops being utf-16"),
    ],
)  # fmt: skip
def test_another_encoding_than_the_mapping_says_is_refused(content: bytes, encoding: str, words: str) -> None:
    _, reader = read(content, replace(SPOT, encoding=encoding))
    assert words in reader.problems[-1].what


def test_problems_are_capped_and_counted_and_values_are_cut() -> None:
    rows = [ROW.replace("T1", f"T{number}").replace("100.5", "x" * 500) for number in range(1500)]
    found, reader = read(file(*rows))
    assert found == [] and (reader.problems_count, len(reader.problems)) == (1500, statement_reader.PROBLEMS_MAX)
    assert all(len(each.value) <= 80 for each in reader.problems)


def test_too_many_lines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_reader, "LINES_MAX", 3)
    _, reader = read(file(*(ROW.replace("T1", f"T{number}") for number in range(5))))
    assert told(reader) == [(5, "", "more than 3 trades; split the export into shorter periods")]


class Counting(io.BytesIO):
    """A file that knows how much of it was held at once."""

    most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.most = max(self.most, len(piece))
        return piece


def test_a_file_is_read_in_pieces_and_a_preview_stops_early() -> None:
    content = Counting(file(*(ROW.replace("T1", f"T{number}") for number in range(40_000))))
    reader = Reader(SPOT, MARKETS, NOW)
    lines: Iterator[Line] = reader.lines(content)
    assert next(lines).venue_trade_id == "T0" and content.tell() <= 2 * statement_reader.PIECE_BYTES
    assert sum(1 for _ in lines) == 39_999 and content.most <= statement_reader.PIECE_BYTES


def test_the_same_words_make_the_same_name_and_the_second_of_them_another() -> None:
    columns = {name: header for name, header in SPOT.columns.items() if name != "venue_trade_id"}
    layout = replace(SPOT, columns=columns)
    rows = [ROW, ROW.replace("T1", "T2").replace("100.5", "100.50"), ROW.replace("BUY", "SELL")]
    first, _ = read(file(*rows), layout)
    again, _ = read(file(*rows), layout)
    ids = [line.venue_trade_id for line in first]
    assert ids == [line.venue_trade_id for line in again] and len(set(ids)) == 3 and ids[1] == f"{ids[0]}-2"


def test_both_sides_of_a_trade_with_ourselves_are_two_trades() -> None:
    found, reader = read(file(ROW, ROW.replace("BUY", "sell")))
    assert told(reader) == [] and [line.side for line in found] == ["buy", "sell"]


@given(content=st.binary(max_size=400))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_are_lines_or_problems(content: bytes) -> None:
    for start in (b"", HEAD.encode() + b"\n", b"\xff\xfe"):
        found, reader = read(start + content)
        assert (
            found
            or reader.problems
            or not content.strip()
            or not (start + content).split(b"\n", 1)[-1].strip()
            or reader.headers
        )
        assert all(isinstance(line.price, Decimal) and line.price > 0 for line in found)


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        (["Time", "Pair", "Side", "Price", "Qty", "Fee", "Fee Coin"], {"executed_at": "Time", "symbol": "Pair", "fee_asset": "Fee Coin", "quantity": "Qty"}),
        (["execution id", "Market", "Direction", "Filled Price"], {"venue_trade_id": "execution id", "symbol": "Market", "side": "Direction"}),
        (["colour", "shape"], {}),
    ],
)  # fmt: skip
def test_headers_are_proposed_and_never_used_by_themselves(headers: list[str], wanted: dict[str, str]) -> None:
    assert wanted.items() <= mappings.suggest(headers).items() and len(mappings.suggest(headers)) >= len(wanted)


def test_a_stored_mapping_that_is_wrong_is_refused_before_anything_is_read() -> None:
    for columns, options in (
        ({}, {}),
        ({"symbol": "a\nb"}, {}),
        (None, {}),
        (dict(SPOT.columns), {"zone": "../etc/passwd"}),
        (dict(SPOT.columns), {"time_format": "%Q"}),
    ):
        with pytest.raises(WrongMapping):
            mappings.layout(columns, options)


def test_an_open_file_of_any_kind_is_read() -> None:
    content: IO[bytes] = io.BufferedReader(io.BytesIO(file(ROW)))
    assert len(list(Reader(SPOT, MARKETS, NOW).lines(content))) == 1
