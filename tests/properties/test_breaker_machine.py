"""The breaker under calls whose results come late and in any order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from venues.breaker import Breaker

FAILURES, WITHIN, PAUSE = 3, 30.0, 10.0
EXAMPLES = settings(max_examples=500, stateful_step_count=50, derandomize=True, deadline=None, database=None)


class Breaking(RuleBasedStateMachine):
    """Calls go out when allowed and end, well or badly, whenever they like."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(failures_max=FAILURES, within_seconds=WITHIN, open_seconds=PAUSE)
        self.flying = 0
        self.failures: list[float] = []
        self.opened_at: float | None = None
        self.probed_at: float | None = None

    @rule(seconds=st.sampled_from([0.0, 0.1, 3.0, 9.9, 10.0, 16.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def call(self) -> None:
        before = self.breaker.state(self.now)
        allowed = self.breaker.allows(self.now)
        if before == "closed":
            assert allowed, "held up though closed"
        elif before == "open":
            assert not allowed, "let through though open"
        elif self.probed_at is not None and self.now - self.probed_at < PAUSE:
            assert not allowed, "a second probe while the first is out"
        else:
            assert allowed, "half open, but no probe is let through: it can never close"
        if allowed:
            self.flying += 1
            self.probed_at = self.now if before == "half_open" else None
        assert self.breaker.state(self.now) == before, "asking changed the state"

    @precondition(lambda self: self.flying > 0)
    @rule()
    def succeed(self) -> None:
        self.flying -= 1
        self.breaker.succeeded(self.now)
        self.failures, self.opened_at, self.probed_at = [], None, None
        assert self.breaker.state(self.now) == "closed" and self.breaker.reason == ""

    @precondition(lambda self: self.flying > 0)
    @rule()
    def fail(self) -> None:
        self.flying -= 1
        self.breaker.failed(self.now, "lost")
        self.failures = [*self.failures, self.now][-FAILURES:]
        is_full = len(self.failures) == FAILURES and self.now - self.failures[0] <= WITHIN
        if is_full or self.opened_at is not None:
            self.opened_at, self.probed_at = self.now, None
            assert self.breaker.reason == "lost"

    @invariant()
    def it_is_as_open_as_it_must_be(self) -> None:
        expected = "closed"
        if self.opened_at is not None:
            expected = "half_open" if self.now - self.opened_at >= PAUSE else "open"
        assert self.breaker.state(self.now) == expected

    def teardown(self) -> None:
        assert self.breaker.allows(self.now + 2 * PAUSE), "no way back"


def test_breaker_machine() -> None:
    run_state_machine_as_test(Breaking, settings=EXAMPLES)
