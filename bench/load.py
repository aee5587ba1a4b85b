"""A closed loop of requests: so many in flight, each timed, with the wall and CPU seconds of this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

One = Callable[[int], Awaitable[float | None]]


@dataclass(frozen=True)
class Timed:
    """What one load of requests took."""

    path: str
    in_flight: int
    latencies_us: list[float]
    seconds: float
    cpu_seconds: float

    @property
    def count(self) -> int:
        """How many requests there were."""
        return len(self.latencies_us)

    def percentile_us(self, percent: float) -> float:
        """Return a percentile of the latencies in microseconds."""
        ordered = sorted(self.latencies_us)
        return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.count / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU microseconds of this process per request."""
        return self.cpu_seconds / self.count * 1e6


async def closed_loop(path: str, in_flight: int, count: int, one: One) -> Timed:
    """Run one(number) `count` times with `in_flight` at once. It may return its own latency in seconds."""
    latencies: list[float] = []
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            began = time.perf_counter()
            own = await one(number)
            latencies.append((own if own is not None else time.perf_counter() - began) * 1e6)

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return Timed(path, in_flight, latencies, time.perf_counter() - wall, time.process_time() - cpu)


def median_of(runs: list[Timed]) -> Timed:
    """Return the run whose median latency is in the middle."""
    return sorted(runs, key=lambda run: run.percentile_us(50))[len(runs) // 2]
