"""What every measurement stands on: a private durable PostgreSQL, a paper venue on a core of its own, and a ready account."""

from __future__ import annotations

import base64
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from project import embedded
from tests.venues.paper.process import PaperVenue, WorldHandle, running_paper_venue

if TYPE_CHECKING:
    from orders.service import Service

SYMBOL = "BTC/USDT"
PRICE, QUANTITY = "20000", "0.001"
RICH = {"USDT": "1000000000000", "BTC": "10000000", "ETH": "1000000", "SOL": "1000000"}


@dataclass(frozen=True)
class Ground:
    """A running database and paper venue."""

    folder: Path
    paper: PaperVenue
    database_url: str
    database_pid: int


@contextlib.contextmanager
def prepared() -> Iterator[Ground]:
    """Start database and venue in a temporary folder and point Django at them; the venue has the first core to itself.

    Call before anything of Django is imported: its settings read the environment once.
    """
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        database = embedded.start(folder)
        os.environ |= {
            "DATABASE_URL": database.url, "GAPLESS_HOME": str(folder), "DJANGO_SETTINGS_MODULE": "project.settings",
            "LOG_LEVEL": "ERROR",
        }  # fmt: skip
        try:
            with running_paper_venue(folder / "paper") as paper:
                pin(paper.process.pid, 0)
                pin(os.getpid(), 1)
                yield Ground(folder, paper, database.url, database.pid)
        finally:
            database.stop()


def pin(pid: int, core: int) -> None:
    """Keep a process on one core, where the machine has more than one."""
    cores = sorted(os.sched_getaffinity(0) | {0})
    if len(os.sched_getaffinity(0)) > 1 or core in cores:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(pid, {core})


def world(ground: Ground, name: str, accounts: int = 1, exchange: str = "binance") -> list[WorldHandle]:
    """Make a still world with rich accounts; one handle per account."""
    rows = [
        {
            "api_key": f"{name}-key-{n}", "secret": base64.b64encode(f"{name}-secret-{n}".encode()).decode(),
            "balances": RICH, "permissions": {"read": True, "trade": True, "withdraw": False},
        }
        for n in range(accounts)
    ]  # fmt: skip
    made = ground.paper.create_world(exchange, name, flow_steps_per_second=0, accounts=rows)
    return [
        WorldHandle(exchange, name, made.rest_url, made.ws_url, str(row["api_key"]), str(row["secret"])) for row in rows
    ]


@dataclass(frozen=True)
class Timed:
    """What one load of requests took."""

    name: str
    in_flight: int
    latencies_us: list[float]
    seconds: float
    cpu_seconds: float

    def row(self) -> dict[str, Any]:
        """Return p50 and p99 in microseconds, rate per second and CPU microseconds per request."""
        ordered = sorted(self.latencies_us)
        count = len(ordered)
        return {
            "path": self.name, "in_flight": self.in_flight, "orders": count, "p50_us": round(ordered[count // 2]),
            "p99_us": round(ordered[min(int(count * 0.99), count - 1)]), "per_second": round(count / self.seconds),
            "cpu_us": round(self.cpu_seconds / count * 1e6),
        }  # fmt: skip


class Clocked:
    """Counts wall and CPU seconds of this process between start and stop."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self) -> tuple[float, float]:
        """Return wall and CPU seconds since the start."""
        return time.perf_counter() - self._wall, time.process_time() - self._cpu
