"""Taking a statement in: once, whole or not at all, by several people at once, at a cost that does not grow with its lines."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from project.lib.models import FeedEntry
from reconciliation import breaks as breaks_module
from reconciliation import statement_compare, statements
from reconciliation.models import Break, BreakEvent, Statement, StatementLine
from tests.reconciliation import builders, statement_files
from tests.reconciliation.statement_files import row, take, text
from venues.models import Account

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Account:
    return statement_files.account()


def test_the_same_file_twice_names_the_earlier_one(owner: Account) -> None:
    content, found = text(map(row, statement_files.trades(builders.order(owner), 3))), statement_files.mapping(owner)
    earlier = take(owner, found, content)
    with pytest.raises(statements.AlreadyImported, match=r"as june\.csv on .* by ada") as refusal:
        take(owner, found, content, "copy.csv")
    assert refusal.value.earlier == earlier and Statement.objects.count() == 1


def test_one_bad_line_and_nothing_is_taken_in(owner: Account) -> None:
    fills = statement_files.trades(builders.order(owner), 2500)
    rows = [row(fill) for fill in fills]
    rows[2400] |= {"price": "abc"}
    rows[10] |= {"quantity": "-1"}
    found = take(owner, statement_files.mapping(owner), text(rows))
    assert (found.status, found.lines, found.summary["problems"]) == ("refused", 0, 2)
    assert [(each["line"], each["column"], each["value"]) for each in found.problems] == [
        (12, "quantity", "-1"),
        (2402, "price", "abc"),
    ]
    assert (StatementLine.objects.count(), Break.objects.count(), BreakEvent.objects.count()) == (0, 0, 0)
    assert take(owner, statement_files.mapping(owner), text(map(row, fills))).summary["agreed"] == 2500


@pytest.mark.parametrize("place", ["count", "fold", "record"])
def test_killed_in_the_middle_leaves_nothing_and_again_does_it_once(
    owner: Account, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    fills = statement_files.trades(builders.order(owner), 5)
    content, found = text([row(fills[0], price="9"), *map(row, fills[1:])]), statement_files.mapping(owner)
    before = FeedEntry.objects.count()

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    target = {
        "count": (statement_compare, "count"),
        "fold": (breaks_module, "event"),
        "record": (statements, "_record"),
    }[place]
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(*target, die)
        take(owner, found, content)
    assert (Statement.objects.count(), StatementLine.objects.count(), Break.objects.count()) == (0, 0, 0)
    assert FeedEntry.objects.count() == before
    take(owner, found, content)
    assert (Statement.objects.count(), Break.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"window_from": builders.ago(10)}, "both ends of the period"),
        ({"covers": "some"}, "it covers one of all, named"),
    ],
)
def test_what_cannot_be_asked_is_refused(owner: Account, options: Any, words: str) -> None:
    with pytest.raises(statements.Refused, match=words):
        take(owner, statement_files.mapping(owner), text([]), **options)
    assert Statement.objects.count() == 0


def test_a_mapping_of_another_venue_is_refused(owner: Account) -> None:
    other = statement_files.account("other", "kraken")
    with pytest.raises(statements.Refused, match="the mapping is of venue kraken"):
        take(owner, statement_files.mapping(other), text([]))


def test_a_version_of_a_mapping_never_changes(owner: Account) -> None:
    found = statement_files.mapping(owner)
    assert statement_files.mapping(owner).version == 2
    found.label = "changed"
    with pytest.raises(Exception, match="only grows"):
        found.save()


def test_queries_do_not_grow_with_lines(owner: Account) -> None:
    first = statement_files.trades(builders.order(owner), 3, prefix="W")
    take(owner, statement_files.mapping(owner), text([row(first[0], price="7"), *map(row, first[1:])]), "first.csv")
    counts = []
    for number, count in enumerate((10, 400)):
        fills = statement_files.trades(builders.order(owner), count, since_days=19 - number * 10, prefix=f"Q{number}-")
        rows = [row(fill, price="101" if place % 5 == 0 else "100") for place, fill in enumerate(fills)]
        found, content = statement_files.mapping(owner), text(rows)
        with CaptureQueriesContext(connection) as counted:
            take(owner, found, content, f"{number}.csv")
        counts.append(len(counted))
    assert Break.objects.count() == 83 and counts[1] <= counts[0], counts


@pytest.mark.django_db(transaction=True)
def test_two_uploads_of_one_file_at_once_take_it_in_once() -> None:
    owner = statement_files.account()
    fills = statement_files.trades(builders.order(owner), 20)
    content, found = text([row(fills[0], fee="1"), *map(row, fills[1:])]), statement_files.mapping(owner)
    barrier, outcomes = threading.Barrier(3), list[str]()

    def upload() -> None:
        try:
            barrier.wait(timeout=30)
            outcomes.append(take(owner, found, content).status)
        except statements.AlreadyImported as refusal:
            outcomes.append(f"already {refusal.earlier.status}")
        finally:
            connection.close()

    threads = [threading.Thread(target=upload) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(outcomes) == ["already compared", "already compared", "compared"]
    assert (Statement.objects.count(), StatementLine.objects.count(), Break.objects.count()) == (1, 20, 1)
    assert Break.objects.get().delta == Decimal("0.95")
