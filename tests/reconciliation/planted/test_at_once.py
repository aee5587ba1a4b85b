"""What the stream tells and our books do not have is read, compared and suspected at once; what a transfer explains is not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from orders import sweeps
from orders.stream import Stream
from project.prompting import Prompting
from reconciliation import coverage
from reconciliation.models import Break
from tests.reconciliation.planted.scene import Scene, open_scene
from tests.venues.desk import until
from tests.venues.paper.process import PaperVenue
from venues.models import Snapshot


@pytest_asyncio.fixture
async def listening(transactional_db: None, paper: PaperVenue) -> AsyncIterator[Scene]:
    """Return an account whose owner listens and follows what is told of balances; nothing is read on a schedule."""
    async with open_scene(paper, "binance", "at-once", random.Random(1)) as scene:
        tasks = [
            asyncio.create_task(Stream(scene.service).run()),
            asyncio.create_task(sweeps.follow_balances(scene.service)),
        ]
        await until(lambda: scene.service.has_stream)
        yield scene
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def reads(scene: Scene) -> list[str]:
    """Return the surfaces that were read because of the stream."""
    found = Snapshot.objects.filter(reason="stream", surface__in=["balances", "transfers"]).order_by("id")
    return await scene.of(lambda: list(found.values_list("surface", flat=True)))


async def read_so_often(scene: Scene, count: int) -> None:
    """Wait until the balances were read so often because of the stream."""
    async with asyncio.timeout(20):
        while (await reads(scene)).count("balances") < count:
            await asyncio.sleep(0.01)


async def test_money_told_of_is_suspected_without_any_schedule(listening: Scene) -> None:
    await listening.of(coverage.ensure)
    prompting = Prompting()
    prompting.start()
    try:
        listening.fault("deposit", params={"asset": "USDT", "amount": "5", "unlisted": True})
        async with asyncio.timeout(20):
            while not await listening.of(lambda: Break.objects.filter(kind="balance", subject="USDT").exists()):
                await asyncio.sleep(0.01)
    finally:
        prompting.stop()
    assert (await reads(listening))[:2] == ["transfers", "balances"]


async def test_a_deposit_that_the_venue_lists_is_booked_and_never_suspected(listening: Scene) -> None:
    listening.fault("deposit", params={"asset": "USDT", "amount": "5"})
    await read_so_often(listening, 1)
    assert (await reads(listening))[:2] == ["transfers", "balances"]
    await listening.pass_time()
    assert [kind for kind, _, _ in await listening.round()] == ["transfer"]


async def test_what_is_told_while_another_asset_waits_to_be_confirmed_is_read_at_once(
    listening: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "TOLD_CONFIRM_SECONDS", 3600)  # nothing but the news ends the wait
    listening.fault("deposit", params={"asset": "USDT", "amount": "5", "unlisted": True})
    await read_so_often(listening, 1)
    listening.fault("deposit", params={"asset": "EUR", "amount": "7", "unlisted": True})
    await read_so_often(listening, 2)
    [newest] = await listening.of(lambda: list(Snapshot.objects.filter(surface="balances").order_by("-id")[:1]))
    assert {row["asset"]: row["total"] for row in newest.rows}["EUR"] == "7"


async def test_what_was_told_and_agrees_is_not_read_again(listening: Scene) -> None:
    await listening._take("BTC/USDT", "buy")
    await until(lambda: bool(listening.service.assets_told))
    await until(lambda: not listening.service.assets_told and not listening.service.balances_told.is_set())
    await sweeps.fills(listening.service, reason="schedule")
    assert await reads(listening) == []
