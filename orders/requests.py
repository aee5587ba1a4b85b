"""What a client asks for, parsed strictly; every problem names its field and the nearest valid value. Pure."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from project.lib import decimals

SIDES = ("buy", "sell")
TYPES = ("limit", "market")
TIMES_IN_FORCE = ("gtc", "ioc", "fok")
FIELDS = (
    "client_order_id", "account", "symbol", "side", "type", "quantity", "price", "time_in_force", "post_only",
    "reduce_only", "trigger_price", "expires_at", "strategy",
)  # fmt: skip
LATER_FIELDS = ("trailing_offset",)
REQUIRED = ("client_order_id", "account", "symbol", "side", "type", "quantity")
_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,63}\Z", re.ASCII)
_SYMBOL = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}(:[A-Z0-9]{1,20})?(-[0-9A-Z\-]{1,30})?\Z", re.ASCII)
_STRATEGY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,63}\Z", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class FieldProblem:
    """One thing wrong with one field, and the nearest value that would be right where there is one."""

    field: str
    code: str
    message: str
    got: str | None = None
    nearest_valid: str | None = None


class Invalid(Exception):
    """The request is refused and nothing of it is stored; its client order id stays free."""

    def __init__(self, problems: list[FieldProblem]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class OrderRequest:
    """A well-formed intent. Whether the instrument and the limits allow it is decided later."""

    client_order_id: str
    account: str
    symbol: str
    side: str
    type: str
    quantity: Decimal
    price: Decimal | None
    time_in_force: str
    post_only: bool = False
    reduce_only: bool = False
    trigger_price: Decimal | None = None
    trailing_offset: Decimal | None = None
    expires_at: datetime | None = None
    strategy: str = ""

    def digest(self) -> str:
        """Return the SHA-256 of what was asked, the same for `1.0` and `1`; a second post is compared by it."""
        body = {
            name: decimals.write(value) if isinstance(value, Decimal) else str(value)
            for name, value in sorted(vars(self).items())
            if name not in LATER_FIELDS or value is not None  # an order from before the field keeps its digest
        }
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@dataclass
class _Reader:
    payload: Mapping[str, object]
    problems: list[FieldProblem] = field(default_factory=list)

    def refuse(self, name: str, code: str, message: str, nearest: str | None = None) -> None:
        shown = _shown(self.payload.get(name))
        self.problems.append(FieldProblem(field=name, code=code, message=message, got=shown, nearest_valid=nearest))

    def text(self, name: str, pattern: re.Pattern[str], rule: str, default: str = "") -> str:
        value = self.payload.get(name)
        if value is None:
            if name in REQUIRED:
                self.refuse(name, "REQUIRED", "is required")
            return default
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self.refuse(name, "MALFORMED", rule)
            return default
        return value

    def choice(self, name: str, allowed: tuple[str, ...], default: str = "") -> str:
        value = self.payload.get(name)
        if value is None:
            if name in REQUIRED:
                self.refuse(name, "REQUIRED", f"is required: one of {', '.join(allowed)}", allowed[0])
            return default
        if isinstance(value, str) and value in allowed:
            return value
        close = difflib.get_close_matches((_shown(value) or "").lower(), allowed, n=1, cutoff=0.4)
        self.refuse(name, "NOT_A_CHOICE", f"must be one of {', '.join(allowed)}", close[0] if close else allowed[0])
        return default

    def flag(self, name: str) -> bool:
        value = self.payload.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.refuse(name, "NOT_A_BOOLEAN", "must be true or false", "false")
        return False

    def amount(self, name: str) -> Decimal | None:
        value = self.payload.get(name)
        if value is None:
            if name in REQUIRED:
                self.refuse(name, "REQUIRED", 'is required, as a decimal string such as "0.0125"')
            return None
        if not isinstance(value, str):
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e20
            nearest = _nearest_decimal(repr(value)) if is_number else None
            self.refuse(name, "NOT_A_STRING", "must be a decimal string: JSON numbers lose digits", nearest)
            return None
        try:
            number = decimals.parse(value)
        except ValueError as error:
            self.refuse(name, "MALFORMED", str(error), _nearest_decimal(value))
            return None
        if number <= 0:
            self.refuse(name, "NOT_POSITIVE", "must be greater than zero")
            return None
        return number


def parse(payload: Mapping[str, object]) -> OrderRequest:
    """Turn a decoded JSON object into an OrderRequest. Raises Invalid with every problem found."""
    reader = _Reader(payload)
    for name in payload:
        if name not in FIELDS:
            close = difflib.get_close_matches(str(name), FIELDS, n=1)
            reader.refuse(str(name)[:80], "UNKNOWN_FIELD", "is not a field of an order", close[0] if close else None)
    kind = reader.choice("type", TYPES)
    request = OrderRequest(
        client_order_id=reader.text(
            "client_order_id", _CLIENT_ID, "must be 1 to 64 letters, digits or . _ : - and start with a letter or digit"
        ),
        account=reader.text("account", re.compile(r"[-\w]{1,64}\Z", re.ASCII), "must be the code of an account"),
        symbol=reader.text("symbol", _SYMBOL, "must be a symbol such as BTC/USDT", ""),
        side=reader.choice("side", SIDES),
        type=kind,
        quantity=reader.amount("quantity") or decimals.ZERO,
        price=reader.amount("price"),
        time_in_force=reader.choice("time_in_force", TIMES_IN_FORCE, "ioc" if kind == "market" else "gtc"),
        post_only=reader.flag("post_only"),
        reduce_only=reader.flag("reduce_only"),
        strategy=reader.text("strategy", _STRATEGY, "must be 1 to 64 letters, digits or . _ : -"),
    )
    _refuse_impossible_pairs(reader, request)
    if reader.problems:
        raise Invalid(reader.problems)
    return request


def _refuse_impossible_pairs(reader: _Reader, request: OrderRequest) -> None:
    if request.type == "limit" and reader.payload.get("price") is None:
        reader.refuse("price", "REQUIRED", "is required for a limit order")
    if request.type == "market" and request.price is not None:
        reader.refuse("price", "NOT_ALLOWED", "a market order has no price; leave it out, or use type limit")
    if request.type == "market" and request.time_in_force != "ioc":
        reader.refuse("time_in_force", "NOT_ALLOWED", "a market order is ioc", "ioc")
    if request.post_only and (request.type != "limit" or request.time_in_force != "gtc"):
        reader.refuse("post_only", "NOT_ALLOWED", "post-only needs a limit order with time in force gtc", "false")
    for name in ("trigger_price", "expires_at"):
        if reader.payload.get(name) is not None:
            reader.refuse(name, "NOT_ALLOWED", f"types {' and '.join(TYPES)} take no {name}; leave it out")


def _nearest_decimal(text: str) -> str | None:
    try:
        number = Decimal(text.strip())
        if not number.is_finite() or not 0 < number < decimals.LIMIT or number.adjusted() < -decimals.SCALE:
            return None
        return decimals.write(decimals.floor_to(number, Decimal(1).scaleb(-decimals.SCALE)))
    except ArithmeticError:
        return None


def _shown(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value[:80] if value else value
    return reprlib.repr(value)[:80]  # bounded in depth too: a deep list must not exhaust the stack
