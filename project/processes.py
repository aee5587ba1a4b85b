"""Child processes: they die with their parent, write to one log each, and come back when they fall over."""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
BACKOFF_SECONDS_MIN, BACKOFF_SECONDS_MAX = 0.5, 30.0
STEADY_SECONDS = 30.0  # a child that lived this long has recovered: its next fall starts the backoff anew
STOP_SECONDS = 10.0
LOG_BYTES_MAX, LOG_COPIES = 20_000_000, 3


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """Return what a child runs between fork and exec, so that the kernel signals it when its parent ends in any way.

    The parent is the thread that starts the child: call from the main thread. Only Linux has this.
    """
    parent = os.getpid()

    def ask_the_kernel() -> None:
        end_with_parent(number)
        if os.getppid() != parent:
            os._exit(1)

    return ask_the_kernel


def end_with_parent(number: signal.Signals) -> None:
    """Have the kernel send this process the signal when the process that started it ends. Only Linux has this."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


@dataclass(frozen=True)
class Role:
    """One kind of child process. Roles of a higher wave are stopped first."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    wave: int = 1


@dataclass
class _Child:
    role: Role
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0  # monotonic, as the next
    start_at: float = 0.0
    falls: int = 0


class Supervisor:
    """Keeps children alive until SIGINT, SIGTERM or SIGHUP, then stops them all."""

    def __init__(self, logs: Path, say: Callable[[str], None], ended: Callable[[Role], None]) -> None:
        self.logs, self._say, self._ended = logs, say, ended
        self.stop_requests = 0
        self._asked_at, self._insisted = 0.0, False
        self._children: dict[str, _Child] = {}
        self._checked_logs_at = 0.0
        self._wake, self._woken = socket.socketpair()
        for end in (self._wake, self._woken):
            end.setblocking(False)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._request_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to wake the loop

    def start(self, role: Role) -> None:
        """Start a child and keep it running."""
        child = self._children[role.name] = _Child(role)
        self._spawn(child)

    def tick(self, seconds: float) -> None:
        """Wait for a signal or the time, then start again what fell over."""
        select.select([self._wake], [], [], seconds)
        try:
            self._wake.recv(4096)
        except BlockingIOError:
            pass
        if self.stop_requests:
            return
        for child in self._children.values():
            self._look_after(child)
        if time.monotonic() > self._checked_logs_at + 5:
            self._checked_logs_at = time.monotonic()
            for log in self.logs.glob("*.log"):
                rotate(log)

    def stop(self) -> None:
        """Stop every child: asked first, killed when it does not listen or the person insists. Leaves none behind."""
        for wave in sorted({child.role.wave for child in self._children.values()}, reverse=True):
            alive = [child for child in self._children.values() if child.role.wave == wave and _is_alive(child)]
            for child in alive:
                _signal(child, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while any(map(_is_alive, alive)) and time.monotonic() < deadline and not self._insisted:
                self._drain(min(0.5, deadline - time.monotonic()))
            for child in filter(_is_alive, alive):
                self._say(f"{child.role.name} did not stop when asked; killed it")
                _signal(child, signal.SIGKILL)
                _process(child).wait()

    def _look_after(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                self._spawn(child)
            return
        code = child.process.poll()
        if code is None:
            return
        child.process = None
        child.falls = 1 if now - child.started_at > STEADY_SECONDS else child.falls + 1
        wait = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN * 2 ** (child.falls - 1))
        child.start_at = now + wait
        cause = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
        log = self.logs / f"{child.role.name}.log"
        self._say(f"{child.role.name} ended ({cause}); starting it again in {wait:g} s. Why: {log}")
        self._ended(child.role)

    def _spawn(self, child: _Child) -> None:
        with (self.logs / f"{child.role.name}.log").open("ab") as log:
            child.process = subprocess.Popen(
                child.role.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "ROLE": child.role.name, **child.role.environment},
                start_new_session=True,  # so that Ctrl-C in the terminal reaches the supervisor alone
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        child.started_at = time.monotonic()

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        # One request may arrive as several signals (a closing terminal sends two), so only a later one insists.
        now = time.monotonic()
        self._insisted = self.stop_requests > 0 and now - self._asked_at > 1.0
        self._asked_at = self._asked_at or now
        self.stop_requests += 1

    def _drain(self, seconds: float) -> None:
        select.select([self._wake], [], [], max(0.0, seconds))
        try:
            self._wake.recv(4096)
        except BlockingIOError:
            pass


def rotate(log: Path) -> None:
    """Cut a log that has grown past its bound, keeping the last copies. Its writer appends and need not know."""
    if not log.exists() or log.stat().st_size <= LOG_BYTES_MAX:
        return
    for number in range(LOG_COPIES - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    os.truncate(log, 0)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether a server could listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def next_free(port: int, host: str = "127.0.0.1") -> int:
    """Return the first free port from this one upwards. Raises OSError when there is none."""
    for candidate in range(port, 65536):
        if is_free(candidate, host):
            return candidate
    raise OSError(f"no free port from {port} upwards")


def _process(child: _Child) -> subprocess.Popen[bytes]:
    if child.process is None:
        raise LookupError(f"{child.role.name} has no process")
    return child.process


def _is_alive(child: _Child) -> bool:
    return child.process is not None and child.process.poll() is None


def _signal(child: _Child, number: signal.Signals) -> None:
    try:
        os.killpg(_process(child).pid, number)
    except ProcessLookupError:
        pass  # it ended by itself meanwhile
