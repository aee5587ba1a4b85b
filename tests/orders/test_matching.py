"""Whose order is this: ours by client id, ours by venue id, possibly ours, or somebody else's."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from orders import events, fold, matching, store
from orders.books import Books
from orders.cache import Cache
from orders.models import Anomaly, Attempt, Order
from orders.rows import OrderRow
from orders.states import Status
from tests.orders.scene import apply, attempt_of, fill, make_account, moved, queued, report, sending
from venues.messages import FillReport, OrderReport
from venues.models import Account


def find(account: Account, statement: OrderReport | FillReport) -> Order | None:
    with store.transaction() as books:
        return stored(matching.find(books, account.code, statement))


def adopt(account: Account, statement: OrderReport) -> Order | None:
    with store.transaction() as books:
        adopted = matching.adopt(books, account.code, statement)
    return stored(adopted)


def stored(row: OrderRow | None) -> Order | None:
    return Order.objects.get(pk=row.id) if row else None


def may_be_ours(account: Account, statement: OrderReport | FillReport, **options: bool) -> bool:
    return matching.may_be_ours(store.Store().symbols_in_doubt(account.code), statement, **options)


def test_an_order_is_found_by_the_id_we_sent_or_by_the_venues(account: Account) -> None:
    order = sending(account)
    client_id = Attempt.objects.get().venue_client_id
    assert find(account, report("open", venue_client_id=client_id)) == order
    assert find(account, report("open")) is None
    apply(order, report("open"))
    assert find(account, report("open")) == order and find(account, fill("t-1", "1")) == order
    assert find(account, report("open", symbol="ETH/USDT")) is None
    assert find(make_account(), report("open", venue_client_id=client_id)) is None


def test_a_statement_without_our_id_may_be_ours_while_a_submit_is_in_doubt(account: Account) -> None:
    order = sending(account)
    assert may_be_ours(account, report("open"))
    assert not may_be_ours(account, report("open", venue_client_id="somebody-elses"))
    assert not may_be_ours(account, report("open", symbol="ETH/USDT"))
    apply(order, report("open"))
    assert not may_be_ours(account, report("open", venue_order_id="v-2"))


def test_an_order_cached_before_another_owner_sent_it_may_be_ours(account: Account) -> None:
    order, cache = queued(account), Cache()
    Books(store.Store(), cache).load([order.pk])
    attempt = attempt_of(order)
    with store.transaction() as books:
        books.add_attempt(attempt)
        events.begin_submit(books, books.order(order.pk), attempt)
    assert may_be_ours(account, report("open"), ids_echoed=False)


def test_a_foreign_order_is_adopted_as_external_and_noted(account: Account) -> None:
    order = adopt(account, report("open", price=Decimal(5)))
    assert order is not None
    assert (order.status, order.is_external, order.venue_order_id, order.price, order.source) == (
        "open",
        True,
        "v-1",
        Decimal(5),
        "venue",
    )
    assert Anomaly.objects.get().kind == "external_order"
    assert find(account, fill("t-1", "0.4")) == order
    apply(order, fill("t-1", "0.4"))
    assert order.status == "partially_filled" and list(fold.differences()) == []


@pytest.mark.parametrize(
    "lacking", [{"venue_order_id": None}, {"side": None}, {"quantity": None}, {"quantity": Decimal(0)}], ids=str
)
def test_what_says_too_little_is_not_adopted(account: Account, lacking: dict[str, Any]) -> None:
    assert adopt(account, report("open", **lacking)) is None and not Order.objects.exists()


def test_an_absent_order_that_shows_up_is_ours_again(account: Account) -> None:
    order = moved(moved(sending(account), Status.UNKNOWN), Status.DENIED, code="SUBMIT_NOT_ACCEPTED")
    client_id = Attempt.objects.get().venue_client_id
    assert find(account, report("open", venue_client_id=client_id)) == order
    apply(order, report("open", venue_client_id=client_id))
    assert (order.status, order.reason_code) == ("open", "")


def test_a_twin_is_one_in_doubt_that_looks_the_same_and_has_no_venue_id(account: Account) -> None:
    order, twin = sending(account), sending(account)
    stored = store.Store()

    def has_twin() -> bool:
        with store.transaction() as books:
            return stored.has_twin_in_doubt(books.order(order.pk))

    assert has_twin()
    Order.objects.filter(pk=twin.pk).update(price=None)
    assert not has_twin()
    Order.objects.filter(pk=order.pk).update(price=None)
    assert has_twin(), "both at market"
    Order.objects.filter(pk=twin.pk).update(venue_order_id="v-9")
    assert not has_twin()
