"""Transfers, ours against theirs: what nobody announced, what is gone, what changed, what came twice. Pure.

A transfer that the venue lists is booked as it stands, so that totals agree; who sent it is for a person or a rule to say.
Funding, settlements, rebates and fees need nobody to say so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from project.lib import decimals
from reconciliation import facts
from venues.messages import TransferReport

ANNOUNCED = frozenset(("funding", "settlement", "rebate", "fee"))
TWICE_WITHIN = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class OurTransfer:
    """A transfer booked here."""

    id: str
    kind: str
    venue_transfer_id: str
    asset: str
    amount: Decimal
    occurred_at: datetime
    recorded_at: datetime
    fee: Decimal = facts.ZERO
    symbol: str = ""
    reference: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it unique within its account."""
        return (self.kind, self.venue_transfer_id, self.asset)


def subject(kind: str, venue_transfer_id: str, asset: str) -> str:
    """Name a transfer as breaks do."""
    return f"{kind} {asset} {venue_transfer_id}"


def compare_transfers(
    reading: facts.Reading,
    ours: Sequence[OurTransfer],
    theirs: Iterable[TransferReport],
    *,
    before_opening: Collection[tuple[str, str, str]],
    since: datetime,
) -> facts.Comparison:
    """Compare a venue's list of transfers with ours.

    `ours` holds those booked in the window, those that a row of theirs names, and a day of earlier ones. What the opening
    balances contain is named in `before_opening`, or happened before `since`.
    """
    booked = {transfer.key: transfer for transfer in ours}
    differences: list[facts.Difference] = []
    stated, agreed, skipped = set(), set(), set()
    for row in theirs:
        key = (row.kind, row.venue_transfer_id, row.asset)
        if row.status != "done" or not row.amount:
            continue
        name, mine = subject(*key), booked.get(key)
        stated.add(key)
        if mine is not None and (mine.amount, mine.fee) != (row.amount, row.fee):
            differences.append(_differs(mine, row))
        elif mine is not None or key in before_opening or row.occurred_at < since:
            agreed.add(name)
        elif row.occurred_at > reading.requested_at - facts.MARGIN:
            skipped.add(name)
        else:
            differences.append(_unbooked(row))
    for transfer in ours:
        if transfer.key not in stated and _must_be_listed(reading, transfer):
            differences.append(_missing(transfer))
    twice = _twice(ours)
    repeated = {one.transfer_id for one in twice}  # to be called a repetition is to be named; once is enough
    differences += [_unannounced(one) for one in ours if one.kind not in ANNOUNCED and one.id not in repeated]
    differences += twice
    return facts.Comparison(differences=tuple(differences), agreed=frozenset(agreed), skipped=frozenset(skipped))


def _must_be_listed(reading: facts.Reading, transfer: OurTransfer) -> bool:
    if reading.window_from is None or transfer.occurred_at < reading.window_from + facts.MARGIN:
        return False
    return max(transfer.occurred_at, transfer.recorded_at) <= reading.settled_before


def _unannounced(transfer: OurTransfer) -> facts.Difference:
    return facts.Difference(
        kind="transfer", subject=subject(*transfer.key), asset=transfer.asset, ours="booked; nobody announced it",
        theirs=_line(transfer), delta=transfer.amount, transfer_id=transfer.id, is_certain=True,
        economic_at=transfer.occurred_at,
        evidence={
            "ours": transfer_facts(transfer), "theirs": transfer_facts(transfer),
            "why": "The venue lists this movement of money. It is booked, so that totals agree; say where it came from or went.",
        },
    )  # fmt: skip


def _unbooked(row: TransferReport) -> facts.Difference:
    return facts.Difference(
        kind="transfer", subject=subject(row.kind, row.venue_transfer_id, row.asset), asset=row.asset, ours="not booked",
        theirs=_line(row), delta=row.amount, economic_at=row.occurred_at,
        evidence={
            "ours": None, "theirs": transfer_facts(row),
            "why": "The venue lists this movement of money, it is older than the margin of the read, and it is not booked here.",
        },
    )  # fmt: skip


def _differs(mine: OurTransfer, row: TransferReport) -> facts.Difference:
    return facts.Difference(
        kind="transfer_differs", subject=subject(*mine.key), asset=mine.asset, ours=_line(mine), theirs=_line(row),
        delta=row.amount - mine.amount, transfer_id=mine.id, economic_at=mine.occurred_at,
        evidence={
            "ours": transfer_facts(mine), "theirs": transfer_facts(row),
            "why": "The venue states this movement again with another amount; what is done never changes.",
        },
    )  # fmt: skip


def _missing(transfer: OurTransfer) -> facts.Difference:
    return facts.Difference(
        kind="transfer_missing_at_venue", subject=subject(*transfer.key), asset=transfer.asset, ours=_line(transfer),
        theirs="not in the list of transfers", delta=-transfer.amount, transfer_id=transfer.id,
        economic_at=transfer.occurred_at,
        evidence={
            "ours": transfer_facts(transfer), "theirs": None,
            "why": "The movement lies inside the window of a good read, away from both edges, and is not in it.",
        },
    )  # fmt: skip


def _twice(ours: Sequence[OurTransfer]) -> list[facts.Difference]:
    """Return a difference for each movement that repeats one of the same reference, asset and amount within a day."""
    latest: dict[tuple[str, str, Decimal], OurTransfer] = {}
    found = []
    for transfer in sorted(ours, key=lambda one: (one.occurred_at, one.venue_transfer_id)):
        if not transfer.reference or transfer.kind in ANNOUNCED:
            continue
        key = (transfer.reference, transfer.asset, transfer.amount)
        first, latest[key] = latest.get(key), transfer
        if first is not None and transfer.occurred_at - first.occurred_at <= TWICE_WITHIN:
            found.append(_duplicated(first, transfer))
    return found


def _duplicated(first: OurTransfer, second: OurTransfer) -> facts.Difference:
    return facts.Difference(
        kind="transfer_duplicated", subject=subject(*second.key), asset=second.asset, ours=_line(first), theirs=_line(second),
        delta=second.amount, transfer_id=second.id, economic_at=second.occurred_at,
        evidence={
            "ours": transfer_facts(first), "theirs": transfer_facts(second),
            "why": "Two movements of the same reference, asset and amount within a day: one may have been credited twice.",
        },
    )  # fmt: skip


def _line(one: OurTransfer | TransferReport) -> str:
    words = [one.kind, facts.text(one.amount), one.asset]
    words += [f"(fee {facts.text(one.fee)})"] if one.fee else []
    words += [one.symbol] if one.symbol else []
    words += [f"ref {one.reference}"] if one.reference else []
    return " ".join(words)[:200]


def transfer_facts(one: OurTransfer | TransferReport) -> dict[str, Any]:
    """Return a transfer as evidence; `transfer_report` reads it back."""
    return {
        "venue_transfer_id": one.venue_transfer_id, "kind": one.kind, "asset": one.asset, "amount": decimals.write(one.amount),
        "fee": decimals.write(one.fee), "symbol": one.symbol, "reference": one.reference,
        "occurred_at": one.occurred_at.isoformat(),
    } | ({"transfer": one.id} if isinstance(one, OurTransfer) else {})  # fmt: skip


def transfer_report(row: Any) -> TransferReport:
    """Read a stored transfer back. Raises KeyError, TypeError or ValueError when it is none."""
    return TransferReport(
        venue_transfer_id=row["venue_transfer_id"],
        kind=row["kind"],
        asset=row["asset"],
        amount=Decimal(row["amount"]),
        fee=Decimal(row.get("fee") or 0),
        symbol=row.get("symbol") or "",
        reference=row.get("reference") or "",
        status=row.get("status", "done"),
        occurred_at=datetime.fromisoformat(row["occurred_at"]),
    )
