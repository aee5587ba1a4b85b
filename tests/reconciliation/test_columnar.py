"""Fills by the million: the columns name what differs, the judge is the same, and what cannot be read concludes nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders.models import ToldSpan, VenueDigest
from project.lib import clock
from reconciliation import columnar, coverage, days, digests, runs, sides
from reconciliation.models import Break, Statement, StatementLine, StatementMapping
from tests.reconciliation import builders, plain
from tests.reconciliation.test_fast_fills import clean_read, fill_reads, row_of, trades, world
from venues.models import Account, Snapshot

pytestmark = pytest.mark.django_db
ROWS = (
    "SELECT venue_trade_id, symbol, side, price, quantity, coalesce(fee, 0) AS fee, coalesce(fee_asset, '') AS fee_asset, "
    "occurred_at AS executed_at FROM jsonb_to_recordset(%s::jsonb) AS r(venue_trade_id text, symbol text, side text, "
    "price numeric, quantity numeric, fee numeric, fee_asset text, occurred_at timestamptz)"
)


@pytest.fixture(autouse=True)
def columns_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar, "ROWS_PLAIN_MAX", -1)


def by_columns(snapshot: Snapshot) -> columnar.Compared:
    assert snapshot.window_from
    ours = columnar.booked(snapshot.account_id, snapshot.window_from, snapshot.taken_at)
    theirs = columnar.Side(ROWS, (json.dumps(snapshot.rows),))
    return columnar.compare(snapshot.account, ours, theirs, sides.reading(snapshot))


def differences(comparison: Any) -> list[tuple[object, ...]]:
    """Return what differs; only what was stored beside the figures of a trade is left out of the evidence."""
    listed = [
        (d.kind, d.subject, d.asset, d.ours, d.theirs, d.delta, d.amount, d.fill_id, d.evidence.get("fields")) for d in comparison.differences
    ]  # fmt: skip
    return sorted(listed, key=lambda each: each[:5])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trades, st.lists(st.integers(0, 9), max_size=40))
def test_the_columns_say_what_the_plain_way_says(drawn: list[tuple[str, int, str]], shuffle: list[int]) -> None:
    snapshot = world(drawn, shuffle)
    found, whole = by_columns(snapshot).comparison, plain.fills(snapshot)
    assert differences(found) == differences(whole)
    assert found.agreed <= whole.agreed and found.skipped == whole.skipped


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trades, st.lists(st.integers(0, 9), max_size=40), st.booleans())
def test_a_statement_says_the_same_by_minutes_and_whole(
    drawn: list[tuple[str, int, str]], shuffle: list[int], is_clean: bool
) -> None:
    drawn += [("same", second, "buy") for second in range(0, 300, 10) if is_clean]  # most minutes are equal or not
    snapshot = world(drawn, shuffle)
    owner, start, end = snapshot.account, builders.ago(1200), clock.now()
    once = {(row["symbol"], row["venue_trade_id"], row["side"]): row for row in snapshot.rows if row["occurred_at"]}
    statement = taken_in(owner, list(once.values()))  # a statement that tells a trade twice is refused
    start, end = digests.minute_of(start), digests.minute_of(end)
    whole = columnar.compare(
        owner, columnar.booked(owner.code, start, end), columnar.stated(statement.pk), days.reading_of(start)
    )
    found = days.against_statement(owner, statement, start, end)
    assert differences(found.comparison) == differences(whole.comparison)
    assert (found.ours, found.theirs) == (whole.ours, whole.theirs)
    assert found.comparison.skipped == whole.comparison.skipped


def taken_in(owner: Account, rows: list[dict[str, Any]]) -> Statement:
    mapping, _ = StatementMapping.objects.get_or_create(venue=owner.venue, version=1, created_by="anna")
    statement = Statement.objects.create(
        account=owner, mapping=mapping, filename="may.csv", digest="d", status="compared", imported_by="anna",
        window_from=digests.minute_of(builders.ago(600)), window_to=digests.minute_of(clock.now()) + digests.MINUTE,
    )  # fmt: skip
    StatementLine.objects.bulk_create(
        StatementLine(
            statement=statement, number=number, symbol=row["symbol"], side=row["side"], venue_trade_id=row["venue_trade_id"],
            price=row["price"], quantity=row["quantity"], fee=row["fee"], fee_asset=row["fee_asset"], executed_at=row["occurred_at"],
        )
        for number, row in enumerate(rows)
    )  # fmt: skip
    return statement


@pytest.fixture
def owner() -> Account:
    made = builders.account()
    coverage.ensure()
    return made


def kinds(found: columnar.Compared) -> list[tuple[str, str]]:
    return sorted((each.kind, each.subject) for each in found.comparison.differences)


def test_the_order_and_repetition_of_rows_mean_nothing(owner: Account) -> None:
    snapshot = clean_read(owner, 30)
    snapshot.rows = [*reversed(snapshot.rows), *snapshot.rows[3:9]]
    found = by_columns(snapshot)
    assert (found.ours, found.theirs, found.names, kinds(found)) == (30, 36, 0, [])


def test_a_trade_told_twice_with_other_content_differs(owner: Account) -> None:
    snapshot = clean_read(owner, 30)
    snapshot.rows += [{**snapshot.rows[4], "quantity": "0.500000000000000001"}]
    found = by_columns(snapshot)
    assert kinds(found) == [("fill_differs", "BTC/USDT T4 buy")]
    [difference] = found.comparison.differences
    assert difference.delta == Decimal("0.000000000000000001")


def test_a_trade_told_with_both_sides_and_booked_with_one_is_missing_and_not_turned(owner: Account) -> None:
    snapshot = clean_read(owner, 30)
    snapshot.rows += [{**snapshot.rows[4], "side": "sell"}]
    assert kinds(by_columns(snapshot)) == [("fill_missing_here", "BTC/USDT T4 sell")]


@pytest.mark.parametrize(
    "name", ['a"b', "a,b", "a\nb", "a\r\nb", "\\N", "", " ", "NULL", "#1", "é\x1f", "'; DROP TABLE ours; --"]
)
def test_a_trade_id_of_any_characters_is_the_same_on_both_sides(owner: Account, name: str) -> None:
    snapshot = clean_read(owner, 3)
    fill = builders.fill(builders.order(owner), name, builders.ago(100))
    snapshot.rows.append(row_of(fill))
    assert kinds(by_columns(snapshot)) == []
    snapshot.rows[-1] = {**snapshot.rows[-1], "price": "100.000000000000000001"}
    assert kinds(by_columns(snapshot)) == [("fill_differs", f"BTC/USDT {name} buy")]


def test_a_symbol_or_fee_asset_nobody_knows_is_compared_as_it_is_written(owner: Account) -> None:
    snapshot = clean_read(owner, 4)
    snapshot.rows[0] |= {"symbol": "NEVER/SEEN"}
    snapshot.rows[1] |= {"fee_asset": "NEVER"}
    assert kinds(by_columns(snapshot)) == [
        ("fee_differs", "BTC/USDT T1 buy"), ("fill_missing_at_venue", "BTC/USDT T0 buy"), ("fill_missing_here", "NEVER/SEEN T0 buy"),
    ]  # fmt: skip


def test_the_widest_numbers_pass_exactly(owner: Account) -> None:
    widest = Decimal("99999999999999999999.999999999999999999")
    fill = builders.fill(
        builders.order(owner), "T1", builders.ago(100), price=Decimal("0.000000000000000001"), quantity=widest
    )
    snapshot = builders.snapshot(owner, "fills", [row_of(fill)], seconds_ago=20)
    assert kinds(by_columns(snapshot)) == []
    snapshot.rows[0]["quantity"] = "99999999999999999999.999999999999999998"
    assert kinds(by_columns(snapshot)) == [("fill_differs", "BTC/USDT T1 buy")]


def cut_off(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def mistaken(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b",100", b",nine", 1))


@pytest.mark.parametrize("harm", [cut_off, torn, mistaken, Path.unlink])
@pytest.mark.parametrize("file", ["ours", "theirs"])
def test_a_side_that_is_not_read_whole_concludes_nothing(
    owner: Account, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], None], file: str
) -> None:
    snapshot, whole = clean_read(owner, 30), columnar.load

    def harmed(link: Any, table: str, path: Path) -> int:
        if table == file:
            harm(path)
        return whole(link, table, path)

    monkeypatch.setattr(columnar, "load", harmed)
    with pytest.raises(columnar.NotComparable, match="Nothing was concluded"):
        by_columns(snapshot)


def test_what_has_nothing_in_common_is_not_called_a_million_differences(
    owner: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columnar, "NAMES_MAX", 5)
    snapshot = clean_read(owner, 4)
    snapshot.rows = [{**row, "venue_trade_id": f"other-{row['venue_trade_id']}"} for row in snapshot.rows]
    with pytest.raises(columnar.NotComparable, match="account and period"):
        by_columns(snapshot)


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_both_sides_are_read_at_once_and_no_connection_stays(owner: Account) -> None:
    snapshot = clean_read(owner, 30)
    snapshot.rows[2]["fee"] = "0.06"
    assert kinds(by_columns(snapshot)) == [("fee_differs", "BTC/USDT T2 buy")]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'COPY%'"
        )
        assert cursor.fetchone() == (0,)


def span(owner: Account) -> tuple[datetime, datetime]:
    told = ToldSpan.objects.get(account=owner)
    return told.begins_at, told.ends_at


def ran(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("compare_fills", *arguments, stdout=out, stderr=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def asked(owner: Account) -> tuple[str, ...]:
    start, end = span(owner)
    return (owner.code, "--since", start.isoformat(), "--until", end.isoformat())


def test_a_clean_span_is_proved_without_reading_a_trade(owner: Account) -> None:
    clean_read(owner, 40)
    runs.advance()
    with CaptureQueriesContext(connection) as captured:
        assert days.prove(owner, *span(owner)).is_proved
    assert len(captured) == 1 and fill_reads(captured) == []
    assert ran(*asked(owner))[0] == 0


def test_what_differs_in_a_span_is_found_in_the_reads_that_told_it(owner: Account) -> None:
    clean_read(owner, 40)
    runs.advance()
    minute = VenueDigest.objects.order_by("minute")[0].minute  # one with trades: an empty one needs no rows to differ
    builders.fill(builders.order(owner), "T-stray", minute + timedelta(seconds=5))
    proof = days.prove(owner, *span(owner))
    assert [each.kind for each in proof.differences] == ["fill_missing_at_venue"] and not proof.is_proved
    code, said = ran(*asked(owner))
    assert code == 1 and "fill_missing_at_venue BTC/USDT T-stray buy" in said
    Snapshot.objects.all().delete()
    code, said = ran(*asked(owner))
    assert code == 2 and "not kept any more" in said and "--statement" in said


def test_minutes_that_nobody_told_are_neither_good_nor_bad(owner: Account) -> None:
    code, said = ran(owner.code)
    assert code == 2 and "1440 minutes were never told whole" in said


def test_a_statement_is_compared_the_same_way(owner: Account) -> None:
    snapshot = clean_read(owner, 30)
    statement = taken_in(owner, snapshot.rows)
    assert ran(owner.code, "--statement", str(statement.pk)) == (
        0,
        f"main: 30 fills beside 30 lines of statement {statement.pk}\nproved\n",
    )
    StatementLine.objects.filter(number=3).delete()
    code, said = ran(owner.code, "--statement", str(statement.pk))
    assert code == 1 and "fill_missing_at_venue BTC/USDT T3 buy" in said
    assert not Break.objects.exists()  # the command proves; runs make breaks
    for partly in ({"covers": "named"}, {"fees_compared": False}):
        statement.summary = partly
        statement.save()
        with pytest.raises(CommandError, match="its page says"):
            ran(owner.code, "--statement", str(statement.pk))
    statement.status = "refused"
    statement.save()
    with pytest.raises(CommandError, match="taken in"):
        ran(owner.code, "--statement", str(statement.pk))


@pytest.mark.parametrize(
    "arguments", [("nobody",), ("main", "--since", "soon"), ("main", "--since", "2026-05-31T10:00:30"), ("main", "--since", "2026-05-31", "--until", "2026-05-30")]
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused_in_words(owner: Account, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r"Nothing was compared|Write a day"):
        ran(*arguments)
