"""The simulated web: intake, cancel wishes, halts and the person at the dead letters, through the core's own pure parts."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Literal

from orders import events, requests, states
from orders.books import Books
from orders.cache import Cache
from orders.rows import IntentRow, OrderRow
from orders.states import Mutation, Status
from project.lib import clock, ids
from risk import checks
from tests.simulation.memory import Database
from tests.simulation.store import MemoryStore

Answer = Literal["accepted", "invalid"]


class Web:
    """One web process: every call is a transaction and may raise OperationalError."""

    def __init__(self, database: Database, wake: Callable[[str], None]) -> None:
        self.database, self.wake = database, wake

    def post(self, payload: dict[str, Any], crash: Callable[[str], None]) -> uuid.UUID | None:
        """Take an order in, once for ever per client order id. Returns its id; None when the request is refused."""
        request = requests.parse(payload)
        known = self.database.order_by_client_id.get((request.account, request.client_order_id))
        if known is not None:
            if self.database.orders[known].body_digest != request.digest():
                raise AssertionError("the same id with another body")
            return known
        venue = self.database.accounts[request.account].target.code
        spec = self.database.instruments.get((venue, request.symbol))
        if spec is None:
            return None
        proposal = checks.Proposal(
            side=request.side, type=request.type, quantity=request.quantity, price=request.price,
            reduce_only=request.reduce_only,
        )  # fmt: skip
        grid = checks.Grid(
            symbol=spec.symbol, kind=spec.kind, is_active=True, price_step=spec.price_step,
            quantity_step=spec.quantity_step, quantity_min=spec.quantity_min, quantity_max=spec.quantity_max,
            notional_min=spec.notional_min,
        )  # fmt: skip
        if checks.fit(proposal, grid):
            raise AssertionError(f"the workload asks for what does not fit: {payload}")
        store = MemoryStore(self.database)
        verdict = checks.decide(proposal, store.facts(request.account, request.symbol))
        row = _row(request, self.database.prices.get((venue, request.symbol)))
        crash("P0")
        with self.database.transaction("web"):
            books = Books(store, Cache(), is_careful=True)
            if isinstance(verdict, checks.Denied):
                events.open_order(books, row, verdict=Status.DENIED, code=verdict.code, message=verdict.message)
            else:
                events.open_order(books, row, verdict=Status.QUEUED)
                books.wake(request.account)
            books.commit()
        self.wake(request.account)
        crash("P1")
        return row.id

    def request_cancellation(self, order_id: uuid.UUID) -> None:
        """Ask the owner to cancel an order; asking again while one request waits changes nothing."""
        order = self.database.orders[order_id]
        waiting = [self.database.intents[key] for key in self.database.waiting_intents]
        is_asked = any(intent.order == order_id and intent.action == "cancel" for intent in waiting)
        if Status(order.status) not in states.TERMINAL and not is_asked:
            self._ask(order.account, order_id, "cancel", {})

    def request_amendment(self, order_id: uuid.UUID, values: dict[str, str]) -> None:
        """Ask the owner to change an order; refused while another change of it is under way."""
        order = self.database.orders[order_id]
        waiting = any(self.database.intents[key].order == order_id for key in self.database.waiting_intents)
        if Status(order.status) not in states.TERMINAL and order.mutation == Mutation.NONE and not waiting:
            self._ask(order.account, order_id, "amend", values)

    def settle_letter(self, letter_id: uuid.UUID, action: str, venue_order_id: str = "") -> None:
        """Ask the owner to carry out what a person decided about a dead letter."""
        letter = self.database.letters[letter_id]
        data = {"dead_letter": str(letter_id), "venue_order_id": venue_order_id, "reason": "the venue's own journal"}
        self._ask(letter.account, letter.order, action, data)

    def activate(self, account: str) -> None:
        """Ask for an account's activation again: its probe had failed."""
        with self.database.transaction("web"):
            self.database.change_account(account, activation_requested_at=clock.now())
        self.wake(account)

    def halt(self, scope: str, is_on: bool) -> None:
        """Engage or release a halt."""
        with self.database.transaction("web"):
            if is_on:
                self.database.put(self.database.halts, scope, "halted")
            else:
                self.database.drop(self.database.halts, scope)
            self.database.put(self.database.counters, "rules", self.database.counters["rules"] + 1)
        for code in self.database.accounts:
            self.wake(code)

    def _ask(self, account: str, order_id: uuid.UUID, action: str, data: dict[str, Any]) -> None:
        intent = IntentRow(
            id=ids.new_id(), account=account, order=order_id, action=action, data=data, requested_by="person",
            requested_at=clock.now(),
        )  # fmt: skip
        with self.database.transaction("web"):
            self.database.put(self.database.intents, intent.id, intent)
            self.database.put(self.database.waiting_intents, intent.id, None)
        self.wake(account)


def _row(request: requests.OrderRequest, last_price: Any) -> OrderRow:
    now = clock.now()
    return OrderRow(
        id=ids.new_id(), account=request.account, client_order_id=request.client_order_id, body_digest=request.digest(),
        symbol=request.symbol, side=request.side, type=request.type, quantity=request.quantity, price=request.price,
        time_in_force=request.time_in_force, post_only=request.post_only, reduce_only=request.reduce_only,
        source="client", last_price_seen=last_price, created_at=now, updated_at=now,
    )  # fmt: skip
