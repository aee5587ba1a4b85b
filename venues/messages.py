"""Frozen values that cross the boundary between the product and a venue; money is Decimal, times are UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from venues.streams import StreamReason

Side = Literal["buy", "sell"]
Replaced = Literal["", "in_place", "new_order", "cancelled_only"]
Outcome = Literal["accepted", "rejected", "not_sent", "unknown"]
TransferKind = Literal["deposit", "withdrawal", "internal", "funding", "settlement", "rebate", "fee", "other"]
VenueOrderStatus = Literal["open", "filled", "cancelled", "expired", "rejected"]


@dataclass(frozen=True, kw_only=True)
class PlaceOrder:
    """One submit: what goes to the wire, and until when the venue may still act on it.

    type: limit, market, stop (market when triggered), stop_limit, take_profit (market), take_profit_limit, trailing_stop
    (market). trailing_offset is an absolute distance in the quote asset; expires_at belongs to time in force GTD.
    """

    venue_client_id: str
    symbol: str
    side: Side
    type: str
    quantity: Decimal
    price: Decimal | None
    time_in_force: str
    post_only: bool = False
    reduce_only: bool = False
    trigger_price: Decimal | None = None
    trailing_offset: Decimal | None = None
    expires_at: datetime | None = None
    stamp_ms: int
    window_ms: int


@dataclass(frozen=True, kw_only=True)
class CancelOrder:
    """One cancel, by venue order id where known, else by the client id the venue saw."""

    symbol: str
    venue_order_id: str | None
    venue_client_id: str
    stamp_ms: int
    window_ms: int


@dataclass(frozen=True, kw_only=True)
class AmendOrder:
    """One change of a live order. `quantity` is the new total, filled part included; what stays is given again.

    A venue that replaces needs a client id for the new order; one that amends in place keeps the order and its ids.
    """

    symbol: str
    side: Side
    type: str
    venue_order_id: str | None
    venue_client_id: str
    new_venue_client_id: str
    quantity: Decimal
    filled_quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    time_in_force: str
    post_only: bool
    stamp_ms: int
    window_ms: int


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What an order looks like, to find it by where the venue takes no client id."""

    side: Side
    type: str
    quantity: Decimal
    price: Decimal | None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was asked of a venue and what it answered, kept beside the conclusion drawn from it."""

    source: str
    at: datetime
    answer: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The outcome of one wire action. `unknown` unless the venue or the transport proved otherwise.

    replaced: what an accepted amend did. in_place: the same venue order stands with the new values; new_order: the old
    one is ended, and `order` is the new one for the rest; cancelled_only: the old one is ended and no new one exists.
    category: what it says of the venue or the key beside this order (venues.facts.shapes.Verdict).
    stop_seconds: for how long the venue wants nothing more, where it names a time. unclassified: where no row knows the venue's answer, the
    name of ccxt's class for it.
    """

    outcome: Outcome
    code: str = ""
    message: str = ""
    venue_code: str = ""
    venue_order_id: str | None = None
    order: OrderReport | None = None
    raw: str = ""
    transient: bool = False
    valid_until: datetime | None = None
    replaced: Replaced = ""
    category: str = ""
    cause: str = "system"
    stop_seconds: float | None = None
    unclassified: str = ""
    http_status: int | None = None


@dataclass(frozen=True, kw_only=True)
class OrderReport:
    """A venue's statement about an order. `filled_quantity` is its claim; ours is the sum of fills.

    An order that rests untriggered at the venue has status `open`, its limit in `price`, its trigger in `trigger_price`.
    """

    venue_order_id: str | None
    venue_client_id: str | None
    symbol: str
    status: VenueOrderStatus
    side: Side | None = None
    type: str | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    quantity: Decimal | None = None
    filled_quantity: Decimal | None = None
    occurred_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class FillReport:
    """One trade of ours at a venue. Unique by (account, symbol, venue trade id, side).

    realised_pnl: of a contract, what the trade won or lost in the settlement asset, in the venue's own figure.
    """

    venue_trade_id: str
    venue_order_id: str
    venue_client_id: str | None
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal | None
    fee: Decimal
    fee_asset: str
    liquidity: Literal["maker", "taker", ""]
    occurred_at: datetime | None
    realised_pnl: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class BalanceReport:
    """What a venue says an account has of one asset."""

    asset: str
    total: Decimal
    free: Decimal
    held: Decimal


@dataclass(frozen=True, kw_only=True)
class PositionReport:
    """What a venue says an account holds of a contract: `quantity` is negative for a short position.

    Quantities are in base asset, of an inverse contract in quote asset; money is in the settlement asset.
    """

    symbol: str
    quantity: Decimal
    entry_price: Decimal | None
    mark_price: Decimal | None
    unrealised_pnl: Decimal | None
    margin: Decimal | None


@dataclass(frozen=True, kw_only=True)
class TransferReport:
    """Money that a venue moved without a trade of ours. Unique by (account, kind, venue transfer id, asset).

    amount: what it does to our total, so a withdrawal is negative, its fee included. fee: the part of it that is a fee.
    symbol: the contract, of funding and settlement. reference: address or transaction, as told. Only what is done moves money.
    """

    venue_transfer_id: str
    kind: TransferKind
    asset: str
    amount: Decimal
    fee: Decimal = Decimal(0)
    symbol: str = ""
    reference: str = ""
    status: Literal["done", "pending", "failed"] = "done"
    occurred_at: datetime


@dataclass(frozen=True, kw_only=True)
class Malformed:
    """A frame or row that failed strict parsing: kept raw, changes nothing, raises a break."""

    source: str
    reason: str
    raw: str


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """The result of looking for one order: found, absent by a good answer, or failed (which says nothing)."""

    result: Literal["found", "absent", "failed"]
    order: OrderReport | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StreamState:
    """What has become of a stream's connection: `connecting`, `subscribed`, `alive` (now and then), `lost` with the reason.

    tries: connections attempted for the one that is subscribed. frames, last_message_at: of this connection.
    """

    state: Literal["connecting", "subscribed", "alive", "lost"]
    at: datetime
    reason: StreamReason | None = None
    detail: str = ""
    tries: int = 1
    frames: int = 0
    last_message_at: datetime | None = None


Report = OrderReport | FillReport | BalanceReport | Malformed


@dataclass(frozen=True, kw_only=True)
class Permissions:
    """What a key may do according to the venue. None means the venue did not say."""

    can_read: bool | None = None
    can_trade: bool | None = None
    can_withdraw: bool | None = None
    can_transfer: bool | None = None
    ip_restricted: bool | None = None
    expires_at: datetime | None = None
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class MarketSpec:
    """One instrument as a venue lists it.

    Quantities of a contract count contracts of contract_size: of the base asset, or where settle is the base (inverse) of
    the quote asset. expires_at: of a dated future. unmapped_reason: why it has no canonical name; then it is not tradable.
    """

    symbol: str
    venue_symbol: str
    base: str
    quote: str
    kind: str
    price_step: Decimal
    quantity_step: Decimal
    quantity_min: Decimal | None
    quantity_max: Decimal | None
    notional_min: Decimal | None
    contract_size: Decimal
    is_active: bool
    settle: str = ""
    price_min: Decimal | None = None
    price_max: Decimal | None = None
    notional_max: Decimal | None = None
    leverage_max: Decimal | None = None
    expires_at: datetime | None = None
    unmapped_reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Read:
    """The result of a read: `good`, `partial`, `failed` or `unsupported`. Only good rows prove anything."""

    status: Literal["good", "partial", "failed", "unsupported"]
    rows: tuple[Any, ...] = ()
    error: str = ""
    requested_at: datetime
    taken_at: datetime
    malformed: tuple[Malformed, ...] = ()
