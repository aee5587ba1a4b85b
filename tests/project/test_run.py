"""`make run` as people meet it: first start, second start, a taken port, and every way to end it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from project import embedded, processes
from tests.project.running import ROOT, Gapless, environment, manage, processes_of, wait_for

pytestmark = pytest.mark.process
ROLES = {"database", "papervenue", "web", "executor", "worker", "watchdog"}


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gapless run ") as made:
        Path(made).chmod(0o711)
        home = Path(made) / "data folder"
        yield home
        for pid in processes_of(home):  # only what a failed test left behind
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not processes_of(home), lambda: str(processes_of(home)), 20)


def port() -> int:
    return processes.next_free(8941)


def get(gapless: Gapless, path: str) -> tuple[int, bytes]:
    token = (gapless.home / "demo-token").read_text().strip()
    asked = urllib.request.Request(
        f"http://127.0.0.1:{gapless.port}{path}", headers={"Authorization": f"Token {token}"}
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return answer.status, answer.read()


def test_first_start_restarts_what_falls_ends_at_one_ctrl_c_and_comes_back_from_a_backup(folder: Path) -> None:
    gapless = Gapless(folder, port()).wait_until_open()
    said = gapless.said()
    assert f"http://127.0.0.1:{gapless.port}" in said
    token = folder / "demo-token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.read_text().strip() in said
    assert get(gapless, "/readyz")[0] == 200
    assert json.loads(get(gapless, "/api/v1/accounts/")[1])["results"], "the demo has accounts"
    gapless.wait_for(lambda: ROLES | {"strategy"} <= gapless.children().keys(), "every role")

    second = manage(folder, "run", PORT=str(port()))
    assert second.returncode == 1
    assert f"process {gapless.process.pid}" in second.stderr

    before = gapless.children()
    for role in before:
        os.kill(before[role], signal.SIGKILL)
    gapless.wait_for(
        lambda: all(gapless.children().get(role, pid) != pid for role, pid in before.items()), "all roles came back", 40
    )
    wait_for(lambda: is_ready(gapless), lambda: "ready again after every child was killed\n" + gapless.said(), 60)

    assert gapless.stop(signal.SIGINT) == 0, gapless.said()
    assert processes_of(folder) == {}
    backup_reset_and_restore_give_the_same_record(folder)


def is_ready(gapless: Gapless) -> bool:
    try:
        return get(gapless, "/readyz")[0] == 200
    except OSError:
        return False


def test_older_folder_is_upgraded_and_a_killed_supervisor_takes_all_along(folder: Path) -> None:
    folder.mkdir(mode=0o711)
    make_older_database(folder)
    gapless = Gapless(folder, port(), DEMO="0").wait_until_open()
    assert len(list((folder / "backups").glob("before-*.tar"))) == 1
    assert gapless.children().keys() >= ROLES
    assert "strategy" not in gapless.children()

    gapless.process.kill()
    gapless.process.wait()
    again = Gapless(folder, gapless.port, DEMO="0").wait_until_open()  # at once, while the old ones may still be ending
    with psycopg.connect(embedded.url(folder)) as connection:
        assert connection.execute("SELECT count(*) FROM auth_user WHERE username = 'old-hand'").fetchone() == (1,)
    assert len(processes_of(folder)) == len(ROLES) + 1, "each role runs once"
    assert again.stop(signal.SIGTERM) == 0
    assert processes_of(folder) == {}


def make_older_database(folder: Path) -> None:
    database = embedded.start(folder)
    assert manage(folder, "migrate", "auth").returncode == 0
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO auth_user (username, password, is_superuser, is_staff, is_active, first_name, last_name, email, "
            "date_joined) VALUES ('old-hand', '!', false, false, true, '', '', '', now())"
        )
    database.stop()


def test_taken_port_is_said_before_anything_starts(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", port())) as taken:
        number = taken.getsockname()[1]
        done = manage(folder, "run", PORT=str(number))
    assert done.returncode == 1
    assert f"Port {number} is taken" in done.stderr
    assert "make run PORT=" in done.stderr
    assert not (folder / "postgres").exists()
    assert manage(folder, "run", PORT="http").stderr.startswith("CommandError: PORT=http is not a port")


def test_damaged_backup_changes_nothing(folder: Path) -> None:
    folder.mkdir(mode=0o711)
    file = folder.parent / "torn.tar"
    file.write_bytes(b"not a backup")
    done = manage(folder, "restore", str(file), "--yes")
    assert done.returncode == 1
    assert "not a whole Gapless backup" in done.stderr
    assert "Nothing was changed" in done.stderr


def backup_reset_and_restore_give_the_same_record(folder: Path) -> None:
    file = folder.parent / "all of it.tar"
    written = manage(folder, "backup", str(file))
    assert written.returncode == 0, written.stderr
    assert "private key" in written.stdout
    assert file.stat().st_mode & 0o777 == 0o600
    before, key = contents(folder), (folder / "secrets" / "executor-private-key.pem").read_bytes()
    assert before["orders_order"] or before["auth_user"]

    reset = subprocess.run(
        ["make", "reset", "YES=1"], cwd=ROOT, env=environment(folder), capture_output=True, check=False
    )
    assert reset.returncode == 0, reset.stderr
    assert not folder.exists()

    restored = manage(folder, "restore", str(file), "--yes")
    assert restored.returncode == 0, restored.stderr
    assert contents(folder) == before
    assert (folder / "secrets" / "executor-private-key.pem").read_bytes() == key
    assert (folder / "demo-token").exists()


def contents(home: Path) -> dict[str, list[bytes]]:
    database = embedded.start(home)
    with psycopg.connect(database.url) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        tables = {}
        for (name,) in names:
            with connection.cursor().copy(f'COPY "{name}" TO STDOUT') as rows:
                tables[str(name)] = sorted(bytes(row) for row in rows)
    database.stop()
    return tables
