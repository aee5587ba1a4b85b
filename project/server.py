"""One PostgreSQL server: make its data folder, start it, wait for it, stop it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from project.binaries import EmbeddedError, User
from project.processes import die_with_parent

PORT = "5432"  # only part of the socket's name: the server does not listen on the network
FREE_BYTES_MIN = 256 * 1024 * 1024
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
}
_EPHEMERAL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_START_SECONDS, _STOP_SECONDS = 60.0, 20.0


@dataclass
class Server:
    """A PostgreSQL server on one data folder, its socket in another."""

    programs: Path
    data: Path
    sockets: Path
    user: User
    log: Path
    durable: bool = True
    pid: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def initialise(self) -> None:
        """Make the data folder, whole or not at all. Raises EmbeddedError."""
        draft = self.data.with_name("data.new")
        shutil.rmtree(draft, ignore_errors=True)
        # fmt: off
        arguments = ["-D", draft, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale-provider=builtin",
                     "--builtin-locale=C.UTF-8", "--no-instructions", *([] if self.durable else ["--no-sync"])]
        # fmt: on
        with self.log.open("ab") as log:
            made = self._spawn(["initdb", *map(str, arguments)], log.fileno(), signal.SIGKILL).wait()
        if made != 0:
            raise EmbeddedError(self._complaint("could not make its data folder"))
        draft.rename(self.data)

    def start(self) -> None:
        """Start the server, wait until it answers, and have it end with this process. Raises EmbeddedError."""
        settings = _SETTINGS if self.durable else {**_SETTINGS, **_EPHEMERAL}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = ["postgres", "-D", str(self.data), "-k", str(self.sockets), "-p", PORT, *options]
        deadline = time.monotonic() + _START_SECONDS
        self._forget_recycled_pid()
        while time.monotonic() < deadline:
            mark = self.log.stat().st_size if self.log.exists() else 0
            with self.log.open("ab") as log:
                self._process = self._spawn(command, log.fileno(), signal.SIGINT)
            if self._answers(deadline):
                self.pid = self._process.pid
                return
            with self.log.open("rb") as log:
                log.seek(mark)
                said = log.read().decode(errors="replace")
            if "is still in use" not in said and "already exists" not in said:
                break
            time.sleep(0.2)  # the sessions of a killed server need a moment to end; PostgreSQL looks for them itself
        raise EmbeddedError(self._complaint("did not start"))

    def stop(self) -> None:
        """Stop the server: sessions are ended, everything committed is on disk. Safe to repeat."""
        for number, seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
            if not self.is_alive():
                return
            os.kill(self.pid, number)
            deadline = time.monotonic() + seconds
            while self.is_alive() and time.monotonic() < deadline:
                time.sleep(0.01)

    def is_alive(self) -> bool:
        """Tell whether the server's first process still runs."""
        if self._process is not None:
            return self._process.poll() is None
        return bool(self.pid) and works_in(self.pid, self.data)

    def adopt(self) -> bool:
        """Take over the server that already runs on this data folder, if one does."""
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            pid, state = _postmaster(self.data)
            if not pid or not works_in(pid, self.data):
                return False
            if state == "ready" and self._takes_connections():
                self.pid, self._process = pid, None
                return True
            time.sleep(0.05)  # starting, or stopping because its parent died: both end soon
        raise EmbeddedError(self._complaint("is stopping and does not come to an end"))

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Open an autocommit connection as the superuser."""
        return psycopg.connect(host=str(self.sockets), port=PORT, user="postgres", dbname=database, autocommit=True)

    def _takes_connections(self) -> bool:
        """Tell whether it takes connections: one whose parent has just died still calls itself ready for a moment."""
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _forget_recycled_pid(self) -> None:
        """PostgreSQL clears a left-over postmaster.pid itself, except when another program now has that number.

        Removing it is only safe when no process, not even an orphaned session, works on the data.
        """
        pid, _ = _postmaster(self.data)
        numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        if pid in numbers and not any(works_in(number, self.data) for number in numbers):
            (self.data / "postmaster.pid").unlink()

    def _answers(self, deadline: float) -> bool:
        while self.is_alive() and time.monotonic() < deadline:
            try:
                self.connect().close()
                return True
            except psycopg.OperationalError:
                time.sleep(0.02)
        return False

    def _spawn(self, command: list[str], output: int, death_signal: signal.Signals) -> subprocess.Popen[bytes]:
        other_user = os.geteuid() == 0
        return subprocess.Popen(
            [str(self.programs / command[0]), *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=clean_environment(os.environ),
            start_new_session=True,
            preexec_fn=die_with_parent(death_signal),
            user=self.user.uid if other_user else None,
            group=self.user.gid if other_user else None,
            extra_groups=[] if other_user else None,
        )

    def _complaint(self, what: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-8:] if self.log.exists() else []
        said = "\n".join(f"    {line}" for line in lines)
        if any("No space left on device" in line for line in lines):
            return no_space(self.data, shutil.disk_usage(self.data.parent).free)
        return (
            f"The embedded PostgreSQL {what}. No order was sent and nothing already recorded was changed. Its last "
            f"lines, from {self.log}:\n{said}\nRemove the cause and start again; if the data folder itself is damaged, "
            "restore a backup with `make restore FILE=…`."
        )


def no_space(folder: Path, free_bytes: int) -> str:
    """Say that the disk is full, what that means and what to do."""
    return (
        f"The disk under {folder} has {free_bytes >> 20} MB free; the database needs {FREE_BYTES_MIN >> 20} MB "
        "to record safely. Nothing was started, no order was sent, and what is recorded is intact. Free some space, or "
        "move the data folder and name it with GAPLESS_HOME, then start again."
    )


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the variables that steer PostgreSQL's programs elsewhere."""
    return {name: value for name, value in environment.items() if not name.startswith("PG")}


def works_in(pid: int, folder: Path) -> bool:
    """Tell whether the process runs with this working folder, as every PostgreSQL process does with its data folder."""
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", folder)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def _postmaster(data: Path) -> tuple[int, str]:
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return 0, ""
    return int(lines[0]) if lines else 0, lines[7].strip() if len(lines) > 7 else ""
