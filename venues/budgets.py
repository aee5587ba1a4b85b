"""The limits one process keeps: a bucket per limit of an address, shared by all its gateways, and a bucket per limit of a key.

Where a limit is shared with other processes the bucket holds a grant: what this process may use for some seconds. A request
looks at nothing but the bucket; asking for grants is somebody else's work (budget_leases.py). Pure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from project.lib import clock
from venues.facts.shapes import BucketRule
from venues.ratelimit import CANCEL_RESERVE, Bucket, Budget, Stop
from venues.targets import VenueTarget


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a process wants of one limit: `wanted` units in all, of which it keeps `kept` whatever the answer."""

    group: str
    bucket: str
    account: str
    capacity: float
    per_seconds: float
    is_shared: bool
    used: float
    kept: float
    wanted: float
    waiting: int
    waited_ms: float


@dataclass(frozen=True, kw_only=True)
class Grant:
    """The answer: units, until when (monotonic), and whether others want more while there is no more."""

    granted: float
    until: float
    is_contended: bool = False
    fair: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Halted:
    """A venue's stop of a group of requests, for so many seconds from now."""

    group: str
    seconds: float
    reason: str = ""


@dataclass
class _Held:
    bucket: Bucket
    group: str
    is_shared: bool
    account: str
    budgets: list[Budget] = field(default_factory=list)
    spent_before: float = 0.0
    fair: float | None = None


class Pool:
    """Buckets by the group they count for. Used from one event loop."""

    def __init__(self, address: str = "", *, is_leased: bool = False, now: Callable[[], float] | None = None) -> None:
        self.wanted = asyncio.Event()
        self.stopped: list[Halted] = []  # the venue's stops that nobody has stored yet
        self._address, self._is_leased = address, is_leased
        self._now = now or clock.monotonic_seconds
        self._held: dict[tuple[str, str], _Held] = {}
        self._stops: dict[str, Stop] = {}

    def budget(
        self, target: VenueTarget, account: str, key: str, rules: Iterable[BucketRule], *, is_shared: bool
    ) -> Budget:
        """Return the budget of one key at one venue. is_shared: the limits are real, so other processes count too."""
        groups = {"address": group_of(target, address=self._address), "key": group_of(target, key=key)}
        stops = [self._stops.setdefault(groups[scope], Stop()) for scope in ("key", "address")]
        held = [self._hold(groups[rule.scope], rule, account, is_shared) for rule in rules]
        budget = Budget([one.bucket for one in held], self._now, stops, self.wanted.set)
        for one in held:
            one.budgets.append(budget)
        return budget

    def forget(self, budget: Budget) -> None:
        """Give up a budget that is used no more; what nobody else uses is given back by the next asks."""
        for one in self._held.values():
            if budget in one.budgets:
                one.budgets.remove(budget)

    def stop(self, target: VenueTarget, key: str, seconds: float, *, of_address: bool, reason: str) -> None:
        """Send nothing for so long, for a key or for everybody at this address; and tell the other processes."""
        group = group_of(target, address=self._address) if of_address else group_of(target, key=key)
        stop = self._stops.setdefault(group, Stop())
        stop.until = max(stop.until, self._now() + seconds)
        self.stopped.append(Halted(group=group, seconds=seconds, reason=reason))
        self.wanted.set()

    def groups(self) -> list[str]:
        """Return every group whose stops matter here."""
        return sorted(self._stops)

    def asks(self) -> list[Ask]:
        """Say what is wanted of every limit. From here until the answer no more than `kept` is used of a shared one."""
        now = self._now()
        asked = [self._ask(name, one, now) for (_, name), one in self._held.items()]
        for one in self._held.values():
            for budget in one.budgets:
                budget.waited_seconds = 0.0
        return asked

    def take(self, grants: dict[tuple[str, str], Grant], stops: Iterable[Halted]) -> None:
        """Use what was granted, obey what others were told, and let those go who waited for it."""
        now = self._now()
        for halted in stops:
            stop = self._stops.setdefault(halted.group, Stop())
            stop.until = max(stop.until, now + halted.seconds)
        waiting: dict[int, Budget] = {}
        for key, grant in grants.items():
            one = self._held.get(key)
            if one is None:
                continue
            one.bucket.used(now)  # what drained until now drained at the former rate
            one.fair = grant.fair if grant.is_contended else None
            one.bucket.grant(grant.granted, grant.until, one.fair or one.bucket.rule.capacity)
            waiting |= {id(budget): budget for budget in one.budgets if budget.waiting}
            if not one.budgets and not one.bucket.used(now):  # until then its window is not over
                del self._held[key]
        for budget in waiting.values():
            budget.serve()

    def _hold(self, group: str, rule: BucketRule, account: str, is_shared: bool) -> _Held:
        one = self._held.get((group, rule.name))
        if one is not None:
            one.bucket.rule = rule
        else:
            bucket = Bucket(rule, self._now())
            if self._is_leased:  # nothing goes out before the first answer, which also brings the stops
                bucket.grant(0.0, 0.0, rule.capacity)
            who = account if rule.scope == "key" else ""
            one = self._held[group, rule.name] = _Held(bucket, group, is_shared and self._is_leased, who)
        return one

    def _ask(self, name: str, one: _Held, now: float) -> Ask:
        bucket, capacity = one.bucket, one.bucket.rule.capacity
        used, spent = bucket.used(now), bucket.spent - one.spent_before
        one.spent_before = bucket.spent
        wanted = used if not one.budgets else min(capacity, used + max(bucket.headroom, 2 * spent))
        if one.fair is not None:  # others want more: no more than our part, but a reserve for cancels at all times
            wanted = min(wanted, max(used + CANCEL_RESERVE * one.fair, one.fair))
        kept = 0.0
        if one.is_shared and now < bucket.granted_until:
            kept = min(bucket.granted, wanted)
            bucket.grant(kept, bucket.granted_until, bucket.part)
        waited = max((budget.waited_seconds for budget in one.budgets), default=0.0)
        return Ask(
            group=one.group, bucket=name, account=one.account, capacity=capacity, per_seconds=bucket.rule.per_seconds,
            is_shared=one.is_shared, used=used, kept=kept, wanted=wanted, waiting=sum(budget.waiting for budget in one.budgets), waited_ms=waited * 1000,
        )  # fmt: skip


def group_of(target: VenueTarget, *, address: str = "", key: str = "") -> str:
    """Name whom a venue counts together: everybody at one of our addresses, or everybody with one key."""
    place = target.rest_url or target.exchange + (":sandbox" if target.sandbox else "")
    return f"{place}#{key}" if key else f"{place}@{address}"


def answer(ask: Ask, held_by_others: float, others_want: list[bool], until: float) -> Grant:
    """Return what a process gets of a limit of which the others hold so much: never more than is left."""
    if not ask.is_shared:
        return Grant(granted=ask.capacity, until=float("inf"))
    granted = max(ask.kept, min(ask.wanted, ask.capacity - held_by_others))
    is_contended = any(others_want) or (bool(others_want) and granted < ask.wanted - 1e-6)
    return Grant(
        granted=max(0.0, granted), until=until, is_contended=is_contended, fair=ask.capacity / (len(others_want) + 1)
    )
