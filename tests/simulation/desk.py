"""The rest of the product as the order core sees it, on the database in memory: the contract of orders/desk.py."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from orders import states
from orders.ports import AtVenue, Waiting
from orders.rows import ZERO, AccountView, AttemptRow, BalanceView, CredentialView, IntentRow, OrderRow
from orders.triggers import ARMED, HELD_BACK
from project.lib import clock
from risk.checks import Facts
from tests.simulation.memory import BalanceRecord, Capture, Database, clone
from venues.books import BookStats
from venues.messages import BalanceReport, MarketSpec, Permissions, PositionReport, Read
from venues.streams import Session

WAITING_MAX = 200
CONFIRMED_AFTER = timedelta(seconds=5)


class MemoryDesk:
    """Every call runs inside the open transaction of the one database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def account(self, code: str) -> AccountView:
        """Return what the owner goes by. Raises KeyError."""
        row = self.database.accounts[code]
        key = CredentialView(id=row.credential, probed_at=row.probed_at, probe_result=row.probe_result)
        return AccountView(
            code=code, target=row.target, status=row.status, status_reason=row.status_reason, status_at=row.status_at,
            activation_requested_at=row.activation_requested_at, probe_waived_by="", opened_at=row.opened_at,
            event_sequence=row.event_sequence, credential=key,
        )  # fmt: skip

    def waiting(self, codes: Sequence[str]) -> Waiting:
        """Return what waits for the owners of these accounts, oldest first, bounded per account."""
        database = self.database
        queued: dict[str, list[uuid.UUID]] = {}
        found = [
            o
            for o in database.orders.values()
            if o.status == "queued" and o.account in codes and o.trigger_state not in HELD_BACK
        ]
        for order in sorted(found, key=lambda order: (order.created_at, order.id)):
            listed = queued.setdefault(order.account, [])
            if len(listed) < WAITING_MAX:
                listed.append(order.id)
        wishes: dict[str, list[tuple[uuid.UUID, str, uuid.UUID | None]]] = {}
        asked = [database.intents[key] for key in database.waiting_intents]
        for intent in sorted(asked, key=lambda intent: (intent.requested_at, intent.id)):
            if intent.account in codes and not self._must_wait(intent):
                wishes.setdefault(intent.account, []).append((intent.id, intent.action, intent.order))
        settings = {
            code: (database.accounts[code].activation_requested_at, "", database.accounts[code].credential)
            for code in codes
        }
        return Waiting(queued=queued, wishes=wishes, settings=settings)

    def _must_wait(self, intent: IntentRow) -> bool:
        order = self.database.orders.get(intent.order) if intent.order and intent.action == "cancel" else None
        return order is not None and (
            order.status in ("sending", "unknown") or (order.status in states.AT_VENUE and order.mutation != "none")
        )

    def intent(self, intent_id: uuid.UUID) -> IntentRow:
        """Return a wish. Raises KeyError."""
        return clone(self.database.intents[intent_id])

    def wishes_about(self, order_id: uuid.UUID) -> list[IntentRow]:
        """Return the wishes about an order that nobody has settled."""
        asked = [self.database.intents[key] for key in self.database.waiting_intents]
        return [clone(intent) for intent in asked if intent.order == order_id]

    def letter_order(self, letter_id: uuid.UUID) -> uuid.UUID | None:
        """Return the order a dead letter is about, or None."""
        letter = self.database.letters.get(letter_id)
        return letter.order if letter else None

    def orders_in_doubt(self, account: str) -> list[uuid.UUID]:
        """Return orders with an attempt in flight or unknown and unresolved."""
        return sorted({attempt.order for attempt in self._in_doubt(account)})

    def symbols_in_doubt(self, account: str) -> frozenset[str]:
        """Return the symbols of orders that may be at the venue under an id we do not know: a submit in flight or unknown."""
        unanswered = [attempt for attempt in self._in_doubt(account) if attempt.action == "submit"]
        orders = [self.database.orders[attempt.order] for attempt in unanswered]
        return frozenset(order.symbol for order in orders if not order.venue_order_id)

    def has_twin_in_doubt(self, order: OrderRow) -> bool:
        """Say whether another order that looks the same may be at the venue under an id we do not know."""
        shape = (order.symbol, order.side, order.type, order.quantity, order.price, "")
        others = [self.database.orders[attempt.order] for attempt in self._in_doubt(order.account)]
        return any(
            (o.symbol, o.side, o.type, o.quantity, o.price, o.venue_order_id) == shape
            for o in others
            if o.id != order.id
        )

    def _in_doubt(self, account: str) -> list[AttemptRow]:
        database = self.database
        return [database.attempts[key] for key, owner in database.in_doubt.items() if owner == account]

    def orders_in(self, account: str, *, status: str = "", mutation: str = "") -> list[uuid.UUID]:
        """Return the orders with a status, or with a mutation, oldest first."""
        found = [
            order
            for order in self.database.orders.values()
            if order.account == account
            and (not status or order.status == status)
            and (not mutation or order.mutation == mutation)
            and order.status not in states.TERMINAL
        ]
        return [order.id for order in sorted(found, key=lambda order: (order.created_at, order.id))]

    def armed(self, account: str) -> list[uuid.UUID]:
        """Return the conditional orders we watch, oldest first."""
        orders = self.database.orders
        return [key for key in self.orders_in(account, status="queued") if orders[key].trigger_state == ARMED]

    def armed_symbols(self, account: str) -> list[str]:
        """Return the symbols of the conditional orders we watch."""
        return sorted({self.database.orders[key].symbol for key in self.armed(account)})

    def expiring(self, account: str, at: datetime) -> list[uuid.UUID]:
        """Return the orders alive that should have ended by then."""
        found = [
            (order.expires_at, order.id)
            for order in self.database.orders.values()
            if order.account == account
            and order.expires_at is not None
            and order.expires_at <= at
            and order.status not in states.TERMINAL
        ]
        return [order_id for _, order_id in sorted(found)]

    def live_groups(self, account: str) -> list[tuple[str, Sequence[uuid.UUID]]]:
        """Return kind and members of each group with a member alive: the simulated clients make none."""
        return []

    def stale_queued(self, account: str, before: datetime) -> list[uuid.UUID]:
        """Return orders queued and untouched since then."""
        orders = self.database.orders
        return [
            key
            for key in self.orders_in(account, status="queued")
            if orders[key].updated_at < before and orders[key].trigger_state not in HELD_BACK
        ]

    def at_venue(self, account: str) -> list[AtVenue]:
        """Return id, symbol, venue order id and creation time of every order that stands at the venue, oldest first."""
        found = [o for o in self.database.orders.values() if o.account == account and o.status in states.AT_VENUE]
        found.sort(key=lambda order: (order.created_at, order.id))
        return [(order.id, order.symbol, order.venue_order_id, order.created_at) for order in found]

    def newest_fill_at(self, account: str) -> datetime | None:
        """Return when the newest booked trade was executed."""
        return max((f.executed_at for f in self.database.fills.values() if f.account == account), default=None)

    def fills_proved_at(self, account: str) -> datetime | None:
        """Return when the newest sweep of fills that was good was asked for."""
        made = reversed(self.database.captures[account])
        return next((row.requested_at for row in made if (row.surface, row.status) == ("fills", "good")), None)

    def has_new_fills(self, account: str, executed_from: datetime, recorded_from: datetime) -> bool:
        """Say whether a trade executed since the one time was booked since the other."""
        return any(
            fill.account == account and fill.executed_at >= executed_from and fill.recorded_at >= recorded_from
            for fill in self.database.fills.values()
        )

    def symbols(self, account: str, venue: str, at_most: int) -> list[str]:
        """Return the venue's symbols when they are few, else those ever ordered on the account."""
        listed = sorted(symbol for code, symbol in self.database.instruments if code == venue)
        if len(listed) <= at_most:
            return listed
        return sorted({order.symbol for order in self.database.orders.values() if order.account == account})

    def venue_ids(self, account: str, symbol: str, since: datetime) -> frozenset[str]:
        """Return the venue's ids of our orders on a symbol that were made since then, past legs included."""
        database = self.database
        made = [
            order
            for order in database.orders.values()
            if (order.account, order.symbol) == (account, symbol) and order.created_at >= since
        ]
        legs = [database.attempts[key] for order in made for key in database.attempts_of.get(order.id, ())]
        return frozenset({order.venue_order_id for order in made} | {leg.venue_order_id for leg in legs}) - {""}

    def balances(self, account: str, assets: Sequence[str]) -> Mapping[str, BalanceView]:
        """Return both sides per asset, of those that either side has ever named."""
        found = {asset: self.database.balances.get((account, asset)) for asset in assets}
        return {
            asset: BalanceView(
                total=row.total, venue_total=row.venue_total, difference_confirmed=row.difference,
                difference_confirmed_at=row.difference_confirmed_at,
            )
            for asset, row in found.items()
            if row is not None
        }  # fmt: skip

    def note_balances(
        self, account: str, reports: Sequence[BalanceReport], *, requested_at: datetime, is_whole: bool
    ) -> None:
        """Keep what the venue says beside our totals; a whole list says zero of every asset it leaves out."""
        said = {report.asset: report.total for report in reports}
        if is_whole:
            said |= {asset: ZERO for owner, asset in self.database.balances if owner == account and asset not in said}
        for asset in sorted(said):
            row = self.database.balances.get((account, asset))
            if row is None:
                fresh = BalanceRecord(
                    venue_total=said[asset], difference=said[asset], difference_since=requested_at
                )  # fmt: skip
                self.database.put(self.database.balances, (account, asset), fresh)
                continue
            self.database.put(self.database.balances, (account, asset), _noted(row, said[asset], requested_at))

    def note_positions(self, account: str, reports: Sequence[PositionReport], *, requested_at: datetime) -> None:
        """The simulated venues trade spot alone: there is nothing to keep."""

    def event_sequence(self, account: str) -> int:
        """Return the number of the account's last event."""
        return self.database.accounts[account].event_sequence

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
        is_opening = surface == "fills" and reason == "opening"
        trades = frozenset((row.symbol, row.venue_trade_id) for row in read.rows) if is_opening else frozenset()
        made = Capture(
            surface=surface, status=read.status, epoch=epoch, reason=reason, event_sequence=event_sequence, trades=trades,
            requested_at=read.requested_at,
        )  # fmt: skip
        self.database.append(self.database.captures[account], made)

    def opening_trades(self, account: str) -> frozenset[tuple[str, str]]:
        """Return the trades (symbol, venue trade id) that the opening balances already contain."""
        for made in self.database.captures[account]:
            if (made.surface, made.reason) == ("fills", "opening"):
                return made.trades
        return frozenset()

    def set_opened(self, account: str, at: datetime) -> None:
        """Say since when the account's books are open."""
        self.database.change_account(account, opened_at=at)

    def set_status(self, account: str, status: str, reason: str) -> None:
        """Move the account's status where it changed."""
        row = self.database.accounts[account]
        if (row.status, row.status_reason) != (status, reason[:300]):
            self.database.change_account(account, status=status, status_reason=reason[:300], status_at=clock.now())
            self.database.committed.statuses.append((account, status, reason))

    def keep_probe(self, account: str, permissions: Permissions | None, problem: str) -> None:
        """Judge and keep what the venue says the key may do."""
        before = self.database.accounts[account].probe_result
        if permissions is None and before and not before.startswith("refused"):
            return
        if permissions is None or permissions.can_withdraw is None:
            result = "refused: the venue does not say what this key may do"
        elif permissions.can_withdraw or permissions.can_trade is False:
            result = "refused: this key may withdraw"
        else:
            result = "trade without withdraw"
        self.database.change_account(account, probed_at=clock.now(), probe_result=result)

    def keep_candidate(
        self, account: str, credential: uuid.UUID, permissions: Permissions | None, problem: str
    ) -> None:
        """Raise: no key is replaced in a simulated world."""
        raise AssertionError(f"{account} has no candidate {credential}")

    def store_instruments(self, venue: str, specs: Sequence[MarketSpec]) -> None:
        """Keep the venue's instruments."""
        for spec in specs:
            if self.database.instruments.get((venue, spec.symbol)) != spec:
                self.database.put(self.database.instruments, (venue, spec.symbol), spec)

    def store_prices(self, venue: str, prices: Mapping[str, Decimal]) -> None:
        """Keep last prices."""
        for symbol, price in sorted(prices.items()):
            self.database.put(self.database.prices, (venue, symbol), price)

    def keep_session(self, account: str, session: Session) -> None:
        """Keep how a stream's session stands: nothing in the core reads it."""

    def end_sessions(self, account: str) -> None:
        """End what an owner left open: nothing in the core reads it."""

    def keep_health(self, account: str, channels: Mapping[str, Any], is_news: bool) -> None:
        """Keep how each channel is doing: nothing in the core reads it."""

    def keep_book_health(self, account: str, listed: Sequence[BookStats]) -> None:
        """Keep how each book is doing: nothing in the core reads it."""

    def maintenance_said(self, venue: str) -> str:
        """Return nothing: the simulated venue is never in maintenance."""
        return ""

    def note_maintenance(self, venue: str, said: str) -> None:
        """Take a venue's word: the simulated one is never in maintenance."""

    def priced_symbols(self, account: str, venue: str, at_most: int) -> list[str]:
        """Return the symbols whose prices are wanted."""
        return sorted(symbol for code, symbol in self.database.instruments if code == venue)

    def risk(self, places: Collection[tuple[str, str]]) -> tuple[int, Mapping[tuple[str, str], Facts | None]]:
        """Return the revision of the risk rules and the facts per account and symbol; None where a symbol is not listed."""
        database = self.database
        listed = {
            (account, symbol)
            for account, symbol in places
            if (database.accounts[account].target.code, symbol) in database.instruments
        }
        facts = {place: self.facts(*place, own=1) if place in listed else None for place in sorted(places)}
        return database.counters["rules"], facts

    def facts(self, account: str, symbol: str, own: int = 0) -> Facts:
        """Gather what the pre-trade check rests on."""
        database = self.database
        venue = database.accounts[account].target.code
        alive = [o for o in database.orders.values() if o.account == account and o.status in states.ALIVE]
        count = sum(order.quantity != order.filled_quantity for order in alive) if database.limits else 0
        state: Any = database.trading_state(account)
        return Facts(
            state=state, may_trade=True, limits=dict(database.limits), last_price=database.prices.get((venue, symbol)),
            open_orders=count - own,
        )  # fmt: skip

    def audit(self, actor: str, action: str, subject: object, detail: dict[str, Any]) -> None:
        """Append to the audit chain."""
        self.database.append(self.database.audits, (actor, action, str(subject)))


def _noted(row: BalanceRecord, venue_total: Decimal, requested_at: datetime) -> BalanceRecord:
    """Apply the rule of the upsert in orders/desk.py: since when a difference has stood, and when a second read confirmed it."""
    difference = venue_total - row.total
    if row.difference != difference:
        return replace(
            row, venue_total=venue_total, difference=difference, difference_since=requested_at, difference_confirmed_at=None
        )  # fmt: skip
    confirmed_at = row.difference_confirmed_at
    if confirmed_at is None and row.difference_since and row.difference_since < requested_at - CONFIRMED_AFTER:
        confirmed_at = requested_at
    return replace(row, venue_total=venue_total, difference_confirmed_at=confirmed_at)
