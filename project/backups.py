"""One file with everything that is needed to go on elsewhere: the database, the keys, the paper venue's journal."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from project import binaries, embedded, home, server

FORMAT = 1
_DUMP, _MANIFEST = "database.dump", "manifest.json"
_FRESH_SCHEMA = b"SET lock_timeout = '10s'; DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public;\n"


class BackupError(Exception):
    """A backup could not be written or read; the text says why, what it means and what to do."""


def write(place: home.Home, database_url: str, version: str, target: Path) -> None:
    """Write database, keys and paper venue to one file that only this user may read. Raises BackupError."""
    with tempfile.TemporaryDirectory(prefix="gapless-backup-") as folder:
        dump = Path(folder) / _DUMP
        _run(["pg_dump", "-Fc", "--no-owner", "--no-privileges", "-f", str(dump)], "dumped", database_url)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream, tarfile.open(fileobj=stream, mode="w") as archive:
            _add_manifest(archive, version)
            archive.add(dump, _DUMP)
            for name in ("secrets", "papervenue", "demo-token"):
                if (place.path / name).exists():
                    archive.add(place.path / name, name)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(target)


def manifest(source: Path) -> dict[str, str]:
    """Return what a backup says about itself. Raises BackupError."""
    try:
        with tarfile.open(source) as archive:
            stream = archive.extractfile(_MANIFEST)
            found: dict[str, str] = json.load(stream) if stream else {}
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise BackupError(
            f"{source} is not a whole Gapless backup ({type(error).__name__}). Nothing was changed. Name the file that "
            "`make backup` wrote."
        ) from error
    if found.get("format") != str(FORMAT):
        raise BackupError(
            f"{source} has the format {found.get('format')}, and this version reads {FORMAT}. Nothing was changed. Restore "
            f"it with the version of Gapless that wrote it ({found.get('version')})."
        )
    return found


def restore(place: home.Home, database_url: str, source: Path) -> None:
    """Replace database, keys and paper venue by those of a backup: the database in one transaction, then the files.

    Raises BackupError; the database is then as it was before.
    """
    manifest(source)
    with tempfile.TemporaryDirectory(prefix="gapless-restore-", dir=place.path) as folder:
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
        _load(Path(folder) / _DUMP, database_url)
        for name in ("secrets", "papervenue"):
            fresh, current = Path(folder) / name, place.path / name
            if fresh.exists():
                _replace_folder(fresh, current, Path(folder) / f"{name}.before")
        token = Path(folder) / "demo-token"
        if token.exists():
            token.replace(place.demo_token)


@contextmanager
def database(place: home.Home, *, alone: bool) -> Iterator[None]:
    """Have the embedded database running meanwhile, started here unless it already is. Raises HomeError, EmbeddedError.

    `alone` refuses while Gapless runs; otherwise a running one is used as it is.
    """
    if os.environ.get("GAPLESS_EMBEDDED") != "1" or (not alone and embedded.is_running(place.path)):
        yield
        return
    with home.hold(place, "this"):
        running = embedded.start(place.path)
        try:
            yield
        finally:
            running.stop()


def _add_manifest(archive: tarfile.TarFile, version: str) -> None:
    content = {"format": str(FORMAT), "version": version, "created_at": datetime.now(UTC).isoformat(timespec="seconds")}
    data = json.dumps(content, indent=1).encode()
    entry = tarfile.TarInfo(_MANIFEST)
    entry.size, entry.mode = len(data), 0o600
    archive.addfile(entry, io.BytesIO(data))


def _load(dump: Path, database_url: str) -> None:
    script = dump.with_suffix(".sql")
    _run(["pg_restore", "--no-owner", "--no-privileges", "-f", str(script), str(dump)], "read", "")
    whole = dump.with_suffix(".whole.sql")
    with whole.open("wb") as output, script.open("rb") as rest:
        output.write(_FRESH_SCHEMA)
        shutil.copyfileobj(rest, output)
    options = ["--no-psqlrc", "--quiet", "--single-transaction", "--set", "ON_ERROR_STOP=1"]
    _run(["psql", *options, "-f", str(whole), "-o", os.devnull], "restored", database_url)


def _replace_folder(fresh: Path, current: Path, aside: Path) -> None:
    if current.exists():
        current.rename(aside)
    fresh.rename(current)
    current.chmod(0o700)


def _run(command: list[str], done: str, database_url: str) -> None:
    is_embedded = os.environ.get("GAPLESS_EMBEDDED") == "1"
    address, password = _without_password(database_url)
    carried = binaries.programs(binaries.User(os.geteuid(), os.getegid())) / command[0]
    # A server elsewhere may want TLS, which the carried programs were built without: the machine's own come first then.
    program = str(carried) if is_embedded else shutil.which(command[0]) or str(carried)
    environment = server.clean_environment(os.environ) if is_embedded else dict(os.environ)
    if password:
        environment["PGPASSWORD"] = password  # everybody on the machine can read a command line
    finished = subprocess.run(
        [program, *command[1:], *(["-d", address] if address else [])],
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if finished.returncode != 0:
        complaint = finished.stderr.strip()[-800:]
        raise BackupError(
            f"The database could not be {done}: {complaint}\nWhat was recorded before is unchanged. Correct the cause and "
            "run the same command again."
        )


def _without_password(database_url: str) -> tuple[str, str]:
    parts = urlsplit(database_url)
    if not parts.password:
        return database_url, ""
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}@{place}").geturl(), unquote(parts.password)
