"""Kraken's rules: signatures, nonces, deadlines, parameters and the phrases of its refusals."""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from venues.paper.faults import Call
from venues.paper.markets import Market
from venues.paper.messages import Answer, HttpRequest, Refused
from venues.paper.world import World

OFFSET = re.compile(r"\+(\d{1,20}(?:\.\d{1,20})?)(%?)")
NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?")
CLIENT_ORDER_ID = re.compile(r"[ -~]{1,18}|[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

REFUSALS = {
    "unknown_symbol": "EQuery:Unknown asset pair",
    "price_step": "EOrder:Invalid price:{detail} price can only be specified up to the pair's decimals.",
    "quantity_step": "EGeneral:Invalid arguments:volume",
    "quantity_min": "EOrder:Order minimum not met",
    "notional_min": "EOrder:Cost minimum not met",
    "insufficient_funds": "EOrder:Insufficient funds",
    "duplicate_client_order_id": "EOrder:Duplicate cl_ord_id",
    "would_take": "EOrder:Post only order",
    "unknown_order": "EOrder:Unknown order",
    "would_trigger": "EOrder:Invalid price",
    "no_change": "EOrder:Invalid order:no change",
    "not_amendable": "EOrder:Invalid order",
    "quantity_increase": "EOrder:Invalid order",
}
FAULT_ANSWERS = {
    "rate_limited": (429, "EAPI:Rate limit exceeded"),
    "ban": (418, "EGeneral:Temporary lockout"),
    "maintenance": (200, "EService:Unavailable"),
    "unknown_reject": (200, "EOrder:A rule that nobody has heard of was violated"),
    "duplicate_client_id_reject": (200, REFUSALS["duplicate_client_order_id"]),
}
# Venue assets carry Kraken's own names; the WebSocket uses the common ones.
ASSET_IDS = {"BTC": "XXBT", "ETH": "XETH"}
ASSET_NAMES = {"BTC": "XBT"}


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request read as far as a fault needs it."""

    http: HttpRequest
    call: Call
    params: dict[str, Any]


def error(text: str, status: int = 200) -> Refused:
    """Return an error in Kraken's shape, to be raised."""
    return Refused(Answer({"error": [text]}, status))


def asset_id(asset: str) -> str:
    """Return Kraken's name of an asset."""
    return ASSET_IDS.get(asset, asset)


def market_named(world: World, name: str) -> Market | None:
    """Return the market with an id, alternative name or WebSocket name; None when there is none."""
    market = world.by_venue_id.get(name)
    if market is None:
        market = next((one for one in world.by_venue_id.values() if name in (ws_name(one), one.symbol)), None)
    return market


def ws_name(market: Market) -> str:
    """Return a market's older WebSocket name, such as XBT/USDT."""
    return f"{ASSET_NAMES.get(market.base, market.base)}/{market.quote}"


def market_of(world: World, params: dict[str, Any]) -> Market:
    """Return the market a request names. Raises Refused."""
    name = params.get("pair")
    if not name:
        raise error("EGeneral:Invalid arguments:pair")
    market = market_named(world, str(name))
    if market is None:
        raise error("EQuery:Unknown asset pair")
    return market


def number_of(params: dict[str, Any], name: str) -> Decimal | None:
    """Return a decimal parameter, None when absent. Raises Refused unless it is a plain number."""
    text = params.get(name)
    if text is None:
        return None
    if not NUMBER.fullmatch(str(text)):
        raise error(f"EGeneral:Invalid arguments:{name}")
    return Decimal(str(text))


def time_of(params: dict[str, Any], name: str) -> int | None:
    """Return a Unix time parameter in microseconds, None when absent. Raises Refused unless it is a number."""
    seconds = number_of(params, name)
    return None if seconds is None else int(seconds * 1_000_000)


def is_true(params: dict[str, Any], name: str) -> bool:
    """Tell whether a flag is set, however it is written."""
    return str(params.get(name, "")).lower() in ("true", "1")


def authenticate(world: World, parsed: Parsed, permission: str) -> int:
    """Check key, address, signature and nonce; return the nonce. Raises Refused."""
    http = parsed.http
    key = world.keys.get(http.headers.get("API-Key", ""))
    if key is None:
        raise error("EAPI:Invalid key")
    nonce = str(parsed.params.get("nonce", ""))
    digest = hashlib.sha256(nonce.encode() + http.body).digest()
    try:
        secret = base64.b64decode(key.secret)
        given = base64.b64decode(http.headers.get("API-Sign", ""))
    except binascii.Error:
        raise error("EAPI:Invalid signature") from None
    expected = hmac.digest(secret, http.path.encode() + digest, "sha512")
    if not hmac.compare_digest(expected, given):
        raise error("EAPI:Invalid signature")
    _check_nonce(world, key.api_key, nonce)
    if not key.permissions.get(permission, False) or (key.whitelist and http.remote not in key.whitelist):
        raise error("EGeneral:Permission denied")
    return int(nonce)


def _check_nonce(world: World, api_key: str, nonce: str) -> None:
    is_strict = world.personality.strict_nonce
    if is_strict and world.nonce_guard.is_locked(api_key, world.now()):
        raise error("EGeneral:Temporary lockout")
    is_good = nonce.isdecimal() and int(nonce) > world.nonces.get(api_key, -1)
    if is_strict:
        world.nonce_guard.judge(api_key, is_good, world.now())
    if not is_good:
        raise error("EAPI:Invalid nonce")
    world.nonces[api_key] = int(nonce)


def check_deadline(world: World, params: dict[str, Any]) -> None:
    """Raise Refused when a request's deadline has passed, or lies outside 60 seconds, where the world looks at it."""
    text = params.get("deadline")
    if text is None or not world.personality.validity_window:
        return
    try:
        deadline = datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        raise error("EGeneral:Invalid arguments:deadline") from None
    left = deadline - world.venue_now() / 1_000_000
    if left < 0:
        raise error("EService:Deadline elapsed")
    if left > 60:
        raise error("EGeneral:Invalid arguments:deadline")
