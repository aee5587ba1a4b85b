"""What is Deribit's own: signatures, labels, contracts, edits, paging, heartbeats and books by change id."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.venues.paper.clients import client
from tests.venues.paper.process import PaperVenue, WorldHandle, running_paper_venue
from tests.venues.paper.simulating import START, body_of, reply_of
from tests.venues.paper.test_streams import collecting, until
from venues.paper.simulated import SimulatedWorld, connect, request, simulated_world

SYMBOL, LINEAR = "BTC/USD:BTC", "BTC/USDC:USDC"
BALANCES = {"BTC": "2", "USDC": "50000", "USDT": "100000"}
ACCOUNT = {"api_key": "key1", "secret": "secret", "balances": BALANCES}


@pytest.fixture
def deribit_world(venue: PaperVenue, request: pytest.FixtureRequest) -> Iterator[WorldHandle]:
    """Return a new still world with money in coins and dollars."""
    name = f"own-{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}"
    made = venue.create_world("deribit", name, accounts=[ACCOUNT])
    yield made
    venue.remove_world(made)


@pytest.fixture
async def deribit(deribit_world: WorldHandle) -> AsyncIterator[Any]:
    """Return an unmodified ccxt client of the world."""
    one = client(deribit_world)
    yield one
    await one.close()


def exact(number: Any) -> Decimal:
    """Return a number that ccxt read as a float as the venue wrote it."""
    return Decimal(str(number))


class Desk:
    """A world in memory whose clock is moved by hand, and signed requests to it."""

    def __init__(self, **personality: Any) -> None:
        self.now = START
        self.world: SimulatedWorld = simulated_world("deribit", 1, lambda: self.now, [ACCOUNT], personality)

    def ask(self, name: str, at: int | None = None, **params: Any) -> Any:
        """Send a signed request and return the answer's JSON."""
        path, query = f"/api/v2/private/{name}", urllib.parse.urlencode(params)
        stamp = str((self.now if at is None else at) // 1000)
        signed = f"{stamp}\nonce\nGET\n{path}{'?' + query if query else ''}\n\n"
        signature = hmac.new(b"secret", signed.encode(), hashlib.sha256).hexdigest()
        headers = {"Authorization": f"deri-hmac-sha256 id=key1,ts={stamp},sig={signature},nonce=once"}
        return body_of(reply_of(request(self.world, "GET", path, query, headers)))

    def pass_seconds(self, seconds: float) -> None:
        """Move the clock, stopping wherever something is due."""
        until_us = self.now + int(seconds * 1_000_000)
        while (due := self.world.next_due()) is not None and due <= until_us:
            self.now = max(self.now, due)
            self.world.advance()
        self.now = until_us


async def test_a_position_is_opened_reduced_and_told(
    deribit: Any, venue: PaperVenue, deribit_world: WorldHandle
) -> None:
    bought = await deribit.create_order(SYMBOL, "limit", "buy", "1000", "61000", {"label": "a1"})
    assert (bought["status"], Decimal(bought["filled"])) == ("closed", Decimal(1000))
    sold = await deribit.create_order(SYMBOL, "market", "sell", "400", None, {"reduceOnly": True})
    assert sold["status"] == "closed"
    (position,) = await deribit.fetch_positions()
    assert (position["symbol"], position["side"], Decimal(position["contracts"])) == (SYMBOL, "long", Decimal(600))
    facts = venue.journal(deribit_world, "filled")
    trades = await deribit.fetch_my_trades(SYMBOL)
    assert [exact(row["info"]["profit_loss"]) for row in trades] == [Decimal(fact["realised"]) for fact in facts]
    summary = (await deribit.private_get_get_account_summary({"currency": "BTC"}))["result"]
    engine = venue.balances(deribit_world)["BTC"]
    assert exact(summary["balance"]) + exact(summary["session_rpl"]) == Decimal(engine["total"])
    assert exact(summary["initial_margin"]) == Decimal(engine["held"]) > 0
    with pytest.raises(ccxt.ExchangeError, match="invalid_reduce_only_order"):
        await deribit.create_order(SYMBOL, "market", "sell", "610", None, {"reduceOnly": True})


async def test_a_label_may_be_used_again_and_names_all_its_orders(deribit: Any) -> None:
    for _ in range(2):
        await deribit.create_order(SYMBOL, "limit", "buy", "10", "50000", {"label": "a1twice"})
    asked = {"currency": "BTC", "label": "a1twice"}
    assert len((await deribit.private_get_get_order_state_by_label(asked))["result"]) == 2
    assert (await deribit.private_get_cancel_by_label({"label": "a1twice"}))["result"] in (2, "2")
    found = (await deribit.private_get_get_order_state_by_label(asked))["result"]
    assert [row["order_state"] for row in found] == ["cancelled", "cancelled"]
    with pytest.raises(ccxt.BadRequest, match="too long"):
        await deribit.create_order(SYMBOL, "limit", "buy", "10", "50000", {"label": "x" * 65})


@pytest.mark.parametrize(
    ("quantity", "price", "expected", "text"),
    [
        ("15", "50000", ccxt.BadRequest, "must be a multiple of the minimum order size"),
        ("10", "50000.25", ccxt.BadRequest, "must conform to tick size"),
        ("9000000", "50000", ccxt.InsufficientFunds, "not_enough_funds"),
    ],
)
async def test_refusals(deribit: Any, quantity: str, price: str, expected: type[Exception], text: str) -> None:
    await deribit.load_markets()
    asked = {"instrument_name": "BTC-PERPETUAL", "amount": quantity, "price": price, "type": "limit"}
    with pytest.raises(expected, match=text):
        await deribit.private_get_buy(asked)
    assert await deribit.fetch_open_orders(SYMBOL) == []


async def test_post_only_is_moved_beside_the_spread_unless_it_is_to_be_refused(deribit: Any) -> None:
    with pytest.raises(ccxt.InvalidOrder, match="post_only_reject"):
        await deribit.create_order(SYMBOL, "limit", "buy", "10", "61000", {"postOnly": True})
    asked = {"instrument_name": "BTC-PERPETUAL", "amount": "10", "price": "61000", "type": "limit", "post_only": "true"}
    placed = (await deribit.private_get_buy(asked))["result"]["order"]
    best = (await deribit.fetch_order_book(SYMBOL))["asks"][0][0]
    assert (placed["order_state"], Decimal(placed["price"])) == ("open", Decimal(str(best)) - Decimal("0.5"))


async def test_an_edit_keeps_the_order(deribit: Any) -> None:
    made = await deribit.create_order(SYMBOL, "limit", "buy", "100", "50000", {"label": "a1edit"})
    changed = await deribit.edit_order(made["id"], SYMBOL, "limit", "buy", "200", "51000")
    assert (changed["id"], Decimal(changed["amount"]), Decimal(changed["price"])) == (
        made["id"],
        Decimal(200),
        Decimal(51000),
    )
    by_label = {"label": "a1edit", "instrument_name": "BTC-PERPETUAL", "amount": "150", "price": "51000"}
    assert (await deribit.private_get_edit_by_label(by_label))["result"]["order"]["order_id"] == made["id"]
    await deribit.cancel_order(made["id"], SYMBOL)
    with pytest.raises(ccxt.InvalidOrder, match="not_open_order"):
        await deribit.edit_order(made["id"], SYMBOL, "limit", "buy", "100", "51000")


async def test_trades_come_in_pages_and_say_when_there_are_more(deribit: Any) -> None:
    for _ in range(5):
        await deribit.create_order(LINEAR, "market", "buy", "0.001")
    asked = {"currency": "USDC", "start_timestamp": 1, "end_timestamp": 2_000_000_000_000, "sorting": "asc"}
    first = (await deribit.private_get_get_user_trades_by_currency_and_time(asked | {"count": 2}))["result"]
    assert (len(first["trades"]), first["has_more"]) == (2, True)
    whole = (await deribit.private_get_get_user_trades_by_currency_and_time(asked))["result"]
    assert (len(whole["trades"]), whole["has_more"]) == (5, False)
    assert whole["trades"][:2] == first["trades"]
    later = {"instrument_name": "BTC_USDC-PERPETUAL", "start_seq": whole["trades"][3]["trade_seq"], "count": 10}
    assert len((await deribit.private_get_get_user_trades_by_instrument(later))["result"]["trades"]) == 2


async def test_what_ended_without_a_trade_is_listed_when_asked_for(deribit: Any) -> None:
    made = await deribit.create_order(SYMBOL, "limit", "buy", "10", "50000")
    await deribit.cancel_order(made["id"], SYMBOL)
    assert await deribit.fetch_closed_orders(SYMBOL) == []
    (closed,) = await deribit.fetch_closed_orders(SYMBOL, None, None, {"include_unfilled": "true"})
    assert (closed["id"], closed["status"]) == (made["id"], "canceled")


async def test_portfolio_and_private_channels_need_authentication(deribit_world: WorldHandle, deribit: Any) -> None:
    await deribit.load_markets()
    async with collecting(deribit.watch_balance) as balances:
        await until(lambda: any("BTC" in row for row in balances))
    async with deribit.session.ws_connect(f"{deribit_world.ws_url}/ws/api/v2") as socket:
        asked = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "private/subscribe",
            "params": {"channels": ["user.orders.any.any.raw"]},
        }
        await socket.send_json(asked)
        assert (await socket.receive_json())["error"]["code"] == 13009


async def test_the_book_goes_from_change_to_change(venue: PaperVenue) -> None:
    moving = venue.create_world("deribit", "moving-own", flow_steps_per_second=20, accounts=[ACCOUNT])
    one = client(moving)
    try:
        await one.load_markets()
        async with asyncio.timeout(20), one.session.ws_connect(f"{moving.ws_url}/ws/api/v2") as socket:
            names = {"channels": ["book.BTC-PERPETUAL.100ms"]}
            await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "public/subscribe", "params": names})
            assert (await socket.receive_json())["result"] == names["channels"]
            data = (await socket.receive_json())["params"]["data"]
            assert data["type"] == "snapshot"
            for _ in range(10):
                before, data = data["change_id"], (await socket.receive_json())["params"]["data"]
                assert (data["type"], data["prev_change_id"]) == ("change", before)
                assert data["change_id"] > before
    finally:
        await one.close()
        venue.remove_world(moving)


def test_an_old_signature_and_a_passed_validity_are_refused() -> None:
    desk = Desk()
    assert desk.ask("get_positions", at=START - 61_000_000)["error"]["code"] == 13009
    asked: dict[str, Any] = {"instrument_name": "BTC-PERPETUAL", "amount": 10, "price": 50000, "type": "limit"}
    assert desk.ask("buy", **asked, valid_until=START // 1000)["error"]["message"] == "timed_out"
    assert "order" in desk.ask("buy", **asked, valid_until=START // 1000 + 1)["result"]
    careless = Desk(validity_window=False)
    assert "order" in careless.ask("buy", **asked, valid_until=1)["result"]
    assert len(desk.world.records("accepted")) == 1


def test_funding_is_paid_by_the_worlds_clock() -> None:
    desk = Desk(funding_interval_seconds=3600, settlement_interval_seconds=10**9)
    desk.ask("buy", instrument_name="BTC-PERPETUAL", amount=6000, type="market")
    desk.pass_seconds(3 * 3600)
    records = desk.world.records("funded")
    assert [(record["symbol"], Decimal(record["amount"]) < 0) for record in records] == [(SYMBOL, True)] * 3
    assert len({record["at"] for record in records}) == 3
    assert all(record["at"] % 3_600_000_000 == 0 for record in records)
    paid = -sum(Decimal(record["amount"]) for record in records)
    (position,) = desk.ask("get_positions", currency="BTC")["result"]
    assert Decimal(str(position["realized_funding"])) == -paid
    summary = desk.ask("get_account_summary", currency="BTC")["result"]
    assert Decimal(str(summary["session_funding"])) == -paid
    desk.world.engine.check_conserved(desk.world.engine.supply)


MONEY = ("balance", "session_rpl", "session_funding", "initial_margin", "spot_reserve")
HELD = ("instrument_name", "size", "average_price", "realized_profit_loss", "realized_funding", "initial_margin")


def test_a_read_that_lags_shows_money_margin_and_positions_of_one_moment() -> None:
    def told(lag: int) -> list[Any]:
        desk = Desk(read_lag_seconds=lag, funding_interval_seconds=240)
        seen = []
        for step in range(20):
            if step in (2, 7):
                desk.ask("buy", instrument_name="BTC-PERPETUAL", amount=6000, type="market")
                desk.ask("buy", instrument_name="BTC-PERPETUAL", amount=6000, type="limit", price=50000)
                desk.ask("buy", instrument_name="BTC_USDT", amount=0.1, type="limit", price=50000)
            if step == 12:
                desk.ask("sell", instrument_name="BTC-PERPETUAL", amount=8000, type="market")
                desk.ask("cancel_all")
            money = [[row[name] for name in MONEY] for row in desk.ask("get_account_summaries")["result"]["summaries"]]
            held = [[row[name] for name in HELD] for row in desk.ask("get_positions")["result"]]
            seen.append((money, held))
            desk.pass_seconds(60)
        return seen

    assert told(60)[1:] == (now := told(0))[:-1]
    assert len({str(one) for one in now}) > 6


def test_who_does_not_answer_the_heartbeat_is_cut_off() -> None:
    desk = Desk()
    silent, alive = (connect(desk.world, "/ws/api/v2") for _ in range(2))
    for stream in (silent, alive):
        stream.write(json.dumps({"id": 1, "method": "public/set_heartbeat", "params": {"interval": 10}}))
        assert json.loads(stream.take()[0])["result"] == "ok"
    for _ in range(25):
        desk.pass_seconds(1)
        desk.world.dialect.heartbeat(desk.world)
        for text in alive.take():
            if json.loads(text).get("method") == "heartbeat":
                alive.write(json.dumps({"id": 2, "method": "public/test", "params": {}}))
    assert (silent.is_open, alive.is_open) == (False, True)


async def test_a_killed_venue_comes_back_with_its_positions(tmp_path: Path) -> None:
    with running_paper_venue(tmp_path) as venue:
        personality = {"funding_interval_seconds": 0.5}
        world = venue.create_world("deribit", accounts=[ACCOUNT], personality=personality)
        exchange = client(world)
        try:
            await exchange.create_order(SYMBOL, "market", "buy", "1000")
            await exchange.create_order(LINEAR, "market", "sell", "0.01")
            await until(lambda: venue.journal(world, "funded"))
            venue.kill()
            told = {row["symbol"] for row in _positions_of(tmp_path)}
            venue.start_again()
            await exchange.close()
            exchange = client(world)
            held = {row["symbol"]: Decimal(row["contracts"]) for row in await exchange.fetch_positions()}
            assert held == {SYMBOL: Decimal(1000), LINEAR: Decimal("-0.01")}
            assert told <= set(held)
        finally:
            await exchange.close()


def _positions_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "deribit" / "test" / "journal.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == "funded"]
