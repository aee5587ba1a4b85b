"""The turns of one key at one venue: taken before an order is stamped, or by each request of a read; and what answers teach."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from project.lib import clock
from venues.adapters.paying import pay, paying
from venues.adapters.transport import HttpRecord
from venues.budgets import Pool
from venues.errors import STOP_SECONDS, STOP_SECONDS_MAX, BudgetExhausted
from venues.facts.shapes import Priority
from venues.messages import Answer
from venues.ratelimit import WAIT_SECONDS_MAX, Ticket, rules_for
from venues.targets import VenueTarget

STOP_SECONDS_DEFAULT = 5.0
FLIGHT_MARGIN_SECONDS = 5.0


class Turns:
    """The budget of one key, and the turns in hand that no request has used yet."""

    def __init__(
        self, pool: Pool, venue: VenueTarget, account: str, api_key: str, family: str, timeout_seconds: float
    ) -> None:
        self._pool, self._venue = pool, venue
        self.throttled_at: datetime | None = None
        self._key = hashlib.sha256(api_key.encode()).hexdigest()[:16]
        rules = rules_for(family, is_test_server=bool(venue.rest_url), declared=venue.limits)
        is_real = not venue.rest_url or bool(venue.limits)
        self.budget = pool.budget(venue, account, self._key, rules, is_shared=is_real)
        self._has_address_limit = any(rule.scope == "address" for rule in rules)
        self._in_hand: dict[Priority, deque[Ticket]] = {}
        self._flight_seconds_max = timeout_seconds + FLIGHT_MARGIN_SECONDS

    def close(self) -> None:
        """Give up the budget."""
        for waiting in self._in_hand.values():
            while waiting:
                waiting.popleft().settle()
        self._pool.forget(self.budget)

    async def take(self, priority: Priority) -> None:
        """Wait for a turn and keep it in hand. Raises BudgetExhausted."""
        ticket = await self.budget.turn(priority)
        waiting = self._in_hand.setdefault(priority, deque())
        while waiting and waiting[0].taken_at < ticket.taken_at - self._flight_seconds_max:
            waiting.popleft().settle()  # a turn that was taken and never used
        waiting.append(ticket)

    async def pay(self, ccxt_cost: float) -> Ticket | None:
        """Pay for one request that is about to leave. Raises BudgetExhausted."""
        return await pay(self.budget, ccxt_cost)

    async def paid(self, priority: Priority, action: Coroutine[Any, Any, Answer]) -> Answer:
        """Send with the oldest turn in hand, which pays for what is really sent."""
        waiting = self._in_hand.get(priority)
        if not waiting:
            with paying(priority):
                return await action
        ticket = waiting.popleft()
        try:
            with paying(ticket):
                return await action
        finally:
            ticket.settle()

    def held(self, priority: Priority) -> str | None:
        """Say that the venue's own stop lasts longer than this priority would wait; None when it does not."""
        seconds = self.budget.stopped_seconds()
        if seconds <= WAIT_SECONDS_MAX[priority]:
            return None
        return f"{BudgetExhausted.code}: the venue wants nothing for another {seconds:.0f} s"

    def learn(self, record: HttpRecord) -> None:
        """Take from an answer's status and headers what the venue says of its limits."""
        if record.status in (418, 429):
            self.throttled_at = clock.now()
            of_address = record.status == 418 or self._has_address_limit
            retry_after = record.retry_after()
            seconds = STOP_SECONDS_DEFAULT if retry_after is None else min(max(retry_after, 0.0), STOP_SECONDS_MAX)
            self._stop(seconds, f"HTTP {record.status} {record.path}", of_address)
        elif record.status is not None:
            if record.headers.get("X-Bapi-Limit-Status") == "0" and (seconds := _until_reset(record)) > 0:
                self._stop(seconds, "X-Bapi-Limit-Status 0")
            for bucket in self.budget.buckets:
                rule = bucket.rule
                used = _number(record.headers.get(rule.used_header)) if rule.used_header else None
                left = _number(record.headers.get(rule.left_header)) if rule.left_header else None
                if used is not None or left is not None:
                    bucket.set_used(used if used is not None else rule.capacity - (left or 0.0), time.monotonic())

    def pause(self, seconds: float, reason: str) -> None:
        """Send nothing with this key for so long, which an answer said in a way of its venue's own."""
        self._stop(min(max(seconds, 0.0), STOP_SECONDS_MAX), reason)

    def told(self, answer: Answer) -> None:
        """Take a refusal for too many requests, or a ban, with the time it names or ours where it names none."""
        if answer.category not in STOP_SECONDS:
            return
        self.throttled_at = clock.now()
        said = f"{answer.venue_code} {answer.message}".strip()
        if answer.stop_seconds is not None:
            self._stop(answer.stop_seconds, said, answer.category == "banned")
        elif not self.budget.stopped_seconds():  # its headers may have named a time
            self._stop(STOP_SECONDS[answer.category], said, answer.category == "banned")

    def _stop(self, seconds: float, reason: str, of_address: bool = False) -> None:
        self._pool.stop(self._venue, self._key, seconds, of_address=of_address, reason=reason)


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() and text.isascii() else None


def _until_reset(record: HttpRecord) -> float:
    """Return the seconds until Bybit takes requests again after the last one it had left: it names a time only after one
    too many, and the present otherwise."""
    reset_at = record.headers.get("X-Bapi-Limit-Reset-Timestamp", "")
    if not (reset_at.isascii() and reset_at.isdecimal()):
        return 0.0
    return min(max(int(reset_at[:15]) / 1000 - clock.now().timestamp(), 0.0), STOP_SECONDS_MAX)
