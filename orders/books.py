"""One transaction's view of the orders' rows: read through a cache, change in memory, write whole or not at all. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Protocol

from orders.cache import Aggregate, Cache
from orders.ports import Reading
from orders.rows import (
    ZERO,
    Announcement,
    AnomalyRow,
    AttemptRow,
    EventRow,
    FillRow,
    IntentRow,
    LetterRow,
    OrderRow,
    PositionRow,
    PostingRow,
    TradeKey,
    TransferRow,
)
from orders.told import Told
from project.lib import clock, ids
from risk.checks import Facts

ONCE_PER_SECONDS = 3600


class Conflict(Exception):
    """Somebody else changed a row since it was read: nothing was written; read again and decide again."""


class Fenced(Exception):
    """The lease is gone or the risk rules have changed: nothing was written and nothing may be sent on it."""


class Store(Reading, Protocol):
    """What the books stand on: PostgreSQL in the product, memory in the simulation."""

    def write(self, books: Books) -> None:
        """Store every change of the books. Raises Conflict or Fenced; then nothing is stored."""


class Books:
    """The unit of work. Stages read and change rows here; nothing is stored before the whole transaction is."""

    def __init__(self, store: Store, cache: Cache, *, is_careful: bool = False) -> None:
        self.store, self.cache = store, cache
        self.is_careful = is_careful  # a batch failed: look before writing what a constraint would refuse
        self.new_orders: list[OrderRow] = []
        self.changed_orders: dict[uuid.UUID, tuple[OrderRow, int]] = {}
        self.new_attempts: list[AttemptRow] = []
        self.changed_attempts: dict[uuid.UUID, AttemptRow] = {}
        self.new_letters: list[LetterRow] = []
        self.changed_letters: dict[uuid.UUID, LetterRow] = {}
        self.new_intents: list[IntentRow] = []
        self.changed_intents: dict[uuid.UUID, IntentRow] = {}
        self.events: list[EventRow] = []
        self.fills: list[FillRow] = []
        self.transfers: list[TransferRow] = []
        self.postings: list[PostingRow] = []
        self.totals: dict[tuple[str, str], Decimal] = {}
        self.changed_positions: dict[tuple[str, str], tuple[PositionRow, PositionRow]] = {}
        self.anomalies: list[AnomalyRow] = []
        self.begun: dict[uuid.UUID, OrderRow] = {}
        self.told = Told()
        self.announcements: dict[tuple[str, str, str], Announcement] = {}
        self.gates: dict[str, tuple[int, int | None]] = {}
        self.wakes: set[str] = set()
        self.deferred: list[Callable[[], object]] = []
        self._touched: dict[uuid.UUID, None] = {}
        self._new: set[uuid.UUID] = set()
        self._known_fills: dict[TradeKey, FillRow | None] = {}
        self._absent: set[tuple[str, ...]] = set()

    # --- reading ---

    def load(self, order_ids: Iterable[uuid.UUID]) -> None:
        """Read orders in one go; those in the cache are left alone."""
        wanted = [order_id for order_id in order_ids if order_id not in self.cache.orders]
        if wanted:
            for aggregate in self.store.aggregates(wanted):
                self.cache.keep(aggregate)

    def order(self, order_id: uuid.UUID) -> OrderRow:
        """Return an order. Raises KeyError when there is none."""
        return self._aggregate(order_id).order

    def attempts(self, order_id: uuid.UUID, action: str = "") -> list[AttemptRow]:
        """Return an order's attempts, oldest first; those of one action when named."""
        found = self._aggregate(order_id).attempts
        return [attempt for attempt in found if attempt.action == action] if action else list(found)

    def newest_attempt(self, order_id: uuid.UUID, action: str) -> AttemptRow | None:
        """Return an order's last attempt of an action, or None."""
        found = self.attempts(order_id, action)
        return found[-1] if found else None

    def attempt(self, order_id: uuid.UUID, attempt_id: uuid.UUID) -> AttemptRow:
        """Return one attempt of an order. Raises KeyError."""
        for attempt in self._aggregate(order_id).attempts:
            if attempt.id == attempt_id:
                return attempt
        raise KeyError(attempt_id)

    def letters(self, order_id: uuid.UUID) -> list[LetterRow]:
        """Return an order's open dead letters."""
        return [letter for letter in self._aggregate(order_id).letters if letter.status == "open"]

    def prefetch(self, account: str, client_ids: Iterable[str], venue_ids: Iterable[tuple[str, str]]) -> None:
        """Read in one go the orders that statements name by client id or by (symbol, venue order id)."""
        clients = sorted({name for name in client_ids if name and (account, name) not in self.cache.by_client_id})
        venues = sorted(
            {key for key in venue_ids if key[1] and (account, key[0], key[1]) not in self.cache.by_venue_id}
        )
        if not clients and not venues:
            return
        found = self.store.find(account, clients, venues)
        self.reread(found)  # cached, and yet not under these names: older than what is stored
        self.load(found)
        self._absent |= {(account, name) for name in clients if (account, name) not in self.cache.by_client_id}
        self._absent |= {(account, *key) for key in venues if (account, key[0], key[1]) not in self.cache.by_venue_id}

    def by_client_id(self, account: str, client_id: str) -> OrderRow | None:
        """Return the order that an id we gave a venue belongs to, or None."""
        if (account, client_id) not in self.cache.by_client_id and (account, client_id) not in self._absent:
            self.prefetch(account, [client_id], [])
        found = self.cache.by_client_id.get((account, client_id))
        return self.order(found) if found else None

    def by_venue_id(self, account: str, symbol: str, venue_order_id: str) -> OrderRow | None:
        """Return the order that a venue's own id belongs to, or None."""
        key = (account, symbol, venue_order_id)
        if key not in self.cache.by_venue_id and key not in self._absent:
            self.prefetch(account, [], [(symbol, venue_order_id)])
        found = self.cache.by_venue_id.get(key)
        return self.order(found) if found else None

    def cached_by_venue_id(self, account: str, symbol: str, venue_order_id: str) -> OrderRow | None:
        """Return the order in the cache that a venue's id belongs to; the store's constraint guards the rest."""
        found = self.cache.by_venue_id.get((account, symbol, venue_order_id))
        return self.order(found) if found else None

    def prefetch_fills(self, keys: Sequence[TradeKey]) -> None:
        """Read in one go which trades are booked already; key: account, symbol, venue trade id, side."""
        wanted = [key for key in keys if key not in self._known_fills]
        if wanted:
            booked = {fill.key: fill for fill in self.store.fills(wanted)}
            self._known_fills |= {key: booked.get(key) for key in wanted}

    def fill(self, key: TradeKey) -> FillRow | None:
        """Return the booked trade of a key, or None."""
        self.prefetch_fills([key])
        return self._known_fills[key]

    def position(self, account: str, symbol: str) -> PositionRow:
        """Return a position to be read; change it by put_position."""
        key = (account, symbol)
        if key in self.changed_positions:
            return self.changed_positions[key][0]
        if key not in self.cache.positions:
            self.cache.positions[key] = self.store.position(account, symbol) or PositionRow(
                account=account, symbol=symbol
            )
        return self.cache.positions[key]

    def risk(self, account: str, symbol: str) -> tuple[int, Facts | None]:
        """Return the revision of the risk rules and the facts for a symbol, at most a second old.

        The age is for prices alone: the commit of an attempt is refused when the rules have a newer revision.
        """
        kept = self.cache.standing((account, symbol), self.store.risk)
        return kept.revision, kept.facts

    def forget(self, account: str) -> None:
        """Drop what is cached of an account: another owner may have written since."""
        self.reread([order_id for order_id, kept in self.cache.orders.items() if kept.order.account == account])

    def reread(self, order_ids: Iterable[uuid.UUID]) -> None:
        """Drop orders from the cache, but not what this transaction has changed: somebody else may have written them."""
        for order_id in order_ids:
            if order_id not in self._touched:
                self.cache.drop(order_id)

    # --- changing ---

    def touch(self, order_id: uuid.UUID) -> None:
        """Say that an order or what belongs to it is about to change."""
        self._touched[order_id] = None

    def add_order(self, order: OrderRow) -> None:
        """Take in a new order."""
        self.touch(order.id)
        self._new.add(order.id)
        self.new_orders.append(order)
        self.cache.keep(Aggregate(order, [], []))

    def change_order(self, order: OrderRow) -> None:
        """Remember the version an order had, so that the write fails when it is not the stored one any more."""
        self.touch(order.id)
        if not self._is_changing(order):
            self.changed_orders[order.id] = (order, order.version - (order.id in self.begun))
        if order.untold is not None:
            self._tell(order, order.untold)
            order.untold = None
            self.begun.pop(order.id, None)

    def begin(self, order: OrderRow, event: EventRow) -> None:
        """Take the move to sending that a new attempt is; row and event go with the order's next change, or a moment later.

        The attempt alone is what must be durable before a byte leaves; whoever reads the order reads its attempts too.
        """
        if self._is_changing(order) or order.account not in self.gates:
            self.change_order(order)
            self._tell(order, event)
        else:
            order.untold = event
            self.begun[order.id] = order

    def tell_begun(self, order_ids: Sequence[uuid.UUID]) -> None:
        """Store that these orders are sending, where nothing has happened to them since."""
        self.load(order_ids)
        for order in map(self.order, order_ids):
            if order.untold is not None:
                self.change_order(order)

    def learn_venue_id(self, order: OrderRow, venue_order_id: str) -> None:
        """Make an order findable by a venue's id."""
        self.cache.by_venue_id[(order.account, order.symbol, venue_order_id)] = order.id

    def add_attempt(self, attempt: AttemptRow) -> None:
        """Take in a new attempt, before its first byte leaves: it has no outcome. Raises ValueError for one that has."""
        if attempt.outcome or attempt.evidence:
            raise ValueError("an attempt is stored before it has an outcome")
        aggregate = self._aggregate(attempt.order)
        self.touch(attempt.order)
        self.new_attempts.append(attempt)
        aggregate.attempts.append(attempt)
        self.cache.by_client_id.setdefault((attempt.account, attempt.venue_client_id), attempt.order)

    def change_attempt(self, attempt: AttemptRow) -> None:
        """Say that an attempt has changed; the write fails when its order is not the stored one any more."""
        self.change_order(self.order(attempt.order))
        self.changed_attempts[attempt.id] = attempt

    def add_letter(self, letter: LetterRow) -> None:
        """Take in a new dead letter."""
        aggregate = self._aggregate(letter.order)
        self.touch(letter.order)
        self._new.add(letter.id)
        self.new_letters.append(letter)
        aggregate.letters.append(letter)

    def change_letter(self, letter: LetterRow) -> None:
        """Say that a dead letter has changed; the write fails when its order is not the stored one any more."""
        self.change_order(self.order(letter.order))
        if letter.id not in self._new:
            self.changed_letters[letter.id] = letter

    def add_intent(self, order: OrderRow, action: str, data: dict[str, Any], requested_by: str) -> None:
        """Ask the owner for something ourselves, by a row as everybody does."""
        self.new_intents.append(IntentRow(
            id=ids.new_id(), account=order.account, order=order.id, action=action, data=data, requested_by=requested_by,
            requested_at=clock.now(),
        ))  # fmt: skip
        self.announce("orders", f"order.{action}_requested", order.id, account=order.account)
        self.wake(order.account)

    def finish(self, intent: IntentRow, result: str) -> None:
        """Settle a person's or a program's wish, with the result in words."""
        intent.done_at, intent.result = clock.now(), result[:200]
        self.changed_intents[intent.id] = intent

    def add_event(self, event: EventRow) -> None:
        """Append to the log."""
        self.events.append(event)

    def add_fill(self, fill: FillRow) -> None:
        """Take in a new trade."""
        self.touch(fill.order)
        self.fills.append(fill)
        self._known_fills[fill.key] = fill

    def post(self, postings: Sequence[PostingRow]) -> None:
        """Append legs to the ledger and their `venue` amounts to the totals."""
        self.postings += postings
        for posting in postings:
            if posting.book == "venue":
                key = (posting.account, posting.asset)
                self.totals[key] = self.totals.get(key, ZERO) + posting.amount

    def put_position(self, before: PositionRow, after: PositionRow) -> None:
        """Replace a position; the write fails when it is not the stored one any more."""
        key = (before.account, before.symbol)
        first = self.changed_positions[key][1] if key in self.changed_positions else before
        self.changed_positions[key] = (after, first)

    def note(
        self,
        account: str,
        kind: str,
        subject: str,
        *,
        order: uuid.UUID | None = None,
        fill: uuid.UUID | None = None,
        data: dict[str, Any],
    ) -> bool:
        """Write down a venue fact that should not have happened; the same one once an hour, not with each read."""
        row = AnomalyRow(
            account=account, kind=kind, subject=subject[:200], order=order, fill=fill, data=data, seen_at=clock.now()
        )
        here = any(
            (known.account, known.kind, known.subject, known.data) == (account, kind, row.subject, data)
            for known in self.anomalies
        )
        if here or self.store.is_noted(row, ONCE_PER_SECONDS):
            return False
        self.anomalies.append(row)
        self.announce("breaks", f"anomaly.{kind}", subject[:64], account=account)
        return True

    def announce(
        self, topic: str, kind: str, object_id: object, *, account: str = "", data: dict[str, Any] | None = None
    ) -> None:
        """Tell the feed; the same thing said twice in a transaction is said once, as it stands at the end."""
        name = str(object_id)
        key = (topic, kind, name)
        self.announcements.pop(key, None)
        self.announcements[key] = Announcement(topic, kind, name, account, data or {})

    def gate(self, account: str, epoch: int, risk_revision: int | None) -> None:
        """Let the commit succeed only while this epoch holds the account's lease, under these risk rules where they count."""
        known = self.gates.get(account, (epoch, None))
        self.gates[account] = (epoch, risk_revision if known[1] is None else known[1])

    def audit(self, actor: str, action: str, subject: object, detail: dict[str, Any]) -> None:
        """Append to the audit chain."""
        self.later(lambda: self.store.audit(actor, action, subject, detail))

    def later(self, work: Callable[[], object]) -> None:
        """Let the desk write something of its own, in the same transaction, when it commits."""
        self.deferred.append(work)

    def wake(self, account: str) -> None:
        """Wake the owner of an account after the commit."""
        self.wakes.add(account)

    # --- ending ---

    def commit(self) -> None:
        """Hand every change to the store. Raises Conflict or Fenced, and then nothing is stored."""
        for work in self.deferred:
            work()
        if self.is_changed:
            self.store.write(self)

    def committed(self) -> None:
        """Make what was stored the new cache."""
        for (account, symbol), (after, _) in self.changed_positions.items():
            self.cache.positions[(account, symbol)] = after
        self.cache.trim()

    def abandon(self) -> None:
        """Forget every row this transaction touched: they are not what the store has."""
        for order_id in self._touched:
            self.cache.drop(order_id)
        for key in self.changed_positions:
            self.cache.positions.pop(key, None)

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to write."""
        return bool(
            self.new_orders or self.changed_orders or self.new_attempts or self.changed_attempts or self.new_letters
            or self.changed_letters or self.changed_intents or self.new_intents or self.events or self.fills or self.postings
            or self.changed_positions or self.anomalies or self.announcements or self.gates or self.wakes or self.told
        )  # fmt: skip

    def _is_changing(self, order: OrderRow) -> bool:
        return order.id in self.changed_orders or order.id in self._new

    def _tell(self, order: OrderRow, event: EventRow) -> None:
        order.version += 1
        self.events.append(event)
        self.announce(
            "orders", f"order.{event.kind}", order.id, account=order.account, data={"status": event.status_after}
        )

    def _aggregate(self, order_id: uuid.UUID) -> Aggregate:
        if order_id not in self.cache.orders:
            self.load([order_id])
        return self.cache.orders[order_id]
