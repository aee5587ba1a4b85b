"""Stage 1: accept an intent once, however often it is sent; and the wishes to cancel or to amend one."""

from __future__ import annotations

import dataclasses
import difflib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import IntegrityError

from orders import events, requests, states, store
from orders.models import Intent, Order
from orders.pretrade import risk_facts
from orders.requests import Amendment, FieldProblem, Invalid, OrderRequest
from orders.rows import OrderRow
from orders.states import Mutation, Status
from orders.triggers import ARMED, CONDITIONAL, TRIGGERED
from project.lib import audit, clock, decimals, failpoints, feed, ids
from risk import checks
from venues import capabilities, symbols
from venues.capabilities import Capabilities
from venues.models import Account, Instrument

Place = Callable[[str], str]
# What ends as a market order at the venue, and the nearest type that does not.
_SENDS_MARKET = {
    "market": "limit", "stop": "stop_limit", "take_profit": "take_profit_limit", "trailing_stop": "stop_limit",
}  # fmt: skip


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


class NotAmendable(Exception):
    """The order cannot be changed now: it has ended, or another change of it is under way."""


@feed.retried
def accept(request: OrderRequest, account: Account, *, source: str) -> Accepted:
    """Turn a request into an order, once for ever per account and client order id.

    Raises requests.Invalid (nothing stored, the id stays free) or Conflict (same id, other body).
    A limit, a halt or the collar does not raise: the order comes back `denied` and the id is used.
    """
    if known := _known(request, account):
        return known
    requests.refuse_past(request.expires_at, clock.now())
    instrument = instrument_of(request, account)
    can = capabilities.for_exchange(account.venue.exchange, account.venue.quirks)
    problems = misfits(request, instrument, can)
    if problems:
        raise Invalid(problems)
    proposal = proposal_of(request)
    verdict = checks.decide(proposal, risk_facts(account, instrument))
    row = row_of(request, instrument, source)
    is_dated_market = request.time_in_force == "gtd" and request.price is None
    row.trigger_state = ARMED if is_watched(request.type, can, is_dated_market=is_dated_market) else ""
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
        order = Order.objects.select_for_update(no_key=True).get(pk=order.pk)
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


@feed.retried
def request_amendment(order: Order, amendment: Amendment, *, actor: str) -> Intent | None:
    """Ask the owner to change an order; asking the same again while it waits returns that wish, no change None.

    An amend is a request, not a fact: `mutation` shows when the owner has taken it. Raises requests.Invalid for values
    this order cannot have, NotAmendable when it has ended or another change of it is under way.
    """
    with feed.transaction():
        order = (
            Order.objects.select_for_update(no_key=True, of=("self",)).select_related("account__venue").get(pk=order.pk)
        )
        if Status(order.status) in states.TERMINAL:
            raise NotAmendable(f"the order is {order.status.replace('_', ' ')} already; nothing is left to change")
        if order.is_external:
            raise NotAmendable("the order was placed at the venue by somebody else; it can be cancelled, not changed")
        if order.type in requests.TRAILING and not order.trigger_state and Status(order.status) not in states.LOCAL:
            raise NotAmendable("the venue changes no trailing stop that it watches; cancel it and post a new one")
        wanted = _changes(order, amendment)
        waiting = list(Intent.objects.filter(order=order, action__in=["amend", "cancel"], done_at=None))
        if wanted and any(intent.action == "amend" and intent.data == wanted for intent in waiting):
            return next(intent for intent in waiting if intent.action == "amend" and intent.data == wanted)
        if waiting or order.mutation != Mutation.NONE:
            what = waiting[0].action if waiting else order.mutation.split("_")[0]
            raise NotAmendable(f"another change of it is under way ({what}); wait until it has ended")
        if not wanted:
            return None
        _refuse_impossible_change(order, wanted)
        intent = Intent.objects.create(
            account_id=order.account_id, order=order, action="amend", data=wanted, requested_by=actor
        )
        audit.record(actor, "order.amend", order.id, {"client_order_id": order.client_order_id, **wanted})
        feed.announce("orders", "order.amend_requested", order.id, account=order.account_id, data=wanted)
        feed.wake(order.account_id)
    return intent


def misfits(
    request: OrderRequest, instrument: Instrument, can: Capabilities, place: Place = lambda field: field
) -> list[FieldProblem]:
    """List what the instrument's grid and the venue's abilities refuse; `place` names a field as the client knows it."""
    found = [*checks.fit(proposal_of(request), grid_of(instrument)), *_lacking(request, instrument, can)]
    first = {problem.field: problem for problem in reversed(found)}.values()  # one refusal per field says enough
    return [
        FieldProblem(field=place(p.field), code=p.code, message=p.message, got=_got(request, p.field),
                     nearest_valid=p.nearest_valid)
        for p in sorted(first, key=found.index)
    ]  # fmt: skip


def is_watched(kind: str, can: Capabilities, *, is_dated_market: bool) -> bool:
    """Say whether we watch for the trigger of this type of order, because the venue cannot or not until the time asked.

    A venue that knows good till date knows it of orders with a limit price alone.
    """
    return kind in CONDITIONAL and (kind not in can.order_types or (is_dated_market and "GTD" in can.times_in_force))


def _changes(order: Order, amendment: Amendment) -> dict[str, str]:
    """Return the values that differ from the order's, as they are kept in a wish."""
    wanted: dict[str, str] = {}
    for name, value in vars(amendment).items():
        if value is not None and value != getattr(order, name):
            wanted[name] = value.isoformat() if isinstance(value, datetime) else str(decimals.write(value))
    return wanted


def _refuse_impossible_change(order: Order, wanted: dict[str, str]) -> None:
    """Raise Invalid for what this order cannot become. The limits are checked by the owner, before anything leaves."""
    problems: list[FieldProblem] = []

    def refuse(field: str, code: str, message: str, nearest: str | None = None) -> None:
        problems.append(FieldProblem(field=field, code=code, message=message, got=wanted[field], nearest_valid=nearest))

    for name in sorted(wanted):
        if name != "quantity" and getattr(order, name) is None:
            refuse(
                name, "NOT_ALLOWED", f"this {order.type} {order.time_in_force} order has none to change; leave it out"
            )
    if "trigger_price" in wanted and order.trigger_state == TRIGGERED:
        refuse("trigger_price", "NOT_ALLOWED", "it has triggered already; leave it out")
    if (
        "quantity" in wanted
        and order.group is not None
        and order.group_role != "entry"
        and order.group.kind != "scaled"
    ):
        refuse("quantity", "NOT_ALLOWED", "its group keeps the quantity; cancel the group and post it anew")
    instrument = Instrument.objects.filter(venue_id=order.account.venue_id, symbol=order.symbol).first()
    if instrument is None:
        raise NotAmendable("its instrument is not listed any more; it can be cancelled, not changed")
    quantity = Decimal(wanted.get("quantity", order.quantity))
    if quantity <= order.filled_quantity:
        least = decimals.write(order.filled_quantity + (instrument.quantity_step or Decimal(1).scaleb(-decimals.SCALE)))
        filled = decimals.write(order.filled_quantity)
        refuse(
            "quantity", "NOT_ABOVE_FILLED", f"must be above what has filled, {filled}; to keep no rest, cancel", least
        )
    can = capabilities.for_exchange(order.account.venue.exchange, order.account.venue.quirks)
    if "expires_at" in wanted and order.expires_at is not None:
        requests.refuse_past(datetime.fromisoformat(wanted["expires_at"]), clock.now())
        is_kept_there = "GTD" in can.times_in_force and Status(order.status) not in states.LOCAL
        if is_kept_there and datetime.fromisoformat(wanted["expires_at"]) > order.expires_at:
            refuse("expires_at", "NOT_SUPPORTED", "the venue keeps its time and cannot prolong it; cancel and post anew",
                   order.expires_at.isoformat())  # fmt: skip
    if not problems:
        problems = _misfits_of_change(order, instrument, wanted, quantity)
    if problems:
        raise Invalid(problems)


def _misfits_of_change(
    order: Order, instrument: Instrument, wanted: dict[str, str], quantity: Decimal
) -> list[FieldProblem]:
    values = {name: Decimal(text) for name, text in wanted.items() if name in ("price", "trigger_price")}
    proposal = checks.Proposal(
        side=order.side, type=order.type, quantity=quantity, price=values.get("price", order.price),
        trigger_price=values.get("trigger_price", order.trigger_price),
    )  # fmt: skip
    return [
        FieldProblem(
            field=p.field, code=p.code, message=p.message, got=wanted.get(p.field), nearest_valid=p.nearest_valid
        )
        for p in checks.fit(proposal, grid_of(instrument))
    ]


def _lacking(request: OrderRequest, instrument: Instrument, can: Capabilities) -> list[checks.Problem]:
    """List what the venue does not carry and nobody can do in its place."""
    found: list[tuple[str, str, str | None]] = []
    if instrument.kind not in can.kinds or instrument.contract_size != 1:
        found.append(
            ("symbol", f"trades of a {instrument.kind} there cannot be booked right yet, so none is sent", None)
        )
    if request.reduce_only and not can.reduce_only:
        found.append(("reduce_only", "this venue has no reduce-only orders", "false"))
    if request.post_only and not can.post_only:
        found.append(("post_only", "this venue has no post-only orders", "false"))
    if request.type in _SENDS_MARKET and "market" not in can.order_types:
        found.append(("type", "this venue has no market orders by quantity", _SENDS_MARKET[request.type]))
    is_immediate = request.time_in_force in ("ioc", "fok") and request.type != "market"
    if is_immediate and request.time_in_force.upper() not in can.times_in_force:
        found.append(("time_in_force", f"this venue has no {request.time_in_force} orders", "gtc"))
    return [
        checks.Problem(field=field, code="NOT_SUPPORTED", message=message, nearest_valid=nearest)
        for field, message, nearest in found
    ]


def _known(request: OrderRequest, account: Account) -> Accepted | None:
    order = Order.objects.filter(account=account, client_order_id=request.client_order_id).first()
    if order is None:
        return None
    if order.body_digest != request.digest():
        raise Conflict(order)
    return Accepted(order, is_new=False)


def instrument_of(request: OrderRequest, account: Account) -> Instrument:
    """Return the instrument a request names. Raises Invalid with the nearest one."""
    instrument = Instrument.objects.filter(venue_id=account.venue_id, symbol=request.symbol).first()
    if instrument:
        return instrument
    listed = Instrument.objects.filter(venue_id=account.venue_id, unmapped_reason="")
    known = list(listed.values_list("symbol", flat=True))
    same = symbols.canonical(request.symbol)  # XBT/USDT is BTC/USDT
    close = [same] if same in known else difflib.get_close_matches(request.symbol, known, n=1, cutoff=0.3)
    message = f"is not an instrument of venue {account.venue_id}" if known else (
        f"venue {account.venue_id} has no instruments yet: activate an account there first"
    )  # fmt: skip
    problem = FieldProblem(field="symbol", code="SYMBOL_UNKNOWN", message=message, got=request.symbol,
                           nearest_valid=close[0] if close else (known[0] if known else None))  # fmt: skip
    raise Invalid([problem])


def row_of(
    request: OrderRequest, instrument: Instrument, source: str, *, group: uuid.UUID | None = None, role: str = ""
) -> OrderRow:
    """Return the new order a request asks for."""
    now = clock.now()
    return OrderRow(
        id=ids.new_id(), account=request.account, client_order_id=request.client_order_id, body_digest=request.digest(),
        symbol=request.symbol, side=request.side, type=request.type, quantity=request.quantity, price=request.price,
        trigger_price=request.trigger_price, trailing_offset=request.trailing_offset, time_in_force=request.time_in_force,
        post_only=request.post_only, reduce_only=request.reduce_only, expires_at=request.expires_at,
        strategy=request.strategy, source=source[:150], last_price_seen=instrument.last_price, created_at=now,
        updated_at=now, group=group, group_role=role,
    )  # fmt: skip


def proposal_of(request: OrderRequest) -> checks.Proposal:
    """Return a request as the pre-trade check takes it."""
    fields = [field.name for field in dataclasses.fields(checks.Proposal)]
    return checks.Proposal(**{name: getattr(request, name) for name in fields})


def grid_of(instrument: Instrument) -> checks.Grid:
    """Return an instrument's rules."""
    return checks.Grid(
        symbol=instrument.symbol, kind=instrument.kind, is_active=instrument.is_active, price_step=instrument.price_step,
        quantity_step=instrument.quantity_step, quantity_min=instrument.quantity_min,
        quantity_max=instrument.quantity_max, price_min=instrument.price_min, price_max=instrument.price_max,
        notional_min=instrument.notional_min, notional_max=instrument.notional_max,
        contract_size=instrument.contract_size, is_inverse=instrument.is_inverse,
    )  # fmt: skip


def _got(request: OrderRequest, name: str) -> str | None:
    value = getattr(request, name, None)
    return decimals.write(value) if isinstance(value, Decimal) else str(value)
