"""Role watchdog: compare orders out with orders in, from the log alone, and halt when more went out than came in.

It also asks, every other second, whether a venue does so badly that a rule of a person calls for a reaction.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, connection
from django.db.models import Count, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from orders import reactions
from orders.models import Attempt, Order, OrderEvent
from project.lib import clock, decimals
from risk import halts
from risk.models import Halt

logger = logging.getLogger(__name__)
ACTOR = "watchdog"
INTERVAL_SECONDS = 0.5
LOOKBACK = timedelta(minutes=10)
REACT_EVERY = timedelta(seconds=2)
GRACE_SECONDS = 6  # the validity window and a second: what was signed before a halt may still arrive

_NEVER_LIVE = Q(outcome__in=["not_sent", "rejected"]) | Q(resolution__in=["never_accepted", "declared_absent"])


@dataclass(frozen=True)
class Breach:
    """More went out than came in: which account, what, and the figures."""

    account: str
    what: str


def breaches(now: datetime) -> list[Breach]:
    """Return every breach visible in the log of the last minutes."""
    return [*_sent_twice(now), *_overfilled(now), *_sent_while_halted(now)]


def check(now: datetime) -> list[Halt]:
    """Halt each account with a breach, once. Returns the halts engaged by this call."""
    engaged = []
    for breach in breaches(now):
        scope = f"account:{breach.account}"
        if Halt.objects.filter(scope=scope, created_by=ACTOR, reason=breach.what[:300]).exists():
            continue
        logger.critical("account %s: %s; halting it", breach.account, breach.what)
        engaged.append(halts.engage(scope, breach.what, ACTOR))
    return engaged


def run(stopping: threading.Event) -> None:
    """Check until told to stop; a database that is away is waited for."""
    reacted_at = clock.now() - REACT_EVERY
    while not stopping.wait(INTERVAL_SECONDS):
        try:
            now = clock.now()
            check(now)
            if now - reacted_at >= REACT_EVERY:
                reacted_at = now
                reactions.check(now)
        except (OperationalError, InterfaceError) as error:
            logger.warning("the log cannot be read (%s); trying again", type(error).__name__)
            connection.close()


def _sent_twice(now: datetime) -> list[Breach]:
    recent = Attempt.objects.filter(action="submit", sent_at__gt=now - LOOKBACK).values("order_id")
    ended = OrderEvent.objects.filter(order_id=OuterRef("order_id"), kind="leg_ended").order_by().values("order_id")
    rows = (
        Attempt.objects.filter(action="submit", order_id__in=recent)
        .exclude(_NEVER_LIVE)
        .values("account_id", "order_id")
        .annotate(live=Count("id"), ended=Coalesce(Subquery(ended.annotate(n=Count("id")).values("n")), 0))
        .filter(live__gt=1 + F("ended"))  # an amend may end what was sent and send the rest anew
    )
    return [
        Breach(row["account_id"], f"order {row['order_id']} went out {row['live']} times for one intent")
        for row in rows
    ]


def _overfilled(now: datetime) -> list[Breach]:
    rows = Order.objects.filter(updated_at__gt=now - LOOKBACK, is_external=False, filled_quantity__gt=F("quantity"))
    return [
        Breach(
            order.account_id,
            f"order {order.id} filled {decimals.write(order.filled_quantity)} of {decimals.write(order.quantity)}",
        )
        for order in rows
    ]


def _sent_while_halted(now: datetime) -> list[Breach]:
    found = []
    for halt in halts.in_force():
        kind, _, code = halt.scope.partition(":")
        sent = Attempt.objects.filter(
            action="submit", sent_at__gt=max(halt.created_at + timedelta(seconds=GRACE_SECONDS), now - LOOKBACK)
        )
        if halt.state != Halt.State.HALTED or halt.created_by == ACTOR:
            continue
        if kind == "account":
            sent = sent.filter(account_id=code)
        elif kind == "venue":
            sent = sent.filter(account__venue_id=code)
        found += [
            Breach(a.account_id, f"order {a.order_id} went out although {halt.scope} is halted") for a in sent[:5]
        ]
    return found
