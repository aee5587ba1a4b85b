"""Fills compared by the million beside bare DuckDB and pandas; a clean day by digest; what history and digests cost."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pandas
import uvloop
from django.core.management import call_command
from django.db import connection

from bench import fills, ground, reports
from bench.desk import open_desk
from project.lib import clock, decimals, sql
from reconciliation import columnar, coverage, days, runs, sides
from reconciliation.models import Statement, StatementMapping
from tests.venues.paper.process import WorldHandle
from venues.models import Account, AccountStatus, Snapshot, Venue

COUNT, DIFFERENCES, ROUNDS = 1_000_000, 1_000, 9
SLOW_ROUNDS = 3
STORED = (10_000, 1_000_000)
RUN_ROUNDS, RUN_ROWS = 80, 240
BOOKED, BOOKED_ROUNDS = 8_000, 5
# What anybody would write first: the rows that differ, of two tables with the same columns.
BARE = """
SELECT o.venue_trade_id, t.venue_trade_id FROM ours o FULL JOIN theirs t
ON o.venue_trade_id = t.venue_trade_id AND o.symbol = t.symbol AND o.side = t.side
WHERE o.price IS DISTINCT FROM t.price OR o.quantity IS DISTINCT FROM t.quantity OR o.fee IS DISTINCT FROM t.fee
    OR o.fee_asset IS DISTINCT FROM t.fee_asset
"""
KEY = ["venue_trade_id", "symbol", "side"]
FIGURES = ["price", "quantity", "fee", "fee_asset"]


@dataclass(frozen=True)
class Month:
    """A month of fills of an account, a statement of it, and how many breaks of each kind are planted in that."""

    account: Account
    statement: Statement
    wanted: dict[str, int]


def run(prepared: ground.Ground, *, is_quick: bool, history: int) -> None:
    """Run every part and print its figures."""
    call_command("migrate", verbosity=0)
    connection.close()
    [world] = ground.world(prepared, "digests")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(f"\n{runner.run(digests_cost(world))}")
    os.sched_setaffinity(0, range(os.cpu_count() or 1))  # PostgreSQL, DuckDB and we share all cores
    print(
        f"\nreconciliation: {COUNT:,} × {COUNT:,} fills of one month, {DIFFERENCES:,} planted differences of {len(fills.KINDS)} kinds\n"
    )
    few, many = STORED
    grown = _account("grown")
    start, span = fills.recent(many)
    if not is_quick:
        fills.book(grown.code, many - few, many - 1, many, start, span)
        before = _run_ms(grown)
    month = _month()
    _beside(month)
    _end_to_end(month)
    if not is_quick:
        fills.book(grown.code, 0, many - few - 1, many, start, span)
        after = _run_ms(grown)
        print(f"one run with {few:,} stored fills of the account: {before:.2f} ms; with {many:,} (and {COUNT:,} of another): "
              f"{after:.2f} ms, ×{after / before:.2f}")  # fmt: skip
        if history:
            fills.book(
                grown.code,
                many,
                many + history - 1,
                history,
                start - timedelta(seconds=history),
                timedelta(seconds=history),
            )
            longest = _run_ms(grown)
            print(f"with {history + many:,}: {longest:.2f} ms, ×{longest / before:.2f}")


async def digests_cost(world: WorldHandle) -> str:
    """Book execution reports with the digests kept and without, in turns; return what they cost in words."""
    rates: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    async with open_desk("digests", world) as desk:
        await reports.booked(desk, 1000)
        for number in range(2 * BOOKED_ROUNDS):
            is_kept = number % 2 == 0
            switched = "ENABLE ALWAYS" if is_kept else "DISABLE"
            await desk.service.writer.run(
                partial(_switch, f"ALTER TABLE orders_fill {switched} TRIGGER added_fill_digests")
            )
            timed = await reports.booked(desk, BOOKED)
            rates[is_kept].append((timed.per_second, timed.cpu_us))
        await desk.service.writer.run(
            partial(_switch, "ALTER TABLE orders_fill ENABLE ALWAYS TRIGGER added_fill_digests")
        )
    with_us, without_us = (1e6 / median(rate for rate, _ in rates[kept]) for kept in (True, False))
    return (f"booking a report takes {with_us:.0f} µs with digests and {without_us:.0f} µs without, so {with_us - without_us:+.0f} µs "
            f"(×{with_us / without_us:.3f}); medians of {BOOKED_ROUNDS} rounds in turns, batches of {reports.BATCH}")  # fmt: skip


def _switch(query: str, books: object) -> None:
    sql.run(query)


def _account(code: str) -> Account:
    venue, _ = Venue.objects.get_or_create(code="binance", defaults={"exchange": "binance"})
    return Account.objects.create(
        code=code, venue=venue, status=AccountStatus.READY, opened_at=fills.MONTH - timedelta(days=400)
    )


def _month() -> Month:
    account = _account("month")
    mapping = StatementMapping.objects.create(venue=account.venue, version=1, created_by="bench")
    statement = Statement.objects.create(
        account=account, mapping=mapping, filename="month.csv", digest="d", status="compared", imported_by="bench",
        window_from=fills.MONTH, window_to=fills.MONTH + fills.MONTH_LENGTH,
    )  # fmt: skip
    fills.book(account.code, 0, COUNT - 1, COUNT)
    fills.state(statement.pk, COUNT)
    fills.tell(account.code, statement.pk)
    for what, length, least in (("day", timedelta(days=1), COUNT // 31), ("month", fills.MONTH_LENGTH, COUNT)):
        spent = []
        for _ in range(20):
            seconds, proof = _timed(lambda: days.prove(account, fills.MONTH, fills.MONTH + length))  # noqa: B023
            if not proof.is_proved or proof.beside.trades < least:
                raise RuntimeError(f"the clean {what} is not proved")
            spent.append(seconds * 1000)
        print(
            f"a clean {what} of {proof.beside.trades:,} fills by digest: {median(spent):.2f} ms at the median, {max(spent):.2f} ms at most"
        )
    return Month(account, statement, fills.plant(statement.pk, COUNT, DIFFERENCES))


def _beside(month: Month) -> None:
    """Compare the same columns by us, bare DuckDB, pandas, Python and PostgreSQL, in turns."""
    ours = columnar.booked(month.account.code, fills.MONTH, fills.MONTH + fills.MONTH_LENGTH)
    theirs = columnar.stated(month.statement.pk)
    reading = days.reading_of(fills.MONTH)
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name, columnar.opened(Path(name)) as link:
        for table, side in (("ours", ours), ("theirs", theirs)):
            columnar.copy(Path(name), table, side)
            columnar.load(link, table, Path(name) / table)
        # Whole numbers are the fastest exact form pandas has; the figures here have no more than eight decimals.
        scaled = ", ".join(f"CAST({figure} * 100000000 AS BIGINT) AS {figure}" for figure in FIGURES[:3])
        frames = [
            link.execute(f"SELECT {', '.join(KEY)}, {scaled}, fee_asset FROM {table}").df()
            for table in ("ours", "theirs")
        ]
        rows = [
            link.execute(f"SELECT {', '.join(columnar.COLUMNS)} FROM {table}").fetchall()
            for table in ("ours", "theirs")
        ]
        ways: dict[str, Callable[[], int]] = {
            "bare DuckDB": lambda: len(link.execute(BARE).fetchall()),
            "ours": lambda: _judged(
                month, columnar.judge(month.account, *columnar.differing(link, month.account)[1:], reading)
            ),
            "pandas outer merge": lambda: _by_pandas(*frames),
            "Python dictionary": lambda: _by_dictionary(*rows),
            "PostgreSQL full join": lambda: _by_postgres(ours, theirs),
        }
        spent: dict[str, list[float]] = {way: [] for way in ways}
        found: dict[str, int] = {}
        for number in range(ROUNDS):
            for way, compare in ways.items():
                if number < SLOW_ROUNDS or way in ("bare DuckDB", "ours"):
                    seconds, found[way] = _timed(compare)
                    spent[way].append(seconds)
    print("| compare of the columns | s | found | beside bare DuckDB | beside pandas |\n|---|---|---|---|---|")
    duck, panda = median(spent["bare DuckDB"]), median(spent["pandas outer merge"])
    for way, taken in spent.items():
        print(
            f"| {way} | {median(taken):.3f} | {found[way]:,} | ×{median(taken) / duck:.2f} | ×{median(taken) / panda:.2f} |"
        )
    print("(a turned side is two rows to a join and one difference to us)\n")


def _judged(month: Month, comparison: Any) -> int:
    kinds = Counter(each.kind for each in comparison.differences)
    if kinds != month.wanted:
        raise RuntimeError(f"found {kinds}, planted {month.wanted}")
    return sum(kinds.values())


def _by_pandas(ours: pandas.DataFrame, theirs: pandas.DataFrame) -> int:
    both = ours.merge(theirs, on=KEY, how="outer", suffixes=("", "_theirs"), indicator=True)
    differs = both["_merge"] != "both"
    for figure in FIGURES:
        differs |= both[figure] != both[f"{figure}_theirs"]
    return int(differs.sum())


def _by_dictionary(ours: list[tuple[Any, ...]], theirs: list[tuple[Any, ...]]) -> int:
    known = {row[:3]: row[3:] for row in ours}
    differing = 0
    for row in theirs:
        differing += known.pop(row[:3], None) != row[3:]
    return differing + len(known)


def _by_postgres(ours: columnar.Side, theirs: columnar.Side) -> int:
    sql.run("SET work_mem = '512MB'")
    query = BARE.replace("ours o", f"({ours.query}) o").replace("theirs t", f"({theirs.query}) t")
    try:
        return len(sql.rows(query, *ours.parameters, *theirs.parameters))
    finally:
        sql.run("RESET work_mem")


def _end_to_end(month: Month) -> None:
    for how, words in (
        ("minutes", "the minutes that differ"),
        ("whole", "all of it by columns, as if most minutes differed"),
    ):
        spent, memory = [], []
        for _ in range(3):
            command = [sys.executable, "-m", "bench.beside_statement", month.account.code, str(month.statement.pk), how]
            told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
            if told["kinds"] != month.wanted:
                raise RuntimeError(f"found {told}, planted {month.wanted}")
            spent.append(told["seconds"])
            memory.append(told["mib"])
        print(f"end to end from rows in PostgreSQL, exactly {DIFFERENCES:,} found, {words}: {median(spent):.2f} s at the median of 3 "
              f"({max(spent):.2f} at most), {max(memory):.0f} MiB RSS at most")  # fmt: skip
    print()


def _run_ms(account: Account) -> float:
    """Compare read after read of the last minutes, the newest minute still filling; return the median in ms."""
    coverage.ensure()
    spent = []
    for number in range(RUN_ROUNDS):
        snapshot = _read(account)
        seconds, _ = _timed(runs.advance)
        if number == 0 and (told := sides.comparison(snapshot, [])).differences:
            raise RuntimeError(f"a read of what is booked differs: {told.differences[:1]}")
        if number >= RUN_ROUNDS // 4:
            spent.append(seconds * 1000)
    connection.close()
    return median(spent)


def _read(account: Account) -> Snapshot:
    """Store a good read of the newest trades, one of which is younger than we have booked."""
    newest = sql.rows(
        "SELECT venue_trade_id, symbol, side, price, quantity, fee, fee_asset, executed_at FROM orders_fill WHERE account_id = %s "
        "ORDER BY executed_at DESC LIMIT %s", account.code, RUN_ROWS,
    )  # fmt: skip
    told = [
        {
            "venue_trade_id": trade, "venue_order_id": "v", "symbol": symbol, "side": side, "price": decimals.write(price),
            "quantity": decimals.write(quantity), "fee": decimals.write(fee), "fee_asset": asset, "occurred_at": at.isoformat(),
        }
        for trade, symbol, side, price, quantity, fee, asset, at in newest
    ]  # fmt: skip
    now = clock.now()
    told.append({**told[0], "venue_trade_id": f"young-{uuid.uuid4()}", "occurred_at": now.isoformat()})
    return Snapshot.objects.create(
        account=account, surface="fills", rows=told, requested_at=now, taken_at=now, window_from=newest[-1][7], status="good", digest="d",
        event_sequence=0,
    )  # fmt: skip


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    done = work()
    return time.perf_counter() - began, done
