"""Compare as soon as something was read or noted, instead of at the next second of the schedule, which finds what is missed."""

from __future__ import annotations

import logging
import threading

from django.db import close_old_connections

from project.lib import feed
from project.lib.notify import Listener
from reconciliation import anomalies, runs

logger = logging.getLogger(__name__)
SPACING_SECONDS = 0.05
LOOK_SECONDS = 1.0


class Prompting:
    """A thread of the worker that looks whenever an owner has written something to compare. Any number may run."""

    def __init__(self) -> None:
        self._poked, self._stopped = threading.Event(), threading.Event()
        self._listener = Listener([feed.COMPARE_CHANNEL], lambda channel, payload: self._poked.set())
        self._thread = threading.Thread(target=self._run, name="prompting", daemon=True)

    def start(self) -> None:
        """Start listening and looking, in daemon threads."""
        self._listener.start()
        self._thread.start()

    def stop(self) -> None:
        """Ask the threads to end; they do within a second."""
        self._stopped.set()
        self._listener.stop()

    def _run(self) -> None:
        while not self._stopped.wait(SPACING_SECONDS):  # what is written meanwhile shares the next look
            if not self._poked.wait(LOOK_SECONDS):
                continue
            self._poked.clear()
            close_old_connections()
            for job in (anomalies.open_breaks, runs.advance):
                try:
                    job()
                except Exception:
                    logger.exception("%s.%s failed; the schedule tries again", job.__module__, job.__name__)
