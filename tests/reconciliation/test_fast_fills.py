"""Fills compared by digests first: whatever differs, the result is that of comparing every row; what is clean reads nothing."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders.models import Fill, ToldSpan, VenueDigest
from project.lib import clock, decimals
from reconciliation import breaks, coverage, digests, minutes, runs, sides
from reconciliation.models import Break, Coverage
from tests.reconciliation import builders, plain
from venues.models import Account, Snapshot

pytestmark = pytest.mark.django_db
codes = itertools.count()
WINDOW_SECONDS = 300
FATES = (
    "same", "same", "same", "same", "not_here", "not_there", "price", "quantity", "fee", "fee_asset", "side", "moved", "untimed",
    "twice", "contradicted", "turned_too", "free", "young", "zeros", "other_symbol",
)  # fmt: skip
trades = st.lists(st.tuples(st.sampled_from(FATES), st.integers(-30, WINDOW_SECONDS + 2), st.sampled_from(["buy", "sell"])), max_size=24)  # fmt: skip


def row_of(fill: Fill, **values: Any) -> dict[str, Any]:
    return builders.fill_row(fill.venue_trade_id, fill.executed_at, symbol=fill.symbol, side=fill.side,
                             price=decimals.write(fill.price), quantity=decimals.write(fill.quantity),
                             fee=decimals.write(fill.fee), fee_asset=fill.fee_asset, **values)  # fmt: skip


def planted(fill: Fill, fate: str) -> tuple[bool, list[dict[str, Any]]]:
    """Return whether we book the trade, and the rows by which the venue tells it."""
    row = row_of(fill)
    turned = {**row, "side": "sell" if fill.side == "buy" else "buy"}
    later = (fill.executed_at + timedelta(seconds=70)).isoformat()
    rows = {
        "not_there": [], "price": [{**row, "price": "100.000000000000000001"}], "quantity": [{**row, "quantity": "0.4"}],
        "fee": [{**row, "fee": "-0.05"}], "fee_asset": [{**row, "fee_asset": "BNB"}], "side": [turned],
        "moved": [{**row, "occurred_at": later}], "untimed": [{**row, "occurred_at": None}], "twice": [row, dict(row)],
        "contradicted": [row, {**row, "price": "99", "occurred_at": later}], "turned_too": [turned, row],
        "zeros": [{**row, "price": "100.00"}], "other_symbol": [row, {**row, "symbol": "NEW/COIN"}],
    }.get(fate, [row])  # fmt: skip
    return fate != "not_here", rows


def world(drawn: list[tuple[str, int, str]], shuffle: list[int]) -> Snapshot:
    """Book what we have of the drawn trades and store the read that tells the venue's side of them."""
    owner = builders.account(f"account-{next(codes)}")
    requested_at, order = builders.ago(400), builders.order(owner)
    booked, rows = [], list[dict[str, Any]]()
    for number, (fate, second, side) in enumerate(drawn):
        at = requested_at - timedelta(seconds=WINDOW_SECONDS - second)
        fill = Fill(
            order=order, account=owner, symbol=["BTC/USDT", "ETH/USDT"][number % 2], side=side, price=Decimal(100),
            quantity=Decimal("0.5"), quote_quantity=Decimal(50), fee=Decimal(0) if fate == "free" else Decimal("0.05"),
            fee_asset="USDT", venue_trade_id=f"t{number // 2}", venue_order_id="V1", source="rest", executed_at=at,
            recorded_at=clock.now() if fate == "young" else at,
        )  # fmt: skip
        is_ours, told = planted(fill, fate)
        booked += [fill] if is_ours else []
        rows += told
    Fill.objects.bulk_create(booked)
    rows = [row for _, row in sorted(zip(itertools.chain(shuffle, itertools.repeat(0)), rows, strict=False), key=lambda pair: pair[0])]  # fmt: skip
    window_from = requested_at - timedelta(seconds=WINDOW_SECONDS)
    return builders.snapshot(owner, "fills", rows, seconds_ago=400, window_from=window_from)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trades, st.lists(st.integers(0, 9), max_size=40))
def test_the_fast_way_says_what_the_plain_way_says(drawn: list[tuple[str, int, str]], shuffle: list[int]) -> None:
    snapshot = world(drawn, shuffle)
    assert plain.told(sides.comparison(snapshot, [])) == plain.told(plain.fills(snapshot))
    runs_once_and_again(snapshot)


def runs_once_and_again(snapshot: Snapshot) -> None:
    """Make breaks of what differs; the next comparison, which knows them, is the same by both ways too."""
    coverage.ensure()
    runs.advance()
    existing = list(Break.objects.filter(account=snapshot.account_id))
    emptied = Snapshot(
        **{**{f.attname: getattr(snapshot, f.attname) for f in Snapshot._meta.fields}, "rows": snapshot.rows[::2]}
    )
    assert plain.told(sides.comparison(emptied, existing)) == plain.told(plain.fills(emptied, existing))


@pytest.fixture
def owner() -> Account:
    made = builders.account()
    coverage.ensure()
    return made


def clean_read(owner: Account, count: int, seconds_ago: float = 30) -> Snapshot:
    order = builders.order(owner)
    fills = [builders.fill(order, f"T{number}", builders.ago(40 + 5 * number % 250)) for number in range(count)]
    return builders.snapshot(owner, "fills", [row_of(fill) for fill in fills], seconds_ago=seconds_ago)


def fill_reads(captured: CaptureQueriesContext) -> list[str]:
    return [
        query["sql"]
        for query in captured.captured_queries
        if "orders_fill" in query["sql"].replace("orders_filldigest", "")
    ]


def test_a_clean_window_reads_no_fill(owner: Account) -> None:
    snapshot = clean_read(owner, 30)
    with CaptureQueriesContext(connection) as captured:
        comparison = sides.comparison(snapshot, [])
    assert (len(comparison.agreed), comparison.differences, fill_reads(captured)) == (30, (), [])
    runs.advance()
    row = Coverage.objects.get(surface="fills")
    assert (row.status, row.summary["agreed"]) == ("proved", 30)


def test_only_the_minutes_that_differ_are_read(owner: Account) -> None:
    snapshot = clean_read(owner, 60)
    snapshot.rows[0]["price"] = "100.01"
    left = minutes.left_of(snapshot, [])
    minute = digests.minute_of(Fill.objects.get(venue_trade_id=snapshot.rows[0]["venue_trade_id"]).executed_at)
    told = [row for row in snapshot.rows if row["occurred_at"] >= minute.isoformat()]
    assert 0 < len(left.rows) < 60 and len(left.booked) == len(left.rows)
    assert {digests.minute_of(fill.executed_at) for fill in left.booked} == {minute}
    assert {row["venue_trade_id"] for row in left.rows} <= {row["venue_trade_id"] for row in told}
    assert [each.kind for each in sides.comparison(snapshot, []).differences] == ["fill_differs"]


def test_a_break_closes_when_its_minute_agrees_by_digest(owner: Account) -> None:
    snapshot = clean_read(owner, 5)
    rows = [*snapshot.rows, builders.fill_row("T-late", builders.ago(100))]
    builders.snapshot(owner, "fills", rows, seconds_ago=20)
    runs.advance()
    assert [row.kind for row in Break.objects.all()] == ["fill_missing_here"]
    builders.fill(builders.order(owner), "T-late", datetime.fromisoformat(rows[-1]["occurred_at"]))
    again = builders.snapshot(owner, "fills", rows, seconds_ago=5)
    assert minutes.left_of(again, []).rows == []
    runs.advance()
    assert [(row.status, row.resolved_by) for row in Break.objects.all()] == [("resolved", breaks.RULE)]


def beside(owner: Account) -> minutes.Beside:
    end = digests.minute_of(clock.now())
    return minutes.beside(owner.code, end - timedelta(minutes=20), end)


def test_good_reads_tell_whole_minutes_and_the_digests_prove_them(owner: Account) -> None:
    assert beside(owner).untold == 20 and not beside(owner).is_proved
    clean_read(owner, 40)
    runs.advance()
    told = beside(owner)
    assert 3 <= told.told <= 4 and told.differing == [] and told.untold == 20 - told.told
    span = ToldSpan.objects.get()
    assert span.begins_at > builders.ago(331) and span.ends_at <= builders.ago(32)
    assert minutes.beside(owner.code, span.begins_at, span.ends_at).is_proved
    # a trade booked into a minute that was told without it: no row is read, and it is not proved any more
    builders.fill(builders.order(owner), "T-stray", span.begins_at + timedelta(seconds=1))
    assert beside(owner).differing == [span.begins_at]
    # of a minute that was never told, nothing is said
    builders.fill(builders.order(owner), "T-old", builders.ago(900))
    assert beside(owner).differing == [span.begins_at]


def test_reads_that_overlap_or_touch_make_one_span_and_a_hole_stays_a_hole(owner: Account) -> None:
    for seconds_ago, window in ((2400, 300), (1200, 300), (1000, 300), (700, 450)):
        requested_at = builders.ago(seconds_ago)
        builders.snapshot(
            owner, "fills", [], seconds_ago=seconds_ago, window_from=requested_at - timedelta(seconds=window)
        )
        runs.advance()
    assert ToldSpan.objects.count() == 2
    builders.snapshot(owner, "fills", [], seconds_ago=10, window_from=builders.ago(3600))
    runs.advance()
    span = ToldSpan.objects.get()
    assert span.ends_at - span.begins_at >= timedelta(minutes=57)


def test_a_later_read_replaces_what_an_earlier_one_told(owner: Account) -> None:
    snapshot = clean_read(owner, 40)
    runs.advance()
    before = VenueDigest.objects.count()
    assert before
    middle = VenueDigest.objects.order_by("minute")[1].minute  # minutes with more trades than one, away from both edges
    gone = next(row for row in snapshot.rows if digests.minute_of(datetime.fromisoformat(row["occurred_at"])) == middle)
    later = builders.snapshot(owner, "fills", [row for row in snapshot.rows if row is not gone], seconds_ago=20)
    runs.advance()
    assert VenueDigest.objects.get(minute=middle).snapshot_number == later.id
    builders.snapshot(owner, "fills", [], seconds_ago=10)
    runs.advance()
    assert VenueDigest.objects.count() < before


@pytest.mark.parametrize("status", ["partial", "failed", "unsupported"])
def test_a_read_that_is_not_good_tells_no_minute(owner: Account, status: str) -> None:
    builders.snapshot(owner, "fills", [], seconds_ago=20, status=status, error="cut off")
    runs.advance()
    assert not ToldSpan.objects.exists() and not VenueDigest.objects.exists()


def test_where_a_trade_has_no_time_no_minute_is_called_whole(owner: Account) -> None:
    fill = builders.fill(builders.order(owner), "T1", builders.ago(60))
    builders.snapshot(owner, "fills", [row_of(fill), row_of(fill, occurred_at=None)], seconds_ago=20)
    runs.advance()
    assert not ToldSpan.objects.exists()


@pytest.mark.parametrize("row", [{}, {"malformed": "cut off", "raw": "{"}, [], "text", {"symbol": None}, None])
def test_a_stored_row_that_is_no_trade_fails_the_surface(owner: Account, row: Any) -> None:
    snapshot = clean_read(owner, 3)
    builders.snapshot(owner, "fills", [*snapshot.rows, row], seconds_ago=10)
    runs.advance()
    assert Coverage.objects.get(surface="fills").status == "failed"
    assert not Break.objects.exists() and not ToldSpan.objects.exists()
