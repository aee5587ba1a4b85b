"""The rate budget of one key: weighted buckets, four priorities, a reserve that only cancels may use."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from project.lib import clock
from venues.errors import BudgetExhausted

Priority = Literal["cancel", "order", "reconcile", "poll"]
RANK: dict[Priority, int] = {"cancel": 0, "order": 1, "reconcile": 2, "poll": 3}
CANCEL_RESERVE = 0.2
WAITING_MAX = 500
WAIT_SECONDS_MAX: dict[Priority, float] = {"cancel": 30.0, "order": 5.0, "reconcile": 30.0, "poll": 10.0}


@dataclass(frozen=True, kw_only=True)
class BucketRule:
    """One limit of a venue: capacity units per_seconds; what each priority costs in it.

    is_window: the venue counts what falls into a window, so a unit comes back when its window has passed and not before.
    Else its counter drains evenly.
    """

    name: str
    capacity: float
    per_seconds: float
    costs: dict[Priority, float]
    is_window: bool = False


DEFAULT_RULES = (
    BucketRule(
        name="requests", capacity=100, per_seconds=10, costs={"cancel": 1, "order": 1, "reconcile": 1, "poll": 1}
    ),
)
# A paper or test server has limits of its own, which it tells by 429; the real exchange's would only slow it down.
TEST_SERVER_RULES = (
    BucketRule(
        name="requests", capacity=20_000, per_seconds=10, costs={"cancel": 1, "order": 1, "reconcile": 1, "poll": 1}
    ),
)
RULES: dict[str, tuple[BucketRule, ...]] = {
    "binance": (
        BucketRule(
            name="weight",
            capacity=6000,
            per_seconds=60,
            is_window=True,
            costs={"cancel": 1, "order": 1, "reconcile": 20, "poll": 20},
        ),
        BucketRule(
            name="orders",
            capacity=100,
            per_seconds=10,
            is_window=True,
            costs={"cancel": 0, "order": 1, "reconcile": 0, "poll": 0},
        ),
    ),
    # Kraken counts reads (20, drained 0.5 a second on the middle tier) and orders (per pair, 125 at most) apart.
    "kraken": (
        BucketRule(
            name="reads", capacity=20, per_seconds=40, costs={"cancel": 0, "order": 0, "reconcile": 1, "poll": 1}
        ),
        BucketRule(
            name="orders", capacity=125, per_seconds=54, costs={"cancel": 1, "order": 1, "reconcile": 0, "poll": 0}
        ),
    ),
}


def rules_for(family: str, *, is_test_server: bool) -> tuple[BucketRule, ...]:
    """Return the limits of an exchange, or the wide ones of a server that only speaks like it."""
    return TEST_SERVER_RULES if is_test_server else RULES.get(family, DEFAULT_RULES)


class Bucket:
    """Tokens that come back as the rule says. What is not a cancel leaves the reserve alone."""

    def __init__(self, rule: BucketRule, now: float) -> None:
        self.rule = rule
        self._tokens = rule.capacity
        self._at = now
        self._spent: deque[tuple[float, float]] = deque()  # (when, how much), for a window

    def tokens(self, now: float) -> float:
        """Return what is there now."""
        if self.rule.is_window:
            while self._spent and self._spent[0][0] + self.rule.per_seconds < now:
                self._tokens += self._spent.popleft()[1]
            return self._tokens
        self._tokens = min(
            self.rule.capacity, self._tokens + (now - self._at) * self.rule.capacity / self.rule.per_seconds
        )
        self._at = max(self._at, now)
        return self._tokens

    def wait_seconds(self, priority: Priority, now: float) -> float:
        """Return how long this priority must wait for its cost; zero when it may go."""
        cost = self.rule.costs[priority]
        if cost == 0:
            return 0.0
        floor = 0.0 if priority == "cancel" else self.rule.capacity * CANCEL_RESERVE
        lacking = floor + cost - self.tokens(now)
        if not self.rule.is_window:
            return max(0.0, lacking * self.rule.per_seconds / self.rule.capacity)
        wait = 0.0
        for at, spent in self._spent:
            if lacking <= 0:
                break
            lacking, wait = lacking - spent, at + self.rule.per_seconds - now + 1e-6
        return wait

    def take(self, priority: Priority, now: float) -> None:
        """Spend the cost of this priority."""
        self._spend(self.rule.costs[priority], now)

    def set_used(self, used: float, now: float) -> None:
        """Learn from the venue how much it has counted, when that is more than we have; only a weight bucket can."""
        if self.rule.name != "weight":
            return
        # However much it claims, its window is over within per_seconds.
        self._spend(max(0.0, self.tokens(now) - max(0.0, self.rule.capacity - used)), now)

    def _spend(self, cost: float, now: float) -> None:
        self._tokens = self.tokens(now) - cost
        if self.rule.is_window and cost:
            self._spent.append((now, cost))


class Budget:
    """The buckets of one key, and a bounded queue in front of them."""

    def __init__(self, rules: tuple[BucketRule, ...], now: Callable[[], float] = clock.monotonic_seconds) -> None:
        self._now = now
        self.buckets = [Bucket(rule, now()) for rule in rules]
        self._stopped_until = 0.0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def stop(self, seconds: float) -> None:
        """Send nothing for so long: the venue said so, and a cancel now would lengthen the ban too."""
        self._stopped_until = max(self._stopped_until, self._now() + seconds)

    def stopped_seconds(self) -> float:
        """Return how long the venue's own stop still lasts."""
        return max(0.0, self._stopped_until - self._now())

    def try_take(self, priority: Priority) -> float:
        """Take a turn at once and return 0, or return the seconds to wait and take nothing."""
        now = self._now()
        wait = max(self.stopped_seconds(), *(bucket.wait_seconds(priority, now) for bucket in self.buckets))
        if wait == 0:
            for bucket in self.buckets:
                bucket.take(priority, now)
        return wait

    async def turn(self, priority: Priority) -> None:
        """Wait for a turn, the most urgent first. Raises BudgetExhausted when the queue is full or the wait too long."""
        rank = RANK[priority]
        if not (self._waiting and self._waiting[0][0] <= rank) and self.try_take(priority) == 0:
            return
        if len(self._waiting) >= WAITING_MAX or self.stopped_seconds() > WAIT_SECONDS_MAX[priority]:
            raise BudgetExhausted(f"no room for a {priority} request: {len(self._waiting)} are waiting")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._numbers), future))
        self._serve()
        try:
            await asyncio.wait_for(future, WAIT_SECONDS_MAX[priority])
        except TimeoutError:
            raise BudgetExhausted(f"no turn for a {priority} request within {WAIT_SECONDS_MAX[priority]:g} s") from None
        finally:
            self._serve()

    def _serve(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            rank, _, future = self._waiting[0]
            if future.done():
                heapq.heappop(self._waiting)
                continue
            wait = self.try_take(next(name for name, value in RANK.items() if value == rank))
            if wait > 0:
                self._timer = asyncio.get_running_loop().call_later(min(wait, 1.0) + 0.001, self._serve)
                return
            heapq.heappop(self._waiting)
            future.set_result(None)
