"""Read a surface of the venue, keep the snapshot, apply what it says; a failed read changes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from django.db.models import Max

from orders import events, ledger, matching, states
from orders.models import Anomaly, Balance, Fill, Order
from orders.service import Service
from project.lib import clock
from venues import snapshots
from venues.messages import BalanceReport, FillReport, Malformed, OrderReport, Read, Report
from venues.models import Account, Instrument, Surface

QUIET_SECONDS = 5
LOOKUP_SPACING_SECONDS = 10.0
MISSING_LOOKUPS_MAX = 10
SYMBOLS_MAX = 20
ZERO = Decimal(0)


async def fills(service: Service, *, reason: str) -> Read:
    """Fetch trades from the watermark less the overlap, book the new ones, keep the snapshot."""
    since, symbols, sequence = await service.writer.run(lambda: _fills_plan(service))
    read = await service.gateway.read(Surface.FILLS, since=since, symbols=symbols)

    def take() -> list[OrderReport | FillReport]:
        unmatched = apply_reports(service, _new_fills(service, read.rows), source="rest")
        if not unmatched:
            _capture(service, Surface.FILLS, read, reason, sequence, since)
        return unmatched

    unmatched = await service.writer.run_until_committed(take)
    if unmatched:
        await adopt_unmatched(service, unmatched)
        await service.writer.run_until_committed(
            lambda: _capture(service, Surface.FILLS, read, reason, sequence, since)
        )
    return read


async def open_orders(service: Service, *, reason: str) -> Read:
    """Fetch open orders, apply them, and look up each order of ours that should be among them and is not."""
    sequence = await service.writer.run(lambda: _sequence(service.account))
    read = await service.gateway.read(Surface.OPEN_ORDERS)

    def take() -> tuple[list[OrderReport | FillReport], list[uuid.UUID]]:
        unmatched = apply_reports(service, _news_of_open_orders(service, read.rows), source="rest")
        _capture(service, Surface.OPEN_ORDERS, read, reason, sequence)
        return unmatched, _missing(service, read) if read.status == "good" else []

    unmatched, missing = await service.writer.run_until_committed(take)
    await adopt_unmatched(service, unmatched)
    for order_id in _due_for_lookup(service, missing):
        await look_up(service, order_id, source="lookup")
    return read


async def balances(service: Service, *, reason: str) -> Read:
    """Fetch balances and keep them beside ours; they never change our totals."""
    sequence = await service.writer.run(lambda: _sequence(service.account))
    read = await service.gateway.read(Surface.BALANCES)
    await service.writer.run_until_committed(lambda: _note_balances(service, read, reason, sequence))
    return read


async def all_surfaces(service: Service, *, reason: str) -> dict[str, Read]:
    """Read open orders, fills and balances, in the order in which they explain each other; name what the venue lacks."""
    for surface in (Surface.POSITIONS, Surface.TRANSFERS):
        read = await service.gateway.read(surface)
        sequence = await service.writer.run(lambda: _sequence(service.account))
        await service.writer.run_until_committed(partial(_capture, service, surface, read, reason, sequence))
    return {
        Surface.OPEN_ORDERS: await open_orders(service, reason=reason),
        Surface.FILLS: await fills(service, reason=reason),
        Surface.BALANCES: await balances(service, reason=reason),
    }


async def look_up(service: Service, order_id: uuid.UUID, *, source: str) -> OrderReport | None:
    """Ask the venue about one order and apply its answer, fills first. Returns the report, or None if not found."""
    order, client_id = await service.writer.run(lambda: _identity(order_id))
    found = await service.gateway.look_up(
        symbol=order.symbol,
        venue_client_id=client_id,
        venue_order_id=order.venue_order_id or None,
        since=order.created_at,
    )
    if found.result != "found" or found.order is None:
        return None
    await settle_report(service, order_id, found.order, source=source)
    return found.order


async def settle_report(service: Service, order_id: uuid.UUID, report: OrderReport, *, source: str) -> None:
    """Apply a report; where it claims more than is booked, fetch the fills first and then apply it for good."""
    received_at = clock.now()

    def apply(is_final: bool) -> events.Applied:
        return events.apply_report(
            events.lock(order_id), report, source=source, received_at=received_at, is_final=is_final
        )

    if await service.writer.run_until_committed(lambda: apply(False)) == "needs_fills":
        read = await fills(service, reason="claim")
        await service.writer.run_until_committed(lambda: apply(read.status == "good"))


def listed_symbols(service: Service) -> tuple[str, ...]:
    """Return the symbols to ask for trades on: all of a small venue, of a large one those ever ordered here."""
    listed = Instrument.objects.filter(venue_id=service.venue).order_by("symbol").values_list("symbol", flat=True)
    symbols = tuple(listed[: SYMBOLS_MAX + 1])
    if len(symbols) <= SYMBOLS_MAX:
        return symbols
    traded = Order.objects.filter(account_id=service.account).order_by("symbol").values_list("symbol", flat=True)
    return tuple(traded.distinct())


def apply_reports(service: Service, reports: Iterable[Report], *, source: str) -> list[OrderReport | FillReport]:
    """Apply reports in one transaction, fills before statuses; return those that match no order of ours."""
    received_at = clock.now()
    unmatched: list[OrderReport | FillReport] = []
    ordered = sorted(reports, key=lambda report: not isinstance(report, FillReport))
    for report in ordered:
        if isinstance(report, BalanceReport):
            ledger.note_venue_balances(service.account, [report])
        elif isinstance(report, Malformed):
            data = {"source": report.source, "reason": report.reason, "raw": report.raw[:2000]}
            events.note_anomaly(service.account, Anomaly.Kind.UNREADABLE, report.source, data=data)
        elif not _apply(service, report, source, received_at):
            unmatched.append(report)
    return unmatched


async def adopt_unmatched(service: Service, unmatched: Sequence[OrderReport | FillReport]) -> None:
    """Take in orders and trades placed elsewhere; what may still turn out to be ours waits for its lookup."""
    for report in unmatched:
        if await service.writer.run(partial(matching.may_be_ours, service.account, report)):
            service.lookup_wanted.set()
            continue
        order_report = report if isinstance(report, OrderReport) else await _order_of(service, report)
        if order_report is None or (isinstance(report, OrderReport) and report.status != "open"):
            continue

        def take(report: OrderReport | FillReport = report, order_report: OrderReport = order_report) -> None:
            order = matching.find(service.account, report) or matching.adopt(service.account, order_report)
            if order is not None and isinstance(report, FillReport):
                events.apply_fill(order, report, source="rest", received_at=clock.now())
            if order is not None:
                events.apply_report(order, order_report, source="rest", received_at=clock.now())

        await service.writer.run_until_committed(take)


async def _order_of(service: Service, report: FillReport) -> OrderReport | None:
    found = await service.gateway.look_up(
        symbol=report.symbol, venue_client_id=report.venue_client_id or "", venue_order_id=report.venue_order_id,
        since=report.occurred_at or clock.now() - timedelta(minutes=5),
    )  # fmt: skip
    return found.order


def _apply(service: Service, report: OrderReport | FillReport, source: str, received_at: datetime) -> bool:
    if isinstance(report, FillReport) and (report.symbol, report.venue_trade_id) in service.trades_before_opening:
        return True
    order = matching.find(service.account, report)
    if order is None:
        return False
    if isinstance(report, FillReport):
        events.apply_fill(order, report, source=source, received_at=received_at)
    elif events.apply_report(order, report, source=source, received_at=received_at) == "needs_fills":
        service.sweep_wanted.set()
    return True


def _fills_plan(service: Service) -> tuple[datetime, tuple[str, ...], int]:
    newest = Fill.objects.filter(account_id=service.account).aggregate(at=Max("executed_at"))["at"]
    overlap = timedelta(seconds=service.timing.fills_overlap_seconds)
    floor = (service.opened_at or clock.now()) - overlap
    since = max(min(newest or floor, clock.now()) - overlap, floor) if newest else floor
    return since, listed_symbols(service), _sequence(service.account)


def _capture(
    service: Service, surface: Surface, read: Read, reason: str, sequence: int, since: datetime | None = None
) -> None:
    snapshots.capture(
        Account(code=service.account), surface, read, epoch=service.lease.epoch, reason=reason, event_sequence=sequence,
        window_from=since,
    )  # fmt: skip
    for row in read.malformed:
        events.note_anomaly(service.account, Anomaly.Kind.UNREADABLE, row.source,
                            data={"source": row.source, "reason": row.reason, "raw": row.raw[:2000]})  # fmt: skip


def _note_balances(service: Service, read: Read, reason: str, sequence: int) -> None:
    if read.status == "good":
        named = {row.asset for row in read.rows}
        silent = (
            Balance.objects.filter(account_id=service.account).exclude(asset__in=named).values_list("asset", flat=True)
        )
        nothing = [BalanceReport(asset=asset, total=ZERO, free=ZERO, held=ZERO) for asset in silent]
        ledger.note_venue_balances(service.account, [*read.rows, *nothing])
    _capture(service, Surface.BALANCES, read, reason, sequence)


def _new_fills(service: Service, rows: Sequence[FillReport]) -> list[FillReport]:
    """Leave out, in one query, the trades booked before with the same figures: the overlap costs nothing."""
    known = {
        (symbol, trade, side): (price, quantity, fee)
        for symbol, trade, side, price, quantity, fee in Fill.objects.filter(
            account_id=service.account, venue_trade_id__in=[row.venue_trade_id for row in rows]
        ).values_list("symbol", "venue_trade_id", "side", "price", "quantity", "fee")
    }
    return [
        row
        for row in rows
        if known.get((row.symbol, row.venue_trade_id, row.side)) != (row.price, row.quantity, row.fee)
        and (row.symbol, row.venue_trade_id) not in service.trades_before_opening
    ]


def _news_of_open_orders(service: Service, rows: Sequence[OrderReport]) -> list[OrderReport]:
    """Leave out, in one query, the orders that stand at the venue in our books as well."""
    ours = Order.objects.filter(account_id=service.account, status__in=[s.value for s in states.AT_VENUE])
    known = set(ours.values_list("symbol", "venue_order_id"))
    return [row for row in rows if (row.symbol, row.venue_order_id) not in known]


def _missing(service: Service, read: Read) -> list[uuid.UUID]:
    """Return orders that should be open and are not listed, oldest first."""
    listed = {(row.symbol, row.venue_order_id) for row in read.rows}
    ours = Order.objects.filter(
        account_id=service.account,
        status__in=[status.value for status in states.AT_VENUE],
        created_at__lt=read.requested_at - timedelta(seconds=QUIET_SECONDS),
    )
    rows = ours.order_by("created_at").values_list("id", "symbol", "venue_order_id")
    return [pk for pk, symbol, venue_id in rows if (symbol, venue_id) not in listed]


def _due_for_lookup(service: Service, missing: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Choose whom to look up now. Looking is harmless, so only its rate is bounded; kept outside of the transaction."""
    now = clock.monotonic_seconds()
    recent = {pk: at for pk, at in service.looked_up_at.items() if now - at < LOOKUP_SPACING_SECONDS}
    due = [pk for pk in missing if pk not in recent][:MISSING_LOOKUPS_MAX]
    service.looked_up_at = recent | dict.fromkeys(due, now)
    return due


def _identity(order_id: uuid.UUID) -> tuple[Order, str]:
    order = Order.objects.get(pk=order_id)
    attempt = order.attempts.filter(action="submit").order_by("-sent_at").first()
    return order, attempt.venue_client_id if attempt else ""


def _sequence(account: str) -> int:
    return Account.objects.values_list("event_sequence", flat=True).get(pk=account)
