"""Only JSON that means one thing is read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venues.adapters import rows, strict

_texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
_values = st.recursive(
    st.none() | st.booleans() | _texts | st.integers(-(10**30), 10**30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "text",
    [
        '{"price": NaN}',
        '{"price": Infinity}',
        '{"a": 1, "a": 2}',
        '{"price": 1E999999}',
        '{"price": 1' + "0" * 60 + "}",
        "[" * 100 + "]" * 100,
        "[" * 50_000 + "]" * 50_000,
        '{"a": {"b": 1',
        "<html>",
        "",
        "{} {}",
        "{'a': 1}",
        '{"id": "1\\u0000"}',
        '{"id\\ud83d": "1"}',
        '[["\\udE00\\uD83D"]]',
    ],
)
def test_ambiguous_text_is_refused(text: str) -> None:
    with pytest.raises(strict.NotStrict):
        strict.loads(text)


@given(_values)
def test_plain_values_come_through_with_numbers_as_text(value: object) -> None:
    expected = json.loads(json.dumps(value), parse_int=str)
    assert strict.loads(json.dumps(value)) == expected


def test_escaped_characters_that_can_be_stored_come_through() -> None:
    assert strict.loads(r'{"a": "\ud83d\ude00 \\u0000 \\ud800"}') == {"a": "\U0001f600 \\u0000 \\ud800"}


def test_digits_are_kept() -> None:
    assert strict.loads('{"p": 0.10000000000000000001, "n": 12345678901234567890}') == {
        "p": "0.10000000000000000001",
        "n": "12345678901234567890",
    }


@given(st.text() | st.floats() | st.none() | st.booleans() | st.lists(st.integers()))
def test_no_value_breaks_the_reading_of_a_row(value: object) -> None:
    for read in (
        rows.text,
        rows.amount,
        rows.positive,
        rows.signed,
        rows.side,
        rows.milliseconds,
        rows.seconds,
        rows.rfc3339,
    ):
        try:
            read({"field": value}, "field")
        except rows.RowError as problem:
            assert "field" in str(problem)
