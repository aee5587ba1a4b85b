"""Written by the set or one by one, a thousand statements leave the same rows; and no account waits for another's."""

from __future__ import annotations

import dataclasses
import random
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Max

from orders import desk, fold, store, sweeps
from orders.models import Anomaly, Attempt, Balance, Fill, Order, OrderEvent, Position, Posting
from orders.rows import AttemptRow
from orders.service import Service
from orders.states import Status
from project.lib import clock, ids
from tests.factories import OrderFactory
from tests.orders.scene import fill, make_account, moved, queued, report, sending
from venues.messages import FillReport, OrderReport
from venues.models import Account

pytestmark = pytest.mark.django_db
ORDERS, STATEMENTS = 40, 1000


def statements() -> list[OrderReport | FillReport]:
    """Return what a busy account's venue says: trades, some twice, some of unknown orders, then how the orders ended."""
    chance = random.Random(7)
    said: list[OrderReport | FillReport] = []
    for number in range(STATEMENTS - 2 * ORDERS):
        [side], of = (
            chance.choices(["buy", "sell"], (9, 1)),
            chance.randrange(ORDERS + 1),
        )  # a turned trade is not booked
        said.append(
            fill(
                f"t-{number - (number % 10 == 9)}", str(Decimal(chance.randrange(1, 90)) / 1000), number / 10,
                side="buy" if number % 10 > 7 else side, price=Decimal(chance.randrange(59000, 61000)), venue_order_id=f"v-{of}",
            )
        )  # fmt: skip
    said += [report("open", 200, venue_order_id=f"v-{number}") for number in range(ORDERS)]
    for number in range(ORDERS):
        status = chance.choice(["cancelled", "expired", "filled"])
        said.append(report(status, 300, venue_order_id=f"v-{number}"))
    return said


def opened(code: str) -> Account:
    account = make_account(code=code)
    for number in range(ORDERS):
        moved(sending(account, client_order_id=f"o-{number}"), Status.OPEN, venue_order_id=f"v-{number}")
    return account


def applied(service: Service, *, at_once: bool) -> list[OrderReport | FillReport]:
    said, unmatched = statements(), list[OrderReport | FillReport]()
    for listed in [said] if at_once else [[statement] for statement in said]:
        with store.transaction() as books:
            unmatched += sweeps.apply_reports(books, service, listed, source="stream")
    return unmatched


def rows(account: Account) -> dict[str, Any]:
    """Return everything an account has, named by what the venue and the client call it, without our own ids and times."""
    names = dict(Order.objects.filter(account=account).values_list("pk", "client_order_id"))
    trades = {str(pk): trade for pk, trade in Fill.objects.filter(account=account).values_list("pk", "venue_trade_id")}

    def told(data: dict[str, Any]) -> dict[str, Any]:
        return {key: trades.get(value, value) if isinstance(value, str) else value for key, value in data.items()}

    orders = Order.objects.filter(account=account).order_by("client_order_id")
    log = [
        (names[e.order_id], e.kind, e.status_before, e.status_after, told(e.data), e.occurred_at)
        for e in OrderEvent.objects.filter(account=account).order_by("sequence")
        if e.kind != "sending"
    ]
    return {
        "orders": list(
            orders.values_list(
                "client_order_id", "status", "mutation", "filled_quantity", "filled_value", "reason_code", "venue_order_id", "version",
                "ended_at",
            )
        ),
        "fills": list(
            Fill.objects.filter(account=account).order_by("venue_trade_id", "side").values_list(
                "venue_trade_id", "order__client_order_id", "side", "price", "quantity", "quote_quantity", "fee", "fee_asset", "executed_at"
            )
        ),
        "postings": sorted(
            Posting.objects.filter(account=account).values_list("fill__venue_trade_id", "leg", "asset", "book", "amount", "cause")
        ),
        "balances": sorted(Balance.objects.filter(account=account).values_list("asset", "total")),
        "positions": sorted(
            Position.objects.filter(account=account).values_list("symbol", "quantity", "entry_price", "realised_pnl")
        ),
        "anomalies": sorted(Anomaly.objects.filter(account=account).values_list("kind", "order__client_order_id")),
        "log": log,
    }  # fmt: skip


def test_a_thousand_statements_at_once_equal_the_same_one_by_one(service: Service) -> None:
    together, alone = opened("together"), opened("alone")
    results = [
        applied(dataclasses.replace(service, account=account.code), at_once=at_once)
        for account, at_once in ((together, True), (alone, False))
    ]
    assert results[0] == results[1] and 0 < len(results[0]) < 50
    first, second = rows(together), rows(alone)
    for name in first:
        assert first[name] == second[name], name
    assert len(first["fills"]) > 600 and {row[1] for row in first["orders"]} >= {
        "filled",
        "partially_filled",
        "cancelled",
    }
    assert {kind for kind, _ in first["anomalies"]} >= {"overfill"}
    for account in (together, alone):
        numbers = OrderEvent.objects.filter(account=account)
        assert numbers.count() == numbers.aggregate(last=Max("sequence"))["last"]
    assert list(fold.differences()) == []


def test_what_is_stored_is_read_back_as_it_was(account: Account) -> None:
    order = sending(account)
    with store.transaction() as books:
        attempt = AttemptRow(
            id=ids.new_id(), order=order.pk, account=account.code, action="amend", venue_client_id='g"{1},\\', epoch=1,
            request_digest="", window_ms=1, valid_until=None, sent_at=clock.now(),
            request={"how": "replace", "n": [1, None, "NULL", 'a"\\,{}']},
        )  # fmt: skip
        books.add_attempt(attempt)
        attempt.evidence = [{"answer": '😀 {"x"}, NULL'}]
        books.change_attempt(attempt)
    with store.transaction() as books:
        read = books.attempt(order.pk, attempt.id)
    assert dataclasses.asdict(read) == dataclasses.asdict(attempt)
    stored = Attempt.objects.get(pk=attempt.id)
    assert (stored.request, stored.evidence, stored.venue_client_id) == (
        attempt.request,
        attempt.evidence,
        'g"{1},\\',
    )


def test_five_hundred_stuck_orders_hold_no_other_account_back(account: Account) -> None:
    stuck = make_account()
    Order.objects.bulk_create(OrderFactory.build_batch(500, account=stuck, status="queued"))
    order = queued(account)
    with store.transaction() as books:
        waiting = books.store.waiting([stuck.code, account.code])
    assert waiting.queued[account.code] == [order.pk]
    oldest = Order.objects.filter(account=stuck).order_by("created_at", "id").values_list("pk", flat=True)
    assert waiting.queued[stuck.code] == list(oldest[: desk.WAITING_MAX]) and desk.WAITING_MAX < 500


def test_what_waits_of_accounts_not_asked_about_is_left_alone(account: Account) -> None:
    queued(make_account())
    with store.transaction() as books:
        waiting = books.store.waiting([account.code])
    assert dict(waiting.queued) == {} and dict(waiting.wishes) == {} and set(waiting.settings) == {account.code}
