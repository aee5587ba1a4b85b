"""Orders that belong together: one cancels the other, an entry brings its exits, a ladder is one thing. Pure.

Never two live orders for one quantity: an exit that fires waits until its siblings have ended, and takes what they left.
A leg cancelled by wish takes the others with it; one the venue refused leaves them working, for they may protect a position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from orders import events, expiry, states, triggers
from orders.books import Books
from orders.rows import ZERO, OrderRow
from orders.service import Service
from orders.states import Mutation, Status
from project.lib import clock, decimals

INTERVAL_SECONDS = 1.0
Verb = Literal["cancel", "activate", "resize", "release"]


@dataclass(frozen=True)
class Step:
    """One thing to do to a member of a group."""

    verb: Verb
    order: OrderRow
    quantity: Decimal = ZERO


async def tend(service: Service) -> None:
    """Do for every live group of the account what its members' standing asks for."""
    if await service.writer.run(lambda books: bool(books.store.live_groups(service.account))):
        await service.writer.run_until_committed(lambda books: apply(books, service.account))


def apply(books: Books, account: str) -> None:
    """Decide on each live group and carry the steps out."""
    for kind, order_ids in books.store.live_groups(account):
        books.load(order_ids)
        steps = decide(kind, [books.order(order_id) for order_id in order_ids])
        for step in {(step.verb, step.order.id): step for step in steps}.values():  # two siblings may ask the same
            _carry_out(books, step)


def decide(kind: str, members: Sequence[OrderRow]) -> list[Step]:
    """Return the steps a group's members ask for now; none when all is as it should be."""
    if kind == "oco":
        return _one_cancels_other(members)
    if kind == "bracket":
        entry = next(order for order in members if order.group_role == "entry")
        return [*_entry(entry, members), *_exits(entry, [order for order in members if order is not entry])]
    return []


def _one_cancels_other(members: Sequence[OrderRow]) -> list[Step]:
    decided = [order for order in members if order.filled_quantity > 0 or _was_cancelled(order)]
    steps: list[Step] = []
    for order in members:
        others = [other for other in members if other is not order]
        if not _is_alive(order) or order.trigger_state == triggers.TRIGGERED:
            continue  # it was let through: what ended its siblings was that, and nobody's wish
        if order.trigger_state == triggers.WAITING:
            steps += _let_through(order, others, order.quantity)
        elif (any(other in decided for other in others) and order not in decided) or any(
            other.trigger_state == triggers.WAITING and _is_alive(other) for other in others
        ):
            steps.append(Step("cancel", order))
    return steps


def _entry(entry: OrderRow, members: Sequence[OrderRow]) -> list[Step]:
    """An entry that has fired goes at once; one whose stop has fired is called off: what it still bought had no stop."""
    if not _is_alive(entry):
        return []
    fired = (triggers.WAITING, triggers.TRIGGERED)
    if any(order.trigger_state in fired for order in members if order is not entry):
        return [Step("cancel", entry)]
    return [Step("release", entry, entry.quantity)] if entry.trigger_state == triggers.WAITING else []


def _exits(entry: OrderRow, exits: Sequence[OrderRow]) -> list[Step]:
    held = entry.filled_quantity
    if held == 0:
        return [Step("cancel", order) for order in exits if not _is_alive(entry) and _is_alive(order)]
    steps: list[Step] = []
    for order in exits:
        others = [other for other in exits if other is not order]
        wanted = held - sum((other.filled_quantity for other in others), ZERO)
        if not _is_alive(order):
            continue
        if order.trigger_state == triggers.DORMANT:
            steps.append(Step("activate", order, wanted))
        elif order.trigger_state == triggers.WAITING:  # first: its sibling's end was our own doing, and nobody's wish
            steps += _let_through(order, others, held)
        elif order.trigger_state == triggers.TRIGGERED:  # let through: it only grows with what is held
            steps += [Step("resize", order, wanted)] if wanted > order.quantity else []
        elif (
            any(_was_cancelled(other) for other in others)
            or wanted <= 0
            or any(other.trigger_state == triggers.WAITING and _is_alive(other) for other in others)
        ):
            steps.append(Step("cancel", order))
        elif order.quantity != wanted:
            steps.append(Step("resize", order, wanted))
    return steps


def _let_through(order: OrderRow, others: Sequence[OrderRow], wanted: Decimal) -> list[Step]:
    """An order that has fired goes when its siblings have ended, for what they left; until then they are cancelled."""
    alive = [other for other in others if _is_alive(other)]
    if alive:
        return [Step("cancel", other) for other in alive]
    rest = wanted - sum((other.filled_quantity for other in others), ZERO)
    return [Step("release", order, rest)] if rest > 0 else [Step("cancel", order)]


def _is_alive(order: OrderRow) -> bool:
    return Status(order.status) not in states.TERMINAL


def _was_cancelled(order: OrderRow) -> bool:
    return order.status == Status.CANCELLED and order.reason_code != "GROUP_CANCELLED"


def _carry_out(books: Books, step: Step) -> None:
    order, now = step.order, clock.now()
    is_here = Status(order.status) in states.LOCAL
    if step.verb == "cancel":
        if is_here:
            events.record(books, order, "cancelled", source="executor", received_at=now, to=Status.CANCELLED,
                          code="GROUP_CANCELLED", message="another order of its group has taken its place")  # fmt: skip
        else:
            expiry.request_cancel(books, order, "group")
        return
    if step.quantity != order.quantity:
        values = {"quantity": str(decimals.write(step.quantity))}
        if is_here:
            events.amend(books, order, "amended", values, source="executor", received_at=now)
        elif order.mutation == Mutation.NONE and not books.store.wishes_about(order.id):
            books.add_intent(order, "amend", values, "group")
    if step.verb == "activate":
        is_conditional = order.type in triggers.CONDITIONAL
        events.trigger(books, order, "activated", triggers.ARMED if is_conditional else "")
    elif step.verb == "release":
        events.trigger(books, order, "released", triggers.TRIGGERED)
    books.wake(order.account)
