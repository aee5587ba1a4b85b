"""Read as of one moment: what a proof compares must not move while it reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.transaction import atomic


@contextmanager
def one_moment() -> Iterator[None]:
    """Run a block of reads on one snapshot of the database; inside another transaction that one's rules hold."""
    if connection.in_atomic_block:
        yield
        return
    with atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
