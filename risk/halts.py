"""Halt and release by account, venue or everywhere. One person may halt; cancels always pass."""

from __future__ import annotations

from typing import Literal

from project.lib import audit, clock, failpoints, feed, rules
from risk.models import Halt
from venues.models import Account, Venue

SCOPES = ("global", "venue:<code>", "account:<code>")
_COVERED: dict[str, type[Account | Venue]] = {"account": Account, "venue": Venue}


class Refused(Exception):
    """The halt or its release is refused; the message says why."""


@feed.retried
def engage(scope: str, reason: str, actor: str, state: str = "halted") -> Halt:
    """Stop new orders in a scope from this commit on. Raises Refused for an unknown scope, state or empty reason."""
    if wrong := problem_with(scope):
        raise Refused(wrong)
    if state not in Halt.State.values:
        raise Refused("state must be halted or reducing")
    if not reason.strip():
        raise Refused("a halt needs a reason: the next person has to know why")
    with feed.transaction():
        rules.changed()
        halt = Halt.objects.create(scope=scope, state=state, reason=reason.strip()[:300], created_by=actor)
        audit.record(actor, "halt.engage", scope, {"halt": str(halt.id), "state": state, "reason": halt.reason})
        _announce(halt, "halt.engaged")
    failpoints.reach("P13")
    return halt


def problem_with(scope: str) -> str:
    """Return what is wrong with a scope, or nothing. A stop with a mistyped code would stop nothing and look as if it did."""
    kind, _, code = scope.partition(":")
    if scope == "global":
        return ""
    if kind not in _COVERED or not code:
        return f"scope must be one of {', '.join(SCOPES)}"
    return "" if _COVERED[kind].objects.filter(pk=code).exists() else f"there is no {kind} {code}"


@feed.retried
def release(halt: Halt, reason: str, actor: str) -> Halt:
    """Lift one halt; others in the same scope stay. Raises Refused when it is lifted already or no reason is given."""
    if not reason.strip():
        raise Refused("a release needs a reason")
    with feed.transaction():
        halt = Halt.objects.select_for_update(no_key=True).get(pk=halt.pk)
        if halt.released_at:
            raise Refused(f"released already by {halt.released_by}")
        halt.released_at, halt.released_by, halt.release_reason = clock.now(), actor, reason.strip()[:300]
        halt.save(update_fields=["released_at", "released_by", "release_reason"])
        rules.changed()
        audit.record(actor, "halt.release", halt.scope, {"halt": str(halt.id), "reason": halt.release_reason})
        _announce(halt, "halt.released")
    return halt


def in_force() -> list[Halt]:
    """Return every halt not released, oldest first."""
    return list(Halt.objects.filter(released_at=None).order_by("created_at", "id"))


def state_for(account: str, venue: str, halts: list[Halt] | None = None) -> Literal["active", "reducing", "halted"]:
    """Return the trading state of an account: the strictest of the halts that cover it."""
    scopes = {"global", f"venue:{venue}", f"account:{account}"}
    states = {halt.state for halt in (in_force() if halts is None else halts) if halt.scope in scopes}
    return "halted" if "halted" in states else "reducing" if "reducing" in states else "active"


def _announce(halt: Halt, kind: str) -> None:
    feed.announce("halts", kind, halt.id, data={"scope": halt.scope, "state": halt.state})
    feed.wake("")
