"""Conditional orders we watch: fired by the right price and no other, the best price kept, sent as what they are then."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from orders import fold, store, triggers
from orders.models import Intent, Order, OrderEvent
from orders.rows import OrderRow
from orders.service import Service
from project.lib import clock, ids
from tests.orders import test_submission as wire
from tests.orders.scene import queued
from venues.models import Account

D = Decimal
TRAILING = {"type": "trailing_stop", "price": None, "trailing_offset": "500"}


def row(**changes: Any) -> OrderRow:
    now = clock.now()
    base: dict[str, Any] = {
        "id": ids.new_id(), "account": "a", "client_order_id": "c", "body_digest": "", "symbol": "BTC/USDT", "side": "sell",
        "type": "stop", "quantity": D(1), "trigger_price": D(100), "created_at": now, "updated_at": now,
    }  # fmt: skip
    return OrderRow(**{**base, **changes})


@pytest.mark.parametrize(
    ("kind", "side", "below", "at", "above"),
    [
        ("stop", "sell", True, True, False), ("stop_limit", "sell", True, True, False),
        ("stop", "buy", False, True, True), ("stop_limit", "buy", False, True, True),
        ("take_profit", "sell", False, True, True), ("take_profit_limit", "sell", False, True, True),
        ("take_profit", "buy", True, True, False), ("take_profit_limit", "buy", True, True, False),
    ],
)  # fmt: skip
def test_each_type_and_side_fires_on_its_own_side(kind: str, side: str, below: bool, at: bool, above: bool) -> None:
    order = row(type=kind, side=side)
    step = D("0.000000000000000001")
    fired = [triggers.judge(order, price).fires for price in (D(100) - step, D(100), D(100) + step)]
    assert fired == [below, at, above]


@pytest.mark.parametrize(
    ("side", "prices", "extremes", "fires_at"),
    [
        ("sell", ["100", "105", "96", "110", "101", "100"], ["100", "105", "105", "110", "110", "110"], 5),
        ("buy", ["100", "95", "104", "90", "99", "100"], ["100", "95", "95", "90", "90", "90"], 5),
        ("sell", ["100", "90"], ["100", "100"], 1),
        ("buy", ["100", "110.5"], ["100", "100"], 1),
    ],
)
def test_a_trailing_stop_follows_the_best_price(
    side: str, prices: list[str], extremes: list[str], fires_at: int
) -> None:
    order = row(type="trailing_stop", side=side, trigger_price=None, trailing_offset=D(10))
    for number, (price, extreme) in enumerate(zip(prices, extremes, strict=True)):
        judgement = triggers.judge(order, D(price))
        assert (judgement.fires, judgement.extreme) == (number >= fires_at, D(extreme)), number
        order.trigger_extreme = judgement.extreme


def see(account: Account, **prices: str) -> None:
    with store.transaction() as books:
        triggers.apply(books, account.code, {name.replace("_", "/"): D(price) for name, price in prices.items()})


def test_the_best_price_is_kept_in_the_row_so_that_a_restart_forgets_nothing(
    service: Service, account: Account
) -> None:
    order = queued(account, side="sell", **TRAILING)
    assert order.trigger_state == "armed" and wire.offered(service, account) == set()
    for price, kept in (("60000", "60000"), ("60100", "60100"), ("59700", "60100")):
        see(account, BTC_USDT=price)  # a new transaction with an empty cache: all there is, is the row
        order.refresh_from_db()
        assert (order.trigger_state, order.trigger_extreme) == ("armed", D(kept))
    kinds = list(OrderEvent.objects.filter(order=order).order_by("sequence").values_list("kind", flat=True))
    assert kinds[-2:] == ["trigger_moved", "trigger_moved"]  # a price that moves nothing is no event
    see(account, BTC_USDT="59600")
    order.refresh_from_db()
    assert (order.status, order.trigger_state) == ("queued", "triggered") and wire.offered(service, account) == {
        order.pk
    }
    begun = wire.begin(service, order)
    message = begun.message
    assert (message.type, message.price, message.trigger_price, message.trailing_offset) == ("market", None, None, None)
    assert message.time_in_force == "IOC" and list(fold.differences()) == []


def test_without_a_price_nothing_fires(account: Account) -> None:
    order = queued(account, side="sell", **TRAILING)
    see(account)
    see(account, ETH_USDT="1")
    order.refresh_from_db()
    assert (order.trigger_state, order.trigger_extreme, order.version) == ("armed", None, 2)


def test_a_venue_that_cannot_be_asked_fires_nothing(service: Service, account: Account) -> None:
    class Silent:
        def want_books(self, symbols: list[str]) -> None:
            assert symbols == ["BTC/USDT"]

        def stale_books(self, symbols: list[str], seconds: float) -> dict[str, Any]:
            return {}

        async def last_prices(self, symbols: list[str]) -> dict[str, Decimal]:
            assert symbols == ["BTC/USDT"]
            return {}

    class Direct:
        async def run(self, work: Any) -> Any:
            with store.transaction() as books:
                return work(books)

        run_until_committed = run

    order = queued(account, side="sell", **TRAILING)
    service.writer, service.gateway = Direct(), Silent()  # type: ignore[assignment]
    with pytest.raises(StopIteration):
        triggers.watch(service).send(None)
    order.refresh_from_db()
    assert order.trigger_state == "armed" and order.version == 2


def test_what_has_fired_or_ended_is_not_looked_at_again(account: Account) -> None:
    fired = queued(account, side="sell", **TRAILING)
    see(account, BTC_USDT="60000")
    see(account, BTC_USDT="59000")
    fired.refresh_from_db()
    version = fired.version
    see(account, BTC_USDT="70000")
    fired.refresh_from_db()
    assert (fired.trigger_state, fired.trigger_extreme, fired.version) == ("triggered", D(60000), version)
    with store.transaction() as books:
        assert books.store.armed(account.code) == [] and books.store.armed_symbols(account.code) == []


@pytest.mark.parametrize(
    ("changes", "quirks", "state"),
    [
        ({"type": "stop", "price": None, "trigger_price": "59000"}, [], ""),
        ({"type": "take_profit_limit", "trigger_price": "61000"}, [], ""),
        (TRAILING, [], "armed"),
        ({"type": "limit"}, [], ""),
    ],
)
def test_the_venues_abilities_decide_who_watches(
    account: Account, changes: dict[str, Any], quirks: list[str], state: str
) -> None:
    assert queued(account, **changes).trigger_state == state


def test_a_market_stop_with_a_date_is_ours_where_the_venue_dates_limits_alone(account: Account) -> None:
    account.venue.exchange = "kraken"
    account.venue.save()
    until = {"time_in_force": "gtd", "expires_at": "2050-01-01T00:00:00Z"}
    stop = {"type": "stop", "price": None, "trigger_price": "59000"}
    assert queued(account, **stop).trigger_state == ""
    assert queued(account, **stop, **until).trigger_state == "armed"
    assert queued(account, type="stop_limit", trigger_price="59000", **until).trigger_state == ""
    account.venue.exchange = "bitstamp"  # of which nothing is proved: it watches nothing for us
    account.venue.save()
    assert queued(account, **stop).trigger_state == "armed"
    assert not Intent.objects.exists() and Order.objects.count() == 4
