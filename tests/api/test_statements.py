"""Statements over HTTP: handed in as a form, refused line by line, once for ever; mappings as versions."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from reconciliation.models import Statement, StatementMapping
from tests.conftest import Client
from tests.reconciliation import builders, statement_files
from tests.reconciliation.statement_files import row, text
from venues.models import Account

pytestmark = pytest.mark.django_db
URL, MAPPINGS = "/api/v1/statements/", "/api/v1/statement-mappings/"


@pytest.fixture
def owner() -> Account:
    return statement_files.account()


def send(api: APIClient, content: bytes, **values: Any) -> Any:
    given = {"account": "main", "file": SimpleUploadedFile("june.csv", content, "text/csv"), **values}
    return api.post(URL, {name: value for name, value in given.items() if value is not None}, format="multipart")


def test_hand_in_read_and_hand_in_again(api: APIClient, owner: Account) -> None:
    fills = statement_files.trades(builders.order(owner), 3)
    made = statement_files.mapping(owner)
    content = text([row(fills[0], price="99"), *map(row, fills[1:])])
    answer = send(api, content)
    told = answer.json()
    assert (answer.status_code, told["status"], told["standing"], told["lines"]) == (201, "compared", "differs", 3)
    assert (told["mapping"], told["summary"]["different"], told["filename"]) == (str(made.pk), 1, "june.csv")
    (finding,) = told["findings"]
    assert (finding["kind"], finding["line"], finding["subject"], finding["status"]) == (
        "fill_differs",
        2,
        "BTC/USDT T0 buy",
        "open",
    )
    assert api.get(f"/api/v1/breaks/{finding['break_id']}/").json()["evidence"]["statement"]["line"] == 2
    assert answer.headers["Location"].endswith(f"{URL}{told['id']}/")
    assert api.get(answer.headers["Location"]).json() == told
    assert [
        each["id"] for each in api.get(f"{URL}?account=main&status=compared&digest={told['digest']}").json()["results"]
    ] == [told["id"]]
    again = send(api, content)
    assert (again.status_code, again.json()["code"], again.json()["statement"]) == (409, "ALREADY_IMPORTED", told["id"])


def test_a_bad_file_names_its_lines(api: APIClient, owner: Account) -> None:
    fills = statement_files.trades(builders.order(owner), 2)
    statement_files.mapping(owner)
    answer = send(api, text([row(fills[0], price="NaN"), row(fills[1], quantity="1e999")]))
    problem = answer.json()
    assert (answer.status_code, problem["code"], len(problem["errors"])) == (422, "STATEMENT_REFUSED", 2)
    assert (problem["errors"][0]["field"], problem["errors"][0]["got"]) == ("line 2", "NaN")
    refused = api.get(f"{URL}{problem['statement']}/").json()
    assert (refused["status"], refused["standing"], refused["lines"], len(refused["problems"])) == (
        "refused",
        "refused",
        0,
        2,
    )
    assert refused["problems"][1]["column"] == "quantity"


@pytest.mark.parametrize(
    ("values", "status", "field"),
    [
        ({"account": None}, 400, "account"),
        ({"account": "mian"}, 404, "account"),
        ({"file": None}, 400, "file"),
        ({"file": "text"}, 400, "file"),
        ({"mapping": "77"}, 404, "mapping"),
        ({"mapping": "x"}, 400, "mapping"),
        ({"covers": "most"}, 400, "covers"),
        ({"although_nothing_matches": "yes"}, 400, "although_nothing_matches"),
        ({"window_from": "2026-06-01"}, 400, "window_from"),
        ({"window_from": "2026-06-01T00:00:00Z"}, 409, ""),
        ({"period": "june"}, 400, "period"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_stored(
    api: APIClient, owner: Account, values: dict[str, Any], status: int, field: str
) -> None:
    statement_files.mapping(owner)
    answer = send(api, text([]), **values)
    assert answer.status_code == status, answer.json()
    assert not field or answer.json()["errors"][0]["field"] == field
    assert Statement.objects.count() == 0


def test_a_json_body_and_a_file_too_large_are_refused_unread(api: APIClient, owner: Account) -> None:
    assert api.post(URL, {"account": "main"}, format="json").status_code == 415
    large = api.generic("POST", URL, b"x", "multipart/form-data; boundary=x", CONTENT_LENGTH=str(60 * 1024 * 1024))
    assert (large.status_code, large.json()["code"]) == (413, "BODY_TOO_LARGE")
    assert api.post(MAPPINGS, b"x", content_type="multipart/form-data; boundary=x").status_code == 415


def test_the_statements_of_other_accounts_are_not_there(api: APIClient, client_for: Client, owner: Account) -> None:
    statement_files.mapping(owner)
    made = send(api, text(map(row, statement_files.trades(builders.order(owner), 2)))).json()
    limited = client_for("admin", accounts=[statement_files.account("other").pk])
    assert limited.get(f"{URL}{made['id']}/").status_code == 404 and limited.get(URL).json()["results"] == []
    assert send(limited, b"x").status_code == 404
    assert (
        limited.get(MAPPINGS).status_code == 200
        and limited.post(MAPPINGS, {"venue": "binance"}, format="json").status_code == 403
    )


def test_a_mapping_is_a_version_of_a_preset_or_of_ones_own(api: APIClient, owner: Account) -> None:
    made = api.post(
        MAPPINGS, {"venue": "binance", "preset": "binance-spot", "options": {"zone": "Etc/GMT-8"}}, format="json"
    )
    told = made.json()
    assert (made.status_code, told["version"], told["label"]) == (201, 1, "Binance, spot trade history")
    assert (told["columns"]["quantity"], told["options"]["zone"], told["options"]["with_asset"]) == (
        "Executed",
        "Etc/GMT-8",
        True,
    )
    own = {"symbol": "pair", "side": "side", "price": "price", "quantity": "qty", "executed_at": "time"}
    second = api.post(MAPPINGS, {"venue": "binance", "columns": own}, format="json").json()
    assert (second["version"], second["options"]["delimiter"]) == (2, ",")
    assert [each["version"] for each in api.get(f"{MAPPINGS}?venue=binance").json()["results"]] == [2, 1]


@pytest.mark.parametrize(
    ("values", "status", "field"),
    [
        ({"venue": "nowhere"}, 404, "venue"),
        ({"columns": {}}, 400, "symbol"),
        ({"columns": []}, 400, "columns"),
        ({"columns": {"symbol": 1}}, 400, "symbol"),
        ({"columns": {"colour": "x"}}, 400, "columns"),
        ({"preset": "binance-spot", "options": {"delimiter": "::"}}, 400, "delimiter"),
        ({"preset": "binance-spot", "options": {"colour": "x"}}, 400, "options"),
        ({"preset": "binance-spot", "options": {"time_tolerance_seconds": True}}, 400, "time_tolerance_seconds"),
        ({"preset": "binance-spot", "options": {"symbols": {"a": 1}}}, 400, "symbols"),
        ({"preset": "binance-spot", "options": {"buy": "buy"}}, 400, "buy"),
        ({"preset": "mtgox"}, 400, "preset"),
    ],
)
def test_a_mapping_that_is_wrong_is_refused_and_named(
    api: APIClient, owner: Account, values: dict[str, Any], status: int, field: str
) -> None:
    answer = api.post(MAPPINGS, {"venue": "binance", **values}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status, field), answer.json()
    assert StatementMapping.objects.count() == 0
