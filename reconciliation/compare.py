"""Ours against theirs: frozen values in, differences out. Pure; decides nothing about what to do with them.

Only a good read is ever handed in here: a failed or partial one proves nothing and accuses nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from orders.states import AT_VENUE
from reconciliation import facts
from venues.messages import BalanceReport, FillReport, OrderReport

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
        elif difference := _order_difference(order, row):
            differences.append(difference)
        else:
            agreed.add(subject)
    for order in ours:
        if order.id in listed or order.status not in AT_VENUE:
            continue
        if not _is_quiet(reading, order):
            skipped.add(order.id)
        else:
            differences.append(_missing_order(order))
    return facts.Comparison(differences=tuple(differences), agreed=frozenset(agreed), skipped=frozenset(skipped))


def compare_fills(
    reading: facts.Reading, ours: Sequence[facts.OurFill], theirs: Sequence[FillReport], *, since: datetime
) -> facts.Comparison:
    """Compare a venue's trades with ours; trades before `since` are part of the opening balances.

    `ours` holds our fills in the window and every fill that a row of theirs names.
    """
    booked = {(fill.symbol, fill.venue_trade_id, fill.side): fill for fill in ours}
    differences: list[facts.Difference] = []
    skipped, stated, agreed = set(), set(), set()
    for row in theirs:
        key = (row.symbol, row.venue_trade_id, row.side)
        subject, fill = facts.fill_subject(*key), booked.get(key)
        stated.add(subject)
        if fill:
            if found := _fill_differs(fill, row):
                differences.append(found)
            else:
                agreed.add(subject)
        elif row.occurred_at and row.occurred_at < since:
            agreed.add(subject)
        elif row.occurred_at and row.occurred_at > reading.requested_at - facts.MARGIN:
            skipped.add(subject)
        else:
            differences.append(_fill_missing_here(row))
    for fill in ours:
        subject = facts.fill_subject(fill.symbol, fill.venue_trade_id, fill.side)
        if subject not in stated and _must_be_listed(reading, fill):
            differences.append(_fill_missing_at_venue(fill))
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
    skipped, agreed = set(), set()
    possible: dict[str, frozenset[Decimal]] = {}
    for asset in sorted(stated.keys() | ours.keys()):
        mine = ours.get(asset, facts.OurBalance(total=facts.ZERO))
        total = stated[asset].total if asset in stated else facts.ZERO
        distances = frozenset(total - moment for moment in totals_during(reading, mine))
        if any(abs(distance) <= (dust or {}).get(asset, facts.ZERO) for distance in distances):
            agreed.add(asset)
            continue
        is_quiet = len(distances) == 1 and not mine.is_busy
        shared = distances if is_quiet else distances & (earlier or {}).get(asset, frozenset())
        if len(distances) <= POSSIBLE_MAX:
            possible[asset] = shared or distances
        if len(shared) == 1:
            differences.append(_balance_difference(asset, total, min(shared), stated.get(asset), is_quiet))
        else:
            skipped.add(asset)
    return facts.Comparison(
        differences=tuple(differences), agreed=frozenset(agreed), skipped=frozenset(skipped), possible=possible
    )


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


def _order_difference(order: facts.OurOrder | None, row: OrderReport) -> facts.Difference | None:
    if order is None:
        return facts.Difference(
            kind="external_order", subject=facts.external_subject(row), ours="no such order", theirs=facts.describe_row(row),
            evidence={"theirs": facts.row_facts(row), "why": "The venue lists an open order that was not sent from here."},
        )  # fmt: skip
    differing = _differing_facts(order, row)
    if not differing:
        return None
    return facts.Difference(
        kind="order_status", subject=order.id, asset=facts.base_asset(order.symbol), order_id=order.id,
        ours=facts.listing(differing, 0), theirs=facts.listing(differing, 1),
        delta=row.filled_quantity - order.filled_quantity if "filled_quantity" in differing and row.filled_quantity is not None
        else None,
        evidence={
            "ours": facts.order_facts(order), "theirs": facts.row_facts(row), "fields": sorted(differing),
            "why": "The venue lists this order with other values, and nothing happened to it around the read.",
        },
    )  # fmt: skip


def _differing_facts(order: facts.OurOrder, row: OrderReport) -> dict[str, tuple[str, str]]:
    pairs: dict[str, tuple[Decimal | None, Decimal | None]] = {
        "quantity": (order.quantity, row.quantity),
        "price": (order.price, row.price),
        "filled_quantity": (order.filled_quantity, row.filled_quantity),
    }
    differing = {
        name: (facts.text(mine), facts.text(other))
        for name, (mine, other) in pairs.items()
        if mine is not None and other is not None and mine != other
    }
    if row.side and row.side != order.side:
        differing["side"] = (order.side, row.side)
    if order.status not in AT_VENUE and row.status == "open":
        differing["status"] = (order.status, row.status)
    if order.status in AT_VENUE and row.status != "open":
        differing["status"] = (order.status, row.status)
    return differing


def _missing_order(order: facts.OurOrder) -> facts.Difference:
    leaves = order.quantity - order.filled_quantity
    return facts.Difference(
        kind="order_missing_at_venue", subject=order.id, asset=facts.base_asset(order.symbol), order_id=order.id, delta=-leaves,
        ours=f"{order.status}: {order.side} {facts.text(leaves)} {order.symbol} left", theirs="not in the list of open orders",
        evidence={
            "ours": facts.order_facts(order), "theirs": None,
            "why": "A good read of the venue's open orders lacks it, and nothing happened to it around the read.",
        },
    )  # fmt: skip


def _fill_differs(fill: facts.OurFill, row: FillReport) -> facts.Difference | None:
    mine, other = facts.fill_facts(fill), facts.trade_facts(row)
    differing = [
        name for name in ("price", "quantity", "fee") if getattr(fill, name) != getattr(row, name)
    ]  # fmt: skip
    if row.fee and fill.fee_asset != row.fee_asset:
        differing.append("fee_asset")
    if not differing:
        return None
    return facts.Difference(
        kind="fill_differs", subject=facts.fill_subject(fill.symbol, fill.venue_trade_id, fill.side), asset=facts.base_asset(fill.symbol),
        ours=facts.listing({name: (str(mine[name]), "") for name in differing}, 0),
        theirs=facts.listing({name: ("", str(other[name])) for name in differing}, 1),
        delta=row.quantity - fill.quantity if "quantity" in differing else None, order_id=fill.order_id, fill_id=fill.id,
        evidence={
            "ours": mine, "theirs": other, "fields": differing,
            "why": "The venue states the trade again with other values; a trade never changes.",
        },
    )  # fmt: skip


def _fill_missing_here(row: FillReport) -> facts.Difference:
    return facts.Difference(
        kind="fill_missing_here", subject=facts.fill_subject(row.symbol, row.venue_trade_id, row.side), asset=facts.base_asset(row.symbol),
        ours="not booked", theirs=f"{row.side} {facts.text(row.quantity)} {row.symbol} at {facts.text(row.price)}",
        delta=row.quantity if row.side == "buy" else -row.quantity,
        evidence={
            "ours": None, "theirs": facts.trade_facts(row),
            "why": "The venue lists the trade, it is older than the margin of the read, and it is not booked here.",
        },
    )  # fmt: skip


def _fill_missing_at_venue(fill: facts.OurFill) -> facts.Difference:
    return facts.Difference(
        kind="fill_missing_at_venue", subject=facts.fill_subject(fill.symbol, fill.venue_trade_id, fill.side),
        asset=facts.base_asset(fill.symbol), ours=f"{fill.side} {facts.text(fill.quantity)} {fill.symbol} at {facts.text(fill.price)}",
        theirs="not in the list of trades", delta=-fill.quantity if fill.side == "buy" else fill.quantity,
        order_id=fill.order_id, fill_id=fill.id,
        evidence={
            "ours": facts.fill_facts(fill), "theirs": None,
            "why": "The trade lies inside the window of a good read, away from both edges, and is not in it.",
        },
    )  # fmt: skip


def _balance_difference(
    asset: str, total: Decimal, delta: Decimal, row: BalanceReport | None, is_quiet: bool
) -> facts.Difference:
    stated = {name: facts.text(getattr(row, name)) for name in ("total", "free", "held")} if row else None
    why = (
        "No fill or unproven order touches this asset around the read, and the totals differ."
        if is_quiet
        else "The account trades all the time; this is the one distance that two reads in a row both allow."
    )
    return facts.Difference(
        kind="balance",
        subject=asset,
        asset=asset,
        ours=facts.text(total - delta),
        theirs=facts.text(total),
        delta=delta,
        evidence={"ours": {"total": facts.text(total - delta)}, "theirs": stated, "why": why},
    )
