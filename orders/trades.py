"""A venue's trade as a row: made once of what it tells, and compared with what it tells again. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from orders.books import Books
from orders.rows import FillRow, OrderRow, TradeKey
from project.lib import clock, decimals, ids, symbols
from venues.messages import FillReport


def key_of(account: str, report: FillReport) -> TradeKey:
    """Return what makes a venue's trade unique, as FillRow.key is for the booked one."""
    return (account, report.symbol, report.venue_trade_id, report.side)


def made_of(order: OrderRow, report: FillReport, source: str, received_at: datetime) -> FillRow:
    """Return the row of a trade that has not been booked before."""
    parts = symbols.split(report.symbol)
    value = parts.worth(report.quantity, report.price) if report.quote_quantity is None else report.quote_quantity
    return FillRow(
        id=ids.new_id(), order=order.id, account=order.account, symbol=report.symbol, side=report.side, price=report.price,
        quantity=report.quantity, quote_quantity=decimals.quantise(value), fee=report.fee,
        fee_asset=report.fee_asset or parts.settle or parts.quote, liquidity=report.liquidity, venue_trade_id=report.venue_trade_id,
        venue_order_id=report.venue_order_id, source=source, executed_at=report.occurred_at or received_at,
        recorded_at=clock.now(), realised_pnl=report.realised_pnl or decimals.ZERO,
    )  # fmt: skip


def described(fill: FillRow) -> dict[str, Any]:
    """Return what the event of a booked trade says of it."""
    data: dict[str, Any] = {
        "fill": str(fill.id), "venue_trade_id": fill.venue_trade_id, "quantity": decimals.write(fill.quantity),
        "price": decimals.write(fill.price), "quote_quantity": decimals.write(fill.quote_quantity),
        "fee": decimals.write(fill.fee), "fee_asset": fill.fee_asset,
    }  # fmt: skip
    return data | ({"realised_pnl": decimals.write(fill.realised_pnl)} if fill.realised_pnl else {})


def note_unsaid(books: Books, fill: FillRow, report: FillReport) -> None:
    """Note a trade of a contract of which the venue does not say what it realised: the balance cannot agree then."""
    if report.realised_pnl is None and symbols.split(report.symbol).is_contract:
        data = {"source": "fills", "reason": "the venue does not say what this trade of a contract realised", "raw": ""}
        books.note(fill.account, "unreadable", fill.venue_trade_id, order=fill.order, fill=fill.id, data=data)


def compare(books: Books, booked: FillRow, again: FillReport) -> None:
    """Note where a trade that is booked is now told with other figures."""
    fields = ("price", "quantity", "fee")
    differs = any(getattr(booked, name) != getattr(again, name) for name in fields)
    if differs or (again.fee and again.fee_asset and booked.fee_asset != again.fee_asset):
        ours = {name: str(getattr(booked, name)) for name in (*fields, "fee_asset")}
        theirs = {name: str(getattr(again, name)) for name in (*fields, "fee_asset")}
        books.note(booked.account, "fill_differs", booked.venue_trade_id, order=booked.order, fill=booked.id,
                   data={"ours": ours, "theirs": theirs})  # fmt: skip
