"""Fills by the million: both sides out of PostgreSQL into columns, which names differ at all, and those judged as ever.

DuckDB joins; prices, quantities and fees are DECIMAL(38,18) there as they are stored, no number ever passes a float. It
only says which trades are not the same on both sides: what that means says compare_fills, as for every read.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from django.db import connection

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
TABLES = {"ours": COLUMNS, "theirs": {**COLUMNS, "executed_at": "VARCHAR"}}
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": THREADS, "memory_limit": f"{MEMORY_MIB}MB", "preserve_insertion_order": False,
    "autoinstall_known_extensions": False, "autoload_known_extensions": False,
}  # fmt: skip
# What facts call equal, and compare_fills with them: a fee asset counts where the venue names a fee.
_DIFFERING = """
CREATE OR REPLACE TEMP TABLE differing AS
SELECT DISTINCT coalesce(o.symbol, t.symbol) AS symbol, coalesce(o.venue_trade_id, t.venue_trade_id) AS venue_trade_id
FROM ours o FULL JOIN theirs t ON o.venue_trade_id = t.venue_trade_id AND o.symbol = t.symbol AND o.side = t.side
WHERE o.price IS DISTINCT FROM t.price OR o.quantity IS DISTINCT FROM t.quantity OR o.fee IS DISTINCT FROM t.fee
    OR (o.fee_asset IS DISTINCT FROM t.fee_asset AND t.fee <> 0)
"""
# Every row of theirs with such a name, also one that is the same as ours: rows of one name are judged together.
_TOLD_OF = f"""
SELECT {", ".join(f"t.{name}" for name in TABLES["theirs"])} FROM theirs t
SEMI JOIN differing d ON t.venue_trade_id = d.venue_trade_id AND t.symbol = d.symbol
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


def compare(account: Account, ours: Side, theirs: Side, reading: facts.Reading) -> Compared:
    """Compare two lists of fills of an account; what the reading calls too young or at an edge accuses nobody.

    Raises NotComparable when a side cannot be read whole, or when so much differs that they cannot be the same account's.
    """
    mine, other = _count(ours), _count(theirs)
    if mine + other > ROWS_PLAIN_MAX:
        names, told = _by_columns(ours, theirs, (mine, other))
    else:
        told = [_report(row) for row in sql.rows(theirs.query, *theirs.parameters)]
        names = {(row.symbol, row.venue_trade_id) for row in told} | _names(ours)
    if len(names) > NAMES_MAX:
        raise _apart(len(names), max(mine, other))
    return Compared(judge(account, names, told, reading), mine, other, len(names))


def judge(
    account: Account, names: Collection[Name], told: list[FillReport], reading: facts.Reading
) -> facts.Comparison:
    """Compare every row of these names with our fills of them, whenever those were executed."""
    return sides.judged_fills(account, reading, sides.fills_named(account.code, names), told)


def differing(link: duckdb.DuckDBPyConnection) -> tuple[set[Name], list[FillReport]]:
    """Return the names of the trades that are not the same in the tables `ours` and `theirs`, and their rows in `theirs`."""
    link.execute(_DIFFERING)
    names = set(link.execute("SELECT symbol, venue_trade_id FROM differing").fetchall())
    if len(names) > NAMES_MAX:
        return names, []
    return names, [_report(row) for row in link.execute(_TOLD_OF).fetchall()]


def copy(folder: Path, table: str, side: Side) -> None:
    """Write the rows of a side to the file of a table, numbers as PostgreSQL writes them: exactly."""
    connection.ensure_connection()
    listed = ", ".join(TABLES[table])
    query = f"COPY (SELECT {listed} FROM ({side.query}) AS side) TO STDOUT (FORMAT csv, FORCE_QUOTE (fee_asset))"
    with (folder / table).open("wb") as file, connection.wrap_database_errors:
        cursor = psycopg.ClientCursor(connection.connection)
        with cursor.copy(query, side.parameters) as copied:
            for block in copied:
                file.write(block)


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


def _by_columns(ours: Side, theirs: Side, counts: tuple[int, int]) -> tuple[set[Name], list[FillReport]]:
    with tempfile.TemporaryDirectory(prefix="gapless-compare-") as name:
        folder = Path(name)
        try:
            _copy_both(folder, {"ours": ours, "theirs": theirs})
            with opened(folder) as link:
                loaded = (load(link, "ours", folder / "ours"), load(link, "theirs", folder / "theirs"))
                if loaded[0] < counts[0] or loaded[1] < counts[1]:  # both only grow meanwhile
                    raise NotComparable(
                        f"Of {counts[0]} and {counts[1]} trades only {loaded[0]} and {loaded[1]} were read. Nothing was "
                        "concluded and our books are as they were. Repeat it."
                    )
                return differing(link)
        except (duckdb.Error, OSError) as problem:
            raise NotComparable(
                f"The trades could not be put side by side ({problem}). Nothing was concluded and our books are as they were. "
                f"Look whether {MEMORY_MIB} MB of memory and room for temporary files are free, and repeat."
            ) from problem


def _copy_both(folder: Path, tables: dict[str, Side]) -> None:
    if connection.in_atomic_block:  # another connection would not see what this one has written
        for table, side in tables.items():
            copy(folder, table, side)
        return
    with ThreadPoolExecutor(len(tables)) as pool:
        for done in [pool.submit(_copy_apart, folder, table, side) for table, side in tables.items()]:
            done.result()


def _copy_apart(folder: Path, table: str, side: Side) -> None:
    try:
        copy(folder, table, side)
    finally:
        connection.close()


def _apart(names: int, rows: int) -> NotComparable:
    return NotComparable(
        f"{names} of {rows} trades differ, which is more than can be differences of one account. Nothing was concluded and our "
        "books are as they were. Look whether account and period are the right ones, and repeat."
    )


def _count(side: Side) -> int:
    return int(sql.rows(f"SELECT count(*) FROM ({side.query}) AS side", *side.parameters)[0][0])


def _names(side: Side) -> set[Name]:
    return set(sql.rows(f"SELECT symbol, venue_trade_id FROM ({side.query}) AS side", *side.parameters))  # type: ignore[arg-type]


def _report(row: Sequence[Any]) -> FillReport:
    trade, symbol, side, price, quantity, fee, asset, at = row
    return FillReport(
        venue_trade_id=trade, venue_order_id="", venue_client_id=None, symbol=symbol, side=facts.side_of(side), price=price,
        quantity=quantity, quote_quantity=None, fee=fee, fee_asset=asset, liquidity="",
        occurred_at=datetime.fromisoformat(at) if isinstance(at, str) else at,
    )  # fmt: skip
