"""Who pays for the requests made in a task: a turn that was taken before, or a priority that waits for one each time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from venues.facts.shapes import Priority
from venues.ratelimit import Budget, Ticket

_paying: ContextVar[Ticket | Priority] = ContextVar("venue_request_paying", default="reconcile")


@contextmanager
def paying(with_what: Ticket | Priority) -> Iterator[None]:
    """Let every request inside the block be paid for so; those of tasks started inside too."""
    token = _paying.set(with_what)
    try:
        yield
    finally:
        _paying.reset(token)


async def pay(budget: Budget, ccxt_cost: float) -> Ticket | None:
    """Pay for one request: by the turn taken before, without waiting, or by a turn of its own, to be settled when it is over.

    Raises BudgetExhausted.
    """
    source = _paying.get()
    if isinstance(source, Ticket):
        source.pay(ccxt_cost)
        return None
    return await budget.turn(source, ccxt_cost)
