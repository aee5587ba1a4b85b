"""replay --check and verify_ledger: silent on whole data, and every single stored figure that changes is named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import models

from orders import ledger
from orders.models import Balance, Fill, Order, OrderEvent, Position, Posting
from orders.states import Mutation, Status
from project.lib import feed
from tests.orders.scene import apply, fill, moved, queued, report, sending
from venues.models import Account

D = Decimal
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def books(account: Account) -> Account:
    """Return an account with a life: an opening, a filled order, a cancelled one, a late fill, a denied one, a queued one."""
    with feed.transaction():
        ledger.post_opening(account, {"USDT": D(100000), "BTC": D(2)})
    apply(sending(account, client_order_id="filled"), report("open"), fill("t-1", "0.4"), fill("t-2", "0.6", price=D(61000)))
    cancelled = sending(account, side="sell", client_order_id="late")
    apply(cancelled, report("cancelled", 1, venue_order_id="v-2"), fill("t-3", "0.3", 2, side="sell", venue_order_id="v-2"))
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
    assert run("replay", capsys, "--check") == (0, f"whole: {OrderEvent.objects.count()} events fold to 4 orders and their books\n")
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


@pytest.mark.parametrize(("field", "value"), ORDER, ids=lambda value: str(value)[:20])
def test_a_changed_order_is_named(books: Account, field: str, value: Any, capsys: Capture) -> None:
    order = Order.objects.get(client_order_id="filled")
    change(order, field, value)
    code, said = run("replay", capsys, "--check")
    assert code == 1 and f"order {order.pk}" in said


@pytest.mark.parametrize(("field", "value"), [("status_after", "open"), ("status_before", "queued"), ("status_before", ""), ("kind", "noted"), ("sequence", 999)])
def test_a_changed_event_is_named(books: Account, field: str, value: Any, capsys: Capture) -> None:
    event = OrderEvent.objects.filter(kind="fill").order_by("sequence")[1]
    change(event, field, value)
    code, said = run("replay", capsys, "--check")
    assert code == 1 and any(name in said for name in (f"order {event.order_id}", f"event {event.sequence}", "has no event"))


@pytest.mark.parametrize("name", ["quantity", "price", "quote_quantity", "fee", "fill"])
def test_a_changed_figure_in_an_event_is_named(books: Account, name: str, capsys: Capture) -> None:
    event = OrderEvent.objects.filter(kind="fill").order_by("sequence")[1]
    change(event, "data", {**event.data, name: "7"})
    code, said = run("replay", capsys, "--check")
    assert code == 1 and any(word in said for word in (f"order {event.order_id}", f"event {event.sequence}"))


def test_a_missing_event_is_named(books: Account, capsys: Capture) -> None:
    OrderEvent.objects.filter(kind="fill").delete()
    code, said = run("replay", capsys, "--check")
    assert code == 1 and "is missing" in said
    books.refresh_from_db()
    last = OrderEvent.objects.order_by("-sequence")[0]
    assert last.sequence == books.event_sequence


def test_a_missing_last_event_is_named(books: Account, capsys: Capture) -> None:
    OrderEvent.objects.order_by("-sequence")[0].delete()
    code, said = run("replay", capsys, "--check")
    assert code == 1 and "its counter says" in said


@pytest.mark.parametrize("field", ["price", "quantity", "quote_quantity", "fee"])
@pytest.mark.parametrize("command", ["replay", "verify_ledger"])
def test_a_changed_fill_is_named(books: Account, field: str, command: str, capsys: Capture) -> None:
    row = Fill.objects.get(venue_trade_id="t-2")
    change(row, field, getattr(row, field) + D(1).scaleb(-18))
    code, said = run(command, capsys)
    if (command, field) == ("verify_ledger", "price"):
        assert code == 0  # the ledger rests on the venue's own quote amount, not on price × quantity
    else:
        assert code == 1 and f"fill {row.pk}" in said


@pytest.mark.parametrize(("field", "value"), [("side", "sell"), ("symbol", "ETH/USDT"), ("fee_asset", "BNB")])
def test_a_changed_fact_of_a_fill_is_named(books: Account, field: str, value: str, capsys: Capture) -> None:
    row = Fill.objects.get(venue_trade_id="t-2")
    change(row, field, value)
    assert f"fill {row.pk}" in run("verify_ledger", capsys)[1]


@pytest.mark.parametrize("book", ["venue", "trading", "fees", "opening"])
def test_a_changed_posting_is_named(books: Account, book: str, capsys: Capture) -> None:
    posting = Posting.objects.filter(book=book).order_by("posted_at", "entry", "leg")[0]
    change(posting, "amount", posting.amount + D(1).scaleb(-18))
    code, said = run("verify_ledger", capsys)
    assert code == 1 and f"entry {posting.entry} does not balance in {posting.asset}" in said


@pytest.mark.parametrize("command", ["replay", "verify_ledger"])
def test_a_changed_balance_is_named(books: Account, command: str, capsys: Capture) -> None:
    balance = Balance.objects.get(asset="USDT")
    change(balance, "total", balance.total - D(1).scaleb(-18))
    code, said = run(command, capsys)
    assert code == 1 and f"balance {books.code} USDT" in said


@pytest.mark.parametrize("command", ["replay", "verify_ledger"])
def test_a_missing_balance_is_named(books: Account, command: str, capsys: Capture) -> None:
    Balance.objects.get(asset="USDT").delete()
    code, said = run(command, capsys)
    assert code == 1 and f"balance {books.code} USDT" in said


@pytest.mark.parametrize("field", ["quantity", "entry_price", "realised_pnl"])
def test_a_changed_position_is_named(books: Account, field: str, capsys: Capture) -> None:
    position = Position.objects.get()
    change(position, field, getattr(position, field) + D(1).scaleb(-18))
    code, said = run("replay", capsys, "--check")
    assert code == 1 and f"position {books.code} BTC/USDT" in said


def test_without_check_every_difference_is_listed(books: Account, capsys: Capture) -> None:
    for order in Order.objects.all():
        change(order, "version", 99)
    assert len(run("replay", capsys, "--check")[1].splitlines()) == 1
    code, said = run("replay", capsys)
    assert code == 1 and len(said.splitlines()) == 4


def change(row: models.Model, field: str, value: Any) -> None:
    """Change one stored figure behind the back of the code."""
    assert type(row)._default_manager.filter(pk=row.pk).update(**{field: value}) == 1
