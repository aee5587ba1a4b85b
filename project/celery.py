"""Roles worker and beat: the Celery app. It carries reminders only; every job's truth is a row."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import django
from celery import Celery, signals

if sys.argv[0].endswith("celery"):
    os.environ.setdefault("ROLE", "beat" if "beat" in sys.argv else "worker")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")  # they import every page; a worker serves none
django.setup()

from django.conf import settings  # noqa: E402  the app registry must be ready before the jobs are imported

from project import schedule  # noqa: E402
from project.prompting import Prompting  # noqa: E402

TASK = "project.perform"
TRANSPORT_OPTIONS: dict[str, dict[str, Any]] = {
    "memory": {"polling_interval": 0.05},
    "redis": {
        "visibility_timeout": 60,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 10,
    },
}
QUIET_LOGGERS = ("celery.worker.strategy", "celery.app.trace", "celery.beat", "kombu")

app = Celery("gapless", include=["project.tasks"])
app.conf.update(
    broker_url="memory://localhost//" if settings.BROKER_URL == "memory://" else settings.BROKER_URL,
    broker_transport_options=TRANSPORT_OPTIONS.get(settings.BROKER_URL.partition(":")[0].removesuffix("s"), {}),
    broker_connection_retry_on_startup=True,
    accept_content=["json"],
    task_serializer="json",
    event_serializer="json",
    result_serializer="json",
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_default_queue="gapless",
    worker_prefetch_multiplier=1,
    worker_soft_shutdown_timeout=20,
    worker_enable_soft_shutdown_on_idle=True,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    timezone="UTC",
    beat_scheduler="celery.beat:Scheduler",  # in memory: what is due is a question to the slot rows
    beat_max_loop_interval=1,
    beat_schedule={
        name: {
            "task": TASK,
            "args": [name],
            "schedule": min(job.seconds, schedule.ASK_SECONDS_MAX),
            "options": {"expires": 2 * min(job.seconds, schedule.ASK_SECONDS_MAX)},
        }
        for name, job in schedule.JOBS.items()
    },
)
app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000  # tasks keep their connection and check it themselves
for name in QUIET_LOGGERS:
    logging.getLogger(name).setLevel(logging.WARNING)


@signals.setup_logging.connect(weak=False)
def keep_our_logging(**_: object) -> None:
    """Leave logging as the settings made it; Celery would replace the handlers that redact."""


@signals.worker_ready.connect(weak=False)
def compare_at_once(**_: object) -> None:
    """Look as soon as there is something to compare; beat only reminds."""
    Prompting().start()
