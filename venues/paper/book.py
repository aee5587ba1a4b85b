"""One market's order book: price-time priority, and what changed in it for the depth streams."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from venues.paper.orders import NOTHING, Resting

OPPOSITE = {"buy": "sell", "sell": "buy"}
Levels = dict[Decimal, Decimal]


class Book:
    """Bids and asks. `revision` counts changes; `touched` collects changed levels until they are taken."""

    def __init__(self) -> None:
        self.prices: dict[str, list[Decimal]] = {"buy": [], "sell": []}
        self.levels: dict[str, dict[Decimal, dict[int, Resting]]] = {"buy": {}, "sell": {}}
        self.revision = 1
        self.touched: dict[tuple[str, Decimal], None] = {}

    def add(self, resting: Resting) -> None:
        """Put an order behind all others of its price."""
        levels = self.levels[resting.side]
        level = levels.get(resting.price)
        if level is None:
            level = levels[resting.price] = {}
            insort(self.prices[resting.side], resting.price)
        level[id(resting)] = resting
        self.touch(resting)

    def remove(self, resting: Resting) -> None:
        """Take an order out; one that is not in the book is left alone."""
        level = self.levels[resting.side].get(resting.price)
        if level is None or level.pop(id(resting), None) is None:
            return
        if not level:
            del self.levels[resting.side][resting.price]
            prices = self.prices[resting.side]
            del prices[bisect_left(prices, resting.price)]
        self.touch(resting)

    def touch(self, resting: Resting) -> None:
        """Note that a level changed."""
        self.revision += 1
        self.touched[(resting.side, resting.price)] = None

    def best_price(self, side: str) -> Decimal | None:
        """Return the best price of a side, None when it is empty."""
        prices = self.prices[side]
        if not prices:
            return None
        return prices[-1] if side == "buy" else prices[0]

    def best(self, side: str) -> Resting | None:
        """Return the order that trades first on a side."""
        price = self.best_price(side)
        return None if price is None else next(iter(self.levels[side][price].values()))

    def walk(self, side: str) -> Iterator[Resting]:
        """Yield a side's orders in the order in which they would trade; the book must not change meanwhile."""
        prices = self.prices[side]
        for price in reversed(prices) if side == "buy" else prices:
            yield from self.levels[side][price].values()

    def quantity_at(self, side: str, price: Decimal) -> Decimal:
        """Return the quantity that stands at a price."""
        level = self.levels[side].get(price)
        return sum((resting.leaves for resting in level.values()), NOTHING) if level else NOTHING

    def depth(self, side: str, limit: int) -> list[tuple[Decimal, Decimal]]:
        """Return the best levels of a side as price and quantity, best first."""
        prices = self.prices[side]
        best_first = prices[: -limit - 1 : -1] if side == "buy" else prices[:limit]
        return [(price, self.quantity_at(side, price)) for price in best_first]

    def take_touched(self) -> dict[str, list[tuple[Decimal, Decimal]]]:
        """Return the levels changed since the last call, with their quantity now."""
        changed: dict[str, list[tuple[Decimal, Decimal]]] = {"buy": [], "sell": []}
        for side, price in self.touched:
            changed[side].append((price, self.quantity_at(side, price)))
        self.touched.clear()
        return changed


def depth_changes(book: Book, memory: dict[str, Any]) -> dict[str, Levels]:
    """Return what a listener of some depth must be told since the last call: new quantities, 0 for a level that is gone.

    `memory` is the listener's: its `depth`, and under `buy` and `sell` the levels it was last told.
    """
    changes: dict[str, Levels] = {}
    for side in ("buy", "sell"):
        before: Levels = memory[side]
        levels = dict(book.depth(side, memory["depth"]))
        changed = {price: quantity for price, quantity in levels.items() if before.get(price) != quantity}
        changes[side] = dict.fromkeys((price for price in before if price not in levels), NOTHING) | changed
        memory[side] = levels
    return changes


def crosses(side: str, limit: Decimal | None, price: Decimal) -> bool:
    """Tell whether an incoming order of a side and limit may trade at a price; no limit crosses everything."""
    if limit is None:
        return True
    return price <= limit if side == "buy" else price >= limit
