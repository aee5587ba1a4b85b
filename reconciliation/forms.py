"""What people fill in about breaks, read strictly: a version, a time, who there is to give a break to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from project.lib import clock
from reconciliation.resolutions import Refused

PEOPLE_MAX = 500
# What a page offers to snooze for; a time of one's own may be given instead.
SPANS: dict[str, tuple[str, timedelta]] = {
    "1h": ("one hour", timedelta(hours=1)),
    "4h": ("four hours", timedelta(hours=4)),
    "1d": ("one day", timedelta(days=1)),
    "3d": ("three days", timedelta(days=3)),
    "7d": ("a week", timedelta(days=7)),
}


def people() -> list[str]:
    """Return whom a break may be given to."""
    found = get_user_model()._default_manager.filter(is_active=True).order_by("username")
    return list(found.values_list("username", flat=True)[:PEOPLE_MAX])


def teams() -> list[str]:
    """Return the groups a break may be given to."""
    return list(Group.objects.order_by("name").values_list("name", flat=True)[:PEOPLE_MAX])


def version(given: Mapping[str, Any]) -> int | None:
    """Return the version of the page a form was sent from; None where it names none. Raises Refused for what is no number."""
    text = given.get("version", "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Refused("the page does not say which version of the break it showed; load it again")
    return int(text) if text else None


def until(given: Mapping[str, Any]) -> datetime:
    """Return the time until which to snooze: a span that is offered, or a time in UTC. Raises Refused."""
    if span := SPANS.get(given.get("span", "")):
        return clock.now() + span[1]
    try:
        moment = datetime.fromisoformat(given.get("until", ""))
    except ValueError:
        raise Refused("say until when to snooze it, as a time in UTC") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def known(owner: str, team: str) -> None:
    """Refuse a person or a team that is not there. Raises Refused."""
    if owner and not get_user_model()._default_manager.filter(is_active=True, username=owner).exists():
        raise Refused(f"there is nobody called {owner[:80]!r} who may sign in")
    if team and not Group.objects.filter(name=team).exists():
        raise Refused(f"there is no team {team[:80]!r}")
