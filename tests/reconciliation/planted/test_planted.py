"""Each planted difference is found in time, as exactly one break of its class, however often one looks; honest trading makes none."""

from __future__ import annotations

import math
import os
import random

import pytest

from orders import fold
from tests.reconciliation.planted.cases import CASES, Case
from tests.reconciliation.planted.exchanges import ALL
from tests.reconciliation.planted.scene import ROUND, open_scene
from tests.reconciliation.planted.tally import TALLY
from tests.venues.paper.process import PaperVenue

SEEDS = range(int(os.environ.get("PLANTED_SEEDS", "2")))
QUIET_ROUNDS = 60  # of ten seconds
FOUND_WITHIN_SECONDS = 15
LOOKED_FOR_SECONDS = 120
LOOKS_AGAIN = 3


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_planted_difference_is_found(transactional_db: None, paper: PaperVenue, case: Case, seed: int) -> None:
    chance = random.Random(f"{case.name} {seed}")
    exchange = case.exchanges[seed % len(case.exchanges)]
    outcome = TALLY.plant(case.name, exchange)
    async with open_scene(paper, exchange, f"{case.name}-{seed}", chance) as scene:
        await scene._take("BTC/USDT", "buy")
        await scene.trade_honestly(chance.randint(1, 4))
        await scene.settle()
        assert await scene.round() == []
        await case.plant(scene)
        explained = len(await scene.breaks())
        await scene.trade_honestly(chance.choice([0, 0, 1, 2]))
        await scene.pass_time()
        seconds, found = 0.0, await scene.round()
        while not any(status == "open" for _, _, status in found) and seconds < LOOKED_FOR_SECONDS:
            seconds += ROUND.total_seconds()
            found = await scene.round()
        opened = [kind for kind, _, status in found if status == "open"]
        in_time = seconds <= _whole_rounds(FOUND_WITHIN_SECONDS + scene.lag_seconds)
        outcome.seconds, outcome.is_found = seconds, bool(opened) and in_time
        outcome.is_right = sum(kind in case.expected for kind in opened) == 1
        outcome.false_alarms = sum(kind not in case.expected for kind, _, _ in found)
        assert len(found) == 1 and outcome.is_right, f"{exchange}: {found}"
        assert in_time, f"{exchange}: after {seconds} s: {found}"
        before = [(row.pk, row.opened_at) for row in await scene.breaks()]
        for _ in range(LOOKS_AGAIN):
            await scene.round()
        after = [(row.pk, row.opened_at) for row in await scene.breaks()]
        outcome.rows_after = len(after) - explained
        assert after == before and outcome.rows_after == 1


@pytest.mark.parametrize("exchange", ALL)
async def test_honest_trading_makes_no_breaks(transactional_db: None, paper: PaperVenue, exchange: str) -> None:
    chance, outcome = random.Random(f"quiet {exchange}"), TALLY.trade(exchange)
    async with open_scene(paper, exchange, "quiet", chance) as scene:
        for number in range(QUIET_ROUNDS):
            if number % 3 == 0:
                await scene.trade_honestly(chance.randint(0, 2))
            await scene.round()
            opened = [(row.kind, row.subject, row.status) for row in await scene.breaks() if row.opened_at]
            outcome.looks, outcome.false_alarms = number + 1, len(opened)
            assert opened == []
        assert await scene.of(lambda: list(fold.differences())) == []
        outcome.is_whole = True


def _whole_rounds(seconds: float) -> float:
    return math.ceil(seconds / ROUND.total_seconds()) * ROUND.total_seconds()
