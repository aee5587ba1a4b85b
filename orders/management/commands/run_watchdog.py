"""Role watchdog: reads the log, never the executor's memory."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from orders import watchdog


class Command(BaseCommand):
    help = "Compare orders out with orders in and halt an account on a breach."

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        watchdog.run(stopping)
