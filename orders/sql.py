"""Set-based SQL on the open Django connection: server-side prepared, many rows per statement, one round trip per flush."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import psycopg
from django.db import connection


@dataclass(frozen=True)
class Table:
    """A table and how its rows map to columns: name of the attribute, name of the column, PostgreSQL type."""

    name: str
    columns: tuple[tuple[str, str, str], ...]

    def values(self, rows: Iterable[Any]) -> list[list[Any]]:
        """Return the rows as one list per column, JSON written as text."""
        take = attrgetter(*(attribute for attribute, _, _ in self.columns))
        listed = [list(column) for column in zip(*map(take, rows), strict=True)]
        for index, (_, _, kind) in enumerate(self.columns):
            if kind == "jsonb":
                listed[index] = [json.dumps(value, separators=(",", ":")) for value in listed[index]]
        return listed

    def read(self, alias: str = "") -> str:
        """Return the select list of the columns."""
        prefix = f"{alias}." if alias else ""
        return ", ".join(f"{prefix}{column}" for _, column, _ in self.columns)

    def insert(self) -> str:
        """Return an INSERT of any number of rows, one array per column."""
        names = ", ".join(column for _, column, _ in self.columns)
        wanted = ", ".join(
            f"v.{column}::jsonb" if kind == "jsonb" else f"v.{column}" for _, column, kind in self.columns
        )
        return f"INSERT INTO {self.name} ({names}) SELECT {wanted} FROM {self.unnested()}"

    def update(self, changing: Sequence[str], extra: str = "", condition: str = "") -> str:
        """Return an UPDATE of the named columns by id, for any number of rows; `extra` adds columns to compare with."""
        kinds = {column: kind for _, column, kind in self.columns}
        changes = ", ".join(
            f"{name} = v.{name}::jsonb" if kinds[name] == "jsonb" else f"{name} = v.{name}" for name in changing
        )
        return f"UPDATE {self.name} AS t SET {changes} FROM {self.unnested(extra)} WHERE t.id = v.id{condition}"

    def unnested(self, extra: str = "") -> str:
        """Return the FROM item that turns one array per column into rows named v."""
        arrays = [f"%s::{'text' if kind == 'jsonb' else kind}[]" for _, _, kind in self.columns]
        names = [column for _, column, _ in self.columns]
        if extra:
            name, kind = extra.split()
            arrays.append(f"%s::{kind}[]")
            names.append(name)
        return f"unnest({', '.join(arrays)}) AS v({', '.join(names)})"


def table(name: str, **columns: str) -> Table:
    """Describe a table: attribute=type, or attribute='type column' where the column is named otherwise."""
    listed = []
    for attribute, described in columns.items():
        kind, _, column = described.partition(" ")
        listed.append((attribute, column or attribute, kind))
    return Table(name, tuple(listed))


def rows(query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Run one query and return its rows."""
    with connection.wrap_database_errors:
        return _cursor().execute(query, parameters, prepare=True).fetchall()


def run(query: str, *parameters: Any) -> int:
    """Run one statement and return how many rows it touched."""
    with connection.wrap_database_errors:
        return _cursor().execute(query, parameters, prepare=True).rowcount


class Flush:
    """Statements that go to the server together; their row counts are known when the block ends."""

    def __init__(self) -> None:
        self._cursors: list[psycopg.Cursor[Any]] = []

    def add(self, query: str, parameters: Sequence[Any]) -> int:
        """Send a statement; return its number, to ask for its row count afterwards."""
        cursor = _cursor()
        cursor.execute(query, parameters, prepare=True)
        self._cursors.append(cursor)
        return len(self._cursors) - 1

    def count(self, number: int) -> int:
        """Return how many rows a statement touched."""
        return self._cursors[number].rowcount


@contextmanager
def flush() -> Iterator[Flush]:
    """Send everything added in the block in one round trip. Raises django.db errors."""
    statements = Flush()
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield statements


def _cursor() -> psycopg.Cursor[Any]:
    connection.ensure_connection()
    return psycopg.Cursor(connection.connection)
