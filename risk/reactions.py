"""Reactions: rules by which a venue that does badly is told of, reduced or halted, and let go again. Halts are risk.halts'."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from project.lib import audit, clock, feed
from risk import halts
from risk.models import Firing, Halt, Reaction
from venues.accounts import Invalid
from venues.models import Venue

CALM_SECONDS_MIN, CALM_SECONDS_MAX = 10, 86_400
STATES = {Reaction.Action.HALT: Halt.State.HALTED, Reaction.Action.REDUCE: Halt.State.REDUCING}


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why a reaction is to fire now: the scope it acts on, and the evidence in words and figures."""

    reaction: Reaction
    venue: str
    account: str
    scope: str
    text: str
    evidence: dict[str, Any]


@feed.retried
def make(
    *,
    venue: str = "",
    trigger: str,
    threshold: int | None = None,
    action: str,
    release: str,
    calm_seconds: int = 300,
    reason: str,
    actor: str,
) -> Reaction:
    """Choose what shall happen at a venue, or at every venue, and how it is let go. Raises accounts.Invalid."""
    for field, value, kind in (
        ("trigger", trigger, Reaction.Trigger), ("action", action, Reaction.Action), ("release", release, Reaction.Release),
    ):  # fmt: skip
        if value not in kind.values:
            raise Invalid(field, "INVALID", f"must be one of {', '.join(kind.values)}")
    if (trigger == Reaction.Trigger.SCORE) != (threshold is not None):
        raise Invalid("threshold", "INVALID", "A score needs a number of points to be below of, and nothing else does.")
    if threshold is not None and not 1 <= threshold <= 100:
        raise Invalid("threshold", "INVALID", "A threshold lies between 1 and 100 points.")
    if not CALM_SECONDS_MIN <= calm_seconds <= CALM_SECONDS_MAX:
        raise Invalid("calm_seconds", "INVALID", f"between {CALM_SECONDS_MIN} and {CALM_SECONDS_MAX} seconds")
    if not reason.strip():
        raise Invalid("reason", "REQUIRED", "Say why: the next person has to know.")
    if venue and not Venue.objects.filter(pk=venue).exists():
        raise Invalid("venue", "NOT_FOUND", f"There is no venue {venue[:80]!r}.")
    with feed.transaction():
        reaction = Reaction.objects.create(
            venue_id=venue or None, trigger=trigger, threshold=threshold, action=action, release=release,
            calm_seconds=calm_seconds, reason=reason.strip()[:300], created_by=actor,
        )  # fmt: skip
        detail = {
            "venue": venue or "every venue", "trigger": trigger, "threshold": threshold, "action": action,
            "release": release, "calm_seconds": calm_seconds, "reason": reaction.reason,
        }  # fmt: skip
        audit.record(actor, "reaction.make", reaction.id, detail)
        feed.announce("halts", "reaction.made", reaction.id)
    return reaction


@feed.retried
def revoke(reaction: Reaction, actor: str) -> Reaction:
    """End a rule. What it has halted stays halted until a person releases it. Raises accounts.Invalid."""
    with feed.transaction():
        reaction = Reaction.objects.select_for_update(no_key=True).get(pk=reaction.pk)
        if reaction.revoked_at:
            raise Invalid("id", "REVOKED", f"revoked already by {reaction.revoked_by}")
        reaction.revoked_at, reaction.revoked_by = clock.now(), actor
        reaction.save(update_fields=["revoked_at", "revoked_by"])
        Firing.objects.filter(reaction=reaction, ended_at=None).update(ended_at=reaction.revoked_at)
        audit.record(actor, "reaction.revoke", reaction.id)
        feed.announce("halts", "reaction.revoked", reaction.id)
    return reaction


def in_force() -> list[Reaction]:
    """Return the rules not revoked, the oldest first."""
    return list(Reaction.objects.filter(revoked_at=None).order_by("created_at", "id"))


def standing() -> QuerySet[Firing]:
    """Return the firings whose cause is not over, the newest first."""
    return Firing.objects.filter(ended_at=None).select_related("reaction", "venue", "halt").order_by("-fired_at", "id")


def apply(causes: Iterable[Cause], now: datetime) -> list[Firing]:
    """Fire what is to fire, note what still holds, let go of what has been calm as long as its rule says.

    A person who releases a halt while its cause holds is not overruled: the same firing halts once. Returns the firings
    that are new.
    """
    fresh = []
    known = {(firing.reaction_id, firing.scope): firing for firing in standing()}
    for cause in causes:
        firing = known.pop((cause.reaction.pk, cause.scope), None)
        if firing is None:
            fresh += _fire(cause, now)
        else:
            Firing.objects.filter(pk=firing.pk).update(last_seen_at=now, evidence=cause.evidence)
    for firing in known.values():
        if now - firing.last_seen_at >= timedelta(seconds=firing.reaction.calm_seconds):
            _let_go(firing, now)
    return fresh


def _fire(cause: Cause, now: datetime) -> list[Firing]:
    reaction, halt = cause.reaction, None
    with feed.transaction():
        Reaction.objects.select_for_update(no_key=True).get(pk=reaction.pk)  # of several watchdogs one fires
        if Firing.objects.filter(reaction=reaction, scope=cause.scope, ended_at=None).exists():
            return []
        if reaction.action in STATES:
            state = STATES[Reaction.Action(reaction.action)]
            halt = halts.engage(cause.scope, f"{cause.text} (rule: {reaction.reason})", _actor(reaction), state)
        firing = Firing.objects.create(
            reaction=reaction, venue_id=cause.venue, account_id=cause.account or None, scope=cause.scope, halt=halt,
            evidence=cause.evidence | {"text": cause.text}, fired_at=now, last_seen_at=now,
        )  # fmt: skip
        audit.record(_actor(reaction), f"reaction.{reaction.action}", cause.scope, {"text": cause.text})
        feed.announce("halts", "reaction.fired", firing.id, account=cause.account, data={"scope": cause.scope})
        feed.announce("venues", "reaction.fired", firing.id, account=cause.account)
    return [firing]


def _let_go(firing: Firing, now: datetime) -> None:
    reaction, halt = firing.reaction, firing.halt
    with feed.transaction():
        Firing.objects.filter(pk=firing.pk).update(ended_at=now)
        if halt is not None and halt.released_at is None and reaction.release == Reaction.Release.CALM:
            why = f"its cause has been away for {reaction.calm_seconds} s, as the rule says"
            halts.release(halt, why, _actor(reaction))
        feed.announce("halts", "reaction.ended", firing.id)
        feed.announce("venues", "reaction.ended", firing.id)


def _actor(reaction: Reaction) -> str:
    return f"reaction:{reaction.id}"
