"""One owner per account: a lease with an epoch, in the database's time for others, in monotonic time for the owner."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection

from project.lib import clock

MARGIN_SECONDS = 1.0


@dataclass
class Lease:
    """The right to talk to one account's venue until a monotonic deadline."""

    account: str
    epoch: int
    deadline: float
    nonce_floor: int

    def left_seconds(self) -> float:
        """Return how long requests may still be stamped for; negative when the lease is gone."""
        return self.deadline - clock.monotonic_seconds() - MARGIN_SECONDS


def holder_name() -> str:
    """Name this process so that another on the same machine can tell whether it still lives."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started_at(os.getpid())}"


def acquire(holder: str, lease_seconds: float) -> list[Lease]:
    """Take every account nobody holds. The epoch rises with each change of owner."""
    before = clock.monotonic_seconds()
    with connection.cursor() as cursor:
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
            "RETURNING account_id, epoch, nonce_floor",
            [holder, settings.VERSION, lease_seconds],
        )
        return [Lease(code, epoch, before + lease_seconds, floor) for code, epoch, floor in cursor.fetchall()]


def renew(holder: str, leases: Mapping[str, Lease], nonce_floors: Mapping[str, int], lease_seconds: float) -> set[str]:
    """Extend the leases still ours and keep their nonce floors; return the codes of those that were extended."""
    kept = set()
    for code, lease in leases.items():
        before = clock.monotonic_seconds()  # read before the renewal: our deadline is never later than the database's
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orders_accountlease SET renewed_at = clock_timestamp(), "
                "expires_at = clock_timestamp() + make_interval(secs => %s), nonce_floor = greatest(nonce_floor, %s) "
                "WHERE account_id = %s AND holder = %s AND epoch = %s AND expires_at > clock_timestamp()",
                [lease_seconds, nonce_floors.get(code, 0), code, holder, lease.epoch],
            )
            if cursor.rowcount:
                lease.deadline = before + lease_seconds
                kept.add(code)
    return kept


def release(holder: str, nonce_floors: Mapping[str, int]) -> None:
    """Give back every lease of a holder at once."""
    with connection.cursor() as cursor:
        for code, floor in nonce_floors.items():
            cursor.execute(
                "UPDATE orders_accountlease SET nonce_floor = greatest(nonce_floor, %s) WHERE account_id = %s AND holder = %s",
                [floor, code, holder],
            )
        cursor.execute("UPDATE orders_accountlease SET expires_at = clock_timestamp() WHERE holder = %s", [holder])


def is_held(account: str, epoch: int) -> bool:
    """Say, inside a transaction, whether the database still agrees that this epoch owns the account."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM orders_accountlease WHERE account_id = %s AND epoch = %s AND expires_at > clock_timestamp()",
            [account, epoch],
        )
        return cursor.fetchone() is not None


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


def _started_at(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "gone"
