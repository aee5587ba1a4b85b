"""What goes out as a Decimal is on the wire exactly that, and comes back the same, over every market of every dialect that the account can pay for."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from tests.venues.desk import Desk
from venues.messages import MarketSpec, OrderReport
from venues.paper import defaults

TRIES = 6
WORTH_MAX = Decimal(1_500)


def awkward(spec: MarketSpec, below: Decimal, dice: random.Random) -> tuple[Decimal, Decimal]:
    """Return a price and a quantity with as many digits as the market allows, worth little enough to be paid for."""
    price = dice.randrange(1, int(below / spec.price_step)) * spec.price_step
    least = max(spec.quantity_min or spec.quantity_step, (spec.notional_min or Decimal(0)) / price)
    lowest, highest = least // spec.quantity_step + 1, WORTH_MAX / price // spec.quantity_step
    return price, dice.randint(int(lowest), int(max(lowest, highest))) * spec.quantity_step


@pytest.mark.parametrize("seed", range(2))
async def test_numbers_survive_the_wire_and_the_way_back(desk: Desk, seed: int) -> None:
    dice = random.Random(seed)
    sent: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    prices = desk.venue.prices(desk.world)
    markets = [spec for spec in await desk.gateway.markets() if (spec.settle or spec.quote) in defaults.BALANCES]
    for spec in markets:
        below = Decimal(prices[spec.symbol]["centre"]) * Decimal("0.9")
        for _ in range(TRIES):
            price, quantity = awkward(spec, below, dice)
            answer = await desk.gateway.place(desk.order(symbol=spec.symbol, price=price, quantity=quantity))
            if answer.outcome == "accepted":
                sent[(spec.symbol, str(answer.venue_order_id))] = (price, quantity)
    assert {symbol for symbol, _ in sent} == {spec.symbol for spec in markets}
    accepted = {(row["symbol"], row["order_id"]): row for row in desk.venue.journal(desk.world, "accepted")}
    for name, (price, quantity) in sent.items():
        assert (Decimal(accepted[name]["price"]), Decimal(accepted[name]["quantity"])) == (price, quantity)
    read = await desk.gateway.read("open_orders")
    assert (read.status, len(read.rows)) == ("good", len(sent))
    for report in read.rows:
        assert isinstance(report, OrderReport)
        assert (report.price, report.quantity) == sent[(report.symbol, str(report.venue_order_id))]
