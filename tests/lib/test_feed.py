"""The feed: numbers in the order in which they become visible, nothing from what was rolled back, signals after the commit."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from project.lib import feed, notify
from project.lib.models import FeedEntry
from tests.orders.scene import in_threads


def announced() -> list[str]:
    return list(FeedEntry.objects.order_by("seq").values_list("object_id", flat=True))


@pytest.mark.django_db
def test_an_announcement_belongs_inside_a_transaction() -> None:
    with pytest.raises(RuntimeError, match=r"inside feed.transaction"):
        feed.announce("orders", "x", 1)


@pytest.mark.django_db
def test_a_rollback_drops_its_announcements() -> None:
    with pytest.raises(ZeroDivisionError), feed.transaction():
        feed.announce("orders", "x", "lost")
        raise ZeroDivisionError
    with feed.transaction():
        feed.announce("orders", "x", "kept")
    assert announced() == ["kept"] and feed.head() == FeedEntry.objects.get().seq


@pytest.mark.django_db
def test_a_nested_rollback_drops_only_its_own() -> None:
    with feed.transaction():
        feed.announce("orders", "x", "before")
        with pytest.raises(ZeroDivisionError), feed.transaction():
            feed.announce("orders", "x", "lost")
            raise ZeroDivisionError
        with feed.transaction():
            feed.announce("orders", "x", "inside")
        feed.announce("orders", "x", "after")
        assert not FeedEntry.objects.exists()
    assert announced() == ["before", "inside", "after"]


@pytest.mark.django_db(transaction=True)
def test_a_reader_that_polls_misses_none() -> None:
    writers, each = 8, 25
    finished, seen = threading.Event(), []

    def read() -> list[int]:
        last = 0
        while True:
            is_last_look = finished.is_set()
            for seq in FeedEntry.objects.filter(seq__gt=last).order_by("seq").values_list("seq", flat=True):
                seen.append(seq)
                last = seq
            if is_last_look:
                return seen

    left = threading.Semaphore(0)

    def work(number: int) -> Any:
        if number == writers:
            for _ in range(writers):
                left.acquire(timeout=60)
            finished.set()
            return None
        if number > writers:
            return read()
        for count in range(each):
            with feed.transaction():
                feed.announce("orders", "x", f"{number}-{count}")
                feed.announce("orders", "y", f"{number}-{count}")
        left.release()
        return None

    in_threads(writers + 2, work)
    assert seen == list(range(1, writers * each * 2 + 1))


@pytest.mark.django_db(transaction=True)
def test_a_listener_hears_of_a_commit_after_it() -> None:
    heard: list[tuple[str, str, bool]] = []
    there = threading.Event()

    def hear(channel: str, payload: str) -> None:
        if payload:
            heard.append((channel, payload, FeedEntry.objects.exists()))
            connection.close()
        if not payload or len(heard) == 2:
            there.set()

    listener = notify.Listener([feed.FEED_CHANNEL, feed.WORK_CHANNEL], hear)
    listener.start()
    assert there.wait(10)
    there.clear()
    with feed.transaction():
        feed.announce("orders", "x", 1)
        feed.wake("main")
    assert there.wait(10)
    listener.stop()
    listener._thread.join(10)
    assert heard == [(feed.FEED_CHANNEL, "news", True), (feed.WORK_CHANNEL, "main", True)]


@pytest.mark.django_db(transaction=True)
def test_a_connection_lost_after_the_commit_is_not_a_failure() -> None:
    def lose_it() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()[0]
        in_threads(1, lambda _: terminate(pid))

    with feed.transaction():
        feed.announce("orders", "x", "committed")
        transaction.on_commit(lose_it)
    connection.close()
    assert announced() == ["committed"]


def terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        assert cursor.fetchone() == (True,)
