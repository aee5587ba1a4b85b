"""One cell of a statement: numbers, times, sides, symbols and fees, read exactly or named as wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from reconciliation.statement_cells import Market
from reconciliation.statement_mapping import Layout
from tests.reconciliation import statement_files
from tests.reconciliation.statement_files import PLAIN
from tests.reconciliation.test_statement_reader import SPOT, one, read, told

COMMA = replace(SPOT, decimal=",", thousands=".", delimiter=";")
POINT = replace(SPOT, thousands=",", delimiter=";")


@pytest.mark.parametrize(
    ("layout", "text", "wanted"),
    [
        (SPOT, "1", "1"), (SPOT, "+1.50", "1.5"), (SPOT, ".5", "0.5"), (SPOT, "5.", "5"), (SPOT, "1e-8", "0.00000001"), (SPOT, "1.5E+3", "1500"),
        (SPOT, "0.000000000000000001", "1e-18"), (SPOT, "0.1" + "0" * 30, "0.1"), (SPOT, "9" * 20, "9" * 20),
        (COMMA, "1.234,5", "1234.5"), (COMMA, "1234,5", "1234.5"), (COMMA, "1.234", "1234"), (COMMA, "0,5", "0.5"), (COMMA, "1.234.567,89", "1234567.89"),
        (POINT, "1,234.5", "1234.5"), (POINT, "1,234", "1234"),
        (replace(SPOT, thousands=" "), "1 234 567.5", "1234567.5"), (replace(SPOT, thousands="'"), "1'234.5", "1234.5"),
    ],
)  # fmt: skip
def test_numbers_are_read_exactly_by_the_signs_of_the_mapping(layout: Layout, text: str, wanted: str) -> None:
    found, reader = one(layout, price=text, quantity="1", fee="0")
    assert told(reader) == [] and found[0].price == Decimal(wanted)


@pytest.mark.parametrize(
    ("layout", "text", "words"),
    [
        (SPOT, "NaN", "no number"), (SPOT, "Infinity", "no number"), (SPOT, "abc", "no number"), (SPOT, "", "no number"), (SPOT, "--", "no number"),
        (SPOT, "1.2.3", "no number"), (SPOT, "0x10", "no number"), (SPOT, "१२", "no number"), (SPOT, "1_000", "no number"), (SPOT, ".", "no number"),
        (SPOT, "1e5000", "an exponent"), (SPOT, "1e-19", "an exponent"), (SPOT, "1e99999999", "no number"),
        (SPOT, "0.0000000000000000001", "19 decimals"), (SPOT, "0.12345678901234567890", "19 decimals"), (SPOT, "1.5e-18", "19 decimals"),
        (SPOT, "1" + "0" * 20, "more than 20 digits"), (SPOT, "9" * 41, "no number"),
        (SPOT, "-1", "less than zero"), (SPOT, "0", "zero"), (SPOT, "0.000", "zero"), (SPOT, "-0", "zero"),
        (replace(SPOT, delimiter=";"), "1,234.5", "decimal sign '.'"), (COMMA, "1,234.5", "decimal sign ','"), (COMMA, "1.23", "'.' between thousands"),
        (POINT, "1.234,5", "decimal sign '.'"), (POINT, "12,34", "',' between thousands"), (POINT, "1,2345", "',' between thousands"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("column", ["price", "quantity"])
def test_a_wrong_number_is_named_with_its_line_and_column(layout: Layout, text: str, words: str, column: str) -> None:
    values: Any = {"price": "1", "quantity": "1", "fee": "0", column: text}
    found, reader = one(layout, **values)
    assert found == [] and reader.problems_count == 1
    (problem,) = reader.problems
    assert (problem.line, problem.column, problem.value) == (2, column, text[:80]) and words in problem.what
    assert problem.remedy


NEW_YORK = replace(SPOT, zone="America/New_York")


@pytest.mark.parametrize(
    ("layout", "text", "wanted"),
    [
        (SPOT, "2026-06-01 12:00:00", "2026-06-01T12:00:00"), (SPOT, "2026-06-01T12:00:00.123456Z", "2026-06-01T12:00:00.123456"),
        (SPOT, "2026-06-01T14:00:00+02:00", "2026-06-01T12:00:00"), (SPOT, "2026-06-01 12:00:00.6946", "2026-06-01T12:00:00.694600"),
        (replace(SPOT, zone="Etc/GMT-8"), "2026-06-01 20:00:00", "2026-06-01T12:00:00"), (NEW_YORK, "2026-06-01 08:00:00", "2026-06-01T12:00:00"),
        (replace(SPOT, time_format="epoch_s"), "1780315200", "2026-06-01T12:00:00"), (replace(SPOT, time_format="epoch_s"), "1780315200.25", "2026-06-01T12:00:00.250000"),
        (replace(SPOT, time_format="epoch_ms"), "1780315200123", "2026-06-01T12:00:00.123000"), (replace(SPOT, time_format="epoch_us"), "1780315200123456", "2026-06-01T12:00:00.123456"),
        (replace(SPOT, time_format="%d/%m/%Y %H:%M:%S"), "01/06/2026 12:00:00", "2026-06-01T12:00:00"), (replace(SPOT, time_format="%y-%m-%d %H:%M:%S"), "26-06-01 12:00:00", "2026-06-01T12:00:00"),
    ],
)  # fmt: skip
def test_times_are_read_by_format_and_zone(layout: Layout, text: str, wanted: str) -> None:
    found, reader = one(layout, time=text)
    assert told(reader) == [] and found[0].executed_at == datetime.fromisoformat(wanted).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("layout", "text", "words"),
    [
        (SPOT, "", "not a time"), (SPOT, "2026-06-01", "not a time"), (SPOT, "yesterday noon", "not a time"), (SPOT, "2026-02-30 12:00:00", "not a time"),
        (SPOT, "1780315200", "not a time"), (SPOT, "2026-06-01 25:00:00", "not a time"), (SPOT, "0001-01-01 00:00:00", "cannot be"),
        (SPOT, "2008-12-31 12:00:00", "cannot be"), (SPOT, "2026-07-03 12:00:00", "cannot be"), (SPOT, "9999-12-31 23:59:59", "cannot be"),
        (NEW_YORK, "2026-11-01 01:30:00", "comes twice"), (NEW_YORK, "2026-03-08 02:30:00", "missing or comes twice"),
        (replace(SPOT, time_format="epoch_ms"), "1780315200", "cannot be"), (replace(SPOT, time_format="epoch_s"), "1780315200123", "time"),
        (replace(SPOT, time_format="epoch_s"), "-5", "not a time"), (replace(SPOT, time_format="epoch_s"), "1e9", "not a time"),
        (replace(SPOT, time_format="%d/%m/%Y %H:%M:%S"), "06/31/2026 12:00:00", "not a time"),
    ],
)  # fmt: skip
def test_a_wrong_time_is_named(layout: Layout, text: str, words: str) -> None:
    found, reader = one(layout, time=text)
    assert found == [] and [(line, column) for line, column, _ in told(reader)] == [(2, "time")]
    assert words in reader.problems[0].what


@pytest.mark.parametrize(
    ("values", "column", "words"),
    [
        ({"side": "hold"}, "side", "neither buy nor sell"), ({"side": ""}, "side", "neither buy nor sell"),
        ({"pair": "DOGE-EUR"}, "pair", "none of the venue's markets"), ({"pair": ""}, "pair", "none of the venue's markets"),
        ({"pair": "btcusdt"}, "pair", "none of the venue's markets"), ({"pair": "BTC-PERPETUAL"}, "pair", "BTC/USD:BTC"),
        ({"trade": ""}, "trade", "no id"), ({"trade": "x" * 101}, "trade", "no id"), ({"trade": "a\x07b"}, "trade", "no id"),
        ({"fee": "abc"}, "fee", "no number"), ({"fee asset": ""}, "fee", "a fee without an asset"), ({"fee asset": "$$$"}, "fee", "not the name of an asset"),
    ],
)  # fmt: skip
def test_other_wrong_cells_are_named(values: Any, column: str, words: str) -> None:
    found, reader = one(**values)
    assert found == [] and [each.column for each in reader.problems] == [column] and words in reader.problems[0].what


def test_symbols_are_found_by_the_venue_s_spelling_ours_or_the_mapping_s_and_never_guessed() -> None:
    assert one(pair="BTC/USDT")[0][0].symbol == "BTC/USDT"
    assert one(pair="XBT/USDT")[0][0].symbol == "BTC/USDT", "another name of the same asset"
    assert one(replace(SPOT, symbols={"BITCOIN": "BTC/USDT"}), pair="BITCOIN")[0][0].symbol == "BTC/USDT"
    both = one(PLAIN)[1].problems[0]
    assert "BTC/USDT and BTC/USDT:USDT" in both.what and "spot or of contracts" in both.remedy
    assert one(replace(PLAIN, market="contract"))[0][0].symbol == "BTC/USDT:USDT"


@pytest.mark.parametrize(
    ("text", "asset", "fee", "told_asset"),
    [
        ("0.001BTC", "0", "0.001", "BTC"), ("0.001 BNB", "", "0.001", "BNB"), ("-0.001USDT", "", "-0.001", "USDT"), ("0", "", "0", ""), ("", "", "0", ""), ("0USDT", "", "0", ""),
    ],
)  # fmt: skip
def test_fees_with_their_asset_behind_them(text: str, asset: str, fee: str, told_asset: str) -> None:
    layout = replace(
        SPOT, with_asset=True, columns={name: header for name, header in SPOT.columns.items() if name != "fee_asset"}
    )
    found, reader = one(layout, fee=text, quantity="0.25BTC")
    assert told(reader) == [] and (found[0].fee, found[0].fee_asset, found[0].quantity) == (
        Decimal(fee),
        told_asset,
        Decimal("0.25"),
    )


def test_an_asset_that_begins_with_a_digit_is_told_apart_from_its_amount() -> None:
    layout = statement_files.preset("binance-spot").layout
    inch = {"1INCHUSDT": (Market("1INCH/USDT", "1INCH", "USDT"),)}
    content = b"Date(UTC),Pair,Side,Price,Executed,Amount,Fee\n2026-06-01 12:00:00,1INCHUSDT,BUY,0.4,0.51INCH,0.2USDT,0.0011INCH\n"
    found, reader = read(content, layout, inch)
    assert told(reader) == [] and (found[0].quantity, found[0].fee, found[0].fee_asset) == (
        Decimal("0.5"),
        Decimal("0.001"),
        "1INCH",
    )
