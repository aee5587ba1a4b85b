"""What each exchange can do and what is proved about it, as data; the default promises nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Tier = Literal["A", "B", "C"]


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """The facts about one exchange that other parts decide by.

    window: the venue itself refuses an order that arrives after its validity window, so absence can be proved by time.
    processing_bound_seconds: after the window, how long an order already taken may still need to show.
    read_lag_seconds: how far the venue's reads may lag behind its matching.
    window_parameter: a request field that bounds how late the venue may act, where it cannot be tied to our stamp.
    order_types, times_in_force: what the venue itself carries; anything else is emulated or refused before it gets here.
    amend: whether a live order is changed in place, replaced by a new one in one request, or neither.
    client_ids: whether an order can carry an id of ours at all.
    """

    exchange: str
    family: str
    tier: Tier = "B"
    window: bool = False
    window_min_ms: int = 0
    window_max_ms: int = 0
    window_default_ms: int = 10_000
    processing_bound_seconds: float = 10.0
    read_lag_seconds: float = 10.0
    clock_grain_ms: int = 50
    nonce_exclusive: bool = False
    order_types: tuple[str, ...] = ("limit", "market")
    times_in_force: tuple[str, ...] = ("GTC", "IOC", "FOK")
    post_only: bool = True
    reduce_only: bool = False
    amend: Literal["none", "in_place", "replace"] = "none"
    client_ids: bool = True
    window_parameter: str = ""
    client_id_key: str = "clientOrderId"
    client_id_lookup: Literal["order", "open_and_closed", "scan"] = "scan"
    client_id_cancel: bool = False
    client_ids_unique: Literal["forever", "open", "never"] = "never"
    fills_need_symbol: bool = False
    open_orders_need_symbol: bool = False
    fills_page: int = 100
    fills_span_hours: int | None = None
    stream: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_tradable(self) -> bool:
        """Whether orders may go there at all: tier C has no own-trades endpoint, so fills could not be proved."""
        return self.tier != "C"


# Conditional orders both of them carry. Binance's trailing stops trail by basis points: our offset is an amount of money.
_CONDITIONAL = ("stop", "stop_limit", "take_profit", "take_profit_limit")
_BINANCE = Capabilities(
    exchange="binance",
    family="binance",
    tier="A",
    window=True,
    window_max_ms=60_000,
    processing_bound_seconds=5.0,
    read_lag_seconds=2.0,
    order_types=("limit", "market", *_CONDITIONAL),
    amend="replace",
    client_id_lookup="order",
    client_id_cancel=True,
    client_ids_unique="open",
    fills_need_symbol=True,
    fills_page=1000,
    fills_span_hours=24,
    stream=True,
    options={
        "fetchMargins": False,
        "fetchMarkets": {"types": ["spot"]},
        "warnOnFetchOpenOrdersWithoutSymbol": False,
    },
)
_KRAKEN = Capabilities(
    exchange="kraken",
    family="kraken",
    tier="A",
    window=True,
    window_min_ms=2_000,
    window_max_ms=60_000,
    processing_bound_seconds=5.0,
    read_lag_seconds=60.0,
    clock_grain_ms=1_000,
    nonce_exclusive=True,
    order_types=("limit", "market", *_CONDITIONAL, "trailing_stop"),
    times_in_force=("GTC", "IOC", "FOK", "GTD"),
    amend="in_place",
    client_id_lookup="open_and_closed",
    client_id_cancel=True,
    client_ids_unique="open",
    fills_page=50,
    stream=True,
)
# The keys a class needs instead of `clientOrderId`: with the unified name it drops our id and invents one.
_CLIENT_ID_KEYS = {"coinbase": "client_order_id", "cryptocom": "client_oid", "deribit": "label", "bybit": "orderLinkId"}
# Requests ccxt makes before the first order unless told that the answer is known.
_PREFLIGHTS: dict[str, dict[str, Any]] = {
    "bitget": {"uta": False},
    "bybit": {"enableUnifiedAccount": True, "enableUnifiedMargin": False},
    "gate": {"unifiedAccount": False},
    "kucoin": {"uta": False},
    "hyperliquid": {"refSet": True, "approvedBuilderFee": True, "builderFee": False},
    "bitvavo": {"operatorId": 1},
}
_BY_ORDER = {
    "okx", "okxus", "myokx", "bitget", "mexc", "htx", "kucoin", "phemex", "woo", "woofipro", "hashkey", "gate", "hyperliquid",
    "bitrue", "bithumb", "coinbaseexchange", "cryptocom", "bitstamp",
}  # fmt: skip
_NONCE_EXCLUSIVE = {"kraken", "bitfinex", "bitstamp", "gemini", "whitebit", "krakenfutures", "deribit"}
_TIER_C = {
    "bithumb", "btcbox", "cex", "cryptomus", "dydx", "indodax", "paymium", "upbit", "zaif", "coinspot", "bydfi",
}  # fmt: skip
_SYMBOL_FOR_FILLS = {"mexc", "kucoin", "bitget", "bitvavo", "gemini", "hyperliquid", "deribit", "coinbaseexchange"}
_SYMBOL_FOR_OPEN_ORDERS = {
    "kucoin", "kucoinfutures", "mexc", "bitvavo", "deribit", "hyperliquid", "phemex", "lbank", "deepcoin", "bitrue", "bitso",
    "bitflyer", "tokocrypto",
}  # fmt: skip
_SIBLINGS = {"binanceus": _BINANCE}
_KNOWN = {"binance": _BINANCE, "kraken": _KRAKEN}
# What a server that speaks an exchange's protocol may lack of it, by the name given to Venue.quirks.
QUIRKS: dict[str, dict[str, Any]] = {
    "no_validity_window": {"window": False},
    "no_client_id": {
        "client_ids": False, "client_id_lookup": "scan", "client_id_cancel": False, "client_ids_unique": "never",
    },
}  # fmt: skip


def for_exchange(exchange: str, quirks: Iterable[str] = ()) -> Capabilities:
    """Return the facts about an exchange, changed by the quirks of one venue. Raises KeyError for a quirk nobody knows.

    For an exchange we know little of it is the default, which promises nothing.
    """
    plain = _plain(exchange)
    for quirk in quirks:
        plain = replace(plain, **QUIRKS[quirk])
    return plain


def _plain(exchange: str) -> Capabilities:
    if exchange in _KNOWN:
        return _KNOWN[exchange]
    if exchange in _SIBLINGS:
        return replace(_SIBLINGS[exchange], exchange=exchange)
    return Capabilities(
        exchange=exchange,
        family=exchange,
        tier="C" if exchange in _TIER_C else "B",
        nonce_exclusive=exchange in _NONCE_EXCLUSIVE,
        window_parameter="recvWindow" if exchange in ("mexc", "bingx") else "",
        client_id_key=_CLIENT_ID_KEYS.get(exchange, "clientOrderId"),
        client_id_lookup="order" if exchange in _BY_ORDER else "scan",
        fills_need_symbol=exchange in _SYMBOL_FOR_FILLS,
        open_orders_need_symbol=exchange in _SYMBOL_FOR_OPEN_ORDERS,
        options=_PREFLIGHTS.get(exchange, {}),
    )
