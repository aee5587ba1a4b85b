"""The database in memory: tables of plain rows, transactions that happen whole or not at all, leases in its own time."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from django.db import OperationalError

from orders.ports import Lease
from orders.rows import (
    AnomalyRow,
    AttemptRow,
    EventRow,
    FillRow,
    IntentRow,
    LetterRow,
    OrderRow,
    PositionRow,
    PostingRow,
    TransferRow,
)
from venues.messages import MarketSpec
from venues.targets import VenueTarget

Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True)
class AccountRecord:
    """A row of venues_account with its active credential."""

    code: str
    target: VenueTarget
    status: str = "new"
    status_reason: str = ""
    status_at: datetime
    activation_requested_at: datetime | None = None
    opened_at: datetime | None = None
    event_sequence: int = 0
    credential: uuid.UUID
    probed_at: datetime | None = None
    probe_result: str = ""


@dataclass(frozen=True, kw_only=True)
class LeaseRecord:
    """A row of orders_accountlease."""

    holder: str = ""
    epoch: int = 0
    nonce_floor: int = 0
    expires_at: datetime | None = None
    build: str = ""


@dataclass(frozen=True, kw_only=True)
class BalanceRecord:
    """A row of orders_balance."""

    total: Decimal = Decimal(0)
    venue_total: Decimal | None = None
    difference: Decimal | None = None
    difference_since: datetime | None = None
    difference_confirmed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Capture:
    """A snapshot as far as the core and the checks ask for it."""

    surface: str
    status: str
    epoch: int
    reason: str
    event_sequence: int
    requested_at: datetime
    trades: frozenset[tuple[str, str]] = frozenset()


@dataclass
class Committed:
    """What one transaction changed, for those who watch."""

    events: list[EventRow] = field(default_factory=list)
    attempts: list[AttemptRow] = field(default_factory=list)
    outcomes: list[AttemptRow] = field(default_factory=list)
    fills: list[FillRow] = field(default_factory=list)
    letters: list[LetterRow] = field(default_factory=list)
    statuses: list[tuple[str, str, str]] = field(default_factory=list)
    anomalies: list[AnomalyRow] = field(default_factory=list)
    wakes: set[str] = field(default_factory=set)


class Database:
    """All tables. A row inside is never changed: it is replaced, and the transaction knows what was there before."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.accounts: dict[str, AccountRecord] = {}
        self.leases: dict[str, LeaseRecord] = {}
        self.orders: dict[uuid.UUID, OrderRow] = {}
        self.order_by_client_id: dict[tuple[str, str], uuid.UUID] = {}
        self.order_by_venue_id: dict[tuple[str, str, str], uuid.UUID] = {}
        self.attempts: dict[uuid.UUID, AttemptRow] = {}
        self.attempts_of: dict[uuid.UUID, tuple[uuid.UUID, ...]] = {}
        self.attempt_by_client_id: dict[tuple[str, str], uuid.UUID] = {}
        self.in_doubt: dict[uuid.UUID, str] = {}
        self.letters: dict[uuid.UUID, LetterRow] = {}
        self.intents: dict[uuid.UUID, IntentRow] = {}
        self.waiting_intents: dict[uuid.UUID, None] = {}
        self.fills: dict[tuple[str, str, str, str], FillRow] = {}
        self.events: dict[str, list[EventRow]] = {}
        self.transfers: dict[tuple[str, str, str, str], TransferRow] = {}
        self.postings: list[PostingRow] = []
        self.balances: dict[tuple[str, str], BalanceRecord] = {}
        self.positions: dict[tuple[str, str], PositionRow] = {}
        self.anomalies: list[AnomalyRow] = []
        self.captures: dict[str, list[Capture]] = {}
        self.audits: list[tuple[str, str, str]] = []
        self.instruments: dict[tuple[str, str], MarketSpec] = {}
        self.prices: dict[tuple[str, str], Decimal] = {}
        self.halts: dict[str, str] = {}
        self.limits: dict[str, Decimal] = {}
        self.counters = {"rules": 0, "feed": 0}
        self.committed = Committed()
        self.on_commit: Callable[[Committed], None] = lambda committed: None
        self.fault: Callable[[str], None] = lambda place: None
        self._undo: list[tuple[Any, Any, Any]] | None = None

    @contextmanager
    def transaction(self, kind: str) -> Iterator[Committed]:
        """Run a block whole or not at all. Raises OperationalError where the database is away or its answer is lost."""
        if self._undo is not None:
            raise RuntimeError("a transaction within a transaction: the simulation runs them one by one")
        self.fault(f"{kind}:begin")
        self._undo, self.committed = [], Committed()
        committed = self.committed
        try:
            yield committed
            self.fault(f"{kind}:commit")
        except BaseException:
            for table, key, before in reversed(self._undo):
                if before is _APPENDED:
                    table.pop()
                elif before is _ABSENT:
                    del table[key]
                else:
                    table[key] = before
            raise
        finally:
            self._undo = None
        self.on_commit(committed)
        self.fault(f"{kind}:answer")

    def put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Insert or replace a row."""
        self._changed((table, key, table.get(key, _ABSENT)))
        table[key] = value

    def drop(self, table: dict[Any, Any], key: Any) -> None:
        """Delete a row of an index."""
        if key in table:
            self._changed((table, key, table[key]))
            del table[key]

    def append(self, table: list[Any], value: Any) -> None:
        """Append to a log."""
        self._changed((table, None, _APPENDED))
        table.append(value)

    def change_account(self, code: str, **changes: Any) -> None:
        """Change an account's row."""
        self.put(self.accounts, code, replace(self.accounts[code], **changes))

    def trading_state(self, account: str) -> str:
        """Return the strictest halt that covers an account."""
        venue = self.accounts[account].target.code
        states = [self.halts.get(scope) for scope in ("global", f"venue:{venue}", f"account:{account}")]
        return "halted" if "halted" in states else "reducing" if "reducing" in states else "active"

    def _changed(self, change: tuple[Any, Any, Any]) -> None:
        if self._undo is None:
            raise RuntimeError("a write outside of a transaction")
        self._undo.append(change)


class MemoryLeases:
    """The leases of one executor, by the rules of orders/leases.py, with time passing on the way there and back."""

    def __init__(
        self, database: Database, holder: str, seconds: float, monotonic: Callable[[], float], travel: Callable[[], Any]
    ) -> None:
        self._database, self._holder, self._seconds = database, holder, seconds
        self._monotonic, self._travel = monotonic, travel

    async def renew_and_acquire(
        self, held: Mapping[str, Lease], nonce_floors: Mapping[str, int]
    ) -> tuple[set[str], list[Lease]]:
        """Extend the leases held, take those nobody holds; return the codes extended and the fresh leases."""
        before = self._monotonic()
        await self._travel()
        kept = self._renew(held, nonce_floors)
        await self._travel()
        for code in sorted(kept):
            held[code].deadline = before + self._seconds
        before = self._monotonic()
        await self._travel()
        fresh = self._acquire(before)
        await self._travel()
        return kept, fresh

    async def release(self, nonce_floors: Mapping[str, int]) -> None:
        """Give back every lease of this executor."""
        await self._travel()
        database = self._database
        with database.transaction("lease"):
            for code, lease in database.leases.items():
                if lease.holder == self._holder:
                    floor = max(lease.nonce_floor, nonce_floors.get(code, 0))
                    database.put(database.leases, code, replace(lease, nonce_floor=floor, expires_at=database.now()))

    def _renew(self, held: Mapping[str, Lease], nonce_floors: Mapping[str, int]) -> set[str]:
        database, kept = self._database, set()
        until = database.now() + timedelta(seconds=self._seconds)
        with database.transaction("lease"):
            for code in sorted(held):
                lease = database.leases[code]
                is_ours = (lease.holder, lease.epoch) == (self._holder, held[code].epoch)
                if is_ours and lease.expires_at is not None and lease.expires_at > database.now():
                    floor = max(lease.nonce_floor, nonce_floors.get(code, 0))
                    database.put(database.leases, code, replace(lease, nonce_floor=floor, expires_at=until))
                    kept.add(code)
        return kept

    def _acquire(self, before: float) -> list[Lease]:
        database, fresh = self._database, []
        now = database.now()
        until = now + timedelta(seconds=self._seconds)
        with database.transaction("lease"):
            for code in sorted(database.leases):
                lease = database.leases[code]
                if lease.expires_at is None or lease.expires_at < now:
                    taken = replace(lease, holder=self._holder, epoch=lease.epoch + 1, expires_at=until)
                    database.put(database.leases, code, taken)
                    fresh.append(Lease(code, taken.epoch, before + self._seconds, lease.nonce_floor))
        return fresh


def clone(row: Row) -> Row:
    """Copy a row, as reading it from a database would."""
    kind: Any = type(row)
    made = kind.__new__(kind)
    for name in kind.__slots__:
        setattr(made, name, getattr(row, name))
    return made


def away(why: str) -> OperationalError:
    """Return what the database's driver raises when the server is gone."""
    return OperationalError(why)


class _Mark:
    """Stands for what was not there before."""


_ABSENT, _APPENDED = _Mark(), _Mark()
