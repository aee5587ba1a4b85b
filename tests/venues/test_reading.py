"""Lookups and reads against the venue's own journal."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from project.lib import clock
from tests.venues.desk import SYMBOL, Desk, gateway
from tests.venues.paper.process import PaperVenue, WorldHandle
from venues import probes
from venues.messages import BalanceReport, FillReport, OrderReport

AGO = timedelta(minutes=5)


async def test_an_order_is_found_open_and_closed_and_by_either_id(desk: Desk) -> None:
    order = desk.order()
    placed = await desk.gateway.place(order)
    for identity in (None, placed.venue_order_id):
        found = await desk.gateway.look_up(
            symbol=SYMBOL, venue_client_id=order.venue_client_id, venue_order_id=identity, since=clock.now() - AGO
        )
        assert found.result == "found"
        assert found.order is not None
        assert (found.order.status, found.order.venue_order_id) == ("open", placed.venue_order_id)
        assert found.order.quantity == order.quantity
    await desk.gateway.cancel(desk.cancel_of(order, placed.venue_order_id))
    found = await desk.gateway.look_up(symbol=SYMBOL, venue_client_id=order.venue_client_id, since=clock.now() - AGO)
    assert found.order is not None
    assert (found.order.status, found.order.venue_client_id) == ("cancelled", order.venue_client_id)


async def test_an_order_whose_answer_was_lost_is_found(desk: Desk) -> None:
    desk.venue.add_fault(desk.world, "drop_after", "create_order")
    order = desk.order()
    assert (await desk.gateway.place(order)).outcome == "unknown"
    found = await desk.gateway.look_up(symbol=SYMBOL, venue_client_id=order.venue_client_id, since=clock.now() - AGO)
    assert found.result == "found"


async def test_absent_needs_every_answer(desk: Desk) -> None:
    absent = await desk.gateway.look_up(symbol=SYMBOL, venue_client_id="gnever000000000000", since=clock.now() - AGO)
    assert absent.result == "absent"
    assert all(evidence.answer == "not found" for evidence in absent.evidence)
    steps = {"binance": 3, "kraken": 2, "bybit": 2, "okx": 6, "coinbase": 1, "deribit": 3}
    assert len(absent.evidence) == steps[desk.world.exchange]
    lists = ["open_orders", "closed_orders"]
    desk.venue.add_fault(desk.world, "status", match={"operation": lists}, params={"status": 503})
    failed = await desk.gateway.look_up(symbol=SYMBOL, venue_client_id="gnever000000000000", since=clock.now() - AGO)
    assert failed.result == "failed"
    assert "failed" in [evidence.answer for evidence in failed.evidence]


@pytest.mark.parametrize("fault", ["empty", "json_empty", "html", "truncate", "drop_after"])
async def test_a_broken_lookup_never_says_absent(desk: Desk, fault: str) -> None:
    operations = ["fetch_order", "open_orders", "closed_orders"]
    desk.venue.add_fault(desk.world, fault, match={"operation": operations}, count=10)
    found = await desk.gateway.look_up(symbol=SYMBOL, venue_client_id="gnever000000000000", since=clock.now() - AGO)
    assert found.result == "failed"


async def test_open_orders_fills_and_balances_equal_the_journal(desk: Desk) -> None:
    order = desk.order()
    await desk.gateway.place(order)
    await desk.gateway.place(desk.order(type="market", price=None, quantity=Decimal("0.2")))
    orders = await desk.gateway.read("open_orders")
    assert orders.status == "good"
    (only,) = orders.rows
    assert isinstance(only, OrderReport)
    assert (only.venue_client_id, only.price, only.quantity, only.symbol) == (
        order.venue_client_id, order.price, order.quantity, SYMBOL,
    )  # fmt: skip
    fills = await desk.gateway.read("fills", since=clock.now() - AGO, symbols=[SYMBOL])
    assert fills.status == "good"
    assert all(isinstance(row, FillReport) for row in fills.rows)
    truth = desk.venue.journal(desk.world, "filled")
    assert {(row.venue_order_id, row.price, row.quantity) for row in fills.rows} == {
        (row["order_id"], Decimal(row["price"]), Decimal(row["quantity"])) for row in truth
    }
    assert sum(row.quantity for row in fills.rows) == Decimal("0.2")
    balances = await desk.gateway.read("balances")
    assert balances.status == "good"
    engine = {asset: row for asset, row in desk.venue.balances(desk.world).items() if Decimal(row["total"])}
    assert {row.asset for row in balances.rows} == set(engine)
    for row in balances.rows:
        assert isinstance(row, BalanceReport)
        assert row.total == Decimal(engine[row.asset]["total"])
        assert row.total == row.free + row.held


async def test_fills_without_a_start_and_without_symbols(desk: Desk) -> None:
    await desk.gateway.place(desk.order(type="market", price=None))
    fills = await desk.gateway.read("fills")
    assert fills.status == "good"
    assert sum(row.quantity for row in fills.rows) == Decimal("0.1")


@pytest.mark.parametrize("surface", ["open_orders", "fills", "balances"])
async def test_a_failed_read_is_not_an_empty_one(desk: Desk, surface: str) -> None:
    operation = {"open_orders": "open_orders", "fills": "my_trades", "balances": "balance"}[surface]
    desk.venue.add_fault(desk.world, "status", operation, params={"status": 502}, count=5)
    read = await desk.gateway.read(surface, since=clock.now() - AGO, symbols=[SYMBOL])
    assert (read.status, read.rows) == ("failed", ())
    assert "502" in read.error
    assert "signature" not in read.error


async def test_impossible_numbers_make_a_read_partial(desk: Desk) -> None:
    await desk.gateway.place(desk.order())
    desk.venue.add_fault(desk.world, "huge_exponent", "balance")
    read = await desk.gateway.read("balances")
    assert read.status == "partial"
    assert read.malformed
    assert not read.rows


async def test_what_is_not_there_is_unsupported(desk: Desk) -> None:
    lacking = [] if desk.gateway.capabilities.positions else ["positions"]
    for surface in [*lacking, "no such surface"]:
        assert (await desk.gateway.read(surface)).status == "unsupported"


async def test_markets_prices_and_permissions(desk: Desk) -> None:
    specs = {spec.symbol: spec for spec in await desk.gateway.markets()}
    assert not [spec.symbol for spec in specs.values() if spec.unmapped_reason]
    spec = specs[SYMBOL]
    assert spec.price_step > 0
    assert spec.quantity_step > 0
    assert (spec.base, spec.quote, spec.kind, spec.is_active) == ("BTC", "USDT", "spot", True)
    prices = await desk.gateway.last_prices([SYMBOL])
    assert Decimal("30000") < prices[SYMBOL] < Decimal("120000")
    granted = await desk.gateway.permissions()
    assert granted is not None
    assert (granted.can_read, granted.can_trade, granted.can_withdraw) == (True, True, False)


async def test_a_key_that_may_withdraw_is_told(paper: PaperVenue, paper_world: WorldHandle) -> None:
    account = {
        "api_key": "withdrawer", "secret": paper_world.secret, "passphrase": paper_world.passphrase,
        "balances": {"USDT": "10"}, "permissions": {"read": True, "trade": True, "withdraw": True},
    }  # fmt: skip
    world = paper.create_world(paper_world.exchange, f"{paper_world.world}-withdraw", accounts=[account])
    one = gateway(world)
    await one.open()
    granted = await one.permissions()
    await one.close()
    paper.remove_world(world)
    assert granted is not None
    assert granted.can_withdraw is True
    assert probes.judge(granted, waived_by="somebody", was_ip_restricted=None).startswith("refused")


async def test_market_lists_are_shared(paper: PaperVenue, paper_world: WorldHandle) -> None:
    first = gateway(paper_world)
    await first.open()
    paper.add_fault(paper_world, "status", "market_data", params={"status": 503}, count=50)
    second = gateway(paper_world, shared=first._adapter._shared)
    await second.open()
    assert [spec.symbol for spec in await second.markets()] == [spec.symbol for spec in await first.markets()]
    lonely = gateway(paper_world)
    with pytest.raises(ConnectionError, match="503"):
        await lonely.open()
    for one in (first, second, lonely):
        await one.close()
