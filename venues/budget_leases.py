"""Limits shared between processes, through the database: each asks for a part for some seconds; all parts fit the limit.

No moment exists at which the parts of all processes exceed the limit: a part shrinks before it is reported as smaller, grows
only into what nobody holds, and outlives its lease by a window. One lock orders all processes; a request never comes here.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from django.db import connection, transaction

from project.lib import clock, sql
from venues.budgets import Ask, Grant, Halted, Pool, answer
from venues.ratelimit import LEASE_SECONDS

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
RENEW_SECONDS = 2.0
SPACING_SECONDS = 0.1
HURRIED_SECONDS = 0.5  # while somebody waits
FLIGHT_SECONDS = 20.0  # how long a request of a process that is gone may still be under way
_LOCK = 7_201_004
_OTHERS = (
    'SELECT "group", bucket, granted, wanted, expires_at > clock_timestamp() FROM venues_budgetshare WHERE is_shared '
    'AND holder <> %s AND "group" = ANY(%s) '
    "AND expires_at + make_interval(secs => per_seconds + %s) > clock_timestamp()"
)
_SHARE = (
    'INSERT INTO venues_budgetshare ("group", bucket, account, capacity, per_seconds, is_shared, granted, wanted, used, '
    "waiting, waited_ms, holder, renewed_at, expires_at) SELECT v.*, %s, clock_timestamp(), "
    "clock_timestamp() + make_interval(secs => %s) FROM unnest(%s::text[], %s::text[], %s::text[], %s::float[], "
    "%s::float[], %s::bool[], %s::float[], %s::float[], %s::float[], %s::int[], %s::float[]) AS v "
    'ON CONFLICT ("group", bucket, holder) DO UPDATE SET account = EXCLUDED.account, capacity = EXCLUDED.capacity, '
    "per_seconds = EXCLUDED.per_seconds, is_shared = EXCLUDED.is_shared, granted = EXCLUDED.granted, "
    "wanted = EXCLUDED.wanted, used = EXCLUDED.used, waiting = EXCLUDED.waiting, waited_ms = EXCLUDED.waited_ms, "
    "renewed_at = EXCLUDED.renewed_at, expires_at = EXCLUDED.expires_at"
)
_STOP = (
    'INSERT INTO venues_ratestop AS s ("group", until_at, reason, noted_at) VALUES (%s, clock_timestamp() + '
    'make_interval(secs => %s), %s, clock_timestamp()) ON CONFLICT ("group") DO UPDATE SET '
    "until_at = greatest(s.until_at, EXCLUDED.until_at), reason = EXCLUDED.reason, noted_at = EXCLUDED.noted_at"
)
_STOPS = (
    'SELECT "group", extract(epoch FROM until_at - clock_timestamp())::float, reason FROM venues_ratestop '
    'WHERE "group" = ANY(%s) AND until_at > clock_timestamp()'
)
_FORGET = (
    "DELETE FROM venues_budgetshare WHERE expires_at + make_interval(secs => per_seconds + %s) < clock_timestamp()"
)
Grants = dict[tuple[str, str], Grant]


def renew(
    holder: str,
    asks: Sequence[Ask],
    groups: Sequence[str],
    stopped: Sequence[Halted],
    lease_seconds: float = LEASE_SECONDS,
) -> tuple[Grants, list[Halted]]:
    """Store what a process wants, and return what it gets, and the venue's stops for these groups. One transaction."""
    before = clock.monotonic_seconds()  # read before the lease begins: we never use it longer than others believe
    with transaction.atomic():
        sql.run("SELECT pg_advisory_xact_lock(%s)", _LOCK)
        for halted in stopped:
            sql.run(_STOP, halted.group, halted.seconds, halted.reason[:200])
        shared = sorted({ask.group for ask in asks if ask.is_shared})
        held: dict[tuple[str, str], float] = {}
        wanting: dict[tuple[str, str], list[bool]] = {}
        for group, bucket, granted, wanted, is_live in sql.rows(_OTHERS, holder, shared, FLIGHT_SECONDS):
            held[group, bucket] = held.get((group, bucket), 0.0) + granted
            if is_live:
                wanting.setdefault((group, bucket), []).append(wanted > granted + 1e-6)
        grants = {}
        for ask in asks:
            key = (ask.group, ask.bucket)
            grants[key] = answer(ask, held.get(key, 0.0), wanting.get(key, []), before + lease_seconds)
        _store(holder, asks, grants, lease_seconds)
        found = [Halted(group=row[0], seconds=row[1], reason=row[2]) for row in sql.rows(_STOPS, list(groups))]
    return grants, found


def release(holder: str, asks: Sequence[Ask]) -> None:
    """Give every share of a process back but for what it has used, which comes free when its window is over."""
    with transaction.atomic():
        sql.run("SELECT pg_advisory_xact_lock(%s)", _LOCK)
        _store(holder, asks, {(ask.group, ask.bucket): Grant(granted=ask.used, until=0.0) for ask in asks}, 0.0)
        sql.run(_FORGET, FLIGHT_SECONDS)


class Renewing:
    """Renews the shares of one process, in a thread and on a connection of its own."""

    def __init__(self, holder: str, pool: Pool) -> None:
        self._holder, self._pool = holder[:120], pool
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="budgets")

    async def run(self) -> None:
        """Run until cancelled. Without the database shared limits run out, and nothing is sent that is not granted."""
        while True:
            self._pool.wanted.clear()
            stopped = list(self._pool.stopped)
            asks, groups = self._pool.asks(), self._pool.groups()
            try:
                if groups:
                    grants, stops = await self._aside(partial(renew, self._holder, asks, groups, stopped))
                    del self._pool.stopped[: len(stopped)]
                    self._pool.take(grants, stops)
            except Exception as error:
                logger.warning("rate budgets could not be renewed (%s); shared limits run out", type(error).__name__)
            await asyncio.sleep(SPACING_SECONDS)
            pause = HURRIED_SECONDS if any(ask.waiting for ask in asks) else RENEW_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause - SPACING_SECONDS):
                    await self._pool.wanted.wait()

    async def close(self) -> None:
        """Give the shares back."""
        asks = self._pool.asks()
        with contextlib.suppress(Exception):
            await self._aside(lambda: release(self._holder, asks))
        self._thread.shutdown(wait=False)

    async def _aside(self, function: Callable[[], Result]) -> Result:
        def run() -> Result:
            try:
                return function()
            except Exception:
                connection.close()
                raise

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)


def _store(holder: str, asks: Sequence[Ask], grants: Grants, lease_seconds: float) -> None:
    rows = [
        (ask.group, ask.bucket, ask.account, ask.capacity, ask.per_seconds, ask.is_shared,
         grants[ask.group, ask.bucket].granted, ask.wanted, ask.used, ask.waiting, ask.waited_ms)
        for ask in asks
    ]  # fmt: skip
    if rows:
        sql.run(_SHARE, holder, lease_seconds, *(list(column) for column in zip(*rows, strict=True)))
