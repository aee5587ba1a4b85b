"""The product under test: a PostgreSQL server of its own, paper venue, and every role as a process that may be killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from project import embedded, home, processes, server
from tests.flows.client import Api, wait_for
from tests.venues.paper.process import PaperVenue, free_port

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "gapless-chaos-"
MANAGE = (sys.executable, "manage.py")
TIMING = {
    "GAPLESS_OPEN_ORDERS_SECONDS": "3", "GAPLESS_FILLS_SECONDS": "5", "GAPLESS_BALANCES_SECONDS": "3",
    "GAPLESS_RECONCILIATION_SECONDS": "2", "GAPLESS_LEASE_SECONDS": "4", "GAPLESS_LEASE_RENEW_SECONDS": "1",
    "GAPLESS_NOT_READY_SECONDS": "30", "GAPLESS_REQUEST_TIMEOUT_SECONDS": "3", "GAPLESS_DEAD_LETTER_SECONDS": "120",
}  # fmt: skip
# Written by the database itself: when an epoch was granted and when an attempt was committed, by its own commit times.
WITNESS = """
CREATE TABLE chaos_epoch (account text, epoch bigint);
CREATE TABLE chaos_attempt (attempt uuid);
CREATE FUNCTION chaos_note_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO chaos_epoch VALUES (NEW.account_id, NEW.epoch); RETURN NULL; END $$;
CREATE FUNCTION chaos_note_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO chaos_attempt VALUES (NEW.id); RETURN NULL; END $$;
CREATE TRIGGER chaos_epoch AFTER UPDATE OF epoch ON orders_accountlease
FOR EACH ROW WHEN (NEW.epoch <> OLD.epoch) EXECUTE FUNCTION chaos_note_epoch();
CREATE TRIGGER chaos_attempt AFTER INSERT ON orders_attempt FOR EACH ROW EXECUTE FUNCTION chaos_note_attempt();
"""


@dataclass
class Slot:
    """A place for one role process: which role, which process now, and what was done to it."""

    name: str
    role: str
    process: subprocess.Popen[bytes] | None = None
    is_stopped: bool = False
    start_at: float = 0.0  # monotonic; when a dead one is to be started again


@dataclass
class Cluster:
    """Handles of everything that runs. Processes are started from the main thread alone: they die with it."""

    home: Path
    database: embedded.Database
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    paper: PaperVenue = field(init=False)
    token: str = ""

    @property
    def api(self) -> Api:
        """Return an API client with the first admin's token."""
        return Api(f"http://127.0.0.1:{self.port}", self.token)

    @property
    def failpoint_log(self) -> Path:
        """Return the file that gets a line whenever a failpoint fires."""
        return self.home / "failpoints.jsonl"

    def armed_file(self, slot: str) -> Path:
        """Return the file with the failpoints switched on in a slot."""
        return self.home / f"armed-{slot}"

    def add(self, name: str, role: str) -> None:
        """Make a slot for a role and start it."""
        self.slots[name] = Slot(name, role)
        self.start(name)

    def start(self, name: str) -> None:
        """Start the process of a slot."""
        slot = self.slots[name]
        web = (sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port), "--websocket_timeout", "-1")
        command = (*web, "project.asgi:application") if slot.role == "web" else (*MANAGE, f"run_{slot.role}")
        armed = {
            "ROLE": slot.role, "GAPLESS_TEST_BUILD": "1", "GAPLESS_FAILPOINTS": f"@{self.armed_file(name)}",
            "GAPLESS_FAILPOINTS_LOG": str(self.failpoint_log), "GAPLESS_FAILPOINTS_SEED": name,
        }  # fmt: skip
        slot.process = self._spawn(command, f"{name}.log", {**self.environment, **armed})
        slot.is_stopped, slot.start_at = False, 0.0

    def signal(self, name: str, number: signal.Signals) -> bool:
        """Send a signal to a slot's process, and wait for its end if it is SIGKILL. Says whether there was one."""
        slot = self.slots[name]
        if slot.process is None or slot.process.poll() is not None:
            return False
        slot.process.send_signal(number)
        if number == signal.SIGKILL:
            slot.process.wait(timeout=15)
            slot.process = None
        elif number in (signal.SIGSTOP, signal.SIGCONT):
            slot.is_stopped = number == signal.SIGSTOP
        return True

    def kill_postgres(self) -> int:
        """Kill -9 every process of the database server. Returns how many there were."""
        count = 0
        while pids := [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and self._is_postgres(p.name)]:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                    count += 1
                except ProcessLookupError:
                    pass
            self.database.is_alive()  # reaps the first process
            time.sleep(0.02)
        return count

    def start_postgres(self) -> None:
        """Start the killed database server again."""
        self.database.server.start()

    def manage(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a management command to its end."""
        return subprocess.run(
            [*MANAGE, *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=seconds,
            check=False, preexec_fn=processes.die_with_parent(signal.SIGKILL),
        )  # fmt: skip

    def sql(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read the product's database directly."""
        with psycopg.connect(self.database.url, autocommit=True) as link:
            return link.execute(query, parameters).fetchall()

    def firings(self) -> list[dict[str, Any]]:
        """Return what failpoints did so far."""
        if not self.failpoint_log.exists():
            return []
        return [json.loads(line) for line in self.failpoint_log.read_text().splitlines()]

    def bytes_used(self) -> int:
        """Return how much disk the run takes, and bound its logs."""
        for log in self.home.glob("*.log"):
            processes.rotate(log)
        return sum(path.stat().st_size for path in self.home.rglob("*") if path.is_file() and not path.is_symlink())

    def _is_postgres(self, pid: str) -> bool:
        return server.works_in(int(pid), self.database.server.data)

    def _spawn(self, command: tuple[str, ...], log_name: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self.home / log_name).open("ab") as log:
            return subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=processes.die_with_parent(signal.SIGKILL),
            )  # fmt: skip

    def start_paper(self) -> None:
        """Start the paper venue and wait until it answers."""
        url = f"http://127.0.0.1:{free_port()}"
        data = self.home / "papervenue"
        # fmt: off
        command = (sys.executable, "-m", "venues.paper", "--port", url.rpartition(":")[2], "--data", str(data), "--world", "")
        # fmt: on
        self.paper = PaperVenue(url, data, (), self._spawn(command, "papervenue.log", self.environment))
        wait_for("the paper venue", lambda: self.paper.control("GET", "health"), 30)

    def prepare_database(self) -> None:
        """Migrate, make keys and the first admin, and have the database witness epochs and attempts."""
        for command in ("migrate", "init_secrets", "seed_demo"):
            done = self.manage(command)
            if done.returncode != 0:
                raise RuntimeError(f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
            for line in done.stdout.splitlines():
                if line.startswith("{") and "token" in (said := json.loads(line)):
                    self.token = said["token"]
        with psycopg.connect(self.database.url, autocommit=True) as link:
            link.execute(WITNESS)

    def end(self) -> None:
        """End every process; the database last."""
        started = [slot.process for slot in self.slots.values() if slot.process is not None]
        if hasattr(self, "paper"):
            started.append(self.paper.process)
        for process in started:
            process.kill()
        for process in started:
            process.wait()
        self.database.stop()


@contextmanager
def running_cluster(executors: int, timing: dict[str, str], keep: bool = False) -> Iterator[Cluster]:
    """Run everything in a fresh folder for as long as the block lasts; nothing is left behind unless `keep`."""
    remove_left_over()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    home.prepare(home.Home(folder))
    database = None
    try:
        database = embedded.start(folder)
        with database.server.connect() as link:
            link.execute("ALTER SYSTEM SET track_commit_timestamp = on")
            link.execute("ALTER SYSTEM SET log_min_messages = 'fatal'")
        database.server.stop()
        database.server.start()
        cluster = Cluster(folder, database, free_port())
        try:
            cluster.environment = _environment(folder, database.url, timing)
            cluster.start_paper()
            cluster.environment["GAPLESS_PAPER_URL"] = cluster.paper.url
            cluster.prepare_database()
            cluster.add("web", "web")
            for number in range(1, executors + 1):
                cluster.add(f"executor-{number}", "executor")
            cluster.add("worker", "worker")
            cluster.add("watchdog", "watchdog")
            wait_for("the API to answer", lambda: cluster.api.get("/"), 90)
            yield cluster
        finally:
            cluster.end()
    finally:
        if database is not None:
            database.stop()
        if not keep:
            remove(folder)


def remove_left_over() -> None:
    """Remove the folders of runs whose process is gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and folder.stat().st_uid == os.geteuid():
            remove(folder)


def remove(folder: Path) -> None:
    """Remove a run's folder, and its database's where that lies elsewhere."""
    pointer = folder / "postgres-location"
    if pointer.exists():
        shutil.rmtree(Path(pointer.read_text().strip()).parent, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _environment(folder: Path, url: str, timing: dict[str, str]) -> dict[str, str]:
    ours = ("GAPLESS_", "PG", "DATABASE_URL", "BROKER_URL", "ROLE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    given = {
        "DATABASE_URL": url, "GAPLESS_HOME": str(folder), "GAPLESS_CUSTOM_URLS": "1", "DEMO": "0",
        "SECRET_KEY": "chaos", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    return {**kept, **given, **timing}
