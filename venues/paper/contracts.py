"""Perpetuals and dated futures: what a contract is worth, the margin it needs, and the positions that trades build."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_UP, Decimal

from venues.paper.markets import Market
from venues.paper.orders import NOTHING

QUANTUM = Decimal("0.00000001")
UNIT_QUANTUM = Decimal("0.0000000000000001")


@dataclass(slots=True)
class Position:
    """What an account holds of a contract: `quantity` is negative for a short one; money is in the settlement asset."""

    quantity: Decimal = NOTHING
    entry_price: Decimal = NOTHING
    realised: Decimal = NOTHING
    funding: Decimal = NOTHING
    margin: Decimal = NOTHING

    def reducible(self, side: str) -> Decimal:
        """Return how much an order of a side may trade before it would open a position of its own side."""
        return max(-self.quantity if side == "buy" else self.quantity, NOTHING)

    def realises(self, market: Market, side: str, quantity: Decimal, price: Decimal) -> Decimal:
        """Return the profit that a trade of a side would realise."""
        closed = min(quantity, self.reducible(side))
        if not closed:
            return NOTHING
        return profit(market, closed.copy_sign(self.quantity), self.entry_price, price)

    def trade(self, market: Market, side: str, quantity: Decimal, price: Decimal, realised: Decimal) -> None:
        """Take a trade and what it realised; the average entry moves only while the position grows."""
        signed = quantity if side == "buy" else -quantity
        after = self.quantity + signed
        if not after:
            self.entry_price = NOTHING
        elif not self.quantity or (self.quantity > 0) != (after > 0):
            self.entry_price = price
        elif (self.quantity > 0) == (signed > 0):
            self.entry_price = _average(market, self.quantity, self.entry_price, signed, price)
        self.quantity = after
        self.realised += realised
        self.margin = margin(market, after, self.entry_price)


def value(market: Market, quantity: Decimal, price: Decimal) -> Decimal:
    """Return what a quantity is worth in the settlement asset, not rounded."""
    return quantity / price if market.is_inverse else quantity * price


def profit(market: Market, quantity: Decimal, entry_price: Decimal, price: Decimal) -> Decimal:
    """Return what a position has won at a price, in the settlement asset, to eight decimal places."""
    won = quantity / entry_price - quantity / price if market.is_inverse else quantity * (price - entry_price)
    return won.quantize(QUANTUM, ROUND_HALF_EVEN)


def margin(market: Market, quantity: Decimal, entry_price: Decimal) -> Decimal:
    """Return what a position reserves; it stays as it was when the position was made, whatever the market does."""
    if not quantity:
        return NOTHING
    return (value(market, abs(quantity), entry_price) * market.margin_rate).quantize(QUANTUM, ROUND_UP)


def margin_unit(market: Market, price: Decimal, taker_rate: Decimal) -> Decimal:
    """Return what an order reserves for each unit of quantity that opens a position: margin and fee."""
    return (value(market, Decimal(1), price) * (market.margin_rate + taker_rate)).quantize(UNIT_QUANTUM, ROUND_UP)


def _average(market: Market, held: Decimal, entry_price: Decimal, more: Decimal, price: Decimal) -> Decimal:
    if market.is_inverse:
        return (held + more) / (held / entry_price + more / price)
    return (held * entry_price + more * price) / (held + more)
