"""One paper venue for the package; a still world, an account and its owner for each test that talks to a venue."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.orders import scene
from tests.regressions.rig import Rig, open_rig
from tests.venues.paper.process import PaperVenue, WorldHandle, running_paper_venue
from venues.models import Account

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperVenue]:
    """Return the running venue."""
    with running_paper_venue(tmp_path_factory.mktemp("paper")) as running:
        yield running


@pytest.fixture
def exchange() -> str:
    """Return the exchange of the world; tests that need another or several parametrise it."""
    return "binance"


@pytest.fixture
def world(paper: PaperVenue, exchange: str) -> Iterator[WorldHandle]:
    """Return a new still world; Kraken's counts wrong nonces as the real one does."""
    personality = {"strict_nonce": True} if exchange == "kraken" else {}
    made = paper.create_world(exchange, f"regression-{next(_numbers)}", personality=personality)
    yield made
    paper.remove_world(made)


@pytest_asyncio.fixture
async def rig(transactional_db: None, paper: PaperVenue, world: WorldHandle) -> AsyncIterator[Rig]:
    """Return an account of the world in the hands of an owner who has recovered it, each step taken by the test."""
    async with open_rig(paper, world) as one:
        yield one


@pytest.fixture
def account(db: None) -> Account:
    """Return a ready account whose venue is played by the test's own statements."""
    return scene.make_account()
