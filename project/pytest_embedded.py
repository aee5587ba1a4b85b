"""Pytest plugin: a throw-away PostgreSQL and data folder for one test run, there before the settings are read."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from project import embedded, home

_PREFIX = "gapless-test-"


def _begin() -> None:
    if "GAPLESS_TEST_RUN" in os.environ:
        return  # a worker of this run, or a process it started: they share the run's database
    _remove_left_over_folders()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    atexit.register(_end, os.getpid(), folder)
    os.environ["GAPLESS_TEST_RUN"] = os.environ["GAPLESS_HOME"] = str(folder)
    home.prepare(home.Home(folder))
    given = os.environ.get("GAPLESS_TEST_DATABASE_URL")
    if given:
        os.environ["DATABASE_URL"] = given
        return
    database = embedded.start(folder, durable=False)
    atexit.register(_stop, os.getpid(), database)  # runs before _end: last registered, first called
    os.environ["DATABASE_URL"] = database.url
    os.environ["GAPLESS_TEST_CLUSTER"] = "1"


def _stop(owner: int, database: embedded.Database) -> None:
    if os.getpid() == owner:  # not in a forked child
        database.stop()


def _end(owner: int, folder: Path) -> None:
    if os.getpid() == owner:
        _remove(folder)


def _remove_left_over_folders() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not _is_alive(int(pid)) and folder.stat().st_uid == os.geteuid():
            _remove(folder)


def _remove(folder: Path) -> None:
    pointer = folder / "postgres-location"
    if pointer.exists():
        shutil.rmtree(Path(pointer.read_text().strip()).parent, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


_begin()
