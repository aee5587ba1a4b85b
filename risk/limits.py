"""Limits in force for an account: the tightest of global, venue and account scope."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from project.lib import audit, clock, feed, rules
from risk import halts
from risk.models import Limit


class Refused(Exception):
    """The limit is refused; the message says why."""


def in_force(account: str, venue: str) -> dict[str, Decimal]:
    """Return the tightest value per limit name."""
    return tightest([(account, venue)])[account]


def tightest(places: Iterable[tuple[str, str]]) -> dict[str, dict[str, Decimal]]:
    """Return the tightest value per account and limit name, for accounts given with their venues, in one query."""
    scopes = {account: ("global", f"venue:{venue}", f"account:{account}") for account, venue in places}
    by_scope: dict[str, list[tuple[str, Decimal]]] = {}
    wanted = {scope for some in scopes.values() for scope in some}
    for scope, name, value in Limit.objects.filter(scope__in=wanted).values_list("scope", "name", "value"):
        by_scope.setdefault(scope, []).append((name, value))
    found: dict[str, dict[str, Decimal]] = {account: {} for account in scopes}
    for account, some in scopes.items():
        for name, value in (pair for scope in some for pair in by_scope.get(scope, ())):
            found[account][name] = min(value, found[account].get(name, value))
    return found


@feed.retried
def put(scope: str, name: str, value: Decimal, actor: str) -> Limit:
    """Set a limit for a scope, with its version counted up and the change audited.

    Raises Refused for an unknown name or scope, or a value that is not greater than zero.
    """
    if name not in Limit.Name.values:
        raise Refused(f"limit must be one of {', '.join(Limit.Name.values)}")
    if wrong := halts.problem_with(scope):
        raise Refused(wrong)
    if value <= 0:
        raise Refused("a limit must be greater than zero; to stop trading use a halt")
    with feed.transaction():
        limit, is_new = Limit.objects.select_for_update(no_key=True).get_or_create(
            scope=scope, name=name, defaults={"value": value, "updated_by": actor}
        )
        before = None if is_new else str(limit.value)
        rules.changed()
        if not is_new:
            limit.value, limit.version, limit.updated_at, limit.updated_by = (
                value,
                limit.version + 1,
                clock.now(),
                actor,
            )
            limit.save()
        audit.record(actor, "limit.put", f"{scope} {name}", {"before": before, "after": str(value)})
        feed.announce("halts", "limit.changed", limit.pk, data={"scope": scope, "name": name})
    return limit
