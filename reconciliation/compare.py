"""Ours against theirs: frozen values in, differences out. Pure; decides nothing about what to do with them.

Only a good read is ever handed in here: a failed or partial one proves nothing and accuses nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from orders.states import AT_VENUE
from reconciliation import differences as make
from reconciliation import facts
from venues.messages import BalanceReport, FillReport, OrderReport, PositionReport

POSSIBLE_MAX = 100


def fingerprint(account: str, kind: str, subject: str, asset: str = "") -> str:
    """Name a difference by its content alone, so that seeing it again never makes a second row."""
    return hashlib.sha256("|".join((account, kind, subject, asset)).encode()).hexdigest()


def compare_orders(
    reading: facts.Reading, ours: Sequence[facts.OurOrder], theirs: Sequence[OrderReport]
) -> facts.Comparison:
    """Compare a venue's list of open orders with ours.

    `ours` holds every order we believe open there, and every other one that a row of theirs names.
    """
    by_venue_id = {(order.symbol, order.venue_order_id): order for order in ours if order.venue_order_id}
    by_client_id = {client_id: order for order in ours for client_id in order.venue_client_ids}
    differences: list[facts.Difference] = []
    skipped, listed, agreed = set(), set(), set()
    for row in theirs:
        order = by_venue_id.get((row.symbol, row.venue_order_id or "")) or by_client_id.get(row.venue_client_id or "")
        subject = order.id if order else facts.external_subject(row)
        listed.add(subject)
        if not _may_judge(reading, order, row):
            skipped.add(subject)
        elif difference := make.order_difference(order, row):
            differences.append(difference)
        else:
            agreed.add(subject)
    for order in ours:
        if order.id in listed or order.status not in AT_VENUE:
            continue
        if not _is_quiet(reading, order):
            skipped.add(order.id)
        else:
            differences.append(make.missing_order(order))
    return facts.Comparison(differences=tuple(differences), agreed=frozenset(agreed), skipped=frozenset(skipped))


def compare_fills(
    reading: facts.Reading, ours: Sequence[facts.OurFill], theirs: Sequence[FillReport], *, since: datetime,
    times_within: timedelta | None = None,
) -> facts.Comparison:  # fmt: skip
    """Compare a venue's trades with ours; trades before `since` are part of the opening balances.

    `ours` holds our fills in the window and every fill that a row of theirs names.
    """
    booked = {(fill.symbol, fill.venue_trade_id, fill.side): fill for fill in ours}
    differences: list[facts.Difference] = []
    skipped, agreed = set(), set()
    stated = {facts.fill_subject(row.symbol, row.venue_trade_id, row.side) for row in theirs}
    for row in theirs:
        key = (row.symbol, row.venue_trade_id, row.side)
        subject, fill = facts.fill_subject(*key), booked.get(key)
        turned = booked.get((row.symbol, row.venue_trade_id, "sell" if row.side == "buy" else "buy"))
        if fill:
            if found := make.fill_differs(fill, row, times_within):
                differences.append(found)
            else:
                agreed.add(subject)
        elif row.occurred_at and row.occurred_at < since:
            agreed.add(subject)
        elif row.occurred_at and row.occurred_at > reading.requested_at - facts.MARGIN:
            skipped.add(subject)
        elif turned and (other := facts.fill_subject(turned.symbol, turned.venue_trade_id, turned.side)) not in stated:
            stated.add(other)  # it is the same trade: told once, booked once
            differences.append(make.wrong_side(turned, row))
        else:
            differences.append(make.fill_missing_here(row))
    for fill in ours:
        subject = facts.fill_subject(fill.symbol, fill.venue_trade_id, fill.side)
        if subject not in stated and _must_be_listed(reading, fill):
            differences.append(make.fill_missing_at_venue(fill))
    return facts.Comparison(differences=tuple(differences), agreed=frozenset(agreed), skipped=frozenset(skipped))


def compare_balances(
    reading: facts.Reading,
    ours: Mapping[str, facts.OurBalance],
    theirs: Sequence[BalanceReport],
    *,
    earlier: Mapping[str, frozenset[Decimal]] | None = None,
    dust: Mapping[str, Decimal] | None = None,
) -> facts.Comparison:
    """Compare a venue's totals with ours as they were when it was read, per asset, exactly (or within `dust`).

    Changes close to the read may or may not be in it: theirs must equal our total at one moment in between. An asset
    that is never quiet differs when the one distance possible now was possible in the `earlier` read as well.
    """
    stated = {row.asset: row for row in theirs}
    differences: list[facts.Difference] = []
    skipped, agreed, undecided = set(), set(), set[str]()
    possible: dict[str, frozenset[Decimal]] = {}
    for asset in sorted(stated.keys() | ours.keys()):
        mine = ours.get(asset, facts.OurBalance(total=facts.ZERO))
        total = stated[asset].total if asset in stated else facts.ZERO
        distances = frozenset(total - moment for moment in totals_during(reading, mine))
        if any(abs(distance) <= (dust or {}).get(asset, facts.ZERO) for distance in distances):
            agreed.add(asset)
            further = _beside_the_total(
                asset, mine, stated.get(asset), is_quiet=len(distances) == 1 and not mine.is_busy
            )
            differences += further.differences
            undecided |= further.undecided
            continue
        undecided |= {facts.held_subject(asset), facts.stream_subject(asset)}
        is_quiet = len(distances) == 1 and not mine.is_busy
        shared = distances if is_quiet else distances & (earlier or {}).get(asset, frozenset())
        if len(distances) <= POSSIBLE_MAX:
            possible[asset] = shared or distances
        if len(shared) == 1:
            said = facts.text(mine.stream.total) if mine.stream else ""
            differences.append(make.balance_difference(asset, total, min(shared), stated.get(asset), is_quiet, said))
        else:
            skipped.add(asset)
    return facts.Comparison(
        differences=tuple(differences),
        agreed=frozenset(agreed),
        skipped=frozenset(skipped),
        undecided=frozenset(undecided),
        possible=possible,
    )


def compare_positions(
    ours: Mapping[str, facts.OurPosition], theirs: Sequence[PositionReport]
) -> facts.Comparison:  # fmt: skip
    """Compare what a venue says is held of each contract with what we traded, exactly; what is not quiet waits."""
    stated = {row.symbol: row for row in theirs}
    differences: list[facts.Difference] = []
    skipped, agreed = set(), set()
    for symbol in sorted(stated.keys() | ours.keys()):
        mine = ours.get(symbol, facts.OurPosition(quantity=facts.ZERO))
        quantity = stated[symbol].quantity if symbol in stated else facts.ZERO
        if not mine.is_settled:
            skipped.add(symbol)
        elif mine.quantity == quantity:
            agreed.add(symbol)
        else:
            differences.append(make.position_difference(symbol, mine.quantity, quantity, stated.get(symbol)))
    return facts.Comparison(differences=tuple(differences), agreed=frozenset(agreed), skipped=frozenset(skipped))


def totals_during(reading: facts.Reading, balance: facts.OurBalance) -> list[Decimal]:
    """Return our total just before the read and after each change that may have fallen into it.

    Neither clock is trusted alone: a change is settled only when both its times are, and unseen only when both are.
    """
    effects = sorted(balance.effects, key=lambda effect: effect.at)
    young = [effect for effect in effects if max(effect.at, effect.known_at) > reading.settled_before]
    total = balance.total - sum((effect.amount for effect in young), facts.ZERO)
    moments = [total]
    for effect in young:
        if min(effect.at, effect.known_at) <= reading.unseen_after:
            total += effect.amount
            moments.append(total)
    return moments


def _beside_the_total(
    asset: str, mine: facts.OurBalance, row: BalanceReport | None, *, is_quiet: bool
) -> facts.Comparison:
    """Judge, where the totals agree, what the venue holds back of them and what its stream says."""
    differences, undecided = [], set()
    if row and row.held > 0:
        if is_quiet and not mine.may_be_held:
            differences.append(make.balance_frozen(row))
        else:
            undecided.add(facts.held_subject(asset))
    if mine.stream and row and mine.stream.total != row.total and mine.stream.total not in mine.stream.moments:
        if is_quiet and mine.stream.moments:
            differences.append(make.stream_differs(row, mine.stream, mine.total))
        else:
            undecided.add(facts.stream_subject(asset))
    return facts.Comparison(differences=tuple(differences), undecided=frozenset(undecided))


def _is_quiet(reading: facts.Reading, order: facts.OurOrder) -> bool:
    return order.is_settled and order.changed_at <= reading.settled_before


def _may_judge(reading: facts.Reading, order: facts.OurOrder | None, row: OrderReport) -> bool:
    if order:
        return _is_quiet(reading, order)
    return row.occurred_at is None or row.occurred_at <= reading.requested_at - facts.MARGIN


def _must_be_listed(reading: facts.Reading, fill: facts.OurFill) -> bool:
    if reading.window_from is None or fill.executed_at < reading.window_from + facts.MARGIN:
        return False
    return max(fill.executed_at, fill.recorded_at) <= reading.settled_before
