"""Keep a rulebook as the decisions stand: at once when told, else every few seconds. The hot path asks no database."""

from __future__ import annotations

import logging
import threading

from django.db import InterfaceError, OperationalError, connection

from venues import decisions
from venues.rulebook import Rulebook

logger = logging.getLogger(__name__)
POLL_SECONDS = 5.0


class Refresher:
    """One daemon thread; a database that is away leaves the rulebook as it is."""

    def __init__(self, rulebook: Rulebook) -> None:
        self._rulebook = rulebook
        self._wake, self._stopping = threading.Event(), threading.Event()
        self.loaded = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rulebook", daemon=True)

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def wake(self) -> None:
        """Read now: somebody has decided something."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self._rulebook.replace(decisions.in_force())
                self.loaded.set()
            except (OperationalError, InterfaceError) as error:
                logger.warning("the error decisions cannot be read (%s); those known stay", type(error).__name__)
                connection.close()
            self._wake.wait(POLL_SECONDS)
        connection.close()
