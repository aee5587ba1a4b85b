"""Checks at rest: our rows against the venue's truth, to the last digit; and our rows against their own log."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal

from orders import ledger, states
from orders.rows import ZERO, OrderRow
from orders.states import Mutation, Status
from tests.simulation.memory import Database
from tests.simulation.venue import SimVenue
from venues.paper.orders import Order

Broken = tuple[str, str, str]
_AT_VENUE = {
    "new": {"open"}, "partially_filled": {"partially_filled"}, "filled": {"filled"}, "cancelled": {"cancelled"},
    "expired": {"expired"},
}  # fmt: skip


def unsettled(database: Database) -> str:
    """Return what is still on its way, in words; nothing once everything rests."""
    for order in database.orders.values():
        if order.status in {"received", "held", "queued", "sending", "unknown"}:
            return f"order {order.id} is {order.status}"
        if order.mutation != Mutation.NONE:
            return f"order {order.id} is {order.status}, {order.mutation}"
    if database.waiting_intents:
        return f"intent {next(iter(database.waiting_intents))} waits"
    if database.in_doubt:
        attempt = database.attempts[next(iter(database.in_doubt))]
        return f"attempt {attempt.action} {attempt.venue_client_id} of order {attempt.order} is in doubt"
    for letter in database.letters.values():
        if letter.status == "open":
            return f"dead letter {letter.cause} of order {letter.order} is open"
    for account in database.accounts.values():
        if account.status != "ready":
            return f"account {account.code} is {account.status}: {account.status_reason}"
    return ""


def all_broken(database: Database, venue: SimVenue, acked: dict[str, uuid.UUID]) -> Iterator[Broken]:
    """Yield every broken promise: rule, what, and the word to find it by in the trace."""
    yield from _acknowledged(database, acked)
    yield from _orders(database, venue)
    yield from _fills(database, venue)
    yield from _balances(database, venue)
    yield from _log(database)
    yield from _letters(database)


def _acknowledged(database: Database, acked: dict[str, uuid.UUID]) -> Iterator[Broken]:
    for client_order_id, order_id in acked.items():
        if order_id not in database.orders:
            yield "I2", f"order {client_order_id} was acknowledged and is gone", client_order_id


def _orders(database: Database, venue: SimVenue) -> Iterator[Broken]:
    for order in database.orders.values():
        if order.is_external:
            yield "I1", f"order {order.venue_order_id} of ours was adopted as external {order.id}", str(order.id)
            continue
        attempts = [database.attempts[key] for key in database.attempts_of.get(order.id, ())]
        names = [attempt.venue_client_id for attempt in attempts if attempt.action != "cancel"]
        accepted = [made for name in names if name for made in venue.truth.accepted.get(name, [])]
        is_amended = any(attempt.action == "amend" for attempt in attempts)
        if len(accepted) > 1 and not is_amended:
            yield "I1", f"order {order.id} stands at the venue {len(accepted)} times", str(order.id)
        elif is_amended and accepted:
            yield from _amended(database, order, accepted)
        elif accepted:
            yield from _against(order, accepted[0], venue)
        elif order.status not in {"denied", "rejected", "cancelled"} or order.filled_quantity:
            yield "I10", f"order {order.id} is {order.status}; the venue never accepted it", str(order.id)


def _against(order: OrderRow, theirs: Order, venue: SimVenue) -> Iterator[Broken]:
    name = str(order.id)
    if order.status not in _AT_VENUE[theirs.status]:
        yield "I10", f"order {name} is {order.status} {order.reason_code}; the venue says {theirs.status}", name
    if (order.filled_quantity, order.filled_value) != (theirs.executed, theirs.cost):
        yield "I6", f"order {name} filled {order.filled_quantity}; the venue says {theirs.executed}", name
    if order.venue_order_id != theirs.order_id:
        yield "I5", f"order {name} knows venue order {order.venue_order_id!r}, not {theirs.order_id}", name
    is_over = order.filled_quantity > order.quantity
    if is_over != (theirs.key in venue.truth.overfilled):
        yield "I6", f"order {name} is overfilled: {is_over}", name


def _amended(database: Database, order: OrderRow, legs: list[Order]) -> Iterator[Broken]:
    """Compare an order that was changed with all its legs: one is alive at most, and what they traded is what we booked."""
    name, last = str(order.id), legs[-1]
    executed, cost = sum((leg.executed for leg in legs), ZERO), sum((leg.cost for leg in legs), ZERO)
    if (order.filled_quantity, order.filled_value) != (executed, cost):
        yield "I6", f"order {name} filled {order.filled_quantity}; the venue's legs say {executed}", name
    if sum(leg.is_open for leg in legs) > 1 or any(leg.is_open for leg in legs[:-1]):
        yield "I1", f"order {name} has more than one live leg", name
    is_alive = order.status in states.AT_VENUE
    if last.is_open != is_alive:
        yield "I10", f"order {name} is {order.status} {order.reason_code}; the venue says {last.status}", name
    if is_alive and (order.venue_order_id, order.price) != (last.order_id, last.price):
        yield (
            "I5",
            f"order {name} stands at {order.venue_order_id} {order.price}, not {last.order_id} {last.price}",
            name,
        )
    if is_alive and order.quantity - order.filled_quantity != last.leaves:
        yield (
            "I6",
            f"order {name} has {order.quantity - order.filled_quantity} left, the venue's leg {last.leaves}",
            name,
        )
    is_flagged = any(row.kind == "overfill" and row.order == order.id for row in database.anomalies)
    if order.filled_quantity > order.quantity and not is_flagged:
        yield "I6", f"order {name} filled beyond its quantity and nothing says so", name


def _fills(database: Database, venue: SimVenue) -> Iterator[Broken]:
    ours = {
        (f.account, f.symbol, f.venue_trade_id, f.side, f.quantity, f.price, f.fee, f.fee_asset, f.quote_quantity)
        for f in database.fills.values()
    }
    theirs = {
        (code, f.order.request.symbol, f.trade_id, f.order.side, f.quantity, f.price, f.fee, f.fee_asset, f.cost)
        for code, account in venue.engine.accounts.items()
        for f in account.fills
    }
    for row in sorted(theirs - ours):
        yield "I5", f"trade {row[:5]} of the venue is not booked", str(row[2])
    for row in sorted(ours - theirs):
        yield "I5", f"booked trade {row[:5]} is not the venue's", str(row[2])
    for code, account in venue.engine.accounts.items():
        over = [f.order.key for f in account.fills if f.order.key in venue.truth.overfilled]
        flagged = sum(row.kind == "overfill" and row.account == code for row in database.anomalies)
        if over and not flagged:
            yield "I6", f"overfilled orders {over} of {code} raised nothing", code


def _balances(database: Database, venue: SimVenue) -> Iterator[Broken]:
    folded: dict[tuple[str, str], Decimal] = {}
    sums: dict[tuple[uuid.UUID, str], Decimal] = {}
    for leg in database.postings:
        sums[(leg.entry, leg.asset)] = sums.get((leg.entry, leg.asset), ZERO) + leg.amount
        if leg.book == "venue":
            folded[(leg.account, leg.asset)] = folded.get((leg.account, leg.asset), ZERO) + leg.amount
    for entry, asset in (key for key, rest in sums.items() if rest):
        yield "I7", f"entry {entry} does not balance in {asset}", str(entry)
    for code, account in venue.engine.accounts.items():
        for asset in account.assets():
            key = (code, asset)
            ours = database.balances[key].total if key in database.balances else ZERO
            if ours != folded.get(key, ZERO):
                yield "I7", f"{code} {asset}: postings sum to {folded.get(key)}, the row says {ours}", code
            expected = account.total[asset] - venue.truth.drifts.get(key, ZERO)
            if ours != expected:
                yield "I7", f"{code} {asset}: our total {ours}, the venue's without drifts {expected}", code


def _log(database: Database) -> Iterator[Broken]:
    status: dict[uuid.UUID, str] = {}
    mutation: dict[uuid.UUID, str] = {}
    figures: dict[uuid.UUID, tuple[Decimal, Decimal, int]] = {}
    holdings: dict[tuple[str, str], ledger.Holding] = {}
    fills = {str(fill.id): fill for fill in database.fills.values()}
    for code, log in database.events.items():
        if len(log) != database.accounts[code].event_sequence:
            yield (
                "I24",
                f"account {code} counts {database.accounts[code].event_sequence} events, its log has {len(log)}",
                code,
            )
        for event in log:
            if status.get(event.order, "") != event.status_before:
                yield "I8", f"order {event.order}: {event.kind} starts at {event.status_before}", str(event.order)
            status[event.order] = event.status_after
            mutation[event.order] = event.data.get("mutation", mutation.get(event.order, "none"))
            quantity, value, count = figures.get(event.order, (ZERO, ZERO, 0))
            if event.kind in {"fill", "late_fill"}:
                fill = fills.pop(event.data["fill"])
                quantity, value = quantity + fill.quantity, value + fill.quote_quantity
                key = (code, fill.symbol)
                holdings[key] = ledger.after(holdings.get(key, ledger.Holding()), fill)
            figures[event.order] = (quantity, value, count + 1)
    for order in database.orders.values():
        quantity, value, version = figures.get(order.id, (ZERO, ZERO, 0))
        version += sum(database.attempts[key].action == "submit" for key in database.attempts_of.get(order.id, ()))
        folded = (status.get(order.id), mutation.get(order.id), quantity, value, version)
        stored = (order.status, order.mutation, order.filled_quantity, order.filled_value, order.version)
        if folded != stored:
            yield "I8", f"order {order.id}: the log folds to {folded}, the row says {stored}", str(order.id)
    yield from (("I8", f"fill {key} has no event", key) for key in fills)
    for key, row in database.positions.items():
        if holdings.get(key) != ledger.Holding(row.quantity, row.entry_price, row.realised_pnl):
            yield "I8", f"position {key} differs from its fills", key[0]


def _letters(database: Database) -> Iterator[Broken]:
    for letter in database.letters.values():
        if letter.status != "open" and not (letter.resolution and letter.resolved_by and letter.resolved_at):
            yield "I11", f"dead letter {letter.id} was closed without who, how and when", str(letter.id)
    for attempt in database.attempts.values():
        order = database.orders[attempt.order]
        ended_well = attempt.resolution in {"accepted", "bound"} or attempt.outcome == "accepted"
        if attempt.action == "submit" and ended_well and order.status == Status.DENIED:
            yield (
                "I10",
                f"order {order.id} is denied; its attempt is {attempt.outcome} {attempt.resolution}",
                str(order.id),
            )
        if order.status in states.TERMINAL and order.ended_at is None:
            yield "I8", f"order {order.id} is {order.status} without an end", str(order.id)
