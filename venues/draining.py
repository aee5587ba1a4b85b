"""Draining: no new orders at an account or a venue; what is there goes on until nothing is open, and that is said."""

from __future__ import annotations

from project.lib import audit, clock, feed, rules
from venues.accounts import Invalid
from venues.models import Account, Venue


@feed.retried
def begin(kind: type[Account] | type[Venue], code: str, reason: str, actor: str) -> Account | Venue:
    """Let no new order in; cancels, fills and the orders that are there go on. Raises accounts.Invalid."""
    if not reason.strip():
        raise Invalid("reason", "REQUIRED", "Say why: the next person has to know.")
    with feed.transaction():
        row = kind.objects.select_for_update(no_key=True).get(pk=code)
        if row.draining_since:
            raise Invalid("code", "DRAINING", f"{code} is draining already.")
        _set(row, actor, "drain.begin", {"reason": reason.strip()[:300]}, is_draining=True)
    return row


@feed.retried
def end(kind: type[Account] | type[Venue], code: str, actor: str) -> Account | Venue:
    """Let new orders in again. Raises accounts.Invalid."""
    with feed.transaction():
        row = kind.objects.select_for_update(no_key=True).get(pk=code)
        if not row.draining_since:
            raise Invalid("code", "NOT_DRAINING", f"{code} is not draining.")
        _set(row, actor, "drain.end", {}, is_draining=False)
    return row


def drained(row: Account | Venue) -> None:
    """Write down that nothing is open any more. Call inside feed.transaction()."""
    row.drained_at = clock.now()
    row.save(update_fields=["drained_at"])
    audit.record("rule:drained", "drain.done", row.code)
    _tell(row, "drain.done")


def _set(row: Account | Venue, actor: str, action: str, detail: dict[str, str], *, is_draining: bool) -> None:
    row.draining_since, row.drained_at = (clock.now() if is_draining else None), None
    row.save(update_fields=["draining_since", "drained_at"])
    rules.changed()
    audit.record(actor, action, row.code, detail)
    _tell(row, action)


def _tell(row: Account | Venue, kind: str) -> None:
    is_account = isinstance(row, Account)
    feed.announce("accounts" if is_account else "venues", kind, row.code, account=row.code if is_account else "")
    feed.wake(row.code if is_account else "")
