"""replay --check and verify_ledger: silent on whole data, and every single stored figure that changes is named."""

from __future__ import annotations

import importlib
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, models, transaction
from django.db.migrations import RunSQL

from orders import events, ledger, store
from orders.models import Balance, Fill, Order, OrderEvent, Position, Posting
from orders.states import Mutation, Status
from project.lib import clock
from tests.factories import unguarded
from tests.orders.scene import apply, at, fill, moved, queued, report, sending
from venues.models import Account

D = Decimal
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def books(account: Account) -> Account:
    """Return an account with a life: an opening, a filled order, a cancelled one, a late fill, a denied one, a queued one."""
    with store.transaction() as rows:
        ledger.post_opening(rows, account.code, {"USDT": D(100000), "BTC": D(2)})
    apply(
        sending(account, client_order_id="filled"),
        report("open"),
        fill("t-1", "0.4"),
        fill("t-2", "0.6", price=D(61000)),
    )
    cancelled = sending(account, side="sell", client_order_id="late")
    apply(
        cancelled,
        report("cancelled", 1, venue_order_id="v-2"),
        fill("t-3", "0.3", 2, side="sell", venue_order_id="v-2"),
    )
    changed = moved(sending(account, client_order_id="amended"), Status.OPEN, venue_order_id="v-4")
    for values in ({"price": "60500", "quantity": "1.5"}, {"price": "60400"}):
        with store.transaction() as rows:
            events.amend(rows, rows.order(changed.pk), "amended", values, source="venue", received_at=at(5))
    moved(queued(account), Status.DENIED, code="TRADING_HALTED", mutation=Mutation.NONE)
    queued(account)
    return account


def run(command: str, capsys: Capture, *options: str) -> tuple[int, str]:
    capsys.readouterr()
    try:
        call_command(command, *options)
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    return code, capsys.readouterr().out


def test_whole_data_is_whole(books: Account, capsys: Capture) -> None:
    assert run("replay", capsys, "--check") == (
        0,
        f"whole: {OrderEvent.objects.count()} events fold to 5 orders and their books\n",
    )
    code, said = run("verify_ledger", capsys)
    assert code == 0 and said.startswith(f"whole: {Posting.objects.count()} postings in 5 entries balance")


@pytest.mark.django_db
def test_no_data_is_whole(capsys: Capture) -> None:
    assert (run("replay", capsys, "--check")[0], run("verify_ledger", capsys)[0]) == (0, 0)


ORDER = [
    ("status", "open"), ("mutation", "cancel_pending"), ("filled_quantity", D("0.9")), ("filled_value", D("1")), ("quantity", D("2")),
    ("price", D("60000.01")), ("side", "sell"), ("symbol", "ETH/USDT"), ("type", "market"), ("time_in_force", "ioc"), ("version", 99),
    ("venue_order_id", "v-99"), ("client_order_id", "other"), ("post_only", True), ("strategy", "mine"), ("body_digest", "0" * 64),
]  # fmt: skip


def test_every_changed_figure_of_an_order_is_named(books: Account, capsys: Capture) -> None:
    order = Order.objects.get(client_order_id="filled")
    for field, value in ORDER:
        code, said = after_change(order, field, value, "replay", capsys)
        assert code == 1 and f"order {order.pk}" in said, field


def test_every_changed_figure_of_an_amended_order_is_named(books: Account, capsys: Capture) -> None:
    order = Order.objects.get(client_order_id="amended")
    assert (order.quantity, order.price) == (D("1.5"), D(60400))
    for field, value in (
        ("quantity", D(1)),
        ("price", D(60500)),
        ("price", D(60000)),
        ("side", "sell"),
        ("strategy", "mine"),
    ):
        code, said = after_change(order, field, value, "replay", capsys)
        assert code == 1 and f"order {order.pk}" in said, (field, value)
    event = OrderEvent.objects.filter(kind="amended").order_by("sequence")[1]
    for values in ({"before": {"price": "1"}}, {"after": {"price": "1"}}):
        code, said = after_change(event, "data", {**event.data, **values}, "replay", capsys)
        assert code == 1 and f"order {order.pk}" in said, values


def test_when_an_order_ended_is_of_the_log(books: Account, capsys: Capture) -> None:
    for order in Order.objects.all():
        moment = order.ended_at + timedelta(microseconds=1) if order.ended_at else clock.now()
        code, said = after_change(order, "ended_at", moment, "replay", capsys)
        assert code == 1 and f"order {order.pk}" in said, order.client_order_id
    assert Order.objects.exclude(ended_at=None).count() == 2


def test_the_end_of_orders_older_than_its_column_comes_from_the_log(books: Account, capsys: Capture) -> None:
    Order.objects.update(ended_at=None)
    assert run("replay", capsys, "--check")[0] == 1
    migration = importlib.import_module("orders.migrations.0002_order_groups_triggers_and_replacements").Migration
    [backfill] = [step for step in migration.operations if isinstance(step, RunSQL)]
    with connection.cursor() as cursor:
        cursor.execute(str(backfill.sql))
    assert run("replay", capsys, "--check")[0] == 0


EVENT = [
    ("status_after", "open"),
    ("status_before", "queued"),
    ("status_before", ""),
    ("kind", "noted"),
    ("sequence", 999),
]
IN_EVENT = ["quantity", "price", "quote_quantity", "fee", "fill"]


def test_every_changed_figure_of_an_event_is_named(books: Account, capsys: Capture) -> None:
    event = OrderEvent.objects.filter(kind="fill").order_by("sequence")[1]
    names = (f"order {event.order_id}", f"event {event.sequence}", "has no event")
    for field, value in [*EVENT, *(("data", {**event.data, name: "7"}) for name in IN_EVENT)]:
        code, said = after_change(event, field, value, "replay", capsys)
        assert code == 1 and any(name in said for name in names), (field, value)


def test_a_missing_event_is_named(books: Account, capsys: Capture) -> None:
    with unguarded():
        OrderEvent.objects.filter(kind="fill").delete()
    code, said = run("replay", capsys, "--check")
    assert code == 1 and "is missing" in said
    books.refresh_from_db()
    last = OrderEvent.objects.order_by("-sequence")[0]
    assert last.sequence == books.event_sequence


def test_a_missing_last_event_is_named(books: Account, capsys: Capture) -> None:
    with unguarded():
        OrderEvent.objects.order_by("-sequence")[0].delete()
    code, said = run("replay", capsys, "--check")
    assert code == 1 and "its counter says" in said


def test_every_changed_figure_of_a_fill_is_named(books: Account, capsys: Capture) -> None:
    row = Fill.objects.get(venue_trade_id="t-2")
    for field in ("price", "quantity", "quote_quantity", "fee"):
        value = getattr(row, field) + D(1).scaleb(-18)
        code, said = after_change(row, field, value, "replay", capsys)
        assert code == 1 and f"fill {row.pk}" in said, field
    # the ledger rests on the venue's own quote amount, not on price × quantity: a price is replay's to find
    for field, other in (
        ("quantity", D(2)),
        ("quote_quantity", D(2)),
        ("fee", D(2)),
        ("side", "sell"),
        ("symbol", "ETH/USDT"),
        ("fee_asset", "BNB"),
    ):
        code, said = after_change(row, field, other, "verify_ledger", capsys)
        assert code == 1 and f"fill {row.pk}" in said, field


def test_every_changed_posting_is_named(books: Account, capsys: Capture) -> None:
    postings = list(Posting.objects.all())
    assert {posting.book for posting in postings} == {"venue", "trading", "fees", "opening"}
    for posting in postings:
        code, said = after_change(posting, "amount", posting.amount + D(1).scaleb(-18), "verify_ledger", capsys)
        assert code == 1 and said.startswith(f"posting {posting.pk} ")


@pytest.mark.parametrize("command", ["replay", "verify_ledger"])
def test_a_changed_or_missing_balance_is_named(books: Account, command: str, capsys: Capture) -> None:
    for balance in Balance.objects.all():
        code, said = after_change(balance, "total", balance.total - D(1).scaleb(-18), command, capsys)
        assert code == 1 and f"balance {books.code} {balance.asset}" in said
    Balance.objects.get(asset="USDT").delete()
    code, said = run(command, capsys)
    assert code == 1 and f"balance {books.code} USDT" in said


def test_every_changed_figure_of_a_position_is_named(books: Account, capsys: Capture) -> None:
    position = Position.objects.get()
    for field in ("quantity", "entry_price", "realised_pnl"):
        for command in ("replay", "verify_ledger"):
            code, said = after_change(position, field, getattr(position, field) + D(1).scaleb(-18), command, capsys)
            assert code == 1 and f"position {books.code} BTC/USDT" in said, field


def test_without_check_every_difference_is_listed(books: Account, capsys: Capture) -> None:
    for order in Order.objects.all():
        change(order, "version", 99)
    assert len(run("replay", capsys, "--check")[1].splitlines()) == 1
    code, said = run("replay", capsys)
    assert code == 1 and len(said.splitlines()) == 5


def change(row: models.Model, field: str, value: Any) -> None:
    with unguarded():
        assert type(row)._default_manager.filter(pk=row.pk).update(**{field: value}) == 1


def after_change(row: models.Model, field: str, value: Any, command: str, capsys: Capture) -> tuple[int, str]:
    """Change one stored figure behind the back of the code, run the command, and put the figure back."""
    with transaction.atomic():
        change(row, field, value)
        result = run(command, capsys)
        transaction.set_rollback(True)
    return result
