"""An intent over HTTP: accepted once, shown exactly, cancelled by request."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from rest_framework.response import Response
from rest_framework.test import APIClient

from orders.models import Intent, Order, OrderEvent
from project.lib.models import AuditEntry
from risk import halts
from tests.conftest import Client
from tests.factories import FillFactory, InstrumentFactory, OrderFactory, make_token
from venues.models import Account, Instrument

ORDERS = "/api/v1/orders/"
POST_QUERIES_MAX = 15


@pytest.fixture
def instrument(db: None) -> Instrument:
    made: Instrument = InstrumentFactory(venue__code="paper")
    Account.objects.create(code="main", venue=made.venue, status="ready")
    return made


def body(**changes: Any) -> dict[str, Any]:
    intent = {"client_order_id": "a-1", "account": "main", "symbol": "BTC/USDT", "side": "buy", "type": "limit",
              "quantity": "0.0100", "price": "60000.00"}  # fmt: skip
    return {name: value for name, value in {**intent, **changes}.items() if value is not None}


def post(api: APIClient, **changes: Any) -> Response:
    return api.post(ORDERS, body(**changes), format="json")


def test_an_intent_is_accepted_and_shown_with_exact_strings(api: APIClient, instrument: Instrument) -> None:
    answer = post(api)
    order = answer.json()
    assert answer.status_code == 202, order
    assert answer["Location"] == f"http://testserver/api/v1/orders/{order['id']}/"
    shown = {
        name: order[name] for name in ("status", "quantity", "price", "filled_quantity", "leaves_quantity", "mutation")
    }
    assert shown == {"status": "queued", "quantity": "0.01", "price": "60000", "filled_quantity": "0",
                     "leaves_quantity": "0.01", "mutation": "none"}  # fmt: skip
    assert (order["average_price"], order["fees"], order["status_reason"]) == (None, [], None)
    assert order["created_at"].endswith("Z") and len(order["created_at"]) == 27
    assert order["events"] == f"{answer['Location']}events/"
    assert api.get(order["events"]).json()["results"][-1]["status_after"] == "queued"
    again = api.get(answer["Location"]).json()
    assert again == order


def test_the_same_intent_again_is_the_same_order(api: APIClient, instrument: Instrument) -> None:
    first, again = post(api), post(api, quantity="0.01", price="60000")
    assert (again.status_code, again["Idempotent-Replayed"]) == (200, "true")
    assert again.json()["id"] == first.json()["id"]
    assert Order.objects.count() == 1


def test_the_same_id_with_another_body_is_a_conflict(api: APIClient, instrument: Instrument) -> None:
    first, other = post(api), post(api, quantity="0.02")
    problem = other.json()
    assert other.status_code == 409
    assert (problem["code"], problem["outcome"]) == ("CLIENT_ORDER_ID_TAKEN", "not_sent")
    assert problem["errors"][0]["field"] == "client_order_id" and problem["order_id"] == first.json()["id"]
    assert Order.objects.get().quantity == Decimal("0.01")


@pytest.mark.django_db(transaction=True)
def test_one_intent_posted_by_twelve_threads_is_one_order(instrument: Instrument) -> None:
    _, key = make_token("trader")
    answers: list[Response] = []

    def send() -> None:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Token {key}")
        answers.append(post(client))
        connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [202]
    assert len({answer.json()["id"] for answer in answers}) == 1 == Order.objects.count()


def test_a_halt_denies_and_the_answer_is_an_order(api: APIClient, instrument: Instrument) -> None:
    halts.engage("account:main", "testing", "person")
    answer = post(api)
    order = answer.json()
    assert (answer.status_code, order["status"]) == (202, "denied")
    assert order["status_reason"]["code"] and order["status_reason"]["message"]
    assert order["leaves_quantity"] == "0"


def test_the_hot_path_is_lean(api: APIClient, instrument: Instrument) -> None:
    post(api, client_order_id="warm")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert post(api).status_code == 202
    reads = [query["sql"] for query in queries if not query["sql"].startswith(("SAVEPOINT", "RELEASE", "ROLLBACK"))]
    assert len(reads) <= POST_QUERIES_MAX, "\n".join(reads)


def test_a_cancel_is_a_request_and_asking_twice_is_one(api: APIClient, instrument: Instrument) -> None:
    location = post(api)["Location"]
    first, again = (api.post(f"{location}cancellation/") for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == Intent.objects.get(action="cancel").order_id.__str__()


def test_a_finished_order_cannot_be_cancelled_or_amended(api: APIClient, db: None) -> None:
    order = OrderFactory(status="filled")
    answer = api.post(f"{ORDERS}{order.pk}/cancellation/", {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "NOT_CANCELLABLE")
    answer = api.patch(f"{ORDERS}{order.pk}/", {"price": "1"}, format="json")
    assert (answer.status_code, answer.json()["code"], answer.json()["outcome"]) == (409, "NOT_AMENDABLE", "not_sent")


def test_an_amend_is_a_request_and_asking_the_same_twice_is_one(api: APIClient, instrument: Instrument) -> None:
    location = post(api)["Location"]
    first, again = (
        api.patch(location, {"price": price, "quantity": "0.02"}, format="json") for price in ("59000", "59000.00")
    )
    assert (first.status_code, again.status_code) == (202, 202)
    assert (first.json()["price"], first.json()["mutation"]) == ("60000", "none")  # asked for, not a fact yet
    intent = Intent.objects.get(action="amend")
    assert intent.data == {"quantity": "0.02", "price": "59000"}
    assert AuditEntry.objects.filter(action="order.amend").count() == 1
    [wish] = api.get(f"{location}wishes/").json()["results"]
    assert (wish["action"], wish["data"], wish["done_at"], wish["result"]) == ("amend", intent.data, None, "")
    other = api.patch(location, {"price": "58000"}, format="json")
    assert (other.status_code, other.json()["code"]) == (409, "NOT_AMENDABLE")
    assert api.patch(location, {"price": "60000"}, format="json").status_code == 409
    assert Intent.objects.count() == 1


def test_an_amend_that_changes_nothing_asks_nothing(api: APIClient, instrument: Instrument) -> None:
    location = post(api)["Location"]
    answer = api.patch(location, {"price": "60000.0", "quantity": "0.01"}, format="json")
    assert answer.status_code == 202 and not Intent.objects.exists()


@pytest.mark.parametrize(
    ("order", "change", "field", "code", "nearest"),
    [
        ({}, {}, "quantity", "REQUIRED", None),
        ({}, {"side": "sell"}, "side", "UNKNOWN_FIELD", None),
        ({}, {"quantity": "0.010005"}, "quantity", "QUANTITY_OFF_STEP", "0.01"),
        ({}, {"price": "60000.001"}, "price", "PRICE_OFF_STEP", "60000"),
        ({}, {"price": "1"}, "quantity", "NOTIONAL_BELOW_MINIMUM", "5"),
        ({}, {"trigger_price": "1"}, "trigger_price", "NOT_ALLOWED", None),
        ({}, {"expires_at": "2030-01-01T00:00:00Z"}, "expires_at", "NOT_ALLOWED", None),
        ({"filled": "0.005"}, {"quantity": "0.005"}, "quantity", "NOT_ABOVE_FILLED", "0.00501"),
        ({"filled": "0.005"}, {"quantity": "0.001"}, "quantity", "NOT_ABOVE_FILLED", "0.00501"),
        ({"type": "market", "price": None}, {"price": "1"}, "price", "NOT_ALLOWED", None),
        ({"type": "stop", "price": None, "trigger_price": "59000"}, {"trigger_price": "58999.999"}, "trigger_price",
         "PRICE_OFF_STEP", "58999.99"),
        ({"time_in_force": "gtd", "expires_at": "2030-01-01T00:00:00Z"}, {"expires_at": "2020-01-01T00:00:00Z"}, "expires_at",
         "NOT_IN_FUTURE", ...),
    ],
)  # fmt: skip
def test_an_impossible_amend_names_its_field_and_asks_nothing(
    api: APIClient,
    instrument: Instrument,
    order: dict[str, Any],
    change: dict[str, Any],
    field: str,
    code: str,
    nearest: Any,
) -> None:
    filled = order.pop("filled", None) if "filled" in (order := dict(order)) else None
    asked = {name: value for name, value in {**body(), **order}.items() if value is not None}
    location = api.post(ORDERS, asked, format="json")["Location"]
    if filled:
        Order.objects.update(filled_quantity=filled)
    answer = api.patch(location, change, format="json")
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["field"], error["code"]) == (400, field, code)
    assert nearest is ... or error.get("nearest_valid") == nearest
    assert not Intent.objects.exists()


@pytest.mark.parametrize("mutation", ["cancel_pending", "cancel_unknown", "amend_pending", "amend_unknown"])
def test_no_amend_while_another_change_is_under_way(api: APIClient, instrument: Instrument, mutation: str) -> None:
    location = post(api)["Location"]
    Order.objects.update(mutation=mutation, status="open")
    assert api.patch(location, {"price": "59000"}, format="json").status_code == 409
    for unchangeable in ({"is_external": True}, {"is_external": False, "type": "trailing_stop", "price": None}):
        Order.objects.update(mutation="none", **unchangeable)
        assert api.patch(location, {"quantity": "0.02"}, format="json").status_code == 409


def test_every_conditional_order_is_shown_with_its_own_fields(api: APIClient, instrument: Instrument) -> None:
    stop = post(api, client_order_id="s", type="stop_limit", trigger_price="59000", price="58900").json()
    assert (stop["trigger_price"], stop["trigger_state"], stop["trigger_extreme"]) == (
        "59000",
        "",
        None,
    )  # the venue's own
    trailing = post(api, client_order_id="t", type="trailing_stop", price=None, trailing_offset="250").json()
    assert (trailing["trailing_offset"], trailing["trigger_state"]) == ("250", "armed")  # Binance's trail by percent
    until = {"time_in_force": "gtd", "expires_at": "2030-01-01T02:00:00+02:00"}
    assert post(api, client_order_id="u", **until).json()["expires_at"] == "2030-01-01T00:00:00.000000Z"
    late = post(api, client_order_id="v", **{**until, "expires_at": "2020-01-01T00:00:00Z"})
    assert late.json()["errors"][0]["code"] == "NOT_IN_FUTURE"
    Order.objects.filter(client_order_id="u").update(expires_at="2020-01-01T00:00:00Z")
    assert post(api, client_order_id="u", **until).status_code == 200  # the same order again is no mistake later


def test_fees_and_average_price_come_from_the_fills(api: APIClient, db: None) -> None:
    order = OrderFactory(quantity="3", filled_quantity="3", filled_value="100", status="filled", price=None)
    for fee, asset in (("0.1", "BNB"), ("0.2", "BNB"), ("0.000000000000000001", "BTC")):
        FillFactory(order=order, fee=Decimal(fee), fee_asset=asset)
    shown = api.get(f"{ORDERS}{order.pk}/").json()
    assert shown["fees"] == [{"asset": "BNB", "amount": "0.3"}, {"asset": "BTC", "amount": "0.000000000000000001"}]
    assert shown["average_price"] == "33.333333333333333333"
    fills = api.get(shown["fills"]).json()["results"]
    assert len(fills) == 3 and {fill["order"] for fill in fills} == {shown["id"]}


def test_polling_an_unchanged_order_costs_no_body(api: APIClient, instrument: Instrument) -> None:
    location = post(api)["Location"]
    etag = api.get(location)["ETag"]
    assert api.get(location, HTTP_IF_NONE_MATCH=etag).status_code == 304
    assert api.get(location, HTTP_IF_NONE_MATCH='"other"').status_code == 200


def test_lists_filter_and_page_without_loss(api: APIClient, db: None) -> None:
    account = OrderFactory(status="filled").account
    wanted = [
        str(OrderFactory(account=account, status=status).pk) for status in ("open", "unknown", "open", "open", "held")
    ]
    url, seen, pages = f"{ORDERS}?account={account.code}&status=open,unknown,held&limit=2", [], []
    while url:
        page = api.get(url).json()
        pages.append(page)
        seen += [order["id"] for order in page["results"]]
        url = page["next"]
    assert seen == wanted[::-1]
    assert [order["id"] for order in api.get(pages[2]["previous"]).json()["results"]] == seen[2:4]


def test_an_order_is_found_by_its_client_order_id(api: APIClient, instrument: Instrument) -> None:
    order = post(api, client_order_id="find-me").json()
    found = api.get(f"{ORDERS}?client_order_id=find-me").json()
    assert [row["id"] for row in found["results"]] == [order["id"]]
    assert (found["next"], found["previous"]) == (None, None)


def test_a_foreign_account_looks_like_an_unknown_one(client_for: Client, instrument: Instrument) -> None:
    own = OrderFactory()
    client = client_for("trader", accounts=[own.account_id])
    foreign, unknown = (post(client, account=code) for code in ("main", "no-such"))
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content.replace(b"main", b"no-such") == unknown.content
    assert foreign.json()["errors"][0]["field"] == "account"
    assert Order.objects.count() == 1 and OrderEvent.objects.count() == 0
