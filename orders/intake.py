"""Stage 1: accept an intent once, however often it is sent; and the wish to cancel one."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from django.db import IntegrityError

from orders import events, states, store
from orders.desk import risk_facts
from orders.models import Intent, Order
from orders.requests import FieldProblem, Invalid, OrderRequest
from orders.rows import OrderRow
from orders.states import Status
from project.lib import audit, clock, decimals, failpoints, feed, ids
from risk import checks
from venues.models import Account, Instrument


@dataclass(frozen=True)
class Accepted:
    """The order that stands for the request, and whether this call created it."""

    order: Order
    is_new: bool


class Conflict(Exception):
    """The client order id is taken by an order with another body."""

    def __init__(self, order: Order) -> None:
        super().__init__(f"client_order_id {order.client_order_id} belongs to order {order.id} with another body")
        self.order = order


class NotCancellable(Exception):
    """The order has ended; there is nothing left to cancel."""


@feed.retried
def accept(request: OrderRequest, account: Account, *, source: str) -> Accepted:
    """Turn a request into an order, once for ever per account and client order id.

    Raises requests.Invalid (nothing stored, the id stays free) or Conflict (same id, other body).
    A limit, a halt or the collar does not raise: the order comes back `denied` and the id is used.
    """
    if known := _known(request, account):
        return known
    instrument = _instrument(request, account)
    proposal = _proposal(request)
    problems = checks.fit(proposal, _grid(instrument))
    if problems:
        raise Invalid(
            [
                FieldProblem(
                    field=p.field,
                    code=p.code,
                    message=p.message,
                    got=_got(request, p.field),
                    nearest_valid=p.nearest_valid,
                )
                for p in problems
            ]
        )
    verdict = checks.decide(proposal, risk_facts(account, instrument))
    row = _row(request, instrument, source)
    failpoints.reach("P0")
    try:
        with store.transaction() as books:
            if isinstance(verdict, checks.Denied):
                events.open_order(books, row, verdict=Status.DENIED, code=verdict.code, message=verdict.message)
            else:
                events.open_order(books, row, verdict=Status.QUEUED)
                books.wake(account.code)
    except IntegrityError:  # another request with the same id was faster
        if known := _known(request, account):
            return known
        raise
    failpoints.reach("P1")
    return Accepted(Order.objects.select_related("account__venue").get(pk=row.id), is_new=True)


@feed.retried
def request_cancellation(order: Order, *, actor: str) -> Intent:
    """Ask the owner to cancel an order; asking again while one request waits returns that one.

    A cancel is a request, not a fact: the order may still fill. Raises NotCancellable.
    """
    with feed.transaction():
        order = Order.objects.select_for_update().get(pk=order.pk)
        if Status(order.status) in states.TERMINAL:
            raise NotCancellable(f"the order is {order.status.replace('_', ' ')} already; nothing is left to cancel")
        waiting = Intent.objects.filter(order=order, action="cancel", done_at=None).first()
        if waiting:
            return waiting
        intent = Intent.objects.create(account_id=order.account_id, order=order, action="cancel", requested_by=actor)
        audit.record(actor, "order.cancel", order.id, {"client_order_id": order.client_order_id})
        feed.announce("orders", "order.cancel_requested", order.id, account=order.account_id)
        feed.wake(order.account_id)
    return intent


def _known(request: OrderRequest, account: Account) -> Accepted | None:
    order = Order.objects.filter(account=account, client_order_id=request.client_order_id).first()
    if order is None:
        return None
    if order.body_digest != request.digest():
        raise Conflict(order)
    return Accepted(order, is_new=False)


def _instrument(request: OrderRequest, account: Account) -> Instrument:
    instrument = Instrument.objects.filter(venue_id=account.venue_id, symbol=request.symbol).first()
    if instrument:
        return instrument
    known = list(Instrument.objects.filter(venue_id=account.venue_id).values_list("symbol", flat=True))
    close = difflib.get_close_matches(request.symbol, known, n=1, cutoff=0.3)
    message = f"is not an instrument of venue {account.venue_id}" if known else (
        f"venue {account.venue_id} has no instruments yet: activate an account there first"
    )  # fmt: skip
    problem = FieldProblem(field="symbol", code="SYMBOL_UNKNOWN", message=message, got=request.symbol,
                           nearest_valid=close[0] if close else (known[0] if known else None))  # fmt: skip
    raise Invalid([problem])


def _row(request: OrderRequest, instrument: Instrument, source: str) -> OrderRow:
    now = clock.now()
    return OrderRow(
        id=ids.new_id(), account=request.account, client_order_id=request.client_order_id, body_digest=request.digest(),
        symbol=request.symbol, side=request.side, type=request.type, quantity=request.quantity, price=request.price,
        trigger_price=request.trigger_price, time_in_force=request.time_in_force, post_only=request.post_only,
        reduce_only=request.reduce_only, expires_at=request.expires_at, strategy=request.strategy, source=source[:150],
        last_price_seen=instrument.last_price, created_at=now, updated_at=now,
    )  # fmt: skip


def _proposal(request: OrderRequest) -> checks.Proposal:
    return checks.Proposal(
        side=request.side,
        type=request.type,
        quantity=request.quantity,
        price=request.price,
        reduce_only=request.reduce_only,
    )


def _grid(instrument: Instrument) -> checks.Grid:
    return checks.Grid(
        symbol=instrument.symbol, kind=instrument.kind, is_active=instrument.is_active, price_step=instrument.price_step,
        quantity_step=instrument.quantity_step, quantity_min=instrument.quantity_min,
        quantity_max=instrument.quantity_max, notional_min=instrument.notional_min,
    )  # fmt: skip


def _got(request: OrderRequest, name: str) -> str | None:
    value = getattr(request, name, None)
    return decimals.write(value) if name in {"quantity", "price"} else str(value)
