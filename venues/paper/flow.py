"""Anonymous participants: a mean-reverting price, makers quoting around it, takers now and then; seeded."""

import json
import math
import random
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path

from venues.paper.book import OPPOSITE
from venues.paper.engine import Engine, MarketState
from venues.paper.orders import Resting

LEVELS = 10
GRID = Decimal("0.0002")
LEVEL_NOTIONAL = 40_000
STEP_VOLATILITY = 0.00012
REVERSION = 0.002
TAKER_PROBABILITY = 0.3
TAKER_NOTIONAL = 3_000
EVERYTHING = Decimal(10) ** 9


class MarketFlow:
    """The participants of one market; its price path depends on the seed alone, not on who trades."""

    def __init__(self, state: MarketState, seed: str) -> None:
        self.state = state
        self.seed = seed
        self.displacement = 0.0
        self.anchor = self.centre = state.market.price_start
        step = state.market.price_step
        self.grid = max(step, (state.market.price_start * GRID // step) * step)
        self.is_recorded = False
        self.quotes: dict[tuple[str, Decimal], Resting] = {}

    def move(self, number: int) -> random.Random:
        """Take the price path's next step."""
        chance = random.Random(f"{self.seed}:{self.state.market.symbol}:{number}")
        self.displacement += chance.gauss(0, STEP_VOLATILITY) - REVERSION * self.displacement
        self.settle()
        return chance

    def settle(self) -> None:
        """Place the centre where anchor and displacement say."""
        self.centre = self.anchor * Decimal(f"{math.exp(self.displacement):.10f}")

    def quote(self, engine: Engine, chance: random.Random) -> None:
        """Withdraw quotes that left the range, place those that are missing; the others keep their priority."""
        engine.holds_triggers = True
        grid = self.grid
        below = (self.centre / grid).to_integral_value(ROUND_FLOOR)
        wanted = {("buy", (below - level) * grid): level for level in range(LEVELS)}
        wanted |= {("sell", (below + 1 + level) * grid): level for level in range(LEVELS)}
        for place, quote in list(self.quotes.items()):
            if place not in wanted or not quote.leaves:
                self.state.book.remove(quote)
                del self.quotes[place]
        for (side, price), level in wanted.items():
            if (side, price) not in self.quotes and price > 0:
                quantity = self._quantity(LEVEL_NOTIONAL * (1 + level) * chance.uniform(0.5, 1.5))
                quote = Resting(side, price, quantity)
                engine.outside(self.state.market.symbol, quote, price, rests=True)
                self.quotes[(side, price)] = quote
        engine.release_triggers(self.state.market.symbol)

    def withdraw(self) -> None:
        """Take all quotes out of the book."""
        for quote in self.quotes.values():
            self.state.book.remove(quote)
        self.quotes.clear()

    def take(self, engine: Engine, chance: random.Random) -> None:
        """Let a participant cross the spread."""
        side = chance.choice(("buy", "sell"))
        best = self.state.book.best_price(OPPOSITE[side])
        if best is not None:
            quantity = self._quantity(TAKER_NOTIONAL * chance.expovariate(1))
            engine.outside(self.state.market.symbol, Resting(side, best, quantity), best)

    def _quantity(self, notional: float) -> Decimal:
        market = self.state.market
        if market.is_inverse:
            return max(Decimal(f"{notional:.2f}") // market.quantity_step * market.quantity_step, market.quantity_min)
        quantity = Decimal(f"{notional:.2f}") / self.centre
        return max(quantity.quantize(market.quantity_step, ROUND_FLOOR), market.quantity_min)


class Flow:
    """All markets' participants of a world, moved one step at a time."""

    def __init__(self, engine: Engine, seed: int, path: Path | None) -> None:
        self.engine = engine
        self.path = path
        self.number = 0
        self.markets = {symbol: MarketFlow(state, str(seed)) for symbol, state in engine.markets.items()}
        self._resume()

    def step(self, except_symbol: str = "") -> None:
        """Move every market by one step, but not one that repeats recorded trades."""
        self.number += 1
        for symbol, market in self.markets.items():
            if symbol == except_symbol:
                continue
            chance = market.move(self.number)
            market.quote(self.engine, chance)
            if chance.random() < TAKER_PROBABILITY:
                market.take(self.engine, chance)

    def fill_books(self) -> None:
        """Place the first quotes without moving a price."""
        for market in self.markets.values():
            market.quote(self.engine, random.Random(f"{market.seed}:{market.state.market.symbol}:{self.number}"))

    def print_trade(self, symbol: str, side: str, price: Decimal, quantity: Decimal) -> None:
        """Repeat a recorded trade: quotes follow its price, then a participant trades its quantity there."""
        market = self.markets[symbol]
        if not market.is_recorded:
            market.is_recorded, market.anchor = True, price
        market.centre = price
        market.displacement = math.log(price / market.anchor)
        market.quote(self.engine, random.Random(f"{market.seed}:{price}"))
        best = market.state.book.best_price(OPPOSITE[side])
        if best is not None:
            size = max(
                quantity.quantize(market.state.market.quantity_step, ROUND_FLOOR), market.state.market.quantity_min
            )
            self.engine.outside(symbol, Resting(side, best, size), best)

    def move_to(self, symbol: str, price: Decimal) -> None:
        """Bring a market to a price: whatever stands in the way trades, the last trade is at the price itself."""
        market = self.markets[symbol]
        state, least = market.state, market.state.market.quantity_min
        self.engine.holds_triggers = True  # what is triggered is to meet a full book
        market.withdraw()
        for side in ("sell", "buy"):
            self.engine.outside(symbol, Resting(side, price, EVERYTHING), price)
        market.anchor, market.displacement = price, 0.0
        market.centre = price
        market.quote(self.engine, random.Random(f"{market.seed}:{price}:{state.prints_total}"))
        self.engine.holds_triggers = True
        self.engine.outside(symbol, Resting("sell", price, least), price, rests=True)
        self.engine.outside(symbol, Resting("buy", price, least), price)
        self.engine.release_triggers(symbol)

    def save(self) -> None:
        """Remember where the price paths are, so that a restarted venue goes on from there; nothing without a path."""
        if self.path is None:
            return
        places = {
            symbol: {"anchor": f"{market.anchor:f}", "displacement": market.displacement}
            for symbol, market in self.markets.items()
        }
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps({"step": self.number, "markets": places}))
        temporary.replace(self.path)

    def prices(self) -> dict[str, dict[str, str]]:
        """Return each market's centre, best bid and ask, and last price."""
        return {symbol: _prices(market) for symbol, market in self.markets.items()}

    def _resume(self) -> None:
        if self.path is None or not self.path.exists():
            return
        saved = json.loads(self.path.read_text())
        self.number = int(saved["step"])
        for symbol, place in saved.get("markets", {}).items():
            market = self.markets[symbol]
            market.anchor, market.displacement = Decimal(place["anchor"]), float(place["displacement"])
            market.settle()


def _prices(market: MarketFlow) -> dict[str, str]:
    book = market.state.book
    return {
        "centre": f"{market.centre:f}",
        "bid": f"{book.best_price('buy') or 0:f}",
        "ask": f"{book.best_price('sell') or 0:f}",
        "last": f"{market.state.last_price:f}",
    }
