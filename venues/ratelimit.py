"""Rate budgets: a venue's limits as we keep them, per key and per address, with a reserve that only cancels may use.

A unit is spent when a turn is taken, and comes back a window after the request was answered: whenever the venue counted
it, that was before. So we never count less than the venue does, however long requests were under way.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence

from project.lib import clock
from venues.errors import BudgetExhausted
from venues.facts.families import FAMILIES
from venues.facts.shapes import BucketRule, Priority

RANK: dict[Priority, int] = {"cancel": 0, "order": 1, "reconcile": 2, "poll": 3}
CANCEL_RESERVE = 0.2
# What each priority leaves alone, as a share of the bucket: across accounts and processes the urgent find room.
RESERVE: dict[Priority, float] = {"cancel": 0.0, "order": CANCEL_RESERVE, "reconcile": 0.25, "poll": 0.3}
PRIORITY: dict[int, Priority] = {rank: name for name, rank in RANK.items()}
WAITING_MAX = 500
WAIT_SECONDS_MAX: dict[Priority, float] = {"cancel": 30.0, "order": 5.0, "reconcile": 30.0, "poll": 10.0}
LOOK_SECONDS_MAX = 1.0
LEASE_SECONDS = 8.0  # of a grant
HEADROOM, HEADROOM_LEASES = 0.4, 4
_EVERYTHING: dict[Priority, float] = {"cancel": 1, "order": 1, "reconcile": 1, "poll": 1}

DEFAULT_RULES = (BucketRule(name="requests", capacity=100, per_seconds=10, costs=_EVERYTHING),)
# A paper or test server has limits of its own, which it tells by 429; the real exchange's would only slow it down.
TEST_SERVER_RULES = (BucketRule(name="requests", capacity=20_000, per_seconds=10, costs=_EVERYTHING),)


def rules_for(
    family: str, *, is_test_server: bool, declared: Sequence[tuple[float, float]] = ()
) -> tuple[BucketRule, ...]:
    """Return the limits of an exchange, or those of a server that only speaks like it: declared ones, else wide ones.

    declared: (requests per second, burst) per address, of a test server.
    """
    if is_test_server and declared:
        return tuple(
            BucketRule(name="declared", capacity=burst, per_seconds=burst / rate, costs=_EVERYTHING, scope="address")
            for rate, burst in declared
        )
    if is_test_server:
        return TEST_SERVER_RULES
    known = FAMILIES.get(family)
    return (known.budget if known else ()) or DEFAULT_RULES


def reserve(rule: BucketRule, priority: Priority) -> float:
    """Return the share of a limit that a priority leaves alone: none for cancels where they are not counted."""
    return max(0.0, RESERVE[priority] - (0.0 if rule.costs["cancel"] else CANCEL_RESERVE))


def headroom(rule: BucketRule) -> float:
    """Return how many units are asked for beyond what is used: room for a burst, and no more than a crash may take along."""
    share = min(HEADROOM, HEADROOM_LEASES * LEASE_SECONDS / rule.per_seconds)
    return max(rule.capacity * share, 2 * max(rule.costs.values()))


class Bucket:
    """One limit, of which this process may use `granted` until `granted_until` (monotonic)."""

    def __init__(self, rule: BucketRule, now: float) -> None:
        self.rule = rule
        self.headroom = headroom(rule)
        self.grant(rule.capacity, float("inf"), rule.capacity)
        self._in_flight = 0.0
        self._counted = 0.0
        self._at = now
        self._spent: deque[tuple[float, float]] = deque()  # (when it was answered, how much), for a window
        self.spent = 0.0  # ever

    def grant(self, granted: float, until: float, part: float) -> None:
        """Say how much may be used and until when; `part` is what of the whole limit is ours when others want it too.

        Who is not a cancel leaves a reserve both of the part and of what was granted beyond what is used.
        """
        self.granted, self.granted_until, self.part = granted, until, part
        self._limits = {
            priority: min(granted - share * min(granted, self.headroom), (1 - share) * part) if share else granted
            for priority, share in ((priority, reserve(self.rule, priority)) for priority in RANK)
        }

    def used(self, now: float) -> float:
        """Return what the venue may be counting against us now."""
        if self.rule.is_window:
            while self._spent and self._spent[0][0] + self.rule.per_seconds < now:
                self._counted -= self._spent.popleft()[1]
            if not self._spent:
                self._counted = 0.0  # floats drift
        elif now > self._at:
            drained = (now - self._at) * self._drain()
            self._counted, self._at = max(0.0, self._counted - drained), now
        return self._counted + self._in_flight

    def tokens(self, now: float) -> float:
        """Return what is left of the grant."""
        return (self.granted if now < self.granted_until else 0.0) - self.used(now)

    def has_room(self, priority: Priority, cost: float, now: float) -> bool:
        """Say whether a cost may be spent now and the reserve is left."""
        return now < self.granted_until and self.used(now) + cost - self._limits[priority] <= 1e-9

    def cost(self, priority: Priority, ccxt_cost: float | None = None) -> float:
        """Return what a request costs here; without its cost in ccxt's units, what this priority usually does."""
        usual = self.rule.costs[priority]
        return (
            usual
            if ccxt_cost is None or not usual or not self.rule.per_ccxt_cost
            else ccxt_cost * self.rule.per_ccxt_cost
        )

    def wait_seconds(self, priority: Priority, now: float, cost: float | None = None) -> float:
        """Return how long this priority must wait for a cost; zero when it may go."""
        cost = self.rule.costs[priority] if cost is None else cost
        if cost == 0 or self.has_room(priority, cost, now):
            return 0.0
        lacking = self.used(now) + cost - self._limits[priority]
        if now >= self.granted_until or self._in_flight >= lacking:
            return LOOK_SECONDS_MAX  # somebody else has to act first
        if not self.rule.is_window:
            return lacking / self._drain() if self.granted else LOOK_SECONDS_MAX
        wait = 0.0
        for at, spent in self._spent:
            if lacking <= 1e-9:
                break
            lacking, wait = lacking - spent, at + self.rule.per_seconds - now + 1e-6
        return wait or LOOK_SECONDS_MAX

    def take(self, cost: float) -> None:
        """Spend a cost for a request that is about to leave."""
        self._in_flight += cost
        self.spent += cost

    def settle(self, cost: float, now: float) -> None:
        """The request is over: the venue has counted it by now, and forgets it in time."""
        self.used(now)
        self._in_flight = max(0.0, self._in_flight - cost)
        self._count(cost, now)

    def set_used(self, used: float, now: float) -> None:
        """Learn from the venue how much it has counted of the whole limit, when that leaves less than we believe."""
        left_there = max(0.0, self.rule.capacity - used)
        # However much it claims, its window is over within per_seconds.
        self._count(max(0.0, self.granted - self.used(now) - left_there), now)

    def _count(self, cost: float, now: float) -> None:
        if cost <= 0:
            return
        self._counted += cost
        if self.rule.is_window:
            self._spent.append((now, cost))

    def _drain(self) -> float:
        return self.granted / self.rule.per_seconds


class Stop:
    """The venue's own word that nothing may be sent for a while, to an address or for a key."""

    def __init__(self) -> None:
        self.until = 0.0


class Ticket:
    """A turn that was taken: what it costs in which buckets. It must be settled once, when its request is over."""

    __slots__ = ("_budget", "_costs", "is_used", "priority", "taken_at")

    def __init__(self, budget: Budget, priority: Priority, costs: list[tuple[Bucket, float]], taken_at: float) -> None:
        self._budget, self._costs, self.priority, self.taken_at = budget, costs, priority, taken_at
        self.is_used = False

    def pay(self, ccxt_cost: float) -> None:
        """Put the cost of what is really sent in the place of the usual one; further requests cost their own on top."""
        for index, (bucket, usual) in enumerate(self._costs):
            real = bucket.cost(self.priority, ccxt_cost)
            more = real if self.is_used else real - usual
            if more:
                bucket.take(more)
                self._costs[index] = bucket, usual + more
        self.is_used = True

    def settle(self) -> None:
        """Say that the request is over, whatever came of it."""
        now = self._budget.now()
        for bucket, cost in self._costs:
            bucket.settle(cost, now)
        self._costs.clear()
        self._budget.serve()


class Budget:
    """The buckets a key's requests are counted in, and a bounded queue in front of them."""

    def __init__(
        self,
        buckets: Sequence[Bucket] | tuple[BucketRule, ...],
        now: Callable[[], float] = clock.monotonic_seconds,
        stops: Sequence[Stop] = (),
        wanted: Callable[[], None] = lambda: None,
    ) -> None:
        self.now = now
        self.buckets = [bucket if isinstance(bucket, Bucket) else Bucket(bucket, now()) for bucket in buckets]
        self.stops = list(stops) or [Stop()]
        self._usual: dict[Priority, list[tuple[Bucket, float]]] = {
            priority: [(bucket, bucket.cost(priority)) for bucket in self.buckets if bucket.cost(priority)]
            for priority in RANK
        }
        self.waited_seconds = 0.0  # the longest since somebody looked
        self._wanted = wanted
        self._waiting: list[tuple[int, int, float | None, asyncio.Future[Ticket]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait for a turn."""
        return len(self._waiting)

    def stop(self, seconds: float) -> None:
        """Send nothing for so long: the venue said so, and a cancel now would lengthen the ban too."""
        self.stops[0].until = max(self.stops[0].until, self.now() + seconds)

    def stopped_seconds(self) -> float:
        """Return how long the venue's own stop still lasts."""
        return max(0.0, max(stop.until for stop in self.stops) - self.now())

    def try_take(self, priority: Priority, ccxt_cost: float | None = None) -> Ticket | float:
        """Take a turn at once and return its ticket, or return the seconds to wait and take nothing."""
        now = self.now()
        costs = self._usual[priority]
        if ccxt_cost is not None:
            costs = [(bucket, bucket.cost(priority, ccxt_cost)) for bucket, _ in costs]
        for stop in self.stops:
            if stop.until > now:
                return self._wait_seconds(priority, costs, now)
        for bucket, cost in costs:
            if not bucket.has_room(priority, cost, now):
                return self._wait_seconds(priority, costs, now)
        for bucket, cost in costs:
            bucket.take(cost)
        return Ticket(self, priority, list(costs), now)

    def _wait_seconds(self, priority: Priority, costs: list[tuple[Bucket, float]], now: float) -> float:
        wait = max(stop.until for stop in self.stops) - now
        return max(wait, *(bucket.wait_seconds(priority, now, cost) for bucket, cost in costs), 1e-6)

    async def turn(self, priority: Priority, ccxt_cost: float | None = None) -> Ticket:
        """Wait for a turn, the most urgent first. Raises BudgetExhausted when the queue is full or the wait too long."""
        rank = RANK[priority]
        if not (self._waiting and self._waiting[0][0] <= rank):
            found = self.try_take(priority, ccxt_cost)
            if isinstance(found, Ticket):
                return found
        if len(self._waiting) >= WAITING_MAX or self.stopped_seconds() > WAIT_SECONDS_MAX[priority]:
            raise BudgetExhausted(f"no room for a {priority} request: {len(self._waiting)} are waiting")
        future: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._numbers), ccxt_cost, future))
        self._wanted()
        self.serve()
        started = self.now()
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAX[priority]):
                return await future
        except TimeoutError:
            if future.done() and not future.cancelled():
                return future.result()
            raise BudgetExhausted(f"no turn for a {priority} request within {WAIT_SECONDS_MAX[priority]:g} s") from None
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                future.result().settle()
            raise
        finally:
            self.waited_seconds = max(self.waited_seconds, self.now() - started)
            self.serve()

    def serve(self) -> None:
        """Give turns to those who wait, as far as there is room now; look again when there may be more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            rank, _, ccxt_cost, future = self._waiting[0]
            if future.done():
                heapq.heappop(self._waiting)
                continue
            found = self.try_take(PRIORITY[rank], ccxt_cost)
            if not isinstance(found, Ticket):
                self._timer = asyncio.get_running_loop().call_later(min(found, LOOK_SECONDS_MAX) + 0.001, self.serve)
                return
            heapq.heappop(self._waiting)
            future.set_result(found)
