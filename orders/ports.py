"""What the order core stands on, as interfaces: the store, the writer, the leases, the venue's door. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from orders.cache import Aggregate
from orders.rows import (
    AccountView,
    AnomalyRow,
    BalanceView,
    FillRow,
    IntentRow,
    OrderRow,
    PositionRow,
    TradeKey,
    TransferKey,
)
from risk.checks import Facts
from venues.books import BookStats
from venues.messages import BalanceReport, MarketSpec, Permissions, PositionReport, Read
from venues.streams import Session

Result = TypeVar("Result")
AtVenue = tuple[uuid.UUID, str, str, datetime]


@dataclass
class Lease:
    """The right to talk to one account's venue until a monotonic deadline."""

    account: str
    epoch: int
    deadline: float
    nonce_floor: int


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What the rows ask of the owners of some accounts: orders to send, wishes to carry out, settings to notice."""

    queued: Mapping[str, Sequence[uuid.UUID]] = field(default_factory=dict)
    wishes: Mapping[str, Sequence[tuple[uuid.UUID, str, uuid.UUID | None]]] = field(default_factory=dict)
    settings: Mapping[str, tuple[object, ...]] = field(default_factory=dict)


class Desk(Protocol):
    """The rest of the product as the order core sees it; every call runs inside the open transaction."""

    def account(self, code: str) -> AccountView:
        """Return what the owner goes by. Raises KeyError."""

    def waiting(self, codes: Sequence[str]) -> Waiting:
        """Return what waits for the owners of these accounts, oldest first, bounded per account."""

    def intent(self, intent_id: uuid.UUID) -> IntentRow:
        """Return a wish. Raises KeyError."""

    def wishes_about(self, order_id: uuid.UUID) -> Sequence[IntentRow]:
        """Return the wishes about an order that nobody has settled."""

    def letter_order(self, letter_id: uuid.UUID) -> uuid.UUID | None:
        """Return the order a dead letter is about, or None."""

    def orders_in_doubt(self, account: str) -> Sequence[uuid.UUID]:
        """Return orders with an attempt in flight or unknown and unresolved."""

    def symbols_in_doubt(self, account: str) -> Collection[str]:
        """Return the symbols of orders that may be at the venue under an id we do not know: a submit in flight or unknown.

        As stored, never as cached: an order cached before another owner sent it would seem never to have left.
        """

    def has_twin_in_doubt(self, order: OrderRow) -> bool:
        """Say whether another order that looks the same may be at the venue under an id we do not know; as stored."""

    def orders_in(self, account: str, *, status: str = "", mutation: str = "") -> Sequence[uuid.UUID]:
        """Return the orders with a status, or with a mutation, oldest first."""

    def armed(self, account: str) -> Sequence[uuid.UUID]:
        """Return the conditional orders we watch, oldest first."""

    def armed_symbols(self, account: str) -> Sequence[str]:
        """Return the symbols of the conditional orders we watch."""

    def expiring(self, account: str, at: datetime) -> Sequence[uuid.UUID]:
        """Return the orders alive that should have ended by then."""

    def live_groups(self, account: str) -> Sequence[tuple[str, Sequence[uuid.UUID]]]:
        """Return kind and members, in the order they were made, of each group with a member alive."""

    def stale_queued(self, account: str, before: datetime) -> Sequence[uuid.UUID]:
        """Return orders queued and untouched since then."""

    def at_venue(self, account: str) -> Sequence[AtVenue]:
        """Return id, symbol, venue order id and creation time of every order that stands at the venue, oldest first."""

    def newest_fill_at(self, account: str) -> datetime | None:
        """Return when the newest booked trade was executed."""

    def fills_proved_at(self, account: str) -> datetime | None:
        """Return when the newest sweep of fills that was good was asked for."""

    def has_new_fills(self, account: str, executed_from: datetime, recorded_from: datetime) -> bool:
        """Say whether a trade executed since the one time was booked since the other."""

    def symbols(self, account: str, venue: str, at_most: int) -> Sequence[str]:
        """Return the venue's symbols when they are few, else those ever ordered on the account."""

    def balances(self, account: str, assets: Sequence[str]) -> Mapping[str, BalanceView]:
        """Return both sides per asset, of those that either side has ever named."""

    def note_balances(
        self, account: str, reports: Sequence[BalanceReport], *, requested_at: datetime, is_whole: bool
    ) -> None:
        """Keep what the venue says beside our totals; a whole list says zero of every asset it leaves out."""

    def note_positions(self, account: str, reports: Sequence[PositionReport], *, requested_at: datetime) -> None:
        """Keep a whole list of the venue's positions beside ours; a contract it leaves out is flat there."""

    def venue_ids(self, account: str, symbol: str, since: datetime) -> frozenset[str]:
        """Return the venue's ids of our orders on a symbol that were made since then, past legs included."""

    def event_sequence(self, account: str) -> int:
        """Return the number of the account's last event."""

    def capture(
        self,
        account: str,
        surface: str,
        read: Read,
        *,
        epoch: int,
        reason: str,
        event_sequence: int,
        since: datetime | None,
    ) -> None:
        """Keep a read as a snapshot."""

    def opening_trades(self, account: str) -> frozenset[tuple[str, str]]:
        """Return the trades (symbol, venue trade id) that the opening balances already contain."""

    def set_opened(self, account: str, at: datetime) -> None:
        """Say since when the account's books are open."""

    def set_status(self, account: str, status: str, reason: str) -> None:
        """Move the account's status where it changed."""

    def keep_probe(self, account: str, permissions: Permissions | None, problem: str) -> None:
        """Judge and keep what the venue says the key may do."""

    def keep_candidate(
        self, account: str, credential: uuid.UUID, permissions: Permissions | None, problem: str
    ) -> None:
        """Put a new key in the place of the active one, or refuse it, by what was learnt."""

    def store_instruments(self, venue: str, specs: Sequence[MarketSpec]) -> None:
        """Keep the venue's instruments."""

    def store_prices(self, venue: str, prices: Mapping[str, Decimal]) -> None:
        """Keep last prices."""

    def keep_session(self, account: str, session: Session) -> None:
        """Keep how a stream's session stands; one that has ended is left alone."""

    def end_sessions(self, account: str) -> None:
        """End the sessions that an owner left open when it ended without a word: they stood until they were last seen."""

    def keep_health(self, account: str, channels: Mapping[str, Any], is_news: bool) -> None:
        """Keep how each channel is doing."""

    def keep_book_health(self, account: str, listed: Sequence[BookStats]) -> None:
        """Keep how each book the account needs is doing; forget those it does not need any more."""

    def maintenance_said(self, venue: str) -> str:
        """Return what the venue said of a maintenance whose end it has not told, or nothing."""

    def note_maintenance(self, venue: str, said: str) -> None:
        """Take a venue's own word that it is in maintenance, or, when empty, that it is over."""

    def priced_symbols(self, account: str, venue: str, at_most: int) -> Sequence[str]:
        """Return the symbols whose prices are wanted."""

    def risk(self, places: Collection[tuple[str, str]]) -> tuple[int, Mapping[tuple[str, str], Facts | None]]:
        """Return the revision of the risk rules and the facts per account and symbol; None where a symbol is not listed."""

    def audit(self, actor: str, action: str, subject: object, detail: dict[str, Any]) -> None:
        """Append to the audit chain."""


class Reading(Desk, Protocol):
    """What the books read from; every read sees the open transaction."""

    def aggregates(self, order_ids: Sequence[uuid.UUID]) -> Iterable[Aggregate]:
        """Return orders with their attempts (oldest first) and open dead letters."""

    def find(
        self, account: str, client_ids: Sequence[str], venue_ids: Sequence[tuple[str, str]]
    ) -> Sequence[uuid.UUID]:
        """Return the orders that own these client ids or (symbol, venue order id) pairs."""

    def fills(self, keys: Sequence[TradeKey]) -> Iterable[FillRow]:
        """Return which of these trades are booked."""

    def booked_transfers(self, keys: Sequence[TransferKey]) -> frozenset[TransferKey]:
        """Return which of these transfers are booked."""

    def transfers_proved_at(self, account: str) -> datetime | None:
        """Return when the newest read of transfers that was good was asked for."""

    def opening_transfers(self, account: str) -> frozenset[tuple[str, str, str]] | None:
        """Return the transfers (kind, venue id, asset) that the opening balances already contain; None when none was read then."""

    def moved_assets(self, account: str, since: datetime) -> Sequence[str]:
        """Return the assets of which either side has something, and those of transfers since then."""

    def position(self, account: str, symbol: str) -> PositionRow | None:
        """Return a position, or None."""

    def is_noted(self, anomaly: AnomalyRow, within_seconds: float) -> bool:
        """Say whether the same anomaly was noted lately."""


class Leases(Protocol):
    """Who may talk to an account's venue. Each call is a transaction of its own."""

    async def renew_and_acquire(
        self, held: Mapping[str, Lease], nonce_floors: Mapping[str, int]
    ) -> tuple[set[str], list[Lease]]:
        """Extend the leases held, take those nobody holds; return the codes extended and the fresh leases."""

    async def release(self, nonce_floors: Mapping[str, int]) -> None:
        """Give back every lease of this holder."""


class Writing(Protocol):
    """Runs a function over the books inside one committed transaction; it may run again and must change only the books."""

    async def run(self, function: Callable[[Any], Result]) -> Result:
        """Run it once. Raises what it raised, Full, Fenced, or that the store is away."""

    async def run_until_committed(self, function: Callable[[Any], Result]) -> Result:
        """Like run, but wait out a full queue and a store that is away: for facts that must not be lost."""


class Gateways(Protocol):
    """Makes the venue's door for an account."""

    def __call__(self, account: AccountView, lease: Lease) -> Any:
        """Return a gateway, not yet opened."""
