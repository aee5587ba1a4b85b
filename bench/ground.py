"""What every measurement stands on: a private durable PostgreSQL, a paper venue on a core of its own, worlds of rich accounts."""

from __future__ import annotations

import base64
import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import django

from project import embedded
from tests.venues.paper.process import PaperVenue, WorldHandle, running_paper_venue

SYMBOL = "BTC/USDT"
PRICE, QUANTITY = "20000", "0.001"
RICH = {"USDT": "1000000000000", "BTC": "10000000", "ETH": "1000000", "SOL": "1000000"}
VENUE_CORE, OWN_CORE = 0, 1


@dataclass(frozen=True)
class Ground:
    """A running database and paper venue."""

    folder: Path
    paper: PaperVenue
    database_url: str


@contextlib.contextmanager
def prepared() -> Iterator[Ground]:
    """Start database and venue in a temporary folder and set Django up on them; the venue has a core of its own.

    Call before any model is imported: settings read the environment once.
    """
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        database = embedded.start(folder)
        os.environ |= {
            "DATABASE_URL": database.url, "GAPLESS_HOME": str(folder), "DJANGO_SETTINGS_MODULE": "project.settings",
            "LOG_LEVEL": "ERROR", "ROLE": "executor", "SECRET_KEY": "signs nothing",
        }  # fmt: skip
        try:
            with running_paper_venue(folder / "paper") as paper:
                django.setup()
                pin(paper.process.pid, VENUE_CORE)
                pin(os.getpid(), OWN_CORE)
                yield Ground(folder, paper, database.url)
        finally:
            database.stop()


def pin(pid: int, core: int) -> None:
    """Keep a process on one core, where the machine lets us."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(pid, {core})


def world(ground: Ground, name: str, accounts: int = 1, exchange: str = "binance") -> list[WorldHandle]:
    """Make a still world with rich accounts; one handle per account."""
    rows = [
        {
            "api_key": f"{name}-key-{number}", "secret": base64.b64encode(f"{name}-secret-{number}".encode()).decode(),
            "balances": RICH, "permissions": {"read": True, "trade": True, "withdraw": False},
        }
        for number in range(accounts)
    ]  # fmt: skip
    made = ground.paper.create_world(exchange, name, flow_steps_per_second=0, accounts=rows)
    return [
        WorldHandle(exchange, name, made.rest_url, made.ws_url, str(row["api_key"]), str(row["secret"])) for row in rows
    ]
