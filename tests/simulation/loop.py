"""An event loop whose time is virtual: it never sleeps, and it can freeze or drop everything one node had in hand."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVarTuple

Ts = TypeVarTuple("Ts")
Context = contextvars.Context | None
EPOCH_SECONDS = 1_767_225_600.0  # 2026-01-01T00:00:00Z


class Deadlock(Exception):
    """Nothing is scheduled and the main future is not done; the message names the tasks that wait."""


class Scope:
    """What dies and stops together: a node of the cluster. Paused work is kept, the work of the dead is dropped."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_alive = True
        self.is_paused = False
        self.skew_seconds = 0.0
        self.kept: list[asyncio.Handle] = []
        self.context = contextvars.copy_context()
        self.context.run(SCOPE.set, self)


SCOPE: contextvars.ContextVar[Scope | None] = contextvars.ContextVar("scope", default=None)
WORLD = contextvars.copy_context()


class Task(asyncio.Task[Any]):
    """A task whose hash is its number: sets of tasks are walked in the same order in every run."""

    numbers = itertools.count()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._number = next(Task.numbers)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.BaseEventLoop):
    """First in, first out; timers by time, then by number. No selector, no thread, no clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now_seconds = 0.0
        self._soon: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = itertools.count()
        self.steps = 0
        self.tasks: list[asyncio.Task[Any]] = []
        self.root: asyncio.Task[Any] | None = None
        Task.numbers = itertools.count()

    def time(self) -> float:
        """Return the virtual seconds since the start of the run."""
        return self.now_seconds

    def call_soon(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context = None) -> asyncio.Handle:
        """Run a callback in this instant, after everything that waits already."""
        handle = asyncio.Handle(callback, args, self, context)
        self._soon.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context = None
    ) -> asyncio.Handle:
        """Run a callback in this instant: there is one thread."""
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context = None
    ) -> asyncio.TimerHandle:
        """Run a callback at a virtual time."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._count), handle))
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context = None
    ) -> asyncio.TimerHandle:
        """Run a callback after some virtual seconds."""
        return self.call_at(self.now_seconds + delay, callback, *args, context=context)

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> Any:
        """Make a task and keep it to the end of the run: a coroutine collected too early would run its `finally`."""
        task = Task(coro, loop=self, name=name, context=context)
        self.tasks.append(task)
        return task

    def run_root(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run until the main coroutine ends. Raises Deadlock when it never can."""
        self.root = Task(main, loop=self, name="root")
        asyncio.events._set_running_loop(self)
        try:
            while not self.root.done():
                self._advance()
        finally:
            asyncio.events._set_running_loop(None)
        return self.root.result()

    def resume(self, scope: Scope) -> None:
        """Let a paused node go on: what came meanwhile runs now, in the order in which it came."""
        scope.is_paused = False
        kept, scope.kept = scope.kept, []
        self._soon.extend(kept)

    def _advance(self) -> None:
        soon = self._soon
        if not soon:
            timers = self._timers
            while timers and timers[0][2]._cancelled:
                heapq.heappop(timers)
            if not timers:
                raise Deadlock(self._stuck())
            when = timers[0][0]
            self.now_seconds = max(self.now_seconds, when)
            while timers and timers[0][0] <= when:
                handle: asyncio.Handle = heapq.heappop(timers)[2]
                if not handle._cancelled:
                    soon.append(handle)
        for _ in range(len(soon)):
            handle = soon.popleft()
            if handle._cancelled:
                continue
            scope = handle._context.get(SCOPE)  # type: ignore[attr-defined]
            if scope is not None:
                if not scope.is_alive:
                    continue
                if scope.is_paused:
                    scope.kept.append(handle)
                    continue
            self.steps += 1
            handle._run()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing to count: cancelled timers are passed over when their time comes."""

    def _stuck(self) -> str:
        waiting = sorted(task.get_name() for task in asyncio.all_tasks(self) if not task.done())
        return "nothing is scheduled; waiting: " + ", ".join(waiting)
