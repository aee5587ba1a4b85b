"""One paper venue for the folder, a world and an open gateway for every test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.venues.desk import Desk, gateway
from tests.venues.paper.process import PaperVenue, WorldHandle, running_paper_venue

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperVenue]:
    """Return the running venue."""
    with running_paper_venue(tmp_path_factory.mktemp("paper")) as running:
        yield running


@pytest.fixture(params=["binance", "kraken", "bybit", "okx", "coinbase", "deribit"])
def paper_world(paper: PaperVenue, request: pytest.FixtureRequest) -> Iterator[WorldHandle]:
    """Return a new still world of each exchange in turn."""
    made = paper.create_world(request.param, f"gateway-{next(_numbers)}")
    yield made
    paper.remove_world(made)


@pytest.fixture
async def desk(paper: PaperVenue, paper_world: WorldHandle) -> AsyncIterator[Desk]:
    """Return an open gateway on a world."""
    one = gateway(paper_world)
    await one.open()
    yield Desk(paper, paper_world, one)
    await one.close()
