"""One owner per account: a lease with an epoch, in the database's time for others, in monotonic time for the owner."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from django.db import connection, transaction

from orders.ports import Lease
from project.lib import build, clock

Result = TypeVar("Result")
_ACQUIRE_LOCK = 7_201_002


def holder_name() -> str:
    """Name this process so that another on the same machine can tell whether it still lives."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started_at(os.getpid())}"


def acquire(holder: str, lease_seconds: float, build_name: str | None = None) -> list[Lease]:
    """Take every account nobody holds. The epoch rises with each change of owner.

    Nothing is taken while a process of another build holds any lease: two versions of the rules never trade at once.
    """
    name = build_name or build.fingerprint()
    before = clock.monotonic_seconds()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ACQUIRE_LOCK])  # or two builds could begin side by side
        cursor.execute(
            "INSERT INTO orders_accountlease (account_id, holder, epoch, nonce_floor, build) "
            "SELECT code, '', 0, 0, '' FROM venues_account a "
            "WHERE NOT EXISTS (SELECT 1 FROM orders_accountlease l WHERE l.account_id = a.code) ON CONFLICT DO NOTHING"
        )
        cursor.execute(
            "UPDATE orders_accountlease SET holder = %s, epoch = epoch + 1, build = %s, renewed_at = clock_timestamp(), "
            "expires_at = clock_timestamp() + make_interval(secs => %s) "
            "WHERE account_id IN (SELECT account_id FROM orders_accountlease "
            "WHERE expires_at IS NULL OR expires_at < clock_timestamp() FOR UPDATE SKIP LOCKED) "
            "AND NOT EXISTS (SELECT 1 FROM orders_accountlease WHERE expires_at > clock_timestamp() AND build <> %s) "
            "RETURNING account_id, epoch, nonce_floor",
            [holder, name, lease_seconds, name],
        )
        return [Lease(code, epoch, before + lease_seconds, floor) for code, epoch, floor in cursor.fetchall()]


def claim(holder: str, account: str, lease_seconds: float) -> Lease | None:
    """Take one account that nobody holds, for work outside of the order path; None while somebody holds it."""
    before = clock.monotonic_seconds()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orders_accountlease AS l (account_id, holder, epoch, nonce_floor, build, renewed_at, expires_at) "
            "VALUES (%s, %s, 1, 0, %s, clock_timestamp(), clock_timestamp() + make_interval(secs => %s)) "
            "ON CONFLICT (account_id) DO UPDATE SET holder = EXCLUDED.holder, epoch = l.epoch + 1, build = EXCLUDED.build, "
            "renewed_at = EXCLUDED.renewed_at, expires_at = EXCLUDED.expires_at "
            "WHERE l.expires_at IS NULL OR l.expires_at < clock_timestamp() RETURNING epoch, nonce_floor",
            [account, holder, build.fingerprint(), lease_seconds],
        )
        taken = cursor.fetchone()
    return Lease(account, taken[0], before + lease_seconds, taken[1]) if taken else None


def renew(holder: str, leases: Mapping[str, Lease], nonce_floors: Mapping[str, int], lease_seconds: float) -> set[str]:
    """Extend the leases still ours and keep their nonce floors; return the codes of those that were extended."""
    if not leases:
        return set()
    before = clock.monotonic_seconds()  # read before the renewal: our deadline is never later than the database's
    codes = sorted(leases)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orders_accountlease l SET renewed_at = clock_timestamp(), "
            "expires_at = clock_timestamp() + make_interval(secs => %s), nonce_floor = greatest(nonce_floor, v.floor) "
            "FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) AS v(account, epoch, floor) "
            "WHERE l.account_id = v.account AND l.holder = %s AND l.epoch = v.epoch AND l.expires_at > clock_timestamp() "
            "RETURNING l.account_id",
            [
                lease_seconds, codes, [leases[code].epoch for code in codes],
                [nonce_floors.get(code, 0) for code in codes], holder,
            ],
        )  # fmt: skip
        kept = {code for (code,) in cursor.fetchall()}
    for code in kept:
        leases[code].deadline = before + lease_seconds
    return kept


def release(holder: str, nonce_floors: Mapping[str, int]) -> None:
    """Give back every lease of a holder at once."""
    with connection.cursor() as cursor:
        for code, floor in sorted(nonce_floors.items()):
            cursor.execute(
                "UPDATE orders_accountlease SET nonce_floor = greatest(nonce_floor, %s) WHERE account_id = %s AND holder = %s",
                [floor, code, holder],
            )
        cursor.execute("UPDATE orders_accountlease SET expires_at = clock_timestamp() WHERE holder = %s", [holder])


def release_dead_holders() -> int:
    """End the leases of processes of this machine that no longer live. Returns how many leases were ended."""
    ended = 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT holder FROM orders_accountlease WHERE expires_at > clock_timestamp()")
        for (holder,) in cursor.fetchall():
            host, _, rest = holder.partition(":")
            pid, _, started = rest.partition(":")
            if host == socket.gethostname() and pid.isdigit() and _started_at(int(pid)) != started:
                cursor.execute(
                    "UPDATE orders_accountlease SET expires_at = clock_timestamp() WHERE holder = %s", [holder]
                )
                ended += cursor.rowcount
    return ended


class ThreadLeases:
    """The leases of one executor, in a thread and on a connection of their own: a long batch must not cost a lease."""

    def __init__(self, lease_seconds: float) -> None:
        self._holder, self._seconds = holder_name(), lease_seconds
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="leases")

    async def renew_and_acquire(
        self, held: Mapping[str, Lease], nonce_floors: Mapping[str, int]
    ) -> tuple[set[str], list[Lease]]:
        """Extend the leases held, take those nobody holds; return the codes extended and the fresh leases."""
        return await self._run(
            lambda: (renew(self._holder, held, nonce_floors, self._seconds), acquire(self._holder, self._seconds))
        )

    async def release(self, nonce_floors: Mapping[str, int]) -> None:
        """Give back every lease of this executor, and end the thread."""
        await self._run(lambda: release(self._holder, nonce_floors))
        self._thread.shutdown(wait=False)

    async def _run(self, function: Callable[[], Result]) -> Result:
        def run() -> Result:
            try:
                return function()
            except Exception:
                connection.close()
                raise

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)


def _started_at(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "gone"
