"""The supervisor's children, as real processes: they come back, they stop in order, and none outlives its parent."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from project import processes

pytestmark = pytest.mark.process
ROOT = Path(__file__).resolve().parents[2]
SUPERVISOR = """
import pathlib, sys
from project import processes
logs = pathlib.Path(sys.argv[1])
say = lambda text: print(text, flush=True)
children = processes.Supervisor(logs, say, lambda role: say(f"ended {role.name}"))
PROGRAM = "import os, signal, sys, time; print('pid', os.getpid(), flush=True); "
def role(name, program, wave=1):
    return processes.Role(name, (sys.executable, "-c", PROGRAM + program), wave=wave)
children.start(role("steady", "time.sleep(600)", wave=0))
children.start(role("deaf", "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"))
children.start(role("falling", "sys.exit(3)"))
while not children.stop_requests:
    children.tick(1.0)
children.stop()
say("stopped")
"""


class Run:
    """The supervisor above in its own process, with its logs in a folder."""

    def __init__(self, logs: Path) -> None:
        self.logs, self.output = logs, logs / "output"
        with self.output.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SUPERVISOR, str(logs)], cwd=ROOT, stdout=stream, stderr=stream
            )

    def said(self) -> str:
        return self.output.read_text()

    def pids(self, name: str) -> list[int]:
        log = self.logs / f"{name}.log"
        return [int(pid) for pid in re.findall(r"pid (\d+)", log.read_text())] if log.exists() else []

    def all_pids(self) -> list[int]:
        return [pid for name in ("steady", "deaf", "falling") for pid in self.pids(name)]

    def wait_for(self, fact: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + 15
        while not fact():
            assert time.monotonic() < deadline, f"{what}; the supervisor said: {self.said()}"
            time.sleep(0.02)

    def is_up(self) -> bool:
        return bool(self.pids("steady") and "deaf" in (self.logs / "deaf.log").read_text() and self.pids("falling"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path)
    run.wait_for(run.is_up, "the children did not start")
    return run


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_killed_child_comes_back_and_a_falling_one_ever_later(run: Run) -> None:
    first = run.pids("steady")[0]
    os.kill(first, signal.SIGKILL)
    run.wait_for(lambda: len(run.pids("steady")) == 2, "the killed child did not come back")
    assert "steady ended (signal SIGKILL); starting it again in 0.5 s" in run.said()
    assert "ended steady" in run.said()
    run.wait_for(lambda: "falling ended (exit code 3); starting it again in 2 s" in run.said(), "no growing backoff")
    waits = [float(wait) for wait in re.findall(r"falling ended .* in ([\d.]+) s", run.said())]
    assert waits[:3] == [0.5, 1.0, 2.0]
    os.kill(run.pids("deaf")[0], signal.SIGKILL)
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(30) == 0
    assert not any(map(lives, run.all_pids()))


def test_one_request_asks_and_a_second_insists(run: Run) -> None:
    run.process.send_signal(signal.SIGINT)
    deaf, steady = run.pids("deaf")[0], run.pids("steady")[0]
    run.wait_for(lambda: lives(deaf) and lives(steady), "the later wave was stopped before the earlier one had ended")
    began = time.monotonic()
    while run.process.poll() is None:  # as a person does who presses Ctrl-C again and again
        assert time.monotonic() - began < processes.STOP_SECONDS / 2, "insisting changed nothing"
        run.process.send_signal(signal.SIGINT)
        try:
            run.process.wait(0.3)
        except subprocess.TimeoutExpired:
            continue
    assert run.process.returncode == 0
    assert "deaf did not stop when asked; killed it" in run.said()
    assert run.said().endswith("stopped\n")
    assert not any(map(lives, run.all_pids()))


def test_killed_supervisor_leaves_no_child(run: Run) -> None:
    assert any(map(lives, run.all_pids()))
    run.process.kill()
    run.process.wait()
    run.wait_for(lambda: not any(map(lives, run.all_pids())), "a child outlived the supervisor")


def test_grown_log_is_cut_and_the_last_copies_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOG_BYTES_MAX", 100)
    log = tmp_path / "web.log"
    with log.open("a") as writer:
        for generation in range(5):
            writer.write(f"{generation}" * 101)
            writer.flush()
            processes.rotate(log)
        writer.write("after")
    assert log.read_text() == "after"
    assert [(tmp_path / f"web.log.{number}").read_text()[0] for number in (1, 2, 3)] == ["4", "3", "2"]
    assert not (tmp_path / "web.log.4").exists()


def test_next_free_port_is_found() -> None:
    port = processes.next_free(8940)
    assert processes.is_free(port)
