"""Exchanges of the general way of which we know better than ccxt says, fact by fact; anything else follows from generated.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_HITBTC = {
    # ccxt hands its unified name on unread, and takes the exchange's client_order_id for the order's own id.
    "client_id_key": "client_order_id",
    "client_ids_unique": "day",
}
OVERRIDES: dict[str, Mapping[str, Any]] = {
    "aster": {"options": {"builderFee": False, "approvedBuilderFee": True}},  # else it pays, and approves, a fee to others
    "bequant": _HITBTC,
    "bitfinex": {
        "nonce_exclusive": True,
        "client_id_form": "whole_number",
        "client_id_cancel": False,  # it wants the day of the order beside our id
        "client_ids_unique": "never",
    },
    "bitstamp": {"nonce_exclusive": True},
    "bitvavo": {"options": {"operatorId": 1}, "client_id_form": "uuid", "client_id_row_key": "clientOrderId"},
    "coinsph": {"client_id_key": "newClientOrderId"},  # the unified name goes out unread, and is ignored
    "fmfwio": _HITBTC,
    "gemini": {"nonce_exclusive": True},
    "hitbtc": _HITBTC,
    "htx": {"client_ids_unique": "never", "cancelled_hours": 2.0},
    "krakenfutures": {"nonce_exclusive": True},
    "kucoinfutures": {"options": {"uta": False}},
    "whitebit": {"nonce_exclusive": True, "client_ids_unique": "open"},
    "mexc": {"window_parameter": "recvWindow"},
    "bingx": {"window_parameter": "recvWindow"},
    "bigone": {"client_ids_unique": "day"},
    "toobit": {"client_id_key": "newClientOrderId"},
}  # fmt: skip
