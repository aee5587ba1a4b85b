"""Money that a venue moved without a trade: read on a schedule, booked once, in the transaction of its postings. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from orders import ledger
from orders.books import Books
from orders.rows import TransferRow
from orders.service import Service
from project.lib import clock, ids
from venues.messages import Read, TransferReport

ASSETS_MAX = 200
Named = tuple[str, str, str]


def name_of(report: TransferReport) -> Named:
    """Return what makes a transfer unique within its account: kind, venue id, asset."""
    return (report.kind, report.venue_transfer_id, report.asset)


def done(read: Read) -> frozenset[Named]:
    """Return the transfers that a read lists as done."""
    return frozenset(name_of(row) for row in read.rows if row.status == "done")


def plan(books: Books, service: Service) -> tuple[datetime, tuple[str, ...], int]:
    """Return since when to read, the assets to read though the venue shows nothing of them, and the event sequence.

    Since the last good read less the overlap: a row may keep the time at which it was asked for and be done days later.
    """
    now = clock.now()
    overlap = overlap_of(service)
    opened_at = service.opened_at or now
    since = max(min(books.store.transfers_proved_at(service.account) or opened_at, now), opened_at) - overlap
    assets = tuple(books.store.moved_assets(service.account, since))[:ASSETS_MAX]
    return since, assets, books.store.event_sequence(service.account)


def overlap_of(service: Service) -> timedelta:
    """Return how far before the last good read transfers are read again."""
    known = service.gateway.capabilities
    return timedelta(hours=known.transfers_overlap_hours, seconds=known.read_lag_seconds)


def book(books: Books, service: Service, reports: Iterable[TransferReport], *, source: str) -> list[TransferRow]:
    """Book what is done and not booked yet, each once, with its postings; return the new rows.

    What the opening balances contain is told by the read taken with them; where there was none, by the venue's clock.
    """
    listed = {name_of(row): row for row in reports if row.status == "done" and row.amount}
    news = {(service.account, *name): row for name, row in listed.items() if not _is_in_opening(service, row)}
    for key in books.store.booked_transfers(list(news)):
        del news[key]
    here = {row.key for row in books.transfers}
    made = [_row(service.account, row, source) for key, row in news.items() if key not in here]
    for row in made:
        books.transfers.append(row)
        ledger.post_transfer(books, row)
        data = {"kind": row.kind, "asset": row.asset}
        books.announce("transfers", "transfer.booked", row.id, account=row.account, data=data)
    return made


def _is_in_opening(service: Service, report: TransferReport) -> bool:
    if service.transfers_before_opening is not None:
        return name_of(report) in service.transfers_before_opening
    return service.opened_at is None or report.occurred_at < service.opened_at


def _row(account: str, report: TransferReport, source: str) -> TransferRow:
    return TransferRow(
        id=ids.new_id(), account=account, kind=report.kind, venue_transfer_id=report.venue_transfer_id, asset=report.asset,
        amount=report.amount, fee=report.fee, symbol=report.symbol, reference=report.reference, source=source,
        occurred_at=report.occurred_at, recorded_at=clock.now(),
    )  # fmt: skip
