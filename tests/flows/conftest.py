"""One running product for all flows; each flow opens its own venue and account in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.stack import AccountAtVenue, Stack, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The product with short reconciliation intervals, so that a flow sees several rounds within its time."""
    home: Path = tmp_path_factory.mktemp("flow")
    timing = {
        "GAPLESS_OPEN_ORDERS_SECONDS": "2", "GAPLESS_FILLS_SECONDS": "3", "GAPLESS_BALANCES_SECONDS": "2",
        "GAPLESS_RECONCILIATION_SECONDS": "2", "GAPLESS_LEASE_SECONDS": "4", "GAPLESS_LEASE_RENEW_SECONDS": "1",
        "GAPLESS_NOT_READY_SECONDS": "15", "GAPLESS_REQUEST_TIMEOUT_SECONDS": "3",
    }  # fmt: skip
    with running_stack(home, **timing) as running:
        yield running


@pytest.fixture(scope="session")
def shared(stack: Stack) -> dict[str, AccountAtVenue]:
    """One ready account per dialect, used by every flow that can share."""
    return {exchange: stack.open_account(exchange) for exchange in ("binance", "kraken")}


@pytest.fixture(params=["binance", "kraken"])
def account(shared: dict[str, AccountAtVenue], request: pytest.FixtureRequest) -> AccountAtVenue:
    """A ready account of each dialect in turn."""
    return shared[request.param]


@pytest.fixture
def binance(shared: dict[str, AccountAtVenue]) -> AccountAtVenue:
    """A ready account on the Binance dialect."""
    return shared["binance"]


@pytest.fixture(params=["binance", "kraken"])
def fresh(stack: Stack, request: pytest.FixtureRequest) -> AccountAtVenue:
    """A ready account nobody used before, of each dialect in turn."""
    return stack.open_account(request.param)
