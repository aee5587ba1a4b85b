"""Role worker of the embedded default: a Celery worker and its scheduler as threads of one process."""

from __future__ import annotations

import logging
import os
import signal
import threading
from types import FrameType

from celery.beat import EmbeddedService, Scheduler
from celery.worker import WorkController
from django.core.management.base import BaseCommand

from project.celery import app
from project.prompting import Prompting

logger = logging.getLogger(__name__)
CONCURRENCY = 2
STOP_SECONDS = 2.0


class Command(BaseCommand):
    help = "Run the worker with the scheduler inside; stop it with SIGTERM or Ctrl-C."
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: object) -> None:
        """Run until asked to stop; exits 1 when the worker ends by itself."""
        asked = threading.Event()

        def ask(number: int, frame: FrameType | None) -> None:
            asked.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ask)
        worker = WorkController(
            app=app, pool_cls="threads", concurrency=CONCURRENCY, hostname=f"gapless-{os.getpid()}@localhost",
            without_heartbeat=True, without_mingle=True, without_gossip=True, loglevel="WARNING",
        )  # fmt: skip
        beat = EmbeddedService(app, thread=True, scheduler_cls=Scheduler)
        runner = threading.Thread(target=worker.start, name="celery-worker", daemon=True)
        runner.start()
        beat.start()
        prompting = Prompting()
        prompting.start()
        logger.info("worker ready: %s threads, broker %s", CONCURRENCY, app.connection().transport_cls)
        while not asked.wait(1.0) and runner.is_alive():
            pass
        prompting.stop()
        code = 0 if asked.is_set() else 1
        stopper = threading.Thread(target=_stop, args=(beat, worker, runner), daemon=True)
        stopper.start()
        stopper.join(STOP_SECONDS)
        logger.info(
            "worker stopped%s", "" if not stopper.is_alive() else " before a job had ended; its next slot redoes it"
        )
        logging.shutdown()
        os._exit(code)  # what is still running only repeats work; its transaction rolls back


def _stop(beat: threading.Thread, worker: WorkController, runner: threading.Thread) -> None:
    beat.stop()  # type: ignore[attr-defined]
    worker.stop()
    runner.join()
