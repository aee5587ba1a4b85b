"""What a client asks for, parsed strictly; every problem names its field and the nearest valid value. Pure."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from project.lib import decimals
from venues.symbols import SYMBOL

SIDES = ("buy", "sell")
TYPES = ("limit", "market", "stop", "stop_limit", "take_profit", "take_profit_limit", "trailing_stop")
PRICED = ("limit", "stop_limit", "take_profit_limit")
TRIGGERED = ("stop", "stop_limit", "take_profit", "take_profit_limit")
TRAILING = ("trailing_stop",)
TIMES_IN_FORCE = ("gtc", "gtd", "ioc", "fok")
FIELDS = (
    "client_order_id", "account", "symbol", "side", "type", "quantity", "price", "time_in_force", "post_only",
    "reduce_only", "trigger_price", "trailing_offset", "expires_at", "strategy",
)  # fmt: skip
AMENDABLE = ("quantity", "price", "trigger_price", "expires_at")
LATER_FIELDS = ("trailing_offset",)
PAST_NEAREST_SECONDS = 60
REQUIRED = ("client_order_id", "account", "symbol", "side", "type", "quantity")
CLIENT_ID_RULE = "must be 1 to 64 letters, digits or . _ : - and start with a letter or digit"
GROUP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,49}\Z", re.ASCII)
GROUP_ID_RULE = "must be 1 to 50 letters, digits or . _ : - and start with a letter or digit"
_ACCOUNT = re.compile(r"[-\w]{1,64}\Z", re.ASCII)
_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,63}\Z", re.ASCII)
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


@dataclass(frozen=True, kw_only=True)
class Amendment:
    """What somebody wants changed about an order; None leaves a value as it is. The quantity is the new total."""

    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    expires_at: datetime | None = None


@dataclass
class Reader:
    """Reads the fields of a payload one by one and collects what is wrong with each."""

    payload: Mapping[str, object]
    required: tuple[str, ...] = REQUIRED
    problems: list[FieldProblem] = field(default_factory=list)

    def refuse(self, name: str, code: str, message: str, nearest: str | None = None) -> None:
        shown = _shown(self.payload.get(name))
        self.problems.append(FieldProblem(field=name, code=code, message=message, got=shown, nearest_valid=nearest))

    def refuse_unknown(self, known: tuple[str, ...], message: str) -> None:
        """Refuse every field that is not one of the known ones."""
        for name in self.payload:
            if name not in known:
                close = difflib.get_close_matches(str(name), known, n=1)
                self.refuse(str(name)[:80], "UNKNOWN_FIELD", message, close[0] if close else None)

    def finish(self) -> None:
        """Raise Invalid where anything was refused."""
        if self.problems:
            raise Invalid(self.problems)

    def text(self, name: str, pattern: re.Pattern[str], rule: str, default: str = "") -> str:
        value = self.payload.get(name)
        if value is None:
            if name in self.required:
                self.refuse(name, "REQUIRED", "is required")
            return default
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self.refuse(name, "MALFORMED", rule)
            return default
        return value

    def choice(self, name: str, allowed: tuple[str, ...], default: str = "") -> str:
        value = self.payload.get(name)
        if value is None:
            if name in self.required:
                self.refuse(name, "REQUIRED", f"is required: one of {', '.join(allowed)}", allowed[0])
            return default
        if isinstance(value, str) and value in allowed:
            return value
        shown = (_shown(value) or "").lower()
        nearest = max(allowed, key=lambda word: difflib.SequenceMatcher(None, shown, word).ratio())
        self.refuse(name, "NOT_A_CHOICE", f"must be one of {', '.join(allowed)}", nearest)
        return default

    def flag(self, name: str) -> bool:
        value = self.payload.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.refuse(name, "NOT_A_BOOLEAN", "must be true or false", "false")
        return False

    def whole(self, name: str, least: int, most: int) -> int:
        value = self.payload.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        code = "REQUIRED" if value is None else "OUT_OF_RANGE"
        is_number = isinstance(value, int) and not isinstance(value, bool)
        nearest = str(min(max(value, least), most)) if is_number and isinstance(value, int) else None
        self.refuse(name, code, f"must be a whole number from {least} to {most}", nearest)
        return 0

    def moment(self, name: str) -> datetime | None:
        value = self.payload.get(name)
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else None
            if moment is not None and moment.tzinfo is not None:
                return moment.astimezone(UTC)  # the same moment has the same digest, whoever writes it
            nearest = moment.replace(tzinfo=UTC).isoformat() if moment is not None else None
        except (ValueError, OverflowError):
            nearest = None
        self.refuse(name, "MALFORMED", "must be a time with its offset, such as 2026-01-31T12:00:00Z", nearest)
        return None

    def amount(self, name: str) -> Decimal | None:
        value = self.payload.get(name)
        if value is None:
            if name in self.required:
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
    reader = Reader(payload)
    reader.refuse_unknown(FIELDS, "is not a field of an order")
    kind = reader.choice("type", TYPES)
    request = OrderRequest(
        client_order_id=reader.text("client_order_id", _CLIENT_ID, CLIENT_ID_RULE),
        account=reader.text("account", _ACCOUNT, "must be the code of an account"),
        symbol=reader.text("symbol", SYMBOL, "must be a symbol such as BTC/USDT", ""),
        side=reader.choice("side", SIDES),
        type=kind,
        quantity=reader.amount("quantity") or decimals.ZERO,
        price=reader.amount("price"),
        time_in_force=reader.choice("time_in_force", TIMES_IN_FORCE, "ioc" if kind == "market" else "gtc"),
        post_only=reader.flag("post_only"),
        reduce_only=reader.flag("reduce_only"),
        trigger_price=reader.amount("trigger_price"),
        trailing_offset=reader.amount("trailing_offset"),
        expires_at=reader.moment("expires_at"),
        strategy=reader.text("strategy", _STRATEGY, "must be 1 to 64 letters, digits or . _ : -"),
    )
    if kind:
        _refuse_impossible_pairs(reader, request)
    reader.finish()
    return request


def parse_amendment(payload: Mapping[str, object]) -> Amendment:
    """Turn a decoded JSON object into an Amendment. Raises Invalid; whether the order allows it is decided later."""
    reader = Reader(payload, required=())
    reader.refuse_unknown(AMENDABLE, f"cannot be amended; {', '.join(AMENDABLE)} can")
    if not payload:
        reader.refuse("quantity", "REQUIRED", f"give at least one of {', '.join(AMENDABLE)}")
    for name in AMENDABLE:
        if name in payload and payload[name] is None:
            reader.refuse(name, "MALFORMED", "must have a value; leave it out to keep it as it is")
    amendment = Amendment(
        quantity=reader.amount("quantity"), price=reader.amount("price"),
        trigger_price=reader.amount("trigger_price"), expires_at=reader.moment("expires_at"),
    )  # fmt: skip
    reader.finish()
    return amendment


def refuse_past(expires_at: datetime | None, now: datetime, field_name: str = "expires_at") -> None:
    """Refuse a time that has come already. Apart from parsing: the same order posted again later is no mistake."""
    if expires_at is not None and expires_at <= now:
        nearest = (now + timedelta(seconds=PAST_NEAREST_SECONDS)).replace(microsecond=0).isoformat()
        raise Invalid([FieldProblem(field=field_name, code="NOT_IN_FUTURE", message="must lie in the future",
                                    got=expires_at.isoformat(), nearest_valid=nearest)])  # fmt: skip


def _refuse_impossible_pairs(reader: Reader, request: OrderRequest) -> None:
    kind, given = request.type, reader.payload.get
    takes = {"price": PRICED, "trigger_price": TRIGGERED, "trailing_offset": TRAILING}
    for name, kinds in takes.items():
        if kind in kinds and given(name) is None:
            reader.refuse(name, "REQUIRED", f"is required for a {kind} order")
        elif kind not in kinds and given(name) is not None:
            reader.refuse(name, "NOT_ALLOWED", f"a {kind} order has no {name}; leave it out, or use type {kinds[0]}")
    if kind == "market" and request.time_in_force != "ioc":
        reader.refuse("time_in_force", "NOT_ALLOWED", "a market order is ioc", "ioc")
    if kind not in ("limit", "market", "") and request.time_in_force not in ("gtc", "gtd"):
        reader.refuse("time_in_force", "NOT_ALLOWED", "an order that waits for its trigger is gtc or gtd", "gtc")
    if request.post_only and (kind != "limit" or request.time_in_force not in ("gtc", "gtd")):
        message = "post-only needs a limit order with time in force gtc or gtd"
        reader.refuse("post_only", "NOT_ALLOWED", message, "false")
    if request.time_in_force == "gtd" and given("expires_at") is None:
        reader.refuse("expires_at", "REQUIRED", "is required with time in force gtd, as a time with its offset")
    if request.time_in_force != "gtd" and given("expires_at") is not None:
        reader.refuse(
            "expires_at", "NOT_ALLOWED", "only an order with time in force gtd expires; leave it out, or use gtd"
        )


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
