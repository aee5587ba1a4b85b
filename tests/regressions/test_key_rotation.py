"""A new key is proved beside the one in use: it signs, it may no more than trade, and what it sees is the same account."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from orders import rotation
from orders.ports import Lease
from orders.rows import AccountView
from tests.factories import CredentialFactory
from tests.regressions.rig import TIMEOUT_SECONDS, Rig, open_rig
from tests.venues.paper.process import PaperVenue
from venues.credentials import Secret
from venues.gateway import Gateway, SharedMarkets
from venues.models import Credential

KEYS = {"in-use": "100", "same": "100", "other": "7", "greedy": "100"}
_numbers = itertools.count(1)


@pytest_asyncio.fixture
async def rig(transactional_db: None, paper: PaperVenue, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """Return an account served with its first key, at a venue that knows three more."""
    monkeypatch.setattr(rotation, "PAUSE_SECONDS", 0.1)
    accounts = [
        {"api_key": name, "secret": f"{name}-secret", "balances": {"USDT": total},
         "permissions": {"read": True, "trade": True, "withdraw": name == "greedy"}}
        for name, total in KEYS.items()
    ]  # fmt: skip
    world = paper.create_world("binance", f"rotation-{next(_numbers)}", accounts=accounts)
    async with open_rig(paper, world) as one:
        await one.of(
            lambda: CredentialFactory(account=one.account, state="active", probe_result="trade without withdraw")
        )
        yield one


async def proved(rig: Rig, secret: Secret) -> Credential:
    """Let the account's owner prove a new key; return the key as it is stored then."""
    made = await rig.of(lambda: CredentialFactory(account=rig.account, state="candidate"))
    view: AccountView = await rig.service.writer.run(lambda books: books.store.account(rig.account.code))

    def gateways(account: AccountView, lease: Lease) -> Gateway:
        assert account.credential == view.candidate, "the door is opened with the new key"
        return Gateway(
            account.code, rig.service.gateway.venue, secret, timeout_seconds=TIMEOUT_SECONDS, shared=SharedMarkets()
        )

    await rotation.prove(view, rig.service.lease, gateways, rig.service.writer, rig.service.gateway)
    found: Credential = await rig.of(lambda: Credential.objects.get(pk=made.pk))
    return found


async def active(rig: Rig) -> list[str]:
    def look() -> list[str]:
        found = Credential.objects.filter(account=rig.account, state="active")
        return [str(version) for version in found.values_list("version", flat=True)]

    states: list[str] = await rig.of(look)
    return states


async def test_a_key_of_the_same_account_takes_over(rig: Rig) -> None:
    key = await proved(rig, Secret("same", "same-secret"))
    assert (key.state, key.probe_result) == ("active", "trade without withdraw")
    assert await active(rig) == [str(key.version)]


REFUSALS: list[tuple[str, str, str]] = [
    ("other", "other-secret", "another account"),
    ("same", "wrong-secret", "HTTP 400 -1022"),
    ("nobody", "secret", "HTTP 401 -2015"),
    ("greedy", "greedy-secret", "this key may withdraw"),
]


@pytest.mark.parametrize(("api_key", "secret", "why"), REFUSALS)
async def test_any_other_key_is_refused_and_the_one_in_use_goes_on(
    rig: Rig, api_key: str, secret: str, why: str
) -> None:
    before = await active(rig)
    key = await proved(rig, Secret(api_key, secret))
    assert key.state == "refused" and why in key.probe_result
    assert await active(rig) == before
    assert (await rig.submitted(quantity="0.001")).status == "open"


async def test_a_venue_that_does_not_answer_proves_nothing(rig: Rig) -> None:
    rig.fault("drop_before", "credentials", count=rotation.TRIES)
    key = await proved(rig, Secret("same", "same-secret"))
    assert key.state == "refused" and "apiRestrictions" in key.probe_result
