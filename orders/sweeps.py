"""Read a surface of the venue, keep the snapshot, apply what it says; a failed read changes nothing. Pure."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import uuid
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from orders import detection, events, legs, matching, trades, transfers
from orders.books import Books
from orders.rows import OrderRow
from orders.service import Service
from project.lib import clock
from venues.messages import BalanceReport, FillReport, Lookup, Malformed, OrderReport, Read, Report, Shape

QUIET_SECONDS = 5
LOOKUP_SPACING_SECONDS = 10.0
TOLD_SETTLE_SECONDS, TOLD_CONFIRM_SECONDS, TOLD_READS = 0.1, 2.5, 2
TOLD_READS_MAX, TOLD_READS_SECONDS = 3, 7.5  # at most so many reads in so many seconds, however much is told
MISSING_LOOKUPS_MAX = 10
SYMBOLS_MAX = 20
MADE_BEFORE = timedelta(hours=1)  # an order made before another may be sent after it, or change its leg meanwhile
FILLS, OPEN_ORDERS, BALANCES, POSITIONS, TRANSFERS = "fills", "open_orders", "balances", "positions", "transfers"
Unmatched = list[OrderReport | FillReport]


async def fills(service: Service, *, reason: str) -> Read:
    """Fetch trades from the watermark less the overlap, book the new ones, keep the snapshot."""
    since, symbols, sequence = await service.writer.run(lambda books: _fills_plan(books, service))
    read = await service.gateway.read(FILLS, since=since, symbols=symbols)

    def take(books: Books) -> Unmatched:
        unmatched = apply_reports(books, service, read.rows, source="rest")
        if not unmatched:
            _capture(books, service, FILLS, read, reason, sequence, since)
        return unmatched

    unmatched = await service.writer.run_until_committed(take)
    if unmatched:
        await adopt_unmatched(service, unmatched)
        await service.writer.run_until_committed(
            lambda books: _capture(books, service, FILLS, read, reason, sequence, since)
        )
    if read.status == "good":
        service.fills_read_at = read.requested_at
    return read


async def open_orders(service: Service, *, reason: str) -> Read:
    """Fetch open orders, apply them, and look up each order of ours that should be among them and is not."""
    sequence = await service.writer.run(lambda books: books.store.event_sequence(service.account))
    read = await service.gateway.read(OPEN_ORDERS)

    def take(books: Books) -> tuple[Unmatched, list[uuid.UUID]]:
        ours = books.store.at_venue(service.account)
        known = {(symbol, venue_order_id) for _, symbol, venue_order_id, _ in ours}
        news = [row for row in read.rows if (row.symbol, row.venue_order_id) not in known]
        unmatched = apply_reports(books, service, news, source="rest")
        _capture(books, service, OPEN_ORDERS, read, reason, sequence)
        if read.status != "good":
            return unmatched, []
        listed = {(row.symbol, row.venue_order_id) for row in read.rows}
        before = read.requested_at - timedelta(seconds=QUIET_SECONDS)
        return unmatched, [pk for pk, symbol, name, at in ours if at < before and (symbol, name) not in listed]

    unmatched, missing = await service.writer.run_until_committed(take)
    await adopt_unmatched(service, unmatched)
    for order_id in _due_for_lookup(service, missing):
        await look_up(service, order_id, source="lookup")
    return read


async def balances(service: Service, *, reason: str) -> Read:
    """Fetch balances and keep them beside ours; they never change our totals."""
    sequence = await service.writer.run(lambda books: books.store.event_sequence(service.account))
    read = await service.gateway.read(BALANCES)

    def take(books: Books) -> None:
        if read.status == "good":
            _note_balances(books, service, read)
        _capture(books, service, BALANCES, read, reason, sequence)

    await service.writer.run_until_committed(take)
    return read


async def follow_balances(service: Service) -> None:
    """Read the balances when the stream told of money that our books do not have, and again to confirm it.

    The trade that moved the money may be told right after it. A distance that was confirmed before is not read again. What is
    told while another asset waits to be confirmed is read at once, within what an account may read for such news.
    """
    wanted: dict[str, int] = {}
    reads: deque[float] = deque(maxlen=TOLD_READS_MAX)
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TOLD_CONFIRM_SECONDS if wanted else None):
                await service.balances_told.wait()
        if service.balances_told.is_set():
            await asyncio.sleep(TOLD_SETTLE_SECONDS)
            service.balances_told.clear()
            wanted |= dict.fromkeys(service.assets_told, TOLD_READS)
            service.assets_told = set()
        if not await service.writer.run(lambda books: _is_contradicted(books, service.account, set(wanted))):  # noqa: B023
            wanted.clear()
            continue
        if len(reads) == TOLD_READS_MAX:
            await asyncio.sleep(max(reads[0] + TOLD_READS_SECONDS - clock.monotonic_seconds(), 0))
        reads.append(clock.monotonic_seconds())
        await moved_and_balances(service, reason="stream")
        wanted = {asset: left - 1 for asset, left in wanted.items() if left > 1}


def _is_contradicted(books: Books, account: str, assets: Collection[str]) -> bool:
    for view in books.store.balances(account, sorted(assets)).values():
        distance = view.venue_total - view.total if view.venue_total is not None else Decimal(0)
        is_known = view.difference_confirmed_at is not None and distance == view.difference_confirmed
        if distance and not is_known:
            return True
    return False


async def positions(service: Service, *, reason: str) -> Read:
    """Fetch the positions of contracts and keep them beside ours; they never change ours."""
    sequence = await service.writer.run(lambda books: books.store.event_sequence(service.account))
    read = await service.gateway.read(POSITIONS)

    def take(books: Books) -> None:
        if read.status == "good":
            account, note = service.account, books.store.note_positions
            books.later(lambda: note(account, read.rows, requested_at=read.requested_at))
            books.announce("positions", "positions.reported", account, account=account)
        _capture(books, service, POSITIONS, read, reason, sequence)

    await service.writer.run_until_committed(take)
    return read


async def moved(service: Service, *, reason: str) -> Read:
    """Fetch the money that moved without a trade, book what is new, keep the snapshot; see orders.transfers."""
    since, assets, sequence = await service.writer.run(lambda books: transfers.plan(books, service))
    read = await service.gateway.read(TRANSFERS, since=since, symbols=assets)

    def take(books: Books) -> None:
        transfers.book(books, service, read.rows, source="rest")
        _capture(books, service, TRANSFERS, read, reason, sequence, since)

    await service.writer.run_until_committed(take)
    return read


async def moved_and_balances(service: Service, *, reason: str) -> None:
    """Read transfers, then balances: what moved before is booked when its total is compared."""
    if service.gateway.capabilities.transfers:
        await moved(service, reason=reason)
    await balances(service, reason=reason)


async def all_surfaces(service: Service, *, reason: str) -> dict[str, Read]:
    """Read open orders, fills and balances, in the order in which they explain each other; name what the venue lacks."""
    await positions(service, reason=reason)
    orders_read, fills_read = await open_orders(service, reason=reason), await fills(service, reason=reason)
    await moved(service, reason=reason)
    return {
        OPEN_ORDERS: orders_read,
        FILLS: fills_read,
        BALANCES: await balances(service, reason=reason),
    }


async def _keep(service: Service, surface: str, reason: str) -> Read:
    sequence = await service.writer.run(lambda books: books.store.event_sequence(service.account))
    read = await service.gateway.read(surface)
    await service.writer.run_until_committed(lambda books: _capture(books, service, surface, read, reason, sequence))
    return read


async def look_up(service: Service, order_id: uuid.UUID, *, source: str) -> OrderReport | None:
    """Ask the venue about one order and apply its answer, fills first. Returns the report, or None if not found."""
    order, client_id = await service.writer.run(lambda books: _identity(books, order_id))
    found = await ask(service, order, client_id, since=order.created_at)
    if found.result == "absent":
        await service.writer.run_until_committed(lambda books: detection.note_denial(books, service, order_id, found))
    if found.result != "found" or found.order is None:
        return None
    await settle_report(service, order_id, found.order, source=source)
    return found.order


async def ask(service: Service, order: OrderRow, client_id: str, *, since: datetime) -> Lookup:
    """Ask the venue about one order by everything we know of it."""
    others, before = frozenset[str](), Decimal(0)
    by_shape = not service.gateway.capabilities.client_ids and not order.venue_order_id
    if by_shape:
        others, before = await service.writer.run(
            lambda books: (
                books.store.venue_ids(order.account, order.symbol, since - MADE_BEFORE),
                legs.filled_before(books, order, client_id),
            )
        )
    found = await service.gateway.look_up(
        symbol=order.symbol, venue_client_id=client_id, venue_order_id=order.venue_order_id or None, since=since,
        shape=Shape(side=order.side, type=order.type, quantity=order.quantity - before, price=order.price),  # type: ignore[arg-type]
        known_venue_order_ids=others,
    )  # fmt: skip
    # after the answer: what it lists of ours under an id we do not know was in doubt before it was listed
    if by_shape and await service.writer.run(lambda books: books.store.has_twin_in_doubt(order)):
        return Lookup(result="failed", evidence=found.evidence)
    return found


async def settle_report(service: Service, order_id: uuid.UUID, report: OrderReport, *, source: str) -> None:
    """Apply a report; where it claims more than is booked, fetch the fills first and then apply it for good.

    First the latest trades, which mostly have them; then all since the order was made: it may have been in doubt for long.
    """
    received_at = clock.now()

    def apply(books: Books, is_final: bool) -> events.Applied:
        order = books.order(order_id)
        applied = events.apply_report(books, order, report, source=source, received_at=received_at, is_final=is_final)
        is_short = legs.claimed(books, order, report) > order.filled_quantity and applied in {"applied", "stale"}
        return "needs_fills" if is_short else applied

    for fetch in (partial(fills, service, reason="claim"), partial(_fills_since_made, service, order_id)):
        if await service.writer.run_until_committed(lambda books: apply(books, False)) != "needs_fills":
            return
        read = await fetch()
    await service.writer.run_until_committed(lambda books: apply(books, read.status == "good"))


async def _fills_since_made(service: Service, order_id: uuid.UUID) -> Read:
    """Fetch every trade on an order's symbol since it was made, and book what is new. It proves no surface whole."""
    order, _ = await service.writer.run(lambda books: _identity(books, order_id))
    since = order.created_at - timedelta(seconds=service.timing.fills_overlap_seconds)
    read = await service.gateway.read(FILLS, since=since, symbols=(order.symbol,))
    unmatched = await service.writer.run_until_committed(
        lambda books: apply_reports(books, service, read.rows, source="rest")
    )
    await adopt_unmatched(service, unmatched)
    return read


def apply_reports(books: Books, service: Service, reports: Iterable[Report], *, source: str) -> Unmatched:
    """Apply reports in one transaction, fills before statuses; return those that match no order of ours."""
    received_at = clock.now()
    statements, unmatched = list(reports), Unmatched()
    _prefetch(books, service.account, statements)
    for report in sorted(statements, key=lambda report: not isinstance(report, FillReport)):
        if isinstance(report, BalanceReport):
            books.told.note_balance(service.account, report, received_at)
            books.announce("balances", "balances.reported", service.account, account=service.account)
            service.assets_told.add(report.asset)
            service.balances_told.set()
        elif isinstance(report, Malformed):
            data = {"source": report.source, "reason": report.reason, "raw": report.raw[:2000]}
            books.note(service.account, "unreadable", report.source, data=data)
        elif not _apply(books, service, report, source, received_at):
            unmatched.append(report)
    return unmatched


async def adopt_unmatched(service: Service, unmatched: Sequence[OrderReport | FillReport]) -> None:
    """Take in orders and trades placed elsewhere; what may still turn out to be ours waits for its lookup."""
    if not unmatched:
        return
    doubtful = await service.writer.run(lambda books: books.store.symbols_in_doubt(service.account))
    for report in unmatched:
        if matching.may_be_ours(doubtful, report, ids_echoed=service.gateway.capabilities.client_ids):
            service.lookup_wanted.set()
            service.sweep_wanted.set()  # once its own answer has named it, the sweep finds it
            continue
        order_report = report if isinstance(report, OrderReport) else await _order_of(service, report)
        if order_report is None or (isinstance(report, OrderReport) and report.status != "open"):
            continue

        def take(
            books: Books, report: OrderReport | FillReport = report, order_report: OrderReport = order_report
        ) -> None:
            order = matching.find(books, service.account, report) or matching.adopt(
                books, service.account, order_report
            )
            if order is not None:  # first whose order it is: a trade alone does not say that it belongs to a successor
                events.apply_report(books, order, order_report, source="rest", received_at=clock.now())
            if order is not None and isinstance(report, FillReport):
                events.apply_fill(books, order, report, source="rest", received_at=clock.now())

        await service.writer.run_until_committed(take)


async def _order_of(service: Service, report: FillReport) -> OrderReport | None:
    found = await service.gateway.look_up(
        symbol=report.symbol, venue_client_id=report.venue_client_id or "", venue_order_id=report.venue_order_id,
        since=report.occurred_at or clock.now() - timedelta(minutes=5),
    )  # fmt: skip
    return found.order


def _prefetch(books: Books, account: str, reports: Sequence[Report]) -> None:
    """Read in one go what the reports need: which trades are booked, and the orders of all that is not."""
    told = [report for report in reports if isinstance(report, FillReport)]
    books.prefetch_fills([trades.key_of(account, report) for report in told])
    named = [
        report
        for report in reports
        if isinstance(report, OrderReport)
        or (isinstance(report, FillReport) and books.fill(trades.key_of(account, report)) is None)
    ]
    books.prefetch(
        account,
        [report.venue_client_id for report in named if report.venue_client_id],
        [(report.symbol, report.venue_order_id) for report in named if report.venue_order_id],
    )


def _apply(
    books: Books, service: Service, report: OrderReport | FillReport, source: str, received_at: datetime
) -> bool:
    if isinstance(report, FillReport):
        if (report.symbol, report.venue_trade_id) in service.trades_before_opening:
            return True
        if (
            booked := books.fill(trades.key_of(service.account, report))
        ) is not None:  # the overlap of a sweep costs no order
            trades.compare(books, booked, report)
            return True
    order = matching.find(books, service.account, report)
    if order is None:
        return False
    if isinstance(report, FillReport):
        if report.side != order.side:  # a trade never turns: it is not booked, and comparison makes a break of it
            if source == "stream":
                service.sweep_wanted.set()
            return True
        fill = events.apply_fill(books, order, report, source=source, received_at=received_at)
        if fill is not None and report.occurred_at is not None:
            detection.note_lateness(books, service, fill, report.occurred_at, source, received_at)
    else:
        applied = events.apply_report(books, order, report, source=source, received_at=received_at)
        is_claim = source == "stream" and not service.gateway.capabilities.stream_fills
        if applied == "needs_fills" or (is_claim and legs.claimed(books, order, report) > order.filled_quantity):
            service.sweep_wanted.set()
    return True


def _fills_plan(books: Books, service: Service) -> tuple[datetime, tuple[str, ...], int]:
    """Return the watermark, the symbols and the event sequence of a sweep.

    The watermark is never later than the last sweep that was proved whole: a trade told by the stream after a gap is
    newer than those the gap has swallowed.
    """
    newest = books.store.newest_fill_at(service.account)
    proved = books.store.fills_proved_at(service.account)
    overlap = timedelta(seconds=service.timing.fills_overlap_seconds)
    floor = (service.opened_at or clock.now()) - overlap
    since = max(min(newest, proved or newest, clock.now()) - overlap, floor) if newest else floor
    symbols = tuple(books.store.symbols(service.account, service.venue, SYMBOLS_MAX))
    return since, symbols, books.store.event_sequence(service.account)


def _note_balances(books: Books, service: Service, read: Read) -> None:
    account, note = service.account, books.store.note_balances
    if told := books.told.balances.pop(account, None):  # said before the list, and so not the last word
        books.later(lambda: note(account, [*told.by_asset.values()], requested_at=told.received_at, is_whole=False))
    books.later(lambda: note(account, read.rows, requested_at=read.requested_at, is_whole=True))
    books.announce("balances", "balances.reported", account, account=account)


def _capture(
    books: Books, service: Service, surface: str, read: Read, reason: str, sequence: int, since: datetime | None = None
) -> None:
    account, epoch, capture = service.account, service.lease.epoch, books.store.capture
    books.later(
        lambda: capture(account, surface, read, epoch=epoch, reason=reason, event_sequence=sequence, since=since)
    )
    for row in read.malformed:
        data = {"source": row.source, "reason": row.reason, "raw": row.raw[:2000]}
        books.note(service.account, "unreadable", row.source, data=data)


def _due_for_lookup(service: Service, missing: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Choose whom to look up now. Looking is harmless, so only its rate is bounded; kept outside of the transaction."""
    now = clock.monotonic_seconds()
    recent = {pk: at for pk, at in service.looked_up_at.items() if now - at < LOOKUP_SPACING_SECONDS}
    due = [pk for pk in missing if pk not in recent][:MISSING_LOOKUPS_MAX]
    service.looked_up_at = recent | dict.fromkeys(due, now)
    return due


def _identity(books: Books, order_id: uuid.UUID) -> tuple[OrderRow, str]:
    order = books.order(order_id)
    attempt = books.newest_attempt(order_id, "submit")
    return copy.copy(order), attempt.venue_client_id if attempt else ""
