"""The month of fills that `make bench` compares is made as the tables are now, and its differences are found as planted."""

from __future__ import annotations

from collections import Counter

import pytest

from bench import fills
from reconciliation import columnar, days
from reconciliation.models import Statement, StatementMapping
from tests import factories


@pytest.mark.django_db(transaction=True)
def test_what_the_bench_plants_is_found() -> None:
    account = factories.AccountFactory(opened_at=fills.MONTH)
    mapping = StatementMapping.objects.create(venue=account.venue, version=1, created_by="bench")
    statement = Statement.objects.create(
        account=account, mapping=mapping, filename="month.csv", digest="d", status="compared", imported_by="bench",
        window_from=fills.MONTH, window_to=fills.MONTH + fills.MONTH_LENGTH,
    )  # fmt: skip
    fills.book(account.code, 0, 599, 600)
    fills.state(statement.pk, 600)
    fills.tell(account.code, statement.pk)
    span = (fills.MONTH, fills.MONTH + fills.MONTH_LENGTH)
    assert days.prove(account, *span).is_proved
    wanted = fills.plant(statement.pk, 600, 60)
    found = days.against_statement(account, statement, *span)
    assert Counter(each.kind for each in found.comparison.differences) == wanted
    ours, theirs = columnar.booked(account.code, *span), columnar.stated(statement.pk)
    whole = columnar.compare(account, ours, theirs, days.reading_of(span[0]))
    assert Counter(each.kind for each in whole.comparison.differences) == wanted
