"""Rows of both sides, built directly: what we believe, and what a venue said at a time."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from orders import ledger, store
from orders.models import Attempt, Fill, Order
from orders.rows import FillRow
from project.lib import clock, ids
from venues.models import Account, AccountStatus, Snapshot, Venue

SECOND = timedelta(seconds=1)


def account(code: str = "main", exchange: str = "binance") -> Account:
    venue, _ = Venue.objects.get_or_create(code=exchange, defaults={"exchange": exchange})
    opened_at = clock.now() - timedelta(hours=1)
    return Account.objects.create(code=code, venue=venue, status=AccountStatus.READY, opened_at=opened_at)


def ago(seconds: float) -> datetime:
    return clock.now() - timedelta(seconds=seconds)


def opening(owner: Account, **totals: str) -> None:
    with store.transaction() as books:
        ledger.post_opening(books, owner.code, {asset: Decimal(total) for asset, total in totals.items()})


def order(owner: Account, **values: Any) -> Order:
    values = {
        "client_order_id": uuid.uuid4().hex,
        "symbol": "BTC/USDT",
        "side": "buy",
        "type": "limit",
        "quantity": Decimal("1"),
        "price": Decimal("100"),
        "status": "open",
        "venue_order_id": uuid.uuid4().hex[:8],
        "updated_at": ago(300),
        **values,
    }
    return Order.objects.create(account=owner, body_digest="", **values)


def attempt(parent: Order, client_id: str, outcome: str = "accepted") -> Attempt:
    return Attempt.objects.create(
        order=parent, account=parent.account, action="submit", venue_client_id=client_id, epoch=1, request_digest="",
        window_ms=5000, sent_at=ago(300), outcome=outcome,
    )  # fmt: skip


def fill(parent: Order, trade_id: str, at: datetime, **values: Any) -> Fill:
    values = {
        "price": Decimal("100"),
        "quantity": Decimal("0.5"),
        "fee": Decimal("0.05"),
        "fee_asset": "USDT",
        **values,
    }
    booked = FillRow(
        id=ids.new_id(), order=parent.pk, account=parent.account_id, symbol=parent.symbol, side=parent.side,
        venue_trade_id=trade_id, venue_order_id=parent.venue_order_id, source="stream", executed_at=at, recorded_at=at,
        quote_quantity=values["price"] * values["quantity"], liquidity="", **values,
    )  # fmt: skip
    with store.transaction() as books:
        books.add_fill(booked)
        ledger.post_fill(books, booked)
    return Fill.objects.get(pk=booked.id)


def snapshot(
    owner: Account, surface: str, rows: list[dict[str, Any]], *, seconds_ago: float, **values: Any
) -> Snapshot:
    requested_at = ago(seconds_ago)
    values = {"status": "good", "window_from": requested_at - timedelta(minutes=5), "digest": "d", **values}
    owner.refresh_from_db()
    return Snapshot.objects.create(
        account=owner, surface=surface, rows=rows, requested_at=requested_at, event_sequence=owner.event_sequence,
        taken_at=requested_at + SECOND / 10, **values,
    )  # fmt: skip


def order_row(ours: Order, **values: Any) -> dict[str, Any]:
    return {
        "venue_order_id": ours.venue_order_id, "venue_client_id": None, "symbol": ours.symbol, "status": "open",
        "side": ours.side, "type": ours.type, "price": str(ours.price), "quantity": str(ours.quantity),
        "filled_quantity": str(ours.filled_quantity), "occurred_at": ago(300).isoformat(), "reason": "", **values,
    }  # fmt: skip


def fill_row(trade_id: str, at: datetime, **values: Any) -> dict[str, Any]:
    return {
        "venue_trade_id": trade_id, "venue_order_id": "V1", "venue_client_id": None, "symbol": "BTC/USDT", "side": "buy",
        "price": "100", "quantity": "0.5", "quote_quantity": "50", "fee": "0.05", "fee_asset": "USDT", "liquidity": "taker",
        "occurred_at": at.isoformat(), **values,
    }  # fmt: skip


def balance_rows(**totals: str) -> list[dict[str, Any]]:
    return [{"asset": asset, "total": total, "free": total, "held": "0"} for asset, total in totals.items()]
