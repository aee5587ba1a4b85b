"""The feed: one gapless sequence of committed facts, and the wake-up signals that follow a commit."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError
from django.db.transaction import atomic

from project.lib import clock, sql
from project.lib.models import FeedCounter

logger = logging.getLogger(__name__)
Given = ParamSpec("Given")
Result = TypeVar("Result")
RETRIED_SQLSTATES = {"40P01", "40001"}
FEED_CHANNEL = "gapless_feed"
WORK_CHANNEL = "gapless_work"
COMPARE_CHANNEL = "gapless_compare"
_COMPARE = "@compare"  # among the accounts to wake: no account has such a code
_NOTIFY = "SELECT pg_notify($1, $2)"


_ENTRIES = sql.table(
    "lib_feedentry", at="timestamptz", topic="text", kind="text", object_id="text", account="text", data="jsonb"
)
_NUMBERING = (
    "WITH counter AS (INSERT INTO lib_feedcounter (id, value) VALUES (1, $1::bigint) ON CONFLICT (id) DO UPDATE "
    "SET value = lib_feedcounter.value + EXCLUDED.value RETURNING value - $1::bigint AS base) "
    f"INSERT INTO lib_feedentry (seq, {_ENTRIES.read()}) SELECT counter.base + v.number, {_ENTRIES.chosen()} "
    f"FROM counter, {_ENTRIES.unnested(first=2, ordinal='number')}"
)


@dataclass(frozen=True, slots=True)
class _Entry:
    at: datetime
    topic: str
    kind: str
    object_id: str
    account: str
    data: dict[str, Any]


class _Pending(threading.local):
    def __init__(self) -> None:
        self.depth = 0
        self.is_numbered = False
        self.entries: list[_Entry] = []
        self.wakes: set[str] = set()


_pending = _Pending()


@dataclass
class Signals:
    """What a committed transaction has to tell: whether there is news in the feed, and the accounts to wake."""

    has_news: bool = False
    wakes: frozenset[str] = frozenset()

    def also(self, other: Signals) -> None:
        """Take another transaction's signals along."""
        self.has_news, self.wakes = self.has_news or other.has_news, self.wakes | other.wakes


@contextmanager
def transaction(*, notify: bool = True, is_one_flush: bool = False) -> Iterator[Signals]:
    """Run a block as one transaction whose announced facts get their feed numbers last.

    Nested use becomes a savepoint. The signals go out after the commit, never inside it; with notify=False the caller
    sends them, by send(). With is_one_flush the block writes by a single sql.Flush that carries numbering() as its
    last statement, and that flush is the transaction.
    """
    outermost = _pending.depth == 0
    mark = len(_pending.entries)
    _pending.depth += 1
    signals = Signals()
    try:
        with nullcontext() if is_one_flush else atomic():
            yield signals
            if outermost and (numbering_left := numbering()) is not None:
                flush = sql.Flush()
                flush.add(*numbering_left)
                flush.send()
    except BaseException:
        del _pending.entries[mark:]
        if outermost:
            _pending.wakes.clear()
            _pending.is_numbered = False
        raise
    finally:
        _pending.depth -= 1
    if outermost:
        signals.has_news, signals.wakes = _pending.is_numbered, frozenset(_pending.wakes)
        _pending.entries.clear()
        _pending.wakes.clear()
        _pending.is_numbered = False
        if notify:
            send(signals)


def send(signals: Signals) -> None:
    """Signal what was committed: readers of the feed, and the owners of the accounts with work."""
    flush = sql.Flush()
    if signals.has_news:
        flush.add(_NOTIFY, [FEED_CHANNEL.encode(), b"news"])
    for account in sorted(signals.wakes):
        channel = COMPARE_CHANNEL if account == _COMPARE else WORK_CHANNEL
        flush.add(_NOTIFY, [channel.encode(), account.encode()])
    if not flush.statements:
        return
    try:
        flush.send()
    except (OperationalError, InterfaceError):
        # committed is committed: who raised now would be asked to do it twice
        logger.warning("the database was lost after a commit; readers find its facts by polling")


def numbering() -> tuple[str, list[bytes]] | None:
    """Return the statement that numbers and stores the facts announced so far, and forget them; None where there are none.

    It takes the feed's counter: nothing may be written after it in the same transaction.
    """
    entries = list(_pending.entries)
    if not entries or _pending.depth != 1:
        return None
    _pending.entries.clear()
    _pending.is_numbered = True
    return _NUMBERING, [str(len(entries)).encode(), *_ENTRIES.values(entries)]


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
        _Entry(at=clock.now(), topic=topic, kind=kind, object_id=name, account=account, data=data or {})
    )


def wake(account: str) -> None:
    """Wake the executor that owns the account once the current transaction is committed."""
    _pending.wakes.add(account)


def wake_comparison() -> None:
    """Wake the workers once the current transaction is committed: something was read or noted that they compare."""
    _pending.wakes.add(_COMPARE)


def head() -> int:
    """Return the sequence number of the newest visible fact."""
    return FeedCounter.objects.filter(id=1).values_list("value", flat=True).first() or 0
