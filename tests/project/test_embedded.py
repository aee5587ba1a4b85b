"""The embedded PostgreSQL: start, adopt, stop, and every way in which the last run may have ended."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from project import binaries, embedded, home, server
from project.binaries import EmbeddedError, User

pytestmark = pytest.mark.process
ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = os.geteuid() == 0


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="data ä ", dir=os.environ["GAPLESS_TEST_RUN"]))
    yield home.prepare(home.Home(made)).path
    if embedded.is_running(made):
        embedded.start(made).stop()
    shutil.rmtree(embedded.locate(made).folder, ignore_errors=True)
    shutil.rmtree(made)


def within(seconds: float, fact: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def write_row(database: embedded.Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE fact (amount numeric(38,18))")
        connection.execute("INSERT INTO fact VALUES (12345678901234.123456789)")


def row(url: str) -> str:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT amount::text FROM fact").fetchone()
    return found[0] if found else ""


ROW = "12345678901234.123456789000000000"


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_start_stop_start_keeps_what_was_written(folder: Path) -> None:
    database = embedded.start(folder)
    write_row(database)
    assert embedded.is_running(folder)
    database.stop()
    assert not embedded.is_running(folder)
    assert not exists(database.pid)
    again = embedded.start(folder)
    assert again.url == database.url == embedded.url(folder)
    assert row(again.url) == ROW
    again.stop()


def test_running_server_is_adopted(folder: Path) -> None:
    first = embedded.start(folder, durable=False)
    second = embedded.start(folder, durable=False)
    assert second.pid == first.pid
    second.stop()
    assert not first.is_alive()


def test_commits_wait_for_the_disk_unless_told_otherwise(folder: Path) -> None:
    database = embedded.start(folder)
    with psycopg.connect(database.url) as connection:
        settings = [connection.execute(f"SHOW {name}").fetchone() for name in ("synchronous_commit", "fsync")]
    assert settings == [("on",), ("on",)]
    database.stop()


def test_only_the_socket_and_only_its_owner(folder: Path) -> None:
    database = embedded.start(folder, durable=False)
    place = embedded.locate(folder)
    for private in (place.folder, place.sockets, place.data):
        assert private.stat().st_mode & 0o077 == 0
        assert private.stat().st_uid == place.user.uid != 0
    with psycopg.connect(database.url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    database.stop()


def test_long_path_moves_the_socket_to_a_short_private_folder(folder: Path) -> None:
    deep = folder / ("d" * 90)
    deep.mkdir(mode=0o711)
    database = embedded.start(deep, durable=False)
    sockets = embedded.locate(deep).sockets
    assert sockets.parent == Path("/tmp")
    assert sockets.stat().st_mode & 0o777 == 0o700
    with psycopg.connect(database.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    database.stop()
    sockets.rmdir()


def test_killed_server_leaves_a_pid_file_and_starts_again(folder: Path) -> None:
    database = embedded.start(folder)
    write_row(database)
    os.kill(database.pid, signal.SIGKILL)
    within(10, lambda: not database.is_alive(), "the killed server is gone")
    assert (embedded.locate(folder).data / "postmaster.pid").exists()
    again = embedded.start(folder)
    assert row(again.url) == ROW
    again.stop()


def test_pid_file_naming_another_program_does_not_block(folder: Path) -> None:
    database = embedded.start(folder, durable=False)
    place = embedded.locate(folder)
    pid_file = (place.data / "postmaster.pid").read_text()
    database.stop()
    stranger = subprocess.Popen(["sleep", "60"], user=place.user.uid if AS_ROOT else None)
    try:
        recycled = place.data / "postmaster.pid"
        recycled.write_text(pid_file.replace(str(database.pid), str(stranger.pid), 1))
        os.chown(recycled, place.user.uid, place.user.gid)
        assert not embedded.is_running(folder)
        again = embedded.start(folder, durable=False)
        again.stop()
        assert stranger.poll() is None, "a program that is not ours was harmed"
    finally:
        stranger.kill()
        stranger.wait()


def test_killed_parent_takes_the_server_along(folder: Path) -> None:
    script = (
        "import sys, pathlib; from project import embedded; "
        "print(embedded.start(pathlib.Path(sys.argv[1])).pid, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        write_row(embedded.Database(embedded.url(folder), server_of(folder)))
        parent.kill()
    database = embedded.start(folder)  # at once: it may find the old one stopping
    within(10, lambda: not exists(pid) or database.pid == pid, "the old server is gone or was adopted")
    if database.pid == pid:
        within(10, lambda: not exists(pid), "the adopted server ends too")
        database = embedded.start(folder)
    assert row(database.url) == ROW
    database.stop()


def test_interrupted_first_start_is_begun_anew(folder: Path) -> None:
    place = embedded.locate(folder)
    place.folder.mkdir(mode=0o700)
    os.chown(place.folder, place.user.uid, place.user.gid)
    half = place.folder / "data.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    database = embedded.start(folder, durable=False)
    assert database.is_alive()
    database.stop()


def test_full_disk_is_said_before_anything_starts(folder: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"MB free.*Nothing was started.*Free some space"):
        embedded.start(folder, free_bytes_min=2**62)
    assert not embedded.locate(folder).data.exists()


def test_damaged_data_are_said_with_the_servers_own_words(folder: Path) -> None:
    embedded.start(folder, durable=False).stop()
    (embedded.locate(folder).data / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedError, match=r"(?s)did not start.*pg_control.*make restore"):
        embedded.start(folder, durable=False)


def test_older_major_version_is_carried_over(folder: Path) -> None:
    place = embedded.locate(folder)
    place.folder.mkdir(mode=0o700)
    os.chown(place.folder, place.user.uid, place.user.gid)
    old = server.Server(
        binaries.programs(place.user, major=16), place.data, place.folder, place.user, folder / "logs" / "old.log"
    )
    made = [
        str(old.programs / "initdb"),
        "-D",
        str(place.data),
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
    ]
    other = place.user.uid if AS_ROOT else None
    subprocess.run(made, check=True, user=other, cwd="/", capture_output=True)
    old.start()
    with old.connect() as connection:
        connection.execute("CREATE DATABASE gapless")
    with old.connect("gapless") as connection:
        connection.execute("CREATE TABLE fact (amount numeric(38,18))")
        connection.execute("INSERT INTO fact VALUES (12345678901234.123456789)")
    old.stop()
    database = embedded.start(folder)
    assert row(database.url) == ROW
    with psycopg.connect(database.url) as connection:
        version = connection.execute("SHOW server_version_num").fetchone()
    assert version is not None
    assert int(version[0]) // 10_000 == binaries.MAJOR
    assert (place.folder / "data-16").is_dir(), "the old data are kept"
    database.stop()


def test_unknown_major_version_is_refused_untouched(folder: Path) -> None:
    embedded.start(folder, durable=False).stop()
    (embedded.locate(folder).data / "PG_VERSION").write_text("14\n")
    with pytest.raises(EmbeddedError, match="written by PostgreSQL 14"):
        embedded.start(folder, durable=False)


def test_second_holder_of_a_folder_is_told_who_is_first(folder: Path) -> None:
    place = home.Home(folder)
    with home.hold(place, "the first"):
        assert home.holder(place) == os.getpid()
        with pytest.raises(home.HomeError, match=f"already runs.*process {os.getpid()}"), home.hold(place, "this"):
            pass
    assert home.holder(place) is None


def server_of(folder: Path) -> server.Server:
    place = embedded.locate(folder)
    return server.Server(binaries.programs(place.user), place.data, place.sockets, place.user, folder / "log")


def start_as(uid: int, folder: str, answer: Connection) -> None:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    database = embedded.start(Path(folder), durable=False)
    answer.send((database.url, database.pid, Path(f"/proc/{database.pid}").stat().st_uid))
    answer.recv()
    database.stop()


# What only root can arrange is only collected for root.
if AS_ROOT:

    def test_ordinary_user_starts_it_too(folder: Path) -> None:
        nobody = User.unprivileged().uid
        own = folder / "of nobody"
        own.mkdir(mode=0o700)
        os.chown(own, nobody, nobody)
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=start_as, args=(nobody, str(own), theirs))
        process.start()
        assert ours.poll(20), "no answer from the ordinary user's start"
        url, pid, uid = ours.recv()
        assert uid == nobody
        assert quote(str(own), safe="") in url
        ours.send("stop")
        process.join(20)
        assert process.exitcode == 0
        assert not exists(pid)

    def test_closed_parent_folder_moves_the_data_and_says_so(folder: Path) -> None:
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        inside = closed / "home"
        inside.mkdir()
        database = embedded.start(inside, durable=False)
        moved = Path((inside / "postgres-location").read_text().strip())
        assert moved.is_relative_to(binaries.SYSTEM_FOLDER)
        assert not (inside / "postgres").exists()
        assert embedded.url(inside) == database.url
        database.stop()
        again = embedded.start(inside, durable=False)
        again.stop()
        shutil.rmtree(moved.parent)

    def test_programs_are_copied_when_the_servers_user_cannot_reach_them() -> None:
        private, public = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
        public.chmod(0o755)
        try:
            package = binaries.wheel_folder()
            wheel = private / package.name
            shutil.copytree(package / "pginstall18", wheel / "pginstall18", symlinks=True)
            shutil.copytree(package.with_name(f"{package.name}.libs"), private / f"{package.name}.libs")
            user = User.unprivileged()
            copied = binaries.programs(user, wheel=wheel, system=public / "gapless")
            assert copied.is_relative_to(public)
            assert copied == binaries.programs(user, wheel=wheel, system=public / "gapless"), "copied once"
            shown = subprocess.run([copied / "initdb", "--version"], user=user.uid, cwd="/", capture_output=True)
            assert b"18" in shown.stdout, shown.stderr
        finally:
            shutil.rmtree(private)
            shutil.rmtree(public)

    def test_another_user_cannot_reach_the_socket(folder: Path) -> None:
        database = embedded.start(folder, durable=False)
        tried = subprocess.run(
            [server_of(folder).programs / "psql", "-d", database.url, "-c", "SELECT 1"],
            user=1, group=1, extra_groups=[], cwd="/", capture_output=True, text=True,
        )  # fmt: skip
        assert tried.returncode != 0
        assert "Permission denied" in tried.stderr
        database.stop()
