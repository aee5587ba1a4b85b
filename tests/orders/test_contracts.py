"""Trades of contracts: the position an independent calculation says, legs of what was realised, and the whole way of an order."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import pytest_asyncio
from django.db.models import F
from hypothesis import given
from hypothesis import strategies as st

from orders import fold, intake, ledger, positions, sweeps
from orders.management.commands import verify_ledger
from orders.models import Balance, Fill, Order, OrderEvent, Position, Posting
from orders.requests import Invalid
from reconciliation import coverage, runs
from reconciliation.models import Break, Coverage
from tests.factories import InstrumentFactory, unguarded
from tests.orders import scene
from tests.regressions.rig import LATER, Rig, open_rig
from tests.venues.desk import until
from tests.venues.paper.process import PaperVenue, WorldHandle, running_paper_venue
from venues.models import Instrument, Snapshot

D = Decimal
INVERSE, LINEAR = "BTC/USD:BTC", "BTC/USDC:USDC"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Traded:
    """A booked trade as far as a position goes."""

    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    realised_pnl: Decimal


trades = st.lists(
    st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 10**6).map(D), st.integers(1, 10**6).map(D)), max_size=12
)


@given(st.sampled_from([INVERSE, LINEAR]), trades)
def test_entry_is_what_an_independent_calculation_says(symbol: str, script: list[tuple[str, Decimal, Decimal]]) -> None:
    holding = ledger.Holding()
    quantity = value = Fraction(0)  # value: of what is open, at what it was entered
    for number, (side, amount, price) in enumerate(script):
        holding = ledger.after(holding, Traded(symbol, side, amount, price, D(number)))
        signed, at = Fraction(amount) * (1 if side == "buy" else -1), Fraction(price)
        worth = signed / at if symbol == INVERSE else signed * at
        if quantity * signed >= 0:
            value += worth
        elif abs(signed) <= abs(quantity):
            value *= (quantity + signed) / quantity
        else:
            value = worth * (quantity + signed) / signed
        quantity += signed
        assert Fraction(holding.quantity) == quantity
        assert (holding.entry_price is None) == (quantity == 0)
        if holding.entry_price is not None:
            entry = quantity / value if symbol == INVERSE else value / quantity
            assert abs(Fraction(holding.entry_price) - entry) <= entry * Fraction(number + 1, 10**10)
    assert holding.realised_pnl == sum(range(len(script)))


@pytest.mark.django_db
def test_a_kind_whose_trades_cannot_be_booked_is_refused_at_intake() -> None:
    account = scene.make_account()
    InstrumentFactory(venue=account.venue, symbol="BTC/USDT:USDT", base="BTC", quote="USDT", kind="perpetual")
    with pytest.raises(Invalid) as refused:
        intake.accept(scene.ask(account, symbol="BTC/USDT:USDT"), account, source="test")
    (problem,) = refused.value.problems
    assert (problem.field, problem.code) == ("symbol", "NOT_SUPPORTED")
    assert "cannot be booked" in problem.message
    assert not Order.objects.exists()


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperVenue]:
    """Return the running venue."""
    with running_paper_venue(tmp_path_factory.mktemp("paper")) as running:
        yield running


@pytest.fixture
def world(paper: PaperVenue) -> Iterator[WorldHandle]:
    """Return a new still world of contracts."""
    account = {"api_key": "key1", "secret": "secret", "balances": {"BTC": "2", "USDC": "100000"}}
    made = paper.create_world("deribit", f"contracts-{next(_numbers)}", accounts=[account])
    yield made
    paper.remove_world(made)


@pytest_asyncio.fixture
async def rig(transactional_db: None, paper: PaperVenue, world: WorldHandle) -> AsyncIterator[Rig]:
    """Return an account of the world in the hands of an owner who has recovered it."""
    async with open_rig(paper, world) as one:
        yield one


async def compared(rig: Rig) -> list[tuple[str, str, Any]]:
    """Read every surface of the account twice, as time goes by, and return the breaks."""
    for _ in range(2):
        for read in (sweeps.open_orders, sweeps.fills, sweeps.balances, sweeps.positions):
            await read(rig.service, reason="schedule")
        await rig.of(_advance)
    return await rig.of(lambda: list(Break.objects.values_list("kind", "subject", "delta")))


def _advance() -> None:
    coverage.ensure()
    with unguarded():  # what was read and booked lies some time back by now
        OrderEvent.objects.update(recorded_at=F("recorded_at") - LATER)
        Fill.objects.update(executed_at=F("executed_at") - LATER, recorded_at=F("recorded_at") - LATER)
        Order.objects.update(updated_at=F("updated_at") - LATER)
    runs.advance()


def whole() -> list[str]:
    """Return what the two proofs of the books find."""
    return [*fold.differences(), *verify_ledger.differences()]


async def trade(rig: Rig, symbol: str, side: str, quantity: str, price: str) -> Order:
    """Send an order that trades at once, and book what it traded."""
    asked = {"symbol": symbol, "side": side, "quantity": quantity, "price": price}
    order = await rig.submitted(**asked)
    await sweeps.fills(rig.service, reason="schedule")
    return await rig.fresh(order)


async def test_a_contract_is_traded_booked_and_reconciled(rig: Rig, paper: PaperVenue, world: WorldHandle) -> None:
    bought = await trade(rig, INVERSE, "buy", "1000", "61000")
    assert (bought.status, bought.filled_quantity) == ("filled", D(1000))
    await trade(rig, INVERSE, "sell", "1600", "59000")
    await trade(rig, LINEAR, "buy", "0.02", "61000")
    facts = paper.journal(world, "filled")
    position = await rig.of(lambda: Position.objects.get(symbol=INVERSE))
    assert position.quantity == -600
    assert position.realised_pnl == sum(D(fact["realised"]) for fact in facts if fact["symbol"] == INVERSE) != 0
    assert bought.average_price == D(facts[0]["price"])
    engine = paper.balances(world)
    totals = await rig.of(lambda: dict(Balance.objects.values_list("asset", "total")))
    assert {asset: totals[asset] for asset in ("BTC", "USDC")} == {
        asset: D(engine[asset]["total"]) for asset in ("BTC", "USDC")
    }
    moved = await rig.of(lambda: set(Posting.objects.exclude(fill=None).values_list("asset", flat=True)))
    assert moved == {"BTC", "USDC"}
    assert await rig.of(whole) == []
    assert await compared(rig) == []
    told = await rig.of(lambda: dict(Coverage.objects.values_list("surface", "status")))
    assert {told[surface] for surface in ("open_orders", "fills", "balances", "positions")} == {"proved"}


async def test_the_venues_word_of_a_position_stands_beside_ours(rig: Rig) -> None:
    await trade(rig, INVERSE, "buy", "1000", "61000")
    await sweeps.positions(rig.service, reason="schedule")
    row = await rig.of(lambda: Position.objects.select_related("account").get(symbol=INVERSE))
    assert (row.quantity, row.venue_quantity) == (D(1000), D(1000))
    assert row.mark_price and row.margin and row.as_of and row.venue_entry_price == row.entry_price
    await rig.of(lambda: positions.value([row]))
    assert positions.leverage(row) == pytest.approx(D(50), abs=D("0.5"))  # the venue reserves 2 %
    await trade(rig, INVERSE, "sell", "1000", "59000")
    await sweeps.positions(rig.service, reason="schedule")
    row = await rig.of(lambda: Position.objects.get(symbol=INVERSE))
    assert (row.quantity, row.venue_quantity, row.margin, row.mark_price) == (D(0), D(0), D(0), None)
    assert await rig.of(whole) == []


async def test_a_position_that_differs_becomes_a_break(rig: Rig) -> None:
    await trade(rig, INVERSE, "buy", "1000", "61000")
    await rig.of(lambda: Position.objects.update(quantity=D(990)))
    assert ("position", INVERSE, D(10)) in await compared(rig)
    assert any("position" in found for found in await rig.of(whole))


async def test_what_was_held_before_the_opening_is_not_ours_to_explain(
    transactional_db: None, paper: PaperVenue, world: WorldHandle
) -> None:
    paper.place_external_order(world, symbol=INVERSE, side="buy", quantity="500", price="61000")
    async with open_rig(paper, world) as rig:
        await trade(rig, INVERSE, "sell", "200", "59000")
        assert await compared(rig) == []
        opening = await rig.of(lambda: Snapshot.objects.get(surface="positions", reason="opening").rows)
        assert [(row["symbol"], row["quantity"]) for row in opening] == [(INVERSE, "500")]
        assert await rig.of(whole) == []


async def test_the_funding_of_a_running_session_disturbs_no_books(transactional_db: None, paper: PaperVenue) -> None:
    account = {"api_key": "key1", "secret": "secret", "balances": {"BTC": "2"}}
    hasty = {"funding_interval_seconds": 0.5}
    world = paper.create_world("deribit", f"contracts-{next(_numbers)}", accounts=[account], personality=hasty)
    async with open_rig(paper, world) as rig:
        await trade(rig, INVERSE, "buy", "1000", "61000")
        await until(lambda: paper.journal(world, "funded"))
        assert await compared(rig) == []
        assert await rig.of(whole) == []
    paper.remove_world(world)


async def test_reduce_only_reaches_the_venue_and_the_kinds_are_listed(rig: Rig) -> None:
    kinds = await rig.of(lambda: dict(Instrument.objects.values_list("symbol", "kind")))
    assert kinds == {
        "BTC/USDT": "spot", "ETH/USDT": "spot", INVERSE: "perpetual", "ETH/USD:ETH": "perpetual", LINEAR: "perpetual",
        "BTC/USD:BTC-300628": "future",
    }  # fmt: skip
    order = await rig.submitted(symbol=INVERSE, side="sell", quantity="100", price="59000", reduce_only=True)
    assert (order.status, order.reason_code) == ("rejected", "REDUCE_ONLY_REFUSED")
    assert rig.placed() == 0
