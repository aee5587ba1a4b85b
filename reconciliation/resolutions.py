"""A person's decision about a break: who looks after it, whom we wait for, how it ends; each on record, none on an old page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from project.lib import audit, clock, decimals, failpoints, feed
from reconciliation import breaks, workflow
from reconciliation.models import Break, BreakEvent, BreakLine

Status = Break.Status
SNOOZE_MAX = timedelta(days=30)
TEXT_MAX = 500
HISTORY_LOOKED_AT = 50
WOKEN_AT_ONCE = 500


class Refused(Exception):
    """The decision was not carried out; the text says why and what to do, for a person."""


class Stale(Refused):
    """The page the person decided on was older than the break; the text names who changed what since."""


@feed.retried
def assign(difference: Break, actor: str, owner: str, *, team: str | None = None, version: int | None = None) -> Break:
    """Give an unresolved break to a person ("" for nobody), to a team, or both; None leaves the team. Raises Refused."""
    detail = {"owner": owner, "previous": ""}
    if team is not None:
        detail["team"] = team
    with decision(difference, actor, "assigned", detail, action="assign", version=version) as row:
        detail["previous"] = row.owner
        row.owner, row.team = owner, row.team if team is None else team
        if row.owner or row.team:
            row.status = workflow.moved(row.status, workflow.after_assignment(row.status))
    return row


@feed.retried
def pass_back(difference: Break, actor: str, *, version: int | None = None) -> Break:
    """Give a break to whom it belonged before its owner. Raises Refused when it belonged to nobody else."""
    detail: dict[str, Any] = {}
    with decision(difference, actor, "passed_back", detail, action="assign", version=version) as row:
        before = previous_owner(row)
        if not before:
            raise Refused("it has belonged to nobody else before; assign it by name")
        detail |= {"owner": before, "previous": row.owner}
        row.owner = before
        row.status = workflow.moved(row.status, workflow.after_assignment(row.status))
    return row


def previous_owner(row: Break) -> str:
    """Return whom a break belonged to before its owner, or nothing."""
    given = row.events.filter(kind__in=["assigned", "passed_back"]).order_by("-id")
    for detail in given.values_list("detail", flat=True)[:HISTORY_LOOKED_AT]:
        for name in (detail.get("owner"), detail.get("previous")):
            if name and name != row.owner:
                return str(name)
    return ""


def asked_last(row: Break) -> str:
    """Return what the venue was asked last about a break, or nothing."""
    detail = row.events.filter(kind="waiting").order_by("-id").values_list("detail", flat=True).first()
    return str(detail["asked"]) if detail else ""


@feed.retried
def note(difference: Break, actor: str, text: str, *, version: int | None = None) -> Break:
    """Add a remark to the history of a break. Raises Refused when it is resolved or the text is empty."""
    detail = {"text": required(text, "a note")}
    with decision(difference, actor, "noted", detail, action="note", version=version) as row:
        pass
    return row


@feed.retried
def wait_for_venue(difference: Break, actor: str, asked: str, *, version: int | None = None) -> Break:
    """Write down what the venue was asked, and wait for it. Raises Refused."""
    detail = {"asked": required(asked, "what the venue was asked")}
    with decision(difference, actor, "waiting", detail, action="wait", version=version) as row:
        row.status = workflow.moved(row.status, Status.WAITING_FOR_VENUE)
    return row


@feed.retried
def resume(difference: Break, actor: str, text: str = "", *, version: int | None = None) -> Break:
    """Take a break that waited for the venue back to investigating, with what it answered. Raises Refused."""
    detail = {"text": text.strip()[:TEXT_MAX]}
    with decision(difference, actor, "resumed", detail, action="resume", version=version) as row:
        row.status = workflow.moved(row.status, Status.INVESTIGATING)
    return row


@feed.retried
def snooze(difference: Break, actor: str, until: datetime, reason: str = "", *, version: int | None = None) -> Break:
    """Take a break out of sight until a time; it comes back then, and at once when its value changes. Raises Refused."""
    now = clock.now()
    if not now < until <= now + SNOOZE_MAX:
        raise Refused(f"a break may be snoozed until a time within the next {SNOOZE_MAX.days} days")
    detail = {"until": until.isoformat(timespec="seconds"), "reason": reason.strip()[:TEXT_MAX]}
    with decision(difference, actor, "snoozed", detail, action="snooze", version=version) as row:
        row.snoozed_until = until
    return row


@feed.retried
def wake(difference: Break, actor: str, *, version: int | None = None) -> Break:
    """Bring a snoozed break back now. Raises Refused when it is not snoozed."""
    with decision(difference, actor, "woken", {}, action="snooze", version=version) as row:
        if row.snoozed_until is None:
            raise Refused("it is not snoozed")
        row.snoozed_until = None
    return row


def wake_due() -> int:
    """Bring back every break whose time has come, and return how many. Lists show them by the clock in any case."""
    due = Break.objects.filter(snoozed_until__lte=clock.now()).exclude(status=Status.RESOLVED)
    if not due.exists():
        return 0
    with feed.transaction():
        rows = list(due.select_for_update(no_key=True, skip_locked=True).order_by("id")[:WOKEN_AT_ONCE])
        woken = []
        for row in rows:
            detail = {"until": row.snoozed_until.isoformat(timespec="seconds") if row.snoozed_until else ""}
            row.snoozed_until = None
            woken.append(breaks.event(row, "woken", "reconciliation", detail))
        Break.objects.bulk_update(rows, ["snoozed_until"])
        BreakEvent.objects.bulk_create(woken)
    return len(rows)


@feed.retried
def set_cause(difference: Break, actor: str, cause: str, *, version: int | None = None) -> Break:
    """Say why a break came about, out of the fixed list ("" takes it back). Raises Refused."""
    detail = {"cause": known_cause(cause), "previous": ""}
    with decision(difference, actor, "cause_set", detail, action="cause", version=version) as row:
        detail["previous"], row.cause = row.cause, cause
    return row


@feed.retried
def explain(difference: Break, actor: str, reason: str, *, cause: str = "", version: int | None = None) -> Break:
    """Resolve a break by a reason; our books stay as they are. The same difference is then known and stays quiet.

    What the lines leave unexplained is recorded. Raises Refused when it is resolved or the reason is empty.
    """
    detail: dict[str, Any] = {"reason": required(reason, "a reason")}
    with decision(difference, actor, "explained", detail, action="explain", version=version) as row:
        _note_remaining(row, detail)
        _end(row, actor, "explained", reason, cause, detail)
    return row


@feed.retried
def mark_fixed(difference: Break, actor: str, reason: str, *, cause: str = "", version: int | None = None) -> Break:
    """Resolve a break because the venue has put it right. Where it has not, the next read makes a new break of it.

    Raises Refused.
    """
    detail: dict[str, Any] = {"reason": required(reason, "what the venue did")}
    with decision(difference, actor, "venue_fixed", detail, action="fix", version=version) as row:
        _note_remaining(row, detail)
        _end(row, actor, "venue_fixed", reason, cause, detail)
    return row


@feed.retried
def reopen(difference: Break, actor: str, reason: str, *, version: int | None = None) -> Break:
    """Take a resolution back; a counter-entry stays posted. Raises Refused."""
    detail: dict[str, Any] = {}
    with decision(difference, actor, "reopened", detail, action="reopen", version=version) as row:
        twin = Break.objects.filter(account=row.account_id, fingerprint=row.fingerprint).exclude(status=Status.RESOLVED)
        if other := twin.first():
            raise Refused(
                f"the same difference was seen again and is already there as break {other.id}; go on with that one"
            )
        detail |= {"reason": required(reason, "a reason"), "resolution": row.resolution}
        take_up_again(row, Status.INVESTIGATING if row.owner else Status.OPEN)
    return row


@contextmanager
def decision(
    difference: Break, actor: str, kind: str, detail: dict[str, Any], *, action: str, version: int | None = None
) -> Iterator[Break]:
    """The one way in: lock the break, refuse an old page and an action its status does not allow, then put it on record.

    `version` is the one of the page the person saw; None where there was no page. Raises Stale and Refused.
    """
    with feed.transaction():
        row = Break.objects.select_for_update(no_key=True, of=("self",)).select_related("account").get(id=difference.id)
        check_version(row, version)
        if action != "reopen":
            check_unresolved(row)
        if why := workflow.refusal(action, row.status):
            raise Refused(why)
        yield row
        record(row, actor, kind, detail)
    failpoints.reach("P13")


def check_unresolved(row: Break) -> None:
    """Refuse a decision on a break that has ended. Raises Refused naming who ended it, when and how."""
    if row.status == Status.RESOLVED:
        at = f" at {row.resolved_at:%Y-%m-%d %H:%M:%S} UTC" if row.resolved_at else ""
        raise Refused(f"the break was already resolved by {row.resolved_by or 'a rule'}{at} ({row.resolution})")


def take_up_again(row: Break, status: str) -> None:
    """Give a resolved break back to its people, due anew from now. The caller saves it."""
    row.status, row.opened_at = workflow.moved(row.status, status), row.opened_at or clock.now()
    row.resolved_at, row.resolved_by, row.resolution, row.resolution_reason = None, "", "", ""
    row.due_at = workflow.due_at(row.severity, clock.now(), settings.RECONCILIATION_SLA_MINUTES)


def check_version(row: Break, version: int | None) -> None:
    """Refuse a decision taken on an older page. Raises Stale naming who changed what since."""
    if version is None or version == row.version:
        return
    newest = row.events.order_by("-id")[:HISTORY_LOOKED_AT]
    since = [each for each in newest if int(each.detail.get("version") or 0) > version]
    told = [f"{each.actor} {_verb(each.kind)} it at {each.at:%H:%M:%S} UTC" for each in reversed(since[:5])]
    what = ", ".join(told) if told else f"it is at version {row.version}, the page at {version}"
    raise Stale(f"the break has changed since you looked: {what}; look at it again, then decide")


def record(row: Break, actor: str, kind: str, detail: dict[str, Any]) -> None:
    """Save a break that a person changed, with the entries in its history and in the audit log. In the transaction."""
    row.version += 1
    row.save()
    told = {"account": row.account_id, "subject": row.subject, **detail}
    entry = audit.record(actor, f"break.{kind}", row.id, told)
    breaks.event(row, kind, actor, {**detail, "version": row.version, "audit": entry.sequence}).save()


def required(text: str, what: str) -> str:
    """Return a text without blanks around it. Raises Refused when there is none."""
    if not text.strip():
        raise Refused(f"{what} is required, so that whoever reads this later understands it")
    return text.strip()[:TEXT_MAX]


def known_cause(cause: str) -> str:
    """Return a cause of the fixed list, or none. Raises Refused for any other."""
    if cause and cause not in workflow.CAUSES:
        raise Refused(f"there is no cause {cause[:40]!r}; there are {', '.join(workflow.CAUSES)}")
    return cause


def _end(row: Break, actor: str, resolution: str, reason: str, cause: str, detail: dict[str, Any]) -> None:
    if known_cause(cause):
        row.cause = detail["cause"] = cause
    row.status, row.resolved_at, row.resolved_by = workflow.moved(row.status, Status.RESOLVED), clock.now(), actor
    row.resolution, row.resolution_reason = resolution, reason.strip()[:TEXT_MAX]
    row.snoozed_until = None


def _note_remaining(row: Break, detail: dict[str, Any]) -> None:
    if row.delta is None:
        return
    amounts = BreakLine.objects.filter(discrepancy=row).values_list("amount", flat=True)
    detail["lines"] = len(amounts)
    detail["remaining"] = decimals.write(row.delta - sum(amounts, decimals.ZERO))


def _verb(kind: str) -> str:
    return {"cause_set": "set the cause of", "venue_fixed": "closed", "line_added": "added lines to"}.get(
        kind, kind.replace("_", " ")
    )
