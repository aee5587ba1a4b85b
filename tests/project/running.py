"""`manage.py run` as a person starts it: a process of its own, its output in a file, its children found through /proc."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OPEN_SECONDS = 90.0


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return this environment without the test run's own database and data folder."""
    own = {"DATABASE_URL", "GAPLESS_TEST_CLUSTER", "GAPLESS_TEST_RUN", "GAPLESS_EMBEDDED", "BROKER_URL", "MAKELEVEL"}
    kept = {name: value for name, value in os.environ.items() if name not in own}
    return {**kept, "GAPLESS_HOME": str(home), **more}


def manage(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one management command to its end."""
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment(home, **more), capture_output=True, text=True, timeout=120, check=False
    )


def wait_for(fact: Callable[[], object], what: Callable[[], str], seconds: float) -> None:
    """Wait for a fact, at most so long."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what()}"
        time.sleep(0.05)


class Gapless:
    """One `manage.py run`."""

    def __init__(self, home: Path, port: int, **more: str) -> None:
        self.home, self.port = home, port
        self.output = home.parent / f"{home.name}-{time.monotonic_ns()}.output"
        command = [sys.executable, "manage.py", "run"]
        with self.output.open("wb") as stream:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment(home, PORT=str(port), **more), stdout=stream, stderr=stream
            )

    def said(self) -> str:
        return self.output.read_text()

    def wait_until_open(self) -> Gapless:
        """Wait for the block with the address."""
        self.wait_for(lambda: "Gapless is open" in self.said() or self.process.poll() is not None, "open", OPEN_SECONDS)
        assert self.process.poll() is None, self.said()
        return self

    def wait_for(self, fact: Callable[[], object], what: str, seconds: float = 20) -> None:
        """Wait for a fact; what was said so far explains why it did not come."""
        wait_for(fact, lambda: f"{what}; it said: {self.said()}", seconds)

    def children(self) -> dict[str, int]:
        """Return the pid of each role that runs on this data folder, and of the database."""
        return {role: pid for pid, role in processes_of(self.home).items() if pid != self.process.pid}

    def stop(self, number: int) -> int:
        """Ask it to stop and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(40)


def processes_of(home: Path) -> dict[int, str]:
    """Return every living process started for this data folder, by pid, with its role."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_text(errors="replace").split("\0")
            command = (entry / "cmdline").read_text(errors="replace")
        except OSError:
            continue
        if f"GAPLESS_HOME={home}" in variables and command:
            role = next((value for value in variables if value.startswith("ROLE=")), "ROLE=")[5:]
            is_database = re.search(r"/bin/postgres\0-D\0", command)
            found[int(entry.name)] = "database" if is_database else role or "supervisor"
    return {pid: role for pid, role in found.items() if not _is_database_session(pid)}


def _is_database_session(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_text(errors="replace").startswith("postgres:")
    except OSError:
        return True
