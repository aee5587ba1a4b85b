"""A process that asks as much of a venue as its budget allows, as an executor would: run by test_budget_processes.py."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
import uuid
from decimal import Decimal

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

from project.lib import clock, ids  # noqa: E402  the app registry comes first
from venues.budget_leases import Renewing  # noqa: E402
from venues.budgets import Pool  # noqa: E402
from venues.credentials import Secret  # noqa: E402
from venues.errors import BudgetExhausted  # noqa: E402
from venues.gateway import Gateway, SharedMarkets, VenueTarget  # noqa: E402
from venues.messages import CancelOrder, PlaceOrder  # noqa: E402

SYMBOL = "BTC/USDT"


async def main(
    rest_url: str, ws_url: str, api_key: str, secret: str, per_second: str, burst: str, seconds: str
) -> None:
    """Ask until the time is over, and print how often."""
    name = f"budget-{os.getpid()}"
    limits = ((float(per_second), float(burst)),)
    target = VenueTarget(
        code="paper", exchange="binance", rest_url=rest_url, ws_url=ws_url, may_trade=True, limits=limits
    )
    pool = Pool(is_leased=True)
    renewing = Renewing(name, pool)
    task = asyncio.create_task(renewing.run())
    gateway = Gateway(name, target, Secret(api_key, secret), shared=SharedMarkets(), budgets=pool)
    done = {"reads": 0, "orders": 0, "cancels": 0, "cancel_waits": 0.0}
    until = time.monotonic() + float(seconds)
    await gateway.open()
    say("open")
    await asyncio.gather(*(read(gateway, until, done) for _ in range(4)), trade(gateway, until, done))
    await gateway.close()
    task.cancel()
    await renewing.close()
    say(json.dumps(done))


def say(line: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def read(gateway: Gateway, until: float, done: dict[str, float]) -> None:
    """Read without a pause."""
    while time.monotonic() < until:
        found = await gateway.read("open_orders")
        done["reads"] += found.status == "good"


async def trade(gateway: Gateway, until: float, done: dict[str, float]) -> None:
    """Place and cancel without a pause; note the longest time a cancel waited."""
    while time.monotonic() < until:
        with contextlib.suppress(BudgetExhausted):
            await gateway.turn("order")
            client_id = ids.venue_client_id(uuid.uuid4())
            order = PlaceOrder(
                venue_client_id=client_id, symbol=SYMBOL, side="buy", type="limit", quantity=Decimal("0.01"),
                price=Decimal(20000), time_in_force="GTC", stamp_ms=now_ms(), window_ms=5_000,
            )  # fmt: skip
            answer = await gateway.place(order)
            done["orders"] += answer.outcome == "accepted"
            began = time.monotonic()
            await gateway.turn("cancel")
            done["cancel_waits"] = max(done["cancel_waits"], time.monotonic() - began)
            cancel = CancelOrder(
                symbol=SYMBOL, venue_order_id=answer.venue_order_id, venue_client_id=client_id, stamp_ms=now_ms(),
                window_ms=5_000,
            )  # fmt: skip
            done["cancels"] += (await gateway.cancel(cancel)).outcome == "accepted"


def now_ms() -> int:
    """Return the time as a stamp."""
    return int(clock.now().timestamp() * 1000)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
