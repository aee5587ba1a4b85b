"""Groups over HTTP: accepted once with all of their orders or not at all, shown, cancelled by request."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.response import Response
from rest_framework.test import APIClient

from orders.models import Intent, Order, OrderGroup
from risk import halts
from tests.api.test_orders import instrument, post
from tests.conftest import Client
from tests.factories import OrderFactory
from venues.models import Instrument

__all__ = ["instrument"]
GROUPS = "/api/v1/order-groups/"
HEAD = {"client_group_id": "g-1", "account": "main", "symbol": "BTC/USDT", "side": "sell", "quantity": "0.5"}
BODIES: dict[str, dict[str, Any]] = {
    "oco": {**HEAD, "kind": "oco", "legs": [{"type": "limit", "price": "61000"}, {"type": "stop", "trigger_price": "59000"}]},
    "bracket": {**HEAD, "kind": "bracket", "side": "buy", "entry": {"type": "limit", "price": "60000"},
                "take_profit": {"price": "61000"}, "stop": {"trigger_price": "59000", "price": "58900"}},
    "scaled": {**HEAD, "kind": "scaled", "price_from": "61000", "price_to": "62000", "count": 4},
}  # fmt: skip
ORDERS = {
    "oco": [("take_profit", "limit", ""), ("stop", "stop", "armed")],
    "bracket": [("entry", "limit", ""), ("take_profit", "limit", "dormant"), ("stop", "stop_limit", "dormant")],
    "scaled": [(f"rung-0{number}", "limit", "") for number in range(1, 5)],
}


def ask(api: APIClient, kind: str, **changes: Any) -> Response:
    return api.post(GROUPS, {**BODIES[kind], **changes}, format="json")


@pytest.mark.parametrize("kind", BODIES)
def test_a_group_is_accepted_once_with_its_orders(api: APIClient, instrument: Instrument, kind: str) -> None:
    answer = ask(api, kind)
    group = answer.json()
    assert answer.status_code == 202, group
    assert (group["kind"], group["client_group_id"], group["is_alive"]) == (kind, "g-1", True)
    shown = [(order["group_role"], order["type"], order["trigger_state"]) for order in group["orders"]]
    assert shown == ORDERS[kind]
    assert {order["status"] for order in group["orders"]} == {"queued"}
    assert [order["client_order_id"] for order in group["orders"]] == [f"g-1:{role}" for role, _, _ in ORDERS[kind]]
    again = ask(api, kind, quantity="0.50")
    assert (again.status_code, again["Idempotent-Replayed"], again.json()) == (200, "true", group)
    assert api.get(answer["Location"]).json() == group
    other = ask(api, kind, quantity="0.6")
    assert (other.status_code, other.json()["code"], other.json()["group_id"]) == (
        409,
        "CLIENT_GROUP_ID_TAKEN",
        group["id"],
    )
    assert Order.objects.count() == len(ORDERS[kind]) and OrderGroup.objects.count() == 1
    listed = api.get(f"{GROUPS}?account=main&kind={kind}").json()["results"]
    assert [row["id"] for row in listed] == [group["id"]]
    members = api.get(f"/api/v1/orders/?group={group['id']}").json()["results"]
    assert {row["id"] for row in members} == {order["id"] for order in group["orders"]}


@pytest.mark.parametrize("kind", BODIES)
def test_a_halt_denies_the_whole_group(api: APIClient, instrument: Instrument, kind: str) -> None:
    halts.engage("account:main", "testing", "person")
    group = ask(api, kind).json()
    assert {(order["status"], order["status_reason"]["code"]) for order in group["orders"]} == {
        ("denied", "TRADING_HALTED")
    }
    assert group["is_alive"] is False


@pytest.mark.parametrize(
    ("kind", "changes", "field", "nearest"),
    [
        ("oco", {"symbol": "BTC/USD"}, "symbol", "BTC/USDT"),
        ("oco", {"quantity": "0.500001"}, "quantity", "0.5"),
        ("oco", {"reduce_only": True}, "reduce_only", "false"),
        ("oco", {"legs": [BODIES["oco"]["legs"][0], {"type": "stop", "trigger_price": "59000.001"}]}, "legs.1.trigger_price", "59000.01"),
        ("oco", {"time_in_force": "gtd", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at", ...),
        ("bracket", {"entry": {"type": "limit", "price": "60000.001"}}, "entry.price", "60000"),
        ("bracket", {"stop": {"trailing_offset": "0.001"}}, "stop.trailing_offset", ...),
        ("bracket", {"entry": {"type": "limit", "price": "60000", "time_in_force": "gtd", "expires_at": "2020-01-01T00:00:00Z"}},
         "entry.expires_at", ...),
        ("scaled", {"quantity": "0.0002"}, "count", "2"),
        ("scaled", {"account": "mian"}, "account", "main"),
    ],
)  # fmt: skip
def test_a_refused_group_stores_nothing(
    api: APIClient, instrument: Instrument, kind: str, changes: dict[str, Any], field: str, nearest: Any
) -> None:
    answer = ask(api, kind, **changes)
    problem = answer.json()
    assert answer.status_code in (400, 404) and problem["outcome"] == "not_sent"
    assert [error["field"] for error in problem["errors"]] == [field], problem
    assert nearest is ... or problem["errors"][0].get("nearest_valid") == nearest
    assert not Order.objects.exists() and not OrderGroup.objects.exists()
    assert ask(api, kind).status_code == 202


def test_a_group_takes_no_order_id_that_is_used(api: APIClient, instrument: Instrument) -> None:
    post(api, client_order_id="g-1:stop")
    answer = ask(api, "oco")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "TAKEN")
    assert Order.objects.count() == 1 and not OrderGroup.objects.exists()


def test_cancelling_a_group_asks_for_every_living_order_once(api: APIClient, instrument: Instrument) -> None:
    answer = ask(api, "bracket")
    Order.objects.filter(group_role="entry").update(status="filled", filled_quantity="0.5")
    url = f"{answer['Location']}cancellation/"
    assert [api.post(url).status_code for _ in range(2)] == [202, 202]
    asked = Intent.objects.filter(action="cancel").values_list("order__group_role", flat=True)
    assert sorted(asked) == ["stop", "take_profit"]
    Order.objects.update(status="cancelled")
    refused = api.post(url)
    assert (refused.status_code, refused.json()["code"]) == (409, "NOT_CANCELLABLE")


def test_the_group_keeps_the_quantity_of_its_legs(api: APIClient, instrument: Instrument) -> None:
    for kind, role, status in (
        ("oco", "stop", 400),
        ("bracket", "take_profit", 400),
        ("bracket", "entry", 202),
        ("scaled", "rung-01", 202),
    ):
        group = ask(api, kind, client_group_id=f"{kind}-{role}").json()
        order = next(order for order in group["orders"] if order["group_role"] == role)
        answer = api.patch(f"/api/v1/orders/{order['id']}/", {"quantity": "0.3"}, format="json")
        assert answer.status_code == status, answer.json()


def test_a_foreign_group_looks_like_none(client_for: Client, api: APIClient, instrument: Instrument) -> None:
    location = ask(api, "oco")["Location"]
    stranger = client_for("trader", accounts=[OrderFactory().account_id])
    assert stranger.get(location).status_code == stranger.post(f"{location}cancellation/").status_code == 404
    assert stranger.get(GROUPS).json()["results"] == []
    assert ask(stranger, "oco").status_code == 404
