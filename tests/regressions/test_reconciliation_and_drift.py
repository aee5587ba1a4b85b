"""Reconciliation and drift: a failed, stale or partial read proves nothing; a difference is shown, and nothing traded."""

from __future__ import annotations

import asyncio
import itertools
from decimal import Decimal

import pytest

from orders import fold, sweeps
from orders.models import Anomaly, Attempt, Balance, Fill, Order
from orders.states import Status
from orders.stream import Stream
from project import decisions
from project.lib import access
from reconciliation import adjustments, coverage, resolutions, runs
from reconciliation.models import Break, Coverage
from tests.orders.scene import apply, fill, make_account, report, sending
from tests.reconciliation import builders
from tests.regressions.rig import SYMBOL, Rig
from tests.venues.desk import until
from venues.messages import FillReport, OrderReport
from venues.models import Account, Snapshot

D = Decimal
both = pytest.mark.parametrize("exchange", ["binance", "kraken"])


@both
async def test_nt_4617_failed_position_query_is_not_flat(rig: Rig) -> None:
    """nautechsystems/nautilus_trader #4617: a query that failed in the maintenance window was taken for a flat account."""
    order = await rig.submitted(type="market", price=None)
    await rig.compared("fills")
    order = await rig.fresh(order)
    before = await rig.of(lambda: dict(Balance.objects.values_list("asset", "venue_total")))
    for _ in range(2):
        rig.fault("status", "balance", count=5, params={"status": 503})
        rig.fault("empty", "my_trades", count=5)
        assert await rig.compared("balances", "fills") == []
    assert await rig.of(lambda: dict(Balance.objects.values_list("asset", "venue_total"))) == before
    told = await rig.of(lambda: dict(Coverage.objects.exclude(status="never").values_list("surface", "status")))
    assert (told["balances"], told["fills"]) == ("failed", "failed")
    assert order.status == "filled" and await rig.of(Order.objects.count) == 1 == rig.placed()


@pytest.mark.django_db
def test_nt_3622_flat_venue_starts_no_endless_reconciliation() -> None:
    """nautechsystems/nautilus_trader #3622: reconciled for ever with a venue that was flat; here it is one break."""
    owner = builders.account()
    coverage.ensure()
    builders.opening(owner, BTC="1")
    for seconds_ago in range(60, 0, -10):
        builders.snapshot(owner, "balances", [], seconds_ago=seconds_ago)
        runs.advance()
    row = Break.objects.get()
    assert (row.kind, row.subject, row.status, row.delta, row.seen_count) == ("balance", "BTC", "open", D(-1), 6)
    assert not Order.objects.exists() and not Attempt.objects.exists()
    assert Balance.objects.get(asset="BTC").total == 1


@pytest.mark.django_db
def test_nt_3104_long_lived_position_reconciles_by_a_person() -> None:
    """nautechsystems/nautilus_trader #3104: 75 against -65 never reconciled; here the distance is told and corrected."""
    owner = builders.account(exchange="kraken")
    coverage.ensure()
    builders.opening(owner, ETH="75")
    for seconds_ago in (90, 80):
        builders.snapshot(owner, "balances", builders.balance_rows(ETH="-65"), seconds_ago=seconds_ago)
        runs.advance()
    row = Break.objects.get()
    assert (row.status, row.delta) == ("open", D(-140))
    asked = adjustments.adjust(
        row, "ada", "an order of the mobile app, before our records begin", person="ada"
    ).approval
    assert asked is not None  # nobody here knows a price of it, so one person alone may not
    bert = access.Caller(actor="bert", person="bert", roles=frozenset({"approver"}), accounts=None)
    decisions.decide(asked, bert, "approve", asked.change_hash, "")
    assert Balance.objects.get(asset="ETH").total == -65
    builders.snapshot(owner, "balances", builders.balance_rows(ETH="-65"), seconds_ago=10)
    runs.advance()
    assert Coverage.objects.get(surface="balances").status == "proved"


async def test_nt_4517_stale_snapshot_causes_nothing(rig: Rig) -> None:
    """nautechsystems/nautilus_trader #4517: a stale snapshot was reconciled into a real short; here nothing is traded."""
    order = await rig.submitted(type="market", price=None)
    await rig.compared("fills")
    rig.fault("read_lag", "my_trades", count=5, params={"seconds": 30})
    rig.fault("read_lag", "open_orders", count=5, params={"seconds": 30})
    stale = await sweeps.fills(rig.service, reason="schedule")
    assert stale.status == "good" and stale.rows == ()  # a good answer about half a minute ago
    assert await rig.compared("open_orders", "fills") == []
    assert (await rig.fresh(order)).filled_quantity == D("0.1") and rig.placed() == 1
    await rig.assert_books_are_whole()


@pytest.mark.django_db
def test_vibe_667_union_of_symbols() -> None:
    """HKUDS/Vibe-Trading #667: only recorded symbols were compared; here what either side alone names differs as well."""
    owner = builders.account()
    coverage.ensure()
    builders.opening(owner, BTC="2", ETH="3")
    ours = builders.order(owner, symbol="ETH/USDT")
    theirs = builders.order_row(ours, symbol="SOL/USDT", venue_order_id="V-sol")
    for seconds_ago in (30, 20):
        builders.snapshot(owner, "balances", builders.balance_rows(BTC="2", SOL="7"), seconds_ago=seconds_ago)
        builders.snapshot(owner, "open_orders", [theirs], seconds_ago=seconds_ago)
        runs.advance()
    found = set(Break.objects.filter(status="open").values_list("kind", "asset", "delta"))
    assert {("balance", "ETH", D(-3)), ("balance", "SOL", D(7)), ("order_missing_at_venue", "ETH", D(-1))} <= found
    assert Break.objects.filter(kind="external_order", status="open").count() == 1 and len(found) == 4


@both
async def test_nt_3869_order_filled_frame_missed(rig: Rig) -> None:
    """nautechsystems/nautilus_trader #3869: a missed OrderFilled was never made good; here the next read books it."""
    stream = asyncio.create_task(Stream(rig.service).run())
    await until(lambda: rig.service.has_stream)
    order = await rig.submitted()
    rig.fault("drop_stream_frames", "any", count=50)
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.1")
    await until(lambda: rig.fired("drop_stream_frames"))
    assert (await rig.fresh(order)).status == "open"
    await rig.compared("fills")
    stream.cancel()
    await asyncio.gather(stream, return_exceptions=True)
    assert (await rig.fresh(order)).status == "filled"
    await rig.assert_books_are_whole()


async def test_nt_3861_stream_that_ended_is_made_good_by_reads(rig: Rig) -> None:
    """nautechsystems/nautilus_trader #3861: the listen key expired and fills were lost; a new stream wants a sweep first."""
    stream = asyncio.create_task(Stream(rig.service).run())
    await until(lambda: rig.service.has_stream)
    order = await rig.submitted()
    rig.fault("close_stream", "stream", params={"seconds": 0.3})
    await until(lambda: not rig.service.has_stream)
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.1")  # nobody listens
    await until(lambda: rig.service.has_stream)
    stream.cancel()
    await asyncio.gather(stream, return_exceptions=True)
    assert (await rig.fresh(order)).status == "filled"


@both
async def test_ft_13399_another_trades_fill_is_not_attached(rig: Rig) -> None:
    """freqtrade/freqtrade #13399: recovery gave a trade somebody else's fill and crashed in a loop; here never."""
    rig.fault("drop_before", "create_order")
    ours = await rig.submitted()
    rig.venue.place_external_order(rig.world, symbol=SYMBOL, side="buy", quantity="0.1", price="50000")
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.1")  # the same shape, at the same time, not ours
    await rig.compared("fills", "open_orders")
    await rig.resolve(2)
    ours = await rig.fresh(ours)
    assert (ours.status, ours.filled_quantity, ours.venue_order_id) == ("unknown", D(0), "")
    assert not await rig.of(lambda: Fill.objects.filter(order=ours).exists())
    await rig.take_again()  # and recovery does not either, however often
    assert (await rig.fresh(ours)).filled_quantity == 0


@both
async def test_ft_2836_manual_sells_are_taken_in(rig: Rig) -> None:
    """freqtrade/freqtrade #2836: what was sold by hand at the exchange was not handled; here it is adopted and booked."""
    rig.venue.place_external_order(rig.world, symbol=SYMBOL, side="sell", quantity="0.5", price="70000")
    await rig.compared("open_orders")
    order = await rig.of(lambda: Order.objects.get())
    assert (order.is_external, order.status, order.side) == (True, "open", "sell")
    rig.venue.trade(rig.world, SYMBOL, "buy", "0.5")
    await rig.compared("fills", "open_orders")
    order = await rig.fresh(order)
    assert (order.status, order.filled_quantity) == ("filled", D("0.5"))
    assert await rig.of(lambda: Anomaly.objects.filter(kind="external_order").count()) == 1
    totals = await rig.of(lambda: dict(Balance.objects.values_list("asset", "total")))
    assert totals["BTC"] == D(rig.venue.balances(rig.world)["BTC"]["total"])
    await rig.assert_books_are_whole()


async def test_hb_1322_balance_mismatch_is_told_and_not_overwritten(rig: Rig) -> None:
    """hummingbot/hummingbot #1322: the bot's balance and the exchange's differed unseen; here it is a break, exact."""
    rig.fault("silent_debit", params={"asset": "USDT", "amount": "123.45"})
    assert await rig.compared("balances") == [("balance", "USDT", "suspected")]
    assert await rig.compared("balances") == [("balance", "USDT", "open")]
    row = await rig.of(lambda: Break.objects.get())
    kept = await rig.of(lambda: Balance.objects.get(asset="USDT"))
    assert row.delta == D("-123.45") and (kept.total, kept.venue_total) == (D(100000), D("99876.55"))


@pytest.mark.django_db
def test_hb_2664_trade_history_is_reconciled() -> None:
    """hummingbot/hummingbot #2664: the request to compare trade history with the exchange; a trade we lack is a break."""
    owner = builders.account()
    coverage.ensure()
    at = builders.ago(100)
    order = builders.order(owner)
    builders.fill(order, "T1", at)
    rows = [builders.fill_row("T1", at), builders.fill_row("T2", at)]
    for seconds_ago in (30, 20):
        builders.snapshot(owner, "fills", rows, seconds_ago=seconds_ago)
        runs.advance()
    row = Break.objects.get()
    assert (row.kind, row.subject, row.status) == ("fill_missing_here", "BTC/USDT T2 buy", "open")
    builders.snapshot(owner, "fills", [], seconds_ago=5, window_from=builders.ago(6))
    runs.advance()
    row.refresh_from_db()
    assert row.status == "open"  # out of the window is not out of the world


async def test_bytex_30_mismatch_stays_until_somebody_decides(rig: Rig) -> None:
    """BYTEX-TRADE/bytex #30: a mismatch was logged and ignored; here it stands, and coverage is not green meanwhile."""
    rig.fault("silent_debit", params={"asset": "ETH", "amount": "1"})
    for _ in range(4):
        found = await rig.compared("balances")
    assert found == [("balance", "ETH", "open")]
    assert await rig.of(lambda: Coverage.objects.get(surface="balances").status) == "failed"
    row = await rig.of(lambda: Break.objects.get())
    with pytest.raises(resolutions.Refused):
        await rig.of(lambda: resolutions.explain(row, "ada", " "))
    await rig.of(lambda: resolutions.explain(row, "ada", "a withdrawal that the venue does not list"))
    assert await rig.compared("balances") == []


@pytest.mark.django_db
def test_nt_3878_reconciliation_is_deterministic() -> None:
    """nautechsystems/nautilus_trader #3878: the same facts gave other results; here their order of arrival is nothing."""
    facts: tuple[OrderReport | FillReport, ...] = (
        report("open", 0), fill("t-1", "0.3", 1), fill("t-2", "0.2", 2), report("cancelled", 3, filled_quantity=D("0.5")),
    )  # fmt: skip
    found = set()
    for arrival in itertools.permutations(facts):
        order = sending(make_account())
        for statement in arrival:
            apply(order, statement)
        apply(order, facts[-1])  # the venue's list says it again
        totals = tuple(order.account.balances.order_by("asset").values_list("asset", "total"))
        found.add((order.status, order.filled_quantity, order.filled_value, totals))
    assert len(found) == 1 and {(status, filled) for status, filled, *_ in found} == {("cancelled", D("0.5"))}
    assert list(fold.differences()) == []


@both
async def test_hbapi_243_restart_leaves_no_position_unattended(rig: Rig) -> None:
    """hummingbot/hummingbot-api #243: after a restart nobody attended to what was open; here taking over reads it all."""
    filled, open_, gone = [await rig.submitted(price=price) for price in ("50000", "40000", "39000")]
    rig.venue.trade(rig.world, SYMBOL, "sell", "0.1")
    rig.venue.cancel_external(rig.world, symbol=SYMBOL, order_id=gone.venue_order_id)
    await rig.age(100)
    await rig.take_again()
    states = [(await rig.fresh(order)).status for order in (filled, open_, gone)]
    assert states == [Status.FILLED, Status.OPEN, Status.CANCELLED]
    totals = await rig.of(lambda: dict(Balance.objects.values_list("asset", "total")))
    assert totals["BTC"] == D(rig.venue.balances(rig.world)["BTC"]["total"])


@pytest.mark.django_db
def test_hb_853_a_trade_told_twice_with_other_figures_is_a_break() -> None:
    """hummingbot/hummingbot #853: missing and duplicate trades; here a repeat with other figures is shown, not booked."""
    owner: Account = builders.account()
    coverage.ensure()
    at = builders.ago(100)
    builders.fill(builders.order(owner), "T1", at)
    for seconds_ago in (30, 20):
        rows = [builders.fill_row("T1", at, fee="0.07")]
        builders.snapshot(owner, "fills", rows, seconds_ago=seconds_ago)
        runs.advance()
    row = Break.objects.get()
    assert (row.kind, row.status, row.evidence["fields"]) == ("fee_differs", "open", ["fee"])
    assert Fill.objects.get().fee == D("0.05") and Snapshot.objects.count() == 2
