"""The simulated exchanges' instruments, fees and naming, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One instrument with its steps and minimums; prices in quote asset, quantities in base asset.

    A derivative (`kind` perpetual or future) is settled in the asset `settle`. It is inverse when that is its base
    asset: then quantities are in quote asset. `margin_rate` is the part of its value that a position reserves,
    `funding_rate` what a long one pays at each interval, `expires_at` the end of a dated future in microseconds.
    """

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
    kind: str = "spot"
    settle: str = ""
    contract_size: Decimal = Decimal(1)
    margin_rate: Decimal = Decimal(0)
    funding_rate: Decimal = Decimal(0)
    expires_at: int = 0

    @property
    def is_derivative(self) -> bool:
        """Tell whether trades build a position instead of exchanging assets."""
        return self.settle != ""

    @property
    def is_inverse(self) -> bool:
        """Tell whether quantities are in quote asset because the base asset settles."""
        return self.settle == self.base

    @property
    def assets(self) -> tuple[str, ...]:
        """Return the assets that trades move."""
        return (self.settle,) if self.settle else (self.base, self.quote)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What one exchange charges, where it charges it, and how it numbers orders.

    ids_are_digits: order ids are long numbers, unique in the exchange; trades are numbered per market.
    ends_post_only_takers: a post-only order that would take is accepted and ends at once, instead of being refused.
    prevents_self_trades: what would trade with an order of its own account is cancelled instead (Kraken's default, `cancel-newest`).
    """

    name: str
    maker_rate: Decimal
    taker_rate: Decimal
    fee_in_received_asset: bool
    ids_per_symbol: bool
    refuses_immediate_trigger: bool
    market_rows: tuple[tuple[str, ...], ...]
    contract_rows: tuple[tuple[str, ...], ...] = ()
    client_ids_unique: bool = True
    ends_post_only_takers: bool = False
    ids_are_digits: bool = False
    prevents_self_trades: bool = False


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
        prevents_self_trades=True,
        market_rows=(
            ("BTC/USDT", "XBTUSDT", "0.1", "0.00000001", "0.00005", "0.5", "60000"),
            ("ETH/USDT", "ETHUSDT", "0.01", "0.00000001", "0.001", "0.5", "3000"),
            ("SOL/USDT", "SOLUSDT", "0.01", "0.00000001", "0.02", "0.5", "150"),
        ),
    ),
    "bybit": Exchange(
        name="bybit",
        maker_rate=Decimal("0.001"),
        taker_rate=Decimal("0.001"),
        fee_in_received_asset=True,
        ids_per_symbol=False,
        refuses_immediate_trigger=False,
        ends_post_only_takers=True,
        market_rows=(
            ("BTC/USDT", "BTCUSDT", "0.1", "0.000001", "0.000011", "5", "60000"),
            ("ETH/USDT", "ETHUSDT", "0.01", "0.00001", "0.0001", "5", "3000"),
            ("SOL/USDT", "SOLUSDT", "0.01", "0.001", "0.01", "5", "150"),
        ),
    ),
    "deribit": Exchange(
        name="deribit",
        maker_rate=Decimal(0),
        taker_rate=Decimal("0.0005"),
        fee_in_received_asset=False,
        ids_per_symbol=False,
        refuses_immediate_trigger=False,
        client_ids_unique=False,
        market_rows=(
            ("BTC/USDT", "BTC_USDT", "1", "0.0001", "0.0001", "0", "60000"),
            ("ETH/USDT", "ETH_USDT", "0.1", "0.001", "0.001", "0", "3000"),
        ),
        # symbol, id, kind, contract size, price step, first price, margin, funding at each interval, expiry
        contract_rows=(
            ("BTC/USD:BTC", "BTC-PERPETUAL", "perpetual", "10", "0.5", "60000", "0.02", "0.0001", ""),
            ("ETH/USD:ETH", "ETH-PERPETUAL", "perpetual", "1", "0.05", "3000", "0.02", "0.0001", ""),
            ("BTC/USDC:USDC", "BTC_USDC-PERPETUAL", "perpetual", "0.0001", "0.5", "60000", "0.02", "0.0001", ""),
            ("BTC/USD:BTC-300628", "BTC-28JUN30", "future", "10", "2.5", "61000", "0.02", "0", "2030-06-28T08:00"),
        ),
    ),
    # OKX tells no amount of a fill, only price and size: the steps are such that it needs no more than eight places.
    "okx": Exchange(
        name="okx",
        maker_rate=Decimal("0.0008"),
        taker_rate=Decimal("0.001"),
        fee_in_received_asset=True,
        ids_per_symbol=False,
        refuses_immediate_trigger=True,
        ids_are_digits=True,
        ends_post_only_takers=True,
        market_rows=(
            ("BTC/USDT", "BTC-USDT", "0.1", "0.0000001", "0.00005", "0", "60000"),
            ("ETH/USDT", "ETH-USDT", "0.01", "0.000001", "0.0001", "0", "3000"),
            ("SOL/USDT", "SOL-USDT", "0.01", "0.000001", "0.01", "0", "150"),
        ),
    ),
    "coinbase": Exchange(
        name="coinbase",
        maker_rate=Decimal("0.004"),
        taker_rate=Decimal("0.006"),
        fee_in_received_asset=False,
        ids_per_symbol=False,
        refuses_immediate_trigger=True,
        market_rows=(
            ("BTC/USDT", "BTC-USDT", "0.01", "0.00000001", "0.00000001", "1", "60000"),
            ("ETH/USDT", "ETH-USDT", "0.01", "0.00000001", "0.00000001", "1", "3000"),
            ("SOL/USDT", "SOL-USDT", "0.01", "0.00000001", "0.00000001", "1", "150"),
        ),
    ),
}
CONTRACTS_MAX = 1_000_000


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


def contract_from_row(row: tuple[str, ...]) -> Market:
    """Build a derivative from a row of an exchange's table; its quantities are whole contracts."""
    symbol, venue_id, kind, contract_size, price_step, price_start, margin_rate, funding_rate, expiry = row
    pair, _, settle = symbol.partition(":")
    base, quote = pair.split("/")
    size = Decimal(contract_size)
    return Market(
        symbol=symbol,
        venue_id=venue_id,
        base=base,
        quote=quote,
        price_step=Decimal(price_step),
        quantity_step=size,
        quantity_min=size,
        notional_min=Decimal(0),
        price_start=Decimal(price_start),
        quantity_max=size * CONTRACTS_MAX,
        kind=kind,
        settle=settle.partition("-")[0],
        contract_size=size,
        margin_rate=Decimal(margin_rate),
        funding_rate=Decimal(funding_rate),
        expires_at=int(datetime.fromisoformat(expiry).replace(tzinfo=UTC).timestamp()) * 1_000_000 if expiry else 0,
    )


def markets_of(exchange: Exchange, symbols: list[str] | None = None) -> dict[str, Market]:
    """Return the exchange's markets by symbol, or only those named. Raises KeyError for an unknown symbol."""
    known = {row[0]: market_from_row(row) for row in exchange.market_rows}
    known |= {row[0]: contract_from_row(row) for row in exchange.contract_rows}
    return known if symbols is None else {symbol: known[symbol] for symbol in symbols}


def decimals(step: Decimal) -> int:
    """Return the number of decimal places of a step such as 0.001."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
