"""Bybit's rules: signatures, time windows, parameters and the codes of its refusals."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from venues.paper.faults import Call
from venues.paper.markets import Market
from venues.paper.messages import Answer, HttpRequest, Refused
from venues.paper.orders import Rejected
from venues.paper.world import World

NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?")
CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
WINDOW_DEFAULT = 5000
CLOCK_AHEAD_MAX = 1000
PARAMETER_ERROR = 10001

REFUSALS = {
    "unknown_symbol": (170121, "Invalid symbol."),
    "price_step": (170134, "Order price has too many decimals."),
    "quantity_step": (170137, "Order quantity has too many decimals."),
    "quantity_min": (170136, "Order quantity exceeded lower limit."),
    "notional_min": (170140, "Order value exceeded lower limit."),
    "insufficient_funds": (170131, "Insufficient balance."),
    "duplicate_client_order_id": (170141, "Duplicate clientOrderId"),
    "would_take": (170218, "The LIMIT-MAKER order is rejected due to invalid price."),
    "unknown_order": (170213, "Order does not exist."),
    "would_trigger": (170130, "Data sent for parameter 'triggerPrice' is not valid."),
    "no_change": (PARAMETER_ERROR, "The order remains unchanged as the parameters entered match the existing ones."),
    "not_amendable": (PARAMETER_ERROR, "The quantity modified cannot be less than or equal to the filled quantity."),
    "quantity_increase": (PARAMETER_ERROR, "The quantity cannot be increased."),
}
FAULT_ANSWERS = {
    "rate_limited": (200, 10006, "Too many visits. Exceeded the API Rate Limit."),
    "ban": (403, 10018, "Exceeded the IP Rate Limit."),
    "unknown_reject": (200, 179999, "A rule that nobody has heard of was violated."),
    "duplicate_client_id_reject": (200, *REFUSALS["duplicate_client_order_id"]),
    "maintenance": (503, 10016, "Server error."),
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request read as far as a fault needs it."""

    http: HttpRequest
    call: Call
    params: Mapping[str, Any]


def envelope(world: World, result: Any, code: int = 0, text: str = "OK") -> dict[str, Any]:
    """Return the shape of every answer."""
    return {"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": world.venue_now() // 1000}


def error(world: World, code: int, text: str, status: int = 200) -> Refused:
    """Return an error in Bybit's shape, to be raised."""
    return Refused(Answer(envelope(world, {}, code, text), status))


def invalid(world: World, name: str) -> Refused:
    """Return the error for a parameter whose value makes no sense."""
    return error(world, 170130, f"Data sent for parameter '{name}' is not valid.")


def authenticate(world: World, parsed: Parsed, permission: str) -> None:
    """Check key, signature, address and permission. Raises Refused."""
    http = parsed.http
    key = world.keys.get(http.headers.get("X-BAPI-API-KEY", ""))
    if key is None:
        raise error(world, 10003, "API key is invalid.")
    names = ("X-BAPI-TIMESTAMP", "X-BAPI-API-KEY", "X-BAPI-RECV-WINDOW")
    signed = "".join(http.headers.get(name, "") for name in names).encode()
    signed += http.body if http.method == "POST" else http.query.encode()
    if not is_signature(key.secret, signed, http.headers.get("X-BAPI-SIGN", "")):
        raise error(world, 10004, "Error sign, please check your signature generation algorithm.")
    if key.whitelist and http.remote not in key.whitelist:
        raise error(world, 10010, "Unmatched IP, please check your API key's bound IP addresses.")
    if not key.permissions.get(permission, False):
        raise error(world, 10005, "Permission denied, please check your API key permissions.")


def is_signature(secret: str, signed: bytes, given: str) -> bool:
    """Tell whether a signature is the HMAC-SHA256 of a text."""
    return hmac.compare_digest(hmac.digest(secret.encode(), signed, "sha256").hex().encode(), given.encode())


def check_time(world: World, parsed: Parsed) -> None:
    """Raise Refused when the timestamp lies outside the receive window, where the world has one."""
    if not world.personality.validity_window:
        return
    stamp = parsed.http.headers.get("X-BAPI-TIMESTAMP", "")
    window = parsed.http.headers.get("X-BAPI-RECV-WINDOW", str(WINDOW_DEFAULT))
    now = world.venue_now() // 1000
    is_number = stamp.isdecimal() and window.isdecimal()
    if not is_number or not now - int(window) <= int(stamp) < now + CLOCK_AHEAD_MAX:
        text = "invalid request, please check your server timestamp or recv_window param."
        raise error(world, 10002, f"{text} req_timestamp[{stamp}],server_timestamp[{now}],recv_window[{window}]")


def check_spot(world: World, params: Mapping[str, Any]) -> None:
    """Raise Refused unless a request is about spot: nothing else is traded here."""
    if params.get("category") != "spot":
        raise error(world, PARAMETER_ERROR, "params error: category is not supported")


def market_of(world: World, params: Mapping[str, Any]) -> Market:
    """Return the market named by a request. Raises Refused or Rejected."""
    name = str(params.get("symbol") or "")
    if not name:
        raise error(world, PARAMETER_ERROR, "params error: symbol is required")
    market = world.by_venue_id.get(name)
    if market is None:
        raise Rejected("unknown_symbol")
    return market


def number_of(world: World, params: Mapping[str, Any], name: str) -> Decimal | None:
    """Return a decimal parameter, None when absent. Raises Refused unless it is a plain number."""
    text = params.get(name)
    if text in (None, ""):
        return None
    if not NUMBER.fullmatch(str(text)):
        raise invalid(world, name)
    return Decimal(str(text))


def integer_of(world: World, params: Mapping[str, Any], name: str) -> int | None:
    """Return a whole-number parameter, None when absent. Raises Refused unless it is one."""
    text = str(params.get(name) or "")
    if not text:
        return None
    if not text.isdecimal():
        raise error(world, PARAMETER_ERROR, f"params error: {name} is not a number")
    return int(text)


def limit_of(world: World, params: Mapping[str, Any], default: int, most: int) -> int:
    """Return how many rows a request wants at most. Raises Refused when it is not a number."""
    return min(max(integer_of(world, params, "limit") or default, 1), most)
