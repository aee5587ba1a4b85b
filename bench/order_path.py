"""The order path beside raw ccxt: latency, rate and CPU of an order, reports booked, growth, the API's way, memory."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Coroutine
from typing import Any

import uvloop
from django.core.management import call_command
from django.db import connection

from bench import adapters, api_path, books, gaps, ground, growth, reports
from bench.desk import open_desk
from bench.load import Timed, median_of
from bench.peer import raw_ccxt
from tests.venues.paper.process import WorldHandle

ROUNDS = 3
IN_FLIGHT = {1: 400, 16: 800, 64: 1600}
WARM_UP = 100
REPORTS = 12_000
KNOWN = (1_000, 100_000)
STORED = (10_000, 1_000_000)


def run(prepared: ground.Ground, *, is_quick: bool) -> None:
    """Run every part and print a table of each."""
    call_command("migrate", verbosity=0)
    connection.close()
    print(f"{platform.machine()}, Python {platform.python_version()}; the venue on core {ground.VENUE_CORE}, the client on core "
          f"{ground.OWN_CORE}, PostgreSQL wherever it likes; medians of {ROUNDS} interleaved rounds\n")  # fmt: skip
    worlds = ground.world(prepared, "bench", accounts=3)
    pairs = _run(_beside_ccxt(worlds[0], worlds[1]))
    print("| path | in flight | p50 µs | p99 µs | orders/s | CPU µs/order |\n|---|---|---|---|---|---|")
    for timed in (timed for pair in pairs for timed in pair):
        print(_row(timed))
    print("\n| ours / raw ccxt | p50 | p99 | orders/s | CPU |\n|---|---|---|---|---|")
    for peer, ours in pairs:
        ratios = (ours.percentile_us(50) / peer.percentile_us(50), ours.percentile_us(99) / peer.percentile_us(99),
                  ours.per_second / peer.per_second, ours.cpu_us / peer.cpu_us)  # fmt: skip
        print(f"| {peer.in_flight} in flight | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")
    print("\n| CPU µs of one order | raw ccxt | our gateway | added |\n|---|---|---|---|")
    for name, peer_us, own_us in _run(adapters.compared(prepared)):
        print(f"| {name} | {peer_us:.0f} | {own_us:.0f} | {own_us - peer_us:+.0f} |")
    booked = _run(_booked(worlds[2]))
    print(f"\nbooked execution reports: {booked.per_second:,.0f}/s, {booked.cpu_us:.0f} µs CPU of the executor each, "
          f"so {1e6 / booked.cpu_us:,.0f}/s per core of it")  # fmt: skip
    for exchange in ("binance", "kraken"):
        print(f"\n{_run(_healed(prepared, exchange))}")
    print(f"\n{books.run()}")
    if is_quick:
        return
    _run(_growth(*ground.world(prepared, "growth", accounts=2)))
    by_api = api_path.api_to_venue(prepared.folder / "api")
    print(f"\nPOST to the venue's acceptance, {by_api.in_flight} in flight: p50 {by_api.percentile_us(50) / 1000:.1f} ms, "
          f"p99 {by_api.percentile_us(99) / 1000:.1f} ms")  # fmt: skip
    before, after = api_path.executor_memory_mib(prepared.folder / "memory")
    print(
        f"executor RSS, {api_path.ACCOUNTS} accounts ready: {before:.0f} MiB; knowing {api_path.KNOWN:,} open orders: {after:.0f} MiB"
    )


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def _beside_ccxt(peer_world: WorldHandle, own_world: WorldHandle) -> list[tuple[Timed, Timed]]:
    pairs = []
    async with open_desk("beside", own_world) as desk:
        await desk.submit_all(await desk.take_in(WARM_UP), 4)
        for in_flight, count in IN_FLIGHT.items():
            peers, ours = [], []
            for number in range(ROUNDS):
                peers.append(await raw_ccxt(peer_world, in_flight, count, f"r{number}"))
                orders = await desk.take_in(count)
                ours.append(await desk.submit_all(orders, in_flight))
            pairs.append((median_of(peers), median_of(ours)))
    return pairs


async def _booked(world: WorldHandle) -> Timed:
    async with open_desk("reports", world) as desk:
        await reports.booked(desk, 1000)
        return await reports.booked(desk, REPORTS)


async def _healed(prepared: ground.Ground, exchange: str) -> str:
    [world] = ground.world(prepared, "gaps", exchange=exchange)
    async with open_desk(f"gaps-{exchange}", world) as desk:
        return await gaps.healed(desk, prepared.paper, world)


async def _growth(world: WorldHandle, peer: WorldHandle) -> None:
    async with open_desk("growth", world) as desk:
        await desk.submit_all(await desk.take_in(WARM_UP), 4)
        for status, what, (few, many) in (("open", "known open", KNOWN), ("filled", "stored", STORED)):
            await growth.seed(desk, status, 1, few)
            before = await growth.measured(desk, peer, f"{status}b")
            await growth.seed(desk, status, few + 1, many)
            after = await growth.measured(desk, peer, f"{status}a")
            print(f"\n{few:,} → {many:,} {what} orders, {growth.IN_FLIGHT} in flight, each beside raw ccxt: p50 ×{after.p50 / before.p50:.2f}, "
                  f"CPU ×{after.cpu / before.cpu:.2f}, orders/s ×{after.per_second / before.per_second:.2f}")  # fmt: skip


def _row(timed: Timed) -> str:
    return (f"| {timed.path} | {timed.in_flight} | {timed.percentile_us(50):,.0f} | {timed.percentile_us(99):,.0f} | "
            f"{timed.per_second:,.0f} | {timed.cpu_us:.0f} |")  # fmt: skip
