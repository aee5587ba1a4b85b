"""The feed: one gapless sequence of committed facts, and the wake-up signals that follow a commit."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connection
from django.db.transaction import atomic

from project.lib import clock
from project.lib.models import FeedCounter, FeedEntry

logger = logging.getLogger(__name__)
Given = ParamSpec("Given")
Result = TypeVar("Result")
RETRIED_SQLSTATES = {"40P01", "40001"}
FEED_CHANNEL = "gapless_feed"
WORK_CHANNEL = "gapless_work"


class _Pending(threading.local):
    def __init__(self) -> None:
        self.depth = 0
        self.entries: list[FeedEntry] = []
        self.wakes: set[str] = set()


_pending = _Pending()


@contextmanager
def transaction() -> Iterator[None]:
    """Run a block as one transaction whose announced facts get their feed numbers last.

    Nested use becomes a savepoint. The NOTIFY is sent after the commit, never inside it.
    """
    outermost = _pending.depth == 0
    mark = len(_pending.entries)
    _pending.depth += 1
    last = 0
    try:
        with atomic():
            yield
            if outermost and _pending.entries:
                last = _number(_pending.entries)
    except BaseException:
        del _pending.entries[mark:]
        if outermost:
            _pending.wakes.clear()
        raise
    finally:
        _pending.depth -= 1
    if outermost:
        wakes = sorted(_pending.wakes)
        _pending.entries.clear()
        _pending.wakes.clear()
        try:
            _notify(last, wakes)
        except (
            OperationalError,
            InterfaceError,
        ):  # committed is committed: who raised now would be asked to do it twice
            logger.warning("the database was lost after a commit; readers find its facts by polling")


def retried(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Run a writing function again, three times at most, when PostgreSQL ended its transaction to break a deadlock."""

    @functools.wraps(function)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        for left in (2, 1, 0):
            try:
                return function(*args, **kwargs)
            except OperationalError as error:
                if _pending.depth or not left or getattr(error.__cause__, "sqlstate", "") not in RETRIED_SQLSTATES:
                    raise
        raise AssertionError("unreachable")

    return run


def announce(
    topic: str, kind: str, object_id: object, *, account: str = "", data: dict[str, Any] | None = None
) -> None:
    """Add a fact to the current feed transaction. Raises RuntimeError outside of one."""
    if _pending.depth == 0:
        raise RuntimeError("announce() belongs inside feed.transaction()")
    name = str(object_id)[:160]  # a poke for readers; a name too long for its column must never undo the fact it names
    _pending.entries.append(
        FeedEntry(topic=topic, kind=kind, object_id=name, account=account, data=data or {}, at=clock.now())
    )


def wake(account: str) -> None:
    """Wake the executor that owns the account once the current transaction is committed."""
    _pending.wakes.add(account)


def head() -> int:
    """Return the sequence number of the newest visible fact."""
    return FeedCounter.objects.filter(id=1).values_list("value", flat=True).first() or 0


def _number(entries: list[FeedEntry]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO lib_feedcounter (id, value) VALUES (1, %s) "
            "ON CONFLICT (id) DO UPDATE SET value = lib_feedcounter.value + EXCLUDED.value RETURNING value",
            [len(entries)],
        )
        last = int(cursor.fetchone()[0])
    for seq, entry in enumerate(entries, start=last - len(entries) + 1):
        entry.seq = seq
    FeedEntry.objects.bulk_create(entries)
    return last


def _notify(last: int, wakes: list[str]) -> None:
    if not last and not wakes:
        return
    with connection.cursor() as cursor:
        if last:
            cursor.execute("SELECT pg_notify(%s, %s)", [FEED_CHANNEL, str(last)])
        for account in wakes:
            cursor.execute("SELECT pg_notify(%s, %s)", [WORK_CHANNEL, account])
