"""A person's decision about a break: assign, note, explain, adjust, reopen; each with its entry in history and audit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from orders import ledger, queries, store
from orders.models import DeadLetter, Order
from orders.states import Status as OrderStatus
from project.lib import audit, clock, decimals, failpoints, feed
from reconciliation import breaks
from reconciliation.models import Break

Status = Break.Status


class Refused(Exception):
    """The decision was not carried out; the text says why and what to do, for a person."""


def assign(difference: Break, actor: str, owner: str) -> Break:
    """Give an unresolved break to a person. Raises Refused."""
    with _decision(difference, actor, "assigned", {"owner": owner}) as row:
        row.owner = owner
        if row.status == Status.OPEN:
            row.status = Status.INVESTIGATING
    return row


def note(difference: Break, actor: str, text: str) -> Break:
    """Add a remark to the history of a break. Raises Refused when it is resolved or the text is empty."""
    with _decision(difference, actor, "noted", {"text": _required(text, "a note")}) as row:
        pass
    return row


def explain(difference: Break, actor: str, reason: str) -> Break:
    """Resolve a break by a reason; our books stay as they are. The same difference is then known and stays quiet.

    Raises Refused when it is resolved or the reason is empty.
    """
    with _decision(difference, actor, "explained", {"reason": _required(reason, "a reason")}) as row:
        _resolve(row, actor, "explained", reason)
    return row


def preview(difference: Break) -> dict[str, Any]:
    """Show what `adjust` would post, and what stands in its way (`refusal`, empty when nothing does)."""
    amount = difference.delta or decimals.ZERO
    total = queries.total(difference.account_id, difference.asset)
    return {
        "asset": difference.asset,
        "amount": decimals.write(amount),
        "total_before": decimals.write(total),
        "total_after": decimals.write(total + amount),
        "refusal": _obstacle(difference),
    }


def adjust(difference: Break, actor: str, reason: str) -> Break:
    """Resolve a balance break by a counter-entry of its delta; nothing is deleted, nothing is traded.

    Raises Refused for any other kind, while it is only suspected, and while orders of the account are unproven.
    """
    detail: dict[str, Any] = {"reason": _required(reason, "a reason")}
    with _decision(difference, actor, "adjusted", detail) as row:
        if obstacle := _obstacle(row):
            raise Refused(obstacle)
        amount = row.delta or decimals.ZERO
        with store.transaction() as books:
            entry = ledger.post_adjustment(
                books, row.account_id, row.asset, amount, actor=actor, memo=reason, reference=f"break {row.id}"
            )
        detail |= {"entry": str(entry), "asset": row.asset, "amount": decimals.write(amount)}
        _resolve(row, actor, "adjusted", reason)
    return row


def reopen(difference: Break, actor: str, reason: str) -> Break:
    """Take a resolution back; a counter-entry stays posted. Raises Refused."""
    with feed.transaction():
        row = Break.objects.select_for_update().get(id=difference.id)
        if row.status != Status.RESOLVED:
            raise Refused(f"the break is not resolved, it is {row.status}")
        twin = Break.objects.filter(account=row.account_id, fingerprint=row.fingerprint).exclude(status=Status.RESOLVED)
        if other := twin.first():
            raise Refused(
                f"the same difference was seen again and is already there as break {other.id}; go on with that one"
            )
        detail = {"reason": _required(reason, "a reason"), "resolution": row.resolution}
        row.status = Status.INVESTIGATING if row.owner else Status.OPEN
        row.opened_at = row.opened_at or clock.now()
        row.resolved_at, row.resolved_by, row.resolution, row.resolution_reason = None, "", "", ""
        _write(row, actor, "reopened", detail)
    failpoints.reach("P13")
    return row


@contextmanager
def _decision(difference: Break, actor: str, kind: str, detail: dict[str, Any]) -> Iterator[Break]:
    with feed.transaction():
        row = Break.objects.select_for_update(of=("self",)).select_related("account").get(id=difference.id)
        if row.status == Status.RESOLVED:
            at = f" at {row.resolved_at:%Y-%m-%d %H:%M:%S} UTC" if row.resolved_at else ""
            raise Refused(f"the break was already resolved by {row.resolved_by or 'a rule'}{at} ({row.resolution})")
        yield row
        _write(row, actor, kind, detail)
    failpoints.reach("P13")


def _write(row: Break, actor: str, kind: str, detail: dict[str, Any]) -> None:
    row.save()
    breaks.event(row, kind, actor, detail).save()
    audit.record(actor, f"break.{kind}", row.id, {"account": row.account_id, "subject": row.subject, **detail})


def _resolve(row: Break, actor: str, resolution: str, reason: str) -> None:
    row.status, row.resolved_at, row.resolved_by = Status.RESOLVED, clock.now(), actor
    row.resolution, row.resolution_reason = resolution, reason.strip()[:500]


def _obstacle(row: Break) -> str:
    if row.kind != Break.Kind.BALANCE:
        return f"only a balance can be adjusted by a counter-entry, and this is {row.kind}; explain it instead"
    if row.status == Status.SUSPECTED:
        return "one read alone has shown this difference; wait for the second, or ask for a run"
    if not row.delta:
        return "there is no amount to post"
    unproven = Order.objects.filter(
        account=row.account_id, status__in=[OrderStatus.SENDING, OrderStatus.UNKNOWN]
    ).count()
    letters = DeadLetter.objects.filter(account=row.account_id, status=DeadLetter.Status.OPEN).count()
    if unproven or letters:
        return (
            f"the account has {unproven} orders without a proven outcome and {letters} open dead letters; "
            "settle them first, for any of them may be the difference"
        )
    return ""


def _required(text: str, what: str) -> str:
    if not text.strip():
        raise Refused(f"{what} is required, so that whoever reads this later understands it")
    return text.strip()
