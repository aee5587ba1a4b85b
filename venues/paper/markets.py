"""The simulated exchanges' instruments, fees and naming, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One spot instrument with its steps and minimums; prices in quote asset, quantities in base asset."""

    symbol: str
    venue_id: str
    base: str
    quote: str
    price_step: Decimal
    quantity_step: Decimal
    quantity_min: Decimal
    notional_min: Decimal
    price_start: Decimal
    quantity_max: Decimal = Decimal(9000)
    price_max: Decimal = Decimal(1000000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What one exchange charges, where it charges it, and how it numbers orders."""

    name: str
    maker_rate: Decimal
    taker_rate: Decimal
    fee_in_received_asset: bool
    ids_per_symbol: bool
    refuses_immediate_trigger: bool
    market_rows: tuple[tuple[str, ...], ...]


# symbol, id at the exchange, price step, quantity step, quantity minimum, notional minimum, first price
EXCHANGES: Mapping[str, Exchange] = {
    "binance": Exchange(
        name="binance",
        maker_rate=Decimal("0.001"),
        taker_rate=Decimal("0.001"),
        fee_in_received_asset=True,
        ids_per_symbol=True,
        refuses_immediate_trigger=True,
        market_rows=(
            ("BTC/USDT", "BTCUSDT", "0.01", "0.00001", "0.00001", "5", "60000"),
            ("ETH/USDT", "ETHUSDT", "0.01", "0.0001", "0.0001", "5", "3000"),
            ("SOL/USDT", "SOLUSDT", "0.01", "0.001", "0.001", "5", "150"),
        ),
    ),
    "kraken": Exchange(
        name="kraken",
        maker_rate=Decimal("0.0025"),
        taker_rate=Decimal("0.004"),
        fee_in_received_asset=False,
        ids_per_symbol=False,
        refuses_immediate_trigger=False,
        market_rows=(
            ("BTC/USDT", "XBTUSDT", "0.1", "0.00000001", "0.00005", "0.5", "60000"),
            ("ETH/USDT", "ETHUSDT", "0.01", "0.00000001", "0.001", "0.5", "3000"),
            ("SOL/USDT", "SOLUSDT", "0.01", "0.00000001", "0.02", "0.5", "150"),
        ),
    ),
}


def market_from_row(row: tuple[str, ...]) -> Market:
    """Build a market from a row of an exchange's table."""
    symbol, venue_id, price_step, quantity_step, quantity_min, notional_min, price_start = row
    base, quote = symbol.split("/")
    return Market(
        symbol=symbol,
        venue_id=venue_id,
        base=base,
        quote=quote,
        price_step=Decimal(price_step),
        quantity_step=Decimal(quantity_step),
        quantity_min=Decimal(quantity_min),
        notional_min=Decimal(notional_min),
        price_start=Decimal(price_start),
    )


def markets_of(exchange: Exchange, symbols: list[str] | None = None) -> dict[str, Market]:
    """Return the exchange's markets by symbol, or only those named. Raises KeyError for an unknown symbol."""
    known = {row[0]: market_from_row(row) for row in exchange.market_rows}
    return known if symbols is None else {symbol: known[symbol] for symbol in symbols}


def decimals(step: Decimal) -> int:
    """Return the number of decimal places of a step such as 0.001."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
