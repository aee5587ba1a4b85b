"""The general way, which most exchanges go, on a venue whose truth is known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from project.lib import clock
from tests.venues.desk import SYMBOL, Desk
from tests.venues.paper.process import PaperVenue, WorldHandle
from venues import capabilities
from venues.adapters.ccxt import CcxtAdapter
from venues.adapters.markets import SharedMarkets
from venues.credentials import Secret
from venues.messages import FillReport, OrderReport
from venues.targets import VenueTarget

AGO = timedelta(minutes=5)


@pytest.fixture
async def general(paper: PaperVenue, paper_world: WorldHandle) -> AsyncIterator[tuple[CcxtAdapter, Desk]]:
    """Return the general adapter, taught only the family's tables, on a world of each exchange."""
    target = VenueTarget(
        code="general",
        exchange=paper_world.exchange,
        rest_url=paper_world.rest_url,
        ws_url=paper_world.ws_url,
        may_trade=True,
    )
    taught = replace(capabilities.for_exchange(paper_world.exchange), window=False, stream=False)
    if taught.client_id_lookup == "open_and_closed":
        taught = replace(taught, client_id_lookup="scan")
    secret = Secret(paper_world.api_key, paper_world.secret, paper_world.passphrase)
    adapter = CcxtAdapter(
        target, taught, secret, timeout_seconds=1.5, nonce_floor=0, shared=SharedMarkets(), on_http=lambda _: None
    )
    await adapter.open()
    yield adapter, Desk(paper, paper_world, None)  # type: ignore[arg-type]
    await adapter.close()


async def test_an_order_goes_out_is_found_and_is_cancelled(general: tuple[CcxtAdapter, Desk]) -> None:
    adapter, desk = general
    order = desk.order()
    answer = await adapter.place(order)
    assert answer.outcome == "accepted"
    assert answer.venue_order_id
    assert desk.venue.journal(desk.world, "accepted")[0]["client_order_id"] == order.venue_client_id
    found = await adapter.look_up(
        symbol=SYMBOL,
        venue_client_id=order.venue_client_id,
        venue_order_id=answer.venue_order_id,
        since=clock.now() - AGO,
    )
    assert found.result == "found"
    assert found.order is not None
    assert (found.order.venue_order_id, found.order.quantity) == (answer.venue_order_id, order.quantity)
    orders = await adapter.read("open_orders", since=None, symbols=[])
    assert [row.venue_order_id for row in orders.rows if isinstance(row, OrderReport)] == [answer.venue_order_id]
    assert (await adapter.cancel(desk.cancel_of(order, answer.venue_order_id))).outcome == "accepted"
    again = await adapter.cancel(desk.cancel_of(order, answer.venue_order_id))
    assert again.outcome in ("rejected", "unknown")
    assert again.outcome == "unknown" or again.code == "ORDER_UNKNOWN"


async def test_what_the_venue_forgets_is_not_called_absent(general: tuple[CcxtAdapter, Desk]) -> None:
    adapter, desk = general
    adapter.capabilities = replace(adapter.capabilities, cancelled_hours=1.0)
    lost: dict[str, Any] = {"symbol": SYMBOL, "venue_client_id": desk.order().venue_client_id, "venue_order_id": None}
    old = await adapter.look_up(**lost, since=clock.now() - timedelta(hours=2))
    assert (old.result, old.evidence[-1].source) == ("failed", "local")
    assert "keeps cancelled orders for 1 hours" in old.evidence[-1].answer
    young = await adapter.look_up(**lost, since=clock.now() - AGO)
    assert not any("keeps cancelled" in said.answer for said in young.evidence)


async def test_fills_and_balances_are_read(general: tuple[CcxtAdapter, Desk]) -> None:
    adapter, desk = general
    await adapter.place(desk.order(type="market", price=None, side="sell"))
    fills = await adapter.read("fills", since=clock.now() - AGO, symbols=[SYMBOL])
    assert fills.status == "good"
    assert sum(row.quantity for row in fills.rows if isinstance(row, FillReport)) == Decimal("0.1")
    balances = await adapter.read("balances", since=None, symbols=[])
    engine = {
        asset: Decimal(row["total"]) for asset, row in desk.venue.balances(desk.world).items() if Decimal(row["total"])
    }
    assert {row.asset: row.total for row in balances.rows} == engine


@pytest.mark.parametrize("fault", ["drop_after", "empty", "html", "json_empty", "truncate", "unknown_reject"])
async def test_faults_stay_unknown(general: tuple[CcxtAdapter, Desk], fault: str) -> None:
    adapter, desk = general
    desk.venue.add_fault(desk.world, fault, "create_order", count=10)
    answer = await adapter.place(desk.order())
    assert answer.outcome == "unknown"
    assert len([row for row in desk.venue.journal(desk.world, "fault") if row["fault"] == fault]) == 1
    assert desk.placed() <= 1


async def test_a_broken_preflight_has_sent_no_order(general: tuple[CcxtAdapter, Desk]) -> None:
    adapter, desk = general
    order = desk.order()
    submit = adapter.client.create_order

    async def with_preflight(*arguments: object) -> object:
        await adapter.client.fetch_order_book(SYMBOL)
        return await submit(*arguments)

    adapter.client.create_order = with_preflight
    desk.venue.add_fault(desk.world, "status", "market_data", params={"status": 503})
    answer = await adapter.place(order)
    assert answer.outcome == "not_sent"
    assert desk.placed() == 0


async def test_what_lies_off_the_grid_is_not_rounded(general: tuple[CcxtAdapter, Desk]) -> None:
    adapter, desk = general
    answer = await adapter.place(desk.order(price=Decimal("50000.0001")))
    assert (answer.outcome, answer.transient) == ("not_sent", False)
    assert "grid" in answer.message
    assert desk.placed() == 0
