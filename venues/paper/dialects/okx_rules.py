"""OKX's rules: signatures, time windows, its envelope, parameters and the phrases of its refusals."""

import base64
import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from venues.paper.faults import Call
from venues.paper.markets import Market
from venues.paper.messages import Answer, HttpRequest, Refused
from venues.paper.orders import Order, Rejected
from venues.paper.personality import MICROSECONDS
from venues.paper.world import World

NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?")
CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9]{1,32}")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
TIMESTAMP_SECONDS = 30
CANCELLED_KEPT_SECONDS = 2 * 3600
PAGE_MAX = 100
FOREVER = 1 << 62

REFUSALS = {
    "unknown_symbol": ("51001", "Instrument ID doesn't exist."),
    "price_step": ("51000", "Parameter px error"),
    "quantity_step": ("51121", "Order quantity must be a multiple of the lot size."),
    "quantity_min": ("51020", "Your order should meet or exceed the minimum order amount."),
    "notional_min": ("51020", "Your order should meet or exceed the minimum order amount."),
    "insufficient_funds": ("51008", "Order failed. Insufficient balance in account."),
    "duplicate_client_order_id": ("51016", "Client order ID already exists."),
    "would_trigger": ("51280", "SL trigger price can not be higher than the last price"),
    "unknown_order": ("51400", "Cancellation failed as the order has been filled, canceled or does not exist."),
}
# An amendment is refused in words of its own.
AMEND_REFUSALS = {
    "unknown_order": ("51503", "Order modification failed as the order has been filled, canceled or does not exist."),
    "insufficient_funds": ("51502", "Order modification failed due to insufficient funds."),
    "no_change": ("51500", "You must enter a price, quantity, or TP/SL."),
}
FAULT_ANSWERS = {
    "rate_limited": (429, "50011", "Too Many Requests"),
    "ban": (418, "50011", "Too Many Requests"),
    "unknown_reject": (200, "59998", "A rule that nobody has heard of was violated."),
    "duplicate_client_id_reject": (200, *REFUSALS["duplicate_client_order_id"]),
    "maintenance": (503, "50001", "Service temporarily unavailable. Try again later"),
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request read as far as a fault needs it: `items` are the objects of its body, `params` those of its query."""

    http: HttpRequest
    call: Call
    params: dict[str, str]
    items: list[dict[str, Any]]


def ok(data: list[Any]) -> dict[str, Any]:
    """Return data in OKX's envelope."""
    return {"code": "0", "data": data, "msg": ""}


def error(code: str, text: str, status: int = 200) -> Refused:
    """Return a refusal of a whole request."""
    return Refused(Answer({"code": code, "data": [], "msg": text}, status))


def refused_item(code: str, text: str) -> dict[str, Any]:
    """Return the part of an answer that says what was wrong with one order."""
    return {"clOrdId": "", "ordId": "", "tag": "", "ts": "", "sCode": code, "sMsg": text}


def authenticate(world: World, parsed: Parsed, permission: str) -> None:
    """Check key, address, passphrase and signature, over the path as the client knows it. Raises Refused."""
    http = parsed.http
    names = ("KEY", "PASSPHRASE", "SIGN", "TIMESTAMP")
    api_key, passphrase, signature, timestamp = (http.headers.get(f"OK-ACCESS-{name}", "") for name in names)
    for value, code, name in zip(
        (api_key, passphrase, signature, timestamp), ("50103", "50104", "50106", "50107"), names, strict=True
    ):
        if not value:
            raise error(code, f'Request header "OK-ACCESS-{name}" can not be empty.', 401)
    key = world.keys.get(api_key)
    if key is None:
        raise error("50111", "Invalid OK-ACCESS-KEY", 401)
    if key.whitelist and http.remote not in key.whitelist:
        raise error("50110", "Your IP is not included in your API key's IP whitelist.", 401)
    if not hmac.compare_digest(passphrase.encode(), key.passphrase.encode()):
        raise error("50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.', 401)
    target = http.path + (f"?{http.query}" if http.query else "")
    signed = f"{timestamp}{http.method}{target}".encode() + http.body
    if not hmac.compare_digest(sign(key.secret, signed), signature):
        raise error("50113", "Invalid Sign", 401)
    if not key.permissions.get(permission, False):
        raise error("50120", "This API key doesn't have permission to use this function.", 401)


def sign(secret: str, signed: bytes) -> str:
    """Return the signature of a text."""
    return base64.b64encode(hmac.digest(secret.encode(), signed, "sha256")).decode()


def check_time(world: World, parsed: Parsed, has_deadline: bool) -> None:
    """Raise Refused when the timestamp is 30 s off or the deadline in `expTime` has passed, where the world has them."""
    if not world.personality.validity_window:
        return
    text = parsed.http.headers.get("OK-ACCESS-TIMESTAMP", "")
    if not TIMESTAMP.fullmatch(text):
        raise error("50112", "Invalid OK-ACCESS-TIMESTAMP", 401)
    now = world.venue_now()
    if abs(now - datetime.fromisoformat(text).timestamp() * MICROSECONDS) > TIMESTAMP_SECONDS * MICROSECONDS:
        raise error("50102", "Timestamp request expired", 401)
    deadline = parsed.http.headers.get("expTime", "")
    if not deadline or not has_deadline:
        return
    if not deadline.isdecimal() or now > int(deadline) * 1000:
        raise error("50036", "The expTime can't be earlier than the current system time. Please adjust it.")


def market_of(world: World, params: dict[str, Any]) -> Market:
    """Return the market named by a request. Raises Refused or Rejected."""
    name = params.get("instId")
    if not name:
        raise error("50014", "Parameter instId can not be empty", 400)
    market = world.by_venue_id.get(str(name))
    if market is None:
        raise Rejected("unknown_symbol")
    return market


def number_of(params: dict[str, Any], name: str) -> Decimal | None:
    """Return a decimal parameter, None when absent. Raises Refused unless it is a plain number."""
    text = params.get(name)
    if text is None or text == "":
        return None
    if not NUMBER.fullmatch(str(text)):
        raise wrong(name)
    return Decimal(str(text))


def integer_of(params: dict[str, str], name: str, default: int) -> int:
    """Return a whole-number parameter. Raises Refused unless it is one."""
    text = params.get(name)
    if text is None or text == "":
        return default
    if not text.isdecimal():
        raise wrong(name)
    return int(text)


def wrong(name: str) -> Refused:
    """Return the refusal of a parameter."""
    return error("51000", f"Parameter {name} error", 400)


def page_size(params: dict[str, str]) -> int:
    """Return how many rows a request wants at most."""
    return min(integer_of(params, "limit", PAGE_MAX) or PAGE_MAX, PAGE_MAX)


def is_forgotten(order: Order, now: int) -> bool:
    """Tell whether OKX knows an order no more: one cancelled without a fill is kept for two hours."""
    if order.is_open or order.executed:
        return False
    return order.versions[-1].at < now - CANCELLED_KEPT_SECONDS * MICROSECONDS
