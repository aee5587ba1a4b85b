"""Stage 1 for groups: accept orders that belong together as one, or none of them; and the wish to cancel them all."""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass

from django.db import IntegrityError

from orders import events, intake, requests, states, store
from orders.group_requests import GroupRequest, Member
from orders.models import Order, OrderGroup
from orders.pretrade import risk_facts
from orders.requests import FieldProblem, Invalid
from orders.rows import OrderRow
from orders.states import Status
from orders.triggers import ARMED, CONDITIONAL, DORMANT
from project.lib import audit, clock, feed, ids
from risk import checks
from venues import capabilities
from venues.models import Account, Instrument


@dataclass(frozen=True)
class Accepted:
    """The group that stands for the request, and whether this call created it."""

    group: OrderGroup
    is_new: bool


class Conflict(Exception):
    """The client group id is taken by a group with another body."""

    def __init__(self, group: OrderGroup) -> None:
        super().__init__(f"client_group_id {group.client_group_id} belongs to group {group.id} with another body")
        self.group = group


@feed.retried
def accept(request: GroupRequest, account: Account, *, source: str) -> Accepted:
    """Turn a request into a group and its orders, once for ever per account and client group id.

    Raises requests.Invalid (nothing stored, the id stays free) or Conflict (same id, other body). Where a limit or a halt
    denies one of its orders, all of them come back `denied`: half a group is none.
    """
    if known := _known(request, account):
        return known
    for member in request.orders:
        requests.refuse_past(member.request.expires_at, clock.now(), member.place("expires_at"))
    requests.refuse_past(request.template.expires_at, clock.now())
    instrument = intake.instrument_of(request.template, account)
    members = request.members(intake.grid_of(instrument))
    _refuse_misfits(members, instrument, account)
    group_id = ids.new_id()
    rows = [_row(member, instrument, source, group_id, request.kind) for member in members]
    denied = _first_denial(members, instrument, account)
    try:
        with store.transaction() as books:
            OrderGroup.objects.create(
                id=group_id, account=account, client_group_id=request.client_group_id, body_digest=request.digest(),
                kind=request.kind, data=request.described(), source=source[:150],
            )  # fmt: skip
            for row in rows:
                if denied is not None:
                    events.open_order(books, row, verdict=Status.DENIED, code=denied.code, message=denied.message)
                else:
                    events.open_order(books, row, verdict=Status.QUEUED)
            books.wake(account.code)
    except IntegrityError:  # another request with the same id was faster
        if known := _known(request, account):
            return known
        raise
    return Accepted(OrderGroup.objects.get(pk=group_id), is_new=True)


@feed.retried
def request_cancellation(group: OrderGroup, *, actor: str) -> int:
    """Ask for the cancel of every order of a group that is alive. Returns how many; raises intake.NotCancellable for none."""
    with feed.transaction():
        alive = [
            order
            for order in Order.objects.select_for_update(no_key=True).filter(group=group).order_by("created_at", "id")
            if Status(order.status) not in states.TERMINAL
        ]
        if not alive:
            raise intake.NotCancellable("every order of the group has ended already; nothing is left to cancel")
        audit.record(actor, "order_group.cancel", group.id, {"client_group_id": group.client_group_id})
        for order in alive:
            intake.request_cancellation(order, actor=actor)
    return len(alive)


def _known(request: GroupRequest, account: Account) -> Accepted | None:
    group = OrderGroup.objects.filter(account=account, client_group_id=request.client_group_id).first()
    if group is None:
        return None
    if group.body_digest != request.digest():
        raise Conflict(group)
    return Accepted(group, is_new=False)


def _refuse_misfits(members: tuple[Member, ...], instrument: Instrument, account: Account) -> None:
    can = capabilities.for_exchange(account.venue.exchange, account.venue.quirks)
    found: dict[str, FieldProblem] = {}
    for member in members:
        for problem in intake.misfits(member.request, instrument, can, member.place):
            found.setdefault(problem.field, problem)
    if found:
        raise Invalid(list(found.values()))
    wanted = [member.request.client_order_id for member in members]
    taken = Order.objects.filter(account=account, client_order_id__in=wanted).values_list("client_order_id", flat=True)
    if names := sorted(taken):
        message = f"would make an order {names[0]}, which is there already"
        raise Invalid([FieldProblem(field="client_group_id", code="TAKEN", message=message, got=names[0])])


def _row(member: Member, instrument: Instrument, source: str, group_id: uuid.UUID, kind: str) -> OrderRow:
    row = intake.row_of(member.request, instrument, source, group=group_id, role=member.role)
    # two orders cannot reserve the same balance: the conditional ones wait here, never at the venue
    is_armed = kind != "scaled" and member.request.type in CONDITIONAL
    row.trigger_state = DORMANT if member.is_dormant else ARMED if is_armed else ""
    return row


def _first_denial(members: tuple[Member, ...], instrument: Instrument, account: Account) -> checks.Denied | None:
    facts = risk_facts(account, instrument)
    for number, member in enumerate(members):
        more = dataclasses.replace(facts, open_orders=facts.open_orders + number)
        verdict = checks.decide(intake.proposal_of(member.request), more)
        if isinstance(verdict, checks.Denied):
            return verdict
    return None
