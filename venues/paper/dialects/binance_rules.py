"""Binance's rules: signatures, time windows, parameters and the phrases of its refusals."""

import hmac
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from venues.paper.faults import Call
from venues.paper.markets import Market
from venues.paper.messages import Answer, HttpRequest, Refused
from venues.paper.orders import Rejected
from venues.paper.world import World

NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?")
CLIENT_ORDER_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
RECEIVE_WINDOW_MAX = 60_000
DAY_MILLISECONDS = 86_400_000
CLOCK_AHEAD_MAX = 1000

REFUSALS = {
    "unknown_symbol": (400, -1121, "Invalid symbol."),
    "price_step": (400, -1013, "Filter failure: PRICE_FILTER"),
    "quantity_step": (400, -1013, "Filter failure: LOT_SIZE"),
    "quantity_min": (400, -1013, "Filter failure: LOT_SIZE"),
    "notional_min": (400, -1013, "Filter failure: NOTIONAL"),
    "insufficient_funds": (400, -2010, "Account has insufficient balance for requested action."),
    "duplicate_client_order_id": (400, -2010, "Duplicate order sent."),
    "would_take": (400, -2010, "Order would immediately match and take."),
    "unknown_order": (400, -2011, "Unknown order sent."),
    "would_trigger": (400, -2010, "Order would trigger immediately."),
    "no_change": (400, -2038, "The requested action would change no state; rejecting."),
    "not_amendable": (400, -2038, "Order amend is not supported for this order."),
    "quantity_increase": (400, -1013, "Order amend (quantity increase) is not supported."),
}
FAULT_ANSWERS = {
    "rate_limited": (429, -1003, "Too many requests; current limit is 6000 request weight per 1 MINUTE."),
    "ban": (418, -1003, "Way too much request weight used; IP banned until {until}."),
    "maintenance": (503, -1016, "This service is no longer available: system maintenance."),
    "unknown_reject": (400, -9999, "An exchange rule that nobody has heard of was violated."),
    "duplicate_client_id_reject": REFUSALS["duplicate_client_order_id"],
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request read as far as a fault needs it; `account` is empty until the signature is checked."""

    http: HttpRequest
    call: Call
    params: dict[str, str]
    raw: str


def error(status: int, code: int, text: str, **headers: str) -> Answer:
    """Return an error in Binance's shape."""
    return Answer({"code": code, "msg": text}, status, headers)


def missing(name: str) -> Answer:
    """Return the error for a parameter that must be there."""
    return error(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def refusal(reason: str) -> Answer:
    """Return the phrase for an engine's refusal."""
    return error(*REFUSALS[reason])


def authenticate(world: World, parsed: Parsed, permission: str) -> None:
    """Check key, address and signature. Raises Refused."""
    api_key = parsed.call.account
    if not api_key:
        raise Refused(error(401, -2014, "API-key format invalid."))
    key = world.keys.get(api_key)
    allowed = key is not None and key.permissions.get(permission, False)
    if key is None or not allowed or (key.whitelist and parsed.http.remote not in key.whitelist):
        raise Refused(error(401, -2015, "Invalid API-key, IP, or permissions for action."))
    signed, _, signature = parsed.raw.rpartition("signature=")
    if not signature:
        raise Refused(error(400, -1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed."))
    check_signature(key.secret, signed.removesuffix("&"), signature)


def check_signature(secret: str, signed: str, signature: str) -> None:
    """Raise Refused unless the signature is the HMAC-SHA256 of the signed text."""
    expected = hmac.digest(secret.encode(), signed.encode(), "sha256").hex()
    if not hmac.compare_digest(expected, signature):
        raise Refused(error(400, -1022, "Signature for this request is not valid."))


def check_time(world: World, params: dict[str, Any]) -> None:
    """Raise Refused when the timestamp lies outside the receive window, where the world has one."""
    if not world.personality.validity_window:
        return
    try:
        timestamp = int(params["timestamp"])
        window = int(params.get("recvWindow", 5000))
    except (KeyError, ValueError):
        raise Refused(
            error(400, -1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.")
        ) from None
    if window > RECEIVE_WINDOW_MAX:
        raise Refused(error(400, -1131, "recvWindow must be less than 60000."))
    now = world.venue_now() // 1000
    if timestamp >= now + CLOCK_AHEAD_MAX:
        raise Refused(error(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time."))
    if now - timestamp > window:
        raise Refused(error(400, -1021, "Timestamp for this request is outside of the recvWindow."))


def market_of(world: World, params: dict[str, str]) -> Market:
    """Return the market named by a request. Raises Refused or Rejected."""
    if not params.get("symbol"):
        raise Refused(error(400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."))
    market = world.by_venue_id.get(params["symbol"])
    if market is None:
        raise Rejected("unknown_symbol")
    return market


def number_of(params: dict[str, str], name: str) -> Decimal | None:
    """Return a decimal parameter, None when absent. Raises Refused unless it is a plain number."""
    text = params.get(name)
    if text is None:
        return None
    if not NUMBER.fullmatch(text):
        raise Refused(error(400, -1100, f"Illegal characters found in parameter '{name}'; legal range is a number."))
    return Decimal(text)


def integer_of(params: dict[str, str], name: str, default: int | None = None) -> int | None:
    """Return a whole-number parameter. Raises Refused unless it is one."""
    text = params.get(name)
    if text is None:
        return default
    if not text.isdecimal():
        raise Refused(error(400, -1100, f"Illegal characters found in parameter '{name}'."))
    return int(text)


def window_of(params: dict[str, str]) -> tuple[int, int]:
    """Return the time window of a request in milliseconds. Raises Refused when it is longer than a day."""
    start, end = integer_of(params, "startTime"), integer_of(params, "endTime")
    if start is not None and end is not None and end - start > DAY_MILLISECONDS:
        raise Refused(error(400, -1127, "More than 24 hours between startTime and endTime."))
    return start or 0, end if end is not None else 1 << 62
