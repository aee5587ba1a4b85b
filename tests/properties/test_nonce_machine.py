"""Nonces rise strictly over restarts, clocks that go back, and requests made at the same time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.fuzz.answering import Answered, AnsweringWire
from venues.adapters.transport import HttpRecord

START_MS = 1_732_000_000_000
LEASE_MS = 30_000


class NonceWire(AnsweringWire):
    """Notes the nonce of each request in the order in which they reach the venue, whose answers take their time."""

    def __init__(self) -> None:
        super().__init__()
        self.body = b'{"error":[],"result":{}}'
        self.nonces: list[int] = []

    async def send(self, record: HttpRecord, headers: Mapping[str, str], body: bytes | None) -> None:
        """Note the nonce, then answer after others had their turn."""
        self.nonces.append(int(parse_qs(record.request_body)["nonce"][0]))
        for _ in range(len(self.nonces) % 3):
            await asyncio.sleep(0)
        await super().send(record, headers, body)


class Numbering(RuleBasedStateMachine):
    """One account at a venue that refuses a nonce not above the last, its adapter opened again and again."""

    answered: Answered

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = START_MS
        self.stored = 0
        self.wire = self.answered.adapter.client.wire = NonceWire()
        self.answered.adapter.client.milliseconds = lambda: self.now_ms
        self._open(0)

    def _open(self, floor: int) -> None:
        # What CcxtAdapter.open() gives a fresh client; building one anew costs a hundred times as much.
        self.answered.adapter._nonce_floor = floor
        self.answered.adapter.client.options["lastNonce"] = floor

    @rule(milliseconds=st.sampled_from([1, 50, 1_000, 60_000]))
    def wait(self, milliseconds: int) -> None:
        self.now_ms += milliseconds

    @rule(milliseconds=st.sampled_from([1, 900, 10_000]))
    def clock_goes_back(self, milliseconds: int) -> None:
        self.now_ms -= milliseconds

    @rule(milliseconds=st.integers(-5_000, 5_000))
    def clock_is_measured(self, milliseconds: int) -> None:
        self.answered.adapter.client.options["timeDifference"] = milliseconds

    @rule(times=st.integers(1, 5))
    def ask(self, times: int) -> None:
        async def together() -> None:
            client = self.answered.adapter.client
            await asyncio.gather(*(client.privatePostBalanceEx({}) for _ in range(times)))

        self.answered.run(together())
        assert all(one < other for one, other in itertools.pairwise(self.wire.nonces)), (
            f"the venue refuses one of {self.wire.nonces[-times - 1 :]}"
        )
        assert self.answered.adapter.nonce_floor() >= self.wire.nonces[-1], "the floor lies below a nonce already used"

    @rule()
    def renew_the_lease(self) -> None:
        self.stored = max(self.stored, self.answered.adapter.nonce_floor())

    @rule()
    def hand_over(self) -> None:
        self.renew_the_lease()
        self._open(self.stored)

    @rule()
    def crash(self) -> None:
        # The next owner knows the floor of the last renewal, and begins when the lease has run out on a clock that is right.
        self.now_ms = max(self.now_ms, *self.wire.nonces, START_MS) + LEASE_MS
        self.answered.adapter.client.options["timeDifference"] = 0
        self._open(self.stored)


@pytest.fixture
def kraken() -> Iterator[Answered]:
    """Return Kraken's adapter on a wire of ours."""
    answered = Answered("kraken")
    yield answered
    answered.close()


def test_nonce_machine(kraken: Answered) -> None:
    Numbering.answered = kraken
    run_state_machine_as_test(
        Numbering,
        settings=settings(max_examples=300, stateful_step_count=40, derandomize=True, deadline=None, database=None),
    )
