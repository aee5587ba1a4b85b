"""Statements for tests: a venue with markets, fills of ours, and the files a venue would export of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from orders.models import Fill, Order
from reconciliation import statement_versions, statements
from reconciliation.models import Statement, StatementMapping
from reconciliation.statement_cells import Market
from reconciliation.statement_mapping import Layout
from reconciliation.statement_presets import BY_CODE, Preset
from reconciliation.statement_reader import Line
from tests import factories
from tests.reconciliation import builders
from venues.models import Account

NOW = datetime(2026, 7, 1, tzinfo=UTC)
HEADERS = ("trade", "order", "pair", "side", "price", "quantity", "fee", "fee asset", "time")
PLAIN = Layout(
    columns={"venue_trade_id": "trade", "venue_order_id": "order", "symbol": "pair", "side": "side", "price": "price", "quantity": "quantity",
             "fee": "fee", "fee_asset": "fee asset", "executed_at": "time"},
)  # fmt: skip
MARKETS = {
    "BTC/USDT": "BTCUSDT", "ETH/USDT": "ETHUSDT", "BTC/USDT:USDT": "BTCUSDT", "BTC/USD:BTC": "BTC-PERPETUAL",
}  # fmt: skip


def account(code: str = "main", exchange: str = "binance", opened_days_ago: float = 60) -> Account:
    """Make an account of a venue with markets, open for two months."""
    made = builders.account(code, exchange)
    made.opened_at = builders.ago(opened_days_ago * 86_400)
    made.save()
    for symbol, theirs in MARKETS.items():
        base, _, rest = symbol.partition("/")
        quote, _, settle = rest.partition(":")
        if not made.venue.instruments.filter(symbol=symbol).exists():
            factories.InstrumentFactory(
                venue=made.venue, symbol=symbol, venue_symbol=theirs, base=base, quote=quote, settle=settle
            )
    return made


def mapping(owner: Account, layout: Layout = PLAIN, label: str = "") -> StatementMapping:
    """Write a mapping of the account's venue."""
    return statement_versions.write(owner.venue, dict(layout.columns), layout.options(), label, "ada")


def trades(parent: Order, count: int, *, since_days: float = 20, prefix: str = "T") -> list[Fill]:
    """Book fills of an order, a minute apart."""
    first = builders.ago(since_days * 86_400).replace(microsecond=0)
    return [builders.fill(parent, f"{prefix}{n}", first + timedelta(minutes=n)) for n in range(count)]


def row(fill: Fill, **values: str) -> dict[str, str]:
    """Return what a plain export says of a fill; a test changes what it is about."""
    return {
        "trade": fill.venue_trade_id, "order": fill.venue_order_id, "pair": fill.symbol, "side": fill.side, "price": f"{fill.price:f}",
        "quantity": f"{fill.quantity:f}", "fee": f"{fill.fee:f}", "fee asset": fill.fee_asset,
        "time": f"{fill.executed_at:%Y-%m-%d %H:%M:%S}", **values,
    }  # fmt: skip


def text(rows: Iterable[Mapping[str, str]], headers: Sequence[str] = HEADERS, delimiter: str = ",") -> bytes:
    """Write rows as a file."""
    out = io.StringIO()
    writer = csv.DictWriter(out, headers, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def take(owner: Account, found: StatementMapping, content: bytes, name: str = "june.csv", **options: Any) -> Statement:
    """Import a file."""
    return statements.take_in(owner, found, io.BytesIO(content), name, "ada", **options)


def markets_of(preset: Preset) -> dict[str, tuple[Market, ...]]:
    """Return markets in the spelling of a preset's exchange."""
    spelled = {
        "kraken": {"BTC/USDT": "XBTUSDT", "ETH/USDT": "ETHUSDT"}, "coinbase": {"BTC/USDT": "BTC-USDT", "ETH/USDT": "ETH-USDT"},
        "okx": {"BTC/USDT": "BTC-USDT", "ETH/USDT": "ETH-USDT", "BTC/USDT:USDT": "BTC-USDT-SWAP"},
        "deribit": {"BTC/USD:BTC": "BTC-PERPETUAL", "BTC/USDT": "BTC_USDT"},
    }.get(preset.exchange, MARKETS)  # fmt: skip
    found: dict[str, list[Market]] = {}
    for symbol, theirs in spelled.items():
        base, _, rest = symbol.partition("/")
        quote, _, settle = rest.partition(":")
        for name in {symbol, theirs}:
            found.setdefault(name, []).append(Market(symbol, base, quote, settle))
    return {name: tuple(named) for name, named in found.items()}


def spelling(preset: Preset, symbol: str) -> str:
    """Return how a preset's exchange writes a symbol."""
    return next(
        name for name, found in markets_of(preset).items() if name != symbol and symbol in {m.symbol for m in found}
    )


def export(preset: Preset, lines: Sequence[Line]) -> bytes:
    """Write trades as the venue of a preset exports them, independently of how they are read."""
    layout, out = preset.layout, io.StringIO()
    if preset.code in ("okx-trading-history", "bybit-spot-statement"):
        out.write("UID:1,Account Type:Main,Time Zone:UTC+0\n")
    writer = csv.DictWriter(out, preset.headers, lineterminator="\n", restval="", extrasaction="raise")
    writer.writeheader()
    for line in lines:
        said = _cells(preset, line)
        writer.writerow({layout.columns[name]: value for name, value in said.items() if name in layout.columns})
    return out.getvalue().encode()


def _cells(preset: Preset, line: Line) -> dict[str, str]:
    layout = preset.layout
    base, _, _rest = line.symbol.partition("/")
    fee = line.fee if line.fee is not None else Decimal(0)
    written: dict[str, Callable[[datetime], str]] = {
        "iso": lambda at: at.strftime("%Y-%m-%d %H:%M:%S") + (f".{at.microsecond // 1000:03}" if layout.time_unit == "millisecond" else ""),
        "epoch_ms": lambda at: str(int(at.timestamp() * 1000)),
    }  # fmt: skip
    local = line.executed_at.astimezone(ZoneInfo(layout.zone))
    return {
        "symbol": spelling(preset, line.symbol), "side": {"buy": layout.buy, "sell": layout.sell}[line.side][0].upper(),
        "price": f"{line.price:f}", "quantity": f"{line.quantity:f}{base if preset.code == 'binance-spot' else ''}",
        "executed_at": written[layout.time_format](local) if layout.time_format in written else local.strftime(layout.time_format),
        "venue_trade_id": line.venue_trade_id, "venue_order_id": line.venue_order_id,
        "fee": f"{-fee if layout.fee_sign == 'change' else fee:f}{line.fee_asset if layout.with_asset and fee else ''}",
        "fee_asset": line.fee_asset, "kind": layout.kinds[0] if layout.kinds else "", "unit": base,
    }  # fmt: skip


def exact(preset: Preset, line: Line) -> Line:
    """Return a line with only what the preset's export can tell of it."""
    at = line.executed_at.replace(
        microsecond=0
        if preset.layout.time_unit in ("second", "minute")
        else line.executed_at.microsecond // 1000 * 1000
    )
    at = at.replace(second=0) if preset.layout.time_unit == "minute" else at
    told = preset.layout.columns
    return replace_line(
        line, executed_at=at, fee=line.fee if "fee" in told else None, fee_asset=line.fee_asset if "fee" in told and line.fee else "",
        venue_order_id=line.venue_order_id if "venue_order_id" in told else "",
    )  # fmt: skip


def replace_line(line: Line, **values: Any) -> Line:
    """Return a line with other values."""
    return line._replace(**values)


def preset(code: str, **changes: Any) -> Preset:
    """Return a preset, with another layout where a test wants one."""
    found = BY_CODE[code]
    return replace(found, layout=replace(found.layout, **changes)) if changes else found
