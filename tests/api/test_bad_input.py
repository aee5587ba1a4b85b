"""What clients get wrong: every refusal is a 4xx problem that names the field, and stores nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.response import Response
from rest_framework.test import APIClient

from orders.models import Order
from project.lib.models import AuditEntry, FeedEntry
from tests.api.test_orders import ORDERS, body, instrument
from tests.factories import AccountFactory
from venues.models import Instrument

__all__ = ["instrument"]
PROBLEM_FIELDS = {"type", "title", "status", "detail", "instance", "code", "outcome", "retry_safe", "errors"}


def send(api: APIClient, raw: bytes | str, content_type: str = "application/json", path: str = ORDERS) -> Response:
    return api.generic("POST", path, raw, content_type)


def refused(answer: Response, status: int) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert answer.status_code == status, problem
    assert answer["Content-Type"] == "application/problem+json"
    assert set(problem) >= PROBLEM_FIELDS
    assert (problem["status"], problem["outcome"], problem["retry_safe"]) == (status, "not_sent", True)
    assert Order.objects.count() == 0 and FeedEntry.objects.filter(topic="orders").count() == 0
    return problem


WRONG = [
    ({"symbol": "BTC/USD"}, "symbol", "BTC/USDT"),
    ({"symbol": "BTC USDT"}, "symbol", None),
    ({"account": "mian"}, "account", "main"),
    ({"side": "Buy"}, "side", "buy"),
    ({"type": "limt"}, "type", "limit"),
    ({"time_in_force": "GTC"}, "time_in_force", "gtc"),
    ({"type": "market", "price": None, "time_in_force": "gtc"}, "time_in_force", "ioc"),
    ({"post_only": True, "time_in_force": "ioc"}, "post_only", None),
    ({"type": "market"}, "price", None),
    ({"price": None}, "price", None),
    ({"quantity": "0.010005"}, "quantity", "0.01"),
    ({"price": "60000.001"}, "price", None),
    ({"quantity": "0.000001"}, "quantity", None),
    ({"quantity": "0.00001"}, "quantity", None),
    ({"quantity": "NaN"}, "quantity", None),
    ({"quantity": "Infinity"}, "quantity", None),
    ({"quantity": "1e400"}, "quantity", None),
    ({"quantity": "1e2"}, "quantity", "100"),
    ({"quantity": "-1"}, "quantity", None),
    ({"quantity": "0"}, "quantity", None),
    ({"quantity": "1" * 30}, "quantity", None),
    ({"quantity": "0." + "1" * 30}, "quantity", None),
    ({"quantity": " 1"}, "quantity", "1"),
    ({"quantity": "1 000"}, "quantity", None),
    ({"quantity": 1}, "quantity", "1"),
    ({"quantity": 0.5}, "quantity", "0.5"),
    ({"quantity": ["1"]}, "quantity", None),
    ({"quantity": {"value": "1"}}, "quantity", None),
    ({"quantity": True}, "quantity", None),
    ({"quantity": ""}, "quantity", None),
    ({"client_order_id": ""}, "client_order_id", None),
    ({"client_order_id": "x" * 65}, "client_order_id", None),
    ({"client_order_id": "a b"}, "client_order_id", None),
    ({"client_order_id": 7}, "client_order_id", None),
    ({"post_only": "yes"}, "post_only", None),
    ({"qty": "1"}, "qty", None),
    ({"clientOrderId": "x"}, "clientOrderId", "client_order_id"),
]


@pytest.mark.parametrize(("changes", "field", "nearest"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_value_names_its_field_and_the_nearest_valid(
    api: APIClient, instrument: Instrument, changes: dict[str, Any], field: str, nearest: str | None
) -> None:
    answer = api.post(ORDERS, body(**changes), format="json")
    problem = refused(answer, 404 if field == "account" else 400)
    named = {error["field"]: error for error in problem["errors"]}
    assert field in named, problem
    assert named[field]["message"]
    if nearest is not None:
        assert named[field]["nearest_valid"] == nearest


RAW = [
    (b"", 400, "INVALID"),
    (b"{", 400, "NOT_JSON"),
    (b"[]", 400, "INVALID"),
    (b"null", 400, "INVALID"),
    (b'"text"', 400, "INVALID"),
    (b"7", 400, "INVALID"),
    (b'{"quantity": NaN}', 400, "NOT_JSON"),
    (b'{"quantity": -Infinity}', 400, "NOT_JSON"),
    (b'{"quantity": 1e99999999999999999999}', 400, "INVALID"),
    (b'{"quantity": ' + b"9" * 5000 + b"}", 400, "NOT_A_NUMBER"),
    (b'{"account": "main", "account": "other"}', 400, "INVALID"),
    (b'{"account": {"a": 1, "a": 2}}', 400, "INVALID"),
    (b'{"account": "\\u0000"}', 400, "INVALID"),
    (b'{"account": "\\ud800"}', 400, "INVALID"),
    (b'{"\\ud800": "x"}', 400, "INVALID"),
    (b'{"account": "\x00"}', 400, "NOT_JSON"),
    (b'{"account": "\xff\xfe"}', 400, "NOT_UTF8"),
    (b"\xef\xbb\xbf{}", 400, "NOT_JSON"),
    (b"[" * 100_000, 400, "TOO_DEEP"),
    (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400, "TOO_DEEP"),
    (b"{" + b" " * 10_000_000 + b"}", 413, "BODY_TOO_LARGE"),
]


@pytest.mark.parametrize(("raw", "status", "code"), RAW, ids=lambda value: str(value)[:30])
def test_a_broken_body_is_refused(api: APIClient, instrument: Instrument, raw: bytes, status: int, code: str) -> None:
    assert refused(send(api, raw), status)["code"] == code


def test_a_name_given_twice_is_refused_though_all_else_is_right(api: APIClient, instrument: Instrument) -> None:
    raw = json.dumps(body())[:-1] + ', "quantity": "0.01"}'
    error = refused(send(api, raw), 400)["errors"][0]
    assert (error["field"], error["code"]) == ("quantity", "DUPLICATE")


@pytest.mark.parametrize(
    "query",
    ["fills/?order=junk", "ledger/?entry=1", "breaks/?order=x", "transfers/?kind=gift", "halts/?in_force=maybe"],
)
def test_a_filter_by_id_or_flag_refuses_what_is_neither(api: APIClient, query: str) -> None:
    answer = api.get(f"/api/v1/{query}")
    field = query.split("?")[1].split("=")[0]
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "junk",
    ],
)
def test_a_wrong_content_type_is_refused(api: APIClient, instrument: Instrument, content_type: str) -> None:
    assert refused(send(api, json.dumps(body()), content_type), 415)["code"] == "NOT_JSON_TYPE"


def test_a_charset_beside_the_content_type_is_fine(api: APIClient, instrument: Instrument) -> None:
    assert send(api, json.dumps(body()), "application/json; charset=utf-8").status_code == 202


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("acount=main", "acount"), ("account=nobody", "account"), ("account=%00", "account"), ("status=opne", "status"),
        ("limit=0", "limit"), ("limit=9999", "limit"), ("limit=x", "limit"), ("cursor=junk", "cursor"),
        ("cursor=cD1ub3QtYS1kYXRl", "cursor"), ("cursor=cD0lMDA%3D", "cursor"), ("symbol=a&symbol=b", "symbol"),
        ("status=open,", "status"),
    ],
)  # fmt: skip
def test_a_wrong_query_parameter_is_refused(api: APIClient, query: str, field: str) -> None:
    answer = api.get(f"{ORDERS}?{query}")
    assert 400 <= answer.status_code < 500, answer.content
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing/", 404), ("GET", "/api/v1/orders/not-an-id/", 404), ("PUT", ORDERS, 405),
        ("GET", "/api/v1/orders/01890000-0000-7000-8000-000000000000/", 404), ("OPTIONS", ORDERS, 405),
        ("POST", "/api/v1/orders", 404), ("GET", "/api/v1/accounts/%00/", 404), ("DELETE", ORDERS, 405),
    ],
)  # fmt: skip
def test_wrong_paths_and_methods_are_problems_too(api: APIClient, method: str, path: str, status: int) -> None:
    answer = api.generic(method, path)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), answer.content


def test_a_wrong_path_names_the_nearest(api: APIClient) -> None:
    assert api.get("/api/v1/order/").json()["errors"][0]["nearest_valid"] == "/api/v1/orders/"


def test_a_fault_of_ours_is_a_problem_without_its_inside(api: APIClient, instrument: Instrument) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orders_order RENAME COLUMN symbol TO lost_column")
    answer = api.post(ORDERS, body(), format="json")
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["outcome"]) == (500, "INTERNAL", "unknown")
    assert problem["reference"] and "lost_column" not in answer.content.decode() and problem["retry_safe"] is True


PATHS = [
    ORDERS, "/api/v1/venues/", "/api/v1/accounts/", "/api/v1/accounts/main/keys/", "/api/v1/accounts/main/activation/",
    "/api/v1/reconciliations/", "/api/v1/halts/", "/api/v1/tokens/",
]  # fmt: skip
NAMES = st.sampled_from(
    ["client_order_id", "account", "symbol", "side", "type", "quantity", "price", "code", "venue", "exchange", "label",
     "api_key", "secret", "scope", "reason", "rest_url", "accounts", "expires_at", "waive_probe", "state", "sandbox"]
)  # fmt: skip
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["main", "global", "1", "limit"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), junk=st.dictionaries(NAMES | st.text(), JUNK, max_size=8))
def test_no_json_body_makes_a_server_error(api: APIClient, path: str, junk: dict[str, Any]) -> None:
    answer = send(api, json.dumps(junk), path=path)
    assert answer.status_code < 500, (path, junk, answer.content)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), raw=st.binary(max_size=200))
def test_no_bytes_make_a_server_error(api: APIClient, path: str, raw: bytes) -> None:
    assert send(api, raw, path=path).status_code < 500


def test_a_key_is_never_echoed(api: APIClient) -> None:
    account = AccountFactory()
    path = f"/api/v1/accounts/{account.code}/keys/"
    for wrong in (
        {"api_key": ["CANARY"], "secret": "CANARY"},
        {"api_key": "CANARY" * 1000, "secret": "x"},
        {"apiKey": "CANARY"},
    ):
        answer = api.post(path, wrong, format="json")
        assert answer.status_code == 400 and b"CANARY" not in answer.content
    assert not AuditEntry.objects.filter(action__startswith="credential").exists()
