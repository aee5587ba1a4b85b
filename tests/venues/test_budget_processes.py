"""Processes of their own share a venue's real limit through the database: the venue itself counts no request too many."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from urllib.parse import quote

import pytest
from django.db import connection

from tests.venues.paper.process import ROOT, PaperVenue, WorldHandle, wait_until
from venues import budget_leases
from venues.budgets import Ask, Halted
from venues.models import BudgetShare, RateStop

pytestmark = pytest.mark.django_db(transaction=True)
PER_SECOND, BURST = 15, 30


def database_url() -> str:
    given = connection.settings_dict
    host, port = quote(str(given["HOST"]), safe=""), given["PORT"] or ""
    user = quote(str(given["USER"]), safe="") + (f":{quote(given['PASSWORD'], safe='')}" if given["PASSWORD"] else "")
    return f"postgres://{user}@/{given['NAME']}?host={host}&port={port}"


def started(world: WorldHandle, seconds: float) -> subprocess.Popen[str]:
    arguments = (world.rest_url, world.ws_url, world.api_key, world.secret, PER_SECOND, BURST, seconds)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.venues.budget_process", *map(str, arguments)], cwd=ROOT, text=True,
        env={**os.environ, "DATABASE_URL": database_url(), "ROLE": "executor", "SECRET_KEY": "test"}, stdout=subprocess.PIPE,
    )  # fmt: skip


def refused(paper: PaperVenue, world: WorldHandle) -> dict[str, int]:
    """Return how many requests the venue counted as too many."""
    rows = paper.control("GET", "worlds")["results"]
    found: dict[str, int] = next(row["refused"] for row in rows if row["world"] == world.world)
    return found


def test_two_processes_and_one_that_dies_never_exceed_what_the_venue_allows(paper: PaperVenue) -> None:
    limits = {"per_second": PER_SECOND, "burst": BURST, "ban_seconds": 5}
    world = paper.create_world("binance", "shared-limit", limits=limits)
    first, second, doomed = started(world, 14), started(world, 14), started(world, 60)
    try:
        for process in (first, second, doomed):
            assert process.stdout is not None and process.stdout.readline().strip() == "open"
        wait_until(lambda: BudgetShare.objects.filter(granted__gt=0).count() >= 3)
        doomed.kill()
        counts = [json.loads(process.communicate(timeout=60)[0].splitlines()[-1]) for process in (first, second)]
    finally:
        for process in (first, second, doomed):
            process.kill()
            process.wait()
    assert refused(paper, world) == {"rate_limited": 0, "ban": 0}
    for count in counts:
        assert count["orders"] and count["cancels"] and count["reads"], counts
    total = sum(count[kind] for count in counts for kind in ("orders", "cancels", "reads"))
    assert total > PER_SECOND * 14 * 0.3, "the limit is used, not only kept"
    paper.remove_world(world)


def ask(**changes: object) -> Ask:
    plain = {
        "group": "binance@", "bucket": "weight", "account": "", "capacity": 100.0, "per_seconds": 1.0, "is_shared": True,
        "used": 0.0, "kept": 0.0, "wanted": 80.0, "waiting": 0, "waited_ms": 0.0,
    }  # fmt: skip
    return Ask(**{**plain, **changes})  # type: ignore[arg-type]


KEY = ("binance@", "weight")


def test_shares_fit_the_limit_and_a_share_given_back_keeps_what_was_used() -> None:
    one, _ = budget_leases.renew("one", [ask()], ["binance@"], [])
    two, _ = budget_leases.renew("two", [ask()], ["binance@"], [])
    assert (one[KEY].granted, two[KEY].granted, two[KEY].is_contended, two[KEY].fair) == (80, 20, True, 50)
    again, _ = budget_leases.renew("one", [ask(kept=80.0, used=10.0)], ["binance@"], [])
    assert again[KEY].is_contended and again[KEY].granted == 80
    budget_leases.renew("one", [ask(kept=50.0, wanted=50.0)], ["binance@"], [])
    assert budget_leases.renew("two", [ask(kept=20.0)], ["binance@"], [])[0][KEY].granted == 50
    budget_leases.release("one", [ask(used=5.0)])
    assert budget_leases.renew("two", [ask(kept=50.0, wanted=100.0)], ["binance@"], [])[0][KEY].granted == 95


def test_a_venues_stop_outlives_the_process_and_is_told_to_all() -> None:
    budget_leases.renew("one", [], ["binance@"], [Halted(group="binance@", seconds=120, reason="HTTP 418")])
    budget_leases.renew("one", [], ["binance@"], [Halted(group="binance@", seconds=5, reason="HTTP 429")])
    [told] = budget_leases.renew("another", [ask()], ["binance@", "kraken@"], [])[1]
    assert 100 < told.seconds <= 120 and told.reason == "HTTP 429"
    RateStop.objects.update(until_at="2020-01-01T00:00:00Z")
    assert budget_leases.renew("another", [ask()], ["binance@"], [])[1] == []
