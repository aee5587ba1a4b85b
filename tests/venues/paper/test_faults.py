"""Every fault really happens, is counted, and is in the journal."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import aiohttp
import ccxt
import pytest

from tests.venues.paper.clients import client, with_client_id
from tests.venues.paper.process import PaperVenue, WorldHandle
from tests.venues.paper.test_streams import USER_STREAMS, collecting, ready, until

SYMBOL = "BTC/USDT"
ORDER = (SYMBOL, "limit", "buy", "0.1", "50000")

# fault, its parameters, is the order on the venue, what unmodified ccxt makes of it (None: it returns no id)
ON_CREATE: list[tuple[str, dict[str, Any], bool, type[Exception] | None]] = [
    ("drop_before", {}, False, ccxt.ExchangeNotAvailable),
    ("drop_after", {}, True, ccxt.ExchangeNotAvailable),
    ("hang", {"seconds": 20, "when": "before"}, False, ccxt.RequestTimeout),
    ("hang", {"seconds": 20, "when": "after"}, True, ccxt.RequestTimeout),
    ("status", {"status": 502, "when": "after"}, True, ccxt.ExchangeNotAvailable),
    ("status", {"status": 503, "when": "before"}, False, ccxt.ExchangeNotAvailable),
    ("status", {"status": 403, "when": "after"}, True, ccxt.ExchangeNotAvailable),
    ("empty", {}, True, None),
    ("html", {}, True, None),
    ("json_empty", {}, True, None),
    ("truncate", {}, True, ccxt.ExchangeError),
    ("rate_limited", {"seconds": 3}, False, ccxt.BaseError),
    ("ban", {"seconds": 3}, False, ccxt.DDoSProtection),
    ("unknown_reject", {}, False, ccxt.ExchangeError),
    ("duplicate_client_id_reject", {}, False, ccxt.ExchangeError),
]
# What unmodified ccxt makes of some of them where the exchange's envelope is another.
ON_CREATE_ELSE: dict[str, dict[str, type[Exception]]] = {
    "bybit": {"json_empty": ccxt.ExchangeError, "ban": ccxt.RateLimitExceeded, "status": ccxt.NetworkError},
    "deribit": dict.fromkeys(("empty", "html", "json_empty"), TypeError),
    "okx": {"json_empty": ccxt.ExchangeError, "ban": ccxt.RateLimitExceeded},
    "coinbase": {"ban": ccxt.RateLimitExceeded},
}
BALANCE_REQUESTS: dict[str, tuple[Any, ...]] = {
    "binance": ("account", ["private"], "GET"),
    "kraken": ("BalanceEx", ["private"], "POST"),
    "bybit": ("v5/account/wallet-balance", ["private"], "GET", {"accountType": "UNIFIED"}),
    "deribit": ("get_account_summaries", ["private"], "GET"),
    "okx": ("account/balance", ["private"], "GET"),
    "coinbase": ("brokerage/accounts", ["v3", "private"], "GET"),
}
FILL_MARKS = {
    "binance": '"x": "TRADE"', "kraken": '"exec_type": "trade"', "bybit": '"execType": "Trade"', "okx": '"execType": "T"',
    "deribit": '"trade_seq"',
    "coinbase": '"number_of_fills": "1"',
}  # fmt: skip


@pytest.mark.parametrize(("fault", "params", "is_placed", "expected"), ON_CREATE)
async def test_faults_on_create_order(
    venue: PaperVenue,
    world: WorldHandle,
    fault: str,
    params: dict[str, Any],
    is_placed: bool,
    expected: type[Exception] | None,
) -> None:
    exchange = client(world, timeout=1000)
    expected = ON_CREATE_ELSE.get(world.exchange, {}).get(fault, expected)
    try:
        await exchange.load_markets()
        exchange.session._retry_connection = False  # else aiohttp sends a GET twice, and Deribit's orders are GETs
        fault_id = venue.add_fault(world, fault, "create_order", params=params)
        if expected is None:
            assert (await exchange.create_order(*ORDER))["id"] is None
        else:
            with pytest.raises(expected):
                await exchange.create_order(*ORDER)
        assert venue.fault(fault_id)["fired"] == 1
        assert [fired["fault"] for fired in venue.journal(world, "fault")] == [fault]
        assert len(venue.journal(world, "accepted")) == is_placed
        await exchange.create_order(*ORDER)
    finally:
        await exchange.close()


async def test_huge_exponent_reaches_the_reader(exchange: Any, venue: PaperVenue, world: WorldHandle) -> None:
    await exchange.load_markets()
    venue.add_fault(world, "huge_exponent", "balance")
    async with aiohttp.ClientSession() as session:
        signed = exchange.sign(*BALANCE_REQUESTS[world.exchange])
        method = signed["method"]
        headers, body = signed["headers"], signed["body"]
        async with session.request(method, signed["url"], headers=headers, data=body) as response:
            assert "1E999999999" in await response.text()


async def test_fault_for_one_client_id_alone(exchange: Any, venue: PaperVenue, world: WorldHandle) -> None:
    venue.add_fault(world, "unknown_reject", "create_order", match={"client_order_id": "a1chosen000000001"})
    await exchange.create_order(*ORDER, with_client_id(exchange, "a1other0000000001"))
    with pytest.raises(ccxt.ExchangeError):
        await exchange.create_order(*ORDER, with_client_id(exchange, "a1chosen000000001"))


async def test_reads_can_fail_while_orders_work(exchange: Any, venue: PaperVenue, world: WorldHandle) -> None:
    reads = ["fetch_order", "open_orders", "closed_orders", "my_trades"]
    venue.control(
        "POST",
        "faults",
        {
            "exchange": world.exchange,
            "world": world.world,
            "fault": "status",
            "match": {"operation": reads},
            "seconds": 60,
            "params": {"status": 503, "when": "before"},
        },
    )
    made = await exchange.create_order(*ORDER)
    for read in (exchange.fetch_open_orders, exchange.fetch_my_trades):
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await read(SYMBOL)
    venue.remove_faults()
    assert (await exchange.fetch_order(made["id"], SYMBOL))["status"] == "open"


def fills_of(exchange: Any) -> Any:
    """Return what tells of fills over the stream: Coinbase tells of orders alone, which ccxt gives what they filled."""
    return exchange.watch_orders if exchange.id == "coinbase" else exchange.watch_my_trades


def filled_by(row: dict[str, Any]) -> Decimal:
    """Return what a row of either says has filled."""
    return Decimal(row.get("filled", row["amount"]))


async def test_delayed_fill_is_told_late_everywhere(exchange: Any, venue: PaperVenue, world: WorldHandle) -> None:
    await exchange.load_markets()
    venue.add_fault(world, "delayed_fill", params={"seconds": 1.5})
    async with collecting(fills_of(exchange)) as trades:
        await ready(exchange, USER_STREAMS[world.exchange])
        made = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "61000")
        assert (await exchange.fetch_order(made["id"], SYMBOL))["status"] == "open"
        assert [order["id"] for order in await exchange.fetch_open_orders(SYMBOL)] == [made["id"]]
        assert await exchange.fetch_my_trades(SYMBOL) == []
        assert Decimal((await exchange.fetch_balance())["total"]["BTC"]) == 2
        assert not [row for row in trades if filled_by(row)]
        await until(lambda: [row for row in trades if filled_by(row)])
        assert len(await exchange.fetch_my_trades(SYMBOL)) == 1
        assert (await exchange.fetch_order(made["id"], SYMBOL))["status"] == "closed"
        assert Decimal((await exchange.fetch_balance())["total"]["BTC"]) > 2
    (fact,) = venue.journal(world, "filled")
    assert fact["visible_at"] - fact["at"] == 1_500_000


async def test_read_lag_hides_what_is_new(exchange: Any, venue: PaperVenue, world: WorldHandle) -> None:
    fault_id = venue.add_fault(world, "read_lag", seconds=60, params={"seconds": 30})
    await exchange.create_order(*ORDER)
    assert await exchange.fetch_open_orders(SYMBOL) == []
    venue.remove_faults(fault_id)
    assert len(await exchange.fetch_open_orders(SYMBOL)) == 1


async def test_fill_frames_come_several_times(exchange: Any, venue: PaperVenue, world: WorldHandle) -> None:
    await exchange.load_markets()
    frames: list[str] = []
    handle = exchange.handle_message

    def record(stream: Any, message: Any) -> None:
        frames.append(json.dumps(message))
        handle(stream, message)

    exchange.handle_message = record
    venue.add_fault(world, "duplicate_fill", seconds=60, params={"times": 3})
    async with collecting(fills_of(exchange)):
        await ready(exchange, USER_STREAMS[world.exchange])
        await until(lambda: frames)  # the venue has heard of the subscription, and not only our client
        await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "61000")
        await until(lambda: sum(FILL_MARKS[world.exchange] in frame for frame in frames) == 3)
    assert len(await exchange.fetch_my_trades(SYMBOL)) == 1


async def test_dropped_frames_leave_a_gap_that_rest_shows(exchange: Any, venue: PaperVenue, world: WorldHandle) -> None:
    await exchange.load_markets()
    async with collecting(fills_of(exchange)) as trades:
        await ready(exchange, USER_STREAMS[world.exchange])
        fault_id = venue.add_fault(world, "drop_stream_frames", seconds=60)
        await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "61000")
        await until(lambda: venue.fault(fault_id)["fired"] > 0)  # frames leave when the journal is durable
        venue.remove_faults(fault_id)
        await exchange.create_order(SYMBOL, "limit", "buy", "0.2", "61000")
        await until(lambda: [row for row in trades if filled_by(row)])
    assert {filled_by(row) for row in trades if filled_by(row)} == {Decimal("0.2")}
    assert len(await exchange.fetch_my_trades(SYMBOL)) == 2


async def test_closed_stream_refuses_to_come_back_for_a_while(
    exchange: Any, venue: PaperVenue, world: WorldHandle
) -> None:
    await exchange.load_markets()

    async def watch() -> None:
        while True:
            await exchange.watch_orders()

    watching = asyncio.create_task(watch())
    await ready(exchange, USER_STREAMS[world.exchange])
    venue.add_fault(world, "close_stream", params={"seconds": 2})
    with pytest.raises(ccxt.NetworkError):
        await asyncio.wait_for(watching, 10)
    with pytest.raises(ccxt.BaseError):
        await asyncio.wait_for(exchange.watch_orders(), 10)


async def test_poison_frame_cannot_be_parsed(venue: PaperVenue, world: WorldHandle) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{world.ws_url}/v2") as socket:
        venue.add_fault(world, "poison_frame", "stream")
        async with asyncio.timeout(5):
            while True:
                text = await socket.receive_str()
                if text.endswith("[{"):
                    break


async def test_silent_debit_and_deposit_are_in_the_journal(
    exchange: Any, venue: PaperVenue, world: WorldHandle
) -> None:
    venue.add_fault(world, "silent_debit", params={"asset": "USDT", "amount": "12.5"})
    venue.add_fault(world, "deposit", params={"asset": "ETH", "amount": "1"})
    total = (await exchange.fetch_balance())["total"]
    assert (Decimal(total["USDT"]), Decimal(total["ETH"])) == (Decimal("99987.5"), Decimal(31))
    (debit,) = venue.journal(world, "debited")
    assert (debit["asset"], debit["amount"]) == ("USDT", "12.5")


async def test_skew_moves_the_venues_clock(exchange: Any, venue: PaperVenue, world: WorldHandle) -> None:
    venue.add_fault(world, "skew", params={"seconds": 120})
    assert 118_000 < await exchange.fetch_time() - exchange.milliseconds() < 122_000


def test_a_fault_that_makes_no_sense_is_refused(venue: PaperVenue, world: WorldHandle) -> None:
    with pytest.raises(AssertionError, match="fault must be one of"):
        venue.add_fault(world, "earthquake")
    with pytest.raises(AssertionError, match="operation must be one of"):
        venue.add_fault(world, "drop_after", "dance")
