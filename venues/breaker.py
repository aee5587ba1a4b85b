"""Circuit breaker: closed, open, half-open; pure, the caller brings the time."""

from __future__ import annotations

from collections import deque
from typing import Literal

State = Literal["closed", "open", "half_open"]


class Breaker:
    """Opens after `failures_max` failures in a row within `within_seconds`; lets one probe through after `open_seconds`."""

    def __init__(self, *, failures_max: int = 5, within_seconds: float = 30.0, open_seconds: float = 10.0) -> None:
        self._failures_max = failures_max
        self._within_seconds = within_seconds
        self._open_seconds = open_seconds
        self._failures: deque[float] = deque(maxlen=failures_max)
        self._opened_at: float | None = None
        self._probing_since: float | None = None
        self.reason = ""

    def state(self, now: float) -> State:
        """Return closed, open, or half_open once the pause is over."""
        if self._opened_at is None:
            return "closed"
        return "half_open" if now - self._opened_at >= self._open_seconds else "open"

    def allows(self, now: float) -> bool:
        """Say whether a call may go out now; in half_open one may, until its result is known or a pause has passed."""
        state = self.state(now)
        if state != "half_open":
            return state == "closed"
        if self._probing_since is not None and now - self._probing_since < self._open_seconds:
            return False
        self._probing_since = now
        return True

    def succeeded(self, now: float) -> None:
        """Note a call that the venue answered: the breaker closes."""
        self._failures.clear()
        self._opened_at = self._probing_since = None
        self.reason = ""

    def trip(self, now: float, reason: str) -> None:
        """Open at once: the venue itself said that it does not serve this now."""
        self._opened_at, self._probing_since, self.reason = now, None, reason

    def failed(self, now: float, reason: str) -> None:
        """Note a call that the transport lost."""
        self._failures.append(now)
        full = len(self._failures) == self._failures_max and now - self._failures[0] <= self._within_seconds
        if full or self._opened_at is not None:
            self._opened_at, self._probing_since, self.reason = now, None, reason
