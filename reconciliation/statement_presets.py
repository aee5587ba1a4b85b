"""How the exports of the venues we speak are laid out, as drafts of mappings. Nothing is read by one that nobody saved.

Where each is from stands beside it. Venues change their exports: the headers of the file decide, not this list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciliation.statement_mapping import Layout, fits, normal


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One export of an exchange: its name, what it is, and how it is read."""

    code: str
    exchange: str
    label: str
    note: str
    layout: Layout
    headers: tuple[str, ...] = ()


def _headers(line: str) -> tuple[str, ...]:
    return tuple(line.split(","))


PRESETS: tuple[Preset, ...] = (
    # Headers and rows ("0.00093BTC") as public importers of this file have them in their tests: everytrade-importer
    # (BinanceExchangeSpecificParserV3), kontan's binance-spot-history. It names no trade ids.
    Preset(
        code="binance-spot", exchange="binance", label="Binance, spot trade history",
        note="has no trade ids: trades are paired by what they say, to the second",
        headers=_headers("Date(UTC),Pair,Side,Price,Executed,Amount,Fee"),
        layout=Layout(
            columns={"symbol": "Pair", "side": "Side", "price": "Price", "quantity": "Executed", "executed_at": "Date(UTC)", "fee": "Fee"},
            with_asset=True, market="spot",
        ),
    ),
    # Futures, "Trade History": the same header in nine public parsers and their fixtures, with fees as "0.29528919 USDC".
    # The time is in the zone chosen for the export, with a year of two digits in some of them.
    Preset(
        code="binance-futures", exchange="binance", label="Binance, futures trade history",
        note="times are in the zone chosen for the export: set the zone",
        headers=_headers("Uid,Time,Symbol,Side,Price,Quantity,Amount,Fee,Realized Profit,Buyer,Maker,Trade ID,Order ID"),
        layout=Layout(
            columns={"symbol": "Symbol", "side": "Side", "price": "Price", "quantity": "Quantity", "executed_at": "Time",
                     "venue_trade_id": "Trade ID", "venue_order_id": "Order ID", "fee": "Fee"},
            with_asset=True, market="contract",
        ),
    ),
    # kraken.com, History, Export, Trades: the header and rows in its users' importers, e.g.
    # "TFWNEI-DWFNM-DPKYGT",…,"XXMRZEUR","2017-11-12 19:04:13.6946","buy","market",103.22000000,…; the fee is in the quote asset.
    Preset(
        code="kraken-trades", exchange="kraken", label="Kraken, trades", note="fees are in the quote asset",
        headers=_headers("txid,ordertxid,pair,time,type,ordertype,price,cost,fee,vol,margin,misc,ledgers"),
        layout=Layout(
            columns={"symbol": "pair", "side": "type", "price": "price", "quantity": "vol", "executed_at": "time",
                     "venue_trade_id": "txid", "venue_order_id": "ordertxid", "fee": "fee"},
            fee_asset="quote",
        ),
    ),
    # Coinbase Pro and Advanced, fills report: rotki's coinbasepro tests and eight others; times as 2020-11-25T11:29:22.362Z.
    Preset(
        code="coinbase-fills", exchange="coinbase", label="Coinbase Advanced, fills", note="",
        headers=_headers("portfolio,trade id,product,side,created at,size,size unit,price,fee,total,price/fee/total unit"),
        layout=Layout(
            columns={"symbol": "product", "side": "side", "price": "price", "quantity": "size", "executed_at": "created at",
                     "venue_trade_id": "trade id", "fee": "fee", "fee_asset": "price/fee/total unit"},
            time_unit="millisecond",
        ),
    ),
    # OKX, transaction details: the archive behind GET /api/v5/trade/fills-archive names its columns like fills-history.
    Preset(
        code="okx-fills", exchange="okx", label="OKX, transaction details", note="a fee that was paid is negative",
        headers=_headers("instType,instId,tradeId,ordId,clOrdId,billId,tag,fillPx,fillSz,side,posSide,execType,feeCcy,fee,ts"),
        layout=Layout(
            columns={"symbol": "instId", "side": "side", "price": "fillPx", "quantity": "fillSz", "executed_at": "ts",
                     "venue_trade_id": "tradeId", "venue_order_id": "ordId", "fee": "fee", "fee_asset": "feeCcy"},
            fee_sign="change", time_format="epoch_ms", time_unit="millisecond",
        ),
    ),
    # OKX, Trading history: a line "UID:…,Account Type:…,Time Zone:UTC+8" before the headers; two rows per trade of spot, one
    # per asset it moved, of which the one in the base asset is read. No trade ids, and the fee stands on either row.
    Preset(
        code="okx-trading-history", exchange="okx", label="OKX, trading history (spot)",
        note="no trade ids, and no fees that belong to one row; the zone stands in the first line of the file: set it",
        headers=_headers("id,Order id,Time,Trade Type,Symbol,Action,Amount,Trading Unit,Filled Price,PnL,Fee,Fee Unit,Position Change,"
                         "Position Balance,Balance Change,Balance,Balance Unit"),
        layout=Layout(
            columns={"symbol": "Symbol", "side": "Action", "price": "Filled Price", "quantity": "Amount", "executed_at": "Time",
                     "venue_order_id": "Order id", "kind": "Trade Type", "unit": "Trading Unit"},
            kinds=("Spot",), market="spot",
        ),
    ),
    # Bybit, Unified Trading Order, Spot, Trade History: bybit.eu parsers; times as "08:22 2026-06-05", to the minute.
    Preset(
        code="bybit-spot", exchange="bybit", label="Bybit, spot trade history", note="times are to the minute",
        headers=_headers("Spot Pairs,Order Type,Direction,feeCoin,ExecFeeV2,Filled Value,Filled Price,Filled Quantity,Fees,Transaction ID,"
                         "Order No.,Timestamp (UTC)"),
        layout=Layout(
            columns={"symbol": "Spot Pairs", "side": "Direction", "price": "Filled Price", "quantity": "Filled Quantity",
                     "executed_at": "Timestamp (UTC)", "venue_trade_id": "Transaction ID", "venue_order_id": "Order No.",
                     "fee": "ExecFeeV2", "fee_asset": "feeCoin"},
            market="spot", time_format="%H:%M %Y-%m-%d", time_unit="minute", time_tolerance_seconds=61,
        ),
    ),
    # Bybit, Data Export, Trade History Statement Spot: "UID: …,Company Name: ,Country:" before the headers.
    Preset(
        code="bybit-spot-statement", exchange="bybit", label="Bybit, spot statement", note="fees are in what was received",
        headers=_headers("Uid,Spot Pairs,Order Type,Direction,Filled Value,Filled Price,Filled Quantity,Fees,Transaction ID,Order No.,"
                         "Timestamp (UTC+0)"),
        layout=Layout(
            columns={"symbol": "Spot Pairs", "side": "Direction", "price": "Filled Price", "quantity": "Filled Quantity",
                     "executed_at": "Timestamp (UTC+0)", "venue_trade_id": "Transaction ID", "venue_order_id": "Order No.", "fee": "Fees"},
            fee_asset="received", market="spot",
        ),
    ),
    # Bybit, derivatives trade history, with the venue's own "Trasaction ID"; funding and liquidations stand between the trades.
    Preset(
        code="bybit-derivatives", exchange="bybit", label="Bybit, derivatives trade history", note="times are to the minute",
        headers=_headers("Market,Filled Type,Filled Quantity,Filled Price,Order Price,Fee Rate,Trading Fee,feeCoin,ExecFeeV2,Direction,"
                         "Order Type,Trasaction ID,Order No.,Transaction Time(UTC+0)"),
        layout=Layout(
            columns={"symbol": "Market", "side": "Direction", "price": "Filled Price", "quantity": "Filled Quantity",
                     "executed_at": "Transaction Time(UTC+0)", "venue_trade_id": "Trasaction ID", "venue_order_id": "Order No.",
                     "fee": "ExecFeeV2", "fee_asset": "feeCoin", "kind": "Filled Type"},
            buy=("Long", "Buy"), sell=("Short", "Sell"), kinds=("Trade", "Liquidation", "AdlTrade"), market="contract",
            time_format="%H:%M %Y-%m-%d", time_unit="minute", time_tolerance_seconds=61,
        ),
    ),
    # Deribit, transaction log of one currency: the header as BittyTax (conv/parsers/deribit.py) knows its newest form.
    Preset(
        code="deribit-log", exchange="deribit", label="Deribit, transaction log",
        note="one file per currency: say that it covers only the markets it names",
        headers=_headers("ID,UserSeq,Date,Instrument,Type,Side,Amount,Base Amount,Position,Price,Mark Price,Index Price,Cash Flow,Funding,"
                         "Fee Rate,Fee Charged,Fee Balance,Change,Balance,Equity,Trade ID,Order ID,Info,Note"),
        layout=Layout(
            columns={"symbol": "Instrument", "side": "Side", "price": "Price", "quantity": "Amount", "executed_at": "Date",
                     "venue_trade_id": "Trade ID", "venue_order_id": "Order ID", "fee": "Fee Charged", "kind": "Type"},
            buy=("open buy", "close buy", "buy"), sell=("open sell", "close sell", "sell"), kinds=("trade",), fee_asset="settle",
        ),
    ),
)  # fmt: skip
BY_CODE = {preset.code: preset for preset in PRESETS}


def of_exchange(exchange: str) -> list[Preset]:
    """Return the presets of an exchange."""
    return [preset for preset in PRESETS if preset.exchange == exchange]


def fitting(headers: Sequence[str], exchange: str = "") -> Preset | None:
    """Return the preset whose export has just these headers, else the one that needs most of them; those of the exchange first."""
    told = [normal(header) for header in headers]
    found = [preset for preset in PRESETS if fits(preset.layout, headers)]

    def rank(preset: Preset) -> tuple[bool, bool, int]:
        is_same = [normal(header) for header in preset.headers] == told
        return preset.exchange == exchange, is_same, len(preset.layout.columns)

    return max(found, key=rank, default=None)


def header_row(rows: Iterable[Sequence[str]], exchange: str = "") -> Sequence[str]:
    """Return which of the first rows of a file is probably its headers: one that a preset knows, else the widest."""
    told = [row for row in rows if any(cell.strip() for cell in row)]
    known = next((row for row in told if fitting(row, exchange)), None)
    return known if known is not None else max(told, key=len, default=())
