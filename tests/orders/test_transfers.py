"""Money that moved without a trade: booked once with its postings, never what the opening contains, equal to the venue."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from django.db.models import F
from hypothesis import given
from hypothesis import strategies as st

from orders import fold, ledger, store, sweeps, transfers
from orders.management.commands import verify_ledger
from orders.models import Balance, Posting, Transfer
from orders.rows import TransferRow
from project.lib import clock, ids
from reconciliation import coverage, runs
from reconciliation.models import Break, Coverage
from tests.factories import unguarded
from tests.orders.scene import make_account
from tests.regressions.rig import Rig, open_rig
from tests.venues.desk import until
from tests.venues.paper.process import PaperVenue, WorldHandle, running_paper_venue
from venues.messages import TransferReport
from venues.models import Snapshot

D = Decimal
LATER = timedelta(minutes=2)  # Kraken's reads may lag a minute
AMOUNTS = st.integers(-(10**24), 10**24).filter(bool).map(lambda units: D(units).scaleb(-18))
FEES = st.integers(0, 10**20).map(lambda units: D(units).scaleb(-18))
EXCHANGES = ["binance", "kraken", "bybit", "okx", "coinbase", "deribit"]
_numbers = itertools.count(1)


# --- the ledger ---


@given(st.sampled_from(Transfer.Kind.values), AMOUNTS, FEES)
def test_the_legs_of_every_kind_balance_and_move_our_total_by_the_amount(
    kind: str, amount: Decimal, fee: Decimal
) -> None:
    legs = ledger.transfer_legs(row(kind=kind, amount=amount, fee=fee))
    assert sum(part for _, _, part in legs) == 0
    assert sum(part for _, book, part in legs if book == "venue") == amount
    assert all(part for _, _, part in legs)
    assert {asset for asset, _, _ in legs} == {"USDT"}
    if kind not in ("rebate", "fee"):
        assert sum(part for _, book, part in legs if book == "fees") == fee


def row(**changes: Any) -> TransferRow:
    plain: dict[str, Any] = {
        "id": ids.new_id(), "account": "main", "kind": "deposit", "venue_transfer_id": "t1", "asset": "USDT", "amount": D(5),
        "fee": D(0), "symbol": "", "reference": "", "source": "rest", "occurred_at": clock.now(), "recorded_at": clock.now(),
    }  # fmt: skip
    return TransferRow(**(plain | changes))


def report(number: int = 1, **changes: Any) -> TransferReport:
    plain: dict[str, Any] = {
        "venue_transfer_id": f"t{number}", "kind": "deposit", "asset": "USDT", "amount": D(5), "occurred_at": clock.now(),
    }  # fmt: skip
    return TransferReport(**(plain | changes))


def service_of(account: Any, **changes: Any) -> Any:
    plain = {
        "account": account.code,
        "opened_at": clock.now() - timedelta(hours=1),
        "transfers_before_opening": frozenset(),
    }
    return SimpleNamespace(**(plain | changes))


def booked(service: Any, *reports: TransferReport) -> int:
    with store.transaction() as books:
        return len(transfers.book(books, service, reports, source="rest"))


@pytest.mark.django_db
def test_each_is_booked_once_and_only_when_it_is_done() -> None:
    account = make_account()
    service = service_of(account)
    pending = report(3, status="pending")
    assert (
        booked(service, report(1), report(1), report(2, kind="withdrawal", amount=D("-1.1"), fee=D("0.1")), pending)
        == 2
    )
    assert booked(service, report(1, amount=D(6)), pending, report(4, amount=D(0)), report(5, status="failed")) == 0
    assert booked(service, report(3)) == 1
    assert Balance.objects.get(account=account, asset="USDT").total == D("8.9")
    legs = Posting.objects.filter(cause="transfer").order_by("posted_at", "leg").values_list("book", "amount")
    assert list(legs) == [
        ("venue", D(5)), ("transfers", D(-5)), ("venue", D("-1.1")), ("transfers", D(1)), ("fees", D("0.1")),
        ("venue", D(5)), ("transfers", D(-5)),
    ]  # fmt: skip
    assert list(verify_ledger.differences()) == []


@pytest.mark.django_db
def test_what_the_opening_contains_is_told_by_its_read_and_else_by_the_clock() -> None:
    account = make_account()
    early = clock.now() - timedelta(hours=2)
    told = service_of(account, transfers_before_opening=frozenset({("deposit", "t1", "USDT")}))
    assert booked(told, report(1)) == 0  # the opening has it, whatever time it carries
    assert booked(told, report(2, occurred_at=early)) == 1  # it was not done then, and is now
    untold = service_of(account, transfers_before_opening=None)
    assert booked(untold, report(3, occurred_at=early)) == 0
    assert booked(untold, report(4)) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["amount", "book", "asset", "account", "entry", "gone"])
def test_changing_any_one_posting_of_a_transfer_is_found_and_named(field: str) -> None:
    account = make_account()
    booked(service_of(account), report(1, amount=D("-5.5"), kind="withdrawal", fee=D("0.5")))
    moved = str(Transfer.objects.get().id)
    changes: dict[str, Any] = {
        "amount": F("amount") + D("0.000000000000000001"), "book": "trading", "asset": "BTC", "account": make_account(),
        "entry": ids.new_id(),
    }  # fmt: skip
    for posting in Posting.objects.filter(cause="transfer"):
        with unguarded():
            if field == "gone":
                posting.delete()
            else:
                Posting.objects.filter(pk=posting.pk).update(**{field: changes[field]})
            assert any(moved in found for found in verify_ledger.differences()), posting.book
            if field == "gone":
                posting.pk = None
                posting.save(force_insert=True)
            else:
                Posting.objects.filter(pk=posting.pk).update(**{field: getattr(posting, field)})
    assert list(verify_ledger.differences()) == []


# --- with the venues ---


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperVenue]:
    """Return the running venue."""
    with running_paper_venue(tmp_path_factory.mktemp("paper")) as running:
        yield running


@pytest.fixture(params=EXCHANGES)
def world(paper: PaperVenue, request: pytest.FixtureRequest) -> Iterator[WorldHandle]:
    """Return a new still world of each exchange in turn."""
    made = paper.create_world(request.param, f"moved-{next(_numbers)}")
    yield made
    paper.remove_world(made)


@pytest_asyncio.fixture
async def rig(transactional_db: None, paper: PaperVenue, world: WorldHandle) -> AsyncIterator[Rig]:
    """Return an account of the world in the hands of an owner who has recovered it."""
    async with open_rig(paper, world) as one:
        yield one


def move(rig: Rig, fault: str, amount: str, reference: str, **params: str) -> None:
    rig.fault(fault, params={"asset": "USDT", "amount": amount, "reference": reference, **params})


async def compared(rig: Rig) -> list[tuple[str, str]]:
    """Read transfers and balances twice, as time goes by, compare, and return the unresolved breaks."""
    for _ in range(2):
        await sweeps.moved_and_balances(rig.service, reason="schedule")
        await rig.of(_advance)
    return await rig.of(
        lambda: sorted(Break.objects.exclude(status="resolved").values_list("kind", "status").order_by("kind", "id"))
    )


def _advance() -> None:
    coverage.ensure()
    with unguarded():  # what was read and booked lies some time back by now
        Transfer.objects.update(occurred_at=F("occurred_at") - LATER, recorded_at=F("recorded_at") - LATER)
    runs.advance()


async def status_of(rig: Rig, surface: str) -> str:
    return await rig.of(lambda: Coverage.objects.get(surface=surface).status)


async def assert_equal(rig: Rig) -> None:
    """Compare every total with the venue's own engine, exactly, and prove the books."""
    totals = await rig.of(
        lambda: {asset: total for asset, total in Balance.objects.values_list("asset", "total") if total}
    )
    engine = {name: D(told["total"]) for name, told in rig.venue.balances(rig.world).items() if D(told["total"])}
    assert totals == engine
    assert await rig.of(lambda: [*fold.differences(), *verify_ledger.differences()]) == []


async def test_deposits_and_withdrawals_leave_our_totals_equal_to_the_venues(rig: Rig) -> None:
    assert await rig.of(lambda: Transfer.objects.count()) == 0  # what was there is in the opening balances
    assert await rig.of(lambda: Snapshot.objects.filter(surface="transfers", reason="opening").count()) == 1
    await sweeps.balances(rig.service, reason="schedule")
    move(rig, "deposit", "250.5", "tx-in")
    move(rig, "withdrawal", "100", "tx-out", fee="1.25")
    assert await compared(rig) == [("transfer", "open")] * 2
    await assert_equal(rig)
    assert await rig.of(lambda: Transfer.objects.count()) == 2
    found = await rig.of(lambda: list(Break.objects.values_list("delta", "transfer__amount", "economic_at")))
    assert {delta for delta, _, _ in found} == {D("250.5"), D("-101.25")}
    assert all(delta == amount and at is not None for delta, amount, at in found)
    assert await status_of(rig, "balances") == "proved"
    await rig.of(_resolve_all)
    assert await compared(rig) == []
    assert await status_of(rig, "transfers") == "proved"


def _resolve_all() -> None:
    Break.objects.update(status="resolved", resolution="attributed", resolved_at=clock.now())


async def test_a_deposit_credited_twice_is_booked_twice_and_suspected(rig: Rig) -> None:
    move(rig, "duplicate_deposit", "7", "tx-twice")
    found = await compared(rig)
    await assert_equal(rig)
    # where the venue names no reference nothing tells a repetition
    second = ("transfer", "open") if rig.world.exchange == "bybit" else ("transfer_duplicated", "suspected")
    assert found == [("transfer", "open"), second]


async def test_a_balance_read_before_its_transfer_heals_by_itself(rig: Rig) -> None:
    move(rig, "deposit", "5", "tx-1")
    await sweeps.balances(rig.service, reason="schedule")
    await rig.of(_advance)
    assert await rig.of(lambda: list(Break.objects.values_list("kind", "status"))) == [("balance", "suspected")]
    assert await compared(rig) == [("transfer", "open")]
    assert await rig.of(lambda: Break.objects.get(kind="balance").status) == "resolved"


async def test_a_read_that_fails_or_is_partial_proves_nothing(rig: Rig) -> None:
    move(rig, "deposit", "5.5", "tx-1")
    for fault, status in (("status", "failed"), ("huge_exponent", "partial")):
        rig.fault(fault, "transfers", count=20, params={"status": 503})
        read = await sweeps.moved(rig.service, reason="schedule")
        rig.venue.remove_faults()
        rig.end_pauses()
        await rig.of(_advance)
        assert read.status == status
        assert await status_of(rig, "transfers") == "failed"
        assert await rig.of(lambda: Transfer.objects.filter(amount=D("5.5")).count()) == 0
    assert ("transfer", "open") in await compared(rig)
    await assert_equal(rig)


async def test_lists_that_lie_become_breaks(rig: Rig) -> None:
    for number in (1, 2):
        move(rig, "deposit", "5", f"tx-{number}")
    await sweeps.moved(rig.service, reason="schedule")
    move(rig, "hide_transfer", "5", "tx-1")
    move(rig, "alter_transfer", "6", "tx-2")
    found = {kind for kind, _ in await compared(rig)}
    assert found == {"transfer", "transfer_missing_at_venue", "transfer_differs"}
    await assert_equal(rig)


async def test_a_server_without_the_list_is_opened_and_named(
    transactional_db: None, paper: PaperVenue, world: WorldHandle
) -> None:
    paper.add_fault(world, "status", "transfers", params={"status": 404}, seconds=600)
    async with open_rig(paper, world) as rig:
        await rig.of(_advance)
        assert rig.account.opened_at is not None
        assert await status_of(rig, "transfers") == "failed"
        paper.remove_faults()
        rig.end_pauses()
        move(rig, "deposit", "5", "tx-1")
        assert ("transfer", "open") in await compared(rig)
        assert await rig.of(lambda: Transfer.objects.count()) == 1
        await assert_equal(rig)


async def test_a_successor_knows_what_the_opening_contained(rig: Rig) -> None:
    move(rig, "deposit", "5", "tx-1")
    await sweeps.moved(rig.service, reason="schedule")
    await rig.take_again()
    assert await rig.of(lambda: Transfer.objects.count()) == 1
    await assert_equal(rig)


# --- Deribit ---


async def test_funding_and_settlements_end_without_a_balance_break(transactional_db: None, paper: PaperVenue) -> None:
    account = {"api_key": "key1", "secret": "secret", "balances": {"BTC": "2", "USDC": "100000"}}
    hasty = {"funding_interval_seconds": 0.4, "settlement_interval_seconds": 2}
    world = paper.create_world("deribit", f"settled-{next(_numbers)}", accounts=[account], personality=hasty)
    async with open_rig(paper, world) as rig:
        for symbol, quantity, price in (("BTC/USD:BTC", "1000", "61000"), ("BTC/USDC:USDC", "0.02", "61000")):
            await rig.submitted(symbol=symbol, side="buy", quantity=quantity, price=price)
        await rig.submitted(symbol="BTC/USD:BTC", side="sell", quantity="400", price="59000")
        await sweeps.fills(rig.service, reason="schedule")
        fallen = {"exchange": "deribit", "world": world.world, "symbol": "BTC/USD:BTC", "price": "58000"}
        paper.control("POST", "prices", fallen)
        settled = len(paper.journal(world, "settled"))
        await until(lambda: len(paper.journal(world, "settled")) > settled + 4)
        found = await compared(rig)
        booked = await rig.of(lambda: set(Transfer.objects.values_list("kind", flat=True)))
        assert booked == {"funding", "settlement"}
        assert [kind for kind, status in found if status == "open" or kind != "balance"] == []
        assert await rig.of(lambda: list(verify_ledger.differences())) == []
        for _ in range(
            20
        ):  # between two sessions the totals are equal; funding that is running is not the account's yet
            before = len(paper.journal(world, "settled"))
            await sweeps.moved(rig.service, reason="schedule")
            theirs = {one.asset: one.total for one in (await sweeps.balances(rig.service, reason="schedule")).rows}
            if len(paper.journal(world, "settled")) == before:
                break
        totals = await rig.of(lambda: dict(Balance.objects.values_list("asset", "total")))
        assert {asset: totals[asset] for asset in ("BTC", "USDC")} == {
            asset: theirs[asset] for asset in ("BTC", "USDC")
        }
        books = await rig.of(lambda: set(Posting.objects.filter(cause="transfer").values_list("book", flat=True)))
        assert books == {"venue", "funding"}
    paper.remove_world(world)
