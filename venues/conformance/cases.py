"""The register of cases: each is a promise, the fact it proves, and a coroutine that keeps or breaks it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from venues.conformance.bench import Bench

Run = Callable[[Bench], Awaitable[str]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One promise. `run` returns what was seen, or raises Refuted or Skipped. fact: the field of Capabilities it proves."""

    name: str
    promise: str
    fact: str
    places_orders: bool
    spends: bool
    run: Run


REGISTERED: list[Case] = []


def case(promise: str, *, fact: str = "", places_orders: bool = True, spends: bool = False) -> Callable[[Run], Run]:
    """Register a coroutine as a case under its own name."""

    def register(run: Run) -> Run:
        REGISTERED.append(
            Case(name=run.__name__, promise=promise, fact=fact, places_orders=places_orders, spends=spends, run=run)
        )
        return run

    return register
