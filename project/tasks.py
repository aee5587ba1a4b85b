"""The one Celery task: a reminder that a job's time may have come. The slot row decides, not the message."""

from __future__ import annotations

from celery import shared_task
from django.db import close_old_connections

from project import schedule


@shared_task(name="project.perform")
def perform(job: str) -> None:
    """Do the job if its slot is free."""
    close_old_connections()  # a connection that died with a database restart is replaced, not trusted
    schedule.perform(job)
