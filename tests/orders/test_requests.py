"""What a client may ask for: every bad input names its field, and what is well formed is read exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orders import requests
from project.lib import decimals

GOOD: dict[str, object] = {
    "client_order_id": "a-1", "account": "main", "symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": "0.5",
    "price": "60000.10",
}  # fmt: skip
MARKET = {"type": "market", "price": None}
STOP = {"type": "stop", "price": None, "trigger_price": "59000"}
TRAILING = {"type": "trailing_stop", "price": None, "trailing_offset": "150.5"}
LATER = {"expires_at": "2030-01-01T00:00:00Z"}


def problems(**changes: Any) -> dict[str, tuple[str, str | None]]:
    with pytest.raises(requests.Invalid) as refusal:
        requests.parse({**GOOD, **changes})
    return {problem.field: (problem.code, problem.nearest_valid) for problem in refusal.value.problems}


def test_a_good_request_is_read_exactly() -> None:
    request = requests.parse({**GOOD, "strategy": "mean-reversion", "post_only": True})
    assert (request.quantity, request.price) == (Decimal("0.5"), Decimal("60000.10"))
    assert (request.time_in_force, request.post_only, request.reduce_only) == ("gtc", True, False)
    assert request.strategy == "mean-reversion"


def test_a_market_order_is_ioc_and_has_no_price() -> None:
    request = requests.parse({**GOOD, **MARKET})
    assert (request.price, request.time_in_force) == (None, "ioc")


@pytest.mark.parametrize("name", ["client_order_id", "account", "symbol", "side", "type", "quantity", "price"])
def test_a_missing_field_is_named(name: str) -> None:
    payload = {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(requests.Invalid) as refusal:
        requests.parse(payload)
    assert {problem.field: problem.code for problem in refusal.value.problems}[name] == "REQUIRED"


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(requests.Invalid) as refusal:
        requests.parse({})
    assert {problem.field for problem in refusal.value.problems} == set(requests.REQUIRED)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("NaN", None), ("Infinity", None), ("-Infinity", None), ("sNaN", None), ("1e400", None), ("1e-400", None),
        ("1e999999999999999999999", None), ("1" * 30, None), ("0" + "9" * 30 + ".5", None), ("", None), (" ", None),
        (" 1", "1"), ("1 ", "1"), ("1 000", None), ("1,5", None), ("+1", "1"), ("1e2", "100"), ("0x10", None), ("٣", "3"),
        ("１", "1"), (".5", "0.5"), ("5.", "5"), ("00.5", "0.5"), ("007", "7"), ("0.1234567890123456789", "0.123456789012345678"),
        ("1\n", "1"), ("-1e3", None), (" -5", None), ("0e5", None), ("0.0000000000000000001", None), ("1\x00", None),
        ("½", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["quantity", "price"])
def test_a_malformed_amount_is_refused_with_the_nearest_valid_one(name: str, text: str, nearest: str | None) -> None:
    assert problems(**{name: text}) == {name: ("MALFORMED", nearest)}


@pytest.mark.parametrize("text", ["0", "-0", "0.000", "-1", "-0.000000000000000001"])
@pytest.mark.parametrize("name", ["quantity", "price"])
def test_an_amount_must_be_positive(name: str, text: str) -> None:
    assert problems(**{name: text}) == {name: ("NOT_POSITIVE", None)}


@pytest.mark.parametrize(
    ("value", "nearest"),
    [
        (1, "1"), (0, None), (-3, None), (10**30, None), (0.5, "0.5"), (1e-7, "0.0000001"), (-0.5, None), (float("nan"), None),
        (float("inf"), None), (True, None), (False, None), ([], None), (["1"], None), ({}, None), ({"a": "1"}, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["quantity", "price"])
def test_an_amount_must_be_a_string(name: str, value: object, nearest: str | None) -> None:
    assert problems(**{name: value}) == {name: ("NOT_A_STRING", nearest)}


def test_a_null_amount_is_a_missing_one() -> None:
    assert problems(quantity=None) == {"quantity": ("REQUIRED", None)}
    assert problems(price=None) == {"price": ("REQUIRED", None)}


@pytest.mark.parametrize(
    ("name", "value", "nearest"),
    [
        ("side", "by", "buy"), ("side", "BUY", "buy"), ("side", "Sell", "sell"), ("side", "", "buy"), ("side", 1, "buy"),
        ("side", ["buy"], "buy"), ("type", "limt", "limit"), ("type", "pegged", None), ("type", "stop_limt", "stop_limit"), ("type", True, None),
        ("time_in_force", "gct", "gtc"), ("time_in_force", "IOC", "ioc"), ("time_in_force", {}, "gtc"),
    ],
)  # fmt: skip
def test_a_word_off_the_list_names_the_nearest(name: str, value: object, nearest: str | None) -> None:
    code, given_nearest = problems(**{name: value})[name]
    assert code == "NOT_A_CHOICE"
    assert given_nearest == nearest if nearest else given_nearest in requests.TYPES


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "market"}, "price"),
        ({**MARKET, "time_in_force": "gtc"}, "time_in_force"),
        ({**MARKET, "time_in_force": "fok"}, "time_in_force"),
        ({**MARKET, "post_only": True}, "post_only"),
        ({"post_only": True, "time_in_force": "ioc"}, "post_only"),
        ({"post_only": True, "time_in_force": "fok"}, "post_only"),
        ({"trigger_price": "1"}, "trigger_price"),
        ({"trailing_offset": "1"}, "trailing_offset"),
        ({**MARKET, "trigger_price": "1"}, "trigger_price"),
        ({**MARKET, "trailing_offset": "1"}, "trailing_offset"),
        ({**MARKET, "time_in_force": "gtd", **LATER}, "time_in_force"),
        (LATER, "expires_at"),
        ({"time_in_force": "ioc", **LATER}, "expires_at"),
        ({**STOP, "price": "1"}, "price"),
        ({**STOP, "trailing_offset": "1"}, "trailing_offset"),
        ({**STOP, "time_in_force": "ioc"}, "time_in_force"),
        ({**STOP, "post_only": True}, "post_only"),
        ({**STOP, "type": "stop_limit", "price": "1", "post_only": True}, "post_only"),
        ({**STOP, "type": "take_profit_limit", "price": "1", "time_in_force": "fok"}, "time_in_force"),
        ({**TRAILING, "trigger_price": "1"}, "trigger_price"),
        ({**TRAILING, "price": "1"}, "price"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, object], field: str) -> None:
    assert problems(**changes)[field][0] == "NOT_ALLOWED"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "stop", "price": None}, "trigger_price"),
        ({"type": "take_profit", "price": None}, "trigger_price"),
        ({"type": "stop_limit"}, "trigger_price"),
        ({**STOP, "type": "stop_limit"}, "price"),
        ({**STOP, "type": "take_profit_limit"}, "price"),
        ({"type": "trailing_stop", "price": None}, "trailing_offset"),
        ({"time_in_force": "gtd"}, "expires_at"),
        ({**TRAILING, "time_in_force": "gtd"}, "expires_at"),
    ],
)
def test_what_belongs_to_a_type_is_required(changes: dict[str, object], field: str) -> None:
    assert problems(**changes) == {field: ("REQUIRED", None)}


@pytest.mark.parametrize("time_in_force", ["gtc", "gtd"])
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("limit", {"price": "60000"}), ("stop", {"trigger_price": "59000"}), ("take_profit", {"trigger_price": "61000"}),
        ("stop_limit", {"trigger_price": "59000", "price": "58900"}), ("trailing_stop", {"trailing_offset": "100"}),
        ("take_profit_limit", {"trigger_price": "61000", "price": "61000"}),
    ],
)  # fmt: skip
def test_every_type_is_read_with_its_own_fields(kind: str, fields: dict[str, str], time_in_force: str) -> None:
    until = LATER if time_in_force == "gtd" else {}
    request = requests.parse(
        {**{key: value for key, value in GOOD.items() if key != "price"}, "type": kind, **fields, **until,
         "time_in_force": time_in_force}
    )  # fmt: skip
    assert {name: getattr(request, name) for name in fields} == {name: Decimal(text) for name, text in fields.items()}
    assert request.expires_at == (datetime(2030, 1, 1, tzinfo=UTC) if until else None)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("2030-01-01T00:00:00", "2030-01-01T00:00:00+00:00"), ("2030-01-01", "2030-01-01T00:00:00+00:00"), ("soon", None),
        ("2030-13-01T00:00:00Z", None), (1893456000, None), (True, None), ("", None), ("9999-12-31T23:59:59-12:00", None),
    ],
)  # fmt: skip
def test_a_time_needs_its_offset(text: object, nearest: str | None) -> None:
    assert problems(time_in_force="gtd", expires_at=text)["expires_at"] == ("MALFORMED", nearest)


def test_a_time_that_has_come_is_refused_with_one_that_has_not() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    requests.refuse_past(now + timedelta(microseconds=1), now)
    for late in (now, now - timedelta(days=1)):
        with pytest.raises(requests.Invalid) as refusal:
            requests.refuse_past(late, now)
        [problem] = refusal.value.problems
        assert (problem.field, problem.code) == ("expires_at", "NOT_IN_FUTURE") and problem.nearest_valid is not None
        requests.refuse_past(datetime.fromisoformat(problem.nearest_valid), now)


def test_the_digest_of_an_order_from_before_conditional_orders_stands() -> None:
    assert requests.parse(GOOD).digest() == "965f0c3eb85dd6c5604ad1c60f4d8fc3ab6debce5e13b90219fdc694a1713421"
    moments = ("2030-01-01T00:00:00Z", "2030-01-01T02:00:00+02:00", "2029-12-31T23:00:00.000-01:00")
    same = {requests.parse({**GOOD, "time_in_force": "gtd", "expires_at": text}).digest() for text in moments}
    assert len(same) == 1 and requests.parse(GOOD).digest() not in same
    offsets = {
        requests.parse({**GOOD, **TRAILING, "price": None, "trailing_offset": text}).digest()
        for text in ("1", "1.0", "2")
    }
    assert len(offsets) == 2


@pytest.mark.parametrize(
    ("payload", "field", "code"),
    [
        ({}, "quantity", "REQUIRED"), ({"side": "sell"}, "side", "UNKNOWN_FIELD"), ({"quantity": None}, "quantity", "MALFORMED"),
        ({"quantity": 1}, "quantity", "NOT_A_STRING"), ({"price": "0"}, "price", "NOT_POSITIVE"),
        ({"trigger_price": "1e3"}, "trigger_price", "MALFORMED"), ({"expires_at": "2030-01-01"}, "expires_at", "MALFORMED"),
        ({"trailing_offset": "1"}, "trailing_offset", "UNKNOWN_FIELD"), ({"price": None, "quantity": "1"}, "price", "MALFORMED"),
    ],
)  # fmt: skip
def test_a_malformed_amendment_names_its_field(payload: dict[str, object], field: str, code: str) -> None:
    with pytest.raises(requests.Invalid) as refusal:
        requests.parse_amendment(payload)
    assert [(problem.field, problem.code) for problem in refusal.value.problems] == [(field, code)]


def test_an_amendment_says_only_what_changes() -> None:
    assert requests.parse_amendment({"price": "1.50"}) == requests.Amendment(price=Decimal("1.5"))
    read = requests.parse_amendment({"quantity": "2", "trigger_price": "3", **LATER})
    assert (read.quantity, read.price, read.trigger_price) == (Decimal(2), None, Decimal(3))


@pytest.mark.parametrize("value", [1, 0, "true", "false", [], {}, 1.0])
@pytest.mark.parametrize("name", ["post_only", "reduce_only"])
def test_a_flag_is_true_or_false(name: str, value: object) -> None:
    assert problems(**{name: value}) == {name: ("NOT_A_BOOLEAN", "false")}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client_order_id", "a" * 65), ("client_order_id", ""), ("client_order_id", " a"), ("client_order_id", "a b"),
        ("client_order_id", "-a"), ("client_order_id", "ä"), ("client_order_id", "a\n"), ("client_order_id", 1),
        ("client_order_id", "a\x00"), ("client_order_id", ["a"]), ("account", "a/b"), ("account", "a" * 65), ("account", 5),
        ("symbol", "BTCUSDT"), ("symbol", "btc/usdt"), ("symbol", "BTC/USDT "), ("symbol", "BTC/"), ("symbol", None),
        ("symbol", "A" * 21 + "/USDT"), ("strategy", "a b"), ("strategy", 3),
    ],
)  # fmt: skip
def test_malformed_text_is_refused(name: str, value: object) -> None:
    assert problems(**{name: value})[name][0] in {"MALFORMED", "REQUIRED"}


def test_an_unknown_field_is_refused_with_the_nearest() -> None:
    assert problems(quantiy="1") == {"quantiy": ("UNKNOWN_FIELD", "quantity")}
    assert problems(**{"x" * 500: 1}) == {"x" * 80: ("UNKNOWN_FIELD", None)}


def test_the_digest_is_of_the_meaning_not_of_the_writing() -> None:
    first = requests.parse({**GOOD, "quantity": "1"})
    for again in (
        {"quantity": "1.0"},
        {"quantity": "1.000", "time_in_force": "gtc"},
        {"quantity": "1", "post_only": False},
    ):
        assert requests.parse({**GOOD, **again}).digest() == first.digest()
    for other in ({"quantity": "1.1"}, {"side": "sell"}, {"price": "60000"}, {"post_only": True}, {"strategy": "s"},
                  {"client_order_id": "a-2"}, {"account": "other"}, {"time_in_force": "ioc"}):  # fmt: skip
        assert requests.parse({**GOOD, "quantity": "1", **other}).digest() != first.digest()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NUMBERS = st.from_regex(r"[-+ ]?[0-9_]{0,45}(\.[0-9]{0,45})?([eE][-+]?[0-9]{1,12})?", fullmatch=True)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(requests.FIELDS) | st.text(), JSON | NUMBERS, max_size=13), st.booleans())
def test_parsing_refuses_and_never_breaks(payload: dict[str, object], on_top: bool) -> None:
    try:
        request = requests.parse({**GOOD, **payload} if on_top else payload)
    except requests.Invalid as refusal:
        assert refusal.problems and all(len(problem.got or "") <= 80 for problem in refusal.problems)
    else:
        assert 0 < request.quantity < decimals.LIMIT and (request.price is None or 0 < request.price < decimals.LIMIT)


@pytest.mark.parametrize("name", requests.FIELDS)
def test_a_value_nested_as_deep_as_json_goes_is_refused(name: str) -> None:
    nested: list[object] = []
    for _ in range(2000):
        nested = [nested]
    assert name in problems(**{name: nested})


@given(NUMBERS)
def test_the_nearest_amount_is_itself_valid(text: str) -> None:
    try:
        requests.parse({**GOOD, "quantity": text})
    except requests.Invalid as refusal:
        nearest = refusal.problems[0].nearest_valid
        if nearest is not None:
            assert requests.parse({**GOOD, "quantity": nearest}).quantity > 0
