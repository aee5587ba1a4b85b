"""Hears what the core logs and what its loop could not hand to anybody: an exception nobody expects is a broken promise."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError

from orders.writer import Full
from tests.simulation.trace import Trace
from tests.simulation.writing import Killed

EXPECTED = (OperationalError, Full, ConnectionError, Killed)


class Listener(logging.Handler):
    """The handler of logger `orders` during a run."""

    def __init__(self, trace: Trace) -> None:
        super().__init__(logging.ERROR)
        self._trace = trace

    def emit(self, record: logging.LogRecord) -> None:
        """Judge what was logged with an exception."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self.judge(error)

    def background(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Judge what a callback raised."""
        error = context.get("exception")
        if error is not None:
            self.judge(error)

    def judge(self, error: BaseException) -> None:
        """Break the run for an exception that no fault explains."""
        for cause in _leaves(error):
            if isinstance(cause, EXPECTED):
                continue
            place, step = "", cause.__traceback__
            while step is not None:
                name = step.tb_frame.f_code.co_filename.rpartition("/")[2]
                place, step = f"{name}:{step.tb_lineno}", step.tb_next
            self._trace.violate("crash", f"{type(cause).__name__}: {cause} at {place}")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear the logger of the core within the block, and nobody else does."""
        logger = logging.getLogger("orders")
        before = (logger.handlers, logger.propagate, logger.level)
        logger.handlers, logger.propagate = [self], False
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.handlers, logger.propagate = before[0], before[1]
            logger.setLevel(before[2])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
