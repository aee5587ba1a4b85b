"""A real web process on the test database."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote

from django.db import connection

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0


def database_url() -> str:
    """Return the address of the database this test writes to."""
    given = connection.settings_dict
    port = f"&port={given['PORT']}" if given["PORT"] else ""
    return f"postgres://{given['USER']}:{given['PASSWORD']}@/{given['NAME']}?host={quote(str(given['HOST']), safe='')}{port}"


def environment() -> dict[str, str]:
    """Return the environment of a process that shares the test's database."""
    return {
        **os.environ,
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "SECRET_KEY": "only-for-tests",
        "ROLE": "web",
    }


@contextmanager
def web(port: int) -> Iterator[str]:
    """Run daphne on a port and return its address; it ends with the block."""
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "--websocket_timeout", "-1", "--access-log", os.devnull,
               "project.asgi:application"]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_up(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def wait_until_up(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the process answers. Fails when it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the web process ended while starting"
        try:
            urllib.request.urlopen(f"{address}/healthz", timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("the web process did not answer in time")


def elsewhere(code: str) -> None:
    """Run Python in another process on the test's database."""
    setup = "import django; django.setup()\n"
    subprocess.run(
        [sys.executable, "-c", setup + code], cwd=ROOT, env={**environment(), "ROLE": "shell"}, check=True, timeout=60
    )
