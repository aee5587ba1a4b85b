"""Failpoints: off unless a test build asks, never beside live trading, and each action does what it says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from project.lib import failpoints

ROOT = Path(__file__).resolve().parents[2]
TEST_BUILD = {"GAPLESS_TEST_BUILD": "1"}


@pytest.fixture(autouse=True)
def switched_off() -> Iterator[None]:
    yield
    failpoints.verify({})


def run(code: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", f"from project.lib import failpoints\nfailpoints.verify()\n{code}"],
        cwd=ROOT, env={"PATH": os.environ["PATH"], **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_nothing_happens_without_the_variable() -> None:
    failpoints.verify({"GAPLESS_TEST_BUILD": "1"})
    failpoints.reach("P4")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "test build only"),
        ({"GAPLESS_TEST_BUILD": "0"}, "test build only"),
        ({**TEST_BUILD, "GAPLESS_LIVE": "1"}, "never go together"),
        ({**TEST_BUILD, "GAPLESS_LIVE": "yes"}, "never go together"),
    ],
)
def test_start_up_refuses_failpoints_outside_a_test_build(environment: dict[str, str], said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        failpoints.verify({"GAPLESS_FAILPOINTS": "P4=1:raise", **environment})
    failpoints.reach("P4")  # and it stays off


def test_every_role_refuses_because_django_does() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "GAPLESS_FAILPOINTS": "P4=1:kill"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "test build only" in done.stderr


@pytest.mark.parametrize("spec", ["P4", "P99=1:kill", "P4=1", "P4=2:kill", "P4=1:explode", "P4=x:kill", "P4=1:pause"])
def test_what_cannot_be_read_stops_the_start(spec: str) -> None:
    with pytest.raises(SystemExit, match="cannot be read"):
        failpoints.verify({**TEST_BUILD, "GAPLESS_FAILPOINTS": spec})


def test_raise_fires_with_its_probability_and_the_same_seed_fires_alike() -> None:
    def fired(seed: str) -> list[int]:
        failpoints.verify(
            {**TEST_BUILD, "GAPLESS_FAILPOINTS": "P3=0.2:raise,P4=0.5:raise", "GAPLESS_FAILPOINTS_SEED": seed}
        )
        numbers = []
        for number in range(400):
            try:
                failpoints.reach("P3")
            except failpoints.Injected:
                numbers.append(number)
        return numbers

    first = fired("7")
    assert 40 < len(first) < 130
    assert fired("7") == first
    assert fired("8") != first


def test_a_point_that_is_not_in_the_table_is_a_mistake() -> None:
    failpoints.verify({**TEST_BUILD, "GAPLESS_FAILPOINTS": "P4=1:raise"})
    with pytest.raises(KeyError):
        failpoints.reach("P99")


def test_kill_ends_the_process_and_leaves_its_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = run("failpoints.reach('P6')\nprint('alive')", GAPLESS_FAILPOINTS="P6=1:kill",
                  GAPLESS_FAILPOINTS_LOG=str(log), **TEST_BUILD)  # fmt: skip
    said, _ = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert said == ""
    line = json.loads(log.read_text())
    assert (line["point"], line["action"], line["pid"]) == ("P6", "kill", process.pid)


def test_pause_stops_the_whole_process_for_its_time() -> None:
    code = "import time\nbegan = time.monotonic()\nfailpoints.reach('P3')\nprint(time.monotonic() - began)"
    process = run(code, GAPLESS_FAILPOINTS="P3=1:pause=1.5", **TEST_BUILD)
    stat = Path(f"/proc/{process.pid}/stat")
    deadline = time.monotonic() + 20
    states = set()
    while time.monotonic() < deadline and process.poll() is None and "T" not in states:
        states.add(stat.read_text().rpartition(")")[2].split()[0])
        time.sleep(0.01)
    assert "T" in states
    said, _ = process.communicate(timeout=30)
    assert 1.4 < float(said) < 10


def test_a_file_of_rules_is_read_again_when_it_changes(tmp_path: Path) -> None:
    rules = tmp_path / "armed"
    failpoints.verify({**TEST_BUILD, "GAPLESS_FAILPOINTS": f"@{rules}"})
    failpoints.reach("P7")
    rules.write_text("P7=1:raise")
    with pytest.raises(failpoints.Injected):
        failpoints.reach("P7")
    rules.unlink()
    failpoints.reach("P7")


def test_the_points_in_the_code_are_those_of_the_table() -> None:
    used = set()
    for folder in ("project", "venues", "risk", "orders", "reconciliation"):
        for path in (ROOT / folder).rglob("*.py"):
            used |= set(re.findall(r"failpoints\.reach\(\"(\w+)\"\)", path.read_text()))
    assert used <= set(failpoints.POINTS)
