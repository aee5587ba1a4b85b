"""Canary secrets: in which forms they are looked for, and everywhere they could have got to."""

from __future__ import annotations

import base64
import functools
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import psycopg

LINK = re.compile(r"""(?:href|data-live-url|data-href|hx-get)="(/[^"#]*)""")
PAGES_MAX = 400
_COLUMNS = (
    "SELECT c.table_schema, c.table_name, c.column_name, c.data_type FROM information_schema.columns c "
    "JOIN information_schema.tables t USING (table_schema, table_name) WHERE t.table_type = 'BASE TABLE' "
    "AND c.table_schema NOT IN ('information_schema')"
)


@functools.cache
def forms(secret: str) -> frozenset[bytes]:
    """Return a secret as it would be recognised: plain, percent-encoded, hex, and in base64 at each of three offsets."""
    raw = secret.encode()
    found = {
        raw,
        urllib.parse.quote(secret, safe="").encode(),
        urllib.parse.quote_plus(secret).encode(),
        raw.hex().encode(),
    }
    for pad in range(3):
        text = base64.b64encode(b"\0" * pad + raw).decode()
        found.add(text[(pad * 8 + 5) // 6 : (pad + len(raw)) * 8 // 6].encode())
    return frozenset(form for form in found if len(form) >= 12)


def hits(secrets: Iterable[str], where: str, content: bytes) -> list[str]:
    """Return which secrets a content carries, named by their first characters only."""
    return [f"{secret[:10]}… in {where}" for secret in secrets if any(form in content for form in forms(secret))]


def database(url: str, secrets: Iterable[str]) -> tuple[list[str], int]:
    """Look through every column of every table, bytes included, and through what the server says it is doing."""
    wanted, found, cells = list(secrets), [], 0
    with psycopg.connect(url, autocommit=True) as link:
        for schema, table, column, kind in link.execute(_COLUMNS).fetchall():
            shown = f"encode(\"{column}\", 'escape')" if kind == "bytea" else f'"{column}"::text'
            for (value,) in link.execute(f'SELECT {shown} FROM "{schema}"."{table}"').fetchall():
                cells += 1
                if value:
                    found += hits(wanted, f"{table}.{column}", str(value).encode())
        for row in link.execute("SELECT query FROM pg_stat_activity").fetchall():
            found += hits(wanted, "pg_stat_activity", str(row[0]).encode())
    return found, cells


def files(folder: Path, secrets: Iterable[str], skip: frozenset[str]) -> tuple[list[str], int]:
    """Look through every file below a folder but those of the folders named."""
    wanted, found, size = list(secrets), [], 0
    for path in folder.rglob("*"):
        if path.is_file() and not skip.intersection(path.relative_to(folder).parts):
            content = path.read_bytes()
            size += len(content)
            found += hits(wanted, path.name, content)
    return found, size


def crawl(fetch: Any, starts: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield every page that can be reached by links, each address once without its query."""
    waiting, seen = list(starts), set[str]()
    while waiting and len(seen) < PAGES_MAX:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        content: bytes = fetch(path)
        yield path, content
        waiting += [unescape(link) for link in LINK.findall(content.decode(errors="replace")) if "logout" not in link]
