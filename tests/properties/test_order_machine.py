"""Lifecycle, dedupe and ledger as one state machine: whatever a venue says, in whatever order, the books stay whole."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from orders import cancellation, doubts, events, states
from orders.books import Books
from orders.cache import Cache
from orders.rows import AttemptRow, FillRow, OrderRow
from orders.states import Mutation, Status
from orders.submission import Begun, finish
from project.lib import ids
from tests.simulation.memory import AccountRecord, Database
from tests.simulation.store import MemoryStore
from venues.messages import Answer, FillReport, OrderReport, PlaceOrder
from venues.targets import VenueTarget

START = datetime(2026, 3, 1, tzinfo=UTC)
ACCOUNT, SYMBOL = "main", "BTC/USDT"
QUANTITIES = st.sampled_from([Decimal("0.1"), Decimal("0.25"), Decimal("0.5"), Decimal(1)])
SIDES = st.sampled_from(["buy", "sell"])
OUTCOMES = st.sampled_from(["accepted", "rejected", "not_sent", "unknown"])
STATUSES = st.sampled_from(["open", "filled", "cancelled", "expired", "rejected"])


class Orders(RuleBasedStateMachine):
    """Orders of one account; every rule is one transaction, committed, abandoned, or lost with the process."""

    orders: Bundle[uuid.UUID] = Bundle("orders")
    trades: Bundle[FillReport] = Bundle("trades")

    def __init__(self) -> None:
        super().__init__()
        self.tick = 0
        self.database = Database(lambda: START + timedelta(seconds=self.tick))
        self.database.accounts[ACCOUNT] = AccountRecord(
            code=ACCOUNT, target=VenueTarget(code="v", exchange="binance"), status_at=START, credential=uuid.UUID(int=1)
        )
        self.database.events[ACCOUNT] = []
        self.cache = Cache()
        self.said: dict[tuple[str, str], FillReport] = {}

    def open_books(self) -> Books:
        self.tick += 1
        return Books(MemoryStore(self.database), self.cache)

    def commit(self, books: Books) -> None:
        with self.database.transaction("test"):
            books.commit()
        books.committed()

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.tick)

    @rule(target=orders, side=SIDES, quantity=QUANTITIES, outcome=st.none() | OUTCOMES)
    def take_in_and_send(self, side: str, quantity: Decimal, outcome: str | None) -> uuid.UUID:
        order_id = self._taken_in(side, quantity)
        self.send(order_id)
        if outcome is not None:
            self.answer(order_id, outcome, False)
        return order_id

    @rule(target=orders, side=SIDES, quantity=QUANTITIES)
    def take_in(self, side: str, quantity: Decimal) -> uuid.UUID:
        return self._taken_in(side, quantity)

    def _taken_in(self, side: str, quantity: Decimal) -> uuid.UUID:
        books = self.open_books()
        row = OrderRow(
            id=ids.new_id(), account=ACCOUNT, client_order_id=f"c{self.tick}", body_digest="", symbol=SYMBOL, side=side,
            type="limit", quantity=quantity, price=Decimal(20000), created_at=self.now, updated_at=self.now,
        )  # fmt: skip
        events.open_order(books, row, verdict=Status.QUEUED)
        self.commit(books)
        return row.id

    @rule(order_id=orders)
    def send(self, order_id: uuid.UUID) -> None:
        books = self.open_books()
        order = books.order(order_id)
        if order.status != Status.QUEUED:
            return
        attempt_id = ids.new_id()
        attempt = AttemptRow(
            id=attempt_id, order=order_id, account=ACCOUNT, action="submit", venue_client_id=ids.venue_client_id(attempt_id),
            epoch=1, request_digest="", window_ms=5000, valid_until=self.now, sent_at=self.now,
        )  # fmt: skip
        books.add_attempt(attempt)
        events.begin_submit(books, order, attempt)
        self.commit(books)

    @rule(order_id=orders, outcome=OUTCOMES, is_transient=st.booleans())
    def answer(self, order_id: uuid.UUID, outcome: str, is_transient: bool) -> None:
        books = self.open_books()
        attempt = books.newest_attempt(order_id, "submit")
        if attempt is None or attempt.outcome:
            return
        order = books.order(order_id)
        message = PlaceOrder(
            venue_client_id=attempt.venue_client_id, symbol=SYMBOL, side=order.side, type="limit",  # type: ignore[arg-type]
            quantity=order.quantity, price=order.price, time_in_force="GTC", stamp_ms=0, window_ms=5000,
        )  # fmt: skip
        named = self.name_of(order_id) if outcome == "accepted" else None
        answer = Answer(outcome=outcome, code=outcome.upper(), venue_order_id=named, transient=is_transient)  # type: ignore[arg-type]
        finish(books, Begun(attempt.id, order_id, message), answer, self.now)
        self.commit(books)

    @rule(
        order_id=orders,
        status=STATUSES,
        filled=st.sampled_from([Decimal(0), Decimal("0.1"), Decimal(1)]),
        is_final=st.booleans(),
        is_named=st.booleans(),
    )
    def state(self, order_id: uuid.UUID, status: str, filled: Decimal, is_final: bool, is_named: bool) -> None:
        books = self.open_books()
        if not books.attempts(order_id):
            return
        report = OrderReport(
            venue_order_id=self.name_of(order_id) if is_named else None, venue_client_id=None, symbol=SYMBOL,
            status=status, filled_quantity=filled, occurred_at=self.now,  # type: ignore[arg-type]
        )  # fmt: skip
        events.apply_report(
            books, books.order(order_id), report, source="test", received_at=self.now, is_final=is_final
        )
        self.commit(books)

    @rule(
        target=trades,
        order_id=orders,
        quantity=QUANTITIES,
        price=st.integers(19_000, 21_000),
        fee=st.sampled_from(["0", "0.01"]),
    )
    def trade(self, order_id: uuid.UUID, quantity: Decimal, price: int, fee: str) -> FillReport:
        books = self.open_books()
        order = books.order(order_id)
        if not books.attempts(order_id):
            return multiple()  # type: ignore[return-value]
        said = FillReport(
            venue_trade_id=f"t{self.tick}", venue_order_id=self.name_of(order_id), venue_client_id=None, symbol=SYMBOL,
            side=order.side, price=Decimal(price), quantity=quantity, quote_quantity=Decimal(price) * quantity,  # type: ignore[arg-type]
            fee=Decimal(fee), fee_asset="USDT", liquidity="taker", occurred_at=self.now,
        )  # fmt: skip
        self.book(books, order_id, said)
        return said

    @rule(order_id=orders, said=trades)
    def trade_again(self, order_id: uuid.UUID, said: FillReport) -> None:
        if said.venue_order_id == self.name_of(order_id):
            self.book(self.open_books(), order_id, said)

    @rule(order_id=orders)
    def cancel_begins(self, order_id: uuid.UUID) -> None:
        books = self.open_books()
        order = books.order(order_id)
        if Status(order.status) in states.AT_VENUE and order.mutation == Mutation.NONE:
            events.record(
                books, order, "cancel_pending", source="test", received_at=self.now, mutation=Mutation.CANCEL_PENDING
            )
            self.commit(books)

    @rule(order_id=orders)
    def cancel_proves_without_effect(self, order_id: uuid.UUID) -> None:
        books = self.open_books()
        order = books.order(order_id)
        if order.mutation == Mutation.CANCEL_PENDING:
            cancellation.did_not_apply(books, order, self.now)
            self.commit(books)

    @rule(order_id=orders)
    def declared_absent(self, order_id: uuid.UUID) -> None:
        books = self.open_books()
        order = books.order(order_id)
        if order.status == Status.UNKNOWN:
            doubts.settle(books, order, "never_accepted", action="submit", actor="test", rows=[])
            events.end_unsent(books, order, "never_accepted", source="test", received_at=self.now, code="X", message="")
            self.commit(books)

    @rule(order_id=orders, quantity=QUANTITIES)
    def work_that_is_abandoned(self, order_id: uuid.UUID, quantity: Decimal) -> None:
        books = self.open_books()
        order = books.order(order_id)
        events.record(books, order, "noise", source="test", received_at=self.now, to=Status.FILLED)
        order.filled_quantity += quantity
        books.abandon()

    @rule()
    def crash(self) -> None:
        self.cache = Cache()

    def book(self, books: Books, order_id: uuid.UUID, said: FillReport) -> None:
        before = Status(books.order(order_id).status)
        ends = [
            event for event in self.database.events[ACCOUNT] if event.order == order_id and event.status_after == before
        ]
        first = next((e for e in reversed(ends) if e.status_before != before), None)
        is_new = (said.venue_trade_id, said.side) not in self.said
        events.apply_fill(books, books.order(order_id), said, source="test", received_at=self.now)
        self.commit(books)
        if (
            is_new
            and before in states.TERMINAL - {Status.FILLED}
            and first is not None
            and said.occurred_at is not None
        ):
            is_late = before == Status.DENIED or said.occurred_at > (first.occurred_at or first.received_at)
            assert (self.database.events[ACCOUNT][-1].kind == "late_fill") == is_late
        self.said[(said.venue_trade_id, said.side)] = said

    @staticmethod
    def name_of(order_id: uuid.UUID) -> str:
        return f"v-{order_id.hex[-12:]}"

    @invariant()
    def every_trade_is_booked_once_and_orders_are_their_sums(self) -> None:
        fills = list(self.database.fills.values())
        assert {(fill.venue_trade_id, fill.side): fill.quantity for fill in fills} == {
            key: said.quantity for key, said in self.said.items()
        }
        for order in self.database.orders.values():
            mine = [fill for fill in fills if fill.order == order.id]
            assert order.filled_quantity == sum((fill.quantity for fill in mine), Decimal(0))
            assert order.filled_value == sum((fill.quote_quantity for fill in mine), Decimal(0))
            if order.filled_quantity >= order.quantity:
                assert order.status == Status.FILLED, order

    @invariant()
    def the_log_folds_to_the_rows(self) -> None:
        folded: dict[uuid.UUID, str] = {}
        for event in self.database.events[ACCOUNT]:
            assert event.status_before == folded.get(event.order, ""), event
            if event.status_before and event.status_after != event.status_before:
                assert states.may_follow(Status(event.status_before), Status(event.status_after)), event
            folded[event.order] = event.status_after
        assert folded == {order.id: order.status for order in self.database.orders.values()}
        for order in self.database.orders.values():
            told = sum(event.order == order.id for event in self.database.events[ACCOUNT])
            assert order.version == told + sum(
                a.order == order.id for a in self.database.attempts.values() if a.action == "submit"
            )
            if Status(order.status) in states.TERMINAL:
                assert order.mutation == Mutation.NONE and order.ended_at is not None

    @invariant()
    def the_ledger_balances_and_folds(self) -> None:
        rest: dict[tuple[uuid.UUID, str], Decimal] = {}
        totals: dict[tuple[str, str], Decimal] = {}
        for leg in self.database.postings:
            rest[(leg.entry, leg.asset)] = rest.get((leg.entry, leg.asset), Decimal(0)) + leg.amount
            if leg.book == "venue":
                totals[(leg.account, leg.asset)] = totals.get((leg.account, leg.asset), Decimal(0)) + leg.amount
        assert not any(rest.values())
        assert totals == {key: row.total for key, row in self.database.balances.items()}
        fills = _in_order_of_booking(self.database)
        signed = [(fill.quantity if fill.side == "buy" else -fill.quantity, fill.price) for fill in fills]
        position = self.database.positions.get((ACCOUNT, SYMBOL))
        if position is not None:  # what was paid is what is held at its entry price, less what was earned
            assert position.quantity == sum((quantity for quantity, _ in signed), Decimal(0))
            paid = sum((quantity * price for quantity, price in signed), Decimal(0))
            held = position.quantity * (position.entry_price or 0)
            assert abs(position.realised_pnl + paid - held) < Decimal("1e-12")

    @invariant()
    def what_was_overfilled_or_late_is_noted(self) -> None:
        noted = {(row.kind, row.subject) for row in self.database.anomalies}
        for order in self.database.orders.values():
            if order.filled_quantity > order.quantity:
                assert ("overfill", str(order.id)) in noted
        for event in self.database.events[ACCOUNT]:
            if event.kind == "late_fill":
                assert ("late_fill", str(event.order)) in noted

    @invariant()
    def an_order_has_one_attempt_in_doubt_at_most(self) -> None:
        for order_id in self.database.orders:
            attempts = [self.database.attempts[key] for key in self.database.attempts_of.get(order_id, ())]
            assert sum(attempt.action == "submit" and attempt.outcome == "" for attempt in attempts) <= 1


def _in_order_of_booking(database: Database) -> list[FillRow]:
    by_id = {str(fill.id): fill for fill in database.fills.values()}
    assert len(by_id) == len({fill.key for fill in database.fills.values()})
    return [by_id[event.data["fill"]] for event in database.events[ACCOUNT] if "fill" in event.data]


TestOrders = Orders.TestCase
TestOrders.settings = settings(
    max_examples=300, stateful_step_count=40, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
