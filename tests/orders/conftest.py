"""The account, and the owner of it, that most tests of the order core use."""

from __future__ import annotations

import pytest
from django.conf import settings

from orders import leases
from orders.service import Service, Timing
from orders.writer import Writer
from tests.orders import scene
from venues.credentials import Secret
from venues.gateway import Gateway, SharedMarkets, VenueTarget
from venues.models import Account


@pytest.fixture
def account(db: None) -> Account:
    """Return a ready account at a sandbox venue."""
    return scene.make_account()


@pytest.fixture
def service(account: Account) -> Service:
    """Return the account in the hands of its owner, the wire not opened."""
    venue = account.venue
    target = VenueTarget(
        code=venue.code, exchange=venue.exchange, rest_url=venue.rest_url, ws_url="", sandbox=False, may_trade=True
    )
    gateway = Gateway(account.code, target, Secret("key", "secret"), shared=SharedMarkets())
    [lease] = leases.acquire("executor", 60)
    return Service(
        account=account.code,
        venue=venue.code,
        lease=lease,
        gateway=gateway,
        writer=Writer(),
        timing=Timing(**settings.EXECUTOR),
    )
