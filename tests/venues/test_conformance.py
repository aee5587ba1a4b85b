"""The conformance kit finds a venue that keeps the contract whole, and names what another breaks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.venues.paper.process import PaperVenue, WorldHandle
from venues.conformance.contract import CASES, Conclusion, Examination, Unusable
from venues.credentials import Secret
from venues.paper.markets import EXCHANGES
from venues.targets import VenueTarget

CASES_AT_LEAST = 40
_numbers = itertools.count(1)


@pytest.fixture(params=sorted(EXCHANGES))
def kept(request: pytest.FixtureRequest, paper: PaperVenue) -> Iterator[WorldHandle]:
    made = paper.create_world(request.param, f"kit-{next(_numbers)}", flow_steps_per_second=5)
    yield made
    paper.remove_world(made)


@pytest.fixture
def lying(paper: PaperVenue) -> Iterator[Any]:
    made: list[WorldHandle] = []

    def make(**extra: Any) -> WorldHandle:
        made.append(paper.create_world("binance", f"kit-{next(_numbers)}", flow_steps_per_second=5, **extra))
        return made[-1]

    yield make
    for world in made:
        paper.remove_world(world)


async def examined(world: WorldHandle, only: str = "", quirks: tuple[str, ...] = ()) -> dict[str, Conclusion]:
    target = VenueTarget(
        code="kit", exchange=world.exchange, rest_url=world.rest_url, ws_url=world.ws_url, may_trade=True, quirks=quirks
    )
    examination = Examination(target, Secret(world.api_key, world.secret, world.passphrase))
    return {conclusion.case.name: conclusion async for conclusion in examination.run(only=only)}


async def test_every_dialect_keeps_the_contract(kept: WorldHandle) -> None:
    found = await examined(kept)
    assert len(found) == len(CASES) >= CASES_AT_LEAST
    refuted = {name: conclusion.detail for name, conclusion in found.items() if conclusion.verdict == "refuted"}
    assert not refuted
    assert sum(conclusion.verdict == "proved" for conclusion in found.values()) >= CASES_AT_LEAST - 10


async def test_a_venue_that_ignores_the_window_is_found_out(lying: Any) -> None:
    world = lying(personality={"validity_window": False})
    assert (await examined(world, "window_is_enforced"))["window_is_enforced"].verdict == "refuted"
    told = await examined(world, "window_is_enforced", quirks=("no_validity_window",))
    assert told["window_is_enforced"].verdict == "skipped"


async def test_a_venue_that_drops_our_ids_is_found_out(lying: Any) -> None:
    found = await examined(lying(personality={"client_ids": False}), "client_id")
    assert {found[name].verdict for name in ("client_id_is_echoed", "found_by_client_id")} == {"refuted"}


async def test_a_venue_that_takes_an_id_twice_is_found_out(lying: Any) -> None:
    found = await examined(lying(personality={"client_ids_unique": "never"}), "duplicate_is_refused")
    assert found["duplicate_is_refused"].verdict == "refuted"


async def test_a_key_that_may_withdraw_is_found_out(lying: Any, paper: PaperVenue) -> None:
    account = {
        "api_key": "may-withdraw", "secret": "a-secret-of-its-own", "balances": {"USDT": "1000"},
        "permissions": {"read": True, "trade": True, "withdraw": True},
    }  # fmt: skip
    found = await examined(lying(accounts=[account]), "key_cannot_withdraw")
    assert found["key_cannot_withdraw"].verdict == "refuted"


@pytest.mark.parametrize("surface", ["open_orders", "my_trades", "balance"])
async def test_a_surface_that_fails_is_never_called_empty(lying: Any, paper: PaperVenue, surface: str) -> None:
    world = lying()
    paper.add_fault(world, "status", surface, params={"status": 503})
    case = {"open_orders": "open_orders_are_read", "my_trades": "fills_are_read", "balance": "balances_add_up"}[surface]
    assert (await examined(world, case))[case].verdict == "refuted"
    paper.remove_faults()


async def test_a_venue_without_an_instrument_cannot_be_examined(lying: Any, paper: PaperVenue) -> None:
    world = lying()
    paper.add_fault(world, "status", "market_data", params={"status": 503})
    with pytest.raises(Unusable):
        await examined(world)
    paper.remove_faults()
