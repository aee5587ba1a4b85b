"""Coinbase's rules: tokens and what they must claim, parameters, and the phrases of its refusals."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from venues.paper.blueprint import Key
from venues.paper.faults import Call
from venues.paper.markets import Market
from venues.paper.messages import Answer, HttpRequest, Refused
from venues.paper.orders import OrderRequest
from venues.paper.personality import MICROSECONDS
from venues.paper.world import World

HOST = "api.coinbase.com"
TOKEN_SECONDS_MAX = 120
NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?")
CLIENT_ORDER_ID = re.compile(r"[ -~]{1,128}")
NONE_SAID = "UNKNOWN_FAILURE_REASON"
UNAUTHORIZED = Answer(b"Unauthorized\n", 401)
TOO_MANY = {"errors": [{"id": "rate_limit_exceeded", "message": "Too many requests"}]}
UNAVAILABLE = {"error": "UNAVAILABLE", "error_details": "Service Unavailable", "message": "Service Unavailable"}

# the engine's word: error of a new order, the preview's, the message
REFUSALS = {
    "unknown_symbol": ("INVALID_PRODUCT_ID", "PREVIEW_INVALID_PRODUCT_ID", "Invalid product_id"),
    "price_step": ("INVALID_PRICE_PRECISION", "PREVIEW_INVALID_PRICE_PRECISION", "Too many decimals in order price"),
    "quantity_step": ("INVALID_SIZE_PRECISION", "PREVIEW_INVALID_SIZE_PRECISION", "Too many decimals in order amount"),
    "quantity_min": (NONE_SAID, "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL", ""),
    "notional_min": (NONE_SAID, "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL", ""),
    "insufficient_funds": (
        "INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND", "Insufficient balance in source account",
    ),
    "duplicate_client_order_id": ("DUPLICATE_CLIENT_ORDER_ID", "", "Duplicate client_order_id"),
    "would_take": (
        "INVALID_LIMIT_PRICE_POST_ONLY", "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY", "Post only limit order would take",
    ),
}  # fmt: skip
STOP_REFUSALS = {
    "STOP_DIRECTION_STOP_DOWN": "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE",
    "STOP_DIRECTION_STOP_UP": "PREVIEW_STOP_PRICE_BELOW_LAST_TRADE_PRICE",
}
EDIT_REFUSALS = {
    "no_change": ("EDIT_REQUEST_EQUAL_TO_ORIGINAL_REQUEST", ""),
    "price_step": ("INVALID_EDITED_PRICE", ""),
    "quantity_step": ("INVALID_EDITED_SIZE", ""),
    "quantity_min": ("INVALID_EDITED_SIZE", ""),
    "notional_min": ("INVALID_EDITED_SIZE", ""),
    "insufficient_funds": ("", "PREVIEW_INSUFFICIENT_FUND"),
    "would_take": ("", "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY"),
}
FAULT_STATUSES = {"rate_limited": 429, "ban": 418, "maintenance": 503}
FAULT_WORDS = {
    "unknown_reject": ("A_RULE_NOBODY_HAS_HEARD_OF", "PREVIEW_A_RULE_NOBODY_HAS_HEARD_OF", ""),
    "duplicate_client_id_reject": REFUSALS["duplicate_client_order_id"],
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request read as far as a fault needs it; a name of the query may come several times."""

    http: HttpRequest
    call: Call
    query: dict[str, list[str]]
    body: dict[str, Any]

    def first(self, name: str) -> str:
        """Return a parameter of the query, empty when it is not there."""
        return self.query.get(name, [""])[0]


def query_of(http: HttpRequest) -> dict[str, list[str]]:
    """Return the query's parameters."""
    return parse_qs(http.query)


def body_of(http: HttpRequest) -> dict[str, Any]:
    """Return the body's JSON object, an empty one when there is none."""
    try:
        body = json.loads(http.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def error(status: int, code: str, message: str) -> Refused:
    """Return an error of the gateway in Coinbase's shape, to be raised."""
    return Refused(Answer({"error": code, "error_details": message, "message": message}, status))


def invalid(name: str) -> Refused:
    """Return the error for a parameter that is missing or makes no sense, to be raised."""
    return error(400, "INVALID_ARGUMENT", f"invalid {name}")


def phrases(reason: str, configuration: Any) -> tuple[str, str, str]:
    """Return the words for an engine's refusal of an order."""
    if reason == "would_trigger":
        ((_, terms),) = configuration.items()
        return NONE_SAID, STOP_REFUSALS[terms["stop_direction"]], ""
    return REFUSALS[reason]


def not_created(words: tuple[str, str, str], configuration: Any = None) -> Answer:
    """Return the refusal of a new order: success is false inside HTTP 200."""
    code, preview, message = words
    response = {"error": code, "message": message, "error_details": "", "preview_failure_reason": preview}
    return Answer(
        {
            "success": False,
            "failure_reason": NONE_SAID,
            "order_id": "",
            "error_response": response,
            "order_configuration": configuration,
        }
    )


def not_edited(code: str, preview: str = "") -> Answer:
    """Return the refusal of an edit."""
    return Answer({"success": False, "errors": [{"edit_failure_reason": code, "preview_failure_reason": preview}]})


def stop_direction(request: OrderRequest) -> str:
    """Return which way the price must go to fire an order, in Coinbase's words."""
    is_stop = request.type == "stop_limit"
    return "STOP_DIRECTION_STOP_DOWN" if is_stop == (request.side == "sell") else "STOP_DIRECTION_STOP_UP"


def market_of(world: World, product_id: str) -> Market:
    """Return the market with an id. Raises Refused."""
    market = world.by_venue_id.get(product_id)
    if market is None:
        raise error(404, "NOT_FOUND", "valid product_id is required")
    return market


def number_of(row: Mapping[str, Any], name: str) -> Decimal | None:
    """Return a decimal, None when absent. Raises Refused unless it is a text that is a plain number."""
    text = row.get(name)
    if text in (None, ""):
        return None
    if not isinstance(text, str) or not NUMBER.fullmatch(text):
        raise invalid(name)
    return Decimal(text)


def time_of(text: str, name: str) -> int:
    """Return an RFC 3339 time in microseconds. Raises Refused unless it is one."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(name) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * MICROSECONDS)


def api_key_of(token: str) -> str:
    """Return the key a token names, before anybody has checked it; empty when it names none."""
    try:
        return str(_part(token.split(".")[0]).get("kid", ""))
    except ValueError:
        return ""


def bearer(http: HttpRequest) -> str:
    """Return the token of a request, empty when there is none."""
    return str(http.headers.get("Authorization", "")).removeprefix("Bearer ")


def authenticate(world: World, parsed: Parsed, permission: str) -> None:
    """Check a request's token, that it was made for this request, and what its key may do. Raises Refused."""
    http = parsed.http
    key = check_token(world, bearer(http), (http.method, http.path, str(http.headers.get("Host", ""))))
    if key.whitelist and http.remote not in key.whitelist:
        raise Refused(UNAUTHORIZED)
    if not key.permissions.get(permission, False):
        raise error(403, "PERMISSION_DENIED", "Missing required scopes")


def check_token(world: World, token: str, request: tuple[str, str, str] | None = None) -> Key:
    """Return the key whose owner signed a token that holds now, for a request where one is given. Raises Refused."""
    try:
        head, claims, signature = token.split(".")
        header, claimed = _part(head), _part(claims)
        key = world.keys[header["kid"]]
        is_good = header["alg"] == "ES256" and claimed["sub"] == key.api_key
        is_good = is_good and _is_signed(key.secret, f"{head}.{claims}", _bytes(signature))
        is_good = is_good and (not world.personality.validity_window or _holds(claimed, world.venue_now()))
        is_good = is_good and (request is None or _is_for(world, str(claimed["uri"]), *request))
    except (ValueError, KeyError, TypeError):
        is_good = False
    if not is_good:
        raise Refused(UNAUTHORIZED)
    return key


def _holds(claims: Mapping[str, Any], now: int) -> bool:
    start, end = int(claims["nbf"]) * MICROSECONDS, int(claims["exp"]) * MICROSECONDS
    return start <= now < end and end - start <= TOKEN_SECONDS_MAX * MICROSECONDS


def _is_for(world: World, uri: str, method: str, path: str, host: str) -> bool:
    """Tell whether a token's uri is the request's: at the real address, or at the one this world has here."""
    given, _, address = uri.partition(" ")
    here = f"{host}/{world.exchange.name}/{world.blueprint.world}{path}"
    return given == method and address.removeprefix("http://") in (f"{HOST}{path}", here)


def _is_signed(secret: str, text: str, signature: bytes) -> bool:
    if len(signature) != 64:
        return False
    numbers = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        _public_key(secret).verify(encode_dss_signature(*numbers), text.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=256)
def _public_key(secret: str) -> ec.EllipticCurvePublicKey:
    private = serialization.load_pem_private_key(secret.encode(), None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise ValueError("not an EC key")
    return private.public_key()


def _part(text: str) -> dict[str, Any]:
    value = json.loads(_bytes(text))
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _bytes(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("not base64") from None
