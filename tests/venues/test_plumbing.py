"""What we do in ccxt's place gives what ccxt gives."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ccxt.base.exchange import Exchange
from hypothesis import given
from hypothesis import strategies as st

from project.lib import logs
from venues import capabilities
from venues.adapters.client import ClientHooks
from venues.adapters.judging import SECRET_WORDS, Judging
from venues.adapters.transport import Headers, HttpRecord
from venues.credentials import Secret

_names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6) | st.sampled_from(
    ["symbol", "a[b]", "a b", "ä&="]
)
_values: st.SearchStrategy[Any] = (
    st.text(st.characters(codec="utf-8"), max_size=12)
    | st.integers()
    | st.booleans()
    | st.sampled_from(["BTCUSDT", "0.1", "+150", "2026-11-20T18:40:00.000Z", "a/b?c#d%e", "~*!'()"])
)


@given(st.dictionaries(_names, _values, max_size=6))
def test_a_query_is_written_as_ccxt_writes_it(params: dict[str, Any]) -> None:
    assert ClientHooks.urlencode(params) == Exchange.urlencode(params)


@given(
    st.dictionaries(
        _names, _values | st.lists(_values, max_size=3) | st.dictionaries(_names, _values, max_size=3), max_size=4
    )
)
def test_a_nested_query_too(params: dict[str, Any]) -> None:
    assert ClientHooks.urlencode_nested(params) == Exchange.urlencode_nested(params)


def test_every_name_of_a_secret_is_looked_for() -> None:
    for name in ("signature", "api_key", "apikey", "API-Sign", "secret", "passphrase", "Password", "private key",
                 "access_key", "Access-Sign", "authorization", "TOKEN"):  # fmt: skip
        text = f'{{"{name}": "hunter22", "x": 1}}'.replace("private key", "private_key")
        assert "hunter22" not in logs.redact(text), name
        assert "hunter22" not in Judging(capabilities.for_exchange("binance"), Secret("kkkk", "ssss")).clean(text), name
    for alternative in re.sub(r"\(\?:[^)]*\)|\[[^]]*\]\??", "", logs._NAMES).split("|"):
        assert any(word in alternative for word in SECRET_WORDS), alternative


def test_an_address_with_a_password_is_cleaned() -> None:
    judging = Judging(capabilities.for_exchange("binance"), Secret("kkkk", "ssss"))
    assert "hunter22" not in judging.clean("see http://me:hunter22@host/")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://h/api/v3/order?signature=1", "POST /api/v3/order"),
        ("http://h:1/", "POST /"),
        ("http://h:1", "POST /"),
        ("http://[::1]:1/a/b", "POST /a/b"),
    ],
)
def test_a_records_path_carries_no_query(url: str, path: str) -> None:
    assert HttpRecord("POST", url).path == path


def test_headers_are_found_in_any_case() -> None:
    headers = Headers({"retry-after": "3"})
    assert (headers["Retry-After"], headers.get("RETRY-AFTER"), headers.get("x", "-"), "retry-After" in headers) == (
        "3",
        "3",
        "-",
        True,
    )
