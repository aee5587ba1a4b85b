"""Money that moved without a trade, read from each dialect of the paper venue and from rows that nobody should send."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from project.lib import clock
from tests.venues.desk import Desk, gateway, until
from tests.venues.paper.process import PaperVenue
from tests.venues.recorded import RecordedWire
from venues.adapters import rows, transfer_rows
from venues.messages import Malformed, Read, TransferReport

D = Decimal
AGO = timedelta(minutes=5)
# What comes from outside goes through another wallet first at these two: to the account it is a transfer of its owner.
INTERNAL = ("bybit", "okx")
NAMED = ("binance", "kraken", "okx", "coinbase", "deribit")
_numbers = itertools.count(1)


async def read(desk: Desk, since: datetime | None = None) -> Read:
    return await desk.gateway.read("transfers", since=since or clock.now() - AGO)


def moved(desk: Desk, fault: str, amount: str, reference: str, **params: str) -> None:
    params = {"asset": "USDT", "amount": amount, "reference": reference, **params}
    desk.venue.add_fault(desk.world, fault, params=params)


async def test_deposits_and_withdrawals_are_read_with_what_they_did_to_the_total(desk: Desk) -> None:
    opening = await read(desk)
    assert (opening.status, opening.error) == ("good", "")
    before = {row.asset: row.total for row in (await desk.gateway.read("balances")).rows}
    assert {row.asset: row.amount for row in opening.rows} == before
    moved(desk, "deposit", "250.5", "tx-in")
    moved(desk, "withdrawal", "100", "tx-out", fee="1.25")
    found = await read(desk)
    news = [row for row in found.rows if row not in opening.rows]
    is_internal = desk.world.exchange in INTERNAL
    kinds = ("internal", "internal") if is_internal else ("deposit", "withdrawal")
    assert [(row.kind, row.asset, row.amount, row.status) for row in sorted(news, key=lambda row: -row.amount)] == [
        (kinds[0], "USDT", D("250.5"), "done"), (kinds[1], "USDT", D("-101.25"), "done"),
    ]  # fmt: skip
    if desk.world.exchange in NAMED:
        assert {row.reference for row in news} == {"tx-in", "tx-out"}
    if desk.world.exchange not in ("coinbase", "deribit"):
        assert max(row.fee for row in news) == D("1.25")
    after = {row.asset: row.total for row in (await desk.gateway.read("balances")).rows}
    assert after["USDT"] == before["USDT"] + sum(row.amount for row in news)
    assert (await read(desk)).rows == found.rows
    ids = [(row.kind, row.venue_transfer_id, row.asset) for row in found.rows]
    assert len(set(ids)) == len(ids)


async def test_trades_are_no_transfers_and_pages_follow_one_another(desk: Desk) -> None:
    before = await read(desk)
    for _ in range(30):
        await desk.gateway.turn("order")
        placed = await desk.gateway.place(
            desk.order(type="market", price=None, quantity=D("0.01"), time_in_force="IOC")
        )
        assert placed.outcome == "accepted"
    for number in range(60):
        moved(desk, "deposit", "1", f"tx-{number}")
    found = await read(desk)
    assert found.status == "good"
    assert len(found.rows) == len(before.rows) + 60
    assert sum(row.amount for row in found.rows if row not in before.rows) == 60


async def test_what_is_older_than_was_asked_for_is_left_out(desk: Desk) -> None:
    assert (await read(desk)).rows
    after = clock.now() + timedelta(seconds=1)
    assert (await read(desk, since=after)).rows == ()


async def test_a_deposit_credited_twice_is_two_rows_of_one_reference(desk: Desk) -> None:
    before = await read(desk)
    moved(desk, "duplicate_deposit", "7", "tx-twice")
    news = [row for row in (await read(desk)).rows if row not in before.rows]
    assert [row.amount for row in news] == [D(7), D(7)]
    assert len({row.venue_transfer_id for row in news}) == 2
    if desk.world.exchange in NAMED:
        assert {row.reference for row in news} == {"tx-twice"}


async def test_a_silent_debit_is_in_no_list_and_lists_may_lie(desk: Desk) -> None:
    desk.venue.add_fault(desk.world, "silent_debit", params={"asset": "USDT", "amount": "3"})
    moved(desk, "deposit", "5", "tx-hidden")
    moved(desk, "deposit", "6", "tx-altered")
    assert sorted(row.amount for row in (await read(desk)).rows if row.asset == "USDT" and row.amount < 10) == [
        D(5),
        D(6),
    ]
    moved(desk, "hide_transfer", "5", "tx-hidden")
    moved(desk, "alter_transfer", "9", "tx-altered")
    assert [row.amount for row in (await read(desk)).rows if row.asset == "USDT" and row.amount < 10] == [D(9)]


@pytest.mark.parametrize("fault", ["status", "empty", "json_empty", "html", "truncate", "drop_after"])
async def test_a_failed_read_is_not_an_empty_one(desk: Desk, fault: str) -> None:
    moved(desk, "deposit", "5", "tx-1")
    desk.venue.add_fault(desk.world, fault, "transfers", params={"status": 404}, count=5)
    found = await read(desk)
    assert (found.status, found.rows) == ("failed", ())
    assert found.error


async def test_a_page_that_fails_makes_the_whole_read_fail(desk: Desk) -> None:
    for number in range(120):
        moved(desk, "deposit", "1", f"tx-{number}")
    if desk.world.exchange in ("binance", "deribit"):
        return await _second_request_fails(desk)
    adapter = desk.gateway._adapter
    asked = {"n": 0}
    fetch = adapter.client.fetch

    async def second_fails(url: str, *arguments: Any) -> Any:
        if any(word in url for word in ("Ledgers", "transaction", "bills")):
            asked["n"] += 1
            if asked["n"] == 2:
                desk.venue.add_fault(desk.world, "status", "transfers", params={"status": 429})
        return await fetch(url, *arguments)

    adapter.client.fetch = second_fails
    found = await read(desk)
    assert asked["n"] >= 2
    assert (found.status, found.rows) == ("failed", ())


async def _second_request_fails(desk: Desk) -> None:
    """Their pages hold more: the second list, or the second currency, fails."""
    adapter = desk.gateway._adapter
    asked = {"n": 0}
    fetch = adapter.client.fetch

    async def second_fails(url: str, *arguments: Any) -> Any:
        if "capital" in url or "transaction_log" in url:
            asked["n"] += 1
            if asked["n"] == 2:
                desk.venue.add_fault(desk.world, "status", "transfers", params={"status": 503})
        return await fetch(url, *arguments)

    adapter.client.fetch = second_fails
    found = await read(desk)
    assert asked["n"] == 2
    assert (found.status, found.rows) == ("failed", ())


async def test_impossible_numbers_make_a_read_partial(desk: Desk) -> None:
    moved(desk, "deposit", "5.5", "tx-1")
    desk.venue.add_fault(desk.world, "huge_exponent", "transfers", count=20)
    found = await read(desk)
    assert found.status == "partial"
    assert found.malformed
    assert D("5.5") not in {row.amount for row in found.rows}


async def test_a_world_restarted_tells_the_same_ids(desk: Desk) -> None:
    moved(desk, "deposit", "5", "tx-1")
    moved(desk, "withdrawal", "2", "tx-2", fee="0.5")
    desk.venue.add_fault(desk.world, "silent_debit", params={"asset": "USDT", "amount": "3"})
    before = await read(desk)
    await desk.gateway.close()
    desk.venue.kill()
    desk.venue.start_again()
    await desk.gateway.open()
    assert (await read(desk)).rows == before.rows


# --- Deribit: funding and settlement ---


@pytest.fixture
async def contracts(paper: PaperVenue) -> AsyncIterator[Desk]:
    """Return an open gateway on a world of contracts that pays funding and settles all the time, beside another account."""
    hasty = {"funding_interval_seconds": 0.3, "settlement_interval_seconds": 1.5}
    accounts = [
        {"api_key": name, "secret": "secret", "balances": {"BTC": "2", "USDC": "50000", "USDT": "50000"}}
        for name in ("key1", "key2")
    ]
    world = paper.create_world("deribit", f"settled-{next(_numbers)}", accounts=accounts, personality=hasty)
    one = gateway(world)
    await one.open()
    yield Desk(paper, world, one)
    await one.close()
    paper.remove_world(world)


async def test_settlements_are_what_trades_have_not_told(contracts: Desk) -> None:
    desk = contracts
    order = desk.order(symbol="BTC/USD:BTC", quantity=D(10_000), price=D(66000), time_in_force="IOC")
    assert (await desk.gateway.place(order)).outcome == "accepted"
    desk.venue.control("POST", "prices", {**_named(desk), "symbol": "BTC/USD:BTC", "price": "64000"})
    await desk.gateway.place(
        desk.order(symbol="BTC/USD:BTC", side="sell", quantity=D(4_000), type="market", price=None)
    )
    await until(lambda: len(desk.venue.journal(desk.world, "settled")) >= 2)
    found = await read(desk)
    while {row.kind for row in found.rows} != {"deposit", "funding", "settlement"}:
        found = await read(desk)
    fills = await desk.gateway.read("fills", since=clock.now() - AGO)
    booked = sum(row.amount for row in found.rows if row.asset == "BTC")
    booked += sum((row.realised_pnl or 0) - row.fee for row in fills.rows)
    listed = len(found.rows)
    (btc,) = [row for row in (await desk.gateway.read("balances")).rows if row.asset == "BTC"]
    if len((await read(desk)).rows) == listed:  # no session ended in between
        assert btc.total == booked
    assert {row.symbol for row in found.rows if row.kind in ("funding", "settlement")} == {"BTC/USD:BTC"}


def _named(desk: Desk) -> dict[str, str]:
    return {"exchange": desk.world.exchange, "world": desk.world.world}


async def test_a_row_of_another_account_is_refused_where_rows_name_their_account(contracts: Desk) -> None:
    contracts.venue.add_fault(contracts.world, "wrong_account_row", "transfers")
    found = await read(contracts)
    assert found.status == "partial"
    assert [row.reason for row in found.malformed] == ["user_id is of another account than the key's"]


# --- rows ---


def test_a_transfer_without_an_id_is_named_by_its_content_and_always_alike() -> None:
    row = {"coin": "BTC", "amount": "0.5", "insertTime": 1_795_000_000_000, "txId": "ab", "status": 1}
    (one,) = transfer_rows.binance_deposit(row, str)
    (again,) = transfer_rows.binance_deposit({**row, "confirmTimes": "3/3"}, str)
    (other,) = transfer_rows.binance_deposit({**row, "amount": "0.6"}, str)
    assert len(one.venue_transfer_id) == 64
    assert one.venue_transfer_id == again.venue_transfer_id != other.venue_transfer_id


@pytest.mark.parametrize(("told", "status"), [(0, "pending"), (1, "done"), (6, "done"), (2, "failed")])
def test_binance_says_how_far_a_deposit_is(told: int, status: str) -> None:
    row = {"id": "1", "coin": "BTC", "amount": "0.5", "insertTime": 1_795_000_000_000, "status": told, "walletType": 0}
    assert transfer_rows.binance_deposit(row, str)[0].status == status
    assert transfer_rows.binance_deposit({**row, "walletType": 1}, str) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"status": 99},
        {"amount": "-1"},
        {"amount": None},
        {"applyTime": "yesterday"},
        {"coin": ""},
        {"transactionFee": "x"},
    ],
)
def test_a_row_that_makes_no_sense_is_no_report(changes: dict[str, Any]) -> None:
    row = {
        "id": "1",
        "coin": "BTC",
        "amount": "0.5",
        "transactionFee": "0.1",
        "applyTime": "2026-10-12 11:12:02",
        "status": 6,
    }
    (good,) = transfer_rows.binance_withdrawal(row, str)
    assert (good.amount, good.fee, good.occurred_at.hour) == (D("-0.6"), D("0.1"), 11)
    with pytest.raises(rows.RowError):
        transfer_rows.binance_withdrawal({**row, **changes}, str)


def test_the_same_id_with_two_contents_is_a_contradiction() -> None:
    row = {"id": "1", "coin": "BTC", "amount": "0.5", "insertTime": 1_795_000_000_000, "status": 1}
    found = transfer_rows.collect(
        [row, row, {**row, "amount": "0.7"}], lambda one: transfer_rows.binance_deposit(one, str)
    )
    assert [type(one) for one in found] == [TransferReport, Malformed]


def test_a_transaction_of_another_wallet_is_refused() -> None:
    row = {
        "id": "t1", "type": "send", "status": "completed", "amount": {"amount": "1", "currency": "BTC"},
        "created_at": "2026-11-01T00:00:00Z", "resource_path": "/v2/accounts/mine/transactions/t1",
    }  # fmt: skip
    assert transfer_rows.coinbase(row, "mine")[0].kind == "deposit"
    with pytest.raises(rows.RowError, match="another wallet"):
        transfer_rows.coinbase(row, "yours")


async def test_deribits_log_is_read_to_its_end(contracts: Desk) -> None:
    log = [
        {
            "id": number,
            "type": "deposit",
            "currency": "BTC",
            "change": 1.0,
            "timestamp": 1_795_000_000_000,
            "user_id": 1,
        }
        for number in (1, 2)
    ]
    summary = {"currency": "BTC", "balance": 1.0, "session_rpl": 0, "session_funding": 0, "initial_margin": 0}
    bodies: list[dict[str, Any]] = [
        {"id": 1, "summaries": [summary]}, {"logs": log[:1], "continuation": 77}, {"logs": log[1:], "continuation": None},
    ]  # fmt: skip
    wire = RecordedWire(*[(200, {"jsonrpc": "2.0", "result": body}) for body in bodies])
    client = contracts.gateway._adapter.client
    before, client.wire = client.wire, wire
    found = await contracts.gateway.read("transfers", since=datetime.fromtimestamp(1_794_000_000, clock.now().tzinfo))
    client.wire = before
    assert (found.status, len(found.rows)) == ("good", 2)
    assert wire.asked[2][1]["continuation"] == "77"
