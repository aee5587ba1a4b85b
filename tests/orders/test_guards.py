"""What the database itself refuses, whoever asks: an entry that does not balance, and a change of what only grows."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from orders.models import Fill, OrderEvent, Posting
from project.lib import feed
from project.lib.audit import record
from project.lib.models import AuditEntry
from reconciliation.models import BreakEvent
from tests import factories
from tests.orders.scene import apply, fill, make_account, sending
from venues.models import Account

pytestmark = pytest.mark.django_db
ONE = Decimal(1)


def legs(account: Account, *amounts: tuple[str, Decimal]) -> list[Posting]:
    entry = uuid.uuid4()
    return [
        Posting(entry=entry, leg=number, account=account, asset=asset, book="venue", amount=amount, cause="test")
        for number, (asset, amount) in enumerate(amounts)
    ]


def test_an_entry_that_does_not_balance_is_refused() -> None:
    account = make_account()
    Posting.objects.bulk_create(legs(account, ("BTC", ONE), ("BTC", -ONE)))
    for wrong in (
        legs(account, ("BTC", ONE)),
        legs(account, ("BTC", ONE), ("USDT", -ONE)),
        legs(account, ("BTC", ONE), ("BTC", -ONE - Decimal(1).scaleb(-18))),
    ):
        whole = legs(account, ("ETH", ONE), ("ETH", -ONE))
        with pytest.raises(IntegrityError, match=f"entry {wrong[0].entry} does not balance"), transaction.atomic():
            Posting.objects.bulk_create([*whole, *wrong])
    assert Posting.objects.count() == 2


def test_what_only_grows_is_neither_changed_nor_deleted() -> None:
    order = sending(make_account())
    apply(order, fill("t-1", "1"))
    with feed.transaction():
        record("ada", "limit.put", "limit 1")
    factories.BreakFactory.create().events.create(actor="ada", kind="noted")
    for model, field in (
        (Posting, "memo"), (Fill, "source"), (OrderEvent, "source"), (AuditEntry, "actor"), (BreakEvent, "actor"),
    ):  # fmt: skip
        table = model._meta.db_table
        before = list(model._default_manager.order_by("pk").values_list("pk", field))
        assert before
        for query in (f"UPDATE {table} SET {field} = 'other'", f"DELETE FROM {table}"):
            with (
                pytest.raises(IntegrityError, match=f"{table} only grows"),
                transaction.atomic(),
                connection.cursor() as cursor,
            ):
                cursor.execute(query)
        assert list(model._default_manager.order_by("pk").values_list("pk", field)) == before
