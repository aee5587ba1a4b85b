"""The containers: one image, one service per role, and the executors' private key where it belongs and nowhere else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

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
