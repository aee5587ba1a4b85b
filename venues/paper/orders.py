"""The values of the engine: orders, their versions over time, fills, facts and refusals."""

import hashlib
from bisect import bisect_right
from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter

OPEN_STATUSES = ("new", "partially_filled")
NOTHING = Decimal(0)
RAN_OUT = "order expired"
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ234567"
WOULD_TAKE = "post-only order that would take"
SELF_TRADE = "self trade prevention"
VERSIONS_KEPT_MICROSECONDS = 900_000_000

_visible_at = attrgetter("visible_at")


class Rejected(Exception):
    """The exchange refused: `reason` is a word of REASONS, the dialect phrases it."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


REASONS = (
    "no_change",
    "quantity_increase",
    "not_amendable",
    "would_trigger",
    "unknown_symbol",
    "price_step",
    "quantity_step",
    "quantity_min",
    "notional_min",
    "insufficient_funds",
    "duplicate_client_order_id",
    "would_take",
    "unknown_order",
    "reduce_only",
)


MARKET_TYPES = ("market", "stop", "take_profit", "trailing_stop")
TRIGGER_TYPES = ("stop", "stop_limit", "take_profit", "take_profit_limit", "trailing_stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What an account asks for; `quantity` in base asset or `quote_quantity` in quote asset.

    A type of TRIGGER_TYPES waits for `trigger_price`, or trails the last price by `trailing_offset` (quote asset) or
    `trailing_bips` (hundredths of a percent). `expires_at` in microseconds. `replaces` names the order it replaces.
    One that is `reduce_only` ends when it would open a position.
    """

    account: str
    symbol: str
    side: str
    type: str
    quantity: Decimal
    price: Decimal | None = None
    quote_quantity: Decimal | None = None
    time_in_force: str = "GTC"
    post_only: bool = False
    client_order_id: str = ""
    fee_preference: str = ""
    origin: str = "api"
    trigger_price: Decimal | None = None
    trailing_offset: Decimal | None = None
    trailing_bips: int | None = None
    expires_at: int | None = None
    replaces: str = ""
    reduce_only: bool = False

    @property
    def is_market(self) -> bool:
        """Tell whether the order takes any price once it trades."""
        return self.type in MARKET_TYPES

    @property
    def is_trailing(self) -> bool:
        """Tell whether the trigger follows the last price."""
        return self.trailing_offset is not None or self.trailing_bips is not None


@dataclass(slots=True, eq=False)
class Resting:
    """Something that can stand in a book; the flow's anonymous quotes are nothing more."""

    side: str
    price: Decimal
    leaves: Decimal


@dataclass(frozen=True, slots=True)
class Version:
    """What an order was from `at` on, and when the exchange lets the outside see it."""

    status: str
    executed: Decimal
    cost: Decimal
    fee: Decimal
    hold: Decimal
    fills: int
    at: int
    visible_at: int
    request: OrderRequest
    is_working: bool
    reason: str = ""


@dataclass(slots=True, eq=False, kw_only=True)
class Order(Resting):
    """An account's order; an amendment replaces `request`. Times are microseconds since the epoch.

    `is_working` is false while a trigger has not fired; `is_tracking` while a trailing trigger waits for its price.
    """

    request: OrderRequest
    number: int
    order_id: str
    key: str
    created_at: int
    unit_hold: Decimal
    hold_asset: str
    hold: Decimal = NOTHING
    executed: Decimal = NOTHING
    cost: Decimal = NOTHING
    fee: Decimal = NOTHING
    status: str = "new"
    is_working: bool = True
    is_tracking: bool = False
    trigger_price: Decimal | None = None
    extreme: Decimal | None = None
    working_at: int = 0
    hidden_until: int = 0
    fills: list["Fill"] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Tell whether the order can still trade."""
        return self.status in OPEN_STATUSES

    def record_version(self, at: int, visible_at: int, reason: str = "") -> Version:
        """Remember the present state as a version; versions become visible in order."""
        if self.versions:
            visible_at = max(visible_at, self.versions[-1].visible_at)
            while len(self.versions) > 1 and self.versions[1].visible_at < at - VERSIONS_KEPT_MICROSECONDS:
                del self.versions[0]
        version = Version(
            self.status,
            self.executed,
            self.cost,
            self.fee,
            self.hold,
            len(self.fills),
            at,
            visible_at,
            self.request,
            self.is_working,
            reason,
        )
        self.versions.append(version)
        return version

    def version_at(self, moment: int) -> Version | None:
        """Return the version that reads show at a moment, None when they do not show the order."""
        if moment < self.hidden_until:
            return None
        return self.told_version(moment)

    def told_version(self, moment: int) -> Version | None:
        """Return the version the owner was told of by a moment, None when it was told nothing yet."""
        if self.versions[-1].visible_at <= moment:
            return self.versions[-1]
        index = bisect_right(self.versions, moment, key=_visible_at)
        return self.versions[index - 1] if index else None


@dataclass(frozen=True, slots=True, eq=False)
class Fill:
    """One side of a trade, as its owner is told; of a derivative with what it realised in the asset that settles it."""

    order: Order
    trade_number: int
    trade_id: str
    price: Decimal
    quantity: Decimal
    cost: Decimal
    fee: Decimal
    fee_asset: str
    liquidity: str
    at: int
    visible_at: int
    settle: str = ""
    realised: Decimal = NOTHING


@dataclass(frozen=True, slots=True)
class Fact:
    """What happened to an account: accepted, triggered, amended, filled, cancelled, expired, deposited, debited, funded, settled.

    `balances` are the total and held amounts it left behind; `before` is the request an amendment replaced; `symbol` is
    the contract that was funded or settled; `told` is what more the journal keeps of it.
    """

    kind: str
    account: str
    at: int
    visible_at: int
    balances: dict[str, tuple[Decimal, Decimal]]
    order: Order | None = None
    version: Version | None = None
    fill: Fill | None = None
    asset: str = ""
    amount: Decimal = NOTHING
    before: OrderRequest | None = None
    symbol: str = ""
    told: dict[str, str | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Print:
    """A trade as everybody sees it."""

    trade_number: int
    price: Decimal
    quantity: Decimal
    taker_side: str
    at: int


def text_id(prefix: str, seed: str) -> str:
    """Return an id such as OABCDE-FGHJK-LMNPQR made from a seed."""
    digest = hashlib.sha256(seed.encode()).digest()
    letters = "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:16])
    return f"{prefix}{letters[:5]}-{letters[5:10]}-{letters[10:16]}"
