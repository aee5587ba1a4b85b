"""`manage.py run`: Gapless on one machine. Starts the embedded database and every role, and stops them together."""

from __future__ import annotations

import io
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from typing import Any

import django.db
from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db.migrations.executor import MigrationExecutor

from orders import leases
from project import backups, embedded, home, processes, roles
from project.binaries import EmbeddedError

READY_SECONDS = 60.0


class Stopped(Exception):
    """The person asked to stop while Gapless was still starting."""


class Command(BaseCommand):
    help = "Start the embedded database and every role under one supervisor; one Ctrl-C stops them all."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until asked to stop."""
        if os.environ.get("MAKELEVEL"):
            processes.end_with_parent(signal.SIGTERM)  # a killed `make run` leaves nothing behind
        place = home.prepare(home.locate(os.environ))
        try:
            with home.hold(place, "this start"):
                Session(place).run()
        except (home.HomeError, backups.BackupError, EmbeddedError) as problem:
            raise CommandError(str(problem)) from problem


class Session:
    """One run, from the first check to the last process ended."""

    def __init__(self, place: home.Home) -> None:
        self.place = place
        self.demo = os.environ.get("DEMO", "1").lower() not in {"0", "false", "no"}
        self.host, self.port = os.environ.get("HOST", "127.0.0.1"), _console_port()
        self.paper_port = _paper_port(place, self.port)
        self.url = f"http://{self.host}:{self.port}"
        self.database: embedded.Database | None = None
        os.environ["GAPLESS_PAPER_URL"] = settings.PAPER_URL = f"http://127.0.0.1:{self.paper_port}"
        self.children = processes.Supervisor(place.logs, _say, self._child_ended)
        self.began = time.monotonic()

    def run(self) -> None:
        """Start everything, watch it, and stop everything."""
        _say(f"Gapless {settings.VERSION}, data in {self.place.path}")
        try:
            self._open()
            while not self.children.stop_requests:
                self.children.tick(1.0)
                self._keep_database()
        except Stopped:
            pass
        finally:
            self._close()

    def _open(self) -> None:
        if os.environ.get("GAPLESS_EMBEDDED") == "1":
            with self._step("database"):
                self.database = embedded.start(self.place.path)
        self.children.start(roles.paper_venue(self.place, self.paper_port, demo=self.demo))
        with self._step("migrations and keys"):
            self._migrate()
            call_command("init_secrets", stdout=io.StringIO())
            leases.release_dead_holders()
        self.children.start(roles.console(self.host, self.port))
        for role in roles.others():
            self.children.start(role)
        with self._step("first admin and demo" if self.demo else "first admin"):
            seeded = self._seed()
        with self._step("console and API"):
            self._wait_until_ready()
        if self.demo:
            self.children.start(roles.strategy(self.url, seeded["strategy_token"]))
        self._announce(seeded)

    def _migrate(self) -> None:
        executor = MigrationExecutor(django.db.connection)
        if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return
        if executor.loader.applied_migrations and self.database is not None:
            kept = self.place.backups / f"before-{settings.VERSION}-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar"
            backups.write(self.place, self.database.url, settings.VERSION, kept)
            _say(f"  an older data folder: backed up to {kept} before it is upgraded")
        call_command("migrate", interactive=False, verbosity=0)

    def _seed(self) -> dict[str, Any]:
        output = io.StringIO()
        with redirect_stdout(output):
            call_command("seed_demo", stdout=output)
        django.db.connections.close_all()
        lines = [json.loads(line) for line in output.getvalue().splitlines() if line.startswith("{")]
        seeded: dict[str, Any] = {"logins": [line for line in lines if "password" in line]}
        for line in lines:
            seeded.update({name: value for name, value in line.items() if name.endswith("token")})
        self.place.demo_token.unlink(missing_ok=True)
        home.write_once(self.place.demo_token, seeded["token"])
        return seeded

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not _is_ready(self.url):
            self._check_stop()
            self.children.tick(0.1)
            if time.monotonic() > deadline:
                _say(f"  not ready after {READY_SECONDS:g} s, still trying; {self.url}/readyz says what is missing")
                return

    def _announce(self, seeded: dict[str, Any]) -> None:
        _say(f"\nGapless is open on {self.url}  ({time.monotonic() - self.began:.1f} s)\n")
        for login in seeded["logins"]:
            _say(f"  Login      {login['username']} / {login['password']}   {login.get('description', '')}".rstrip())
        _say(f"  API token  {seeded['token']}   (also in {self.place.demo_token})")
        _say(f"  Paper      http://127.0.0.1:{self.paper_port}")
        _say(f"  Logs       {self.place.logs}/<role>.log")
        _say("  Stop       Ctrl-C\n")

    def _keep_database(self) -> None:
        if self.database is not None and not self.database.is_alive() and not self.children.stop_requests:
            _say(f"database ended; starting it again. Why: {self.place.logs / 'postgres.log'}")
            self.database = embedded.start(self.place.path)

    def _child_ended(self, role: processes.Role) -> None:
        if role.name != "executor":
            return
        try:
            leases.release_dead_holders()
        except django.db.Error as error:
            _say(f"the executor's lease was not ended early ({type(error).__name__}); it runs out by itself")
        finally:
            django.db.connections.close_all()

    def _close(self) -> None:
        _say("\nStopping: roles first, database last.")
        django.db.connections.close_all()
        self.children.stop()
        if self.database is not None:
            self.database.stop()
        _say("Stopped. Everything recorded is on disk.")

    def _check_stop(self) -> None:
        if self.children.stop_requests:
            raise Stopped

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self._check_stop()
        began = time.monotonic()
        yield
        _say(f"  {name:<24} {time.monotonic() - began:5.1f} s")


def _console_port() -> int:
    word = os.environ.get("PORT", "8000")
    if not word.isdigit() or not 0 < int(word) < 65536:
        raise CommandError(f"PORT={word} is not a port. Nothing was started. Use a number from 1 to 65535.")
    port = int(word)
    if not processes.is_free(port, os.environ.get("HOST", "127.0.0.1")):
        raise CommandError(
            f"Port {port} is taken by another program, so nothing was started and nothing was changed. Start with "
            f"another one: `make run PORT={processes.next_free(port + 1)}`, or stop the program that uses it."
        )
    return port


def _paper_port(place: home.Home, port: int) -> int:
    """The demo's venues carry this port in their address, so the last one is kept while it is free."""
    remembered = place.papervenue / "port"
    wanted = int(os.environ.get("PAPER_PORT") or (remembered.read_text() if remembered.exists() else port + 900))
    chosen = processes.next_free(wanted if wanted != port else wanted + 1)
    remembered.write_text(str(chosen))
    return chosen


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _say(text: str) -> None:
    print(text, flush=True)
