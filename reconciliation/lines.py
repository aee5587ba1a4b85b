"""What explains a difference, line by line: candidates from the books around it, and a person's own amounts.

An amount counts in the sense of the delta, the venue's less ours: what remains is the delta without the lines. Amounts
of candidates are worked out here from the rows, never taken from a page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from orders import states
from orders.models import Order, Posting, Transfer
from project.lib import clock, decimals, feed, symbols
from reconciliation import workflow
from reconciliation.counter_entries import LINES_MAX, touching
from reconciliation.models import Break, BreakLine
from reconciliation.resolutions import Refused, decision, required

BEFORE, AFTER = timedelta(hours=1), timedelta(minutes=10)
NEAR_MAX, EXACT_MAX, OTHERS_MAX = 30, 10, 50
Source, Kind = BreakLine.Source, Break.Kind
TOLD_ONLY = (Kind.FILL_MISSING_HERE, Kind.TRANSFER)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Something known that may explain a part: which fact, by how much, and what one says by ticking it."""

    source: str
    reference: str
    amount: Decimal
    at: datetime | None
    text: str
    means: str
    is_exact: bool = False
    is_told: bool = False

    @property
    def key(self) -> str:
        """How a form names it."""
        return f"{self.source}:{self.reference}"


def of(row: Break) -> list[BreakLine]:
    """Return the lines of a break, the oldest first."""
    return list(BreakLine.objects.filter(discrepancy=row).order_by("added_at", "id"))


def remaining(row: Break, given: Iterable[BreakLine]) -> Decimal | None:
    """Return what the lines leave unexplained; None where the break has no amount."""
    return None if row.delta is None else row.delta - sum((line.amount for line in given), decimals.ZERO)


def candidates(row: Break, given: Sequence[BreakLine]) -> list[Candidate]:
    """Return what may explain a break and is not a line yet: what only the venue told first, exact amounts before others."""
    rest = remaining(row, given)
    if not rest or not row.asset:
        return []
    taken = {(line.source, line.reference) for line in given}
    center = row.economic_at or row.first_seen_at
    found = [*_told(row, rest), *_trades(row, center, rest), *_transfers(row, center, rest)]
    fresh = {each.key: each for each in found if each.amount and (each.source, each.reference) not in taken}
    return sorted(fresh.values(), key=lambda each: (not each.is_exact, not each.is_told, _distance(each, center)))


def unsettled(row: Break) -> list[Order]:
    """Return the living orders that may still move the asset of a break: what they did is not known yet."""
    if not row.asset:
        return []
    alive = Order.objects.filter(account=row.account_id, status__in=states.ALIVE_WORDS)
    return list(alive.filter(touching(row.asset)).order_by("-created_at")[:20])


@feed.retried
def add(
    difference: Break,
    actor: str,
    picks: Sequence[str] = (),
    amount: str = "",
    reason: str = "",
    *,
    version: int | None = None,
) -> Break:
    """Add lines to a break: candidates by their keys, or an amount of one's own with a reason. Raises Refused."""
    detail: dict[str, Any] = {}
    with decision(difference, actor, "line_added", detail, action="lines", version=version) as row:
        if row.delta is None:
            raise Refused("this break has no amount that lines could explain; explain it as a whole")
        given = of(row)
        fresh = [_picked(row, candidates(row, given), picks, actor)] if picks else []
        if amount.strip() or reason.strip():
            fresh.append([_own(row, amount, reason, actor, clock.now())])
        added = [line for each in fresh for line in each]
        if not added:
            raise Refused("no line was ticked and no amount was given")
        if len(given) + len(added) > LINES_MAX:
            raise Refused(f"a break has {LINES_MAX} lines at most; sum some of them up in one of your own")
        BreakLine.objects.bulk_create(added)
        row.status = workflow.moved(row.status, workflow.after_assignment(row.status))
        detail |= _said(row, added, [*given, *added])
    return row


@feed.retried
def remove(difference: Break, actor: str, ids: Sequence[int], *, version: int | None = None) -> Break:
    """Take lines off a break. Raises Refused when one of them is not there."""
    detail: dict[str, Any] = {}
    with decision(difference, actor, "line_removed", detail, action="lines", version=version) as row:
        given = of(row)
        gone = [line for line in given if line.pk in set(ids)]
        if not gone or len(gone) != len(set(ids)):
            raise Refused("a line that should go is not there any more")
        detail |= _said(row, gone, [line for line in given if line not in gone])
        BreakLine.objects.filter(pk__in=[line.pk for line in gone]).delete()
    return row


def _picked(row: Break, offered: Sequence[Candidate], picks: Sequence[str], actor: str) -> list[BreakLine]:
    known = {each.key: each for each in offered}
    missing = [key for key in picks if key not in known]
    if missing:
        raise Refused(f"{missing[0][:80]} is not offered any more; look at what is, then tick again")
    return [
        BreakLine(
            discrepancy=row, source=each.source, reference=each.reference, asset=row.asset, amount=each.amount,
            note=f"{each.text}; {each.means}"[:300], added_by=actor,
        )
        for each in (known[key] for key in dict.fromkeys(picks))
    ]  # fmt: skip


def _own(row: Break, amount: str, reason: str, actor: str, now: datetime) -> BreakLine:
    note = required(reason, "a reason for your own amount")
    try:
        number = decimals.parse(amount.strip().replace("−", "-"))
    except ValueError as problem:
        raise Refused(f"the amount {problem}") from None
    if not number:
        raise Refused("an amount of 0 explains nothing")
    name = hashlib.sha256(f"{row.id}|{amount}|{reason}|{now.isoformat()}".encode()).hexdigest()[:12]
    return BreakLine(
        discrepancy=row, source=Source.PERSON, reference=name, asset=row.asset, amount=number,
        note=note[:300], added_by=actor,
    )  # fmt: skip


def _said(row: Break, changed: Sequence[BreakLine], left: Sequence[BreakLine]) -> dict[str, Any]:
    return {
        "lines": [
            {"source": line.source, "reference": line.reference, "amount": decimals.write(line.amount), "note": line.note}
            for line in changed
        ],
        "remaining": decimals.write(remaining(row, left)),
    }  # fmt: skip


def _told(row: Break, rest: Decimal) -> list[Candidate]:
    """Return what other breaks of the account name that only the venue told: our books lack it as this total does."""
    others = Break.objects.filter(account=row.account_id, kind__in=TOLD_ONLY).exclude(status=Break.Status.RESOLVED)
    found = []
    for other in others.exclude(pk=row.pk).order_by("-first_seen_at")[:OTHERS_MAX]:
        told = other.evidence.get("theirs") or {}
        if other.evidence.get("ours") is not None or not told:
            continue
        for source, amount in _effects(other.kind, told, row.asset):
            found.append(Candidate(
                source=source, reference=other.subject[:200], amount=amount, at=other.economic_at,
                text=other.theirs, means="the venue tells it and our books lack it", is_exact=amount == rest, is_told=True,
            ))  # fmt: skip
    return found


def _effects(kind: str, told: dict[str, Any], asset: str) -> list[tuple[str, Decimal]]:
    if kind == Kind.TRANSFER:
        return [(Source.TRANSFER, Decimal(told["amount"]))] if told.get("asset") == asset else []
    parts, quantity, price = symbols.split(told["symbol"]), Decimal(told["quantity"]), Decimal(told["price"])
    sign = 1 if told["side"] == "buy" else -1
    effects: list[tuple[str, Decimal]] = []
    if not parts.is_contract and asset == parts.base:
        effects.append((Source.FILL, sign * quantity))
    if not parts.is_contract and asset == parts.quote:
        effects.append((Source.FILL, -sign * Decimal(told.get("quote_quantity") or quantity * price)))
    if told.get("fee_asset") == asset and told.get("fee"):
        effects.append((Source.FEE, -Decimal(told["fee"])))
    return effects


def _trades(row: Break, center: datetime, rest: Decimal) -> list[Candidate]:
    legs = Posting.objects.filter(
        fill__account=row.account_id, fill__executed_at__range=(center - BEFORE, center + AFTER), asset=row.asset,
        book__in=[Posting.Book.TRADING, Posting.Book.FEES],
    ).select_related("fill")  # fmt: skip
    found = []
    for leg in _near(legs, center, rest, "fill__executed_at"):
        if leg.fill is None:
            continue
        source = Source.FEE if leg.book == Posting.Book.FEES else Source.FILL
        what = "fee of " if source == Source.FEE else ""
        text = f"{what}{leg.fill.side} {decimals.write(leg.fill.quantity)} {leg.fill.symbol}, trade {leg.fill.venue_trade_id}"
        found.append(_booked(source, str(leg.fill.pk), -leg.amount, rest, leg.fill.executed_at, text))
    return found


def _transfers(row: Break, center: datetime, rest: Decimal) -> list[Candidate]:
    rows = Transfer.objects.filter(
        account=row.account_id, asset=row.asset, occurred_at__range=(center - 24 * BEFORE, center + AFTER)
    )
    return [
        _booked(Source.TRANSFER, str(each.pk), each.amount, rest, each.occurred_at,
                f"{each.kind} {decimals.write(each.amount)} {each.asset} {each.venue_transfer_id}")
        for each in _near(rows, center, rest, "occurred_at")
    ]  # fmt: skip


def _near(rows: QuerySet[Any], center: datetime, rest: Decimal, column: str) -> list[Any]:
    exact = rows.filter(amount__in=[rest, -rest])[:EXACT_MAX]
    before = rows.filter(**{f"{column}__lte": center}).order_by(f"-{column}", "pk")[:NEAR_MAX]
    later = rows.filter(**{f"{column}__gt": center}).order_by(column, "pk")[:EXACT_MAX]
    return list({each.pk: each for each in (*exact, *before, *later)}.values())


def _booked(source: str, reference: str, effect: Decimal, rest: Decimal, at: datetime, text: str) -> Candidate:
    """Offer a fact of our books the way in which it brings the difference nearer to zero, and say what that claims."""
    is_twice = (effect > 0) == (rest > 0)
    return Candidate(
        source=source, reference=reference, amount=effect if is_twice else -effect, at=at, text=text[:200],
        means="booked once here, and twice in the venue's total" if is_twice else "booked here, and not in the venue's total",
        is_exact=abs(effect) == abs(rest),
    )  # fmt: skip


def _distance(each: Candidate, center: datetime) -> timedelta:
    return abs(each.at - center) if each.at else BEFORE
