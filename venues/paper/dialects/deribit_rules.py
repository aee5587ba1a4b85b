"""Deribit's rules: signatures, scopes, validity, parameters and the phrases of its refusals."""

import base64
import binascii
import hmac
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from venues.paper.blueprint import Key
from venues.paper.faults import Call
from venues.paper.markets import Market
from venues.paper.messages import Answer, HttpRequest, Refused
from venues.paper.world import World

NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?([eE][+-]?\d{1,2})?")
LABEL_CHARACTERS_MAX = 64
SIGNATURE_SECONDS = 60
SIGNED = "deri-hmac-sha256 "
HTTP_ERROR = 400

# reason: code, message, reason in the error's data, parameter
REFUSALS: dict[str, tuple[int, str, str, str]] = {
    "unknown_symbol": (-32602, "Invalid params", "instrument not found", "instrument_name"),
    "price_step": (-32602, "Invalid params", "must conform to tick size", "price"),
    "quantity_step": (-32602, "Invalid params", "must be a multiple of the minimum order size", "amount"),
    "quantity_min": (10002, "qty_too_low", "", ""),
    "notional_min": (10032, "whole_cost_too_low", "", ""),
    "insufficient_funds": (10009, "not_enough_funds", "", ""),
    "would_take": (11054, "post_only_reject", "", ""),
    "reduce_only": (11030, "other_reject invalid_reduce_only_order", "", ""),
    "unknown_order": (11044, "not_open_order", "", ""),
    "no_change": (11030, "other_reject", "nothing to change", ""),
    "not_amendable": (11044, "not_open_order", "", ""),
    "quantity_increase": (11030, "other_reject", "", ""),
    "would_trigger": (10034, "trigger_price_too_high", "", ""),
    "duplicate_client_order_id": (11030, "other_reject", "duplicate label", ""),
}
FAULT_CODES: dict[str, tuple[int, str, str]] = {
    "rate_limited": (10028, "too_many_requests", ""),
    "ban": (10028, "too_many_requests", ""),
    "unknown_reject": (19999, "a_rule_that_nobody_has_heard_of", ""),
    "duplicate_client_id_reject": (11030, "other_reject", "duplicate label"),
    "maintenance": (11051, "system_maintenance", "System is under maintenance"),
}
SCOPES = {
    "read": ("account:read", "trade:read", "wallet:read"),
    "trade": ("trade:read_write",),
    "withdraw": ("wallet:read_write",),
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request read as far as a fault needs it."""

    http: HttpRequest
    call: Call
    params: dict[str, str]


def enveloped(world: World, body: dict[str, Any]) -> dict[str, Any]:
    """Return a result or an error as JSON-RPC carries it."""
    now = world.venue_now()
    return {"jsonrpc": "2.0", **body, "usIn": now, "usOut": now, "usDiff": 0, "testnet": False}


def error(code: int, message: str, reason: str = "", param: str = "", wait: int | None = None) -> dict[str, Any]:
    """Return an error as JSON-RPC carries it."""
    told = (("reason", reason or None), ("param", param or None), ("wait", wait))
    data = {name: value for name, value in told if value is not None}
    return {"error": {"code": code, "message": message, **({"data": data} if data else {})}}


def refused(code: int, message: str, reason: str = "", param: str = "") -> Refused:
    """Return an error, to be raised; the door puts it into its envelope."""
    return Refused(Answer(error(code, message, reason, param), HTTP_ERROR))


def invalid(param: str, reason: str = "invalid format") -> Refused:
    """Return the refusal of a parameter, to be raised."""
    return refused(-32602, "Invalid params", reason, param)


def market_of(world: World, params: dict[str, str]) -> Market:
    """Return the market a request names. Raises Refused."""
    name = params.get("instrument_name")
    if not name:
        raise invalid("instrument_name", "value required")
    market = world.by_venue_id.get(name)
    if market is None:
        raise invalid("instrument_name", "instrument not found")
    return market


def settlement(market: Market) -> str:
    """Return the currency under which Deribit lists an instrument."""
    return market.settle or market.base


def markets_of(world: World, params: dict[str, str]) -> list[Market]:
    """Return the markets of a currency and kind, all of them for "any" or when none is named."""
    currency, kind = params.get("currency", "any"), params.get("kind", "any")
    return [
        market
        for market in world.by_venue_id.values()
        if currency in ("any", settlement(market)) and kind in ("any", kind_of(market))
    ]


def kind_of(market: Market) -> str:
    """Return Deribit's kind of an instrument: a perpetual is a future to it."""
    return "future" if market.settle else "spot"


def number_of(params: dict[str, str], name: str) -> Decimal | None:
    """Return a decimal parameter, None when absent. Raises Refused unless it is a plain number."""
    text = params.get(name)
    if text is None:
        return None
    if not NUMBER.fullmatch(text):
        raise invalid(name)
    return Decimal(text)


def count_of(params: dict[str, str], default: int, most: int) -> int:
    """Return how many rows are wanted. Raises Refused."""
    number = number_of(params, "count")
    if number is None:
        return default
    if not 1 <= number <= most or number % 1:
        raise invalid("count")
    return int(number)


def is_true(params: dict[str, str], name: str) -> bool:
    """Tell whether a flag is set."""
    return params.get(name, "").lower() == "true"


def check_validity(world: World, params: dict[str, str]) -> None:
    """Raise Refused when the time until which a request may be begun is over, where the world looks at it."""
    until = number_of(params, "valid_until")
    if until is not None and world.personality.validity_window and int(until) * 1000 <= world.venue_now():
        raise refused(13888, "timed_out")


def account_named(http: HttpRequest, world: World) -> str:
    """Return the key a request says it is from, before anybody has checked it."""
    header = http.headers.get("Authorization", "")
    if header.startswith(SIGNED):
        return _parts(header).get("id", "")
    kind, _, token = header.partition(" ")
    return world.tokens.get(token, "") if kind.lower() == "bearer" else _basic(header)[0]


def authenticate(world: World, parsed: Parsed, permission: str) -> None:
    """Check key, address, signature or token, and scope. Raises Refused."""
    header = parsed.http.headers.get("Authorization", "")
    if not header:
        raise refused(10000, "authorization_required")
    key = world.keys.get(parsed.call.account)
    if key is None:
        raise refused(13009, "unauthorized", "invalid_token")
    if header.startswith(SIGNED):
        _check_signature(world, parsed.http, _parts(header), key)
    elif not header.lower().startswith("bearer ") and _basic(header)[1] != key.secret:
        raise refused(13004, "invalid_credentials")
    if not key.permissions.get(permission, False) or (key.whitelist and parsed.http.remote not in key.whitelist):
        raise refused(13021, "forbidden")


def check_client_signature(world: World, params: dict[str, Any]) -> Key:
    """Check the signature of public/auth and return its key. Raises Refused."""
    key = world.keys.get(str(params.get("client_id", "")))
    if key is None:
        raise refused(13004, "invalid_credentials")
    stamp, nonce, data = (str(params.get(name, "")) for name in ("timestamp", "nonce", "data"))
    if params.get("grant_type") == "client_credentials":
        if params.get("client_secret") != key.secret:
            raise refused(13004, "invalid_credentials")
        return key
    if params.get("grant_type") != "client_signature":
        raise invalid("grant_type")
    _check_stamp(world, stamp)
    _compare(f"{stamp}\n{nonce}\n{data}", str(params.get("signature", "")), key)
    return key


def scope_of(key: Key) -> str:
    """Return what a key may do in Deribit's words."""
    names = [name for right, granted in SCOPES.items() if key.permissions.get(right) for name in granted]
    wider = {name.removesuffix("_write") for name in names if name.endswith("_write")}
    return " ".join(sorted(set(names) - wider))


def _check_signature(world: World, http: HttpRequest, parts: dict[str, str], key: Key) -> None:
    stamp, nonce = parts.get("ts", ""), parts.get("nonce", "")
    uri = f"{http.path}?{http.query}" if http.query else http.path
    signed = f"{stamp}\n{nonce}\n{http.method}\n{uri}\n{http.body.decode('utf-8', 'replace')}\n"
    _check_stamp(world, stamp)
    _compare(signed, parts.get("sig", ""), key)


def _compare(signed: str, given: str, key: Key) -> None:
    expected = hmac.digest(key.secret.encode(), signed.encode(), "sha256").hex()
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise refused(13004, "invalid_credentials", "wrong signature")


def _check_stamp(world: World, stamp: str) -> None:
    if not stamp.isdecimal() or abs(int(stamp) * 1000 - world.venue_now()) > SIGNATURE_SECONDS * 1_000_000:
        raise refused(13009, "unauthorized", "timestamp is too old")


def _parts(header: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in header.removeprefix(SIGNED).split(","))
    return {name.strip(): value for name, _, value in pairs}


def _basic(header: str) -> tuple[str, str]:
    kind, _, coded = header.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        name, _, secret = base64.b64decode(coded).decode("utf-8", "replace").partition(":")
    except binascii.Error:
        return "", ""
    return name, secret
