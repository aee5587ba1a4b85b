"""What a person of risk may ask for on a dead letter: look again, bind to a venue order, declare absent.

Each is a request to the account's owner: only the owner changes an order.
"""

from __future__ import annotations

from typing import Any

from orders.models import DeadLetter, Intent
from project.lib import audit, failpoints, feed


class Refused(Exception):
    """The request is refused; the message says why and what to do."""


def request_look(letter: DeadLetter, *, actor: str) -> Intent:
    """Ask the venue again for evidence; the answer appears on the dead letter."""
    return _request(letter, "look_again", actor, {})


def request_binding(letter: DeadLetter, *, venue_order_id: str, actor: str, reason: str) -> Intent:
    """State that a certain venue order is this order; the owner verifies it with the venue before it believes so."""
    if letter.attempt is not None and letter.attempt.action == "cancel":
        raise Refused(
            "this doubt is about a cancel: the order is known already. Look again, or declare the cancel without effect"
        )
    if not venue_order_id.strip() or len(venue_order_id) > 100:
        raise Refused("name the venue's order id (1 to 100 characters)")
    return _request(letter, "bind", actor, {"venue_order_id": venue_order_id.strip(), "reason": _reason(reason)})


def request_absence(letter: DeadLetter, *, actor: str, reason: str) -> Intent:
    """State that the order never reached the venue. It ends `denied`; a fill that arrives later is still booked."""
    return _request(letter, "declare_absent", actor, {"reason": _reason(reason)})


def _reason(reason: str) -> str:
    if not reason.strip():
        raise Refused("give a reason: the audit log keeps it")
    return reason.strip()[:500]


@feed.retried
def _request(letter: DeadLetter, action: str, actor: str, data: dict[str, Any]) -> Intent:
    with feed.transaction():
        letter = DeadLetter.objects.select_for_update(no_key=True).get(pk=letter.pk)
        if letter.status != DeadLetter.Status.OPEN:
            raise Refused(f"resolved already by {letter.resolved_by} at {letter.resolved_at:%Y-%m-%d %H:%M:%S} UTC")
        waiting = Intent.objects.filter(
            order_id=letter.order_id, done_at=None, action__in=["bind", "declare_absent"]
        ).first()
        if waiting and action != "look_again":
            raise Refused(
                f"{waiting.requested_by} asked for {waiting.action.replace('_', ' ')} already; wait for its result"
            )
        intent = Intent.objects.create(
            account_id=letter.account_id, order_id=letter.order_id, action=action, requested_by=actor,
            data={**data, "dead_letter": str(letter.id)},
        )  # fmt: skip
        audit.record(actor, f"dead_letter.{action}", letter.id, data)
        feed.announce("dead_letters", f"dead_letter.{action}_requested", letter.id, account=letter.account_id)
        feed.wake(letter.account_id)
    failpoints.reach("P13")
    return intent
