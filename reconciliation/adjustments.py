"""A break closed by counter-entries, and their reversal; above a threshold a second person's word carries them out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from orders import ledger, store
from orders.models import Posting
from project.lib import clock, decimals, failpoints, feed
from reconciliation import counter_entries, workflow
from reconciliation.counter_entries import Entry
from reconciliation.models import Break
from reconciliation.resolutions import Refused, check_unresolved, check_version, record, required, take_up_again
from risk import approvals
from risk.models import Approval

ADJUST, REVERSE = "break.adjust", "break.reverse"
BOOKS = counter_entries.BOOKS
Status = Break.Status


def preview(difference: Break, book: str = "adjustments", reason: str = "") -> dict[str, Any]:
    """Show everything `adjust` would do, and what stands in its way (`refusal`, empty when nothing does)."""
    known = book if book in counter_entries.BOOKS else "adjustments"
    entries = counter_entries.entries_of(difference, known, reason.strip())
    return {
        "book": known,
        **counter_entries.effect(difference, entries),
        "refusal": _awaited(difference) or counter_entries.obstacle(difference),
    }


def preview_reversal(difference: Break) -> dict[str, Any] | None:
    """Show everything `reverse` would do; None where no counter-entry of the break stands."""
    entries = _standing(difference, "")
    if not entries:
        return None
    refusal = _awaited(difference) or counter_entries.unsettled(difference.account)
    return {**counter_entries.effect(difference, entries), "refusal": refusal}


@feed.retried
def adjust(
    difference: Break,
    actor: str,
    reason: str,
    *,
    person: str,
    book: str = "adjustments",
    expected: str = "",
    version: int | None = None,
) -> Break:
    """Close a balance break by counter-entries of its delta, or ask a second person to; nothing is deleted or traded.

    One entry per line that explains it, the rest against `book`. Above APPROVAL_USD, or where the worth is not known, the
    break waits `awaiting_approval` and `row.approval` is the request. `expected` is the delta the person saw. Raises Refused
    for any other kind, while it is only suspected, while orders are unproven, and when the delta is not the one expected.
    """
    reason = required(reason, "a reason")
    if book not in counter_entries.BOOKS:
        raise Refused(
            f"there is no book {book[:40]!r} for counter-entries; there are {', '.join(counter_entries.BOOKS)}"
        )
    with feed.transaction():
        row = _locked(difference.id)
        check_version(row, version)
        check_unresolved(row)
        if obstacle := _awaited(row) or counter_entries.obstacle(row):
            raise Refused(obstacle)
        if expected and expected != decimals.write(row.delta):
            now = decimals.write(row.delta)
            raise Refused(f"the difference was {expected} when you looked and is {now} now; look again")
        entries = counter_entries.entries_of(row, book, reason)
        change = counter_entries.change_of(row, ADJUST, entries, book=book, delta=row.delta)
        if _asked(row, ADJUST, change, entries, actor, person, reason):
            row.status = workflow.moved(row.status, Status.AWAITING_APPROVAL)
            row.snoozed_until = None
            record(row, actor, "approval_requested", _detail(row, entries, reason, approval=str(row.approval_id)))
        else:
            _adjust(row, entries, actor, actor, reason)
    failpoints.reach("P13")
    return row


@feed.retried
def reverse(difference: Break, actor: str, reason: str, *, person: str, version: int | None = None) -> Break:
    """Take the newest standing counter-entries of a break back by entries against them, or ask a second person to.

    The difference is there again afterwards, so the break needs a person again. Raises Refused when none stands.
    """
    reason = required(reason, "a reason")
    with feed.transaction():
        row = _locked(difference.id)
        check_version(row, version)
        if obstacle := _awaited(row) or counter_entries.unsettled(row.account):
            raise Refused(obstacle)
        entries = _standing(row, reason)
        if not entries:
            raise Refused("no counter-entry of this break stands, so there is nothing to take back")
        change = counter_entries.change_of(row, REVERSE, entries)
        if _asked(row, REVERSE, change, entries, actor, person, reason):
            record(row, actor, "reversal_requested", _detail(row, entries, reason, approval=str(row.approval_id)))
        else:
            _reverse(row, entries, actor, actor, reason)
    failpoints.reach("P13")
    return row


def current(approval: Approval) -> approvals.Change | None:
    """Lock the break and work out what adjusting or reversing it would do now; None where it is not possible any more."""
    row = _locked(uuid.UUID(approval.subject))
    entries = _entries_now(row, approval)
    if not entries:
        return None
    if approval.action == REVERSE:
        return counter_entries.change_of(row, REVERSE, entries)
    return counter_entries.change_of(row, ADJUST, entries, book=approval.change["book"], delta=row.delta)


def carry_out(approval: Approval, actor: str) -> dict[str, Any]:
    """Post what was approved, in the decision's transaction. Raises approvals.Refused while the account is not settled."""
    row = _locked(uuid.UUID(approval.subject))
    entries = _entries_now(row, approval)
    obstacle = counter_entries.unsettled(row.account)
    if approval.action == ADJUST:
        obstacle = counter_entries.obstacle(row)
    if obstacle:
        raise approvals.Refused(f"{obstacle}; the request stays pending", "BLOCKED")
    do = _reverse if approval.action == REVERSE else _adjust
    posted = do(row, entries, actor, f"{approval.requested_by}, approved by {actor}", approval.reason)
    return {"entries": posted}


def effect(approval: Approval) -> dict[str, Any] | None:
    """Show what a pending approval would do as things stand now, and what stands in its way; None where it is outdated."""
    row = Break.objects.select_related("account").get(id=approval.subject)
    entries = _entries_now(row, approval)
    if not entries:
        return None
    is_reversal = approval.action == REVERSE
    refusal = counter_entries.unsettled(row.account) if is_reversal else counter_entries.obstacle(row)
    return {**counter_entries.effect(row, entries), "refusal": refusal}


def leave(approval: Approval) -> None:
    """Give the break back to its people: the request was refused, withdrawn, or has become expired or outdated."""
    row = _locked(uuid.UUID(approval.subject))
    if row.approval_id != approval.id:
        return
    if row.status == Status.AWAITING_APPROVAL:
        row.status = workflow.moved(row.status, Status.INVESTIGATING)
    detail = {"approval": str(approval.id), "reason": approval.decision_reason}
    record(row, approval.decided_by, f"approval_{approval.status}", detail)


def _entries_now(row: Break, approval: Approval) -> list[Entry]:
    if approval.action == REVERSE:
        return _standing(row, approval.reason)
    if row.status != Status.AWAITING_APPROVAL or row.approval_id != approval.id:
        return []
    return counter_entries.entries_of(row, approval.change["book"], approval.reason)


def _asked(
    row: Break,
    action: str,
    change: dict[str, Any],
    entries: Sequence[Entry],
    actor: str,
    person: str,
    reason: str,
) -> bool:
    worth = counter_entries.worth_of(row.asset, entries)
    if not worth.needs_approval:
        return False
    amount = decimals.write(sum((entry.amount for entry in entries), decimals.ZERO))
    verb = "Take back" if action == REVERSE else "Post"
    many = "one counter-entry" if len(entries) == 1 else f"{len(entries)} counter-entries"
    summary = f"{verb} {many} that move{'s' if len(entries) == 1 else ''} {row.account_id} by {amount} {row.asset}"
    try:
        row.approval = approvals.request(
            action=action, subject=str(row.id), change=change, summary=summary, actor=actor, person=person, reason=reason,
            account=row.account, amount_usd=worth.usd,
        )  # fmt: skip
    except approvals.Refused as refusal:
        raise Refused(str(refusal)) from None
    return True


def _adjust(row: Break, entries: Sequence[Entry], actor: str, names: str, reason: str) -> list[str]:
    posted = _post(row, entries, names)
    row.status, row.resolved_at, row.resolved_by = workflow.moved(row.status, Status.RESOLVED), clock.now(), actor
    row.resolution, row.resolution_reason, row.snoozed_until = "adjusted", reason[:500], None
    record(row, actor, "adjusted", _detail(row, entries, reason, entries=posted))
    return posted


def _reverse(row: Break, entries: Sequence[Entry], actor: str, names: str, reason: str) -> list[str]:
    posted = _post(row, entries, names)
    twin = Break.objects.filter(account=row.account_id, fingerprint=row.fingerprint).exclude(status=Status.RESOLVED)
    if row.status == Status.RESOLVED and not twin.exclude(id=row.id).exists():
        take_up_again(row, Status.INVESTIGATING)
    taken_back = [entry.reverses for entry in entries]
    record(row, actor, "reversed", _detail(row, entries, reason, entries=posted, reversed=taken_back))
    return posted


def _post(row: Break, entries: Sequence[Entry], names: str) -> list[str]:
    with store.transaction() as books:
        return [
            str(
                ledger.post_adjustment(
                    books, row.account_id, row.asset, entry.amount, actor=names, memo=entry.memo,
                    reference=f"{'reversal, ' if entry.reverses else ''}break {row.id}", counter_book=entry.book,
                )
            )
            for entry in entries
        ]  # fmt: skip


def _standing(row: Break, reason: str) -> list[Entry]:
    """Return the entries against the newest counter-entries of a break; none where they were taken back already."""
    last = row.events.filter(kind__in=["adjusted", "reversed"]).order_by("-id").first()
    if last is None or last.kind == "reversed":
        return []
    names = last.detail.get("entries") or [last.detail["entry"]]
    legs = Posting.objects.filter(entry__in=names, leg__in=(0, 1)).values_list("entry", "leg", "book", "amount")
    found = {(str(entry), leg): (book, amount) for entry, leg, book, amount in legs}
    return [
        Entry(
            amount=-found[name, 0][1],
            book=found[name, 1][0],
            memo=f"takes back {name}{f': {reason}' if reason else ''}"[:300],
            reverses=name,
        )
        for name in names
    ]


def _locked(key: uuid.UUID) -> Break:
    return Break.objects.select_for_update(no_key=True, of=("self",)).select_related("account").get(id=key)


def _awaited(row: Break) -> str:
    pending = row.approval
    if pending is None or pending.status != Approval.Status.PENDING:
        return ""
    return f"a request of {pending.requested_by} waits for a second person; let it be decided, or withdraw it first"


def _detail(row: Break, moved: Sequence[Entry], reason: str, **more: Any) -> dict[str, Any]:
    amount: Decimal = sum((entry.amount for entry in moved), decimals.ZERO)
    return {"reason": reason, "asset": row.asset, "amount": decimals.write(amount), **more}
