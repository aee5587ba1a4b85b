"""MemoryStore: orders.books.Store on the database in memory, with the constraints and the column lists of the real one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError

from orders.books import Books, Conflict, Fenced
from orders.cache import Aggregate
from orders.rows import AnomalyRow, AttemptRow, FillRow, LetterRow, OrderRow, PositionRow, TradeKey, TransferKey
from orders.store import ATTEMPT_CHANGES, LETTER_CHANGES, ORDER_CHANGES
from project.lib import failpoints
from tests.simulation.desk import MemoryDesk
from tests.simulation.memory import BalanceRecord, clone


class MemoryStore(MemoryDesk):
    """Reads give copies; a write is refused whole as PostgreSQL would refuse it."""

    def aggregates(self, order_ids: Sequence[uuid.UUID]) -> Iterator[Aggregate]:
        """Return orders with their attempts (oldest first) and open dead letters."""
        database = self.database
        found = []
        for order_id in order_ids:
            order = database.orders.get(order_id)
            if order is None:
                continue
            attempts = [clone(database.attempts[key]) for key in database.attempts_of.get(order_id, ())]
            attempts.sort(key=lambda attempt: (attempt.sent_at, attempt.id))
            letters = [clone(each) for each in database.letters.values() if each.order == order_id]
            found.append(Aggregate.stored(clone(order), attempts, [each for each in letters if each.status == "open"]))
        return iter(found)

    def find(
        self, account: str, client_ids: Sequence[str], venue_ids: Sequence[tuple[str, str]]
    ) -> Sequence[uuid.UUID]:
        """Return the orders that own these client ids or (symbol, venue order id) pairs."""
        database = self.database
        attempts = [database.attempt_by_client_id.get((account, name)) for name in client_ids]
        found = {database.attempts[key].order: None for key in attempts if key is not None}
        found |= {
            order_id: None
            for symbol, name in venue_ids
            if (order_id := database.order_by_venue_id.get((account, symbol, name))) is not None
        }
        named = {name: symbol for symbol, name in venue_ids}
        for attempt in database.attempts.values():
            symbol = named.get(attempt.venue_order_id)
            if symbol == database.orders[attempt.order].symbol and attempt.account == account:
                found[attempt.order] = None
        return list(found)

    def fills(self, keys: Sequence[TradeKey]) -> list[FillRow]:
        """Return which of these trades are booked."""
        return [clone(self.database.fills[key]) for key in keys if key in self.database.fills]

    def booked_transfers(self, keys: Sequence[TransferKey]) -> frozenset[TransferKey]:
        """Return which of these transfers are booked."""
        return frozenset(key for key in keys if key in self.database.transfers)

    def transfers_proved_at(self, account: str) -> datetime | None:
        """Return when the newest read of transfers that was good was asked for."""
        made = reversed(self.database.captures[account])
        return next((row.requested_at for row in made if (row.surface, row.status) == ("transfers", "good")), None)

    def opening_transfers(self, account: str) -> None:
        """Know no transfers of the opening: the venue's clock says what came before."""

    def moved_assets(self, account: str, since: datetime) -> list[str]:
        """Return the assets of which either side has something, and those of transfers since then."""
        held = {
            asset
            for (owner, asset), row in self.database.balances.items()
            if owner == account and (row.total or row.venue_total)
        }
        moved = {
            row.asset for row in self.database.transfers.values() if row.account == account and row.occurred_at >= since
        }
        return sorted(held | moved)

    def position(self, account: str, symbol: str) -> PositionRow | None:
        """Return a position, or None."""
        found = self.database.positions.get((account, symbol))
        return clone(found) if found else None

    def is_noted(self, anomaly: AnomalyRow, within_seconds: float) -> bool:
        """Say whether the same anomaly was noted lately."""
        since = anomaly.seen_at - timedelta(seconds=within_seconds)
        wanted = (anomaly.account, anomaly.kind, anomaly.subject, json.dumps(anomaly.data))
        return any(
            (row.account, row.kind, row.subject, json.dumps(row.data)) == wanted and row.seen_at > since
            for row in reversed(self.database.anomalies)
        )

    def write(self, books: Books) -> None:
        """Store every change of the books. Raises IntegrityError, Conflict or Fenced; then nothing is stored."""
        self._insert(books)
        self._check_gates(books)
        self._update(books)
        self._post(books)
        self._log(books)
        if books.fills:
            failpoints.reach("P10")

    def _insert(self, books: Books) -> None:
        for order in books.new_orders:
            self._unique(self.database.order_by_client_id, (order.account, order.client_order_id), order.id)
            self._keep_order(clone(order))
        for attempt in books.new_attempts:
            if attempt.action != "cancel" and attempt.venue_client_id:
                self._unique(self.database.attempt_by_client_id, (attempt.account, attempt.venue_client_id), attempt.id)
            known = self.database.attempts_of.get(attempt.order, ())
            self.database.put(self.database.attempts_of, attempt.order, (*known, attempt.id))
            self._keep_attempt(clone(attempt))
            self.database.committed.attempts.append(attempt)
        for letter in books.new_letters:
            is_double = any(
                known.attempt == letter.attempt and known.status == "open" for known in self.database.letters.values()
            )
            if is_double:
                raise IntegrityError("dead_letter_one_open")
            self.database.put(self.database.letters, letter.id, clone(letter))
            self.database.committed.letters.append(letter)
        for fill in books.fills:
            self._unique(self.database.fills, fill.key, clone(fill))
            self.database.committed.fills.append(fill)
        for transfer in books.transfers:
            self._unique(self.database.transfers, transfer.key, clone(transfer))

    def _check_gates(self, books: Books) -> None:
        for account, (epoch, revision) in books.gates.items():
            lease = self.database.leases[account]
            is_held = lease.epoch == epoch and lease.expires_at is not None and lease.expires_at > self.database.now()
            if not is_held or revision not in (None, self.database.counters["rules"]):
                raise Fenced

    def _update(self, books: Books) -> None:
        for order_id in sorted(books.changed_orders):
            order, version_before = books.changed_orders[order_id]
            stored = self.database.orders.get(order_id)
            if stored is None or stored.version != version_before:
                raise Conflict
            self._keep_order(_with_changes(stored, order, ORDER_CHANGES), stored)
        for order_id, begun in books.begun.items():
            stored = self.database.orders[order_id]
            if stored.version != begun.version - 1:
                raise Fenced
            self._keep_order(_with_changes(stored, begun, ("version",)), stored)
        for key, attempt in books.changed_attempts.items():
            self._keep_attempt(_with_changes(self.database.attempts[key], attempt, ATTEMPT_CHANGES))
            self.database.committed.outcomes.append(attempt)
        for key, letter in books.changed_letters.items():
            changed = _with_changes(self.database.letters[key], letter, LETTER_CHANGES)
            self.database.put(self.database.letters, key, changed)
            self.database.committed.letters.append(letter)
        for wish in books.new_intents:
            self.database.put(self.database.intents, wish.id, clone(wish))
            self.database.put(self.database.waiting_intents, wish.id, None)
        for key, intent in books.changed_intents.items():
            changed = _with_changes(self.database.intents[key], intent, ("done_at", "result"))
            self.database.put(self.database.intents, key, changed)
            self.database.drop(self.database.waiting_intents, key)

    def _post(self, books: Books) -> None:
        for posting in books.postings:
            self.database.append(self.database.postings, posting)
        for account, told in books.told.balances.items():
            self.note_balances(account, [*told.by_asset.values()], requested_at=told.received_at, is_whole=False)
        for key in sorted(books.totals):
            row = self.database.balances.get(key) or BalanceRecord()
            self.database.put(self.database.balances, key, replace(row, total=row.total + books.totals[key]))
        for key in sorted(books.changed_positions):
            after, before = books.changed_positions[key]
            stored = self.database.positions.get(key)
            same = stored is None or (stored.quantity, stored.realised_pnl) == (before.quantity, before.realised_pnl)
            if not same:
                raise Conflict
            self.database.put(self.database.positions, key, clone(after))

    def _log(self, books: Books) -> None:
        for anomaly in books.anomalies:
            json.dumps(anomaly.data)
            self.database.append(self.database.anomalies, anomaly)
            self.database.committed.anomalies.append(anomaly)
        for event in books.events:
            row = self.database.accounts[event.account]
            self.database.change_account(event.account, event_sequence=row.event_sequence + 1)
            self.database.append(self.database.events[event.account], event)
            self.database.committed.events.append(event)
        if books.announcements:
            self.database.put(self.database.counters, "feed", self.database.counters["feed"] + len(books.announcements))
        self.database.committed.wakes |= books.wakes

    def _keep_order(self, order: OrderRow, before: OrderRow | None = None) -> None:
        if before is not None and before.venue_order_id and before.venue_order_id != order.venue_order_id:
            key = (order.account, order.symbol, before.venue_order_id)
            self.database.drop(self.database.order_by_venue_id, key)
        if order.venue_order_id and (before is None or before.venue_order_id != order.venue_order_id):
            key = (order.account, order.symbol, order.venue_order_id)
            self._unique(self.database.order_by_venue_id, key, order.id)
        self.database.put(self.database.orders, order.id, order)

    def _keep_attempt(self, attempt: AttemptRow) -> None:
        json.dumps(attempt.evidence)
        self.database.put(self.database.attempts, attempt.id, attempt)
        if attempt.outcome in ("", "unknown") and attempt.resolved_at is None:
            self.database.put(self.database.in_doubt, attempt.id, attempt.account)
        else:
            self.database.drop(self.database.in_doubt, attempt.id)

    def _unique(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        if key in table:
            raise IntegrityError(f"{key} is there already")
        self.database.put(table, key, value)


def _with_changes(stored: Any, row: OrderRow | AttemptRow | LetterRow | Any, columns: tuple[str, ...]) -> Any:
    """Return the stored row with the columns that an update writes; what it does not write stays as it was."""
    made = clone(stored)
    for name in columns:
        setattr(made, name, getattr(row, name))
    return made
