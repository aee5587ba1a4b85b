"""What each exchange needs before its requests can be caught: keys of the right make, a market, answers that prepare."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from venues.credentials import Secret

ASSETS = ("BTC", "USDT", "USD")
_SIGNIFICANT_DIGITS = 3
KINDS = {"binancecoinm": "inverse"}  # where ccxt's claims leave it open
_SEED = bytes(range(1, 33))
_HEX = "0x" + _SEED.hex()
_BASE64 = base64.b64encode(_SEED).decode()
_BASE58 = "ed25519:4wBqpZM9xaSheZzJSMawUKKwhdpChKbZ5eu5ky4Vigw"  # of the seed
_PEM = Ed25519PrivateKey.from_private_bytes(_SEED).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
).decode()  # fmt: skip
_WALLET = "0x" + "1a" * 20


@dataclass(frozen=True, kw_only=True)
class Case:
    """The made-up surroundings of one exchange; nothing of it is real."""

    secret: Secret = field(default_factory=lambda: Secret("made-up-key", _BASE64, "123456"))
    quantity: Decimal = Decimal("0.12345678")
    price: Decimal = Decimal("20100.07")
    quantity_step: str = "0.00000001"
    price_step: str = "0.01"
    scale: Decimal = Decimal(1)
    market: Mapping[str, Any] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)


_WALLET_CASE = Case(secret=Secret(_WALLET, _HEX, ""))
_HTX_ACCOUNTS = {"/v1/account/accounts?": '{"status":"ok","data":[{"id":5202591,"type":"spot","subtype":""}]}'}
_CASES: dict[str, Case] = {
    "apex": Case(
        secret=Secret("made-up-key", _HEX, "123456"),
        answers={"/api/v3/account": '{"data":{"id":"1","spotAccount":{"zkAccountId":"1","defaultSubAccountId":"0"}}}'},
    ),
    "aster": _WALLET_CASE,
    "binancecoinm": Case(market={"info": {"orderTypes": ["LIMIT", "MARKET"]}}),
    "binanceusdm": Case(market={"info": {"orderTypes": ["LIMIT", "MARKET"]}}),
    "bitbns": Case(market={"uppercaseId": "BTCUSDT"}),
    "bitopro": Case(attributes={"login": "somebody"}),
    "bitrue": Case(market={"info": {"orderTypes": ["LIMIT", "MARKET"]}}),
    "bitteam": Case(market={"numericId": "24"}),
    "bittrade": Case(answers=_HTX_ACCOUNTS),
    "bullish": Case(
        answers={
            "/login": '{"authorizer":"made-up","token":"made-up"}',
            "/accounts/trading-accounts": '[{"tradingAccountName":"Primary Account","tradingAccountId":"111"}]',
        }
    ),
    "coinbaseinternational": Case(secret=Secret("made-up-key", _BASE64, "123456")),
    "delta": Case(market={"numericId": "24"}),
    "derive": _WALLET_CASE,
    "dydx": _WALLET_CASE,
    "extended": _WALLET_CASE,
    "gemini": Case(secret=Secret("account-made-up", _BASE64, "")),
    "grvt": _WALLET_CASE,
    "hibachi": Case(secret=Secret("made-up-key", _HEX, "123")),
    "htx": Case(answers=_HTX_ACCOUNTS),
    "hyperliquid": Case(
        secret=Secret(_WALLET, _HEX, ""),
        price=Decimal(20100),
        quantity=Decimal("0.12345"),
        quantity_step="0.00001",
        market={"baseId": "10003", "info": {"szDecimals": "5"}, "baseName": "BTC"},
        answers={"userAbstraction": '["disabled"]'},
    ),
    "lbank": Case(secret=Secret("made-up-key", "0123456789abcdef", "")),
    "lighter": _WALLET_CASE,
    "modetrade": Case(secret=Secret("made-up-key", _BASE58, "123")),
    "nado": _WALLET_CASE,
    "pacifica": _WALLET_CASE,
    "paradex": _WALLET_CASE,
    "phemex": Case(market={"valueScale": 8, "priceScale": 8}, scale=Decimal(10**8)),
    "polymarket": _WALLET_CASE,
    "revolutx": Case(secret=Secret("made-up-key", _PEM, "")),
    "woofipro": Case(secret=Secret("made-up-key", _BASE58, "123")),
    "tokocrypto": Case(market={"info": {"orderTypes": ["LIMIT", "MARKET"]}}),
}


def case(exchange: str) -> Case:
    """Return the surroundings of an exchange; most need nothing special."""
    return _CASES.get(exchange, Case())


def market(client: Any, kind: str, case: Case) -> dict[str, Any]:
    """Return the one market: BTC against a dollar, spot or a perpetual of a kind (linear or inverse)."""
    is_spot, is_inverse = kind == "spot", kind == "inverse"
    quote = "USD" if is_inverse else "USDT"
    settle = None if is_spot else ("BTC" if is_inverse else quote)
    by_digits = client.precisionMode == _SIGNIFICANT_DIGITS
    made: dict[str, Any] = client.safe_market_structure({
        "id": f"BTC{quote}", "lowercaseId": f"btc{quote.lower()}", "symbol": f"BTC/{quote}" + (f":{settle}" if settle else ""),
        "base": "BTC", "quote": quote, "settle": settle, "baseId": "BTC", "quoteId": quote, "settleId": settle,
        "type": "spot" if is_spot else "swap", "spot": is_spot, "margin": False, "swap": not is_spot, "future": False,
        "option": False, "active": True, "contract": not is_spot, "linear": None if is_spot else not is_inverse,
        "inverse": None if is_spot else is_inverse, "subType": None if is_spot else kind,
        "taker": "0.001", "maker": "0.001", "contractSize": None if is_spot else "1",
        "precision": {"amount": 8 if by_digits else case.quantity_step, "price": 8 if by_digits else case.price_step},
        "limits": {name: {"min": None, "max": None} for name in ("amount", "price", "cost", "leverage")},
        "info": {},
    })  # fmt: skip
    return made | dict(case.market)
