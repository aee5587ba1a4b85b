"""Set-based SQL on Django's connection: prepared once, many rows per statement, a whole flush in one round trip."""

from __future__ import annotations

import json
import select
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, cast
from weakref import WeakKeyDictionary

import psycopg
from django.db import connection
from psycopg import pq

_encode = json.JSONEncoder(separators=(",", ":")).encode
_prepared: WeakKeyDictionary[psycopg.Connection[Any], dict[str, bytes]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Table:
    """A table and how its rows map to columns: name of the attribute, name of the column, PostgreSQL type."""

    name: str
    columns: tuple[tuple[str, str, str], ...]

    def values(self, rows: Iterable[Any]) -> list[bytes]:
        """Return the rows as one array literal per column."""
        take = attrgetter(*(attribute for attribute, _, _ in self.columns))
        listed = list(zip(*map(take, rows), strict=True)) or [()] * len(self.columns)
        return [array(values, kind) for values, (_, _, kind) in zip(listed, self.columns, strict=True)]

    def read(self, alias: str = "") -> str:
        """Return the select list of the columns."""
        prefix = f"{alias}." if alias else ""
        return ", ".join(f"{prefix}{column}" for _, column, _ in self.columns)

    def insert(self) -> str:
        """Return an INSERT of any number of rows, one array per column."""
        names = ", ".join(column for _, column, _ in self.columns)
        return f"INSERT INTO {self.name} ({names}) SELECT {self.chosen()} FROM {self.unnested()}"

    def update(self, changing: Sequence[str], extra: str = "", condition: str = "") -> str:
        """Return an UPDATE of the named columns by id, for any number of rows; `extra` adds columns to compare with."""
        kinds = {column: kind for _, column, kind in self.columns}
        changes = ", ".join(
            f"{name} = v.{name}::jsonb" if kinds[name] == "jsonb" else f"{name} = v.{name}" for name in changing
        )
        return f"UPDATE {self.name} AS t SET {changes} FROM {self.unnested(extra=extra)} WHERE t.id = v.id{condition}"

    def chosen(self) -> str:
        """Return the columns of the rows named v, JSON turned back from text."""
        return ", ".join(f"v.{column}::jsonb" if kind == "jsonb" else f"v.{column}" for _, column, kind in self.columns)

    def unnested(self, first: int = 1, extra: str = "", ordinal: str = "") -> str:
        """Return the FROM item that turns arrays, numbered from `first`, into rows named v."""
        kinds = ["text" if kind == "jsonb" else kind for _, _, kind in self.columns]
        names = [column for _, column, _ in self.columns]
        if extra:
            name, kind = extra.split()
            kinds.append(kind)
            names.append(name)
        arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds, start=first))
        if ordinal:
            return f"unnest({arrays}) WITH ORDINALITY AS v({', '.join([*names, ordinal])})"
        return f"unnest({arrays}) AS v({', '.join(names)})"


def table(name: str, **columns: str) -> Table:
    """Describe a table: attribute=type, or attribute='type column' where the column is named otherwise."""
    listed = []
    for attribute, described in columns.items():
        kind, _, column = described.partition(" ")
        listed.append((attribute, column or attribute, kind))
    return Table(name, tuple(listed))


def array(values: Iterable[Any], kind: str) -> bytes:
    """Return a PostgreSQL array literal: a column of many rows as one parameter."""
    if kind == "text" and (plain := _plain_texts(values := list(values))) is not None:
        return plain
    write = _WRITERS.get(kind, str)
    return ("{" + ",".join(["NULL" if value is None else write(value) for value in values]) + "}").encode()


def rows(query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Run one query, with %s for its parameters, and return its rows."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        return psycopg.Cursor(connection.connection).execute(query, parameters, prepare=True).fetchall()


def run(query: str, *parameters: Any) -> int:
    """Run one statement, with %s for its parameters, and return how many rows it touched."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        return psycopg.Cursor(connection.connection).execute(query, parameters, prepare=True).rowcount


@dataclass
class Flush:
    """Statements that go to the server together; outside of a transaction they are one of their own."""

    statements: list[tuple[str, Sequence[bytes | None]]] = field(default_factory=list)
    expected: list[tuple[int, type[Exception]]] = field(default_factory=list)

    def add(self, query: str, parameters: Sequence[bytes | None]) -> None:
        """Add a statement, with $1, $2 … for its parameters."""
        self.statements.append((query, parameters))

    def expect(self, error: type[Exception]) -> None:
        """Name the error that means the last statement did not touch the rows it counts: see counting()."""
        self.expected.append((len(self.statements) - 1, error))

    def send(self) -> None:
        """Send everything in one round trip. Raises django.db errors, or the error of an expectation not met."""
        connection.ensure_connection()
        with connection.wrap_database_errors:
            self._send(connection.connection)

    def _send(self, link: psycopg.Connection[Any]) -> None:
        wire = link.pgconn
        names = _prepared.setdefault(link, {})
        for query, _ in self.statements:
            if query not in names:
                names[query] = _prepare(wire, f"gapless_{len(names)}".encode(), query)
        wire.enter_pipeline_mode()
        try:
            count = len(self.statements)
            if not link.autocommit and wire.transaction_status == pq.TransactionStatus.IDLE:
                wire.send_query_params(b"BEGIN", None)
                count += 1
            for query, parameters in self.statements:
                wire.send_query_prepared(names[query], parameters)
            wire.pipeline_sync()
            failed = _results(wire)
        finally:
            if wire.status == pq.ConnStatus.OK:
                wire.exit_pipeline_mode()
        if failed is not None:
            self._fail(failed, len(self.statements) - count)

    def _fail(self, failed: tuple[int, pq.abc.PGresult], offset: int) -> None:
        number, result = failed
        if result.error_field(pq.DiagnosticField.SQLSTATE) == b"22012":
            for position, error in self.expected:
                if position == number + offset:
                    raise error
        _raise_if_failed(result)


def counting(statement: str, number: int) -> str:
    """Wrap a statement so that it fails (division by zero) unless it touches as many rows as parameter `number` says."""
    return f"WITH touched AS ({statement} RETURNING 1) SELECT 1 / (count(*) = ${number}::bigint)::int FROM touched"


def _prepare(wire: pq.abc.PGconn, name: bytes, query: str) -> bytes:
    wire.send_prepare(name, query.encode())
    _wait(wire)
    result = wire.get_result()
    while wire.get_result() is not None:
        pass
    if result is not None:
        _raise_if_failed(result)
    return name


def _results(wire: pq.abc.PGconn) -> tuple[int, pq.abc.PGresult] | None:
    """Read every result up to the sync; return the first that failed and its number."""
    failed: tuple[int, pq.abc.PGresult] | None = None
    number = 0
    while True:
        _wait(wire)
        result = wire.get_result()
        if result is None:  # between two statements
            number += 1
            if wire.status == pq.ConnStatus.BAD:
                raise psycopg.OperationalError("the connection was lost")
            continue
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            return failed
        if failed is None and result.status == pq.ExecStatus.FATAL_ERROR:
            failed = (number, result)


def _wait(wire: pq.abc.PGconn) -> None:
    """Wait until a result is there: reading it would block with the interpreter held, and every other thread with it."""
    poll = select.poll()
    while wire.is_busy() or wire.status == pq.ConnStatus.BAD:
        if wire.status == pq.ConnStatus.BAD:
            raise psycopg.OperationalError("the connection was lost")
        poll.register(wire.socket, select.POLLIN | (select.POLLOUT if wire.flush() else 0))
        poll.poll()
        wire.consume_input()


def _raise_if_failed(result: pq.abc.PGresult) -> None:
    if result.status != pq.ExecStatus.FATAL_ERROR:
        return
    if result.error_field(pq.DiagnosticField.SQLSTATE) is None:  # said by the client's side: the server is gone
        raise psycopg.OperationalError("the connection was lost")
    raise psycopg.errors.error_from_result(result)


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain_texts(values: list[str | None]) -> bytes | None:
    """Return the array of texts that need no escaping, or None where one does or is NULL."""
    if None in values:
        return None
    joined = '","'.join(cast(list[str], values))
    if "\\" in joined or joined.count('"') != 2 * max(len(values) - 1, 0):
        return None
    return f'{{"{joined}"}}'.encode() if values else b"{}"


def _json(value: Any) -> str:
    return _text(_encode(value))


def _bool(value: bool) -> str:
    return "t" if value else "f"


def _time(value: Any) -> str:
    return '"' + value.isoformat() + '"'


_WRITERS: dict[str, Callable[[Any], str]] = {"text": _text, "jsonb": _json, "bool": _bool, "timestamptz": _time}
