"""What the exchanges answer to unmodified ccxt over REST."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.venues.paper.clients import client_id_of, with_client_id
from tests.venues.paper.process import PaperVenue, WorldHandle

SYMBOL = "BTC/USDT"
FEE_RATES = {
    "binance": Decimal("0.001"),
    "kraken": Decimal("0.004"),
    "bybit": Decimal("0.001"),
    "okx": Decimal("0.001"),
    "coinbase": Decimal("0.006"),
    "deribit": Decimal("0.0005"),
}
FEE_ASSETS = {
    "binance": ("BTC", "amount"), "kraken": ("USDT", "cost"), "bybit": ("BTC", "amount"), "okx": ("BTC", "amount"),
    "coinbase": ("USDT", "cost"), "deribit": ("USDT", "cost"),
}  # fmt: skip
UNFILLED = {"binance": "expired"}
DUPLICATE = {"binance": "uplicate", "kraken": "uplicate", "bybit": "uplicate", "okx": "51016"}
NO_MINIMUM_COST = {"okx", "deribit"}
# Where a post-only order that would take is accepted and ended, and where a client id is never free again.
ENDS_POST_ONLY_TAKERS = {"bybit": "rejected", "okx": "canceled"}
CLIENT_IDS_USED_ONCE = {"bybit"}
NOT_OPEN = {"deribit": ccxt.InvalidOrder, "coinbase": ccxt.BadRequest}
SPOT = {"deribit": {"BTC/USDT", "ETH/USDT"}}


async def test_markets_have_exact_steps_and_minimums(exchange: Any) -> None:
    markets = await exchange.load_markets()
    assert {symbol for symbol, market in markets.items() if market["spot"]} == SPOT.get(
        exchange.id, {"BTC/USDT", "ETH/USDT", "SOL/USDT"}
    )
    for market in markets.values():
        assert market["active"]
        assert all(Decimal(market["precision"][name]) > 0 for name in ("price", "amount"))
        assert exchange.id in NO_MINIMUM_COST or Decimal(market["limits"]["cost"]["min"]) > 0


async def test_balance_is_exact_text(exchange: Any) -> None:
    balance = await exchange.fetch_balance()
    assert Decimal(balance["total"]["USDT"]) == 100_000
    assert Decimal(balance["free"]["BTC"]) == 2


async def test_resting_order_holds_funds_and_is_found_everywhere(
    exchange: Any, venue: PaperVenue, world: WorldHandle
) -> None:
    named = with_client_id(exchange, "a1restingorder0001")
    made = await exchange.create_order(SYMBOL, "limit", "buy", "0.5", "50000", named)
    (open_order,) = await exchange.fetch_open_orders(SYMBOL)
    assert open_order["id"] == made["id"]
    assert client_id_of(open_order) == "a1restingorder0001"
    assert (open_order["status"], Decimal(open_order["amount"])) == ("open", Decimal("0.5"))
    fetched = await exchange.fetch_order(made["id"], SYMBOL)
    assert (fetched["status"], Decimal(fetched["filled"])) == ("open", Decimal(0))
    balance = await exchange.fetch_balance()
    held = Decimal(balance["total"]["USDT"]) - Decimal(balance["free"]["USDT"])
    assert held == Decimal(venue.balances(world)["USDT"]["held"]) >= 25_000


async def test_crossing_order_fills_with_the_exchanges_fee(
    exchange: Any, venue: PaperVenue, world: WorldHandle
) -> None:
    made = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "61000")
    (trade,) = await exchange.fetch_my_trades(SYMBOL)
    assert (trade["order"], trade["side"], trade["takerOrMaker"]) == (made["id"], "buy", "taker")
    asset, basis = FEE_ASSETS[world.exchange]
    assert trade["fee"]["currency"] == asset
    assert Decimal(trade["fee"]["cost"]) == Decimal(trade[basis]) * FEE_RATES[world.exchange]
    (closed,) = await exchange.fetch_closed_orders(SYMBOL)
    assert (closed["id"], closed["status"], Decimal(closed["filled"])) == (made["id"], "closed", Decimal("0.1"))
    (fact,) = venue.journal(world, "filled")
    assert fact["trade_id"] == trade["id"]
    assert Decimal(fact["price"]) == Decimal(trade["price"])


async def test_outside_trade_fills_a_resting_order_in_part(
    exchange: Any, venue: PaperVenue, world: WorldHandle
) -> None:
    made = await exchange.create_order(SYMBOL, "limit", "sell", "1", "70000")
    answer = venue.trade(world, SYMBOL, "buy", "0.25", price="70000")
    assert Decimal(answer["filled"]) == Decimal("0.25")
    order = await exchange.fetch_order(made["id"], SYMBOL)
    assert (order["status"], Decimal(order["filled"])) == ("open", Decimal("0.25"))
    (trade,) = await exchange.fetch_my_trades(SYMBOL)
    assert (trade["takerOrMaker"], Decimal(trade["price"])) == ("maker", Decimal(70_000))


async def test_cancel_by_id_and_by_client_id(exchange: Any, venue: PaperVenue, world: WorldHandle) -> None:
    first = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "50000")
    named = with_client_id(exchange, "a1cancelme00000001")
    second = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "50000", named)
    await exchange.cancel_order(first["id"], SYMBOL)
    if world.exchange == "coinbase":  # it cancels by its own ids alone
        await exchange.cancel_order(second["id"], SYMBOL)
    elif world.exchange == "deribit":  # ccxt has no word for its cancel by label
        await exchange.private_get_cancel_by_label(named)
    else:
        await exchange.cancel_order(None, SYMBOL, named)
    assert await exchange.fetch_open_orders(SYMBOL) == []
    assert Decimal((await exchange.fetch_balance())["used"]["USDT"]) == 0
    with pytest.raises(NOT_OPEN.get(exchange.id, ccxt.OrderNotFound)):
        await exchange.cancel_order(first["id"], SYMBOL)
    assert len(venue.journal(world, "cancelled")) == 2


async def test_market_orders_by_quantity(exchange: Any) -> None:
    made = await exchange.create_order("ETH/USDT", "market", "sell", "1")
    order = await exchange.fetch_order(made["id"], "ETH/USDT")
    assert (order["status"], Decimal(order["filled"])) == ("closed", Decimal(1))


async def test_market_buy_by_cost(exchange: Any, venue: PaperVenue, world: WorldHandle) -> None:
    if exchange.id == "deribit":
        assert not exchange.has["createMarketBuyOrderWithCost"]
        return
    await exchange.create_market_buy_order_with_cost(SYMBOL, 1000)
    (fact,) = venue.journal(world, "filled")
    spent = Decimal(fact["cost"])
    if world.exchange == "coinbase":  # what is to be spent includes the fee
        spent += Decimal(fact["fee"])
    assert Decimal(999) < spent <= 1000


@pytest.mark.parametrize("time_in_force", ["IOC", "FOK"])
async def test_what_cannot_trade_at_once_does_not_rest(exchange: Any, time_in_force: str) -> None:
    made = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "50000", {"timeInForce": time_in_force})
    order = await exchange.fetch_order(made["id"], SYMBOL)
    assert (order["status"], Decimal(order["filled"])) == (UNFILLED.get(exchange.id, "canceled"), Decimal(0))
    assert await exchange.fetch_open_orders(SYMBOL) == []


async def test_post_only_never_takes(exchange: Any) -> None:
    if exchange.id in ENDS_POST_ONLY_TAKERS:
        taker = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "61000", {"postOnly": True})
        ended = await exchange.fetch_order(taker["id"], SYMBOL)
        assert (ended["status"], Decimal(ended["filled"])) == (ENDS_POST_ONLY_TAKERS[exchange.id], Decimal(0))
    else:
        with pytest.raises(ccxt.ExchangeError):
            await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "61000", {"postOnly": True})
    made = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "50000", {"postOnly": True})
    assert (await exchange.fetch_order(made["id"], SYMBOL))["postOnly"] is True


@pytest.mark.parametrize(
    ("quantity", "price", "expected"),
    [
        ("100", "50000", ccxt.InsufficientFunds),
        ("0.00001", "10000", ccxt.ExchangeError),
    ],
)
async def test_refusals_leave_no_order(
    exchange: Any, venue: PaperVenue, world: WorldHandle, quantity: str, price: str, expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        await exchange.create_order(SYMBOL, "limit", "buy", quantity, price)
    is_ccxts_own = exchange.id == "deribit" and Decimal(quantity) < Decimal("0.0001")  # less than a step never leaves
    assert len(venue.journal(world, "rejected")) == (0 if is_ccxts_own else 1)
    assert await exchange.fetch_open_orders(SYMBOL) == []


async def test_client_id_is_unique_among_open_orders_or_for_ever(exchange: Any) -> None:
    params = with_client_id(exchange, "a1twice00000000001")
    made = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "50000", dict(params))
    if exchange.id == "deribit":  # a label names as many orders as one likes
        again = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "50000", dict(params))
        assert again["id"] != made["id"]
        return
    if exchange.id == "coinbase":  # the order that has the id is returned, also when it has ended
        again = await exchange.create_order(SYMBOL, "limit", "sell", "0.2", "70000", dict(params))
        await exchange.cancel_order(made["id"], SYMBOL)
        after = await exchange.create_order(SYMBOL, "limit", "sell", "0.2", "70000", dict(params))
        assert [(one["id"], one["side"]) for one in (again, after)] == [(made["id"], "buy")] * 2
        return
    with pytest.raises(ccxt.ExchangeError, match=DUPLICATE[exchange.id]):
        await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "50000", dict(params))
    await exchange.cancel_order(made["id"], SYMBOL)
    if exchange.id in CLIENT_IDS_USED_ONCE:
        with pytest.raises(ccxt.ExchangeError, match="uplicate"):
            await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "50000", dict(params))
        return
    again = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "50000", dict(params))
    assert again["id"] != made["id"]


async def test_order_placed_from_outside_is_an_order_like_any_other(
    exchange: Any, venue: PaperVenue, world: WorldHandle
) -> None:
    placed = venue.place_external_order(world, symbol=SYMBOL, side="buy", quantity="0.1", price="40000")
    (order,) = await exchange.fetch_open_orders(SYMBOL)
    assert order["id"] == placed["order_id"]
    venue.cancel_external(world, symbol=SYMBOL, order_id=placed["order_id"])
    assert await exchange.fetch_open_orders(SYMBOL) == []


async def test_public_reads(exchange: Any) -> None:
    await exchange.create_order(SYMBOL, "market", "sell", "0.01")
    book = await exchange.fetch_order_book(SYMBOL, 5 if exchange.id == "binance" else None)
    assert Decimal(str(book["bids"][0][0])) < Decimal(str(book["asks"][0][0]))
    assert Decimal((await exchange.fetch_ticker(SYMBOL))["last"]) > 0
    assert abs(await exchange.fetch_time() - exchange.milliseconds()) < 2000
    assert isinstance(await exchange.fetch_trades(SYMBOL), list)
