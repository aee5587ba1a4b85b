"""The first people, tokens and, in the demo, paper venues with an account each. Running it again changes nothing."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User

from project import tokens
from project.authentication import digest
from project.lib import access, feed
from project.lib.models import ApiToken
from venues import accounts, credentials
from venues.models import Account, Venue
from venues.paper import defaults

Line = dict[str, str]
PEOPLE = {
    "admin": ("admin", "everything, and the only one who may waive a probe or go live"),
    "olivia": ("operator", "venues, accounts, keys, orders"),
    "ravi": ("risk", "halts, limits, dead letters, breaks"),
    "amira": ("approver", "approves or refuses what another person has requested"),
    "vera": ("viewer", "reads everything, changes nothing"),
}


def first_people(*, demo: bool) -> list[Line]:
    """Make the roles, the admin and in the demo one person per role; return the logins that still hold."""
    for role in access.ROLES:
        Group.objects.get_or_create(name=role)
    kept = _Kept(settings.GAPLESS_HOME / "secrets" / "first-logins.json")
    lines = []
    for username in PEOPLE if demo else ["admin"]:
        role, description = PEOPLE[username]
        user, is_new = User.objects.get_or_create(username=username, defaults={"is_superuser": role == "admin"})
        if is_new:
            password = kept.put(username, "-".join(secrets.token_hex(2) for _ in range(4)))
            user.set_password(password)
            user.save()
            user.groups.add(Group.objects.get(name=role))
        password = kept.get(username)
        if password and user.check_password(password):
            lines.append({"username": username, "password": password, "description": f"{role}: {description}"})
    return lines


def first_token(file: str, label: str, username: str, role: str) -> str:
    """Return a token that works: the one kept in a file under the secrets folder, or a new one for that person."""
    kept = _Kept(settings.GAPLESS_HOME / "secrets" / file)
    key = kept.get("token")
    if key and ApiToken.objects.filter(key_hash=digest(key), revoked_at=None).exists():
        return key
    user, is_new = User.objects.get_or_create(username=username)
    if is_new:
        user.set_unusable_password()
        user.save()
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    _, key = tokens.issue(user, label, actor="setup")
    return kept.put("token", key)


def demo_venues() -> None:
    """Make the paper venues and their accounts, with keys, and ask for their activation. Nothing is made twice."""
    for exchange in defaults.EXCHANGES:
        api_key, secret = defaults.KEYS[exchange]
        code = f"paper-{exchange}"
        if not Venue.objects.filter(code=code).exists():
            accounts.create_venue(
                code=code, exchange=exchange, rest_url=_url(exchange), ws_url=_url(exchange, "ws"), actor="setup"
            )
        _follow_port(code, exchange)
        if not Account.objects.filter(code=f"{exchange}-demo").exists():
            account = accounts.create_account(
                code=f"{exchange}-demo",
                venue=Venue.objects.get(code=code),
                label=f"Demo on {exchange.title()}",
                actor="setup",
            )
            credentials.seal(account, api_key=api_key, secret=secret, created_by="setup")
            accounts.request_activation(account, actor="setup")


def _follow_port(code: str, exchange: str) -> None:
    venue = Venue.objects.get(code=code)
    if venue.rest_url != _url(exchange):  # the paper venue was given another port this time
        with feed.transaction():
            venue.rest_url, venue.ws_url = _url(exchange), _url(exchange, "ws")
            venue.save(update_fields=["rest_url", "ws_url"])
            feed.announce("venues", "venue.moved", code)


def _url(exchange: str, scheme: str = "http") -> str:
    return f"{settings.PAPER_URL.replace('http', scheme, 1)}/{exchange}/{defaults.WORLD}"


class _Kept:
    """A small private file of values that are shown again at each start; deleting it is safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, name: str) -> str:
        return str(self._values.get(name, ""))

    def put(self, name: str, value: str) -> str:
        self._values[name] = value
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self._values, file)
        return value
