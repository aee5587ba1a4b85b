"""Listen to PostgreSQL's NOTIFY in one thread; a missed signal only costs the time until the next poll."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import psycopg
from django.db import connections
from psycopg import sql

logger = logging.getLogger(__name__)
RECONNECT_SECONDS = 1.0


class Listener:
    """Call back (channel, payload) for each notification; after a reconnect once per channel with an empty payload."""

    def __init__(self, channels: Sequence[str], callback: Callable[[str, str], None]) -> None:
        self._channels = channels
        self._callback = callback
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notify-listener", daemon=True)

    def start(self) -> None:
        """Start listening in a daemon thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; it does within a second."""
        self._stop.set()

    def _run(self) -> None:
        parameters = connections["default"].get_connection_params()
        for key in ("cursor_factory", "context", "prepare_threshold"):
            parameters.pop(key, None)
        while not self._stop.is_set():
            try:
                with psycopg.connect(**parameters, autocommit=True) as link:
                    for channel in self._channels:
                        link.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                    self._wake_all()
                    while not self._stop.is_set():
                        for notification in link.notifies(timeout=1.0):
                            self._callback(notification.channel, notification.payload)
            except psycopg.Error:
                logger.warning("notify listener lost its connection; polling carries on until it is back")
                self._stop.wait(RECONNECT_SECONDS)

    def _wake_all(self) -> None:
        for channel in self._channels:
            self._callback(channel, "")
