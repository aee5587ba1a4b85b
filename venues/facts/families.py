"""The families we have been taught, by the name of their first exchange, and which exchange is a sibling of which."""

from __future__ import annotations

from venues.facts import (
    binance,
    bitget,
    bybit,
    coinbase,
    cryptocom,
    deribit,
    gate,
    hyperliquid,
    kraken,
    kucoin,
    okx,
)
from venues.facts.shapes import Family

FAMILIES: dict[str, Family] = {
    "binance": binance.FAMILY,
    "bitget": bitget.FAMILY,
    "bybit": bybit.FAMILY,
    "coinbase": coinbase.FAMILY,
    "cryptocom": cryptocom.FAMILY,
    "deribit": deribit.FAMILY,
    "gate": gate.FAMILY,
    "hyperliquid": hyperliquid.FAMILY,
    "kraken": kraken.FAMILY,
    "kucoin": kucoin.FAMILY,
    "okx": okx.FAMILY,
}
SIBLINGS = {
    "binanceus": "binance",
    "bybiteu": "bybit",
    "bybitid": "bybit",
    "gateeu": "gate",
    "okxus": "okx",
    "myokx": "okx",
}
