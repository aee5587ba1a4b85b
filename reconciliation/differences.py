"""Each kind of difference in words and numbers: what is ours, what is theirs, why it counts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from orders.states import AT_VENUE
from project.lib import symbols
from reconciliation import facts
from venues.messages import BalanceReport, FillReport, OrderReport, PositionReport

TOLD_MAX = 20


def order_difference(order: facts.OurOrder | None, row: OrderReport) -> facts.Difference | None:
    """Say what the venue lists otherwise of an order of ours, or that it is not ours; None when it agrees."""
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
        else None, unit=facts.traded_asset(order.symbol),
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


def missing_order(order: facts.OurOrder) -> facts.Difference:
    """Say that an order we believe open is not listed."""
    leaves = order.quantity - order.filled_quantity
    return facts.Difference(
        kind="order_missing_at_venue", subject=order.id, asset=facts.base_asset(order.symbol), order_id=order.id, delta=-leaves,
        unit=facts.traded_asset(order.symbol),
        ours=f"{order.status}: {order.side} {facts.text(leaves)} {order.symbol} left", theirs="not in the list of open orders",
        evidence={
            "ours": facts.order_facts(order), "theirs": None,
            "why": "A good read of the venue's open orders lacks it, and nothing happened to it around the read.",
        },
    )  # fmt: skip


def fill_differs(
    fill: facts.OurFill, row: FillReport, times_within: timedelta | None = None
) -> facts.Difference | None:
    """Say which figures of a booked trade the venue states otherwise; None when it agrees. Fees alone are a kind of their own.

    Times are compared only where it is said how far they may be apart.
    """
    mine, other = facts.fill_facts(fill), facts.trade_facts(row)
    differing = [
        name for name in ("price", "quantity", "fee") if getattr(fill, name) != getattr(row, name)
    ]  # fmt: skip
    if row.fee and fill.fee_asset != row.fee_asset:
        differing.append("fee_asset")
    if times_within is not None and row.occurred_at and abs(row.occurred_at - fill.executed_at) > times_within:
        differing.append("occurred_at")
    if not differing:
        return None
    told: dict[str, Any] = {
        "subject": facts.fill_subject(fill.symbol, fill.venue_trade_id, fill.side), "order_id": fill.order_id, "fill_id": fill.id,
        "ours": facts.listing({name: (str(mine[name]), "") for name in differing}, 0),
        "theirs": facts.listing({name: ("", str(other[name])) for name in differing}, 1),
        "evidence": {
            "ours": mine, "theirs": other, "fields": differing,
            "why": "The venue states the trade again with other values; a trade never changes.",
        },
    }  # fmt: skip
    if set(differing) <= facts.FEE_FIELDS:
        delta = None if "fee_asset" in differing else row.fee - fill.fee
        return facts.Difference(kind="fee_differs", asset=fill.fee_asset, delta=delta, total=fill.fee, **told)
    parts = symbols.split(fill.symbol)
    gap = abs(parts.notional(row.quantity, row.price) - parts.notional(fill.quantity, fill.price))
    delta = row.quantity - fill.quantity if "quantity" in differing else None
    return facts.Difference(
        kind="fill_differs", asset=facts.base_asset(fill.symbol), delta=delta, amount=gap, unit=parts.quote, **told
    )


def wrong_side(fill: facts.OurFill, row: FillReport) -> facts.Difference:
    """Say that a trade is booked with the other side than the venue states."""
    signed = row.quantity if row.side == "buy" else -row.quantity
    booked = fill.quantity if fill.side == "buy" else -fill.quantity
    return facts.Difference(
        kind="wrong_side", subject=facts.fill_subject(row.symbol, row.venue_trade_id, row.side), asset=facts.base_asset(row.symbol),
        ours=f"{fill.side} {facts.text(fill.quantity)} {fill.symbol} at {facts.text(fill.price)}",
        theirs=f"{row.side} {facts.text(row.quantity)} {row.symbol} at {facts.text(row.price)}",
        delta=signed - booked, unit=facts.traded_asset(row.symbol), order_id=fill.order_id, fill_id=fill.id,
        evidence={
            "ours": facts.fill_facts(fill), "theirs": facts.trade_facts(row), "fields": ["side"],
            "why": "The venue states this trade once, with the other side; one trade booked wrongly, not two that are missing.",
        },
    )  # fmt: skip


def fill_missing_here(row: FillReport) -> facts.Difference:
    """Say that the venue lists a trade that is not booked."""
    return facts.Difference(
        kind="fill_missing_here", subject=facts.fill_subject(row.symbol, row.venue_trade_id, row.side), asset=facts.base_asset(row.symbol),
        ours="not booked", theirs=f"{row.side} {facts.text(row.quantity)} {row.symbol} at {facts.text(row.price)}",
        delta=row.quantity if row.side == "buy" else -row.quantity, unit=facts.traded_asset(row.symbol),
        evidence={
            "ours": None, "theirs": facts.trade_facts(row),
            "why": "The venue lists the trade, it is older than the margin of the read, and it is not booked here.",
        },
    )  # fmt: skip


def fill_missing_at_venue(fill: facts.OurFill) -> facts.Difference:
    """Say that a booked trade is not listed where it must be."""
    return facts.Difference(
        kind="fill_missing_at_venue", subject=facts.fill_subject(fill.symbol, fill.venue_trade_id, fill.side),
        asset=facts.base_asset(fill.symbol), ours=f"{fill.side} {facts.text(fill.quantity)} {fill.symbol} at {facts.text(fill.price)}",
        theirs="not in the list of trades", delta=-fill.quantity if fill.side == "buy" else fill.quantity,
        unit=facts.traded_asset(fill.symbol),
        order_id=fill.order_id, fill_id=fill.id,
        evidence={
            "ours": facts.fill_facts(fill), "theirs": None,
            "why": "The trade lies inside the window of a good read, away from both edges, and is not in it.",
        },
    )  # fmt: skip


def position_difference(
    symbol: str, mine: Decimal, quantity: Decimal, row: PositionReport | None
) -> facts.Difference:  # fmt: skip
    """Say how far apart the quantities held of a contract are."""
    stated = {"quantity": facts.text(quantity), "entry_price": facts.text(row.entry_price)} if row else None
    return facts.Difference(
        kind="position", subject=symbol, asset=facts.base_asset(symbol), ours=facts.text(mine), theirs=facts.text(quantity),
        delta=quantity - mine, unit=facts.traded_asset(symbol), total=mine,
        evidence={
            "ours": {"quantity": facts.text(mine)}, "theirs": stated,
            "why": "No trade or unproven order of this contract falls around the read, and the quantities differ.",
        },
    )  # fmt: skip


def balance_difference(
    asset: str, total: Decimal, delta: Decimal, row: BalanceReport | None, is_quiet: bool, stream: str = ""
) -> facts.Difference:
    """Say how far apart the totals of an asset are."""
    why = (
        "No fill or unproven order touches this asset around the read, and the totals differ."
        if is_quiet
        else "The account trades all the time; this is the one distance that two reads in a row both allow."
    )
    return facts.Difference(
        kind="balance", subject=asset, asset=asset, ours=facts.text(total - delta), theirs=facts.text(total), delta=delta,
        stream=stream, total=total - delta,
        evidence={"ours": {"total": facts.text(total - delta)}, "theirs": _stated(row), "why": why},
    )  # fmt: skip


def balance_frozen(row: BalanceReport) -> facts.Difference:
    """Say that a venue holds back a part of an asset that no order or position of ours explains."""
    return facts.Difference(
        kind="balance_frozen", subject=facts.held_subject(row.asset), asset=row.asset, ours="nothing of ours holds it",
        theirs=f"{facts.text(row.held)} held of {facts.text(row.total)}", delta=row.held, total=row.total,
        evidence={
            "ours": {"held": "0"}, "theirs": _stated(row),
            "why": "The totals agree, and the venue says that a part cannot be used, while no order of ours is open on this asset "
            "or ended lately and no position is settled in it. What the venue holds for fees or of its own accord is not told apart.",
        },
    )  # fmt: skip


def stream_differs(row: BalanceReport, claim: facts.StreamClaim, ours: Decimal) -> facts.Difference:
    """Say that a stream told a total which our books never had about that time, while the venue's REST agrees with them."""
    return facts.Difference(
        kind="stream_differs", subject=facts.stream_subject(row.asset), asset=row.asset, ours=facts.text(ours),
        theirs=facts.text(row.total), stream=facts.text(claim.total), delta=claim.total - row.total, total=row.total,
        evidence={
            "ours": {"totals_then": [facts.text(each) for each in claim.moments]}, "theirs": _stated(row),
            "stream": {"total": facts.text(claim.total), "received_at": claim.at.isoformat()},
            "why": "The venue contradicts itself: its stream told another total than its own list, which agrees with our books. "
            "Every total that our books had about the time of the message was tried.",
        },
    )  # fmt: skip


def unmapped(
    name: str, surface: str, rows: Sequence[Mapping[str, Any]], delta: Decimal | None = None
) -> facts.Difference:
    """Say that a venue names a symbol or an asset that no instrument of it knows."""
    return facts.Difference(
        kind="unmapped_symbol", subject=facts.unmapped_subject(name, surface), asset=facts.base_asset(name)[:32], delta=delta,
        ours="no instrument knows it", theirs=f"{len(rows)} row{'' if len(rows) == 1 else 's'} of {surface.replace('_', ' ')}",
        evidence={
            "name": name, "rows": [dict(row) for row in rows[:TOLD_MAX]], "rows_count": len(rows),
            "why": "The venue tells of a symbol or asset that is not among its markets as we read them. Nothing is guessed about "
            "what it is; the rows stand here as they came. Load the markets again, or ask the venue.",
        },
    )  # fmt: skip


def _stated(row: BalanceReport | None) -> dict[str, str] | None:
    return {name: facts.text(getattr(row, name)) for name in ("total", "free", "held")} if row else None
