"""Bugs that cost other people money, planted on purpose: each must be caught by a promise that breaks in some world.

They exist in this package alone: the product has no switch for them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from functools import partial
from typing import Any

from orders import (
    books,
    cancellation,
    doubts,
    events,
    ledger,
    matching,
    proof,
    recovery,
    resolver,
    states,
    submission,
    sweeps,
)
from orders.books import Books
from orders.rows import OrderRow
from orders.states import Mutation, Status
from project.lib import clock, ids
from tests.simulation import run
from tests.simulation.gateway import SimGateway
from tests.simulation.memory import MemoryLeases
from tests.simulation.store import MemoryStore
from venues.messages import Answer

Wrap = Callable[[Any], Any]


@contextmanager
def changed(place: Any, name: str, wrap: Wrap) -> Iterator[None]:
    """Replace an attribute by what `wrap` makes of it, for the length of the block."""
    before = place.__dict__[name] if isinstance(place, type) else getattr(place, name)
    setattr(place, name, wrap(before))
    try:
        yield
    finally:
        setattr(place, name, before)


def _unknown_as(outcome: str) -> Wrap:
    """A lost answer is taken for a definite one (nautilus #4958, hummingbot #2342, catalyst #315)."""

    def wrap(finish: Any) -> Any:
        def buggy(bk: Books, begun: Any, answer: Answer, received_at: Any) -> bool:
            if answer.outcome == "unknown":
                answer = dataclasses.replace(answer, outcome=outcome, transient=True)  # type: ignore[arg-type]
            done: bool = finish(bk, begun, answer, received_at)
            return done

        return buggy

    return wrap


def _one_id_per_order(finish: Any) -> Any:
    def buggy(attempt_id: Any) -> str:
        return "g" + str(attempt_id)[:8].replace("-", "x").ljust(17, "0")

    return buggy


def _always_proved(judge: Any) -> Any:
    return lambda doubt, now: proof.Verdict(True, "")


def _inferred_fill(apply_report: Any) -> Any:
    def buggy(bk: Books, order: OrderRow, report: Any, **how: Any) -> Any:
        if report.status == "filled" and order.filled_quantity < order.quantity:
            bk.change_order(order)
            order.filled_quantity = order.quantity
        return apply_report(bk, order, report, **how)

    return buggy


def _overfill_dropped(apply_fill: Any) -> Any:
    def buggy(bk: Books, order: OrderRow, report: Any, **how: Any) -> Any:
        if order.filled_quantity + report.quantity > order.quantity:
            return None
        return apply_fill(bk, order, report, **how)

    return buggy


def _late_fill_dropped(apply_fill: Any) -> Any:
    def buggy(bk: Books, order: OrderRow, report: Any, **how: Any) -> Any:
        return None if Status(order.status) in states.TERMINAL else apply_fill(bk, order, report, **how)

    return buggy


def _cancel_refused_is_cancelled(finish: Any) -> Any:
    def buggy(bk: Books, begun: Any, intent_id: Any, answer: Answer, received_at: Any) -> bool:
        done: bool = finish(bk, begun, intent_id, answer, received_at)
        order = bk.order(begun.order)
        if answer.outcome == "rejected" and Status(order.status) in states.AT_VENUE:
            events.record(bk, order, "cancelled", source="bug", received_at=received_at, to=Status.CANCELLED)
        return done

    return buggy


def _cancel_taken_is_cancelled(finish: Any) -> Any:
    def buggy(bk: Books, begun: Any, intent_id: Any, answer: Answer, received_at: Any) -> bool:
        done: bool = finish(bk, begun, intent_id, answer, received_at)
        order = bk.order(begun.order)
        if answer.outcome in {"accepted", "unknown"} and Status(order.status) in states.AT_VENUE:
            events.record(bk, order, "cancelled", source="bug", received_at=received_at, to=Status.CANCELLED)
        return done

    return buggy


def _missing_is_cancelled(due: Any) -> Any:
    def buggy(service: Any, missing: Any) -> list[Any]:
        async def end() -> None:
            def take(bk: Books) -> None:
                for order_id in missing:
                    order = bk.order(order_id)
                    if Status(order.status) in states.AT_VENUE:
                        events.record(
                            bk, order, "cancelled", source="bug", received_at=clock.now(), to=Status.CANCELLED
                        )

            await service.writer.run_until_committed(take)

        asyncio.get_running_loop().create_task(end())
        return []

    return buggy


def _nothing_is_lost(mark_lost: Any) -> Any:
    return lambda bk, account, *rest: None


def _lost_is_sent_again(mark_lost: Any) -> Any:
    def buggy(bk: Books, account: str, *rest: Any) -> None:
        for order_id in bk.store.orders_in(account, status=Status.SENDING):
            events.record(bk, bk.order(order_id), "queued", source="bug", received_at=clock.now(), to=Status.QUEUED)

    return buggy


def _no_recovery(recover: Any) -> Any:
    async def buggy(service: Any) -> None:
        service.opened_at = clock.now()

    return buggy


def _stamped_when_signed(place: Any) -> Any:
    async def buggy(self: Any, order: Any) -> Any:
        return await place(self, dataclasses.replace(order, stamp_ms=int(clock.now().timestamp() * 1000)))

    return buggy


def _gate_left_open(gate: Any) -> Any:
    return lambda self, account, epoch, revision: None


def _rules_cached(gate: Any) -> Any:
    return lambda self, account, epoch, revision: gate(self, account, epoch, None)


def _lease_taken_while_held(acquire: Any) -> Any:
    def buggy(self: Any, before: float) -> Any:
        database = self._database
        with database.transaction("lease"):
            for code, lease in database.leases.items():
                database.put(database.leases, code, dataclasses.replace(lease, expires_at=None))
        return acquire(self, before)

    return buggy


def _attempt_not_stored(add_attempt: Any) -> Any:
    def buggy(self: Books, attempt: Any) -> None:
        self.cache.orders[attempt.order].attempts.append(attempt)

    return buggy


def _fees_forgotten(legs: Any) -> Any:
    return lambda fill: list(legs(fill)[:4])


def _rounded_money(legs: Any) -> Any:
    def buggy(fill: Any) -> Any:
        return [(asset, book, amount.quantize(Decimal("0.01"))) for asset, book, amount in legs(fill)]

    return buggy


def _letter_ends_the_order(park: Any) -> Any:
    def buggy(bk: Books, service: Any) -> None:
        park(bk, service)
        for attempt in doubts.unresolved(bk, service.account):
            order = bk.order(attempt.order)
            if order.status == Status.UNKNOWN and bk.letters(order.id):
                events.record(bk, order, "denied", source="bug", received_at=clock.now(), to=Status.DENIED)

    return buggy


def _doubts_forgotten(unresolved: Any) -> Any:
    return lambda bk, account: []


def _mark_before_apply(apply_fill: Any) -> Any:
    seen: dict[Any, None] = {}

    def buggy(bk: Books, order: OrderRow, report: Any, **how: Any) -> Any:
        key = (order.account, report.venue_trade_id, report.side)
        if key in seen:
            return None
        seen[key] = None  # marked in memory, before anything is stored (nautilus #4522)
        return apply_fill(bk, order, report, **how)

    return buggy


def _matched_by_looks(find: Any) -> Any:
    def buggy(bk: Books, account: str, report: Any) -> Any:
        return find(bk, account, report) or next(
            (kept.order for kept in bk.cache.orders.values()
             if kept.order.account == account and kept.order.symbol == report.symbol and not kept.order.venue_order_id),
            None,
        )  # fmt: skip

    return buggy


def _failed_read_is_empty(read: Any) -> Any:
    async def buggy(self: Any, surface: str, **how: Any) -> Any:
        found = await read(self, surface, **how)
        return dataclasses.replace(found, status="good") if found.status in {"failed", "partial"} else found

    return buggy


def _conflicts_ignored(write: Any) -> Any:
    def buggy(self: Any, bk: Books) -> None:
        for order_id, (order, _) in list(bk.changed_orders.items()):
            stored = self.database.orders.get(order_id)
            if stored is not None:
                bk.changed_orders[order_id] = (order, stored.version)
        write(self, bk)

    return buggy


def _second_mutation_in_flight(begin: Any) -> Any:
    def buggy(bk: Books, service: Any, intent_id: Any, stamp_ms: int, window_ms: int) -> Any:
        intent = bk.store.intent(intent_id)
        if intent.order is not None:
            bk.change_order(bk.order(intent.order))
            bk.order(intent.order).mutation = Mutation.NONE
        return begin(bk, service, intent_id, stamp_ms, window_ms)

    return buggy


def _abandoned_rows_kept(abandon: Any) -> Any:
    return lambda self: None


Planted = Callable[[], AbstractContextManager[Any]]


def _plant(place: Any, name: str, wrap: Wrap) -> Planted:
    return partial(changed, place, name, wrap)


BUGS: Mapping[str, Planted] = {
    "resend on timeout": _plant(submission, "finish", _unknown_as("not_sent")),
    "timeout means rejected (nautilus 4958)": _plant(submission, "finish", _unknown_as("rejected")),
    "one client id per process start (kalshi 135, hftbacktest 87)": _plant(ids, "venue_client_id", _one_id_per_order),
    "not found once is absence": _plant(proof, "judge", _always_proved),
    "fill inferred before the real one (nautilus 3493)": _plant(events, "apply_report", _inferred_fill),
    "overfill dropped": _plant(events, "apply_fill", _overfill_dropped),
    "late fill dropped": _plant(events, "apply_fill", _late_fill_dropped),
    "dedupe mark set before the fill is stored (nautilus 4522)": _plant(events, "apply_fill", _mark_before_apply),
    "no look at what is booked, no constraint": _plant(books.Books, "fill", lambda fill: lambda self, key: None),
    "cancel refused read as cancelled (passivbot 514)": _plant(cancellation, "finish", _cancel_refused_is_cancelled),
    "cancel taken read as cancelled (nautilus 4288)": _plant(cancellation, "finish", _cancel_taken_is_cancelled),
    "missing from the list read as cancelled": _plant(sweeps, "_due_for_lookup", _missing_is_cancelled),
    "crash leaves no doubt behind": _plant(recovery, "mark_lost", _nothing_is_lost),
    "crash sends again": _plant(recovery, "mark_lost", _lost_is_sent_again),
    "gate opened before recovery": _plant(recovery, "recover", _no_recovery),
    "window stamped when signed": _plant(SimGateway, "place", _stamped_when_signed),
    "lease not checked again at the commit": _plant(books.Books, "gate", _gate_left_open),
    "kill switch cached": _plant(books.Books, "gate", _rules_cached),
    "lease taken while it is held": _plant(MemoryLeases, "_acquire", _lease_taken_while_held),
    "sent without a stored attempt": _plant(books.Books, "add_attempt", _attempt_not_stored),
    "fees left out of the ledger": _plant(ledger, "fill_legs", _fees_forgotten),
    "money rounded to cents": _plant(ledger, "fill_legs", _rounded_money),
    "dead letter frees the exposure": _plant(resolver, "_park_overdue", _letter_ends_the_order),
    "doubts forgotten": _plant(doubts, "unresolved", _doubts_forgotten),
    "statements matched by looks": _plant(matching, "find", _matched_by_looks),
    "failed read taken for an empty one (nautilus 4617)": _plant(SimGateway, "read", _failed_read_is_empty),
    "writes without a version": _plant(MemoryStore, "write", _conflicts_ignored),
    "two mutations in flight": _plant(cancellation, "begin", _second_mutation_in_flight),
    "rows of a failed commit kept in the cache": _plant(books.Books, "abandon", _abandoned_rows_kept),
}


def table(seeds_max: int) -> Iterator[str]:
    """Yield one line per planted bug: which world caught it, and the promise that broke there."""
    yield "| planted bug | seed | promise |\n|---|---|---|"
    for name, planted in BUGS.items():
        caught = run.find(range(seeds_max), planted)
        yield f"| {name} | {caught[0]} | {caught[1].rule} |" if caught else f"| {name} | not caught | |"


if __name__ == "__main__":
    for line in table(200):
        sys.stdout.write(line + "\n")
