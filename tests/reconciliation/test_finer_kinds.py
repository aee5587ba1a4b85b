"""Frozen balances, streams that contradict the venue's lists, and names that no instrument knows, on a real database."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders import store
from orders.models import Anomaly, Balance, OrderEvent
from project.lib import clock
from reconciliation import anomalies, coverage, resolutions, runs
from reconciliation.models import Break, Coverage
from tests import factories
from tests.reconciliation import builders
from venues.messages import BalanceReport
from venues.models import Account

D = Decimal
pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Account:
    account = builders.account()
    coverage.ensure()
    builders.opening(account, BTC="2", USDT="1000")
    return account


def rows(held: str = "0", **totals: str) -> list[dict[str, Any]]:
    totals = {"BTC": "2", "USDT": "1000", **totals}
    listed = builders.balance_rows(**totals)
    for row in listed:
        row["held"] = held if row["asset"] == "USDT" else "0"
    return listed


def read(owner: Account, seconds_ago: float, held: str = "0", **totals: str) -> None:
    builders.snapshot(owner, "balances", rows(held, **totals), seconds_ago=seconds_ago)
    runs.advance()


def told() -> list[tuple[str, str, str]]:
    return list(Break.objects.order_by("kind", "subject").values_list("kind", "subject", "status"))


def test_a_frozen_balance_opens_by_the_second_quiet_read_and_closes_when_it_is_free(owner: Account) -> None:
    read(owner, 40, held="250")
    assert told() == [("balance_frozen", "USDT held", "suspected")]
    read(owner, 30, held="250")
    row = Break.objects.get()
    assert (row.status, row.delta, row.severity, row.severity_usd) == ("open", D(250), "medium", D("250.00"))
    read(owner, 20)
    row.refresh_from_db()
    assert (row.status, row.resolution) == ("resolved", "automatic")
    assert Coverage.objects.get(surface="balances").status == "proved"


def test_a_frozen_part_stays_the_same_while_the_total_moves(owner: Account) -> None:
    read(owner, 60, held="250")
    builders.opening(owner, USDT="50")
    read(owner, 50, held="250", USDT="1050")
    row = Break.objects.get()
    assert (row.status, row.seen_count, row.version) == ("open", 2, 0)
    resolutions.explain(row, "anna", "collateral of a loan")
    builders.opening(owner, USDT="7")
    read(owner, 40, held="250", USDT="1057")
    assert Break.objects.count() == 1, "what is explained is the part held back, whatever the total is"
    read(owner, 30, held="251", USDT="1057")
    assert told() == [("balance_frozen", "USDT held", "resolved"), ("balance_frozen", "USDT held", "suspected")]


def test_an_orphan_position_stays_the_same_while_the_contract_is_traded(owner: Account) -> None:
    contract, held = "BTC/USD:BTC", factories.PositionFactory(account=owner, symbol="BTC/USD:BTC", quantity=D(100))

    def positions(seconds_ago: float, ours: str, theirs: str) -> None:
        type(held).objects.filter(pk=held.pk).update(quantity=D(ours))
        listed = [{"symbol": contract, "quantity": theirs}]
        builders.snapshot(owner, "positions", listed, seconds_ago=seconds_ago)
        runs.advance()

    positions(60, "100", "230")
    positions(50, "110", "240")
    row = Break.objects.get()
    assert (row.status, row.delta, row.ours, row.theirs) == ("open", D(130), "110", "240")
    resolutions.explain(row, "anna", "opened by hand at the venue")
    positions(40, "90", "220")
    assert Break.objects.count() == 1, "what is explained is the distance, whatever is traded beside it"
    positions(30, "90", "200")
    assert told() == [("position", contract, "resolved"), ("position", contract, "suspected")]


@pytest.mark.parametrize("status", ["open", "partially_filled", "sending", "unknown"])
def test_what_an_order_of_ours_may_hold_is_no_frozen_balance(owner: Account, status: str) -> None:
    builders.order(owner, status=status)
    for seconds_ago in (40, 30):
        read(owner, seconds_ago, held="250")
    assert told() == []
    assert Coverage.objects.get(surface="balances").status == "proved"


def test_an_order_that_just_ended_may_still_hold(owner: Account) -> None:
    order = builders.order(owner, status="cancelled")
    OrderEvent.objects.create(
        order=order, account=owner, sequence=1, kind="cancelled", source="stream", recorded_at=builders.ago(31),
        received_at=builders.ago(31),
    )  # fmt: skip
    Account.objects.update(event_sequence=1)
    read(owner, 30, held="250")
    assert told() == []
    read(owner, 10, held="250")
    assert told() == [("balance_frozen", "USDT held", "suspected")]


def test_an_order_that_never_left_here_explains_nothing(owner: Account) -> None:
    builders.order(owner, status="queued")
    read(owner, 30, held="250")
    assert told() == [("balance_frozen", "USDT held", "suspected")]


def test_an_order_on_another_asset_explains_nothing_and_a_position_what_settles_it(owner: Account) -> None:
    builders.order(owner, symbol="ETH/BTC")
    read(owner, 40, held="250")
    assert told() == [("balance_frozen", "USDT held", "suspected")]
    factories.PositionFactory(account=owner, symbol="ETH/USDT:USDT", quantity=D(1))
    read(owner, 30, held="250")
    assert told() == [("balance_frozen", "USDT held", "suspected")], "nobody can tell now: neither opened nor closed"


def says(owner: Account, asset: str, total: str, seconds_ago: float) -> None:
    report = BalanceReport(asset=asset, total=D(total), free=D(total), held=D(0))
    with store.transaction() as books:
        books.later(
            lambda: books.store.note_balances(
                owner.code, [report], requested_at=builders.ago(seconds_ago), is_whole=False
            )
        )


def test_a_stream_is_kept_apart_from_the_lists_and_contradicted_by_them(owner: Account) -> None:
    says(owner, "BTC", "1.5", 100)
    says(owner, "USDT", "1000", 100)
    row = Balance.objects.get(asset="BTC")
    assert (row.stream_total, row.venue_total, row.total) == (D("1.5"), D("1.5"), D(2))
    read(owner, 60)
    read(owner, 50)
    difference = Break.objects.get()
    assert (difference.kind, difference.subject, difference.status) == ("stream_differs", "BTC by the stream", "open")
    assert (difference.ours, difference.theirs, difference.stream, difference.delta) == ("2", "2", "1.5", D("-0.5"))
    says(owner, "BTC", "2", 40)
    read(owner, 30)
    difference.refresh_from_db()
    assert difference.status == "resolved"


def test_a_stream_that_told_a_total_of_that_time_is_right(owner: Account) -> None:
    """What was traded since, or about the time of the message, moves the total; neither clock alone decides."""
    order = builders.order(owner, status="filled")
    says(owner, "BTC", "2", 100)
    with store.transaction():
        Balance.objects.filter(asset__in=["BTC", "USDT"]).update(stream_at=builders.ago(100))
    builders.fill(order, "T1", builders.ago(60), fee=D(0))
    read(owner, 30, BTC="2.5", USDT="950")
    assert told() == []
    says(owner, "BTC", "2", 59.5)
    read(owner, 20, BTC="2.5", USDT="950")
    assert told() == [], "half a second after the trade it may not have heard of it"
    says(owner, "BTC", "2.1", 50)
    read(owner, 10, BTC="2.5", USDT="950")
    assert told() == [("stream_differs", "BTC by the stream", "suspected")]


def test_an_old_claim_of_a_stream_and_one_of_now_are_not_judged(owner: Account) -> None:
    says(owner, "BTC", "1.5", 3600)
    read(owner, 40)
    says(owner, "BTC", "1.5", 30.5)
    read(owner, 30)
    assert told() == []


def test_the_streams_of_trades_and_of_balances_share_a_kind_and_nothing_else(owner: Account) -> None:
    order = builders.order(owner)
    Anomaly.objects.create(account=owner, kind="stream_differs", subject="BTC/USDT", order=order, data={})
    anomalies.open_breaks()
    for seconds_ago in (40, 30):
        read(owner, seconds_ago)
    assert told() == [("stream_differs", "BTC/USDT", "open")]
    assert Coverage.objects.get(surface="balances").status == "proved", "trades by the stream are not about the totals"


@pytest.fixture
def markets(owner: Account) -> None:
    owner.venue.markets_loaded_at = clock.now()
    owner.venue.save()
    factories.InstrumentFactory(venue=owner.venue, symbol="BTC/USDT")


def test_symbols_that_no_instrument_knows_are_named_per_surface_until_a_market_does(
    owner: Account, markets: None
) -> None:
    at = builders.ago(100)
    known, odd = builders.order(owner), builders.order(owner, symbol="WHAT/USDT")
    builders.fill(known, "T1", at)
    builders.fill(odd, "T2", at)

    def look(seconds_ago: float, is_listed: bool = True) -> None:
        trades = [
            builders.fill_row("T1", at),
            *([builders.fill_row("T2", at, symbol="WHAT/USDT")] if is_listed else []),
        ]
        builders.snapshot(
            owner, "fills", trades, seconds_ago=seconds_ago, window_from=builders.ago(95 if not is_listed else 300)
        )
        builders.snapshot(
            owner, "open_orders", [builders.order_row(known), builders.order_row(odd)], seconds_ago=seconds_ago
        )
        runs.advance()

    for seconds_ago in (50, 40):
        look(seconds_ago)
    named = ("WHAT/USDT in fills", "WHAT/USDT in open orders")
    assert told() == [("unmapped_symbol", subject, "open") for subject in named]
    row = Break.objects.get(subject=named[0])
    assert row.evidence["rows"][0]["venue_trade_id"] == "T2" and row.evidence["rows_count"] == 1
    assert Coverage.objects.get(surface="fills").status == "failed"
    look(30, is_listed=False)
    assert told() == [("unmapped_symbol", subject, "open") for subject in named], "out of the window is not explained"
    factories.InstrumentFactory(venue=owner.venue, symbol="WHAT/USDT")
    look(20, is_listed=False)
    assert told() == [("unmapped_symbol", subject, "resolved") for subject in named]


def test_a_market_that_has_no_canonical_name_does_not_know_its_symbol(owner: Account, markets: None) -> None:
    factories.InstrumentFactory(venue=owner.venue, symbol="ODD/USDT", unmapped_reason="no canonical name")
    odd = builders.order(owner, symbol="ODD/USDT")
    builders.snapshot(owner, "open_orders", [builders.order_row(odd)], seconds_ago=20)
    runs.advance()
    assert told() == [("unmapped_symbol", "ODD/USDT in open orders", "suspected")]


def test_an_asset_never_seen_is_one_difference_with_its_amount_and_the_account_is_marked(
    owner: Account, markets: None
) -> None:
    for seconds_ago in (50, 40):
        read(owner, seconds_ago, AIRDROP="7")
    row = Break.objects.get()
    assert (row.kind, row.subject, row.status, row.delta) == ("unmapped_symbol", "AIRDROP in balances", "open", D(7))
    assert Coverage.objects.get(surface="balances").status == "failed"
    assert not Balance.objects.filter(asset="AIRDROP").exclude(total=0).exists(), "nothing is guessed"
    factories.InstrumentFactory(venue=owner.venue, symbol="AIRDROP/USDT")
    read(owner, 30, AIRDROP="7")
    assert told() == [("balance", "AIRDROP", "suspected"), ("unmapped_symbol", "AIRDROP in balances", "resolved")]


def test_an_asset_that_the_opening_brought_is_no_news(owner: Account, markets: None) -> None:
    builders.opening(owner, DUST="3")
    read(owner, 30, DUST="3")
    assert told() == []


def test_without_a_list_of_markets_nothing_is_called_unknown(owner: Account) -> None:
    read(owner, 30, AIRDROP="7")
    assert told() == [("balance", "AIRDROP", "suspected")]


def test_an_owners_note_and_a_comparison_of_one_trade_make_one_break(owner: Account) -> None:
    at = builders.ago(100)
    order = builders.order(owner)
    for trade, values in (("T1", {"fee": "0.07"}), ("T2", {"price": "101"})):
        fill = builders.fill(order, trade, at)
        ours = {name: str(getattr(fill, name)) for name in ("price", "quantity", "fee", "fee_asset")}
        data = {"ours": ours, "theirs": {**ours, **values}}
        Anomaly.objects.create(account=owner, kind="fill_differs", subject=trade, order=order, fill=fill, data=data)
    anomalies.open_breaks()
    assert told() == [("fee_differs", "BTC/USDT T1 buy", "open"), ("fill_differs", "BTC/USDT T2 buy", "open")]
    assert Break.objects.get(kind="fill_differs").evidence["price"]["asset"] == "USDT"
    listed = [builders.fill_row("T1", at, fee="0.07"), builders.fill_row("T2", at, price="101")]
    builders.snapshot(owner, "fills", listed, seconds_ago=20)
    runs.advance()
    assert Break.objects.count() == 2


def test_a_clean_read_of_balances_costs_the_same_however_many_assets_there_are(owner: Account, markets: None) -> None:
    counts = []
    for count, seconds_ago in ((3, 40.0), (60, 20.0)):
        more = {f"A{number}": "1" for number in range(count)}
        builders.opening(owner, **{asset: "1" for asset in more if not Balance.objects.filter(asset=asset).exists()})
        builders.snapshot(owner, "balances", rows("5", **more), seconds_ago=seconds_ago)
        with CaptureQueriesContext(connection) as queries:
            runs.advance()
        counts.append(len(queries))
    assert counts[1] <= counts[0]
