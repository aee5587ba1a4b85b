"""One venue process for the whole folder; a world of its own for every test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.venues.paper.clients import client
from tests.venues.paper.process import PaperVenue, WorldHandle, running_paper_venue

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperVenue]:
    """Return the running venue."""
    with running_paper_venue(tmp_path_factory.mktemp("paper")) as running:
        yield running


@pytest.fixture(params=["binance", "kraken", "bybit", "okx", "coinbase", "deribit"])
def world(venue: PaperVenue, request: pytest.FixtureRequest) -> Iterator[WorldHandle]:
    """Return a new still world of each exchange in turn."""
    yield from _world(venue, request.param)


@pytest.fixture
def binance_world(venue: PaperVenue) -> Iterator[WorldHandle]:
    """Return a new still Binance world."""
    yield from _world(venue, "binance")


@pytest.fixture
def kraken_world(venue: PaperVenue) -> Iterator[WorldHandle]:
    """Return a new still Kraken world."""
    yield from _world(venue, "kraken")


@pytest.fixture
def bybit_world(venue: PaperVenue) -> Iterator[WorldHandle]:
    """Return a new still Bybit world."""
    yield from _world(venue, "bybit")


@pytest.fixture
def okx_world(venue: PaperVenue) -> Iterator[WorldHandle]:
    """Return a new still OKX world."""
    yield from _world(venue, "okx")


@pytest.fixture
def coinbase_world(venue: PaperVenue) -> Iterator[WorldHandle]:
    """Return a new still Coinbase world."""
    yield from _world(venue, "coinbase")


@pytest.fixture
async def exchange(world: WorldHandle) -> AsyncIterator[Any]:
    """Return a ccxt client of the world."""
    one = client(world)
    yield one
    await one.close()


@pytest.fixture
async def binance(binance_world: WorldHandle) -> AsyncIterator[Any]:
    """Return a ccxt client of the Binance world."""
    one = client(binance_world)
    yield one
    await one.close()


@pytest.fixture
async def kraken(kraken_world: WorldHandle) -> AsyncIterator[Any]:
    """Return a ccxt client of the Kraken world."""
    one = client(kraken_world)
    yield one
    await one.close()


@pytest.fixture
async def bybit(bybit_world: WorldHandle) -> AsyncIterator[Any]:
    """Return a ccxt client of the Bybit world."""
    one = client(bybit_world)
    yield one
    await one.close()


@pytest.fixture
async def okx(okx_world: WorldHandle) -> AsyncIterator[Any]:
    """Return a ccxt client of the OKX world."""
    one = client(okx_world)
    yield one
    await one.close()


@pytest.fixture
async def coinbase(coinbase_world: WorldHandle) -> AsyncIterator[Any]:
    """Return a ccxt client of the Coinbase world."""
    one = client(coinbase_world)
    yield one
    await one.close()


def _world(venue: PaperVenue, exchange: str) -> Iterator[WorldHandle]:
    made = venue.create_world(exchange, f"test-{next(_numbers)}")
    yield made
    venue.remove_world(made)
