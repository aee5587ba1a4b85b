"""The rows of the order core as plain values: what the books hold between the store and the stages. Pure."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from orders.states import TERMINAL, Mutation, Status
from venues.targets import VenueTarget

ZERO = Decimal(0)
TradeKey = tuple[str, str, str, str]
TransferKey = tuple[str, str, str, str]


@dataclass(slots=True, kw_only=True, eq=False)
class OrderRow:
    """An order intent and where it stands. Changed by orders.events alone."""

    id: uuid.UUID
    account: str
    client_order_id: str
    body_digest: str
    symbol: str
    side: str
    type: str
    quantity: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    trailing_offset: Decimal | None = None
    time_in_force: str = "gtc"
    post_only: bool = False
    reduce_only: bool = False
    expires_at: datetime | None = None
    strategy: str = ""
    source: str = ""
    is_external: bool = False
    group: uuid.UUID | None = None
    group_role: str = ""
    status: str = Status.RECEIVED
    mutation: str = Mutation.NONE
    filled_quantity: Decimal = ZERO
    filled_value: Decimal = ZERO
    reason_code: str = ""
    reason_message: str = ""
    reason_venue_code: str = ""
    venue_order_id: str = ""
    submit_tries: int = 0
    trigger_state: str = ""
    trigger_extreme: Decimal | None = None
    ended_at: datetime | None = None
    last_price_seen: Decimal | None = None
    version: int = 0
    created_at: datetime
    updated_at: datetime
    untold: EventRow | None = None  # what happened to it and is stored with the next change: see sending()

    @property
    def leaves_quantity(self) -> Decimal:
        """What may still fill: nothing once the order is terminal."""
        return ZERO if self.status in TERMINAL else max(self.quantity - self.filled_quantity, ZERO)


@dataclass(slots=True, kw_only=True, eq=False)
class AttemptRow:
    """One wire action, committed before its first byte leaves. Outcome is blank while it is in flight."""

    id: uuid.UUID
    order: uuid.UUID
    account: str
    action: str
    venue_client_id: str
    epoch: int
    request_digest: str
    window_ms: int
    valid_until: datetime | None
    sent_at: datetime
    request: dict[str, Any] = field(default_factory=dict)
    outcome: str = ""
    outcome_at: datetime | None = None
    code: str = ""
    message: str = ""
    venue_order_id: str = ""
    evidence: list[dict[str, Any]] = field(default_factory=list)
    lookups_absent: int = 0
    last_lookup_at: datetime | None = None
    resolved_at: datetime | None = None
    resolution: str = ""

    @property
    def is_unresolved(self) -> bool:
        """Whether its outcome is unknown and nobody has settled it."""
        return self.outcome == "unknown" and self.resolved_at is None


@dataclass(slots=True, kw_only=True, eq=False)
class LetterRow:
    """A dead letter: a doubt the product could not settle by itself."""

    id: uuid.UUID
    order: uuid.UUID
    attempt: uuid.UUID | None
    action: str
    account: str
    cause: str
    explanation: str
    status: str = "open"
    money_at_risk: Decimal
    money_at_risk_asset: str
    evidence: list[dict[str, Any]]
    looked_at: datetime | None
    resolution: str = ""
    resolution_reason: str = ""
    resolved_by: str = ""
    created_at: datetime
    resolved_at: datetime | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class IntentRow:
    """What web asks the owner to do."""

    id: uuid.UUID
    account: str
    order: uuid.UUID | None
    action: str
    data: dict[str, Any]
    requested_by: str
    requested_at: datetime
    done_at: datetime | None = None
    result: str = ""


@dataclass(slots=True, kw_only=True, eq=False)
class FillRow:
    """One trade of ours: unique by account, symbol, venue trade id and side."""

    id: uuid.UUID
    order: uuid.UUID
    account: str
    symbol: str
    side: str
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    fee: Decimal
    fee_asset: str
    liquidity: str
    venue_trade_id: str
    venue_order_id: str
    source: str
    executed_at: datetime
    recorded_at: datetime
    realised_pnl: Decimal = ZERO  # of a contract, in the asset that settles it

    @property
    def key(self) -> TradeKey:
        """What makes a trade unique: account, symbol, venue trade id, side."""
        return (self.account, self.symbol, self.venue_trade_id, self.side)


@dataclass(slots=True, kw_only=True, eq=False)
class TransferRow:
    """Money that a venue moved without a trade: unique by account, kind, venue transfer id and asset."""

    id: uuid.UUID
    account: str
    kind: str
    venue_transfer_id: str
    asset: str
    amount: Decimal
    fee: Decimal
    symbol: str
    reference: str
    source: str
    occurred_at: datetime
    recorded_at: datetime

    @property
    def key(self) -> TransferKey:
        """What makes a transfer unique: account, kind, venue transfer id, asset."""
        return (self.account, self.kind, self.venue_transfer_id, self.asset)


@dataclass(slots=True, kw_only=True, eq=False)
class EventRow:
    """One thing that happened to an order; its account's sequence number is given when it is stored."""

    account: str
    order: uuid.UUID
    kind: str
    status_before: str
    status_after: str
    data: dict[str, Any]
    source: str
    occurred_at: datetime | None
    received_at: datetime
    recorded_at: datetime


def sending(order: OrderRow, attempt: AttemptRow) -> EventRow:
    """Return the move to sending that a committed attempt is, before any row of the order says so."""
    data = {"attempt": str(attempt.id), "epoch": attempt.epoch, "try": order.submit_tries + 1}
    return EventRow(
        account=order.account, order=order.id, kind="sending", status_before=order.status, status_after=Status.SENDING,
        data=data, source="executor", occurred_at=None, received_at=attempt.sent_at, recorded_at=attempt.sent_at,
    )  # fmt: skip


@dataclass(slots=True, kw_only=True, eq=False)
class PostingRow:
    """One leg of a journal entry."""

    entry: uuid.UUID
    leg: int
    account: str
    asset: str
    book: str
    amount: Decimal
    cause: str
    fill: uuid.UUID | None
    reference: str
    memo: str
    posted_at: datetime


@dataclass(slots=True, kw_only=True, eq=False)
class PositionRow:
    """The net position of a symbol."""

    account: str
    symbol: str
    quantity: Decimal = ZERO
    entry_price: Decimal | None = None
    realised_pnl: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class BalanceView:
    """Our total of an asset beside the venue's last word, and since when their difference has been confirmed the same."""

    total: Decimal
    venue_total: Decimal | None
    difference_confirmed: Decimal | None = None
    difference_confirmed_at: datetime | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class AnomalyRow:
    """A venue fact that should not have happened, for reconciliation to make a break of."""

    account: str
    kind: str
    subject: str
    order: uuid.UUID | None
    fill: uuid.UUID | None
    data: dict[str, Any]
    seen_at: datetime


@dataclass(slots=True, frozen=True)
class Announcement:
    """A fact for the feed."""

    topic: str
    kind: str
    object_id: str
    account: str
    data: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class CredentialView:
    """A key of an account: what its probe said, and the sealed thing itself for whoever can open it."""

    id: uuid.UUID
    probed_at: datetime | None
    probe_result: str
    sealed: Any = field(repr=False, default=None)


@dataclass(frozen=True, kw_only=True)
class AccountView:
    """What the owner of an account goes by."""

    code: str
    target: VenueTarget
    status: str
    status_reason: str
    status_at: datetime
    activation_requested_at: datetime | None
    probe_waived_by: str
    opened_at: datetime | None
    event_sequence: int
    credential: CredentialView | None
    candidate: CredentialView | None = None
