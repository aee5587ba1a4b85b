"""What an asset is worth in USD, from our own books: a fresh book's middle, else the last price, with its age and source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from project.lib import clock, decimals, symbols
from venues.models import BookHealth, Instrument

USD = "USD"
# Taken to be worth one dollar; whoever shows such a value says so.
ASSUMED_ONE = frozenset({"USDT", "USDC", "DAI", "FDUSD", "PYUSD", "TUSD"})
DOLLARS = ("USD", "USDT", "USDC")
HOPS = ("BTC", "ETH")
OLD_AFTER = timedelta(minutes=15)
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Price:
    """What one unit of an asset is worth in USD, where that was read, and when (none for what is true by definition)."""

    asset: str
    value: Decimal
    source: str
    at: datetime | None = None
    is_assumed: bool = False

    def worth(self, amount: Decimal) -> Decimal:
        """Return what an amount of the asset is worth, in USD to the cent, with its sign."""
        return (amount * self.value).quantize(CENT)

    @property
    def age_seconds(self) -> int | None:
        """How old the oldest quote in it is."""
        return None if self.at is None else max(0, int((clock.now() - self.at).total_seconds()))


@dataclass(frozen=True)
class _Quote:
    """One price of a pair at a venue; `rank` is lower for a better one."""

    base: str
    quote: str
    value: Decimal
    source: str
    at: datetime
    rank: tuple[bool, bool, bool, bool]


def price_usd(asset: str, *, venue: str = "") -> Price | None:
    """Return what an asset is worth in USD; None where none of our books knows."""
    return prices_usd([asset], venue=venue).get(asset)


def prices_usd(assets: Iterable[str], *, venue: str = "") -> dict[str, Price]:
    """Return what assets are worth in USD, those that are known, in two queries however many are asked for.

    Young quotes go before old ones, pairs with a dollar before a hop over BTC or ETH, those of `venue` before others,
    spot before perpetuals (dated futures never), the middle of a fresh book before a last price. Stablecoins are
    assumed to be worth one dollar, which their source says.
    """
    wanted = {asset for asset in assets if asset}
    prices = {asset: _given(asset) for asset in wanted if asset == USD or asset in ASSUMED_ONE}
    missing = wanted - prices.keys()
    if not missing:
        return prices
    best: dict[tuple[str, str], _Quote] = {}
    for quote in _quotes(missing, venue):
        key = (quote.base, quote.quote)
        if key not in best or quote.rank < best[key].rank:
            best[key] = quote
    for asset in missing:
        if found := _priced(asset, best):
            prices[asset] = found
    return prices


def _given(asset: str) -> Price:
    if asset == USD:
        return Price(asset, Decimal(1), "it is the dollar")
    return Price(asset, Decimal(1), "assumed: a stablecoin is taken at 1 USD", is_assumed=True)


def _quotes(assets: set[str], venue: str) -> Iterator[_Quote]:
    bases, quotes = assets | set(HOPS), assets | set(HOPS) | set(DOLLARS)
    pairs = Instrument.objects.filter(base__in=bases | set(DOLLARS), quote__in=quotes, last_price__gt=0)
    pairs = pairs.exclude(kind="future").exclude(last_price_at=None)
    now = clock.now()
    for symbol, code, price, at in pairs.values_list("symbol", "venue_id", "last_price", "last_price_at"):
        parts = symbols.split(symbol)
        if price is None or at is None:
            continue
        rank = (now - at > OLD_AFTER, code != venue, parts.is_contract, True)
        yield _Quote(parts.base, parts.quote, price, f"last price of {symbol} at {code}", at, rank)
    books = BookHealth.objects.filter(is_fresh=True, best_bid__gt=0, best_ask__gt=0)
    for symbol, code, bid, ask, at in books.values_list(
        "symbol", "account__venue_id", "best_bid", "best_ask", "updated_at"
    ):
        parts = symbols.split(symbol)
        if bid is None or ask is None or "-" in symbol:
            continue
        if parts.base in bases | set(DOLLARS) and parts.quote in quotes:
            rank = (now - at > OLD_AFTER, code != venue, parts.is_contract, False)
            middle = decimals.quantise((bid + ask) / 2)
            yield _Quote(parts.base, parts.quote, middle, f"middle of the book of {symbol} at {code}", at, rank)


def _priced(asset: str, quotes: dict[tuple[str, str], _Quote]) -> Price | None:
    direct = [(leg.rank, [leg]) for leg in _legs(asset, DOLLARS, quotes)]
    hops = [
        (max(first.rank, second.rank), [first, second])
        for hop in HOPS
        if hop != asset
        for first in _legs(asset, (hop,), quotes)
        for second in _legs(hop, DOLLARS, quotes)
    ]
    routes = sorted([*direct, *hops], key=lambda route: (route[0][0], len(route[1]), route[0]))
    if not routes:
        return None
    legs = routes[0][1]
    value, dollar = Decimal(1), asset
    for leg in legs:
        value *= leg.value if leg.base == dollar else 1 / leg.value
        dollar = leg.quote if leg.base == dollar else leg.base
    source = ", ".join(leg.source for leg in legs)
    if dollar != USD:
        source += f"; {dollar} taken at 1 USD"
    return Price(asset, decimals.quantise(value), source[:300], min(leg.at for leg in legs), dollar != USD)


def _legs(asset: str, others: Iterable[str], quotes: dict[tuple[str, str], _Quote]) -> Iterator[_Quote]:
    for other in others:
        for key in ((asset, other), (other, asset)):
            if key in quotes:
                yield quotes[key]
