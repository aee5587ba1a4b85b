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
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": THREADS, "memory_limit": f"{MEMORY_MIB}MB", "preserve_insertion_order": False,
    "autoinstall_known_extensions": False, "autoload_known_extensions": False,
}  # fmt: skip
# What facts call equal, and compare_fills with them: a fee asset counts where the venue names a fee.
DIFFERING = """
SELECT DISTINCT coalesce(o.symbol, t.symbol), coalesce(o.venue_trade_id, t.venue_trade_id) FROM ours o FULL JOIN theirs t
ON o.venue_trade_id = t.venue_trade_id AND o.symbol = t.symbol AND o.side = t.side
WHERE o.price IS DISTINCT FROM t.price OR o.quantity IS DISTINCT FROM t.quantity OR o.fee IS DISTINCT FROM t.fee
    OR (o.fee_asset IS DISTINCT FROM t.fee_asset AND t.fee <> 0)
"""


class NotComparable(Exception):
    """The two sides could not be compared. Nothing was concluded; the message says why and what to do."""


@dataclass(frozen=True)
class Side:
    """Where the rows of one side stand: a SELECT of COLUMNS and executed_at, with %s for its parameters."""

    query: str
    parameters: tuple[object, ...]

    def some(self, names: Sequence[Name]) -> Side:
        """Return the rows of these names alone."""
        picked = "(SELECT * FROM unnest(%s::text[], %s::text[]))"
        return Side(
            f"SELECT * FROM ({self.query}) AS side WHERE (symbol, venue_trade_id) IN {picked}",
            (*self.parameters, [name[0] for name in names], [name[1] for name in names]),
        )


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
    if mine + other <= ROWS_PLAIN_MAX:
        names = sorted({*_names(ours), *_names(theirs)})
    else:
        names = sorted(_differing_names(ours, theirs, (mine, other)))
    if len(names) > NAMES_MAX:
        raise NotComparable(
            f"{len(names)} of {max(mine, other)} trades differ, which is more than can be differences of one account. Nothing "
            "was concluded and our books are as they were. Look whether account and period are the right ones, and repeat."
        )
    return Compared(judge(account, names, theirs, reading), mine, other, len(names))


def judge(account: Account, names: Collection[Name], theirs: Side, reading: facts.Reading) -> facts.Comparison:
    """Compare every row of these names with our fills of them, whenever those were executed."""
    listed = list(names)
    return sides.judged_fills(
        account, reading, sides.fills_named(account.code, set(listed)), _reports(theirs.some(listed))
    )


def differing(link: duckdb.DuckDBPyConnection) -> set[Name]:
    """Return the names of the trades that are not the same in the tables `ours` and `theirs`."""
    return set(link.execute(DIFFERING).fetchall())


def copy(path: Path, side: Side) -> None:
    """Write the rows of a side to a file, numbers as PostgreSQL writes them: exactly."""
    connection.ensure_connection()
    query = f"COPY (SELECT {', '.join(COLUMNS)} FROM ({side.query}) AS side) TO STDOUT (FORMAT csv, FORCE_QUOTE (fee_asset))"
    with path.open("wb") as file, connection.wrap_database_errors:
        cursor = psycopg.ClientCursor(connection.connection)
        with cursor.copy(query, side.parameters) as copied:
            for block in copied:
                file.write(block)


def load(link: duckdb.DuckDBPyConnection, table: str, path: Path) -> int:
    """Read one side's file into a table of columns; return how many rows it has. Raises duckdb.Error."""
    columns = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items()) + "}"
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


def _differing_names(ours: Side, theirs: Side, counts: tuple[int, int]) -> set[Name]:
    with tempfile.TemporaryDirectory(prefix="gapless-compare-") as name:
        folder = Path(name)
        try:
            _copy_both({folder / "ours": ours, folder / "theirs": theirs})
            with opened(folder) as link:
                loaded = (load(link, "ours", folder / "ours"), load(link, "theirs", folder / "theirs"))
                if loaded[0] < counts[0] or loaded[1] < counts[1]:  # both only grow meanwhile
                    raise NotComparable(
                        f"Of {counts[0]} and {counts[1]} trades only {loaded[0]} and {loaded[1]} were read. Nothing was "
                        "concluded and our books are as they were. Repeat it."
                    )
                found: set[Name] = set(link.execute(DIFFERING).fetchall())
                return found
        except (duckdb.Error, OSError) as problem:
            raise NotComparable(
                f"The trades could not be put side by side ({problem}). Nothing was concluded and our books are as they were. "
                f"Look whether {MEMORY_MIB} MB of memory and room for temporary files are free, and repeat."
            ) from problem


def _copy_both(files: dict[Path, Side]) -> None:
    if connection.in_atomic_block:  # another connection would not see what this one has written
        for path, side in files.items():
            copy(path, side)
        return
    with ThreadPoolExecutor(len(files)) as pool:
        for done in [pool.submit(_copy_apart, path, side) for path, side in files.items()]:
            done.result()


def _copy_apart(path: Path, side: Side) -> None:
    try:
        copy(path, side)
    finally:
        connection.close()


def _count(side: Side) -> int:
    return int(sql.rows(f"SELECT count(*) FROM ({side.query}) AS side", *side.parameters)[0][0])


def _names(side: Side) -> list[Name]:
    return sql.rows(f"SELECT symbol, venue_trade_id FROM ({side.query}) AS side", *side.parameters)


def _reports(side: Side) -> list[FillReport]:
    return [
        FillReport(
            venue_trade_id=trade, venue_order_id="", venue_client_id=None, symbol=symbol, side=facts.side_of(side_word),
            price=price, quantity=quantity, quote_quantity=None, fee=fee, fee_asset=asset, liquidity="", occurred_at=at,
        )
        for trade, symbol, side_word, price, quantity, fee, asset, at in sql.rows(side.query, *side.parameters)
    ]  # fmt: skip
