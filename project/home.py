"""The data folder: where it is, what is in it, who holds it. Standard library only, usable before Django is."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent


class HomeError(Exception):
    """The data folder cannot be used; the text says why, what it means and what to do."""


@dataclass(frozen=True)
class Home:
    """The parts of one data folder."""

    path: Path

    @property
    def secrets(self) -> Path:
        return self.path / "secrets"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def papervenue(self) -> Path:
        return self.path / "papervenue"

    @property
    def backups(self) -> Path:
        return self.path / "backups"

    @property
    def secret_key(self) -> Path:
        return self.secrets / "django-secret-key"

    @property
    def private_key(self) -> Path:
        return self.secrets / "executor-private-key.pem"

    @property
    def demo_token(self) -> Path:
        return self.path / "demo-token"

    @property
    def lock(self) -> Path:
        return self.path / "lock"


def locate(environment: MutableMapping[str, str]) -> Home:
    """Return the data folder named by GAPLESS_HOME, else `.gapless` beside manage.py."""
    return Home(Path(environment.get("GAPLESS_HOME") or BASE_DIR / ".gapless").absolute())


def prepare(home: Home) -> Home:
    """Make the folders and the secret key that are not there yet. Safe to repeat. Raises HomeError."""
    try:
        home.path.mkdir(parents=True, exist_ok=True)
        # Root's database runs as another user, which has to walk through this folder but not to list it.
        home.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for folder in (home.secrets, home.logs, home.papervenue):
            folder.mkdir(mode=0o700, exist_ok=True)
        write_once(home.secret_key, secrets.token_urlsafe(50))
    except OSError as error:
        raise HomeError(
            f"The data folder {home.path} cannot be written ({error.strerror}: {error.filename}). Nothing was started "
            "or changed. Start as the user who made it, or name another folder with GAPLESS_HOME."
        ) from error
    return home


def write_once(path: Path, text: str) -> None:
    """Write a secret that only this user may read, whole or not at all, unless it is already there."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # somebody else was first: theirs counts
    finally:
        draft.unlink()


def holder(home: Home) -> int | None:
    """Return the pid of the process that holds the data folder, or None."""
    try:
        stream = home.lock.open("r+")
    except FileNotFoundError:
        return None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(stream.read().strip() or 0)
        return None


@contextmanager
def hold(home: Home, purpose: str) -> Iterator[None]:
    """Hold the data folder alone; the kernel lets go of it however this process ends. Raises HomeError."""
    with home.lock.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            raise HomeError(
                f"Gapless already runs on {home.path} (process {stream.read().strip() or 'unknown'}), so {purpose} was "
                "not begun and nothing was changed. Stop it with Ctrl-C or `kill` first, or name another folder with "
                "GAPLESS_HOME and another PORT."
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def reset(home: Home, *, sure: bool) -> str:
    """Delete what Gapless keeps in the data folder, and say what was done. Raises HomeError."""
    if not home.secret_key.exists():
        return f"Nothing to delete: there are no Gapless data in {home.path}."
    with hold(home, "the reset"):
        if not sure:
            question = f"This deletes every order, fill, ledger entry, key and log in {home.path}, for ever.\n"
            if input(f"{question}Type yes to delete: ").strip() != "yes":
                return "Nothing was deleted."
        pointer = home.path / "postgres-location"
        folders = [home.path / "postgres", home.secrets, home.logs, home.papervenue]
        if pointer.exists():
            folders.insert(0, Path(pointer.read_text().strip()))
        for folder in filter(Path.exists, folders):
            shutil.rmtree(folder if folder.parent == home.path else folder.parent)
        for name in ("postgres-location", "demo-token", "demo.json", "lock"):
            (home.path / name).unlink(missing_ok=True)
    left = sorted(entry.name for entry in home.path.iterdir())
    if not left:
        home.path.rmdir()
        return f"Deleted {home.path}."
    return f"Deleted the data in {home.path}; left alone: {', '.join(left)}."


if __name__ == "__main__":
    try:
        sys.stdout.write(reset(locate(os.environ), sure=os.environ.get("YES") == "1") + "\n")
    except HomeError as problem:
        sys.exit(str(problem))
