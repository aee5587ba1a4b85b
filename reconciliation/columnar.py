"""Fills by the million: both sides out of PostgreSQL into columns, which names differ at all, and those judged as ever.

DuckDB joins; prices, quantities and fees are DECIMAL(38,18) there as they are stored, no number ever passes a float. It
only says which trades are not the same on both sides: what that means says compare_fills, as for every read.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from django.db import connection

from orders.models import Fill
from project.lib import sql
from reconciliation import facts, sides
from reconciliation.minutes import Name
from venues.messages import FillReport
from venues.models import Account

ROWS_PLAIN_MAX = 20_000
NAMES_MAX = 100_000
MEMORY_MIB = 400
THREADS = 2
COLUMNS = {
    "venue_trade_id": "VARCHAR", "symbol": "VARCHAR", "side": "VARCHAR", "price": "DECIMAL(38,18)",
    "quantity": "DECIMAL(38,18)", "fee": "DECIMAL(38,18)", "fee_asset": "VARCHAR",
}  # fmt: skip
TABLES = {"ours": COLUMNS, "theirs": {"executed_at": "VARCHAR", **COLUMNS}}  # the last is quoted: a torn line shows
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": THREADS, "memory_limit": f"{MEMORY_MIB}MB", "preserve_insertion_order": False,
    "autoinstall_known_extensions": False, "autoload_known_extensions": False,
}  # fmt: skip
# What facts call equal, and compare_fills with them: a fee asset counts where the venue names a fee.
_DIFFERING = """
CREATE OR REPLACE TEMP TABLE differing AS
SELECT o.symbol, o.venue_trade_id, o.side, t.symbol AS told_symbol, t.venue_trade_id AS told_trade_id, t.rowid AS told_row
FROM ours o FULL JOIN theirs t ON o.venue_trade_id = t.venue_trade_id AND o.symbol = t.symbol AND o.side = t.side
WHERE o.price IS DISTINCT FROM t.price OR o.quantity IS DISTINCT FROM t.quantity OR o.fee IS DISTINCT FROM t.fee
    OR (o.fee_asset IS DISTINCT FROM t.fee_asset AND t.fee <> 0)
"""
_PAIRED = """
SELECT symbol, venue_trade_id, side, coalesce(symbol, told_symbol), coalesce(venue_trade_id, told_trade_id) FROM differing
"""
_TOLD = f"""
SELECT {", ".join(f"t.{name}" for name in COLUMNS)}, t.executed_at FROM theirs t
WHERE t.rowid IN (SELECT told_row FROM differing)
"""
# Every row of theirs with such a name, also one that is the same as ours: rows of one name are judged together.
_TOLD_OF_NAMES = f"""
SELECT {", ".join(f"t.{name}" for name in COLUMNS)}, t.executed_at FROM theirs t
SEMI JOIN differing d ON t.venue_trade_id = coalesce(d.venue_trade_id, d.told_trade_id)
    AND t.symbol = coalesce(d.symbol, d.told_symbol)
"""


class NotComparable(Exception):
    """The two sides could not be compared. Nothing was concluded; the message says why and what to do."""


@dataclass(frozen=True)
class Side:
    """Where the rows of one side stand: a SELECT of COLUMNS and executed_at, with %s for its parameters."""

    query: str
    parameters: tuple[object, ...]


@dataclass(frozen=True)
class Compared:
    """What two lists of fills told; `ours` and `theirs` count their rows, `names` the trades that had to be judged."""

    comparison: facts.Comparison
    ours: int
    theirs: int
    names: int


def booked(account: str, start: datetime, end: datetime) -> Side:
    """Return our fills of an account executed in [start, end)."""
    query = (
        f"SELECT {', '.join(COLUMNS)}, executed_at FROM orders_fill "
        "WHERE account_id = %s AND executed_at >= %s AND executed_at < %s"
    )
    return Side(query, (account, start, end))


def stated(statement: uuid.UUID) -> Side:
    """Return the lines of a statement."""
    query = f"SELECT {', '.join(COLUMNS)}, executed_at FROM reconciliation_statementline WHERE statement_id = %s"
    return Side(query, (statement,))


def compare(
    account: Account, ours: Side, theirs: Side, reading: facts.Reading, is_proved: Callable[[Fill], bool] | None = None
) -> Compared:
    """Compare two lists of fills of an account; what the reading calls too young or at an edge accuses nobody.

    Where the lists are a part of a span, `is_proved` says of a fill that the venue told the same in another part of it.
    Raises NotComparable when a side cannot be read whole, or when so much differs that they cannot be the same account's.
    """
    if _has_many(ours) or _has_many(theirs):
        names, booked, told, mine, other = _by_columns(account, ours, theirs)
    else:
        told = [_report(row) for row in sql.rows(theirs.query, *theirs.parameters)]
        listed = sql.rows(f"SELECT symbol, venue_trade_id FROM ({ours.query}) AS side", *ours.parameters)
        names, mine, other = {(row.symbol, row.venue_trade_id) for row in told} | set(listed), len(listed), len(told)
        booked = sides.fills_named(account.code, names)
    if len(names) > NAMES_MAX:
        raise _apart(len(names), max(mine, other))
    return Compared(judge(account, booked, told, reading, is_proved), mine, other, len(names))


def judge(
    account: Account, booked: list[Fill], told: list[FillReport], reading: facts.Reading,
    is_proved: Callable[[Fill], bool] | None = None,
) -> facts.Comparison:  # fmt: skip
    """Compare rows of theirs with our fills of the same names, whenever those were executed."""
    again = [_report_of(fill) for fill in booked if is_proved and is_proved(fill)]
    return sides.judged_fills(account, reading, booked, told + again)


def differing(link: duckdb.DuckDBPyConnection, account: Account) -> tuple[set[Name], list[Fill], list[FillReport]]:
    """Return what is not the same in the tables `ours` and `theirs`: the names of the trades, our fills and their rows of them.

    Of more than NAMES_MAX names nothing else is read.
    """
    link.execute(_DIFFERING)
    rows = link.execute(_PAIRED).fetchall()
    names = {row[3:] for row in rows}
    if len(names) > NAMES_MAX:
        return names, [], []
    booked, paired = sides.fills_named(account.code, names), {row[:3] for row in rows}
    # A fill of ours beside those that differ may have its like in theirs: only then they are searched for the names.
    is_paired = all((fill.symbol, fill.venue_trade_id, fill.side) in paired for fill in booked)
    told = link.execute(_TOLD if is_paired else _TOLD_OF_NAMES).fetchall()
    return names, booked, [_report(row) for row in told]


def copy(folder: Path, table: str, side: Side) -> int:
    """Write the rows of a side to the file of a table, numbers as PostgreSQL writes them: exactly. Return how many."""
    connection.ensure_connection()
    listed = ", ".join(f"trim_scale({name})" if "DEC" in kind else name for name, kind in TABLES[table].items())
    query = f"COPY (SELECT {listed} FROM ({side.query}) AS side) TO STDOUT (FORMAT csv, FORCE_QUOTE (fee_asset))"
    with (folder / table).open("wb") as file, connection.wrap_database_errors:
        cursor = psycopg.ClientCursor(connection.connection)
        with cursor.copy(query, side.parameters) as copied:
            for block in copied:
                file.write(block)
        return cursor.rowcount


def load(link: duckdb.DuckDBPyConnection, table: str, path: Path) -> int:
    """Read one side's file into a table of columns; return how many rows it has. Raises duckdb.Error."""
    columns = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in TABLES[table].items()) + "}"
    link.execute(
        f"CREATE TABLE {table} AS SELECT * FROM read_csv($path, header=false, columns={columns}, auto_detect=false, "
        "delim=',', quote='\"', escape='\"', new_line='\\n', comment='', allow_quoted_nulls=false, strict_mode=true)",
        {"path": str(path)},
    )
    [(count,)] = link.execute(f"SELECT count(*) FROM {table}").fetchall()
    return int(count)


def opened(folder: Path) -> duckdb.DuckDBPyConnection:
    """Open an empty database in memory that spills into a folder and loads nothing from anywhere."""
    return duckdb.connect(config={**_SETTINGS, "temp_directory": str(folder / "spilt")})


def _by_columns(account: Account, ours: Side, theirs: Side) -> tuple[set[Name], list[Fill], list[FillReport], int, int]:
    with tempfile.TemporaryDirectory(prefix="gapless-compare-") as name:
        folder = Path(name)
        try:
            counts = _copy_both(folder, {"ours": ours, "theirs": theirs})
            with opened(folder) as link:
                loaded = [load(link, "ours", folder / "ours"), load(link, "theirs", folder / "theirs")]
                if loaded != counts:
                    raise NotComparable(
                        f"Of {counts[0]} and {counts[1]} trades only {loaded[0]} and {loaded[1]} were read. Nothing was "
                        "concluded and our books are as they were. Repeat it."
                    )
                return *differing(link, account), counts[0], counts[1]
        except (duckdb.Error, OSError) as problem:
            raise NotComparable(
                f"The trades could not be put side by side ({problem}). Nothing was concluded and our books are as they were. "
                f"Look whether {MEMORY_MIB} MB of memory and room for temporary files are free, and repeat."
            ) from problem


def _copy_both(folder: Path, tables: dict[str, Side]) -> list[int]:
    if connection.in_atomic_block:  # another connection would not see what this one has written
        return [copy(folder, table, side) for table, side in tables.items()]
    with ThreadPoolExecutor(len(tables)) as pool:
        started = [pool.submit(_copy_apart, folder, table, side) for table, side in tables.items()]
        return [copied.result() for copied in started]


def _copy_apart(folder: Path, table: str, side: Side) -> int:
    try:
        return copy(folder, table, side)
    finally:
        connection.close()


def _apart(names: int, rows: int) -> NotComparable:
    return NotComparable(
        f"{names} of {rows} trades differ, which is more than can be differences of one account. Nothing was concluded and our "
        "books are as they were. Look whether account and period are the right ones, and repeat."
    )


def _has_many(side: Side) -> bool:
    [(count,)] = sql.rows(
        f"SELECT count(*) FROM (SELECT 1 FROM ({side.query}) AS side LIMIT {ROWS_PLAIN_MAX + 1}) AS few",
        *side.parameters,
    )
    return int(count) > ROWS_PLAIN_MAX


def _report_of(fill: Fill) -> FillReport:
    figures = (fill.price, fill.quantity, fill.fee, fill.fee_asset)
    return _report((fill.venue_trade_id, fill.symbol, fill.side, *figures, fill.executed_at))


def _report(row: Sequence[Any]) -> FillReport:
    trade, symbol, side, price, quantity, fee, asset, at = row
    return FillReport(
        venue_trade_id=trade, venue_order_id="", venue_client_id=None, symbol=symbol, side=facts.side_of(side), price=price,
        quantity=quantity, quote_quantity=None, fee=fee, fee_asset=asset, liquidity="",
        occurred_at=datetime.fromisoformat(at) if isinstance(at, str) else at,
    )  # fmt: skip
