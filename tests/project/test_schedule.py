"""The schedule: one run per slot however many schedulers, failures on record, and real workers that do the jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import getcontext
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from django.conf import settings
from django.db import connection

from project import maintenance, schedule
from project.celery import app
from project.lib.models import FeedEntry, ScheduleSlot
from tests.reconciliation import builders
from venues.models import RawFrame, Snapshot, StreamSession

ROOT = Path(__file__).resolve().parents[2]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
START_SECONDS, STOP_SECONDS = 40, 3


def test_slots_begin_at_multiples_of_the_period() -> None:
    assert schedule.slot_of(5, NOON + timedelta(seconds=4.999)) == NOON
    assert schedule.slot_of(5, NOON + timedelta(seconds=5)) == NOON + timedelta(seconds=5)


@pytest.mark.django_db(transaction=True)
def test_racing_claims_give_one_winner_per_slot() -> None:
    slots, racers = 20, 3
    won: list[tuple[int, int]] = []
    barrier = threading.Barrier(racers)

    def race(racer: int) -> None:
        try:
            for number in range(slots):
                barrier.wait(timeout=30)
                if schedule.claim("job", 1, NOON + timedelta(seconds=number)):
                    won.append((number, racer))
        finally:
            connection.close()

    threads = [threading.Thread(target=race, args=(racer,)) for racer in range(racers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(number for number, _ in won) == list(range(slots))


@pytest.mark.django_db
def test_a_failing_job_is_recorded_redacted_and_tried_in_its_next_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("refused, api_key=CANARY-1234")

    monkeypatch.setitem(schedule.JOBS, "failing", schedule.Job(seconds=3600, function=fail))
    assert schedule.perform("failing") is True
    row = ScheduleSlot.objects.get()
    assert row.error == "RuntimeError: refused, api_key=[redacted]"
    assert row.finished_at is not None
    assert schedule.perform("failing") is False  # the slot is taken, by whomever


@pytest.mark.django_db
def test_every_job_of_the_table_runs_on_empty_books() -> None:
    for name in schedule.JOBS:
        assert schedule.perform(name)
    assert set(ScheduleSlot.objects.values_list("job", "error")) == {(name, "") for name in schedule.JOBS}


@pytest.mark.django_db
def test_retention_keeps_the_newest_and_what_a_break_refers_to() -> None:
    owner = builders.account()
    days = 86_400
    old = [builders.snapshot(owner, "balances", [], seconds_ago=seconds * days) for seconds in (4, 3, 2)]
    kept = builders.snapshot(owner, "balances", [], seconds_ago=60)
    lonely = builders.snapshot(owner, "fills", [], seconds_ago=9 * days)
    owner.breaks.create(kind="balance", subject="BTC", fingerprint="f", snapshot=old[1])
    RawFrame.objects.create(channel="stream", body="old", received_at=builders.ago(15 * days))
    RawFrame.objects.create(channel="stream", body="new")
    for ended_at in (builders.ago(31 * days), builders.ago(days), None):
        StreamSession.objects.create(account=owner, kind="private", connected_at=builders.ago(32 * days), ended_at=ended_at,
                                     seen_at=builders.ago(60))  # fmt: skip
    FeedEntry.objects.create(seq=1, topic="orders", kind="k", object_id="1", at=builders.ago(31 * days))
    ScheduleSlot.objects.create(job="j", slot_at=builders.ago(2 * days))
    gone = maintenance.prune()
    assert gone == {
        "raw_frames": 1, "stream_sessions": 1, "feed": 1, "slots": 1, "health": 0, "runs": 0, "snapshots": 2,
    }  # fmt: skip
    assert set(Snapshot.objects.all()) == {old[1], kept, lonely}
    assert RawFrame.objects.get().body == "new"
    assert StreamSession.objects.count() == 2


def test_celery_carries_json_reminders_and_loses_none_of_its_settings() -> None:
    wanted = {
        "accept_content": ["json"], "task_serializer": "json", "task_ignore_result": True, "task_acks_late": True,
        "task_reject_on_worker_lost": True, "worker_prefetch_multiplier": 1, "worker_soft_shutdown_timeout": 20,
        "worker_enable_soft_shutdown_on_idle": True, "worker_cancel_long_running_tasks_on_connection_loss": True,
    }  # fmt: skip
    assert {name: app.conf[name] for name in wanted} == wanted
    assert {entry["args"][0] for entry in app.conf.beat_schedule.values()} == set(schedule.JOBS)
    assert max(entry["schedule"] for entry in app.conf.beat_schedule.values()) <= schedule.ASK_SECONDS_MAX
    precisions: list[int] = []
    thread = threading.Thread(target=lambda: precisions.append(getcontext().prec))
    thread.start()
    thread.join()
    assert precisions == [60]


def commands() -> list[list[str]]:
    if settings.BROKER_URL.startswith("memory"):
        return [[sys.executable, "manage.py", "run_worker"]]
    celery = [str(Path(sys.executable).with_name("celery")), "--app", "project.celery"]
    worker = [*celery, "worker", "--pool", "threads", "--concurrency", "2", "--without-gossip", "--without-mingle"]
    beat = [*celery, "beat", "--pidfile="]
    return [worker, beat, beat, [sys.executable, "manage.py", "run_worker"]]


@pytest.fixture
def roles(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    started = []
    for number, command in enumerate(commands()):
        with (tmp_path / f"{number}.log").open("wb") as log:
            environment = {
                **os.environ, "DATABASE_URL": database_url(), "SECRET_KEY": "for-this-test", "ROLE": "worker",
                "GAPLESS_RECONCILIATION_SECONDS": "2",
            }  # fmt: skip
            started.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.mark.broker
@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_real_workers_do_every_frequent_job_once_per_slot(roles: list[subprocess.Popen[bytes]], tmp_path: Path) -> None:
    frequent = {name for name, job in schedule.JOBS.items() if job.seconds <= 10}

    def done() -> bool:
        assert all(process.poll() is None for process in roles), logs(tmp_path)
        finished = ScheduleSlot.objects.filter(finished_at__isnull=False, error="")
        return (
            frequent <= set(finished.values_list("job", flat=True))
            and finished.filter(job__contains="advance").count() > 4
        )

    wait_for(done, START_SECONDS, lambda: logs(tmp_path))
    assert not ScheduleSlot.objects.exclude(error="").exists()
    embedded = roles[-1]
    embedded.send_signal(signal.SIGTERM)
    assert embedded.wait(STOP_SECONDS) == 0
    assert "worker stopped" in logs(tmp_path)


def database_url() -> str:
    database = connection.settings_dict
    user = f"{quote(database['USER'], safe='')}:{quote(database['PASSWORD'], safe='')}"
    return f"postgres://{user}@/{database['NAME']}?" + urlencode({"host": database["HOST"], "port": database["PORT"]})


def logs(folder: Path) -> str:
    return "\n".join(path.read_text()[-3000:] for path in sorted(folder.glob("*.log")))


def wait_for(fact: Callable[[], bool], seconds: float, otherwise: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.2)
