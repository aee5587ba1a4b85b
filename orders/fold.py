"""Refold every projection from the append-only log and name the first difference."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, Sum

from orders import ledger, requests, states
from orders.models import Attempt, Balance, Fill, Order, OrderEvent, Position, Posting
from venues.models import Account

ZERO = Decimal(0)
CHUNK = 2000
_FILL_FIGURES = ("quantity", "price", "quote_quantity", "fee", "realised_pnl")


def differences() -> Iterator[str]:
    """Yield what differs between the log and the rows folded from it, accounts first, then orders, then the books."""
    for account in Account.objects.order_by("code"):
        yield from _orders(account)
        yield from _positions(account)
    yield from _balances()


def _orders(account: Account) -> Iterator[str]:
    status: dict[object, str] = {}
    mutation: dict[object, str] = defaultdict(lambda: "none")
    venue_id: dict[object, str] = defaultdict(str)
    quantity: dict[object, Decimal] = defaultdict(Decimal)
    value: dict[object, Decimal] = defaultdict(Decimal)
    count: dict[object, int] = defaultdict(int)
    asked: dict[object, dict[str, Any]] = {}
    amended: dict[object, dict[str, Any]] = {}
    ended: dict[object, datetime | None] = {}
    expected = 0
    for event in OrderEvent.objects.filter(account=account).order_by("sequence").iterator(CHUNK):
        expected += 1
        if event.sequence != expected:
            yield f"account {account.code}: event {expected} is missing; found {event.sequence}"
            expected = event.sequence
        key = event.order_id
        if status.get(key, "") != event.status_before:
            yield f"order {key}: event {event.sequence} starts at {event.status_before}, the log was at {status.get(key, 'nothing')}"
        status[key] = event.status_after
        count[key] += 1
        mutation[key] = event.data.get("mutation", mutation[key])
        venue_id[key] = event.data.get("venue_order_id", venue_id[key])
        if "after" in event.data:
            known, told = _read(amended.get(key, {})), _read(event.data["before"])
            if any(told[name] != value for name, value in known.items() if name in told):
                yield f"order {key}: event {event.sequence} amends {told}, the log was at {known}"
            asked[key] = {**event.data["before"], **asked.get(key, {})}
            amended[key] = {**amended.get(key, {}), **event.data["after"]}
        if event.status_after != event.status_before:
            ended[key] = (event.occurred_at or event.received_at) if event.status_after in states.TERMINAL else None
        if event.kind in {"fill", "late_fill"}:
            quantity[key] += Decimal(event.data["quantity"])
            value[key] += Decimal(event.data["quote_quantity"])
    if account.event_sequence != expected:
        yield f"account {account.code}: its counter says {account.event_sequence} events, the log has {expected}"
    attempts = Attempt.objects.filter(account=account, action="submit").values_list("order_id")
    submits = dict(attempts.annotate(Count("id")))  # each has a version of its own, besides that of its event
    for order in Order.objects.filter(account=account).order_by("id").iterator(CHUNK):
        key = order.pk
        version = count[key] + submits.get(key, 0)
        folded = (status.get(key), mutation[key], quantity[key], value[key], version, ended.get(key))
        stored = (
            order.status,
            order.mutation,
            order.filled_quantity,
            order.filled_value,
            order.version,
            order.ended_at,
        )
        if folded != stored:
            yield f"order {key}: the log folds to {folded}, the row says {stored}"
        if not order.is_external and _asked(order, asked.get(key, {})) != order.body_digest:
            yield f"order {key}: the row differs from what was asked when it came in (its digest)"
        for name, given in _read(amended.get(key, {})).items():
            if getattr(order, name) != given:
                yield f"order {key}: it was amended to {name} {given}, the row says {getattr(order, name)}"
        if not order.is_external and venue_id[key] != order.venue_order_id:
            yield f"order {key}: the log knows venue order {venue_id[key]!r}, the row says {order.venue_order_id!r}"


def _asked(order: Order, before: dict[str, Any]) -> str:
    """Return the digest of what came in: the row, with the values it had before it was first amended."""
    request = requests.OrderRequest(
        client_order_id=order.client_order_id, account=order.account_id, symbol=order.symbol, side=order.side, type=order.type,
        quantity=order.quantity, price=order.price, time_in_force=order.time_in_force, post_only=order.post_only,
        reduce_only=order.reduce_only, trigger_price=order.trigger_price, trailing_offset=order.trailing_offset, expires_at=order.expires_at, strategy=order.strategy,
    )  # fmt: skip
    return dataclasses.replace(request, **_read(before)).digest()


def _read(values: Mapping[str, str | None]) -> dict[str, Any]:
    """Turn the values an amend event tells of back from text."""
    return {
        name: None if text is None else datetime.fromisoformat(text) if name == "expires_at" else Decimal(text)
        for name, text in values.items()
    }


def _positions(account: Account) -> Iterator[str]:
    folded: dict[str, ledger.Holding] = {}
    events = OrderEvent.objects.filter(account=account, kind__in=["fill", "late_fill"]).order_by("sequence")
    fills = {str(fill.pk): fill for fill in Fill.objects.filter(account=account).iterator(CHUNK)}
    for event in events.iterator(CHUNK):
        fill = fills.pop(event.data["fill"], None)
        if fill is None:
            yield f"account {account.code}: event {event.sequence} books fill {event.data['fill']}, which is not there once"
            continue
        changed = [name for name in _FILL_FIGURES if Decimal(event.data.get(name, 0)) != getattr(fill, name)]
        yield from (
            f"fill {fill.pk}: event {event.sequence} says {name} {event.data.get(name)}, the row {getattr(fill, name)}"
            for name in changed
        )
        before = folded.get(fill.symbol, ledger.Holding())
        folded[fill.symbol] = ledger.after(before, fill)
    yield from (f"fill {key} of account {account.code} has no event" for key in fills)
    for position in Position.objects.filter(account=account).order_by("symbol"):
        stored = ledger.Holding(position.quantity, position.entry_price, position.realised_pnl)
        if folded.pop(position.symbol, ledger.Holding()) != stored:
            yield f"position {account.code} {position.symbol} differs from its fills: stored {stored}"
    yield from (f"position {account.code} {symbol} is missing" for symbol in folded)


def _balances() -> Iterator[str]:
    postings = (
        Posting.objects.filter(book=Posting.Book.VENUE).values_list("account_id", "asset").annotate(total=Sum("amount"))
    )
    folded = {(account, asset): total for account, asset, total in postings}
    for balance in Balance.objects.order_by("account_id", "asset"):
        total = folded.pop((balance.account_id, balance.asset), ZERO)
        if total != balance.total:
            yield f"balance {balance.account_id} {balance.asset}: postings sum to {total}, the row says {balance.total}"
    yield from (f"balance {account} {asset} is missing" for account, asset in folded)
