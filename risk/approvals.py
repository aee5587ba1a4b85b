"""Four eyes: one person requests a change, another, different one decides; bound to the hash of exactly that change."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError
from django.db.transaction import atomic

from project.lib import access, audit, clock, decimals, failpoints, feed, signing
from risk.models import Approval
from venues.models import Account

Change = dict[str, Any]
Status = Approval.Status
RULE = "rule:approvals"
ROLES = frozenset({"approver", "admin"})
SETTLED_AT_ONCE_MAX = 200


class Refused(Exception):
    """Not done; the text says why and what to do, the code names the rule."""

    def __init__(self, text: str, code: str = "REFUSED") -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Action:
    """What a kind of approval does. Each function runs inside the transaction of the decision."""

    current: Callable[[Approval], Change | None]
    """Lock what the change is about and work the change out afresh; None where it is no longer possible."""
    carry_out: Callable[[Approval, str], dict[str, Any]]
    """Do it, for (approval, actor), and return what came of it. Raises Refused; then the approval stays pending."""
    leave: Callable[[Approval], None]
    """Give the subject back: the approval was refused, withdrawn, or has become expired or outdated."""


def canonical(change: Mapping[str, Any]) -> str:
    """Return the one text of a change: sorted keys, no blanks, decimals as plain text. Raises TypeError for a float."""
    return signing.canonical(_plain(change)).decode()


def digest(change: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical text of a change."""
    return signing.digest(_plain(change))


def request(
    *,
    action: str,
    subject: str,
    change: Mapping[str, Any],
    summary: str,
    actor: str,
    person: str,
    reason: str,
    account: Account | None = None,
    amount_usd: Decimal | None = None,
    ttl: timedelta | None = None,
) -> Approval:
    """Ask for a second person's word on exactly this change; it runs out after `ttl` (settings, default 24 h).

    `person` is who stands behind the actor, whatever token; it is never the one who decides. Raises Refused when no reason
    is given, or while a request for the same action and subject is pending.
    """
    if not reason.strip():
        raise Refused("a reason is required, so that the second person can judge the change", "REASON_REQUIRED")
    if not person:
        raise Refused("nobody is known behind this request, so nobody could be told apart from them", "NO_PERSON")
    text, now = canonical(change), clock.now()
    row = Approval(
        action=action, subject=subject[:200], account=account, summary=summary[:300], change=json.loads(text),
        change_hash=digest(change), reason=reason.strip()[:500], requested_by=actor[:150],
        requested_by_person=person[:150], requested_at=now, expires_at=now + (ttl or _ttl()),
        amount_usd=None if amount_usd is None else amount_usd.quantize(Decimal("0.01")),
    )  # fmt: skip
    with feed.transaction():
        try:
            with atomic():
                row.save(force_insert=True)
        except IntegrityError:
            raise Refused("the same is requested already and waits for a second person", "PENDING") from None
        _record(
            row, actor, "request", {"summary": row.summary, "reason": row.reason, "expires_at": str(row.expires_at)}
        )
    return row


@feed.retried
def approve(approval: Approval, caller: access.Caller, change_hash: str, action: Action, reason: str = "") -> Approval:
    """Carry the change out as its second person, in one transaction with the decision.

    Raises Refused, and nothing of the change is done: for the requesting person, without the role, for another hash than the
    one on record, when it is decided already, has run out, or is about something that has changed since.
    """
    refusal: Refused | None = None
    with feed.transaction():
        row = _pending(approval)
        refusal = _barred(row, caller, change_hash, "approve")
        if refusal is None and row.expires_at <= clock.now():
            refusal = _ran_out(row, action)
        if refusal is None and not _is_current(row, action):
            refusal = _has_changed(row, action)
        if refusal is None:
            row.result = json.loads(canonical(action.carry_out(row, caller.actor)))
            _settle(row, Status.APPROVED, caller.actor, reason)
    if refusal is not None:
        raise refusal
    failpoints.reach("P13")
    return row


@feed.retried
def refuse(approval: Approval, caller: access.Caller, change_hash: str, action: Action, reason: str) -> Approval:
    """Refuse the change as its second person. Raises Refused under the rules of `approve`, and without a reason."""
    if not reason.strip():
        raise Refused("a refusal needs a reason: whoever requested it has to know why", "REASON_REQUIRED")
    with feed.transaction():
        row = _pending(approval)
        refusal = _barred(row, caller, change_hash, "refuse")
        if refusal is None:
            _settle(row, Status.REFUSED, caller.actor, reason, action)
    if refusal is not None:
        raise refusal
    failpoints.reach("P13")
    return row


@feed.retried
def withdraw(approval: Approval, caller: access.Caller, action: Action, reason: str) -> Approval:
    """Take a request back, as the person who made it. Raises Refused for anybody else and once it is decided."""
    with feed.transaction():
        row = _pending(approval)
        if caller.person != row.requested_by_person:
            raise Refused(
                f"only {row.requested_by_person}, who requested it, may withdraw it; refuse it instead", "NOT_YOURS"
            )
        _settle(row, Status.WITHDRAWN, caller.actor, reason, action)
    return row


def expire(actions: Mapping[str, Action]) -> int:
    """Settle the pending approvals that have run out or are about something that has changed; return how many."""
    pending = Approval.objects.filter(status=Status.PENDING, action__in=list(actions)).order_by("requested_at", "id")
    return sum(_expire_one(key, actions) for key in pending.values_list("id", flat=True)[:SETTLED_AT_ONCE_MAX])


@feed.retried
def _expire_one(key: uuid.UUID, actions: Mapping[str, Action]) -> bool:
    with feed.transaction():
        row = (
            Approval.objects.select_for_update(no_key=True, skip_locked=True)
            .filter(id=key, status=Status.PENDING)
            .first()
        )
        if row is None:
            return False  # somebody is deciding it right now
        action = actions[row.action]
        if row.expires_at <= clock.now():
            _ran_out(row, action)
        elif not _is_current(row, action):
            _has_changed(row, action)
    return row.status != Status.PENDING


def _pending(approval: Approval) -> Approval:
    row = Approval.objects.select_for_update(no_key=True).get(id=approval.id)
    if row.status != Status.PENDING:
        by = f" by {row.decided_by}" if row.decided_by else ""
        at = f" at {row.decided_at:%Y-%m-%d %H:%M:%S} UTC" if row.decided_at else ""
        raise Refused(f"it is {row.status} already{by}{at}; nothing is done twice", "DECIDED")
    return row


def _barred(row: Approval, caller: access.Caller, change_hash: str, wanted: str) -> Refused | None:
    """Return why this person may not decide this, and put the attempt on record; it commits while nothing else does."""
    if caller.person == row.requested_by_person:
        refusal = Refused(
            f"{caller.person} requested it; somebody else has to decide, by whatever token or session", "SAME_PERSON"
        )
    elif caller.is_read_only or not caller.roles & ROLES:
        refusal = Refused("deciding needs the role approver or admin", "FORBIDDEN")
    elif change_hash != row.change_hash:
        refusal = Refused(
            "the hash given is not that of this change: it was read from another page, or altered; read it afresh",
            "HASH_DIFFERS",
        )
    else:
        return None
    _record(row, caller.actor, "attempt", {"wanted": wanted, "person": caller.person, "refused": refusal.code})
    return refusal


def _is_current(row: Approval, action: Action) -> bool:
    fresh = action.current(row)
    return fresh is not None and digest(fresh) == row.change_hash == digest(row.change)


def _ran_out(row: Approval, action: Action) -> Refused:
    _settle(row, Status.EXPIRED, RULE, "nobody decided in time", action)
    return Refused(f"it ran out at {row.expires_at:%Y-%m-%d %H:%M:%S} UTC; request it again", "EXPIRED")


def _has_changed(row: Approval, action: Action) -> Refused:
    _settle(row, Status.OUTDATED, RULE, "what it was about has changed since it was requested", action)
    return Refused(
        "what it was about has changed since it was requested, so nothing was done; look again and request it anew",
        "OUTDATED",
    )


def _settle(row: Approval, status: Approval.Status, actor: str, reason: str, undone: Action | None = None) -> None:
    row.status, row.decided_by, row.decided_at = status, actor[:150], clock.now()
    row.decision_reason = reason.strip()[:500]
    row.save(update_fields=["status", "decided_by", "decided_at", "decision_reason", "result"])
    if undone is not None:
        undone.leave(row)  # before the audit: everybody locks rows first and the chain last
    detail = {"reason": row.decision_reason, "requested_by": row.requested_by, "result": row.result}
    _record(row, actor, str(status), detail)


def _record(row: Approval, actor: str, what: str, detail: dict[str, Any]) -> None:
    about = {"action": row.action, "subject": row.subject, "account": row.account_id, "change_hash": row.change_hash}
    audit.record(actor, f"approval.{what}", row.id, {**about, **detail})
    data = {"action": row.action, "subject": row.subject, "status": row.status}
    feed.announce("approvals", f"approval.{what}", row.id, account=row.account_id or "", data=data)


def _ttl() -> timedelta:
    return timedelta(hours=settings.APPROVAL_HOURS)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        raise TypeError("money is never a float")
    if isinstance(value, Decimal):
        return decimals.write(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID) else value
