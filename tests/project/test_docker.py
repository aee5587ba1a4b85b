"""The containers: one image, one service per role, and the executors' private key where it belongs and nowhere else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml

from project import processes
from tests.project.running import environment, manage, wait_for

ROOT = Path(__file__).resolve().parents[2]
ROLES = {"web", "executor", "worker", "beat", "papervenue", "watchdog"}
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker/compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ENTRYPOINT = (ROOT / "docker/entrypoint.sh").read_text()


def test_one_service_per_role_and_what_they_stand_on() -> None:
    assert set(SERVICES) == ROLES | {"postgres", "redis", "migrate"}
    for role in ROLES | {"migrate"}:
        assert SERVICES[role]["command"] == [role]
        assert SERVICES[role]["image"] == "gapless"
        assert re.search(rf"^  {role}\)\s+exec ", ENTRYPOINT, re.M), f"the entrypoint does not know {role}"


@pytest.mark.parametrize("role", sorted(ROLES - {"papervenue"}))
def test_roles_wait_for_migrations_and_use_redis_and_postgresql(role: str) -> None:
    assert SERVICES[role]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert SERVICES[role]["environment"]["BROKER_URL"].startswith("redis://redis:")
    assert "@postgres:5432/" in SERVICES[role]["environment"]["DATABASE_URL"]


def test_only_the_executor_gets_the_private_key() -> None:
    holders = {name for name, service in SERVICES.items() if "executor-private-key" in service.get("secrets", [])}
    assert holders == {"executor"}
    told = {name for name in SERVICES if "GAPLESS_EXECUTOR_PRIVATE_KEY_FILE" in SERVICES[name].get("environment", {})}
    assert told == {"executor"}
    assert "GAPLESS_EXECUTOR_PUBLIC_KEY_FILE" in SERVICES["web"]["environment"]


def test_the_paper_venue_has_neither_database_nor_secret() -> None:
    service = SERVICES["papervenue"]
    assert "SECRET_KEY" not in service["environment"]
    assert "secrets" not in service
    assert "none.invalid" in service["environment"]["DATABASE_URL"]


@pytest.mark.parametrize("service", ["postgres", "redis", "web", "worker", "papervenue"])
def test_services_that_can_say_how_they_are_do(service: str) -> None:
    assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker/compose.yml").read_text()
    for name in ("SECRET_KEY", "POSTGRES_PASSWORD"):
        uses = re.findall(rf"\$\{{{name}([^}}]*)\}}", text)
        assert uses
        assert all(use.startswith(":?") for use in uses), f"{name} must be set by the operator"


def test_image_is_pinned_by_hash_and_not_root() -> None:
    lines = (ROOT / "docker/Dockerfile").read_text().splitlines()
    assert lines[1] == "FROM python:3.11-slim"
    assert any("--require-hashes" in line for line in lines)
    assert "USER gapless" in lines
    assert lines.index("USER gapless") > max(index for index, line in enumerate(lines) if line.startswith("RUN"))
    copied = [line.split()[1] for line in lines if line.startswith("COPY")]
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_unknown_role_is_refused_with_the_list() -> None:
    done = subprocess.run(
        ["sh", ROOT / "docker/entrypoint.sh", "nonsense"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 64
    assert "web executor worker beat papervenue watchdog" in done.stderr


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The address of a database of its own, migrated, on whichever server the tests use."""
    parts, name = urlsplit(os.environ["DATABASE_URL"]), f"roles_{os.getpid()}"
    admin = parts._replace(path="/postgres").geturl()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield parts._replace(path=f"/{name}").geturl()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def home(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("containers")
    for command in ("migrate", "init_secrets"):
        done = manage(home, command, DATABASE_URL=database)
        assert done.returncode == 0, done.stderr
    return home


def answers(path: str) -> Callable[[int, str, str], bool]:
    def ask(port: int, database: str, log: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    return ask


def says(text: str) -> Callable[[int, str, str], bool]:
    return lambda port, database, log: text in log


def is_connected_as(name: str) -> Callable[[int, str, str], bool]:
    def ask(port: int, database: str, log: str) -> bool:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
        with psycopg.connect(database) as connection:
            return connection.execute(query, [name]).fetchone() != (0,)

    return ask


@pytest.mark.process
@pytest.mark.broker
@pytest.mark.parametrize(
    ("role", "is_up"),
    [
        ("web", answers("/healthz")),
        ("executor", is_connected_as("gapless-executor")),
        ("worker", says(" ready")),
        ("beat", says("scheduler -> ")),
        ("papervenue", answers("/_control/worlds")),
        ("watchdog", is_connected_as("gapless-watchdog")),
    ],
)
def test_role_runs_from_the_entrypoint_and_stops_when_asked(
    role: str, is_up: Callable[[int, str, str], bool], database: str, home: Path
) -> None:
    port, output = processes.next_free(8955), home / f"{role}.output"
    broker = os.environ.get("BROKER_URL", "memory://")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    chosen = {"PORT": str(port), "PAPER_PORT": str(port), "HOST": "127.0.0.1", "SECRET_KEY": "only-for-this-test"}
    if role == "web":  # as in its container: the executors' private key is not there, and it would not start beside one
        chosen["GAPLESS_EXECUTOR_PRIVATE_KEY_FILE"] = str(home / "elsewhere" / "executor-private-key.pem")
    variables = environment(home, DATABASE_URL=database, BROKER_URL=broker, PATH=path, **chosen)
    with output.open("wb") as stream:
        process = subprocess.Popen(
            ["sh", "docker/entrypoint.sh", role], cwd=ROOT, env=variables, stdout=stream, stderr=stream
        )
    try:
        wait_for(lambda: is_up(port, database, output.read_text()), output.read_text, 60)
        assert process.poll() is None, output.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    assert code == 0, output.read_text()
