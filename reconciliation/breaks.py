"""Breaks as rows: suspected at the first sight, open at the second, resolved when the books agree again."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Q

from project.lib import clock, decimals, feed
from reconciliation import facts, rules, streams, workflow
from reconciliation.compare import fingerprint
from reconciliation.models import Break, BreakEvent
from reconciliation.rules import Judgement
from venues.models import Account, Snapshot, Surface

QUIET = timedelta(seconds=2)
RULE = "rule:agrees-again"
Kind, Status = Break.Kind, Break.Status
KINDS: dict[str, tuple[Break.Kind, ...]] = {
    Surface.OPEN_ORDERS: (Kind.ORDER_MISSING_AT_VENUE, Kind.ORDER_STATUS, Kind.EXTERNAL_ORDER),
    Surface.FILLS: (
        Kind.FILL_MISSING_HERE, Kind.FILL_MISSING_AT_VENUE, Kind.FILL_DIFFERS, Kind.FEE_DIFFERS, Kind.WRONG_SIDE,
    ),
    Surface.BALANCES: (Kind.BALANCE, Kind.BALANCE_FROZEN),
    Surface.POSITIONS: (Kind.POSITION,),
    Surface.TRANSFERS: (
        Kind.TRANSFER, Kind.TRANSFER_MISSING_AT_VENUE, Kind.TRANSFER_DIFFERS, Kind.TRANSFER_DUPLICATED,
    ),
}  # fmt: skip
# A trade never changes: its name is enough, whoever noted the difference first.
NAMED = (Kind.FILL_DIFFERS, Kind.FEE_DIFFERS, Kind.WRONG_SIDE)
# Totals and positions move with every trade; what a person explained or two reads confirm is the distance between them.
DISTANCES = (Kind.BALANCE, Kind.BALANCE_FROZEN, Kind.STREAM_DIFFERS, Kind.POSITION)
TOLERATED_TOLD_MAX = 50
# A movement of money never changes: once somebody has settled such a break, however, it does not come again.
MOVED_ONCE = (Kind.TRANSFER, Kind.TRANSFER_DUPLICATED)
# A trade that is not booked ends with its booking; about these a statement stands against any later read.
BY_STATEMENT = (Kind.FILL_MISSING_AT_VENUE, Kind.FILL_DIFFERS, Kind.FEE_DIFFERS, Kind.WRONG_SIDE)
_SEEN_FIELDS = [
    "status", "ours", "theirs", "stream", "delta", "snapshot", "evidence", "seen_count", "last_seen_at", "opened_at",
    "resolved_at", "resolved_by", "resolution", "resolution_reason", "severity", "severity_usd", "rule", "tolerance",
    "due_at", "snoozed_until", "version",
]  # fmt: skip


@dataclass(frozen=True)
class Told:
    """A venue's statement where a comparison otherwise stands on a read: it proves at once, and is kept beside the reads."""

    id: str
    account: Account

    @property
    def account_id(self) -> str:
        """The code of the account."""
        return str(self.account.pk)


@dataclass
class Folded:
    """What one comparison did to the breaks of its surface; `standing` are those it leaves unresolved.

    `tolerated` counts, per rule and version, the differences that stand and are no break, `tolerated_rows` tells them.
    """

    suspected: int = 0
    opened: int = 0
    resolved: int = 0
    explained: int = 0
    standing: list[str] = field(default_factory=list)
    closed_open: int = 0
    tolerated: Counter[str] = field(default_factory=Counter)
    tolerated_rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_news(self) -> bool:
        """Whether a break was opened or an open one closed."""
        return bool(self.opened or self.closed_open)

    def tolerate(self, difference: facts.Difference, judgement: Judgement) -> None:
        """Count a difference that a rule lets pass."""
        name = judgement.rule.name if judgement.rule else ""
        self.tolerated[name] += 1
        if len(self.tolerated_rows) < TOLERATED_TOLD_MAX:
            self.tolerated_rows.append({
                "kind": difference.kind, "subject": difference.subject[:200], "delta": facts.text(difference.delta),
                "usd": facts.text(judgement.verdict.usd), "rule": name,
            })  # fmt: skip


def unresolved(account_code: str, surface: str) -> list[Break]:
    """Return and lock the unresolved breaks that comparisons of a surface may change."""
    mine = Q(kind__in=KINDS[surface]) | Q(kind=Kind.UNMAPPED, subject__endswith=facts.unmapped_subject("", surface))
    if surface == Surface.BALANCES:
        mine |= Q(kind=Kind.STREAM_DIFFERS, subject__endswith=facts.stream_subject(""))
    rows = Break.objects.select_for_update(no_key=True).filter(mine, account_id=account_code)
    return list(rows.exclude(status=Status.RESOLVED).order_by("id"))


def fold(
    comparison: facts.Comparison, snapshot: Snapshot | Told, existing: list[Break], *, run_id: uuid.UUID
) -> Folded:
    """Write a comparison into the breaks of its surface. Call inside feed.transaction(), with `existing` locked.

    What a statement tells is a fact of the past: its differences are certain, and it ends nothing by itself.
    """
    account, now = snapshot.account_id, clock.now()
    found = {fingerprint(account, d.kind, d.subject, d.asset): d for d in comparison.differences}
    known = {row.fingerprint: row for row in existing}
    judged, said = rules.judge_all(snapshot.account, found), streams.told(account, found)
    found = {name: replace(each, stream=said[name]) if name in said else each for name, each in found.items()}
    news = {name: found[name] for name in found.keys() - known.keys()}
    explained, passed = _settled_before(account, news, judged)
    passed |= {name for name in news if judged[name].is_tolerated}
    folded, events = Folded(explained=len(explained - passed)), list[BreakEvent]()
    fresh = [
        _suspect(account, name, difference, judged[name], snapshot, now)
        for name, difference in found.items()
        if name in news and name not in explained and name not in passed
    ]
    count_recurrence(account, fresh)
    Break.objects.bulk_create(fresh)
    for row in fresh:
        is_open = row.status == Status.OPEN
        folded.suspected += not is_open
        folded.opened += is_open
        detail = {**_named(snapshot, run_id), "delta": facts.text(row.delta)}
        events.append(event(row, "opened" if is_open else "suspected", "reconciliation", detail))
    for name in sorted(passed):
        folded.tolerate(found[name], judged[name])
    for name, row in known.items():
        if name in found:
            events += _see_again(row, found[name], judged[name], snapshot, run_id, now, folded)
        elif isinstance(snapshot, Snapshot) and _is_over(row, snapshot, comparison):
            events.append(_resolve(row, snapshot, run_id, now, folded))
    Break.objects.bulk_update(existing, _SEEN_FIELDS)
    BreakEvent.objects.bulk_create(events)
    folded.standing = [row.subject for row in [*fresh, *existing] if row.status != Status.RESOLVED]
    return folded


def event(row: Break, kind: str, actor: str, detail: dict[str, Any] | None = None) -> BreakEvent:
    """Make the entry of a break's history and announce it; the caller saves it."""
    data = {"kind": row.kind, "subject": row.subject[:80], "status": row.status}
    feed.announce("breaks", f"break.{kind}", row.id, account=row.account_id, data=data)
    return BreakEvent(discrepancy=row, kind=kind, actor=actor, detail=detail or {})


def due_at(row: Break) -> datetime | None:
    """Return when somebody must have decided about a break, by its severity, since it was first seen."""
    return workflow.due_at(row.severity, row.first_seen_at, settings.RECONCILIATION_SLA_MINUTES)


def _suspect(
    account: str,
    name: str,
    difference: facts.Difference,
    judgement: Judgement,
    snapshot: Snapshot | Told,
    now: datetime,
) -> Break:
    row = Break(
        account_id=account, kind=difference.kind, subject=difference.subject[:200], fingerprint=name,
        asset=difference.asset, ours=difference.ours[:200], theirs=difference.theirs[:200], stream=difference.stream[:200],
        delta=difference.delta, order_id=difference.order_id, fill_id=difference.fill_id, transfer_id=difference.transfer_id,
        snapshot=snapshot if isinstance(snapshot, Snapshot) else None, status=Status.OPEN if difference.is_certain else Status.SUSPECTED,
        opened_at=now if difference.is_certain else None, first_seen_at=now, last_seen_at=now,
        economic_at=difference.economic_at or _economic_at(difference.evidence),
        evidence={**difference.evidence, "reads": _reads([], snapshot)},
    )  # fmt: skip
    _judge(row, judgement, is_changed=True)
    return row


def _see_again(
    row: Break, difference: facts.Difference, judgement: Judgement, snapshot: Snapshot | Told, run_id: uuid.UUID, now: datetime,
    folded: Folded,
) -> Iterable[BreakEvent]:  # fmt: skip
    is_same = _value(row) == _value(difference)
    reads = _reads(row.evidence.get("reads", []) if is_same else [], snapshot)
    row.ours, row.theirs, row.delta = difference.ours[:200], difference.theirs[:200], difference.delta
    row.stream = difference.stream[:200]
    row.evidence = {**row.evidence, **difference.evidence, "reads": reads}
    row.snapshot, row.last_seen_at = snapshot if isinstance(snapshot, Snapshot) else row.snapshot, now
    row.seen_count = row.seen_count + 1 if is_same else 1
    _judge(row, judgement, is_changed=not is_same)
    if row.status == Status.SUSPECTED and judgement.is_tolerated:
        folded.tolerate(difference, judgement)
        yield _close(row, judgement, snapshot, run_id, now, folded)
        return
    if not is_same:
        # Whoever decides has to have seen this value: older pages are refused, and nobody sleeps through it.
        row.version, is_woken, row.snoozed_until = row.version + 1, row.snoozed_until is not None, None
        detail = {"ours": row.ours, "theirs": row.theirs, "delta": facts.text(row.delta), **_named(snapshot)}
        detail |= {"version": row.version, **({"woken": True} if is_woken else {})}
        yield event(row, "changed", "reconciliation", detail)
    is_proved = difference.is_certain or (is_same and _are_apart(reads) and not judgement.is_young(row.first_seen_at))
    if row.status == Status.SUSPECTED and is_proved:
        row.status, row.opened_at = workflow.moved(row.status, Status.OPEN), now
        folded.opened += 1
        yield event(row, "opened", "reconciliation", {"reads": reads, **_named(snapshot)})
    # Once a person looks after it, no rule takes it away from them.
    if row.status == Status.OPEN and not row.owner and judgement.is_closed:
        folded.tolerate(difference, judgement)
        yield _close(row, judgement, snapshot, run_id, now, folded)


def _judge(row: Break, judgement: Judgement, *, is_changed: bool) -> None:
    rule_id = uuid.UUID(judgement.rule.id) if judgement.rule else None
    if is_changed or row.severity_usd is None:
        before, row.severity, row.severity_usd = row.severity, judgement.verdict.level, judgement.verdict.usd
        row.due_at = row.due_at if row.severity == before else None
        row.evidence = {**row.evidence, "severity": row.severity, "price": judgement.verdict.price}
    row.due_at = row.due_at or due_at(row)
    if is_changed or row.rule_id != rule_id or row.tolerance.get("within") != judgement.within:
        row.rule_id, row.tolerance = rule_id, judgement.tolerance()


def _end(row: Break, now: datetime, actor: str) -> None:
    row.status = workflow.moved(row.status, Status.RESOLVED)
    row.resolved_at, row.resolved_by, row.resolution, row.snoozed_until = now, actor, "automatic", None


def _close(
    row: Break, judgement: Judgement, snapshot: Snapshot | Told, run_id: uuid.UUID, now: datetime, folded: Folded
) -> BreakEvent:
    actor, name = (judgement.rule.actor, judgement.rule.name) if judgement.rule else ("", "")
    folded.resolved += 1
    folded.closed_open += row.status != Status.SUSPECTED
    _end(row, now, actor)
    source = f"Run {run_id}" if isinstance(snapshot, Snapshot) else f"Statement {snapshot.id}"
    row.resolution_reason = (
        f"{source}: the difference {facts.text(row.delta)} {judgement.case.asset} still stands and is within rule {name}. "
        "Our books stay as they are."
    )
    return event(row, "resolved", actor, {**_named(snapshot, run_id), "tolerance": row.tolerance})


def _resolve(row: Break, snapshot: Snapshot, run_id: uuid.UUID, now: datetime, folded: Folded) -> BreakEvent:
    folded.resolved += 1
    folded.closed_open += row.status != Status.SUSPECTED
    _end(row, now, RULE)
    row.resolution_reason = (
        f"Run {run_id}: the read of {snapshot.surface} requested at {snapshot.requested_at.isoformat(timespec='seconds')} "
        f"(snapshot {snapshot.id}) agrees with our books."
    )
    return event(row, "resolved", RULE, {"run": str(run_id), "snapshot": snapshot.id, "digest": snapshot.digest})


def _is_over(row: Break, snapshot: Snapshot, comparison: facts.Comparison) -> bool:
    if "anomaly" in row.evidence or row.subject in comparison.skipped or row.subject in comparison.undecided:
        return False
    if row.kind in MOVED_ONCE and row.transfer_id is not None:
        return False  # it is booked: that it still is explains nothing
    if "statement" in row.evidence and row.kind in BY_STATEMENT:
        return False  # the venue contradicts its own statement: which of the two is right a person decides
    # Trades and transfers are listed for a window only: silence about one outside of it says nothing.
    return snapshot.surface not in (Surface.FILLS, Surface.TRANSFERS) or row.subject in comparison.agreed


def _settled_before(
    account: str, found: Mapping[str, facts.Difference], judged: Mapping[str, Judgement]
) -> tuple[set[str], set[str]]:
    """Return the differences a person explained as they are, and those a rule closed as they are and still would."""
    newest = (
        Break.objects.filter(account_id=account, fingerprint__in=list(found), status=Status.RESOLVED)
        .order_by("fingerprint", "-resolved_at")
        .distinct("fingerprint")
    )
    same = [row for row in newest if _value(row) == _value(found[row.fingerprint])] if found else []
    explained = {row.fingerprint for row in same if row.resolution == "explained"}
    explained |= {row.fingerprint for row in newest if row.kind in MOVED_ONCE}
    closed = {
        row.fingerprint
        for row in same
        if row.resolution == "automatic" and row.resolved_by != RULE and judged[row.fingerprint].is_closed
    }
    return explained, closed


def count_recurrence(account: str, fresh: list[Break]) -> None:
    """Note on new breaks of an account how often the same difference was resolved before."""
    if not fresh:
        return
    before = Break.objects.filter(account_id=account, fingerprint__in=[row.fingerprint for row in fresh])
    counts = dict(before.filter(status=Status.RESOLVED).values_list("fingerprint").annotate(count=Count("id")))
    for row in fresh:
        row.recurrence = counts.get(row.fingerprint, 0)


def _economic_at(evidence: Mapping[str, Any]) -> datetime | None:
    for side in ("theirs", "ours"):
        told = evidence.get(side) or {}
        if text := told.get("occurred_at") or told.get("changed_at"):
            return datetime.fromisoformat(text)
    return None


def _value(side: Break | facts.Difference) -> tuple[str, ...]:
    if side.kind in DISTANCES:
        return (facts.text(side.delta),)
    if side.kind in NAMED:
        return ()
    return (side.ours[:200], side.theirs[:200], decimals.write(side.delta) or "")


def _named(source: Snapshot | Told, run_id: uuid.UUID | None = None) -> dict[str, Any]:
    if isinstance(source, Told):
        return {"statement": source.id}
    return {**({"run": str(run_id)} if run_id else {}), "snapshot": source.id}


def _reads(before: list[dict[str, Any]], source: Snapshot | Told) -> list[dict[str, Any]]:
    return [*before[:1], _read(source)] if isinstance(source, Snapshot) else before


def _read(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "snapshot": snapshot.id,
        "requested_at": snapshot.requested_at.isoformat(),
        "taken_at": snapshot.taken_at.isoformat(),
        "digest": snapshot.digest,
    }


def _are_apart(reads: list[dict[str, Any]]) -> bool:
    if len(reads) < 2:
        return False
    earlier = datetime.fromisoformat(reads[0]["taken_at"])
    return datetime.fromisoformat(reads[-1]["requested_at"]) >= earlier + QUIET
