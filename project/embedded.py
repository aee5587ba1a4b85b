"""The embedded database: a private PostgreSQL under the data folder, reached through one unix socket by one user."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from project import binaries, server
from project.binaries import EmbeddedError, User

DATABASE = "gapless"
_SOCKET_PATH_BYTES_MAX = 107


@dataclass(frozen=True)
class Database:
    """A running embedded database that the caller owns."""

    url: str
    server: server.Server

    @property
    def pid(self) -> int:
        return self.server.pid

    def is_alive(self) -> bool:
        return self.server.is_alive()

    def stop(self) -> None:
        self.server.stop()


@dataclass(frozen=True)
class Location:
    """Where one data folder's database lies, and who runs it."""

    home: Path
    folder: Path
    sockets: Path
    user: User

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/{DATABASE}?host={quote(str(self.sockets), safe='')}&port={server.PORT}"


def locate(home: Path, *, system: Path = binaries.SYSTEM_FOLDER) -> Location:
    """Say where the database of this data folder lies, the same before the first start and after it."""
    home = home.absolute()
    pointer = home / "postgres-location"
    user, folder = User.unprivileged(), home / "postgres"
    identity = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    if pointer.exists():
        folder = Path(pointer.read_text().strip())
    elif os.geteuid() == 0 and not folder.exists() and not user.may_enter(_first_existing(home)):
        folder = system / identity / "postgres"
    if os.geteuid() == 0 and folder.exists() and (owner := folder.stat()).st_uid != 0:
        user = User(owner.st_uid, owner.st_gid)
    sockets = folder / "run"
    if len(os.fsencode(sockets / f".s.PGSQL.{server.PORT}")) > _SOCKET_PATH_BYTES_MAX:
        sockets = Path(f"/tmp/gapless-{user.uid}-{identity}")
    return Location(home, folder, sockets, user)


def url(home: Path) -> str:
    """Return the DATABASE_URL of this data folder's database, whether it runs or not."""
    return locate(home).url


def is_running(home: Path) -> bool:
    """Tell whether the database of this data folder runs and accepts connections."""
    place = locate(home)
    return place.data.exists() and _server(place, durable=True).adopt()


def start(home: Path, *, durable: bool = True, free_bytes_min: int = server.FREE_BYTES_MIN) -> Database:
    """Start the database of this data folder, made on first use, or adopt it if it runs; call from the main thread.

    It is stopped by `stop()`, and by the kernel when the calling process ends in any other way. Raises EmbeddedError.
    """
    place = locate(home)
    _make_folders(place)
    running = _server(place, durable=durable)
    if not (place.data.exists() and running.adopt()):
        free_bytes = shutil.disk_usage(place.folder).free
        if free_bytes < free_bytes_min:
            raise EmbeddedError(server.no_space(place.folder, free_bytes))
        if place.data.exists() and (major := _data_version(place.data)) != binaries.MAJOR:
            _upgrade(place, running, major)
        elif not place.data.exists():
            running.initialise()
        if not running.is_alive():
            running.start()
    with running.connect() as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")
    return Database(place.url, running)


def _server(place: Location, *, durable: bool) -> server.Server:
    programs = binaries.programs(place.user)
    log = place.home / "logs" / "postgres.log"
    return server.Server(programs, place.data, place.sockets, place.user, log, durable)


def _make_folders(place: Location) -> None:
    (place.home / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)
    if place.folder.parent != place.home:
        place.folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        (place.home / "postgres-location").write_text(f"{place.folder}\n")
    for folder in (place.folder, place.sockets):
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            pass
        else:
            os.chown(folder, place.user.uid, place.user.gid)
        # Whoever reaches the socket is the database's superuser, so the folder must be that user's and closed.
        status = folder.lstat()
        if status.st_uid != place.user.uid or status.st_mode & 0o077 or folder.is_symlink():
            raise EmbeddedError(
                f"The folder {folder} must belong to user {place.user.uid} and be closed to others (mode 0700). It is "
                "not, so somebody else could read or change the trading record. Nothing was started. Repair it with "
                "`chown` and `chmod 700`, or name another GAPLESS_HOME."
            )


def _first_existing(path: Path) -> Path:
    return next(step for step in (path, *path.parents) if step.exists())


def _data_version(data: Path) -> int:
    return int((data / "PG_VERSION").read_text().strip())


def _upgrade(place: Location, running: server.Server, major: int) -> None:
    """Dump the data with the old version's server, restore them into a new folder, then swap the folders."""
    old_programs = binaries.programs(place.user, major=major)
    archive, kept = place.folder / "upgrade.dump", place.folder / f"data-{major}"
    old = replace(running, programs=old_programs)
    new = replace(running, data=place.folder / "data-upgrade")
    old.start()
    try:
        _client(running, "pg_dump", "-Fc", "-f", str(archive), DATABASE, wanted="read the old data")
    finally:
        old.stop()
    shutil.rmtree(new.data, ignore_errors=True)
    new.initialise()
    new.start()
    try:
        _client(running, "createdb", DATABASE, wanted="make the new database")
        _client(running, "pg_restore", "--exit-on-error", "-d", DATABASE, str(archive), wanted="fill the new database")
    finally:
        new.stop()
    place.data.rename(kept)
    new.data.rename(place.data)
    archive.unlink()


def _client(running: server.Server, program: str, *arguments: str, wanted: str) -> None:
    command = [str(running.programs / program), "-h", str(running.sockets), "-p", server.PORT, "-U", "postgres"]
    environment = server.clean_environment(os.environ)
    done = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EmbeddedError(
            f"The upgrade of the data folder could not {wanted}: {done.stderr.strip()[-500:]}. The old data are "
            "untouched and nothing was started. Start the version of Gapless that wrote them, take a backup, and "
            "restore it here."
        )
