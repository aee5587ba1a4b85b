"""Where the conformance kit gets its account from: a paper world of its own, a stored key under a lease, or the environment."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from orders import leases
from venues import accounts, credentials
from venues.credentials import Secret
from venues.models import Credential, Venue
from venues.paper import defaults
from venues.targets import VenueTarget

LEASE_SECONDS = 1800.0
CONTROL_SECONDS_MAX = 10.0
FLOW_STEPS_PER_SECOND = 5.0
VARIABLES = ("GAPLESS_CHECK_API_KEY", "GAPLESS_CHECK_SECRET", "GAPLESS_CHECK_PASSPHRASE")


class Refused(Exception):
    """The examination may not begin; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is examined: a venue, a key there, and the highest nonce that key has used."""

    target: VenueTarget
    secret: Secret
    where: str
    nonce_floor: int = 0


@contextmanager
def subject(venue: Venue, account: str = "") -> Iterator[Subject]:
    """Open what is to be examined, and close it again. Raises Refused.

    With an account its stored key is used under a lease, so that no executor serves it meanwhile. Without one the key
    comes from the environment; a paper venue needs none: it gets a world of its own.
    """
    if account:
        with _leased(venue, account) as found:
            yield found
    elif os.environ.get(VARIABLES[0]):
        given = [os.environ.get(name, "") for name in VARIABLES]
        yield Subject(
            target=accounts.target(venue), secret=Secret(*given), where=f"{venue.code}, key of the environment"
        )
    elif venue.environment == "PAPER":
        with _own_world(venue) as found:
            yield found
    else:
        raise Refused(
            f"{venue.code} needs a key. Name an account that no executor serves with --account, or set {VARIABLES[0]} "
            f"and {VARIABLES[1]}. Nothing was sent."
        )


@contextmanager
def _leased(venue: Venue, code: str) -> Iterator[Subject]:
    credential = Credential.objects.filter(account_id=code, account__venue=venue, state="active").first()
    if credential is None:
        raise Refused(f"There is no account {code} with a key at {venue.code}. Nothing was sent.")
    holder = leases.holder_name()
    lease = leases.claim(holder, code, LEASE_SECONDS)
    if lease is None:
        raise Refused(
            f"An executor serves {code} now, and one process alone may talk to an account's venue. Stop it, or use another "
            "account. Nothing was sent."
        )
    secret = credentials.open_sealed(credential)
    try:
        yield Subject(
            target=accounts.target(venue),
            secret=secret,
            where=f"{venue.code}, account {code}",
            nonce_floor=lease.nonce_floor,
        )
    finally:
        leases.release(holder, {code: lease.nonce_floor})


@contextmanager
def _own_world(venue: Venue) -> Iterator[Subject]:
    name = f"check-{uuid.uuid4().hex[:8]}"
    api_key, secret = defaults.KEYS[venue.exchange]
    account = {
        "api_key": api_key, "secret": secret, "balances": defaults.BALANCES, "permissions": defaults.PERMISSIONS,
    }  # fmt: skip
    world = {"exchange": venue.exchange, "world": name}
    made = _control("POST", "worlds", {**world, "accounts": [account], "flow_steps_per_second": FLOW_STEPS_PER_SECOND})
    try:
        target = VenueTarget(
            code=venue.code, exchange=venue.exchange, rest_url=made["rest_url"], ws_url=made["ws_url"], may_trade=True,
            quirks=tuple(venue.quirks),
        )  # fmt: skip
        yield Subject(target=target, secret=Secret(api_key, secret), where=f"{venue.code}, in a paper world of its own")
    finally:
        _control("DELETE", "worlds", world)


def _control(method: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{settings.PAPER_URL}/_control/{path}", method=method, data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=CONTROL_SECONDS_MAX) as answer:
            return json.loads(answer.read() or b"{}")
    except (OSError, ValueError) as problem:
        raise Refused(f"The paper venue at {settings.PAPER_URL} does not answer ({problem}). Is it running?") from None
