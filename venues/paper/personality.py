"""How a world differs from its exchange's defaults, and the limits it sets: options of its blueprint."""

from collections import deque
from dataclasses import dataclass, fields
from typing import Any

MICROSECONDS = 1_000_000
NONCES_WRONG_MAX = 5
LOCKOUT_SECONDS = 10
IGNORED_MAX = 10
BAN_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Personality:
    """The options of /_control/worlds under "personality"; docs/paper-venue.md says what each does."""

    validity_window: bool = True
    client_ids: bool = True
    client_ids_unique: str = "open"
    read_lag_seconds: float = 0.0
    read_lag_random: bool = False
    strict_nonce: bool = False
    funding_interval_seconds: float = 28_800
    settlement_interval_seconds: float = 86_400

    @classmethod
    def read(cls, given: dict[str, Any] | None) -> "Personality":
        """Return the personality a blueprint asks for. Raises ValueError for an unknown option or a wrong value."""
        options = dict(given or {})
        kinds: dict[str, type | tuple[type, ...]] = {
            "client_ids_unique": str,
            "read_lag_seconds": (int, float),
            "funding_interval_seconds": (int, float),
            "settlement_interval_seconds": (int, float),
        }
        for name, value in options.items():
            if name not in _OPTIONS:
                raise ValueError(f"personality has no option {name}; it has {', '.join(_OPTIONS)}")
            if not isinstance(value, kinds.get(name, bool)):
                raise ValueError(f"personality: {name} cannot be {value!r}")
        made = cls(**options)
        if made.client_ids_unique not in ("open", "never"):
            raise ValueError("personality: client_ids_unique must be open or never")
        if made.read_lag_seconds < 0:
            raise ValueError("personality: read_lag_seconds cannot be negative")
        for name in ("funding_interval_seconds", "settlement_interval_seconds"):
            if getattr(made, name) < 0.1:
                raise ValueError(f"personality: {name} must be at least 0.1")
        return made


_OPTIONS = tuple(option.name for option in fields(Personality))


class NonceGuard:
    """Locks a key out for a while after too many wrong nonces in a row."""

    def __init__(self) -> None:
        self._wrong: dict[str, int] = {}
        self._locked_until: dict[str, int] = {}

    def is_locked(self, api_key: str, now: int) -> bool:
        """Tell whether a key is locked out; `now` in microseconds."""
        return now < self._locked_until.get(api_key, 0)

    def judge(self, api_key: str, is_good: bool, now: int) -> None:
        """Count a nonce."""
        self._wrong[api_key] = 0 if is_good else self._wrong.get(api_key, 0) + 1
        if self._wrong[api_key] >= NONCES_WRONG_MAX:
            self._wrong[api_key] = 0
            self._locked_until[api_key] = now + LOCKOUT_SECONDS * MICROSECONDS


class Limits:
    """A token bucket for each remote address: 429 when it is empty, 418 for who goes on asking all the same."""

    def __init__(self, options: dict[str, Any]) -> None:
        unknown = [name for name in options if name not in ("per_second", "burst", "ban_seconds")]
        if unknown:
            raise ValueError(f"limits has no option {', '.join(unknown)}; it has per_second, burst, ban_seconds")
        self.per_second = float(options["per_second"])
        self.burst = float(options.get("burst", self.per_second))
        self.ban_seconds = float(options.get("ban_seconds", BAN_SECONDS))
        if self.per_second <= 0 or self.burst < 1:
            raise ValueError("limits: per_second must be above 0 and burst at least 1")
        self._tokens: dict[str, tuple[float, int]] = {}
        self._ignored: dict[str, int] = {}
        self._banned_until: dict[str, int] = {}

    def judge(self, remote: str, now: int) -> tuple[str, float] | None:
        """Count a request; return the fault it earns ("rate_limited" or "ban") with its seconds, None when it may go."""
        until = self._banned_until.get(remote, 0)
        if now < until:
            return "ban", (until - now) / MICROSECONDS
        tokens, at = self._tokens.get(remote, (self.burst, now))
        tokens = min(self.burst, tokens + (now - at) / MICROSECONDS * self.per_second)
        if tokens >= 1:
            self._tokens[remote] = (tokens - 1, now)
            self._ignored[remote] = 0
            return None
        self._tokens[remote] = (tokens, now)
        self._ignored[remote] = self._ignored.get(remote, 0) + 1
        if self._ignored[remote] > IGNORED_MAX:
            self._ignored[remote] = 0
            self._banned_until[remote] = now + int(self.ban_seconds * MICROSECONDS)
            return "ban", self.ban_seconds
        return "rate_limited", max(1.0, (1 - tokens) / self.per_second)


class Rolling:
    """Counts what happened within a window, in slices, so that memory does not grow with the rate."""

    def __init__(self, window_seconds: int, slices: int = 20) -> None:
        self._slice = window_seconds * MICROSECONDS // slices
        self._slices = slices
        self._counts: deque[tuple[int, int]] = deque()
        self._total = 0

    def add(self, now: int) -> int:
        """Count one more and return how many there were within the window."""
        number = now // self._slice
        counts = self._counts
        if counts and counts[-1][0] == number:
            counts[-1] = (number, counts[-1][1] + 1)
        else:
            counts.append((number, 1))
        self._total += 1
        while counts[0][0] <= number - self._slices:
            self._total -= counts.popleft()[1]
        return self._total
