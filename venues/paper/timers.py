"""What is due later in a world: run when its time has come, by whoever moves the clock."""

import heapq
import itertools
from collections.abc import Callable


class Timer:
    """Something due at a time in microseconds, unless it is cancelled first."""

    __slots__ = ("at", "call")

    def __init__(self, at: int, call: Callable[[], object]) -> None:
        self.at = at
        self.call: Callable[[], object] | None = call

    def cancel(self) -> None:
        """Let it never happen."""
        self.call = None


class Timers:
    """A world's timers in order of time, then of making. `on_sooner` is told when the next one became an earlier one."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._numbers = itertools.count()
        self.on_sooner: Callable[[int], None] = lambda at: None

    def at(self, at: int, call: Callable[[], object]) -> Timer:
        """Have something called once the clock reaches a time in microseconds."""
        timer = Timer(at, call)
        is_first = not self._heap or at < self._heap[0][0]
        heapq.heappush(self._heap, (at, next(self._numbers), timer))
        if is_first:
            self.on_sooner(at)
        return timer

    def next_due(self) -> int | None:
        """Return when the next timer is due, None when there is none."""
        while self._heap and self._heap[0][2].call is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run_due(self, now: int) -> int:
        """Run what is due, in order, what it adds included; return how many ran."""
        ran = 0
        while self._heap and self._heap[0][0] <= now:
            call = heapq.heappop(self._heap)[2].call
            if call is not None:
                call()
                ran += 1
        return ran
