"""Exact money: what is parsed is what is stored and read back."""

from __future__ import annotations

import concurrent.futures
import decimal
from decimal import Decimal

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project.lib import decimals
from tests.factories import AccountFactory

SMALLEST = Decimal("0.000000000000000001")
LARGEST = Decimal("99999999999999999999.999999999999999999")
STORED = st.integers(-(10**38 - 1), 10**38 - 1).map(lambda units: Decimal(units).scaleb(-18))


@pytest.mark.parametrize("text", ["0", "1", "-1", "0.5", "-0.000000000000000001", "1.10", str(LARGEST), str(-LARGEST)])
def test_plain_decimals_are_parsed_exactly(text: str) -> None:
    assert decimals.parse(text) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "1 ", "+1", "1e3", "1E3", ".5", "5.", "00.5", "01", "0" * 20 + "9" * 30 + ".5", "1_0", "1,0", "NaN", "inf", "0x1",
     "1.0000000000000000001", "1" * 21, "1\n", "１", "--1", "-"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="plain decimal"):
        decimals.parse(text)


@pytest.mark.django_db
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STORED)
def test_numeric_38_18_gives_back_what_it_was_given(number: Decimal) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::numeric(38,18), (%s::numeric(38,18))::text", [number, number])
        row = cursor.fetchone()
    assert row[0] == number and Decimal(row[1]) == number
    assert decimals.parse(str(decimals.write(number))) == number


@pytest.mark.django_db
@pytest.mark.parametrize("number", [SMALLEST, LARGEST, -LARGEST, Decimal("12345678901234567890.123456789012345678")])
def test_a_balance_keeps_every_digit(number: Decimal) -> None:
    account = AccountFactory()
    from_row = account.balances.create(asset="COIN", total=number)
    from_row.refresh_from_db()
    assert from_row.total == number


@pytest.mark.parametrize(
    "value",
    ["", " 1", "1 ", "NaN", "nan", "Infinity", "-inf", "1e400", "1e999999", "1e100", "1" * 41, "1" * 21, "0x1", "1,5", "1_000",
     True, False, [], {}, float("nan"), float("inf"), b"1", "１", "1.2.3", "--1"],
)  # fmt: skip
def test_a_venue_may_not_send_this(value: object) -> None:
    with pytest.raises(ValueError):
        decimals.parse_venue(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), ("1.50", "1.50"), ("1e-7", "0.0000001"), (1e-7, "0.0000001"), (3, "3"), ("+2", "2"), ("5.", "5"), ("1E+3", "1000"),
        ("-0.1", "-0.1"), ("0.1234567890123456785", "0.123456789012345678"), ("1e-30", "0"),
    ],
)  # fmt: skip
def test_a_venue_number_is_read_exactly_to_eighteen_decimals(value: object, expected: str | None) -> None:
    assert decimals.parse_venue(value) == (None if expected is None else Decimal(expected))


@given(STORED)
def test_write_is_plain_and_parses_back(number: Decimal) -> None:
    text = str(decimals.write(number))
    assert "E" not in text and Decimal(text) == number
    assert text == "0" or not (("." in text) and text.endswith(("0", ".")))


def test_write_shows_no_exponent_and_no_trailing_zeros() -> None:
    shown = [decimals.write(Decimal(text)) for text in ("1E+2", "1.500", "-0.00", "100", "1E-18")]
    assert shown == ["100", "1.5", "0", "100", "0.000000000000000001"]
    assert decimals.write(None) is None


STEPS = st.sampled_from(["1", "0.5", "0.01", "0.00001", "25", "0.3", "0.000000000000000001"]).map(Decimal)
POSITIVE = st.integers(1, 10**30).map(lambda units: Decimal(units).scaleb(-18))


@given(POSITIVE, STEPS)
def test_rounding_lands_on_the_grid_beside_the_number(number: Decimal, step: Decimal) -> None:
    down, up = decimals.floor_to(number, step), decimals.ceil_to(number, step)
    assert down <= number <= up and up - down in {0, step}
    assert decimals.is_multiple(down, step) and decimals.is_multiple(up, step)


def test_a_step_of_zero_allows_every_number() -> None:
    assert decimals.is_multiple(LARGEST, Decimal(0)) and decimals.floor_to(LARGEST, Decimal(0)) == LARGEST


def test_every_thread_computes_with_enough_digits() -> None:
    def multiply() -> tuple[int, Decimal]:
        return decimal.getcontext().prec, LARGEST + SMALLEST - LARGEST

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(multiply).result() == multiply() == (60, SMALLEST)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("1234567.000000000000000001", "1,234,567.000000000000000001"), ("-1000", "−1,000"), ("999", "999"), ("", ""),
     ("1500 at 20000.5", "1,500 at 20,000.5"), ("open 1e9", "open 1e9"), ("2026-11-30", "2026-11-30")],
)  # fmt: skip
def test_thousands_stand_apart_and_no_digit_is_lost(text: str, shown: str) -> None:
    assert decimals.grouped(text) == shown
